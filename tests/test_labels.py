"""A table of models as labelled arrays, and back."""

import numpy as np
import pytest
import xarray as xr

from superpose.labels import Variable, fill_value, table, unstack

F4, I8, FLAG = np.dtype("float32"), np.dtype("int8"), np.dtype("bool")
VARIABLES = {
    "W": Variable(("hidden", "feature"), (2, 3), F4, {"long_name": "weights", "units": "1"}),
    "loss": Variable((), (), F4),
    "phase": Variable((), (), I8, {"flag_values": [0, 1], "flag_meanings": "ignored kept"}),
    "finite": Variable((), (), FLAG),
    "rank": Variable((), (), np.dtype("uint8")),
    "loss_curve": Variable(("step",), (2,), F4),
}
COORDINATES = {"step": (("step",), np.array([0, 10])), "snapshot_step": (("snapshot",), np.array([5]))}
# Models of sparsity x importance x seed in no order; (0.5, 2.0, seed 7) was not trained.
SPARSITY, IMPORTANCE, SEED = np.array([0.9, 0.5, 0.9]), np.array([2.0, 1.0, 1.0]), np.array([7, 3, 3])


def arrays(models: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "W": rng.normal(size=(models, 2, 3)).astype(F4),
        "loss": rng.normal(size=models).astype(F4),
        "phase": np.arange(models, dtype=I8),
        "finite": np.ones(models, FLAG),
        "rank": np.full(models, 2, np.uint8),
        "loss_curve": rng.normal(size=(models, 2)).astype(F4),
    }


@pytest.fixture
def models() -> xr.Dataset:
    columns = {"sparsity": SPARSITY, "importance": IMPORTANCE, "seed": SEED}
    return table(columns, arrays(3), VARIABLES, COORDINATES)


def test_a_table_has_a_row_per_model(models):
    assert models.W.dims == ("model", "hidden", "feature") and models.sizes["model"] == 3
    assert models.W.attrs == {"long_name": "weights", "units": "1"}
    assert models.phase.attrs["flag_meanings"] == "ignored kept"
    assert models.sparsity.attrs["long_name"] == "sparsity S, the probability that a feature is zero"
    assert models.step.values.tolist() == [0, 10]
    assert "snapshot_step" not in models.coords  # no variable has snapshots


def test_labelled_arrays_hold_each_model_at_its_coordinates(models):
    wide = unstack(models, ["sparsity", "importance"])
    assert wide.W.dims == ("sparsity", "importance", "seed", "hidden", "feature")
    assert wide.sparsity.values.tolist() == [0.5, 0.9] and wide.seed.values.tolist() == [3, 7]  # sorted
    for k in range(3):
        here = wide.sel(sparsity=SPARSITY[k], importance=IMPORTANCE[k], seed=SEED[k])
        for name in VARIABLES:
            np.testing.assert_array_equal(here[name], models[name][k])


def test_rows_in_any_order_give_sorted_dimensions():
    points = np.array([(s, i, k) for s in (0.0, 0.3, 0.97) for i in (0.2, 1.0, 5.0) for k in (1, 2, 8)])
    rows = points[np.random.default_rng(1).permutation(27)[:20]]
    columns = {"sparsity": rows[:, 0], "importance": rows[:, 1], "seed": rows[:, 2].astype(np.int64)}
    models = table(columns, arrays(20), VARIABLES, COORDINATES)
    wide = unstack(models, ["sparsity", "importance"])
    for dim, want in (("sparsity", [0.0, 0.3, 0.97]), ("importance", [0.2, 1.0, 5.0]), ("seed", [1, 2, 8])):
        assert wide[dim].values.tolist() == want
    for k in range(20):
        assert wide.loss.sel(sparsity=rows[k, 0], importance=rows[k, 1], seed=rows[k, 2]) == models.loss[k]


def test_trained_arrays_are_described_unless_they_say_it_themselves():
    plain = {"W": Variable(("hidden", "feature"), (2, 3), F4), "W_steps": Variable(("snapshot",), (1,), F4)}
    given = {"W": np.zeros((1, 2, 3), F4), "W_steps": np.zeros((1, 1), F4)}
    made = table({"seed": np.array([0])}, given, plain, COORDINATES)
    assert made.W.attrs == {"long_name": "weights W; column W_i is the direction of feature i", "units": "1"}
    assert made.W_steps.attrs["long_name"].endswith("feature i, at the recorded steps")


