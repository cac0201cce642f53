"""Superposition as a phase change: what becomes of one extra feature, by its density and its importance.

Paper: "Superposition as a Phase Change". n = 2 features in m = 1 dimension (or 3 in 2), x' = ReLU(W^T W x + b). The
others have importance 1, the extra one, the last, r = 0.1 to 10; all have a density from 1 to 0.01.

    python -m superpose.run experiment=phase_change sparsity=dense importance=dense

You should see: the extra feature is ignored (grey) where features are dense and it matters less, has a dimension to
itself (blue) where it matters more, and shares one (red) where features are sparse; between them a sharp change, near
the density at which the closed forms of `superpose.theory` cross. Pairs live on to densities a little higher than that,
most of all where both matter alike: the closed form gives a pair no bias, and a shared positive one is better.
"""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from superpose import charts, diagrams, plots, selection, statistics, theory
from superpose.charts import Chart
from superpose.experiment import Claim, Experiment, Verdict

SOURCE = "Superposition as a Phase Change"
AWAY = 1.5  # from a boundary: a factor in density and in importance
MOST = 0.99  # of the cells
ROUNDING = 1e-5  # of a float32 loss
LOWER = 0.25  # the quantile that is shown
REACHED = plots.Scale(plots.VIRIDIS, 0.0, 1.0)
NAMES = {"relu": "ReLU", "gelu": "GELU", "leaky_relu": "leaky ReLU", "relu_without_bias": "ReLU without bias"}
WORDS = ("ignored", "dedicated", "antipodal", "dedicated,\nothers\nantipodal")


def figure(tree: xr.DataTree) -> Figure:
    """All panels of one variant; of several, the trained map of each."""
    found = {label: shown for label in tree.children if (shown := charts.chart(tree, label)) is not None}
    return of_one(*found.values()) if len(found) == 1 else of_several(found)


def of_one(shown: Chart) -> Figure:
    """Theory, the best models, where the two differ, the seeds that agree; below, other reductions of the seeds."""
    figure = Figure(figsize=(6.9, 3.75))
    axes = figure.subplots(2, 4)
    theory_map(axes[0, 0], shown)
    trained_map(axes[0, 1], shown, shown.best, "best model")
    difference_map(axes[0, 2], shown)
    seeds_map(axes[0, 3], shown)
    diagrams.key(axes[1, 0])
    axes[1, 0].set_title("colours of b, f, g, h")
    colours = shown.ds[list(charts.COLOURS)]
    trained_map(axes[1, 1], shown, colours.map(statistics.median), "median of seeds")
    trained_map(axes[1, 2], shown, shown.mean_without_worst(), "mean without worst")
    lower = colours.map(lambda a: statistics.quantiles(a, [LOWER]).isel(quantile=0))
    trained_map(axes[1, 3], shown, lower, "lower quartile")
    for ax, letter in zip(axes.ravel(), "abcdefgh", strict=True):
        ax.set_title(f"$\\bf{{{letter}}}$  {ax.get_title()}", loc="left", fontsize=7.5)
        ax.set_title("")
    named(axes[0, :1], axes[1, 1:])
    lines = (
        "\nc: orange where closed forms cross, black where the best models change; coloured cells differ, as trained"
    )
    figure.supxlabel(caption(shown) + lines * (shown.losses() is not None), fontsize=7)
    return figure


