"""Labelled arrays from the table, and what damage does to them."""

import numpy as np
import pytest
import xarray as xr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_store import F4, IDENTITY, fill, grid, new, toy, train

from superpose.grid import Axis, Grid
from superpose.labels import Variable
from superpose.store import DamageError, Store, load, load_table, write_arrays


def test_dims_coordinates_and_attributes(tmp_path):
    store = new(tmp_path, axes=("sparsity", "importance", "learning_rate"))
    axes = (Axis("sparsity", (0.9, 0.1)), Axis("importance", (2.0, 1.0, 3.0)), Axis("learning_rate", (1e-3,)))
    fill(store, Grid(axes, (0, 1)).rows())
    tree = load(str(tmp_path))
    relu = tree["relu"].to_dataset()
    assert relu.W.dims == ("sparsity", "importance", "seed", "hidden", "feature")
    np.testing.assert_array_equal(relu.sparsity, [0.1, 0.9])
    np.testing.assert_array_equal(relu.density, 1 - relu.sparsity)
    np.testing.assert_array_equal(relu.importance, [1, 2, 3])
    assert relu.learning_rate.ndim == 0 and relu.learning_rate == 1e-3
    assert "probability" in relu.sparsity.attrs["long_name"] and relu.W.attrs == {"long_name": "weights"}
    assert relu.attrs == {"flag_meanings": "a b"}
    assert tree.attrs["identity"] == IDENTITY and len(tree.attrs["identity_sha256"]) == 64


def test_values_are_those_written_and_only_of_what_is_done(tmp_path):
    store, rows = new(tmp_path), grid((0.1, 0.5, 0.9), 2).rows()
    store.plan("relu", rows)
    store.write("relu", 0, train(store.rows("relu", 0)))
    tree = load(tmp_path)["relu"]
    assert tree.sizes["seed"] == 1 and np.isnan(tree.norm.values).all()
    fill(store, rows)
    tree = load(tmp_path)["relu"]
    key = (1 - tree.sparsity.values).astype(F4)[:, None] * 100 + np.arange(2)
    np.testing.assert_allclose(tree.loss, -key, rtol=1e-6)
    np.testing.assert_array_equal(tree.norm, tree.W.sum("hidden"))
    assert load_table(tmp_path, "relu").sizes["model"] == 6


def test_models_that_lack_a_measure_are_counted(tmp_path):
    store, rows = new(tmp_path), grid((0.1,), 5).rows()
    store.plan("relu", rows)
    assert store.count_unmeasured("relu") == 0  # nothing is trained
    for block in store.missing("relu", rows):
        store.write("relu", block, train(store.rows("relu", block)))
    assert store.count_unmeasured("relu") == 5
    fill(store, rows)
    assert store.count_unmeasured("relu") == 0


def test_a_table_without_models_is_an_empty_group(tmp_path):
    store = Store.create(tmp_path, {**IDENTITY, "linear": {}}, {"relu": toy(), "linear": toy()})
    assert not load(tmp_path)["relu"].data_vars
    fill(store, grid((0.1,), 2).rows())
    assert set(load(tmp_path)["relu"].data_vars) == {"W", "loss", "norm"} and not load(tmp_path)["linear"].data_vars


def test_any_reader_of_zarr_sees_the_same_table(tmp_path):
    fill(new(tmp_path), grid((0.1, 0.9), 2).rows())
    raw = xr.open_zarr(tmp_path / "models.zarr" / "relu", consolidated=False)
    ours = load_table(tmp_path, "relu")
    for name in ours.data_vars:
        np.testing.assert_array_equal(raw[name], ours[name])


def test_arrays_are_written_whole_and_read_by_xarray(tmp_path):
    store = new(tmp_path)
    store.set_part(
        "relu", "kind", {"phase": Variable((), (), np.dtype("int8")), "finite": Variable((), (), np.dtype(bool))}, "1"
    )
    for points in [(0.1, 0.9), (0.1, 0.5, 0.9)]:
        fill(store, grid(points, 3).rows())
        returned = write_arrays(tmp_path, tmp_path / "arrays.zarr")
        xr.testing.assert_identical(returned, load(tmp_path))
        with xr.open_datatree(tmp_path / "arrays.zarr", engine="zarr") as written:
            xr.testing.assert_identical(written.load(), load(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".arrays.zarr.sha256", ".locks", "arrays.zarr", "models.zarr",
    ]  # fmt: skip


def _flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


HARM = {
    "flipped": _flip,
    "deleted": lambda path: path.unlink(),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-3]),
    "emptied": lambda path: path.write_bytes(b""),
}


