"""Tables that become one, and models that are taken out of one."""

import os
import sys

import laboratory
import numpy as np
import pytest
from test_store import IDENTITY, NORM, contents, fill, grid, new, toy, train

import superpose
from superpose import cli, work
from superpose.grid import Axis, Grid, Tile
from superpose.store import Busy, DamageError, Store, StoreError, drop, files, load, merge, write_arrays

HERE, THERE = grid((0.1, 0.5), 3).rows(), grid((0.5, 0.9), 5).rows()


def filled(path, rows, **changes) -> Store:
    store = new(path, **changes)
    fill(store, rows)
    return store


def test_a_merged_table_holds_the_models_of_both(tmp_path):
    filled(tmp_path / "here", HERE), filled(tmp_path / "there", THERE)
    before = contents(tmp_path)
    assert merge(tmp_path / "both", [tmp_path / "here", tmp_path / "there"]) == {"relu": 6 + 7}  # 3 are in both
    assert {path: data for path, data in contents(tmp_path).items() if "both" not in path} == before
    for rows, name in ((HERE, "here"), (THERE, "there")):
        points = {"sparsity": np.unique(rows.values), "seed": np.unique(rows.seeds)}
        assert (
            load(tmp_path / "both")["relu"].to_dataset().sel(points).equals(load(tmp_path / name)["relu"].to_dataset())
        )
    assert Store.open(tmp_path / "both").missing("relu", HERE) == [] and not Store.open(tmp_path / "both").damage(
        "relu"
    )
    assert load(tmp_path / "both/arrays.zarr").equals(load(tmp_path / "both"))
    assert merge(tmp_path / "both", [tmp_path / "here", tmp_path / "there"]) == {"relu": 0}


def test_a_block_of_which_a_part_was_brought_is_completed(tmp_path):
    """The target has entered what the source trained, in other blocks: a run trains what is still missing."""
    filled(tmp_path / "here", HERE)
    both = new(tmp_path / "both")
    both.plan("relu", grid((0.1, 0.5), 5).rows())
    assert merge(both.path, [tmp_path / "here"]) == {"relu": 6}
    assert both.count_done("relu") == (6, 10) and both.count_unmeasured("relu") == 0
    fill(both, grid((0.1, 0.5), 5).rows())
    assert load(both.path)["relu"].equals(load(filled(tmp_path / "alone", grid((0.1, 0.5), 5).rows()).path)["relu"])


def test_what_the_target_has_is_kept_and_each_model_keeps_its_origin(tmp_path):
    here, both = new(tmp_path / "here"), filled(tmp_path / "both", HERE)
    here.plan("relu", THERE)
    for block in here.missing("relu", THERE):
        here.write("relu", block, {name: -array for name, array in train(here.rows("relu", block)).items()})
        here.record("relu", block, {"device": "gpu"})
    both.record("relu", 0, {"device": "cpu"})
    assert merge(both.path, [here.path]) == {"relu": 7}
    counts = {note["device"]: count for note, count in both.origins("relu")}
    assert counts == {"cpu": both.table("relu").used(0), "gpu": 7} and both.count_unmeasured("relu") == 7
    loss = load(both.path)["relu"].loss
    assert (loss.sel(sparsity=0.5, seed=[0, 1, 2]) < 0).all() and (loss.sel(sparsity=0.9) > 0).all()


@pytest.mark.parametrize("call", range(1, 40, 3))
def test_an_end_at_any_file_leaves_what_the_same_call_completes(tmp_path, monkeypatch, call):
    filled(tmp_path / "here", HERE), filled(tmp_path / "both", THERE)
    real, left = os.replace, [call]

    def replace(source, target):
        left[0] -= 1
        if not left[0]:
            raise RuntimeError
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "replace", replace)
        try:
            merge(tmp_path / "both", [tmp_path / "here"])
        except RuntimeError:
            found = load(tmp_path / "both")["relu"].to_dataset()
            assert found.sel(sparsity=[0.5, 0.9]).equals(
                load(filled(tmp_path / "alone", THERE).path)["relu"].to_dataset()
            )
    merge(tmp_path / "both", [tmp_path / "here"])
    assert load(tmp_path / "both")["relu"].loss.notnull().sum() == 13


