"""Energy levels: while a model trains, a feature's dimensionality D_i jumps from one level to another.

Paper: "Learning Dynamics", "Discrete Energy Level Jumps". Uniform superposition, n = 40 features of importance 1 in
m = 10 dimensions at a density at which models end as antipodal pairs ("digons"), D_i = 1/2.

    python -m superpose.run experiment=energy_levels

You should see: most features go to 1/2 or to 0 within the first thousands of steps. A few wait at a level between, and
jump later, one up as another goes down. The loss falls at each jump, and is flat before and after.

A feature has arrived once its D_i stays within 0.02 of where it ends. Once three of four have, each arrival of a
feature that is then still 0.15 away or more is a jump, if it takes at most 1,000 steps. Features that jump at the same
time make one jump together. What the loss falls by is read 200 steps before and after, or at the neighbouring jump.
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from superpose import plots, snapshots
from superpose.experiment import Claim, Experiment, Verdict
from superpose.features import IndependentFeatures
from superpose.models import ReLUOutput
from superpose.snapshots import share

SOURCE = "Discrete Energy Level Jumps"
DIGON = 0.5
NEAR, FAR = 0.02, 0.15
"""How near to its last value a D_i has arrived, above its noise of 0.01, and how far away it must have been."""
LEVEL, SETTLED = 0.05, 0.75
"""How near to 1/2 or 0 a D_i must end; the share of features that must have arrived before, as all move at first."""
BOLD = ("#d55e00", "#0072b2", "#cc79a7", "#009e73", "#e69f00", "#56b4e9")
"""Of features that jump; colour-blind readers can tell them apart."""
QUICK, APART = 1000, 200
"""Steps that a jump takes at most, and that lie between the arrivals of two."""
ABOVE, LITTLE = 0.95, 0.5
"""The share of stretches without a jump that a jump's fall must exceed; the part of a later fall that is small."""


class Jump(NamedTuple):
    """Features that arrive together, which of them rise, and by how much the loss falls from `before` to `after`.

    `start` is the last snapshot at which one of them is still far away, `stop` the arrival of the last.
    """

    before: int
    start: int
    stop: int
    after: int
    features: tuple[int, ...]
    rising: tuple[int, ...]
    drop: float


class Course(NamedTuple):
    """How one model trained: its m, the density p, D_i (snapshot, n) and the loss at each step, the jumps, and the
    snapshot at which three of four features had arrived."""

    seed: int
    m: int
    p: float
    steps: np.ndarray
    D: np.ndarray
    loss: np.ndarray
    jumps: tuple[Jump, ...]
    settled: int

    @property
    def digons(self) -> bool:
        """Do features end in antipodal pairs or not at all?"""
        last = self.D[-1]
        paired, dropped = np.abs(last - DIGON) < LEVEL, last < LEVEL
        return bool(paired.any() and (paired | dropped).all())


def arrivals(D: np.ndarray, within: float) -> np.ndarray:
    """Of each feature the first snapshot from which D_i stays so near to its last value."""
    away = np.abs(D - D[-1]) >= within
    return np.where(away.any(axis=0), len(D) - away[::-1].argmax(axis=0), 0)


def jumps(steps: np.ndarray, D: np.ndarray, loss: np.ndarray) -> tuple[tuple[Jump, ...], int]:
    """The jumps of one model, first to last, and the snapshot at which three of four features had arrived."""
    arrived, left = arrivals(D, NEAR), arrivals(D, FAR)
    settled = int(np.sort(arrived)[int(np.ceil(SETTLED * D.shape[1])) - 1])
    late = np.flatnonzero(left > settled)
    late = late[steps[arrived[late]] - steps[left[late] - 1] <= QUICK]
    late = late[np.argsort(arrived[late], kind="stable")]
    parts = np.split(late, np.flatnonzero(np.diff(steps[arrived[late]]) > APART) + 1)
    parts = [part for part in parts if len(part)]
    spans = [(int(left[part].min()) - 1, int(arrived[part].max())) for part in parts]
    return tuple(
        jump(D, loss, part, left[part] - 1, own) for part, own in zip(parts, outer(steps, spans), strict=True)
    ), settled


def outer(steps: np.ndarray, spans: list[tuple[int, int]]) -> list[tuple[int, int, int, int]]:
    """Of each jump where it begins to be looked at, where it starts, stops, and ends to be looked at."""
    found = []
    for k, (start, stop) in enumerate(spans):
        first = int(np.searchsorted(steps, steps[start] - APART))
        last = int(np.searchsorted(steps, steps[stop] + APART, "right")) - 1
        first = min(start, max(first, spans[k - 1][1])) if k else first
        last = max(stop, min(last, spans[k + 1][0])) if k + 1 < len(spans) else last
        found.append((first, start, stop, last))
    return found


