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
from superpose.measuring import ROWS_AT_ONCE
from superpose.planning import Job
from superpose.sweep import DoesNotFit, fitting

PROBE_SECONDS = 1.5
JUDGING_SECONDS = 0.5
FILE_SECONDS = 0.01


def foretold(jobs: list[Job], devices: list[jax.Device]) -> tuple[list[Job], list[str]]:
    """The jobs with the time that a probe of each foretells, and what to say of tiles that do not fit.

    A job whose tile does not fit is left as it is.
    """
    found, told = [], []
    for job in jobs:
        try:
            with fitting(job.schema.tile):
                found.append(probed(job, devices))
        except DoesNotFit as error:
            then = "its table keeps it: type compute.tile=K name=ANOTHER" if job.done else "a run halves it"
            found.append(job)
            told.append(f"{job.label}: {error.told} The time is a guess, and {then}.")
    return found, told


def probed(job: Job, devices: list[jax.Device]) -> Job:
    """The job with the time that a probe foretells; where nothing is missing, as it is."""
    if not job.share.waves:
        return job
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
