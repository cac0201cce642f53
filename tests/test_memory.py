"""Sweeps in memory: a model, a distribution and an objective of one's own, each swept over a number of its own."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import superpose as sp
from superpose import memory
from superpose.leaves import Scalar

FEW = {"objective": sp.Sampled(64), "schedule": sp.Constant(20)}


class Leaky(sp.AbstractToyModel):
    """x' = max(y, slope y), y = W^T W x + b: slope 0 is the ReLU output model, 1 the linear one."""

    W: jax.Array
    b: jax.Array
    slope: jax.Array
    dims: ClassVar = {"W": ("hidden", "feature"), "b": ("feature",)}
    basis_privileged: ClassVar = False

    def __init__(self, n, m, slope=0.1):
        self.W, self.b, self.slope = jnp.zeros((m, n)), jnp.zeros(n), sp.scalar(slope)

    def encode(self, x):
        return self.W @ x

    def decode(self, h):
        y = self.W.T @ h + self.b[:, None]
        return jnp.maximum(y, self.slope * y)


class Spikes(sp.AbstractFeatures):
    """x_i = height with probability p, else 0."""

    n: int
    density: jax.Array
    height: jax.Array

    def __init__(self, n, height=1.0):
        self.n, self.density, self.height = n, sp.scalar(0.1), sp.scalar(height)

    def noise(self, batch, *, key):
        return jax.random.uniform(key, (self.n, batch))

    def __call__(self, noise):
        return jnp.where(noise < self.density, self.height, 0.0)


class Penalised(sp.AbstractObjective):
    """The paper's loss and penalty sum_k |h_k| of the hidden activations."""

    penalty: Scalar

    def __init__(self, penalty=0.0):
        self.penalty = sp.scalar(penalty)

    def noise(self, task, *, key):
        return task.features.noise(64, key=key)

    def loss(self, model, task, noise):
        x = task.features(noise)
        return task.loss(model, x) + self.penalty * jnp.abs(model.encode(x)).sum() / x.shape[1]


def test_a_model_of_ones_own():
    """At slope 0 it is the package's ReLU output model, to rounding; its loss is sampled, the package's exact."""
    features, points = sp.IndependentFeatures(5, 0.3), {"slope": [0.0, 0.3, 1.0], "seed": [0, 4]}
    ds = sp.sweep_grid(sp.Program(Leaky(5, 2), features, **FEW), points, tile=3)
    assert ds.W.dims == ("slope", "seed", "hidden", "feature") and ds.attrs["model"] == "Leaky"
    same = sp.sweep_grid(sp.Program(sp.ReLUOutput(5, 2), features, **FEW), {"seed": [0, 4]}, tile=2)
    for name in ("W", "b", "loss_curve"):
        np.testing.assert_allclose(ds[name].sel(slope=0), same[name], rtol=1e-5, atol=1e-6)
    own = ds.sel(slope=0)
    assert (abs(own.loss - same.loss) < 5 * own.loss_standard_error).all() and (same.loss_standard_error == 0).all()
    assert (abs(ds.W.sel(slope=0.3) - ds.W.sel(slope=0.0)) > 1e-4).any()


def test_a_distribution_of_ones_own():
    """Untrained, of weights 0, the loss is E sum_i x_i^2 = n p height^2, within 5 standard errors of its sample."""
    program = sp.Program(sp.ReLUOutput(5, 2), Spikes(5), schedule=sp.Constant(0), init=sp.Normal(0.0))
    ds = sp.sweep_grid(program, {"sparsity": [0.5, 0.9], "height": [0.5, 2.0, 1.0]})
    assert ds.loss.dims == ("sparsity", "height", "seed") and ds.height.values.tolist() == [0.5, 1, 2]
    expected = 5 * ds.density * ds.height**2
    assert (abs(ds.loss.isel(seed=0) - expected) < 5 * ds.loss_standard_error.isel(seed=0)).all()
    assert (ds.loss_standard_error > 0).all()


def test_an_objective_of_ones_own():
    """A penalty of 0 is the sampled objective, and a larger one leaves shorter weights."""
    features, parts = sp.IndependentFeatures(5, 0.5), {"optimizer": sp.SGD(0.3), "schedule": sp.Constant(20)}
    program = sp.Program(sp.Linear(5, 2), features, objective=Penalised(), **parts)
    ds = sp.sweep_grid(program, {"penalty": [0.0, 0.3, 1.0]}, tile=3)
    plain = sp.sweep_grid(sp.Program(sp.Linear(5, 2), features, objective=sp.Sampled(64), **parts), {})
    np.testing.assert_allclose(ds.W.sel(penalty=0), plain.W, rtol=0, atol=1e-6)
    assert ((ds.W**2).sum(("hidden", "feature")).diff("penalty") < 0).all()


@pytest.fixture(scope="module")
def program() -> sp.Program:
    return sp.Program(sp.ReLUOutput(5, 2), sp.IndependentFeatures(5), sp.Geometric(0.9), **FEW)


