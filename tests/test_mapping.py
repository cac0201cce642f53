"""Whole runs of adaptive maps: levels, growth, interruptions and refusals. Phase 1 lies below a line across the map."""

import io

import laboratory
import numpy as np
import pytest
import xarray as xr
from rich.console import Console
from test_refining import refined

import superpose
from superpose import app, labels, mapping, store, work
from superpose.arguments import InputError
from superpose.grid import Axis, Grid, Rows
from superpose.refining import NO_PHASE, UNTRAINED
from superpose.store import StoreError

EXPERIMENT = """

def phase(ds):
    best = superpose.statistics.best(ds)
    assert best.loss.dims == ("cell",) and best.W.dims == ("cell", "hidden", "feature") and "loss_curve" not in ds
    assert best.sparsity.dims == best.density.dims == ("cell",) and best.weight_decay.ndim == 0
    return (best.importance < 0.75 + 0.15 * best.sparsity).astype("int8")


experiment = Experiment(figure, phase=phase)
"""
MODULE = laboratory.MODULE.rpartition("experiment = ")[0].replace("import jax\n", "import superpose\nimport jax\n", 1)
WORDS = ("experiment=tiny", "sparsity=[0.0,0.9]", "importance=[0.5,1.0]", "schedule.steps=5", "record.steps=[5]")
VARIABLES: dict = {}  # of the one program of these tests
SPARSITY, IMPORTANCE = np.linspace(0, 0.9, 17), np.linspace(0.5, 1.0, 17)
EXPECTED = refined((0.75 + 0.15 * SPARSITY[:, None] > IMPORTANCE).astype(int))[0] != UNTRAINED


@pytest.fixture
def lab(tmp_path):
    return laboratory.make(tmp_path, module=MODULE + EXPERIMENT)


@pytest.fixture
def quick(lab, monkeypatch):
    """The run's folder, where models are not trained: every number of one is a sum of its coordinates and seed."""

    def sweep(program, blocks, *, on_compile, on_models, **how):
        VARIABLES.update(VARIABLES or program.variables())
        on_compile(0.0)
        for place, rows in enumerate(blocks):
            number, rate = rows.values.sum(1) + rows.seeds, rows.values[:, rows.axes.index("learning_rate")]
            arrays = {name: np.ones((len(rows), *v.shape), v.dtype) for name, v in VARIABLES.items()}
            arrays = {name: (array.T * number.astype(array.dtype)).T for name, array in arrays.items()}
            on_models(len(rows))
            yield place, {**arrays, "finite": rate < 1}

    monkeypatch.setattr(work, "sweep", sweep)
    return lab


def run(*more: str) -> xr.DataTree:
    return superpose.run_sweep([*WORDS, "refine=16", *more])


def trained(tree: xr.DataTree) -> np.ndarray:
    """Which points of the map of 16 are trained, every one by all seeds."""
    ds = tree["linear"].to_dataset()
    there, seeds = np.zeros((17, 17), bool), ds.loss.notnull().transpose("seed", ...).values
    lines = ((ds.sparsity, SPARSITY), (ds.importance, IMPORTANCE))
    there[np.ix_(*(np.abs(axis.values[:, None] - line).argmin(1) for axis, line in lines))] = seeds.any(0)
    assert np.array_equal(seeds.any(0), seeds.all(0))
    return there


def test_a_run_is_refined_where_its_phase_changes(lab):
    tree = run()
    assert np.array_equal(trained(tree), EXPECTED) and 0.2 < EXPECTED.mean() < 0.5
    log = (lab / "outputs/tiny/run.log").read_text()
    assert f"linear, refined 16 x 16: trained {EXPECTED.sum()} of 289 cells ({EXPECTED.mean():.1%})" in log
    assert "linear, level 1: 25 cells, 0 of 50 models done" in log
    assert log.count("compiled in") == 1  # for all levels
    assert "refine: 16" in (lab / "outputs/tiny/config.yaml").read_text()
    before = laboratory.chunks(lab / "outputs/tiny")
    again = run()
    assert laboratory.same(tree, again) and laboratory.chunks(lab / "outputs/tiny") == before
    log = (lab / "outputs/tiny/run.log").read_text()
    assert "linear, level 1: 25 cells, 50 of 50 models done" in log and log.count("compiled in") == 1


def test_a_finer_map_grows_from_a_coarser(quick):
    tree = run()
    before = laboratory.chunks(quick / "outputs/tiny")
    finer = run("refine=32")
    assert before.items() <= laboratory.chunks(quick / "outputs/tiny").items()
    assert finer["linear"].sizes["sparsity"] > tree["linear"].sizes["sparsity"]
    log = (quick / "outputs/tiny/run.log").read_text()
    known = int(EXPECTED[::2, ::2].sum())
    assert f"linear, level 1: 81 cells, {2 * known} of 162 models done" in log


