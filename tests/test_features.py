"""Independent sparse features: exact probabilities by enumeration, moments and independence within 5 sigma.

A mean of N numbers of variance v lies within 5 sqrt(v / N) of its expectation; every v here is the formula's, not the
sample's. With p_i = density * relative_density_i: E x = p / 2, E x^2 = p / 3, E x^4 = p / 5. Given that x != 0, of
probability a = 1 - prod_i (1 - p_i), the expectation of what is 0 at x = 0 is divided by a.
"""

from itertools import combinations, pairwise, product
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from superpose.features import IndependentFeatures, SignedFeatures, draws_nonzero

N = 2**19
RELATIVE = (2.0, 0.7, 0.2, 0.02)
DENSITIES = 0.5 * np.array(RELATIVE)  # 1, .35, .1, .01


MIXED = [
    (1e-3, 1e-4, 2e-3, 5e-4),
    (0.01, 1e-4, 0.3, 0.002),
    (0.05, 1e-4, 1.0, 0.3),
    (1.0, 0.2, 1e-4, 1.0),
]


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


def of_densities(p: tuple[float, ...]) -> IndependentFeatures:
    return IndependentFeatures(len(p), 1.0, p)


def draw_nonzero(p: tuple[float, ...]) -> np.ndarray:
    features, keys = of_densities(p), jax.random.split(jax.random.key(11))
    x = features.nonzero(features.noise(N, key=keys[0]), jax.random.uniform(keys[1], (N,)))
    return np.asarray(x, np.float64)


def active_probability(p: tuple[float, ...]) -> float:
    return float(1 - np.prod(1 - np.array(p)))


@pytest.mark.parametrize("p", [(1e-5,), (1e-5,) * 20, (1e-3,) * 200, (0.9,) * 20, *MIXED, (1 + 6e-7, 0.5)])
def test_probability_of_the_zero_vector(p):
    """Against float64. A sum of k logarithms of one sign has a relative error of a few 2^-24; so has expm1 of it, and
    exp has |log| times as much."""
    features = of_densities(p)
    p = np.minimum(np.asarray(features.densities, np.float64), 1)
    with np.errstate(divide="ignore"):
        log = np.sum(np.log1p(-p))
    np.testing.assert_allclose(features.log_zero_probability, log, rtol=1e-6)
    np.testing.assert_allclose(features.active_probability, -np.expm1(log), rtol=1e-6)
    np.testing.assert_allclose(features.zero_probability, np.exp(log), rtol=1e-6 * max(1, min(-log, 100)))


@pytest.mark.parametrize("p", MIXED)
def test_moments_given_active(p):
    x, a = draw_nonzero(p), active_probability(p)
    assert (x > 0).any(axis=0).all()
    for i in range(4):
        q = p[i] / a
        assert_mean(x[i], q / 2, q / 3 - q**2 / 4)
        assert_mean(x[i] ** 2, q / 3, q / 5 - q**2 / 9)
    for i, j in combinations(range(4), 2):
        q = p[i] * p[j] / a
        assert_mean(x[i] * x[j], q / 4, q / 9 - q**2 / 16)


def test_which_features_are_active_given_one_is():
    """P(pattern | x != 0) = prod_i p_i^s_i (1 - p_i)^(1 - s_i) / a, of all 2^4 - 1 patterns s."""
    p = (0.3, 0.05, 0.5, 0.1)
    active = draw_nonzero(p) > 0
    for pattern in list(product([0, 1], repeat=4))[1:]:
        q = np.prod(np.where(pattern, p, 1 - np.array(p))) / active_probability(p)
        assert_mean((active == np.array(pattern)[:, None]).all(axis=0), q, q * (1 - q))


