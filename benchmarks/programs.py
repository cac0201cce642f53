"""The three programs that compare.py times, and the work that each gets."""

import time
from collections.abc import Callable
from typing import NamedTuple

BATCH = 1024


class Job(NamedTuple):
    """The work of one repeat: `models` models for each device, for `steps` steps; 2 to 5 seconds of JAX on two cores.

    `tile` and `segment` are fast_sweep's best; PyTorch trains `tile` models per device at once, for `loops` steps.
    """

    n: int
    m: int
    models: int
    steps: int
    tile: int
    segment: int
    loops: int

    @property
    def label(self) -> str:
        return f"n={self.n}, m={self.m}"


JOBS = (
    Job(2, 1, 160, 10_000, tile=32, segment=20, loops=400),
    Job(5, 2, 64, 8_000, tile=32, segment=20, loops=150),
    Job(20, 5, 8, 10_000, tile=8, segment=20, loops=200),
    Job(80, 20, 4, 2_000, tile=4, segment=20, loops=100),
    Job(400, 30, 2, 1_000, tile=2, segment=10, loops=50),
)


class Timing(NamedTuple):
    """How long so many model-steps took, and how long the compile before them."""

    model_steps: int
    seconds: float
    compile_seconds: float

    @property
    def rate(self) -> float:
        return self.model_steps / self.seconds


Runner = Callable[[], Timing]


def superpose(job: Job, devices: int) -> Runner:
    """The package's sweep over densities from 1 to 0.05. It compiles in each call, which is not counted."""
    import jax

    from superpose import AdamW, Axis, Constant, Geometric, Grid, IndependentFeatures, Program, ReLUOutput, Sampled
    from superpose.estimate import device_memory, tile_budget
    from superpose.grid import fit_tile
    from superpose.sweep import sweep

    program = Program(
        ReLUOutput(job.n, job.m),
        IndependentFeatures(job.n),
        Geometric(0.9),
        objective=Sampled(BATCH),
        optimizer=AdamW(1e-3, 1e-2),
        schedule=Constant(job.steps),
        axes=(("sparsity", "features.density"),),
    )
    models = job.models * devices
    sparsity = tuple(1 - 20.0 ** (-k / (models - 1)) for k in range(models))
    grid = Grid((Axis("sparsity", sparsity, "features.density"),), (0,))
    tile = fit_tile(grid, tile_budget(program, "cpu", device_memory(jax.devices()[0], devices)))

    def run() -> Timing:
        compiles: list[float] = []
        begun = time.perf_counter()
        for _ in sweep(program, [grid.rows()], tile=tile, devices=jax.devices(), on_compile=compiles.append):
            pass
        seconds = time.perf_counter() - begun - sum(compiles)
        return Timing(models * job.steps, seconds, sum(compiles))

    return run


def fast_sweep(job: Job, devices: int) -> Runner:
    """The same models in plain JAX, compiled once."""
    import fast_sweep as program

    models = job.models * devices
    shape = {"tile": job.tile, "steps": job.steps, "segment": job.segment, "devices": devices}
    sweep, compile_seconds = program.compiled(job.n, job.m, models, **shape)

    def run() -> Timing:
        begun = time.perf_counter()
        sweep()
        return Timing(models * job.steps, time.perf_counter() - begun, compile_seconds)

    return run


def notebook_loop_torch(job: Job, devices: int) -> Runner:
    """The PyTorch loop, on all cores."""
    import notebook_loop_torch as program

    instances = job.tile * devices
    train = program.trainer(job.n, job.m, instances)
    return lambda: Timing(instances * job.loops, train(job.loops), 0.0)


PROGRAMS = {program.__name__: program for program in (superpose, fast_sweep, notebook_loop_torch)}
