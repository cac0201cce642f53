"""What a table says of itself, zarr.json and its copies: damaged, forged, of the format before, mended twice."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import xarray as xr
from test_store import contents, fill, grid, new

from superpose import cli
from superpose.store import Store, StoreError, load, merge, metadata, verify
from superpose.store.table import UNSEALED

ROWS = grid((0.1, 0.9), 6).rows()
COPIES = ["zarr.json", "root.zarr.json", "step.c"]


@pytest.fixture
def store(tmp_path) -> Store:
    made = new(tmp_path)
    fill(made, ROWS)
    return made


def repaired(path: Path) -> list[Path]:
    """What repair=true does before it trains, of a table that nothing is wrong with afterwards; the damaged files."""
    named = [damage.path for damage in verify(path)]
    Store.restore(path)
    store = Store.open(path)
    store.forget("relu", {damage.block for damage in store.damage("relu")})
    assert verify(path) == [] and store.missing("relu", ROWS) == []
    return named


@pytest.mark.parametrize("name", ["zarr.json", "relu/zarr.json", "relu/W/zarr.json", "relu/step/zarr.json"])
def test_a_flipped_bit_in_the_name_of_a_seal_is_mended(store, tmp_path, name):
    file, wanted = store.path / name, load(tmp_path)
    data = file.read_bytes()
    file.write_bytes(data.replace(metadata.SEAL.encode(), b"superposf_sha256"))
    assert repaired(tmp_path) == [file] and file.read_bytes() == data
    xr.testing.assert_identical(load(tmp_path), wanted)


@pytest.mark.parametrize("name", COPIES[:2])
def test_nothing_is_mended_from_a_copy_that_has_lost_its_seal(store, tmp_path, name):
    file = store.path / "relu/seed/copies" / name
    data = file.read_bytes()
    forged = json.loads(data)
    forged["attributes"] = {key: value for key, value in forged["attributes"].items() if key != metadata.SEAL}
    file.write_text(json.dumps(forged))
    assert [damage.path for damage in verify(tmp_path)] == [file]
    group = store.path / ("relu/zarr.json" if name == "zarr.json" else "zarr.json")
    whole = group.read_bytes()
    group.write_bytes(b"{")
    assert Store.restore(tmp_path) == []
    group.write_bytes(whole)
    assert repaired(tmp_path) == [file] and file.read_bytes() == data


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_that_is_gone_is_named(store, tmp_path, name):
    file = store.path / "relu/seed/copies" / name
    file.unlink()
    assert repaired(tmp_path) == [file] and file.exists()


def test_a_table_of_the_format_before_is_read_grows_and_becomes_this_one(store, tmp_path):
    """It has no seals and no copies; nothing of it is damaged."""
    wanted = load(tmp_path)
    shutil.rmtree(store.path / "relu/seed/copies")
    for file in store.path.rglob("zarr.json"):
        document = json.loads(file.read_bytes())
        del document["attributes"][metadata.SEAL]
        if "superpose" in document["attributes"]:
            document["attributes"]["superpose"]["format"] = UNSEALED
        file.write_text(json.dumps(document))
    assert verify(tmp_path) == []
    xr.testing.assert_identical(load(tmp_path), wanted)
    fill(store, grid((0.1, 0.5, 0.9), 6).rows())
    assert verify(tmp_path) == [] and not store.table("relu").sealed
    store.forget("relu", [])
    assert verify(tmp_path) == [] and store.table("relu").sealed
    assert store.count_done("relu") == (18, 18)
    assert all(metadata.get(file, sealed=True) for file in (store.path / "relu").rglob("zarr.json"))


FORGED = [
    ("zarr.json", "variants", None),
    ("zarr.json", "variants", [1]),
    ("zarr.json", "variants", [["relu"]]),
    ("zarr.json", "variants", ...),
    ("relu/zarr.json", "blocks", "x"),
    ("relu/zarr.json", "blocks", 1.5),
    ("relu/zarr.json", "block_rows", "x"),
    ("relu/zarr.json", "notes", None),
    ("relu/zarr.json", "axes", [1]),
]


@pytest.mark.parametrize(("name", "key", "value"), FORGED)
def test_a_forged_record_is_refused_in_words(store, tmp_path, name, key, value, capsys):
    file = store.path / name
    document = json.loads(file.read_bytes())
    record = document["attributes"]["superpose"]
    record.pop(key) if value is ... else record.update({key: value})
    file.write_bytes(metadata.encoded(document))
    with pytest.raises(StoreError):
        verify(tmp_path)
    with pytest.raises(StoreError):
        load(tmp_path)
    with pytest.raises(StoreError):
        merge(tmp_path / "both", [tmp_path])
    assert cli.main(["verify", str(tmp_path)]) == cli.main(["status", str(tmp_path)]) == 2
    assert "Error" not in capsys.readouterr().err.partition("(")[0]


UNCHECKED = """
import json, sys
from pathlib import Path
from superpose.store import StoreError, load, metadata, verify
file = Path("models.zarr/relu/zarr.json")
before = file.read_bytes()
for *place, key, value in json.loads(sys.argv[1]):
    document = node = json.loads(before)
    node = node["attributes"]["superpose"]
    for part in place:
        node = node[part]
    node[key] = value
    file.write_bytes(metadata.encoded(document))
    for read in (load, verify):
        try:
            read(".")
        except StoreError:
            pass
"""


def test_types_of_a_forged_record_are_refused_where_annotations_are_not_checked(store, tmp_path):
    """In these tests annotations are, which refuses most of it before our own words do."""
    variable = ("parts", "models", "W")
    forged = [(*variable, "shape", value) for value in ("x", [2, -1], [None, 5], [2, True], 3)]
    forged += [(*variable, "dims", [[], "a"]), (*variable, "attributes", 1), (*variable, "attributes", [1])]
    forged += [("coordinates", "step", "shape", ["x"]), ("block_rows", 2.5), ("blocks", "x"), ("notes", 1)]
    words = [sys.executable, "-c", UNCHECKED, json.dumps(forged)]
    ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert not ended.returncode, ended.stderr


def test_a_block_that_another_process_has_repaired_is_kept(store):
    """Two look for damage, one forgets and trains, then the other forgets what it saw."""
    chunk = store.path / "relu/W/c.0.0.0"
    chunk.write_bytes(b"x")
    other = Store.open(store.path)
    seen = {damage.block for damage in other.damage("relu")}
    store.forget("relu", {damage.block for damage in store.damage("relu")})
    assert store.missing("relu", ROWS) == [0]
    other.forget("relu", seen)
    assert store.missing("relu", ROWS) == [0]
    fill(store, ROWS)
    before = contents(store.path)
    other.forget("relu", seen)
    assert store.missing("relu", ROWS) == [] and contents(store.path) == before
