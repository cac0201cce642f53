"""Phases, maps that are only partly trained, and reductions over seeds."""

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from test_phase_change import (
    DENSITIES,
    FORMS,
    IMPORTANCES,
    ideal,
    tree_of,
    without,
)

from superpose import charts, geometry, refining, selection, statistics, theory

# phases


@pytest.mark.parametrize("n", [2, 3])
def test_the_phase_of_the_closed_forms_weights(n):
    ds = ideal(n)
    expected = theory.EXTRA_PHASE[theory.phases(FORMS[n](DENSITIES[:, None], IMPORTANCES))]
    found = charts.phase(ds)
    assert found.dims == ("sparsity", "importance") and found.dtype == np.int8
    assert found.attrs["flag_meanings"] == "ignored dedicated antipodal"
    np.testing.assert_array_equal(found, expected)
    states = charts.chart(tree_of(ds), "relu").states
    np.testing.assert_array_equal(states, theory.phases(FORMS[n](DENSITIES[:, None], IMPORTANCES)))


def test_the_phase_treats_cells_of_any_dimensions_alike():
    ds = ideal().drop_vars("density")
    cells = ds.stack(cell=("sparsity", "importance")).reset_index("cell").transpose("cell", "seed", ...)
    found = charts.phase(cells)
    assert found.dims == ("cell",) and found.dtype == np.int8
    np.testing.assert_array_equal(found, charts.phase(ds).values.ravel())
    np.testing.assert_array_equal(charts.phase(cells.isel(cell=[7, 3])), found[[7, 3]])


def test_a_cell_without_a_usable_model_has_no_phase():
    ds = without(ideal(), 2, 3)
    found = charts.phase(ds).values
    assert found[2, 3] == -1 and (found == -1).sum() == 1
    flagged = ideal()
    flagged["finite"] = flagged["finite"].where(flagged["seed"] > 0, False)  # the second best counts then
    assert (charts.phase(flagged) >= 0).all() and (charts.phase(flagged) != charts.phase(ideal())).any()


@pytest.mark.parametrize(
    ("other", "extra", "expected"),
    [
        (1.0, 0.49, 0),
        (0.49, 1.0, 1),  # what is below 0.5 does not count, on either side
        (0.51, 1.0, 2),
        (1.0, 0.51, 2),
    ],
)
def test_the_phases_are_alike_at_an_importance_and_its_inverse(other, extra, expected):
    measures = geometry.summary(jnp.array([[other, -extra]]))
    own = {name: xr.DataArray(np.asarray(measures[name]), dims="feature") for name in charts.COLOURS}
    assert charts.classify(own["norm"], own["superposition"]) == expected


def test_a_triangles_feature_shares_its_direction():
    angles = 2 * np.pi * np.arange(3) / 3
    measures = geometry.summary(jnp.array([np.cos(angles), np.sin(angles)]))
    own = {name: xr.DataArray(np.asarray(measures[name]), dims="feature") for name in charts.COLOURS}
    assert own["superposition"][-1] == pytest.approx(0.5, abs=1e-6)  # 2 cos^2 120 degrees
    assert charts.classify(own["norm"], own["superposition"]) == 2


# maps that are only partly trained


def nearest_before(known: np.ndarray, row: int, column: int) -> int:
    """The squared distance to the nearest known cell that is not after, found by looking at all."""
    rows, columns = np.nonzero(known[: row + 1, : column + 1])
    return int(np.min((rows - row) ** 2 + (columns - column) ** 2))


def test_a_known_cell_stands_for_itself_and_else_the_nearest_before():
    rng = np.random.default_rng(0)
    for shape in ((17, 33), (1, 9), (9, 1), (40, 40)):
        known = rng.random(shape) < 0.1
        known[0, 0] = True
        rows, columns = selection.stand_ins(known)
        assert known[rows, columns].all() and (rows <= np.arange(shape[0])[:, None]).all()
        assert (columns <= np.arange(shape[1])).all()
        own = (rows == np.arange(shape[0])[:, None]) & (columns == np.arange(shape[1]))
        np.testing.assert_array_equal(own, known)
        distance = (rows - np.arange(shape[0])[:, None]) ** 2 + (columns - np.arange(shape[1])) ** 2
        best = np.array([[nearest_before(known, i, j) for j in range(shape[1])] for i in range(shape[0])])
        assert np.mean(distance == best) > 0.95 and (distance <= 2.3 * best).all()  # jump flooding may miss by a little


def test_what_has_nothing_before_it_takes_what_comes_after():
    known = np.zeros((4, 5), bool)
    known[2, 3] = True
    rows, columns = selection.stand_ins(known)
    assert (rows == 2).all() and (columns == 3).all()
    nothing = selection.stand_ins(np.zeros((2, 3), bool))
    np.testing.assert_array_equal(nothing, np.indices((2, 3)))


def test_a_refined_lattice_of_513_x_513_is_filled_with_its_phases():
    p, r = np.geomspace(1, 0.01, 513), np.geomspace(0.1, 10, 513)
    truth = theory.phases(theory.phase_losses(p[:, None], r))
    lattice, points = np.full(truth.shape, refining.UNTRAINED), refining.start(512)
    while len(points):
        lattice[tuple(points.T)] = truth[tuple(points.T)]
        points = refining.following(lattice)
    known = lattice != refining.UNTRAINED
    assert known.mean() < 0.03
    np.testing.assert_array_equal(lattice[tuple(selection.stand_ins(known))], truth)


def test_a_diverged_cell_is_not_filled():
    ds = without(ideal(), 3, 4)
    shown = charts.chart(tree_of(ds), "relu")
    assert shown.trained.all() and shown.phases[3, 4] == -1 and np.isnan(shown.reached()[3, 4])


# reductions


def test_the_mean_without_the_worst_leaves_out_the_highest_loss():
    loss = xr.DataArray(
        [[1.0, 3.0, 2.0], [np.nan, 1.0, np.nan], [np.nan] * 3, [2.0, np.nan, 1.0]], dims=("cell", "seed")
    )
    values = xr.DataArray([[1.0, 50.0, 3.0], [7.0, 8.0, 9.0], [1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], dims=("cell", "seed"))
    np.testing.assert_array_equal(statistics.mean_without_worst(values, loss), [2.0, 8.0, np.nan, 6.0])


def test_the_seeds_that_reach_the_best_loss():
    ds = ideal()
    ds["loss"] = ds["loss"].copy(data=np.broadcast_to([1.0, 1.005, 1.02], ds["loss"].shape).copy())
    shown = charts.chart(tree_of(ds), "relu")
    assert shown.reached().values == pytest.approx(2 / 3)
    noisy = charts.chart(tree_of(ds.assign(loss_standard_error=ds["loss_standard_error"] + 0.01)), "relu")
    assert noisy.reached().values == pytest.approx(1) and not noisy.exact and shown.exact
