"""Collapsed sets over densities and seeds, of counts that are written down."""

import numpy as np
import pytest

from superpose.collapse import Collapse, bracket, resampled, threshold

DENSITY = np.array([0.8, 0.4, 0.2, 0.1])


def found(*counts: tuple[int, ...], loss: np.ndarray | None = None) -> Collapse:
    """The counts of every seed at each density; the first seed is the best."""
    given = np.array(counts)
    return Collapse(DENSITY, np.arange(1.0, given.shape[1] + 1) * np.ones((4, 1)) if loss is None else loss, given, 3)


def test_the_best_seed_and_most_of_them():
    own = found((3, 3, 2), (2, 3, 3), (0, 2, 1), (0, 0, 1))
    assert own.best.tolist() == [3, 2, 0, 0]
    assert own.commonest.tolist() == [3, 3, 0, 0]  # 0, 1 and 2 are as common: the smallest
    np.testing.assert_allclose(own.shares[0], [0, 0, 1 / 3, 2 / 3])
    np.testing.assert_allclose(own.shares.sum(axis=1), 1)


def test_unusable_seeds_count_nowhere():
    loss = np.array([[np.inf, 2.0, 1.0]] * 4)
    own = found((3, 1, 2), (3, 1, 2), (3, 1, 1), (3, 0, 1), loss=loss)
    assert own.best.tolist() == [2, 2, 1, 1] and not own.shares[:, 3].any()


def test_a_bracket_is_where_fewer_are_collapsed_for_good():
    assert bracket(DENSITY, np.array([3, 1, 2, 0]), 2) == (0.1, 0.2)
    assert threshold(DENSITY, np.array([3, 1, 2, 0]), 2) == pytest.approx(0.02**0.5)
    assert np.isnan(bracket(DENSITY, np.array([3, 3, 3, 3]), 3)).all()
    assert np.isnan(bracket(DENSITY, np.array([2, 2, 1, 1]), 3)).all()


def test_the_interval_covers_the_brackets_of_resamples():
    """Seeds that agree have the bracket alone; of two that do not, each is the one drawn in a quarter of resamples."""
    assert resampled(found((3, 3), (3, 3), (1, 1), (0, 0)), 3) == (0.2, 0.4)
    assert resampled(found((3, 3), (3, 1), (1, 1), (0, 0)), 3) == (0.2, 0.8)
    assert resampled(found((3, 3), (3, 3), (1, 3), (0, 3)), 3) is None
