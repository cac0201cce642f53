"""Whole runs: growth, shards, continuing, repair, measuring again. What is trained once is never trained again."""

import errno
import os

import laboratory
import numpy as np
import pytest
import xarray as xr
import yaml

import superpose
from superpose import app, arguments, config, store, work
from superpose.record import log_spaced
from superpose.store import DamageError, StoreError

LEVELS = "sparsity=[0.0,0.5,0.9]"


@pytest.fixture(autouse=True)
def lab(tmp_path):
    return laboratory.make(tmp_path)


def run(*overrides: str) -> xr.DataTree:
    return superpose.run_sweep(["experiment=tiny", *overrides])


def test_a_run_ends_with_arrays_figure_settings_and_log(tmp_path):
    tree = run(LEVELS)
    folder = tmp_path / "outputs" / "tiny"
    assert sorted(path.name for path in folder.iterdir() if path.name[0] != ".") == [
        "arrays.zarr", "config.yaml", "figure.png", "figure.svg", "models.zarr", "run.log",
    ]  # fmt: skip
    arrays = xr.open_datatree(folder / "arrays.zarr", engine="zarr")
    assert laboratory.same(tree, arrays)
    assert tree["linear"]["W"].dims == ("sparsity", "seed", "hidden", "feature")
    assert tree["linear"].sizes == {"sparsity": 3, "seed": 2, "hidden": 2, "feature": 4, "step": len(log_spaced(40))}
    assert np.allclose(tree["linear"]["density"], [1.0, 0.5, 0.1])
    assert float(tree["linear"]["importance"]) == 0.7 and float(tree["linear"]["weight_decay"]) == 0.01
    assert np.allclose(tree["linear"]["bias_sum"], tree["linear"]["b"].sum("feature"), atol=1e-6)
    model = superpose.model_at(tree["linear"], sparsity=0.5, seed=1)
    assert np.array_equal(model.W, tree["linear"]["W"].sel(sparsity=0.5, seed=1))


@pytest.mark.parametrize("steps", ["{linear: [0, 40, 5]}", "[0, 10, 20, 30, 40]"])
def test_an_experiment_says_at_which_steps_weights_are_recorded(tmp_path, steps):
    laboratory.make(tmp_path, yaml=f"{laboratory.YAML}record: {{ preset: {steps} }}\n")
    every = tuple(log_spaced(40, 64))
    for typed, wanted in (
        ([], (0, 10, 20, 30, 40)),
        (["record.steps=[5]"], (5,)),
        (["record.steps=99999999999"], every),
    ):
        words = ["experiment=tiny", *typed]
        with config.session(words):
            program = config.build(words, start=lambda compute: None).variants["linear"].program
        assert program.record.snapshots == wanted


def test_an_animation_lies_beside_the_figure(tmp_path):
    """An experiment may have none to show."""
    moves = "from matplotlib.animation import FuncAnimation\n\n\ndef moves(tree):\n"
    moves += (
        "    return FuncAnimation(figure(tree), lambda k: [], frames=2, init_func=lambda: []) if tree else None\n\n\n"
    )
    made = laboratory.MODULE.replace("experiment = Experiment(", moves + "experiment = Experiment(animation=moves, ")
    made = made.replace("Experiment(animation=moves, figure, (", "Experiment(figure, animation=moves, claims=(")
    made = made.replace("trained),), measure, {", "trained),), measure=measure, dims={")
    laboratory.make(tmp_path, module=made)
    run("seed=1")
    assert (tmp_path / "outputs/tiny/animation.gif").read_bytes()[:6] == b"GIF89a"
    laboratory.make(tmp_path, module=made.replace("if tree else", "if not tree else"))
    (tmp_path / "outputs/tiny/animation.gif").unlink()
    run("seed=1")
    assert not (tmp_path / "outputs/tiny/animation.gif").exists()


def test_the_same_command_again_trains_nothing(tmp_path):
    run(LEVELS)
    before = laboratory.chunks(tmp_path / "outputs/tiny")
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "outputs/tiny/models.zarr").rglob("c.*")}
    (tmp_path / "outputs/tiny/figure.png").unlink()
    run(LEVELS)
    assert laboratory.chunks(tmp_path / "outputs/tiny") == before
    assert all(path.stat().st_mtime_ns == then for path, then in times.items())
    assert (tmp_path / "outputs/tiny/figure.png").exists()


