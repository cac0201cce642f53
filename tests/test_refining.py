"""The adaptive map: the rule on phases that are known, and runs that follow a boundary."""

import io

import laboratory
import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

import superpose
from superpose import labels, mapping, refining, store, work
from superpose.arguments import InputError
from superpose.grid import Axis, Grid, Rows
from superpose.refining import NO_PHASE, UNTRAINED
from superpose.store import StoreError

SIZE = 512
DOWN, RIGHT = np.indices((SIZE + 1, SIZE + 1))
SHAPES = {
    "disc": np.hypot(DOWN - 250, RIGHT - 260) < 180,
    "line": DOWN > 0.37 * RIGHT + 80,
    "strip": np.abs(DOWN - 0.8 * RIGHT - 30) < 14,  # 22 points wide: wider than the squares of the start, 16
    "disc and line": (np.hypot(DOWN - 250, RIGHT - 260) < 180) + 2 * (DOWN > RIGHT),
    "spiral": (np.hypot(DOWN - 256, RIGHT - 256) + 80 * np.arctan2(DOWN - 256, RIGHT - 256) / np.pi) % 80 < 40,
}


def filled(phases: np.ndarray) -> np.ndarray:
    """The whole map: each point without a phase (negative) has that of the last known point before it in its row, else
    of the first after it; a row that has none, that of the row before it, else after it.

    On a refined map this is the phase of the square that the point lies in. Rows and columns of which no point was
    trained may be left out. What is nowhere known stays.
    """
    for _ in range(2):  # along the rows, then along the columns
        known, place = phases >= 0, np.arange(phases.shape[1])
        before = np.maximum.accumulate(np.where(known, place, -1), axis=1)
        after = np.minimum.accumulate(np.where(known, place, len(place))[:, ::-1], axis=1)[:, ::-1]
        source = np.where(before >= 0, before, np.where(after < len(place), after, place))
        phases = np.take_along_axis(phases, source, axis=1).T
    return phases


def refined(truth: np.ndarray, phases: np.ndarray | None = None) -> tuple[np.ndarray, list[np.ndarray]]:
    """What is trained in the end of a map whose phases are `truth`, and the points of each level."""
    phases = np.full(truth.shape, UNTRAINED) if phases is None else phases.copy()
    levels = [refining.start(len(truth) - 1)]
    while len(levels[-1]):
        at = tuple(levels[-1].T)
        phases[at] = truth[at]
        levels.append(refining.following(phases))
    return phases, levels[:-1]


def boundary(truth: np.ndarray) -> np.ndarray:
    """The finest squares whose corners are not all of one phase, written out."""
    corners = np.stack([truth[:-1, :-1], truth[:-1, 1:], truth[1:, :-1], truth[1:, 1:]])
    return corners.min(0) != corners.max(0)


@pytest.mark.parametrize("name", SHAPES)
def test_every_boundary_is_found_and_little_is_trained(name):
    truth = SHAPES[name].astype(int)
    phases, levels = refined(truth)
    known = phases != UNTRAINED
    corners = known[:-1, :-1] & known[:-1, 1:] & known[1:, :-1] & known[1:, 1:]
    assert corners[boundary(truth)].all()
    assert known.mean() < 0.15
    assert np.array_equal(filled(phases), truth)
    assert len(np.unique(np.concatenate(levels), axis=0)) == sum(map(len, levels)) == known.sum()
    rows, columns = known.any(1), known.any(0)  # the labelled arrays lack lines of which nothing was trained
    assert np.array_equal(filled(phases[rows][:, columns]), truth[rows][:, columns])


def test_a_map_of_one_phase_is_its_start():
    phases, levels = refined(np.ones((SIZE + 1, SIZE + 1), int))
    assert len(levels) == 1 and (phases != UNTRAINED).sum() == 33**2
    assert np.array_equal(np.argwhere(phases != UNTRAINED) % 16, np.zeros((33**2, 2)))


def test_points_without_a_phase_differ_from_none():
    truth = np.where(DOWN < 200, NO_PHASE, 1)
    assert len(refined(truth)[1]) == 1
    assert len(refined(np.full_like(truth, NO_PHASE))[1]) == 1


def test_a_thin_phase_that_is_met_is_followed_through_squares_whose_corners_do_not_show_it():
    """A strip 3 points wide and 5 degrees from level meets a line of the start every 180 points only."""
    truth = ((np.abs(DOWN - 0.09 * RIGHT - 100.3) < 1.5) & (RIGHT > 5)).astype(int)
    assert truth[::16, ::16].any()
    phases, _ = refined(truth)
    assert np.array_equal(filled(phases), truth)


