"""Curves of the lowest loss of a shape, and their crossings, of losses that are written down."""

import numpy as np
import pytest

from superpose.branches import Branch, ahead, branch, crossings

AT = np.array([0.25, 0.5, 1.0, 2.0])


def test_a_branch_is_the_lowest_run_of_its_shape_where_there_is_one():
    loss = np.array([[3.0, 1.0, 2.0], [5.0, 4.0, 6.0], [np.nan, 8.0, 9.0], [1.0, 1.0, 1.0]])
    member = np.array([[True, False, True], [True, True, True], [True, False, True], [False, False, False]])
    found = branch(AT, loss, member)
    assert found.at.tolist() == [0.25, 0.5, 1.0] and found.loss.tolist() == [2.0, 4.0, 9.0]
    assert found.level.tolist() == [0, 1, 2] and found.seed.tolist() == [2, 1, 2]
    nothing = branch(AT, loss, member & False)
    assert not len(nothing.at) and crossings(found, nothing) == []


def curve(losses: np.ndarray) -> Branch:
    return branch(AT, losses[:, None], np.isfinite(losses)[:, None])


def test_curves_cross_where_powers_do():
    """at^2 / 0.6^2 and 1 cross at 0.6, to rounding, since their logarithms are straight."""
    (found,) = crossings(curve((AT / 0.6) ** 2), curve(np.ones(4)))
    assert found.at == pytest.approx(0.6) and (found.low, found.high) == (0.5, 1.0)
    assert crossings(curve(np.ones(4)), curve(2 * AT**0)) == []
    assert len(crossings(curve(np.array([1.0, 3.0, 1.0, 3.0])), curve(2 * AT**0))) == 3


def test_only_common_levels_count():
    gone = np.array([1.0, np.nan, np.nan, 3.0])
    at, ratio = ahead(curve(gone), curve(2 * AT**0))
    assert at.tolist() == [0.25, 2.0]
    np.testing.assert_allclose(ratio, np.log([0.5, 1.5]))
    (found,) = crossings(curve(gone), curve(2 * AT**0))
    assert (found.low, found.high) == (0.25, 2.0)
