"""How two correlated sets of three features find an octahedron: the stages, told from the weights along the way.

Of the cosines between two features of one set, w, and of two sets, c (paper, "Learning as Geometric Transformations"):

    A    weights near zero: all norms below 0.1
    B    two directions, one for each set: norms above 0.3, each w above 0.95, the mean c below 0.5
    C    each set is an equilateral triangle, but not D: norms above 0.3, each w below 0.87 (30 degrees), the three
         w of a set equal within 0.1, and their norms within 10%
    D    the octahedron: each |w| below 0.1, and for every feature a c below -0.9

No stage is looked for after another one alone: their order is a finding.
Features 0 to 2 are the first set, 3 to 5 the second.
"""

import numpy as np

from superpose import snapshots

WITHIN = ([0, 0, 1, 3, 3, 4], [1, 2, 2, 4, 5, 5])
SHARED, OPEN, RIGHT, OPPOSITE = 0.95, 0.87, 0.1, -0.9
"""Cosines: one direction, 30 degrees apart, a right angle within 6 degrees, antipodal within 26."""
EQUAL = 0.1


def within(cosines: np.ndarray) -> np.ndarray:
    """The six cosines of two features of a set, (..., 6)."""
    return cosines[..., WITHIN[0], WITHIN[1]]


def across(cosines: np.ndarray) -> np.ndarray:
    """The cosines of features of the two sets, (..., 3, 3)."""
    return cosines[..., :3, 3:]


def partners(cosines: np.ndarray) -> np.ndarray:
    """Of each feature the least cosine with one of the other set, (..., 6)."""
    return np.concatenate([across(cosines).min(-1), across(cosines).min(-2)], -1)


def equilateral(W: np.ndarray) -> np.ndarray:
    """Are the features of each set at equal angles, 30 degrees or more, and of equal norms? (...) of W (..., 3, 6)."""
    norms, own = np.linalg.norm(W, axis=-2), within(snapshots.cosines(W))
    each = lambda numbers: numbers.reshape(*numbers.shape[:-1], 2, 3)
    equal = np.ptp(each(own), axis=-1).max(-1) < EQUAL
    alike = (np.ptp(each(norms), axis=-1) < EQUAL * each(norms).max(-1)).all(-1)
    return equal & alike & (own.max(-1) < OPEN)


def stages(W: np.ndarray) -> dict[str, int]:
    """The snapshot of each stage that is found: the last of A, the middle of B, the first of C and of D."""
    cosines, norms = snapshots.cosines(W), np.linalg.norm(W, axis=-2)
    own, places = within(cosines), np.arange(len(W))
    near_zero = norms.max(-1) < 0.1
    two = (norms.min(-1) > 0.3) & (own.min(-1) > SHARED) & (across(cosines).mean((-1, -2)) < 0.5)
    last = (np.abs(own).max(-1) < RIGHT) & (partners(cosines).max(-1) < OPPOSITE) & (norms.min(-1) > 0.5)
    opened = equilateral(W) & (norms.min(-1) > 0.3) & ~last
    found = {"A": places[near_zero][-1:], "B": places[two], "C": places[opened][:1], "D": places[last][:1]}
    return {name: int(at[len(at) // 2]) for name, at in found.items() if len(at)}
