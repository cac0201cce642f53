"""Models of features of equal importance at falling densities: D* = m / ||W||_F^2 over 1 / (1 - S), and its plateaus.

Paper: "Uniform Superposition".
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Float, Num

from superpose import selection, statistics, tegum, theory
from superpose.tegum import Component

NEAR = 0.03
"""How far D* may lie from a plateau."""

ALIKE = 0.01
"""By how much of the lowest loss another seed's may be higher for its D_i to be pooled with those of the best."""


LEAVES = 0.95
"""D* below which features are not all as good as orthogonal."""


class Level(NamedTuple):
    """The best model of a density, D* of all its seeds, and the D_i of those that are about as good (k, n)."""

    density: float
    model: xr.Dataset
    spread: np.ndarray
    alike: np.ndarray

    @property
    def sparse(self) -> float:
        """1 / (1 - S)."""
        return 1 / self.density

    @property
    def star(self) -> float:
        """D*, dimensions per feature."""
        return float(self.model["dimensions_per_feature"])

    @property
    def shares(self) -> Float[np.ndarray, " n"]:
        """D_i of all features."""
        return self.model["dimensionality"].values.astype(float)

    @property
    def loss(self) -> float:
        """The loss, summed over features."""
        return float(self.model["loss"])

    @property
    def sizes(self) -> tuple[int, int]:
        """n and m."""
        return self.model.sizes["feature"], self.model.sizes["hidden"]

    @property
    def W(self) -> Num[np.ndarray, "m n"]:
        """The weights."""
        return self.model["W"].transpose("hidden", "feature").values

    def components(self, edge: float = tegum.EDGE) -> list[Component]:
        """The tegum factors, of links above `edge`."""
        return tegum.components(self.W, edge)


def levels(tree: xr.DataTree, label: str | None = None) -> list[Level]:
    """The best model of each density that has one, from dense to sparse; none where importances are not all equal.

    Args:
        tree: labelled arrays.
        label: the variant; the first one with a matrix W where it is left out.
    """
    there = [name for name, node in tree.children.items() if "dimensionality" in node and label in (None, name)]
    if not there:
        return []
    ds = selection.one_point(tree[there[0]].to_dataset())[0].sortby("density", ascending=False)
    best = statistics.best(ds)
    importance = ds["feature_importance"].max(["sparsity", "seed"]).values
    usable = np.flatnonzero(best["loss"].notnull()).tolist() if np.ptp(importance) == 0 else []
    return [_level(ds, best, k) for k in usable]


def _level(ds: xr.Dataset, best: xr.Dataset, k: int) -> Level:
    model, usable = best.isel(sparsity=k), selection.sorted_by_loss(ds.isel(sparsity=k))
    good = usable["loss"].values <= (1 + ALIKE) * float(model["loss"])
    shares = usable["dimensionality"].transpose("seed", "feature").values.astype(float)
    stars = usable["dimensions_per_feature"].sortby("seed").values
    return Level(float(model["density"]), model, stars[np.isfinite(stars)], shares[good])


def seeds_of(tree: xr.DataTree) -> int:
    """The number of seeds of the variant that has most."""
    return max((node.sizes.get("seed", 0) for node in tree.children.values()), default=0)


def run(found: Sequence[Level], stars: Num[np.ndarray, " l"], height: float) -> list[Level]:
    """The longest run of neighbouring levels with D* near a height, by the ratio of its ends.

    Args:
        found: the levels, from dense to sparse. stars: their D*, of one choice of models. height: of the plateau.
    """
    near = np.flatnonzero(np.abs(stars - height) <= NEAR)
    runs = [[found[k] for k in part] for part in np.split(near, np.flatnonzero(np.diff(near) > 1) + 1) if part.size]
    return max(runs, key=lambda part: part[0].density / part[-1].density, default=[])


def plateau(found: Sequence[Level], height: float) -> list[Level]:
    """`run` of the best models."""
    return run(found, np.array([one.star for one in found]), height)


def pooled(found: Sequence[Level]) -> Float[np.ndarray, " q"]:
    """All D_i of the best models whose D* is below 0.95, and of other seeds that are about as good."""
    return np.concatenate([np.zeros(0), *(one.alike.ravel() for one in found if one.star < LEAVES)])


def orthogonal_loss(n: int, m: int, p: float) -> float:
    """The loss of m orthogonal features and n - m that are not learned, (n - m)(p/3 - p^2/4); D* = 1."""
    return float((n - m) * theory.dropped_loss(p, 1.0))


def digons_loss(n: int, m: int, p: float) -> float:
    """The loss of m digons of unit vectors and n - 2m others not learned, m p^2/3 + (n - 2m)(p/3 - p^2/4); D* = 1/2."""
    return float(m * theory.antipodal_loss(p, 1.0, 1.0) + (n - 2 * m) * theory.dropped_loss(p, 1.0))


def stretch(found: Sequence[Level], stars: Num[np.ndarray, " l"], height: float) -> float:
    """The ratio of the densities at the ends of `run`; 0 if there is none."""
    levels = run(found, stars, height)
    return levels[0].density / levels[-1].density if levels else 0.0


def fall(stars: Num[np.ndarray, " l"], at: Num[np.ndarray, " l"], height: float) -> float:
    """Where D* first falls through a height, between levels evenly in the logarithm; NaN where it does not.

    Args:
        stars: D* of each level. at: their 1 / (1 - S), rising.
    """
    places = np.flatnonzero((stars[:-1] >= height) & (stars[1:] < height))
    if not places.size:
        return float("nan")
    k = places[0]
    part = (stars[k] - height) / (stars[k] - stars[k + 1])
    return float(at[k] * (at[k + 1] / at[k]) ** part)
