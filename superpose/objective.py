"""How the expected loss L = E_x sum_i I_i (y_i - x'_i)^2 is estimated: for training, and to judge a trained model.

Training minimises an objective. `Sampled` takes the mean over a fresh batch. A trained model is judged by `evaluate`:
the closed form where one exists, else one fixed sample of 2^17 vectors, the same for all models, with its standard
error.
"""

import abc
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PRNGKeyArray, PyTree

from superpose import theory
from superpose.draws import as_key, seed_key
from superpose.features import IndependentFeatures
from superpose.models import AbstractToyModel, Linear
from superpose.task import Identity, Task

EVALUATION_SEED = 220_910_652
EVALUATION_VECTORS = 2**17
EVALUATION_CHUNK = 4_096


class AbstractObjective(eqx.Module):
    """An estimate of the paper's loss (the sum over features) from random numbers."""

    @abc.abstractmethod
    def noise(self, task: Task, *, key: PRNGKeyArray) -> PyTree[Array]:
        """The random numbers of one step; `()` where none are needed. They depend on no swept number."""

    @abc.abstractmethod
    def loss(self, model: AbstractToyModel, task: Task, noise: PyTree[Array]) -> Float[Array, ""]:
        """The estimate of L."""


class Sampled(AbstractObjective):
    """The mean over a batch of fresh examples, as in the authors' notebook."""

    batch: int = eqx.field(static=True)

    def __check_init__(self):
        if self.batch < 1:
            raise ValueError(f"`objective.batch` must be an integer of at least 1, got {self.batch}.")

    def noise(self, task: Task, *, key: PRNGKeyArray) -> PyTree[Array]:
        return task.features.noise(self.batch, key=key)

    def loss(self, model: AbstractToyModel, task: Task, noise: PyTree[Array]) -> Float[Array, ""]:
        return task.loss(model, task.features(noise))


class Estimate(NamedTuple):
    """A loss and its standard error, 0 where the loss is exact."""

    loss: Float[Array, ""]
    standard_error: Float[Array, ""]


def evaluate(model: AbstractToyModel, task: Task) -> Estimate:
    """The expected loss of a trained model, summed over features.

    It is exact for a linear model that is to give back independent features: for these classes, not for one's own that
    are made from them and may compute anything.
    """
    features = task.features
    if type(model) is Linear and type(features) is IndependentFeatures and type(task.target) is Identity:
        mean, variance = theory.moments(features.densities)
        return Estimate(theory.linear_loss(model.W, model.b, task.importance, mean, variance), jnp.zeros(()))
    return sample(model, task, EVALUATION_VECTORS, EVALUATION_CHUNK, key=seed_key(EVALUATION_SEED))


def over_draws(
    draw: Callable[[PRNGKeyArray], PyTree[Array]],
    keys: Key[Array, " turn"],
    items: PyTree[Array],
    function: Callable[[PyTree[Array], PyTree[Array]], PyTree[Array]],
) -> PyTree[Array]:
    """function(draw(key), item) for each key and item, one after another, stacked.

    Each draw is made one turn before it is used: as a loop's carry it is an array, which XLA does not compute again for
    each of its uses.
    """

    def turn(noise: PyTree[Array], now: tuple) -> tuple[PyTree[Array], PyTree[Array]]:
        next_key, item = now
        return draw(as_key(next_key)), function(noise, item)

    following = jnp.roll(jax.random.key_data(keys), -1, axis=0)
    return jax.lax.scan(turn, draw(keys[0]), (following, items))[1]


def sample(model: AbstractToyModel, task: Task, vectors: int, chunk: int, *, key: PRNGKeyArray) -> Estimate:
    """Mean loss of `vectors` examples and its standard error, `chunk` at a time."""

    def moments(noise: PyTree[Array], _: None) -> tuple[Array, Array]:
        losses = task.losses(model, task.features(noise))
        return jnp.mean(losses), jnp.sum((losses - jnp.mean(losses)) ** 2)

    keys = jax.random.split(key, vectors // chunk)
    means, squares = over_draws(lambda key: task.features.noise(chunk, key=key), keys, None, moments)
    count, mean = means.size * chunk, jnp.mean(means)
    variance = (jnp.sum(squares) + chunk * jnp.sum((means - mean) ** 2)) / (count - 1)
    return Estimate(mean, jnp.sqrt(variance / count))
