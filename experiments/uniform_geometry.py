"""Uniform superposition: how many dimensions a feature has, and what shapes features form, from dense to sparse.

Paper: "The Geometry of Superposition", "Uniform Superposition", "Feature Dimensionality" and "Tegum Products". n
features of equal importance in m < n dimensions, x' = ReLU(W^T W x + b), at densities from 1 down.

    python -m superpose.run experiment=uniform_geometry             n = 400, m = 30
    python -m superpose.run experiment=uniform_geometry_200_20      n = 200, m = 20, the notebook's

You should see: D* = m / ||W||_F^2, the dimensions per represented feature, stays at 1 while features are dense, falls
to 1/2, stays there, and falls again. On the plateau at 1/2 features are antipodal pairs. Around it single features have
dimensionalities D_i of their own, near the fractions of small polytopes; dots have the colour of the shape that their
feature is a part of, as the graph of |W_i . W_j| > 0.1 has it.
"""

import itertools

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from superpose import diagrams, networks, plots, selection, tegum, theory, uniform
from superpose.experiment import Claim, Experiment, Verdict
from superpose.tegum import Component
from superpose.uniform import Level

SOURCE, SHARES, TEGUM = "Uniform Superposition", "Feature Dimensionality", "Tegum Products"
STRETCH = 20 ** (2 / 19)  # the ratio of the ends of three neighbours among the notebook's 20 densities
FINEST = 1.25  # a larger ratio of neighbouring densities is too coarse to see a plateau of that length
LEAVES = 0.95  # D* below which features are not all as good as orthogonal
CROSSING = 1 / theory.TRIPLE_POINT[1]
HALF = 0.05
LINE = "10 D_i or more within 0.005, and twice as many as 0.0125 below or above"
LETTERS = "ABCDE"
GRAPHS = len(LETTERS)
NONE = 0.02  # D_i of features that are not learned, in the figure
STRONG = 0.25  # of a link in the figure: a pentagon has 0.31 and more
FRACTIONS = {"tetrahedron": "3/4", "triangle": "2/3", "digon": "1/2", "pentagon": "2/5", "square antiprism": "3/8"}


def figure(tree: xr.DataTree) -> Figure:
    """D* over 1 / (1 - S); all D_i and their shapes over it; the features by shape; graphs of some of the models."""
    found = uniform.levels(tree)
    geometry = [one.components(STRONG) for one in found]
    figure = Figure(figsize=(6.9, 7.2))
    parts = figure.add_gridspec(4, GRAPHS, height_ratios=(1.15, 2.3, 1.05, 1.2))
    axes = [figure.add_subplot(parts[row, :]) for row in range(3)]
    sides = diagrams.edges(np.array([one.sparse for one in found] or [1.0]))
    there = [k for k, components in enumerate(geometry) if any(one.name in tegum.SIZES for one in components)]
    chosen = [there[k] for k in selection.evenly(len(there), GRAPHS)]
    stars(axes[0], found, chosen)
    scatter(axes[1], found, geometry, sides)
    networks.stacked(axes[2], sides, geometry)
    axes[2].set(xlabel=r"$1 / (1 - S)$, dense to sparse", ylabel="features\nrepresented")
    for ax in axes:
        logarithmic(ax, sides)
        ax.tick_params(labelbottom=ax is axes[2])
    for place, k in enumerate(chosen):
        ax = figure.add_subplot(parts[3, place])
        networks.network(ax, found[k].W, geometry[k])
        ax.set_title(f"$\\bf{{{LETTERS[place]}}}$  $1/(1-S) = {found[k].sparse:.3g}$", loc="left", fontsize=7)
        ax.set_anchor("N")
    figure.supxlabel(caption(tree), fontsize=7)
    return figure


def logarithmic(ax: Axes, sides: np.ndarray) -> None:
    plots.logarithmic(ax)
    ax.set(xlim=(sides[0], sides[-1]))


