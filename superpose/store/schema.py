"""What one variant's table holds: its axes, tile, blocks, and the variables of each part."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, final

import numpy as np

from superpose.grid import Tile
from superpose.labels import Variable
from superpose.store import metadata
from superpose.store.errors import StoreError

MODELS = "models"
ORIGIN = "origin"
RESERVED = ("model", "density")
FLAG = Variable((), (), np.dtype(bool))


def flag(part: str) -> str:
    """The name of the array that says which models of a part are written."""
    return "done" if part == MODELS else f"{part}_done"


def check_names(names: Iterable[Any], what: str) -> None:
    """Refuse a name that cannot be a folder of a Zarr group, leads out of it, or cannot be shown."""
    for name in names:
        fits = isinstance(name, str) and re.fullmatch(r"[^\W_][^/\\]*", name) and name.isprintable()
        if not fits or name == metadata.FILE:
            told = "a letter or digit, then anything that can be printed but a slash"
            raise StoreError(f"A {what} is named by {told}; got {name!r}.")


@final
@dataclass(frozen=True)
class Schema:
    """One variant: a Zarr group whose arrays all run along `model`.

    Args:
        axes: the consumed axes, each a float64 column (model,) beside the int64 column `seed`.
        tile: the models that one device runs at once, kept for the table's life.
        block_rows: rows of a block, the chunk length along `model`; at least `tile.models`.
        parts: part -> its variables. `models` is what training gives; every other part is a measure.
        versions: the version of each measure.
        coordinates: of the variables' own dimensions, as step -> (("step",), values).
        attributes: whatever the application records, JSON-able.

    Raises:
        StoreError: names that clash or cannot be folders, empty arrays, blocks smaller than a tile, attributes that are
            no JSON.
    """

    axes: tuple[str, ...]
    tile: Tile
    block_rows: int
    parts: Mapping[str, Mapping[str, Variable]]
    versions: Mapping[str, str] = field(default_factory=dict)
    coordinates: Mapping[str, tuple[tuple[str, ...], np.ndarray]] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self):
        if MODELS not in self.parts or set(self.versions) != set(self.parts) - {MODELS}:
            raise StoreError(
                f"A table has the part {MODELS!r} and measures, each of which has a version;"
                f" got parts {sorted(self.parts)} and versions of {sorted(self.versions)}."
            )
        if self.block_rows < self.tile.models:
            raise StoreError(
                f"A block holds at least one tile ({self.tile.models} models), got {self.block_rows} rows."
            )
        names = [name for part in self.stored.values() for name in part] + list(self.coordinates)
        check_names([*names, *self.parts], "variable or part")
        for name in names:
            if names.count(name) > 1 or name in RESERVED:
                raise StoreError(f"{name!r} is the name of another array of the table. Rename one.")
        for name, variable in self.arrays.items():
            if 0 in variable.shape or "model" in variable.dims:
                raise StoreError(
                    f"{name!r} has dims {variable.dims} of sizes {variable.shape}: none may be empty or `model`."
                )
        for name, (dims, values) in self.coordinates.items():
            if not Variable(dims, values.shape, values.dtype) or not values.size:
                raise StoreError(f"The coordinate {name!r} is empty. Leave it out.")
        encode(self.attributes)

    @cached_property
    def stored(self) -> dict[str, dict[str, Variable]]:
        """Every array along `model`, part by part; the part "" holds the columns and the origin of each row."""
        number = {axis: Variable((), (), np.dtype(np.float64)) for axis in self.axes}
        own = {**number, "seed": Variable((), (), np.dtype(np.int64)), ORIGIN: Variable((), (), np.dtype(np.int16))}
        return {"": own, **{part: {flag(part): FLAG, **variables} for part, variables in self.parts.items()}}

    @cached_property
    def arrays(self) -> dict[str, Variable]:
        """Every array along `model` by name."""
        return {name: variable for part in self.stored.values() for name, variable in part.items()}

    def variables(self, part: str) -> Mapping[str, Variable]:
        """The variables of a part. Raises StoreError if the table has no such part."""
        if part not in self.parts:
            raise StoreError(f"The table has no part {part!r}, only {sorted(self.parts)}. Add it with set_part.")
        return self.parts[part]


def encode(value: Any) -> Any:
    """`value` as JSON would give it back. Raises StoreError where JSON has no such value."""
    try:
        return json.loads(json.dumps(value, default=_plain))
    except (TypeError, ValueError) as error:
        raise StoreError(f"Attributes hold numbers, strings, lists and dicts alone: {error}.") from error


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"got {value!r} of type {type(value).__name__}")


def encode_variable(variable: Variable) -> dict[str, Any]:
    dtype = np.dtype(variable.dtype).name
    record = {"dims": variable.dims, "shape": variable.shape, "dtype": dtype, "attributes": dict(variable.attributes)}
    return encode(record)


def decode_variable(record: Mapping[str, Any]) -> Variable:
    """A variable as a record says it. Raises LookupError, TypeError or ValueError where it says none."""
    dims, shape = tuple(record["dims"]), tuple(record["shape"])
    if not all(isinstance(dim, str) for dim in dims) or not all(type(size) is int and size >= 0 for size in shape):
        raise ValueError(f"dims {dims} of sizes {shape}")
    return Variable(dims, shape, np.dtype(record["dtype"]), {**record["attributes"]})


def as_stored(variable: Variable) -> Variable:
    """A variable as it is read back: attributes of JSON values alone."""
    return decode_variable(encode_variable(variable))
