"""Phase diagrams: the phase of a model, maps that are only partly trained, colours, reductions, and claims judged on
arrays made from the closed forms' own weights, of which the right answers are known."""

import functools
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from superpose import charts, diagrams, geometry, plots, theory
from superpose.experiment import Experiment, load_experiment

ROOT = Path(__file__).parent.parent
DENSITIES = np.geomspace(1, 0.01, 24)
IMPORTANCES = np.geomspace(0.1, 10, 22)
FORMS = {2: theory.phase_losses, 3: theory.phase_losses_3_2}
SUMMARY = jax.jit(jax.vmap(jax.vmap(jax.vmap(geometry.summary))))
MODELS = {2: theory.configurations, 3: theory.configurations_3_2}


@pytest.fixture(scope="module")
def experiment() -> Experiment:
    return load_experiment(ROOT / "experiments/phase_change.py")


def ideal(
    n: int = 2, densities: np.ndarray = DENSITIES, importances: np.ndarray = IMPORTANCES, seeds: int = 3, step: int = 0
) -> xr.Dataset:
    return made(n, tuple(densities.tolist()), tuple(importances.tolist()), seeds, step).copy(deep=True)


@functools.cache
def made(n: int, points: tuple[float, ...], levels: tuple[float, ...], seeds: int, step: int) -> xr.Dataset:
    """Labelled arrays of the closed forms: the best seed in the phase of the lowest loss, others in the following ones.

    With `step` > 0, the boundary of the antipodal phase lies so many cells too low in every column.
    """
    densities, importances = np.array(points), np.array(levels)
    p, r = np.broadcast_arrays(densities[:, None], importances)
    losses = FORMS[n](p, r)
    table = np.stack(np.broadcast_arrays(*losses.values()), axis=-1)
    ranked = np.argsort(table, axis=-1, kind="stable")
    if step:
        dense = np.stack(np.broadcast_arrays(*FORMS[n](np.ones_like(p), r).values()), -1)
        above = np.argsort(dense[..., :2], -1)[..., 0]
        moved = np.concatenate([above[:step], ranked[:-step, :, 0]]) if step < len(densities) else above
        ranked = np.concatenate([moved[..., None], ranked], axis=-1)
    forms = [MODELS[n](q) for q in densities]
    best = zip(forms, ranked[..., :seeds], strict=True)
    W = np.array([[[form[theory.PHASES[k]][0] for k in row] for row in rows] for form, rows in best], np.float32)
    loss = np.sort(table, axis=-1)[..., :seeds] * (1 + np.arange(seeds) * 1e-3)
    measures = SUMMARY(jnp.asarray(W))
    cell = ("sparsity", "importance", "seed")
    data = {name: ((*cell, *geometry.VARIABLES[name][0]), np.asarray(a)) for name, a in measures.items()}
    importance = np.ones((*loss.shape, n))
    importance[..., -1] = importances[:, None]
    data |= {"W": ((*cell, "hidden", "feature"), W), "loss": (cell, loss.astype(np.float32))}
    data |= {"loss_standard_error": (cell, np.zeros_like(loss)), "finite": (cell, np.isfinite(loss))}
    data["feature_importance"] = ((*cell, "feature"), importance)
    coords = {"sparsity": 1 - densities, "importance": importances, "seed": np.arange(seeds)}
    ds = xr.Dataset(data, coords, {"model": "ReLUOutput"})
    return ds.assign_coords(density=("sparsity", densities))


def without(ds: xr.Dataset, row: int, column: int) -> xr.Dataset:
    """The arrays with a cell of which every model diverged."""
    cell = (ds["sparsity"] == ds["sparsity"][row]) & (ds["importance"] == ds["importance"][column])
    numbers = {name: ds[name].where(~cell) for name in ("loss", "norm", "superposition", "W")}
    return ds.assign(**numbers, finite=ds["finite"] & ~cell).transpose(*ds["loss"].dims, ...)


def untrained(ds: xr.Dataset, kept: np.ndarray) -> xr.Dataset:
    """The arrays with nothing in the cells that are not kept."""
    there = xr.DataArray(kept, dims=("sparsity", "importance"))
    fills = {name: False if a.dtype == bool else -1 if a.dtype.kind == "i" else np.nan for name, a in ds.items()}
    return ds.map(lambda a: a.where(there, fills[a.name]).astype(a.dtype).transpose(*a.dims))