blobs = st.lists(
    st.tuples(st.floats(0, 64), st.floats(0, 64), st.floats(2, 40), st.integers(1, 3)), min_size=1, max_size=5
)


def of_blobs(drawn) -> np.ndarray:
    i, j = np.indices((65, 65))
    truth = np.zeros((65, 65), int)
    for down, right, radius, phase in drawn:
        truth[np.hypot(i - down, j - right) < radius] = phase
    return truth


@settings(deadline=None, max_examples=60)
@given(blobs)
def test_a_boundary_that_is_met_is_found_whole(drawn):
    """Boundary squares that share an edge on which the phase changes are trained all or not at all."""
    truth = of_blobs(drawn)
    known = refined(truth)[0] != UNTRAINED
    trained = known[:-1, :-1] & known[:-1, 1:] & known[1:, :-1] & known[1:, 1:]
    right = truth[:-1, 1:-1] != truth[1:, 1:-1]  # the edge between the squares (a, b) and (a, b + 1)
    down = truth[1:-1, :-1] != truth[1:-1, 1:]
    assert np.array_equal(trained[:, :-1][right], trained[:, 1:][right])
    assert np.array_equal(trained[:-1][down], trained[1:][down])


@settings(deadline=None, max_examples=40)
@given(blobs, st.randoms(use_true_random=False))
def test_the_rule_written_out_square_by_square_in_any_order(drawn, random):
    truth = of_blobs(drawn)
    stride = 4
    squares = [(a, b, stride) for a in range(0, 64, stride) for b in range(0, 64, stride)]
    trained = {(a, b) for a in range(0, 65, stride) for b in range(0, 65, stride)}
    changed = True
    while changed:
        changed = False
        random.shuffle(squares)
        for square in list(squares):
            a, b, size = square
            sides = [(a + k, b + m) for k in range(size + 1) for m in range(size + 1) if {k, m} & {0, size}]
            if size > 1 and len({truth[point] for point in trained.intersection(sides)}) > 1:
                half, changed = size // 2, True
                squares.remove(square)
                squares += [(a + k, b + m, half) for k in (0, half) for m in (0, half)]
                trained |= {(a + k, b + m) for k in (0, half, size) for m in (0, half, size)}
    assert {tuple(point) for point in np.argwhere(refined(truth)[0] != UNTRAINED).tolist()} == trained


@pytest.mark.parametrize("size, start", [(8, 2), (16, 4), (64, 16), (128, 32), (512, 32), (4096, 32)])
def test_the_start_has_32_squares_a_side_or_a_quarter(size, start):
    assert len(refining.start(size)) == (start + 1) ** 2
    assert refining.strides(size)[0] == size // start and refining.strides(size)[-1] == 1


def test_how_points_are_spaced():
    dense = [1 - d for d in np.geomspace(1, 0.01, 24)]
    paper = [1 - d for d in (1.0, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)]
    assert refining.spacing("sparsity", dense) == refining.spacing("sparsity", paper) == refining.LOG_DENSITY
    assert refining.spacing("sparsity", np.linspace(0, 0.99, 7).tolist()) == refining.LINEAR
    assert refining.spacing("importance", np.geomspace(0.1, 10, 24)[::-1].tolist()) == refining.LOG
    assert refining.spacing("importance", [0.5, 1.0]) == refining.spacing("importance", [0.0, 1.0, 5.0])
    assert refining.spacing("importance", [0.5, 1.0]) == refining.LINEAR


