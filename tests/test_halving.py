"""A tile that does not fit in memory: halved before anything is done, afterwards an error that says what to type."""

from collections.abc import Callable
from pathlib import Path

import jax
import laboratory
import numpy as np
import pytest
import xarray as xr
from effort import tries

import superpose
from superpose import command, sweep
from superpose.arguments import InputError
from superpose.store import Store, grow

GRID = ["experiment=tiny", "sparsity.density=[1,.9,.8,.7,.6,.5,.4,.3]", "schedule.steps=5", "record.curve=false"]


@pytest.fixture(autouse=True)
def lab(tmp_path):
    return laboratory.make(tmp_path)


def run(*overrides: str) -> xr.DataTree:
    return superpose.run_sweep([*GRID, *overrides])


def memory_of(monkeypatch: pytest.MonkeyPatch, models: int, when: str) -> list[int]:
    """Devices on which a tile of more models raises what XLA raises, when it compiles or runs; the tiles tried."""
    compiling, tried = sweep._compile, []

    def full(inputs: tuple) -> None:
        (own, *_) = jax.tree.leaves(inputs[0])
        if own.shape[1] * own.shape[2] > models:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8589934592 bytes.")

    def _compile(function: Callable, inputs: tuple, compiled: dict, key: str) -> float:
        (own, *_) = jax.tree.leaves(inputs[0])
        tried.append(own.shape[1] * own.shape[2])
        if when == "compiles":
            full(inputs)
        seconds = compiling(function, inputs, compiled, key)
        made = compiled[key]
        compiled[key] = lambda *given: full(given) or made(*given)
        return seconds

    monkeypatch.setattr(sweep, "_compile", _compile)
    return tried


@pytest.mark.faults
@pytest.mark.parametrize("when", ["compiles", "runs"])
def test_a_tile_is_halved_until_it_fits(tmp_path, monkeypatch, when):
    """The store keeps the tile that fits, every later run trains with it, and the numbers are those of that tile."""
    straight = run("compute.tile=2", "name=straight", "seed=1")
    tried = memory_of(monkeypatch, 3, when)
    halved = run("compute.tile=8", "seed=1")
    assert tried == [8, 4, 2] and laboratory.same(halved, straight)
    assert Store.open("outputs/tiny").schema("linear").tile.models == 2
    log = (tmp_path / "outputs/tiny/run.log").read_text()
    assert "Tiles of 8 models do not fit" in log and "laid out anew in tiles of 2" in log
    grown = run("compute.tile=8", "seed=2")
    assert tried == [8, 4, 2, 2] and grown["linear"].sizes["seed"] == 2
    assert np.array_equal(grown["linear"]["W"].sel(seed=0), halved["linear"]["W"].sel(seed=0))


@pytest.mark.faults
def test_once_models_are_done_the_tile_stays(monkeypatch):
    before = run("compute.tile=8", "seed=1")
    told = r"keeps its tile.* compute.tile=4 name=ANOTHER"
    with monkeypatch.context() as patch, pytest.raises(InputError, match=told):
        memory_of(patch, 3, "runs")
        run("seed=2")
    assert laboratory.same(superpose.load("outputs/tiny").sel(seed=[0]), before)
    assert run("seed=2")["linear"].to_dataset()["finite"].all()


@pytest.mark.faults
def test_a_table_that_another_shard_holds_stays(monkeypatch):
    memory_of(monkeypatch, 3, "runs")
    shards = ["seed=2", "compute.tile=8", "compute.shards=2"]
    with (
        pytest.raises(InputError, match=r"alone with the table.* compute.tile=4 name=ANOTHER"),
        monkeypatch.context() as patch,
    ):
        patch.setattr(grow, "plan", held(grow.plan))
        run(*shards)
    run(*shards)
    assert run(*shards, "compute.shard=1")["linear"].to_dataset()["finite"].all()
    assert Store.open("outputs/tiny").schema("linear").tile.models == 2


def held(plan: Callable) -> Callable:
    """`grow.plan`, after which another process holds shard 1 of 2; it is released when the test ends."""
    locks = []

    def planned(table: grow.Table, rows: grow.Rows) -> None:
        plan(table, rows)
        if not locks:
            other = Path(table.path.parent.parent) / ".locks" / "shard-1-of-2.json"
            other.write_text('{"host": "another", "pid": 1, "start": "now"}')
            locks.append(superpose.store.locks.FileLock(other.with_suffix(".lock")))
            locks[0].acquire()

    return planned


def test_not_even_one_model_fits(monkeypatch):
    memory_of(monkeypatch, 0, "compiles")
    with pytest.raises(InputError, match=r"Tiles of 1 models do not fit.* smaller objective.batch"):
        run("compute.tile=2", "seed=1")


@pytest.mark.faults
@pytest.mark.parametrize("moment", [0, 7, 15, 23][:: tries(1, 2)])
def test_a_table_that_is_being_laid_out_can_be_lost_at_any_moment(monkeypatch, moment):
    """Stopped before the array of that number goes, the same command ends with the same numbers."""
    straight = run("compute.tile=2", "name=straight", "seed=1")
    memory_of(monkeypatch, 3, "compiles")
    removing, count = grow.remove, iter(range(1000))

    def remove(folder: Path) -> None:
        if next(count) == moment:
            raise KeyboardInterrupt
        removing(folder)

    with pytest.raises(KeyboardInterrupt), monkeypatch.context() as patch:
        patch.setattr(grow, "remove", remove)
        run("compute.tile=8", "seed=1")
    assert laboratory.same(run("compute.tile=8", "seed=1"), straight)


def test_a_sweep_in_memory_says_what_to_give(monkeypatch):
    memory_of(monkeypatch, 3, "runs")
    program = superpose.Program(
        superpose.Linear(4, 2), superpose.IndependentFeatures(4), schedule=superpose.Constant(2)
    )
    with pytest.raises(sweep.DoesNotFit, match=r"Tiles of 4 models do not fit .* Give a smaller tile=2"):
        superpose.sweep_grid(program, {"sparsity": [0.0, 0.3, 0.6, 0.9]}, tile=4)


def test_a_full_memory_of_the_machine_is_told(monkeypatch, capsys):
    def allocate(*_: object) -> None:
        np.empty(2**62, np.int8)

    monkeypatch.setattr("superpose.work.write", allocate)
    assert command.main([*GRID, "seed=1"]) == 1
    told = capsys.readouterr().err
    assert "The machine's memory is full (Unable to allocate" in told and "Traceback" not in told