def tree_of(ds: xr.Dataset, label: str = "relu") -> xr.DataTree:
    return xr.DataTree.from_dict({label: ds})


AGREES, REDUCED, CROSS, NONE, LASTS, NO_LOWER = (
    "The best models are in the phase of the lowest closed form.",
    "So are the models' means without the worst, the paper's reduction.",
    "Superposition ends at the density at which the closed forms cross.",
    "There is a regime with exactly no superposition.",
    "It lasts beyond that density, most of all near r = 1.",
    "No closed form has a lower loss than the best model.",
)
FALLS, SHORTER, MIRROR, SCALED = (
    "That density rises with importance up to r = 1, then it falls.",
    "Where it ends, the less important feature's norm is below 1.",
    "The phases at r are those at 1/r with the two features exchanged.",
    "Scaling all importances alike scales the loss, and leaves the best model as it is.",
)
STAYS, COLOURS = (
    "That density rises with importance up to r = 1, then it stays.",
    "A dedicated extra feature looks the same whatever the others do: three colours.",
)
BOTH = {AGREES, REDUCED, CROSS, NONE, LASTS, NO_LOWER}
SAID = {2: BOTH | {FALLS, SHORTER, MIRROR, SCALED}, 3: BOTH | {STAYS, COLOURS}}


def verdicts(experiment: Experiment, ds: xr.Dataset, label: str = "relu") -> dict[str, bool | None]:
    return {claim.text: verdict.holds for claim, verdict in experiment.judged(tree_of(ds, label))}


def drawn(experiment: Experiment, tree: xr.DataTree) -> Figure:
    with plots.style():
        figure = experiment.figure(tree)
        figure.canvas.draw()
    return figure


# drawing


def test_the_bilinear_colours_at_their_corners():
    norm, superposition = np.array([0, 0, 1, 1, 3, 0.5, np.nan]), np.array([0, 1, 0, 1, 4, 0, 0])
    grey, blue, red = (np.array(to_rgb(c)) for c in ("#dddddd", "#003399", "#dd4444"))
    found = diagrams.bilinear(norm, superposition)
    np.testing.assert_allclose(found[:6, :3], [grey, grey, blue, red, red, (grey + blue) / 2], atol=1e-12)
    np.testing.assert_array_equal(found[:, 3], [1, 1, 1, 1, 1, 1, 0])


def test_edges_lie_between_points_on_their_axis():
    np.testing.assert_allclose(diagrams.edges(np.array([1.0, 0.1, 0.01])), 10 ** np.array([0.5, -0.5, -1.5, -2.5]))
    np.testing.assert_allclose(diagrams.edges(np.array([0.0, 1.0, 3.0])), [-0.5, 0.5, 2, 4])
    np.testing.assert_allclose(diagrams.edges(np.array([0.5])), [0.25, 1])
    np.testing.assert_allclose(diagrams.edges(np.array([0.0])), [-0.5, 0.5])


def test_interfaces_are_the_edges_between_phases():
    ax = Figure().add_subplot()
    lines = diagrams.interfaces(ax, np.arange(3.0), np.arange(2.0), np.array([[0, 0, 1], [-1, 2, 1]]))
    found = {tuple(map(tuple, segment)) for segment in lines.get_segments()}
    assert found == {((1.5, -0.5), (1.5, 0.5)), ((1.5, 0.5), (1.5, 1.5)), ((0.5, 0.5), (1.5, 0.5))}


def maps(figure: Figure) -> dict[str, np.ndarray]:
    """The colours of the first mesh of each panel, by its title."""
    found = {}
    for ax in figure.axes:
        for colours in [mesh.get_array() for mesh in ax.collections[:1]]:
            if colours is not None and colours.ndim == 3:
                found[(ax.get_title("left") or ax.get_title()).split("  ")[-1]] = colours.reshape(-1, 4)
    return found


