"""Correlated and anticorrelated features in two dimensions: which of them share a direction, dense to sparse.

Paper: "Correlated and Anticorrelated Features". n features in sets of two, of equal importance, x' = ReLU(W^T W x + b).
A set is active with probability p = 1 - S: both of its features when they are correlated, one of them, either as often,
when they are anticorrelated.

    python -m superpose.run experiment=corr_4_2             two correlated pairs: orthogonal
    python -m superpose.run experiment=anticorr_4_2         two anticorrelated pairs: antipodal
    python -m superpose.run experiment=corr_6_2             three correlated pairs: side by side; and six features alone

You should see: correlated features avoid each other, at right angles, and share a line with a feature of the other set;
anticorrelated ones share a line. Three correlated pairs have no room for that: they lie side by side, a hexagon.

A model is defined up to a rotation and reflection of its hidden space, and which set is the first one, or which feature
of a set, means nothing: panels are turned, and like features exchanged, so as to be as near to the first as they can.
"""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from superpose import alignment, points, selection, set_geometry, statistics
from superpose.experiment import Claim, Experiment, Verdict

SOURCE = "Correlated and Anticorrelated Features"
SPARSE = 0.05
"""The density up to which a level is on the sparse side: where the paper's hexagon of three pairs begins."""
DENSE = 0.5
CLOSE = 0.1
"""How far a cosine may be from 0 or -1; and the |W_i . W_j| from which two features share a tegum factor."""
LOSS = 0.05
HALF = 0.02
NOTHING = 1e-3
DEGREES = 15.0
"""A quarter of the 60 degrees of a hexagon: its angles may differ by so much."""
PANELS = 5
ALONE = "#666666"
"""The colour of features in no set."""

Holds = Callable[[float], bool]
Value = Callable[[xr.Dataset], float]


def relation(ds: xr.Dataset) -> str:
    """How the features of a set depend on each other."""
    return set_geometry.RELATIONS[max(int(ds["relation"].max()), 0)]


def figure(tree: xr.DataTree) -> Figure:
    """A row for each variant, a panel for each density: the best model's features as points, coloured by set."""
    shown = [selection.one_point(node.to_dataset()) for node in tree.children.values() if "relation" in node]
    most = max((min(ds.sizes["sparsity"], PANELS) for ds, _ in shown), default=1)
    figure = Figure(figsize=(6.9, 0.55 + 1.5 * max(len(shown), 1)))
    grid = figure.subplots(max(len(shown), 1), most, squeeze=False)
    for k, (row, (ds, _)) in enumerate(zip(grid, shown, strict=False)):
        panels(row, ds, titles=k == 0)
    sets = [ds.sizes["set"] for ds, _ in shown if relation(ds) != "independent"]
    if sets:
        names = [f"set {k + 1}" for k in range(sets[0])]
        points.legend_of_sets(figure, names, loc="outside upper center", ncols=len(names))
    told = {
        f"n = {ds.sizes['feature']}, m = {ds.sizes['hidden']}{', ' + note if note else ''}; each panel"
        f" {selection.best_of(ds)}; percentages are of all seeds at that density"
        for ds, note in shown
    }
    figure.supxlabel("\n".join(told), fontsize=7)
    return figure


