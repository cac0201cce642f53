"""Damaged and forged metadata by the thousand: a store gives the right numbers, or is refused in words.

Damaged: an entry of a zarr.json, or some of its bytes, is another one; its seal is not. Every number that is loaded
must then be right. Forged: its seal is that of what it says now, as somebody could write it; then it may say anything,
but nothing except a `StoreError` comes of it.
"""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fuzzing
import pytest
from effort import tries
from hypothesis import strategies as st
from test_faults_corruption import complete, loaded_right

from superpose.store import StoreError, load, metadata, verify

CASES, PARTS, FAST = tries(10_000, 160), 8, 15
MANY = 100
"""More blocks than this are not forged: to look for each takes long, and no wrong number comes of it."""
COUNTS = ("blocks", "block_rows")


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("store") / "run"
    complete(path)
    return path


def entries(node: Any, above: tuple = ()) -> Iterator[tuple]:
    """The place of every entry of nested JSON."""
    below = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in below:
        yield (*above, key)
        yield from entries(value, (*above, key))


def places(store: Path) -> list[tuple[str, tuple]]:
    """Every entry of every zarr.json of the table, its copies too."""
    files = sorted((store / "models.zarr").rglob("*zarr.json"))
    return [(str(file.relative_to(store)), place) for file in files for place in entries(json.loads(file.read_bytes()))]


def change(file: Path, place: tuple, value: Any, forged: bool) -> None:
    """Set an entry, or take it out where the value is `...`."""
    document = node = json.loads(file.read_bytes())
    for key in place[:-1]:
        node = node[key]
    if value is ...:
        del node[place[-1]]
    else:
        node[place[-1]] = value
    whole = isinstance(document.get("attributes"), dict)
    file.write_bytes(metadata.encoded(document) if forged and whole else json.dumps(document).encode())


def changes(store: Path) -> st.SearchStrategy[tuple]:
    entry = st.tuples(st.sampled_from(places(store)), st.one_of(st.just(...), fuzzing.VALUES), st.booleans())
    edits = st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), min_size=1, max_size=4)
    return st.one_of(entry, st.tuples(st.sampled_from(places(store)), edits, st.none()))


def case(store: Path, path: Path, wanted: Any, drawn: tuple) -> str:
    """Make the change in the store at `path`, open it in every way, and put the file back."""
    (name, place), value, forged = drawn
    if forged and place[-1] in COUNTS and isinstance(value, int) and value > MANY:
        return "left out"
    file = path / name
    if forged is None:
        data = bytearray(file.read_bytes())
        for where, byte in value:
            data[where % len(data)] = byte
        file.write_bytes(data)
    else:
        change(file, place, value, forged)
    try:
        return f"forged, {opened(path)}" if forged else "right" if loaded_right(path, wanted) else "refused"
    finally:
        shutil.copyfile(store / name, file)


def opened(path: Path) -> str:
    """What comes of loading and verifying a store that may say anything."""
    told = []
    for read in (load, verify):
        try:
            read(path)
        except StoreError as error:
            assert str(error) and "Traceback" not in str(error)
            told.append(error)
    return "refused" if told else "read"


@pytest.mark.parametrize("size", [2**31, 2**62, True, -1, 1.0])
def test_forged_sizes_are_refused_before_memory_is_taken(size, store, tmp_path):
    path = tmp_path / "run"
    shutil.copytree(store, path)
    record = ("attributes", "superpose", "parts", "models", "loss_curve", "shape", 0)
    change(path / "models.zarr/linear/zarr.json", record, size, forged=True)
    assert opened(path) == "refused"


@pytest.mark.parametrize("part", [-1, *(pytest.param(k, marks=pytest.mark.faults) for k in range(PARTS))])
def test_over_stores(part, store, tmp_path, record_property):
    path, wanted = tmp_path / "run", load(store)
    shutil.copytree(store, path)
    cases = FAST if part < 0 else CASES // PARTS
    counted = fuzzing.many(cases, changes(store), lambda drawn: case(store, path, wanted, drawn), part + 1)
    record_property("zarr.json of a store", dict(counted))
    assert counted.total() >= cases
