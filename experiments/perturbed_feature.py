"""Five features in two dimensions, one of them denser or sparser than the others: a pentagon, or two digons.

Paper: "Non-Uniform Superposition", Perturbing a Single Feature. n = 5, m = 2, equal importance, x' = ReLU(W^T W x + b).
Four features have the density p = 0.05, the last one p_0, a multiple of it from 1/8 to 4.

    python -m superpose.run experiment=perturbed_feature

You should see: a pentagon that yields to the varied point, which pushes its neighbours away the more the denser it is;
and two digons, with the point at 0. Each has its curve of losses; where they cross, the best model snaps. Of two digons
the varied feature is answered by its mean, and each pair costs p^2 / 3: L = p_0 / 3 - p_0^2 / 4 + 2 p^2 / 3.
"""

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator

from superpose import alignment, angles, branches, diagrams, plots, points, selection, theory
from superpose.branches import Branch, Crossing
from superpose.experiment import Claim, Experiment, Verdict

SOURCE = "Non-Uniform Superposition"
AXIS = "relative_density"
SHAPES = ("pentagon", "two digons")
COLOURS = {"pentagon": "#0072b2", "two digons": "#d55e00", "other": plots.FAINT}
PAPERS, ABOUT = 2.5, 1.25  # how many times sparser it is where the paper's pentagon snaps; the factor "about" allows
SLOPES, STEP, NOISE, PART = 0.1, 5.0, 1.0, 0.25
"""What slopes of ln L over ln p_0 differ by at least in a first-order change; what the angle, in degrees, changes by at
least in all, and up to what by chance; what part of a whole way a step of a continuous one is at most."""
NEAR, EXACT = 0.2, 0.01  # ln of the ratio of neighbouring densities; how far a loss may be from its closed form


class Runs(NamedTuple):
    """Density p of the others; relative densities; of each run, (relative density, seed), W, b, loss and shape."""

    p: float
    at: np.ndarray
    W: np.ndarray
    b: np.ndarray
    loss: np.ndarray
    shape: np.ndarray

    def branch(self, name: str) -> Branch:
        """The runs of the lowest loss of a geometry."""
        return branches.branch(self.at, self.loss, self.shape == name)

    def weights(self, name: str) -> np.ndarray:
        """W (found, 2, 5) of a branch."""
        return self.W[self.branch(name).level, self.branch(name).seed]

    @property
    def crossings(self) -> list[Crossing]:
        """Where the losses of the two geometries cross."""
        return branches.crossings(*(self.branch(name) for name in SHAPES))


def runs(tree: xr.DataTree) -> Runs | None:
    """The runs of a perturbed pentagon; None where the arrays are of something else."""
    fits = lambda node: AXIS in node.dims and (node.sizes["feature"], node.sizes["hidden"]) == (5, 2)
    node = next((node for node in tree.children.values() if {"W", "b"} <= set(node.data_vars) and fits(node)), None)
    if node is None:
        return None
    ds = selection.one_point(node.to_dataset(), (AXIS,))[0].sortby(AXIS)
    ds = ds.transpose(AXIS, "seed", "hidden", "feature", ...)
    W, b, at = (ds[name].values.astype(float) for name in ("W", "b", AXIS))
    loss = ds["loss"].where(ds["finite"].astype(bool)).values.astype(float)
    shapes = np.array([[angles.shape(one) for one in level] for level in W])
    return Runs(1 - float(ds["sparsity"]), at, W, b, loss, shapes)


def closed_form(runs: Runs, at: np.ndarray) -> np.ndarray:
    """The loss of two digons of norm 1, the varied feature answered by its mean."""
    return theory.dropped_loss(runs.p * at, 1.0) + 2 * theory.antipodal_loss(runs.p, 1.0, 1.0)


