"""Models of features of equal importance at falling densities: D* = m / ||W||_F^2 over 1 / (1 - S), and its plateaus.

Paper: "Uniform Superposition".
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Float, Num

from superpose import selection, statistics, tegum
from superpose.tegum import Component

NEAR = 0.03
"""How far D* may lie from a plateau."""


class Level(NamedTuple):
    """The best model of a density, and D* of all its seeds."""

    density: float
    model: xr.Dataset
    spread: np.ndarray

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
    model, seeds = best.isel(sparsity=k), ds["dimensions_per_feature"].isel(sparsity=k).values
    return Level(float(model["density"]), model, seeds[np.isfinite(seeds)])


def seeds_of(tree: xr.DataTree) -> int:
    """The number of seeds of the variant that has most."""
    return max((node.sizes.get("seed", 0) for node in tree.children.values()), default=0)


def stretch(found: Sequence[Level], stars: Num[np.ndarray, " l"], height: float) -> float:
    """The ratio of the ends of the longest run of neighbouring densities with D* near a height; 0 if there is none.

    Args:
        found: the levels, from dense to sparse. stars: their D*, of one choice of models. height: of the plateau.
    """
    near = np.flatnonzero(np.abs(stars - height) <= NEAR)
    runs = [run for run in np.split(near, np.flatnonzero(np.diff(near) > 1) + 1) if run.size]
    return max((found[run[0]].density / found[run[-1]].density for run in runs), default=0.0)


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
