"""Uniform superposition: plateaus and crossings of D*, and claims on models made of exact shapes, whole and broken."""

from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from superpose import geometry, plots, tegum, uniform
from superpose.experiment import Experiment, Verdict, load_experiment

ROOT = Path(__file__).parent.parent
N, M, SEEDS = 100, 20, 2
DENSITIES = np.geomspace(1, 1 / 20, 24)
SUMMARY = jax.jit(jax.vmap(jax.vmap(geometry.summary)))


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return load_experiment(ROOT / "experiments/uniform_geometry.py")


def of(*shapes: np.ndarray) -> np.ndarray:
    """W (20, 100): shapes in dimensions of their own, the other features 0."""
    W = np.zeros((M, N))
    product = tegum.product(*shapes)
    W[: product.shape[0], : product.shape[1]] = product
    return W


DENSE = np.linalg.qr(np.random.default_rng(0).normal(size=(N, N)))[0][:M]
FIRST = of(*4 * [tegum.simplex(3)], *4 * [tegum.simplex(2)])
PAIRS = of(*20 * [tegum.simplex(1)])
LAST = of(*4 * [tegum.polygon(5)], *4 * [tegum.antiprism()])
WEIGHTS = [DENSE] * 5 + [FIRST] + [PAIRS] * 6 + [LAST] * 12
"""From dense to sparse: orthogonal and rotated, tetrahedra and triangles, pairs, pentagons and antiprisms."""


def loss(W: np.ndarray, p: float) -> float:
    """The closed form of the plateau that a model lies on, and 1 elsewhere."""
    star = M / np.sum(W**2)
    form = uniform.orthogonal_loss if abs(star - 1) < 0.03 else uniform.digons_loss
    return form(N, M, p) if min(abs(star - 1), abs(star - 0.5)) < 0.03 else 1.0


def tree(
    weights: list[np.ndarray] = WEIGHTS, densities: np.ndarray = DENSITIES, seeds: int = SEEDS, factor: float = 1.0
) -> xr.DataTree:
    """Labelled arrays of these models at these densities, the same for every seed, their losses times a factor."""
    W = np.repeat(np.array(weights, np.float32)[:, None], seeds, axis=1)
    cell = ("sparsity", "seed")
    measures = SUMMARY(jnp.asarray(W))
    data = {name: ((*cell, *geometry.VARIABLES[name][0]), np.asarray(a)) for name, a in measures.items()}
    data |= {
        "W": ((*cell, "hidden", "feature"), W),
        "feature_importance": ((*cell, "feature"), np.ones_like(W[:, :, 0])),
    }
    losses = [[factor * loss(own, p)] * seeds for own, p in zip(weights, densities, strict=True)]
    data |= {"loss": (cell, np.array(losses)), "finite": (cell, np.ones(W.shape[:2], bool))}
    ds = xr.Dataset(data, {"sparsity": 1 - densities, "seed": np.arange(seeds)})
    return xr.DataTree.from_dict({"relu": ds.assign_coords(density=("sparsity", densities))})


def verdicts(experiment: Experiment, models: xr.DataTree) -> dict[str, bool | None]:
    return {claim.text: claim.check(models).holds for claim in experiment.claims}


def drawn(experiment: Experiment, models: xr.DataTree) -> Figure:
    with plots.style():
        figure = experiment.figure(models)
        figure.canvas.draw()
    return figure


# the room


def test_levels_go_from_dense_to_sparse():
    found = uniform.levels(tree(seeds=3).isel(sparsity=slice(None, None, -1)))
    np.testing.assert_allclose([one.density for one in found], DENSITIES)
    np.testing.assert_allclose([found[0].star, found[5].star, found[8].star], [1, 20 / 28, 1 / 2], rtol=1e-5)
    assert found[8].sparse == pytest.approx(20 ** (8 / 23)) and len(found[0].spread) == 3
    assert tegum.census(found[8].components()) == {"digon": 20}
    assert uniform.levels(xr.DataTree()) == [] and uniform.levels(tree(), "other") == []


def test_a_plateau_is_the_longest_run():
    found = uniform.levels(tree())
    stars = np.full(24, 0.9)
    stars[[3, 4, 6, 7, 8]] = 0.5, 0.52, 0.49, 0.5, 0.471
    assert uniform.stretch(found, stars, 0.5) == pytest.approx(20 ** (2 / 23))
    assert uniform.stretch(found, stars, 0.7) == 0.0
    assert uniform.stretch(found, np.where(stars < 0.8, 0.1, stars), 0.1) == pytest.approx(20 ** (2 / 23))


def test_a_fall_lies_between_levels():
    at = np.array([1.0, 2.0, 4.0, 8.0])
    assert uniform.fall(np.array([1.0, 1.0, 0.5, 0.2]), at, 0.75) == pytest.approx(2 * 2**0.5)
    assert uniform.fall(np.array([1.0, 0.75, 0.5, 0.2]), at, 0.75) == pytest.approx(2)
    assert np.isnan(uniform.fall(np.array([0.7, 0.6, 0.5, 0.2]), at, 0.75))


def test_a_plateau_is_judged_by_its_ratio_of_densities_not_by_its_levels():
    densities = np.array([1, 0.99, 0.98, 0.97, 0.5, 0.4, 0.2])
    found = uniform.levels(tree([PAIRS] * 3 + [FIRST] + [PAIRS] * 2 + [LAST], densities))
    assert [one.density for one in uniform.plateau(found, 0.5)] == [0.5, 0.4]
    assert uniform.plateau(found, 0.9) == []