def figure(tree: xr.DataTree) -> Figure:
    """On the left the best models of either geometry, on the right the losses of all runs."""
    figure, found = Figure(figsize=(6.9, 2.7)), runs(tree)
    if found is None:
        figure.supxlabel("no models of five features in two dimensions over a relative density", fontsize=8)
        return figure
    left, right = (figure.add_subfigure(part) for part in figure.add_gridspec(1, 2, width_ratios=(2, 1.6)))
    planes = left.subplots(1, 2)
    scale = ScalarMappable(LogNorm(*diagrams.edges(found.at)[[0, -1]]), plots.VIRIDIS)
    for ax, name in zip(planes, SHAPES, strict=True):
        overlaid(ax, found, name, scale)
    place: dict[str, Any] = {"location": "bottom", "aspect": 50, "fraction": 0.05, "pad": 0.02}
    bar = left.colorbar(scale, ax=list(planes), label="relative density of the varied feature (square)", **place)
    bar.ax.xaxis.set_major_locator(LogLocator(base=2.0))
    bar.minorticks_off()
    diagrams.times(bar.ax)
    losses(right.subplots(), found)
    told = f"the others' density $p$ = {found.p:.3g}; on the left the best of {found.loss.shape[1]} seeds"
    figure.supxlabel(f"$n$ = 5, $m$ = 2, {told} (lowest loss) of each shape at each density", fontsize=7)
    return figure


def overlaid(ax: Axes, runs: Runs, name: str, scale: ScalarMappable) -> None:
    """The best models of a geometry on each other, coloured by relative density; the varied feature as squares.

    Points that move are joined; those of digons, which stay, are rings, the wider the denser, of every third density.
    """
    own = runs.branch(name)
    points.plane(ax, 1.45)
    ax.set_title(f"{name}, at {len(own.at)} densities" if len(own.at) else f"{name}: none")
    moves = name == "pentagon"
    lead, orders = 4 * moves, [np.array([*order, 4]) for order in itertools.permutations(range(4))]
    turned = np.array(alignment.in_one_frame(list(runs.weights(name)[::-1]), orders, lead)[::-1]).reshape(-1, 2, 5)
    if moves:
        ax.plot(*turned.transpose(1, 0, 2), color=plots.FAINT, linewidth=0.6, zorder=1)
    drawn = slice(None, None, 1 if moves else 3)
    look: dict[str, Any] = {"linewidths": 0, "alpha": 0.75} if moves else {"linewidths": 0.8}
    sizes = np.full(len(own.at), 9.0) if moves else 4 + 260 * np.linspace(0, 1, len(own.at)) ** 2
    for size, at, W in zip(sizes[drawn], own.at[drawn], turned[drawn], strict=True):
        colour: Any = scale.to_rgba(at)
        for marker, some in (("o", W[:, :4]), ("s", W[:, 4:])):
            face = colour if moves else "none"
            ax.scatter(*some, s=size, marker=marker, edgecolors=colour, facecolors=face, zorder=2, **look)


def losses(ax: Axes, runs: Runs) -> None:
    """Every run as a dot, the curve of each geometry, the closed form of the digons, and where the curves cross."""
    for name, colour in reversed(COLOURS.items()):
        at = np.broadcast_to(runs.at[:, None], runs.loss.shape)[runs.shape == name]
        ax.scatter(at, runs.loss[runs.shape == name], s=3, color=colour, alpha=0.5, linewidths=0, rasterized=True)
    for name in SHAPES:
        own = runs.branch(name)
        ax.plot(own.at, own.loss, color=COLOURS[name], label=name, marker="o" if len(own.at) == 1 else "")
    ax.plot([], [], "o", color=COLOURS["other"], markersize=3, label="other runs")
    fine = diagrams.fine(runs.at)
    ax.plot(fine, closed_form(runs, fine), "--", color=plots.INK, linewidth=0.7, label="closed form")
    ax.set_xscale("log", base=2)
    title = f"all runs, {runs.loss.shape[1]} seeds each"
    ax.set(xlabel="relative density of the varied feature", ylabel="loss", title=title)
    plots.logarithmic(ax, "y", subs=(1.0, 1.5, 2.0, 3.0, 4.0, 6.0))
    diagrams.times(ax)
    for at, *_ in runs.crossings:
        own = runs.branch("pentagon")
        level = float(np.exp(np.interp(np.log(at), np.log(own.at), np.log(own.loss))))
        ax.plot(at, level, "o", color=plots.INK, markersize=3.5, zorder=4)
        ax.annotate(f"{at:.3f}\N{MULTIPLICATION SIGN}", (at, level), (5, -9), textcoords="offset points", fontsize=7)
    ax.legend(frameon=False, loc="upper left", handlelength=1.6)