@pytest.mark.parametrize("n", [2, 3])
def test_the_figure_of_one_variant(experiment, n):
    shown = maps(drawn(experiment, tree_of(ideal(n))))
    panels = ("theory", "best model", "differs from theory", "seeds within 1%", "median of seeds", "mean without worst")
    assert set(panels) < set(shown) and "lower quartile" in shown and len(shown) >= 8
    grey, blue, red = (to_rgb(c) for c in ("#dddddd", "#003399", "#dd4444"))
    expected = np.array([grey, blue, red])[charts.phase(ideal(n)).values].reshape(-1, 3)
    np.testing.assert_allclose(shown["best model"][:, :3], expected, atol=1e-6)
    np.testing.assert_array_equal(shown["differs from theory"][:, :3], 1.0)  # as these models are theory's own


@pytest.mark.parametrize(
    ("densities", "importances"),
    [
        ([1.0, 0.1], [0.1, 1.0, 10.0]),
        ([0.1], [0.1, 10.0]),
        ([1.0, 0.5, 0.01], [2.0]),
        ([0.5], [1.0]),
        ([1.0, 0.9], [1, 1.1]),
    ],
)
def test_grids_of_few_levels_are_drawn_and_judged(experiment, densities, importances):
    ds = ideal(2, np.array(densities), np.array(importances, float), seeds=1)
    if len(importances) == 1:
        ds = ds.isel(importance=0)
    assert len(maps(drawn(experiment, tree_of(ds)))) >= 7
    assert all(holds in (True, False, None) for holds in verdicts(experiment, ds).values())


def test_a_further_axis_is_drawn_at_one_point_and_missing_cells_are_hatched(experiment):
    ds = without(ideal(), 3, 4)
    wide = xr.concat([ds, ds, ds], xr.Variable("learning_rate", [0.01, 0.1, 1.0])).transpose("learning_rate", ...)
    figure = drawn(experiment, tree_of(wide))
    assert "learning rate 0.1 (one of 3)" in figure.get_supxlabel()
    assert [ax.patch.get_hatch() for ax in figure.axes[:3]] == [None, "//////", "//////"]
    assert maps(figure)["best model"][3 * 22 + 4, 3] == 0
    assert verdicts(experiment, wide)[AGREES] is True


def test_a_model_without_closed_forms_is_drawn_without_them(experiment):
    one = ideal(2, DENSITIES[::4], IMPORTANCES[::3]).assign_attrs(model="ElementwiseOutput")
    assert set(verdicts(experiment, one, "gelu").values()) == {None}
    alone = drawn(experiment, tree_of(one, "gelu"))
    assert "phases" in maps(alone) and "theory" not in alone.get_supxlabel()
    assert not drawn(experiment, xr.DataTree()).axes


def test_several_activations_stand_side_by_side_and_are_told_apart():
    activations = load_experiment(ROOT / "experiments/phase_change_activations.py")
    relu = ideal(2, DENSITIES[::4], IMPORTANCES[::3])
    tanh = relu.copy(deep=True)
    tanh["superposition"] *= 0
    groups = {"relu": relu, "gelu": tanh, "tanh": tanh, "other": xr.Dataset()}
    tree = xr.DataTree.from_dict(groups)
    assert set(maps(drawn(activations, tree))) == {"ReLU", "GELU", "tanh", ""}  # and the key
    judge = lambda **changed: [
        claim.check(xr.DataTree.from_dict(groups | changed)).holds for claim in activations.claims
    ]
    assert judge() == [True, True]
    assert judge(gelu=relu) == [False, True]
    assert judge(tanh=relu) == [False, False]
    assert judge(gelu=tanh.isel(importance=[0, 1])) == [None, None]


def test_a_chart_of_a_partly_trained_map(experiment):
    ds, kept = ideal(), np.random.default_rng(1).random((24, 22)) < 0.5
    shown = charts.chart(tree_of(untrained(ds, kept)), "relu")
    np.testing.assert_array_equal(shown.trained, kept)
    np.testing.assert_array_equal(shown.phases[kept], charts.phase(ds).values[kept])
    assert (shown.phases >= 0).all() and shown.losses() is not None
    assert verdicts(experiment, untrained(ds, kept))[AGREES] is True
    assert "trained" in drawn(experiment, tree_of(untrained(ds, kept))).get_supxlabel()


