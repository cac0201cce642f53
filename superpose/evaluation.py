"""How a trained model is judged: its expected loss L, the standard error of that, and the norm of its gradient.

The loss is exact where it can be (`superpose.exact`). Elsewhere it is that of one fixed sample of 2^17 feature vectors,
the same for all models; where features tell how, of vectors that are not zero, the zero vector being added with its
probability.
"""

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
from superpose.task import Target, Task

SEED = 220_910_652
VECTORS = 2**17
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
    drawn = f"sample of {VECTORS} feature vectors"
    if exact.refusal(model, features, target, method or Method()) is not None:
        return drawn, drawn
    return "exact", "exact" if method or exact.way(model, features.n, Method()) != "series" else drawn


def evaluate(model: AbstractToyModel, task: Task, method: Method | None = None) -> Estimate:
    """The expected loss of a trained model, summed over features.

    Args:
        model: the trained model. task: what it was asked.
        method: by which it was trained, where that was exactly. Without one, the gradient of a large model is that of
            the sample: the series' takes several times as long as the series.
    """
    if exact.refusal(model, task.features, task.target, method or Method()) is not None:
        return sample(model, task, VECTORS, CHUNK, key=seed_key(SEED))
    trained, constant = split_trained(model)
    loss = lambda trained: exact.loss(eqx.combine(trained, constant), task, method or Method())
    if method is None and exact.way(model, task.features.n, Method()) == "series":
        drawn = sample(model, task, VECTORS, CHUNK, key=seed_key(SEED))
        return Estimate(loss(trained), jnp.zeros(()), drawn.gradient_norm)
    value, gradient = jax.value_and_grad(loss)(trained)
    return Estimate(value, jnp.zeros(()), optax.tree.norm(gradient))


def sample(model: AbstractToyModel, task: Task, vectors: int, chunk: int, *, key: PRNGKeyArray) -> Estimate:
    """The mean loss of `vectors` examples, `chunk` at a time."""
    trained, constant = split_trained(model)
    objective = Sampled(chunk, zero_free=draws_nonzero(task.features), even=False)

    def moments(noise: PyTree[Array], _: None) -> tuple[Array, Array, PyTree[Array]]:
        def mean(trained: PyTree[Array]) -> tuple[Array, Array]:
            each = objective.mean(lambda x: task.losses(eqx.combine(trained, constant), x), task, noise)
            return jnp.mean(each), jnp.sum((each - jnp.mean(each)) ** 2)

        (value, spread), gradient = jax.value_and_grad(mean, has_aux=True)(trained)
        return value, spread, gradient

    keys = jax.random.split(key, vectors // chunk)
    means, squares, gradients = over_draws(lambda key: objective.noise(task, key=key), keys, None, moments)
    count, mean = means.size * chunk, jnp.mean(means)
    variance = (jnp.sum(squares) + chunk * jnp.sum((means - mean) ** 2)) / (count - 1)
    gradient = jax.tree.map(lambda g: jnp.mean(g, axis=0), gradients)
    return Estimate(mean, jnp.sqrt(variance / count), optax.tree.norm(gradient))
