"""Features in sets: exact probabilities by enumeration of what a draw can be, moments within 5 sigma.

A set is active with probability p. A correlated feature has E x = p / 2, E x^2 = p / 3, and with another of its set
E x y = p / 4; with one of another set p^2 / 4. An anticorrelated one has these with p / k, and E x y = 0 in its set.
"""

from itertools import combinations
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from superpose.exact import Method, refusal
from superpose.features import AbstractSparseFeatures, draws_nonzero
from superpose.models import ReLUOutput
from superpose.objective import Sampled
from superpose.sets import AbstractSets, AnticorrelatedSets, CorrelatedSets
from superpose.task import Identity, Task

N, SETS, K, P = 6, 3, 2, 0.3
BATCH = 2**18
KINDS = pytest.mark.parametrize("kind", [CorrelatedSets, AnticorrelatedSets])
OWN = {CorrelatedSets: P, AnticorrelatedSets: P / K}
TOGETHER = {CorrelatedSets: P / 4, AnticorrelatedSets: 0.0}


def drawn(features: AbstractSets, seed: int = 0) -> np.ndarray:
    return np.asarray(features(features.noise(BATCH, key=jax.random.key(seed))), np.float64)


def nonzero(features: AbstractSparseFeatures, even: bool, batch: int = BATCH) -> np.ndarray:
    noise = features.nonzero_noise(batch, even=even, key=jax.random.key(1))
    return np.asarray(features.nonzero(*noise), np.float64)


def assert_mean(sample: np.ndarray, expected: Any) -> None:
    """Within 5 standard errors of the sample, or exactly where it does not vary."""
    assert abs(sample.mean() - expected) <= 5 * sample.std() / np.sqrt(sample.size) + 1e-12


@KINDS
def test_moments(kind):
    x = drawn(kind(N, SETS, P))
    assert x.min() == 0 and 0.999 < x.max() <= 1
    for i in range(N):
        assert_mean(x[i] > 0, OWN[kind])
        assert_mean(x[i], OWN[kind] / 2)
        assert_mean(x[i] ** 2, OWN[kind] / 3)
    for i, j in combinations(range(N), 2):
        assert_mean(x[i] * x[j], TOGETHER[kind] if i // K == j // K else OWN[kind] ** 2 / 4)


def test_a_correlated_set_is_active_as_a_whole():
    active = drawn(CorrelatedSets(N, SETS, P)).reshape(SETS, K, -1) > 0
    assert (active[:, 0] == active[:, 1]).mean() > 1 - 1e-5  # a value is 0 once in 2^23


def test_one_of_an_anticorrelated_set_is_active():
    active = drawn(AnticorrelatedSets(N, 2, 1.0)).reshape(2, 3, -1) > 0
    assert (active.sum(axis=1) <= 1).all() and (active.sum(axis=1) == 1).mean() > 1 - 1e-5
    for share in active.mean(axis=-1).ravel():
        assert abs(share - 1 / 3) < 5 * np.sqrt(2 / 9 / BATCH)


@KINDS
@pytest.mark.parametrize("even", [False, True])
@pytest.mark.parametrize("p", [1.0, P, 1e-3])
def test_vectors_that_are_not_zero(kind, even, p):
    """E[f(x) | x != 0] = E f(x) / P(x != 0) for an f that is 0 at 0. An even batch varies less than its examples."""
    features = kind(N, SETS, p)
    assert float(features.zero_probability) == pytest.approx((1 - p) ** SETS, rel=1e-4, abs=1e-7)
    x = nonzero(features, even, 2**16)
    assert (x.max(axis=0) > 0).mean() > 1 - 1e-4
    own, share = (p if kind is CorrelatedSets else p / K), -np.expm1(SETS * np.log1p(-min(p, 1 - 1e-16)))
    for i in range(N):
        assert_mean(x[i] ** 2, own / 3 / share)
    both = x[0] * x[1]
    assert_mean(both, p / 4 / share if kind is CorrelatedSets else 0.0)


@KINDS
def test_a_zero_free_loss_has_the_same_expectation(kind):
    """The mean of 256 batches, either way, within 5 standard errors of each other."""
    features, model = kind(N, SETS, 0.05), ReLUOutput(N, 2)
    model = jax.tree.map(lambda a: 0.5 * jax.random.normal(jax.random.key(2), a.shape), model)
    task = Task(features, jnp.ones(N), Identity())
    assert draws_nonzero(features)
    means = []
    for objective in (Sampled(256), Sampled(256, zero_free=True), Sampled(256, zero_free=True, even=False)):
        loss = lambda key, how=objective: how.loss(model, task, how.noise(task, key=key))
        found = np.asarray(jax.jit(jax.vmap(loss))(jax.random.split(jax.random.key(3), 256)), np.float64)
        means.append((found.mean(), found.std() / 16))
    for mean, error in means[1:]:
        assert abs(mean - means[0][0]) < 5 * np.hypot(error, means[0][1])
    assert means[2][1] < means[0][1]


@KINDS
def test_cells_of_a_seed_share_their_draws(kind):
    key = jax.random.key(4)
    one, other = (kind(N, SETS, p).noise(8, key=key) for p in (0.9, 0.01))
    jax.tree.map(np.testing.assert_array_equal, one, other)


@KINDS
@pytest.mark.parametrize("sets", [0, 4, True, -3])
def test_sets_must_divide_the_features(kind, sets):
    with pytest.raises(ValueError, match=r"must divide the number of features, n = 6, got .* one of 1, 2, 3, 6\."):
        kind(N, sets)


@KINDS
def test_there_is_no_exact_loss_of_sets(kind):
    assert "not independent" in str(refusal(ReLUOutput(N, 2), kind(N, SETS), Identity(), Method()))
