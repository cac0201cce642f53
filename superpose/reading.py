"""A model out of labelled arrays: an Equinox module again."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import xarray as xr

from superpose import leaves, models
from superpose.models import AbstractToyModel, Dims, trained

CLASSES = {kind.__name__: kind for kind in (models.Linear, models.ReLUOutput)}


def model_at(arrays: xr.DataTree | xr.Dataset, *, like: AbstractToyModel | None = None, **at: Any) -> AbstractToyModel:
    """The trained model at a point of the grid, its swept constants (`model.slope`) those of the point.

    Args:
        arrays: a variant of a loaded run, `superpose.load(path)["relu"]`, or what `sweep_grid` gives. Their attribute
            `axes` says which number each axis sets: "sparsity=features.density slope=model.slope".
        like: a model of the same class and sizes; needed for a class of one's own, since loading runs no code that a
            store names.
        at: a value for each dimension of several values; the nearest point is taken, and of `seed` that one.

    Raises:
        ValueError: a dimension is left open, there is no such dimension or seed, no model was trained there, or the
            class is unknown and `like` is missing.
    """
    dataset = arrays.to_dataset() if isinstance(arrays, xr.DataTree) else arrays
    like = template(dataset) if like is None else like
    here = point(dataset, like.dims, at)
    found = [jnp.asarray(here[name].transpose(*dims).values) for name, dims in like.dims.items()]
    if all(jnp.all(jnp.isnan(array)) for array in found):
        raise ValueError(f"No model was trained at {at}.")
    like = with_constants(like, here)
    return eqx.tree_at(trained(like), like, found)


def template(dataset: xr.Dataset) -> AbstractToyModel:
    """A model of the class and sizes of the arrays. Raises ValueError where superpose does not know the class."""
    name = str(dataset.attrs.get("model", ""))
    if name not in CLASSES:
        raise ValueError(
            f"These arrays are of the model {name or 'unnamed'!r}, which superpose does not know. Give"
            " like=YourModel(n, m)."
        )
    return CLASSES[name](n=dataset.sizes.get("feature", 0), m=dataset.sizes.get("hidden", 0))


def point(dataset: xr.Dataset, own: Dims, at: Mapping[str, Any]) -> xr.Dataset:
    """The arrays of one model. Raises ValueError where `at` names none."""
    lacking = [name for name in own if name not in dataset]
    if lacking:
        raise ValueError(f"These arrays hold no {', '.join(lacking)}: no such model was trained here.")
    dims = list(dict.fromkeys(str(dim) for name, dims in own.items() for dim in dataset[name].dims if dim not in dims))
    scalars = [str(name) for name, coordinate in dataset.coords.items() if not coordinate.ndim]
    unknown = [name for name in at if name not in (*dims, *scalars)]
    if unknown:
        raise ValueError(f"There is no `{unknown[0]}` to choose here. Give values for {', '.join(dims + scalars)}.")
    wide = dataset.expand_dims([name for name in at if name in scalars])
    alone = {dim: wide[dim].values[0] for dim in dims if wide.sizes[dim] == 1}
    here = nearest(wide, alone | dict(at))
    left = [dim for dim in dims if dim in here.dims]
    if left:
        raise ValueError(f"Say which model: give a value for {', '.join(left)}.")
    return here


def nearest(dataset: xr.Dataset, at: dict[str, Any]) -> xr.Dataset:
    """The nearest point, and exactly that seed. Raises ValueError where there is no such seed."""
    seed = {"seed": at.pop("seed")} if "seed" in at else {}
    try:
        return dataset.sel(at, method="nearest").sel(seed)
    except KeyError as error:
        seeds = ", ".join(str(number) for number in dataset["seed"].values)
        raise ValueError(f"No model has {seed}; the seeds are {seeds}.") from error


def with_constants(like: AbstractToyModel, here: xr.Dataset) -> AbstractToyModel:
    """`like` with the point's value of each axis that sets a number of the model."""
    for word in str(here.attrs.get("axes", "")).split():
        axis, path = word.split("=")
        if path.startswith("model."):
            if axis not in here.coords:
                raise ValueError(f"These arrays have lost the coordinate `{axis}`, which sets {path}. Keep it.")
            like = leaves.put(like, path.removeprefix("model."), leaves.scalar(here[axis].values))
    return like