def test_levels_between_old_ones_and_more_seeds_leave_the_old_models_as_they_are(tmp_path):
    small = run("sparsity=[0.0,0.9]")
    before = laboratory.chunks(tmp_path / "outputs/tiny")
    grown = run("sparsity=[0.0,0.5,0.9]", "seed=3")
    after = laboratory.chunks(tmp_path / "outputs/tiny")
    assert before.items() <= after.items() and len(after) > len(before)
    assert grown["linear"].sizes["sparsity"] == 3 and grown["linear"].sizes["seed"] == 3
    old = grown["linear"].to_dataset().sel(sparsity=[0.0, 0.9], seed=[0, 1])
    assert np.array_equal(old["W"], small["linear"]["W"])
    straight = run("sparsity=[0.0,0.5,0.9]", "seed=3", "name=straight", "compute.tile=2")
    assert np.array_equal(straight["linear"]["W"], grown["linear"]["W"])


def test_shards_and_blocks_change_no_number():
    whole = run(LEVELS, "seed=4", "name=whole")
    for shard in (1, 0):
        execute = (LEVELS, "seed=4", "name=shards", "compute.block=3", f"compute.shard={shard}", "compute.shards=2")
        tree = run(*execute)
    assert laboratory.same(whole, tree)


@pytest.mark.slow
def test_devices_change_no_number():
    trees = [run(LEVELS, f"name=on{k}", f"compute.devices={k}") for k in (1, 2, 4)]
    assert laboratory.same(trees[0], trees[1]) and laboratory.same(trees[0], trees[2])


@pytest.mark.slow
def test_a_run_with_recorded_state_continues_to_the_bit(tmp_path, monkeypatch):
    more = (LEVELS, "record.state=true", "record.steps=[0,10,40]")
    run(*more, "name=a", "seed=3")
    real, resumed = work.sweep, []
    with monkeypatch.context() as watched:
        watched.setattr(work, "sweep", lambda *args, **how: resumed.append("states" in how) or real(*args, **how))
        continued = run(*more, "name=a", "schedule.steps=70", "seed=3")
    assert resumed == [True]  # no model started from nothing
    straight = run(*more, "name=b", "schedule.steps=70", "seed=3")
    assert laboratory.same(continued, straight)
    assert (tmp_path / "outputs/a/models-40.zarr").is_dir()
    assert laboratory.same(run(*more, "name=a", "schedule.steps=70", "seed=3"), straight)
    grown = run(*more, "name=a", "schedule.steps=70", "seed=4")
    assert laboratory.same(grown, run(*more, "name=b", "schedule.steps=70", "seed=4"))


@pytest.mark.slow
def test_a_damaged_run_is_mended_before_it_is_continued(tmp_path):
    run(LEVELS, "record.state=true", "name=a")
    (chunk,) = (tmp_path / "outputs/a/models.zarr/linear/W").glob("c.*")
    chunk.write_bytes(chunk.read_bytes()[:-3])
    with pytest.raises(DamageError, match="repair=true"):
        run(LEVELS, "record.state=true", "name=a", "schedule.steps=70")
    mended = run(LEVELS, "record.state=true", "name=a", "schedule.steps=70", "repair=true")
    assert laboratory.same(mended, run(LEVELS, "record.state=true", "name=b", "schedule.steps=70"))


@pytest.mark.slow
def test_more_steps_without_the_state_are_refused():
    run(LEVELS)
    with pytest.raises(StoreError, match="only if the optimiser's state was recorded"):
        run(LEVELS, "schedule.steps=70")
    with pytest.raises(StoreError, match=r"schedule\.steps"):
        run(LEVELS, "schedule.steps=30")
    run(LEVELS, "name=c", "schedule=cosine", "record.state=true")
    with pytest.raises(StoreError, match="Only schedule=constant"):
        run(LEVELS, "name=c", "schedule=cosine", "record.state=true", "schedule.steps=70")


def test_another_identity_is_refused_with_the_keys_that_differ():
    run(LEVELS)
    with pytest.raises(StoreError, match=r"model\.m") as error:
        run(LEVELS, "model.m=3")
    assert "name=" in str(error.value)
    with pytest.raises(arguments.InputError, match="a store keeps its own"):
        run(LEVELS, "compute.tile=1")


