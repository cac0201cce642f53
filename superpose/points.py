"""Drawing primitives of two hidden dimensions: features as points of the plane, in the colours of what they are.

The paper's figures of correlated features and of geometry that deforms show W_i as points. `plots.arrows` draws them as
arrows by importance.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Num
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba_array
from matplotlib.figure import Figure, SubFigure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Circle

from superpose.plots import FAINT, INK

SET_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
"""Of the first sets, in the palette of Okabe and Ito (2008); they start again after the sixth."""
REACH = 1.3
SIZE = 28.0
DOT = {"linestyle": "", "marker": "o", "markeredgecolor": INK, "markeredgewidth": 0.4}
TOGETHER = 0.15
"""Points of a set that are no farther apart lie on each other."""


def of_sets(sets: int, size: int) -> Float[np.ndarray, "n 4"]:
    """RGBA of each feature, the same for all of a set."""
    return np.repeat(to_rgba_array([SET_COLOURS[k % len(SET_COLOURS)] for k in range(sets)]), size, axis=0)


def ringed(W: Num[np.ndarray, "2 n"], sets: int) -> Float[np.ndarray, " n"]:
    """Sizes of points in points squared: where a whole set lies at one place, its features are rings around the next.

    Args:
        W: weights of two hidden dimensions.
        sets: how many; divides n.
    """
    members = W.reshape(2, sets, -1)
    apart = np.linalg.norm(members - members[:, :, :1], axis=0).max(axis=1)
    falling = np.linspace(1.6, 0.5, members.shape[2]) if members.shape[2] > 1 else np.ones(1)
    return (SIZE * np.where((apart < TOGETHER)[:, None], falling**2, 1.0)).ravel()


def plane(ax: Axes, reach: float = REACH) -> None:
    """A square of the hidden plane without ticks: thin axes through the origin, and the circle of norm 1."""
    ax.axhline(0, color=FAINT, linewidth=0.4, zorder=0)
    ax.axvline(0, color=FAINT, linewidth=0.4, zorder=0)
    ax.add_patch(Circle((0, 0), 1.0, fill=False, color=FAINT, linewidth=0.4, zorder=0))
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xticks=[], yticks=[])
    ax.spines[:].set(visible=True, color=FAINT, linewidth=0.5)


def points(
    ax: Axes,
    W: Num[np.ndarray, "2 n"],
    colours: Float[np.ndarray, "n 4"],
    *,
    rays: bool = True,
    size: float | Num[np.ndarray, " n"] = SIZE,
) -> None:
    """The columns W_i as points; a column that is not finite is left out.

    Args:
        ax: a `plane`. Later points lie on top.
        W: weights of two hidden dimensions.
        colours: RGBA of each feature.
        rays: also a line from the origin to each.
        size: of a point, in points squared; `ringed` gives one for each feature.
    """
    kept = np.isfinite(W).all(axis=0)
    for end, colour in zip(W.T[kept], colours[kept], strict=True):
        if rays:
            ax.plot([0, end[0]], [0, end[1]], color=colour, linewidth=1.0, alpha=0.6, zorder=1)
    sizes = np.broadcast_to(size, W.shape[1:])
    ax.scatter(*W[:, kept], s=sizes[kept], color=colours[kept], edgecolors=INK, linewidths=0.4, zorder=2)


def legend_of_sets(figure: Figure | SubFigure, names: Sequence[str], ring: str = "", **place: Any) -> Legend:
    """A dot in the colour of each set, with its name; where given, also what a ringed dot means (`ringed`)."""
    dots: list[Any] = [
        Line2D([], [], color=SET_COLOURS[k % len(SET_COLOURS)], markersize=5, **DOT) for k in range(len(names))
    ]
    if ring:
        dots.append(tuple(Line2D([], [], color=FAINT, markersize=5 * size, **DOT) for size in (1.6, 0.5)))
    named = [*names, ring][: len(dots)]
    return figure.legend(dots, named, frameon=False, handletextpad=0.2, columnspacing=1.5, **place)
