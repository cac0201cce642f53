"""The three weightings against their formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from superpose.weighting import Geometric, LastFeature, Uniform


def test_uniform():
    np.testing.assert_array_equal(Uniform()(4), [1, 1, 1, 1])


@pytest.mark.parametrize(("base", "n"), [(0.7, 20), (0.9, 100), (0.5, 1)])
def test_geometric(base, n):
    """base^i of the float32 base, to a few float32 roundings (2^-24 each)."""
    expected = float(np.float32(base)) ** np.arange(n)
    np.testing.assert_allclose(Geometric(base)(n), expected, rtol=8 * 2**-24)


def test_geometric_of_one_is_uniform():
    np.testing.assert_array_equal(Geometric(1.0)(7), np.ones(7))


def test_last_feature():
    np.testing.assert_array_equal(LastFeature(0.25)(4), [1, 1, 1, 0.25])
    np.testing.assert_array_equal(LastFeature(10)(1), [10])


@pytest.mark.parametrize("kind", [Geometric, LastFeature])
def test_the_coordinate_may_be_traced(kind):
    points = jnp.array([0.3, 0.5, 1.0])
    found = jax.jit(jax.vmap(lambda point: kind(point)(3)))(points)
    for k in range(3):
        np.testing.assert_allclose(found[k], kind(points[k])(3), rtol=2**-23)
