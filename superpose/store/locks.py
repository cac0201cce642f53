"""Who works on a table: one lock for changes of its shape, and one per shard, held for a whole run.

Shard i of N holds the blocks k = i mod N, so shards i of N and j of M meet where i = j mod gcd(N, M). The operating
system frees a lock when its process ends. Beside each shard's lock lies a file saying who holds it.
"""

import json
import math
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from superpose.store import files
from superpose.store.errors import Busy, StoreError, explained

PATIENCE_SECONDS = 300.0
HOLDER = re.compile(r"shard-(\d+)-of-(\d+)\.json")


def folder(path: Path) -> Path:
    """Where the locks of the table at `path` are, beside it."""
    return path.parent / ".locks"


@contextmanager
def exclusive(path: Path) -> Iterator[None]:
    """Hold the table's lock: creation, growth, a measure's reset, arrays.zarr. Raises Busy after five minutes."""
    lock = FileLock(folder(path) / "table.lock")
    with explained(path):
        folder(path).mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=PATIENCE_SECONDS)
        except Timeout as error:
            raise Busy(
                f"{path} has been locked by another process for {PATIENCE_SECONDS:g} s. Wait for it, or end it."
            ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def shard(path: Path, number: int, shards: int) -> Iterator[None]:
    """Hold a shard of a table, and remove what killed processes left half written.

    Raises:
        Busy: a live process holds blocks of this shard; names its host, pid and start.
        StoreError: no such shard.
    """
    if not 0 <= number < shards:
        raise StoreError(
            f"Shards are numbered 0 ... {shards - 1}, got compute.shard={number} with compute.shards={shards}."
        )
    holder = folder(path) / f"shard-{number}-of-{shards}.json"
    lock = FileLock(holder.with_suffix(".lock"))
    with exclusive(path):
        _acquire(lock, holder, path)
        try:
            for other in _overlapping(holder, number, shards):
                _refuse_if_held(other, path)
            files.write(holder, json.dumps(_myself()).encode())
            files.clean(path, before=_oldest(path))
        except BaseException:
            lock.release()
            raise
    try:
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def refuse_others(path: Path, number: int, shards: int) -> None:
    """Raise Busy if a live process holds another shard of the table; the caller holds the table's lock."""
    for other in _overlapping(folder(path) / f"shard-{number}-of-{shards}.json", 0, 1):
        _refuse_if_held(other, path)


def _acquire(lock: FileLock, holder: Path, path: Path) -> None:
    with explained(path):
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise Busy(_who(holder, path)) from error


def _overlapping(mine: Path, number: int, shards: int) -> list[Path]:
    """The holder files of other shards that have a block in common with this one."""
    found = [(path, HOLDER.fullmatch(path.name)) for path in sorted(mine.parent.iterdir()) if path != mine]
    shard_of = [(path, int(match[1]), int(match[2])) for path, match in found if match]
    return [path for path, other, others in shard_of if (number - other) % math.gcd(shards, others) == 0]


def _refuse_if_held(holder: Path, path: Path) -> None:
    lock = FileLock(holder.with_suffix(".lock"))
    _acquire(lock, holder, path)
    holder.unlink(missing_ok=True)
    lock.release()


def _oldest(path: Path) -> float:
    """When the first of the shards held now was taken: what is older than that and half written is a dead process's."""
    times = []
    for holder in folder(path).iterdir():
        with suppress(FileNotFoundError):
            times += [holder.stat().st_mtime] if HOLDER.fullmatch(holder.name) else []
    return min(times)


def _myself() -> dict[str, Any]:
    return {"host": socket.gethostname(), "pid": os.getpid(), "start": datetime.now(UTC).isoformat(timespec="seconds")}


def _who(holder: Path, path: Path) -> str:
    found: dict[str, Any] = {}
    with suppress(OSError, ValueError):
        found = json.loads(holder.read_bytes())
    host, pid, start = (found.get(key, "unknown") for key in ("host", "pid", "start"))
    return f"{path} is being trained by process {pid} on {host} since {start}. Wait for it or end it, then try again."
