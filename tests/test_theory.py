"""Closed forms against samples, direct minimisation, and each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from superpose import theory


def sample(p: np.ndarray, size: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.where(rng.uniform(size=(size, len(p))) < p, rng.uniform(size=(size, len(p))), 0)


def loops(W, b, importance, mean, variance) -> float:
    m, n = W.shape
    loss = 0.0
    for i in range(n):
        row = [(i == j) - sum(W[k, i] * W[k, j] for k in range(m)) for j in range(n)]
        loss += importance[i] * sum(row[j] ** 2 * variance[j] for j in range(n))
        loss += importance[i] * (sum(row[j] * mean[j] for j in range(n)) - b[i]) ** 2
    return loss


def within_five_sigma(errors: np.ndarray, expected: float) -> bool:
    return bool(abs(errors.mean() - expected) < 5 * errors.std() / np.sqrt(len(errors)))


@pytest.fixture
def model():
    rng = np.random.default_rng(1)
    m, n = 2, 6
    p = np.array([1.0, 0.7, 0.5, 0.3, 0.1, 0.02])
    return rng.normal(size=(m, n)) * 0.6, rng.normal(size=n) * 0.2, 0.8 ** np.arange(n), p


def test_moments_are_those_of_a_sample():
    p = np.array([0.05, 0.4, 1.0])
    x = sample(p, 1_000_000)
    mean, variance = theory.moments(p)
    for i in range(3):
        assert within_five_sigma(x[:, i], mean[i])
        assert within_five_sigma((x[:, i] - mean[i]) ** 2, variance[i])


def test_linear_loss_is_that_of_a_sample(model):
    W, b, importance, p = model
    x = sample(p, 1_000_000)
    errors = (importance * (x - (x @ W.T @ W + b)) ** 2).sum(1)
    with jax.enable_x64(True):
        loss = theory.linear_loss(*map(jnp.asarray, (W, b, importance, *theory.moments(p))))
    assert within_five_sigma(errors, float(loss))


def test_linear_loss_is_its_formula_in_loops(model):
    W, b, importance, p = model
    numbers = (W, b, importance, *theory.moments(p))
    with jax.enable_x64(True):
        np.testing.assert_allclose(theory.linear_loss(*map(jnp.asarray, numbers)), loops(*numbers), rtol=1e-13)
    single = [jnp.asarray(a, jnp.float32) for a in numbers]
    np.testing.assert_allclose(jax.jit(theory.linear_loss)(*single), loops(*numbers), rtol=1e-5)
    many = jax.vmap(theory.linear_loss, (0, None, None, None, None))(jnp.stack([single[0], -single[0]]), *single[1:])
    np.testing.assert_allclose(many, loops(*numbers), rtol=1e-5)  # W and -W are the same model


def test_linear_parts_are_their_formulas_in_loops(model):
    W, b, importance, p = model
    mean, variance = theory.moments(p)
    gram, n = W.T @ W, len(p)
    benefit = sum(importance[i] * (1 - gram[i, i]) ** 2 * variance[i] for i in range(n))
    interference = sum(importance[i] * gram[i, j] ** 2 * variance[j] for i in range(n) for j in range(n) if i != j)
    bias = sum(importance[i] * (mean[i] - gram[i] @ mean - b[i]) ** 2 for i in range(n))
    with jax.enable_x64(True):
        numbers = tuple(map(jnp.asarray, (W, b, importance, mean, variance)))
        parts, loss = [float(part) for part in theory.linear_parts(*numbers)], float(theory.linear_loss(*numbers))
        best = theory.linear_parts(numbers[0], jnp.asarray(mean - gram @ mean), *numbers[2:])
        best_parts = [float(part) for part in best]
    np.testing.assert_allclose(parts, (benefit, interference, bias), rtol=1e-13)
    np.testing.assert_allclose(sum(parts), loss, rtol=1e-15)
    assert best_parts[2] < 1e-30 and best_parts[:2] == parts[:2]


def test_benefit_and_interference_are_those_of_the_paper(model):
    W, _, importance, _ = model
    n = len(importance)
    benefit = sum(importance[i] * (1 - np.linalg.norm(W[:, i]) ** 2) ** 2 for i in range(n))
    interference = sum(importance[j] * (W[:, j] @ W[:, i]) ** 2 for i in range(n) for j in range(n) if i != j)
    with jax.enable_x64(True):
        computed = theory.benefit_and_interference(jnp.asarray(W), jnp.asarray(importance))
    np.testing.assert_allclose(computed, (benefit, interference), rtol=1e-13)
    # an antipodal pair gains both features, and each disturbs the other: (1 . -1)^2 (I_1 + I_2)
    np.testing.assert_array_equal(
        theory.benefit_and_interference(jnp.array([[1.0, -1]]), jnp.array([1, 0.5])), (0, 1.5)
    )


def test_linear_optimum_of_the_paper():
    # n = 20, m = 5, I = 0.7^i: the sum over i >= 5 is (0.7^5 - 0.7^20) / 0.3 = 0.55757; at p = 1 the variance is 1/12.
    importance = 0.7 ** np.arange(20)
    assert theory.linear_optimum(importance, 1.0, 5) == pytest.approx((0.7**5 - 0.7**20) / 3.6, rel=1e-12)
    assert theory.linear_optimum(importance, 1.0, 5) == pytest.approx(0.046464, abs=5e-7)
    assert theory.linear_optimum(importance[::-1], 0.3, 20) == 0


@pytest.mark.parametrize("p", [1.0, 0.2])
def test_linear_optimum_is_reached_and_never_beaten(p):
    """At the model of the m most important features, and by plain gradient descent from random weights."""
    n, m, importance = 4, 2, np.array([0.3, 1.0, 0.5, 0.8])
    mean, variance = (np.full(n, moment) for moment in theory.moments(p))
    optimum = theory.linear_optimum(importance, p, m)
    kept = np.zeros((m, n))
    kept[0, 1] = kept[1, 3] = 1
    assert loops(kept, np.where(kept.any(0), 0, p / 2), importance, mean, variance) == pytest.approx(optimum, rel=1e-12)
    for seed in range(3):
        W = np.random.default_rng(seed).normal(size=(m, n)) * 0.3
        for _ in range(4000):  # with the best bias b = (1 - G) mean only the variances are left
            missed = np.eye(n) - W.T @ W
            slope = -2 * variance * importance[:, None] * missed
            W -= 0.5 / variance[0] * 0.2 * W @ (slope + slope.T)
        loss = loops(W, (np.eye(n) - W.T @ W) @ mean, importance, mean, variance)
        assert optimum * (1 - 1e-12) <= loss <= optimum * (1 + 1e-6)


def test_building_blocks_are_those_of_a_sample():
    p, r = 0.4, 0.6
    x = sample(np.array([p, p]), 1_000_000)
    assert within_five_sigma(r * (x[:, 1] - p / 2) ** 2, theory.dropped_loss(p, r))
    h = x[:, 0] - x[:, 1]  # W = (1, -1), b = 0
    errors = (x[:, 0] - np.maximum(h, 0)) ** 2 + r * (x[:, 1] - np.maximum(-h, 0)) ** 2
    assert within_five_sigma(errors, theory.antipodal_loss(p, 1.0, r))


def test_fractions_are_dimensions_per_point():
    expected = {
        "tetrahedron": (3, 4),
        "triangle": (2, 3),
        "digon": (1, 2),
        "pentagon": (2, 5),
        "square antiprism": (3, 8),
    }
    assert {name: d / k for name, (d, k) in expected.items()}.items() <= theory.POLYTOPES.items()
