"""The paper's loss and its gradient against a float64 transcription whose gradient is derived by hand.

L = 1/B sum_ki I_i (y_ik - x'_ik)^2,    x' = f(W^T W x + b)
D = dL/d(W^T W x + b) = 2/B I_i (x'_ik - y_ik) f'_ik
dL/dW = (W x) D^T + (W D) x^T,    dL/db_i = sum_k D_ik
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from superpose.features import IndependentFeatures
from superpose.models import Linear, ReLUOutput
from superpose.task import AbsoluteValue, Identity, Task

N, M, BATCH = 20, 5, 128
ROUNDING = 2**-24
BOTH = pytest.mark.parametrize("kind", [Linear, ReLUOutput])


def transcription(W, b, x, importance, relu: bool) -> tuple[float, np.ndarray, np.ndarray]:
    """Loss and gradients in float64."""
    before = W.T @ W @ x + b[:, None]
    after = np.maximum(before, 0) if relu else before
    loss = (importance[:, None] * (x - after) ** 2).sum() / x.shape[1]
    slope = (before > 0) if relu else np.ones_like(before)
    D = 2 / x.shape[1] * importance[:, None] * (after - x) * slope
    return loss, (W @ x) @ D.T + (W @ D) @ x.T, D.sum(1)


@pytest.fixture(scope="module")
def numbers():
    rng = np.random.default_rng(5)
    x = np.where(rng.uniform(size=(N, BATCH)) < 0.3, rng.uniform(size=(N, BATCH)), 0)
    arrays = rng.normal(size=(M, N)) * 0.4, rng.normal(size=N) * 0.2, x, 0.9 ** np.arange(N)
    return [a.astype(np.float32) for a in arrays]


def task_and_model(kind, W, b, importance) -> tuple[Task, Linear | ReLUOutput]:
    model = eqx.tree_at(lambda m: (m.W, m.b), kind(N, M), (jnp.asarray(W), jnp.asarray(b)))
    return Task(IndependentFeatures(N), jnp.asarray(importance), Identity()), model


@BOTH
def test_loss_and_gradient_are_the_transcriptions(kind, numbers):
    """To 20 float32 roundings of the array's largest number: the products below have 5 to 128 terms."""
    W, b, x, importance = numbers
    task, model = task_and_model(kind, W, b, importance)
    loss, gradient = eqx.filter_jit(eqx.filter_value_and_grad(task.loss))(model, jnp.asarray(x))
    expected, for_W, for_b = transcription(*(a.astype(np.float64) for a in numbers), relu=kind is ReLUOutput)
    np.testing.assert_allclose(loss, expected, rtol=20 * ROUNDING)
    np.testing.assert_allclose(gradient.W, for_W, rtol=0, atol=20 * ROUNDING * abs(for_W).max())
    np.testing.assert_allclose(gradient.b, for_b, rtol=0, atol=20 * ROUNDING * abs(for_b).max())


@BOTH
def test_the_transcriptions_gradient_is_its_slope(kind, numbers):
    """The reference itself: central differences in float64, whose error is of order h^2 and 1e-16 / h."""
    W, b, x, importance = (a.astype(np.float64) for a in numbers)
    relu, h = kind is ReLUOutput, 1e-5
    _, for_W, for_b = transcription(W, b, x, importance, relu)
    direction = np.random.default_rng(6).normal(size=W.shape), np.random.default_rng(7).normal(size=b.shape)
    up, down = (transcription(W + s * direction[0], b + s * direction[1], x, importance, relu)[0] for s in (h, -h))
    slope = (for_W * direction[0]).sum() + (for_b * direction[1]).sum()
    assert (up - down) / (2 * h) == pytest.approx(slope, rel=1e-6)


@BOTH
def test_loss_is_the_mean_of_the_examples_losses(kind, numbers):
    W, b, x, importance = numbers
    task, model = task_and_model(kind, W, b, importance)
    losses = task.losses(model, jnp.asarray(x))
    assert losses.shape == (BATCH,)
    np.testing.assert_allclose(task.loss(model, jnp.asarray(x)), losses.mean(), rtol=20 * ROUNDING)


def test_loss_is_a_sum_over_features():
    """A model of zeros on x = 1 with importances 1, 2, 3 costs 6, not their mean."""
    task = Task(IndependentFeatures(3), jnp.array([1.0, 2.0, 3.0]), Identity())
    assert float(task.loss(Linear(3, 1), jnp.ones((3, 4)))) == 6


def test_targets():
    x = jnp.array([[-0.5, 0.25], [0.0, -1.0]])
    np.testing.assert_array_equal(Identity()(x), x)
    np.testing.assert_array_equal(AbsoluteValue()(x), [[0.5, 0.25], [0, 1]])
    task = Task(IndependentFeatures(2), jnp.ones(2), AbsoluteValue())
    assert float(task.loss(Linear(2, 1), x)) == pytest.approx((0.5**2 + 0.25**2 + 1) / 2)
    assert jax.tree.leaves(AbsoluteValue()) == []
