"""One variant on disk, as it was when its record was read.

The record is one attribute of the group, replaced whole. Its `blocks` says how long the table is: arrays may be longer
(a growth that was killed), and what lies past `blocks` does not exist. A copy of what cannot be computed again, the
groups' zarr.json and the coordinates, lies in seed/copies, where no reader of Zarr looks.
"""

import operator
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, final

import numpy as np

from superpose.grid import Rows, Tile
from superpose.labels import Variable
from superpose.store import chunks, metadata
from superpose.store.errors import DamageError, StoreError, explained
from superpose.store.metadata import FILE, SEAL
from superpose.store.schema import MODELS, ORIGIN, Schema, check_names, decode_variable, encode_variable, flag

RECORD = "superpose"
FORMAT = 3
UNSEALED = 2
"""The format before this one, without seals: it is read and grows as it is; `grow.mend` makes it this one."""
COPIES = "seed/copies"
ROOT_COPY = "root.zarr.json"


def locate(path: str | Path) -> Path:
    """The table of a run: `path` itself where it is named *.zarr, else models.zarr in it."""
    path = Path(path)
    return path if path.suffix == ".zarr" else path / "models.zarr"


def attributes(group: Path) -> dict[str, Any]:
    """The attributes of a group that this package wrote, without the seal.

    Raises:
        StoreError: nothing there, not a table of this package, or another format.
        DamageError: its zarr.json is missing or altered.
    """
    found = _document(group)["attributes"]
    version = found[RECORD]["format"]
    if version not in (FORMAT, UNSEALED):
        raise StoreError(
            f"{group / FILE} has format {version}, this version of superpose reads {FORMAT}. Use the version that"
            " wrote it."
        )
    return {key: value for key, value in found.items() if key != SEAL}


def copies(group: Path) -> list[Path]:
    """The copies of a group's zarr.json that can be read."""
    return [
        path for path in (group / COPIES / FILE, *group.glob(f"*/{COPIES}/{ROOT_COPY}")) if reads(path, sealed=True)
    ]


def reads(path: Path, *, sealed: bool = False) -> bool:
    """Whether a zarr.json of a group is as it was written; without `sealed`, one of the format before needs no seal."""
    try:
        _record(path, sealed=sealed)
    except (DamageError, LookupError, TypeError):
        return False
    return True


def _record(path: Path, *, sealed: bool) -> dict[str, Any]:
    """A group's zarr.json. Raises DamageError, and LookupError or TypeError where it has no record."""
    found = metadata.get(path, sealed=sealed)
    if found["attributes"][RECORD]["format"] == FORMAT and SEAL not in found["attributes"]:
        return metadata.get(path, sealed=True)
    return found


def _document(group: Path) -> dict[str, Any]:
    with explained(group):
        if not group.exists():
            raise StoreError(
                f"{group} is not there. Check output=DIR and name=STR, or give the folder that holds models.zarr."
            )
    try:
        document = _record(group / FILE, sealed=False)
    except (DamageError, LookupError, TypeError) as error:
        if isinstance(error, DamageError) and copies(group):
            raise
        if not (group / FILE).exists():
            raise StoreError(
                f"{group} is no table of models: it has no zarr.json. Give a folder that a run wrote."
            ) from error
        raise StoreError(
            f"{group / FILE} is unreadable, or not written by superpose ({error!r})."
            " Restore it from a copy, or type name=ANOTHER."
        ) from error
    return document


@contextmanager
def described(group: Path) -> Iterator[None]:
    """Turn what goes wrong in reading a record into a StoreError: its zarr.json does not say what a table's does."""
    try:
        yield
    except StoreError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        told = f"{group / FILE} does not describe a table ({' '.join(repr(error).split())[:200]})."
        raise StoreError(f"{told} Restore it from a copy, or type name=ANOTHER.") from error


