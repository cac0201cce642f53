"""What labelled arrays say of features in sets: which variant holds them, and what shape a model has given its sets.

Reads what `superpose.set_geometry` measured; its names are those of one model's arrays. Paper: "Correlated and
Anticorrelated Features": a pair is orthogonal rather than side by side, and side by side rather than collapsed.
"""

import numpy as np
import xarray as xr

from superpose import angles, selection, set_geometry

CLOSE = 0.1
"""How far a cosine may be from 0; and the |W_i . W_j| from which two features share a tegum factor."""


def relation(ds: xr.Dataset) -> str:
    """How the features of a set depend on each other: one of `set_geometry.RELATIONS`."""
    return set_geometry.RELATIONS[max(int(ds["relation"].max()), 0)]


def variant(tree: xr.DataTree, kind: str, n: int, m: int, sets: int) -> xr.Dataset | None:
    """The first variant with so many features of a kind in so many sets, at one point of its further axes.

    Args:
        tree: labelled arrays with the measures of `set_geometry`.
        kind: one of `set_geometry.RELATIONS`; independent features are sets of one.
        n, m: features and hidden dimensions. sets: how many.

    Returns:
        The arrays over sparsity and seed; None where there is no such variant.
    """
    for node in tree.children.values():
        if not {"W", "relation"} <= set(node.data_vars):
            continue
        if (node.sizes["feature"], node.sizes["hidden"], node.sizes["set"]) != (n, m, sets):
            continue
        ds = selection.one_point(node.to_dataset())[0]
        if relation(ds) == kind:
            return ds
    return None


def linked(model: xr.Dataset, *, own: bool) -> int:
    """How many features have |W_i . W_j| beyond 0.1 with exactly one other feature, and that of their own set.

    Args:
        model: one model, of features in pairs.
        own: False: of another set.
    """
    W = selection.weights(model)
    joined = np.abs(W.T @ W) * (1 - np.eye(W.shape[1])) > CLOSE
    sets = np.arange(W.shape[1]) // 2
    return sum(bool(row.sum() == 1 and (sets[row.argmax()] == sets[i]) == own) for i, row in enumerate(joined))


def collapsed(model: xr.Dataset) -> bool:
    """Has a set collapsed?"""
    return bool(model["collapsed"].any())


def orthogonal(model: xr.Dataset) -> bool:
    """Are the features of every pair orthogonal, within a cosine of 0.1?"""
    return bool((np.abs(model["within_lowest"]) <= CLOSE).all())


def side_by_side(model: xr.Dataset) -> bool:
    """Has no set collapsed, and are the features of one at least at an acute angle?"""
    return not collapsed(model) and bool((model["within_lowest"] > CLOSE).any())


def hexagon(model: xr.Dataset) -> bool:
    """Six represented features at angles of 60 degrees, within 15 (`angles.hexagon`)."""
    return angles.hexagon(selection.weights(model))


def hexagon_of_pairs(model: xr.Dataset) -> bool:
    """A hexagon in which the features of each set are neighbours."""
    return angles.hexagon_of_pairs(selection.weights(model))
