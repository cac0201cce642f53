"""What the table of models costs as it grows, without training: models of zero steps through the code that stores them.

    python benchmarks/simulate.py [--panels table writers tasks arrays] [--fewer] [--on FOLDER]      (make bench-store)

`table`: rows and blocks grow. Every row is entered and SAMPLE blocks are written as a run writes them; the others are
copies of their files, so that a table of any size is there in minutes. `start` is what a task does with the table
before its first model: open, count, create unless it is there, lock its shard, write the settings unless they are
there, plan, look for what is missing. `writers`: processes that start at once and write a table together. `tasks`:
what one more task pays while so many hold their shards. `arrays`: the labelled arrays with and without shards. FOLDER
is on the file system to be measured (by default a temporary one); times are those of its warm caches. Results: tables,
and outputs/bench/store.json.
"""

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from report import machine
from rich.console import Console
from store_tables import sheets

from superpose.grid import Axis, Grid, Rows, Tile, of_shard
from superpose.labels import Variable
from superpose.store import MODELS, Schema, Store, arrays, load, locks, sums
from superpose.store.files import Folder

OUTPUT = Path("outputs/bench")
SAMPLE = 40
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


TABLES = (Size(10_000, 60), Size(100_000, 60), Size(1_000_000, 1_000), Size(1_000_000, 10_000), Size(1_000_000, 240))
WRITERS = (1, 4, 16, 64)
TASKS = (10, 100, 1_000, 10_000)
ARRAYS = (100_000, 1_000_000)


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


@contextmanager
def counted() -> Iterator[dict[str, int]]:
    """How often files are synced meanwhile."""
    found, real = {"fsyncs": 0}, os.fsync

    def sync(descriptor: int) -> None:
        found["fsyncs"] += 1
        real(descriptor)

    os.fsync = sync
    try:
        yield found
    finally:
        os.fsync = real


