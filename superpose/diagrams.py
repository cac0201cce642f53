"""Drawing primitives of phase diagrams: a map of two axes, the paper's colours for it, and lines between phases.

A trained model is coloured by its extra feature's norm and superposition ("Superposition as a Phase Change"):

    colour = grey + norm ((1 - s) blue + s red - grey),    norm and s = superposition, each at most 1

Grey is a feature that is not represented, blue one with a dimension to itself, red one that shares it. What has no
colour, a cell without a usable model, shows the hatched ground of the map.
"""

from typing import Any

import numpy as np
from jaxtyping import Float, Int, Num
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, QuadMesh
from matplotlib.colors import to_rgb, to_rgba_array
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from superpose.plots import FAINT, MISSING, Scale

GREY, BLUE, RED, LIGHT_BLUE = "#dddddd", "#003399", "#dd4444", "#2255bb"
PHASE_COLOURS = (GREY, BLUE, RED, LIGHT_BLUE)
"""Of ignored, dedicated, antipodal, and dedicated while others are antipodal."""

WIDE = 3.0
"""The ratio of the ends from which positive points have a logarithmic axis."""


def bilinear(norm: Num[np.ndarray, "..."], superposition: Num[np.ndarray, "..."]) -> Float[np.ndarray, "... 4"]:
    """RGBA of a feature by its norm and superposition, both cut to [0, 1]; transparent where one is not finite."""
    grey, blue, red = (np.array(to_rgb(colour)) for colour in (GREY, BLUE, RED))
    there = np.isfinite(norm) & np.isfinite(superposition)
    length, shared = (np.clip(np.where(there, values, 0.0), 0, 1)[..., None] for values in (norm, superposition))
    colours = grey + length * ((1 - shared) * blue + shared * red - grey)
    return np.concatenate([colours, there[..., None]], axis=-1)


def of_phases(phases: Int[np.ndarray, "..."]) -> Float[np.ndarray, "... 4"]:
    """RGBA of phases by number, in `PHASE_COLOURS`; transparent where negative."""
    return np.concatenate([to_rgba_array(PHASE_COLOURS), np.zeros((1, 4))])[np.where(phases < 0, -1, phases)]


def of_scale(scale: Scale, values: Num[np.ndarray, "..."]) -> Float[np.ndarray, "... 4"]:
    """RGBA of numbers on a scale; transparent where not finite."""
    colours = scale.colours(values.ravel()).reshape(*values.shape, 4)
    return np.where(np.isfinite(values)[..., None], colours, 0.0)


def logarithmic(points: Num[np.ndarray, " k"]) -> bool:
    """Whether an axis of these points is logarithmic: all positive, and one alone or the ends far apart."""
    return bool(np.min(points) > 0 and (len(points) == 1 or np.max(points) >= WIDE * np.min(points)))


def edges(points: Num[np.ndarray, " k"]) -> Float[np.ndarray, " k+1"]:
    """The edges of the cells around sorted points: halfway between neighbours on their axis, as far beyond the ends.

    Args:
        points: rising or falling. A point alone has a cell from half to twice its value, or 1 wide.
    """
    values = np.log2(points) if logarithmic(points) else np.asarray(points, np.float64)
    if len(values) == 1:
        between = values[0] + (np.array([-1.0, 1.0]) if logarithmic(points) else np.array([-0.5, 0.5]))
    else:
        middle = (values[1:] + values[:-1]) / 2
        between = np.concatenate([[2 * values[0] - middle[0]], middle, [2 * values[-1] - middle[-1]]])
    return np.exp2(between) if logarithmic(points) else between


def fine(points: Num[np.ndarray, " k"]) -> Float[np.ndarray, " 256"]:
    """256 points over all cells of an axis, for what is known everywhere."""
    start, *_, stop = edges(points).tolist()
    return (np.geomspace if logarithmic(points) else np.linspace)(start, stop, 256)


