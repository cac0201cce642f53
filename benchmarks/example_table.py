"""A table of models of zero steps, with the arrays of the basic results: made, entered and written as a run does.

`start` is what a task does with it before its first model: open, count, create unless it is there, lock its shard,
write the settings unless they are there, plan, look for what is missing. `copies` fills it up with copies of a block.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from superpose.grid import Axis, Grid, Rows, Tile, of_shard
from superpose.labels import Variable
from superpose.store import MODELS, Schema, Store, sums

LABEL = "relu"
N, M = 5, 2
LEVELS = 100
NOTE = {"jax": "0", "device": "none"}
SETTINGS = b"#" * 4000
SHAPES: dict[str, dict[str, tuple[tuple[int, ...], str]]] = {
    MODELS: {
        "W": ((M, N), "float32"),
        **dict.fromkeys(("b", "feature_importance"), ((N,), "float32")),
        **dict.fromkeys(("loss", "loss_standard_error", "gradient_norm"), ((), "float32")),
        "loss_curve": ((34,), "float32"),
        "finite": ((), "bool"),
    },
    "geometry": {
        **dict.fromkeys(("norm", "superposition", "dimensionality"), ((N,), "float32")),
        **dict.fromkeys(("represented", "superposed"), ((N,), "bool")),
        "dimensions_per_feature": ((), "float32"),
        "rank": ((), "int32"),
        "basis_aligned": ((), "int8"),
        **dict.fromkeys(("features_independent", "gram_invertible"), ((), "bool")),
    },
}
"""The arrays of the basic results, at n = 5, m = 2."""


class Size(NamedTuple):
    models: int
    block: int


def schema(block: int) -> Schema:
    dims = {(): (), (N,): ("feature",), (M, N): ("hidden", "feature"), (34,): ("step",)}
    parts = {
        part: {name: Variable(dims[shape], shape, np.dtype(kind)) for name, (shape, kind) in own.items()}
        for part, own in SHAPES.items()
    }
    axes = ("sparsity", "importance", "learning_rate", "weight_decay")
    return Schema(axes, Tile(1, 20), block, parts, {"geometry": "1"}, {"step": (("step",), np.arange(34))})


def rows_of(models: int) -> Rows:
    """LEVELS sparsities, and seeds."""
    levels = tuple(np.linspace(0, 0.99, min(LEVELS, models)).tolist())
    fixed = [Axis(name, (value,)) for name, value in (("importance", 0.9), ("learning_rate", 1e-3))]
    axes = (Axis("sparsity", levels), *fixed, Axis("weight_decay", (0.01,)))
    return Grid(axes, tuple(range(models // len(levels)))).rows()


def create(folder: Path, size: Size) -> Store:
    return Store.create(folder, {LABEL: {"models": size.models}}, {LABEL: schema(size.block)})


def block_arrays(part: str, rows: int) -> dict[str, np.ndarray]:
    """What training and measuring would give: numbers that do not compress."""
    draw = np.random.default_rng(0)
    return {name: draw.normal(size=(rows, *shape)).astype(kind) for name, (shape, kind) in SHAPES[part].items()}


def write_block(store: Store, block: int) -> None:
    """One block, as a run writes it."""
    used = len(store.rows(LABEL, block))
    for part in SHAPES:
        store.write(LABEL, block, block_arrays(part, used), part)
    store.record(LABEL, block, NOTE)


def start(store: Store, rows: Rows, size: Size, shard: int, shards: int) -> list[int]:
    """What a task does with the table before its first model, where another one has just made it; its blocks."""
    Store.open(store.path)
    store.schema(LABEL)
    store.count_done(LABEL, rows)
    create(store.path, size)
    with store.lock_shard(shard, shards):
        sums.put(store.path.parent / "config.yaml", SETTINGS, store.path)
        store.plan(LABEL, rows)
        for part in set(SHAPES) - {MODELS}:
            store.set_part(LABEL, part, schema(20).parts[part], "1")
        return of_shard(store.missing(LABEL, rows), shard, shards)


def copy_block(store: Store, source: int, blocks: range) -> None:
    """The files of a whole block once more for each of these, all but its columns."""
    table = store.table(LABEL)
    for name in set(table.schema.arrays) - {*table.schema.axes, "seed"}:
        data = table.chunk_path(name, source).read_bytes()
        for block in blocks:
            table.chunk_path(name, block).write_bytes(data)


def copies(store: Store) -> None:
    """Every block is done, so that the folder holds as many files as it will."""
    write_block(store, 0)
    copy_block(store, 0, range(1, store.blocks(LABEL)))
