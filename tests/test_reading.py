"""A model out of labelled arrays, by its coordinates."""

from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import laboratory
import numpy as np
import pytest
import xarray as xr

import superpose
from superpose import Constant, IndependentFeatures, Program, Sampled, scalar, sweep_grid
from superpose.following import Path
from superpose.models import (
    ACTIVATIONS,
    AbstractToyModel,
    ElementwiseOutput,
    ElementwiseOutputWithoutBias,
    LeakyReLUOutput,
    Linear,
    ReLUOutput,
    trained,
)
from superpose.reading import description, model_at, template
from superpose.statistics import best

SPARSITY, SLOPE, SEED = [0.1, 0.5, 0.9], [0.1, 0.3], [1, 4]


class Inner(eqx.Module):
    slope: jax.Array


class Leaky(AbstractToyModel):
    """A model with a constant of its own and one of a part."""

    W: jax.Array
    slope: jax.Array
    inner: Inner
    dims: ClassVar = {"W": ("hidden", "feature")}
    basis_privileged: ClassVar = False

    def __init__(self, n: int, m: int):
        self.W, self.slope, self.inner = jnp.zeros((m, n)), scalar(0.7), Inner(scalar(0.8))

    def encode(self, x):
        return self.W @ x

    def decode(self, h):
        return self.W.T @ h * self.slope


@pytest.fixture
def ds() -> xr.Dataset:
    W = np.random.default_rng(0).normal(size=(3, 2, 2, 2, 5)).astype(np.float32)
    W[0, 0, 0] = np.nan
    dims = ("sparsity", "slope", "seed")
    return xr.Dataset(
        {"W": ((*dims, "hidden", "feature"), W), "loss": (dims, np.ones((3, 2, 2)))},
        {"sparsity": SPARSITY, "slope": SLOPE, "seed": SEED, "importance": 0.7},
        {"axes": "sparsity=features.density slope=model.slope importance=weighting.ratio"},
    )


def read(arrays: xr.Dataset, **at) -> Leaky:
    model = model_at(arrays, like=Leaky(5, 2), **at)
    assert isinstance(model, Leaky)
    return model


def test_a_swept_constant_is_that_of_the_point(ds):
    model = read(ds, sparsity=0.88, slope=0.29, seed=4)
    np.testing.assert_array_equal(model.W, ds.W.values[2, 1, 1])
    assert model.slope == np.float32(0.3) and model.slope.dtype == jnp.float32
    assert model.inner.slope == np.float32(0.8)
    inner = read(ds.assign_attrs(axes="slope=model.inner.slope"), sparsity=0.9, slope=0.1, seed=1)
    assert inner.inner.slope == np.float32(0.1) and inner.slope == np.float32(0.7)


def test_a_constant_of_one_value_and_arrays_that_do_not_say(ds):
    at = {"sparsity": 0.9, "seed": 1}
    assert read(ds.isel(slope=1), **at).slope == np.float32(0.3)
    assert read(ds.drop_attrs(), slope=0.3, **at).slope == np.float32(0.7)
    with pytest.raises(ValueError, match=r"lost the coordinate `slope`, which sets model\.slope"):
        read(ds.isel(slope=1, drop=True), **at)


def test_what_has_one_value_need_not_be_given_but_may_be(ds):
    one = ds.isel(sparsity=[2], seed=[1])
    np.testing.assert_array_equal(read(one, slope=0.1).W, ds.W.values[2, 0, 1])
    np.testing.assert_array_equal(read(one, slope=0.1, importance=0.7, seed=4).W, ds.W.values[2, 0, 1])
    np.testing.assert_array_equal(read(one.isel(seed=0), slope=0.1, seed=4, sparsity=0.9).W, ds.W.values[2, 0, 1])


def test_the_best_seed_is_chosen_already(ds):
    np.testing.assert_array_equal(read(best(ds), sparsity=0.9, slope=0.1).W, ds.W.values[2, 0, 0])


@pytest.mark.parametrize(
    ("at", "message"),
    [
        ({"sparsity": 0.9, "slope": 0.1, "seed": 99}, r"No model has .*99.*; the seeds are 1, 4\."),
        ({"sparsity": 0.9, "slop": 0.1}, "no `slop` to choose here. Give values for sparsity, slope, seed, importance"),
        ({"sparsity": 0.9, "feature": 0}, "no `feature` to choose"),
        ({"sparsity": 0.9}, "Say which model: give a value for slope, seed"),
        ({"sparsity": [0.1, 0.9], "slope": 0.1, "seed": 1}, "give a value for sparsity"),
        ({"sparsity": 0.1, "slope": 0.1, "seed": 1}, "No model was trained at"),
    ],
)
def test_errors_teach(ds, at, message):
    with pytest.raises(ValueError, match=message):
        read(ds, **at)
    with pytest.raises(ValueError, match="the seeds are 4"):
        read(ds.isel(seed=1), sparsity=0.9, slope=0.1, seed=1)


