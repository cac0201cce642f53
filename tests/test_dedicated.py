"""Absolute values without superposition: costs against samples, and the best choice against all choices."""

import numpy as np
import pytest

from superpose import dedicated

DENSITIES = np.array([1.0, 0.7, 0.3, 0.01])


@pytest.mark.parametrize("p", DENSITIES)
def test_the_costs_are_the_lowest_losses_of_one_output(p):
    """Least squares of |x| on (1), and on (1, ReLU(x)), over an even grid of x: E f = (1 - p) f(0) + p mean f."""
    x = (np.arange(20_000) + 0.5) / 10_000 - 1
    weight = np.append(np.full(x.size, p / x.size), 1 - p)
    x = np.append(x, 0.0)
    columns = np.stack([np.ones_like(x), np.maximum(x, 0)], axis=1)
    for neurons in (0, 1):
        A = columns[:, : neurons + 1] * np.sqrt(weight)[:, None]
        best = np.linalg.lstsq(A, np.abs(x) * np.sqrt(weight), rcond=None)[1]
        np.testing.assert_allclose(dedicated.costs(p)[neurons], best, rtol=1e-6)
    assert dedicated.costs(p)[2] == 0


@pytest.mark.parametrize("m", range(8))
def test_no_other_choice_is_better(m):
    worth, cost = np.array([0.3, 1.0, 0.6]), dedicated.costs(DENSITIES)
    ways = [way for way in np.ndindex(3, 3, 3) if sum(way) <= m]
    best = np.min([sum(w * cost[k] for w, k in zip(worth, way, strict=True)) for way in ways], axis=0)
    np.testing.assert_allclose(dedicated.loss(DENSITIES, worth, m), best, rtol=1e-12, atol=1e-15)


def test_importances_and_densities_broadcast():
    found = dedicated.loss(DENSITIES[:, None], np.array([[1.0, 1.0, 0.5], [1.0, 1.0, 4.0]]), 4)
    np.testing.assert_allclose(found, np.stack([0.5 * dedicated.costs(DENSITIES)[0], dedicated.costs(DENSITIES)[0]], 1))
