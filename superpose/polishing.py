"""What follows training where the loss has no noise: a second-order descent to the minimum that Adam came near.

theta <- theta - step * H grad L(theta),    H an approximation of the inverse Hessian (Nocedal and Wright, 2006)
"""

import abc
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, PyTree

Loss = Callable[[PyTree[Array]], Float[Array, ""]]


class AbstractPolish(eqx.Module):
    """What is done to the trained arrays after the last step of the schedule."""

    @abc.abstractmethod
    def __call__(self, loss: Loss, trained: PyTree[Array]) -> PyTree[Array]:
        """The trained arrays at a lower loss, or as they are."""


class NoPolish(AbstractPolish):
    """Leaves the trained arrays as they are."""

    def __call__(self, loss: Loss, trained: PyTree[Array]) -> PyTree[Array]:
        return trained


class LBFGS(AbstractPolish):
    """L-BFGS with optax's zoom line search. A step that does not lower the loss is not taken.

    In float32 that resolves a minimum of loss L and curvature H to a gradient of about sqrt(2^-24 L H).

    Args:
        steps: at most so many, at least 1.
        memory: pairs that approximate the Hessian.
        tolerance: it ends after a step at whose start the gradient's norm was below this, or that did not lower the
            loss.
    """

    steps: int = eqx.field(static=True)
    memory: int = eqx.field(static=True, default=10)
    tolerance: float = eqx.field(static=True, default=1e-7)

    def __check_init__(self):
        for name, value in (("steps", self.steps), ("memory", self.memory)):
            if not isinstance(value, int) or value < 1:
                raise ValueError(f"`polish.{name}` must be an integer of at least 1, got {value!r}.")
        if not self.tolerance >= 0:
            raise ValueError(f"`polish.tolerance` must be a number of at least 0, got {self.tolerance!r}.")

    def __call__(self, loss: Loss, trained: PyTree[Array]) -> PyTree[Array]:
        optim = optax.lbfgs(memory_size=self.memory)
        value_and_grad = optax.value_and_grad_from_state(loss)

        def goes_on(carry: tuple) -> Array:
            taken, _, _, norm, moved = carry
            return (taken < self.steps) & (norm > self.tolerance) & moved

        def step(carry: tuple) -> tuple:
            taken, here, state, _, _ = carry
            value, gradient = value_and_grad(here, state=state)
            updates, state = optim.update(gradient, state, here, value=value, grad=gradient, value_fn=loss)
            there = optax.apply_updates(here, updates)
            lower = optax.tree.get(state, "value") < value
            kept = jax.tree.map(lambda new, old: jnp.where(lower, new, old), there, here)
            return taken + 1, kept, state, optax.tree.norm(gradient), lower

        start = (jnp.zeros((), int), trained, optim.init(trained), jnp.asarray(jnp.inf), jnp.asarray(True))
        return jax.lax.while_loop(goes_on, step, start)[1]
