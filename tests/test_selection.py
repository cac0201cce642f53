"""What of the arrays a figure or a claim shows: usable models of each level, the best first."""

import numpy as np
import xarray as xr
from paired import arrays, polar

from superpose import selection

SQUARE = polar([0, 90, 180, 270])


def test_models_are_ranked_by_loss_and_those_that_diverged_left_out():
    ds = arrays(
        {0.5: [(SQUARE, 3.0), (SQUARE * 2, 1.0), (SQUARE, np.nan), (SQUARE, 2.0)], 0.1: [(SQUARE, np.nan)] * 4}, 2
    )
    ((density, models),) = selection.levels(ds)
    assert density == 0.5 and [int(model["seed"]) for model in models] == [1, 3, 0]
    np.testing.assert_allclose(selection.weights(models[0].transpose()), SQUARE * 2, atol=1e-6)
    unfinished = ds.assign(finite=ds["finite"] & (ds["seed"] != 1))
    assert [int(model["seed"]) for model in selection.levels(unfinished)[0][1]] == [3, 0]


def test_the_arrays_of_a_density_are_those_of_the_nearest_one():
    ds = arrays({p: [(SQUARE, 1.0)] for p in (0.5, 0.1)}, 2)
    assert float(selection.at_density(ds, 0.101)["density"]) == 0.1
    assert selection.at_density(ds, 0.11) is None and selection.at_density(ds, 0.11, within=1.2) is not None
    assert selection.at_density(ds.isel(sparsity=[]), 0.1) is None


def test_an_axis_of_one_value_is_told_without_a_choice():
    ds = arrays({0.5: [(SQUARE, 1.0)]}, 2)
    one = ds.expand_dims(importance=[0.7])
    assert selection.one_point(one)[1] == "importance 0.7"
    several = xr.concat([one, one.assign_coords(importance=[0.8])], "importance")
    assert selection.one_point(several)[1] == "importance 0.8 (one of 2)"
