"""Basic results: which features a model keeps, and which of them share directions, as features become sparser.

Paper: "Demonstrating Superposition", "Basic Results". n features of falling importance in m < n
dimensions; a linear model x' = W^T W x + b, and the ReLU output model x' = ReLU(W^T W x + b) at densities p = 1 - S.

    python -m superpose.run sparsity=sweep                  n = 20, m = 5, importance 0.7^i
    python -m superpose.run experiment=basic_80_20          n = 80, m = 20, importance 0.9^i

You should see: the linear model keeps the m most important features, orthogonal, at any density. So does the ReLU model
at p = 1. Then the less important features share directions, first as antipodal pairs, while the most important keep
theirs (dark bars); in the end every feature is in superposition, and biases are negative.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from superpose import plots, selection, statistics, theory
from superpose.experiment import Claim, Experiment, Verdict

Check = Callable[[xr.Dataset], Any]
Words = Callable[[xr.Dataset], str]

SOURCE = "Basic Results"
TOLERANCE = 0.02
EXACT, NEAR = 1 + 1e-6, 1.25  # factors by which a density may differ and still be the one that is meant
ANTIPODAL = -0.9  # between an antipodal pair (cosine -1) and the next shape, a pentagon (-0.81)
PANELS, COLUMNS = 8, 4
WIDTHS = (1.0, 0.06, 0.45)  # of the heatmap, the bias and the bars, in heights
NAMES = {"linear": "Linear", "relu": "ReLU"}

READ_OFF = {1.0: (5, 0), 0.3: (7, 0), 0.1: (9, 0), 0.03: (10, 2), 0.01: (11, 2), 0.003: (12, 5), 0.001: (12, 7)}
"""Density -> bars in the paper's figure for n = 20, m = 5: full ones, and partial ones or ones that may be either."""


