"""The split rule and the tensor rule, against formulas and brute force in float64."""

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from superpose import quadrature, theory

SIZES = [(1, 1), (2, 1), (3, 2)]
RULE = jax.jit(quadrature.split, static_argnums=(4, 5))


def relu(a: Any) -> Any:
    return jax.nn.relu(a)


def leaky(a: Any) -> Any:
    return jnp.where(a > 0, a, 0.2 * a)


def drawn(n: int, m: int, seed: int) -> tuple[np.ndarray, ...]:
    """Weights, biases, densities and importances, all different."""
    rng = np.random.default_rng([n, seed])
    return rng.normal(size=(m, n)), rng.normal(size=n) * 0.3, rng.uniform(0.05, 1, size=n), rng.uniform(0.5, 2, size=n)


def sampled(numbers: tuple[np.ndarray, ...], f: Any, vectors: int = 400_000) -> tuple[float, float]:
    """The mean loss and its standard error by state: for each set of active features an even share of vectors."""
    W, b, p, importance = numbers
    rng, n, mean, variance = np.random.default_rng(5), len(b), 0.0, 0.0
    for active in itertools.product([0, 1], repeat=n):
        x = rng.uniform(size=(vectors >> n, n)) * active
        error = (importance * (x - np.asarray(f(x @ W.T @ W + b))) ** 2).sum(1)
        weight = np.prod(np.where(active, p, 1 - p))
        mean, variance = mean + weight * error.mean(), variance + weight**2 * error.var() / len(x)
    return mean, variance**0.5


def special() -> list[tuple[np.ndarray, ...]]:
    """n = 2, m = 1: nothing learned, a column of zeros, antipodal, one direction, large, dense, almost never active."""
    rest = np.zeros(2), np.array([0.3, 0.1]), np.array([1.0, 2.0])
    rows = [[0, 0], [1, 0], [1, -1], [1, 1], [9, -7], [1, 1e-5]]
    found = [(np.array([row], float), *rest) for row in rows]
    found.append((np.array([[1.0, -0.6]]), np.array([-0.1, 0.2]), np.ones(2), np.ones(2)))
    found.append((np.array([[1.0, -0.6]]), np.array([-0.1, 0.2]), np.array([1e-4, 1e-5]), np.ones(2)))
    return found


@pytest.mark.parametrize("f", [relu, leaky])
@pytest.mark.parametrize(("n", "m"), SIZES)
def test_the_split_rule_is_the_mean_of_a_sample(n, m, f):
    with jax.enable_x64(True):
        for seed in range(3):
            numbers = drawn(n, m, seed)
            mean, error = sampled(numbers, f)
            assert abs(float(RULE(*map(jnp.asarray, numbers), f)) - mean) < 5 * error


@pytest.mark.parametrize(("n", "m"), SIZES)
def test_more_nodes_change_only_the_rounding(n, m):
    """The rule is exact: its nodes and five a piece agree to 1e-14 in float64, also at weights of all kinds."""
    with jax.enable_x64(True):
        for numbers in [*(drawn(n, m, seed) for seed in range(5)), *(special() if n == 2 else [])]:
            arrays = tuple(map(jnp.asarray, numbers))
            np.testing.assert_allclose(RULE(*arrays, relu), RULE(*arrays, relu, 5), rtol=1e-13, atol=1e-16)


def test_two_nodes_are_too_few_for_three_features():
    with jax.enable_x64(True):
        arrays = tuple(map(jnp.asarray, drawn(3, 2, 0)))
        few, right = (float(RULE(*arrays, relu, nodes)) for nodes in (2, None))
        assert 0 < abs(few / right - 1) < 1e-3


@pytest.mark.parametrize(("n", "m"), SIZES)
def test_float32_is_right_to_1e_6(n, m):
    for numbers in [*(drawn(n, m, seed) for seed in range(5)), *(special() if n == 2 else [])]:
        single = RULE(*(jnp.asarray(a, jnp.float32) for a in numbers), relu)
        with jax.enable_x64(True):
            arrays = tuple(jnp.asarray(np.float32(a), jnp.float64) for a in numbers)
            np.testing.assert_allclose(single, RULE(*arrays, relu), rtol=1e-6)


def test_closed_forms_of_the_phase_diagrams():
    """Each fixed configuration of theory, its exact loss against the formula (paper, "Phase Change"): 1e-6."""
    for p, r in itertools.product([1.0, 0.5, 0.01], [0.1, 1.0, 7.0]):
        pairs = [
            (theory.phase_losses(p, r), theory.configurations(p), [1.0, r]),
            (theory.phase_losses_3_2(p, r), theory.configurations_3_2(p), [1.0, 1.0, r]),
        ]
        for losses, weights, importance in pairs:
            for name, (W, b) in weights.items():
                arrays = (jnp.asarray(a, jnp.float32) for a in (W, b, np.full(len(b), p), importance))
                np.testing.assert_allclose(RULE(*arrays, relu), losses[name], rtol=1e-6)


