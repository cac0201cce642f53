"""One model's training: against a loop by hand, and to the bit whatever its segments, snapshots and interruptions.

Every run here trains three densities side by side under `vmap`, as a sweep does.
"""

from functools import cache, partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from superpose import training
from superpose.features import IndependentFeatures
from superpose.initial import Xavier
from superpose.models import Linear, ReLUOutput, split_trained
from superpose.objective import Sampled
from superpose.optimizers import SGD, AdamW, Constant
from superpose.record import Record
from superpose.task import Identity, Task
from superpose.training import TrainState, train

N, M, BATCH, STEPS = 5, 2, 32, 23
IMPORTANCE = 0.8 ** jnp.arange(N)
DENSITIES = jnp.array([1.0, 0.4, 0.05])
START: Any = Xavier()(ReLUOutput(N, M), key=jax.random.key(0))
DATA = jax.random.key(1)
SNAPSHOTS = (0, 7, 20, STEPS)


def task(density) -> Task:
    return Task(IndependentFeatures(N, density), IMPORTANCE, Identity())


def run(steps: int = STEPS, *, snapshots: tuple[int, ...] = (), first: int = 0, segment=None, state=None) -> Any:
    """Train from START, or from `state`, at each density."""

    def one(density, state):
        parts = Sampled(BATCH), AdamW(1e-2, 1e-2), Constant(steps)
        how = {"record": Record(snapshots), "key": DATA, "state": state, "first": first, "segment": segment}
        return train(START, task(density), *parts, **how)

    return jax.jit(jax.vmap(one, in_axes=(0, None if state is None else 0)))(DENSITIES, state)


@cache
def short(steps: int) -> Any:
    return run(steps, segment=7)


@pytest.fixture(scope="module")
def straight():
    return run(snapshots=SNAPSHOTS, segment=7)


@pytest.fixture(scope="module")
def by_hand():
    """Loss of each step before its update, last that after the last; and the weights then. A plain loop."""
    optim = optax.adamw(1e-2, 0.9, 0.999, weight_decay=1e-2)

    @jax.jit
    def step(model, state, density, key):
        objective = Sampled(BATCH)
        mean = lambda model: objective.loss(model, task(density), objective.noise(task(density), key=key)) / N
        loss, gradient = jax.value_and_grad(mean)(model)
        updates, state = optim.update(gradient, state, model)
        return N * loss, eqx.apply_updates(model, updates), state

    curves, models = [], []
    for density in DENSITIES:
        model, state, curve = START, optim.init(START), []
        for t in range(STEPS + 1):
            models.append(model) if t == STEPS else None
            loss, model, state = step(model, state, density, jax.random.fold_in(DATA, t))
            curve.append(loss)
        curves.append(curve)
    return np.array(curves), models


def test_the_loss_curve_is_each_steps_loss_before_its_update(straight, by_hand):
    """Entry t belongs to step t; the last to the trained weights, on the batch of the step that would follow."""
    curve = straight.loss_curve[:, np.isin(Record(SNAPSHOTS).steps(STEPS), Record().steps(STEPS))]
    expected = by_hand[0][:, Record().steps(STEPS)]
    assert Record().steps(STEPS)[-1] == STEPS
    np.testing.assert_allclose(curve, expected, rtol=1e-5)


def test_the_weights_are_those_of_a_plain_loop(straight, by_hand):
    """The loop's Adam has .999 in float64: a step of 1e-2 differs by up to 3e-5 of itself (see test_optimizers)."""
    for k, model in enumerate(by_hand[1]):
        np.testing.assert_allclose(straight.model.W[k], model.W, rtol=0, atol=3e-5 * 1e-2 * STEPS)
        np.testing.assert_allclose(straight.model.b[k], model.b, rtol=0, atol=3e-5 * 1e-2 * STEPS)


@pytest.mark.parametrize("segment", [1, 20, STEPS, None])
def test_the_length_of_a_segment_changes_no_number(straight, segment):
    """7 leaves a last segment of 2 steps, 20 one of 3; STEPS is one whole segment; None chooses 20."""
    assert eqx.tree_equal(run(snapshots=SNAPSHOTS, segment=segment), straight)


