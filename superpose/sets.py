"""Features that come in sets, s sets of k = n / s features each (paper, "Correlated and Anticorrelated Features").

    CorrelatedSets        a set is active with probability p; then each of its k features ~ U[0, 1]
    AnticorrelatedSets    a set is active with probability p; then one of its k features, any, ~ U[0, 1]

`density` p = 1 - S is that of a set. A correlated feature is as often active as its set; an anticorrelated one, with
probability p / k. Sets are independent of each other. Features 0 ... k - 1 are the first set, and so on.
"""

import abc
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PRNGKeyArray

from superpose import draws
from superpose.features import SMALLEST_DENSITY, AbstractSparseFeatures, density_refusal, first_active
from superpose.leaves import Scalar, scalar

Sets = Float[Array, "sets batch"]
Active = Bool[Array, "sets batch"]
Noise = tuple[Sets, Float[Array, "values batch"]]


class AbstractSets(AbstractSparseFeatures):
    """Sets of features, each active or not by one draw v of its own: where v < p, and then v / p is uniform again.

    A draw of `noise` holds these, (sets, batch), and as many more uniform numbers as `fill` makes values of.
    """

    sets: eqx.AbstractVar[int]
    density: eqx.AbstractVar[Scalar]

    @property
    @abc.abstractmethod
    def values(self) -> int:
        """How many uniform numbers besides those of the sets an example takes."""

    @abc.abstractmethod
    def fill(self, active: Active, fresh: Sets, values: Float[Array, "values batch"]) -> Float[Array, "n batch"]:
        """The features, of which sets are active, a uniform number for each active set, and `values` more."""

    @property
    def size(self) -> int:
        """k, the features of a set."""
        return self.n // self.sets

    @property
    @abc.abstractmethod
    def rivals(self) -> int:
        """How many features share the probability of their set."""

    def refusal(self, ends: Mapping[str, tuple[float, float]]) -> str | None:
        """The density of a set, of which each of its features must keep enough."""
        least, largest = ends.get("density", (float(self.density),) * 2)
        return density_refusal("A set's density, 1 - sparsity,", least, largest, self.rivals * SMALLEST_DENSITY)

    def noise(self, batch: int, *, key: PRNGKeyArray) -> Noise:
        set_key, value_key = jax.random.split(key)
        return draws.uniform(set_key, (self.sets, batch)), draws.uniform(value_key, (self.values, batch))

    def __call__(self, noise: Noise) -> Float[Array, "n batch"]:
        drawn, values = noise
        return self.fill(drawn < self.density, drawn * (1 / self.density), values)

    def nonzero_noise(self, batch: int, *, even: bool, key: PRNGKeyArray) -> tuple[Noise, Float[Array, " batch"]]:
        size = 1 + self.sets + self.values
        u = draws.lattice(size, batch, key=key) if even else draws.uniform(key, (size, batch))
        return (u[1 : 1 + self.sets], u[1 + self.sets :]), u[0]

    def nonzero(self, noise: Noise, first: Float[Array, " batch"]) -> Float[Array, "n batch"]:
        """Feature vectors given that at least one set is active, the first of which `first` chooses."""
        drawn, values = noise
        found = first_active(self._log_inactive, first)
        active = found.here | (found.after & (drawn < self.density))
        return self.fill(active, jnp.where(found.here, found.fresh, drawn * (1 / self.density)), values)

    @property
    def log_zero_probability(self) -> Float[Array, ""]:
        """s log(1 - p)."""
        return jnp.sum(self._log_inactive)

    @property
    def _log_inactive(self) -> Float[Array, " sets"]:
        return jnp.full(self.sets, jnp.log1p(-jnp.minimum(self.density, 1.0)))


class CorrelatedSets(AbstractSets):
    """Features that are active together: one draw for a set decides whether all of it is zero or none.

        x_i = u_i if v < p else 0,    u_i, and v of its set, ~ U[0, 1),    P(x_i active) = p

    Args:
        n: number of features.
        sets: number of sets; divides n.
        density: p = 1 - S of a set, and so of each feature, in [1e-5, 1]; what the axis `sparsity` sets.
    """

    n: int = eqx.field(static=True)
    sets: int = eqx.field(static=True)
    density: Scalar = eqx.field(converter=scalar)

    def __init__(self, n: int, sets: int, density: Any = 0.1):
        self.n, self.sets, self.density = n, sets, density

    def __check_init__(self):
        check_divides(self)

    @property
    def values(self) -> int:
        return self.n

    @property
    def rivals(self) -> int:
        return 1

    def fill(self, active: Active, fresh: Sets, values: Float[Array, "n batch"]) -> Float[Array, "n batch"]:
        return jnp.where(jnp.repeat(active, self.size, axis=0), values, 0.0)


class AnticorrelatedSets(AbstractSets):
    """Features of which a set has one active at a time, each as often as the others.

        x_i = u if v < p and floor(k v / p) is its place in the set, else 0,    P(x_i active) = p / k

    with u, v ~ U[0, 1) of its set. A draw is a multiple of 2^-23: a feature's probability is off by less than 2.4e-7.

    Args:
        n: number of features.
        sets: number of sets; divides n.
        density: p = 1 - S of a set, in [k 1e-5, 1]; what the axis `sparsity` sets. A feature is active with p / k.
    """

    n: int = eqx.field(static=True)
    sets: int = eqx.field(static=True)
    density: Scalar = eqx.field(converter=scalar)

    def __init__(self, n: int, sets: int, density: Any = 0.1):
        self.n, self.sets, self.density = n, sets, density

    def __check_init__(self):
        check_divides(self)

    @property
    def values(self) -> int:
        return self.sets

    @property
    def rivals(self) -> int:
        return self.size

    def fill(self, active: Active, fresh: Sets, values: Sets) -> Float[Array, "n batch"]:
        member = jnp.minimum(jnp.floor(fresh * self.size), self.size - 1)
        here = active[:, None] & (member[:, None] == jnp.arange(self.size, dtype=member.dtype)[:, None])
        return jnp.where(here, values[:, None], 0.0).reshape(self.n, -1)


def check_divides(features: AbstractSets) -> None:
    """Raises ValueError unless the features fall into that many equal sets."""
    n, sets = features.n, features.sets
    if isinstance(sets, bool) or not isinstance(sets, int) or sets < 1 or n % sets:
        raise ValueError(
            f"`features.sets` must divide the number of features, n = {n}, got {sets!r}. Type"
            f" features.sets=K with K one of {', '.join(str(k) for k in range(1, n + 1) if n % k == 0)}."
        )
