"""Angles around the plane, of columns whose angles are known."""

import numpy as np
import pytest
from paired import polar

from superpose.angles import beside, gaps, hexagon, hexagon_of_pairs, regular, shape

RNG = np.random.default_rng(0)


def test_a_regular_polygon():
    angles = np.radians([0, 60, 130, 180, 240, 300])
    W = np.stack([np.cos(angles), np.sin(angles)]) * RNG.uniform(0.5, 2, 6)
    assert regular(W, 11.0) and not regular(W, 9.0)
    assert not regular(np.ones((2, 6)), 15.0)


def test_gaps_of_polygons():
    for corners in (1, 2, 3, 5, 6):
        angles = 2 * np.pi * RNG.permutation(corners) / corners + 0.3
        np.testing.assert_allclose(gaps(np.stack([np.cos(angles), np.sin(angles)])), 360 / corners, atol=1e-9)
    assert gaps(np.zeros((2, 0))).size == 0


def test_the_angle_beside_a_point():
    angles = np.radians([10, 300, 50, 150, 200])
    W = np.stack([np.cos(angles), np.sin(angles)]) * RNG.uniform(0.5, 2, 5)
    assert beside(W, 0) == pytest.approx((40 + 70) / 2) and beside(W, 3) == pytest.approx((100 + 50) / 2)


@pytest.mark.parametrize(
    ("degrees", "norms", "six", "pairs"),
    [
        ([0, 60, 120, 180, 240, 300], 1.0, True, True),
        ([350, 50, 110, 170, 230, 290], 1.0, True, True),  # one pair around 360 degrees
        ([0, 120, 240, 60, 180, 300], 1.0, True, False),
        ([0, 60, 120, 180, 240, 316], 1.0, False, False),
        ([0, 60, 120, 180, 240, 300], [1, 1, 1, 1, 1, 0.4], False, False),
    ],
)
def test_a_hexagon(degrees, norms, six, pairs):
    W = polar(degrees, norms)
    assert (hexagon(W), hexagon_of_pairs(W)) == (six, pairs)


@pytest.mark.parametrize(
    ("W", "name"),
    [
        (polar([72, 146, 214, -72, 0]), "pentagon"),
        (polar([63, 146, 214, -63, 0], [1, 1, 1, 1, 0.85]), "pentagon"),
        (polar([78, 146, 214, -78, 0], 1.1), "pentagon"),
        (polar([0, 90, 180, 270, 45]), "other"),  # a square with a point between two of it
        (polar([0, 90, 180, 270, 0]), "other"),
        (polar([0, 90, 180, 270, 0], [1, 1, 1, 1, 0]), "two digons"),
        (polar([0, 99, 180, 270, 200], [1, 1, 1, 1, 0.05]), "two digons"),
        (polar([0, 90, 180, 270, 45], [1, 1, 1, 1, 0.3]), "other"),
        (polar([0, 101, 180, 270, 0], [1, 1, 1, 1, 0]), "other"),
        (polar([0, 0, 90, 180, 270], [0, 1, 1, 1, 1]), "other"),  # another feature is at 0
        (polar([0, 120, 240, 0, 0], [1, 1, 1, 0, 0]), "other"),
        (np.full((2, 5), np.nan), ""),
    ],
)
def test_a_shape_has_a_name(W, name):
    assert shape(W) == name
