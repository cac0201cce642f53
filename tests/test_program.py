"""A program: its numbers by path, the arrays that it promises, and a model that diverges."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from superpose.features import IndependentFeatures
from superpose.grid import Axis, Grid, Tile
from superpose.initial import Normal
from superpose.models import Linear, ReLUOutput
from superpose.objective import Sampled
from superpose.optimizers import SGD, AdamW, Constant
from superpose.program import Program
from superpose.record import Record, log_spaced
from superpose.sweep import sweep
from superpose.weighting import Geometric

N, M, STEPS = 5, 2, 12
AXES = (
    ("sparsity", "features.density"),
    ("last", "features.relative_density.4"),
    ("importance", "weighting.base"),
    ("learning_rate", "optimizer.learning_rate"),
    ("spread", "init.std"),
)
POINT = {"sparsity": 0.25, "last": 0.5, "importance": 0.9, "learning_rate": 3e-3, "spread": 0.2}


@pytest.fixture(scope="module")
def program() -> Program:
    parts = {"weighting": Geometric(0.5), "objective": Sampled(16), "schedule": Constant(STEPS), "init": Normal(1.0)}
    return Program(Linear(N, M), IndependentFeatures(N), **parts, record=Record((0, 7, STEPS), state=True), axes=AXES)


@pytest.fixture(scope="module")
def arrays(program) -> dict[str, jax.Array]:
    init_key, data_key = jax.random.split(jax.random.key(0))
    return eqx.filter_jit(program)({axis: jnp.float32(value) for axis, value in POINT.items()}, init_key, data_key)


def test_coordinates_are_put_in_by_path(program):
    here = program.at({axis: jnp.float32(value) for axis, value in POINT.items()})
    numbers = (here.features.density, here.weighting.base, here.optimizer.learning_rate, here.init.std)
    np.testing.assert_allclose(jnp.stack(numbers), [0.25, 0.9, 3e-3, 0.2], rtol=2**-23)
    np.testing.assert_allclose(here.features.densities, [0.25, 0.25, 0.25, 0.25, 0.125], rtol=2**-23)
    assert float(here.optimizer.weight_decay) == float(program.optimizer.weight_decay)
    np.testing.assert_array_equal(program.features.relative_density, np.ones(N))  # the program itself is as it was


def test_a_run_at_a_coordinate_is_a_run_with_that_number(program, arrays):
    """The same program with the numbers written in and no axes."""
    here = dataclasses.replace(program.at({axis: jnp.float32(value) for axis, value in POINT.items()}), axes=())
    found = jax.jit(lambda program, keys: program({}, *keys))(here, jax.random.split(jax.random.key(0)))
    np.testing.assert_allclose(found["W"], arrays["W"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(found["feature_importance"], 0.9 ** np.arange(N), rtol=1e-6)


def test_variables_are_those_of_a_real_run(program, arrays):
    """Their names, shapes and types, found without training; one name per dimension."""
    variables = program.variables()
    assert set(variables) == set(arrays)
    assert {name: v.shape for name, v in variables.items()} == {name: a.shape for name, a in arrays.items()}
    assert {name: v.dtype for name, v in variables.items()} == {name: a.dtype for name, a in arrays.items()}


def test_variables_are_named_as_in_the_store(program):
    dims = {name: v.dims for name, v in program.variables().items()}
    assert dims["W"] == ("hidden", "feature") and dims["b"] == dims["feature_importance"] == ("feature",)
    assert dims["W_steps"] == ("snapshot", "hidden", "feature") and dims["b_steps"] == ("snapshot", "feature")
    assert dims["loss"] == dims["loss_standard_error"] == dims["finite"] == () and dims["loss_curve"] == ("step",)
    assert program.variables()["loss"].attributes["long_name"].startswith("expected loss")
    assert program.variables()["finite"].dtype == bool
    assert {name for name in dims if name.startswith("optimizer_")} == {f"optimizer_{k}" for k in range(6)}
    plain = dataclasses.replace(program, record=Record())
    assert set(dims) - set(plain.variables()) == {"W_steps", "b_steps", *(f"optimizer_{k}" for k in range(6))}


def test_recorded_steps_are_coordinates(program, arrays):
    steps = program.steps()
    assert steps["step"][0] == ("step",) and steps["snapshot_step"][0] == ("snapshot",)
    assert steps["step"][1].tolist() == log_spaced(STEPS).tolist() and len(arrays["loss_curve"]) == len(
        steps["step"][1]
    )
    assert steps["snapshot_step"][1].tolist() == [0, 7, STEPS]
    np.testing.assert_array_equal(arrays["W_steps"][-1], arrays["W"])


def test_the_loss_is_the_expected_one_of_the_trained_model(program, arrays):
    """The closed form of a linear model, in float64: sum_i I_i ((1 - G)^2 var + ((1 - G) mean - b)^2)_i, G = W^T W."""
    p = 0.25 * np.array([1, 1, 1, 1, 0.5])
    W, b = (np.asarray(arrays[name], np.float64) for name in ("W", "b"))
    missed = np.eye(N) - W.T @ W
    expected = 0.9 ** np.arange(N) @ (missed**2 @ (p / 3 - p**2 / 4) + (missed @ (p / 2) - b) ** 2)
    assert float(arrays["loss"]) == pytest.approx(expected, rel=1e-6) and float(arrays["loss_standard_error"]) == 0
    assert bool(arrays["finite"])


def test_a_stored_model_comes_back(program, arrays):
    model, task = program.restore({axis: jnp.float32(value) for axis, value in POINT.items()}, arrays)
    np.testing.assert_array_equal(model.W, arrays["W"])
    np.testing.assert_array_equal(model.b, arrays["b"])
    np.testing.assert_array_equal(task.importance, arrays["feature_importance"])
    state = program.state({name: np.asarray(array) for name, array in arrays.items()})
    np.testing.assert_array_equal(state.trained.W, arrays["W"])
    leaves = [arrays[f"optimizer_{k}"] for k in range(6)]
    assert all((a == b).all() for a, b in zip(jax.tree.leaves(state.optimizer), leaves, strict=True))


@pytest.mark.parametrize("n", [4, 1])
def test_the_features_have_the_models_size(n):
    with pytest.raises(ValueError, match=rf"features of n = {n}: the model has W \(2, 5\), b \(5,\)"):
        Program(ReLUOutput(N, M), IndependentFeatures(n))


def test_the_target_has_the_features_size():
    with pytest.raises(ValueError, match="do not fit features of n = 5"):
        Program(ReLUOutput(N, M), IndependentFeatures(N), target=lambda x: x[:2])


def test_the_papers_recipe_is_the_default():
    program = Program(ReLUOutput(N, M), IndependentFeatures(N))
    assert isinstance(program.optimizer, AdamW) and program.schedule == Constant(10_000)
    assert program.objective == Sampled(1024) and program.record == Record()


def test_a_diverged_model_is_data_and_its_neighbours_are_as_without_it():
    axes = (("learning_rate", "optimizer.learning_rate"),)
    parts = {"objective": Sampled(16), "optimizer": SGD(0.1), "schedule": Constant(STEPS)}
    program = Program(Linear(N, M), IndependentFeatures(N, 0.5), **parts, axes=axes)
    blocks = [Grid((Axis("learning_rate", points),), (0,)).rows() for points in ((0.1, 1e30, 0.2), (0.1, 0.3, 0.2))]
    (_, found), (_, without) = sweep(program, blocks, tile=Tile(1, 3), devices=jax.devices()[:1])
    assert found["finite"].tolist() == [True, False, True] and without["finite"].all()
    assert not np.isfinite(found["loss"][1]) and np.isfinite(found["loss"][[0, 2]]).all()
    for name, array in found.items():
        np.testing.assert_array_equal(array[[0, 2]], without[name][[0, 2]])
