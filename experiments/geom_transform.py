"""Learning as geometric transformations: two correlated sets of three features find an octahedron, stage by stage.

Paper: "Learning Dynamics", "Learning as Geometric Transformations". n = 6 features in m = 3 dimensions, the first three
active together and the last three together, x' = ReLU(W^T W x + b), from small initial weights.

    python -m superpose.run experiment=geom_transform

You should see (figure.png; animation.gif beside it shows the same model move): the loss falls in steps. Weights start
near zero (A); each set takes one direction (B), opens into a triangle (C), and both turn into an octahedron (D).
`superpose.octahedron` says how each stage is told; what the paper's captions say of them is uncertain.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.animation import FuncAnimation
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from superpose import plots, selection, snapshots, statistics
from superpose.experiment import Claim, Experiment, Verdict
from superpose.models import AbstractTiedModel, Linear, ReLUOutput
from superpose.octahedron import OPEN, OPPOSITE, RIGHT, across, partners, stages, within
from superpose.sets import CorrelatedSets
from superpose.snapshots import share

SOURCE = "Learning as Geometric Transformations"
STAGES = ("A", "B", "C", "D")
COLOURS = ("#d55e00", "#0072b2")
"""Of the two sets; colour-blind readers can tell them apart."""
FRAMES, REACH = 48, 0.8
TOGETHER, TIMES = 0.08, "\N{MULTIPLICATION SIGN}"
"""How near to each other three points look like one, in each direction."""
FIRST = 10
"""The step from which on a loss is drawn: before, it is flat."""
REACHED = 0.05


class Course(NamedTuple):
    """How one model trained: weights (snapshot, m, n) and loss at each step, the judged loss of the last, and the
    snapshots of its stages."""

    seed: int
    density: float
    steps: np.ndarray
    W: np.ndarray
    b: np.ndarray
    loss: np.ndarray
    final: float
    stages: dict[str, int]

    @property
    def cosines(self) -> np.ndarray:
        return snapshots.cosines(self.W)


def courses(tree: xr.DataTree) -> list[Course]:
    """Of every trained model; none where the arrays lack snapshots of models of six features in three."""
    kept = snapshots.recorded(tree)
    if kept is None or kept.W.shape[-2:] != (3, 6):
        return []
    found = []
    for seed, W, b, final in zip(kept.seeds, kept.W, kept.b, kept.loss.tolist(), strict=True):
        loss = losses(ReLUOutput(6, 3), kept.density, W, b)
        found.append(Course(seed, kept.density, kept.steps, W, b, loss, final, stages(W)))
    return found


def losses(model: AbstractTiedModel, p: float, W: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Of each snapshot; one vector in twenty has both sets active, so that many are drawn."""
    return snapshots.losses(model, CorrelatedSets(6, 2, p), W, b, vectors=2**15)


def in_order(course: Course) -> bool:
    """Are all stages found, one after another?"""
    found = [course.stages.get(name, -1) for name in STAGES]
    return min(found) >= 0 and bool((np.diff(found) > 0).all())


def shown(found: list[Course]) -> Course | None:
    """The model of the figure: of those with all stages in order the one of the lowest loss."""
    return min([each for each in found if in_order(each)] or found, key=lambda each: each.final, default=None)


def turned(course: Course) -> np.ndarray:
    """The weights of all snapshots, rotated so that the last model's first set lies along the axes.

    The axes are those of the orthogonal matrix nearest to the last W_0, W_1, W_2 (Procrustes).
    """
    left, _, right = np.linalg.svd(course.W[-1][:, :3].astype(float))
    return (left @ right).T @ course.W


def scatter(ax, W: np.ndarray, reach: float) -> None:
    """The columns W_i as points in three dimensions, joined by set; dotted, antipodal ones of two sets.

    Where the three of a set lie on each other, it says so.
    """
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), zlim=(-reach, reach), xticks=[], yticks=[], zticks=[])
    ax.set_box_aspect((1, 1, 1), zoom=1.25)
    ax.view_init(elev=18, azim=65)
    for i, j in np.argwhere(across(snapshots.cosines(W)) < OPPOSITE):
        ax.plot(*W[:, [i, 3 + j]], color=plots.INK, linewidth=0.7, linestyle=":")
    for k, colour in enumerate(COLOURS):
        own = W[:, 3 * k : 3 * k + 3]
        ax.plot(*np.concatenate([own, own[:, :1]], axis=1), color=colour, linewidth=1.0)
        for column in own.T:
            ax.plot(*np.stack([0 * column, column], axis=1), color=colour, linewidth=0.5, alpha=0.6)
        ax.scatter(*own, color=colour, s=14, depthshade=False, label=f"set {k + 1}")
        if np.ptp(own, axis=1).max() < TOGETHER < np.linalg.norm(own.mean(axis=1)) / 2:
            ax.text(*own.mean(axis=1), f"  {TIMES}3", color=colour, fontsize=7)