def test_the_losses_of_the_plateaus():
    """At p = 1 a feature not learned costs 1/12 and a digon 1/3; both are equal per dimension at p = 4/7."""
    assert uniform.orthogonal_loss(10, 4, 1.0) == pytest.approx(6 / 12)
    assert uniform.digons_loss(10, 4, 1.0) == pytest.approx(4 / 3 + 2 / 12)
    assert uniform.digons_loss(10, 4, 4 / 7) == pytest.approx(uniform.orthogonal_loss(10, 4, 4 / 7))


def test_only_seeds_about_as_good_as_the_best_are_pooled():
    ds = tree(seeds=3)["relu"].to_dataset()
    ds["loss"] = ds["loss"] * xr.DataArray([1.0, 1.009, 1.011], dims="seed")
    found = uniform.levels(xr.DataTree.from_dict({"relu": ds}))
    assert {one.alike.shape for one in found} == {(2, N)}
    assert uniform.pooled(found).size == 2 * N * 19


# claims


def test_all_claims_hold_of_exact_shapes(experiment):
    assert set(verdicts(experiment, tree()).values()) == {True}


def changed(places: range | list[int], W: np.ndarray) -> list[np.ndarray]:
    return [W if k in places else own for k, own in enumerate(WEIGHTS)]


ALIGNED = of(*20 * [np.ones((1, 1))])
HIGH = of(*2 * [tegum.simplex(9)], *2 * [np.ones((1, 1))])
LOSSES = ("Where D* = 1 the", "Where D* = 1/2 the")
BROKEN: dict[str, Callable[[], list[np.ndarray]]] = {
    "D* is sticky at 1.": lambda: changed(range(2, 5), FIRST),
    "D* is sticky at 1/2": lambda: changed(range(6, 10), FIRST),
    "On the plateau": lambda: changed(range(6, 12), of(*17 * [tegum.simplex(1)], tegum.polygon(7), np.ones((1, 1)))),
    "Digons take over": lambda: changed(range(5, 8), DENSE),
    "Without sparsity": lambda: changed([0], ALIGNED),
    "Features are packed": lambda: changed([20], LAST + 0.3 * PAIRS),
    "The D_i cluster": lambda: changed([5, *range(12, 24)], PAIRS),
    "Feature dimensionalities cluster at 3/4": lambda: changed([5], PAIRS),
    "Feature dimensionalities cluster at 2/3": lambda: changed([5], of(*6 * [tegum.simplex(3)])),
    "Feature dimensionalities cluster at 1/2": lambda: changed(range(6, 12), LAST),
    "Feature dimensionalities cluster at 2/5": lambda: changed(range(12, 24), of(*6 * [tegum.antiprism()])),
    "Feature dimensionalities cluster at 3/8": lambda: changed(range(12, 24), of(*10 * [tegum.polygon(5)])),
    "Feature dimensionalities cluster at 0": lambda: changed(range(5, 24), of(*10 * [tegum.polygon(10)])),
    "There is no line at 1": lambda: changed([4], ALIGNED),
    "Features form products": lambda: changed(range(5, 24), HIGH),
}


@pytest.mark.parametrize("start", LOSSES)
def test_a_loss_that_is_another_fails(experiment, start):
    models = tree(factor=1.02)
    assert [claim.check(models).holds for claim in experiment.claims if claim.text.startswith(start)] == [False]


@pytest.mark.parametrize("start", BROKEN)
def test_a_claim_fails_where_its_sentence_does(experiment, start):
    models = tree(BROKEN[start]())
    assert [claim.check(models).holds for claim in experiment.claims if claim.text.startswith(start)] == [False]


def test_every_claim_has_such_a_case(experiment):
    assert all(any(claim.text.startswith(start) for start in (*BROKEN, *LOSSES)) for claim in experiment.claims)


def test_what_the_arrays_cannot_say_is_left_open(experiment):
    assert set(verdicts(experiment, xr.DataTree()).values()) == {None}
    unequal = tree()["relu"].to_dataset()
    unequal["feature_importance"] = unequal["feature_importance"] * 0.9 ** np.arange(N)
    assert set(verdicts(experiment, xr.DataTree.from_dict({"relu": unequal})).values()) == {None}
    coarse = verdicts(experiment, tree(WEIGHTS[::5], DENSITIES[::5]))
    assert coarse["D* is sticky at 1."] is None and coarse["Features are packed efficiently: their D_i sum to m."]
    dense = verdicts(experiment, tree([DENSE] * 2, DENSITIES[:2]))
    assert dense["Feature dimensionalities cluster at 3/4, the tetrahedron."] is None


# the figure


def test_the_figure_names_shapes_and_draws_their_graphs(experiment):
    figure = drawn(experiment, tree())
    assert [ax.get_title("left") for ax in figure.axes[3:]] and len(figure.axes) == 8
    words = [text.get_text() for text in figure.axes[1].texts if text.get_fontsize() > 6]
    assert words == [
        "3/4  tetrahedron", "2/3  triangle", "1/2  digon", "2/5  pentagon", "3/8  square antiprism",
        "0  not learned",
    ]  # fmt: skip
    heights = {bar.get_height() for bar in figure.axes[2].patches if isinstance(bar, Rectangle)}
    assert {16.0, 12.0, 40.0, 20.0, 32.0} <= heights


@pytest.mark.parametrize("kept", [[0], [8], [0, 23], []])
def test_a_figure_of_few_levels(experiment, kept):
    models = tree([WEIGHTS[k] for k in kept], DENSITIES[kept]) if kept else xr.DataTree()
    assert isinstance(drawn(experiment, models), Figure)
    assert all(isinstance(claim.check(models), Verdict) for claim in experiment.claims)
