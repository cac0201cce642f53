"""How a trained model is judged: its expected loss L, the standard error of that, and the norm of its gradient.

All three are of L alone, whatever penalty the model was trained with, so that models compare.

The loss is exact where it can be (`superpose.exact`). Elsewhere it is that of one fixed sample of 2^17 feature vectors,
the same for all models; where features tell how, of vectors that are not zero and evenly drawn, the zero vector being
added with its probability. The gradient of an exact loss that is dear to differentiate is that of 2^15 such vectors.
"""

import dataclasses
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from superpose import exact
from superpose.draws import seed_key
from superpose.exact import Method
from superpose.features import AbstractFeatures, draws_nonzero
from superpose.models import AbstractToyModel, split_trained
from superpose.objective import Sampled, over_draws
from superpose.penalties import NoPenalty
from superpose.task import Target, Task

SEED = 220_910_652
VECTORS = 2**17
GRADIENT_VECTORS = 2**15
CHUNK = 1_024


class Estimate(NamedTuple):
    """A loss, its standard error (0 where the loss is exact), and ||dL/d(trained numbers)||."""

    loss: Float[Array, ""]
    standard_error: Float[Array, ""]
    gradient_norm: Float[Array, ""]


def methods(
    model: AbstractToyModel, features: AbstractFeatures, target: Target, method: Method | None = None
) -> tuple[str, str]:
    """How `evaluate` finds the loss, and how its gradient, in words."""
    drawn = lambda vectors: f"sample of {vectors} feature vectors"
    if exact.refusal(model, features, target, method or Method()) is not None:
        return drawn(VECTORS), drawn(VECTORS)
    series = method is None and exact.way(model, features.n, Method()) == "series"
    return "exact", drawn(GRADIENT_VECTORS) if series else "exact"


def evaluate(model: AbstractToyModel, task: Task, method: Method | None = None) -> Estimate:
    """The expected loss of a trained model, summed over features.

    Args:
        model: the trained model. task: what it was asked; its penalty counts not.
        method: by which it was trained, where that was exactly. Without one, the gradient of a large model is that of
            the sample: the series' takes several times as long as the series.
    """
    task = dataclasses.replace(task, penalty=NoPenalty())
    if exact.refusal(model, task.features, task.target, method or Method()) is not None:
        return sample(model, task, VECTORS, CHUNK, key=seed_key(SEED))
    trained, constant = split_trained(model)
    loss = lambda trained: exact.loss(eqx.combine(trained, constant), task, method or Method())
    if method is None and exact.way(model, task.features.n, Method()) == "series":
        drawn = sample(model, task, GRADIENT_VECTORS, CHUNK, key=seed_key(SEED))
        return Estimate(loss(trained), jnp.zeros(()), drawn.gradient_norm)
    value, gradient = jax.value_and_grad(loss)(trained)
    return Estimate(value, jnp.zeros(()), optax.tree.norm(gradient))


def sample(model: AbstractToyModel, task: Task, vectors: int, chunk: int, *, key: PRNGKeyArray) -> Estimate:
    """The mean loss of `vectors` examples, `chunk` at a time.

    The examples of a chunk are drawn evenly where the features tell how; chunks are independent. So the standard error
    of the mean of K chunks is that of their own means l_k:  sqrt(sum_k (l_k - mean)^2 / (K (K - 1))).
    """
    trained, constant = split_trained(model)
    objective = Sampled(chunk, zero_free=draws_nonzero(task.features))

    def one(noise: PyTree[Array], _: None) -> tuple[Array, PyTree[Array]]:
        return jax.value_and_grad(lambda trained: objective.loss(eqx.combine(trained, constant), task, noise))(trained)

    keys = jax.random.split(key, vectors // chunk)
    means, gradients = over_draws(lambda key: objective.noise(task, key=key), keys, None, one)
    gradient = jax.tree.map(lambda g: jnp.mean(g, axis=0), gradients)
    return Estimate(jnp.mean(means), jnp.std(means, ddof=1) / means.size**0.5, optax.tree.norm(gradient))