Told = tuple[bool | None, str]


def said(text: str, says: Callable[..., Told], expected: str, *, crossing: bool = False, ours: bool = False) -> Claim:
    """A sentence on all runs, or on the crossing, where there is one: `says` is given its relative density, too."""

    def told(runs: Runs) -> Told:
        if not crossing:
            return says(runs)
        if len(branches.ahead(*(runs.branch(name) for name in SHAPES))[0]) < 2:
            return None, "nothing: no two densities at which both geometries were found"
        return says(runs, runs.crossings[-1].at) if runs.crossings else (False, "the curves do not cross")

    def check(tree: xr.DataTree) -> Verdict:
        found = runs(tree)
        if found is None or not np.isfinite(found.loss).any():
            return Verdict(None, "nothing: the arrays lack five features in m = 2 over a relative density")
        holds, words = told(found)
        return Verdict(holds, words, expected, seeds=found.loss.shape[1])

    return Claim(text, SOURCE, check, ours)


def cross(runs: Runs, at: float) -> Told:
    both = branches.ahead(*(runs.branch(name) for name in SHAPES))[0]
    listed = ", ".join(f"{one.at:.3f} (between {one.low:.3g} and {one.high:.3g})" for one in runs.crossings)
    words = f"at {listed}; both found from {both[0]:.3g} to {both[-1]:.3g}, at {len(both)} densities"
    return len(runs.crossings) == 1 and at < 1, words


def snaps(runs: Runs, at: float) -> Told:
    """Below the crossing the best run is two digons with the point at 0, above it a pentagon."""
    best = branches.branch(runs.at, runs.loss, np.isfinite(runs.loss))
    right = runs.shape[best.level, best.seed] == np.where(best.at < at, "two digons", "pentagon")
    norms = np.linalg.norm(runs.W[best.level, best.seed][:, :, 4], axis=1)
    ends = norms[best.at < at].max(initial=0), norms[best.at >= at].min(initial=np.inf)
    words = "the point's norm up to {:.3f} below, from {:.2f} above".format(*ends)
    return bool(right.all()), f"so at {right.sum()} of {len(right)} densities; {words}"


def first_order(runs: Runs, at: float) -> Told:
    """d ln L / d ln p_0 of either geometry at the crossing, between the neighbouring densities at which both are."""
    low, high = runs.crossings[-1].low, runs.crossings[-1].high
    ends = [np.interp(np.log([low, high]), np.log(own.at), np.log(own.loss)) for own in map(runs.branch, SHAPES)]
    slopes = [float(own[1] - own[0]) / np.log(high / low) for own in ends]
    words = f"d ln L / d ln p_0 is {slopes[0]:.3f} of the pentagon, {slopes[1]:.3f} of two digons"
    return bool(slopes[1] - slopes[0] > SLOPES), words


def along(runs: Runs) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Along the pentagon's branch: relative density, the angle beside the varied point, its norm."""
    W = runs.weights("pentagon")
    return (
        runs.branch("pentagon").at,
        np.array([angles.beside(one, 4) for one in W]),
        np.linalg.norm(W[:, :, 4], axis=1),
    )


