"""Runs that end in different shapes: the lowest loss of each shape along an axis, and where two such curves cross.

Two shapes whose curves cross with different slopes, each found on both sides, change places in a first-order phase
change: the best run jumps from one to the other (paper, "Non-Uniform Superposition"). NumPy only.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int


class Branch(NamedTuple):
    """Of one shape the runs of the lowest loss.

    Attributes:
        at: the levels at which the shape was found, rising.
        loss: the lowest loss there.
        level, seed: where that run stands among all.
    """

    at: Float[np.ndarray, " found"]
    loss: Float[np.ndarray, " found"]
    level: Int[np.ndarray, " found"]
    seed: Int[np.ndarray, " found"]


class Crossing(NamedTuple):
    """Where two curves cross, between two neighbouring levels."""

    at: float
    low: float
    high: float


def branch(
    at: Float[np.ndarray, " levels"], loss: Float[np.ndarray, "levels seeds"], member: Bool[np.ndarray, "levels seeds"]
) -> Branch:
    """The runs of the lowest finite loss among those of a shape, at each level that has one.

    Args:
        at: the levels, rising.
        loss: of every run.
        member: whether a run is of that shape.
    """
    own = np.where(member & np.isfinite(loss), loss, np.inf)
    seed = own.argmin(axis=1)
    level = np.flatnonzero(np.isfinite(own.min(axis=1)))
    return Branch(at[level], loss[level, seed[level]], level, seed[level])


def ahead(one: Branch, other: Branch) -> tuple[Float[np.ndarray, " both"], Float[np.ndarray, " both"]]:
    """The levels at which both were found, and ln(one's loss / the other's) there."""
    both, here, there = np.intersect1d(one.at, other.at, return_indices=True)
    return both, np.log(one.loss[here] / other.loss[there])


def crossings(one: Branch, other: Branch) -> list[Crossing]:
    """Where the two curves cross, by interpolating the logarithm of their ratio over the logarithm of the level."""
    at, ratio = ahead(one, other)
    places = np.flatnonzero((ratio[:-1] < 0) != (ratio[1:] < 0))
    share = [float(ratio[k] / (ratio[k] - ratio[k + 1])) for k in places]
    ends = [(float(at[k]), float(at[k + 1])) for k in places]
    return [Crossing(low ** (1 - s) * high**s, low, high) for s, (low, high) in zip(share, ends, strict=True)]
