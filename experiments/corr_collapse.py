"""Three correlated pairs in two dimensions, dense to sparse: how many of them collapse to what they have in common.

Paper: "Correlated and Anticorrelated Features". n = 6 features in three sets of two, m = 2, equal importance,
x' = ReLU(W^T W x + b). A set is active with probability p = 1 - S, and then both of its features.

    python -m superpose.run experiment=corr_collapse

You should see: when dense, all three pairs are one direction each, as in principal component analysis (PCA); as p
falls, one pair after the other opens, until all features lie in a hexagon, those of a pair side by side.

A pair has collapsed where the cosine of its features is above 0.9 (`superpose.set_geometry`). The paper speaks of what
models train to, so its regimes are compared with the commonest number of collapsed pairs among the seeds; what the seed
of the lowest loss does, the optimum, is reported beside it and judged by a claim of its own. Both are shown.

At p = 1 all features are always active, the sets mean nothing and every direction explains as much as any other: that
density, the end of the paper's first regime, counts nowhere.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch

from superpose import alignment, angles, diagrams, plots, points, selection, set_geometry, set_shapes, statistics
from superpose.collapse import Collapse, resampled, threshold
from superpose.experiment import Claim, Experiment, Verdict

SOURCE = "Correlated and Anticorrelated Features"
PAIRS = 3
APPROXIMATE = 1.25
"""The factor by which a threshold may miss the paper's: the gap that it leaves between two regimes, 0.2 to 0.25."""
ALIKE = 0.1
"""How far, of 1, two norms, a loss or an entry of W^T W may be from what it is compared with."""
COLOURS = ("#e4e4e4", "#b4b4b4", "#7a7a7a", "#333333")
"""Of 0, 1, 2 and 3 collapsed pairs."""


class Regime(NamedTuple):
    """The paper's name of a regime, its densities, and how many pairs have collapsed."""

    name: str
    low: float
    high: float
    pairs: int


REGIMES = (
    Regime("most PCA-like", 0.5, 1.0, 3),
    Regime("all collapsed", 0.25, 0.5, 3),
    Regime("two collapsed", 0.15, 0.2, 2),
    Regime("one collapsed", 0.05, 0.15, 1),
    Regime("none (hexagon)", 0.0, 0.05, 0),
)
THRESHOLDS = {3: (0.2, 0.25), 2: (0.15, 0.15), 1: (0.05, 0.05)}
"""So many pairs -> the densities between which the paper has one fewer."""


def principal_loss(p: float, n: int, sets: int, m: int) -> float:
    """The loss of the best linear model of correlated sets: of the covariance's eigenvalues, the n - m smallest.

    A feature has variance v = p / 3 - p^2 / 4, two of a set of k the covariance c = p / 4 - p^2 / 4. A set has the
    eigenvalue v + (k - 1) c once, for the sum of its features, and k - 1 times v - c = p / 12.

    Args:
        p: density of a set. n: features. sets: how many. m: hidden dimensions.
    """
    size = n // sets
    v, c = p / 3 - p**2 / 4, p / 4 - p**2 / 4
    return float(np.sort([v + (size - 1) * c] * sets + [v - c] * (n - sets))[: n - m].sum())


def arrays(tree: xr.DataTree) -> xr.Dataset | None:
    """The arrays of three correlated pairs in two dimensions below p = 1, dense first; None: there are none."""
    ds = set_shapes.variant(tree, "correlated", 2 * PAIRS, 2, PAIRS)
    if ds is None:
        return None
    usable = (ds["loss"].notnull() & ds["finite"].astype(bool)).any("seed")
    ds = ds.isel(sparsity=np.flatnonzero(usable & (ds["density"] < 1 - 1e-6)))
    return ds.sortby("density", ascending=False) if ds.sizes["sparsity"] else None


def collapse(ds: xr.Dataset) -> Collapse:
    usable = ds["loss"].notnull() & ds["finite"].astype(bool)
    loss = ds["loss"].where(usable, np.inf).transpose("sparsity", "seed").values
    return Collapse(ds["density"].values, loss, ds["collapsed"].sum("set").transpose("sparsity", "seed").values, PAIRS)


