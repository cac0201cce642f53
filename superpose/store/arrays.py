"""Labelled arrays as a Zarr v3 hierarchy: how they are cut into chunks and shards, written, and read back.

A chunk is what is compressed and checked (Zstd, CRC32C) by itself, a shard is a file of many chunks. Both are
stretches of an array in its own order, the last dimensions whole, of at most

    2^20 bytes a chunk, 2^27 bytes a shard      so that arrays of B bytes are about B / 2^27 files, plus one each

An array of one chunk has no shards.
"""

import json
import warnings
from collections.abc import Iterator, Sequence
from hashlib import sha256
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
import zarr
from zarr.abc.store import Store
from zarr.codecs import Crc32cCodec, ZstdCodec
from zarr.errors import ZarrUserWarning

from superpose.store import metadata, remote
from superpose.store.chunks import WRITE_EMPTY
from superpose.store.errors import DamageError, StoreError
from superpose.store.table import RECORD

CHUNK_BYTES = 2**20
SHARD_BYTES = 2**27
DIGEST = "zarr.json.sha256"  # of the root's metadata, which says where all numbers of a copy are and of what kind
MARK = "copying"  # lies at a URL while a copy is made there
AGAIN = "Write it again: superpose copy, or for arrays.zarr of a run the command that made it. The run's folder loads."
UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RuntimeError)


def stretch(sizes: Sequence[int], most: int) -> tuple[int, ...]:
    """The shape of a stretch of at most `most` values of an array, in its own order."""
    lengths, room = [], max(1, most)
    for size in reversed(sizes):
        lengths.append(min(size, room))
        room //= lengths[-1]
    return tuple(reversed(lengths))


def cut(sizes: Sequence[int], item_bytes: int) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
    """The shapes of an array's chunks and shards; None where it is one chunk."""
    chunk = stretch(sizes, CHUNK_BYTES // item_bytes)
    room = stretch(sizes, SHARD_BYTES // item_bytes)
    shard = tuple(c * (r // c if r < size else ceil(size / c)) for c, r, size in zip(chunk, room, sizes, strict=True))
    return (chunk, None) if shard == chunk else (chunk, shard)


def write(tree: xr.DataTree, store: Store) -> None:
    """Write labelled arrays to a Zarr store that has none, then the digest of the root's metadata.

    Empty chunks are written too, so that one that lacks is seen.
    """
    encoding = {
        node.path: {str(name): _encoding(array) for name, array in node.to_dataset(inherit=False).variables.items()}
        for node in tree.subtree
    }
    with warnings.catch_warnings(), zarr.config.set(WRITE_EMPTY):
        warnings.simplefilter("ignore", ZarrUserWarning)  # that the specification of consolidated metadata is a draft
        tree.to_zarr(store, mode="a", encoding=encoding, consolidated=True, zarr_format=3)
    root = remote.get(store, metadata.FILE) or b""
    remote.put(store, DIGEST, sha256(root).hexdigest().encode())


def _encoding(array: xr.Variable) -> dict[str, Any]:
    if not array.ndim:
        return {"compressors": (ZstdCodec(), Crc32cCodec())}
    chunk, shard = cut(array.shape, array.dtype.itemsize)
    grid = {"chunks": chunk, "shards": shard} if shard else {"chunks": chunk}
    return {"compressors": (ZstdCodec(), Crc32cCodec()), **grid}


def ours(root: bytes | None) -> bool:
    """Whether a zarr.json is the root of labelled arrays that this package wrote; a table's is not."""
    try:
        found = json.loads(root or b"")["attributes"]
        return "identity_sha256" in found and RECORD not in found
    except (ValueError, LookupError, TypeError):
        return False


def read(store: Store, name: str | Path) -> xr.DataTree:
    """The labelled arrays of a Zarr store, in memory, each chunk checked; errors call it `name`.

    Raises:
        StoreError: there are none, or what is there was broken off.
        DamageError: a chunk, or what says where and of what kind they are, is missing or altered.
    """
    there, root, digest = remote.keys(store), remote.get(store, metadata.FILE), remote.get(store, DIGEST)
    if root is not None and digest is not None and digest.decode(errors="replace") != sha256(root).hexdigest():
        raise DamageError(f"{name}: {metadata.FILE} or {DIGEST} is altered. {AGAIN}")
    if root is None or not ours(root):
        why = "the copy there was broken off; give the command again" if MARK in there else "check the address"
        raise StoreError(f"{name} holds no labelled arrays: {why}.")
    if digest is None:
        raise DamageError(f"{name} lacks {DIGEST}, so that what it says cannot be checked. {AGAIN}")
    try:
        lacking = sorted(set(_expected(zarr.open_group(store, mode="r", use_consolidated=True))) - there)
        if lacking:
            raise DamageError(f"{name} lacks {lacking[0]}{_more(lacking)}. {AGAIN}")
        place: Any = store  # xarray opens stores, too, which its annotation leaves out
        with xr.open_datatree(place, engine="zarr", consolidated=True) as tree:
            return tree.load()
    except DamageError:
        raise
    except UNREADABLE as error:
        raise DamageError(f"{name} is altered: {error!r}. {AGAIN}") from error


def _more(lacking: list[str]) -> str:
    return f" and {len(lacking) - 1} more files" if len(lacking) > 1 else ""


def _expected(group: zarr.Group) -> Iterator[str]:
    """The files of a hierarchy's chunks or shards."""
    for path, array in group.members(max_depth=None):
        if isinstance(array, zarr.Array):
            size = array.shards or array.chunks
            counts = [ceil(length / own) for length, own in zip(array.shape, size, strict=True)]
            for place in np.ndindex(*counts):
                yield f"{path}/{'/'.join(['c', *map(str, place)])}"
