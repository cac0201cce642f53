"""Verify a table, and what is written of it: every file that should be there, read and checked."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from superpose.store import chunks, metadata, sums
from superpose.store.errors import DamageError
from superpose.store.schema import MODELS, ORIGIN, flag
from superpose.store.table import RECORD, ROOT_COPY, Table, attributes, locate


@final
@dataclass(frozen=True)
class Damage:
    """A damaged file: of `block` (None: metadata, a coordinate or a copy, which cost no model).

    `variant` is "" for a file of the run as a whole. `what` says what is wrong with the file, as "is missing".
    """

    variant: str
    block: int | None
    variable: str
    path: Path
    what: str


def verify(path: str | Path) -> list[Damage]:
    """Every damaged file of a run: its table, and config.yaml and arrays.zarr beside it.

    Raises:
        StoreError: there is no table, or not one that this version reads.
    """
    root = locate(path)
    beside = [
        Damage("", None, "", file, what) for name in sums.SUMMED for file, what in sums.altered(root.parent / name)
    ]
    try:
        variants = attributes(root)[RECORD]["variants"]
    except DamageError as error:
        return [_told(error, "", None, "", root / metadata.FILE), *beside]
    return [damage for variant in variants for damage in _variant(root / variant)] + beside


def _variant(path: Path) -> list[Damage]:
    try:
        return scan(Table.read(path))
    except DamageError as error:
        return [_told(error, path.name, None, "", path / metadata.FILE)]


def scan(table: Table) -> list[Damage]:
    """Read every file of a table that should be there: metadata, coordinates, columns, flags, what flags stand for."""
    return [*_metadata(table), *_coordinates(table), *_copies(table), *_blocks(table)]


def _metadata(table: Table) -> Iterator[Damage]:
    size = table.schema.block_rows
    arrays = {name: (v, (size, *v.shape), table.blocks * size) for name, v in table.schema.arrays.items()}
    arrays |= {name: (v, v.shape, v.shape[0]) for name, v in table.dims.items()}
    for name, (variable, chunk, rows) in arrays.items():
        if not chunks.fits(table.path / name, variable, chunk, rows):
            path = table.path / name / metadata.FILE
            yield Damage(table.path.name, None, name, path, "is missing or altered")


def _coordinates(table: Table) -> Iterator[Damage]:
    for name in table.dims:
        path = table.coordinate_path(name)
        yield from _read(lambda path=path, name=name: table.coordinate(path, name), table, None, name, path)


def _copies(table: Table) -> Iterator[Damage]:
    """Those that are there: a table of an older format has none before it grows."""
    for path in (table.copies / metadata.FILE, table.copies / ROOT_COPY):
        if path.exists():
            yield from _read(lambda path=path: metadata.get(path), table, None, "", path)
    for name in table.dims:
        path = table.coordinate_copy(name)
        if path.exists():
            yield from _read(lambda path=path, name=name: table.coordinate(path, name), table, None, name, path)


def _blocks(table: Table) -> Iterator[Damage]:
    for block in range(table.blocks):
        for name in _expected(table, block):
            path = table.chunk_path(name, block)
            yield from _read(lambda name=name, block=block: table.chunk(name, block), table, block, name, path)


def _read(read: Callable[[], Any], table: Table, block: int | None, variable: str, path: Path) -> Iterator[Damage]:
    try:
        read()
    except DamageError as error:
        yield _told(error, table.path.name, block, variable, path)


def _told(error: DamageError, variant: str, block: int | None, variable: str, path: Path) -> Damage:
    """What is wrong, without the path and what to type, which `error` says once a file."""
    return Damage(variant, block, variable, path, str(error).removeprefix(f"{path} ").partition(". ")[0])


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
            names += [ORIGIN] if raised and part == MODELS and table.chunk_path(ORIGIN, block).exists() else []
    return names
