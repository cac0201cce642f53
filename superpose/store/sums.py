"""Checksums of what a run writes beside its table: config.yaml and arrays.zarr.

`.<name>.sha256` lists the sha256 of a file, or of each file of a folder, as `sha256sum` does: in the run's folder,
`sha256sum -c .arrays.zarr.sha256` checks it, too. Where there is no list, as after a kill just before it is written,
nothing is known, and the next run writes both.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from superpose.store.errors import explained
from superpose.store.files import remove, write
from superpose.store.locks import unless

SUMMED = ("config.yaml", "arrays.zarr")


def place(path: Path) -> Path:
    """The list of a file or folder, beside it."""
    return path.with_name(f".{path.name}.sha256")


def forget(path: Path) -> None:
    """Remove the list, before what it is about is replaced."""
    remove(place(path))


def record(path: Path) -> None:
    """Write the list of what is there now."""
    lines = [f"{_sum(file)}  {name}\n" for name, file in _files(path).items()]
    write(place(path), "".join(lines).encode())


def put(path: Path, data: bytes, table: Path) -> None:
    """Write a file of a table's run, and its list, under the table's lock; neither lock nor file where it is there."""

    def settled() -> bool:
        return path.is_file() and path.read_bytes() == data and place(path).exists() and not list(altered(path))

    def change() -> None:
        forget(path)
        write(path, data)
        record(path)

    unless(settled, table, change)


def altered(path: Path) -> Iterator[tuple[Path, str]]:
    """The files that are no longer as the list says, with what is wrong. None but those of `path` is read."""
    if not place(path).exists():
        return
    files = _files(path)
    try:
        lines = place(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    wanted = {line[66:]: line[:64] for line in lines}
    if not wanted or not files.keys() <= wanted.keys():
        yield place(path), "is cut short or altered"
    for name, digest in wanted.items():
        if name not in files:
            yield path.parent / name, "is missing"
        elif _sum(files[name]) != digest:
            yield files[name], "is cut short or altered (its sha256 differs)"


def _files(path: Path) -> dict[str, Path]:
    """Every file of a folder, or the file itself, by its path as seen from the folder it lies in."""
    found = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    return {file.relative_to(path.parent).as_posix(): file for file in found}


def _sum(file: Path) -> str:
    with explained(file):
        return hashlib.sha256(file.read_bytes()).hexdigest()
