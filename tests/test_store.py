"""The table on disk: creation, identity, growth, blocks, parts. `toy` and `fill` serve the other test_store files."""

import errno
import json
import os
from pathlib import Path

import numpy as np
import pytest

from superpose.grid import Axis, Grid, Rows, Tile
from superpose.labels import Variable
from superpose.store import DamageError, Schema, Store, StoreError, load

F4 = np.dtype("float32")
IDENTITY = {"relu": {"model": {"kind": "relu", "n": 5}, "schedule": {"steps": 10}}}
W = {"W": Variable(("hidden", "feature"), (2, 5), F4, {"long_name": "weights"}), "loss": Variable((), (), F4)}
NORM = {"norm": Variable(("feature",), (5,), F4)}


def toy(**changes) -> Schema:
    given = {
        "axes": ("sparsity",),
        "tile": Tile(1, 2),
        "block_rows": 4,
        "parts": {"models": W, "geometry": NORM},
        "versions": {"geometry": "1"},
        "coordinates": {"step": (("step",), np.arange(3))},
        "attributes": {"flag_meanings": "a b"},
    }
    return Schema(**{**given, **changes})


def grid(points: tuple[float, ...], seeds: int) -> Grid:
    return Grid((Axis("sparsity", points),), tuple(range(seeds)))


def train(rows: Rows) -> dict[str, np.ndarray]:
    """Numbers that depend on a row alone, as training's do."""
    key = (rows.traced()["sparsity"] * 100 + rows.seeds).astype(F4)
    return {"W": key[:, None, None] + np.arange(10, dtype=F4).reshape(2, 5), "loss": -key}


def fill(store: Store, rows: Rows) -> None:
    """Train and measure what is missing, as a run does."""
    store.plan("relu", rows)
    for block in store.missing("relu", rows):
        store.write("relu", block, train(store.rows("relu", block)))
    for block in store.missing("relu", rows, "geometry"):
        store.write("relu", block, {"norm": store.read("relu", block, ["W"])["W"].sum(1)}, "geometry")


def new(path: Path, **changes) -> Store:
    return Store.create(path, IDENTITY, {"relu": toy(**changes)})


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("c.*"))}


def test_the_schema_comes_back_from_disk(tmp_path):
    new(tmp_path)
    schema = Store.open(tmp_path).schema("relu")
    assert (schema.axes, schema.tile, schema.block_rows) == (("sparsity",), Tile(1, 2), 4)
    assert schema.parts == {"models": W, "geometry": NORM}
    assert schema.versions == {"geometry": "1"}
    assert schema.attributes == {"flag_meanings": "a b"}
    np.testing.assert_array_equal(schema.coordinates["step"][1], [0, 1, 2])


def test_creating_again_opens_what_is_there(tmp_path):
    fill(new(tmp_path), grid((0.1, 0.9), 3).rows())
    again = new(tmp_path / "models.zarr", tile=Tile(1, 3))
    assert again.schema("relu").tile == Tile(1, 2)
    assert again.count_done("relu") == (6, 6)


def test_identity_is_refused_with_the_keys_that_differ(tmp_path):
    new(tmp_path).check_identity(IDENTITY)
    asked = {"relu": {"model": {"kind": "relu", "n": 6}, "schedule": {"steps": 10, "batch": 8}}, "linear": {}}
    with pytest.raises(StoreError) as error:
        Store.create(tmp_path, asked, {"relu": toy(), "linear": toy()})
    told = str(error.value)
    assert "relu.model.n: the table has 5, asked 6" in told
    assert "relu.schedule.batch: the table has none, asked 8" in told
    assert "linear" in told and "name=ANOTHER" in told and "steps" not in told


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"axes": ("W",)}, "'W'"),
        ({"block_rows": 1}, "tile"),
        ({"versions": {}}, "version"),
        ({"parts": {"geometry": NORM}}, "models"),
        ({"parts": {"models": {"../W": W["W"]}}, "versions": {}}, "slash"),
        ({"parts": {"models": {"W": Variable(("step",), (0,), F4)}}, "versions": {}}, "empty"),
        ({"attributes": {"f": object()}}, "numbers, strings"),
    ],
)
def test_a_schema_that_cannot_be_stored_is_refused(changes, told):
    with pytest.raises(StoreError, match=told):
        toy(**changes)