def test_the_cells_of_a_level_are_those_of_the_labelled_arrays(quick):
    linear = run("name=a")["linear"].to_dataset()
    points = {
        "sparsity": (0.9, 0.0),
        "importance": (0.625, 0.5, 1.0),
        "learning_rate": (1e-3,),
        "weight_decay": (0.01,),
    }
    rows = Grid(tuple(Axis(name, own) for name, own in points.items()), (1, 0)).rows()
    cells = labels.cells(store.load_rows("outputs/a", "linear", rows, ["W", "norm"]), ["sparsity", "importance"], 2)
    assert set(cells.data_vars) == {"W", "norm"} and cells.sizes["cell"] == 6 and list(cells.seed) == [1, 0]
    assert cells.learning_rate == 1e-3 and np.array_equal(cells.density, 1 - cells.sparsity)
    there = linear.sel(sparsity=cells.sparsity, importance=cells.importance, seed=cells.seed)
    assert np.array_equal(there.W.transpose(*cells.W.dims), cells.W)
    assert np.array_equal(there.norm.transpose(*cells.norm.dims), cells.norm)
    with pytest.raises(StoreError, match="lacks 1 of these models"):
        store.load_rows("outputs/a", "linear", Rows(rows.axes, rows.values[:1], np.array([7])))


def test_a_map_that_is_interrupted_after_every_block_becomes_the_same(quick, monkeypatch):
    whole = run("name=whole", "compute.block=64")
    blocks = list((quick / "outputs/whole/models.zarr/linear/done").glob("c.*"))
    real = work.write

    def write(*arguments):
        real(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(work, "write", write)
        for _ in blocks:
            with pytest.raises(KeyboardInterrupt):
                run("name=killed", "compute.block=64")
    assert len(blocks) >= 4
    assert laboratory.same(whole, run("name=killed", "compute.block=64"))
    assert laboratory.chunks(quick / "outputs/whole") == laboratory.chunks(quick / "outputs/killed")


def test_what_else_the_table_holds_does_not_change_the_levels(quick):
    superpose.run_sweep([*WORDS, "importance=[0.5,0.61,0.8125,1.0]", "seed=3"])  # 0.8125 is a point of the lattice
    ds = run("seed=2")["linear"].to_dataset().sel(seed=[0, 1])
    alone = run("seed=2", "name=alone")["linear"].to_dataset()
    both = ds.loss.reindex_like(alone.loss)
    assert np.array_equal(both.where(alone.loss.notnull()), alone.loss, equal_nan=True)
    more = ds.loss.notnull() & alone.loss.isnull().reindex_like(ds.loss, fill_value=True)
    assert set(ds.importance.values[more.any(["sparsity", "seed"])]) <= {0.61, 0.8125}
    assert set(ds.sparsity.values[more.any(["importance", "seed"])]) <= {0.0, 0.9}


def test_a_cell_without_a_usable_seed_has_no_phase(quick, monkeypatch):
    """Whatever the experiment says of it: where the learning rate is at least 1, every model diverged."""
    seen, real = [], mapping.found
    monkeypatch.setattr(mapping, "found", lambda *given: seen.append(real(*given)) or seen[-1])
    run("importance=0.7", "learning_rate=[0.5,1.0]")
    assert np.array_equal(np.unique(seen[0], return_counts=True), [[NO_PHASE, 1], [5, 20]]) and len(seen) == 1


def test_a_plan_shows_the_start(lab, monkeypatch):
    file = io.StringIO()
    monkeypatch.setattr(app, "foretold", lambda jobs, devices: (jobs, []))
    superpose.run_sweep([*WORDS, "refine=512", "plan=true", "sparsity=dense"], console=Console(file=file, width=200))
    shown = " ".join(file.getvalue().split())
    assert "33 sparsity x 33 importance x 2 seeds" in shown
    assert "linear: This is the start of a map of 512 x 512, 32 x 32 squares" in shown
    assert "sparsity evenly in the logarithm of density, importance evenly" in shown
    assert not (lab / "outputs").exists()


@pytest.mark.parametrize(
    "typed, told",
    [
        (["refine=500"], "a power of two from 8 to 4,096, got 500. Type refine=512."),
        (["refine=0"], "got 0. Type refine=8."),
        (["compute.shards=2"], "each level of its map from all models of the level before.*Leave out compute.shards"),
        (["importance=0.7"], "exactly two axes of several points.*of linear there is `sparsity`. Type a range for two"),
        (["learning_rate=[0.1,0.2]"], "there are `sparsity`, `importance`, `learning_rate`"),
        (["importance=[0.7,0.700001]", "refine=512"], "closer together than float32 can tell"),
        (["refine=4096", "seed=3000"], "Type a smaller refine, fewer seeds"),
    ],
)
def test_refusals_teach(lab, typed, told):
    with pytest.raises(InputError, match=told):
        run(*typed)
    assert not (lab / "outputs").exists()


def test_an_experiment_without_a_phase_is_told_what_to_add(tmp_path):
    laboratory.make(tmp_path)
    with pytest.raises(InputError, match=r"experiments/tiny\.py names none.*Experiment\(\.\.\., phase="):
        run()


def test_a_phase_that_fails_is_told_and_the_models_are_kept(quick):
    cases = {
        "return 1 / 0": "ZeroDivisionError",
        "return ds.loss": r"one array without `seed`, got float32 along \('cell', 'seed'\)",
        "return 3": "got int",
    }
    for broken, told in cases.items():
        laboratory.make(quick, module=MODULE + EXPERIMENT.replace("return (best", f"{broken}\n    return (best"))
        with pytest.raises(RuntimeError, match=rf"trained and kept; their phase failed.*tiny\.py: .*{told}"):
            run()
    laboratory.make(quick, module=MODULE + EXPERIMENT)
    assert np.array_equal(trained(run()), EXPECTED)
