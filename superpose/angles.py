"""Angles around the hidden plane: how the columns of a W (2, n) lie to their neighbours.

    gaps     the n angles between neighbours, 360 degrees in all; 360 / n each of a regular polygon

The paper's polygons: a pentagon, a square of two digons, the hexagon of three correlated pairs. NumPy only.
"""

import numpy as np
from jaxtyping import Float

from superpose.tegum import REPRESENTED

DEGREES = 15.0
"""A quarter of the 60 degrees of a hexagon: its angles may differ by so much."""


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
    return bool((np.linalg.norm(W, axis=0) > REPRESENTED).all()) and regular(W, DEGREES)


def hexagon_of_pairs(W: Float[np.ndarray, "2 6"]) -> bool:
    """Whether a hexagon has the features 0 and 1, 2 and 3, 4 and 5 side by side."""
    angle = np.degrees(np.arctan2(W[1], W[0])).reshape(3, 2)
    apart = np.abs((angle[:, 1] - angle[:, 0] + 180) % 360 - 180)
    return hexagon(W) and bool((apart < 60 + DEGREES).all())
