"""The surface of two weights: its minima and saddles against closed forms, and the claims on models made by hand."""

import functools
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from superpose import charts, plots, theory
from superpose.experiment import MODULE, load_experiment

experiment = load_experiment(Path(__file__).parent.parent / "experiments/mcgrath_surfaces.py")
mcgrath = sys.modules[MODULE]
critical_points = functools.cache(mcgrath.critical_points)
CASES = [(0.1, 0.1), (0.9, 0.8), (0.1, 0.8), (0.5, 0.5), (0.7, 0.2), (0.3, 1.0), (0.8, 2.0), (0.95, 0.05), (0.0, 0.3)]
LOW, ANTIPODAL, CONFUSED, BIASED, CONTINUOUS, JUMPS, SIGNS, LOWEST = (claim.text for claim in experiment.claims)


def test_minima_where_both_features_matter_alike():
    """For r = 1 the minima lie on the diagonals, W = (s, +-s), u = s^2.

    W_1 W_2 > 0: the derivative by u is -(1 - 2 u) (4 p / 3 + p^2), so that u = 1/2 at every density.
    W_1 W_2 < 0: that of p (1 - p) (1 - u)^2 / 3 - p^2 u (3 - u) / 12 is zero at u = (1 + 3 q) / (1 + 2 q), where
    q = p / (8 (1 - p)).
    """
    for S in (0.5, 0.7, 0.9):
        q = (1 - S) / (8 * S)
        s, c = np.sqrt((1 + 3 * q) / (1 + 2 * q)), np.sqrt(0.5)
        minima, _ = critical_points(S, 1.0)
        expected = sorted([(c, c), (-c, -c), (s, -s), (-s, s)])
        np.testing.assert_allclose(sorted(map(tuple, minima)), expected, atol=2e-6)


@pytest.mark.parametrize(("S", "r"), CASES)
def test_minima_and_saddles_are_flat_and_curved_as_they_should(S, r):
    """Between the axes: the gradient is zero, and the Hessian's eigenvalues are positive, or of both signs."""
    step = 3e-5
    f = lambda i, j: mcgrath.loss(inner + step * np.array([i, j]), S, r)
    for points, both_positive in zip(critical_points(S, r), (True, False), strict=True):
        inner = points[(np.abs(points) > 0.001).all(-1)]
        gradient = np.stack([f(1, 0) - f(-1, 0), f(0, 1) - f(0, -1)]) / (2 * step)
        assert np.abs(gradient).max(initial=0) < 1e-5
        first, second = ((f(i, j) + f(-i, -j) - 2 * f(0, 0)) / step**2 for i, j in ((1, 0), (0, 1)))
        mixed = (f(1, 1) + f(-1, -1) - f(1, -1) - f(-1, 1)) / (4 * step**2)
        determinant = first * second - mixed**2
        assert ((determinant > 0) == both_positive).all()
        assert not both_positive or (first > 0).all()


@pytest.mark.parametrize(("S", "r"), CASES)
def test_none_is_missed(S, r):
    """The loss grows without bound, so minima - saddles + maxima = 1, and W = 0 is the one maximum; -W is W's twin."""
    minima, saddles = critical_points(S, r)
    assert len(minima) == len(saddles) > 0
    for points in (minima, saddles):
        assert {tuple(np.abs(W)) for W in points} == {tuple(np.abs(W)) for W in -points}
    side = np.linspace(-1.3, 1.3, 131)
    lattice = np.stack(np.meshgrid(side, side), -1)
    assert mcgrath.loss(lattice, S, r).min() >= mcgrath.loss(minima, S, r).min()


