"""How much each feature matters: one importance coordinate becomes n importances I_i.

    uniform       I_i = 1
    geometric     I_i = base^i, i = 0 ... n-1       (the paper's 0.7^i and 0.9^i; the first feature matters most)
    last_feature  I = (1, ..., 1, relative)         (the paper's phase diagrams: how much the extra feature matters)

Calling a weighting gives the importances. The axis `importance` sets its one float.
"""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from superpose.leaves import Scalar, scalar


class AbstractWeighting(eqx.Module):
    """One or no coordinate -> the importances of n features. A global scale of them changes nothing but the loss."""

    @abc.abstractmethod
    def __call__(self, n: int) -> Float[Array, " n"]:
        """The importance of each feature, >= 0."""


class Uniform(AbstractWeighting):
    """I_i = 1: all features matter alike. It takes no importance axis."""

    def __call__(self, n: int) -> Float[Array, " n"]:
        return jnp.ones(n)


class Geometric(AbstractWeighting):
    """I_i = base^i for i = 0 ... n-1, base in (0, 1] for importances that fall."""

    base: Scalar = eqx.field(converter=scalar)

    def __call__(self, n: int) -> Float[Array, " n"]:
        return self.base ** jnp.arange(n)


class LastFeature(AbstractWeighting):
    """I = (1, ..., 1, relative): the last feature's importance relative to the others, > 0."""

    relative: Scalar = eqx.field(converter=scalar)

    def __call__(self, n: int) -> Float[Array, " n"]:
        return jnp.ones(n).at[-1].set(self.relative)
