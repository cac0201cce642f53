"""Names for arrays: what a variable's dimensions are called, and how a table of models becomes labelled arrays.

A table has one row per model, along the dimension `model`, and the columns `seed` and one per axis. Its labelled form
has one dimension per axis of several values, and `seed`:

    (model, *own) -> (*axes, seed, *own)        NaN where no model was trained, 0 for flags, -1 for counts

An axis of one value becomes a scalar coordinate, except `sparsity` and `seed`, which are always dimensions.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

ALWAYS_DIMENSIONS = ("sparsity", "seed")

AXIS_ATTRIBUTES: dict[str, dict[str, str]] = {
    "sparsity": {"long_name": "sparsity S, the probability that a feature is zero", "units": "1"},
    "density": {"long_name": "feature density p = 1 - S", "units": "1"},
    "importance": {"long_name": "importance coordinate of the weighting", "units": "1"},
    "learning_rate": {"long_name": "learning rate", "units": "1"},
    "weight_decay": {"long_name": "weight decay", "units": "1"},
    "seed": {"long_name": "seed of the initial draw and of the data", "units": "1"},
    "step": {"long_name": "training step", "units": "1"},
    "path_point": {"long_name": "value of the path's number", "units": "1"},
    "snapshot_step": {"long_name": "training step of the snapshot", "units": "1"},
}


WEIGHTS = {
    "W": "weights W; column W_i is the direction of feature i",
    "W1": "weights W_1, from the features to the hidden layer",
    "W2": "weights W_2, from the hidden layer to the outputs",
    "b": "bias b",
    "c": "bias c of the hidden layer",
}
TRAINED_ATTRIBUTES = {
    name + end: {"long_name": told + when, "units": "1"}
    for name, told in WEIGHTS.items()
    for end, when in (("", ""), ("_steps", ", at the recorded steps"))
}
"""Of trained arrays that come without attributes of their own."""


@dataclasses.dataclass(frozen=True)
class Variable:
    """One array of every model: its own dimensions (without `model`), their sizes, its type, and attributes.

    `attributes` are CF-like: `long_name`, `units`, and for a phase `flag_values` and `flag_meanings`. Numbers only.
    """

    dims: tuple[str, ...]
    shape: tuple[int, ...]
    dtype: np.dtype
    attributes: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        if len(self.dims) != len(self.shape):
            raise ValueError(f"A variable has one name per dimension, got dims {self.dims} for the shape {self.shape}.")
        if np.dtype(self.dtype).kind not in "biuf":
            raise ValueError(f"A variable holds numbers, got the type {self.dtype}. Write a category as int8 flags.")


def fill_value(dtype: np.dtype) -> Any:
    """The value of a cell in which no model was trained: NaN, False for flags, -1 for counts (0 where unsigned)."""
    kind = np.dtype(dtype).kind
    return {"f": np.nan, "b": False, "i": -1, "u": 0}[kind]


def table(
    columns: Mapping[str, np.ndarray],
    arrays: Mapping[str, np.ndarray],
    variables: Mapping[str, Variable],
    coordinates: Mapping[str, tuple[tuple[str, ...], np.ndarray]],
) -> xr.Dataset:
    """The table of models as an xarray Dataset along `model`.

    Args:
        columns: the axes and `seed`, each (model,).
        arrays: each variable, (model, *variable.shape).
        variables: what each of `arrays` is.
        coordinates: further coordinates, as `step`: name -> (dims, values).
    """
    data = {
        name: (
            ("model", *variables[name].dims),
            array,
            dict(variables[name].attributes or TRAINED_ATTRIBUTES.get(name, {})),
        )
        for name, array in arrays.items()
    }
    coords: dict[str, Any] = {
        name: ("model", column, AXIS_ATTRIBUTES.get(name, {})) for name, column in columns.items()
    }
    used = {dim for name in arrays for dim in variables[name].dims}
    for name, (dims, values) in coordinates.items():
        if set(dims) <= used:
            coords[name] = (dims, values, AXIS_ATTRIBUTES.get(name, {}))
    return xr.Dataset(data, coords)


def cells(models: xr.Dataset, along: Sequence[str], seeds: int) -> xr.Dataset:
    """The arrays of a table whose rows are all cells of one seed, then the same cells of the next: (cell, seed, *own).

    The axes `along` become coordinates along `cell`; every other axis has one value there, a scalar coordinate.
    """

    def by_cell(array: xr.DataArray) -> xr.Variable:
        values = array.values.reshape(seeds, -1, *array.shape[1:]).swapaxes(0, 1)
        return xr.Variable(("cell", "seed", *array.dims[1:]), values, array.attrs)

    coords = {"seed": by_cell(models["seed"])[0]}
    for name, column in models.drop_vars("seed").coords.items():
        own = by_cell(column)[:, 0] if column.dims == ("model",) else column.variable
        coords[str(name)] = own if name in along or column.dims != ("model",) else own[0]
    ds = xr.Dataset({name: by_cell(array) for name, array in models.items()}, coords, models.attrs)
    return with_density(ds)


def unstack(models: xr.Dataset, axes: Sequence[str]) -> xr.Dataset:
    """The labelled arrays of a table: dimensions (*axes, seed, *own), sorted; `density` is put beside `sparsity`."""
    sizes = {axis: len(np.unique(models[axis].values)) for axis in axes}
    scalars = [axis for axis in axes if sizes[axis] == 1 and axis not in ALWAYS_DIMENSIONS]
    dims = [axis for axis in axes if axis not in scalars] + ["seed"]
    attributes = {name: models[name].attrs for name in models.coords}
    fills = {name: fill_value(models[name].dtype) for name in models.data_vars}
    plain = models.drop_vars(scalars)
    if len(dims) == 1:  # an index of one level is none that unstacks
        wide = plain.swap_dims(model="seed").sortby("seed")
    else:  # the levels of an index are sorted
        wide = plain.set_index(model=dims).unstack("model", fill_value=fills)
    wide = wide.transpose(*dims, ...)
    for axis in scalars:
        wide = wide.assign_coords({axis: models[axis].values[0]})
    for name in wide.coords:
        wide[name].attrs.update(attributes.get(name, {}))
    return with_density(wide)


def with_density(ds: xr.Dataset) -> xr.Dataset:
    """The arrays with `density` beside `sparsity`, where that is one of their coordinates."""
    if "sparsity" not in ds.coords:
        return ds
    return ds.assign_coords(density=(1.0 - ds["sparsity"]).assign_attrs(AXIS_ATTRIBUTES["density"]))
