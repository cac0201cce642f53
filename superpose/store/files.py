"""Files that are whole or absent, whatever interrupts: partial file, fsync, rename, fsync of the folder."""

import asyncio
import errno
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import final
from uuid import uuid4

from zarr.abc.buffer import Buffer
from zarr.storage import LocalStore

from superpose.store.errors import explained

NO_LINK = getattr(os, "O_NOFOLLOW", 0)
PARTIAL = re.compile(r"\.[0-9a-f]{32}\.partial$")


def partial(path: Path) -> Path:
    """A new name beside `path` for what is not complete; a kill may leave it behind, and `clean` removes it."""
    return path.with_name(f"{path.name}.{uuid4().hex}.partial")


def opener(path: str, flags: int) -> int:
    """For `open`: what is opened is no link."""
    return os.open(path, flags | NO_LINK, 0o666)


def sync(folder: Path) -> None:
    """Bring a folder's list of names to the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make(folder: Path) -> None:
    """Make a folder and those it lies in, where they are not there, each name brought to the disk."""
    if folder.is_dir():
        return
    make(folder.parent)
    try:
        folder.mkdir(exist_ok=True)
    except FileExistsError as error:
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder)) from error
    sync(folder.parent)


def write(path: Path, data: bytes | memoryview) -> None:
    """Make `path` hold `data`: readers see the old file or the new one, and once this returns a power cut does too."""
    with explained(path):
        make(path.parent)
        unfinished = partial(path)
        try:
            with unfinished.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if path.is_dir():  # what a damaged disk, or a person, put in its place
                remove(path)
            os.replace(unfinished, path)
        except BaseException:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise
        sync(path.parent)


@final
class Folder(LocalStore):
    """zarr's store on a file system, each file written by `write`."""

    async def set(self, key: str, value: Buffer) -> None:
        await asyncio.to_thread(write, self.root / key, memoryview(value.as_buffer_like()))

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        """zarr's own brings nothing to the disk."""
        if not (self.root / key).exists():
            await self.set(key, value)


@contextmanager
def built(path: Path) -> Iterator[Path]:
    """A new folder to fill, which takes the place of `path` at the end of the `with`; if that fails, it goes."""
    new, old = partial(path), partial(path)
    with explained(path):
        make(new)
        try:
            yield new
            if path.exists():
                path.rename(old)
            new.rename(path)
            sync(path.parent)
        finally:
            shutil.rmtree(new, ignore_errors=True)
            shutil.rmtree(old, ignore_errors=True)


def remove(path: Path) -> None:
    """Remove a file or folder at once, if it is there: nothing reads half of it."""
    with explained(path):
        if path.exists():
            old = partial(path)
            path.rename(old)
            sync(path.parent)
            shutil.rmtree(old) if old.is_dir() else old.unlink()


def clean(folder: Path, before: float) -> None:
    """Remove what kills left in `folder` and beside it: partial files and folders older than the time `before`."""
    with explained(folder):
        beside = [path for path in folder.parent.iterdir() if PARTIAL.search(path.name)]
        inside = [Path(parent) / name for parent, folders, names in os.walk(folder) for name in folders + names]
        for path in beside + [path for path in inside if PARTIAL.search(path.name)]:
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < before:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
