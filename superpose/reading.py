"""A model out of labelled arrays: an Equinox module again.

Attributes of the arrays say which model it is: `model`, the name of its class; `axes`, which number each axis sets; and
of a class of superpose's what it takes beside its sizes, `activation` by name and `slope`. All are text or numbers.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import xarray as xr

from superpose import leaves, models
from superpose.models import AbstractToyModel, Dims, trained
from superpose.program import Program

OURS = (
    models.Linear,
    models.ReLUOutput,
    models.LeakyReLUOutput,
    models.ElementwiseOutput,
    models.ElementwiseOutputWithoutBias,
)
CLASSES: Mapping[str, type[Any]] = {kind.__name__: kind for kind in OURS}
CONSTANTS = {"activation": str, "slope": float}
"""What a class of OURS may take beside `n` and `m`, and the type of the attribute that says it."""


def description(program: Program) -> dict[str, str | float]:
    """The attributes of a program's arrays that say which model `model_at` gives back.

    A number that an axis or a path sets is left out, and so is a function without a name in `models.ACTIVATIONS`.
    """
    model, axes = program.model, dict(program.axes)
    pairs = " ".join(f"{axis}={path}" for axis, path in axes.items())
    found: dict[str, str | float] = {"model": type(model).__name__, "axes": pairs}
    moved = {*axes.values(), program.path.target if program.path else ""}
    if type(model) in OURS:
        own = [name for name in constants(type(model)) if f"model.{name}" not in moved]
        given = {name: attribute(getattr(model, name)) for name in own}
        found |= {name: value for name, value in given.items() if value is not None}
    return found


def attribute(constant: Any) -> str | float | None:
    """A constant of a model as text or a number; None of a function of one's own."""
    return float(constant) if isinstance(constant, jax.Array) else models.name_of(constant)


def model_at(arrays: xr.DataTree | xr.Dataset, *, like: AbstractToyModel | None = None, **at: Any) -> AbstractToyModel:
    """The trained model at a point of the grid, its swept constants (`model.slope`) those of the point.

    Args:
        arrays: a variant of a loaded run, `superpose.load(path)["relu"]`, or what `sweep_grid` gives. Their attribute
            `axes` says which number each axis sets: "sparsity=features.density slope=model.slope".
        like: a model of the same class and sizes; needed for a class or an activation of one's own, since loading runs
            no code that a store names.
        at: a value for each dimension of several values; the nearest point is taken, and of `seed` that one.

    Raises:
        ValueError: a dimension is left open, there is no such dimension or seed, no model was trained there, or the
            class or its activation is unknown and `like` is missing.
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
    """A model of the class and sizes of the arrays. Raises ValueError where they do not say all that makes it."""
    name = str(dataset.attrs.get("model", ""))
    if name not in CLASSES:
        raise ValueError(
            f"These arrays are of the model {name or 'unnamed'!r}, which superpose does not know. Give"
            " like=YourModel(n, m)."
        )
    kind = CLASSES[name]
    own = {constant: said(dataset, kind, constant) for constant in constants(kind)}
    return kind(n=dataset.sizes.get("feature", 0), m=dataset.sizes.get("hidden", 0), **own)


def constants(kind: type[Any]) -> list[str]:
    """What a class takes beside `n` and `m`: its fields that are not trained."""
    return [field.name for field in dataclasses.fields(kind) if field.name in CONSTANTS]


def said(dataset: xr.Dataset, kind: type[Any], name: str) -> str | float:
    """What the arrays say of a constant; 0 where an axis sets it. Raises ValueError where they do not say it."""
    if f"model.{name}" in swept(dataset).values():
        return 0.0
    if name not in dataset.attrs:
        raise ValueError(
            f"These arrays do not say the {name} of their {kind.__name__}. Give like={kind.__name__}(n, m, {name})."
        )
    return CONSTANTS[name](dataset.attrs[name])


def swept(dataset: xr.Dataset) -> dict[str, str]:
    """Axis -> the path of the number it sets, as the arrays say it."""
    pairs = (word.split("=") for word in str(dataset.attrs.get("axes", "")).split())
    return {axis: path for axis, path in pairs}


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
    for axis, path in swept(here).items():
        if path.startswith("model."):
            if axis not in here.coords:
                raise ValueError(f"These arrays have lost the coordinate `{axis}`, which sets {path}. Keep it.")
            like = leaves.put(like, path.removeprefix("model."), leaves.scalar(here[axis].values))
    return like