@pytest.mark.parametrize("harm", HARM)
@pytest.mark.parametrize("name", ["W/c.1.0.0", "norm/c.1.0", "sparsity/c.1", "seed/c.1", "done/c.1"])
def test_damage_is_named_and_repaired(tmp_path, harm, name):
    store, rows = new(tmp_path), grid((0.1, 0.9), 6).rows()
    fill(store, rows)
    before = load(tmp_path)
    path = tmp_path / "models.zarr" / "relu" / name
    HARM[harm](path)
    if (name, harm) == ("done/c.1", "deleted"):  # says "not trained": nothing to repair, the next run does it
        assert store.missing("relu", rows) == [1]
    else:
        with pytest.raises(DamageError, match=rf"{name}.*repair=true"):
            load(tmp_path)
        found = store.damage("relu")
        assert [(d.variant, d.block, d.path) for d in found] == [("relu", 1, path)]
        assert found[0].what.startswith("is ") and str(path) not in found[0].what
        store.forget("relu", [d.block for d in found])
    fill(store, rows)
    assert store.damage("relu") == [] and store.count_done("relu") == (12, 12)
    xr.testing.assert_identical(load(tmp_path), before)


def test_damaged_metadata_is_found_and_costs_no_model(tmp_path):
    store = new(tmp_path)
    fill(store, grid((0.1, 0.9), 4).rows())
    path = tmp_path / "models.zarr" / "relu" / "W" / "zarr.json"
    path.write_text("{}")
    assert [(d.block, d.path, d.what) for d in store.damage("relu")] == [(None, path, "is missing or altered")]
    store.forget("relu", [])
    assert store.damage("relu") == [] and store.count_done("relu") == (8, 8)


def test_a_damaged_coordinate_is_written_again_by_the_next_run(tmp_path):
    curve = {"loss_curve": Variable(("step",), (3,), F4)}
    store = new(tmp_path, parts={"models": curve}, versions={})
    store.plan("relu", grid((0.1,), 2).rows())
    store.write("relu", 0, {"loss_curve": np.ones((2, 3), F4)})
    path = tmp_path / "models.zarr" / "relu" / "step" / "c.0"
    _flip(path)
    with pytest.raises(DamageError, match=r"step/c\.0"):
        load(tmp_path)
    assert [(d.block, d.path) for d in store.damage("relu")] == [(None, path)]
    new(tmp_path)
    np.testing.assert_array_equal(load(tmp_path)["relu"].step, [0, 1, 2])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(
    st.lists(
        st.tuples(st.lists(st.sampled_from([0.0, 0.2, 0.5, 0.9, 0.99]), min_size=1, unique=True), st.integers(1, 4)),
        min_size=1,
        max_size=3,
    ),
    st.integers(2, 7),
)
def test_in_whatever_order_rows_come_the_labelled_values_are_theirs(tmp_path_factory, grids, block_rows):
    path = tmp_path_factory.mktemp("run")
    store = new(path, block_rows=block_rows)
    asked = set()
    for points, seeds in grids:
        rows = grid(tuple(points), seeds).rows()
        fill(store, rows)
        asked |= set(rows.identities())
    table = load_table(path, "relu").set_index(model=["sparsity", "seed"])
    assert table.sizes["model"] == len(asked)
    tree = load(path)["relu"]
    for sparsity in tree.sparsity.values:
        for seed in tree.seed.values:
            got = tree.loss.sel(sparsity=sparsity, seed=seed)
            want = -(np.float32(1 - sparsity) * np.float32(100) + seed).astype(F4)
            key = (float(np.float32(1 - sparsity)), int(seed))
            assert got == want if key in asked else np.isnan(got)