def test_models_are_found_by_what_they_are(tmp_path):
    """Two variants, one of which has no rows, axes in another order, and points that are one in float32."""
    near, identity = float(np.nextafter(0.9, 1)), {**IDENTITY, "linear": {}}
    names = {"here": ("sparsity", "importance"), "there": ("importance", "sparsity")}
    for name, axes in names.items():
        store = Store.create(tmp_path / name, identity, {"relu": toy(axes=axes), "linear": toy(axes=axes)})
        points = {"sparsity": (near if name == "there" else 0.9, 0.1), "importance": (2.0, 3.0)}
        fill(store, Grid(tuple(Axis(axis, points[axis]) for axis in axes), (0, 1 if name == "here" else 2)).rows())
    merge(tmp_path / "both", [tmp_path / "here"])
    assert merge(tmp_path / "both", [tmp_path / "there"]) == {"relu": 4, "linear": 0}
    both = load(tmp_path / "both")["relu"].to_dataset()
    assert both.sparsity.values.tolist() == [0.1, 0.9] and both.loss.notnull().all()
    there = load(tmp_path / "there")["relu"].to_dataset().transpose(*both.dims)
    assert (both.W.sel(seed=2).values == there.W.sel(seed=2).values).all()


def test_a_measure_that_is_not_brought_is_lacking(tmp_path):
    """A dropped model's own measure does not come back with weights from elsewhere."""
    here, both = new(tmp_path / "here"), filled(tmp_path / "both", HERE)
    fill(here, HERE)
    here.set_part("relu", "geometry", NORM, "2")
    drop(both.path, {"seed": [1]})
    assert merge(both.path, [here.path]) == {"relu": 2} and both.count_unmeasured("relu") == 2
    assert load(both.path)["relu"].norm.sel(seed=1).isnull().all()


def test_a_forged_source_is_refused_in_words(tmp_path):
    """It says that unused rows are done, and names an origin that it does not note; its settings are a link."""
    here = filled(tmp_path / "here", HERE)
    table = here.table("relu")
    for block in range(table.blocks):
        table.write("done", block, np.ones(4, bool))
    assert merge(tmp_path / "both", [here.path]) == {"relu": 6}
    assert load(tmp_path / "both")["relu"].seed.values.tolist() == [0, 1, 2]
    table.write("origin", 0, np.full(4, 7, np.int16))
    with pytest.raises(StoreError, match="does not describe"):
        merge(tmp_path / "other", [here.path])
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "here/config.yaml").symlink_to(tmp_path / "mine")
    with pytest.raises(StoreError, match="is a link"):
        merge(tmp_path / "third", [here.path])
    assert not (tmp_path / "third").exists() or not list((tmp_path / "third").iterdir())


def test_other_steps_are_other_arrays(tmp_path):
    sources = [filled(tmp_path / str(k), HERE, coordinates={"step": (("step",), np.arange(3) + k)}) for k in (0, 1)]
    with pytest.raises(StoreError, match="other arrays"):
        merge(tmp_path / "both", [store.path for store in sources])


def test_the_settings_of_a_merge_that_was_killed_are_there(tmp_path, monkeypatch):
    here = filled(tmp_path / "here", HERE)
    (tmp_path / "here/config.yaml").write_text("root: here\n")
    real = Store.create

    def killed(*args: object) -> None:
        real(*args)
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(Store, "create", killed)
        with pytest.raises(ZeroDivisionError):
            merge(tmp_path / "both", [here.path])
    merge(tmp_path / "both", [here.path])
    assert (tmp_path / "both/config.yaml").read_text() == "root: here\n"


def test_tables_that_no_run_could_have_made_together_are_refused(tmp_path):
    here = filled(tmp_path / "here", HERE)
    other = Store.create(tmp_path / "other", {"relu": {"model": {"kind": "relu", "n": 6}}}, {"relu": toy()})
    with pytest.raises(StoreError, match=r"relu.model.n: the table has 5, the other 6") as error:
        merge(tmp_path / "both", [here.path, other.path])
    assert "type name" not in str(error.value).lower() and not (tmp_path / "both").exists()
    tiles = filled(tmp_path / "tiles", HERE, tile=Tile(1, 4))
    with pytest.raises(StoreError, match=r"tiles of 2 models, .* of 4: .* rounded"):
        merge(here.path, [tiles.path])
    with pytest.raises(StoreError, match="merged into"):
        merge(here.path, [here.path])
    with pytest.raises(StoreError, match="is not there"):
        merge(here.path, [tmp_path / "nothing"])
    with here.lock_shard(0, 2), pytest.raises(Busy):
        merge(here.path, [filled(tmp_path / "there", THERE).path])


def test_a_damaged_source_is_named_and_nothing_wrong_is_brought(tmp_path):
    here = filled(tmp_path / "here", HERE)
    chunk = here.table("relu").chunk_path("W", 0)
    chunk.write_bytes(chunk.read_bytes()[:-5])
    with pytest.raises(DamageError, match=chunk.name):
        merge(tmp_path / "both", [here.path])
    assert Store.open(tmp_path / "both").count_done("relu")[0] == 0