def test_arrays_without_models_and_unknown_classes(ds):
    with pytest.raises(ValueError, match="hold no W, b: no such model was trained"):
        model_at(xr.Dataset(attrs={"model": "ReLUOutput"}))
    with pytest.raises(ValueError, match=r"'unnamed', which superpose does not know. Give like=YourModel"):
        model_at(ds, sparsity=0.9)
    with pytest.raises(ValueError, match="hold no b"):
        model_at(ds, like=ReLUOutput(5, 2))


def sample(model: AbstractToyModel, arrays: xr.Dataset, **at) -> tuple[np.ndarray, np.ndarray]:
    """What `model_at` gives for a few examples, and what `model` gives with the arrays of the point put in."""
    here = arrays.sel(at)
    by_hand = eqx.tree_at(trained(model), model, [jnp.asarray(here[name].values) for name in model.dims])
    read = model_at(arrays, **at)
    assert type(read) is type(model) and jax.tree.structure(read) == jax.tree.structure(by_hand)
    x = jax.random.uniform(jax.random.key(0), (4, 6), minval=-1.0)
    assert np.isfinite(read(x)).all() and np.any(read(x))
    return np.asarray(read(x)), np.asarray(by_hand(x))


def small(model: AbstractToyModel, points: Mapping[str, Any]) -> xr.Dataset:
    program = Program(model, IndependentFeatures(4, 0.5), objective=Sampled(16), schedule=Constant(3))
    return sweep_grid(program, {"sparsity": [0.2, 0.7], "seed": 2, **points})


OURS = [
    Linear(4, 2),
    ReLUOutput(4, 2),
    LeakyReLUOutput(4, 2, 0.3),
    ElementwiseOutput(4, 2, "gelu"),
    ElementwiseOutputWithoutBias(4, 2, "tanh"),
]


@pytest.mark.parametrize("model", OURS, ids=lambda model: type(model).__name__)
def test_every_class_of_superpose_comes_back(model):
    np.testing.assert_array_equal(*sample(model, small(model, {}), sparsity=0.7, seed=1))


@pytest.mark.parametrize("model", [*OURS, *(ElementwiseOutput(4, 2, name) for name in ACTIVATIONS)])
def test_attributes_are_text_and_numbers_that_say_the_model(model):
    attributes = description(Program(model, IndependentFeatures(4)))
    assert all(type(value) in (str, float) for value in attributes.values())
    sizes = xr.Dataset({"W": (("hidden", "feature"), np.zeros((2, 4)))})
    assert eqx.tree_equal(template(sizes.assign_attrs(attributes)), model)


def test_a_swept_slope_is_that_of_the_point():
    ds = small(LeakyReLUOutput(4, 2, 0.3), {"slope": [0.1, 0.6]})
    assert "slope" not in ds.attrs
    np.testing.assert_array_equal(*sample(LeakyReLUOutput(4, 2, 0.6), ds, sparsity=0.7, seed=1, slope=0.6))


def test_what_the_arrays_do_not_say_needs_a_model_like_it():
    at, own = {"sparsity": 0.7, "seed": 1}, ElementwiseOutput(4, 2, jnp.sin)
    ds = small(own, {})
    with pytest.raises(ValueError, match=r"do not say the activation .* Give like=ElementwiseOutput\(n, m, activation"):
        model_at(ds, **at)
    assert model_at(ds, like=own, **at).activation is jnp.sin
    with pytest.raises(ValueError, match=r"`model.activation` is one of relu, .*, got 'os.system'"):
        model_at(ds.assign_attrs(activation="os.system"), **at)
    path = Path("model.slope", (0.1, 0.6))  # at which of the two a model ends, `path.start` says
    along = description(Program(LeakyReLUOutput(4, 2, 0.3), IndependentFeatures(4), path=path))
    with pytest.raises(ValueError, match="do not say the slope of their LeakyReLUOutput"):
        model_at(ds.assign_attrs(along), **at)


def test_a_stored_run_gives_its_models_back(tmp_path):
    laboratory.make(tmp_path)
    superpose.run_sweep(["experiment=tiny", "model=leaky_relu", "model.slope=0.25", "sparsity=[0.2,0.7]"])
    (node,) = superpose.load(tmp_path / "outputs/tiny").children.values()
    np.testing.assert_array_equal(*sample(LeakyReLUOutput(4, 2, 0.25), node.to_dataset(), sparsity=0.7, seed=1))