def figure(tree: xr.DataTree) -> Figure:
    """A model of each of the paper's regimes above; below, how many pairs have collapsed, over density."""
    figure, ds = Figure(figsize=(6.9, 4.6)), arrays(tree)
    if ds is None:
        figure.supxlabel("no models of three correlated pairs in two dimensions", fontsize=8)
        return figure
    above, below = (figure.add_subfigure(row) for row in figure.add_gridspec(2, 1, height_ratios=(1.95, 2.65)))
    found, best = collapse(ds), statistics.best(ds)
    ends = [(max(regime.low, found.density[-1]), min(regime.high, found.density[0])) for regime in REGIMES]
    middles = np.sqrt(np.prod(ends, axis=1))
    shown = [int(np.abs(np.log(found.density / middle)).argmin()) for middle in middles]
    models = [selection.weights(best.isel(sparsity=k)) for k in shown]
    turned = alignment.in_one_frame(models, alignment.exchanges(PAIRS, 2))
    for ax, regime, k, W in zip(above.subplots(1, len(REGIMES)), REGIMES, shown, turned, strict=True):
        points.plane(ax)
        points.points(ax, W, points.of_sets(PAIRS, 2), size=points.ringed(W, PAIRS))
        ax.set_title(f"$1-S = {found.density[k]:.2g}$")
        ax.set_xlabel(f"paper: {regime.name}\nhere: {found.best[k]} collapsed", fontsize=7)
    names = [f"pair {k + 1}" for k in range(PAIRS)]
    points.legend_of_sets(above, names, "a collapsed pair", loc="outside upper center", ncols=PAIRS + 1)
    strips(below, found, shown)
    words = f"$n$ = 6, $m$ = 2; above, {selection.best_of(ds)} at the densities of the triangles"
    below.supxlabel(f"{words}; no regime of the paper's where hatched", fontsize=7)
    return figure


def strips(part: SubFigure, found: Collapse, shown: list[int]) -> None:
    """Strips over density, dense on the left: the paper's regimes, most seeds, the best, and the share of all."""
    paper, most, best, share = part.subplots(4, 1, sharex=True, height_ratios=(1, 1, 1, 5))
    edges = diagrams.edges(found.density)
    paper.axvspan(edges[0], edges[-1], facecolor="white", edgecolor=plots.FAINT, hatch="////", linewidth=0)
    for regime in REGIMES:
        ends = min(regime.high, edges[0]), max(regime.low, edges[-1])
        paper.axvspan(*(edges[0], ends[1]) if regime is REGIMES[0] else ends, color=COLOURS[regime.pairs], linewidth=0)
    for ax, own in ((most, found.commonest), (best, found.best)):
        for left, right, pairs in zip(edges[:-1], edges[1:], own, strict=True):
            ax.axvspan(left, right, color=COLOURS[pairs], linewidth=0)
    lower = np.cumsum([np.zeros(len(found.density)), *found.shares.T], axis=0)
    for k, own in enumerate(found.shares.T):
        share.bar(edges[:-1], own, np.diff(edges), lower[k], align="edge", color=COLOURS[k], linewidth=0)
    marks = {"color": "white", "markeredgecolor": plots.INK, "markeredgewidth": 0.6, "markersize": 5}
    best.plot(found.density[shown], [0.5] * len(shown), "v", **marks)
    plots.logarithmic(share)
    share.set(xlim=(edges[0], edges[-1]), ylim=(0, 1), xlabel="feature density $1-S$")
    share.set_ylabel(f"share of\n{found.loss.shape[1]} seeds")
    for ax, name in ((paper, "paper"), (most, "commonest"), (best, "best seed")):
        ax.set(yticks=[0.5], ylim=(0, 1))
        ax.set_yticklabels([name])
        ax.tick_params(axis="both", length=0, which="both", labelbottom=False)
        ax.spines[:].set(visible=True, linewidth=0.4)
    patches = [Patch(facecolor=colour, edgecolor=plots.INK, linewidth=0.4) for colour in COLOURS]
    words = [f"{k} collapsed pairs" if k != 1 else "1 collapsed pair" for k in range(PAIRS + 1)]
    part.legend(patches, words, loc="outside upper center", ncols=4, frameon=False, handlelength=1.2)


