"""Models followed along a path: what a walk is, its two directions, its results, through a sweep and through a run."""

import dataclasses
from pathlib import Path as File

import equinox as eqx
import jax
import jax.numpy as jnp
import laboratory
import numpy as np
import pytest
import xarray as xr

import superpose
from superpose import theory
from superpose.experiment import load_experiment
from superpose.features import IndependentFeatures
from superpose.following import APART, Path
from superpose.grid import Axis, Grid, Tile
from superpose.initial import Normal
from superpose.memory import sweep_grid
from superpose.models import Linear, ReLUOutput
from superpose.objective import Exact, Sampled
from superpose.optimizers import Adam, Constant, CosineDecay
from superpose.program import Program
from superpose.record import Record
from superpose.store import StoreError
from superpose.sweep import sweep
from superpose.weighting import Geometric, LastFeature

N, M, STEPS = 4, 2, 9
POINTS = (0.9, 0.5, 0.2, 0.1)
PATH = Path("features.density", POINTS, nudge=0.05)
AXES = (("importance", "weighting.base"), ("start", "path.start"))


def program(path: Path | None = PATH, **parts) -> Program:
    given = {"features": IndependentFeatures(N), "weighting": Geometric(0.8), "objective": Sampled(16)}
    given |= {"optimizer": Adam(0.01), "schedule": Constant(STEPS)}
    return Program(Linear(N, M), **{**given, **parts}, path=path)


def exact(path: Path, steps: int = 200, std: float = 1.0) -> Program:
    parts = {"objective": Exact(), "optimizer": Adam(0.03), "schedule": CosineDecay(steps), "init": Normal(std)}
    return Program(ReLUOutput(2, 1), IndependentFeatures(2), LastFeature(0.3), **parts, path=path)


def called(program: Program) -> dict[str, np.ndarray]:
    keys = jax.random.split(jax.random.key(3))
    return jax.device_get(eqx.filter_jit(program)({}, *keys))


@pytest.fixture(scope="module")
def walk() -> dict[str, np.ndarray]:
    return called(program())


def test_a_walk_is_training_point_by_point(walk):
    """By hand: train at a density, add nudge * normal numbers, train at the next with a fresh optimiser and new keys.

    The same sums, compiled otherwise: equal to rounding (1e-7 a step and point).
    """
    plain = program(None, record=Record(curve=False), axes=(("density", "features.density"),))
    init_key, data_key = jax.random.split(jax.random.key(3))
    model = plain.init(plain.model, key=init_key)
    train = eqx.filter_jit(lambda program, model, key: program.train(model, key))
    for k, point in enumerate(POINTS):
        key = data_key
        if k:
            key, nudge_key = jax.random.split(jax.random.fold_in(jax.random.fold_in(data_key, APART), k))
            keys = jax.random.split(nudge_key)
            W = model.W + 0.05 * jax.random.normal(keys[0], (M, N))
            model = eqx.tree_at(lambda m: (m.W, m.b), model, (W, model.b + 0.05 * jax.random.normal(keys[1], (N,))))
        found = train(plain.at({"density": jnp.float32(point)}), model, key)
        for name in ("W", "b", "loss", "gradient_norm"):
            np.testing.assert_allclose(walk[f"{name}_path"][k], found[name], rtol=2e-5, atol=2e-6)
        model = eqx.tree_at(lambda m: (m.W, m.b), model, (found["W"], found["b"]))


def test_the_first_point_is_a_model_without_a_path(walk):
    alone = called(program(None, features=IndependentFeatures(N, POINTS[0])))
    np.testing.assert_allclose(walk["W_path"][0], alone["W"], rtol=0, atol=1e-6)


def test_the_other_direction_is_the_path_turned_round(walk):
    """Arrays are in the order of the points, whatever the direction; the plain ones are of the last point walked."""
    back = called(program(Path("features.density", POINTS[::-1], start=1, nudge=0.05)))
    for name, array in back.items():
        np.testing.assert_array_equal(array[::-1] if name.endswith("_path") else array, walk[name])
    np.testing.assert_array_equal(walk["W"], walk["W_path"][-1])
    np.testing.assert_array_equal(back["W"], back["W_path"][0])
    assert float(walk["loss"]) == float(walk["loss_path"][-1])


def test_a_saddle_is_left_by_a_nudge_alone():
    """W = 0 is a saddle: its gradient is 0, so that training stays there."""
    points = (0.2, 0.1, 0.05)
    still, pushed = (called(exact(Path("features.density", points, nudge=nudge), std=0.0)) for nudge in (0.0, 1e-3))
    assert not still["W_path"].any() and not pushed["W_path"][0].any()
    assert (np.abs(pushed["W_path"][-1]) > 0.5).any()
    assert pushed["loss_path"][-1] < 0.5 * still["loss_path"][-1]


