"""The paper's equations against NumPy, and what holds of every model of them."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array, Float

from superpose.leaves import Scalar, scalar
from superpose.models import (
    AbstractToyModel,
    BiasedReLUHidden,
    Dims,
    Linear,
    ReLUHidden,
    ReLUOutput,
    UntiedLinearHidden,
    UntiedReLUHidden,
    split_trained,
    trained,
)

N, M, BATCH = 6, 3, 11
BOTH = pytest.mark.parametrize("kind", [Linear, ReLUOutput])


class Leaky(AbstractToyModel):
    """A model with a constant besides its trained arrays."""

    W: Float[Array, "m n"]
    slope: Scalar
    dims: ClassVar[Dims] = {"W": ("hidden", "feature")}
    basis_privileged: ClassVar[bool] = False

    def __init__(self, n: int, m: int, slope: float = 0.1):
        self.W, self.slope = jnp.zeros((m, n)), scalar(slope)

    def encode(self, x):
        return self.W @ x

    def decode(self, h):
        return jax.nn.leaky_relu(self.W.T @ h, self.slope)


def filled(kind: type[AbstractToyModel], W: np.ndarray, b: np.ndarray) -> AbstractToyModel:
    model = kind(*W.shape[::-1])
    return eqx.tree_at(lambda m: (m.W, m.b), model, (jnp.asarray(W, jnp.float32), jnp.asarray(b, jnp.float32)))


@pytest.fixture
def arrays():
    rng = np.random.default_rng(0)
    return [a.astype(np.float32) for a in (rng.normal(size=(M, N)), rng.normal(size=N), rng.uniform(size=(N, BATCH)))]


@BOTH
def test_forward_is_the_equation(kind, arrays):
    """One example at a time, in float64; the tolerance is that of N + M float32 roundings of numbers below 12."""
    W, b, x = (a.astype(np.float64) for a in arrays)
    expected = np.stack([W.T @ (W @ x[:, k]) + b for k in range(BATCH)], axis=1)
    if kind is ReLUOutput:
        expected = np.maximum(expected, 0)
    model = filled(kind, *arrays[:2])
    np.testing.assert_allclose(model.encode(jnp.asarray(arrays[2])), W @ x, atol=12 * M * 2**-24)
    np.testing.assert_allclose(model(jnp.asarray(arrays[2])), expected, atol=12 * (N + M) * 2**-24)


@BOTH
def test_a_rotation_of_the_hidden_space_changes_nothing(kind, arrays):
    W, b, x = arrays
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(M, M)))
    turned = filled(kind, rotation @ W, b)(jnp.asarray(x))
    np.testing.assert_allclose(turned, filled(kind, W, b)(jnp.asarray(x)), atol=20 * (N + M) * 2**-24)
    assert not kind.basis_privileged


@BOTH
def test_a_permutation_of_features_permutes_the_output(kind, arrays):
    W, b, x = arrays
    order = np.random.default_rng(1).permutation(N)
    permuted = filled(kind, W[:, order], b[order])(jnp.asarray(x[order]))
    np.testing.assert_allclose(permuted, filled(kind, W, b)(jnp.asarray(x))[order], atol=20 * (N + M) * 2**-24)


@BOTH
def test_dims_name_the_trained_arrays(kind):
    model = kind(N, M)
    assert [a.shape for a in trained(model)(model)] == [(M, N), (N,)]
    assert [len(dims) for dims in model.dims.values()] == [2, 1]


def test_only_the_arrays_of_dims_are_trained():
    model = Leaky(N, M, 0.3)
    parts: Any = split_trained(model)
    chosen, rest = parts
    assert chosen.slope is None and rest.W is None
    assert jax.tree.leaves(chosen)[0].shape == (M, N) and float(rest.slope) == float(np.float32(0.3))
    assert eqx.tree_equal(eqx.combine(chosen, rest), model)


def test_features_are_rows_of_x(arrays):
    with pytest.raises(TypeError, match="x"):
        filled(Linear, *arrays[:2])(jnp.ones((N + 1, BATCH)))


def test_a_relu_in_the_hidden_layer(arrays):
    """x' = ReLU(W^T ReLU(W x) + b), one example at a time in float64."""
    W, b, x = (a.astype(np.float64) for a in arrays)
    expected = np.stack([np.maximum(W.T @ np.maximum(W @ x[:, k], 0) + b, 0) for k in range(BATCH)], axis=1)
    found = filled(ReLUHidden, *arrays[:2])(jnp.asarray(arrays[2]))
    np.testing.assert_allclose(found, expected, atol=12 * (N + M) * 2**-24)


def test_a_hidden_bias_comes_before_the_relu(arrays):
    """x' = ReLU(W^T ReLU(W x + c) + b) in float64; a large c keeps every neuron active: W^T W x + W^T c + b."""
    W, b, x = (a.astype(np.float64) for a in arrays)
    c = np.array([0.5, -1.0, 0.0])
    model = eqx.tree_at(lambda m: m.c, filled(BiasedReLUHidden, *arrays[:2]), jnp.asarray(c, jnp.float32))
    expected = np.maximum(W.T @ np.maximum(W @ x + c[:, None], 0) + b[:, None], 0)
    np.testing.assert_allclose(model(jnp.asarray(arrays[2])), expected, atol=12 * (N + M) * 2**-24)
    active = eqx.tree_at(lambda m: m.c, model, jnp.full(M, 20.0))
    np.testing.assert_allclose(active.encode(jnp.asarray(arrays[2])), W @ x + 20, atol=32 * M * 2**-24)


@pytest.mark.parametrize(("kind", "rectify"), [(UntiedReLUHidden, True), (UntiedLinearHidden, False)])
def test_untied_models(kind, rectify):
    """y' = ReLU(W2 f(W1 x) + b), f a ReLU or nothing; |x| = ReLU(x) + ReLU(-x) with a neuron for each sign."""
    rng = np.random.default_rng(1)
    W1, W2, b, x = (rng.normal(size=shape) for shape in ((M, N), (N, M), (N,), (N, BATCH)))
    hidden = np.maximum(W1 @ x, 0) if rectify else W1 @ x
    numbers = [jnp.asarray(a, jnp.float32) for a in (W1, W2, b)]
    model = eqx.tree_at(trained(kind(N, M)), kind(N, M), numbers)
    expected = np.maximum(W2 @ hidden + b[:, None], 0)
    np.testing.assert_allclose(model(jnp.asarray(x, jnp.float32)), expected, rtol=1e-5, atol=1e-5)
    both = np.concatenate([np.eye(2), -np.eye(2)])
    signs = eqx.tree_at(trained(kind(2, 4)), kind(2, 4), [jnp.asarray(both), jnp.asarray(abs(both.T)), jnp.zeros(2)])
    x = jnp.asarray([[-0.5, 0.25], [1.0, -1.0]])
    assert np.array_equal(signs(x), abs(x)) == rectify