def said(
    text: str, check: Callable[[xr.Dataset, Collapse], tuple[bool | None, str]], expected: str, *, ours: bool = False
) -> Claim:
    """A sentence on the models at all densities."""

    def judged(tree: xr.DataTree) -> Verdict | None:
        ds = arrays(tree)
        if ds is None:
            return Verdict(None, "nothing: the arrays lack three correlated pairs in m = 2 below p = 1")
        holds, words = check(ds, collapse(ds))
        return Verdict(holds, words, expected, seeds=ds.sizes["seed"])

    return Claim(text, SOURCE, judged, ours)


def listed(numbers: np.ndarray) -> str:
    return " ".join(map(str, numbers))


def falls(ds: xr.Dataset, found: Collapse) -> tuple[bool | None, str]:
    below = found.density <= 1.001 * REGIMES[0].low
    words = f"{listed(found.commonest)} from p = {found.density[0]:.2g} to {found.density[-1]:.2g}"
    words += f"; of the best seed {listed(found.best)}"
    if not below.any():
        return None, words
    own = found.commonest[below]
    return bool((np.diff(own) <= 0).all()) and set(own) == {0, 1, 2, 3}, words


def papers(least: int) -> tuple[float, float]:
    return THRESHOLDS[least][0] / APPROXIMATE, THRESHOLDS[least][1] * APPROXIMATE


def at_the_papers(least: int) -> Callable[[xr.DataTree], Verdict]:
    """Whether most seeds change where the paper has it."""
    low, high = papers(least)
    expected = f"{low:.2g} to {high:.2g}, the paper's within a factor of {APPROXIMATE:g}"

    def judged(tree: xr.DataTree) -> Verdict:
        ds = arrays(tree)
        found = None if ds is None else collapse(ds)
        at = np.nan if found is None else threshold(found.density, found.commonest, least)
        if found is None or np.isnan(at):
            return Verdict(None, f"nothing: no densities between which fewer than {least} pairs collapse")
        own = threshold(found.density, found.best, least)
        words = f"p = {at:.3g} for the commonest number among the seeds; {own:.3g} for the best seed"
        return Verdict(low <= at <= high, words, expected, resampled(found, least), found.loss.shape[1])

    return judged


def best_at_the_papers(ds: xr.Dataset, found: Collapse) -> tuple[bool | None, str]:
    at = np.array([threshold(found.density, found.best, least) for least in THRESHOLDS])
    if np.isnan(at).any():
        return None, "nothing: the best seeds do not go from three collapsed pairs to none"
    words = f"fewer than 3, 2, 1 pairs below p = {', '.join(f'{p:.3g}' for p in at)}"
    return all(papers(k)[0] <= p <= papers(k)[1] for k, p in zip(THRESHOLDS, at, strict=True)), words


def from_pca(W: np.ndarray) -> float:
    """The farthest that an entry of W^T W is from the nearest solution of PCA.

    PCA of three like pairs in two dimensions keeps a plane, any, of the space of the three sums (a + b) / sqrt(2):
    W^T W is the projection on it. The nearest one has the W whose rows, in that space, are made orthonormal.
    """
    sums = np.kron(np.eye(PAIRS), np.ones((2, 1))) / np.sqrt(2)
    left, _, right = np.linalg.svd(W @ sums, full_matrices=False)
    nearest = left @ right @ sums.T
    return float(np.abs(W.T @ W - nearest.T @ nearest).max())


