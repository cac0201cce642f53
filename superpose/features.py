"""The feature vector x: n features, most of them zero (paper, "Demonstrating Superposition": The Feature Vector).

    IndependentFeatures     x_i = 0 with probability S_i, else x_i ~ U[0, 1];    p_i = 1 - S_i
    SignedFeatures          x_i = 0 with probability S_i, else x_i ~ U[-1, 1]

A distribution comes in two steps, so that a sweep draws once for all cells of a seed: `noise` makes the random numbers,
which depend on no swept number, and calling the module turns them into features. A sparse distribution can also turn
them into vectors that are not zero: where nearly all are zero, only the others tell a model anything new,

    E f(x) = P(x = 0) f(0) + P(x != 0) E[f(x) | x != 0].
"""

import abc
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, TypeGuard

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, PRNGKeyArray, PyTree

from superpose import draws
from superpose.leaves import Scalar, scalar, vector

SMALLEST_DENSITY = 1e-5
NONZERO = ("noise", "__call__", "nonzero_noise", "nonzero", "log_zero_probability")
"""What one class defines, if it can draw vectors that are not zero."""


class AbstractFeatures(eqx.Module):
    """A distribution of feature vectors. Examples are columns.

    A subclass has the static field `n`. Its float fields may be axes of a sweep: make them arrays with the converters
    of `superpose.leaves`. The axis `sparsity` sets a field named `density` to p = 1 - S.
    """

    n: eqx.AbstractVar[int]

    @abc.abstractmethod
    def noise(self, batch: int, *, key: PRNGKeyArray) -> PyTree[Array]:
        """The base draws of `batch` examples. They depend on the key alone, on no field that a sweep may vary."""

    @abc.abstractmethod
    def __call__(self, noise: PyTree[Array]) -> Float[Array, "n batch"]:
        """The feature vectors that these draws stand for, one example a column."""

    def refusal(self, ends: Mapping[str, tuple[float, float]]) -> str | None:
        """Why a sweep cannot draw these features; None where it can.

        Args:
            ends: the least and the largest value of each field that it varies: `density`, `relative_density.4`.
        """
        return None


class AbstractSparseFeatures(AbstractFeatures):
    """A distribution that knows how often no feature is active, and can draw vectors with at least one that is."""

    @property
    @abc.abstractmethod
    def log_zero_probability(self) -> Float[Array, ""]:
        """log P(x = 0); -inf where a feature is always active. Both probabilities below come from it."""

    @abc.abstractmethod
    def nonzero_noise(
        self, batch: int, *, even: bool, key: PRNGKeyArray
    ) -> tuple[PyTree[Array], Float[Array, " batch"]]:
        """What `nonzero` needs for `batch` examples. As `noise`, it depends on no field that a sweep may vary.

        Args:
            even: whether the examples are to be spread evenly, each with the law that it has alone, or independent.
        """

    @abc.abstractmethod
    def nonzero(self, noise: PyTree[Array], first: Float[Array, " batch"]) -> Float[Array, "n batch"]:
        """Feature vectors given that at least one feature is active.

        Args:
            noise: base draws, as of `noise`.
            first: one more uniform draw in [0, 1) for each example, which decides its first active feature.
        """

    @property
    def zero_probability(self) -> Float[Array, ""]:
        """P(x = 0)."""
        return jnp.exp(self.log_zero_probability)

    @property
    def active_probability(self) -> Float[Array, ""]:
        """P(x != 0), without the cancellation of 1 - P(x = 0)."""
        return -jnp.expm1(self.log_zero_probability)

    def zero_free(self, function: Callable[[Float[Array, "n batch"]], Array], noise: PyTree[Array]) -> Array:
        """An estimate of E f(x) from vectors that are not zero: P(x != 0) f(nonzero x) + P(x = 0) f(0).

        Args:
            function: the mean of f over a batch. Of the zero vector it sees a batch of one.
            noise: draws of `nonzero_noise`.
        """
        zero = jnp.zeros((self.n, 1))
        return self.active_probability * function(self.nonzero(*noise)) + self.zero_probability * function(zero)