def curve(ax: Axes, course: Course) -> None:
    """The loss over the steps, over p^2, with the stages marked."""
    loss = course.loss / course.density**2
    ax.loglog(course.steps, loss, color=plots.INK)
    ax.axhline(1, color=plots.FAINT, linewidth=0.6, linestyle="--")
    place: dict = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "fontsize": 7}
    ax.annotate("loss = $p^2$", (0, 1), (3, 3), **place)
    for name, k in course.stages.items():
        x = max(course.steps[k], FIRST)
        ax.plot(x, loss[k], "o", color=plots.INK, markersize=4)
        ax.annotate(name, (x, loss[k]), (3, 4), textcoords="offset points", weight="bold")
    ax.set(xlabel="training step", ylabel="loss / $p^2$", xlim=(FIRST, max(course.steps[-1], 2 * FIRST)))
    ax.set_yticks([1, 2, 5, 10, 20], ["1", "2", "5", "10", "20"])
    ax.xaxis.set_major_formatter(lambda tick, _: f"{tick:,.0f}")
    ax.minorticks_off()


def figure(tree: xr.DataTree) -> Figure:
    """The loss with the marks of the stages; below it the features at each of them."""
    course = shown(found := courses(tree))
    figure = Figure(figsize=(6.9, 4.1))
    if course is None:
        figure.add_subplot().text(0.5, 0.5, "no snapshots of six features in three dimensions", ha="center")
        return figure
    grid = figure.add_gridspec(2, 4, height_ratios=(1.15, 1))
    curve(figure.add_subplot(grid[0, :]), course)
    W = turned(course)
    for k, name in enumerate(STAGES):
        ax = figure.add_subplot(grid[1, k], projection="3d")
        at = course.stages.get(name)
        ax.set_title(f"{name}: " + ("not found" if at is None else f"step {course.steps[at]:,}"))
        scatter(ax, W[0 if at is None else at], REACH)
    handles, labels = figure.axes[-1].get_legend_handles_labels()
    figure.axes[0].legend(handles, labels, loc="upper right", frameon=False)
    words = f"$n$ = 6, $m$ = 3, two correlated sets of three, $p$ = {course.density:g}; seed {course.seed}"
    figure.supxlabel(f"{words}, one of {len(found)}; dotted: antipodal features", fontsize=7)
    return figure


def animation(tree: xr.DataTree) -> FuncAnimation | None:
    """The model of the figure, from the first step to the last; the steps are evenly spaced in their logarithm."""
    course = shown(courses(tree))
    if course is None:
        return None
    figure = Figure(figsize=(4.6, 2.6))
    left, right = figure.add_subplot(1, 2, 1, projection="3d"), figure.add_subplot(1, 2, 2)
    curve(right, course)
    (dot,) = right.plot([], [], "o", color=plots.GREEN, markersize=5)
    W = turned(course)

    def frame(k: int) -> list:
        left.clear()
        scatter(left, W[k], REACH)
        left.set_title(f"step {course.steps[k]:,}")
        dot.set_data([max(course.steps[k], FIRST)], [course.loss[k] / course.density**2])
        return [dot]

    return FuncAnimation(figure, frame, frames=selection.evenly(len(course.steps), FRAMES), init_func=lambda: [dot])


def said(text: str, check: Callable[[list[Course]], Verdict | None], *, ours: bool = False) -> Claim:
    """A sentence on all models."""

    def judged(tree: xr.DataTree) -> Verdict:
        found = courses(tree)
        return (check(found) if found else None) or Verdict(
            None, "nothing: the arrays lack the models that this is about"
        )

    return Claim(text, SOURCE, judged, ours)


def octahedron(found: list[Course]) -> Verdict:
    best = min(found, key=lambda each: each.final)
    cosines, D = best.cosines[-1], snapshots.dimensionality(best.W[-1])
    own, other, half = np.abs(within(cosines)).max(), partners(cosines).max(), np.abs(D - 0.5).max()
    words = f"best model: |w| up to {own:.3f}, least c of a feature at most {other:.3f}"
    words += f", D_i from {D.min():.3f} to {D.max():.3f}"
    holds = bool(own < RIGHT and other < OPPOSITE and half < 0.05)
    expected = f"|w| below {RIGHT:g}, a c below {OPPOSITE:g} for each feature, D_i of 1/2 within 0.05"
    return Verdict(holds, words, expected, seeds=len(found))


def loss_of_pairs(found: list[Course]) -> Verdict:
    ratio = np.sort([each.final / each.density**2 for each in found])
    low, high = statistics.bootstrap(xr.DataArray(ratio, dims="seed"))
    words = f"{ratio[0]:.3f} p^2 in the best model, {np.median(ratio):.3f} in the median, {ratio[-1]:.3f} in the worst"
    return Verdict(
        bool(abs(ratio[0] - 1) < REACHED), words, "p^2 within 5% in the best", (float(low), float(high)), len(found)
    )


def strong_attractor(found: list[Course]) -> Verdict:
    ends = ["D" in each.stages and stages(each.W[-1:]).get("D") == 0 for each in found]
    return Verdict(bool(np.mean(ends) >= 0.9), f"{share(ends)} end in it", "nine of ten or more", seeds=len(found))


