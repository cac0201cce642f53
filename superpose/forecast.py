"""The time that a run will take, from a probe of each of its programs.

    compile + waves * (steps * seconds of a step + seconds of judging) + blocks * seconds of measuring and writing

The shares of training, judging and measuring are measured on the first wave, compiles included; nothing is written, so
that the time of writing is a constant for each file.
"""

import dataclasses
import time

import jax
import numpy as np

from superpose import estimate, probing
from superpose.arguments import InputError
from superpose.measuring import ROWS_AT_ONCE
from superpose.planning import Job
from superpose.sweep import DoesNotFit, fitting

PROBE_SECONDS = 1.5
JUDGING_SECONDS = 0.5
FILE_SECONDS = 0.01


def probed(job: Job, devices: list[jax.Device]) -> Job:
    """The job with the time that a probe foretells; where nothing is missing, as it is.

    Raises:
        InputError: its tile does not fit in a device's memory; the message says what a run does then.
    """
    if not job.share.waves:
        return job
    try:
        with fitting(job.schema.tile):
            return _probed(job, devices)
    except DoesNotFit as error:
        half = job.schema.tile.models // 2
        less = f"compute.tile={half} name=ANOTHER" if half else "a smaller objective.batch"
        raise InputError(
            f"{job.label}: {error.told} A run halves them until they fit, as long as no model of its table is done. For"
            f" a plan of less, type {less}."
        ) from error


def _probed(job: Job, devices: list[jax.Device]) -> Job:
    how = job.variant.program, job.rows, job.schema.tile, devices, job.variant.seeding
    training = probing.short_training(*how)
    step = probing.repeated(training, PROBE_SECONDS)
    arrays = training.run()
    judgement = probing.judgement(*how, arrays)
    judging = estimate.judgings(job.variant.program) * probing.repeated(judgement, JUDGING_SECONDS)
    first, turn = measuring_times(job, devices, arrays)
    seconds = job.share.steps * step + job.share.waves * judging
    turns = -(-job.share.models // ROWS_AT_ONCE) + job.share.blocks
    writing = job.share.blocks * len(job.schema.arrays) * FILE_SECONDS
    compiles = training.compile_seconds + judgement.compile_seconds + first
    return dataclasses.replace(job, seconds=seconds + turns * turn + writing, compile_seconds=compiles)


def measuring_times(job: Job, devices: list[jax.Device], arrays: dict[str, jax.Array]) -> tuple[float, float]:
    """Seconds of all measures of the first wave's models: the first time, with their compiles, and from then on."""
    wave = probing.first_wave(job.rows, job.schema.tile, devices)
    rows = job.rows[np.concatenate([index.ravel() for _, index in wave])][:ROWS_AT_ONCE]
    own = {name: np.asarray(a).reshape(-1, *a.shape[3:])[: len(rows)] for name, a in arrays.items()}
    seconds = []
    for _ in range(2):
        begun = time.perf_counter()
        for function in job.measurers:
            function(rows, own)
        seconds.append(time.perf_counter() - begun)
    return seconds[0], seconds[1]
