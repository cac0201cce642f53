"""Uniform superposition: how many dimensions a feature has, and what shapes features form, from dense to sparse.

Paper: "The Geometry of Superposition", "Uniform Superposition", "Feature Dimensionality" and "Tegum Products". n
features of equal importance in m < n dimensions, x' = ReLU(W^T W x + b), at densities from 1 down.

    python -m superpose.run experiment=uniform_geometry             n = 400, m = 30
    python -m superpose.run experiment=uniform_geometry_200_20      n = 200, m = 20, the notebook's

You should see: D* = m / ||W||_F^2, the dimensions per represented feature, stays at 1 while features are dense, falls
to 1/2, stays there, and falls again. On the plateau at 1/2 features are digons, antipodal pairs. Around it single
features have dimensionalities D_i of their own, near the fractions of small polytopes; dots have the colour of the
shape that their feature is a part of, as the graph of |W_i . W_j| > 0.25 has it. Lines are judged on the D_i of all
seeds whose loss is at most 1% above the lowest one at their density.
"""

import itertools
from collections.abc import Callable

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
CROSSING = 1 / theory.TRIPLE_POINT[1]
HALF = 0.05
EXACT = 0.01
LINE = "10 D_i or more within 0.005, and twice as many as 0.0125 below or above"
TOLD = {"A": 0.7, "B": 0.5, "C": 0.45, "D": 0.385, "E": 0.34}  # near which D* the graph of a model is drawn
CROWD = 60  # features of so many dimensions and more are drawn as their two largest components
NONE = 0.02  # D_i of features that are not learned, in the figure
STRONG = 0.25  # of a link in the figure: a pentagon has 0.31 and more


def figure(tree: xr.DataTree) -> Figure:
    """D* over 1 / (1 - S); all D_i and their shapes over it; the features by shape; graphs of some of the models."""
    found = uniform.levels(tree)
    geometry = [one.components(STRONG) for one in found]
    figure = Figure(figsize=(6.9, 6.2))
    parts = figure.add_gridspec(4, len(TOLD), height_ratios=(0.95, 2.1, 0.85, 1.2))
    axes = [figure.add_subplot(parts[row, :]) for row in range(3)]
    sides = diagrams.edges(np.array([one.sparse for one in found] or [1.0]))
    chosen = told(found, geometry)
    stars(axes[0], found, chosen)
    scatter(axes[1], found, geometry, sides)
    networks.stacked(axes[2], sides, geometry)
    axes[2].set(xlabel=r"$1 / (1 - S)$, dense to sparse", ylabel="features\nrepresented")
    for ax in axes:
        plots.logarithmic(ax)
        ax.set(xlim=(sides[0], sides[-1]))
        ax.tick_params(labelbottom=ax is axes[2])
    for place, (letter, k) in enumerate(chosen.items()):
        ax = figure.add_subplot(parts[3, place])
        shown = sorted(geometry[k], key=lambda one: -one.size)
        shown = shown[:2] if shown[0].size >= CROWD or shown[0].dims > 3 else shown
        networks.network(ax, found[k].W, shown)
        ax.set_title(f"$\\bf{{{letter}}}$  $1/(1-S) = {found[k].sparse:.3g}$", loc="left", fontsize=7)
        part = f"{len(shown)} of {len(geometry[k])} components" if len(shown) < len(geometry[k]) else ""
        ax.set_xlabel(part, fontsize=6)
        ax.set_anchor("N")
    figure.supxlabel(caption(tree), fontsize=7)
    return figure


def told(found: list[Level], geometry: list[list[Component]]) -> dict[str, int]:
    """Letter -> the level whose D* is nearest to one of `TOLD` and which represents a feature, each level once."""
    there, chosen = [k for k, components in enumerate(geometry) if components], {}
    for letter, star in TOLD.items():
        left = [k for k in there if k not in chosen.values()]
        if left:
            chosen[letter] = min(left, key=lambda k: abs(found[k].star - star))
    return dict(zip(TOLD, sorted(chosen.values()), strict=False))


def stars(ax: Axes, found: list[Level], chosen: dict[str, int]) -> None:
    """D* of every seed as a dot, of the best one as a line."""
    for height in (1.0, 0.5):
        ax.axhline(height, color=plots.FAINT, linewidth=0.6, zorder=0)
    ax.axvline(CROSSING, color=plots.FAINT, linewidth=0.6, linestyle=":", zorder=0)
    for one in found:
        ax.plot(np.full(len(one.spread), one.sparse), one.spread, ".", color=plots.FAINT, markersize=4, zorder=1)
    ax.plot([one.sparse for one in found], [one.star for one in found], color=plots.INK, zorder=2)
    for letter, k in chosen.items():
        place = found[k].sparse, found[k].star
        ax.plot(*place, "o", color=plots.INK, markersize=3, zorder=3)
        ax.annotate(letter, place, (3, 3), textcoords="offset points", fontsize=7, weight="bold")
    ax.set(ylim=(0, 1.12), yticks=[0, 0.5, 1], ylabel=r"$D^* = m / \Vert W \Vert_F^2$")


