"""The adaptive map: the rule on phases that are known, and runs that follow a boundary."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superpose import refining
from superpose.refining import NO_PHASE, UNTRAINED

SIZE = 512
DOWN, RIGHT = np.indices((SIZE + 1, SIZE + 1))
SHAPES = {
    "disc": np.hypot(DOWN - 250, RIGHT - 260) < 180,
    "line": DOWN > 0.37 * RIGHT + 80,
    "strip": np.abs(DOWN - 0.8 * RIGHT - 30) < 14,  # 22 points wide: wider than the squares of the start, 16
    "disc and line": (np.hypot(DOWN - 250, RIGHT - 260) < 180) + 2 * (DOWN > RIGHT),
    "spiral": (np.hypot(DOWN - 256, RIGHT - 256) + 80 * np.arctan2(DOWN - 256, RIGHT - 256) / np.pi) % 80 < 40,
}


def filled(phases: np.ndarray) -> np.ndarray:
    """The whole map: each point without a phase (negative) has that of the last known point before it in its row, else
    of the first after it; a row that has none, that of the row before it, else after it.

    On a refined map this is the phase of the square that the point lies in. Rows and columns of which no point was
    trained may be left out. What is nowhere known stays.
    """
    for _ in range(2):  # along the rows, then along the columns
        known, place = phases >= 0, np.arange(phases.shape[1])
        before = np.maximum.accumulate(np.where(known, place, -1), axis=1)
        after = np.minimum.accumulate(np.where(known, place, len(place))[:, ::-1], axis=1)[:, ::-1]
        source = np.where(before >= 0, before, np.where(after < len(place), after, place))
        phases = np.take_along_axis(phases, source, axis=1).T
    return phases


def refined(truth: np.ndarray, phases: np.ndarray | None = None) -> tuple[np.ndarray, list[np.ndarray]]:
    """What is trained in the end of a map whose phases are `truth`, and the points of each level."""
    phases = np.full(truth.shape, UNTRAINED) if phases is None else phases.copy()
    levels = [refining.start(len(truth) - 1)]
    while len(levels[-1]):
        at = tuple(levels[-1].T)
        phases[at] = truth[at]
        levels.append(refining.following(phases))
    return phases, levels[:-1]


def boundary(truth: np.ndarray) -> np.ndarray:
    """The finest squares whose corners are not all of one phase, written out."""
    corners = np.stack([truth[:-1, :-1], truth[:-1, 1:], truth[1:, :-1], truth[1:, 1:]])
    return corners.min(0) != corners.max(0)


@pytest.mark.parametrize("name", SHAPES)
def test_every_boundary_is_found_and_little_is_trained(name):
    truth = SHAPES[name].astype(int)
    phases, levels = refined(truth)
    known = phases != UNTRAINED
    corners = known[:-1, :-1] & known[:-1, 1:] & known[1:, :-1] & known[1:, 1:]
    assert corners[boundary(truth)].all()
    assert known.mean() < 0.15
    assert np.array_equal(filled(phases), truth)
    assert len(np.unique(np.concatenate(levels), axis=0)) == sum(map(len, levels)) == known.sum()
    rows, columns = known.any(1), known.any(0)  # the labelled arrays lack lines of which nothing was trained
    assert np.array_equal(filled(phases[rows][:, columns]), truth[rows][:, columns])


def test_a_map_of_one_phase_is_its_start():
    phases, levels = refined(np.ones((SIZE + 1, SIZE + 1), int))
    assert len(levels) == 1 and (phases != UNTRAINED).sum() == 33**2
    assert np.array_equal(np.argwhere(phases != UNTRAINED) % 16, np.zeros((33**2, 2)))


def test_points_without_a_phase_differ_from_none():
    truth = np.where(DOWN < 200, NO_PHASE, 1)
    assert len(refined(truth)[1]) == 1
    assert len(refined(np.full_like(truth, NO_PHASE))[1]) == 1


def test_a_thin_phase_that_is_met_is_followed_through_squares_whose_corners_do_not_show_it():
    """A strip 3 points wide and 5 degrees from level meets a line of the start every 180 points only."""
    truth = ((np.abs(DOWN - 0.09 * RIGHT - 100.3) < 1.5) & (RIGHT > 5)).astype(int)
    assert truth[::16, ::16].any()
    phases, _ = refined(truth)
    assert np.array_equal(filled(phases), truth)


blobs = st.lists(
    st.tuples(st.floats(0, 64), st.floats(0, 64), st.floats(2, 40), st.integers(1, 3)), min_size=1, max_size=5
)


def of_blobs(drawn) -> np.ndarray:
    i, j = np.indices((65, 65))
    truth = np.zeros((65, 65), int)
    for down, right, radius, phase in drawn:
        truth[np.hypot(i - down, j - right) < radius] = phase
    return truth


@settings(deadline=None, max_examples=60)
@given(blobs)
def test_a_boundary_that_is_met_is_found_whole(drawn):
    """Boundary squares that share an edge on which the phase changes are trained all or not at all."""
    truth = of_blobs(drawn)
    known = refined(truth)[0] != UNTRAINED
    trained = known[:-1, :-1] & known[:-1, 1:] & known[1:, :-1] & known[1:, 1:]
    right = truth[:-1, 1:-1] != truth[1:, 1:-1]  # the edge between the squares (a, b) and (a, b + 1)
    down = truth[1:-1, :-1] != truth[1:-1, 1:]
    assert np.array_equal(trained[:, :-1][right], trained[:, 1:][right])
    assert np.array_equal(trained[:-1][down], trained[1:][down])


@settings(deadline=None, max_examples=40)
@given(blobs, st.randoms(use_true_random=False))
def test_the_rule_written_out_square_by_square_in_any_order(drawn, random):
    truth = of_blobs(drawn)
    stride = 4
    squares = [(a, b, stride) for a in range(0, 64, stride) for b in range(0, 64, stride)]
    trained = {(a, b) for a in range(0, 65, stride) for b in range(0, 65, stride)}
    changed = True
    while changed:
        changed = False
        random.shuffle(squares)
        for square in list(squares):
            a, b, size = square
            sides = [(a + k, b + m) for k in range(size + 1) for m in range(size + 1) if {k, m} & {0, size}]
            if size > 1 and len({truth[point] for point in trained.intersection(sides)}) > 1:
                half, changed = size // 2, True
                squares.remove(square)
                squares += [(a + k, b + m, half) for k in (0, half) for m in (0, half)]
                trained |= {(a + k, b + m) for k in (0, half, size) for m in (0, half, size)}
    assert {tuple(point) for point in np.argwhere(refined(truth)[0] != UNTRAINED).tolist()} == trained


@pytest.mark.parametrize("size, start", [(8, 2), (16, 4), (64, 16), (128, 32), (512, 32), (4096, 32)])
def test_the_start_has_32_squares_a_side_or_a_quarter(size, start):
    assert len(refining.start(size)) == (start + 1) ** 2
    assert refining.strides(size)[0] == size // start and refining.strides(size)[-1] == 1


def test_how_points_are_spaced():
    dense = [1 - d for d in np.geomspace(1, 0.01, 24)]
    paper = [1 - d for d in (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)]
    assert refining.spacing("sparsity", dense) == refining.spacing("sparsity", paper) == refining.LOG_DENSITY
    assert refining.spacing("sparsity", np.linspace(0, 0.99, 7).tolist()) == refining.LINEAR
    assert refining.spacing("importance", np.geomspace(0.1, 10, 24)[::-1].tolist()) == refining.LOG
    assert refining.spacing("importance", [0.5, 1.0]) == refining.spacing("importance", [0.0, 1.0, 5.0])
    assert refining.spacing("importance", [0.5, 1.0]) == refining.LINEAR


@pytest.mark.parametrize(
    "points, told",
    [([0.0, 0.99], refining.LOG_DENSITY), ([10.0, 0.1], refining.LOG), ([0.25, 0.7], refining.LINEAR)],
)
def test_a_finer_lattice_has_every_point_of_a_coarser_to_the_bit(points, told):
    fine = refining.line(points, told, 512)
    assert fine[0] == min(points) and fine[-1] == max(points) and (np.diff(fine) > 0).all()
    for size in (8, 64, 256):
        assert np.array_equal(refining.line(points, told, size), fine[:: 512 // size])
    scaled = {refining.LINEAR: lambda x: x, refining.LOG: np.log, refining.LOG_DENSITY: lambda x: -np.log(1 - x)}
    even = scaled[told](fine)
    np.testing.assert_allclose(np.diff(even), (even[-1] - even[0]) / 512, rtol=1e-6)
