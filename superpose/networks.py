"""Drawings of feature geometry: nodes and links of a model's components, side by side, and the colours of shapes.

A node is a represented feature in the colour of its component's shape, a link |W_i . W_j|, the darker the larger.
Components are laid out alone, in their own plane where they have one, and packed by size. Equal features have no order
and no direction of their own: they are given one.
Paper: "Uniform Superposition".
"""

import itertools
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from jaxtyping import Float, Num, Shaped
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D

from superpose import plots, tegum, theory
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

FRACTIONS = {"tetrahedron": "3/4", "triangle": "2/3", "digon": "1/2", "pentagon": "2/5", "square antiprism": "3/8"}
"""Of each shape with a name, its D_i."""

NOTEBOOK = {
    "#7a4fa3": ("1/2", "2/3", "2/5", "2/6", "2/7"),
    plots.SKY: ("5/6", "4/5", "3/4", "3/8", "3/12", "3/20"),
}
"""The D_i at which the authors' notebook draws lines: purple of solutions in a plane, blue in three dimensions."""

TILT = np.radians(20)
"""From how far above three dimensions are seen."""

ROUNDS, CROWD = 300, 60
"""Rounds of springs, fewer where there are more nodes than a crowd."""


def around(W: Num[np.ndarray, "2 n"]) -> Float[np.ndarray, "2 n"]:
    """W (2, n), its columns in the order of their angles from the longest one, which is turned to the right."""
    first = np.argmax(np.linalg.norm(W, axis=0))
    angle = np.arctan2(*W[::-1, first])
    W = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) @ W
    angles = np.mod(np.arctan2(W[1], W[0]) + 1e-6, 2 * np.pi)
    return W[:, np.argsort(angles, kind="stable")]


def axis(W: Num[np.ndarray, "3 n"]) -> Float[np.ndarray, " 3"]:
    """What is drawn upright: the direction of a digon, else that which has half of the features on top."""
    lines = [W[:, one.features[0]] for one in tegum.components(W) if one.name == "digon"]
    signs = [np.array(s) for s in itertools.product((-1, 1), repeat=W.shape[1]) if abs(sum(s)) <= 1]
    up = lines[0] if lines else max((W @ s for s in signs), key=np.linalg.norm)
    return up / max(np.linalg.norm(up), 1e-12)


def upright(W: Num[np.ndarray, "3 n"]) -> Float[np.ndarray, "3 n"]:
    """W (3, n), turned until its axis is the last dimension: its columns by component, each around the axis."""
    frame = np.linalg.svd(axis(W)[None])[2]
    W = np.concatenate([frame[1:], axis(W)[None]]) @ W
    found = sorted(tegum.components(W), key=lambda one: -one.size)
    places = {feature: place for place, one in enumerate(found) for feature in one.features.tolist()}
    angles = np.mod(np.arctan2(W[1], W[0]), 2 * np.pi)
    return W[:, sorted(range(W.shape[1]), key=lambda k: (places.get(k, len(found)), angles[k]))]


def tilted(W: Num[np.ndarray, "3 n"]) -> Float[np.ndarray, "2 n"]:
    """W (3, n), its last dimension upright, as seen from a little above."""
    return np.stack([W[0], np.cos(TILT) * W[2] + np.sin(TILT) * W[1]])


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


def network(
    ax: Axes, W: Num[np.ndarray, "m n"], found: Sequence[Component], *, aspect: float = 1.0, numbered: bool = False
) -> None:
    """The feature-geometry graph of a model as nodes and links, the largest components on top.

    Links between components, of less than the edge that they were found with, are not drawn.

    Args:
        ax: becomes a drawing without axes, of equal scales.
        W: the model's weights. found: its components, of `tegum.components`.
        aspect: the width of the Axes by its height.
        numbered: write each feature's number beside its node.
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
        if numbered:
            numbers(ax, centre, places, one.features)
    low = float(min((y - room / 2 for (_, y), room in zip(centres, sides, strict=True)), default=-1.0))
    ax.set(xlim=(0, width), ylim=(low, 0), aspect="equal", xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def numbers(ax: Axes, centre: np.ndarray, places: Float[np.ndarray, "k 2"], features: np.ndarray) -> None:
    """The features' numbers, each outside of its node as seen from the centre."""
    for feature, place in zip(features.tolist(), places, strict=True):
        away = place - centre
        right, up = 7 * away / np.linalg.norm(away) if np.linalg.norm(away) > 0 else (7.0, 0.0)
        style = {"fontsize": 6, "ha": "center", "va": "center", "annotation_clip": False}
        ax.annotate(str(feature), place, (right, up), textcoords="offset points", **style)


