"""Panels of phase diagrams: a chart's closed forms, its models, where the two differ, and how many seeds agree."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from superpose import diagrams, plots, selection, theory
from superpose.charts import FORMS, Chart

REACHED = plots.Scale(plots.VIRIDIS, 0.0, 1.0)
WORDS = ("ignored", "dedicated", "antipodal", "dedicated,\nothers\nantipodal")
BOUNDARIES = {2: theory.phase_boundary, 3: theory.phase_boundary_3_2}
"""n -> importance -> the density below which two features are antipodal in the closed forms."""


def named(left: Iterable[Axes], low: Iterable[Axes]) -> None:
    for ax in left:
        ax.set_ylabel("feature density $1 - S$", fontsize=7)
    for ax in low:
        ax.set_xlabel("relative importance", fontsize=7)


def caption(shown: Chart) -> str:
    """Sizes, seeds, and what was chosen or left out."""
    rows, columns = shown.trained.shape
    parts = [f"$n = {shown.n}$, $m = {shown.m}$", f"${rows} \\times {columns}$ cells"]
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
    """Where the trained phase is not that of the closed forms, in its colour; the boundaries of these."""
    losses, colours = shown.losses(), diagrams.of_phases(shown.states)
    if losses is not None:
        colours[shown.states == theory.phases(losses), :3] = 1
    draw(ax, shown, colours, "phases" if losses is None else "differs from theory")
    if losses is not None:
        boundaries(ax, shown, color=plots.YELLOW, linewidth=0.6)


def boundaries(ax: Axes, shown: Chart, **line: Any) -> None:
    """The lines on which two closed forms are the lowest."""
    if (shown.n, shown.m) not in FORMS:
        return
    r = diagrams.fine(shown.x)
    ax.plot(r, BOUNDARIES[shown.n](r), **line)
    ax.plot([1, 1], [theory.TRIPLE_POINT[1] if shown.n == 2 else min(ax.get_ylim()), max(ax.get_ylim())], **line)


def seeds_map(ax: Axes, shown: Chart) -> None:
    """The share of seeds whose loss is within 1% of the best."""
    draw(ax, shown, diagrams.of_scale(REACHED, shown.reached().values), "seeds within 1%")
    bar = ax.figure.colorbar(REACHED.mappable(), cax=ax.inset_axes((1.05, 0, 0.06, 1)), ticks=[0, 0.5, 1])
    bar.set_label("share of seeds", fontsize=7)
