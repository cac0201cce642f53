"""The paper's models, each written as its equation. Examples are columns of x, (n, batch).

    linear        x' = W^T W x + b
    relu_output   x' = ReLU(W^T W x + b)

W is (m, n): column W_i is the direction of feature i in the m hidden dimensions. `dims` names the arrays that are
trained and stored, and their dimensions; other float fields of a model are constants, which a sweep may vary.
"""

import abc
from collections.abc import Callable
from operator import attrgetter
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Dims = dict[str, tuple[str, ...]]


class AbstractToyModel(eqx.Module):
    """A toy model: `encode` n features into m hidden dimensions, `decode` them again.

    A subclass takes `n` and `m`, starts with arrays of zeros (an initialisation fills those of two dimensions or more),
    and states `dims` and whether its hidden basis is privileged, that is, whether anything but W sees the hidden axes.
    """

    dims: eqx.AbstractClassVar[Dims]
    basis_privileged: eqx.AbstractClassVar[bool]

    @abc.abstractmethod
    def encode(self, x: Float[Array, "n batch"]) -> Float[Array, "m batch"]:
        """The hidden activations h."""

    @abc.abstractmethod
    def decode(self, h: Float[Array, "m batch"]) -> Float[Array, "n batch"]:
        """The features x' that the hidden activations stand for."""

    def __call__(self, x: Float[Array, "n batch"]) -> Float[Array, "n batch"]:
        return self.decode(self.encode(x))


class Linear(AbstractToyModel):
    """The linear model: h = W x, x' = W^T h + b (paper, "Experiment Setup")."""

    W: Float[Array, "m n"]
    b: Float[Array, " n"]
    dims: ClassVar[Dims] = {"W": ("hidden", "feature"), "b": ("feature",)}
    basis_privileged: ClassVar[bool] = False

    def __init__(self, n: int, m: int):
        self.W, self.b = jnp.zeros((m, n)), jnp.zeros(n)

    def encode(self, x: Float[Array, "n batch"]) -> Float[Array, "m batch"]:
        return self.W @ x

    def decode(self, h: Float[Array, "m batch"]) -> Float[Array, "n batch"]:
        return self.W.T @ h + self.b[:, None]


class ReLUOutput(AbstractToyModel):
    """The ReLU output model: h = W x, x' = ReLU(W^T h + b) (paper, "Experiment Setup")."""

    W: Float[Array, "m n"]
    b: Float[Array, " n"]
    dims: ClassVar[Dims] = {"W": ("hidden", "feature"), "b": ("feature",)}
    basis_privileged: ClassVar[bool] = False

    def __init__(self, n: int, m: int):
        self.W, self.b = jnp.zeros((m, n)), jnp.zeros(n)

    def encode(self, x: Float[Array, "n batch"]) -> Float[Array, "m batch"]:
        return self.W @ x

    def decode(self, h: Float[Array, "m batch"]) -> Float[Array, "n batch"]:
        return jax.nn.relu(self.W.T @ h + self.b[:, None])


def trained(model: AbstractToyModel) -> Callable[[Any], list[Array]]:
    """The function that picks the trained arrays of a model of this class, in the order of `dims`."""
    pick = [attrgetter(name) for name in model.dims]
    return lambda tree: [get(tree) for get in pick]


def split_trained(model: AbstractToyModel) -> tuple[AbstractToyModel, AbstractToyModel]:
    """The model in two: the arrays that are trained, and the rest. `eqx.combine` puts them together."""
    pick = trained(model)
    chosen = eqx.tree_at(pick, jax.tree.map(lambda _: False, model), [True] * len(model.dims))
    return eqx.partition(model, chosen)
