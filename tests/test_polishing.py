"""L-BFGS after training: on a quadratic, on a real model, and where there is nothing to gain."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import superpose as sp
from superpose.polishing import LBFGS, NoPolish

SCALES = jnp.asarray([1.0, 30.0, 0.01])
CENTRE = jnp.asarray([1.0, -2.0, 3.0])


def bowl(v):
    return jnp.sum(SCALES * (v - CENTRE) ** 2)


def test_a_quadratic_is_solved():
    found = jax.jit(lambda v: LBFGS(50)(bowl, v))(jnp.zeros(3))
    np.testing.assert_allclose(found, CENTRE, atol=1e-4)
    np.testing.assert_array_equal(NoPolish()(bowl, jnp.zeros(3)), jnp.zeros(3))


def test_neighbours_do_not_matter():
    """Under vmap each stops on its own: the result is that of the model alone."""
    starts = jnp.asarray([[0.0, 0, 0], [5.0, 5, 5], [1.0, -2, 3]])
    together = jax.vmap(lambda v: LBFGS(50)(bowl, v))(starts)
    two = jax.vmap(lambda v: LBFGS(50)(bowl, v))(starts[jnp.asarray([0, 2, 2])])
    np.testing.assert_array_equal(together[0], two[0])
    np.testing.assert_array_equal(together[2], CENTRE)


def test_a_loss_that_is_not_a_number_changes_nothing():
    start = jnp.asarray([1.0, 2.0])
    np.testing.assert_array_equal(LBFGS(5)(lambda v: jnp.sum(v) * jnp.nan, start), start)


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"steps": 5, "memory": 0}])
def test_counts_are_checked(wrong):
    with pytest.raises(ValueError, match="at least 1"):
        LBFGS(**wrong)


@pytest.mark.parametrize("tolerance", [-1.0, float("nan")])
def test_the_tolerance_is_checked(tolerance):
    with pytest.raises(ValueError, match="at least 0"):
        LBFGS(5, tolerance=tolerance)


@pytest.mark.slow
def test_a_polished_model_is_at_a_minimum():
    """Where float32 tells no lower loss: the gradient is some sqrt(2^-24 L H), 3e-4 for L = 0.1 and H = 10."""

    def trained(polish):
        parts = {"objective": sp.Exact(), "optimizer": sp.Adam(0.03), "schedule": sp.CosineDecay(30)}
        program = sp.Program(sp.ReLUOutput(2, 1), sp.IndependentFeatures(2), **parts, polish=polish)
        return sp.sweep_grid(program, {"sparsity": [0.3, 0.9], "seed": range(3)})

    before, after = trained(NoPolish()), trained(LBFGS(50))
    assert (after["loss"] <= before["loss"] * (1 + 1e-6)).all()
    assert float(before["gradient_norm"].min()) > 0.01 and float(after["gradient_norm"].max()) < 5e-4