def like_pca(ds: xr.Dataset, found: Collapse) -> tuple[bool | None, str]:
    dense = found.density >= 0.999 * REGIMES[0].low
    if not dense.any():
        return None, "nothing: no densities from 0.5 on"
    ratio = found.loss.min(axis=1) / [principal_loss(p, 2 * PAIRS, PAIRS, 2) for p in found.density]
    away = np.array([from_pca(selection.weights(model)) for model in best_models(ds)])
    words = f"W^T W off by {away[dense].max():.3f} at most, the loss {ratio[dense].min():.3f} to"
    words += f" {ratio[dense].max():.3f} times that of PCA"
    if not dense.all():
        words += f"; below p = 0.5 off by {away[~dense].min():.3f} and more, {ratio[~dense].max():.3f} times and less"
    return bool(away[dense].max() <= ALIKE and np.abs(ratio[dense] - 1).max() <= ALIKE), words


def best_models(ds: xr.Dataset) -> list[xr.Dataset]:
    best = statistics.best(ds)
    return [best.isel(sparsity=k) for k in range(ds.sizes["sparsity"])]


def hexagon(ds: xr.Dataset, found: Collapse) -> tuple[bool | None, str]:
    levels = [(p, models) for p, models in selection.levels(ds) if p <= 1.001 * REGIMES[-1].high]
    if not levels:
        return None, "nothing: no density up to 0.05"
    true = [[set_shapes.hexagon_of_pairs(model) for model in models] for _, models in levels]
    best, shares = [own[0] for own in true], [np.mean(own) for own in true]
    words = f"true of the best seed at {sum(best)} of {len(best)} densities,"
    return all(best), f"{words} of {min(shares):.0%} to {max(shares):.0%} of all seeds"


def sums(ds: xr.Dataset, found: Collapse) -> tuple[bool | None, str]:
    """How far W_a and W_b of a collapsed pair are from their mean, of its length."""
    pairs = [
        selection.weights(model).reshape(2, PAIRS, 2)[:, k].T
        for model in best_models(ds)
        for k in np.flatnonzero(model["collapsed"].values)
    ]
    if not pairs:
        return None, "nothing: no pair has collapsed"
    off = np.array([np.linalg.norm(a - b) / np.linalg.norm(a + b) for a, b in pairs])
    norms = [float(np.linalg.norm(a + b) / np.sqrt(2)) for a, b in pairs]
    words = f"off by {off.max():.3f} at most, within {ALIKE:g} in {(off <= ALIKE).sum()} of {len(off)} collapsed pairs"
    return bool(off.max() <= ALIKE), f"{words}; norms of the component {min(norms):.2f} to {max(norms):.2f}"


experiment = Experiment(
    figure=figure,
    measure=set_geometry.measure,
    dims=set_geometry.DIMS,
    attributes=set_geometry.ATTRIBUTES,
    claims=(
        said(
            "Below p = 0.5 the number of collapsed pairs falls from 3 to 2, 1 and 0 as features grow sparse.",
            falls,
            "up to p = 0.5 never a rise of the commonest number among the seeds, and all four of them",
        ),
        Claim("All three pairs are collapsed down to p = 0.25, two at 0.2.", SOURCE, at_the_papers(3)),
        Claim("Two pairs are collapsed down to p = 0.15, one below.", SOURCE, at_the_papers(2)),
        Claim("One pair is collapsed down to p = 0.05, none below.", SOURCE, at_the_papers(1)),
        said(
            "The seeds of the lowest loss change at these densities, too.",
            best_at_the_papers,
            "; ".join("{:.2g} to {:.2g}".format(*papers(least)) for least in THRESHOLDS),
            ours=True,
        ),
        said(
            "From p = 0.5 on the solution is the most like principal component analysis.",
            like_pca,
            f"W^T W of the best model a projection on sums of pairs, its loss that of PCA, each within {ALIKE:g}",
        ),
        said(
            "Up to p = 0.05 the features lie in a hexagon, those of a pair side by side.",
            hexagon,
            f"angles of 60 degrees within {angles.DEGREES:g}, pairs adjacent, in the best model",
        ),
        said(
            "A collapsed pair is stored as its principal component, (a + b) / sqrt(2).",
            sums,
            f"in the best models W_a and W_b are both half of W_a + W_b, within {ALIKE:.0%}",
        ),
    ),
)
