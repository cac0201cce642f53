"""What the table of models costs as it grows, without training: models of zero steps through the code that stores them.

    python benchmarks/simulate.py [--panels table writers tasks arrays] [--fewer] [--on FOLDER]      (make bench-store)

`table`: rows and blocks grow. Every row is entered and SAMPLE blocks are written as a run writes them; the others are
copies of their files, so that a table of any size is there in minutes. `writers`: processes that start at once and
write a table together. `tasks`: what one more task pays while so many hold their shards. `arrays`: the labelled arrays
with and without shards. FOLDER is on the file system to be measured (by default a temporary one); times are those of
its warm caches. Results: tables, and outputs/bench/store.json.
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
from typing import Any

from example_table import LABEL, Size, copies, copy_block, create, rows_of, start, write_block
from report import machine
from rich.console import Console
from store_tables import sheets

from superpose.store import Store, arrays, load, locks
from superpose.store.files import Folder

OUTPUT = Path("outputs/bench")
SAMPLE = 40


TABLES = (Size(10_000, 60), Size(100_000, 60), Size(1_000_000, 1_000), Size(1_000_000, 10_000), Size(1_000_000, 240))
WRITERS = (1, 4, 16, 64)
TASKS = (10, 100, 1_000, 10_000)
ARRAYS = (100_000, 1_000_000)


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
