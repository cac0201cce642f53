"""Batches without zero vectors: the same expected loss and gradient, and the variance that theory gives.

With q = P(x != 0), V = E|g - E g|^2 of one example's gradient g given x != 0, and D = |E[g | x != 0] - g(0)|, the
variance of the gradient of a batch of B is

    plain        (q V + q (1 - q) D^2) / B        (within and between the two kinds of vector)
    zero-free    q^2 V / B
"""

from collections.abc import Callable
from statistics import NormalDist
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.flatten_util import ravel_pytree

from superpose import exact
from superpose.features import IndependentFeatures
from superpose.models import ReLUOutput
from superpose.objective import Sampled, check_fits
from superpose.task import Identity, Task

FOUR_SIGMA = 2 * NormalDist().cdf(-4)  # the probability that one normal number lies beyond 4 standard deviations


def task(n: int, density: Any) -> Task:
    return Task(IndependentFeatures(n, density), 0.8 ** jnp.arange(n), Identity())


def model(n: int, m: int) -> ReLUOutput:
    rng = np.random.default_rng(n)
    W, b = rng.normal(size=(m, n)) / np.sqrt(m), rng.uniform(size=n) * 0.1
    return eqx.tree_at(lambda m: (m.W, m.b), ReLUOutput(n, m), (jnp.float32(W), jnp.float32(b)))


def batches(objective: Sampled, at: ReLUOutput, turns: int) -> Callable[[float, int], np.ndarray]:
    """(density, seed) -> the loss and its gradient on each of `turns` batches, (turn, number)."""

    @jax.jit
    def found(density: jax.Array, key: jax.Array) -> jax.Array:
        asked = task(at.W.shape[1], density)

        def one(key: jax.Array) -> jax.Array:
            noise = objective.noise(asked, key=key)
            value, gradient = jax.value_and_grad(objective.loss)(at, asked, noise)
            return jnp.append(ravel_pytree(gradient)[0], value)

        return jax.lax.map(one, jax.random.split(key, turns))

    return lambda density, seed: np.asarray(found(density, jax.random.key(seed)), np.float64)


@pytest.mark.parametrize("even", [False, True])
@pytest.mark.parametrize(("n", "m"), [(2, 1), (20, 3)])
def test_loss_and_gradient_are_unbiased(n, m, even):
    """Each within 4 sigma of the exact one: of k numbers, each may lie as far out as one of k does with the probability
    that one alone lies beyond 4 sigma."""
    at, turns = model(n, m), 256
    found = batches(Sampled(512, zero_free=True, even=even), at, turns)
    truth = jax.jit(lambda p: jax.value_and_grad(lambda m: exact.loss(m, task(n, p), exact.Method()))(at))
    for density in (1.0, 0.1, 0.001):
        sample = found(density, 5)
        value, gradient = truth(density)
        expected = np.append(ravel_pytree(gradient)[0], value)
        z = (sample.mean(axis=0) - expected) / (sample.std(axis=0, ddof=1) / np.sqrt(turns))
        assert np.abs(z).max() < -NormalDist().inv_cdf(FOUR_SIGMA / 2 / z.size), (density, z)


@pytest.mark.parametrize("density", [0.1, 0.001])
def test_the_variance_falls_as_theory_says(density):
    """A variance over K batches has a relative error of sqrt((kurtosis - 1) / K), here at most sqrt(4 / 2048)."""
    n, batch, turns, at = 20, 256, 2048, model(20, 3)
    plain, free = (batches(Sampled(batch, kind, even=False), at, turns)(density, 6)[:, :-1] for kind in (False, True))
    asked = task(n, density)
    x = asked.features.nonzero(*asked.features.nonzero_noise(2**15, even=False, key=jax.random.key(7)))
    slope = jax.jit(jax.vmap(lambda one: ravel_pytree(jax.grad(lambda m: asked.loss(m, one[:, None]))(at))[0]))
    each, at_zero = np.asarray(slope(x.T), np.float64), np.asarray(slope(jnp.zeros((1, n)))[0], np.float64)
    q = float(asked.features.active_probability)
    within, between = each.var(axis=0).sum(), ((each.mean(axis=0) - at_zero) ** 2).sum()
    found, tolerance = [sample.var(axis=0, ddof=1).sum() for sample in (plain, free)], 5 * np.sqrt(4 / turns)
    np.testing.assert_allclose(found[0], (q * within + q * (1 - q) * between) / batch, rtol=tolerance)
    np.testing.assert_allclose(found[1], q**2 * within / batch, rtol=tolerance)
    assert found[0] / found[1] > (1 - 2 * tolerance) / q  # 7.3 x fewer examples say as much at .1 ... and 50.5 at .001


def test_where_every_feature_is_active_it_is_plain_sampling():
    asked, at, key = task(4, 1.0), model(4, 2), jax.random.key(8)
    noise, first = asked.features.nonzero_noise(64, even=False, key=key)
    plain = jnp.concatenate([first[None], noise[1:]])
    assert float(Sampled(64, True).loss(at, asked, (noise, first))) == float(Sampled(64).loss(at, asked, plain))


@pytest.mark.parametrize(("density", "factor"), [(1.0, 10), (0.001, 3)])
def test_even_draws_have_less_variance(density, factor):
    """Where all features are active the loss is smooth but for kinks; where one is, it is a function of one number."""
    at = model(20, 3)
    free, even = (batches(Sampled(512, True, kind), at, 256)(density, 6)[:, :-1] for kind in (False, True))
    assert factor * even.var(axis=0).sum() < free.var(axis=0).sum()


def test_cells_of_a_seed_share_their_draws():
    key, objective = jax.random.key(9), Sampled(8, zero_free=True)
    one, other = (objective.noise(task(3, density), key=key) for density in (0.9, 0.01))
    jax.tree.map(np.testing.assert_array_equal, one, other)
    shared = jax.eval_shape(jax.vmap(lambda p: objective.noise(task(3, p), key=key), out_axes=None), jnp.ones(5))
    assert [leaf.shape for leaf in jax.tree.leaves(shared)] == [(3, 8), (8,)]


def test_features_that_do_not_say_how_are_refused():
    class Signed(IndependentFeatures):
        def __call__(self, noise):
            return 2 * super().__call__(noise) - 1

    with pytest.raises(ValueError, match=r"Signed does not itself define all of.*objective.zero_free=false"):
        check_fits(Sampled(8, zero_free=True), model(3, 2), Signed(3, 0.1, np.ones(3)), Identity())
    check_fits(Sampled(8, zero_free=True), model(3, 2), IndependentFeatures(3, 0.1), Identity())
