"""A place beyond the file system, by its URL: s3://bucket/run, gs://bucket/run, memory://run. fsspec knows them.

An object store replaces an object at once, and renames, locks and orders nothing. So what a Zarr hierarchy says of
itself, its zarr.json, is held back until every chunk is there, and the root's comes last: without it nothing is read.
"""

import importlib.util
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import final

from zarr.abc.buffer import Buffer, BufferPrototype
from zarr.abc.store import ByteRequest, Store
from zarr.core.buffer import default_buffer_prototype
from zarr.core.sync import sync
from zarr.storage import FsspecStore, MemoryStore, WrapperStore

from superpose.store import metadata
from superpose.store.errors import StoreError

NO_STORES = ("builtins", "numpy", "xarray", "zarr")
"""Packages whose errors say nothing of a place."""


def is_url(path: str | Path) -> bool:
    return "://" in str(path)


@contextmanager
def explained(url: str) -> Iterator[None]:
    """Turn what goes wrong at `url` into a `StoreError`: an `OSError`, or an error of the store's own package.

    A full memory, or a bug here or in a library of ours, is no matter of the address.
    """
    try:
        yield
    except StoreError:
        raise
    except ImportError as error:
        raise StoreError(f"{url} needs a package: {error}. For s3, type pip install 'superpose[remote]'.") from error
    except Exception as error:
        if not isinstance(error, OSError) and type(error).__module__.partition(".")[0] in NO_STORES:
            raise
        raise StoreError(
            f"{url}: {str(error) or type(error).__name__}. Check the address, that its bucket is there, and what gives"
            " you access (of s3: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, and AWS_ENDPOINT_URL of a server other than"
            " Amazon's). A copy that was broken off is not read; the same command begins it again."
        ) from error


def at(url: str, *, read_only: bool) -> FsspecStore:
    """The place at `url`, for zarr. Raises StoreError where a package lacks, or nobody knows such a URL."""
    if importlib.util.find_spec("fsspec") is None:
        raise StoreError(f"{url} needs fsspec. Type pip install 'superpose[remote]'.")
    with explained(url):
        try:
            store = FsspecStore.from_url(url.rstrip("/"), read_only=read_only)
        except ValueError as error:  # fsspec knows no such kind
            raise StoreError(f"{url}: {error}. Give a folder, or a URL as s3://bucket/run.") from error
        store.fs.invalidate_cache()  # of what other processes have put there since
        return store


def keys(store: Store) -> set[str]:
    """The names of everything in a store."""

    async def listed() -> set[str]:
        return {key async for key in store.list()}

    return sync(listed())


def get(store: Store, key: str) -> bytes | None:
    """What is under a name, None where nothing is."""
    found = sync(store.get(key, default_buffer_prototype()))
    return None if found is None else found.to_bytes()


def put(store: Store, key: str, data: bytes) -> None:
    sync(store.set(key, default_buffer_prototype().buffer.from_bytes(data)))


def delete(store: FsspecStore, key: str) -> None:
    """Remove one object. What zarr would call reads brackets and stars in a name as a pattern."""
    sync(store.fs._rm_file(f"{store.path}/{key}"))


def clear(store: FsspecStore, keep: str) -> None:
    """Remove everything but `keep`; what makes it readable goes first, the root's metadata before all."""
    for key in sorted(keys(store) - {keep}, key=lambda key: (not key.endswith(metadata.FILE), key.count("/"), key)):
        delete(store, key)


@final
class Late(WrapperStore[Store]):
    """A store whose metadata stays in memory until `publish`."""

    def __init__(self, store: Store, held: MemoryStore | None = None):
        self._store = store
        self.held = MemoryStore() if held is None else held

    def _with_store(self, store: Store) -> "Late":
        return Late(store, self.held)

    def of(self, key: str) -> Store:
        """Where a file lies."""
        return self.held if key.endswith(metadata.FILE) else self._store

    async def get(self, key: str, prototype: BufferPrototype, byte_range: ByteRequest | None = None) -> Buffer | None:
        return await self.of(key).get(key, prototype, byte_range)

    async def exists(self, key: str) -> bool:
        return await self.of(key).exists(key)

    async def set(self, key: str, value: Buffer) -> None:
        await self.of(key).set(key, value)

    async def delete(self, key: str) -> None:
        await self.of(key).delete(key)

    # as any store has them, made of the above; those of a WrapperStore pass by it
    set_if_not_exists = Store.set_if_not_exists
    _set_many = Store._set_many
    _get_many = Store._get_many

    async def list_dir(self, prefix: str) -> AsyncIterator[str]:
        for name in {name for store in (self._store, self.held) async for name in store.list_dir(prefix)}:
            yield name

    def publish(self) -> None:
        """Write the metadata, the root's last."""
        for key in sorted(keys(self.held), key=lambda key: -key.count("/")):
            data = get(self.held, key)
            assert data is not None
            put(self._store, key, data)