def draws_nonzero(features: AbstractFeatures) -> TypeGuard[AbstractSparseFeatures]:
    """Whether `nonzero` speaks of the features that the module draws: one class defines both.

    A class made from another may draw something else and inherit what it says of vectors that are not zero.
    """
    home = lambda part: next(kind for kind in type(features).__mro__ if part in vars(kind))
    return isinstance(features, AbstractSparseFeatures) and len(set(map(home, NONZERO))) == 1


class FirstActive(NamedTuple):
    """Which of k independent events comes first, given that one happens: `here` marks it, `after` those that follow,
    and `fresh` (where `here`) is uniform on [0, 1) again."""

    here: Bool[Array, "k batch"]
    after: Bool[Array, "k batch"]
    fresh: Float[Array, "k batch"]


def first_active(log_inactive: Float[Array, " k"], first: Float[Array, " batch"]) -> FirstActive:
    """The index F of the first active of k, decided by one uniform number.

        P(F <= i) = c_i = (1 - prod_{j <= i} (1 - p_j)) / (1 - prod_j (1 - p_j))

    F = i where c_{i-1} <= first < c_i; (first - c_{i-1}) / P(F = i) is uniform again. P(F = i) is off by less than 3e-7
    up to k = 400, and the fresh number a multiple of 2^-24 / P(F = i).

    Args:
        log_inactive: log(1 - p_i) of each.
        first: uniform draws in [0, 1).
    """
    # no derivative by the densities: that of an index does not exist, and the logarithm's at p = 1 is infinite
    law = jax.lax.stop_gradient(jnp.expm1(jnp.cumsum(log_inactive)))
    # XLA adds up in blocks, so that the sums may fall by a rounding: the maximum makes F one index. The last is 1.
    until = jax.lax.cummax(law / law[-1])
    before = jnp.concatenate([jnp.zeros(1), until[:-1]])
    scale = 1 / jnp.maximum(until - before, 2**-24)
    before, until, scale = (table[:, None] for table in (before, until, scale))
    return FirstActive((before <= first) & (first < until), first < before, (first - before) * scale)


class AbstractIndependentFeatures(AbstractSparseFeatures):
    """Independent sparse features: x_i = value(u_i / p_i) with probability p_i, else 0.

        x_i = value(u_i / p_i) if u_i < p_i else 0,    u_i ~ U[0, 1),    p_i = density * relative_density_i

    One draw serves both choices: given u < p, u / p is uniform again. A draw is a multiple of 2^-23, so the probability
    of being active is ceil(p 2^23) / 2^23: exact at p = 1, off by less than 1.2e-7 in all, which is 1.2% of p at
    p = 1e-5 (where x_i takes some 84 values). Sweeps refuse smaller densities, and 0, at which every vector is zero.
    """

    density: eqx.AbstractVar[Scalar]
    relative_density: eqx.AbstractVar[Float[Array, " n"]]

    @abc.abstractmethod
    def value(self, uniform: Float[Array, "n batch"]) -> Float[Array, "n batch"]:
        """An active feature's value, from a number in [0, 1)."""

    @property
    def densities(self) -> Float[Array, " n"]:
        """p_i of each feature."""
        return self.density * self.relative_density

    def refusal(self, ends: Mapping[str, tuple[float, float]]) -> str | None:
        """p_i at the corners of what varies, where a product has its extremes."""
        own = np.asarray(self.relative_density, np.float64).tolist()
        relative = [ends.get(f"relative_density.{i}", (factor, factor)) for i, factor in enumerate(own)]
        p = np.multiply.outer(ends.get("density", (float(self.density),) * 2), relative)
        return density_refusal("Every feature's density, (1 - sparsity) * relative_density,", p.min(), p.max())

    def noise(self, batch: int, *, key: PRNGKeyArray) -> Float[Array, "n batch"]:
        return draws.uniform(key, (self.n, batch))

    def __call__(self, noise: Float[Array, "n batch"]) -> Float[Array, "n batch"]:
        p = self.densities[:, None]
        return jnp.where(noise < p, self.value(noise * (1 / p)), 0.0)

    def nonzero_noise(
        self, batch: int, *, even: bool, key: PRNGKeyArray
    ) -> tuple[Float[Array, "n batch"], Float[Array, " batch"]]:
        u = draws.lattice(self.n + 1, batch, key=key) if even else draws.uniform(key, (self.n + 1, batch))
        return u[1:], u[0]

    @property
    def log_zero_probability(self) -> Float[Array, ""]:
        """sum_i log(1 - p_i)."""
        return jnp.sum(self._log_inactive)

    def nonzero(self, noise: Float[Array, "n batch"], first: Float[Array, " batch"]) -> Float[Array, "n batch"]:
        """Feature vectors given that at least one feature is active.

        Features before the first active one are 0, after it what they are without the condition; its own value comes
        from what `first_active` leaves of the draw that chose it.

        Args:
            noise: base draws of `noise`.
            first: one more uniform draw in [0, 1) for each example.
        """
        found = first_active(self._log_inactive, first)
        return jnp.where(found.after, self(noise), jnp.where(found.here, self.value(found.fresh), 0.0))

    @property
    def _log_inactive(self) -> Float[Array, " n"]:
        """log(1 - p_i), where a product p_i that was rounded up to above 1 counts as 1."""
        return jnp.log1p(-jnp.minimum(self.densities, 1.0))