def continuous(runs: Runs, crossing: float) -> Told:
    """Does no step along the pentagons, down to the crossing, make up much of all the way that they deform?"""
    at, beside, norms = (numbers[along(runs)[0] >= crossing] for numbers in along(runs))
    if len(at) < 2 / PART or np.diff(np.log(at)).max() > NEAR:
        return None, "nothing: too few pentagons at densities near to each other"
    steps = [np.abs(np.diff(numbers)) for numbers in (beside, norms)]
    parts = [float(own.max() / max(own.sum(), 1e-6)) for own in steps]
    words = f"steps of at most {steps[0].max():.1f} degrees and {steps[1].max():.3f} in norm, {parts[0]:.0%} and"
    return max(parts) <= PART, f"{words} {parts[1]:.0%} of all, from {at[0]:.3g} to {at[-1]:.3g}"


def repels(runs: Runs) -> Told:
    at, beside, _ = along(runs)
    if len(at) < 2 or at[-1] <= 1 or at[0] >= 1:
        return None, "nothing: no pentagons on both sides of equal densities"
    words = ", ".join(f"{beside[k]:.1f} at {at[k]:.3g}" for k in selection.evenly(len(at), 6))
    return bool((np.diff(beside) > -NOISE).all() and beside[-1] - beside[0] > STEP), words


def beyond_one(runs: Runs) -> Told:
    """Where the pentagon is the best geometry; the paper prints ||W_i|| = 1 / (1 - b_i) for ReLU(W^T W x - b)."""
    own, W = runs.branch("pentagon"), runs.weights("pentagon")
    best = own.loss <= np.nanmin(runs.loss[own.level], axis=1)
    if not best.any():
        return None, "nothing: no density at which a pentagon is best"
    norm, b = np.linalg.norm(W, axis=1)[best], runs.b[own.level, own.seed][best]
    ranges = [f"{numbers.min():.2f} to {numbers.max():.2f}" for numbers in (norm, b, norm * (1 + b))]
    words = "norms {}, biases {}; norms over 1 / (1 - |b|) {}".format(*ranges)
    return bool((norm > 1).all() and (b < 0).all()), words


def as_the_form(runs: Runs) -> Told:
    own = runs.branch("two digons")
    ratio = own.loss / closed_form(runs, own.at)
    if not len(ratio):
        return None, "nothing: no two digons"
    words = f"{ratio.min():.4f} to {ratio.max():.4f} times it, from {own.at[0]:.3g} to {own.at[-1]:.3g}"
    return bool((np.abs(ratio - 1) <= EXACT).all()), words


of_crossing = partial(said, crossing=True)
experiment = Experiment(
    figure=figure,
    claims=(
        of_crossing(
            "The losses of the pentagon and of two digons cross once, where the feature is sparser than the others.",
            cross,
            "one crossing, below 1",
        ),
        of_crossing(
            "They cross where the feature is about 2.5 times sparser.",
            lambda runs, at: (PAPERS / ABOUT <= 1 / at <= PAPERS * ABOUT, f"{1 / at:.2f} times sparser"),
            f"{PAPERS / ABOUT:.3g} to {PAPERS * ABOUT:.3g}",
        ),
        of_crossing(
            "There the best model snaps from a pentagon to two digons, with the sparse point at 0.",
            snaps,
            "two digons wherever it is sparser, pentagons wherever denser",
        ),
        of_crossing(
            "The phase change is of first order: the slope of the lowest loss jumps.",
            first_order,
            f"d ln L / d ln p_0 of two digons above that of the pentagon by {SLOPES:g}",
        ),
        of_crossing(
            "Before that the pentagon deforms continuously.",
            continuous,
            f"no step of the angle beside the varied point, nor of its norm, above {PART:.0%} of all its way",
        ),
        said(
            "The denser the feature, the farther it pushes its neighbours away.",
            repels,
            f"the mean angle beside it rises with density, by {STEP:g} degrees in all; no fall beyond {NOISE:g}",
        ),
        said(
            "Points of the pentagon lie beyond norm 1, and their biases are negative.",
            beyond_one,
            "norms above 1, biases below 0, wherever the pentagon is best",
        ),
        said(
            "The loss of two digons is p_0 / 3 - p_0^2 / 4 + 2 p^2 / 3.",
            as_the_form,
            f"a ratio of 1 within {EXACT:g} wherever two digons were found",
            ours=True,
        ),
    ),
)
