"""A model out of labelled arrays, by its coordinates."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from superpose import scalar
from superpose.models import AbstractToyModel, ReLUOutput
from superpose.reading import model_at
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
