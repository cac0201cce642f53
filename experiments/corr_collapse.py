"""Three correlated pairs in two dimensions, dense to sparse: how many of them collapse to what they have in common.

Paper: "Correlated and Anticorrelated Features". n = 6 features in three sets of two, m = 2, equal importance,
x' = ReLU(W^T W x + b). A set is active with probability p = 1 - S, and then both of its features.

    python -m superpose.run experiment=corr_collapse

You should see: when dense, all three pairs are one direction each, as in principal component analysis (PCA); as p
falls, one pair after the other opens, until all features lie in a hexagon, those of a pair side by side.

A pair has collapsed where the cosine of its features is above 0.9 (`superpose.set_geometry`). At p = 1 all features are
always active, the sets mean nothing and every direction explains as much as any other: that density counts nowhere.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.figure import Figure, SubFigure
from matplotlib.patches import Patch
from matplotlib.ticker import LogLocator

from superpose import alignment, angles, diagrams, plots, points, selection, set_geometry, statistics
from superpose.experiment import Claim, Experiment, Verdict

SOURCE = "Correlated and Anticorrelated Features"
PAIRS = 3
APPROXIMATE = 1.25
"""The factor by which a threshold may miss the paper's: the gap that it leaves between two regimes, 0.2 to 0.25."""
DEGREES = 15.0
ALIKE = 0.1
RESAMPLES = 500
COLOURS = ("#f1eef6", "#bdc9e1", "#74a9cf", "#045a8d")
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


class Collapse(NamedTuple):
    """Of densities below 1, falling: loss and number of collapsed pairs of every seed (infinite loss: unusable)."""

    density: np.ndarray
    loss: np.ndarray
    pairs: np.ndarray

    @property
    def best(self) -> np.ndarray:
        """The collapsed pairs of the seed of the lowest loss at each density."""
        return np.take_along_axis(self.pairs, self.loss.argmin(axis=1)[:, None], axis=1)[:, 0]


def arrays(tree: xr.DataTree) -> xr.Dataset | None:
    """The arrays of three correlated pairs in two dimensions below p = 1, dense first; None: there are none."""
    for node in tree.children.values():
        if not {"W", "collapsed", "relation"} <= set(node.data_vars):
            continue
        ds = selection.one_point(node.to_dataset())[0]
        known = ds["relation"].max() == set_geometry.RELATIONS.index("correlated")
        if known and tuple(ds.sizes[dim] for dim in ("feature", "hidden", "set")) == (6, 2, PAIRS):
            usable = (ds["loss"].notnull() & ds["finite"].astype(bool)).any("seed")
            ds = ds.isel(sparsity=np.flatnonzero(usable & (ds["density"] < 1 - 1e-6)))
            return ds.sortby("density", ascending=False) if ds.sizes["sparsity"] else None
    return None


def collapse(ds: xr.Dataset) -> Collapse:
    usable = ds["loss"].notnull() & ds["finite"].astype(bool)
    loss = ds["loss"].where(usable, np.inf).transpose("sparsity", "seed").values
    return Collapse(ds["density"].values, loss, ds["collapsed"].sum("set").transpose("sparsity", "seed").values)


def bracket(density: np.ndarray, pairs: np.ndarray, least: int) -> tuple[float, float]:
    """The neighbouring densities below which, for good, fewer than `least` pairs are collapsed; NaN: there are none."""
    last = np.flatnonzero(pairs >= least)
    if not len(last) or last[-1] + 1 == len(density):
        return np.nan, np.nan
    return float(density[last[-1] + 1]), float(density[last[-1]])


def threshold(found: Collapse, least: int) -> float:
    """The middle of the best seeds' bracket, in the logarithm."""
    return float(np.sqrt(np.prod(bracket(found.density, found.best, least))))


def resampled(found: Collapse, least: int) -> tuple[float, float] | None:
    """The bootstrap interval of a bracket: seeds are drawn with replacement, and the best of them taken."""
    rng, seeds = np.random.default_rng(0), found.loss.shape[1]
    draws = [rng.integers(seeds, size=seeds) for _ in range(RESAMPLES)]
    picked = [found._replace(loss=found.loss[:, own], pairs=found.pairs[:, own]) for own in draws]
    low, high = zip(*(bracket(found.density, own.best, least) for own in picked), strict=True)
    return None if np.isnan(low).any() else (float(np.quantile(low, 0.025)), float(np.quantile(high, 0.975)))


