"""What training minimises besides the loss of the task: L + penalty.

    HiddenL1       strength * E ||h||_1, the hidden activations' (paper, "Strategic Picture": Approach 1)
    Adversarial    E l(x + delta) - E l(x): with it, training sees attacked inputs only ("Adversarial Robustness")

The loss that a run reports and judges is L, without a penalty.
"""

import abc
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, Float

from superpose.leaves import Scalar, scalar
from superpose.models import AbstractTiedModel, AbstractToyModel

Losses = Callable[[Float[Array, "n batch"]], Float[Array, " batch"]]


class AbstractPenalty(eqx.Module):
    """A term of the training loss besides L, on the scale of L, the sum over features."""

    @abc.abstractmethod
    def __call__(self, model: AbstractToyModel, x: Float[Array, "n batch"], losses: Losses) -> Float[Array, ""] | float:
        """The penalty's mean over a batch, one number.

        Args:
            model: in training.
            x: the batch.
            losses: what the model's losses are where it sees other inputs (n, batch) in the place of x, which it is
                still to give back.
        """

    def whole(
        self, loss: Float[Array, ""], model: AbstractToyModel, x: Float[Array, "n batch"], losses: Losses
    ) -> Float[Array, ""]:
        """L + penalty, what training minimises; a penalty that takes the place of L need not compute L.

        Args:
            loss: L of the batch.
        """
        return loss + self(model, x, losses)

    def refusal(self, model: AbstractToyModel) -> str | None:
        """Why it cannot be of this model; None where it can."""
        return None

    @property
    def whole_batch(self) -> bool:
        """Whether it is more than a mean over examples, so that a batch without zero vectors would not do."""
        return False


class NoPenalty(AbstractPenalty):
    """Nothing besides L."""

    def __call__(self, model: AbstractToyModel, x: Float[Array, "n batch"], losses: Losses) -> float:
        return 0.0


class HiddenL1(AbstractPenalty):
    """strength * the mean of sum_j |h_j|.

    Args:
        strength: at least 0; a sweep may vary it.
    """

    strength: Scalar = eqx.field(converter=scalar)

    def __check_init__(self):
        check_strength(self.strength)

    def __call__(self, model: AbstractToyModel, x: Float[Array, "n batch"], losses: Losses) -> Float[Array, ""]:
        return self.strength * jnp.sum(jnp.abs(model.encode(x))) / x.shape[1]


class Adversarial(AbstractPenalty):
    """The loss on attacked inputs in the place of that on x: L(x + delta) - L(x), with x still to be given back.

        delta = strength * E||x||_2 * (W^T W)_i / ||(W^T W)_i||_2

    the best L2 attack on feature i where the model is linear. Example k of a batch is attacked in feature k mod n, so
    that each feature is as often as others, whatever x is. The attack counts as given: no gradient goes through it.

    Args:
        strength: the attack's L2 norm over that of the mean input, at least 0; a sweep may vary it.
    """

    strength: Scalar = eqx.field(converter=scalar)

    def __check_init__(self):
        check_strength(self.strength)

    def __call__(self, model: AbstractToyModel, x: Float[Array, "n batch"], losses: Losses) -> Float[Array, ""]:
        return self.attacked(model, x, losses) - jnp.mean(losses(x))

    def whole(
        self, loss: Float[Array, ""], model: AbstractToyModel, x: Float[Array, "n batch"], losses: Losses
    ) -> Float[Array, ""]:
        return self.attacked(model, x, losses)

    def attacked(self, model: AbstractToyModel, x: Float[Array, "n batch"], losses: Losses) -> Float[Array, ""]:
        """L(x + delta)."""
        assert isinstance(model, AbstractTiedModel)
        feature = jnp.arange(x.shape[1]) % x.shape[0]
        length = self.strength * jnp.mean(jnp.linalg.norm(x, axis=0))
        return jnp.mean(losses(x + length * jax.lax.stop_gradient(directions(model.W))[:, feature]))

    def refusal(self, model: AbstractToyModel) -> str | None:
        if isinstance(model, AbstractTiedModel):
            return None
        return (
            f"`penalty=adversarial` attacks along W^T W, and {type(model).__name__} has no such W. Type penalty=none."
        )

    @property
    def whole_batch(self) -> bool:
        return True


def check_strength(strength: Scalar) -> None:
    """Check a strength, unless it is traced and so has no value yet.

    Raises:
        ValueError: it is negative or not finite.
    """
    if not isinstance(strength, Tracer) and not (jnp.isfinite(strength) and strength >= 0):
        raise ValueError(f"`penalty.strength` must be a number of at least 0, got {float(strength):g}.")


def check_scalar(penalty: AbstractPenalty, model: AbstractToyModel, n: int) -> None:
    """Check that a penalty gives one number, without computing it.

    Raises:
        ValueError: it gives an array, of which training can take no gradient.
    """
    losses = lambda seen: jnp.zeros(seen.shape[1])
    x = jax.ShapeDtypeStruct((n, 1), jnp.float32)
    shape = jax.eval_shape(lambda x: jnp.asarray(penalty(model, x, losses)), x).shape
    if shape != ():
        raise ValueError(
            f"{type(penalty).__name__} gives an array of shape {shape} for a batch of one example, where a penalty is"
            " one number: its mean over the batch. Take jnp.mean(...) of what each example adds."
        )


def directions(W: Float[Array, "m n"]) -> Float[Array, "n n"]:
    """Column i is (W^T W)_i at length 1: along it a small change of x changes x'_i most. 0 where W_i is 0."""
    gram = W.T @ W
    length = jnp.linalg.norm(gram, axis=0)
    return gram / jnp.where(length == 0, 1, length)