class IndependentFeatures(AbstractIndependentFeatures):
    """x_i ~ U[0, 1] with probability p_i, else 0.

    Args:
        n: number of features.
        density: p = 1 - S, in [1e-5, 1]; what the axis `sparsity` sets.
        relative_density: factors (n,) of the density, feature by feature; 1 for all where it is left out. Every
            density * factor must lie in [1e-5, 1].
    """

    n: int = eqx.field(static=True)
    density: Scalar = eqx.field(converter=scalar)
    relative_density: Float[Array, " n"] = eqx.field(converter=vector)

    def __init__(self, n: int, density: Any = 0.1, relative_density: Any = None):
        self.n, self.density = n, density
        self.relative_density = jnp.ones(n) if relative_density is None else relative_density

    def __check_init__(self):
        check_one_each(self)

    def value(self, uniform: Float[Array, "n batch"]) -> Float[Array, "n batch"]:
        return uniform


class SignedFeatures(AbstractIndependentFeatures):
    """x_i ~ U[-1, 1] with probability p_i, else 0 (paper, "Computation in Superposition").

    Args are those of `IndependentFeatures`.
    """

    n: int = eqx.field(static=True)
    density: Scalar = eqx.field(converter=scalar)
    relative_density: Float[Array, " n"] = eqx.field(converter=vector)

    def __init__(self, n: int, density: Any = 0.1, relative_density: Any = None):
        self.n, self.density = n, density
        self.relative_density = jnp.ones(n) if relative_density is None else relative_density

    def __check_init__(self):
        check_one_each(self)

    def value(self, uniform: Float[Array, "n batch"]) -> Float[Array, "n batch"]:
        return 2 * uniform - 1


def density_refusal(what: str, least: float, largest: float, smallest: float = SMALLEST_DENSITY) -> str | None:
    """Why densities between `least` and `largest` cannot be drawn; None where they can."""
    if least >= smallest * (1 - 1e-6) and largest <= 1 + 1e-6:
        return None
    return (
        f"{what} must lie in [{smallest:g}, 1], got {least:g} to {largest:g} over the levels of the axes. A draw has 23"
        f" bits: below {smallest:g} it can no longer tell how often a feature is active."
    )


def check_one_each(features: AbstractIndependentFeatures) -> None:
    """Raises ValueError unless there is one relative density for each feature."""
    if features.relative_density.shape != (features.n,):
        raise ValueError(
            f"`features.relative_density` has one factor per feature, n = {features.n}, got"
            f" {features.relative_density.size}."
        )
