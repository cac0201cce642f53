"""Features in sets of two: claims tell the paper's shapes from those that break its sentences."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from paired import arrays, polar

from superpose import plots
from superpose.experiment import load_experiment

EXPERIMENT = load_experiment(Path(__file__).parent.parent / "experiments/corr_4_2.py")
DENSITIES = (0.5, 0.1, 0.05, 0.01)
SQUARE, CROSS = polar([0, 90, 180, 270]), polar([0, 180, 90, 270])
HEXAGON = polar([0, 60, 120, 180, 240, 300])
PAIRS = polar([0, 0, 90, 90], 0.5**0.5)
THREE = polar([0, 60, 120, 180, 270, 270], [1, 1, 1, 1, 0.7, 0.7])
PENTAGON = polar([0, 72, 144, 216, 288, 0], [1, 1, 1, 1, 1, 0])
ACUTE = polar([0, 60, 180, 240])


def verdicts(**variants: xr.Dataset) -> dict[str, bool | None]:
    tree = xr.DataTree.from_dict(variants)
    return {claim.text: verdict.holds for claim, verdict in EXPERIMENT.judged(tree)}


def judged(**variants: xr.Dataset) -> list[bool]:
    return [holds for holds in verdicts(**variants).values() if holds is not None]


def correlated(sparse: np.ndarray, dense: np.ndarray = PAIRS, loss: float = 2 / 3) -> xr.Dataset:
    models = {p: [(dense if p > 0.3 else sparse, loss * p**2), (PAIRS, 2 * p**2)] for p in DENSITIES}
    return arrays(models, 2)


def anticorrelated(W: np.ndarray, loss: float = 0.0) -> xr.Dataset:
    return arrays({p: [(W, loss * p), (SQUARE, 0.1 * p)] for p in DENSITIES}, 2, "anticorrelated")


def three(best: np.ndarray, other: np.ndarray) -> xr.Dataset:
    return arrays({p: [(best, p**2), (other, 2 * p**2)] for p in DENSITIES}, 3)


def alone(W: np.ndarray) -> xr.Dataset:
    return arrays({p: [(W, p**2), (PENTAGON, 2 * p**2)] for p in DENSITIES}, 6, "independent")


def test_claims_hold_of_the_papers_shapes():
    assert judged(relu=correlated(SQUARE)) == [True] * 5
    assert judged(relu=anticorrelated(CROSS)) == [True] * 3
    assert judged(correlated=three(HEXAGON, THREE), independent=alone(PENTAGON)) == [True] * 4


def test_claims_of_correlated_pairs_fail_where_their_sentences_do():
    # orthogonal, in different factors, antipodal, loss, collapsed when dense
    assert judged(relu=correlated(CROSS)) == [False, False, False, True, True]
    assert judged(relu=correlated(polar([0, 90, 45, 135]))) == [True, False, False, True, True]
    assert judged(relu=correlated(SQUARE, loss=0.75)) == [True, True, True, False, True]
    assert judged(relu=correlated(SQUARE, dense=SQUARE)) == [True, True, True, True, False]
    assert judged(relu=correlated(polar([0, 80, 180, 260]))) == [False, False, True, True, True]


def test_claims_of_anticorrelated_pairs_fail_where_their_sentences_do():
    # antipodal, D = 1/2, loss 0
    assert judged(relu=anticorrelated(SQUARE)) == [False, False, True]  # D = 1/2, but of pairs put across each other
    assert judged(relu=anticorrelated(CROSS, loss=0.01)) == [True, True, False]
    assert judged(relu=anticorrelated(polar([0, 180, 30, 210]))) == [True, False, True]
    assert judged(relu=anticorrelated(polar([0, 180, 90, 270], [1, 0.7, 1, 1]))) == [True, False, True]


def test_what_is_preferred_costs_less():
    """Of two seeds one is orthogonal, or side by side, the other is the next choice."""
    other = lambda W, better: arrays({0.1: [(SQUARE, better * 0.01), (W, 0.01)]}, 2)
    assert judged(relu=other(ACUTE, 0.9)) == [True]
    assert judged(relu=other(ACUTE, 1.1)) == [False]
    assert judged(relu=other(SQUARE, 0.9)) == []
    assert judged(correlated=three(THREE, HEXAGON), independent=alone(PENTAGON)) == [False, True, False, True]


def test_claims_of_three_pairs_fail_where_their_sentences_do():
    # hexagon of neighbours, some runs collapse, at a higher loss, no hexagon of independent features
    none, pentagon = three(HEXAGON, HEXAGON), alone(PENTAGON)
    assert judged(correlated=none, independent=pentagon) == [True, False, True]
    assert judged(correlated=three(THREE, THREE), independent=pentagon) == [False, False, True]
    apart = HEXAGON[:, [0, 2, 4, 1, 3, 5]]
    assert judged(correlated=three(apart, THREE), independent=pentagon) == [
        False,
        True,
        True,
    ]  # a hexagon apart is not side by side
    assert judged(correlated=three(HEXAGON, THREE), independent=alone(HEXAGON)) == [True, True, True, False]
    assert judged(correlated=three(polar([0, 40, 120, 160, 240, 280]), THREE), independent=pentagon)[0] is False


def test_only_the_best_seed_is_judged():
    swapped = correlated(SQUARE).isel(seed=[1, 0]).assign_coords(seed=[0, 1])
    assert judged(relu=swapped) == [True] * 5


def test_what_the_arrays_cannot_say_is_left_open():
    ds = correlated(SQUARE)
    assert judged(relu=ds.isel(sparsity=ds["density"] < 0.07)) == [True] * 4
    assert not judged(relu=ds.drop_vars("relation")) and not judged()
    assert not verdicts(relu=ds.drop_vars("relation")) and not verdicts()  # nothing at all is said of other models
    assert set(verdicts(relu=ds.isel(sparsity=[0]))) == set(verdicts(relu=ds))
    gone = ds.assign(loss=ds["loss"] * np.nan, finite=ds["finite"] & False, W=ds["W"] * np.nan)
    assert not judged(relu=gone)
    wider = xr.concat([ds["W"], ds["W"]], "hidden")
    assert not judged(relu=ds.drop_vars("W").assign(W=wider.transpose(*ds["W"].dims)))


@pytest.mark.parametrize(
    "tree",
    [
        {"relu": correlated(SQUARE)},
        {"correlated": three(HEXAGON, THREE), "independent": alone(HEXAGON)},
        {"relu": correlated(SQUARE).isel(sparsity=[0]).pipe(lambda ds: ds.where(ds["loss"] < 0))},
        {"relu": arrays({0.1: [(np.eye(8)[:, :8], 1.0)]}, 2)},
        {},
    ],
)
def test_a_figure_of_any_such_arrays(tree):
    tree = {label: ds.assign(relation=ds["relation"].fillna(-1).astype(np.int8)) for label, ds in tree.items()}
    tree = {label: ds.assign(finite=ds["finite"].fillna(0).astype(bool)) for label, ds in tree.items()}
    with plots.style():
        EXPERIMENT.figure(xr.DataTree.from_dict(tree)).canvas.draw()


def test_panels_are_turned_towards_the_first():
    figure = EXPERIMENT.figure(xr.DataTree.from_dict({"relu": correlated(polar([33, 123, 213, 303]))}))
    assert [ax.get_title() for ax in figure.axes] == [f"$1-S = {p:.3g}$" for p in DENSITIES]
    ends = [ax.collections[0].get_offsets() for ax in figure.axes]
    np.testing.assert_allclose(ends[1], ends[3], atol=1e-6)
    assert "collapsed 100%" in figure.axes[0].get_xlabel() and "collapsed 50%" in figure.axes[1].get_xlabel()