def test_a_branch_is_followed_past_the_crossing():
    """n = 2, m = 1, r = 0.3: at p = 0.37 the feature is ignored coming from dense, antipodal coming from sparse.

    Its loss when ignored is r (p / 3 - p^2 / 4).
    """
    ds = sweep_grid(exact(Path("features.density", np.geomspace(0.6, 0.1, 15))), {"start": [0, 1], "seed": [1, 2]})
    near = int(np.abs(ds["path_point"].values - 0.37).argmin())
    p = ds["path_point"].values[near]
    norms = np.abs(ds["W_path"].isel(path=near, hidden=0, feature=1))
    assert (norms.sel(start=0) < 1e-3).all() and (norms.sel(start=1) > 0.5).all()
    np.testing.assert_allclose(ds["loss_path"].isel(path=near).sel(start=0), 0.3 * (p / 3 - p**2 / 4), rtol=1e-5)
    np.testing.assert_allclose(ds["loss_path"][..., -1].sel(start=0), ds["loss_path"][..., -1].sel(start=1), rtol=1e-4)


def test_variables_are_those_of_a_real_run(walk):
    variables = program().variables()
    assert {name: (v.shape, v.dtype) for name, v in variables.items()} == {
        k: (a.shape, a.dtype) for k, a in walk.items()
    }
    dims = {name: v.dims for name, v in variables.items()}
    assert dims["W_path"] == ("path", "hidden", "feature") and dims["b_path"] == ("path", "feature")
    assert dims["loss_path"] == dims["gradient_norm_path"] == dims["finite_path"] == ("path",)
    assert dims["W"] == ("hidden", "feature") and dims["loss"] == ()
    assert variables["loss_path"].attributes["long_name"].endswith(", at the points of the path")
    assert variables["W_path"].attributes["long_name"].startswith("weights W;")
    coordinates = program().steps()
    assert list(coordinates) == ["path_point"] and coordinates["path_point"][0] == ("path",)


def test_a_sweep_traces_once_and_neighbours_change_nothing():
    whole = Grid((Axis("importance", (0.5, 0.8, 0.9)), Axis("start", (0.0, 1.0))), (3, 8)).rows()
    once = eqx.debug.assert_max_traces(lambda *given: dataclasses.replace(program(), axes=AXES)(*given), max_traces=1)
    blocks = [whole, whole[::-1], whole[4:5], whole[7:9]]
    arrays = [found for _, found in sweep(once, blocks, tile=Tile(1, 3), devices=jax.devices()[:2])]
    for name, first in arrays[0].items():
        np.testing.assert_array_equal(arrays[1][name], first[::-1])
        np.testing.assert_array_equal(arrays[2][name], first[4:5])
        np.testing.assert_array_equal(arrays[3][name], first[7:9])


def test_labelled_arrays_of_a_path():
    path = Path("weighting.relative", (0.2, 1.0, 3.0))
    start = Program(Linear(3, 2), IndependentFeatures(3), LastFeature(1.0), schedule=Constant(5), path=path)
    ds = sweep_grid(
        dataclasses.replace(start, objective=Sampled(8)), {"sparsity": [0.5, 0.9], "start": [0, 1], "seed": 2}
    )
    assert ds["W_path"].dims == ("sparsity", "start", "seed", "path", "hidden", "feature")
    assert ds["path_point"].dims == ("path",) and ds["path_point"].values.tolist() == [0.2, 1.0, 3.0]
    assert not {"loss_curve", "step"} & set(ds.variables)
    np.testing.assert_allclose(ds["feature_importance_path"][0, 0, 0, :, -1], [0.2, 1.0, 3.0], rtol=1e-6)
    np.testing.assert_allclose(ds["feature_importance"][0, :, 0, -1], [3.0, 0.2], rtol=1e-6)
    np.testing.assert_allclose(ds["norm"], np.linalg.norm(ds["W"], axis=-2), rtol=1e-5)
    model = superpose.model_at(ds, sparsity=0.9, start=1, seed=1)
    np.testing.assert_array_equal(model.W, ds["W_path"].sel(sparsity=0.9, start=1, seed=1).isel(path=0))


def test_a_stored_model_comes_back_with_the_task_of_its_last_point(walk):
    for start, density in ((0, 0.1), (1, 0.9)):
        here = program(Path("features.density", POINTS, start=start))
        model, task = here.restore({}, {name: jnp.asarray(walk[name]) for name in ("W", "b")})
        assert float(task.features.density) == np.float32(density)
        np.testing.assert_array_equal(model.W, walk["W"])