def ordered(found: list[Course]) -> Verdict:
    each = [in_order(one) for one in found]
    best = shown(found)
    told = "" if best is None else ", ".join(f"{name} {best.steps[k]:,}" for name, k in best.stages.items())
    words = f"in {share(each)}; steps of the model shown: {told}"
    return Verdict(bool(np.mean(each) > 0.5), words, "all four, one after another, in most models", seeds=len(found))


def linear_first(found: list[Course]) -> Verdict | None:
    """At stage B, the loss with the ReLU and without it, and that of the best linear model of two dimensions, p / 3.

    A set's covariance has the eigenvalue p / 12 twice; its third direction, the sum of its features, is kept.
    """
    having = [each for each in found if "B" in each.stages]
    if not having:
        return None
    at = np.array([each.loss[each.stages["B"]] / (each.density / 3) for each in having])
    words = f"loss of B {np.median(at):.3f} times p/3 (median; {at.min():.3f} to {at.max():.3f}); without the ReLU"
    ratio = np.median([without_relu(each) for each in having])
    words += f" {ratio:.3f} times that with it; found in {len(having)} of {len(found)}"
    holds = bool(max(abs(np.median(at) - 1), abs(ratio - 1)) < 0.1 and len(having) > 0.5 * len(found))
    return Verdict(holds, words, "p/3, and without the ReLU as much, within 10%, in most models", seeds=len(found))


def without_relu(course: Course) -> float:
    """The loss of the weights and biases of stage B in a linear model, over that in the ReLU model."""
    k = course.stages["B"]
    linear = losses(Linear(6, 3), course.density, course.W[[k]], course.b[[k]])
    return float(linear[0] / course.loss[k])


def one_axis(found: list[Course]) -> Verdict | None:
    """Are the directions of the sets at stage B the two ends of one axis?"""
    cross = np.array([across(each.cosines[each.stages["B"]]).mean() for each in found if "B" in each.stages])
    if not len(cross):
        return None
    words = f"mean c {np.median(cross):.2f} (median; {cross.min():.2f} to {cross.max():.2f})"
    words += f"; below {OPPOSITE:g} in {share(cross < OPPOSITE)}"
    return Verdict(bool(np.mean(cross < OPPOSITE) > 0.5), words, f"below {OPPOSITE:g} in most models", seeds=len(found))


def triangles(found: list[Course]) -> Verdict | None:
    """Is there a stage C, equilateral triangles of both sets, between B and the octahedron?"""
    if not any("B" in each.stages for each in found):
        return None
    having, expected = [each for each in found if "C" in each.stages], "in most models"
    if not having:
        return Verdict(False, "in no model", expected, seeds=len(found))
    late = lambda each, name: each.stages.get(name, len(each.W))
    between = [late(each, "B") < each.stages["C"] < late(each, "D") for each in having]
    loss = [each.loss[each.stages["C"]] / each.density**2 for each in having]
    ready = [int((partners(each.cosines[each.stages["C"]]) < OPPOSITE).sum()) for each in having]
    words = f"in {sum(between)} of {len(found)} models; there the loss is {np.median(loss):.2f} p^2 and"
    words += f" {np.median(ready):.0f} of 6 features have an antipodal partner (medians)"
    return Verdict(bool(np.sum(between) > 0.5 * len(found)), words, expected, seeds=len(found))


def paths(found: list[Course]) -> Verdict | None:
    """How many features have an antipodal partner once all of a set are apart, and before the triangles are there?"""
    counts = []
    for each in (each for each in found if "C" in each.stages):
        cosines = each.cosines[: each.stages["C"]]
        apart = (within(cosines).max(-1) < OPEN) & (np.linalg.norm(each.W[: len(cosines)], axis=1).min(-1) > 0.3)
        counts.append(int((partners(cosines[apart]) < OPPOSITE).sum(axis=1).max(initial=0)))
    if not counts:
        return None
    kinds = {k: counts.count(k) for k in sorted(set(counts))}
    words = "; ".join(f"up to {k} of 6 features paired in {count} models" for k, count in kinds.items())
    expected = "two kinds: none paired before the triangles, which turn into an antiprism, or some"
    return Verdict(0 in kinds and max(kinds) > 0, words, expected, seeds=len(found))


experiment = Experiment(
    figure=figure,
    animation=animation,
    claims=(
        said("The model ends as an octahedron whose antipodal pairs are of different sets.", octahedron),
        said("Its loss is that of three antipodal pairs, p^2.", loss_of_pairs, ours=True),
        said("The octahedron is a strong attractor.", strong_attractor),
        said("The four stages occur one after another.", ordered),
        said("The model learns a linear solution first: each set has one direction, as in PCA.", linear_first),
        said("There the sets are separated along one axis, as its two ends.", one_axis),
        said("Then each set opens into a triangle, and only later these turn into the octahedron.", triangles),
        said("The path is one of a few: triangles become an antiprism, or antipodal pairs, first.", paths),
    ),
)