def scatter(ax: Axes, found: list[Level], geometry: list[list[Component]], sides: np.ndarray) -> None:
    """The D_i of each level, sorted, over its width, in the colour of the shape that the feature is a part of."""
    networks.fractions(ax)
    for k, one in enumerate(found):
        colours = np.array(networks.colours(len(one.shares), geometry[k]))
        for some in (one.shares <= NONE, one.shares > NONE):
            networks.side_by_side(ax, (sides[k], sides[k + 1]), one.shares[some], colours[some])
    ax.plot([one.sparse for one in found], [one.star for one in found], color=plots.INK, linewidth=0.6, alpha=0.5)
    ax.set(ylim=(-0.03, 1.05), ylabel="feature dimensionality $D_i$")


def caption(tree: xr.DataTree) -> str:
    node = next((node for node in tree.children.values() if "dimensionality" in node), None)
    if node is None:
        return "no model"
    ds, note = selection.one_point(node.to_dataset())
    words = [f"$n = {ds.sizes['feature']}$, $m = {ds.sizes['hidden']}$", "all importances 1", note]
    return (
        f"{', '.join(filter(None, words))}; {selection.best_of(ds)}, $D^*$ of other seeds as grey dots\n"
        "dotted: orthogonal features and digons have equal losses; $D_i$ of one density: sorted, side by side\n"
        f"shapes: components of the graph $|W_i \\cdot W_j| > {STRONG:g}$; purple, blue: lines of the authors' notebook"
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
        length, between = (uniform.stretch(found, own, at) for at in (height, 0.75))
        return Verdict(
            length >= 0.999 * STRETCH,
            f"|D* - {height:g}| <= {uniform.NEAR:g} over a factor {length:.2f} of densities, near 3/4 {between:.2f}",
            f"a factor of {STRETCH:.2f} or more, three of the notebook's 20 levels",
            (min(each), max(each)),
            len(seeds),
        )

    return Claim(words, SOURCE, check)


def clustering(tree: xr.DataTree) -> Verdict:
    values = uniform.pooled(uniform.levels(tree))
    if not values.size:
        return Verdict(None, "nothing: no model with D* below 0.95")
    lines = [name for name in networks.FRACTIONS if tegum.line(values, theory.POLYTOPES[name])]
    words = ", ".join(f"{networks.FRACTIONS[name]}" for name in lines) or "none"
    return Verdict(
        "digon" in lines and len(lines) > 1,
        f"lines at {words} among {values.size} D_i of all seeds within 1% of the lowest loss",
        f"1/2 and another of these; a line has {LINE}",
        seeds=uniform.seeds_of(tree),
    )


def at_fraction(name: str) -> Claim:
    """A line of D_i at the fraction of a shape, of all densities together; and at which of them alone there is one."""
    fraction = theory.POLYTOPES[name]

    def check(tree: xr.DataTree) -> Verdict:
        found = [one for one in uniform.levels(tree) if one.star < uniform.LEAVES]
        if not found:
            return Verdict(None, "nothing: no model with D* below 0.95")
        values = uniform.pooled(found)
        own = [one.sparse for one in found if tegum.line(one.alike.ravel(), fraction)]
        words = "{} D_i below, at and above it".format(", ".join(map(str, tegum.around(values, fraction))))
        places = f", from 1/(1-S) = {own[0]:.3g} to {own[-1]:.3g}" if own else ""
        words += f"; {len(own)} of {len(found)} densities have a line of their own{places}"
        return Verdict(tegum.line(values, fraction), words, LINE, seeds=uniform.seeds_of(tree))

    place = networks.FRACTIONS.get(name, "0")
    words = f"{place}, {f'the {name}' if name in networks.FRACTIONS else 'features that are not learned'}"
    return Claim(f"Feature dimensionalities cluster at {words}.", SHARES, check)


def no_line_at_one(tree: xr.DataTree) -> Verdict:
    found = uniform.levels(tree)
    if not any(one.star >= uniform.LEAVES for one in found):
        return Verdict(None, "nothing: no model with D* of 0.95 or more")
    values = np.concatenate([one.shares for one in found])
    words = f"{tegum.near(values, 1.0)} of {values.size} D_i within 0.005 of 1"
    return Verdict(
        not tegum.line(values, 1.0),
        words,
        "fewer than 10, or than twice as many as beside 1",
        seeds=uniform.seeds_of(tree),
    )


def all_in_digons(tree: xr.DataTree) -> Verdict:
    levels = uniform.plateau(uniform.levels(tree), 0.5)[1:-1]
    if not levels or levels[0].sizes[0] <= 2 * levels[0].sizes[1]:
        return Verdict(None, "nothing: no three neighbouring densities with D* near 1/2 and n > 2 m")
    n, m = levels[0].sizes
    counts = [[int(np.sum(np.abs(one.shares - at) <= HALF)) for at in (0.5, 0.0)] for one in levels]
    words = [f"{a} and {b} at {one.sparse:.3g}" for (a, b), one in zip(counts, levels, strict=True)]
    return Verdict(
        all(count == [2 * m, n - 2 * m] for count in counts),
        f"within {HALF:g} of 1/2 and of 0, at 1/(1-S): {', '.join(words)}",
        f"{2 * m} and {n - 2 * m}, at all densities of the plateau but its ends",
        seeds=uniform.seeds_of(tree),
    )


def as_good_as(height: float, form: Callable[[int, int, float], float], words: str, text: str) -> Claim:
    """The losses of a plateau are those of a closed form."""

    def check(tree: xr.DataTree) -> Verdict:
        levels = [one for one in uniform.levels(tree) if abs(one.star - height) <= uniform.NEAR]
        if not levels:
            return Verdict(None, f"nothing: no model with D* near {height:g}")
        ratios = [one.loss / form(*one.sizes, one.density) for one in levels]
        told = f"{min(ratios):.4f} to {max(ratios):.4f} times {words} at {len(ratios)} densities"
        holds = max(abs(ratio - 1) for ratio in ratios) <= EXACT
        return Verdict(holds, told, f"1 within {EXACT:.0%}", seeds=uniform.seeds_of(tree))

    return Claim(text, SOURCE, check, ours=True)


def crossing(tree: xr.DataTree) -> Verdict:
    found = uniform.levels(tree)
    at = np.array([one.sparse for one in found])
    place = uniform.fall(np.array([one.star for one in found]), at, 0.75)
    if not np.isfinite(place):
        return Verdict(None, "nothing: D* does not fall through 3/4 between two of the densities")
    count = min(len(one.spread) for one in found)
    each = [uniform.fall(np.array([one.spread[k] for one in found]), at, 0.75) for k in range(count)]
    words = f"D* falls through 3/4 at 1/(1-S) = {place:.3g}"
    interval = float(np.nanmin(each)), float(np.nanmax(each))
    return Verdict(abs(place / CROSSING - 1) <= 0.1, words, f"{CROSSING:.3g} within 10%", interval, count)


def packed(tree: xr.DataTree) -> Verdict:
    found = uniform.levels(tree)
    if not found:
        return Verdict(None, "nothing: no model of features of equal importance")
    parts = [one.shares.sum() / one.model.sizes["hidden"] for one in found]
    words = f"{min(parts):.4f} m to {max(parts):.4f} m at {len(parts)} densities"
    holds = bool(min(parts) >= 0.99 and max(parts) <= 1 + 1e-4)
    return Verdict(holds, words, "0.99 m or more, m at most", seeds=uniform.seeds_of(tree))


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
    found = [one for one in uniform.levels(tree) if one.star < uniform.LEAVES and one.components()]
    if not found:
        return Verdict(None, "nothing: no model with D* below 0.95 that represents features")
    parts = {edge: [tegum.part(one.components(edge), 3) for one in found] for edge in (tegum.EDGE, STRONG)}
    most = [[one.sparse for one, part in zip(found, own, strict=True) if part > 0.5] for own in parts.values()]
    words = [f"most at 1/(1-S) from {own[0]:.3g} to {own[-1]:.3g}" if own else "nowhere most" for own in most]
    return Verdict(
        len(most[0]) == len(found),
        f"{words[0]}, {len(most[0])} of {len(found)} densities; with links above {STRONG:g} {words[1]}",
        f"most features in components of at most 3 dimensions, links > {tegum.EDGE:g}, where D* < {uniform.LEAVES:g}",
        seeds=uniform.seeds_of(tree),
    )


experiment = Experiment(
    figure=figure,
    claims=(
        sticky(1.0, "D* is sticky at 1."),
        sticky(0.5, "D* is sticky at 1/2, digons."),
        Claim("On the plateau at 1/2, 2m features have D_i = 1/2 and the others 0.", SOURCE, all_in_digons, ours=True),
        as_good_as(
            1.0,
            uniform.orthogonal_loss,
            "(n - m)(p/3 - p^2/4)",
            "Where D* = 1 the loss is that of m orthogonal features and no others.",
        ),
        as_good_as(
            0.5,
            uniform.digons_loss,
            "m p^2/3 + (n - 2m)(p/3 - p^2/4)",
            "Where D* = 1/2 the loss is that of m digons of unit vectors and no other features.",
        ),
        Claim("Digons take over where the losses of orthogonal and antipodal features cross.", SOURCE, crossing, True),
        Claim("Without sparsity directions are arbitrary: no basis is privileged.", SOURCE, arbitrary),
        Claim("Features are packed efficiently: their D_i sum to m.", SHARES, packed),
        Claim("The D_i cluster at 1/2, and at 3/4, 2/3, 2/5 or 3/8.", SHARES, clustering),
        *(at_fraction(name) for name in (*networks.FRACTIONS, "not learned")),
        Claim("There is no line at 1, as dense models are rotated.", SHARES, no_line_at_one),
        Claim("Features form products of solutions of one, two and three dimensions.", TEGUM, low_dimensional),
    ),
)
