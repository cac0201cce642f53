"""The paper's models, each written as its equation. Examples are columns of x, (n, batch).

    Linear              x' = W^T W x + b
    ReLUOutput          x' = ReLU(W^T W x + b)
    ElementwiseOutput   x' = f(W^T W x + b), or without b, for any f that acts entry by entry
    ReLUHidden          x' = ReLU(W^T ReLU(W x) + b)
    BiasedReLUHidden    x' = ReLU(W^T ReLU(W x + c) + b)
    UntiedReLUHidden    y' = ReLU(W2 ReLU(W1 x) + b)
    UntiedLinearHidden  y' = ReLU(W2 W1 x + b)

W and W1 are (m, n): column W_i is the direction of feature i in the m hidden dimensions; W2 is (n, m). `dims`
names the arrays that are trained and stored, and their dimensions; other float fields of a model are constants, which a
sweep may vary.
"""

import abc
from collections.abc import Callable, Mapping
from functools import partial
from operator import attrgetter
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from superpose.leaves import Scalar, scalar

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


Activation = Callable[[Float[Array, "..."]], Float[Array, "..."]]


def identity(a: Float[Array, "..."]) -> Float[Array, "..."]:
    return a


ACTIVATIONS: Mapping[str, Activation] = {
    "relu": jax.nn.relu,
    "gelu": partial(jax.nn.gelu, approximate=False),
    "tanh": jnp.tanh,
    "sigmoid": jax.nn.sigmoid,
    "softplus": jax.nn.softplus,
    "identity": identity,
}


class AbstractTiedModel(AbstractToyModel):
    """h = W x, x' = f(W^T h + b): one matrix, used twice, and an activation f that acts entry by entry.

    The expected loss of such a model can be computed exactly (`superpose.exact`). `slope` says how f goes on below 0,
    where it consists of two lines, f(a) = a for a > 0 and slope * a for a < 0; None says that f is none of these.
    """

    W: eqx.AbstractVar[Float[Array, "m n"]]
    b: eqx.AbstractVar[Float[Array, " n"]]
    activation: eqx.AbstractVar[Activation]
    slope: eqx.AbstractVar[Any]

    def encode(self, x: Float[Array, "n batch"]) -> Float[Array, "m batch"]:
        return self.W @ x

    def decode(self, h: Float[Array, "m batch"]) -> Float[Array, "n batch"]:
        return self.activation(self.W.T @ h + self.b[:, None])


class Linear(AbstractTiedModel):
    """The linear model: h = W x, x' = W^T h + b (paper, "Experiment Setup")."""

    W: Float[Array, "m n"]
    b: Float[Array, " n"]
    dims: ClassVar[Dims] = {"W": ("hidden", "feature"), "b": ("feature",)}
    basis_privileged: ClassVar[bool] = False
    activation: ClassVar[Activation] = staticmethod(identity)
    slope: ClassVar[float] = 1.0

    def __init__(self, n: int, m: int):
        self.W, self.b = jnp.zeros((m, n)), jnp.zeros(n)


class ReLUOutput(AbstractTiedModel):
    """The ReLU output model: h = W x, x' = ReLU(W^T h + b) (paper, "Experiment Setup")."""

    W: Float[Array, "m n"]
    b: Float[Array, " n"]
    dims: ClassVar[Dims] = {"W": ("hidden", "feature"), "b": ("feature",)}
    basis_privileged: ClassVar[bool] = False
    activation: ClassVar[Activation] = staticmethod(jax.nn.relu)
    slope: ClassVar[float] = 0.0

    def __init__(self, n: int, m: int):
        self.W, self.b = jnp.zeros((m, n)), jnp.zeros(n)


class LeakyReLUOutput(AbstractTiedModel):
    """h = W x, x' = LeakyReLU(W^T h + b): a for a > 0, slope * a for a < 0. A sweep may vary the slope."""

    W: Float[Array, "m n"]
    b: Float[Array, " n"]
    slope: Scalar = eqx.field(converter=scalar)
    dims: ClassVar[Dims] = {"W": ("hidden", "feature"), "b": ("feature",)}
    basis_privileged: ClassVar[bool] = False

    def __init__(self, n: int, m: int, slope: Any):
        self.W, self.b, self.slope = jnp.zeros((m, n)), jnp.zeros(n), slope

    def activation(self, a: Float[Array, "..."]) -> Float[Array, "..."]:
        return jnp.where(a > 0, a, self.slope * a)


class ElementwiseOutput(AbstractTiedModel):
    """h = W x, x' = f(W^T h + b).

    Args:
        activation: f by name (relu, gelu, tanh, sigmoid, softplus, identity), or a function of one's own that acts
            entry by entry.
    """

    W: Float[Array, "m n"]
    b: Float[Array, " n"]
    activation: Activation = eqx.field(static=True)
    dims: ClassVar[Dims] = {"W": ("hidden", "feature"), "b": ("feature",)}
    basis_privileged: ClassVar[bool] = False

    def __init__(self, n: int, m: int, activation: str | Activation):
        self.W, self.b, self.activation = jnp.zeros((m, n)), jnp.zeros(n), activation_of(activation)

    @property
    def slope(self) -> float | None:
        return slope_of(self.activation)


class ElementwiseOutputWithoutBias(AbstractTiedModel):
    """h = W x, x' = f(W^T h): as `ElementwiseOutput`, with b = 0, which is not trained."""

    W: Float[Array, "m n"]
    activation: Activation = eqx.field(static=True)
    dims: ClassVar[Dims] = {"W": ("hidden", "feature")}
    basis_privileged: ClassVar[bool] = False

    def __init__(self, n: int, m: int, activation: str | Activation):
        self.W, self.activation = jnp.zeros((m, n)), activation_of(activation)

    @property
    def b(self) -> Float[Array, " n"]:
        return jnp.zeros(self.W.shape[1], self.W.dtype)

    @property
    def slope(self) -> float | None:
        return slope_of(self.activation)


