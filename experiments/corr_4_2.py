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
from functools import partial

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure

from superpose import alignment, angles, points, selection, set_geometry, set_shapes, statistics
from superpose.experiment import Claim, Experiment, Verdict
from superpose.set_shapes import CLOSE

SOURCE = "Correlated and Anticorrelated Features"
SPARSE = 0.05
"""The density up to which a level is on the sparse side: where the paper's hexagon of three pairs begins."""
DENSE = 0.5
LOSS = 0.05
HALF = 0.02
NOTHING = 1e-3
PANELS = 5
ALONE = "#666666"
"""The colour of features in no set."""

Holds = Callable[[float], bool]
Value = Callable[[xr.Dataset], float]
Group = Callable[[xr.Dataset], bool]
Where = Callable[[float], bool]
Levels = list[tuple[float, list[xr.Dataset]]]


def sparse(p: float) -> bool:
    return p <= 1.001 * SPARSE


def figure(tree: xr.DataTree) -> Figure:
    """A row for each variant, a panel for each density: the best model's features as points, coloured by set."""
    shown = [selection.one_point(node.to_dataset()) for node in tree.children.values() if "relation" in node]
    most = max((min(ds.sizes["sparsity"], PANELS) for ds, _ in shown), default=1)
    figure = Figure(figsize=(6.9, 0.55 + 1.5 * max(len(shown), 1)))
    grid = figure.subplots(max(len(shown), 1), most, squeeze=False)
    for k, (row, (ds, _)) in enumerate(zip(grid, shown, strict=False)):
        panels(row, ds, titles=k == 0)
    reach = max((ax.get_xlim()[1] for ax in grid.flat), default=points.REACH)
    for ax in grid.flat if shown else ():
        ax.set(xlim=(-reach, reach), ylim=(-reach, reach))
    sets = [ds.sizes["set"] for ds, _ in shown if set_shapes.relation(ds) != "independent"]
    if sets:
        names = [f"set {k + 1}" for k in range(sets[0])]
        ring = "a collapsed pair" if any(set_shapes.relation(ds) == "correlated" for ds, _ in shown) else ""
        points.legend_of_sets(figure, names, ring, loc="outside upper center", ncols=len(names) + bool(ring))
    told = {
        f"$n$ = {ds.sizes['feature']}, $m$ = {ds.sizes['hidden']}{', ' + note if note else ''}; each panel"
        f" {selection.best_of(ds)}; percentages are of all seeds at that density"
        for ds, note in shown
    }
    figure.supxlabel("\n".join(told), fontsize=7)
    return figure


