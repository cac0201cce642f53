"""The adaptive map: which points of two axes to train next, so that the map is fine only where phases meet. NumPy only.

A lattice has N + 1 points along each of two axes, N a power of two. Squares of stride s have corners s points apart; at
first s = N / 32, and all corners are trained. A square is split into four, which adds its centre and the midpoints of
its edges, by the phases of the trained points on its edges: its corners, and what its finer neighbours have put there.

    split(square)  iff  s > 1 and these phases are not all one

until no square is. The points trained in the end are the smallest set that the rule leaves alone: they depend on the
phases only, in whatever order squares are split. A boundary that is met anywhere is followed to its end, through
squares of any size. What lies wholly between the points of the start is never seen: a phase thinner or smaller than
its squares may be missed.

An array of phases is (N + 1, N + 1), with UNTRAINED where a point was not asked for. NO_PHASE, of a point of which no
model is usable, differs from no phase.
"""

from collections.abc import Sequence

import numpy as np

UNTRAINED, NO_PHASE = -2, -1
COARSEST = 32
ALLOWED = tuple(2**k for k in range(3, 13))
EVEN = 0.1  # steps that differ from their mean by less are even: the paper's 1, 0.3, 0.1, 0.03 are log-spaced
LINEAR, LOG, LOG_DENSITY = "evenly", "evenly in its logarithm", "evenly in the logarithm of density"


def strides(intervals: int) -> list[int]:
    """The strides of squares, the coarsest first: N / 32 (a quarter of N where N is less than 128), ..., 2, 1."""
    first = intervals // min(COARSEST, intervals // 4)
    return [first >> k for k in range(first.bit_length())]


def start(intervals: int) -> np.ndarray:
    """The points of the start, (point, 2): every corner of the coarsest squares."""
    first = strides(intervals)[0]
    return first * np.argwhere(np.ones((intervals // first + 1,) * 2, bool))


def following(phases: np.ndarray) -> np.ndarray:
    """The points that are to be trained next, (point, 2): those of every square that is to be split and is not yet.

    A square has been split where its centre is trained: no other square has a corner, midpoint or centre there.
    """
    wanted = np.zeros(phases.shape, bool)
    *coarse, _ = strides(len(phases) - 1)
    there = np.ones(((len(phases) - 1) // coarse[0],) * 2, bool)
    for stride in coarse:
        split = phases[stride // 2 :: stride, stride // 2 :: stride] != UNTRAINED
        chosen = there & ~split & differ(phases, stride)
        for down in (0, stride // 2, stride):
            for right in (0, stride // 2, stride):
                wanted[down::stride, right::stride][: len(chosen), : len(chosen)] |= chosen
        there = np.repeat(np.repeat(split, 2, 0), 2, 1)
    return np.argwhere(wanted & (phases == UNTRAINED))


def differ(phases: np.ndarray, stride: int) -> np.ndarray:
    """For each square of a stride whether the known phases on its edges are not all one, bool (square, square)."""
    wide = phases.astype(np.int16)
    least = _over_edges(np.minimum, np.where(wide >= 0, wide, np.iinfo(np.int16).max), stride)
    return least < _over_edges(np.maximum, wide, stride)


def _over_edges(reduce: np.ufunc, values: np.ndarray, stride: int) -> np.ndarray:
    """The least or greatest value on the four edges of each square, both ends of an edge included."""

    def along(lines: np.ndarray) -> np.ndarray:
        parts = lines[:, :-1].reshape(len(lines), -1, stride)
        return reduce(reduce.reduce(parts, axis=2), lines[:, stride::stride])

    level, upright = along(values[::stride]), along(values.T[::stride])
    return reduce(reduce(level[:-1], level[1:]), reduce(upright[:-1], upright[1:]).T)


def spacing(axis: str, points: Sequence[float]) -> str:
    """How the points of an axis are spaced, in words: evenly, else in the logarithm of the points or of the densities.

    Two points, and those that are even in neither, are taken for evenly spaced.
    """
    values = np.sort(np.asarray(points, np.float64))
    scaled, told = (1.0 - values[::-1], LOG_DENSITY) if axis == "sparsity" else (values, LOG)
    return told if not _even(values) and scaled[0] > 0 and _even(np.log(scaled)) else LINEAR


def _even(values: np.ndarray) -> bool:
    steps = np.diff(values)
    return bool((np.abs(steps - steps.mean()) <= EVEN * abs(steps.mean())).all())


def line(points: Sequence[float], told: str, intervals: int) -> np.ndarray:
    """The N + 1 points of an axis from its least point to its greatest, spaced as `spacing` told, in float64.

    A point depends on the ends and its fraction k / N alone, and has 12 digits: a lattice of 2 N has every point of one
    of N.
    """
    least, greatest = min(points), max(points)
    part = np.arange(intervals + 1) / intervals
    if told == LINEAR:
        values = _rounded(least + (greatest - least) * part)
    elif told == LOG:
        values = _rounded(least * (greatest / least) ** part)
    else:
        values = 1.0 - _rounded((1.0 - least) * ((1.0 - greatest) / (1.0 - least)) ** part)
    values[[0, -1]] = least, greatest
    return values


def _rounded(values: np.ndarray) -> np.ndarray:
    return np.array([float(f"{value:.12g}") for value in values])
