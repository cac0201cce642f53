"""What a training step minimises: an estimate of the expected loss L = E_x sum_i I_i (y_i - x'_i)^2.

`Sampled` takes the mean over a fresh batch, `Exact` the expectation itself. Where nearly all vectors are zero, a batch
without them tells more of the same expectation:

    L = P(x = 0) l(0) + P(x != 0) E[l(x) | x != 0]
"""

import abc
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PRNGKeyArray, PyTree

from superpose import exact
from superpose.draws import as_key
from superpose.exact import Method
from superpose.features import NONZERO, AbstractFeatures, draws_nonzero
from superpose.models import AbstractToyModel
from superpose.penalties import AbstractPenalty, NoPenalty
from superpose.task import Target, Task


class AbstractObjective(eqx.Module):
    """An estimate of the paper's loss (the sum over features) from random numbers."""

    @abc.abstractmethod
    def noise(self, task: Task, *, key: PRNGKeyArray) -> PyTree[Array]:
        """The random numbers of one step; `()` where none are needed. They depend on no swept number."""

    @abc.abstractmethod
    def loss(self, model: AbstractToyModel, task: Task, noise: PyTree[Array]) -> Float[Array, ""]:
        """The estimate of L, and the task's penalty."""


class Sampled(AbstractObjective):
    """The mean over a batch of fresh examples, as in the authors' notebook.

    Args:
        batch: examples of a step.
        zero_free: draw none that is zero, and add the zero vector's loss with its probability. The expectation is the
            same, so that a `loss_curve` compares with a plain run's; the variance of a batch's gradient g falls from
            q Var(g | x != 0) + q (1 - q) (E[g | x != 0] - g(0))^2 to q^2 Var(g | x != 0), with q = P(x != 0).
        even: where none is zero, spread the examples of a batch evenly over what may be drawn (a lattice, shifted at
            random). They are then not independent, and the gradient's variance falls further.
    """

    batch: int = eqx.field(static=True)
    zero_free: bool = eqx.field(static=True, default=False)
    even: bool = eqx.field(static=True, default=True)

    def __check_init__(self):
        if self.batch < 1:
            raise ValueError(f"`objective.batch` must be an integer of at least 1, got {self.batch}.")

    def noise(self, task: Task, *, key: PRNGKeyArray) -> PyTree[Array]:
        if not self.zero_free:
            return task.features.noise(self.batch, key=key)
        assert draws_nonzero(task.features)
        return task.features.nonzero_noise(self.batch, even=self.even, key=key)

    def loss(self, model: AbstractToyModel, task: Task, noise: PyTree[Array]) -> Float[Array, ""]:
        mean = lambda x: task.penalised(model, x)
        if not self.zero_free:
            return mean(task.features(noise))
        assert draws_nonzero(task.features)
        return task.features.zero_free(mean, noise)


class Exact(AbstractObjective):
    """The expected loss itself: without noise a model converges to rounding. Args are those of `exact.Method`."""

    method: Method

    def __init__(self, rule: str = "auto", nodes: int | None = None, terms: int = 256):
        self.method = Method(rule, nodes, terms)

    def noise(self, task: Task, *, key: PRNGKeyArray) -> PyTree[Array]:
        return ()

    def loss(self, model: AbstractToyModel, task: Task, noise: PyTree[Array]) -> Float[Array, ""]:
        return exact.loss(model, task, self.method)


def check_fits(
    objective: AbstractObjective,
    model: AbstractToyModel,
    features: AbstractFeatures,
    target: Target,
    penalty: AbstractPenalty = NoPenalty(),
) -> None:
    """Check that there is an exact loss where one is asked for, vectors that are not zero where they are, and that the
    penalty goes with all.

    Raises:
        ValueError: there is none; it says why, and which objective to use.
    """
    if isinstance(objective, Sampled) and objective.zero_free and not draws_nonzero(features):
        raise ValueError(
            "`objective.zero_free` needs features that can be drawn without zero vectors, and"
            f" {type(features).__name__} does not itself define all of {', '.join(NONZERO)} (see"
            " superpose.AbstractSparseFeatures). Type objective.zero_free=false."
        )
    if penalty.refusal(model) is not None:
        raise ValueError(penalty.refusal(model))
    if isinstance(objective, Sampled) and objective.zero_free and penalty.whole_batch:
        raise ValueError(
            f"{type(penalty).__name__} needs whole batches, zero vectors among them. Type objective.zero_free=false."
        )
    if isinstance(objective, Exact) and not isinstance(penalty, NoPenalty):
        raise ValueError("A penalty has no exact expectation here. Type objective=sampled, or penalty=none.")
    reason = exact.refusal(model, features, target, objective.method) if isinstance(objective, Exact) else None
    if reason is not None:
        other = exact.refusal(model, features, target, Method()) is None
        instead = "Leave out objective.rule, or type objective.rule=auto." if other else "Type objective=sampled."
        raise ValueError(f"There is no exact loss here: {reason}. {instead}")


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
