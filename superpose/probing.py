"""How fast a program goes here: short runs of its training alone, and one of its judging. Writes nothing.

A model in training costs steps * a + b. A program of its last few steps, without what follows them, gives a; what
follows, run once on the weights that it leaves, gives b. Both run as a sweep does, a tile on every device at once.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array, PRNGKeyArray, PyTree

from superpose import estimate, evaluation
from superpose.grid import Rows, Tile
from superpose.models import trained
from superpose.program import Coordinates, Program
from superpose.record import Record
from superpose.sweep import Seeding, tile_runner, wave_inputs, waves
from superpose.training import LONGEST_SEGMENT, train

RUN_SECONDS = 0.3
NEVER = 1e9  # seconds


class Timing(NamedTuple):
    """Of a compiled function its compile, its seconds (the median of its runs), and what it gave."""

    compile_seconds: float
    seconds: float
    arrays: dict[str, Array]


def first_wave(rows: Rows, tile: Tile, devices: Sequence[jax.Device]) -> list[tuple[int, np.ndarray]]:
    """The tiles that a sweep of `rows` trains first."""
    return waves([rows[: tile.models * len(devices)]], tile, len(devices))[0]


def training(program: Program, steps: int) -> Callable[..., dict[str, Array]]:
    """(coordinates, init_key, data_key) -> the trained arrays after the last `steps` steps of the program alone.

    Of a path these are steps at its first point.
    """

    def one(coordinates: Coordinates, init_key: PRNGKeyArray, data_key: PRNGKeyArray) -> dict[str, Array]:
        here = program.at(coordinates)
        here = here if here.path is None else here.there(here.path.walked[0])
        model, how = here.init(here.model, key=init_key), (here.objective, here.optimizer, here.schedule)
        first, record = here.schedule.steps - steps, Record(curve=False)
        result = train(model, here.task(), *how, record=record, key=data_key, first=first)
        return dict(zip(model.dims, trained(model)(result.model), strict=True))

    return one


def judging(program: Program) -> Callable[..., dict[str, Array]]:
    """(coordinates, trained arrays, data_key) -> what follows the last step: the polish, the loss and its gradient."""

    def one(coordinates: Coordinates, arrays: dict[str, Array], data_key: PRNGKeyArray) -> dict[str, Array]:
        model, task = program.restore(coordinates, arrays)
        final = program.at(coordinates).polished(model, task)
        weights = dict(zip(model.dims, trained(model)(final), strict=True))
        return weights | evaluation.evaluate(final, task, program.method)._asdict()

    return one


def training_time(
    program: Program, rows: Rows, tile: Tile, devices: Sequence[jax.Device], seeding: Seeding, seconds: float
) -> Timing:
    """The time of one step of a wave of `rows`, from runs of together about `seconds`."""
    wanted = RUN_SECONDS / (tile.models * estimate.step_seconds(program))
    steps = min(LONGEST_SEGMENT * max(1, round(wanted / LONGEST_SEGMENT)), max(program.schedule.steps, 1))
    inputs = wave_inputs([rows], first_wave(rows, tile, devices), None)
    found = timed(tile_runner(training(program, steps), tile, devices, seeding), inputs, seconds)
    return found._replace(seconds=found.seconds / steps)


def judging_time(
    program: Program,
    rows: Rows,
    tile: Tile,
    devices: Sequence[jax.Device],
    seeding: Seeding,
    arrays: dict[str, Array],
) -> Timing:
    """The time of what follows training, of a wave of `rows` with these trained arrays."""
    coordinates, _, seeds = wave_inputs([rows], first_wave(rows, tile, devices), None)
    return timed(tile_runner(judging(program), tile, devices, seeding), (coordinates, arrays, seeds), 0.0)


def timed(runner: tuple[Callable, Any], inputs: PyTree, seconds: float) -> Timing:
    """Compile a function of a wave, and run it until `seconds` are over, once at least."""
    run, sharding = runner
    inputs = jax.device_put(inputs, sharding)
    begun = time.perf_counter()
    with not_kept(), jax.default_matmul_precision("highest"):
        compiled = jax.jit(run).lower(*inputs).compile()
    compile_seconds, each, arrays = time.perf_counter() - begun, [], {}
    while not each or sum(each) < seconds:
        begun = time.perf_counter()
        arrays = jax.block_until_ready(compiled(*inputs))
        each.append(time.perf_counter() - begun)
    return Timing(compile_seconds, statistics.median(each), arrays)


@contextmanager
def not_kept() -> Iterator[None]:
    """What is compiled meanwhile goes into no persistent cache: it serves this once, and its time is to be measured."""
    name = "jax_persistent_cache_min_compile_time_secs"
    before = jax.config.values[name]
    jax.config.update(name, NEVER)
    try:
        yield
    finally:
        jax.config.update(name, before)
