"""Penalties over their strength: each claim on models made by hand, and what a command refuses."""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import superpose
from superpose import geometry, plots, strengths
from superpose.arguments import InputError
from superpose.experiment import Experiment, load_experiment

ROOT = Path(__file__).parent.parent
N, M = 6, 2
IMPORTANCE = 0.7 ** np.arange(N)


EXPERIMENTS = {"attack": "adversarial_training", "l1": "l1_removal"}


def kept(*places: int) -> np.ndarray:
    """W: features that are so many quarter turns on from the first axis; -1 for those that are dropped."""
    turns = np.array([*places, *[-1] * (N - len(places))])
    return np.stack([np.cos(np.pi / 2 * turns), np.sin(np.pi / 2 * turns)]) * (turns >= 0)


PAIRS, ONE_PAIR, ALONE, SINGLE, NONE = kept(0, 1, 2, 3), kept(0, 1, 2), kept(0, 1), kept(0), kept()


def tree(axis: str, models: dict[float, np.ndarray], loss: list[float], importance=IMPORTANCE) -> xr.DataTree:
    """Three seeds, all alike but for their losses, over the strengths that are the keys."""
    W = np.stack([np.stack([own] * 3) for own in models.values()]).astype(np.float32)
    measures = jax.vmap(jax.vmap(geometry.summary))(jnp.asarray(W))
    data = {name: ((axis, "seed", *geometry.VARIABLES[name][0]), np.asarray(a)) for name, a in measures.items()}
    data["W"] = ((axis, "seed", "hidden", "feature"), W)
    data["loss"] = ((axis, "seed"), np.outer(loss, [1.0, 1.001, 1.002]))
    data["finite"] = ((axis, "seed"), np.ones((len(models), 3), bool))
    data["feature_importance"] = ((axis, "seed", "feature"), np.broadcast_to(importance, (len(models), 3, N)))
    ds = xr.Dataset(data, {axis: list(models), "seed": np.arange(3), "density": 0.1})
    return xr.DataTree.from_dict({"relu": ds})


ATTACKS = {0.0: PAIRS, 0.4: PAIRS, 0.6: ONE_PAIR, 0.8: ALONE, 1.0: ALONE, 1.2: NONE}
STRENGTHS = {0.0: PAIRS, 0.001: 0.95 * PAIRS, 0.01: ONE_PAIR, 0.1: ALONE, 0.3: SINGLE, 1.0: NONE}
LOSS = [1.0, 1.005, 1.2, 2.0, 3.0, 4.0]


def experiment(axis: str) -> Experiment:
    return load_experiment(ROOT / f"experiments/{EXPERIMENTS[axis]}.py")


def verdicts(axis: str, arrays: xr.DataTree) -> list[bool | None]:
    return [claim.check(arrays).holds for claim in experiment(axis).claims]


def test_all_claims_hold_of_ideal_models():
    assert verdicts("attack", tree("attack", ATTACKS, LOSS)) == [True] * 2
    assert verdicts("l1", tree("l1", STRENGTHS, LOSS)) == [True] * 4


def test_where_superposition_ends():
    found = strengths.curves(tree("attack", ATTACKS, LOSS), "attack")
    assert found.removed == 3 and found.strength[3] == 0.8
    assert found.without[:, 0].tolist() == [False, False, False, True, True, False]
    assert found.superposition[[0, 3], 0] == pytest.approx([1, 0], abs=1e-6)
    assert found.per_dimension[[0, 2, 3], 0] == pytest.approx([2, 1.5, 1])
    back = {**ATTACKS, 1.0: PAIRS, 1.2: PAIRS}
    assert strengths.curves(tree("attack", back, LOSS), "attack").removed == 3
    assert strengths.curves(tree("attack", dict.fromkeys(ATTACKS, PAIRS), LOSS), "attack").removed is None


def test_attacks_that_do_nothing_or_far_too_much():
    assert verdicts("attack", tree("attack", dict.fromkeys(ATTACKS, PAIRS), LOSS)) == [False, False]
    early = {**ATTACKS, 0.4: ALONE, 0.6: ALONE}
    assert verdicts("attack", tree("attack", early, LOSS)) == [True, False]
    late = {**ATTACKS, 0.6: PAIRS, 0.8: PAIRS}  # it is reduced by attacks stronger than the paper's alone
    assert verdicts("attack", tree("attack", late, LOSS)) == [False, True]


def test_the_length_of_the_attack_that_removes_superposition():
    """One feature: E|x| = p / 2. Of many ||x||^2 = n p / 3 nearly."""
    load_experiment(ROOT / "experiments/adversarial_training.py")
    mean_norm = sys.modules["experiment"].mean_norm
    assert mean_norm(1, 0.4) == pytest.approx(0.2, rel=0.03)
    assert mean_norm(1000, 0.3) == pytest.approx(10, rel=0.01)


def test_an_l1_penalty_that_breaks_each_sentence():
    of = lambda models, loss=LOSS: verdicts("l1", tree("l1", {**STRENGTHS, **models}, loss))
    assert of(dict.fromkeys(STRENGTHS, PAIRS))[:2] == [False, None]
    assert of({}, [1.0] * 6)[1] is False
    assert of({0.3: kept(-1, 0)})[2] is False  # the second feature alone
    assert of(dict.fromkeys(STRENGTHS, PAIRS))[2] is False  # none is killed
    assert of({0.001: PAIRS})[3] is False


def test_what_the_arrays_cannot_say_is_left_open():
    """No such axis, no models without the penalty, features that all matter alike."""
    late = tree("l1", {k: W for k, W in STRENGTHS.items() if k > 0}, LOSS[1:])
    for arrays in (late, xr.DataTree(), tree("attack", ATTACKS, LOSS)):
        assert set(verdicts("l1", arrays)) == {None}
    assert verdicts("l1", tree("l1", STRENGTHS, LOSS, np.ones(N)))[2] is None


def test_figures():
    shown = ("attack", tree("attack", ATTACKS, LOSS, np.ones(N))), ("l1", tree("l1", STRENGTHS, LOSS))
    with plots.style():
        figures = [experiment(axis).figure(one) for axis, one in (*shown, ("l1", xr.DataTree()))]
        for figure in figures:
            figure.canvas.draw()
    assert [len(figure.axes) for figure in figures] == [4, 6, 1]


@pytest.mark.parametrize("axis", EXPERIMENTS)
def test_a_strength_below_zero_is_refused(axis):
    command = [f"experiment={EXPERIMENTS[axis]}", f"axes.{axis}.points=[-0.1,0.5]", "plan=true"]
    with pytest.raises(InputError, match=rf"`{axis}` sets penalty.strength, which must be at least 0, got -0.1"):
        superpose.run_sweep(command)
