"""Verify a table: every file that should be there, read and checked."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import final

from superpose.store import chunks
from superpose.store.errors import DamageError
from superpose.store.schema import flag
from superpose.store.table import Table


@final
@dataclass(frozen=True)
class Damage:
    """A damaged file: of `block` (None: the array's zarr.json, or a coordinate, of the whole variant).

    `what` says what is wrong with it, as "is missing".
    """

    variant: str
    block: int | None
    variable: str
    path: Path
    what: str


def scan(table: Table) -> list[Damage]:
    """Read every file of a table that should be there: metadata, coordinates, columns, flags, what flags stand for."""
    return [*_metadata(table), *_coordinates(table), *_blocks(table)]


def _metadata(table: Table) -> Iterator[Damage]:
    size = table.schema.block_rows
    for name, variable in table.schema.arrays.items():
        if not chunks.fits(table.path / name, variable, size, table.blocks * size):
            path = table.path / name / "zarr.json"
            yield Damage(table.path.name, None, name, path, "is missing or altered")


def _coordinates(table: Table) -> Iterator[Damage]:
    for name, variable in table.dims.items():
        path = table.coordinate_path(name)
        try:
            chunks.read(path, variable.dtype, variable.shape)
        except DamageError as error:
            yield Damage(table.path.name, None, name, path, _what(error, path))


def _blocks(table: Table) -> Iterator[Damage]:
    for block in range(table.blocks):
        for name in _expected(table, block):
            try:
                table.chunk(name, block)
            except DamageError as error:
                path = table.chunk_path(name, block)
                yield Damage(table.path.name, block, name, path, _what(error, path))


def _what(error: DamageError, path: Path) -> str:
    """What is wrong, without the path and what to type, which `error` says once a file."""
    return str(error).removeprefix(f"{path} ").partition(". ")[0]


def _expected(table: Table, block: int) -> list[str]:
    """The arrays whose chunk must be there: the columns, each flag that is, and what a raised one stands for."""
    names = [*table.schema.axes, "seed"]
    for part, variables in table.schema.parts.items():
        if table.chunk_path(flag(part), block).exists():
            names.append(flag(part))
            try:
                raised = bool(table.chunk(flag(part), block).any())
            except DamageError:
                raised = False
            names += list(variables) if raised else []
    return names