def stars(ax: Axes, found: list[Level], chosen: list[int]) -> None:
    """D* of every seed as a dot, of the best one as a line."""
    for height in (1.0, 0.5):
        ax.axhline(height, color=plots.FAINT, linewidth=0.6, zorder=0)
    ax.axvline(CROSSING, color=plots.FAINT, linewidth=0.6, linestyle=":", zorder=0)
    for one in found:
        ax.plot(np.full(len(one.spread), one.sparse), one.spread, ".", color=plots.FAINT, markersize=4, zorder=1)
    ax.plot([one.sparse for one in found], [one.star for one in found], color=plots.INK, zorder=2)
    for letter, k in zip(LETTERS, chosen, strict=False):
        place = found[k].sparse, found[k].star
        ax.plot(*place, "o", color=plots.INK, markersize=3, zorder=3)
        ax.annotate(letter, place, (3, 3), textcoords="offset points", fontsize=7, weight="bold")
    ax.set(ylim=(0, 1.12), yticks=[0, 0.5, 1], ylabel=r"$D^* = m / \Vert W \Vert_F^2$")


def scatter(ax: Axes, found: list[Level], geometry: list[list[Component]], sides: np.ndarray) -> None:
    """The D_i of each level, sorted, over its width, in the colour of the shape that the feature is a part of."""
    for name in (*FRACTIONS, "not learned"):
        height, shift = theory.POLYTOPES[name], {"pentagon": 0.012, "square antiprism": -0.012}.get(name, 0.0)
        words = f"{FRACTIONS.get(name, 0)}  {'antipodal pair' if name == 'digon' else name}"
        style = {"color": networks.COLOURS.get(name, plots.INK), "fontsize": 7, "va": "center"}
        ax.axhline(height, color=plots.FAINT, linewidth=0.6, zorder=0)
        ax.text(1.01, height + shift, words, transform=ax.get_yaxis_transform(), **style)
    for k, one in enumerate(found):
        colours = np.array(networks.colours(len(one.shares), geometry[k]))
        for some in (one.shares <= NONE, one.shares > NONE):
            values, order = one.shares[some], np.argsort(one.shares[some], kind="stable")
            part = np.interp(np.linspace(0.1, 0.9, len(order)), [0, 1], np.log(sides[k : k + 2]))
            ax.scatter(np.exp(part), values[order], s=3, c=colours[some][order], linewidths=0, rasterized=True)
    ax.plot([one.sparse for one in found], [one.star for one in found], color=plots.INK, linewidth=0.6, alpha=0.5)
    ax.set(ylim=(-0.03, 1.05), ylabel="feature dimensionality $D_i$")


def caption(tree: xr.DataTree) -> str:
    node = next((node for node in tree.children.values() if "dimensionality" in node), None)
    if node is None:
        return "no model"
    ds, note = selection.one_point(node.to_dataset())
    words = [f"n = {ds.sizes['feature']}, m = {ds.sizes['hidden']}", "all importances 1", note]
    return (
        f"{', '.join(filter(None, words))}; {selection.best_of(ds)}, other seeds as grey dots\n"
        "dotted: orthogonal and antipodal features have equal losses; "
        f"shapes: components of the graph $|W_i \\cdot W_j| > {STRONG:g}$"
    )


def sticky(height: float, words: str) -> Claim:
    """D* stays at a height over a stretch of densities."""

    def check(tree: xr.DataTree) -> Verdict:
        found = uniform.levels(tree)
        if len(found) < 3 or max(a.density / b.density for a, b in itertools.pairwise(found)) > FINEST:
            return Verdict(None, f"nothing: neighbouring densities differ by a factor above {FINEST:g}")
        own = np.array([one.star for one in found])
        seeds = [np.array([one.spread[k] for one in found]) for k in range(min(len(one.spread) for one in found))]
        each = [uniform.stretch(found, stars, height) for stars in seeds]
        between = uniform.stretch(found, own, 0.75)
        length = uniform.stretch(found, own, height)
        measured = f"|D* - {height:g}| <= {uniform.NEAR:g} over a factor of {length:.2f} in density"
        return Verdict(
            length >= 0.999 * STRETCH,
            f"{measured}; near 3/4 over {between:.2f}",
            f"a factor of {STRETCH:.2f} or more, three of the notebook's 20 levels",
            (min(each), max(each)),
            len(seeds),
        )

    return Claim(words, SOURCE, check)


