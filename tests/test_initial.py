"""Initial weights: standard deviations against their formulas, within 5 sigma.

The sample standard deviation of N normal numbers has a standard deviation of std / sqrt(2 N).
"""

from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float

from superpose.initial import Normal, Notebook, Xavier
from superpose.models import AbstractToyModel, Dims, Linear, ReLUOutput

MODELS = 400


def filled(init: Any, model: AbstractToyModel, seed: int) -> Any:
    return init(model, key=jax.random.key(seed))


class Untied(AbstractToyModel):
    """A model of two matrices."""

    W1: Float[Array, "m n"]
    W2: Float[Array, "n m"]
    dims: ClassVar[Dims] = {"W1": ("hidden", "feature"), "W2": ("feature", "hidden")}
    basis_privileged: ClassVar[bool] = False

    def __init__(self, n: int, m: int):
        self.W1, self.W2 = jnp.zeros((m, n)), jnp.zeros((n, m))

    def encode(self, x):
        return self.W1 @ x

    def decode(self, h):
        return self.W2 @ h


def weights(init, n: int, m: int) -> np.ndarray:
    keys = jax.random.split(jax.random.key(2), MODELS)
    return np.asarray(jax.jit(jax.vmap(lambda key: init(Linear(n, m), key=key).W))(keys), np.float64)


@pytest.mark.parametrize(
    ("init", "n", "m", "std"),
    [
        (Xavier(), 20, 5, 0.2828),  # sqrt(2 / 25)
        (Xavier(), 2, 1, 0.8165),  # sqrt(2 / 3)
        (Notebook(10), 5, 2, 0.2582),  # sqrt(2 / (2 * 15))
        (Notebook(20), 100, 20, 0.02887),  # sqrt(2 / (20 * 120))
        (Normal(0.05), 6, 4, 0.05),
    ],
)
def test_standard_deviation(init, n, m, std):
    W = weights(init, n, m)
    assert W.shape == (MODELS, m, n)
    exact = float(init.scale(m, n))
    assert exact == pytest.approx(std, rel=5e-4)
    assert abs(W.std() - exact) < 5 * exact / np.sqrt(2 * W.size)
    assert abs(W.mean()) < 5 * exact / np.sqrt(W.size)


def test_numbers_are_normal():
    """The fourth moment is 3, that of z^8 is 105; 68.27% within one standard deviation."""
    z = weights(Xavier(), 20, 5).ravel() / np.sqrt(2 / 25)
    assert abs((z**4).mean() - 3) < 5 * np.sqrt(96 / z.size)  # var z^4 = 105 - 9
    inside = 0.6826895
    assert abs((abs(z) < 1).mean() - inside) < 5 * np.sqrt(inside * (1 - inside) / z.size)


def test_biases_start_at_zero():
    model = filled(Xavier(), ReLUOutput(5, 2), 0)
    np.testing.assert_array_equal(model.b, np.zeros(5))


def test_one_key_one_model_whatever_the_scale():
    """Initialisations of one seed are multiples of each other."""
    wide, narrow = (filled(Normal(std), Linear(5, 2), 4).W for std in (1.0, 0.25))
    np.testing.assert_array_equal(0.25 * wide, narrow)
    assert not np.array_equal(wide, filled(Normal(1.0), Linear(5, 2), 5).W)


def test_each_matrix_has_a_draw_of_its_own():
    model = filled(Normal(1.0), Untied(5, 2), 4)
    assert model.W1.shape == (2, 5) and model.W2.shape == (5, 2)
    assert not np.isin(np.asarray(model.W1), np.asarray(model.W2)).any()
    assert float(Notebook(10).scale(5, 2)) == float(Notebook(10).scale(2, 5))