def test_a_damaged_chunk_is_named_and_trained_again_when_asked(tmp_path):
    good = run(LEVELS)
    (chunk,) = (tmp_path / "outputs/tiny/models.zarr/linear/W").glob("c.*")
    data = bytearray(chunk.read_bytes())
    data[len(data) // 2] ^= 1
    chunk.write_bytes(bytes(data))
    with pytest.raises(DamageError, match=r"linear/W/c\.0"):
        run(LEVELS)
    assert laboratory.same(run(LEVELS, "repair=true"), good)
    chunk.unlink()
    with pytest.raises(DamageError, match=r"linear/W/c\.0"):
        superpose.load("outputs/tiny")
    assert laboratory.same(run(LEVELS, "repair=true"), good)


def test_a_full_disk_is_said_and_the_same_command_continues(monkeypatch):
    real, left = os.fsync, [60]

    def fsync(descriptor: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(StoreError, match="No space left"):
        run(LEVELS)
    monkeypatch.setattr(os, "fsync", real)
    assert laboratory.same(run(LEVELS), run(LEVELS, "name=quiet"))


def test_measures_are_filled_in_without_training(lab):
    before = run(LEVELS)
    chunk = laboratory.chunks(lab / "outputs/tiny")
    newer = laboratory.MODULE.replace("jnp.sum(model.b)", "2 * jnp.sum(model.b)").replace(
        '{"bias_sum": ()}', '{"bias_sum": ()}, "2"'
    )
    laboratory.make(lab, module=newer)
    assert app.measure_again(lab / "outputs/tiny") == 1
    after = store.load(lab / "outputs/tiny")
    assert np.allclose(after["linear"]["bias_sum"], 2 * before["linear"]["bias_sum"], atol=1e-6)
    weights = {name: data for name, data in chunk.items() if "/W/" in name or "/b/" in name}
    assert weights.items() <= laboratory.chunks(lab / "outputs/tiny").items()
    assert app.measure_again(lab / "outputs/tiny") == 0


def test_a_plan_writes_nothing(tmp_path):
    assert not run("plan=true").children
    assert not (tmp_path / "outputs").exists()


def test_a_figure_that_fails_is_told_and_the_models_are_kept(lab):
    laboratory.make(lab, module=laboratory.MODULE.replace('["loss"]', '["lost"]'))
    with pytest.raises(RuntimeError, match=r"trained and kept.*tiny\.py: KeyError"):
        run(LEVELS)
    laboratory.make(lab)
    assert run(LEVELS)["linear"]["finite"].all()


def test_the_settings_are_those_of_the_command_and_no_shards(lab):
    """Every task would write them, one after another; what the first wrote stays."""
    words = (LEVELS, "compute.block=3", "compute.shards=2")
    run(*words, "compute.shard=1")
    settings = lab / "outputs/tiny/config.yaml"
    before, found = settings.stat().st_mtime_ns, yaml.safe_load(settings.read_text())
    assert "compute.shards=2" in found["overrides"] and "shard" not in found["compute"]
    run(*words, "compute.shard=0")
    assert settings.stat().st_mtime_ns == before
    run(*words, "compute.shard=0", "plan=false")
    assert "plan=false" in yaml.safe_load(settings.read_text())["overrides"]


def test_measures_that_a_killed_shard_left_out_are_filled_in_by_the_last(lab):
    words = (LEVELS, "compute.block=3", "compute.shards=2")
    run(*words, "compute.shard=0")
    table = store.Store.open(lab / "outputs/tiny")
    (chunk,) = (table.path / "linear/geometry_done").glob("c.0*")
    chunk.unlink()
    tree = run(*words, "compute.shard=1")
    assert tree["linear"]["norm"].notnull().all()


def test_a_diverged_model_is_data_and_its_neighbours_are_untouched():
    alone = run("learning_rate=[1e-3]", "name=alone", "compute.tile=2")
    beside = run("learning_rate=[1e-3,1e30]", "name=beside")
    assert beside["linear"]["finite"].values[0, 0].all() and not beside["linear"]["finite"].values[0, 1].any()
    assert np.array_equal(beside["linear"]["W"].values[0, 0], alone["linear"]["W"].values[0], equal_nan=True)
