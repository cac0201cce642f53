"""Energy levels: while a model trains, a feature's dimensionality D_i jumps from one level to another.

Paper: "Learning Dynamics", "Discrete Energy Level Jumps". Uniform superposition, n = 40 features of importance 1 in
m = 10 dimensions at a density at which models end as antipodal pairs ("digons"), D_i = 1/2.

    python -m superpose.run experiment=energy_levels

You should see: most features go to 1/2 or to 0 within the first thousands of steps. A few wait at a level between, and
jump later, one up as another goes down. The loss falls at each jump, and is flat before and after.

A feature has arrived once its D_i stays within 0.02 of where it ends. Once three of four have, each arrival of a
feature that is then still 0.15 away or more is a jump, if it takes at most 1,000 steps. Features that jump at the same
time make one jump together.
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from superpose import plots, selection, snapshots
from superpose.experiment import Claim, Experiment, Verdict
from superpose.features import IndependentFeatures
from superpose.models import ReLUOutput

SOURCE = "Discrete Energy Level Jumps"
DIGON = 0.5
NEAR, FAR = 0.02, 0.15
"""How near to its last value a D_i has arrived, above its noise of 0.01, and how far away it must have been."""
LEVEL = 0.05
"""How near to 1/2 or 0 a D_i must end."""
SETTLED = 0.75
"""The share of features that must have arrived before: all move at first."""
BOLD = ("#d55e00", "#0072b2", "#cc79a7", "#009e73", "#e69f00", "#56b4e9")
"""Of features that jump; colour-blind readers can tell them apart."""
QUICK, APART = 1000, 200
"""Steps that a jump takes at most, and that lie between the arrivals of two."""


class Jump(NamedTuple):
    """Snapshots from the last one at which a feature is still far away to the arrival; the features, which of them
    rise, and by how much the loss falls."""

    start: int
    stop: int
    features: tuple[int, ...]
    rising: tuple[int, ...]
    drop: float


class Course(NamedTuple):
    """How one model trained: D_i (snapshot, n) and the loss at each step, the jumps, and the snapshot at which three of
    four features had arrived."""

    seed: int
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
    found = []
    for part in (part for part in parts if len(part)):
        start, stop = int(left[part].min()) - 1, int(arrived[part].max())
        rising = tuple(part[D[left[part] - 1, part] < D[-1, part]].tolist())
        found.append(Jump(start, stop, tuple(part.tolist()), rising, float(loss[start] - loss[stop])))
    return tuple(found), settled


def courses(tree: xr.DataTree) -> list[Course]:
    """Of every trained model; none where the arrays lack snapshots of ReLU models of equal importances."""
    ds = tree["relu"].to_dataset() if "relu" in tree.children else xr.Dataset()
    if not {"W_steps", "b_steps"} <= set(ds.variables) or ds.sizes["snapshot"] < 3:
        return []
    ds = selection.one_point(ds, ())[0]
    ds = ds.isel(seed=np.flatnonzero(ds["finite"]))
    W = ds["W_steps"].transpose("seed", "snapshot", "hidden", "feature").values
    b, steps = ds["b_steps"].transpose("seed", "snapshot", "feature").values, ds["snapshot_step"].values
    features = IndependentFeatures(ds.sizes["feature"], float(ds["density"]))
    model = ReLUOutput(ds.sizes["feature"], ds.sizes["hidden"])
    every = snapshots.dimensionality(W)
    found = []
    for k, seed in enumerate(ds["seed"].values.tolist()):
        loss = snapshots.losses(model, features, W[k], b[k], vectors=4096)
        found.append(Course(seed, steps, every[k], loss, *jumps(steps, every[k], loss)))
    return found


def shown(found: list[Course]) -> Course | None:
    """The model of the figure: of those that end as digons alone the one of most jumps, the last of which is latest."""
    among = [course for course in found if course.digons] or found
    last = lambda course: course.jumps[-1].stop if course.jumps else 0
    return max(among, key=lambda course: (len(course.jumps), last(course)), default=None)


def figure(tree: xr.DataTree) -> Figure:
    """D_i of each feature and the loss over the steps of one model; beside them how many jumps the models have."""
    found = courses(tree)
    course = shown(found)
    figure = Figure(figsize=(6.9, 3.9))
    grid = figure.add_gridspec(2, 2, width_ratios=(4.6, 1), height_ratios=(1.7, 1))
    if course is None:
        figure.add_subplot().text(0.5, 0.5, "no snapshots of ReLU models", ha="center")
        return figure
    above = figure.add_subplot(grid[0, 0])
    below = figure.add_subplot(grid[1, 0], sharex=above)
    levels(above, course)
    falls(below, course)
    counted(figure.add_subplot(grid[:, 1]), found)
    told = f"n = {course.D.shape[1]} features; seed {course.seed}, one of {len(found)}"
    told += "; bold: features that jump, shaded: when"
    figure.supxlabel(told, fontsize=7)
    return figure


def levels(ax: Axes, course: Course) -> None:
    """A line for each feature, bold for those that jump."""
    jumping = dict.fromkeys(i for jump in course.jumps for i in jump.features)
    tones = plots.VIRIDIS(np.linspace(0, 0.95, course.D.shape[1]))
    for line, tone in zip(course.D.T, tones, strict=True):
        ax.plot(course.steps, line, color=tone, linewidth=0.5, alpha=0.7)
    for i, tone in zip(jumping, itertools.cycle(BOLD), strict=False):
        ax.plot(course.steps, course.D[:, i], color=tone, linewidth=1.8, zorder=3)
    for level, name in ((1 / 2, "1/2"), (2 / 5, "2/5"), (2 / 3, "2/3")):
        if level < course.D.max() + 0.02:
            ax.axhline(level, color=plots.FAINT, linewidth=0.5, zorder=0)
            place = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
            ax.annotate(name, (1, level), (2, -2), fontsize=6, **place)
    shade(ax, course)
    ax.set(ylabel="dimensionality $D_i$", ylim=(-0.02, None))
    ax.tick_params(labelbottom=False)


def falls(ax: Axes, course: Course) -> None:
    """The loss, from where its first, great fall has ended."""
    first = int(0.8 * course.settled)
    ax.plot(course.steps, course.loss, color=plots.INK)
    low, high = course.loss[first:].min(), course.loss[first:].max()
    ax.set(
        ylim=(low - 0.1 * (high - low), high) if high > low else None,
        xlabel="training step",
        ylabel="loss",
        xlim=(0, course.steps[-1]),
    )
    shade(ax, course)
    for jump in course.jumps:
        middle = course.steps[[jump.start, jump.stop]].mean()
        ax.annotate(
            f"{-jump.drop:+.3f}".replace("-", "\N{MINUS SIGN}"),
            (middle, course.loss[jump.start]),
            (0, 5),
            textcoords="offset points",
            fontsize=6,
            ha="center",
        )


def shade(ax: Axes, course: Course) -> None:
    for jump in course.jumps:
        ax.axvspan(*course.steps[[jump.start, jump.stop]], color=plots.FAINT, alpha=0.35, linewidth=0, zorder=0)


def counted(ax: Axes, found: list[Course]) -> None:
    """How many models have how many jumps."""
    counts = np.bincount([len(course.jumps) for course in found])
    ax.bar(np.arange(len(counts)), counts, color=plots.INK, width=0.7)
    ax.set(xlabel="jumps of a model", ylabel="seeds", xticks=np.arange(len(counts)))


def said(text: str, check: Callable[[list[Course], Course], Verdict | None]) -> Claim:
    """A sentence on the model of the figure and on all of them."""

    def judged(tree: xr.DataTree) -> Verdict:
        found = courses(tree)
        course = shown(found)
        verdict = check(found, course) if course is not None else None
        return verdict or Verdict(None, "nothing: the arrays lack snapshots of models with jumps of which to say this")

    return Claim(text, SOURCE, judged)


def share(flags: list[bool]) -> str:
    return f"{sum(flags)} of {len(flags)} models"


def all_digons(found: list[Course], course: Course) -> Verdict:
    last = course.D[-1]
    words = f"{(np.abs(last - DIGON) < LEVEL).sum()} features at 1/2, {(last < LEVEL).sum()} at 0 of {len(last)}"
    every = share([each.digons for each in found])
    return Verdict(course.digons, f"{words}; so do {every}", f"each within {LEVEL:g} of 1/2 or 0", seeds=len(found))


def some_jump(found: list[Course], course: Course) -> Verdict:
    have = [bool(each.jumps) for each in found]
    words = f"{len(course.jumps)} jumps in the model shown; one or more in {share(have)}"
    return Verdict(bool(np.mean(have) > 0.5), words, "one or more in most models", seeds=len(found))


def swaps(course: Course) -> list[Jump]:
    """The jumps in which some features rise and some fall."""
    return [jump for jump in course.jumps if 0 < len(jump.rising) < len(jump.features)]


def some_swap(found: list[Course], course: Course) -> Verdict | None:
    each = [bool(swaps(one)) for one in found if one.jumps]
    words = f"{len(swaps(course))} of the {len(course.jumps)} jumps shown; one or more in {share(each)} with jumps"
    expected = "one or more in the model shown"
    return Verdict(bool(swaps(course)), words, expected, seeds=len(found)) if each else None


def loss_falls(found: list[Course], course: Course) -> Verdict | None:
    having = [each for each in found if each.jumps]
    drops = np.array([jump.drop for each in having for jump in each.jumps])
    falls = [each.loss[each.settled] - each.loss[-1] for each in having]
    if not len(drops) or min(falls) == 0:
        return None
    shares = [sum(jump.drop for jump in each.jumps) / fall for each, fall in zip(having, falls, strict=True)]
    words = f"it does in {(drops > 0).sum()} of {len(drops)} jumps"
    words += f"; of its fall since three of four features arrived they have {np.median(shares):.0%} (median)"
    holds = bool((drops > 0).mean() > 0.9 and np.median(shares) > 0.5)
    return Verdict(holds, words, "in more than 90% of jumps, and more than half of that fall", seeds=len(found))


def small_first(found: list[Course], course: Course) -> Verdict | None:
    several = [[jump.drop for jump in each.jumps] for each in found if len(each.jumps) > 1]
    if not several:
        return None
    smaller = [drops[0] < max(drops[1:]) for drops in several]
    words = f"falls of {', '.join(f'{jump.drop:.4f}' for jump in course.jumps)} in the model shown"
    words += f"; the first is smaller than a later one in {share(smaller)} with several jumps"
    return Verdict(bool(np.mean(smaller) > 0.5), words, "in most of these", seeds=len(found))


experiment = Experiment(
    figure=figure,
    claims=(
        said("The model ends with all its features in digons.", all_digons),
        said("D_i of some features jump while the model trains.", some_jump),
        said("Some features swap: one jumps up as another jumps down.", some_swap),
        said("The loss falls at the jumps.", loss_falls),
        said("It falls little at the first jump, and more at a later one.", small_first),
    ),
)