def test_a_run_follows_its_models(tmp_path):
    laboratory.make(tmp_path)
    command = ["experiment=tiny", "path={target: features.density, points: {log: [0.8, 0.1, 4]}, nudge: 0.01}"]
    command += ["+axes.start={target: path.start, points: [0, 1]}", "schedule.steps=6", "model=linear"]
    tree = superpose.run_sweep(command)
    ds = tree["linear"].to_dataset()
    assert ds["loss_path"].dims == ("start", "seed", "path") and "sparsity" not in ds.coords
    np.testing.assert_allclose(ds["path_point"], [0.8, 0.4, 0.2, 0.1], rtol=1e-9)
    before = laboratory.chunks(tmp_path / "outputs/tiny")
    assert laboratory.same(superpose.run_sweep(command), tree)
    assert laboratory.chunks(tmp_path / "outputs/tiny") == before
    grown = superpose.run_sweep([*command, "seed=3"])
    np.testing.assert_array_equal(grown["linear"]["W_path"][:, :2], ds["W_path"])
    with pytest.raises(StoreError, match=r"path\.nudge"):
        superpose.run_sweep([*command, "path.nudge=0.02"])
    with pytest.raises(StoreError, match="path"):
        superpose.run_sweep(["experiment=tiny", "schedule.steps=6", "model=linear"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"points": (0.5,)}, r"`path.points` are at least two finite numbers, got \[0.5\]"),
        ({"points": (0.5, float("nan"))}, "at least two finite numbers"),
        ({"start": 0.5}, "`path.start` is 0 .* or 1 .*, got 0.5"),
        ({"nudge": -1}, "`path.nudge` at least 0, got 0 and -1"),
    ],
)
def test_a_path_refuses(given, message):
    with pytest.raises(ValueError, match=message):
        Path(**{"target": "features.density", "points": POINTS, **given})


@pytest.mark.parametrize("record", [Record((3,)), Record(state=True)])
def test_nothing_of_the_steps_is_kept(record):
    with pytest.raises(ValueError, match=r"kept once at each point.* Leave out record.steps and record.state"):
        program(record=record)


def two_branches(r: float, ends: tuple[float, float], better: float = 1.0) -> xr.DataTree:
    """Walks with the closed forms' losses: antipodal below a density, which is another one when coming from there; the
    antipodal loss is `better` times its closed form."""
    p = np.linspace(0.9, 0.05, 400)
    antipodal = np.stack([p < end for end in ends])
    loss = np.where(antipodal, better * theory.antipodal_loss(p, 1, r), theory.dropped_loss(p, r))
    W = np.stack([np.ones_like(loss), -antipodal.astype(float)], -1)
    data = {
        "loss_path": (("start", "seed", "path"), loss[:, None]),
        "loss": (("start", "seed"), loss[:, None, 0]),
        "W_path": (("start", "seed", "path", "hidden", "feature"), W[:, None, :, None]),
    }
    coords = {"start": [0.0, 1.0], "seed": [0], "importance": r, "path_point": ("path", p)}
    return xr.DataTree.from_dict({"relu": xr.Dataset(data, coords)})


def test_the_crossing_of_two_branches():
    """r (p / 3 - p^2 / 4) = (1 + r) p^2 / 6 at p = 4 r / (2 + 5 r); d ln L / d ln p is 1 - p / (4 / 3 - p) and 2."""
    experiment = load_experiment(File(__file__).parent.parent / "experiments/phase_change_path.py")
    r, p = 0.3, 1.2 / 3.5
    verdicts = lambda ends: [claim.check(two_branches(r, ends)) for claim in experiment.claims]
    first, jump, hysteresis, denser, symmetric = verdicts((0.25, 0.4))
    assert [each.holds for each in (first, jump, hysteresis, denser, symmetric)] == [True, True, True, False, None]
    assert first.measured == f"r = 0.3: at p = {p:.3f} with {1 - p / (4 / 3 - p):.2f} and 2.00"
    assert jump.measured == "r = 0.3: 0.00 to 1.00" and denser.measured == "r = 0.3: 1.000"
    low, high = (float(word.rstrip(",")) for word in hysteresis.measured.split()[5:8:2])
    assert (low, high) == pytest.approx((0.25, 0.4), abs=0.0016)  # half a step of the path, and three digits
    assert [each.holds for each in verdicts((p, p))] == [False, False, False, False, None]
    step = 0.85 / 399  # the path's: two points on either side are not several
    assert verdicts((p - 2.5 * step, p + 2.5 * step))[2].holds is False
    assert verdicts((p - 4 * step, p + 4 * step))[2].holds is True
    # r (p / 3 - p^2 / 4) = 0.9 (1 + r) p^2 / 6
    higher = [claim.check(two_branches(r, (0.25, 0.4), 0.9)) for claim in experiment.claims]
    assert higher[3].holds is True and float(higher[3].measured.split()[-1]) == pytest.approx(0.1 / 0.27 / p, abs=0.001)
    assert experiment.figure(two_branches(r, (0.25, 0.4))).axes
    assert experiment.figure(xr.DataTree()).axes and experiment.claims[0].check(xr.DataTree()).holds is None
