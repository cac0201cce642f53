"""What a plan foretells: waves and steps by counting, their time from a probe that trains and judges as a run does."""

import jax
import laboratory
import numpy as np
import pytest

import superpose
from superpose import forecast, planning, probing
from superpose.arguments import InputError
from superpose.config import Run, build, session
from superpose.features import IndependentFeatures
from superpose.grid import Axis, Grid, Tile
from superpose.models import ReLUOutput
from superpose.objective import Exact
from superpose.optimizers import Constant
from superpose.polishing import LBFGS
from superpose.probing import Short
from superpose.program import Program
from superpose.sweep import Seeding, sweep

WORDS = ["experiment=tiny", "sparsity=[0.0,0.2,0.4,0.6,0.9]", "compute.tile=2"]
FINAL = ("W", "b", "loss", "gradient_norm")


@pytest.fixture(autouse=True)
def lab(tmp_path):
    return laboratory.make(tmp_path)


def composed(*words: str) -> Run:
    with session([*WORDS, *words]):
        return build([*WORDS, *words], start=lambda compute: None)


def job(devices: int, *words: str) -> planning.Job:
    run = composed(*words)
    (found,) = planning.plan(run, *planning.open_store(run), jax.devices()[:devices])
    return found


@pytest.mark.parametrize(
    ("devices", "words", "waves", "steps"),
    [
        (1, (), 6, 240),  # 2 seeds of 5 cells, 2 to a tile: 3 tiles a seed
        (4, (), 2, 80),
        (1, ("compute.block=2", "compute.shards=4", "compute.shard=1"), 2, 80),  # of its tiles 0 ... 5 it has 1 and 5
        (1, ("path={target: weighting.base, points: [0.5,0.6]}",), 6, 480),
    ],
)
def test_waves_and_their_steps_are_counted(devices, words, waves, steps):
    found = job(devices, *words)
    assert (found.share.waves, found.share.steps) == (waves, steps)


def test_only_what_is_left_is_foretold():
    superpose.run_sweep([*WORDS, "record.state=true", "seed=1"])
    assert job(1, "record.state=true", "seed=1").share.waves == 0
    grown = job(1, "record.state=true", "seed=2")
    assert (grown.share.waves, grown.share.steps, grown.done) == (3, 3 * 40, 5)
    longer = job(1, "record.state=true", "seed=2", "schedule.steps=70")
    assert (longer.share.waves, longer.share.steps) == (6, 3 * 30 + 3 * 70)


def test_the_time_is_that_of_its_parts(monkeypatch):
    """2 waves of 40 steps of 0.5 s, judged in 3 s each; 10 models measured in a turn of 64, and one more a block."""
    parts = iter([Short(lambda: {}, 20, 2.0), Short(lambda: {}, 1, 4.0)])
    monkeypatch.setattr(probing, "short_training", lambda *given: next(parts))
    monkeypatch.setattr(probing, "judgement", lambda *given: next(parts))
    monkeypatch.setattr(probing, "repeated", lambda short, seconds: 0.5 if short.steps == 20 else 3.0)
    monkeypatch.setattr(forecast, "measuring_times", lambda *given: (1.5, 0.25))
    planned = job(4)
    found = forecast.probed(planned, jax.devices())
    files = planned.blocks * len(planned.schema.arrays) * forecast.FILE_SECONDS
    assert found.compile_seconds == 2 + 4 + 1.5
    assert found.seconds == pytest.approx(2 * 40 * 0.5 + 2 * 3 + (1 + planned.blocks) * 0.25 + files)


def test_a_tile_that_does_not_fit_is_told(monkeypatch):
    def full(*given) -> Short:
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 8589934592 bytes.")

    monkeypatch.setattr(probing, "short_training", full)
    told = "linear: Tiles of 2 models do not fit .* A run halves them .* compute.tile=1 name=ANOTHER"
    with pytest.raises(InputError, match=told):
        forecast.probed(job(1), jax.devices())


def test_a_probe_trains_and_judges_as_a_run_does():
    """All the steps, then the polish and the judgement: the arrays of the program itself, to rounding."""
    parts = {"objective": Exact(), "schedule": Constant(30), "polish": LBFGS(4)}
    program = Program(ReLUOutput(2, 1), IndependentFeatures(2), **parts, axes=(("sparsity", "features.density"),))
    rows, tile, devices = Grid((Axis("sparsity", (0.1, 0.6)),), (3,)).rows(), Tile(1, 2), jax.devices()[:1]
    ((_, whole),) = sweep(program, [rows], tile=tile, devices=devices)
    how = program, rows, tile, devices, Seeding()
    short = probing.short_training(*how)
    assert short.steps == 30
    judged = probing.judgement(*how, short.run()).run()
    for name in FINAL:
        np.testing.assert_allclose(
            np.asarray(judged[name]).reshape(whole[name].shape), whole[name], rtol=1e-4, atol=1e-6
        )