def pooled(found: list[Level]) -> np.ndarray:
    """All D_i of the best models whose D* is below 0.95."""
    return np.concatenate([np.zeros(0), *(one.shares for one in found if one.star < LEAVES)])


def clustering(tree: xr.DataTree) -> Verdict:
    values = pooled(uniform.levels(tree))
    if not values.size:
        return Verdict(None, "nothing: no model with D* below 0.95")
    lines = [name for name in FRACTIONS if tegum.line(values, theory.POLYTOPES[name])]
    words = ", ".join(f"{FRACTIONS[name]}" for name in lines) or "none"
    return Verdict(
        "digon" in lines and len(lines) > 1,
        f"lines at {words} among {values.size} D_i",
        f"1/2 and another of these; a line has {LINE}",
        seeds=uniform.seeds_of(tree),
    )


def at_fraction(name: str) -> Claim:
    """A line of D_i at the fraction of a shape."""
    fraction = theory.POLYTOPES[name]

    def check(tree: xr.DataTree) -> Verdict:
        values = pooled(uniform.levels(tree))
        if not values.size:
            return Verdict(None, "nothing: no model with D* below 0.95")
        words = "{} D_i below, at and above it".format(", ".join(map(str, tegum.around(values, fraction))))
        return Verdict(tegum.line(values, fraction), words, LINE, seeds=uniform.seeds_of(tree))

    words = f"{FRACTIONS[name]}, the {name}" if name in FRACTIONS else "0, features that are not learned"
    return Claim(f"Feature dimensionalities cluster at {words}.", SHARES, check)


def no_line_at_one(tree: xr.DataTree) -> Verdict:
    found = uniform.levels(tree)
    if not any(one.star >= LEAVES for one in found):
        return Verdict(None, "nothing: no model with D* of 0.95 or more")
    values = np.concatenate([one.shares for one in found])
    words = f"{tegum.near(values, 1.0)} of {values.size} D_i within 0.005 of 1"
    return Verdict(
        not tegum.line(values, 1.0),
        words,
        "fewer than 10, or than twice as many as beside 1",
        seeds=uniform.seeds_of(tree),
    )


def nearest_to_half(found: list[Level]) -> Level | None:
    """The level whose D* is nearest to 1/2, if it lies on the plateau."""
    one = min(found, key=lambda one: abs(one.star - 0.5), default=None)
    return one if one is not None and abs(one.star - 0.5) <= uniform.NEAR else None


def all_in_pairs(tree: xr.DataTree) -> Verdict:
    one = nearest_to_half(uniform.levels(tree))
    if one is None or one.model.sizes["feature"] <= 2 * one.model.sizes["hidden"]:
        return Verdict(None, "nothing: no model with D* near 1/2 and n > 2 m")
    half, none = (int(np.sum(np.abs(one.shares - at) <= HALF)) for at in (0.5, 0.0))
    n, pairs = one.model.sizes["feature"], 2 * one.model.sizes["hidden"]
    words = f"{half} features within {HALF:g} of 1/2, {none} of 0, {n - half - none} elsewhere"
    expected = f"2 m = {pairs} and n - 2 m = {n - pairs}, within 5% of 2 m"
    return Verdict(
        max(abs(half - pairs), abs(none - n + pairs)) <= 0.05 * pairs, words, expected, seeds=uniform.seeds_of(tree)
    )


