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
from jaxtyping import Array, PRNGKeyArray, PyTree

from superpose import estimate, evaluation
from superpose.grid import Rows, Tile
from superpose.models import trained
from superpose.program import Coordinates, Program
from superpose.record import Record
from superpose.sweep import Seeding, Wave, tile_runner, wave_inputs, waves
from superpose.training import LONGEST_SEGMENT, train

RUN_SECONDS = 0.3
NEVER = 1e9  # seconds


class Short(NamedTuple):
    """A compiled run of a wave, ready to be repeated: how many steps it has, and the seconds of its compile."""

    run: Callable[[], dict[str, Array]]
    steps: int
    compile_seconds: float

    def step_seconds(self) -> float:
        """Run once: the seconds of a step."""
        begun = time.perf_counter()
        jax.block_until_ready(self.run())
        return (time.perf_counter() - begun) / self.steps


def first_wave(rows: Rows, tile: Tile, devices: Sequence[jax.Device]) -> Wave:
    """The tiles that a sweep of `rows` trains first."""
    return next(waves([rows[: tile.models * len(devices)]], tile, len(devices)))


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


def short_training(program: Program, rows: Rows, tile: Tile, devices: Sequence[jax.Device], seeding: Seeding) -> Short:
    """So many steps of the first wave of `rows` as take about a third of a second."""
    wanted = RUN_SECONDS / (tile.models * estimate.step_seconds(program))
    steps = min(LONGEST_SEGMENT * max(1, round(wanted / LONGEST_SEGMENT)), max(program.schedule.steps, 1))
    inputs = wave_inputs([rows], first_wave(rows, tile, devices), tile, None)
    return compiled(tile_runner(training(program, steps), tile, devices, seeding), inputs, steps)


def judgement(
    program: Program,
    rows: Rows,
    tile: Tile,
    devices: Sequence[jax.Device],
    seeding: Seeding,
    arrays: dict[str, Array],
) -> Short:
    """What follows training, of the first wave of `rows` with these trained arrays."""
    own, _, *of_lanes = wave_inputs([rows], first_wave(rows, tile, devices), tile, None)
    return compiled(tile_runner(judging(program), tile, devices, seeding), (own, arrays, *of_lanes), 1)


def compiled(runner: tuple[Callable, Any], inputs: PyTree, steps: int) -> Short:
    """The function of a wave compiled for these inputs."""
    run, sharding = runner
    inputs = jax.device_put(inputs, sharding)
    begun = time.perf_counter()
    with not_kept(), jax.default_matmul_precision("highest"):
        made = jax.jit(run).lower(*inputs).compile()
    return Short(lambda: made(*inputs), steps, time.perf_counter() - begun)


def repeated(short: Short, seconds: float) -> float:
    """The median of the seconds of a step, from runs of together at least `seconds`."""
    each: list[float] = []
    while sum(each) * short.steps < seconds:
        each.append(short.step_seconds())
    return statistics.median(each)


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