def test_a_model_is_the_one_that_is_trained_alone(program):
    """To the bit at one tile; and to rounding the program called on its coordinates and its seed's keys."""
    points = {"sparsity": [0.0, 0.9], "importance": [0.5, 0.8], "seed": range(3)}
    ds = sp.sweep_grid(program, points, tile=1)
    alone = sp.sweep_grid(program, {"importance": 0.8, "sparsity": 0.9, "seed": [2]}, tile=1)
    one = ds.sel(importance=[0.8], sparsity=[0.9], seed=[2]).squeeze("importance", drop=True)
    for name in alone.data_vars:
        np.testing.assert_array_equal(one[name], alone[name])
    axes = (("sparsity", "features.density"), ("importance", "weighting.base"))
    called = dataclasses.replace(program, axes=axes)
    keys = jax.random.split(jax.random.fold_in(jax.random.key(0), 2))
    found = jax.jit(lambda *keys: called({"sparsity": jnp.float32(0.1), "importance": jnp.float32(0.8)}, *keys))(*keys)
    np.testing.assert_allclose(alone.W.squeeze(), found["W"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(alone.loss_curve.squeeze(), found["loss_curve"], rtol=1e-5)
    again = sp.model_at(ds, sparsity=0.9, importance=0.8, seed=2)
    np.testing.assert_array_equal(again.W, alone.W.squeeze())


def test_an_axis_by_its_path(program):
    given = {"target": "features.relative_density.4", "points": [1.0, 0.5]}
    short = dataclasses.replace(program, model=sp.Linear(5, 2))
    ds = sp.sweep_grid(short, {"sparsity": [0.8], "bump": given, "seed": np.arange(2)})
    assert ds.W.dims == ("sparsity", "bump", "seed", "hidden", "feature") and ds.bump.values.tolist() == [0.5, 1]
    assert ds.sizes["seed"] == 2 and set(ds.data_vars) >= {"loss", "loss_curve", "norm", "dimensionality", "finite"}
    assert (ds.norm - np.sqrt((ds.W**2).sum("hidden")) < 1e-6).all()
    assert ds.step.values.tolist()[0] == 0 and ds.step.values.tolist()[-1] == 20
    assert ds.density.values == pytest.approx([0.2]) and ds.W.dtype == np.float32


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ({"sparsity": [0.5, 1.2]}, r"`sparsity` must lie in \[0, 1\), got 1.2. Sparsity is the probability"),
        ({"sparsity": [1 - 1e-6]}, "density, .* must lie in "),
        ({"sparsity": []}, "`sparsity` has no points"),
        ({"sparsity": [0.9, 0.9]}, "holds one model twice"),
        ({"learning_rate": [-1.0]}, "`learning_rate` must be at least 0, got -1"),
        ({"weight_decay": [0.0], "seed": []}, "`seed` has no points"),
        ({"seed": [0, 0.5]}, "A seed is an integer from 0 to 4294967295 .*, got 0.5"),
        ({"seed": [-1]}, "A seed is an integer .*, got -1"),
        ({"seed": [1, 1]}, "`seed` holds 1 twice"),
        ({"momentum": [0.5]}, r"(?s)`momentum` is to be the one float field .* there is none.*optimizer.b1"),
        ({"W": [0.5]}, "there is none"),
        ({"bump": {"target": "features.relative_density.9", "points": [1.0]}}, "no single float of this program"),
        ({"bump": {"target": "features.relative_density.04", "points": [1.0]}}, "no single float of this program"),
        ({"bump": {"target": "features.densities.0", "points": [1.0]}}, "no single float of this program"),
        ({"bump": {"points": [1.0]}}, r"The axis `bump` is \{target: PATH, points: \[...\]\}"),
        ({"feature": {"target": "features.density", "points": [1.0]}}, "needs a name of its own"),
        ({"W": {"target": "features.density", "points": [1.0]}}, "needs a name of its own"),
        ({"density": [2.0, 0.0]}, r"must lie in \[1e-05, 1\], got 0 to 2"),
        ({"sparsity": [0.5], "density": [0.1, 0.2]}, "`sparsity` and `density` both set features.density"),
        ({"sparsity": [0.0], "bump": {"target": "features.relative_density.4", "points": [0.5, 1.5]}}, "to 1.5 over"),
    ],
)
def test_bad_input_is_refused_before_anything_is_traced(program, points, message):
    with pytest.raises(ValueError, match=message):
        sp.sweep_grid(program, points)


@pytest.mark.parametrize("tile", [0, -1])
def test_a_tile_holds_a_model(program, tile):
    with pytest.raises(ValueError, match=f"at least 1 model, got {tile}"):
        sp.sweep_grid(program, {}, tile=tile)


def test_a_count_of_seeds_may_be_numpys(program):
    assert memory.seeds(np.int64(2)) == (0, 1)


def test_an_axis_that_nothing_takes_is_refused(program):
    plain = dataclasses.replace(program, weighting=sp.Uniform(), optimizer=sp.SGD(0.1))
    for axis in ("importance", "weight_decay"):
        with pytest.raises(ValueError, match=f"Nothing in this program takes `{axis}`"):
            sp.sweep_grid(plain, {axis: [0.1, 0.2]})


def test_a_name_that_several_fields_bear_needs_its_path():
    class Sloping(Spikes):
        """Its number has the name of the model's."""

        slope: jax.Array

        def __init__(self, n):
            self.n, self.density, self.height, self.slope = n, sp.scalar(0.1), sp.scalar(1.0), sp.scalar(2.0)

    with pytest.raises(ValueError, match=r"there is 2 of them: model.slope, features.slope. Give its path"):
        sp.sweep_grid(sp.Program(Leaky(5, 2), Sloping(5), **FEW), {"slope": [0.5, 1.0]})


def test_a_seed_may_be_a_count_and_a_snapshot_lies_within_the_run(program):
    assert sp.sweep_grid(program, {"sparsity": [0.5], "seed": 3})["seed"].values.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="got 50"):
        sp.Program(sp.ReLUOutput(3, 2), sp.IndependentFeatures(3), schedule=sp.Constant(40), record=sp.Record((50,)))
