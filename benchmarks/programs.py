"""The programs that compare.py times, each made ready for a job: what it gives is called once a repeat."""

import os
import re
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from jobs import STEPS, Job, Timing

HERE = Path(__file__).parent
COMPILED = re.compile(r"compiled in ([\d.]+) s")
TRAINED = re.compile(r"trained and measured in ([\d.]+) s")
Runner = Callable[[], Timing]
NOTEBOOK_MODELS = 20  # that the authors' notebook trains at once in its sweep of n = 100, m = 20


def run(overrides: Sequence[str]) -> dict[str, float]:
    """The seconds of superpose's `speed` experiment, as a user runs it: into a folder, with its figure and claims.

    `whole` is the call from start to end, imports before it left out; `training` is training, judging, measuring and
    writing, and `compile`, which is no part of it, what the log says of the training program's compile. `cells` is how
    many models of a tile share their draws.
    """
    os.environ["SUPERPOSE_PATH"] = str(HERE)
    from superpose.app import run_sweep
    from superpose.store import Store

    with tempfile.TemporaryDirectory() as folder:
        begun = time.perf_counter()
        run_sweep(["experiment=speed", "name=speed", "compute=cpu", f"output={folder}", *overrides])
        whole = time.perf_counter() - begun
        log = (Path(folder) / "speed" / "run.log").read_text(encoding="utf-8")
        cells = Store.open(Path(folder) / "speed" / "models.zarr").schema("relu").tile.cells
    compiling = sum(map(float, COMPILED.findall(log)))
    training = sum(map(float, TRAINED.findall(log))) - compiling
    return {"whole": whole, "training": training, "compile": compiling, "cells": cells}


def superpose(job: Job, cores: int) -> Runner:
    """The package, through its own command."""
    size = [f"model.n={job.n}", f"model.m={job.m}", f"scale.levels={job.levels}", f"seed={job.seeds}"]

    def once() -> Timing:
        told = run([*size, f"schedule.steps={STEPS}"])
        return Timing(job.levels * job.seeds * STEPS, told["training"], told["compile"], told)

    return once


def fast_sweep(job: Job, cores: int) -> Runner:
    """The same models in plain JAX, in superpose's arrangement: a device a core."""
    import fast_sweep as program
    import jax

    jax.config.update("jax_num_cpu_devices", cores)
    models = job.models * cores
    shape = {"tile": job.tile, "steps": job.steps, "segment": job.segment, "devices": cores}
    return timed(models * job.steps, *program.compiled(job.n, job.m, models, **shape))


def plain_vmap(job: Job, cores: int, *, models: int | None = None) -> Runner:
    """jit(vmap(scan)) as one writes it, on one device with every thread."""
    import plain_vmap as program

    usual = job.tile * cores
    models = models or usual
    steps = max(1, job.plain * usual // models)
    return timed(models * steps, *program.compiled(job.n, job.m, models, steps=steps))


def timed(model_steps: int, sweep: Callable[[], object], compile_seconds: float) -> Runner:
    """Times a sweep that is compiled already."""

    def once() -> Timing:
        begun = time.perf_counter()
        sweep()
        return Timing(model_steps, time.perf_counter() - begun, compile_seconds)

    return once


def torch_loop(job: Job, cores: int, *, models: int | None = None, compiled: bool = False) -> Runner:
    """The PyTorch loop, on all cores."""
    import notebook_loop_torch as program

    usual = job.tile * cores
    models = models or usual
    steps = max(1, job.loops * usual // models)
    train, first = program.trainer(job.n, job.m, models, compiled=compiled)
    return lambda: Timing(models * steps, train(steps), first if compiled else 0.0)


def roofline(job: Job, cores: int) -> Runner:
    """The machine's rates at this size, in `more`."""
    import jax
    import roofline as program

    jax.config.update("jax_num_cpu_devices", cores)
    meters = program.meters(job.n, job.tile, cores)
    return lambda: Timing(0, 0.0, 0.0, {name: measure() for name, measure in meters.items()})


PROGRAMS = {
    "superpose": superpose,
    "torch_loop": torch_loop,
    "torch_loop_20": partial(torch_loop, models=NOTEBOOK_MODELS),
    "torch_compile": partial(torch_loop, compiled=True),
    "plain_vmap": plain_vmap,
    "plain_vmap_20": partial(plain_vmap, models=NOTEBOOK_MODELS),
    "fast_sweep": fast_sweep,
    "roofline": roofline,
}
