"""The feature vector x: n features, most of them zero (paper, "Demonstrating Superposition": The Feature Vector).

    x_i = 0 with probability S_i, else x_i ~ U[0, 1];    p_i = 1 - S_i

A distribution comes in two steps, so that a sweep draws once for all cells of a seed: `noise` makes the random numbers,
which depend on no swept number, and calling the module turns them into features.
"""

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from superpose import draws
from superpose.leaves import Scalar, scalar, vector

SMALLEST_DENSITY = 1e-5


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


class IndependentFeatures(AbstractFeatures):
    """Independent sparse features: x_i ~ U[0, 1] with probability p_i, else 0.

        x_i = u_i / p_i if u_i < p_i else 0,    u_i ~ U[0, 1),    p_i = density * relative_density_i

    One draw serves both choices: given u < p, u / p is uniform again. A draw is a multiple of 2^-23, so the probability
    of being active is ceil(p 2^23) / 2^23: exact at p = 1, off by less than 1.2e-7 in all, which is 1.2% of p at
    p = 1e-5 (where x_i takes some 84 values); smaller densities are refused.

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
        self.n = n
        self.density = density
        self.relative_density = jnp.ones(n) if relative_density is None else relative_density

    def __check_init__(self):
        if self.relative_density.shape != (self.n,):
            raise ValueError(
                f"`features.relative_density` has one factor per feature, n = {self.n}, got"
                f" {self.relative_density.size}."
            )

    @property
    def densities(self) -> Float[Array, " n"]:
        """p_i of each feature."""
        return self.density * self.relative_density

    def noise(self, batch: int, *, key: PRNGKeyArray) -> Float[Array, "n batch"]:
        return draws.uniform(key, (self.n, batch))

    def __call__(self, noise: Float[Array, "n batch"]) -> Float[Array, "n batch"]:
        p = self.densities[:, None]
        return jnp.where(noise < p, noise * (1 / p), 0.0)