def test_dropped_models_are_not_loaded_and_come_back_when_asked_for(tmp_path):
    store = filled(tmp_path, THERE)
    before, weights = load(tmp_path), contents(store.path / "relu/W")
    assert drop(tmp_path, {"sparsity": [0.9], "seed": [0, 3]}) == {"relu": 2}
    after = load(tmp_path)["relu"]
    assert after.loss.sel(sparsity=0.9, seed=[0, 3]).isnull().all() and after.loss.notnull().sum() == 8
    assert contents(store.path / "relu/W") == weights
    assert drop(tmp_path, {"sparsity": [0.5]}) == {"relu": 5}
    others = [k for k in range(len(THERE)) if THERE.values[k, 0] == 0.9 and THERE.seeds[k] not in (0, 3)]
    assert store.missing("relu", THERE[np.array(others)]) == []
    fill(store, THERE)
    assert load(tmp_path).equals(before)


def test_a_drop_that_was_killed_is_completed_by_the_same_call(tmp_path, monkeypatch):
    """It had cleared every flag; the labelled arrays still hold the models."""
    filled(tmp_path, THERE)
    write_arrays(tmp_path, tmp_path / "arrays.zarr")
    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["superpose.store.drop"], "write_arrays", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            drop(tmp_path, {"seed": [3]})
    assert drop(tmp_path, {"seed": [3]}) == {"relu": 0}
    assert 3 not in load(tmp_path / "arrays.zarr")["relu"].seed


def test_points_of_one_axis_may_be_several_words():
    assert cli.points_of(["seed=0", "seed=[2,3]", "sparsity=0.5"]) == {"seed": [0, 2, 3], "sparsity": [0.5]}


def test_models_that_are_not_there_cannot_be_dropped(tmp_path):
    store = filled(tmp_path, THERE)
    with pytest.raises(StoreError, match=r"sparsity: 0.8 was asked, trained are 0.5, 0.9"):
        drop(tmp_path, {"sparsity": [0.8]})
    with pytest.raises(StoreError, match=r"named by sparsity, seed, got importance"):
        drop(tmp_path, {"importance": [1.0]})
    with store.lock_shard(0, 2), pytest.raises(Busy):
        drop(tmp_path, {"seed": [0]})


def test_runs_of_two_machines_become_the_run_of_one(tmp_path, capsys):
    """By the command line: each trains its shard in a store of its own; the merged one equals a single run's."""
    laboratory.make(tmp_path)
    levels = ["experiment=tiny", "sparsity=[0.0,0.5,0.9]", "seed=4", "compute.block=2"]
    for shard, name in enumerate(["here", "there"]):
        superpose.run_sweep([*levels, f"name={name}", f"compute.shard={shard}", "compute.shards=2"])
    assert cli.main(["merge", "outputs/both", "outputs/here", "outputs/there"]) == 0
    told = capsys.readouterr().out
    assert "linear: 12 models brought" in told and "complete" in told
    alone = superpose.run_sweep([*levels, "name=alone"])
    assert laboratory.same(superpose.load("outputs/both"), alone)
    assert cli.main(["measure", "outputs/both"]) == 0 and cli.main(["verify", "outputs/both"]) == 0
    assert cli.main(["drop", "outputs/both", "sparsity=0.5", "seed=1,2"]) == 0
    assert "linear: 2 models dropped" in capsys.readouterr().out
    assert cli.main(["status", "outputs/both"]) == 3
    assert superpose.load("outputs/both/arrays.zarr")["linear"].loss.isnull().sum() == 2
    assert laboratory.same(superpose.run_sweep([*levels, "name=both"]), alone)
    assert cli.main(["drop", "outputs/both", "sparsity"]) == 2
    assert "`sparsity` names no models" in capsys.readouterr().err


def test_another_jax_is_told_and_each_model_keeps_what_it_was_trained_with(tmp_path, capsys, monkeypatch):
    laboratory.make(tmp_path)
    first = superpose.run_sweep(["experiment=tiny", "seed=2"])
    monkeypatch.setattr(work.jax, "__version__", "99.0")
    from superpose import command

    assert command.main(["experiment=tiny", "seed=4"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "warning: models there were trained with jax" in told and "(now 99.0)" in told
    assert cli.main(["status", "outputs/tiny"]) == 0
    told = capsys.readouterr().out
    assert told.count("2 models were trained with") == 2 and "99.0" in told
    both = superpose.load("outputs/tiny")["linear"].to_dataset()
    assert both.isel(seed=[0, 1]).equals(first["linear"].to_dataset())