@pytest.mark.parametrize(("S", "r"), CASES)
def test_when_the_kink_at_1_0_is_a_saddle(S, r):
    """Near it, to second order in d = W_1 - 1 and t = -W_2 > 0, less the loss at it:

        p 4 d^2 / 3 - p^2 d t + (p^2 / 3 - 2 r p (1 - p) / 3) t^2

    The best d leaves p (p / 3 - 3 p^2 / 16 - 2 r (1 - p) / 3) t^2. Towards W_2 > 0 the loss falls, by r p^2 / 2 a unit.
    """
    p = 1 - S
    _, saddles = critical_points(S, r)
    found = any(np.array_equal(W, (1, 0)) for W in saddles)
    assert found == (p / 3 - 3 * p**2 / 16 < 2 * r * (1 - p) / 3)


def test_the_lowest_minimum_is_one_of_those_found():
    for S, r in CASES:
        W, lowest = mcgrath.minimiser(S, r)
        minima, _ = critical_points(S, r)
        assert np.abs(minima - W).max(-1).min() < 2e-6
        np.testing.assert_allclose(lowest, mcgrath.loss(minima, S, r).min(), rtol=1e-9)


def test_from_low_importance_to_antipodal_there_is_a_jump_of_at_least_2_minus_sqrt_2():
    """For small r and p, W_1 = 1, and W_2 = -t costs r (t^4 - 2 t^2) / 3 + p (t^2 / 3 - t^3 / 6) more than W_2 = 0.

    That and its derivative are zero at t = 2 - sqrt(2) and p = 4 t r: there the antipodal minimum becomes the lowest.
    At larger r and p the jump is larger: no lowest minimum has W_2 between -t and 0.
    """
    t = 2 - np.sqrt(2)
    S, r = np.linspace(0, 0.99, 34)[:, None], np.linspace(0.01, 1, 34)
    second = mcgrath.minimiser(S, r)[0][..., 1]
    assert ((second > 0) | (second < -t)).all()
    before, after = (mcgrath.minimiser(1 - 4 * t * 0.01 * k, 0.01)[0][1] for k in (1.0, 0.98))
    assert before > 0 and -0.61 < after < -t


def test_phases_of_models():
    W = np.array([[1, 0.2], [0.2, 1], [1, -0.9], [0.7, 0.7], [-0.7, -0.7], [0.1, 0.1], [np.nan, 1]])
    assert mcgrath.kinds(W).tolist() == [0, 1, 2, 3, 3, 0, -1]


@functools.cache
def lowest_minima(levels: int) -> tuple[np.ndarray, np.ndarray]:
    return mcgrath.minimiser(np.linspace(0, 0.95, levels)[:, None], np.linspace(0.05, 1, levels))


def ideal(W: np.ndarray | None = None, levels: int = 20) -> xr.Dataset:
    """Models without bias over S and I_2: one at the lowest minimum (or at W), its twin, and one that diverged."""
    S, r = np.linspace(0, 0.95, levels), np.linspace(0.05, 1, levels)
    best, lowest = lowest_minima(levels)
    best = best if W is None else np.broadcast_to(W, best.shape)
    dims = ("sparsity", "importance", "seed")
    weights = np.stack([best, -best, np.full_like(best, np.nan)], 2)[..., None, :]
    loss = np.stack([lowest, lowest, np.full_like(lowest, np.nan)], -1)
    data = {"W": ((*dims, "hidden", "feature"), weights.astype(np.float32)), "loss": (dims, loss.astype(np.float32))}
    data["finite"] = (dims, np.isfinite(loss))
    ds = xr.Dataset(data, {"sparsity": S, "importance": r, "seed": range(3)})
    return ds.assign_coords(density=1 - ds["sparsity"])


def verdicts(without_bias: xr.Dataset, relu: xr.Dataset | None = None) -> dict[str, bool | None]:
    relu = ideal(np.array([1.0, 0.0])) if relu is None else relu
    tree = xr.DataTree.from_dict({"without_bias": without_bias, "relu": relu})
    return {claim.text: claim.check(tree).holds for claim in experiment.claims}


def test_all_but_one_claim_hold_of_the_exact_minima():
    """From a to b the minimum does jump: the test above."""
    found = verdicts(ideal())
    assert found.pop(CONTINUOUS) is False
    assert set(found.values()) == {True}