def panels(row: Iterable[Axes], ds: xr.Dataset, *, titles: bool) -> None:
    """The best models of a variant from dense to sparse, and of how many seeds what it is about is true."""
    levels = selection.evenly(ds.sizes["sparsity"], PANELS)
    sets, kind, best = ds.sizes["set"], relation(ds), statistics.best(ds)
    orders = alignment.exchanges(sets, ds.sizes["feature"] // sets) if sets <= 3 and ds.sizes["feature"] <= 6 else []
    each = alignment.in_one_frame([selection.weights(best.isel(sparsity=place))[:2] for place in levels], orders)
    reach = max([points.REACH, *(1.1 * float(np.abs(W).max()) for W in each if np.isfinite(W).all())])
    plural = kind != "independent"
    colours = (
        points.of_sets(sets, ds.sizes["feature"] // sets)
        if plural
        else np.tile(to_rgba(ALONE), (ds.sizes["feature"], 1))
    )
    for ax, place, W in zip(row, levels, each, strict=False):
        points.plane(ax, reach)
        points.points(ax, W, colours, size=points.ringed(W, sets) if plural else points.SIZE)
        if titles:
            ax.set_title(f"$1-S = {float(ds['density'][place]):.3g}$")
        models = selection.ranked(ds.isel(sparsity=place))
        if not models:
            ax.text(0.5, 0.6, "no model", transform=ax.transAxes, ha="center")
            continue
        word, true = SHARES[kind]
        ax.set_xlabel(f"{word} {np.mean([true(model) for model in models]):.0%}", fontsize=7)
        if place == levels[0]:
            ax.set_ylabel(kind)


def hexagon(model: xr.Dataset) -> bool:
    """Six represented features at angles of 60 degrees, within 15."""
    return bool(model["represented"].all()) and alignment.regular(selection.weights(model), DEGREES)


SHARES: dict[str, tuple[str, Callable[[xr.Dataset], bool]]] = {
    "correlated": ("collapsed", lambda model: bool(model["collapsed"].any())),
    "anticorrelated": ("antipodal", lambda model: bool((model["within_highest"] < CLOSE - 1).all())),
    "independent": ("hexagon", hexagon),
}
"""What is counted below the panels of each kind of features."""


def usable(tree: xr.DataTree, kind: str, n: int) -> list[tuple[float, list[xr.Dataset]]]:
    """Density and models, best first, of each level of the variant with so many features of that kind in pairs."""
    for node in tree.children.values():
        if not {"W", "relation"} <= set(node.data_vars) or (node.sizes["feature"], node.sizes["hidden"]) != (n, 2):
            continue
        ds = selection.one_point(node.to_dataset())[0]
        if relation(ds) == kind and ds.sizes["set"] == (n if kind == "independent" else n // 2):
            return selection.levels(ds)
    return []


def said(
    text: str,
    kind: str,
    n: int,
    value: Value,
    holds: Holds,
    expected: str,
    where: Callable[[float], bool] = lambda p: p <= 1.001 * SPARSE,
) -> Claim:
    """A sentence on a number of the best model at each density of a side; and the seeds of which it is true."""

    def check(tree: xr.DataTree) -> Verdict:
        levels = [(p, models) for p, models in usable(tree, kind, n) if where(p)]
        if not levels:
            return Verdict(None, f"nothing: the arrays lack n = {n} {kind} features in m = 2 at such densities")
        found = [[value(model) for model in models] for _, models in levels]
        listed = ", ".join(f"{values[0]:.3g}" for values in found)
        at = ", ".join(f"{p:.3g}" for p, _ in levels)
        true = [sum(map(holds, values)) for values in found]
        words = f"{listed} at p = {at}; true of {', '.join(map(str, true))} of {len(found[0])} seeds"
        return Verdict(all(holds(values[0]) for values in found), words, expected, seeds=len(found[0]))

    return Claim(text, SOURCE, check)


def farthest(name: str, aim: float) -> Value:
    """Of a measure of sets or features, the number farthest from `aim`."""

    def value(model: xr.Dataset) -> float:
        numbers = model[name].values.astype(float)
        return float(numbers[np.abs(numbers - aim).argmax()])

    return value


def near(aim: float, within: float) -> Holds:
    return lambda value: bool(abs(value - aim) <= within)


def shared(model: xr.Dataset) -> float:
    """How many features have W_i . W_j beyond 0.1 with exactly one other feature, and that of another set."""
    W = selection.weights(model)
    linked = np.abs(W.T @ W) * (1 - np.eye(W.shape[1])) > CLOSE
    sets = np.arange(W.shape[1]) // 2
    return float(sum(linked[i].sum() == 1 and sets[linked[i].argmax()] != sets[i] for i in range(len(sets))))


def density(model: xr.Dataset) -> float:
    return float(model["density"])


def loss_ratio(model: xr.Dataset) -> float:
    """The loss over 2 p^2 / 3."""
    return float(model["loss"]) / (2 * density(model) ** 2 / 3)


def unexplained(model: xr.Dataset) -> float:
    """The loss over that of giving back 0, n / 2 sets of E x^2 = p / 3."""
    return float(model["loss"]) / (density(model) / 3 * model.sizes["feature"] / 2)


def hexagon_of_pairs(model: xr.Dataset) -> float:
    """1 of a hexagon in which the features of each set are neighbours, else 0."""
    return float(hexagon(model) and bool((model["within_lowest"] > np.cos(np.radians(60 + DEGREES))).all()))


def collapses(tree: xr.DataTree) -> Verdict:
    levels = [(p, models) for p, models in usable(tree, "correlated", 6) if p <= 1.001 * SPARSE]
    if not levels:
        return Verdict(None, "nothing: the arrays lack n = 6 correlated features in m = 2 at such densities")
    counts = [sum(bool(model["collapsed"].any()) for model in models) for _, models in levels]
    words = (
        f"{', '.join(map(str, counts))} of {len(levels[0][1])} seeds at p = {', '.join(f'{p:.3g}' for p, _ in levels)}"
    )
    some = all(0 < count < len(models) for count, (_, models) in zip(counts, levels, strict=True))
    return Verdict(some, words, "some seeds, not all, at each density", seeds=len(levels[0][1]))


def exactly(count: float) -> Holds:
    return lambda value: value == count


def pairs_of(kind: str, **given: Any) -> Callable[..., Claim]:
    return lambda text, *told, **more: said(text, kind, *told, **given, **more)


correlated, anticorrelated = pairs_of("correlated"), pairs_of("anticorrelated")
everywhere: dict[str, Any] = {"where": lambda p: True}

experiment = Experiment(
    figure=figure,
    measure=set_geometry.measure,
    dims=set_geometry.DIMS,
    attributes=set_geometry.ATTRIBUTES,
    claims=(
        correlated(
            "Two correlated pairs: the features of a pair are orthogonal.",
            4,
            farthest("within_lowest", 0.0),
            near(0.0, CLOSE),
            f"each cosine 0 within {CLOSE:g}, at p <= {SPARSE:g}",
        ),
        correlated(
            "They lie in different tegum factors, each shared with one feature of the other pair.",
            4,
            shared,
            exactly(4),
            f"all 4 features have |W_i . W_j| > {CLOSE:g} with one other, of the other pair, at p <= {SPARSE:g}",
        ),
        correlated(
            "Features of different pairs that share a factor are antipodal.",
            4,
            farthest("across_lowest", -1.0),
            near(-1.0, CLOSE),
            f"the lowest cosine of each feature -1 within {CLOSE:g}, at p <= {SPARSE:g}",
        ),
        correlated(
            "The loss is that of two antipodal pairs of independent features, 2 p^2 / 3.",
            4,
            loss_ratio,
            near(1.0, LOSS),
            f"a ratio of 1 within {LOSS:g}, at p <= {SPARSE:g}",
        ),
        correlated(
            "When dense, pairs collapse to their principal component.",
            4,
            lambda model: float(model["collapsed"].sum()),
            exactly(2),
            f"2 collapsed pairs, at p = {DENSE:g}",
            where=lambda p: bool(np.isclose(p, DENSE)),
        ),
        anticorrelated(
            "Anticorrelated features of a pair are antipodal.",
            4,
            farthest("within_lowest", -1.0),
            near(-1.0, CLOSE),
            f"each cosine -1 within {CLOSE:g}, at all densities",
            **everywhere,
        ),
        anticorrelated(
            "They share a tegum factor, and each pair has one to itself: D = 1/2.",
            4,
            farthest("dimensionality", 0.5),
            near(0.5, HALF),
            f"each D_i 1/2 within {HALF:g}, at all densities",
            **everywhere,
        ),
        anticorrelated(
            "That costs nothing: the loss is 0.",
            4,
            unexplained,
            lambda value: value <= NOTHING,
            f"at most {NOTHING:g} of what giving back 0 costs, at all densities",
            **everywhere,
        ),
        correlated(
            "Three correlated pairs lie side by side: a hexagon in which those of a pair are neighbours.",
            6,
            hexagon_of_pairs,
            exactly(1),
            f"angles of 60 degrees within {DEGREES:g}, pairs adjacent, at p <= {SPARSE:g}",
        ),
        Claim("Some runs of three correlated pairs collapse.", SOURCE, collapses),
        said(
            "Models will not embed six independent features as a hexagon like this.",
            "independent",
            6,
            lambda model: float(hexagon(model)),
            exactly(0),
            f"angles other than 60 degrees within {DEGREES:g}, at all densities",
            **everywhere,
        ),
    ),
)
