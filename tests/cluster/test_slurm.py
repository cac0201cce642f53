"""A real SLURM: whatever happens to its tasks, the arrays are in the end those of one process, bit for bit."""

import laboratory
import pytest
from commandline import Command
from laboratory import HELD
from slurm import Slurm, wait

LEVELS = ["experiment=tiny", "sparsity=[0.0,0.5,0.9]", "seed=48", "schedule.steps=2000", "compute.block=3"]
TASKS = ["hydra.launcher.cpus_per_task=1", "compute.platform=cpu"]
FOUR = ["-m", "compute=slurm", "compute.shard=range(4)", "compute.shards=4", *TASKS]
TWO = ["-m", "compute=slurm", "compute.shards=2", *TASKS]
BLOCKS = 48


@pytest.fixture
def command(cluster, tmp_path):
    return Command(tmp_path, LEVELS, cluster.environment)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The arrays of one process."""
    made = Command(tmp_path_factory.mktemp("alone"), LEVELS, {})
    made.run("compute.platform=cpu", "compute.devices=1")
    assert made.done() == BLOCKS
    return made.arrays()


def tasks(cluster: Slurm, *states: str) -> list[str]:
    return [task for task, state in cluster.jobs().items() if state in states]


def running(cluster: Slurm, count: int) -> list[str]:
    """The names of the tasks, once so many run: 12_0, 12_1, ..."""
    wait(lambda: len(tasks(cluster, "RUNNING")) == count, f"{count} tasks that run")
    return sorted(tasks(cluster, "RUNNING"))


def test_whichever_tasks_die_the_same_command_ends_with_the_same_arrays(cluster, command, alone):
    """One task is cancelled, one is requeued, then the node dies with all; the command again does what is left."""
    command.hold()
    submitted = command.start(*FOUR)
    first, cancelled, requeued, last = running(cluster, 4)
    wait(lambda: command.done(1, 4) == HELD, "blocks of the task to cancel")
    cluster.tell("scancel", cancelled)
    cluster.tell("scontrol", "requeue", requeued)
    wait(lambda: cancelled in tasks(cluster, "CANCELLED"), "end of the cancelled task")
    cluster.node_dies()
    command.go()
    cluster.daemon("slurmd", "-D", "-N", cluster.host)
    cluster.again(first, requeued, last)
    told = command.end(submitted, code=1)
    assert "CANCELLED" in told and "Traceback" not in told
    wait(lambda: not tasks(cluster, "RUNNING", "PENDING", "COMPLETING"), "end of the other tasks")
    assert command.done(1, 4) == HELD and command.done() == BLOCKS - BLOCKS // 4 + HELD
    command.run(*FOUR)
    assert laboratory.same(command.arrays(), alone)


def test_a_task_that_is_told_of_its_end_is_requeued_after_its_block(cluster, command, alone):
    """The signal that SLURM sends before a timeout; the command that waits needs not be repeated."""
    command.hold()
    submitted = command.start(*TWO)
    first, _ = running(cluster, 2)
    wait(lambda: command.done(0, 2) == HELD, "blocks of the task to signal")
    cluster.tell("scancel", "--signal=USR2", first)
    cluster.again(first)
    command.go()
    command.end(submitted)
    assert laboratory.same(command.arrays(), alone)


def test_a_task_at_its_time_limit_is_requeued(cluster, command, alone):
    """SLURM itself sends the signal, between one minute and a minute and a half after the start."""
    command.hold()
    submitted = command.start(*TWO, "hydra.launcher.timeout_min=2", "hydra.launcher.signal_delay_s=30")
    cluster.again(*running(cluster, 2))
    command.go()
    command.end(submitted)
    assert laboratory.same(command.arrays(), alone)


def test_a_task_that_is_pre_empted_goes_on_afterwards(cluster, command, alone):
    command.hold()
    submitted = command.start(*TWO)
    names = running(cluster, 2)
    wait(lambda: command.done() == 2 * HELD, "blocks of each task")
    told = cluster.tell("sbatch", "--partition=urgent", "--exclusive", "--output=/dev/null", "--wrap=sleep 600")
    urgent = told.split()[-1]
    wait(lambda: urgent in tasks(cluster, "RUNNING"), "pre-emption")
    assert not set(names) & set(tasks(cluster, "RUNNING"))
    command.go()
    cluster.tell("scancel", urgent)
    cluster.again(*names)
    command.end(submitted)
    assert laboratory.same(command.arrays(), alone)


def test_processes_of_one_task_find_each_other(cluster, command, alone):
    """srun's variables tell `jax.distributed` who is there."""
    told = command.run("compute.distributed=true", before=["srun", "--ntasks=2", "--cpus-per-task=1"])
    assert "this is shard 0 of 2" in told and "this is shard 1 of 2" in told
    assert laboratory.same(command.arrays(), alone)


def test_a_tasks_error_is_told_here(cluster, command):
    told = command.run(*TWO, "model.m=0", code=2)
    assert "error: `model.m` must be an integer of at least 1, got 0" in told and "Traceback" not in told
    assert not (command.folder / "outputs/tiny").exists()
