"""Energy levels: the detector of jumps on courses made by hand, and each claim on models of which it is true or not."""

import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from superpose import plots
from superpose.experiment import load_experiment

ROOT = Path(__file__).parent.parent
STEPS = np.arange(0, 6001, 20)


@pytest.fixture(scope="module")
def module():
    load_experiment(ROOT / "experiments/energy_levels.py")
    return sys.modules["experiment"]


def ramp(start: float, stop: float, at: int, width: int = 200) -> np.ndarray:
    """A number over the steps that goes from one to the other in `width` steps, from step `at` on."""
    return start + (stop - start) * np.clip((STEPS - at) / width, 0, 1)


def course(*late: np.ndarray) -> np.ndarray:
    """D (snapshot, 16): twelve features go to 1/2 and 0 at step 1,000, and so do four, or as given."""
    settled = [ramp(0.25, level, 1000) for level in (0.5, 0.0) for _ in range(6)]
    return np.stack([*settled, *late, *settled[: 4 - len(late)]], axis=1)


def test_a_swap_is_one_jump_and_the_fall_of_the_loss_its_own(module):
    D = course(ramp(0.25, 0.5, 3000), ramp(0.25, 0.0, 3040))
    found, settled = module.jumps(STEPS, D, ramp(2.0, 1.9, 3000, 300))
    assert [jump.features for jump in found] == [(12, 13)] and found[0].rising == (12,)
    assert 1100 < STEPS[settled] <= 1200
    # the first feature is 0.15 away until step 3,080, the second arrives, within 0.02, at 3,240: 160 of 300 steps
    assert 3060 <= STEPS[found[0].start] <= 3100 and 3220 <= STEPS[found[0].stop] <= 3260
    # 200 steps before and after the loss is what it stays at
    assert STEPS[found[0].start] - STEPS[found[0].before] == STEPS[found[0].after] - STEPS[found[0].stop] == 200
    assert found[0].drop == pytest.approx(0.1)


def test_arrivals_far_apart_are_two_jumps_and_slow_or_small_ones_are_none(module):
    quick = module.jumps(STEPS, course(ramp(0.25, 0.5, 3000), ramp(0.25, 0.0, 4000)), 0 * STEPS)[0]
    assert [jump.features for jump in quick] == [(12,), (13,)]
    assert [bool(jump.rising) for jump in quick] == [True, False]
    assert not module.jumps(STEPS, course(ramp(0.1, 0.5, 2000, 3900)), 0 * STEPS)[0]
    assert not module.jumps(STEPS, course(ramp(0.4, 0.5, 3000), ramp(0.1, 0.0, 3000)), 0 * STEPS)[0]
    assert not module.jumps(STEPS, course(), 0 * STEPS)[0]


def test_what_is_looked_at_ends_at_the_next_jump(module):
    """200 steps are ten snapshots; they end where the next jump starts, or the last one stopped."""
    assert module.outer(STEPS, [(60, 70), (75, 90)]) == [(50, 60, 70, 75), (70, 75, 90, 100)]
    assert module.outer(STEPS, [(60, 80), (75, 90)]) == [(50, 60, 80, 80), (75, 75, 90, 100)]
    assert module.outer(STEPS, [(5, 295)]) == [(0, 5, 295, 300)]


def model(module, D: np.ndarray, loss: np.ndarray, seed: int = 0):
    return module.Course(seed, 4, 0.3, STEPS, D, loss, *module.jumps(STEPS, D, loss))


def made(module, drops: tuple[float, ...], last: float = 0.5) -> list:
    """Courses of one model that swaps features at steps 2,000 and 4,000, its loss falling by so much each time."""
    D = course(ramp(0.25, 0.5, 2000), ramp(0.25, 0.0, 2000), ramp(0.25, last, 4000), ramp(0.25, 0.0, 4000))
    loss = 2 + sum(ramp(0, -drop, at) for drop, at in zip(drops, (2000, 4000), strict=True))
    return [model(module, D, loss, seed) for seed in range(3)]


def verdicts(module, monkeypatch, found: list) -> list[bool | None]:
    monkeypatch.setattr(module, "courses", lambda tree: found)
    return [claim.check(xr.DataTree()).holds for claim in module.experiment.claims]


def test_all_claims_hold_of_a_model_that_swaps(module, monkeypatch):
    assert verdicts(module, monkeypatch, made(module, (0.01, 0.05))) == [True] * 5


def test_each_claim_fails_where_its_sentence_does(module, monkeypatch):
    assert verdicts(module, monkeypatch, made(module, (0.01, 0.05), last=0.42))[0] is False
    assert verdicts(module, monkeypatch, made(module, (0.01, -0.05)))[3] is False
    assert verdicts(module, monkeypatch, made(module, (0.05, 0.01)))[4] is False
    assert verdicts(module, monkeypatch, made(module, (0.03, 0.05)))[4] is False
    alone = [model(module, course(ramp(0.25, 0.5, 3000)), ramp(1, 0, 3000))]
    assert verdicts(module, monkeypatch, alone)[1:3] == [True, False]
    still = [model(module, course(), 0 * STEPS)]
    assert verdicts(module, monkeypatch, still) == [True, False, None, None, None]
    assert set(verdicts(module, monkeypatch, [])) == {None}


def test_a_loss_that_falls_all_the_time_does_not_fall_at_jumps(module, monkeypatch):
    found = made(module, (0.01, 0.05))
    even = [each._replace(loss=ramp(2, 1, 0, 6000), jumps=()) for each in found]
    even = [model(module, each.D, each.loss) for each in even]
    assert verdicts(module, monkeypatch, even)[3] is False
    late = [model(module, each.D, ramp(2, 1, 5000)) for each in found]  # it falls, but not at the jumps
    assert verdicts(module, monkeypatch, late)[3] is False


def test_one_model_with_a_small_first_fall_is_enough_and_is_shown(module, monkeypatch):
    found = [*made(module, (0.05, 0.01)), *made(module, (0.01, 0.05))[:1]]
    assert verdicts(module, monkeypatch, found)[4] is True and module.shown(found) is found[3]


def test_a_figure_of_no_jump_and_of_no_model(module, monkeypatch):
    for found in ([model(module, course(), 0 * STEPS)], []):
        monkeypatch.setattr(module, "courses", lambda tree, found=found: found)
        with plots.style():
            module.experiment.figure(xr.DataTree()).canvas.draw()