BROKEN = {
    LOW: (ideal(np.array([1.0, 0.0])), None),
    ANTIPODAL: (ideal(np.array([0.9, -0.9])), None),
    CONFUSED: (ideal(np.array([0.8, 0.6])), None),
    BIASED: (ideal(), ideal(np.array([0.7, 0.7]))),
    JUMPS: (ideal(np.array([0.7, 0.7])), None),
    SIGNS: (ideal(np.array([1.0, 0.3])), None),
    LOWEST: (ideal().pipe(lambda ds: ds.assign(loss=ds["loss"] * 1.001)), None),
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_claim_fails_where_its_sentence_does(text):
    assert verdicts(*BROKEN[text])[text] is False


def test_a_minimum_that_never_jumps_moves_continuously():
    assert verdicts(ideal(np.array([1.0, 0.3])))[CONTINUOUS] is True


def test_what_the_arrays_cannot_say_is_left_open():
    coarse = ideal().isel(sparsity=[0, 2, 10, 18])  # 0.1, 0.4 and 0.4 apart
    found = verdicts(coarse)
    assert [text for text, holds in found.items() if holds is None] == [CONTINUOUS, JUMPS]
    dense = ideal().isel(sparsity=slice(None, 5))  # no b
    assert verdicts(dense)[LOW] is True and verdicts(dense)[ANTIPODAL] is None
    untrained = ideal().pipe(lambda ds: ds.assign(loss=ds["loss"] * np.nan))
    one_importance = ideal().isel(importance=3)
    for none in (untrained, one_importance, ideal().isel(feature=[0]), xr.Dataset()):
        assert set(verdicts(none, none).values()) == {None}
    holes = ideal().pipe(lambda ds: ds.where(abs(ds["sparsity"] - 0.5) > 0.07))  # no way from a to b
    holes["finite"] = holes["loss"].notnull()
    assert verdicts(holes)[CONTINUOUS] is None


def test_the_smoothest_way_goes_around():
    """Two rows of three cells. From 0 to 1 in the first one by 0, 0.4, 0.9 in the second: steps 0, 0.4, 0.5, 0.1."""
    first = np.array([[0, 5, 1], [0, 0.4, 0.9]])
    W = np.stack([first, np.zeros((2, 3))], -1)
    np.testing.assert_allclose(charts.smoothest(W, (0, 0)), [[0, 4, 0.5], [0, 0.4, 0.5]])


def test_the_phase_takes_any_cells():
    ds = ideal().drop_vars("density")
    whole = experiment.phase(ds)
    assert whole.dtype == np.int8 and whole.dims == ("sparsity", "importance")
    assert whole.attrs["flag_meanings"].split() == list(mcgrath.PHASES)
    at = {"sparsity": [0.1, 0.9, 0.1], "importance": [0.1, 0.8, 0.8]}
    points = ds.sel({axis: xr.DataArray(values, dims="cell") for axis, values in at.items()}, method="nearest")
    found = experiment.phase(points.transpose("cell", "seed", ...))
    assert found.dims == ("cell",) and found.values.tolist() == [0, 2, 3]
    none = points.assign(finite=points["finite"] & False)
    assert set(experiment.phase(none).values.tolist()) == {-1}


@pytest.mark.parametrize("groups", [{"without_bias": ideal()}, {"other": xr.Dataset()}])
def test_the_figure_draws_what_there_is(groups):
    with plots.style():
        figure = experiment.figure(xr.DataTree.from_dict(groups))
        figure.canvas.draw()
    assert isinstance(figure, Figure)
    texts = [text.get_text() for ax in figure.axes for text in ax.texts]
    assert texts.count("no map") == 2 - ("without_bias" in groups)
    assert ("confused" in texts) == ("without_bias" in groups)


def test_the_surface_is_the_theory_of_the_package():
    W = np.array([0.3, -0.8])
    assert mcgrath.loss(W, 0.2, 0.7) == theory.loss_without_bias(0.3, -0.8, 0.8, 0.7)
