"""Who works on a table: one lock for changes of its shape, and one per shard, held for a whole run.

Shard i of N holds the blocks k = i mod N, so shards i of N and j of M meet where i = j mod gcd(N, M). The operating
system frees a lock when its process ends. Beside each shard's lock lies a file saying who holds it.
"""

import json
import math
import os
import re
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from superpose.store import files
from superpose.store.errors import Busy, StoreError, explained

PATIENCE_SECONDS = 300.0  # without another process taking the lock
PAUSE_SECONDS = 1.0  # after which one who waits looks whether there is still something to wait for
HOLDER = re.compile(r"shard-(\d+)-of-(\d+)\.json")


def folder(path: Path) -> Path:
    """Where the locks of the table at `path` are, beside it."""
    return path.parent / ".locks"


@contextmanager
def exclusive(path: Path, settled: Callable[[], bool] = lambda: False) -> Iterator[bool]:
    """Hold the table's lock: creation, growth, a measure's reset, config.yaml, arrays.zarr.

    Args:
        settled: whether there is nothing left to hold it for; asked before, and while this process waits.

    Yields:
        Whether it is held; else all is settled.

    Raises:
        Busy: for five minutes no other process has taken the lock, and whoever has it keeps it.
    """
    lock = _lock(folder(path) / "table.lock")
    try:
        yield _await(lock, path, settled)
    finally:
        lock.release()


def _await(lock: FileLock, path: Path, settled: Callable[[], bool]) -> bool:
    """Wait for the table's lock; False once all is settled. Who takes it changes the time of the folder of locks."""
    with explained(path):
        files.make(folder(path))
    begun, turn = time.monotonic(), _turn(path)
    while not settled():
        with explained(path), suppress(Timeout):
            lock.acquire(timeout=min(PAUSE_SECONDS, PATIENCE_SECONDS))
            with suppress(OSError):
                os.utime(folder(path))
            return True
        if (now := _turn(path)) != turn:
            begun, turn = time.monotonic(), now
        elif time.monotonic() - begun > PATIENCE_SECONDS:
            raise Busy(f"{path} has been locked by another process for {PATIENCE_SECONDS:g} s. Wait for it, or end it.")
    return False


def _turn(path: Path) -> int:
    with explained(path):
        return folder(path).stat().st_mtime_ns


def unless(settled: Callable[[], bool], path: Path, change: Callable[[], None]) -> None:
    """Make a change under the table's lock, unless another process has made it: before, or while this one waits.

    Thousands of tasks that start at once ask for one change. Those that come after it take no lock.
    """
    with exclusive(path, settled) as held:
        if held:
            change()


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
    lock = _lock(holder.with_suffix(".lock"))
    with exclusive(path):
        _acquire(lock, holder, path)
        try:
            for other in _overlapping(holder, number, shards):
                _refuse_if_held(other, path)
            files.write(holder, json.dumps(_myself()).encode())
        except BaseException:
            lock.release()
            raise
    try:
        files.clean(path, before=_oldest(path))  # walks the whole table: other shards need not wait for it
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def refuse_others(path: Path, number: int, shards: int) -> None:
    """Raise Busy if a live process holds another shard of the table; the caller holds the table's lock."""
    for other in _overlapping(folder(path) / f"shard-{number}-of-{shards}.json", 0, 1):
        _refuse_if_held(other, path)


def _lock(file: Path) -> FileLock:
    """The lock of a file. Raises StoreError where it or its folder is a link: to take it empties what that names."""
    for place in (file.parent, file):
        if place.is_symlink():
            raise StoreError(f"{place} is a link, which could lead anywhere. Remove it: it is made anew.")
    return FileLock(file)


def _acquire(lock: FileLock, holder: Path, path: Path) -> None:
    with explained(path):
        try:
            lock.acquire(timeout=0)
        except Timeout as error:
            raise Busy(_who(holder, path)) from error


def _overlapping(mine: Path, number: int, shards: int) -> list[Path]:
    """The holder files of other shards that have a block in common with this one."""
    names = [
        name for name in os.listdir(mine.parent) if name != mine.name
    ]  # thousands, under the table's lock: no paths
    found = [match for match in map(HOLDER.fullmatch, names) if match]
    meet = [match for match in found if (number - int(match[1])) % math.gcd(shards, int(match[2])) == 0]
    return sorted(mine.parent / match[0] for match in meet)


def _refuse_if_held(holder: Path, path: Path) -> None:
    lock = _lock(holder.with_suffix(".lock"))
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