@pytest.mark.parametrize("p", [(1e-5, 1e-5, 1e-5), (0.3, 1e-4, 1.0), (1e-3, 0.5, 1e-5)])
def test_law_of_the_first_active_feature(p):
    """Of all draws (k + 1/2) / 2^23, c_i 2^23 +- 1 lie below the bound c_i, whose rounding adds less than one draw."""
    first = (jnp.arange(2**23, dtype=jnp.float32) + 0.5) / 2**23
    x = of_densities(p).nonzero(jnp.full((3, first.size), 0.75), first)
    alive = np.asarray((x > 0).any(axis=0))  # x_F = 0 where a draw is the bound itself
    counts = np.bincount(np.asarray(jnp.argmax(x > 0, axis=0))[alive], minlength=3)
    law = np.array(p) * np.cumprod([1, 1 - p[0], 1 - p[1]]) / active_probability(p)
    assert (~alive).sum() <= 2
    assert np.abs(counts / first.size - law).max() < 2 * 2**-23


def test_the_same_as_rejection_sampling():
    """Kolmogorov and Smirnov for two samples: of each feature, of their sum and of the number that are active."""
    p = (0.3, 0.05, 0.5, 0.1)
    features = of_densities(p)
    plain = np.asarray(features(features.noise(N, key=jax.random.key(5))), np.float64)
    kept, x = plain[:, plain.any(axis=0)], draw_nonzero(p)
    size = kept.shape[1] * N / (kept.shape[1] + N)
    statistics = [*(lambda x, i=i: x[i] for i in range(4)), lambda x: x.sum(axis=0), lambda x: (x > 0).sum(axis=0)]
    for statistic in statistics:
        ours, theirs = np.sort(statistic(x)), np.sort(statistic(kept))
        points = np.concatenate([ours, theirs])
        below = [np.searchsorted(sample, points, "right") / sample.size for sample in (ours, theirs)]
        assert np.sqrt(size) * np.abs(below[0] - below[1]).max() < 2.745


@pytest.mark.parametrize("p", [(1.0, 1.0, 1.0), (1.0, 0.3, 1e-4), (1 + 6e-7, 0.3, 1.0)])
def test_a_first_feature_that_is_always_active_changes_nothing(p):
    features = of_densities(p)
    noise, first = features.noise(1000, key=jax.random.key(0)), jnp.linspace(0, 1 - 2**-23, 1000)
    np.testing.assert_array_equal(features.nonzero(noise, first)[1:], features(noise)[1:])
    np.testing.assert_array_equal(features.nonzero(noise, first)[0], first)


def test_densities_of_a_sweep_share_one_trace():
    """Under vmap the vectors are those of one density at a time; a derivative by the density is finite."""
    noise, first = IndependentFeatures(4).noise(999, key=jax.random.key(3)), jnp.linspace(0, 1 - 2**-23, 999)
    traces = []

    @jax.jit
    def draw(density: jax.Array) -> jax.Array:
        traces.append(density)
        return IndependentFeatures(4, density, [1.0, 0.7, 0.2, 0.02]).nonzero(noise, first)

    densities = jnp.array([1e-3, 0.1, 0.5, 1.0])
    each = [draw(density) for density in densities]
    assert len(traces) == 1
    np.testing.assert_array_equal(jax.vmap(draw)(densities), jnp.stack(each))
    assert jnp.isfinite(jax.jacfwd(draw)(densities[-1])).all()
    assert jnp.isfinite(jax.grad(lambda density: draw(density).sum())(densities[-1]))


@pytest.mark.parametrize("kind", ["plain", "nonzero", "even"])
def test_signed_features(kind):
    """E x = 0, E x^2 = p / 3, both over P(x != 0) where vectors are not zero; they lie in [-1, 1], on either side."""
    features, key = SignedFeatures(4, 0.5, RELATIVE), jax.random.key(11)
    noise = None if kind == "plain" else features.nonzero_noise(N, even=kind == "even", key=key)
    x = features(features.noise(N, key=key)) if noise is None else features.nonzero(*noise)
    x, share = np.asarray(x, np.float64), 1.0 if noise is None else float(features.active_probability)
    assert draws_nonzero(features) and -1 <= x.min() < -0.99 and 0.99 < x.max() <= 1
    for i, p in enumerate(DENSITIES / share):
        assert_mean(x[i], 0, p / 3)
        assert_mean(x[i] ** 2, p / 3, p / 5)
        assert_mean(x[i] < 0, p / 2, p / 2)