def timed(work: Callable[[], Any]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def weigh(folder: Path) -> dict[str, int]:
    """Files below a folder, their bytes, and the bytes of those that are metadata."""
    found = [(path.name, path.stat().st_size) for path in folder.rglob("*") if path.is_file()]
    metadata = sum(size for name, size in found if name == "zarr.json")
    return {"files": len(found), "bytes": sum(size for _, size in found), "metadata": metadata}


def copy_block(store: Store, source: int, blocks: range) -> None:
    """The files of a whole block once more for each of these, all but its columns."""
    table = store.table(LABEL)
    for name in set(table.schema.arrays) - {*table.schema.axes, "seed"}:
        data = table.chunk_path(name, source).read_bytes()
        for block in blocks:
            table.chunk_path(name, block).write_bytes(data)


def table(folder: Path, size: Size) -> dict[str, Any]:
    """A table of so many models, from its creation to its labelled arrays."""
    rows = rows_of(size.models)
    seconds = {"create": timed(lambda: create(folder, size))}
    store = Store.open(folder)
    with counted() as entering:
        seconds["plan"] = timed(lambda: store.plan(LABEL, rows))
    blocks = store.blocks(LABEL)
    seconds["start"] = timed(lambda: start(store, rows, size, 0, 1))
    sample = min(SAMPLE, blocks - 1)
    with counted() as writing:
        seconds["write"] = timed(lambda: [write_block(store, block) for block in range(sample)]) / sample
    copy_block(store, 0, range(sample, blocks - 1))
    write_block(store, blocks - 1)
    assert store.count_done(LABEL) == (size.models, size.models)
    seconds["again"] = timed(lambda: start(store, rows, size, 0, 1))
    seconds["load"] = timed(lambda: load(folder))
    seconds["verify"] = timed(lambda: store.damage(LABEL))
    fsyncs = {"plan_fsyncs": entering["fsyncs"], "block_fsyncs": writing["fsyncs"] / sample}
    return {**size._asdict(), "blocks": blocks, "seconds": seconds, **fsyncs, **weigh(store.path)}


def writer(folder: Path, size: Size, shard: int, shards: int, go: Any, told: Any) -> None:
    """One of the processes of `writers`: waits for the signal, starts, writes its blocks."""
    rows = rows_of(size.models)
    go.wait()
    begun = time.perf_counter()
    store = create(folder, size)
    numbers = start(store, rows, size, shard, shards)
    ready = time.perf_counter()
    with store.lock_shard(shard, shards):
        for block in numbers:
            write_block(store, block)
    told.put((ready - begun, time.perf_counter() - ready, len(numbers)))


def writers(folder: Path, count: int, size: Size = Size(12_000, 60)) -> dict[str, Any]:
    """Processes that start at once on a folder where nothing is, and write a table together."""
    context = multiprocessing.get_context("forkserver")
    go, told = context.Barrier(count + 1), context.Queue()
    work = [context.Process(target=writer, args=(folder, size, k, count, go, told)) for k in range(count)]
    for each in work:
        each.start()
    go.wait()
    begun = time.perf_counter()
    found = [told.get(timeout=600) for _ in work]
    whole = time.perf_counter() - begun
    for each in work:
        each.join()
    assert Store.open(folder).count_done(LABEL) == (size.models, size.models)
    starts, _, blocks = zip(*found, strict=True)
    return {"writers": count, "blocks": sum(blocks), "first": min(starts), "last": max(starts), "whole": whole}


def tasks(folder: Path, count: int, size: Size = Size(10_000, 60)) -> dict[str, Any]:
    """What one more task pays while so many have their shards: in the table's lock, and in all of `start`."""
    rows, store = rows_of(size.models), create(folder, size)
    store.plan(LABEL, rows)
    copies(store)
    for k in range(1, count):
        (locks.folder(store.path) / f"shard-{k}-of-{count}.json").write_bytes(b"{}")
    start(store, rows, size, 0, count)  # the first writes the settings
    with held() as lock:
        seconds = [timed(lambda: start(store, rows, size, 0, count)) for _ in range(3)]
    return {"tasks": count, "lock": sum(lock) / 3, "start": sum(seconds) / 3, "blocks": store.blocks(LABEL)}


@contextmanager
def held() -> Iterator[list[float]]:
    """The seconds for which the table's lock is held meanwhile, each time that it is."""
    found, real = [], locks.exclusive

    @contextmanager
    def exclusive(path: Path, settled: Callable[[], bool] = lambda: False) -> Iterator[bool]:
        with real(path, settled) as got:
            begun = time.perf_counter()
            yield got
            found.extend([time.perf_counter() - begun] * got)

    locks.exclusive = exclusive
    try:
        yield found
    finally:
        locks.exclusive = real


def copies(store: Store) -> None:
    """Every block is done, so that the folder holds as many files as it will."""
    write_block(store, 0)
    copy_block(store, 0, range(1, store.blocks(LABEL)))


def labelled(folder: Path, models: int) -> list[dict[str, Any]]:
    """The labelled arrays of a table, in chunks of two sizes, with shards and without; written, and read back."""
    store, points = create(folder / "table", Size(models, 5_000)), []
    standard = arrays.CHUNK_BYTES, arrays.SHARD_BYTES
    store.plan(LABEL, rows_of(models))
    copies(store)
    tree = load(store.path)
    for chunk in (standard[0], standard[0] // 16):
        for sharded in (True, False):
            arrays.CHUNK_BYTES, arrays.SHARD_BYTES = chunk, standard[1] if sharded else chunk
            place = folder / f"{chunk}-{sharded}"
            place.mkdir()
            seconds = {"write": timed(lambda to=place: arrays.write(tree, Folder(to)))}
            seconds["read"] = timed(lambda at=place: arrays.read(Folder(at), at))
            points.append({"models": models, "chunk": chunk, "sharded": sharded, "seconds": seconds, **weigh(place)})
    arrays.CHUNK_BYTES, arrays.SHARD_BYTES = standard
    return points


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    panels = ("table", "writers", "tasks", "arrays")
    parser.add_argument("--panels", nargs="+", default=panels, choices=panels, metavar="NAME")
    parser.add_argument("--fewer", action="store_true", help="leave out the last point of each panel, the longest")
    parser.add_argument("--on", type=Path, metavar="FOLDER", help="where to write; on the file system to be measured")
    arguments, console = parser.parse_args(), Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    OUTPUT.mkdir(parents=True, exist_ok=True)
    written = OUTPUT / "store.json"
    result = json.loads(written.read_text(encoding="utf-8")) if written.is_file() else {}
    result["machine"] = machine()

    def each(name: str, points: tuple[Any, ...], measure: Callable[[Path, Any], Any]) -> None:
        if name not in arguments.panels:
            return
        result[name] = []
        for point in points[: -1 if arguments.fewer else None]:
            with tempfile.TemporaryDirectory(dir=arguments.on) as folder:
                found = measure(Path(folder), point)
            result[name] += found if isinstance(found, list) else [found]
            console.print(f"{name} {point}: {found}", style="dim")
            written.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")

    each("table", TABLES, table)
    each("writers", WRITERS, writers)
    each("tasks", TASKS, tasks)
    each("arrays", ARRAYS, labelled)
    for sheet in sheets(result).values():
        console.print(sheet.table())
    console.print("written:", str(written))


if __name__ == "__main__":
    main()
