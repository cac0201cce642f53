"""The search for a tile: what is tried, what is taken, and what is remembered of it."""

import math

import jax
import laboratory
import pytest

import superpose
from superpose import planning, tuning
from superpose.arguments import InputError
from superpose.config import build, session
from superpose.features import IndependentFeatures
from superpose.grid import Axis, Grid, Tile, fit_tile
from superpose.models import ReLUOutput
from superpose.objective import Sampled
from superpose.optimizers import Constant
from superpose.probing import Short
from superpose.program import Program
from superpose.sweep import Seeding

GRID = Grid((Axis("base", tuple(map(float, range(64)))),), (0,))


def program(n: int = 4, **parts) -> Program:
    return Program(ReLUOutput(n, 2), IndependentFeatures(n), **parts)


def fit(budget: int) -> Tile:
    return fit_tile(GRID, budget)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/superpose/tiles.json"


@pytest.fixture
def measured(monkeypatch) -> list[int]:
    """The tiles that are measured: a step takes 4 + the tile's models, so that a larger tile is always better."""
    tried: list[int] = []

    def short(program, rows, tile, devices, seeding) -> Short:
        tried.append(tile.models)
        return Short(lambda: {}, 1, 0.0)

    monkeypatch.setattr(tuning, "short_training", short)
    monkeypatch.setattr(tuning, "repeated", lambda short, seconds: 4.0 + tried[-1])
    return tried


def test_a_search_goes_up_while_that_is_better_else_down():
    valley = lambda best: lambda budget: 1 + abs(budget - best) / 10
    assert list(tuning.climb(valley(32), fit, 8, 64)) == [8, 16, 32, 64]
    assert list(tuning.climb(valley(2), fit, 8, 64)) == [8, 16, 4, 2, 1]
    assert list(tuning.climb(valley(8), fit, 8, 64)) == [8, 16, 4]
    assert list(tuning.climb(valley(64), fit, 8, 12)) == [8, 12]  # what memory allows


def test_a_search_goes_down_to_what_fits():
    fits = lambda most: lambda budget: 1 / budget if budget <= most else math.inf
    assert list(tuning.climb(fits(8), fit, 64, 64)) == [64, 32, 16, 8, 4]
    assert list(tuning.climb(fits(1), fit, 100, 200)) == [100, 32, 16, 8, 4, 2, 1]  # tiles of 100 have the grid's 64
    assert list(tuning.climb(fits(0), fit, 4, 64)) == [4, 2, 1]


@pytest.mark.parametrize(("most", "found"), [(8, 8), (0, 64)])
def test_a_tile_that_does_not_fit_is_not_remembered(monkeypatch, cache, most, found):
    def short(program, rows, tile, devices, seeding) -> Short:
        if tile.models > most:
            raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8589934592 bytes.")
        return Short(lambda: {}, 1, 0.0)

    monkeypatch.setattr(tuning, "short_training", short)
    monkeypatch.setattr(tuning, "repeated", lambda short, seconds: 1.0)
    budget, told = tuning.searched(program(), GRID, fit, jax.devices()[:1], Seeding(), 64, 64)
    assert budget == found and cache.exists() == bool(most)
    assert "the formula's 64 do not fit" in told if most else "none fits" in told


def test_what_is_found_is_remembered(measured, cache):
    search = lambda: tuning.searched(program(), GRID, fit, jax.devices()[:1], Seeding(), 8, 64)
    found, told = search()
    assert (found, measured) == (64, [8, 16, 32, 64])
    assert told == "by search: 1.41 times the speed of the formula's 8"  # 8 waves of 12 over one of 68
    assert search() == (64, "by an earlier search") and len(measured) == 4
    cache.write_text(cache.read_text()[:-5])  # damaged: searched again, and mended
    assert search()[0] == 64 and len(measured) == 8
    assert search() == (64, "by an earlier search")
    assert [path.name for path in cache.parent.iterdir()] == ["tiles.json"]


def test_a_cache_that_cannot_be_written_is_done_without(measured, cache):
    cache.parent.parent.write_text("a file where the folder should be")
    for _ in range(2):
        assert tuning.searched(program(), GRID, fit, jax.devices()[:1], Seeding(), 8, 64)[0] == 64


def test_what_decides_a_tile_is_told_apart():
    devices = jax.devices()
    tile = Tile(1, 3)
    one = tuning.digest(program(), GRID, tile, devices[:1])
    assert one == tuning.digest(program(schedule=Constant(77)), GRID, tile, devices[:1])  # steps do not decide
    others = [
        tuning.digest(program(5), GRID, tile, devices[:1]),
        tuning.digest(program(objective=Sampled(64)), GRID, tile, devices[:1]),
        tuning.digest(program(), Grid((), (0, 1)), tile, devices[:1]),
        tuning.digest(program(), GRID, tile, devices[:2]),
        tuning.digest(program(), GRID, Tile(1, 2), devices[:1]),
    ]
    assert len({one, *others}) == 6


def planned(*words: str, devices: int = 1) -> planning.Job:
    given = ["experiment=tiny", "sparsity=[0.0,0.5,0.9]", "compute.block=6", *words]
    with session(given):
        run = build(given, start=lambda compute: None)
    (job,) = planning.plan(run, *planning.open_store(run), jax.devices()[:devices])
    return job


def test_a_new_store_is_searched_for_and_keeps_its_tile(tmp_path, measured):
    laboratory.make(tmp_path)
    assert planned("compute.tile=2").schema.tile == Tile(1, 2) and not measured
    found = planned("compute.tile=search")
    assert found.schema.tile == Tile(1, 3) and found.tuned and measured
    superpose.run_sweep(["experiment=tiny", "sparsity=[0.0,0.5,0.9]", "compute.tile=2"])
    measured.clear()
    kept = planned("compute.tile=search")
    assert kept.schema.tile == Tile(1, 2) and not kept.tuned and not measured


def test_a_tile_is_a_count_or_a_search(tmp_path):
    laboratory.make(tmp_path)
    for wrong in ("0", "find"):
        with pytest.raises(
            InputError, match=f"`compute.tile` must be an integer of at least 1 or search, got '?{wrong}"
        ):
            planned(f"compute.tile={wrong}")
