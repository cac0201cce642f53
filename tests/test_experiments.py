"""Every experiment runs, draws and is judged; each claim tells an ideal tree from one that breaks its sentence."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
import yaml
from matplotlib.figure import Figure

import superpose
from superpose import geometry, plots, tegum, theory
from superpose.experiment import Claim, Experiment, Verdict, load_experiment

ROOT = Path(__file__).parent.parent
NAMES = sorted(path.stem for path in (ROOT / "conf/experiment").glob("*.yaml"))
SHORTER = {
    "adversarial": ["schedule.steps=100", "seed=1"],
    "almost_orthogonal": ["schedule.steps=20", "seed=1", "axes.per_dimension.points=[2,6,24]"],
    "basic_80_20": ["~variants.linear", "schedule.steps=30", "seed=1", "sparsity.density=[1.0,0.1]"],
    "compressed_sensing": ["schedule.steps=30", "seed=1", "scale.levels=3"],
    "basic_100_20": ["~variants.linear", "schedule.steps=30", "seed=1", "sparsity.density=[1.0,0.1]"],
    "abs_100_40": ["~variants.fast", "~variants.slow", "schedule.steps=30", "seed=1", "sparsity.density=[1.0,0.1]"],
    "geom_transform": ["record.steps=12"],
    "polytope_table": ["~variants.seven_in_three"],
    "uniform_geometry": ["schedule.steps=30", "seed=1", "sparsity.density=[1.0,0.1]"],
    "uniform_scaling": ["schedule.steps=30", "seed=1", "sparsity.density=[1.0,0.3,0.1]"],
    "uniform_geometry_200_20": ["schedule.steps=30", "seed=1", "sparsity.density=[1.0,0.3,0.1]"],
}
LATER = (
    *("polytope_table", "compressed_sensing", "uniform_scaling", "almost_orthogonal", "privileged_basis", "loss_terms"),
    *("anticorr_4_2", "corr_6_2", "basic_80_20", "basic_100_20", "phase_change_3_2", "phase_change_activations"),
    *("uniform_geometry_200_20", "uniform_geometry", "adversarial_training", "abs_phase", "abs_100_40"),
    "mcgrath_surfaces",
)
"""Runs left to the slow suite: several programs to compile, or a module that another run draws and judges with."""
DENSITIES = (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)


def load(name: str) -> Experiment:
    """The experiment of a yaml's name."""
    settings = yaml.safe_load((ROOT / f"conf/experiment/{name}.yaml").read_text())
    return load_experiment(ROOT / f"experiments/{settings.get('experiment', {}).get('module', name)}.py")


def draw(experiment: Experiment, tree: xr.DataTree) -> Figure:
    with plots.style():
        figure = experiment.figure(tree)
        figure.canvas.draw()
    return figure


