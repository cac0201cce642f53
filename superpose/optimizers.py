"""Optimisers and learning-rate schedules, built from numbers that a sweep may trace.

An optimiser here is a few numbers; `build` makes the optax transformation of them inside the traced program, so that
one compile serves every learning rate. The rate of step t is learning_rate * schedule(t). The schedules are the
notebook's, over T steps, times a linear warm-up min(1, (t + 1) / warmup):

    constant 1        linear 1 - t / T        cosine cos(pi t / (2 (T - 1)))
"""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from superpose.leaves import Scalar, scalar

Step = Int[Array, "..."] | int
Rate = Callable[[Any], Any]


class AbstractSchedule(eqx.Module):
    """How many steps a model is trained, and the factor of the learning rate at each."""

    steps: eqx.AbstractVar[int]
    warmup: eqx.AbstractVar[int]

    @abc.abstractmethod
    def decay(self, step: Step) -> Float[Array, "..."]:
        """The factor of step 0 ... steps - 1 without warm-up."""

    def __call__(self, step: Step) -> Float[Array, "..."]:
        return self.decay(step) * jnp.minimum(1.0, (step + 1) / max(self.warmup, 1))


class Constant(AbstractSchedule):
    """Factor 1 throughout. The only schedule whose steps may be raised on trained models: no factor depends on them."""

    steps: int = eqx.field(static=True)
    warmup: int = eqx.field(static=True, default=0)

    def decay(self, step: Step) -> Float[Array, "..."]:
        return jnp.ones(jnp.shape(step))


class LinearDecay(AbstractSchedule):
    """Factor 1 - t / T."""

    steps: int = eqx.field(static=True)
    warmup: int = eqx.field(static=True, default=0)

    def decay(self, step: Step) -> Float[Array, "..."]:
        return 1 - jnp.asarray(step, jnp.float32) / self.steps


class CosineDecay(AbstractSchedule):
    """Factor cos(pi t / (2 (T - 1))): 0 at the last step."""

    steps: int = eqx.field(static=True)
    warmup: int = eqx.field(static=True, default=0)

    def decay(self, step: Step) -> Float[Array, "..."]:
        return jnp.cos(0.5 * jnp.pi * jnp.asarray(step, jnp.float32) / max(self.steps - 1, 1))


class AbstractOptimizer(eqx.Module):
    """The numbers of an optimiser; `build` makes the optax transformation."""

    learning_rate: eqx.AbstractVar[Scalar]

    @abc.abstractmethod
    def transformation(self, rate: Rate) -> optax.GradientTransformation:
        """The optax transformation at a learning rate that depends on the step."""

    def build(self, schedule: AbstractSchedule) -> optax.GradientTransformation:
        def rate(step: Any) -> Any:
            return self.learning_rate * schedule(step)

        return self.transformation(rate)


class AdamW(AbstractOptimizer):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019) on every trained array, biases too."""

    learning_rate: Scalar = eqx.field(converter=scalar)
    weight_decay: Scalar = eqx.field(converter=scalar)
    b1: Scalar = eqx.field(converter=scalar, default=0.9)
    b2: Scalar = eqx.field(converter=scalar, default=0.999)
    eps: Scalar = eqx.field(converter=scalar, default=1e-8)

    def transformation(self, rate: Rate) -> optax.GradientTransformation:
        return optax.adamw(rate, self.b1, self.b2, self.eps, weight_decay=self.weight_decay)


class Adam(AbstractOptimizer):
    """Adam (Kingma and Ba, 2015)."""

    learning_rate: Scalar = eqx.field(converter=scalar)
    b1: Scalar = eqx.field(converter=scalar, default=0.9)
    b2: Scalar = eqx.field(converter=scalar, default=0.999)
    eps: Scalar = eqx.field(converter=scalar, default=1e-8)

    def transformation(self, rate: Rate) -> optax.GradientTransformation:
        return optax.adam(rate, self.b1, self.b2, self.eps)


class SGD(AbstractOptimizer):
    """Stochastic gradient descent with momentum (0: none)."""

    learning_rate: Scalar = eqx.field(converter=scalar)
    momentum: Scalar = eqx.field(converter=scalar, default=0.0)

    def transformation(self, rate: Rate) -> optax.GradientTransformation:
        return optax.sgd(rate, self.momentum)