def test_what_was_not_trained_is_filled_by_kind(models):
    wide = unstack(models, ["sparsity", "importance"])
    missing = wide.sel(sparsity=0.5, importance=2.0, seed=7)
    assert np.isnan(missing.W).all() and np.isnan(missing.loss) and np.isnan(missing.loss_curve).all()
    assert missing.phase == -1 and not missing.finite and missing["rank"] == 0
    assert {name: wide[name].dtype for name in VARIABLES} == {name: v.dtype for name, v in VARIABLES.items()}
    assert int(np.isfinite(wide.loss).sum()) == 3 and wide.loss.size == 8


def test_attributes_and_density_come_along(models):
    wide = unstack(models, ["sparsity", "importance"])
    assert wide.W.attrs["units"] == "1" and wide.phase.attrs["flag_values"] == [0, 1]
    for name in ("sparsity", "importance", "seed", "step"):
        assert wide[name].attrs == models[name].attrs and wide[name].attrs["long_name"]
    assert wide.density.dims == ("sparsity",) and wide.density.attrs["long_name"] == "feature density p = 1 - S"
    np.testing.assert_array_equal(wide.density, 1 - wide.sparsity)


def test_the_table_comes_back(models):
    wide = unstack(models, ["sparsity", "importance"])
    back = wide.drop_vars("density").stack(model=["sparsity", "importance", "seed"])
    back = back.isel(model=np.flatnonzero(np.isfinite(back.loss.values)))
    order = np.lexsort((SEED, IMPORTANCE, SPARSITY))
    for name in VARIABLES:
        own = ("model", *VARIABLES[name].dims)
        np.testing.assert_array_equal(back[name].transpose(*own), models[name].isel(model=order))


def test_an_axis_of_one_value_is_a_scalar_but_for_sparsity_and_seed():
    columns = {
        "sparsity": np.array([0.9, 0.9]),
        "importance": np.array([1.0, 2.0]),
        "rate": np.array([0.1, 0.1]),
        "seed": np.array([0, 0]),
    }
    wide = unstack(table(columns, arrays(2), VARIABLES, COORDINATES), ["sparsity", "importance", "rate"])
    assert wide.loss.dims == ("sparsity", "importance", "seed") and wide.loss.shape == (1, 2, 1)
    assert wide.rate.dims == () and float(wide.rate) == 0.1


def test_a_table_without_sparsity_has_no_density():
    columns = {"rate": np.array([0.1, 0.2]), "seed": np.array([0, 0])}
    wide = unstack(table(columns, arrays(2), VARIABLES, COORDINATES), ["rate"])
    assert wide.loss.dims == ("rate", "seed") and "density" not in wide.coords


def test_a_table_of_seeds_alone():
    columns = {"rate": np.array([0.1, 0.1]), "seed": np.array([7, 3])}
    models = table(columns, arrays(2), VARIABLES, COORDINATES)
    wide = unstack(models, ["rate"])
    assert wide.W.dims == ("seed", "hidden", "feature") and wide.seed.values.tolist() == [3, 7]
    np.testing.assert_array_equal(wide.W.sel(seed=7), models.W[0])
    assert wide.seed.attrs == models.seed.attrs and "model" not in wide.coords


def test_fill_values():
    assert np.isnan(fill_value(F4)) and fill_value(FLAG) is False
    assert fill_value(I8) == -1 and fill_value(np.dtype("uint8")) == 0


@pytest.mark.parametrize(
    ("dims", "shape", "dtype", "message"),
    [
        (("hidden",), (2, 3), "float32", r"one name per dimension, got dims \('hidden',\) for the shape \(2, 3\)"),
        ((), (), "U5", "holds numbers, got the type <U5. Write a category as int8 flags"),
        ((), (), "object", "holds numbers"),
    ],
)
def test_a_variable_refuses(dims, shape, dtype, message):
    with pytest.raises(ValueError, match=message):
        Variable(dims, shape, np.dtype(dtype))