def jump(D: np.ndarray, loss: np.ndarray, part: np.ndarray, far: np.ndarray, at: tuple[int, int, int, int]) -> Jump:
    """Of the features of `part`, which are last far away at the snapshots `far`."""
    rising = tuple(part[D[far, part] < D[-1, part]].tolist())
    return Jump(*at, tuple(part.tolist()), rising, float(loss[at[0]] - loss[at[3]]))


def courses(tree: xr.DataTree) -> list[Course]:
    """Of every trained model; none where the arrays lack snapshots of ReLU models of equal importances."""
    kept = snapshots.recorded(tree)
    if kept is None:
        return []
    m, n = kept.W.shape[-2:]
    features, every = IndependentFeatures(n, kept.density), snapshots.dimensionality(kept.W)
    found = []
    for seed, W, b, D in zip(kept.seeds, kept.W, kept.b, every, strict=True):
        loss = snapshots.losses(ReLUOutput(n, m), features, W, b, vectors=4096)
        found.append(Course(seed, m, kept.density, kept.steps, D, loss, *jumps(kept.steps, D, loss)))
    return found


def shown(found: list[Course]) -> Course | None:
    """The model of the figure: of those that end as digons alone the one of most jumps, the last of which is latest.

    One whose loss falls little at the first jump and more at a later one goes first.
    """
    among = [course for course in found if course.digons] or found
    last = lambda course: course.jumps[-1].stop if course.jumps else 0
    return max(among, key=lambda course: (little_first(course), len(course.jumps), last(course)), default=None)


def figure(tree: xr.DataTree) -> Figure:
    """D_i of each feature and the loss over the steps of one model; inset, how many jumps the models have."""
    found = courses(tree)
    course = shown(found)
    figure = Figure(figsize=(6.9, 3.9))
    if course is None:
        figure.add_subplot().text(0.5, 0.5, "no snapshots of ReLU models", ha="center")
        return figure
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1.6, 1))
    levels(above, course)
    first = falls(below, course)
    counted(below.inset_axes((0.8, 0.42, 0.19, 0.55)), found)
    told = f"$n$ = {course.D.shape[1]}, $m$ = {course.m}, $p$ = {course.p:g}; seed {course.seed}, one of {len(found)}"
    told += f"; bold: features that jump; shaded: jumps and {APART} steps beside, with the fall of the loss,"
    figure.supxlabel(f"{told}\nwhich is drawn from step {first:,} on: it comes from {course.loss[0]:.2f}", fontsize=7)
    return figure


def levels(ax: Axes, course: Course) -> None:
    """A line for each feature, bold for those that jump."""
    jumping = dict.fromkeys(i for jump in course.jumps for i in jump.features)
    ax.plot(course.steps, course.D, color=plots.FAINT, linewidth=0.5, alpha=0.8)
    for i, tone in zip(jumping, itertools.cycle(BOLD), strict=False):
        ax.plot(course.steps, course.D[:, i], color=tone, linewidth=1.8, zorder=3)
    if course.D.max() > DIGON - 0.02:
        place: dict = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
        ax.annotate("1/2", (1, DIGON), (2, -2), fontsize=6, **place)
    shade(ax, course)
    ax.set(ylabel="dimensionality $D_i$", ylim=(-0.02, None))


def falls(ax: Axes, course: Course) -> int:
    """The loss, from where its first, great fall has ended: the step is returned."""
    first = int(0.8 * course.settled)
    ax.plot(course.steps[first:], course.loss[first:], color=plots.INK)
    low, high = course.loss[first:].min(), course.loss[first:].max()
    if high > low:
        ax.set(ylim=(low - 0.1 * (high - low), high))
    ax.set(xlabel="training step", ylabel="loss", xlim=(0, course.steps[-1]))
    shade(ax, course)
    for jump in course.jumps:
        words = f"\N{MINUS SIGN}{jump.drop:.3f}" if jump.drop >= 0 else f"+{-jump.drop:.3f}"
        middle = course.steps[[jump.before, jump.after]].mean()
        ax.annotate(words, (middle, 0.9), xycoords=("data", "axes fraction"), fontsize=6.5, ha="center")
    return int(course.steps[first])


def shade(ax: Axes, course: Course) -> None:
    for jump in course.jumps:
        ax.axvspan(*course.steps[[jump.before, jump.after]], color=plots.FAINT, alpha=0.35, linewidth=0, zorder=0)


def counted(ax: Axes, found: list[Course]) -> None:
    """How many models have how many jumps."""
    counts = np.bincount([len(course.jumps) for course in found])
    ax.bar(np.arange(len(counts)), counts, color=plots.FAINT, width=0.7)
    ax.set(xticks=np.arange(len(counts)))
    ax.set_xlabel("jumps of a model", fontsize=6.5, labelpad=1)
    ax.set_ylabel("seeds", fontsize=6.5, labelpad=1)
    ax.tick_params(labelsize=6)


