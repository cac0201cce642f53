"""The table as labelled arrays: only models that are done, NaN (0 for flags, -1 for counts) where there are none."""

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np
import xarray as xr
from zarr.storage import LocalStore

from superpose import labels
from superpose.grid import Rows
from superpose.labels import Variable
from superpose.store import arrays, locks, match, metadata, remote, sums
from superpose.store.errors import StoreError, explained
from superpose.store.files import Folder, built
from superpose.store.schema import MODELS
from superpose.store.store import Store
from superpose.store.table import RECORD, Table, attributes


def load(path: str | Path) -> xr.DataTree:
    """The labelled arrays of a run: a group per variant, dims (*axes, seed, *own).

    A variant of which no model is done is an empty group. Nothing that the table holds is executed.

    Args:
        path: the run's folder, its models.zarr or arrays.zarr, or a copy: a folder, or a URL as s3://bucket/run.

    Raises:
        StoreError: there is no table, or it cannot be read.
        DamageError: a file of a done model is missing or altered; names it.
    """
    if remote.is_url(path):
        with remote.explained(str(path)):
            return arrays.read(remote.at(str(path), read_only=True), path)
    if _is_written(Path(path)):
        return arrays.read(LocalStore(path, read_only=True), path)
    store = Store.open(path)
    found = {key: value for key, value in attributes(store.path).items() if key != RECORD}
    groups = {variant: _labelled(store.table(variant)) for variant in store.variants}
    return xr.DataTree.from_dict({"/": xr.Dataset(attrs=found), **groups})


def load_table(path: str | Path, variant: str) -> xr.Dataset:
    """The done models of one variant as they are stored, along `model`. Raises as `load` does."""
    table = Store.open(path).table(variant)
    return _stacked(table, table.done(MODELS, range(table.blocks)))


def load_rows(path: str | Path, variant: str, rows: Rows, names: Collection[str] | None = None) -> xr.Dataset:
    """These models of one variant, along `model` and in this order; of its arrays those named, else all.

    Raises:
        StoreError, DamageError: as `load`, or one of the models is not done.
    """
    table = Store.open(path).table(variant)
    here, there = match.codes(table.columns(range(table.blocks)), match.arrange(rows, table.schema.axes))
    chosen = np.isin(here, there).reshape(table.blocks, table.schema.block_rows)
    chosen &= table.done(MODELS, range(table.blocks))
    found = here[chosen.ravel()]
    if not np.isin(there, found).all():
        raise StoreError(f"{table.path} lacks {int((~np.isin(there, found)).sum())} of these models. Train them first.")
    order = np.argsort(found)
    return _stacked(table, chosen, names).isel(model=order[np.searchsorted(found, there, sorter=order)])


def write_arrays(path_models: str | Path, path_arrays: str | Path) -> xr.DataTree:
    """Write what `load` gives as a Zarr v3 hierarchy of its own, replacing the last one at once; returns it.

    `xarray.open_datatree(path_arrays, engine="zarr")` reads it back.

    Raises:
        StoreError, DamageError: as `load`, or `path_arrays` cannot be written.
    """
    store = Store.open(path_models)
    with locks.exclusive(store.path):
        sums.forget(Path(path_arrays))
        with built(Path(path_arrays)) as new:
            tree = load(store.path)
            arrays.write(tree, Folder(new))
        sums.record(Path(path_arrays))
    return tree


def _is_written(path: Path) -> bool:
    """Whether labelled arrays, and no table, are at `path`."""
    with explained(path):
        root = path / metadata.FILE
        return (path / arrays.DIGEST).is_file() or (root.is_file() and arrays.ours(root.read_bytes()))


def _labelled(table: Table) -> xr.Dataset:
    models = _stacked(table, table.done(MODELS, range(table.blocks)))
    if not models.sizes["model"]:
        return xr.Dataset(attrs=models.attrs)
    return labels.unstack(models, table.schema.axes).assign_attrs(models.attrs)


def _stacked(table: Table, done: np.ndarray, names: Collection[str] | None = None) -> xr.Dataset:
    """The rows `done`, (block, block_rows), in the order of the table."""
    blocks = np.flatnonzero(done.any(1)).tolist()
    done = done[blocks]
    rows = table.columns(blocks)[done.ravel()]
    columns = {axis: rows.values[:, k] for k, axis in enumerate(table.schema.axes)} | {"seed": rows.seeds}
    values: dict[str, np.ndarray] = {}
    for part, variables in table.schema.parts.items():
        written = table.done(part, blocks) & done
        own = {name: variable for name, variable in variables.items() if names is None or name in names}
        values |= {name: _gather(table, name, variable, blocks, done, written) for name, variable in own.items()}
    models = labels.table(columns, values, _all(table.schema.parts), table.coordinates())
    return models.assign_attrs(table.schema.attributes)


def _gather(
    table: Table, name: str, variable: Variable, blocks: list[int], done: np.ndarray, written: np.ndarray
) -> np.ndarray:
    """One variable of the rows `done` (block, block_rows), with fill values where its part is not `written`."""
    for k in np.flatnonzero(written.any(1))[:1]:
        table.chunk(name, blocks[k])  # refuses sizes that are not the chunk's, before memory is taken for them
    values = np.full((int(done.sum()), *variable.shape), labels.fill_value(variable.dtype), variable.dtype)
    ends = np.cumsum(done.sum(1))
    for k, block in enumerate(blocks):
        if written[k].any():
            chunk = table.chunk(name, block)
            here = values[ends[k] - done[k].sum() : ends[k]]
            here[written[k][done[k]]] = chunk[written[k]]
    return values


def _all(parts: Mapping[str, Mapping[str, Variable]]) -> dict[str, Variable]:
    return {name: variable for variables in parts.values() for name, variable in variables.items()}