def titles(figure: Figure) -> list[str]:
    return [title for ax in figure.axes for title in (ax.get_title("left"), ax.get_title()) if title]


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow) if n in LATER else n for n in NAMES])
def test_an_experiment_runs_draws_and_is_judged(name, tmp_path):
    tree = superpose.run_sweep([f"experiment={name}", "scale=smoke", f"output={tmp_path}", *SHORTER.get(name, [])])
    (folder,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert {"figure.png", "figure.svg", "arrays.zarr", "config.yaml"} <= {path.name for path in folder.iterdir()}
    arrays = xr.open_datatree(folder / "arrays.zarr", engine="zarr")
    assert set(arrays.children) == set(tree.children)
    judged = load(name).judged(tree)
    assert judged
    for claim, verdict in judged:
        assert isinstance(verdict, Verdict) and verdict.holds in (True, False, None)
        assert claim.text and claim.source and verdict.measured


def test_nothing_is_said_of_a_claim_about_other_models():
    verdict = Verdict(True, "1")
    here, elsewhere = (Claim(text, "", lambda _, it=it: it) for text, it in (("here", verdict), ("elsewhere", None)))
    assert Experiment(lambda _: Figure(), (here, elsewhere)).judged(xr.DataTree()) == [(here, verdict)]


@pytest.mark.parametrize("name", NAMES)
def test_a_header_gives_the_command_the_runtime_and_what_to_expect(name):
    header = (ROOT / f"conf/experiment/{name}.yaml").read_text().split("defaults:")[0]
    assert "# python -m superpose.run" in header and "Runtime:" in header and "Expect:" in header


def dataset(models: dict[float, list[tuple[np.ndarray, np.ndarray, float]]], importance: np.ndarray) -> xr.Dataset:
    """Labelled arrays from (W, b, loss) of each seed at each density, with the measures that a run gives."""
    levels = sorted(models, reverse=True)
    W, b, loss = (np.array([[seed[k] for seed in models[p]] for p in levels], np.float32) for k in range(3))
    measures = jax.vmap(jax.vmap(geometry.summary))(jnp.asarray(W))
    data = {name: (("sparsity", "seed", *geometry.VARIABLES[name][0]), np.asarray(a)) for name, a in measures.items()}
    data |= {"W": (("sparsity", "seed", "hidden", "feature"), W), "b": (("sparsity", "seed", "feature"), b)}
    data |= {"loss": (("sparsity", "seed"), loss), "finite": (("sparsity", "seed"), np.isfinite(loss))}
    data["feature_importance"] = (("sparsity", "seed", "feature"), np.broadcast_to(importance, b.shape))
    coords = {"sparsity": 1 - np.array(levels), "seed": np.arange(loss.shape[1])}
    return xr.Dataset(data, coords).assign_coords(density=("sparsity", np.array(levels)))


def pairs(alone: int, paired: int, n: int, m: int) -> np.ndarray:
    """W: so many features alone in their dimension, the following ones in antipodal pairs."""
    W = np.zeros((m, n))
    W[np.arange(alone), np.arange(alone)] = 1
    for k in range(paired):
        W[alone + k // 2, alone + k] = (-1) ** k
    return W


def crowded(count: int, n: int, m: int) -> np.ndarray:
    """W: so many features, three to a plane and more, none alone, at angles of which some are acute."""
    W = np.zeros((m, n))
    planes = [(0, 1), (2, 3), (3, 4)]
    for k in range(count):
        angle = 2 * np.pi * (k // len(planes)) / -(-count // len(planes)) + 0.1
        W[list(planes[k % len(planes)]), k] = 1.1 * np.cos(angle), 1.1 * np.sin(angle)
    return W


def ideal(n: int = 20, m: int = 5, seeds: int = 2) -> xr.DataTree:
    """Models that do at the seven densities what the paper says. Best seed first."""
    importance = 0.7 ** np.arange(n)
    top = pairs(m, 0, n, m)
    five = pairs(0, 6, n, m)
    five[3:5, 6:11] = tegum.polygon(5)
    shapes = [top, pairs(3, 4, n, m), pairs(1, 8, n, m), five, *(crowded(k, n, m) for k in (11, 12, 13))]
    linear, relu = {}, {}
    for p, W in zip(DENSITIES, shapes, strict=True):
        loss = theory.linear_optimum(importance, p, m)
        represented = np.linalg.norm(W, axis=0) > 0.5
        b = np.where(represented, -0.1 if p < 0.05 else 0.0, p / 2)
        linear[p] = [(top, np.where(np.arange(n) < m, 0, p / 2), loss * (1 + 0.001 * k)) for k in range(seeds)]
        relu[p] = [(W, b, loss * (p**0.5 + 0.001 * k)) for k in range(seeds)]
    return xr.DataTree.from_dict({"linear": dataset(linear, importance), "relu": dataset(relu, importance)})


def verdicts(name: str, tree: xr.DataTree) -> dict[str, bool | None]:
    return {claim.text: verdict.holds for claim, verdict in load(name).judged(tree)}


def changed(tree: xr.DataTree, label: str, density: float, **values: np.ndarray) -> xr.DataTree:
    """The tree with W, b or loss of every seed replaced at one density."""
    ds = tree[label].to_dataset()
    old = {
        p: [tuple(ds[name].values[i, k] for name in ("W", "b", "loss")) for k in range(ds.sizes["seed"])]
        for i, p in enumerate(ds["density"].values.tolist())
    }
    (place,) = (p for p in old if np.isclose(p, density))
    old[place] = [
        tuple(values.get(name, own) for name, own in zip(("W", "b", "loss"), model, strict=True))
        for model in old[place]
    ]
    importance = ds["feature_importance"].values[0, 0]
    groups = {name: node.to_dataset() for name, node in tree.children.items()} | {label: dataset(old, importance)}
    return xr.DataTree.from_dict(groups)


@pytest.fixture(scope="module")
def paper() -> xr.DataTree:
    return ideal()


def test_all_claims_hold_of_ideal_models(paper):
    assert set(verdicts("basic_results", paper).values()) == {True}


def nothing_but(columns: dict[int, tuple[float, ...]]) -> np.ndarray:
    """W (5, 20), zero but for these columns, each from its first hidden dimension on."""
    W = np.zeros((5, 20))
    for i, column in columns.items():
        W[: len(column), i] = column
    return W


TRIANGLE = {3: (0, 0, 0, 1, 0), 4: (0, 0, 0, -0.5, 0.866), 5: (0, 0, 0, -0.5, -0.866)}
ALONE = {0: (1,), 1: (0, 1), 2: (0, 0, 1)}
OPTIMUM = {p: theory.linear_optimum(0.7 ** np.arange(20), p, 5) for p in DENSITIES}

# how a claim begins -> variant, density, and what breaks it there
BROKEN = {
    "The linear model keeps": ("linear", 0.1, {"W": np.roll(pairs(5, 0, 20, 5), 1, axis=1)}),
    "The linear model's W": ("linear", 0.1, {"W": 0.97 * pairs(5, 0, 20, 5)}),
    "Its bias": ("linear", 0.3, {"b": np.zeros(20)}),
    "The linear loss": ("linear", 0.03, {"loss": 1.05 * OPTIMUM[0.03]}),
    "At p = 1": ("relu", 1.0, {"loss": 1.05 * OPTIMUM[1.0]}),
    "The ReLU model's features per dimension do not": ("relu", 0.01, {"W": pairs(0, 8, 20, 5)}),
    "The ReLU model's features per dimension rise": ("relu", 0.001, {"W": 0.9 * pairs(0, 10, 20, 5)}),
    "There is a regime": ("relu", 1.0, {"W": pairs(3, 4, 20, 5)}),
    "Superposition starts with": ("relu", 0.3, {"W": np.roll(pairs(3, 4, 20, 5), -3, axis=1)}),
    "Superposition starts as": ("relu", 0.3, {"W": nothing_but(ALONE | TRIANGLE)}),
    "Later it takes": ("relu", 0.03, {"W": pairs(0, 10, 20, 5)}),
    "Biases of": ("relu", 0.03, {"b": np.full(20, 0.01)}),
    "As many bars": ("relu", 0.3, {"W": pairs(3, 2, 20, 5)}),
    "At high sparsity all": ("relu", 0.001, {"W": pairs(1, 8, 20, 5)}),
    "At high sparsity some": ("relu", 0.001, {"b": np.full(20, 0.01)}),
    "As many features": ("relu", 0.1, {"W": pairs(5, 0, 20, 5)}),
}


@pytest.mark.parametrize("start", BROKEN)
def test_a_claim_fails_where_its_sentence_does(paper, start):
    label, density, values = BROKEN[start]
    found = verdicts("basic_results", changed(paper, label, density, **values))
    assert [holds for text, holds in found.items() if text.startswith(start)] == [False]


def test_every_claim_has_such_a_case(paper):
    assert all(any(text.startswith(start) for start in BROKEN) for text in verdicts("basic_results", paper))


def test_the_relu_models_biases_are_judged_at_p_1(paper):
    found = verdicts("basic_results", changed(paper, "relu", 1.0, b=np.zeros(20)))
    assert [holds for text, holds in found.items() if text.startswith("At p = 1")] == [False]


@pytest.mark.parametrize(("second", "holds"), [(28, True), (27, False)])
def test_a_rescaled_figure_has_four_times_the_bars(second, holds):
    models = {}
    for p, count in zip(DENSITIES, (20, second, 36, 40, 44, 60, 76), strict=True):
        models[p] = [(np.eye(20)[:, [0]] * (np.arange(80) < count), np.zeros(80), 1.0)]
    found = verdicts("basic_results", xr.DataTree.from_dict({"relu": dataset(models, 0.9 ** np.arange(80))}))
    assert [own for text, own in found.items() if "rescaled" in text] == [holds]
    assert not [text for text in found if "paper's figure" in text]  # said of n = 20, m = 5 alone


def test_claims_of_levels_that_are_not_there_are_left_open(paper):
    one = paper.isel(sparsity=[2])
    found = verdicts("basic_results", one)
    judged = {text: holds for text, holds in found.items() if holds is not None}
    assert set(judged.values()) == {True}
    starts = ("The linear", "Its bias", "As many bars", "As many features")
    assert len(judged) == 6 and all(text.startswith(starts) for text in judged)
    for tree in (xr.DataTree(), one["linear"].to_dataset().pipe(lambda ds: xr.DataTree.from_dict({"other": ds}))):
        assert set(verdicts("basic_results", tree).values()) == {None}
        assert set(verdicts("intro_pentagon", tree).values()) == {None}


def test_nothing_is_read_off_the_figure_at_another_size():
    found = verdicts("basic_results", ideal(n=24))
    assert set(found.values()) == {True} and not [text for text in found if "bars" in text or "figure" in text]


def polygon(corners: int, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray, float]:
    """Five features in the plane: the first so many at equal angles, the last of them shifted by so many degrees."""
    degrees = 360 * np.arange(5) / corners + shift * (np.arange(5) == corners - 1)
    W = np.stack([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))]) * (np.arange(5) < corners)
    return W, np.zeros(5), 0.1


def intro(dense: np.ndarray, middle: tuple, sparse: tuple) -> xr.DataTree:
    models = {1.0: [(dense, np.zeros(5), 0.1)], 0.2: [middle], 0.1: [sparse]}
    return xr.DataTree.from_dict({"relu": dataset(models, 0.9 ** np.arange(5))})


def test_the_claims_of_the_introduction():
    orthogonal = pairs(2, 0, 5, 2)
    holds = lambda *shapes: list(verdicts("intro_pentagon", intro(*shapes)).values())
    assert holds(orthogonal, polygon(4), polygon(5)) == [True, True, True]
    assert holds(orthogonal, polygon(4), polygon(5, shift=-11)) == [True, True, False]
    assert holds(orthogonal, polygon(3), polygon(5)) == [True, False, True]
    assert holds(orthogonal[:, ::-1], polygon(5), polygon(4)) == [False, False, False]


def with_levels(count: int) -> xr.DataTree:
    """`count` densities from 1 to 0.001 of one and the same model."""
    models = {p: [(pairs(3, 4, 20, 5), np.zeros(20), 1.0)] for p in np.geomspace(1, 1e-3, count).tolist()}
    ds = dataset(models, 0.7 ** np.arange(20))
    return xr.DataTree.from_dict({"linear": ds, "relu": ds})


@pytest.mark.parametrize(("count", "panels"), [(1, 2), (2, 3), (7, 8), (20, 12)])
def test_a_figure_shows_at_most_twelve_models(count, panels):
    shown = titles(draw(load("basic_results"), with_levels(count)))
    assert len(shown) == panels
    assert shown[0].startswith("Linear") and shown[1] == "ReLU, $1-S = 1$"
    assert count == 1 or shown[-1] == "ReLU, $1-S = 0.001$"


@pytest.mark.parametrize("name", ["basic_results", "intro_pentagon"])
def test_a_figure_of_an_odd_grid(name):
    """A level without any model, and an axis of several values of which one was not trained: the middle of the rest."""
    experiment = load(name)
    whole = {"basic_results": ideal(), "intro_pentagon": intro(pairs(2, 0, 5, 2), polygon(4), polygon(5))}[name]
    ds = whole["relu"].to_dataset()
    there = ds["sparsity"] > 0
    ds = ds.map(lambda own: own.where(there, False if own.dtype == bool else np.nan))
    rates = [ds.assign(loss=ds["loss"].where(ds["seed"] < k)) for k in (0, 9, 9, 9)]
    wide = xr.concat(rates, xr.Variable("learning_rate", [1e-4, 1e-3, 1e-2, 1e-1])).transpose("learning_rate", ...)
    tree = xr.DataTree.from_dict({"relu": wide})
    figure = draw(experiment, tree)
    assert "learning rate 0.01 (one of 4)" in figure.get_supxlabel()
    assert any(text.get_text() == "no model" for ax in figure.axes for text in ax.texts)
    assert all(isinstance(verdict, Verdict) for _, verdict in experiment.judged(tree))