def links(ax: Axes, places: Float[np.ndarray, "k 2"], W: Num[np.ndarray, "m k"], width: float = 0.8) -> None:
    """A line between each two features of the graph, the darker the larger |W_i . W_j|."""
    i, j = np.nonzero(np.triu(tegum.graph(W)))
    strength = np.clip(np.abs(W.T @ W)[i, j], 0, 1)
    colours = np.concatenate([np.tile(to_rgb(INK), (len(i), 1)), strength[:, None]], axis=1)
    ends = np.stack([places[i], places[j]], axis=1)
    ax.add_collection(LineCollection(list(ends), colors=colours, linewidth=width, zorder=1), autolim=False)


def fractions(ax: Axes) -> None:
    """A line at each of the notebook's D_i, written on the left, and the names of shapes at theirs, on the right."""
    for name in (*FRACTIONS, "not learned"):
        height, shift = theory.POLYTOPES[name], {"pentagon": 0.012, "square antiprism": -0.012}.get(name, 0.0)
        style = {"color": COLOURS.get(name, INK), "fontsize": 7, "va": "center"}
        words = f"{FRACTIONS.get(name, 0)}  {name}"
        ax.text(1.01, height + shift, words, transform=ax.get_yaxis_transform(), **style)
    ax.axhline(0, color=FAINT, linewidth=0.6, zorder=0)
    for colour, written in NOTEBOOK.items():
        for place, fraction in enumerate(written):
            height, away = float(Fraction(fraction)), 0.005 + 0.025 * (place % 2)
            ax.axhline(height, color=colour, linewidth=0.5, alpha=0.6, zorder=0)
            style = {"color": colour, "fontsize": 5, "va": "bottom"}
            ax.text(away, height, fraction, transform=ax.get_yaxis_transform(), **style)


def side_by_side(
    ax: Axes, ends: tuple[float, float], values: Num[np.ndarray, " k"], colours: Shaped[np.ndarray, " k"]
) -> None:
    """Values as dots, sorted, from one side of a level to the other on a logarithmic axis."""
    order = np.argsort(values, kind="stable")
    part = np.interp(np.linspace(0.1, 0.9, len(order)), [0, 1], np.log(ends))
    ax.scatter(np.exp(part), values[order], s=3, c=colours[order], linewidths=0, rasterized=True)


def colours(count: int, found: Sequence[Component]) -> list[str]:
    """The colour of each of so many features: of its component's name, light grey where it has none."""
    own = [FAINT] * count
    for component in found:
        for feature in component.features:
            own[feature] = COLOURS[component.name]
    return own


def stacked(ax: Axes, sides: Num[np.ndarray, " edges"], found: Sequence[Sequence[Component]]) -> None:
    """How many features lie in components of each name, one above the other, for every level; a key of those there are.

    Args:
        ax: a bar for each level.
        sides: the edges of the levels. found: the components of the model of each.
    """
    low = np.zeros(len(found))
    there = {part.name for one in found for part in one}
    for name, colour in COLOURS.items():
        counts = np.array([tegum.features_by_name(one)[name] for one in found], float)
        ax.bar(sides[:-1], counts, np.diff(sides), low, align="edge", color=colour, linewidth=0)
        low = low + counts
    names = [
        Line2D([], [], marker="s", markersize=4, linestyle="", color=colour, label=name)
        for name, colour in COLOURS.items()
        if name in there
    ]
    place = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5), "frameon": False, "fontsize": 6.5, "borderpad": 0}
    ax.legend(handles=names[::-1], labelspacing=0.15, handletextpad=0.1, **place)
