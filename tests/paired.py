"""Labelled arrays of features in sets, made from weights by hand: what a run of such features would give."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from superpose import geometry, set_geometry

Model = tuple[np.ndarray, float]


def polar(degrees: Sequence[float], norms: float | Sequence[float] = 1.0) -> np.ndarray:
    """W (2, n): columns at these angles, of these norms."""
    radians = np.radians(np.asarray(degrees, float))
    return norms * np.stack([np.cos(radians), np.sin(radians)])


def arrays(models: dict[float, list[Model]], sets: int, relation: str = "correlated") -> xr.Dataset:
    """The arrays of (W, loss) of each seed at each density."""
    levels = sorted(models, reverse=True)
    W = np.array([[W for W, _ in models[p]] for p in levels], np.float32)
    loss = np.array([[loss for _, loss in models[p]] for p in levels], np.float32)
    found = jax.vmap(jax.vmap(geometry.summary))(jnp.asarray(W))
    data = {name: (("sparsity", "seed", *geometry.VARIABLES[name][0]), np.asarray(a)) for name, a in found.items()}
    found = jax.vmap(jax.vmap(lambda W: set_geometry.summary(W, sets)))(jnp.asarray(W))
    data |= {name: (("sparsity", "seed", *set_geometry.DIMS[name]), np.asarray(a)) for name, a in found.items()}
    data["relation"] = (("sparsity", "seed"), np.full(loss.shape, set_geometry.RELATIONS.index(relation), np.int8))
    data |= {"W": (("sparsity", "seed", "hidden", "feature"), W), "loss": (("sparsity", "seed"), loss)}
    data |= {"b": (("sparsity", "seed", "feature"), np.zeros((*loss.shape, W.shape[-1]), np.float32))}
    data["loss_standard_error"] = (("sparsity", "seed"), np.zeros_like(loss))
    data["finite"] = (("sparsity", "seed"), np.isfinite(loss))
    coords = {"sparsity": 1 - np.array(levels), "seed": np.arange(loss.shape[1])}
    return xr.Dataset(data, coords).assign_coords(density=("sparsity", np.array(levels)))
