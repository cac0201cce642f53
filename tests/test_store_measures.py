"""Measures beside the models: written again, with fill values, in another version."""

import numpy as np
import pytest
from test_store import F4, NORM, W, contents, fill, grid, new, train

from superpose.labels import Variable
from superpose.store import StoreError, load


def test_models_written_again_are_measured_again(tmp_path):
    store, rows = new(tmp_path), grid((0.1, 0.9), 2).rows()
    fill(store, rows)
    store.write("relu", 0, train(store.rows("relu", 0)))
    assert store.missing("relu", rows) == [] and store.missing("relu", rows, "geometry") == [0]


def test_all_fill_values_are_written_too(tmp_path):
    store, rows = new(tmp_path), grid((0.1, 0.9), 2).rows()
    store.plan("relu", rows)
    store.write("relu", 0, {"W": np.full((4, 2, 5), np.nan, F4), "loss": np.full(4, np.nan, F4)})
    assert np.isnan(load(tmp_path)["relu"].W.values).all()


def test_a_changed_measure_is_emptied_and_weights_stay(tmp_path):
    store, rows = new(tmp_path), grid((0.1, 0.9), 3).rows()
    fill(store, rows)
    before = contents(tmp_path / "models.zarr" / "relu" / "W")
    store.set_part("relu", "geometry", NORM, "1")
    assert store.missing("relu", rows, "geometry") == []
    wide = {"norm": Variable(("pair", "feature"), (3, 5), F4), "rank": Variable((), (), np.dtype("int32"))}
    store.set_part("relu", "geometry", wide, "2")
    assert store.missing("relu", rows, "geometry") == [0, 1]
    assert store.schema("relu").versions == {"geometry": "2"}
    tree = load(tmp_path)["relu"]
    assert tree.norm.dims == ("sparsity", "seed", "pair", "feature") and np.isnan(tree.norm.values).all()
    np.testing.assert_array_equal(tree["rank"], -1)
    store.set_part("relu", "colour", {"hue": Variable((), (), F4)}, "1")
    store.write("relu", 0, {"hue": np.ones(4, F4)}, "colour")
    assert load(tmp_path)["relu"].hue.sum() == 4
    assert contents(tmp_path / "models.zarr" / "relu" / "W") == before
    for part, variables in [("models", NORM), ("x", {"W": W["W"]}), ("x", {"step": W["loss"]})]:
        with pytest.raises(StoreError):
            store.set_part("relu", part, variables, "1")
