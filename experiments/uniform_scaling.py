"""How uniform superposition grows: n and m doubled together, and each alone.

Paper: "Uniform Superposition", which says that n does not matter as long as it is much larger than m, and that
doubling m doubles the features that are learned. n features of importance 1 in m dimensions, x' = ReLU(W^T W x + b).

    python -m superpose.run experiment=uniform_scaling

You should see: one curve of D* = m / ||W||_F^2 for all sizes, until the smaller n has too few features left; and
||W||_F^2, the number of features learned, twice as large for twice the dimensions. D* falls from 1 to 1/2 steeply,
and counts at one density there differ by more than the densities of the fall do: so these are compared, too.
"""

from collections.abc import Callable

import numpy as np
import xarray as xr
from jaxtyping import Num
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from superpose import plots, selection, statistics, uniform
from superpose.experiment import Claim, Experiment, Verdict

SOURCE = "Uniform Superposition"
ALIKE = 0.1
CROWDED = 0.5  # the part of all features above which ||W||_F^2 is limited by n
SMALL, DOUBLE, WIDE = (100, 10), (200, 20), (200, 10)
MIDDLE = 0.75  # between the plateaus at 1 and 1/2
STYLES = ((plots.BLUE, "o"), (plots.ORANGE, "s"), (plots.GREEN, "^"))


def sizes(tree: xr.DataTree) -> dict[tuple[int, int], xr.Dataset]:
    """(n, m) -> the arrays of that size, from dense to sparse."""
    found = {}
    for node in tree.children.values():
        if "dimensions_per_feature" in node and node["loss"].notnull().any():
            ds = selection.one_point(node.to_dataset())[0].sortby("density", ascending=False)
            found[ds.sizes["feature"], ds.sizes["hidden"]] = ds
    return found


def learned(ds: xr.Dataset) -> xr.DataArray:
    """||W||_F^2 = m / D*, about the number of features that a model represents, of each seed."""
    return (ds.sizes["hidden"] / ds["dimensions_per_feature"]).where(ds["finite"])


def figure(tree: xr.DataTree) -> Figure:
    """D* over 1 / (1 - S) of each size, and beside it the number of features learned."""
    found = sizes(tree)
    figure = Figure(figsize=(6.9, 2.8))
    stars, counts = figure.subplots(1, 2)
    for ((n, m), ds), (colour, marker) in zip(found.items(), STYLES * len(found), strict=False):
        style = {"color": colour, "marker": marker, "markersize": 3, "label": f"$n = {n}$, $m = {m}$"}
        drawn(stars, ds, ds["dimensions_per_feature"].where(ds["finite"]), style)
        drawn(counts, ds, learned(ds), style)
    for ax in (stars, counts):
        framed(ax)
    stars.axhline(0.5, color=plots.FAINT, linewidth=0.6, zorder=0)
    stars.set(ylim=(0, 1.1), ylabel=r"$D^* = m / \Vert W \Vert_F^2$")
    counts.set(ylabel=r"features learned, $\Vert W \Vert_F^2$")
    plots.logarithmic(counts, "y")
    if found:
        counts.legend(frameon=False)
    note = next((selection.best_of(ds) for ds in found.values()), "no model")
    figure.supxlabel(f"all importances 1; lines: {note}, bars: the lowest and the highest of all", fontsize=7)
    return figure


def drawn(ax: Axes, ds: xr.Dataset, values: xr.DataArray, style: dict) -> None:
    at = 1 / ds["density"].values
    ax.plot(at, of_best(ds, values), **style)
    ax.vlines(at, values.min("seed").values, values.max("seed").values, color=style["color"], linewidth=0.8, alpha=0.6)


def of_best(ds: xr.Dataset, values: xr.DataArray) -> Num[np.ndarray, " l"]:
    """Of values of all seeds, at each density that of the lowest loss."""
    return statistics.best(ds[["loss", "finite"]].assign(value=values))["value"].values


def framed(ax: Axes) -> None:
    plots.logarithmic(ax)
    ax.set(xlabel="$1 / (1 - S)$, dense to sparse")


def compared(one: tuple[int, int], other: tuple[int, int], factor: float) -> Callable[[xr.DataTree], Verdict]:
    """Is the number of features learned in `other` a factor times that in `one`, wherever n limits neither?"""

    def check(tree: xr.DataTree) -> Verdict:
        found = sizes(tree)
        if one not in found or other not in found:
            return Verdict(None, f"nothing: the arrays lack n, m = {one} or {other}")
        pair = [found[one], found[other]]
        if pair[0].sizes["sparsity"] != pair[1].sizes["sparsity"]:
            return Verdict(None, "nothing: the two sizes have other densities")
        best = [of_best(ds, learned(ds)) for ds in pair]
        free = np.all([a <= CROWDED * ds.sizes["feature"] for a, ds in zip(best, pair, strict=True)], axis=0)
        if not free.any():
            return Verdict(None, f"nothing: more than {CROWDED:g} n features are learned at all densities")
        ratio = (best[1] / best[0])[free]
        worst = int(np.argmax(np.abs(ratio / factor - 1)))
        at = 1 / pair[0]["density"].values[free]
        near = int(np.sum(np.abs(ratio / factor - 1) <= ALIKE))
        words = f"{ratio.min():.3f} to {ratio.max():.3f}, within 10% at {near} of {len(at)} densities"
        words += f", farthest at 1/(1-S) = {at[worst]:.3g}"
        expected = f"{factor:g} within {ALIKE:.0%} where at most {CROWDED:g} n are learned"
        seeds = min(ds.sizes["seed"] for ds in pair)
        return Verdict(bool(abs(ratio[worst] / factor - 1) <= ALIKE), words, expected, seeds=seeds)

    return check


def fall(ds: xr.Dataset) -> float:
    """1 / (1 - S) at which D* of the best models falls through 3/4."""
    stars = of_best(ds, ds["dimensions_per_feature"].where(ds["finite"]))
    return uniform.fall(stars, 1 / ds["density"].values, MIDDLE)


def same_fall(tree: xr.DataTree) -> Verdict:
    """Do all sizes leave D* = 1 for 1/2 at the same density?"""
    found = sizes(tree)
    places = {size: place for size, ds in found.items() if np.isfinite(place := fall(ds))}
    if len(places) < 2:
        return Verdict(None, f"nothing: D* falls through {MIDDLE:g} in fewer than two of the sizes")
    words = ", ".join(f"{place:.3g} for n, m = {n}, {m}" for (n, m), place in places.items())
    apart = max(places.values()) / min(places.values()) - 1
    expected = f"1/(1-S) of the fall through {MIDDLE:g} within {ALIKE:.0%} of one another"
    seeds = min(ds.sizes["seed"] for ds in found.values())
    return Verdict(apart <= ALIKE, f"at 1/(1-S) = {words}", expected, seeds=seeds)


experiment = Experiment(
    figure=figure,
    claims=(
        Claim("Doubling n and m doubles the features learned: D* is the same.", SOURCE, compared(SMALL, DOUBLE, 2)),
        Claim("n does not matter while it is much larger than m.", SOURCE, compared(SMALL, WIDE, 1)),
        Claim("Doubling m doubles the features learned.", SOURCE, compared(WIDE, DOUBLE, 2)),
        Claim("Models of all sizes leave D* = 1 for 1/2 at the same density.", SOURCE, same_fall, ours=True),
    ),
)
