"""The table of models on disk: one folder, a table per variant, used by many processes at once.

Rows are entered by `plan`, a block's arrays by `write`; `missing` is what is asked for, entered, and not yet written.
Nothing is kept in memory between calls, so another process may grow the table at any moment.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, final

import numpy as np

from superpose.grid import Rows, Tile
from superpose.labels import Variable
from superpose.store import damage, grow, locks, match
from superpose.store.damage import Damage
from superpose.store.errors import StoreError
from superpose.store.files import built
from superpose.store.identity import compare
from superpose.store.schema import MODELS, ORIGIN, Schema, check_names, encode, flag
from superpose.store.table import RECORD, Table, attributes, described, locate, variants


@final
@dataclass(frozen=True)
class Store:
    """The table at `path`, a folder models.zarr. Made by `Store.create` or `Store.open`."""

    path: Path
    made: str | None
    """Drawn when the table was made; a table that takes its place has another."""

    @classmethod
    def create(cls, path: str | Path, identity: Mapping[str, Mapping], schemas: Mapping[str, Schema]) -> "Store":
        """A new table, whole or not at all; where one is already there (another process was first), that one.

        A coordinate of it that is damaged is written again.

        Args:
            path: the run's folder, or its models.zarr.
            identity: variant -> nested dicts of JSON values, everything that its numbers depend on.
            schemas: variant -> what its table holds.

        Raises:
            StoreError: the table there has another identity, or the folder cannot be written.
        """
        path, identity = locate(path), encode(identity)
        if not schemas or identity.keys() != schemas.keys():
            raise StoreError(f"Each variant has an identity and a schema; got {list(identity)} and {list(schemas)}.")
        check_names(schemas, "variant")

        def there() -> list[tuple[Table, Schema]]:
            """Each variant's table and schema, where they have the same coordinates."""
            store = cls.open(path)
            store.check_identity(identity)
            tables = [(store.table(variant), schema) for variant, schema in schemas.items()]
            return [(table, schema) for table, schema in tables if table.dims == grow.dims_of(schema)]

        def settled() -> bool:
            return path.exists() and all(grow.has_coordinates(table, schema.coordinates) for table, schema in there())

        def change() -> None:
            if not path.exists():
                with built(path) as new:
                    grow.begin(new, identity, schemas)
            for table, schema in there():
                grow.put_coordinates(table, schema.coordinates)

        locks.unless(settled, path, change)
        return cls.open(path)

    @classmethod
    def open(cls, path: str | Path) -> "Store":
        """The table of a run's folder, or of its models.zarr. Raises StoreError if there is none that can be read."""
        path = locate(path)
        return cls(path, attributes(path)[RECORD].get("made"))

    @staticmethod
    def restore(path: str | Path) -> list[Path]:
        """Write again, from its copy, each group's zarr.json that `open` cannot read; which those are."""
        path = locate(path)
        if not path.is_dir():
            return []
        with locks.exclusive(path):
            return grow.restore(path)

    @property
    def variants(self) -> tuple[str, ...]:
        """The names of the variants. Raises StoreError where the table has gone, or another has taken its place."""
        record = attributes(self.path)[RECORD]
        if record.get("made") != self.made:
            raise StoreError(f"{self.path} was removed and made anew while this ran. Give the same command again.")
        return variants(self.path, record)

    @property
    def identity(self) -> dict[str, Any]:
        with described(self.path):
            return dict(attributes(self.path)["identity"])

    def check_identity(self, identity: Mapping[str, Mapping]) -> None:
        """Raise StoreError unless `identity` is the table's, naming the keys that differ and what to type."""
        compare(self.identity, encode(identity), str(self.path))

    def table(self, variant: str) -> Table:
        """A variant as it is on disk now. Raises StoreError if there is none of this name."""
        if variant not in self.variants:
            raise StoreError(f"{self.path} has no variant {variant!r}, only {list(self.variants)}.")
        return Table.read(self.path / variant)

    def schema(self, variant: str) -> Schema:
        """What a variant's table holds, as recorded when it was created and by `set_part`."""
        table = self.table(variant)
        return replace(table.schema, coordinates=table.coordinates())

    def blocks(self, variant: str) -> int:
        """How many blocks the table has, written or not."""
        return self.table(variant).blocks

    def rows(self, variant: str, block: int) -> Rows:
        """The models of a block, in the order of its arrays."""
        table = self.table(variant)
        table.check(block)
        columns = table.columns([block])
        return columns[columns.seeds >= 0]

    def all_rows(self, variant: str) -> Rows:
        """Every model in the table, done or not."""
        table = self.table(variant)
        columns = table.columns(range(table.blocks))
        return columns[columns.seeds >= 0]

    def plan(self, variant: str, rows: Rows) -> None:
        """Enter the rows that the table lacks, as new blocks of whole tiles. Twice is as once.

        Of many processes that start at once one enters them; the others see it, and wait for its lock no longer.

        Raises:
            StoreError: rows of other axes, or the folder cannot be written.
            Busy: another process is growing the table and does not come to an end.
        """
        locks.unless(
            lambda: not len(grow.fresh(self.table(variant), rows)),
            self.path,
            lambda: grow.plan(self.table(variant), rows),
        )

    def lay_out(self, variant: str, tile: Tile, block_rows: int, shard: int, shards: int) -> bool:
        """Lay out the table anew for another tile, unless a model is done; it has no rows then.

        Args:
            shard, shards: those that the caller holds.

        Raises:
            Busy: another shard is held, whose blocks these are, too.
        """
        with locks.exclusive(self.path):
            locks.refuse_others(self.path, shard, shards)
            table = self.table(variant)
            if table.done(MODELS, range(table.blocks)).any():
                return False
            grow.lay_out(table, tile, block_rows)
        return True

    def missing(self, variant: str, rows: Rows, part: str = MODELS) -> list[int]:
        """The blocks in which one of `rows` lacks `part`; of a measure, only rows whose models are written."""
        table = self.table(variant)
        columns = table.columns(range(table.blocks))
        here, there = match.codes(columns, match.arrange(rows, table.schema.axes))
        asked = np.isin(here, there).reshape(table.blocks, table.schema.block_rows)
        blocks = np.flatnonzero(asked.any(1))
        lacking = asked[blocks] & ~table.done(part, blocks.tolist())
        if part != MODELS:
            lacking &= table.done(MODELS, blocks.tolist())
        return blocks[lacking.any(1)].tolist()

    def count_done(self, variant: str, rows: Rows | None = None) -> tuple[int, int]:
        """Models written, and models in the table; with `rows`, both among these."""
        table = self.table(variant)
        columns = table.columns(range(table.blocks))
        done = table.done(MODELS, range(table.blocks)).ravel()
        if rows is None:
            used = columns.seeds >= 0
            return int((done & used).sum()), int(used.sum())
        here, there = match.codes(columns, match.arrange(rows, table.schema.axes))
        return int((done & np.isin(here, there)).sum()), len(np.unique(there))

    def count_unmeasured(self, variant: str) -> int:
        """Models that are written and lack a measure, as a run that was killed between the two leaves them."""
        table = self.table(variant)
        blocks = range(table.blocks)
        measured = [table.done(part, blocks) for part in table.schema.parts]
        return int((table.done(MODELS, blocks) & ~np.all(measured, axis=0)).sum())

    def write(self, variant: str, block: int, arrays: Mapping[str, np.ndarray], part: str = MODELS) -> None:
        """Write a part of a block, then say that it is done; when this returns, both are on the disk.

        Args:
            arrays: each variable of the part, (used rows, *shape), in the order of `rows`.

        Raises:
            StoreError: other names, shapes or types than the schema's, a measure before its models, or no space left.
        """
        table = self.table(variant)
        used = table.used(block)
        _check_arrays(table.schema.variables(part), arrays, used)
        if part != MODELS and not table.done(MODELS, [block]).any():
            raise StoreError(
                f"Block {block} of {table.path} has no models yet. Write them before the measure {part!r}."
            )
        grow.clear(table, block, table.schema.parts if part == MODELS else [part])
        for name, array in arrays.items():
            table.write(name, block, array)
        table.write(flag(part), block, np.ones(used, bool))

    def read(self, variant: str, block: int, names: Sequence[str]) -> dict[str, np.ndarray]:
        """Variables of a block, (used rows, *shape); of rows that are not done, whatever is there.

        Raises:
            DamageError: a chunk is missing or altered.
            StoreError: no such variable, or its part is not written.
        """
        table = self.table(variant)
        used = table.used(block)
        for name in names:
            part = next((part for part, variables in table.schema.parts.items() if name in variables), None)
            if part is None or not table.done(part, [block]).any():
                raise StoreError(f"Block {block} of {table.path} holds no {name!r}. Train or measure it first.")
        return {name: table.chunk(name, block)[:used] for name in names}

    def lock_shard(self, shard: int, shards: int) -> AbstractContextManager[None]:
        """Hold shard `shard` of `shards` while a run trains its blocks. Raises Busy, naming who holds it."""
        return locks.shard(self.path, shard, shards)

    def set_part(self, variant: str, part: str, variables: Mapping[str, Variable], version: str) -> None:
        """Add a measure; where its version or variables differ, empty it. Weights are never touched."""
        locks.unless(
            lambda: grow.has_part(self.table(variant), part, variables, version),
            self.path,
            lambda: grow.set_part(self.table(variant), part, variables, version),
        )

    def damage(self, variant: str) -> list[Damage]:
        """Every file that should be there and is missing, altered or unreadable. Reads the whole table."""
        return damage.scan(self.table(variant))

    def forget(self, variant: str, blocks: Iterable[int | None]) -> None:
        """Clear the done flags of damaged blocks, so that the next run trains them again, and mend every zarr.json.

        Takes the blocks of `damage` as they are; None, an array's zarr.json, costs no model. A block that is whole by
        now, since another process forgot and trained it again, is kept.
        A block whose rows cannot be read is given up: the next `plan` enters its models again.
        """
        with locks.exclusive(self.path):
            table = self.table(variant)
            grow.forget(table, damage.damaged(table, {block for block in blocks if block is not None}))

    def record(self, variant: str, block: int, note: Mapping[str, Any]) -> None:
        """Note what a block was made with (versions, device kind). Each distinct note is kept once."""
        number = self.number(variant, note)
        table = self.table(variant)
        table.write(ORIGIN, block, np.full(table.used(block), number, np.int16))

    def number(self, variant: str, note: Mapping[str, Any]) -> int:
        """The place of a note among `notes`, to which it is added where it is new."""
        note = encode(note)
        table = self.table(variant)
        if note not in table.notes:
            with locks.exclusive(self.path):
                table = self.table(variant)
                if note not in table.notes:
                    table = replace(table, notes=(*table.notes, note))
                    table.save()
        return table.notes.index(note)

    def notes(self, variant: str) -> tuple[Mapping[str, Any], ...]:
        """The distinct notes that `record` was given, in the order they came."""
        return self.table(variant).notes

    def origins(self, variant: str) -> list[tuple[Mapping[str, Any], int]]:
        """Each note, and how many models that are done have it."""
        table, blocks = self.table(variant), range(self.blocks(variant))
        numbers = [table.origin(block)[done] for block, done in zip(blocks, table.done(MODELS, blocks), strict=True)]
        return [(note, sum(int((own == k).sum()) for own in numbers)) for k, note in enumerate(table.notes)]


def _check_arrays(variables: Mapping[str, Variable], arrays: Mapping[str, np.ndarray], used: int) -> None:
    if arrays.keys() != variables.keys():
        raise StoreError(f"A block holds {sorted(variables)}, got {sorted(arrays)}. Give each of them, and no other.")
    for name, variable in variables.items():
        want, array = ((used, *variable.shape), np.dtype(variable.dtype)), arrays[name]
        if (array.shape, array.dtype) != want:
            raise StoreError(
                f"{name!r} of this block has shape {want[0]} and type {want[1]}, got {array.shape}, {array.dtype}."
            )