def test_paths_that_are_no_table(tmp_path):
    with pytest.raises(StoreError, match="not there"):
        Store.open(tmp_path / "nowhere")
    (tmp_path / "models.zarr").mkdir()
    with pytest.raises(StoreError, match="no table of models"):
        Store.open(tmp_path)
    (tmp_path / "models.zarr" / "zarr.json").write_text("{")
    with pytest.raises(StoreError, match="unreadable"):
        Store.open(tmp_path)
    (tmp_path / "models.zarr" / "zarr.json").write_text(json.dumps({"attributes": {"superpose": {"format": 99}}}))
    with pytest.raises(StoreError, match="format 99"):
        Store.open(tmp_path)
    with pytest.raises(StoreError, match="no variant 'linear'"):
        new(tmp_path / "run").blocks("linear")


def test_growth_inside_an_axis_leaves_what_is_written(tmp_path):
    store = new(tmp_path)
    fill(store, grid((0.1, 0.9), 3).rows())
    before = contents(tmp_path)
    fill(store, grid((0.1, 0.5, 0.9), 4).rows())
    after = contents(tmp_path)
    assert {path: after[path] for path in before} == before
    sparsity = load(tmp_path)["relu"].sparsity.values
    np.testing.assert_array_equal(sparsity, [0.1, 0.5, 0.9])
    assert store.count_done("relu") == (12, 12)


def test_short_blocks_are_filled_up_and_skipped(tmp_path):
    store = new(tmp_path)
    store.plan("relu", grid((0.5,), 3).rows())
    rows = [store.rows("relu", block) for block in range(store.blocks("relu"))]
    assert [row.seeds.tolist() for row in rows] == [[0, 1], [2]]  # a lane of one, two lanes to a block of 4
    column = store.table("relu").columns([0, 1])
    assert column.seeds.tolist() == [0, 1, -1, -1, 2, -1, -1, -1]
    assert np.isnan(column.values[column.seeds < 0]).all()


def test_planning_twice_is_planning_once(tmp_path):
    store = new(tmp_path)
    rows = grid((0.1, 0.9), 3).rows()
    for _ in range(2):
        store.plan("relu", rows)
    assert store.count_done("relu") == (0, 6)
    assert store.count_done("relu", grid((0.1,), 2).rows()) == (0, 2)


def test_a_point_that_the_program_cannot_tell_from_a_stored_one_is_that_point(tmp_path):
    store, near = new(tmp_path), float(np.nextafter(0.9, 1))
    fill(store, grid((0.9,), 2).rows())
    fill(store, grid((near,), 3).rows())
    assert store.count_done("relu") == (3, 3)
    assert load(tmp_path)["relu"].sparsity.values.tolist() == [0.9]


def test_two_planners_of_one_table_agree(tmp_path):
    first = new(tmp_path)
    second = Store.open(tmp_path)
    first.plan("relu", grid((0.1, 0.9), 3).rows())
    second.plan("relu", grid((0.1, 0.5), 3).rows())
    first.plan("relu", grid((0.1, 0.5, 0.9), 3).rows())
    assert first.count_done("relu") == second.count_done("relu") == (0, 9)
    fill(second, grid((0.1, 0.5, 0.9), 3).rows())
    assert first.count_done("relu") == (9, 9)
    assert load(tmp_path)["relu"].loss.notnull().all()


def test_rows_of_other_axes_are_refused_and_of_another_order_arranged(tmp_path):
    store = new(tmp_path, axes=("sparsity", "importance"))
    turned = Grid((Axis("importance", (2.0,)), Axis("sparsity", (0.1,))), (0,)).rows()
    store.plan("relu", turned)
    assert store.rows("relu", 0).values.tolist() == [[0.1, 2.0]]
    with pytest.raises(StoreError, match="axes"):
        store.plan("relu", grid((0.1,), 1).rows())


def test_missing_follows_what_is_written(tmp_path):
    store, rows = new(tmp_path), grid((0.1, 0.9), 4).rows()
    store.plan("relu", rows)
    assert store.missing("relu", rows) == [0, 1]
    assert store.missing("relu", rows, "geometry") == []
    store.write("relu", 1, train(store.rows("relu", 1)))
    assert store.missing("relu", rows) == [0]
    assert store.missing("relu", rows, "geometry") == [1]
    assert store.missing("relu", rows[rows.seeds == 3]) == []
    assert store.count_done("relu", rows) == (4, 8)