def crossing(tree: xr.DataTree) -> Verdict:
    found = uniform.levels(tree)
    at = np.array([one.sparse for one in found])
    place = uniform.fall(np.array([one.star for one in found]), at, 0.75)
    if not np.isfinite(place):
        return Verdict(None, "nothing: D* does not fall through 3/4 between two of the densities")
    count = min(len(one.spread) for one in found)
    each = [uniform.fall(np.array([one.spread[k] for one in found]), at, 0.75) for k in range(count)]
    words = f"D* falls through 3/4 at 1/(1-S) = {place:.3g}"
    expected = f"{CROSSING:.3g} within 10%"
    holds = abs(place / CROSSING - 1) <= 0.1
    return Verdict(holds, words, expected, (float(np.nanmin(each)), float(np.nanmax(each))), count)


def packed(tree: xr.DataTree) -> Verdict:
    found = uniform.levels(tree)
    if not found:
        return Verdict(None, "nothing: no model of features of equal importance")
    parts = [one.shares.sum() / one.model.sizes["hidden"] for one in found]
    words = f"{min(parts):.4f} m to {max(parts):.4f} m at {len(parts)} densities"
    return Verdict(bool(min(parts) >= 0.99), words, "0.99 m or more, m at most", seeds=uniform.seeds_of(tree))


def arbitrary(tree: xr.DataTree) -> Verdict:
    one = next((one for one in uniform.levels(tree) if one.density > 1 - 1e-6), None)
    if one is None:
        return Verdict(None, "nothing: the arrays lack S = 0")
    norms = one.model["norm"].values
    words = f"norms up to {norms.max():.2f}, D_i up to {one.shares.max():.2f}, D* = {one.star:.3f}"
    expected = "D* = 1 within 0.03, and all D_i below 1/2: an aligned basis has 0 and 1"
    return Verdict(
        bool(one.shares.max() < 0.5) and abs(one.star - 1) <= uniform.NEAR,
        words,
        expected,
        seeds=uniform.seeds_of(tree),
    )


def low_dimensional(tree: xr.DataTree) -> Verdict:
    found = [one for one in uniform.levels(tree) if one.star < LEAVES]
    by_edge = [[part for one in found for part in one.components(edge)] for edge in (tegum.EDGE, STRONG)]
    if not by_edge[0]:
        return Verdict(None, "nothing: no model with D* below 0.95")
    low, strong = (sum(c.size for c in some if c.dims <= 3) / sum(c.size for c in some) for some in by_edge)
    named = ", ".join(f"{count} {name}" for name, count in tegum.census(by_edge[0]).items() if name in tegum.SIZES)
    words = (
        f"{low:.0%} of the represented features are in components of at most three dimensions ({named or 'no shape'})"
    )
    return Verdict(
        low > 0.5,
        f"{words}; {strong:.0%} if links are above {STRONG:g}",
        f"more than half, links above {tegum.EDGE:g}, all densities with D* below {LEAVES:g}",
        seeds=uniform.seeds_of(tree),
    )


experiment = Experiment(
    figure=figure,
    claims=(
        sticky(1.0, "D* is sticky at 1."),
        sticky(0.5, "D* is sticky at 1/2, antipodal pairs."),
        Claim("On the plateau at 1/2, 2m features have D_i = 1/2 and the others 0.", SOURCE, all_in_pairs),
        Claim("Pairs take over where the losses of orthogonal and antipodal features cross.", SOURCE, crossing),
        Claim("Without sparsity directions are arbitrary: no basis is privileged.", SOURCE, arbitrary),
        Claim("Features are packed efficiently: their D_i sum to m.", SHARES, packed),
        Claim("The D_i cluster at 1/2, and at 3/4, 2/3, 2/5 or 3/8.", SHARES, clustering),
        *(at_fraction(name) for name in (*FRACTIONS, "not learned")),
        Claim("There is no line at 1, as dense models are rotated.", SHARES, no_line_at_one),
        Claim("Features form products of solutions of one, two and three dimensions.", TEGUM, low_dimensional),
    ),
)
