"""Loss and geometry at recorded steps, against closed forms."""

import numpy as np
import pytest
import xarray as xr

from superpose import snapshots
from superpose.features import IndependentFeatures
from superpose.models import Linear, ReLUOutput

PAIR = np.array([[[1.0, -1.0]], [[0.0, 0.0]]], np.float32)


def test_the_loss_of_an_antipodal_pair_and_of_no_model_at_all():
    """p^2 / 3 for two features of importance 1 in one dimension, and E x^2 = p / 3 each where nothing is kept."""
    p = 0.5
    found = snapshots.losses(
        ReLUOutput(2, 1), IndependentFeatures(2, p), PAIR, np.zeros((2, 2), np.float32), vectors=2**17
    )
    assert found == pytest.approx([p**2 / 3, 2 * p / 3], rel=0.03)


def test_the_loss_of_a_linear_model():
    """x' = x_0 - x_1 in the first output: each errs by what the other is, E x^2 = p / 3."""
    found = snapshots.losses(
        Linear(2, 1), IndependentFeatures(2, 0.2), PAIR, np.zeros((2, 2), np.float32), vectors=2**17
    )
    assert found[0] == pytest.approx(2 * 0.2 / 3, rel=0.03)


def test_dimensionality_and_cosines_of_many_models():
    triangle = np.stack([np.cos(2 * np.pi * np.arange(3) / 3), np.sin(2 * np.pi * np.arange(3) / 3)])
    many = np.stack([triangle, 0 * triangle]).astype(np.float32)[None]
    np.testing.assert_allclose(snapshots.dimensionality(many)[0], [[2 / 3] * 3, [0] * 3], atol=1e-6)
    np.testing.assert_allclose(snapshots.cosines(many)[0, 0], 1.5 * np.eye(3) - 0.5, atol=1e-6)
    assert not snapshots.cosines(many)[0, 1].any()


def test_what_was_recorded_of_usable_models():
    cell = ("seed", "snapshot")
    data = {"W_steps": ((*cell, "feature", "hidden"), np.arange(24.0).reshape(2, 3, 2, 2))}
    data |= {"b_steps": ((*cell, "feature"), np.zeros((2, 3, 2))), "loss": ("seed", [np.nan, 0.5])}
    data["finite"] = ("seed", [False, True])
    ds = xr.Dataset(data, {"seed": [3, 4], "snapshot_step": ("snapshot", [0, 5, 9]), "density": 0.2})
    found = snapshots.recorded(xr.DataTree.from_dict({"relu": ds}))
    assert found is not None and found.seeds == [4] and found.density == 0.2 and found.loss.tolist() == [0.5]
    np.testing.assert_array_equal(found.W[0, 0], [[12, 14], [13, 15]])
    assert found.steps.tolist() == [0, 5, 9] and found.b.shape == (1, 3, 2)
    for other in (ds.isel(snapshot=[0, 1]), ds.drop_vars("W_steps"), xr.Dataset()):
        assert snapshots.recorded(xr.DataTree.from_dict({"relu": other})) is None
    assert snapshots.share([True, False]) == snapshots.share(np.array([True, False])) == "1 of 2 models"
