"""The table of polytopes, on exact shapes, whole and broken, however they lie and are numbered."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from superpose import plots, tegum
from superpose.experiment import Experiment, load_experiment

ROOT = Path(__file__).parent.parent
DENSITIES = np.array([0.6, 0.1])
LOSS = {3: 1 / 3, 4: 2 / 3}  # of p^2
TRIANGLE, SQUARE = 0.92 * tegum.simplex(2), tegum.polygon(4)
LINE = np.array([[1.0, -1.0, 0.0], [0.0, 0.0, 1.0]])


def turned(W: np.ndarray, degrees: float = 40.0) -> np.ndarray:
    """A rotation of the plane, and other numbers for the features."""
    angle = np.radians(degrees)
    frame = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return (frame @ W)[:, np.random.default_rng(0).permutation(W.shape[1])]


def dataset(shapes: list[np.ndarray], worse: np.ndarray) -> xr.Dataset:
    """A model for each density in the plane, and one seed of higher loss."""
    W = np.array([[worse, turned(shape)] for shape in shapes], np.float32)
    cell, n = ("sparsity", "seed"), W.shape[-1]
    data = {"W": ((*cell, "hidden", "feature"), W), "finite": (cell, np.ones((2, 2), bool))}
    best = LOSS[n] * DENSITIES**2
    data |= {
        "loss": (cell, np.stack([2 * best, best], axis=1)),
        "feature_importance": ((*cell, "feature"), np.ones((2, 2, n))),
    }
    ds = xr.Dataset(data, {"sparsity": 1 - DENSITIES, "seed": [0, 1]})
    return ds.assign_coords(density=("sparsity", DENSITIES))


def solid(W: np.ndarray, density: float) -> xr.Dataset:
    """One model in three dimensions, turned."""
    frame = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    own = (frame @ W)[:, np.random.default_rng(2).permutation(W.shape[1])]
    cell = ("sparsity", "seed")
    data = {"W": ((*cell, "hidden", "feature"), own[None, None].astype(np.float32))}
    data |= {"loss": (cell, np.ones((1, 1))), "finite": (cell, np.ones((1, 1), bool))}
    return xr.Dataset(data, {"sparsity": [1 - density], "seed": [0]}).assign_coords(density=("sparsity", [density]))


DIGON = tegum.simplex(1)
BIPYRAMIDS = {n: tegum.product(tegum.polygon(n - 2), DIGON) for n in (5, 7)}


def tree(
    dense: np.ndarray = TRIANGLE,
    sparse: np.ndarray = LINE,
    square: np.ndarray = SQUARE,
    last: np.ndarray = SQUARE,
    solids: tuple[np.ndarray, ...] = (BIPYRAMIDS[5], BIPYRAMIDS[7], tegum.antiprism()),
) -> xr.DataTree:
    groups = {"three_in_two": dataset([dense, sparse], LINE), "four_in_two": dataset([square, last], 0 * SQUARE)}
    groups |= {f"{W.shape[1]}": solid(W, p) for W, p in zip(solids, (0.6, 0.15, 0.15), strict=True)}
    return xr.DataTree.from_dict(groups)


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return load_experiment(ROOT / "experiments/polytope_table.py")


def judged(experiment: Experiment, models: xr.DataTree) -> list[bool | None]:
    return [claim.check(models).holds for claim in experiment.claims]


def drawn(experiment: Experiment, models: xr.DataTree) -> Figure:
    with plots.style():
        figure = experiment.figure(models)
        figure.canvas.draw()
    return figure


def test_all_claims_hold_of_exact_shapes_however_they_lie(experiment):
    assert judged(experiment, tree()) == [True] * 11


BENT = np.array([[1.0, np.cos(1.9), np.cos(1.9)], [0.0, np.sin(1.9), -np.sin(1.9)]])  # at 109 degrees
PENTAGON_LESS_ONE = tegum.polygon(5)[:, :4]
FRAMES = {n: np.linalg.qr(np.random.default_rng(n).normal(size=(n, n)))[0][:3] * np.sqrt(n / 3) for n in (5, 7, 8)}
"""So many features in a tight frame of three dimensions, of no shape."""

BROKEN = {
    "two features apart": (lambda: tree(dense=LINE), [False] * 3 + [True] * 8),
    "a triangle that is none": (lambda: tree(dense=BENT), [None, False, False] + [True] * 8),
    "a triangle when sparse": (lambda: tree(sparse=TRIANGLE), [True] * 3 + [False] + [True] * 7),
    "four of five corners": (lambda: tree(square=PENTAGON_LESS_ONE), [True] * 4 + [False] * 2 + [True] * 5),
    "one feature missing": (lambda: tree(last=SQUARE * [1, 1, 1, 0]), [True] * 6 + [False] * 2 + [True] * 3),
    "bipyramids that are whole": (
        lambda: tree(solids=(FRAMES[5], FRAMES[7], FRAMES[8])),
        [True] * 8 + [False] * 3,
    ),
    "a digon too short for its D_i": (
        lambda: tree(solids=(BIPYRAMIDS[5] @ np.diag([1, 1, 1, 1, 0.6]), BIPYRAMIDS[7], tegum.antiprism())),
        [True] * 8 + [False] + [True] * 2,
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_claims_fail_where_their_sentences_do(experiment, case):
    models, expected = BROKEN[case]
    for found, right in zip(judged(experiment, models()), expected, strict=True):
        assert right is None or found is right


def test_what_the_arrays_cannot_say_is_left_open(experiment):
    assert judged(experiment, xr.DataTree()) == [None] * 11
    dense = xr.DataTree.from_dict({"three_in_two": tree()["three_in_two"].to_dataset().isel(sparsity=[0])})
    assert judged(experiment, dense) == [True] * 3 + [None] * 8


def test_a_digon_and_a_single_one_have_their_own_loss(experiment):
    models = tree()
    models["three_in_two"]["loss"] = models["three_in_two"]["loss"] * (3 / 8) / (1 / 3)
    assert judged(experiment, models)[3] is False


def test_the_table_has_a_row_for_each_model(experiment):
    figure = drawn(experiment, tree())
    assert len(figure.axes) == 7 * 5
    words = [text.get_text() for ax in figure.axes for text in ax.texts]
    assert any("triangle" in text for text in words) and any("single + digon" in text for text in words)
    vectors = [ax.texts[0].get_text() for ax in figure.axes[4::5]]
    assert [text.split("  ")[0] for text in vectors[:4:2]] == ["(1, 1, 1)", "(1, 0, 1, 0)"]
    assert vectors[4].startswith("(1, 1, 1, 0, 0)") and vectors[6].startswith("(1, 1, 1, 1, 1, 1, 1, 1)")
    assert vectors[1].count("(") == 1 and vectors[1].split(")")[0].count("1") == 2  # the pair
    assert "\N{MINUS SIGN}0.42" in words  # -1/2 of 0.92^2
    assert isinstance(drawn(experiment, xr.DataTree()), Figure)