def panels(row: Iterable[Axes], ds: xr.Dataset, *, titles: bool) -> None:
    """The best models of a variant from dense to sparse, and of how many seeds what it is about is true."""
    levels = selection.evenly(ds.sizes["sparsity"], PANELS)
    sets, kind, best = ds.sizes["set"], set_shapes.relation(ds), statistics.best(ds)
    orders = alignment.exchanges(sets, ds.sizes["feature"] // sets) if sets <= 3 and ds.sizes["feature"] <= 6 else []
    each = alignment.in_one_frame([selection.weights(best.isel(sparsity=place))[:2] for place in levels], orders)
    reach = max([points.REACH, *(1.1 * float(np.abs(W).max()) for W in each if np.isfinite(W).all())])
    plural = kind != "independent"
    alone = np.tile(to_rgba(ALONE), (ds.sizes["feature"], 1))
    colours = points.of_sets(sets, ds.sizes["feature"] // sets) if plural else alone
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


SHARES: dict[str, tuple[str, Callable[[xr.Dataset], bool]]] = {
    "correlated": ("collapsed", set_shapes.collapsed),
    "anticorrelated": ("antipodal", lambda model: bool((model["within_highest"] < CLOSE - 1).all())),
    "independent": ("hexagon", set_shapes.hexagon),
}
"""What is counted below the panels of each kind of features."""


def about(kind: str, n: int, where: Where, judge: Callable[[Levels], Verdict]) -> Callable[..., Verdict | None]:
    """A check of the densities of a side; nothing is said where no variant has n such features, in pairs, in m = 2."""

    def check(tree: xr.DataTree) -> Verdict | None:
        ds = set_shapes.variant(tree, kind, n, 2, n if kind == "independent" else n // 2)
        levels = [] if ds is None else [(p, models) for p, models in selection.levels(ds) if where(p)]
        nothing = None if ds is None else Verdict(None, "nothing: no model at such densities")
        return judge(levels) if levels else nothing

    return check


def said(
    text: str,
    value: Value,
    holds: Holds,
    expected: str,
    *,
    kind: str,
    n: int,
    where: Where = sparse,
    ours: bool = False,
) -> Claim:
    """A sentence on a number of the best model at each density of a side; and the seeds of which it is true."""

    def judge(levels: Levels) -> Verdict:
        found = [[value(model) for model in models] for _, models in levels]
        listed = ", ".join(f"{values[0]:.3g}" for values in found)
        true = [sum(map(holds, values)) for values in found]
        words = f"{listed} at p = {at(levels)}; true of {', '.join(map(str, true))} of {len(found[0])} seeds"
        return Verdict(all(holds(values[0]) for values in found), words, expected, seeds=len(found[0]))

    return Claim(text, SOURCE, about(kind, n, where, judge), ours)


def at(levels: Levels) -> str:
    return ", ".join(f"{p:.3g}" for p, _ in levels)


def prefers(better: Group, worse: Group) -> Callable[[Levels], Verdict]:
    """At each density that has models of both groups: is the least loss of one below that of the other?"""

    def judge(levels: Levels) -> Verdict:
        least = [
            [min((loss_ratio(m) for m in models if own(m)), default=np.nan) for own in (better, worse)]
            for _, models in levels
        ]
        both = [(level, pair) for level, pair in zip(levels, least, strict=True) if np.isfinite(pair).all()]
        if not both:
            return Verdict(None, "nothing: no density has models of both kinds")
        words = ", ".join(f"{one:.3g} against {other:.3g}" for _, (one, other) in both)
        words = f"least losses, over 2 p^2 / 3: {words} at p = {at([level for level, _ in both])}"
        holds = all(one < other for _, (one, other) in both)
        return Verdict(holds, words, "the first below the second", seeds=len(levels[0][1]))

    return judge


def farthest(name: str, aim: float) -> Value:
    """Of a measure of sets or features, the number farthest from `aim`."""

    def value(model: xr.Dataset) -> float:
        numbers = model[name].values.astype(float)
        return float(numbers[np.abs(numbers - aim).argmax()])

    return value


def near(aim: float, within: float) -> Holds:
    return lambda value: bool(abs(value - aim) <= within)


def halves(model: xr.Dataset) -> int:
    """How many features are joined with their partner alone and have D_i = 1/2."""
    half = bool((np.abs(model["dimensionality"] - 0.5) <= HALF).all())
    return set_shapes.linked(model, own=True) if half else 0


def loss_ratio(model: xr.Dataset) -> float:
    """The loss over 2 p^2 / 3."""
    return float(model["loss"]) / (2 * float(model["density"]) ** 2 / 3)


def unexplained(model: xr.Dataset) -> float:
    """The loss over that of giving back 0, n / 2 sets of E x^2 = p / 3."""
    return float(model["loss"]) / (float(model["density"]) / 3 * model.sizes["feature"] / 2)


def some_collapse(levels: Levels) -> Verdict:
    counts = [sum(map(set_shapes.collapsed, models)) for _, models in levels]
    words = f"{', '.join(map(str, counts))} of {len(levels[0][1])} seeds at p = {at(levels)}"
    some = all(0 < count < len(models) for count, (_, models) in zip(counts, levels, strict=True))
    return Verdict(some, words, "some seeds, not all, at each density", seeds=len(levels[0][1]))


everywhere: Where = lambda p: True
of_four = partial(said, kind="correlated", n=4)
of_opposites = partial(said, kind="anticorrelated", n=4, where=everywhere)

experiment = Experiment(
    figure=figure,
    measure=set_geometry.measure,
    dims=set_geometry.DIMS,
    attributes=set_geometry.ATTRIBUTES,
    claims=(
        of_four(
            "Two correlated pairs: the features of a pair are orthogonal.",
            farthest("within_lowest", 0.0),
            near(0.0, CLOSE),
            f"each cosine 0 within {CLOSE:g}, at p <= {SPARSE:g}",
        ),
        of_four(
            "They lie in different tegum factors, each shared with one feature of the other pair.",
            lambda model: set_shapes.linked(model, own=False),
            near(4, 0),
            f"all 4 features have |W_i . W_j| > {CLOSE:g} with one other, of the other pair, at p <= {SPARSE:g}",
        ),
        of_four(
            "Features of different pairs that share a factor are antipodal.",
            farthest("across_lowest", -1.0),
            near(-1.0, CLOSE),
            f"the lowest cosine of each feature -1 within {CLOSE:g}, at p <= {SPARSE:g}",
        ),
        of_four(
            "The loss is that of two antipodal pairs of independent features, 2 p^2 / 3.",
            loss_ratio,
            near(1.0, LOSS),
            f"a ratio of 1 within {LOSS:g}, at p <= {SPARSE:g}",
            ours=True,
        ),
        of_four(
            "When dense, pairs collapse to their principal component.",
            lambda model: float(model["collapsed"].sum()),
            near(2, 0),
            f"2 collapsed pairs, at p = {DENSE:g}",
            where=lambda p: bool(np.isclose(p, DENSE)),
        ),
        Claim(
            "Being orthogonal is preferred to lying side by side.",
            SOURCE,
            about("correlated", 4, lambda p: p < 0.99 * DENSE, prefers(set_shapes.orthogonal, set_shapes.side_by_side)),
        ),
        of_opposites(
            "Anticorrelated features of a pair are antipodal.",
            farthest("within_lowest", -1.0),
            near(-1.0, CLOSE),
            f"each cosine -1 within {CLOSE:g}, at all densities",
        ),
        of_opposites(
            "They share a tegum factor, and each pair has one to itself: D = 1/2.",
            halves,
            near(4, 0),
            f"all 4 features have |W_i . W_j| > {CLOSE:g} with their partner alone, and D_i 1/2 within {HALF:g}",
        ),
        of_opposites(
            "That costs nothing: the loss is 0.",
            unexplained,
            lambda value: value <= NOTHING,
            f"at most {NOTHING:g} of what giving back 0 costs, at all densities",
        ),
        said(
            "Three correlated pairs lie side by side: a hexagon in which those of a pair are neighbours.",
            set_shapes.hexagon_of_pairs,
            near(1, 0),
            f"angles of 60 degrees within {angles.DEGREES:g}, pairs adjacent, at p <= {SPARSE:g}",
            kind="correlated",
            n=6,
        ),
        Claim("Some runs of three correlated pairs collapse.", SOURCE, about("correlated", 6, sparse, some_collapse)),
        Claim(
            "Lying side by side is preferred to collapsing.",
            SOURCE,
            about("correlated", 6, sparse, prefers(set_shapes.side_by_side, set_shapes.collapsed)),
        ),
        said(
            "Models will not embed six independent features as a hexagon like this.",
            set_shapes.hexagon,
            near(0, 0),
            f"angles other than 60 degrees within {angles.DEGREES:g}, at all densities",
            kind="independent",
            n=6,
            where=everywhere,
        ),
    ),
)