def figure(tree: xr.DataTree) -> Figure:
    """A panel for the linear model at its sparsest level, then the ReLU model from dense to sparse; best seed each."""
    shown, notes = chosen(tree)
    rows, columns = -(-len(shown) // COLUMNS), min(len(shown), COLUMNS)
    figure = Figure(figsize=((0.9 if rows > 1 else 1.5) + 1.5 * columns, 0.5 + 1.25 * rows))
    parts = figure.add_gridspec(rows, 4 * columns, width_ratios=[*WIDTHS, 0.02] * columns)
    reach = max([1.0, *(float(model["norm"].fillna(0).max()) for _, model in shown)])
    lines: list[list[Axes]] = [[] for _ in range(rows)]
    for k, (title, model) in enumerate(shown):
        row, place = divmod(k, columns)
        axes = [figure.add_subplot(parts[row, 4 * place + j]) for j in range(3)]
        panel(axes, title, model, reach, lowest=k + columns >= len(shown), first=place == 0)
        lines[row] += axes
    plots.colorbar(lines[0], plots.WEIGHTS, "$W^T W$ and $b$")
    plots.colorbar(lines[-1], plots.SUPERPOSITION, "superposition")
    figure.supxlabel("\n".join(notes), fontsize=7)
    return figure


def chosen(tree: xr.DataTree) -> tuple[list[tuple[str, xr.Dataset]], list[str]]:
    """The models of the figure with their titles, and what its caption says."""
    labels = [label for label, node in tree.children.items() if "W" in node]
    linear = "linear" in labels and len(labels) > 1
    most = (PANELS - linear) // max(1, len(labels) - linear)
    shown, said = [], {}
    for label in labels:
        ds, note = selection.one_point(tree[label].to_dataset())
        best = statistics.best(ds)
        trained = np.flatnonzero(best["loss"].notnull())
        every = selection.evenly(ds.sizes["sparsity"], most)
        for level in [*every, *trained][-1:] if linear and label == "linear" else every:
            model = best.isel(sparsity=level)
            shown.append((f"{NAMES.get(label, label)}, $1-S = {float(model['density']):.3g}$", model))
        words = [f"n = {ds.sizes['feature']}, m = {ds.sizes['hidden']}", *filter(None, [note])]
        said[label] = f"{', '.join(words)}; each panel {selection.best_of(ds)}"
    if len(set(said.values())) == 1:
        return shown, [said[labels[0]]]
    return shown, [f"{NAMES.get(label, label)}: {words}" for label, words in said.items()]


def panel(axes: list[Axes], title: str, model: xr.Dataset, reach: float, *, lowest: bool, first: bool) -> None:
    """One model: W^T W, beside it the bias, beside that a bar for every feature in the same row."""
    heatmap, column, bars = axes
    W, n = model["W"].transpose("hidden", "feature").values, model.sizes["feature"]
    plots.gram(heatmap, W.T @ W)
    plots.bias(column, model["b"].values)
    plots.norm_bars(bars, model["norm"].values, model["superposition"].values)
    plots.align(axes, WIDTHS)
    bars.set(xlim=(0, 1.05 * reach), xticks=[0, 1])
    heatmap.set_title(title, loc="left")
    if not np.isfinite(W).all():
        heatmap.text(0.5, 0.5, "no model", transform=heatmap.transAxes, ha="center", va="center")
    if first:
        heatmap.set_ylabel("feature")
        heatmap.set_yticks([0, n - 1], ["0", str(n - 1)])
    if lowest:
        for ax, label in zip(axes, ("$W^T W$", "$b$", r"$\Vert W_i \Vert$"), strict=True):
            ax.set_xlabel(label)


def variant(tree: xr.DataTree, label: str) -> xr.Dataset | None:
    """The arrays of a variant, at one point of its further axes."""
    there = label in tree.children and "W" in tree[label]
    return selection.one_point(tree[label].to_dataset())[0] if there else None


def level(ds: xr.Dataset | None, density: float, within: float = EXACT) -> xr.Dataset | None:
    """The usable models at the density nearest to `density`, best first along `seed`; None where there is none."""
    if ds is None:
        return None
    distance = np.abs(np.log(ds["density"].values / density))
    models = ds.isel(sparsity=int(distance.argmin()))
    models = models.isel(seed=np.flatnonzero(models["loss"].notnull() & models["finite"])).sortby("loss")
    return models if distance.min() <= np.log(within) and models.sizes["seed"] else None


def said_of_the_best(text: str, p: float, holds: Check, words: Words, expected: str) -> Claim:
    """A sentence on the best ReLU model at a density; it counts the seeds of which it is true, too."""

    def check(tree: xr.DataTree) -> Verdict:
        models = level(variant(tree, "relu"), p, NEAR)
        each = [] if models is None else [models.isel(seed=k) for k in range(models.sizes["seed"])]
        found = [holds(model) for model in each]
        if not found or found[0] is None:
            return Verdict(None, f"nothing: the arrays lack a ReLU model at p = {p:g} of which this can be said")
        agree = f"true of {sum(map(bool, found))} of {len(found)} seeds"
        return Verdict(bool(found[0]), f"{words(each[0])}; {agree}", expected, seeds=len(found))

    return Claim(text, SOURCE, check)


def interval(sample: xr.DataArray) -> tuple[float, float]:
    """The bootstrap interval of the median over seeds."""
    low, high = statistics.bootstrap(sample)
    return float(low), float(high)


def linear_keeps_the_first(tree: xr.DataTree) -> Verdict:
    ds = variant(tree, "linear")
    levels = [] if ds is None else [level(ds, p) for p in ds["density"].values]
    models = [each.isel(seed=k) for each in levels if each is not None for k in range(each.sizes["seed"])]
    if ds is None or not models or (np.diff(models[0]["feature_importance"].values) >= 0).any():
        return Verdict(None, "nothing: the arrays lack a linear model with features of falling importance")
    first = np.arange(ds.sizes["feature"]) < ds.sizes["hidden"]
    right = sum(bool((m["represented"].values == first).all()) and not m["superposed"].any() for m in models)
    expected = f"all, at {len(levels)} densities"
    return Verdict(right == len(models), f"{right} of {len(models)} models", expected, seeds=ds.sizes["seed"])


def linear_is_optimal(tree: xr.DataTree) -> Verdict:
    ds = variant(tree, "linear")
    if ds is None or not ds["finite"].any() or ds.sizes["hidden"] >= ds.sizes["feature"]:
        return Verdict(None, "nothing: the arrays lack a linear model with m < n")
    importance = ds["feature_importance"].max(["sparsity", "seed"]).values
    optimum = ds["density"].copy(data=theory.linear_optimum(importance, ds["density"].values, ds.sizes["hidden"]))
    ratio = (ds["loss"] / optimum).where(ds["finite"])
    off = np.abs(statistics.median(ratio).values - 1)
    worst = ratio.isel(sparsity=int(np.nanargmax(off)))
    words = f"at worst {float(statistics.median(worst)):.4f} times the optimum, at p = {float(worst['density']):.3g}"
    return Verdict(bool(np.nanmax(off) <= TOLERANCE), words, "0.98 to 1.02", interval(worst), ds.sizes["seed"])


def equal_when_dense(tree: xr.DataTree) -> Verdict:
    relu, linear = level(variant(tree, "relu"), 1.0), level(variant(tree, "linear"), 1.0)
    if relu is None or linear is None:
        return Verdict(None, "nothing: the arrays lack both models at p = 1")
    ratio = relu["loss"] / float(statistics.median(linear["loss"]))
    same = bool((relu["represented"][0].values == linear["represented"][0].values).all())
    words = f"{float(statistics.median(ratio)):.4f} times the linear loss, {'the same' if same else 'other'} features"
    holds = same and abs(float(statistics.median(ratio)) - 1) <= TOLERANCE
    return Verdict(holds, words, "0.98 to 1.02 times, the same features", interval(ratio), relu.sizes["seed"])


def features_per_dimension(models: xr.Dataset) -> xr.DataArray:
    """1 / D* = ||W||_F^2 / m."""
    return (1 / models["dimensions_per_feature"]).where(models["finite"])


def more_when_sparser(tree: xr.DataTree) -> Verdict:
    ds = variant(tree, "relu")
    medians = np.array([]) if ds is None else statistics.median(features_per_dimension(ds)).values
    medians = medians[np.isfinite(medians)]
    if ds is None or len(medians) < 2:
        return Verdict(None, "nothing: the arrays lack two densities of the ReLU model")
    fall = max(0.0, float(np.max(1 - medians[1:] / medians[:-1])))
    listed = ", ".join(f"{medians[k]:.2f}" for k in selection.evenly(len(medians), 7))
    words = f"median ||W||^2 / m {listed} from dense to sparse; greatest fall {fall:.1%}"
    return Verdict(fall <= TOLERANCE, words, "no fall by more than 2%", seeds=ds.sizes["seed"])


def from_one_to_above_two(tree: xr.DataTree) -> Verdict:
    dense, sparse = level(variant(tree, "relu"), 1.0), level(variant(tree, "relu"), 0.001)
    if dense is None or sparse is None or dense.sizes["feature"] <= 2 * dense.sizes["hidden"]:
        return Verdict(None, "nothing: the arrays lack the ReLU model with n > 2 m at p = 1 and p = 0.001")
    first, last = (float(statistics.median(features_per_dimension(models))) for models in (dense, sparse))
    holds = abs(first - 1) <= TOLERANCE and last > 2
    words = f"median ||W||^2 / m {first:.3f} at p = 1, {last:.2f} at p = 0.001"
    return Verdict(
        holds, words, "0.98 to 1.02, then above 2", interval(features_per_dimension(sparse)), sparse.sizes["seed"]
    )


def alone_and_shared(model: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """The represented features that are orthogonal to all others, and those in superposition."""
    shared = model["superposed"].values
    return np.flatnonzero(model["represented"].values & ~shared), np.flatnonzero(shared)


def first_alone(model: xr.Dataset) -> bool | None:
    if (np.diff(model["feature_importance"].values) >= 0).any():
        return None
    alone, shared = alone_and_shared(model)
    return alone.size > 0 and shared.size > 0 and alone.max() < shared.min()


def span(features: np.ndarray) -> str:
    """0, 2 to 5, 7: runs of neighbours by their ends."""
    runs = [run for run in np.split(features, np.flatnonzero(np.diff(features) > 1) + 1) if run.size]
    return ", ".join(f"{run[0]}" + f" to {run[-1]}" * (run.size > 1) for run in runs) or "none"


def cosines(model: xr.Dataset) -> np.ndarray:
    """cos(W_i, W_j) of represented features, else 0; 0 on the diagonal."""
    W = model["W"].transpose("hidden", "feature").values * model["represented"].values
    unit = W / np.maximum(np.linalg.norm(W, axis=0), 1e-12)
    return unit.T @ unit * (1 - np.eye(W.shape[1]))


def partners(model: xr.Dataset) -> tuple[int, float]:
    """Of the features in superposition: how many are each other's most opposite feature, and the greatest cosine."""
    opposite, shared = cosines(model).argmin(axis=0), np.flatnonzero(model["superposed"])
    mutual = opposite[opposite[shared]] == shared
    return int(mutual.sum()), float(cosines(model).min(axis=0)[shared].max(initial=-1))


def all_paired(model: xr.Dataset) -> bool | None:
    shared, (mutual, greatest) = int(model["superposed"].sum()), partners(model)
    return mutual == shared and greatest < ANTIPODAL if shared else None


def greatest(model: xr.Dataset) -> tuple[float, float]:
    """The greatest cosine and the greatest bias among represented features."""
    return float(cosines(model).max()), float(model["b"].where(model["represented"]).max())


def counts_as_in_the_figure(tree: xr.DataTree) -> Verdict:
    ds = variant(tree, "relu")
    levels = {p: models for p in READ_OFF if (models := level(ds, p)) is not None}
    if ds is None or not levels or (ds.sizes["feature"], ds.sizes["hidden"]) != (20, 5):
        return Verdict(None, "nothing: the arrays lack the figure's models, n = 20 and m = 5")
    importance = ds["feature_importance"].max(["sparsity", "seed"]).values
    if not np.allclose(importance / importance[0], 0.7 ** np.arange(20), rtol=1e-3):
        return Verdict(None, "nothing: the arrays lack the figure's importances, 0.7^i")
    found = {p: int(models["represented"][0].sum()) for p, models in levels.items()}
    holds = all(READ_OFF[p][0] - 1 <= bars <= sum(READ_OFF[p]) + 1 for p, bars in found.items())
    words = f"{', '.join(map(str, found.values()))} bars at p = {', '.join(f'{p:g}' for p in found)}"
    ranges = ", ".join(f"{full}" + f" to {full + part}" * (part > 0) for full, part in (READ_OFF[p] for p in found))
    return Verdict(holds, words, f"{ranges}, within one bar", seeds=ds.sizes["seed"])


experiment = Experiment(
    figure=figure,
    claims=(
        Claim("The linear model keeps the m most important features, orthogonal.", SOURCE, linear_keeps_the_first),
        Claim("The linear loss is p/3 - p^2/4 times the importances it drops.", SOURCE, linear_is_optimal),
        Claim("At p = 1 the ReLU model is the linear one.", SOURCE, equal_when_dense),
        Claim("The ReLU model's features per dimension do not fall as p falls.", SOURCE, more_when_sparser),
        Claim("The ReLU model's features per dimension rise from 1 to above 2.", SOURCE, from_one_to_above_two),
        said_of_the_best(
            "Superposition starts with the less important features.",
            0.3,
            first_alone,
            lambda model: "alone {}, in superposition {}".format(*map(span, alone_and_shared(model))),
            "each of the former before each of the latter",
        ),
        said_of_the_best(
            "Superposition starts as antipodal pairs.",
            0.3,
            all_paired,
            lambda model: "{} features in pairs, greatest cosine {:.3f}".format(*partners(model)),
            f"all features in superposition, cosines below {ANTIPODAL}",
        ),
        said_of_the_best(
            "At high sparsity all represented features are in superposition.",
            0.001,
            lambda model: not alone_and_shared(model)[0].size and model["superposed"].any(),
            lambda model: "alone {}, in superposition {}".format(*map(span, alone_and_shared(model))),
            "none alone",
        ),
        said_of_the_best(
            "At high sparsity some interference is positive, and biases are negative.",
            0.001,
            lambda model: greatest(model)[0] > 0.1 and greatest(model)[1] < 0,
            lambda model: "cosines up to {:.2f}, biases up to {:.3f}".format(*greatest(model)),
            "cosines above 0.1, all biases below 0",
        ),
        Claim("As many features are represented as in the paper's figure.", SOURCE, counts_as_in_the_figure),
    ),
)