# claims


@pytest.mark.parametrize("n", [2, 3])
def test_the_claims_hold_of_the_closed_forms_themselves(experiment, n):
    """But for those that say how trained models differ from closed forms: their superposition ends with norms of 1."""
    found = verdicts(experiment, ideal(n, seeds=1))
    assert set(found) == SAID[n]
    assert {text for text, holds in found.items() if not holds} == {LASTS, SHORTER} & SAID[n]


def test_models_beyond_the_closed_forms(experiment):
    """Pairs go on for a row, near r = 1 for two, and their second feature has a norm of 0.8."""
    ds = ideal(seeds=1)
    phases = charts.phase(ds).values
    for column, r in enumerate(IMPORTANCES):
        rows = 2 if 0.9 < r < 1.2 else 1
        first = int((phases[:, column] == 2).argmax())
        for name in ("norm", "superposition", "W"):
            ds[name][first - rows : first, column] = ds[name].values[first, column]
        ds["norm"][first - rows, column, :, -1] = 0.8
    found = verdicts(experiment, ds)
    assert (found[LASTS], found[SHORTER], found[CROSS]) == (True, True, False)


@pytest.mark.parametrize("n", [2, 3])
def test_a_boundary_two_cells_off_is_no_longer_where_forms_cross(experiment, n):
    found = verdicts(experiment, ideal(n, seeds=1, step=2))
    assert found[CROSS] is False and found[AGREES] is True and found[FALLS if n == 2 else STAYS] is True


def test_claims_fail_where_their_sentences_do(experiment):
    ds = ideal(seeds=1)
    half = ds.sizes["importance"] // 2
    swapped = ds.copy(deep=True)
    for name in ("norm", "superposition"):  # below r = 1, what is right above it
        swapped[name][:, :half] = ds[name][:, ::-1][:, :half].values
    found = verdicts(experiment, swapped)
    assert found[AGREES] is False and found[MIRROR] is False
    assert verdicts(experiment, ds.assign(loss=ds["loss"] * 1.001))[NO_LOWER] is False
    rough = ds.copy(deep=True)
    rough["superposition"][:16, 3] = 0
    rough["norm"][:16, 3, :, -1] = 0
    assert verdicts(experiment, rough)[FALLS] is False  # the density at which pairs end falls at one importance
    assert verdicts(experiment, ds.assign(superposition=ds["superposition"] + 0.01))[NONE] is False
    dearer = ds["loss"].where(ds["importance"] < 1, 1.02 * ds["loss"])
    assert verdicts(experiment, ds.assign(loss=dearer))[SCALED] is False
    assert verdicts(experiment, ds.assign(norm=ds["norm"] + 0.1 * (ds["importance"] > 1)))[SCALED] is False
    three = ideal(3, seeds=1)
    assert verdicts(experiment, three.assign(norm=three["norm"] * 0.9))[COLOURS] is False


def test_the_papers_reduction_is_judged_on_the_mean(experiment):
    """Three seeds of which the two better ones are in the phases of the two lowest forms: their mean is in neither."""
    found = verdicts(experiment, ideal(seeds=3))
    assert (found[AGREES], found[REDUCED]) == (True, False)


def test_what_the_arrays_cannot_say_is_left_open(experiment):
    ds = ideal(seeds=1)
    none = lambda ds, label="relu": set(verdicts(experiment, ds, label).values()) == {None}
    assert none(ds, "other") and none(ds.assign_attrs(model="Linear"))
    assert none(ds.assign(feature_importance=ds["feature_importance"] * 0 + 1))
    assert verdicts(experiment, ds.assign(loss_standard_error=ds["loss_standard_error"] + 1e-3))[NO_LOWER] is None
    one = verdicts(experiment, ds.isel(sparsity=[0], importance=[0]))
    assert one[AGREES] in (True, None)
    assert {one[text] for text in (CROSS, FALLS, LASTS, SHORTER, MIRROR, SCALED)} == {None}
    nothing = untrained(ds, np.zeros((24, 22), bool))
    assert none(nothing) and isinstance(drawn(experiment, tree_of(nothing)), Figure)
