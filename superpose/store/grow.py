"""Changes of a table's shape: its beginning, new blocks, a new or changed measure, blocks given up.

The caller holds its lock. Each ends by replacing the record (or the done flags) in one step, so a kill anywhere before
it changes nothing that is read, and the same call again completes it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np

from superpose import grid
from superpose.grid import Rows, Tile
from superpose.labels import Variable
from superpose.store import chunks, match, metadata
from superpose.store.errors import DamageError, StoreError
from superpose.store.files import remove
from superpose.store.identity import digest
from superpose.store.schema import MODELS, Schema, as_stored, encode, flag
from superpose.store.table import FORMAT, RECORD, ROOT_COPY, Table, copies, reads


def begin(path: Path, identity: Mapping[str, Any], schemas: Mapping[str, Schema]) -> None:
    """Write an empty table: its groups, its arrays of no rows, the coordinates."""
    record = {"format": FORMAT, "variants": list(schemas), "made": uuid4().hex}
    root = metadata.group({RECORD: record, "identity": identity, "identity_sha256": digest(identity)})
    metadata.put(path / metadata.FILE, root)
    for variant, schema in schemas.items():
        parts = {part: {name: as_stored(v) for name, v in own.items()} for part, own in schema.parts.items()}
        stored = replace(schema, parts=parts, attributes=encode(schema.attributes))
        table = Table(path / variant, stored, 0, (), dims_of(schema))
        lengthen(table, schema.arrays)
        put_coordinates(table, schema.coordinates)
        metadata.put(table.copies / ROOT_COPY, root)
        table.save()


def dims_of(schema: Schema) -> dict[str, Variable]:
    return {name: Variable(dims, values.shape, values.dtype) for name, (dims, values) in schema.coordinates.items()}


def fresh(table: Table, asked: Rows) -> Rows:
    """Those of the rows that the table lacks."""
    stored = table.columns(range(table.blocks))
    return match.new(stored[stored.seeds >= 0], match.arrange(asked, table.schema.axes))


def plan(table: Table, asked: Rows) -> None:
    """Append the rows that the table lacks as blocks of whole tiles: arrays, then columns, then the record."""
    new = fresh(table, asked)
    if not len(new):
        return
    blocks = grid.pack(new, table.schema.tile, table.schema.block_rows)
    grown = replace(table, blocks=table.blocks + len(blocks))
    lengthen(grown, table.schema.arrays)
    enter(grown, table.blocks, blocks)
    grown.save()


def lengthen(table: Table, arrays: Mapping[str, Variable]) -> None:
    """Make arrays as long as the table says; where zarr.json is missing or unreadable, write it anew."""
    size = table.schema.block_rows
    for name, variable in arrays.items():
        chunks.reach(table.path, name, variable, size, table.blocks * size)


def enter(table: Table, first: int, blocks: Sequence[Rows]) -> None:
    """Write the columns of the blocks from `first` on; rows past those given are unused."""
    size = table.schema.block_rows
    values = np.full((len(blocks) * size, len(table.schema.axes)), np.nan)
    seeds = np.full(len(blocks) * size, -1)
    for k, rows in enumerate(blocks):
        values[k * size : k * size + len(rows)] = rows.values
        seeds[k * size : k * size + len(rows)] = rows.seeds
    for k, axis in enumerate(table.schema.axes):
        table.write(axis, first, values[:, k])
    table.write("seed", first, seeds)


def lay_out(table: Table, tile: Tile, block_rows: int) -> None:
    """Take every row out of a table of which nothing is done, and give it another tile.

    First the rows leave the record, then the arrays go, then the tile comes: whichever of these a kill leaves is a
    table without rows.
    """
    empty = replace(table, blocks=0)
    empty.save()
    for name in table.schema.arrays:
        remove(table.path / name)
    anew = replace(empty, schema=replace(table.schema, tile=tile, block_rows=block_rows))
    mend(anew)


def set_part(table: Table, part: str, variables: Mapping[str, Variable], version: str) -> None:
    """Add a measure; one whose version or variables differ leaves the record first, then its arrays go."""
    if part == MODELS or not variables.keys().isdisjoint(table.dims):
        raise StoreError(
            f"{part!r} with {sorted(variables)} takes a name that the table has for weights or coordinates."
        )
    old, new = table.schema.parts.get(part), {name: as_stored(variable) for name, variable in variables.items()}
    changed = _with_parts(table, {**table.schema.parts, part: new}, {**table.schema.versions, part: version})
    if old is None or table.schema.versions[part] != version or not _same(old, new):
        kept = {name: own for name, own in table.schema.parts.items() if name != part}
        _with_parts(table, kept, {name: own for name, own in table.schema.versions.items() if name != part}).save()
        for name in {flag(part), *(old or ()), *new}:
            remove(table.path / name)
    lengthen(changed, changed.schema.stored[part])
    if changed != table:
        changed.save()


def has_part(table: Table, part: str, variables: Mapping[str, Variable], version: str) -> bool:
    """Whether `set_part` would change nothing: the record says the same, and every array is as long as the table."""
    new = {name: as_stored(variable) for name, variable in variables.items()}
    if (table.schema.parts.get(part), table.schema.versions.get(part)) != (new, version):
        return False
    size = table.schema.block_rows
    arrays = table.schema.stored[part].items()
    return all(chunks.fits(table.path / name, own, (size, *own.shape), table.blocks * size) for name, own in arrays)


def _with_parts(table: Table, parts: Mapping[str, Mapping[str, Variable]], versions: Mapping[str, str]) -> Table:
    return replace(table, schema=replace(table.schema, parts=parts, versions=versions))


def _same(old: Mapping[str, Variable], new: Mapping[str, Variable]) -> bool:
    kinds = [{name: (v.dims, v.shape, v.dtype) for name, v in variables.items()} for variables in (old, new)]
    return kinds[0] == kinds[1]


def clear(table: Table, block: int, parts: Iterable[str]) -> None:
    """Take back the done flags of some parts of a block, the measures' first."""
    for part in sorted(parts, key=lambda part: part == MODELS):
        if table.chunk_path(flag(part), block).exists():
            table.write(flag(part), block, np.zeros(0, bool))


