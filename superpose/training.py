"""The training of one model: an optax step inside a scan. Knows no grid, no vmap, no device and no file.

Step t draws with fold_in(key, t) and minimises L / n, the mean over features where `Task.loss` is the sum. Steps go in
segments: the draws of a segment are made at once, before its scan, and handed in as what the scan runs over; inside the
step XLA would compute a draw again for each of its uses. The length of a segment changes no number.
"""

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from superpose.draws import as_key
from superpose.models import AbstractToyModel, split_trained
from superpose.objective import AbstractObjective, over_draws
from superpose.optimizers import AbstractOptimizer, AbstractSchedule
from superpose.record import Record
from superpose.task import Task

SEGMENT_BYTES = 2**24
LONGEST_SEGMENT = 20


class TrainState(eqx.Module):
    """A model in training: its trained arrays and the optimiser's state. NumPy's where they were stored."""

    trained: PyTree[Array | np.ndarray]
    optimizer: PyTree[Array | np.ndarray]


class TrainResult(eqx.Module):
    """A trained model, the optimiser's state, and what was recorded, in the order of the recorded steps.

    `loss_curve` holds the loss (the sum over features) on each step's batch before its update, and after the last
    update on the batch of the step that would follow; `snapshots` the trained arrays at those times.
    """

    model: AbstractToyModel
    optimizer: PyTree[Array]
    loss_curve: Float[Array, " step"]
    snapshots: PyTree[Array]


def segment_length(noise: PyTree[jax.ShapeDtypeStruct], steps: int) -> int:
    """How many steps' draws are made at once: at most 20, and at most 16 MiB of them."""
    step_bytes = sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(noise))
    return max(1, min(LONGEST_SEGMENT, steps, SEGMENT_BYTES // max(step_bytes, 1)))


def train(
    model: AbstractToyModel,
    task: Task,
    objective: AbstractObjective,
    optimizer: AbstractOptimizer,
    schedule: AbstractSchedule,
    *,
    record: Record,
    key: PRNGKeyArray,
    state: TrainState | None = None,
    first: int = 0,
    segment: int | None = None,
) -> TrainResult:
    """Train one model from step `first` to the schedule's last.

    Args:
        model: where training starts; only its arrays named in `dims` are trained.
        record: which steps are kept.
        key: step t draws with fold_in(key, t).
        state: continue from here, at step `first`, instead of from `model` at step 0. What is recorded of the steps
            before `first` is then without meaning.
        segment: steps whose draws are made at once; chosen from their size where left out.
    """
    optim, parts = optimizer.build(schedule), split_trained(model)
    trained: Any = parts[0]
    constant = parts[1]
    fresh = TrainState(trained, optim.init(trained))
    state = fresh if state is None else continued(state, fresh, first)
    draw = lambda key: objective.noise(task, key=key)
    loss = lambda trained, noise: objective.loss(eqx.combine(trained, constant), task, noise)
    recorded = record.steps(schedule.steps)

    def step(carry: tuple, now: tuple) -> tuple[tuple, None]:
        state, kept = carry
        slot, live, noise = now
        kept = jax.tree.map(lambda all, one: all.at[slot].set(one), kept, state.trained)
        gradient = jax.grad(lambda trained: loss(trained, noise) / task.importance.size)(state.trained)
        updates, moments = optim.update(gradient, state.optimizer, state.trained)
        moved = TrainState(optax.apply_updates(state.trained, updates), moments)
        return (moved if live is None else jax.tree.map(partial(jnp.where, live), moved, state), kept), None

    def run_segment(carry: tuple, now: tuple) -> tuple[tuple, None]:
        *slots, keys = now
        return jax.lax.scan(step, carry, (*slots, jax.vmap(lambda data: draw(as_key(data)))(keys)))

    kept = jax.tree.map(lambda a: jnp.zeros((len(recorded) + 1, *a.shape)), trained)
    length = segment or segment_length(jax.eval_shape(draw, key), schedule.steps)
    if schedule.steps > first:
        times = timetable(key, first, schedule.steps, length, recorded)
        (state, kept), _ = jax.lax.scan(run_segment, (state, kept), times)
    kept = jax.tree.map(lambda all, last: all[:-1].at[-1].set(last), kept, state.trained)
    keys = jax.vmap(partial(jax.random.fold_in, key))(jnp.asarray(recorded, jnp.uint32))
    curve = over_draws(draw, keys, kept, lambda noise, trained: loss(trained, noise))
    return TrainResult(eqx.combine(state.trained, constant), state.optimizer, curve, kept)


def continued(state: TrainState, fresh: TrainState, first: int) -> TrainState:
    """`state` before step `first`, with the optimiser's step counts as those of a run from step 0.

    Those are one number for all cells under `vmap`. Stored ones are a number for each cell, and XLA rounds a division
    by such a vector otherwise than one by a scalar.
    """
    count = lambda new, old: new + first if jnp.issubdtype(new.dtype, jnp.integer) else old
    return TrainState(state.trained, jax.tree.map(count, fresh.optimizer, state.optimizer))


def timetable(key: PRNGKeyArray, first: int, last: int, length: int, recorded: np.ndarray) -> tuple:
    """What steps first ... last - 1 need, (segment, step of the segment): their slots, whether they count, their keys.

    A step that is not recorded has the slot after the last. The last segment is filled up with steps that do not count;
    the second entry is None where there are none.
    """
    end = first + -(-(last - first) // length) * length
    steps = np.arange(first, end).reshape(-1, length)
    slots = np.where(np.isin(steps, recorded), np.searchsorted(recorded, steps), len(recorded))
    keys = jax.vmap(partial(jax.random.fold_in, key))(jnp.arange(first, end, dtype=jnp.uint32))
    live = None if end == last else jnp.asarray(steps < last)
    return jnp.asarray(slots), live, jax.random.key_data(keys).reshape(*steps.shape, -1)
