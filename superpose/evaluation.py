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
from superpose.draws import seed_key, uniform
from superpose.exact import Method
from superpose.features import AbstractFeatures, AbstractSparseFeatures
from superpose.models import AbstractToyModel, split_trained
from superpose.objective import over_draws
from superpose.task import Target, Task

SEED = 220_910_652
VECTORS = 2**17
CHUNK = 4_096


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

    def losses(trained: PyTree[Array], x: Float[Array, "n batch"]) -> Float[Array, " batch"]:
        return task.losses(eqx.combine(trained, constant), x)

    def moments(numbers: tuple[PyTree[Array], Array], _: None) -> tuple[Array, Array, PyTree[Array]]:
        x = vectors_of(task.features, *numbers)

        def mean(trained: PyTree[Array]) -> tuple[Array, Array]:
            each = losses(trained, x)
            return jnp.mean(each), jnp.sum((each - jnp.mean(each)) ** 2)

        (value, spread), gradient = jax.value_and_grad(mean, has_aux=True)(trained)
        return value, spread, gradient

    keys = jax.random.split(key, vectors // chunk)
    means, squares, gradients = over_draws(lambda key: draw(task.features, chunk, key=key), keys, None, moments)
    count, mean = means.size * chunk, jnp.mean(means)
    variance = (jnp.sum(squares) + chunk * jnp.sum((means - mean) ** 2)) / (count - 1)
    gradient = jax.tree.map(lambda g: jnp.mean(g, axis=0), gradients)
    features = task.features
    if isinstance(features, AbstractSparseFeatures) and zero_free(features):
        share = features.active_probability
        zero = jnp.zeros((features.n, 1))
        at_zero, slope = jax.value_and_grad(lambda trained: losses(trained, zero)[0])(trained)
        mean, variance = (1 - share) * at_zero + share * mean, share**2 * variance
        gradient = jax.tree.map(lambda here, rest: (1 - share) * here + share * rest, slope, gradient)
    return Estimate(mean, jnp.sqrt(variance / count), optax.tree.norm(gradient))


def draw(features: AbstractFeatures, count: int, *, key: PRNGKeyArray) -> tuple[PyTree[Array], Array]:
    """The random numbers of `count` feature vectors, and of their first active feature."""
    noise_key, first_key = jax.random.split(key)
    return features.noise(count, key=noise_key), uniform(first_key, (count,))


def vectors_of(features: AbstractFeatures, noise: PyTree[Array], first: Array) -> Float[Array, "n batch"]:
    """Feature vectors, none of them zero where the features tell how to draw such."""
    if isinstance(features, AbstractSparseFeatures) and zero_free(features):
        return features.nonzero(noise, first)
    return features(noise)


def zero_free(features: AbstractSparseFeatures) -> bool:
    """Whether `nonzero` speaks of the features that the module draws: one class defines both.

    A class made from another may draw something else and inherit what it says of vectors that are not zero.
    """
    parts = ("noise", "__call__", "nonzero", "log_zero_probability")
    return len({next(kind for kind in type(features).__mro__ if part in vars(kind)) for part in parts}) == 1