def variants(root: Path, record: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the variants in the record of the table at `root`. Raises StoreError where they cannot be such."""
    with described(root):
        names = tuple(record["variants"])
        check_names(names, "variant")
        return names


def refuse_links(folder: Path, *more: str) -> None:
    """Raise StoreError if a folder that is written to, an entry of it, or one of `more` further down, is a link."""
    with explained(folder), os.scandir(folder) as entries:
        names = [*(entry.name for entry in entries), *more]
        links = [folder.name] if folder.is_symlink() else [name for name in names if (folder / name).is_symlink()]
    if links:
        raise StoreError(f"{folder} has the link {links[0]!r}. It holds its own files: copy there what it names.")


@final
@dataclass(frozen=True)
class Table:
    """One variant: `schema` (without its coordinates, which `dims` describes), `blocks`, and the distinct `notes`."""

    path: Path
    schema: Schema
    blocks: int
    notes: tuple[Mapping[str, Any], ...]
    dims: Mapping[str, Variable]
    sealed: bool = True
    """Whether it is of this format: each zarr.json has its seal, and the copies are there."""

    @classmethod
    def read(cls, path: Path) -> "Table":
        """The variant as its record says. Raises StoreError, DamageError."""
        found = attributes(path)
        refuse_links(path, COPIES)
        with described(path):
            return cls._of(path, found.pop(RECORD), found)

    @classmethod
    def _of(cls, path: Path, record: Mapping[str, Any], attributes: Mapping[str, Any]) -> "Table":
        parts = {
            part: {name: decode_variable(variable) for name, variable in variables.items()}
            for part, variables in record["parts"].items()
        }
        tile = Tile(**record["tile"] | {"alike": tuple(record["tile"]["alike"])})
        blocks, size = (operator.index(record[name]) for name in ("blocks", "block_rows"))
        schema = Schema(tuple(record["axes"]), tile, size, parts, record["versions"], {}, attributes)
        dims = {name: decode_variable(variable) for name, variable in record["coordinates"].items()}
        check_names(dims, "coordinate")
        notes, sealed = tuple(map(dict, record["notes"])), record["format"] == FORMAT
        return cls(path, schema, blocks, notes, dims, sealed)

    def save(self) -> None:
        """Replace the copy of the record, then the record, by this one; the caller holds the table's lock."""
        schema = self.schema
        record = {
            "format": FORMAT if self.sealed else UNSEALED,
            "blocks": self.blocks,
            "axes": list(schema.axes),
            "tile": asdict(schema.tile),
            "block_rows": schema.block_rows,
            "parts": {
                part: {name: encode_variable(variable) for name, variable in variables.items()}
                for part, variables in schema.parts.items()
            },
            "versions": dict(schema.versions),
            "coordinates": {name: encode_variable(variable) for name, variable in self.dims.items()},
            "notes": [dict(note) for note in self.notes],
        }
        document = metadata.group({**self.schema.attributes, RECORD: record})
        metadata.put(self.copies / FILE, document)
        metadata.put(self.path / FILE, document)

    @property
    def copies(self) -> Path:
        return self.path / COPIES

    def coordinates(self) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
        """The coordinates of the variables' own dimensions. Raises DamageError."""
        return {name: (v.dims, self.coordinate(self.coordinate_path(name), name)) for name, v in self.dims.items()}

    def coordinate(self, file: Path, name: str) -> np.ndarray:
        """A coordinate's values, from its chunk or the copy of that. Raises DamageError."""
        return chunks.read(file, self.dims[name].dtype, self.dims[name].shape)

    def coordinate_copy(self, name: str) -> Path:
        return self.copies / f"{name}.c"

    def coordinate_path(self, name: str) -> Path:
        return self.path / name / ".".join(["c", *["0"] * len(self.dims[name].dims)])

    def chunk_path(self, name: str, block: int) -> Path:
        return chunks.chunk_path(self.path / name, block, len(self.schema.arrays[name].dims))

    def chunk(self, name: str, block: int) -> np.ndarray:
        """All rows of a block of one array, (block_rows, *own). Raises DamageError."""
        variable = self.schema.arrays[name]
        shape = (self.schema.block_rows, *variable.shape)
        return chunks.read(self.chunk_path(name, block), variable.dtype, shape)

    def write(self, name: str, block: int, values: np.ndarray) -> None:
        """Write the rows of one array from block `block` on, filled up to whole blocks. Raises DamageError."""
        chunks.write(self.path, name, self.schema.arrays[name], self.schema.block_rows, block, values)

    def columns(self, blocks: Sequence[int]) -> Rows:
        """The rows of some blocks, unused ones too (seed -1): block_rows for each block. Raises DamageError."""
        size = self.schema.block_rows
        values = np.empty((len(blocks) * size, len(self.schema.axes)))
        seeds = np.empty(len(blocks) * size, np.int64)
        for k, block in enumerate(blocks):
            place = slice(k * size, (k + 1) * size)
            seeds[place] = self.chunk("seed", block)
            for a, axis in enumerate(self.schema.axes):
                values[place, a] = self.chunk(axis, block)
        return Rows(self.schema.axes, values, seeds)

    def done(self, part: str, blocks: Sequence[int]) -> np.ndarray:
        """Which rows of some blocks are written, bool (block, block_rows). A block without a flag file is not.

        A measure counts only where its models are done. Raises DamageError.
        """
        self.schema.variables(part)
        result = np.zeros((len(blocks), self.schema.block_rows), bool)
        for k, block in enumerate(blocks):
            if self.chunk_path(flag(part), block).exists():
                result[k] = self.chunk(flag(part), block)
        return result if part == MODELS else result & self.done(MODELS, blocks)

    def origin(self, block: int) -> np.ndarray:
        """Which of the notes each row of a block was made with; -1 where a kill came before it was noted."""
        noted = self.chunk_path(ORIGIN, block).exists()
        return self.chunk(ORIGIN, block) if noted else np.full(self.schema.block_rows, -1, np.int16)

    def used(self, block: int) -> int:
        """How many rows of a block are models; they are its first. Raises StoreError, DamageError."""
        self.check(block)
        return int((self.chunk("seed", block) >= 0).sum())

    def check(self, block: int) -> None:
        """Refuse a block that the table does not have."""
        if not 0 <= block < self.blocks:
            raise StoreError(
                f"{self.path} has blocks 0 ... {self.blocks - 1}, got {block}. Enter new rows with plan first."
            )
