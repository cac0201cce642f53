"""How many sets have collapsed, over densities and seeds: of the best seed, of most, and where the number falls.

A threshold lies between two neighbouring densities, a bracket; how far it depends on the seeds is told by drawing them
with replacement. Paper: "Correlated and Anticorrelated Features". NumPy only.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

RESAMPLES = 500


class Collapse(NamedTuple):
    """Of densities, falling: loss and number of collapsed sets of every seed.

    Attributes:
        density: one each.
        loss: infinite where a seed is not usable; each density has one that is.
        collapsed: how many of the model's sets have collapsed.
        sets: how many it has.
    """

    density: Float[np.ndarray, " p"]
    loss: Float[np.ndarray, "p seed"]
    collapsed: Int[np.ndarray, "p seed"]
    sets: int

    @property
    def best(self) -> Int[np.ndarray, " p"]:
        """The number of the seed of the lowest loss at each density."""
        return np.take_along_axis(self.collapsed, self.loss.argmin(axis=1)[:, None], axis=1)[:, 0]

    @property
    def shares(self) -> Float[np.ndarray, "p counts"]:
        """The share of the usable seeds that have 0, 1, ... collapsed sets; all 0 where none is usable."""
        usable = np.isfinite(self.loss)
        counts = [((self.collapsed == k) & usable).sum(axis=1) for k in range(self.sets + 1)]
        return np.stack(counts, axis=1) / np.maximum(usable.sum(axis=1, keepdims=True), 1)

    @property
    def commonest(self) -> Int[np.ndarray, " p"]:
        """The number that most seeds have at each density; of two as common, the smaller."""
        return self.shares.argmax(axis=1)


def bracket(density: Float[np.ndarray, " p"], count: Int[np.ndarray, " p"], least: int) -> tuple[float, float]:
    """The neighbouring densities below which, for good, fewer than `least` sets are collapsed; NaN: there are none."""
    last = np.flatnonzero(count >= least)
    if not len(last) or last[-1] + 1 == len(density):
        return np.nan, np.nan
    return float(density[last[-1] + 1]), float(density[last[-1]])


def threshold(density: Float[np.ndarray, " p"], count: Int[np.ndarray, " p"], least: int) -> float:
    """The middle of the bracket, in the logarithm."""
    return float(np.sqrt(np.prod(bracket(density, count, least))))


def resampled(found: Collapse, least: int) -> tuple[float, float] | None:
    """The 95% bootstrap interval of the bracket of the commonest number; None where a resample has no bracket."""
    rng, seeds = np.random.default_rng(0), found.loss.shape[1]
    draws = [rng.integers(seeds, size=seeds) for _ in range(RESAMPLES)]
    picked = [found._replace(loss=found.loss[:, own], collapsed=found.collapsed[:, own]) for own in draws]
    low, high = zip(*(bracket(found.density, own.commonest, least) for own in picked), strict=True)
    return None if np.isnan(low).any() else (float(np.quantile(low, 0.025)), float(np.quantile(high, 0.975)))
