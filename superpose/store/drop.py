"""Models that are taken out of a table by their coordinates: their `done` is cleared, and nothing moves.

    superpose.store.drop("outputs/basic_results", {"sparsity": [0.9], "seed": [3]})

They are no longer loaded. The command that asks for them again trains them, with the others of their blocks.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from superpose.grid import Rows, traced
from superpose.store.errors import StoreError
from superpose.store.loading import write_arrays
from superpose.store.schema import MODELS, flag
from superpose.store.store import Store
from superpose.store.table import Table

SHOWN = 6


def drop(path: str | Path, points: Mapping[str, Sequence[float | int]]) -> dict[str, int]:
    """Clear the `done` of the models at every combination of these points; how many of each variant were.

    Variants that lack one of the axes keep their models.

    Args:
        path: the run's folder.
        points: axis -> its values, as the program sees them (float32); `seed` is one of them.

    Raises:
        StoreError: no axis of this name, or the table has no model there; names those that there are.
        Busy: a run works on the table.
    """
    store = Store.open(path)
    tables = {variant: store.table(variant) for variant in store.variants}
    asked = {variant: table for variant, table in tables.items() if points.keys() <= {*table.schema.axes, "seed"}}
    if not points or not asked:
        axes = sorted({axis for table in tables.values() for axis in table.schema.axes})
        raise StoreError(f"Models are named by {', '.join([*axes, 'seed'])}, got {', '.join(points) or 'nothing'}.")
    if not any(_at(table.columns(range(table.blocks)), points).any() for table in asked.values()):
        raise StoreError("\n".join([f"{store.path} has no model there.", *_near(asked.values(), points)]))
    with store.lock_shard(0, 1):
        dropped = {variant: _clear(store.table(variant), points) for variant in asked}
    if (store.path.parent / "arrays.zarr").exists():
        write_arrays(store.path, store.path.parent / "arrays.zarr")
    return dropped


def _clear(table: Table, points: Mapping[str, Sequence[float | int]]) -> int:
    """Clear the flags of a variant's models at these points; of how many."""
    blocks = range(table.blocks)
    done = table.done(MODELS, blocks)
    chosen = done & _at(table.columns(blocks), points).reshape(done.shape)
    for block in np.flatnonzero(chosen.any(1)).tolist():
        table.write(flag(MODELS), block, done[block] & ~chosen[block])
    return int(chosen.sum())


def _at(rows: Rows, points: Mapping[str, Sequence[float | int]]) -> np.ndarray:
    """Which of the rows are models at these points."""
    found = rows.seeds >= 0
    for name, values in points.items():
        found &= np.isin(_seen(name, _column(rows, name)), _seen(name, np.asarray(values)))
    return found


def _column(rows: Rows, name: str) -> np.ndarray:
    return rows.seeds if name == "seed" else rows.values[:, rows.axes.index(name)]


def _seen(name: str, values: np.ndarray) -> np.ndarray:
    return values if name == "seed" else traced(name, values)


def _near(tables: Iterable[Table], points: Mapping[str, Sequence[float | int]]) -> list[str]:
    """For each axis the points of trained models that are nearest to the first one asked for."""
    lines = []
    trained = [table.columns(range(table.blocks))[table.done(MODELS, range(table.blocks)).ravel()] for table in tables]
    for name, values in points.items():
        there = np.unique(np.concatenate([_column(rows, name) for rows in trained]))
        near = np.sort(there[np.argsort(np.abs(there - values[0]), kind="stable")[:SHOWN]])
        lines.append(f"  {name}: {values[0]:g} was asked, trained are {', '.join(map(str, near.tolist())) or 'none'}")
    return lines