def test_the_surface_without_bias():
    """McGrath's comment: the closed form of theory.loss_without_bias."""
    for W, p, r in [([0.7, 0.7], 0.9, 0.8), ([1.0, -1.0], 0.1, 0.8), ([0.9, -0.3], 0.5, 2.0), ([0.2, 1.1], 0.3, 0.1)]:
        found = RULE(jnp.asarray([W], jnp.float32), jnp.zeros(2), jnp.full(2, p), jnp.asarray([1.0, r]), relu)
        np.testing.assert_allclose(found, theory.loss_without_bias(*W, p, r), rtol=2e-6)


@pytest.mark.parametrize(("n", "m"), SIZES)
def test_gradient_and_hessian(n, m):
    """Central differences in float64 of the loss, and of the gradient."""
    with jax.enable_x64(True):
        W, b, *task = map(jnp.asarray, drawn(n, m, 1))
        loss = jax.jit(lambda v: quadrature.split(v[n:].reshape(m, n), v[:n], *task, relu))
        gradient, at, h = jax.jit(jax.grad(loss)), jnp.concatenate([b, W.ravel()]), 1e-6
        steps = h * jnp.eye(at.size)
        slope = np.stack([(loss(at + step) - loss(at - step)) / (2 * h) for step in steps])
        curvature = np.stack([(gradient(at + step) - gradient(at - step)) / (2 * h) for step in steps])
        np.testing.assert_allclose(gradient(at), slope, atol=1e-8)
        np.testing.assert_allclose(jax.hessian(loss)(at), curvature, atol=1e-7)


def test_derivatives_are_finite_at_tiny_weights():
    """In float32, without a bias and with one, W_2 of either sign; the gradient is that of float64."""
    sizes = [1e-3, 1e-6, 1e-9, 1e-11, 1e-13, 1e-15, 1e-18, 1e-25, 1e-30, 0.0]
    points = np.array(list(itertools.product(sizes, [1, -1], [0.0, 0.1, -0.1])))
    W, b = np.stack([np.ones(len(points)), points[:, 0] * points[:, 1]], 1)[:, None], points[:, 2:].repeat(2, 1)

    def loss(W, b):
        one = jnp.ones(2, W.dtype)
        return quadrature.split(W, b, 0.3 * one, one, relu)

    derivatives = lambda W, b: (jax.grad(loss)(W, b), jax.hessian(loss)(W, b))
    single, curvature = jax.jit(jax.vmap(derivatives))(jnp.asarray(W, jnp.float32), jnp.asarray(b, jnp.float32))
    assert jnp.isfinite(curvature).all()
    with jax.enable_x64(True):
        double = jax.jit(jax.vmap(jax.grad(loss)))(jnp.asarray(W), jnp.asarray(b))
        np.testing.assert_allclose(single, double, atol=1e-6)


def test_under_vmap_each_model_has_its_own_loss():
    numbers = [drawn(2, 1, seed) for seed in range(4)]
    many = [jnp.asarray(np.stack(arrays), jnp.float32) for arrays in zip(*numbers, strict=True)]
    found = jax.vmap(lambda *a: quadrature.split(*a, relu))(*many)
    each = [RULE(*(array[k] for array in many), relu) for k in range(4)]
    np.testing.assert_allclose(found, each, rtol=1e-6)


@pytest.mark.parametrize("f", [jnp.tanh, lambda a: jax.nn.gelu(a, approximate=False)])
@pytest.mark.parametrize(("n", "m"), SIZES)
def test_the_tensor_rule_of_smooth_activations(n, m, f):
    """Against samples, and against more nodes: 1e-7 relative, at n = 3 the 2e-5 that the room states."""
    with jax.enable_x64(True):
        for seed in range(3):
            W, b, p, importance = numbers = drawn(n, m, seed)
            losses = lambda x, W=W, b=b, i=importance: (i[:, None] * (x - f(W.T @ (W @ x) + b[:, None])) ** 2).sum(0)
            found = float(quadrature.tensor(losses, jnp.asarray(p)))
            mean, error = sampled(numbers, f)
            assert abs(found - mean) < 5 * error
            np.testing.assert_allclose(
                found, quadrature.tensor(losses, jnp.asarray(p), 20), rtol=2e-5 if n == 3 else 1e-7
            )