def said(text: str, check: Callable[[list[Course], Course], Verdict | None]) -> Claim:
    """A sentence on the model of the figure and on all of them."""

    def judged(tree: xr.DataTree) -> Verdict:
        found = courses(tree)
        course = shown(found)
        verdict = check(found, course) if course is not None else None
        return verdict or Verdict(None, "nothing: the arrays lack snapshots of models with jumps of which to say this")

    return Claim(text, SOURCE, judged)


def all_digons(found: list[Course], course: Course) -> Verdict:
    ends = [each.digons for each in found]
    words = f"{share(ends)} do, each D_i within {LEVEL:g} of 1/2 or 0"
    return Verdict(bool(np.mean(ends) > 0.5), words, "more than half of all seeds", seeds=len(found))


def some_jump(found: list[Course], course: Course) -> Verdict:
    have = [bool(each.jumps) for each in found]
    words = f"{len(course.jumps)} in the model shown; one or more in {share(have)}"
    return Verdict(bool(np.mean(have) > 0.5), words, "one or more in most models", seeds=len(found))


def swaps(course: Course) -> list[Jump]:
    """The jumps in which some features rise and some fall."""
    return [jump for jump in course.jumps if 0 < len(jump.rising) < len(jump.features)]


def some_swap(found: list[Course], course: Course) -> Verdict | None:
    each = [bool(swaps(one)) for one in found if one.jumps]
    words = f"{len(swaps(course))} of the {len(course.jumps)} jumps shown; one or more in {share(each)} with jumps"
    return Verdict(bool(swaps(course)), words, "one or more in the model shown", seeds=len(found)) if each else None


def loss_falls(found: list[Course], course: Course) -> Verdict | None:
    """Is the fall at a jump above that of nearly all stretches without one, as long, since most features arrived?"""
    each = [(one, jump) for one in found for jump in one.jumps if len(quiet(one, jump))]
    if not each:
        return None
    above = [bool(np.mean(quiet(one, jump) < jump.drop) > ABOVE) for one, jump in each]
    uneven = [jump.drop > beside(one.loss, jump) for one, jump in each]
    words = f"in {sum(above)} of {len(above)} jumps; in {sum(uneven)} it is above the mean of the stretches beside it,"
    expected = f"the fall above that of {ABOVE:.0%} of stretches as long without a jump, in more than 90% of jumps"
    return Verdict(bool(np.mean(above) > 0.9), f"{words} as in no even decay", expected, seeds=len(found))


def quiet(course: Course, jump: Jump) -> np.ndarray:
    """The falls of the loss over the stretches as long as a jump that meet none, once three of four have arrived."""
    length = jump.after - jump.before
    starts = np.arange(course.settled, len(course.loss) - length)
    free = [(starts + length <= other.start) | (starts >= other.stop) for other in course.jumps]
    starts = starts[np.all(free, axis=0)]
    return course.loss[starts] - course.loss[starts + length]


def beside(loss: np.ndarray, jump: Jump) -> float:
    """The mean fall over the stretches just before and just after a jump, as long as it; less at an end of training."""
    length = jump.after - jump.before
    first, last = max(jump.before - length, 0), min(jump.after + length, len(loss) - 1)
    return float(loss[first] - loss[jump.before] + loss[jump.after] - loss[last]) / 2


def little_first(course: Course) -> bool:
    """Is the fall of the loss at the first jump less than half of that at a later one?"""
    drops = [jump.drop for jump in course.jumps]
    return len(drops) > 1 and drops[0] < LITTLE * max(drops[1:])


def small_first(found: list[Course], course: Course) -> Verdict | None:
    several = [each for each in found if len(each.jumps) > 1]
    if not several:
        return None
    little, less = ([test(each) for each in several] for test in (little_first, less_first))
    words = f"in {share(little)} with several jumps, in {sum(less)} it is less at all; in the model shown it is"
    words += f" {', '.join(f'{jump.drop:.4f}' for jump in course.jumps)}"
    return Verdict(any(little), words, f"a model whose first fall is less than {LITTLE:g} of a later", seeds=len(found))


def less_first(course: Course) -> bool:
    return course.jumps[0].drop < max(jump.drop for jump in course.jumps[1:])


experiment = Experiment(
    figure=figure,
    claims=(
        said("Most models end with all their features in digons, or not represented.", all_digons),
        said("D_i of some features jump while the model trains.", some_jump),
        said("Some features swap: one jumps up as another jumps down.", some_swap),
        said("The loss falls at the jumps.", loss_falls),
        said("In some model it falls little at the first jump, and more at a later one.", small_first),
    ),
)
