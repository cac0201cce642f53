"""Copies of a run's labelled arrays, in a folder or an object store: whole, read back and compared, or not readable.

    superpose.store.copy("outputs/basic_results", "s3://bucket/basic_results")
    superpose.load("s3://bucket/basic_results")               the same labelled arrays

A copy is a Zarr v3 hierarchy that any reader of Zarr opens. While it is being made at a URL, an object `copying` lies
there: it tells what was broken off, which the same command begins again, from what somebody else put there.
"""

from pathlib import Path

import xarray as xr
from zarr.abc.store import Store

from superpose.store import arrays, metadata, remote, sums
from superpose.store.errors import StoreError, explained
from superpose.store.files import Folder, built
from superpose.store.loading import load


def copy(path: str | Path, target: str | Path, *, replace: bool = False) -> xr.DataTree:
    """Write the labelled arrays of a run to `target`, and give them.

    Args:
        path: the run's folder, its models.zarr, or another copy.
        target: a URL that fsspec knows, or a folder, which becomes the root of the arrays.
        replace: whether a copy that is there may go.

    Raises:
        StoreError: something is there, it cannot be written, or it came back otherwise.
        DamageError: a file of the run is missing or altered.
    """
    tree = load(path)
    if not remote.is_url(target):
        _to_folder(tree, Path(target), replace)
    else:
        with remote.explained(str(target)):
            _to_url(tree, str(target), replace)
    return tree


def _to_folder(tree: xr.DataTree, target: Path, replace: bool) -> None:
    with explained(target):
        if sums.place(target).exists():
            raise StoreError(f"{target} belongs to the run there, which writes it itself. Choose another place.")
        if target.exists() and not _is_empty(target):
            _refuse(Folder(target, read_only=True), target, replace)
    with built(target) as new:
        arrays.write(tree, Folder(new))
        _compare(tree, arrays.read(Folder(new), target), str(target))


def _to_url(tree: xr.DataTree, url: str, replace: bool) -> None:
    store = remote.at(url, read_only=False)
    there = remote.keys(store)
    if there and (arrays.MARK not in there or metadata.FILE in there):
        _refuse(store, url, replace)
    remote.put(store, arrays.MARK, b"")
    remote.clear(store, keep=arrays.MARK)
    late = remote.Late(store)
    arrays.write(tree, late)
    _compare(tree, arrays.read(late, url), url)
    late.publish()
    remote.delete(store, arrays.MARK)


def _refuse(store: Store, target: str | Path, replace: bool) -> None:
    """Raise StoreError, unless what is at the target is a copy that may go; a damaged one, too, has its digest."""
    if not arrays.ours(remote.get(store, metadata.FILE)) and remote.get(store, arrays.DIGEST) is None:
        raise StoreError(f"{target} holds something that is no copy of a run: nothing was changed. Choose another.")
    if not replace:
        raise StoreError(f"{target} holds a copy. Type --replace to write it anew, or choose another place.")


def _is_empty(path: Path) -> bool:
    return path.is_dir() and not any(path.iterdir())


def _compare(tree: xr.DataTree, back: xr.DataTree, target: str) -> None:
    if not tree.identical(back):
        raise StoreError(
            f"{target}: what was written came back otherwise, and is not readable. Give the command again."
        )