def of_several(found: dict[str, Chart]) -> Figure:
    """The trained map of each variant, with the boundaries of the ReLU model's closed forms, and the colours' key."""
    columns = min(len(found) + 1, 3)
    rows = -(-(len(found) + 1) // columns)
    figure = Figure(figsize=(6.9, 0.4 + 2.3 * rows))
    panels = [figure.add_subplot(rows, columns, k + 1) for k in range(len(found) + 1)]
    for ax, (label, shown) in zip(panels, found.items(), strict=False):
        trained_map(ax, shown, shown.best, NAMES.get(label, label))
        boundaries(ax, shown, color="black", linewidth=0.7, linestyle=":")
    diagrams.key(panels[-1])
    named(panels[:-1:columns], panels[:-1][-columns:])
    said = dict.fromkeys(caption(shown) for shown in found.values())
    figure.supxlabel("\n".join([*said, "dotted: boundaries of the ReLU model's closed forms"]), fontsize=7)
    return figure


def named(left: Iterable[Axes], low: Iterable[Axes]) -> None:
    for ax in left:
        ax.set_ylabel("feature density $1 - S$", fontsize=7)
    for ax in low:
        ax.set_xlabel("relative importance", fontsize=7)


def caption(shown: Chart) -> str:
    """Sizes, seeds, and what was chosen or left out."""
    rows, columns = shown.trained.shape
    parts = [f"n = {shown.n}, m = {shown.m}", f"{rows} x {columns} cells"]
    if not shown.trained.all():
        parts.append(f"{shown.trained.mean():.1%} of them trained, others drawn as the nearest")
    parts += [selection.best_of(shown.ds), "losses exact" if shown.exact else "losses sampled", shown.note]
    return ", ".join(filter(None, parts))


def draw(ax: Axes, shown: Chart, colours: np.ndarray, title: str) -> None:
    """A map of the chart's cells."""
    diagrams.cells(ax, shown.x, shown.y, colours)
    diagrams.times(ax)
    ax.set_title(title)


def theory_map(ax: Axes, shown: Chart) -> None:
    """The closed form of the lowest loss, finer than the cells."""
    x, y = diagrams.fine(shown.x), diagrams.fine(shown.y)
    losses = shown.losses(np.minimum(y, 1)[:, None], x)
    draw(ax, shown, np.ones((*shown.trained.shape, 4)), "theory")
    if losses is None:
        ax.text(0.5, 0.5, "no closed form", transform=ax.transAxes, ha="center", va="center", fontsize=7)
        return
    states = theory.phases(losses)
    diagrams.shade(ax, x, y, diagrams.of_phases(states))
    for state in np.unique(states).tolist():
        columns = np.flatnonzero((states == state).any(axis=0))
        column = (columns[0] + columns[-1]) // 2
        rows = np.flatnonzero(states[:, column] == state)
        if (states == state).mean() > 0.03 and len(rows):
            ink = "black" if state == 0 else "white"
            at = float(x[column]), float(y[rows[len(rows) // 2]])
            ax.text(*at, WORDS[state], color=ink, fontsize=6, ha="center", va="center")


def trained_map(ax: Axes, shown: Chart, reduced: xr.Dataset, title: str) -> None:
    """The extra feature's norm and superposition, in the paper's colours."""
    extra = reduced.isel(feature=-1).transpose("sparsity", "importance", ...)
    draw(ax, shown, diagrams.bilinear(extra["norm"].values, extra["superposition"].values), title)


def difference_map(ax: Axes, shown: Chart) -> None:
    """Where the trained phase is not that of the closed forms, in its colour; the boundaries of both."""
    losses, colours = shown.losses(), diagrams.of_phases(shown.states)
    if losses is not None:
        colours[shown.states == theory.phases(losses), :3] = 1
    draw(ax, shown, colours, "phases" if losses is None else "differs from theory")
    diagrams.interfaces(ax, shown.x, shown.y, shown.states, color="black", linewidth=0.6)
    if losses is not None:
        boundaries(ax, shown, color="#e69f00", linewidth=1.0)


def boundaries(ax: Axes, shown: Chart, **line: Any) -> None:
    """The lines on which two closed forms are the lowest."""
    if (shown.n, shown.m) not in charts.FORMS:
        return
    r = diagrams.fine(shown.x)
    ax.plot(r, boundary(shown.n)(r), **line)
    ax.plot([1, 1], [theory.TRIPLE_POINT[1] if shown.n == 2 else min(ax.get_ylim()), max(ax.get_ylim())], **line)


def boundary(n: int) -> Callable[[np.ndarray], np.ndarray]:
    """Importance -> the density below which two features are antipodal."""
    return theory.phase_boundary if n == 2 else theory.phase_boundary_3_2


def seeds_map(ax: Axes, shown: Chart) -> None:
    """The share of seeds whose loss is within 1% of the best."""
    draw(ax, shown, diagrams.of_scale(REACHED, shown.reached().values), "seeds within 1%")
    ax.figure.colorbar(REACHED.mappable(), cax=ax.inset_axes((1.05, 0, 0.06, 1)), ticks=[0, 0.5, 1])


def said(text: str, check: Callable[[Chart], Verdict | None]) -> Claim:
    """A sentence on the ReLU models of a size that has closed forms; left open where `check` finds nothing to judge."""

    def judged(tree: xr.DataTree) -> Verdict:
        shown = charts.chart(tree, "relu")
        usable = shown is not None and shown.losses() is not None and (shown.phases[shown.trained] >= 0).any()
        verdict = check(shown) if usable and shown is not None else None
        if shown is None or verdict is None:
            return Verdict(None, "nothing: the arrays lack the models that this speaks of")
        return dataclasses.replace(verdict, seeds=shown.ds.sizes["seed"])

    return Claim(text, SOURCE, judged)


def of_theory(shown: Chart, density: float = 1.0, importance: float = 1.0) -> np.ndarray:
    """The extra feature's phase in the closed forms, with density and importance multiplied by these factors."""
    losses = shown.losses(np.minimum(shown.y * density, 1)[:, None], shown.x * importance)
    assert losses is not None
    return theory.EXTRA_PHASE[theory.phases(losses)]


def far_inside(shown: Chart) -> np.ndarray:
    """The cells from which no boundary of the closed forms is within a factor of `AWAY` on both axes."""
    factors = (1 / AWAY, 1.0, AWAY)
    return np.all([of_theory(shown, p, r) == of_theory(shown) for p in factors for r in factors], axis=0)


def agreement(shown: Chart, phases: np.ndarray) -> Verdict | None:
    known, same = phases >= 0, phases == of_theory(shown)
    away = far_inside(shown) & shown.trained & known
    if not away.any():
        return None
    words = f"{same[away].mean():.1%} of {away.sum():,} cells away from a boundary, {same[known].mean():.1%} of the map"
    expected = f"{MOST:.0%} of the cells that are a factor of {AWAY:g} in density and importance away from a boundary"
    return Verdict(bool(same[away].mean() >= MOST), words, expected)


def as_the_paper_reduces(shown: Chart) -> Verdict | None:
    reduced = shown.mean_without_worst()
    return agreement(shown, charts.classify(reduced["norm"], reduced["superposition"]).values)


def endings(shown: Chart) -> tuple[np.ndarray, np.ndarray]:
    """Of each importance, the density at which superposition ends, and by which factor it is uncertain.

    Halfway between the highest density at which two features share a direction and the next one; NaN where there is
    none of either.
    """
    shared, columns = shown.states >= 2, np.arange(len(shown.x))
    first = shared.argmax(axis=0)
    there = shared.any(axis=0) & (first > 0) & (shown.states[first - 1, columns] >= 0)
    above, below = shown.y[first - 1], shown.y[first]
    return np.where(there, np.sqrt(above * below), np.nan), np.where(there, np.sqrt(above / below), np.nan)


def where_forms_cross(shown: Chart) -> Verdict | None:
    (ends, step), r = endings(shown), shown.x
    ratio = ends / boundary(shown.n)(r)
    if np.isnan(ratio).all():
        return None
    low, high = int(np.nanargmin(ratio)), int(np.nanargmax(ratio))
    same = (np.abs(np.log(ratio)) <= np.log(step))[~np.isnan(ratio)]
    words = (
        f"{ratio[low]:.2f} (r = {r[low]:.3g}) to {ratio[high]:.2f} (r = {r[high]:.3g}) times that density,"
        f" in the median {np.nanmedian(ratio):.2f}; at {same.mean():.0%} of importances the same"
    )
    form = "4r/(2+5r) up to r = 1, " + ("4/(5+2r) from there" if shown.n == 2 else "4/7 from there")
    return Verdict(bool(same.all()), words, f"{form}, within half a step of the grid")


def shape(shown: Chart) -> Verdict | None:
    ends, step = endings(shown)
    known = ~np.isnan(ends)
    r, ends = shown.x[known], ends[known]
    below, beyond = ends[r <= 1], ends[r >= 1]
    if len(below) < 2 or len(beyond) < 2:
        return None
    rises = bool((np.diff(below) >= 0).all())
    words = f"from {below[0]:.3f} at r = {r[0]:.3g} to {below[-1]:.3f} at r = {r[r <= 1][-1]:.3g}, "
    if shown.n == 2:
        words += f"from {beyond[0]:.3f} at r = {r[r >= 1][0]:.3g} to {beyond[-1]:.3f} at r = {r[-1]:.3g}"
        return Verdict(rises and bool((np.diff(beyond) <= 0).all()), words, "no fall, then no rise")
    near = np.abs(np.log(beyond / beyond[-1])) <= 2 * np.log(np.nanmax(step)) * (1 + 1e-9)
    start = len(near) - int(near[::-1].cumprod().sum())
    words += f"then {beyond.min():.3f} to {beyond.max():.3f}, {beyond[-1]:.3f} from r = {r[r >= 1][start]:.3g} on"
    return Verdict(rises and bool(near.all()), words, "no fall, then one density within a step of the grid; theory 4/7")


def symmetric(shown: Chart) -> Verdict | None:
    mirror = np.abs(np.log(shown.x[:, None] * shown.x)).argmin(axis=1)
    paired = np.isclose(shown.x * shown.x[mirror], 1, rtol=1e-4) & ~np.isclose(shown.x, 1, rtol=1e-4)
    usable = shown.trained & shown.trained[:, mirror] & (shown.phases >= 0) & (shown.phases[:, mirror] >= 0) & paired
    if shown.n != 2 or not usable.any():
        return None
    same = np.array([1, 0, 2])[shown.phases[:, mirror]][usable] == shown.phases[usable]
    words = f"{same.mean():.2%} of {same.size:,} cells"
    return Verdict(bool(same.mean() >= MOST), words, f"{MOST:.0%} of the cells that have a mirror image")


def not_above(shown: Chart) -> Verdict | None:
    losses = shown.losses()
    if losses is None or not shown.exact:
        return None
    ratio = np.where(shown.trained, shown.best["loss"].values / np.min(list(losses.values()), axis=0), np.nan)
    row, column = np.unravel_index(np.nanargmin(ratio), ratio.shape)
    words = (
        f"{np.nanmin(ratio):.4f} (r = {shown.x[column]:.3g}, p = {shown.y[row]:.3g}) to {np.nanmax(ratio):.6f} times"
        f" it, in the median {np.nanmedian(ratio):.4f}"
    )
    holds = bool(np.nanmax(ratio) <= 1 + ROUNDING)
    return Verdict(holds, words, f"at most {1 + ROUNDING:.5f}")


experiment = Experiment(
    figure=figure,
    phase=charts.phase,
    claims=(
        said("The best models are in the phase of the lowest closed form.", lambda of: agreement(of, of.phases)),
        said("So are the models' means without the worst, the paper's reduction.", as_the_paper_reduces),
        said("Superposition ends at the density at which the closed forms cross.", where_forms_cross),
        said("That density rises with importance up to r = 1; then it falls (n = 2) or stays (n = 3).", shape),
        said("The phases at r are those at 1/r with the two features exchanged (n = 2).", symmetric),
        said("No closed form has a lower loss than the best model.", not_above),
    ),
)
