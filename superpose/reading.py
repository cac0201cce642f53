"""A model out of labelled arrays: an Equinox module again."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import xarray as xr

from superpose import models
from superpose.models import AbstractToyModel, trained

CLASSES = {kind.__name__: kind for kind in (models.Linear, models.ReLUOutput)}


def model_at(arrays: xr.DataTree | xr.Dataset, *, like: AbstractToyModel | None = None, **at: Any) -> AbstractToyModel:
    """The trained model at a point of the grid.

    Args:
        arrays: a variant of a loaded run, `superpose.load(path)["relu"]`, or what `sweep_grid` gives.
        like: a model of the same class and sizes; needed for a class of one's own, since loading runs no code that a
            store names.
        at: a value for each dimension of several values; the nearest point is taken, and `seed` must be there.

    Raises:
        ValueError: a dimension is left open, no model was trained there, or the class is unknown and `like` is missing.
    """
    dataset = arrays.to_dataset() if isinstance(arrays, xr.DataTree) else arrays
    if like is None:
        name = str(dataset.attrs.get("model", ""))
        if name not in CLASSES:
            raise ValueError(
                f"These arrays are of the model {name or 'unnamed'!r}, which superpose does not know. Give"
                " like=YourModel(n, m)."
            )
        like = CLASSES[name](n=dataset.sizes["feature"], m=dataset.sizes["hidden"])
    seed = {"seed": at.pop("seed")} if "seed" in at else {}
    here = dataset.sel(at, method="nearest").sel(seed)
    arrays_of = {name: here[name] for name in like.dims}
    open_dims = [str(dim) for name, dims in like.dims.items() for dim in arrays_of[name].dims if dim not in dims]
    if open_dims:
        raise ValueError(f"Say which model: give a value for {', '.join(dict.fromkeys(open_dims))}.")
    found = [jnp.asarray(arrays_of[name].transpose(*dims).values) for name, dims in like.dims.items()]
    if all(jnp.all(jnp.isnan(array)) for array in found):
        raise ValueError(f"No model was trained at {at | seed}.")
    return eqx.tree_at(trained(like), like, found)