def shade(
    ax: Axes, x: Num[np.ndarray, " c"], y: Num[np.ndarray, " r"], colours: Float[np.ndarray, "r c 4"]
) -> QuadMesh:
    """The cells of a grid in their colours, framed; nothing else of the Axes changes."""
    ax.spines[:].set_visible(True)
    return ax.pcolormesh(edges(x), edges(y), colours, rasterized=True, antialiased=False)


def cells(
    ax: Axes, x: Num[np.ndarray, " c"], y: Num[np.ndarray, " r"], colours: Float[np.ndarray, "r c 4"]
) -> QuadMesh:
    """A map: each cell of a grid in its colour, on logarithmic axes where the points are far apart.

    Args:
        ax: its limits become the outer edges; where cells are transparent its ground is hatched.
        x, y: the points of the columns and rows, sorted; y rises upwards, however it is sorted.
        colours: RGBA in [0, 1].
    """
    across, up = edges(x), edges(y)
    mesh = shade(ax, x, y, colours)
    ax.set(xlim=(across.min(), across.max()), ylim=(up.min(), up.max()))
    for axis, rescale, points, ends in ((ax.xaxis, ax.set_xscale, x, across), (ax.yaxis, ax.set_yscale, y, up)):
        if logarithmic(points):
            rescale("log")
            near = max(ends) / min(ends) < 30
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if near else (1.0,), numticks=9))
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g}"))
    if (colours[..., 3] == 0).any():
        ax.patch.set(facecolor=MISSING, hatch="//////", edgecolor="white", linewidth=0)
    ax.set_box_aspect(1)
    ax.spines[:].set_linewidth(0.5)
    return mesh


def times(ax: Axes) -> None:
    """Ticks of a relative number: 0.1x, 1x, 10x."""
    ax.xaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g}\N{MULTIPLICATION SIGN}"))


def interfaces(
    ax: Axes, x: Num[np.ndarray, " c"], y: Num[np.ndarray, " r"], phases: Int[np.ndarray, "r c"], **line: Any
) -> LineCollection:
    """The edges between neighbouring cells of different phases, none where a phase is negative.

    Args:
        ax: that of a map of the same grid. x, y: its points. phases: of its cells.
        line: `color`, `linewidth` and so on.
    """
    across, up = edges(x), edges(y)
    beside = np.argwhere(_differ(phases[:, 1:], phases[:, :-1]))
    above = np.argwhere(_differ(phases[1:], phases[:-1]))
    upright = [((across[c + 1], up[r]), (across[c + 1], up[r + 1])) for r, c in beside]
    level = [((across[c], up[r + 1]), (across[c + 1], up[r + 1])) for r, c in above]
    drawn = LineCollection([*upright, *level], capstyle="projecting", **line)
    ax.add_collection(drawn, autolim=False)
    return drawn


def _differ(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return (one != other) & (one >= 0) & (other >= 0)


def key(ax: Axes) -> None:
    """What the colours of `bilinear` mean: superposition to the right, norm upwards, each from 0 to 1."""
    steps = np.linspace(0, 1, 65)
    colours = bilinear(*np.meshgrid((steps[1:] + steps[:-1]) / 2, (steps[1:] + steps[:-1]) / 2, indexing="ij"))
    ax.pcolormesh(steps, steps, colours, rasterized=True, antialiased=False)
    ax.spines[:].set_visible(True)
    ax.set(xlim=(0, 1), ylim=(0, 1), box_aspect=1)
    ax.set_xticks([0, 1], ["0", r"$\geq 1$"])
    ax.set_yticks([0, 1], ["0", r"$\geq 1$"])
    ax.set_xlabel("superposition", fontsize=7)
    ax.set_ylabel(r"norm $\Vert W_i \Vert$", fontsize=7)
    said = (
        ("dedicated", 0.04, 0.94, "left", "top", "white"),
        ("antipodal", 0.96, 0.94, "right", "top", "white"),
        ("ignored", 0.5, 0.05, "center", "bottom", "black"),
    )
    for word, x, y, across, up, colour in said:
        ax.text(x, y, word, ha=across, va=up, color=colour, fontsize=6)
    ax.spines[:].set(color=FAINT, linewidth=0.5)
