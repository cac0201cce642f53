"""What a model is asked: the features, what each matters, and the target. And the paper's loss:

    L = E_x sum_i I_i (y_i - x'_i)^2,    y = target(x)       (paper, "Experiment Setup")

This is the SUM over features, which the store holds. Training minimises L / n, the notebook's mean over features:
`training.train` divides, nothing else does.
"""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from superpose.features import AbstractFeatures
from superpose.models import AbstractToyModel
from superpose.penalties import AbstractPenalty, NoPenalty

Target = Callable[[Float[Array, "n batch"]], Float[Array, "n batch"]]


class Identity(eqx.Module):
    """y = x: the model is to give back its features."""

    def __call__(self, x: Float[Array, "n batch"]) -> Float[Array, "n batch"]:
        return x


class AbsoluteValue(eqx.Module):
    """y = |x|: the model is to compute (paper, "Computation in Superposition")."""

    def __call__(self, x: Float[Array, "n batch"]) -> Float[Array, "n batch"]:
        return jnp.abs(x)


class Task(eqx.Module):
    """Features with their importances, the function of them that a model is to give, and a penalty on how it does."""

    features: AbstractFeatures
    importance: Float[Array, " n"]
    target: Target
    penalty: AbstractPenalty = NoPenalty()

    def losses(
        self, model: AbstractToyModel, x: Float[Array, "n batch"], seen: Float[Array, "n batch"] | None = None
    ) -> Float[Array, " batch"]:
        """sum_i I_i (y_i - x'_i)^2 of each example, y = target(x); the model sees `seen` where that is given."""
        output = model(x if seen is None else seen)
        return jnp.sum(self.importance[:, None] * (self.target(x) - output) ** 2, axis=0)

    def loss(self, model: AbstractToyModel, x: Float[Array, "n batch"]) -> Float[Array, ""]:
        """The mean of `losses` over the batch."""
        return jnp.sum(self.importance[:, None] * (self.target(x) - model(x)) ** 2) / x.shape[1]

    def penalised(self, model: AbstractToyModel, x: Float[Array, "n batch"]) -> Float[Array, ""]:
        """`loss` and the penalty: what training minimises."""
        return self.penalty.whole(self.loss(model, x), model, x, lambda seen: self.losses(model, x, seen))