def figure(tree: xr.DataTree) -> Figure:
    """A model of each of the paper's regimes above; below, the collapsed pairs of the best and of all seeds."""
    figure, ds = Figure(figsize=(6.9, 4.1)), arrays(tree)
    if ds is None:
        figure.supxlabel("no models of three correlated pairs in two dimensions", fontsize=8)
        return figure
    above, below = (figure.add_subfigure(row) for row in figure.add_gridspec(2, 1, height_ratios=(1.8, 2.2)))
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
        ax.set_xlabel(f"paper: {regime.name}", fontsize=7)
    strips(below, found, shown)
    return figure


def strips(part: SubFigure, found: Collapse, shown: list[int]) -> None:
    """Strips over density, dense on the left: the paper's regimes, the best seeds, and the share of all seeds."""
    paper, best, share = part.subplots(3, 1, sharex=True, height_ratios=(1, 1, 6))
    edges = diagrams.edges(found.density)
    for regime in REGIMES:
        ends = min(regime.high, edges[0]), max(regime.low, edges[-1])
        paper.axvspan(*(edges[0], ends[1]) if regime is REGIMES[0] else ends, color=COLOURS[regime.pairs], linewidth=0)
    for left, right, pairs in zip(edges[:-1], edges[1:], found.best, strict=True):
        best.axvspan(left, right, color=COLOURS[pairs], linewidth=0)
    shares = [(found.pairs == k).mean(axis=1) for k in range(PAIRS + 1)]
    lower = np.cumsum([np.zeros(len(found.density)), *shares], axis=0)
    for k, own in enumerate(shares):
        share.bar(edges[:-1], own, np.diff(edges), lower[k], align="edge", color=COLOURS[k], linewidth=0)
    for k in shown:
        best.plot(found.density[k], 0.5, "v", color=plots.INK, markersize=4)
    share.set(xscale="log", xlim=(edges[0], edges[-1]), ylim=(0, 1), xlabel="feature density $1-S$")
    share.set_ylabel(f"share of\n{found.loss.shape[1]} seeds")
    share.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0), numticks=15))
    share.xaxis.set_major_formatter(lambda tick, _: f"{tick:g}")
    for ax, name in ((paper, "paper"), (best, "best seed")):
        ax.set(yticks=[0.5], ylim=(0, 1))
        ax.set_yticklabels([name])
        ax.tick_params(axis="both", length=0, which="both")
    patches = [Patch(facecolor=colour, edgecolor=plots.INK, linewidth=0.4) for colour in COLOURS]
    words = [f"{k} collapsed pairs" if k != 1 else "1 collapsed pair" for k in range(PAIRS + 1)]
    part.legend(patches, words, loc="outside upper center", ncols=4, frameon=False, handlelength=1.2)


def said(text: str, check: Callable[[xr.Dataset, Collapse], tuple[bool | None, str]], expected: str) -> Claim:
    """A sentence on the best models."""

    def judged(tree: xr.DataTree) -> Verdict:
        ds = arrays(tree)
        if ds is None:
            return Verdict(None, "nothing: the arrays lack three correlated pairs in m = 2 below p = 1")
        holds, words = check(ds, collapse(ds))
        return Verdict(holds, words, expected, seeds=ds.sizes["seed"])

    return Claim(text, SOURCE, judged)


def falls(ds: xr.Dataset, found: Collapse) -> tuple[bool | None, str]:
    below = found.density <= 1.001 * REGIMES[0].low
    at = ", ".join(f"{threshold(found, k):.3g}" for k in (3, 2, 1))
    listed = " ".join(map(str, found.best))
    words = f"{listed} from p = {found.density[0]:.2g} to {found.density[-1]:.2g}: fewer below p = {at}"
    if not below.any():
        return None, words
    return bool((np.diff(found.best[below]) <= 0).all()) and set(found.best[below]) == {0, 1, 2, 3}, words


