"""Nonlinear compression: the code of the appendix against NumPy, and claims on ideal and broken losses."""

import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import superpose
from superpose.arguments import InputError
from superpose.experiment import Experiment, load_experiment

MODULE = Path(__file__).parent.parent / "experiments/nonlinear_compression.py"
Z, WIDTHS = (2.0, 3.0, 5.0), (0.0, 0.1, 0.5)


@pytest.fixture(scope="module")
def loaded() -> Experiment:
    return load_experiment(MODULE)


def module():
    load_experiment(MODULE)
    return sys.modules["experiment"]


def floor(v: np.ndarray, width: float) -> np.ndarray:
    """Each jump of the floor is a line over the last `width` of a level."""
    k = np.floor(v)
    return k + np.clip((v - k - (1 - width)) / width, 0, 1) if width else k


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("z", Z)
def test_the_code(z, width):
    x = np.random.default_rng(0).uniform(size=(2, 1000))
    t = (floor(z * x[0], width) + x[1]) / z
    level = floor(z * t, width)
    found = np.asarray(module().Quantised(2, 1, z, width)(jnp.asarray(x, jnp.float32)))
    expected = np.stack([level / z, z * t - level])
    close = np.isclose(
        found, expected, atol=2e-5 / max(width, 0.02)
    )  # a rounding of x is seen 1 / width times as large
    assert close.all(axis=0).mean() > (0.995 if width == 0 else 0.9999)


def test_with_sharp_steps_the_second_feature_is_lossless():
    x = np.random.default_rng(1).uniform(0.01, 0.99, size=(2, 500))
    found = np.asarray(module().Quantised(2, 1, 4.0, 0.0)(jnp.asarray(x, jnp.float32)))
    near = np.abs(4 * x[0] - np.round(4 * x[0])) > 1e-3
    np.testing.assert_allclose(found[1][near], x[1][near], atol=1e-5)
    assert np.abs(found[0] - x[0])[near].max() <= 0.25 + 1e-5


def tree(loss: np.ndarray) -> xr.DataTree:
    """Losses over (Z, epsilon)."""
    data = {"loss": (("sparsity", "Z", "epsilon", "seed"), loss[None, ..., None])}
    coords = {"sparsity": [0.0], "Z": list(Z), "epsilon": list(WIDTHS), "seed": [0]}
    ds = xr.Dataset(
        data | {"finite": (("sparsity", "Z", "epsilon", "seed"), np.isfinite(loss)[None, ..., None])}, coords
    )
    return xr.DataTree.from_dict({"Quantised": ds})


def ideal() -> np.ndarray:
    """1 / (12 Z^2) with sharp steps, and more with soft ones."""
    return np.stack([1 / 12 / np.square(Z), np.full(3, 0.06), np.full(3, 0.11)], axis=1)


def verdicts(loaded: Experiment, loss: np.ndarray) -> list[bool | None]:
    return [claim.check(tree(loss)).holds for claim in loaded.claims]


def test_claims(loaded):
    assert verdicts(loaded, ideal()) == [True, True, True]
    worse, blunt, large = ideal(), ideal(), ideal()
    worse[1, 1], blunt[2, 0], large[0, 0] = 0.09, 1.05 * blunt[2, 0], 0.1
    assert verdicts(loaded, worse) == [False, True, True]
    assert verdicts(loaded, blunt) == [True, False, True]
    assert verdicts(loaded, large) == [True, False, False]
    assert all(claim.check(tree(ideal()).isel(Z=[0], epsilon=[2])).holds is None for claim in loaded.claims[:2])


def test_both_readings_of_the_width_are_told(loaded):
    """A width of 0.1 on x is one of 0.3 levels at Z = 3."""
    widths = tree(ideal())["Quantised"].to_dataset().assign_coords(epsilon=[0.0, 0.1, 0.3])
    told = loaded.claims[0].check(xr.DataTree.from_dict({"Quantised": widths})).measured
    assert told.startswith("0.0600, 0.72 of the linear model's") and "0.1100, 1.32 of it" in told


def test_another_size_is_refused():
    with pytest.raises(InputError, match=r"2 features into 1 dimension, got n = 3, m = 1\. Type model\.n=2"):
        superpose.run_sweep(["experiment=nonlinear_compression", "model.n=3", "plan=true"])