def put_coordinates(table: Table, coordinates: Mapping[str, tuple[tuple[str, ...], np.ndarray]]) -> None:
    """Write the coordinates that are not there, or damaged, and the copy of each."""
    for name, (dims, values) in coordinates.items():
        if not chunks.fits(table.path / name, table.dims[name], values.shape, len(values)):
            chunks.create(table.path, name, dims, values.shape, values.shape, table.dims[name])
        for file in (table.coordinate_copy(name), table.coordinate_path(name)):
            if not _whole(table, file, name):
                chunks.put(file, values)


def has_coordinates(table: Table, coordinates: Mapping[str, tuple[tuple[str, ...], np.ndarray]]) -> bool:
    """Whether `put_coordinates` would change nothing."""
    return all(
        chunks.fits(table.path / name, table.dims[name], values.shape, len(values))
        and _whole(table, table.coordinate_copy(name), name)
        and _whole(table, table.coordinate_path(name), name)
        for name, (_, values) in coordinates.items()
    )


def _whole(table: Table, file: Path, name: str) -> bool:
    try:
        table.coordinate(file, name)
    except DamageError:
        return False
    return True


def forget(table: Table, blocks: Iterable[int]) -> None:
    """Clear the done flags of blocks, measures first, and mend what is not of a block.

    A block whose columns cannot be read is given up: its rows become unused, and `plan` enters its models elsewhere.
    """
    mend(table)
    for block in blocks:
        table.check(block)
        clear(table, block, table.schema.parts)
        try:
            table.columns([block])
        except DamageError:
            enter(table, block, [table.columns([])])


def mend(table: Table) -> None:
    """Write every zarr.json, coordinate and copy that is missing, damaged or without a seal, and the record."""
    lengthen(table, table.schema.arrays)
    put_coordinates(table, {name: (variable.dims, kept(table, name)) for name, variable in table.dims.items()})
    metadata.put(table.copies / ROOT_COPY, metadata.get(table.path.parent / metadata.FILE, sealed=False))
    replace(table, sealed=True).save()


def kept(table: Table, name: str) -> np.ndarray:
    """A coordinate, from its copy where it is damaged. Raises DamageError where both are."""
    try:
        return table.coordinate(table.coordinate_path(name), name)
    except DamageError:
        return table.coordinate(table.coordinate_copy(name), name)


def restore(root: Path) -> list[Path]:
    """Write again, from its copy, each group's zarr.json that cannot be read; which those are."""
    mended = []
    for group in (root, *(path for path in sorted(root.iterdir()) if path.is_dir() and not path.is_symlink())):
        found = copies(group)
        if found and not reads(group / metadata.FILE):
            metadata.put(group / metadata.FILE, metadata.get(found[0], sealed=True))
            mended.append(group / metadata.FILE)
    return mended
