"""Multiruns whose runs go to other processes: the launchers of Hydra's plugins, and SLURM.

    python -m superpose.run -m compute=slurm compute.shards=8 ...                      a task for each shard
    python -m superpose.run -m hydra/launcher=joblib 'compute.shard=range(2)' compute.shards=2 ...

All of them write into one store. A task that failed hands `Failed` to the process that waits for it.
"""

from collections.abc import Sequence
from importlib.util import find_spec

from superpose.arguments import InputError, value_of

PLUGINS = {"submitit_slurm": "slurm", "submitit_local": "slurm", "joblib": "joblib", "ray": "ray"}
PACKAGES = {
    "slurm": "hydra_plugins.hydra_submitit_launcher",
    "joblib": "hydra_plugins.hydra_joblib_launcher",
    "ray": "hydra_plugins.hydra_ray_launcher",
}
SLURM = ("slurm", "slurm_gpu")  # options of compute


class Failed(Exception):
    """A task's error as it was told there, and the exit code that it would have had."""

    def __init__(self, told: str, code: int):
        super().__init__(told, code)
        self.told, self.code = told, code

    def __str__(self) -> str:
        return self.told


def launcher(overrides: Sequence[str]) -> str:
    """The launcher that the overrides name; `basic` is this process."""
    usual = "submitit_slurm" if value_of(overrides, "compute") in SLURM else "basic"
    return value_of(overrides, "hydra/launcher") or usual


def check(overrides: Sequence[str], *, multirun: bool) -> None:
    """Whether runs can be launched as the overrides say.

    Raises:
        InputError: the launcher's plugin is not installed, tasks without a multirun, or tasks that only plan.
    """
    name = launcher(overrides)
    plan = (value_of(overrides, "plan") or "false").lower() in ("true", "yes", "on", "1")
    extra = PLUGINS.get(name)
    try:
        installed = extra is None or find_spec(PACKAGES[extra])
    except ModuleNotFoundError:
        installed = False
    if not installed:
        raise InputError(f"The launcher {name} is not installed. Type: pip install 'superpose[{extra}]'")
    if multirun and plan and name != "basic":
        raise InputError("A plan needs no tasks: leave out -m and compute.shard.")
    if not multirun and not plan and name != "basic":
        compute = value_of(overrides, "compute")
        what = f"compute={compute}" if compute in SLURM else f"hydra/launcher={name}"
        raise InputError(
            f"{what} starts tasks, which is what a multirun does: type -m {what} 'compute.shard=range(4)'"
            " compute.shards=4 for four that share the models, or plan=true to see what would be done."
        )


def shards(overrides: Sequence[str]) -> list[str]:
    """The overrides that make a task of each shard, where a launcher is told how many and not which."""
    count = value_of(overrides, "compute.shards") or ""
    if launcher(overrides) == "basic" or value_of(overrides, "compute.shard") or not count.isdigit():
        return []
    return [f"compute.shard=range({count})"]


def hint(name: str) -> str:
    """What to know while the tasks run."""
    where = "their logs are below outputs/.hydra; " if "submitit" in name else ""
    end = "Ctrl-C here leaves them running" if name == "submitit_slurm" else "Ctrl-C ends them"
    return f"Tasks start by {name}: {where}{end}, and the same command continues what is missing."