def at_the_papers(least: int) -> Callable[[xr.DataTree], Verdict]:
    """Whether a threshold is where the paper has it."""
    low, high = THRESHOLDS[least][0] / APPROXIMATE, THRESHOLDS[least][1] * APPROXIMATE
    expected = f"{low:.2g} to {high:.2g}, the paper's within a factor of {APPROXIMATE:g}"

    def judged(tree: xr.DataTree) -> Verdict:
        ds = arrays(tree)
        found = None if ds is None else collapse(ds)
        at = np.nan if found is None else threshold(found, least)
        if found is None or np.isnan(at):
            return Verdict(None, f"nothing: no densities between which fewer than {least} pairs collapse")
        true = (found.pairs >= least)[found.density > at].mean(), (found.pairs < least)[found.density < at].mean()
        words = f"p = {at:.3g}; {true[0]:.0%} of all seeds above it have so many, {true[1]:.0%} below it fewer"
        return Verdict(low <= at <= high, words, expected, resampled(found, least), found.loss.shape[1])

    return judged


def like_pca(ds: xr.Dataset, found: Collapse) -> tuple[bool | None, str]:
    ratio = found.loss.min(axis=1) / [principal_loss(p, 6, PAIRS, 2) for p in found.density]
    dense = found.density >= 0.5
    if not dense.any() or dense.all():
        return None, "nothing: no densities on both sides of 0.5"
    words = (
        f"the loss over that of PCA is {ratio[dense].min():.3f} to {ratio[dense].max():.3f} at p >= 0.5,"
        f" {ratio[~dense].min():.3f} to {ratio[~dense].max():.3f} below"
    )
    return bool(ratio[dense].min() > ratio[~dense].max()), words


def best_models(ds: xr.Dataset, sparse: bool) -> Iterator[xr.Dataset]:
    """The best model of each density; where `sparse`, of the paper's last regime."""
    best = statistics.best(ds)
    for k in range(ds.sizes["sparsity"]):
        if not sparse or best["density"][k] <= 1.001 * REGIMES[-1].high:
            yield best.isel(sparsity=k)


def hexagon(ds: xr.Dataset, found: Collapse) -> tuple[bool | None, str]:
    models = list(best_models(ds, sparse=True))
    least = np.cos(np.radians(60 + DEGREES))
    true = [
        bool(model["represented"].all())
        and angles.regular(selection.weights(model), DEGREES)
        and bool((model["within_lowest"] > least).all())
        for model in models
    ]
    if not models:
        return None, "nothing: no density up to 0.05"
    failing = ", ".join(f"{float(m['density']):.3g}" for m, holds in zip(models, true, strict=True) if not holds)
    return all(true), f"true at {sum(true)} of {len(true)} densities{', not at p = ' + failing if failing else ''}"


def sums(ds: xr.Dataset, found: Collapse) -> tuple[bool | None, str]:
    ratios = [
        float(min(pair) / max(pair))
        for model in best_models(ds, sparse=False)
        for pair, collapsed in zip(model["norm"].values.reshape(PAIRS, 2), model["collapsed"].values, strict=True)
        if collapsed
    ]
    if not ratios:
        return None, "nothing: no pair has collapsed"
    return min(ratios) >= 1 - ALIKE, f"ratios of {min(ratios):.3f} and more in {len(ratios)} collapsed pairs"


experiment = Experiment(
    figure=figure,
    measure=set_geometry.measure,
    dims=set_geometry.DIMS,
    attributes=set_geometry.ATTRIBUTES,
    claims=(
        said(
            "Below p = 0.5 the number of collapsed pairs falls from 3 to 2, 1 and 0 as features grow sparse.",
            falls,
            "up to p = 0.5 never a rise of the best seed's number, and all four of them",
        ),
        Claim("All three pairs are collapsed down to p = 0.25, two at 0.2.", SOURCE, at_the_papers(3)),
        Claim("Two pairs are collapsed down to p = 0.15, one below.", SOURCE, at_the_papers(2)),
        Claim("One pair is collapsed down to p = 0.05, none below.", SOURCE, at_the_papers(1)),
        said(
            "From p = 0.5 on the solution is the most like principal component analysis.",
            like_pca,
            "its loss nearer to that of PCA at each such density than at any below",
        ),
        said(
            "Up to p = 0.05 the features lie in a hexagon, those of a pair side by side.",
            hexagon,
            f"angles of 60 degrees within {DEGREES:g}, pairs adjacent",
        ),
        said(
            "A collapsed pair is stored as its principal component, (a + b) / sqrt(2).",
            sums,
            f"norms of a pair equal within {ALIKE:.0%} (their cosine is above 0.9)",
        ),
    ),
)
