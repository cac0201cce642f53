"""Drawings of feature geometry: nodes and links of a model's components, side by side, and the colours of shapes.

A node is a represented feature in the colour of its component's shape, a link |W_i . W_j|, the darker the larger.
Components are laid out alone, in their own plane where they have one, and packed by size.
Paper: "Uniform Superposition".
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Num
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D

from superpose import tegum
from superpose.plots import FAINT, INK
from superpose.tegum import Component

COLOURS = {
    "single": "#222222",
    "digon": "#0072b2",
    "triangle": "#e69f00",
    "tetrahedron": "#009e73",
    "pentagon": "#d55e00",
    "square antiprism": "#cc79a7",
    "other": "#a0a0a0",
}
"""Of each name of a component: colours that colour-blind readers can tell apart (Okabe and Ito)."""

ROUNDS, CROWD = 300, 60
"""Rounds of springs, fewer where there are more nodes than a crowd."""


def layout(W: Num[np.ndarray, "m k"]) -> Float[np.ndarray, "k 2"]:
    """Where the features of one component are drawn, their centre at 0 and the farthest at a distance of 1.

    In one or two dimensions, where they point; in more, where springs along the links and repulsion bring them.
    """
    unit = W.astype(np.float64) / np.linalg.norm(W.astype(np.float64), axis=0)
    along = np.linalg.svd(unit)[0][:, :2].T @ unit
    places = np.concatenate([along, np.zeros((2 - len(along), along.shape[1]))]).T
    if tegum.dims(W) > 2:
        places = springs(places, np.abs(W.astype(np.float64).T @ W.astype(np.float64)))
    elif W.shape[1] == 1:
        return np.zeros((1, 2))
    places = places - (places.max(axis=0) + places.min(axis=0)) / 2
    return places / max(np.linalg.norm(places, axis=1).max(), 1e-12)


def springs(start: Float[np.ndarray, "k 2"], links: Float[np.ndarray, "k k"]) -> Float[np.ndarray, "k 2"]:
    """Places at which linked nodes pull (links times distance^2) and all push (1 / distance), by Fruchterman, Reingold.

    From `start`, spread out a little by a fixed pattern, in steps that shrink to 0: the same input, the same places.
    """
    k = len(start)
    turns = np.arange(k) * np.pi * (3 - np.sqrt(5))
    places = np.sqrt(k) * (start + 0.1 * np.stack([np.cos(turns), np.sin(turns)], axis=1))
    links = np.where(links > tegum.EDGE, links, 0) * (1 - np.eye(k))
    for step in np.linspace(0.3, 0, min(ROUNDS, ROUNDS * CROWD // k)):
        apart = places[:, None] - places
        far = np.linalg.norm(apart, axis=2, keepdims=True) + np.eye(k)[..., None] + 1e-9
        force = (apart / far * (1 / far - links[..., None] * far**2)).sum(axis=1)
        places = places + step * force / np.maximum(np.linalg.norm(force, axis=1, keepdims=True), 1)
    return places


def pack(sides: Sequence[float], width: float) -> Float[np.ndarray, "c 2"]:
    """Centres of squares in rows from the top, none wider than `width` unless a square alone is; y falls."""
    centres, x, top, height = [], 0.0, 0.0, 0.0
    for side in sides:
        if x > 0 and x + side > width:
            x, top, height = 0.0, top - height, 0.0
        centres.append((x + side / 2, top - side / 2))
        x, height = x + side, max(height, side)
    return np.array(centres).reshape(-1, 2)


def side(component: Component) -> float:
    """The side of the square that a component is drawn in: its nodes have equal room."""
    return 0.6 if component.size == 1 else 1.0 if component.size == 2 else 0.85 * float(np.sqrt(component.size))


def network(ax: Axes, W: Num[np.ndarray, "m n"], found: Sequence[Component], *, aspect: float = 1.0) -> None:
    """The feature-geometry graph of a model as nodes and links, the largest components on top.

    Links between components, of less than the edge that they were found with, are not drawn.

    Args:
        ax: becomes a drawing without axes, of equal scales.
        W: the model's weights. found: its components, of `tegum.components`.
        aspect: the width of the Axes by its height.
    """
    ordered = sorted(found, key=lambda one: (-one.size, list(COLOURS).index(one.name)))
    sides = [side(one) for one in ordered]
    width = max([1.0, *sides, 1.05 * np.sqrt(aspect * np.sum(np.square(sides)))])
    centres = pack(sides, width)
    size = 14 / max(width, 3)
    for one, centre, room in zip(ordered, centres, sides, strict=True):
        places = centre + 0.36 * room * layout(W[:, one.features])
        links(ax, places, W[:, one.features], width=min(0.8, 8 / one.size))
        ax.plot(*places.T, "o", color=COLOURS[one.name], markersize=size, markeredgewidth=0, zorder=2)
    low = float(min((y - room / 2 for (_, y), room in zip(centres, sides, strict=True)), default=-1.0))
    ax.set(xlim=(0, width), ylim=(low, 0), aspect="equal", xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def links(ax: Axes, places: Float[np.ndarray, "k 2"], W: Num[np.ndarray, "m k"], width: float = 0.8) -> None:
    """A line between each two features of the graph, the darker the larger |W_i . W_j|."""
    i, j = np.nonzero(np.triu(tegum.graph(W)))
    strength = np.clip(np.abs(W.T @ W)[i, j], 0, 1)
    colours = np.concatenate([np.tile(to_rgb(INK), (len(i), 1)), strength[:, None]], axis=1)
    ends = np.stack([places[i], places[j]], axis=1)
    ax.add_collection(LineCollection(list(ends), colors=colours, linewidth=width, zorder=1), autolim=False)


def colours(count: int, found: Sequence[Component]) -> list[str]:
    """The colour of each of so many features: of its component's name, light grey where it has none."""
    own = [FAINT] * count
    for component in found:
        for feature in component.features:
            own[feature] = COLOURS[component.name]
    return own


def stacked(ax: Axes, sides: Num[np.ndarray, " edges"], found: Sequence[Sequence[Component]]) -> None:
    """How many features lie in components of each name, one above the other, for every level; a key on the right.

    Args:
        ax: a bar for each level.
        sides: the edges of the levels. found: the components of the model of each.
    """
    low = np.zeros(len(found))
    for name, colour in COLOURS.items():
        counts = np.array([tegum.features_by_name(one)[name] for one in found], float)
        ax.bar(sides[:-1], counts, np.diff(sides), low, align="edge", color=colour, linewidth=0)
        low = low + counts
    names = [
        Line2D([], [], marker="s", markersize=4, linestyle="", color=colour, label=name)
        for name, colour in COLOURS.items()
    ]
    place = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5), "frameon": False, "fontsize": 6.5, "borderpad": 0}
    ax.legend(handles=names[::-1], labelspacing=0.15, handletextpad=0.1, **place)
