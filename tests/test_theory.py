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


def test_phases_meet_at_the_boundary():
    for r in np.geomspace(0.1, 10, 21):
        p = theory.phase_boundary(r)
        losses = theory.phase_losses(p, r)
        assert losses["antipodal"] == pytest.approx(min(losses["ignored"], losses["dedicated"]), rel=1e-12)
        for density, names in ((0.99 * p, ["antipodal"]), (1.01 * p, ["ignored", "dedicated"])):
            losses = theory.phase_losses(density, r)
            assert min(losses, key=losses.__getitem__) in names
    r = np.geomspace(0.1, 1, 11)
    np.testing.assert_allclose(theory.phase_boundary(r), 4 * r / (2 + 5 * r), rtol=1e-14)
    np.testing.assert_allclose(theory.phase_boundary(1 / r), 4 / (5 + 2 / r), rtol=1e-14)
    assert theory.phase_boundary(0.1) == pytest.approx(0.16, rel=1e-12)  # 0.4 / 2.5


def test_triple_point():
    r, p = theory.TRIPLE_POINT
    losses = list(theory.phase_losses(p, r).values())
    assert losses == pytest.approx([losses[0]] * 3, rel=1e-12)


@pytest.mark.parametrize(("n", "m"), [(2, 1), (20, 5), (400, 30)])
def test_orthogonal_and_antipodal_features_of_equal_importance_cross_at_four_sevenths(n, m):
    # Section 4.1: (n - m) dropped, against m antipodal pairs with n - 2 m dropped.
    p = 4 / 7
    orthogonal = (n - m) * theory.dropped_loss(p, 1.0)
    assert orthogonal == pytest.approx(m * theory.antipodal_loss(p, 1, 1) + (n - 2 * m) * theory.dropped_loss(p, 1))


def test_closed_forms_broadcast_over_numpy_and_jax():
    p, r = np.geomspace(0.01, 1, 5)[:, None], np.geomspace(0.1, 10, 7)
    assert {np.broadcast(loss, p * r).shape for loss in theory.phase_losses(p, r).values()} == {(5, 7)}
    traced = jax.jit(theory.phase_losses)(jnp.asarray(p), jnp.asarray(r))
    for name, loss in theory.phase_losses(p, r).items():
        np.testing.assert_allclose(traced[name], loss, rtol=1e-5)


def test_fractions_are_dimensions_per_point():
    expected = {
        "tetrahedron": (3, 4),
        "triangle": (2, 3),
        "digon": (1, 2),
        "pentagon": (2, 5),
        "square antiprism": (3, 8),
    }
    assert {name: d / k for name, (d, k) in expected.items()}.items() <= theory.POLYTOPES.items()
