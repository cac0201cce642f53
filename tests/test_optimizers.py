"""Optimisers and schedules against their formulas in float64.

    Adam    m = b1 m + (1 - b1) g,  v = b2 v + (1 - b2) g^2,  w -= rate (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)
    AdamW   as Adam, and w -= rate decay w of the weights before the step
    SGD     m = momentum m + g,  w -= rate m

A float32 b2^t has a relative error of about 2^-24 t, and 1 - b2^t, about t (1 - b2), one of 2^-24 / (1 - b2): 6e-5 at
.999, and its square root 3e-5. That is the tolerance of the formulas, relative to the way that a weight has moved.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from superpose.optimizers import SGD, Adam, AdamW, Constant, CosineDecay, LinearDecay

STEPS = 8
RNG = np.random.default_rng(2)
START = RNG.normal(size=(2, 5)).astype(np.float32)
GRADIENTS = RNG.normal(size=(STEPS, 2, 5)).astype(np.float32)


def stepped(optimizer, schedule) -> np.ndarray:
    """The weights after each gradient."""
    optim = optimizer.build(schedule)
    w, state, path = jnp.asarray(START), None, []
    state = optim.init(w)
    for g in GRADIENTS:
        updates, state = optim.update(jnp.asarray(g), state, w)
        w = optax.apply_updates(w, updates)
        path.append(np.asarray(w))
    return np.stack(path)


def adam(rates, b1=0.9, b2=0.999, eps=1e-8, decay=0.0) -> np.ndarray:
    b1, b2, decay = (float(np.float32(number)) for number in (b1, b2, decay))
    w, m, v, path = START.astype(np.float64), 0.0, 0.0, []
    for t, (g, rate) in enumerate(zip(GRADIENTS.astype(np.float64), rates, strict=True), start=1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        w = w - rate * (m / (1 - b1**t) / (np.sqrt(v / (1 - b2**t)) + eps) + decay * w)
        path.append(w)
    return np.stack(path)


def sgd(rates, momentum) -> np.ndarray:
    w, m, path = START.astype(np.float64), 0.0, []
    for g, rate in zip(GRADIENTS.astype(np.float64), rates, strict=True):
        m = momentum * m + g
        w = w - rate * m
        path.append(w)
    return np.stack(path)


RATES = 0.01 * (1 - np.arange(STEPS) / 20)  # LinearDecay(20)


@pytest.mark.parametrize(
    ("optimizer", "expected"),
    [
        (AdamW(0.01, 0.1), adam(RATES, decay=0.1)),
        (AdamW(0.01, 0.1, b1=0.5, b2=0.8), adam(RATES, b1=0.5, b2=0.8, decay=0.1)),
        (Adam(0.01), adam(RATES)),
        (Adam(0.01, eps=0.1), adam(RATES, eps=0.1)),
        (SGD(0.01), sgd(RATES, 0.0)),
        (SGD(0.01, 0.9), sgd(RATES, 0.9)),
    ],
    ids=["adamw", "adamw-betas", "adam", "adam-eps", "sgd", "sgd-momentum"],
)
def test_steps_are_the_formula(optimizer, expected):
    found = stepped(optimizer, LinearDecay(20))
    moved = abs(expected - START).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=3e-5 * moved + STEPS * 2**-24 * abs(START).max())


def test_the_defaults_are_the_notebooks():
    """lr 1e-3, weight decay 1e-2, betas .9 and .999; optax's own default decay is 1e-4."""
    optimizer = AdamW(1e-3, 1e-2)
    numbers = [float(leaf) for leaf in jax.tree.leaves(optimizer)]
    np.testing.assert_allclose(numbers, [1e-3, 1e-2, 0.9, 0.999, 1e-8], rtol=2**-23)


T = 10
SCHEDULES = [
    (Constant, lambda t: 1.0),
    (LinearDecay, lambda t: 1 - t / T),
    (CosineDecay, lambda t: np.cos(np.pi * t / (2 * (T - 1)))),
]


@pytest.mark.parametrize(("kind", "formula"), SCHEDULES)
@pytest.mark.parametrize("warmup", [0, 4])
def test_schedules_are_their_formulas(kind, formula, warmup):
    """The factor of step t, times min(1, (t + 1) / warmup); to a float32 rounding of numbers up to pi / 2."""
    expected = [formula(t) * (min(1, (t + 1) / warmup) if warmup else 1) for t in range(T)]
    schedule = kind(T, warmup)
    np.testing.assert_allclose([schedule(t) for t in range(T)], expected, rtol=0, atol=4 * 2**-24)
    np.testing.assert_allclose(jax.jit(schedule)(jnp.arange(T)), expected, rtol=0, atol=4 * 2**-24)


def test_schedules_of_one_step():
    assert [float(kind(1)(0)) for kind, _ in SCHEDULES] == [1, 1, 1]


def test_a_learning_rate_is_traced():
    """One trace for all rates, alone and under vmap."""

    @eqx.filter_jit
    @eqx.debug.assert_max_traces(max_traces=1)
    def first_step(rate) -> Any:
        optim = AdamW(rate, 0.0).build(Constant(5, warmup=2))
        updates, _ = optim.update(jnp.ones(3), optim.init(jnp.ones(3)), jnp.ones(3))
        return updates

    for rate in (1e-3, 1e-2, 0.5):
        np.testing.assert_allclose(first_step(jnp.float32(rate)), -rate / 2, rtol=1e-6)  # warm-up halves it
    optim = lambda rate: SGD(rate).build(Constant(5))
    update = lambda rate: optim(rate).update(jnp.ones(3), optim(rate).init(jnp.ones(3)), jnp.ones(3))[0]
    found = jax.jit(jax.vmap(update))(jnp.array([0.5, 0.25]))
    np.testing.assert_array_equal(found, -np.array([[0.5] * 3, [0.25] * 3]))
