"""Independent sparse features: exact probabilities by enumeration, moments and independence within 5 sigma.

A mean of N numbers of variance v lies within 5 sqrt(v / N) of its expectation; every v here is the formula's, not the
sample's. With p_i = density * relative_density_i: E x = p / 2, E x^2 = p / 3, E x^4 = p / 5.
"""

from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from superpose.features import IndependentFeatures

N = 2**19
RELATIVE = (2.0, 0.7, 0.2, 0.02)
DENSITIES = 0.5 * np.array(RELATIVE)  # 1, .35, .1, .01


def assert_mean(sample: np.ndarray, expected: Any, variance: Any) -> None:
    assert abs(sample.mean() - expected) < 5 * np.sqrt(variance / sample.size)


@pytest.fixture(scope="module")
def x() -> np.ndarray:
    features = IndependentFeatures(4, 0.5, RELATIVE)
    return np.asarray(features(features.noise(N, key=jax.random.key(7))), np.float64)


@pytest.mark.parametrize("p", [1e-5, 1e-3, 0.1, 0.3, 0.5, 1 - 2**-24, 1.0])
def test_activation_probability_is_exact(p):
    """Of all draws k / 2^23, ceil(p 2^23) lie below p; that of k = 0 gives an active feature of value 0."""
    k = np.arange(2**23)
    x = np.asarray(IndependentFeatures(1, p)(jnp.asarray(k / 2**23, jnp.float32)[None]))[0]
    count = int(np.ceil(float(np.float32(p)) * 2**23))
    assert abs(count / 2**23 - p) < 1.2e-7
    np.testing.assert_array_equal(x > 0, (k > 0) & (k < count))


def test_full_density_is_exact():
    """At p = 1 every feature is active and x is the draw itself."""
    features = IndependentFeatures(3, 1.0)
    noise = features.noise(1000, key=jax.random.key(0))
    np.testing.assert_array_equal(features(noise), noise)


def test_values_lie_in_the_unit_interval(x):
    assert x.min() == 0 and x.max() <= 1 + 2**-23


@pytest.mark.parametrize("i", range(4))
def test_moments(x, i):
    p = DENSITIES[i]
    if p < 1:  # at 1 it is exact
        assert_mean(x[i] > 0, p, p * (1 - p))
    assert_mean(x[i], p / 2, p / 3 - p**2 / 4)
    assert_mean(x[i] ** 2, p / 3, p / 5 - p**2 / 9)


@pytest.mark.parametrize("i", range(4))
def test_values_are_uniform_given_active(x, i):
    """Kolmogorov and Smirnov: P(sqrt(N) D > t) -> 2 exp(-2 t^2), which is 5 sigma's 5.7e-7 at t = 2.745."""
    active = np.sort(x[i][x[i] > 0])
    steps = np.arange(len(active) + 1) / len(active)
    distance = max(np.abs(active - steps[1:]).max(), np.abs(active - steps[:-1]).max())
    assert np.sqrt(len(active)) * distance < 2.745


def test_features_are_independent(x):
    """The covariance of independent variables has variance var_i var_j / N: of values, and of activity below p = 1."""
    p = DENSITIES[:, None]
    for off, variance in ((x - p / 2, p / 3 - p**2 / 4), ((x > 0) - p, p * (1 - p))):
        for i in range(4):
            for j in range(i):
                if variance[i] * variance[j] > 0:
                    assert_mean(off[i] * off[j], 0, float(variance[i, 0] * variance[j, 0]))


def test_examples_are_independent(x):
    off = x - DENSITIES[:, None] / 2
    for i in range(4):
        variance = DENSITIES[i] / 3 - DENSITIES[i] ** 2 / 4
        assert_mean(off[i][1:] * off[i][:-1], 0, variance**2)


def test_noise_depends_on_no_swept_number():
    key = jax.random.key(3)
    noise = IndependentFeatures(4, 0.9).noise(33, key=key)
    np.testing.assert_array_equal(noise, IndependentFeatures(4, 0.01, RELATIVE).noise(33, key=key))


def test_cells_of_a_seed_are_nested():
    """Common random numbers: what is active at a density is active at every higher one."""
    noise = IndependentFeatures(4).noise(999, key=jax.random.key(3))
    active = [np.asarray(IndependentFeatures(4, p)(noise)) > 0 for p in (0.01, 0.1, 0.5, 1.0)]
    for fewer, more in pairwise(active):
        assert not (fewer & ~more).any()


def test_a_vector_of_another_length_is_refused():
    with pytest.raises(ValueError, match=r"one factor per feature, n = 3, got 2"):
        IndependentFeatures(3, 0.1, [1.0, 0.5])