def test_arrays_that_do_not_fit_are_refused(tmp_path):
    store = new(tmp_path)
    store.plan("relu", grid((0.1, 0.9), 2).rows())
    good = train(store.rows("relu", 0))
    for arrays, told in [
        ({"W": good["W"]}, "Give each"),
        ({**good, "loss": good["loss"][:1]}, "shape"),
        ({**good, "loss": good["loss"].astype("float64")}, "type"),
    ]:
        with pytest.raises(StoreError, match=told):
            store.write("relu", 0, arrays)
    with pytest.raises(StoreError, match="plan first"):
        store.write("relu", 5, good)
    with pytest.raises(StoreError, match="no models yet"):
        store.write("relu", 0, {"norm": np.zeros((4, 5), F4)}, "geometry")
    with pytest.raises(StoreError, match="no part 'colour'"):
        store.missing("relu", grid((0.1,), 1).rows(), "colour")
    with pytest.raises(StoreError, match="holds no 'W'"):
        store.read("relu", 0, ["W"])
    assert store.count_done("relu") == (0, 4)


def test_a_table_that_took_the_place_of_another_is_not_written(tmp_path):
    rows = grid((0.1, 0.9), 4).rows()
    store, other = new(tmp_path / "run"), new(tmp_path / "other")
    store.plan("relu", rows), other.plan("relu", rows)
    (tmp_path / "run/models.zarr").rename(tmp_path / "removed")
    (tmp_path / "other/models.zarr").rename(tmp_path / "run/models.zarr")
    before = {path: path.read_bytes() for path in store.path.rglob("*") if path.is_file()}
    for change in (
        lambda: store.write("relu", 0, train(rows[:4])),
        lambda: store.plan("relu", grid((0.5,), 2).rows()),
        lambda: store.record("relu", 0, {"device": "cpu"}),
        lambda: store.set_part("relu", "colour", {"hue": Variable((), (), F4)}, "1"),
        lambda: store.forget("relu", [0]),
    ):
        with pytest.raises(StoreError, match="removed and made anew"):
            change()
    assert {path: path.read_bytes() for path in store.path.rglob("*") if path.is_file()} == before


def test_notes_are_kept_once_each(tmp_path):
    store = new(tmp_path)
    fill(store, grid((0.1, 0.9), 4).rows())
    for block, device in enumerate(["cpu", "gpu"]):
        store.record("relu", block, {"device": device, "jax": "0.10.2"})
    store.record("relu", 0, {"device": "gpu", "jax": "0.10.2"})
    assert [note["device"] for note in store.notes("relu")] == ["cpu", "gpu"]
    assert store.table("relu").chunk("origin", 0).tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize(("number", "told"), [(errno.ENOSPC, "free some space"), (errno.EACCES, "may write to")])
def test_what_the_disk_refuses_is_told(tmp_path, monkeypatch, number, told):
    store, rows = new(tmp_path), grid((0.1, 0.9), 2).rows()
    store.plan("relu", rows)

    def refuse(source: Path, target: Path):
        raise OSError(number, os.strerror(number), str(target))

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        with pytest.raises(StoreError, match=told) as error:
            store.write("relu", 0, train(store.rows("relu", 0)))
    assert "models.zarr" in str(error.value)
    assert not list(tmp_path.rglob("*.partial"))
    fill(store, rows)
    assert store.count_done("relu") == (4, 4)


def test_a_file_where_the_folder_should_be(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(StoreError, match="output=DIR"):
        new(tmp_path / "run")


def test_a_zarr_json_that_is_gone_stops_writing_and_is_mended(tmp_path):
    store, rows = new(tmp_path), grid((0.1, 0.9), 2).rows()
    store.plan("relu", rows)
    (tmp_path / "models.zarr" / "relu" / "W" / "zarr.json").unlink()
    with pytest.raises(DamageError, match=r"W/zarr\.json"):
        store.write("relu", 0, train(store.rows("relu", 0)))
    store.forget("relu", [])
    fill(store, rows)
    assert store.damage("relu") == []
