"""Which features of a model have a dimension to themselves, and which share one: read from one model's arrays.

    alone     represented, and orthogonal to every other feature         a dark bar in the paper's figures
    shared    represented, and in superposition                          a green or yellow one

A model is an `xr.Dataset` of one cell of a sweep, with W, b and the measures of `superpose.geometry`. Paper: "Basic
Results". NumPy and xarray only.
"""

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from superpose import selection, tegum

ANTIPODAL = -0.9
"""Between an antipodal pair (cosine -1) and the next shape, a pentagon (-0.81)."""


def falling(models: xr.Dataset) -> bool:
    """Is each feature of these models, of any number of seeds, less important than the one before?"""
    return bool((np.diff(models["feature_importance"].isel(seed=0).values) < 0).all())


def features_per_dimension(models: xr.Dataset) -> xr.DataArray:
    """1 / D* = ||W||_F^2 / m of models that are finite, else NaN."""
    return (1 / models["dimensions_per_feature"]).where(models["finite"])


def alone_and_shared(model: xr.Dataset) -> tuple[Int[np.ndarray, " alone"], Int[np.ndarray, " shared"]]:
    """The represented features that are orthogonal to all others, and those in superposition."""
    shared = model["superposed"].values
    return np.flatnonzero(model["represented"].values & ~shared), np.flatnonzero(shared)


def first_alone(model: xr.Dataset) -> bool:
    """Is each feature that is alone before each that is shared, and are there both?"""
    alone, shared = alone_and_shared(model)
    return bool(alone.size and shared.size and alone.max() < shared.min())


def span(features: Int[np.ndarray, " k"]) -> str:
    """0, 2 to 5, 7: runs of neighbours by their ends."""
    runs = [run for run in np.split(features, np.flatnonzero(np.diff(features) > 1) + 1) if run.size]
    return ", ".join(f"{run[0]}" + f" to {run[-1]}" * (run.size > 1) for run in runs) or "none"


def spans(model: xr.Dataset) -> str:
    """Both kinds of features in words."""
    return "alone {}, in superposition {}".format(*map(span, alone_and_shared(model)))


def cosines(model: xr.Dataset) -> Float[np.ndarray, "n n"]:
    """cos(W_i, W_j) of represented features, else 0; 0 on the diagonal."""
    W = selection.weights(model) * model["represented"].values
    unit = W / np.maximum(np.linalg.norm(W, axis=0), 1e-12)
    return unit.T @ unit * (1 - np.eye(W.shape[1]))


def partners(model: xr.Dataset) -> tuple[int, float]:
    """Of the features in superposition: how many are each other's most opposite feature, and the greatest cosine."""
    opposite, shared = cosines(model).argmin(axis=0), np.flatnonzero(model["superposed"])
    mutual = opposite[opposite[shared]] == shared
    return int(mutual.sum()), float(cosines(model).min(axis=0)[shared].max(initial=-1))


def all_paired(model: xr.Dataset) -> bool:
    """Are there features in superposition, and all of them in antipodal pairs?"""
    shared, (mutual, greatest) = int(model["superposed"].sum()), partners(model)
    return shared > 0 and mutual == shared and greatest < ANTIPODAL


def other_shapes(model: xr.Dataset) -> dict[str, int]:
    """How many tegum components (`tegum.components`) of each shape there are that are neither alone nor a digon."""
    found = tegum.census(tegum.components(selection.weights(model)))
    return {name: count for name, count in found.items() if name not in ("single", "digon")}


def greatest(model: xr.Dataset) -> tuple[float, float]:
    """The greatest cosine and the greatest bias among represented features."""
    return float(cosines(model).max()), float(model["b"].where(model["represented"]).max())


def negative(model: xr.Dataset) -> tuple[int, int]:
    """How many represented features have a negative bias, and how many there are."""
    own = model["b"].values[model["represented"].values]
    return int((own < 0).sum()), len(own)


def off_identity(model: xr.Dataset, kept: int) -> float:
    """The farthest that an entry of W^T W is from the identity on the first so many features, and 0 elsewhere."""
    W = selection.weights(model)
    return float(np.abs(W.T @ W - np.diag(np.arange(W.shape[1]) < kept)).max())


def off_mean(model: xr.Dataset, kept: int) -> float:
    """The farthest that a bias is from 0, of the first so many features, and from E x = p / 2, of the others."""
    dropped = np.arange(model.sizes["feature"]) >= kept
    return float(np.abs(model["b"].values - float(model["density"]) / 2 * dropped).max())