@pytest.mark.parametrize("steps", [7, 20])
def test_a_snapshot_is_the_end_of_a_shorter_run(straight, steps):
    place = int(np.searchsorted(Record(SNAPSHOTS).steps(STEPS), steps))
    np.testing.assert_array_equal(straight.snapshots.W[:, place], short(steps).model.W)
    np.testing.assert_array_equal(straight.snapshots.b[:, place], short(steps).model.b)


def test_the_first_and_last_snapshots_are_the_initial_and_the_trained_weights(straight):
    taken = Record(SNAPSHOTS).taken(STEPS)
    np.testing.assert_array_equal(straight.snapshots.W[:, taken[0]], np.stack([START.W] * 3))
    np.testing.assert_array_equal(straight.snapshots.W[:, taken[-1]], straight.model.W)


@pytest.mark.parametrize("first", [7, 20])
def test_a_continued_run_equals_the_straight_one(straight, first):
    """The model, the optimiser's state and what was recorded since, to the bit."""
    stopped = short(first)
    trained, _ = split_trained(stopped.model)
    rest = run(snapshots=SNAPSHOTS, segment=7, first=first, state=TrainState(trained, stopped.optimizer))
    assert eqx.tree_equal((rest.model, rest.optimizer), (straight.model, straight.optimizer))
    since = Record(SNAPSHOTS).steps(STEPS) >= first
    np.testing.assert_array_equal(rest.loss_curve[:, since], straight.loss_curve[:, since])
    np.testing.assert_array_equal(rest.snapshots.W[:, since], straight.snapshots.W[:, since])


def test_a_step_goes_down_the_gradient_of_the_mean_over_features():
    """One step of plain descent from W: W - rate dL/dW / n, where L is the sum over features."""
    everything = task(1.0)
    noise = Sampled(BATCH).noise(everything, key=jax.random.fold_in(DATA, 0))
    gradient = jax.grad(lambda model: everything.loss(model, everything.features(noise)))(START)
    once = lambda: train(START, everything, Sampled(BATCH), SGD(0.5), Constant(1), record=Record(), key=DATA).model
    found: Any = jax.jit(once)()
    np.testing.assert_allclose(found.W, START.W - 0.5 * gradient.W / N, rtol=0, atol=4 * 2**-24)
    np.testing.assert_allclose(found.b, START.b - 0.5 * gradient.b / N, rtol=0, atol=4 * 2**-24)


def test_a_run_of_no_steps_gives_what_it_started_from():
    found = run(0)
    np.testing.assert_array_equal(found.model.W, np.stack([START.W] * 3))
    assert found.loss_curve.shape == (3, 1)


@pytest.mark.parametrize(
    ("floats", "steps", "length"),
    [(100, 10_000, 20), (100, 7, 7), (2**21, 10_000, 2), (2**30, 10_000, 1), (0, 50, 20)],
)
def test_segment_length(floats, steps, length):
    """At most 20 steps and the run's, and at most 2^24 bytes of draws: 2 of 2^21 floats, of 4 bytes each."""
    assert training.segment_length(jax.ShapeDtypeStruct((floats,), jnp.float32), steps) == length


def test_the_timetable_covers_each_step_once():
    recorded = Record((4,)).steps(STEPS)
    slots, live, keys = training.timetable(DATA, 3, STEPS, 7, recorded)
    assert slots.shape == live.shape == (3, 7) and int(live.sum()) == STEPS - 3
    expected = [jax.random.key_data(jax.random.fold_in(DATA, t)) for t in range(3, STEPS + 1)]
    np.testing.assert_array_equal(keys.reshape(-1, 2), expected)
    kept = slots.ravel()[np.asarray(live.ravel()) & (np.asarray(slots.ravel()) < len(recorded))]
    np.testing.assert_array_equal(recorded[kept], recorded[(recorded >= 3) & (recorded < STEPS)])
    assert training.timetable(DATA, 2, STEPS, 7, recorded)[1] is None  # 21 steps fill three segments


def test_a_linear_model_learns_what_it_can():
    """n = m: nothing has to be given up, and the loss falls to a hundredth."""
    model = Xavier()(Linear(3, 3), key=jax.random.key(5))
    small = Task(IndependentFeatures(3, 1.0), jnp.ones(3), Identity())
    learn = partial(train, record=Record(), key=DATA)
    found = jax.jit(lambda: learn(model, small, Sampled(64), AdamW(0.02, 0.0), Constant(400)))()
    assert float(found.loss_curve[-1]) < 0.01 * float(found.loss_curve[0])
