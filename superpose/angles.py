"""Angles around the hidden plane: how the columns of a W (2, n) lie to their neighbours.

    gaps     the n angles between neighbours, 360 degrees in all; 360 / n each of a regular polygon

The paper's polygons: a pentagon, a square of two digons, the hexagon of three correlated pairs. NumPy only.
"""

import numpy as np
from jaxtyping import Float

from superpose.geometry import REPRESENTED_NORM

DEGREES = 15.0
"""A quarter of the 60 degrees of a hexagon: its angles may differ by so much."""
ACUTE, SQUARE, AT_ZERO = 45.0, 10.0, 0.1
"""Degrees; degrees by which right angles may differ; and the norm below which a point is at 0."""


def gaps(W: Float[np.ndarray, "2 n"]) -> Float[np.ndarray, " n"]:
    """The angles in degrees between neighbouring columns, all the way around the plane; they add up to 360.

    Args:
        W: columns that are not zero.
    """
    around = np.sort(np.degrees(np.arctan2(W[1], W[0])))
    return np.diff(np.append(around, around[:1] + 360))


def regular(W: Float[np.ndarray, "2 n"], within: float) -> bool:
    """Whether the columns, none of them zero, lie at equal angles around the plane: 360 / n degrees within so many."""
    return bool((np.abs(gaps(W) - 360 / W.shape[1]) <= within).all())


def beside(W: Float[np.ndarray, "2 n"], feature: int) -> float:
    """The mean angle in degrees between a column and its two neighbours around the plane. No column may be zero."""
    around = np.degrees(np.arctan2(W[1], W[0]))
    away = np.delete(around - around[feature], feature) % 360
    return float(away.min() + 360 - away.max()) / 2


def hexagon(W: Float[np.ndarray, "2 6"]) -> bool:
    """Whether six represented features lie at angles of 60 degrees, within 15."""
    return bool((np.linalg.norm(W, axis=0) > REPRESENTED_NORM).all()) and regular(W, DEGREES)


def hexagon_of_pairs(W: Float[np.ndarray, "2 6"]) -> bool:
    """Whether a hexagon has the features 0 and 1, 2 and 3, 4 and 5 side by side."""
    angle = np.degrees(np.arctan2(W[1], W[0])).reshape(3, 2)
    apart = np.abs((angle[:, 1] - angle[:, 0] + 180) % 360 - 180)
    return hexagon(W) and bool((apart < 60 + DEGREES).all())


def shape(W: Float[np.ndarray, "2 5"]) -> str:
    """The geometry of five features, the last one varied: "pentagon", "two digons", "other"; empty if not finite.

    A pentagon has five represented features and no angle up to 45 degrees, as a point between two of a square has. Two
    digons have the other four at right angles, within 10 degrees, and the varied one at 0: its norm is below 0.1. Where
    the digons are about to give way some runs have one that is not.
    """
    if not np.isfinite(W).all():
        return ""
    norms = np.linalg.norm(W, axis=0)
    represented = norms > REPRESENTED_NORM
    if represented.all() and gaps(W).min() > ACUTE:
        return "pentagon"
    if represented[:4].all() and norms[4] < AT_ZERO and regular(W[:, :4], SQUARE):
        return "two digons"
    return "other"
