"""Verify a table, and what is written of it: every file that should be there, read and checked."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

from superpose.store import chunks, metadata, sums
from superpose.store.errors import DamageError
from superpose.store.schema import MODELS, ORIGIN, flag
from superpose.store.table import RECORD, ROOT_COPY, Table, attributes, described, locate, variants


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
        names = variants(root, attributes(root)[RECORD])
    except DamageError as error:
        return [_told(error, "", None, "", root / metadata.FILE), *beside]
    return [damage for name in names for damage in _variant(root / name)] + beside


def _variant(path: Path) -> list[Damage]:
    try:
        return scan(Table.read(path))
    except DamageError as error:
        return [_told(error, path.name, None, "", path / metadata.FILE)]


def scan(table: Table) -> list[Damage]:
    """Read every file of a table that should be there: metadata, coordinates, columns, flags, what flags stand for."""
    with described(table.path):
        return [*_metadata(table), *_coordinates(table), *_copies(table), *_blocks(table, range(table.blocks))]


def damaged(table: Table, blocks: Iterable[int]) -> set[int]:
    """Those of the blocks of which a file is damaged."""
    return {damage.block for damage in _blocks(table, blocks) if damage.block is not None}


def _metadata(table: Table) -> Iterator[Damage]:
    size = table.schema.block_rows
    arrays = {name: (v, (size, *v.shape), table.blocks * size) for name, v in table.schema.arrays.items()}
    arrays |= {name: (v, v.shape, v.shape[0]) for name, v in table.dims.items()}
    for name, (variable, chunk, rows) in arrays.items():
        if not chunks.fits(table.path / name, variable, chunk, rows, sealed=table.sealed):
            path = table.path / name / metadata.FILE
            yield Damage(table.path.name, None, name, path, "is missing or altered")


def _coordinates(table: Table) -> Iterator[Damage]:
    for name in table.dims:
        path = table.coordinate_path(name)
        yield from _read(lambda path=path, name=name: table.coordinate(path, name), table, None, name, path)


def _copies(table: Table) -> Iterator[Damage]:
    """All of them; of a table of the format before this one, which may have none, those that are there."""
    for path in (table.copies / metadata.FILE, table.copies / ROOT_COPY):
        if table.sealed or path.exists():
            yield from _read(lambda path=path: metadata.get(path, sealed=True), table, None, "", path)
    for name in table.dims:
        path = table.coordinate_copy(name)
        if table.sealed or path.exists():
            yield from _read(lambda path=path, name=name: table.coordinate(path, name), table, None, name, path)


def _blocks(table: Table, blocks: Iterable[int]) -> Iterator[Damage]:
    for block in blocks:
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
