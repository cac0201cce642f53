"""Where a run computes: the platform, a device per core of a CPU, the memory of a GPU, this process's share of the work
where there are several, and compiled programs kept.

What was compiled once is loaded the next time, from a folder of the user's that JAX keeps at 256 MiB: beyond that the
programs go that were not used for longest. They are the same programs, so no result depends on it.
"""

import dataclasses
import os
from functools import cache
from pathlib import Path
from typing import Any

import jax
from filelock import FileLock

from superpose.arguments import InputError
from superpose.config import Compute
from superpose.console import log
from superpose.folders import caches, processor

FRACTIONS = "XLA_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_MEM_FRACTION"
CACHE_BYTES = 2**28
CACHE_SETTINGS = {  # JAX's own, which are changed where nobody else did, and superpose's
    "jax_persistent_cache_min_compile_time_secs": (1, 0),  # the many small programs of a start take a second, too
    "jax_compilation_cache_max_size": (-1, CACHE_BYTES),
}
LOCK_SECONDS = 5


def cores() -> int:
    """The CPU cores that this process may use: where SLURM does not hold its tasks to theirs, as many as it gave."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    given = os.environ.get("SLURM_CPUS_PER_TASK", "")
    return min(allowed, int(given)) if given.isdigit() and int(given) else allowed


def start_jax(compute: Compute) -> None:
    """Choose the platform, its memory and where compiled programs are kept, and give every core of a CPU a device of
    its own. What JAX was told before, in its own settings or by an earlier run of this process, stays.

    Raises:
        InputError: a setting is not what it can be.
    """
    share_memory(compute.memory_fraction)
    keep_compiled(compute.cache)
    try:
        if compute.platform:
            jax.config.update("jax_platforms", compute.platform)
        jax.config.update(
            "jax_num_cpu_devices", max(jax.config.values["jax_num_cpu_devices"], cores(), compute.devices or 1)
        )
    except RuntimeError:
        log.info("JAX has started already: its devices are used as they are")
    if compute.distributed:
        meet_others()


@cache
def meet_others() -> None:
    """Once in a process, have JAX find the other processes of this run, as `own_share` needs them, and part again.

    They share nothing but the store: each computes on devices of its own, and none ends because another died.

    Raises:
        InputError: they cannot be found.
    """
    if jax.distributed.is_initialized():
        return
    told = [os.environ.get(name) for name in ("JAX_NUM_PROCESSES", "JAX_PROCESS_ID")]
    try:
        count, index = (int(text) if text else None for text in told)  # None: JAX finds it out
        jax.distributed.initialize(num_processes=count, process_id=index)
        jax.local_devices()
        jax.distributed.shutdown()
    except (ValueError, RuntimeError) as error:
        raise InputError(
            f"`compute.distributed` finds no other processes: {str(error).splitlines()[0]} Start them by srun, or give"
            " each JAX_COORDINATOR_ADDRESS=HOST:PORT (the first one's), JAX_NUM_PROCESSES=N and JAX_PROCESS_ID=0...N-1."
        ) from error


def own_share(compute: Compute) -> Compute:
    """What is this process's of a shard that P processes of `jax.distributed` have together.

    Process p has shard s + S p of S P, so that block k is of the same s = k mod S, and shared out evenly by p.
    """
    count, index = jax.process_count(), jax.process_index()
    shard, shards = compute.shard + compute.shards * index, compute.shards * count
    return dataclasses.replace(compute, shard=shard, shards=shards)


def devices_of(compute: Compute) -> list[jax.Device]:
    """The local devices that train.

    Raises:
        InputError: there are fewer than `compute.devices`, or none of the platform.
    """
    try:
        local = jax.local_devices()
    except RuntimeError as error:
        raise InputError(f"JAX finds no {compute.platform or ''} device: {str(error).splitlines()[0]}") from error
    wanted = compute.devices or (min(len(local), cores()) if local[0].platform == "cpu" else len(local))
    if wanted > len(local):
        raise InputError(f"`compute.devices` is {wanted}, and there are {len(local)} {local[0].platform} devices.")
    return local[:wanted]


def share_memory(fraction: float | None) -> None:
    """Let JAX take this part of a GPU's memory; it reads that from the environment when it starts.

    Raises:
        InputError: no part of a memory.
    """
    if fraction is None:
        return
    if not 0 < fraction <= 1:
        raise InputError(
            f"`compute.memory_fraction` must lie in (0, 1], got {fraction}. It is the part of a GPU's memory that JAX"
            " takes: 0.75 where it is null."
        )
    if not any(os.environ.get(name) for name in FRACTIONS):
        os.environ[FRACTIONS[0]] = str(fraction)


def keep_compiled(where: Any) -> None:
    """Have JAX keep what it compiles: `where` is a folder, None for the user's own, False for none.

    A folder that JAX was told of goes before it. One that cannot be written is told in the log.

    Raises:
        InputError: `where` is nothing of these.
    """
    if where is not None and where is not False and not (isinstance(where, str) and where.strip()):
        raise InputError(
            f"`compute.cache` is a folder for compiled programs, null for your own ({caches()}), or false for"
            f" none, got {where!r}."
        )
    before = jax.config.values["jax_compilation_cache_dir"]
    if where is False or before is not None:
        if where is not None and before is not None:
            log.info("compute.cache=%s changes nothing: JAX keeps compiled programs in %s", where, before)
        return
    try:
        folder = (Path(where).expanduser() if where else caches()) / processor()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # whoever writes there runs code here
        tidy(folder)
    except (OSError, RuntimeError) as error:
        log.warning("compiled programs are not kept: %s", error)
        return
    for name, (usual, value) in CACHE_SETTINGS.items():
        if jax.config.values[name] == usual:
            jax.config.update(name, value)
    jax.config.update("jax_compilation_cache_dir", str(folder))


def tidy(folder: Path) -> None:
    """Take out what a killed process left half written: a program without the time of its last use.

    With one of those in the folder JAX would write no other.

    Raises:
        OSError: the folder cannot be written, or another process holds it for long.
    """
    with FileLock(folder / ".lockfile", timeout=LOCK_SECONDS):
        for entry in folder.glob("*-cache"):
            if not entry.with_name(entry.name.removesuffix("cache") + "atime").exists():
                entry.unlink()
