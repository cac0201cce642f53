"""What of the arrays a figure or a claim shows: usable models of each level, the best first."""

import numpy as np
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
