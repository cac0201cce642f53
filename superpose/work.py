"""The work of a run on its table: train the blocks that are missing, measure the models that lack a measure."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import jax
import numpy as np

from superpose import __version__
from superpose.config import Run
from superpose.console import Bar, log
from superpose.experiment import measured
from superpose.grid import Rows, of_shard
from superpose.halving import halve
from superpose.interrupt import Guard
from superpose.planning import Job, settled
from superpose.store import Store
from superpose.sweep import DoesNotFit, sweep


def train(run: Run, table: Store, job: Job, devices: list[jax.Device], guard: Guard, bar: Bar) -> None:
    """Train the missing blocks of this shard, each written with its measures as soon as it is done.

    A tile that does not fit in memory is halved, as long as no block is done.
    """
    while told := _fits_not(run, table, settled(job, table), devices, guard, bar):
        halve(run, table, job, devices, bar, told)


def _fits_not(run: Run, table: Store, job: Job, devices: list[jax.Device], guard: Guard, bar: Bar) -> str:
    """Train what is missing; "" in the end, else why the tile does not fit."""
    try:
        _train(run, table, job, devices, guard, bar)
    except DoesNotFit as error:
        return error.told  # the error holds on to the arrays
    return ""


def _train(run: Run, table: Store, job: Job, devices: list[jax.Device], guard: Guard, bar: Bar) -> None:
    with guard.shield():
        if job.earlier is not None:
            table.plan(job.label, job.rows[job.earlier.has(job.rows)])
        table.plan(job.label, job.rows)
        add_measures(table, job)
    numbers = of_shard(table.missing(job.label, job.rows), run.compute.shard, run.compute.shards)
    ahead = [number for number in numbers if continued(table, job, number)]
    for group, states in ((ahead, job.earlier), ([n for n in numbers if n not in ahead], None)):
        if not group:
            continue
        blocks = [table.rows(job.label, number) for number in group]
        program = states.program() if states else job.variant.program
        how: dict[str, Any] = {"tile": job.schema.tile, "devices": devices, "seeding": job.variant.seeding}
        if states:
            how["states"] = lru_cache(maxsize=2)(lambda k, blocks=blocks, states=states: states.states(blocks[k]))
        bar.start(job, sum(map(len, blocks)), states.steps if states else 0)
        how |= {"on_compile": bar.compiled_in, "on_models": bar.advance, "compiled": job.compiled}
        for place, arrays in sweep(program, blocks, **how):
            arrays = states.completed(blocks[place], arrays) if states else arrays
            write(table, job, group[place], blocks[place], arrays, note(devices), guard)


def continued(table: Store, job: Job, number: int) -> bool:
    """Whether every model of a block can go on from where an earlier run stopped."""
    return job.earlier is not None and bool(job.earlier.has(table.rows(job.label, number)).all())


def note(devices: Sequence[jax.Device]) -> dict[str, str]:
    """What models are trained with, which decides how their numbers are rounded."""
    return {"jax": jax.__version__, "device": devices[0].device_kind, "superpose": __version__}


def write(
    table: Store,
    job: Job,
    number: int,
    rows: Rows,
    arrays: dict[str, np.ndarray],
    made: dict[str, str],
    guard: Guard,
) -> None:
    """A trained block and its measures, to the disk."""
    found = {each.name: function(rows, arrays) for each, function in zip(job.measures, job.measurers, strict=True)}
    with guard.shield():
        table.write(job.label, number, arrays)
        for name, own in found.items():
            table.write(job.label, number, own, part=name)
        table.record(job.label, number, made)
    log.info("%s: block %d, %d models", job.label, number, len(rows))


def add_measures(table: Store, job: Job) -> None:
    """Make room for the measures that the table lacks or has in another version."""
    for each in job.measures:
        variables = measured(each, job.variant.program.model, job.variant.program.task())
        table.set_part(job.label, each.name, variables, each.version)


def measure(run: Run, table: Store, job: Job, guard: Guard, *, everything: bool) -> int:
    """Fill in the measures that trained models lack, in this shard's blocks or in all; how many blocks that were."""
    add_measures(table, job)
    count = 0
    for each, function in zip(job.measures, job.measurers, strict=True):
        lacking = table.missing(job.label, job.rows, each.name)
        numbers = lacking if everything else of_shard(lacking, run.compute.shard, run.compute.shards)
        for number in numbers:
            rows = table.rows(job.label, number)
            arrays = function(rows, table.read(job.label, number, list(job.variant.program.model.dims)))
            with guard.shield():
                table.write(job.label, number, arrays, part=each.name)
        if numbers:
            log.info("%s: measured %s in %d blocks", job.label, each.name, len(numbers))
        count += len(numbers)
    return count