@pytest.mark.parametrize(
    "points, told",
    [([0.0, 0.99], refining.LOG_DENSITY), ([10.0, 0.1], refining.LOG), ([0.25, 0.7], refining.LINEAR)],
)
def test_a_finer_lattice_has_every_point_of_a_coarser_to_the_bit(points, told):
    fine = refining.line(points, told, 512)
    assert fine[0] == min(points) and fine[-1] == max(points) and (np.diff(fine) > 0).all()
    for size in (8, 64, 256):
        assert np.array_equal(refining.line(points, told, size), fine[:: 512 // size])
    scaled = {refining.LINEAR: lambda x: x, refining.LOG: np.log, refining.LOG_DENSITY: lambda x: -np.log(1 - x)}
    even = scaled[told](fine)
    np.testing.assert_allclose(np.diff(even), (even[-1] - even[0]) / 512, rtol=1e-6)


# Whole runs. Phase 1 lies below a line across the map.
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
    ds = tree["relu"].to_dataset()
    there, seeds = np.zeros((17, 17), bool), ds.loss.notnull().transpose("seed", ...).values
    lines = ((ds.sparsity, SPARSITY), (ds.importance, IMPORTANCE))
    there[np.ix_(*(np.abs(axis.values[:, None] - line).argmin(1) for axis, line in lines))] = seeds.any(0)
    assert np.array_equal(seeds.any(0), seeds.all(0))
    return there


def test_a_run_is_refined_where_its_phase_changes(lab):
    tree = run()
    assert np.array_equal(trained(tree), EXPECTED) and 0.2 < EXPECTED.mean() < 0.5
    log = (lab / "outputs/tiny/run.log").read_text()
    assert f"relu, refined 16 x 16: trained {EXPECTED.sum()} of 289 cells ({EXPECTED.mean():.1%})" in log
    assert "relu, level 1: 25 cells, 0 of 50 models done" in log
    assert log.count("compiled in") == 1  # for all levels
    assert "refine: 16" in (lab / "outputs/tiny/config.yaml").read_text()
    before = laboratory.chunks(lab / "outputs/tiny")
    again = run()
    assert laboratory.same(tree, again) and laboratory.chunks(lab / "outputs/tiny") == before
    log = (lab / "outputs/tiny/run.log").read_text()
    assert "relu, level 1: 25 cells, 50 of 50 models done" in log and log.count("compiled in") == 1


def test_a_finer_map_grows_from_a_coarser(quick):
    tree = run()
    before = laboratory.chunks(quick / "outputs/tiny")
    finer = run("refine=32")
    assert before.items() <= laboratory.chunks(quick / "outputs/tiny").items()
    assert finer["relu"].sizes["sparsity"] > tree["relu"].sizes["sparsity"]
    log = (quick / "outputs/tiny/run.log").read_text()
    known = int(EXPECTED[::2, ::2].sum())
    assert f"relu, level 1: 81 cells, {2 * known} of 162 models done" in log


def test_the_cells_of_a_level_are_those_of_the_labelled_arrays(quick):
    relu = run("name=a")["relu"].to_dataset()
    points = {
        "sparsity": (0.9, 0.0),
        "importance": (0.625, 0.5, 1.0),
        "learning_rate": (1e-3,),
        "weight_decay": (0.01,),
    }
    rows = Grid(tuple(Axis(name, own) for name, own in points.items()), (1, 0)).rows()
    cells = labels.cells(store.load_rows("outputs/a", "relu", rows, ["W", "norm"]), ["sparsity", "importance"], 2)
    assert set(cells.data_vars) == {"W", "norm"} and cells.sizes["cell"] == 6 and list(cells.seed) == [1, 0]
    assert cells.learning_rate == 1e-3 and np.array_equal(cells.density, 1 - cells.sparsity)
    there = relu.sel(sparsity=cells.sparsity, importance=cells.importance, seed=cells.seed)
    assert np.array_equal(there.W.transpose(*cells.W.dims), cells.W)
    assert np.array_equal(there.norm.transpose(*cells.norm.dims), cells.norm)
    with pytest.raises(StoreError, match="lacks 1 of these models"):
        store.load_rows("outputs/a", "relu", Rows(rows.axes, rows.values[:1], np.array([7])))


def test_a_map_that_is_interrupted_after_every_block_becomes_the_same(quick, monkeypatch):
    whole = run("name=whole", "compute.block=64")
    blocks = list((quick / "outputs/whole/models.zarr/relu/done").glob("c.*"))
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
    ds = run("seed=2")["relu"].to_dataset().sel(seed=[0, 1])
    alone = run("seed=2", "name=alone")["relu"].to_dataset()
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


def test_a_plan_shows_the_start(lab):
    file = io.StringIO()
    superpose.run_sweep([*WORDS, "refine=512", "plan=true", "sparsity=dense"], console=Console(file=file, width=200))
    shown = " ".join(file.getvalue().split())
    assert "33 sparsity x 33 importance x 2 seeds" in shown
    assert "relu: This is the start of a map of 512 x 512, 32 x 32 squares" in shown
    assert "sparsity evenly in the logarithm of density, importance evenly" in shown
    assert not (lab / "outputs").exists()


@pytest.mark.parametrize(
    "typed, told",
    [
        (["refine=500"], "a power of two from 8 to 4,096, got 500. Type refine=512."),
        (["refine=0"], "got 0. Type refine=8."),
        (["compute.shards=2"], "each level of its map from all models of the level before.*Leave out compute.shards"),
        (["importance=0.7"], "exactly two axes of several points.*of relu there is `sparsity`. Type a range for two"),
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