class ReLUHidden(AbstractToyModel):
    """h = ReLU(W x), x' = ReLU(W^T h + b), with no hidden bias: its hidden basis is privileged (paper, "Privileged
    Basis")."""

    W: Float[Array, "m n"]
    b: Float[Array, " n"]
    dims: ClassVar[Dims] = {"W": ("hidden", "feature"), "b": ("feature",)}
    basis_privileged: ClassVar[bool] = True

    def __init__(self, n: int, m: int):
        self.W, self.b = jnp.zeros((m, n)), jnp.zeros(n)

    def encode(self, x: Float[Array, "n batch"]) -> Float[Array, "m batch"]:
        return jax.nn.relu(self.W @ x)

    def decode(self, h: Float[Array, "m batch"]) -> Float[Array, "n batch"]:
        return jax.nn.relu(self.W.T @ h + self.b[:, None])


class BiasedReLUHidden(AbstractToyModel):
    """h = ReLU(W x + c), x' = ReLU(W^T h + b): a positive hidden bias c keeps neurons active, and h linear in x (paper,
    "Privileged Basis", on why its own model has none)."""

    W: Float[Array, "m n"]
    b: Float[Array, " n"]
    c: Float[Array, " m"]
    dims: ClassVar[Dims] = {"W": ("hidden", "feature"), "b": ("feature",), "c": ("hidden",)}
    basis_privileged: ClassVar[bool] = True

    def __init__(self, n: int, m: int):
        self.W, self.b, self.c = jnp.zeros((m, n)), jnp.zeros(n), jnp.zeros(m)

    def encode(self, x: Float[Array, "n batch"]) -> Float[Array, "m batch"]:
        return jax.nn.relu(self.W @ x + self.c[:, None])

    def decode(self, h: Float[Array, "m batch"]) -> Float[Array, "n batch"]:
        return jax.nn.relu(self.W.T @ h + self.b[:, None])


class AbstractUntiedModel(AbstractToyModel):
    """y' = ReLU(W2 h + b): the way out is a matrix of its own, and there is no hidden bias (paper, "Computation in
    Superposition")."""

    W1: eqx.AbstractVar[Float[Array, "m n"]]
    W2: eqx.AbstractVar[Float[Array, "n m"]]
    b: eqx.AbstractVar[Float[Array, " n"]]

    def decode(self, h: Float[Array, "m batch"]) -> Float[Array, "n batch"]:
        return jax.nn.relu(self.W2 @ h + self.b[:, None])


UNTIED: Dims = {"W1": ("hidden", "feature"), "W2": ("feature", "hidden"), "b": ("feature",)}


class UntiedReLUHidden(AbstractUntiedModel):
    """h = ReLU(W1 x), y' = ReLU(W2 h + b): the model that computes y = |x|, its hidden basis privileged."""

    W1: Float[Array, "m n"]
    W2: Float[Array, "n m"]
    b: Float[Array, " n"]
    dims: ClassVar[Dims] = UNTIED
    basis_privileged: ClassVar[bool] = True

    def __init__(self, n: int, m: int):
        self.W1, self.W2, self.b = jnp.zeros((m, n)), jnp.zeros((n, m)), jnp.zeros(n)

    def encode(self, x: Float[Array, "n batch"]) -> Float[Array, "m batch"]:
        return jax.nn.relu(self.W1 @ x)


class UntiedLinearHidden(AbstractUntiedModel):
    """h = W1 x, y' = ReLU(W2 h + b): for comparison, a hidden layer without a privileged basis."""

    W1: Float[Array, "m n"]
    W2: Float[Array, "n m"]
    b: Float[Array, " n"]
    dims: ClassVar[Dims] = UNTIED
    basis_privileged: ClassVar[bool] = False

    def __init__(self, n: int, m: int):
        self.W1, self.W2, self.b = jnp.zeros((m, n)), jnp.zeros((n, m)), jnp.zeros(n)

    def encode(self, x: Float[Array, "n batch"]) -> Float[Array, "m batch"]:
        return self.W1 @ x


def activation_of(given: str | Activation) -> Activation:
    """The function of that name, or the function itself.

    Raises:
        ValueError: there is none of that name.
    """
    if isinstance(given, str) and given not in ACTIVATIONS:
        raise ValueError(f"`model.activation` is one of {', '.join(ACTIVATIONS)}, or a function, got {given!r}.")
    return ACTIVATIONS[given] if isinstance(given, str) else given


def name_of(activation: Activation) -> str | None:
    """The name of a function in ACTIVATIONS; None of a function of one's own."""
    return next((name for name, known in ACTIVATIONS.items() if known is activation), None)


def slope_of(activation: Activation) -> float | None:
    """`AbstractTiedModel.slope` of a function that is known."""
    return {ACTIVATIONS["relu"]: 0.0, ACTIVATIONS["identity"]: 1.0}.get(activation)


def trained(model: AbstractToyModel) -> Callable[[Any], list[Array]]:
    """The function that picks the trained arrays of a model of this class, in the order of `dims`."""
    pick = [attrgetter(name) for name in model.dims]
    return lambda tree: [get(tree) for get in pick]


def split_trained(model: AbstractToyModel) -> tuple[AbstractToyModel, AbstractToyModel]:
    """The model in two: the arrays that are trained, and the rest. `eqx.combine` puts them together."""
    pick = trained(model)
    chosen = eqx.tree_at(pick, jax.tree.map(lambda _: False, model), [True] * len(model.dims))
    return eqx.partition(model, chosen)
