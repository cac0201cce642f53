"""A SLURM of one machine, as large as the tests need: munged, slurmctld and slurmd, started and stopped as processes.

It needs no systemd and touches nothing of a SLURM that is installed: configuration, keys, sockets, state and logs lie
in one folder. Nothing keeps accounts there; `sacct`, which submitit asks for the state of its tasks, is `squeue`.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PACKAGES = {"slurmctld": "slurm-wlm", "slurmd": "slurm-wlm", "sbatch": "slurm-wlm", "munged": "munge"}
PATIENCE_SECONDS = 120
SACCT = """#!/bin/sh
echo 'JobID|State|NodeList'
exec squeue --all --states=all --array --noheader --format='%i|%T|%N'
"""
CONF = """
ClusterName=superpose
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={daemon}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=2
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
JobRequeue=1
KillWait=2
SlurmdTimeout=5
ReturnToService=2
SchedulerParameters=batch_sched_delay=0,sched_interval=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=work Nodes=ALL Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes=ALL MaxTime=INFINITE State=UP PriorityTier=9
"""


def lacking() -> str:
    """Why there can be no SLURM here, or nothing."""
    packages = sorted({package for program, package in PACKAGES.items() if not _find(program)})
    if packages:
        return f"the Debian packages are missing: apt-get install {' '.join(packages)}"
    return "" if os.geteuid() == 0 else "slurmctld and slurmd start here as root only"


def _find(program: str) -> str | None:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def wait(condition: Callable[[], object], what: str) -> None:
    """Wait until `condition` holds. Raises AssertionError, saying what did not come, after two minutes."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < until, f"no {what} in {PATIENCE_SECONDS} s"
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        return made.getsockname()[1]


class Slurm:
    """A running SLURM; `environment` is what its commands need."""

    def __init__(self, folder: Path, cpus: int):
        self.folder, self.host = folder, socket.gethostname().split(".")[0]
        self.running: dict[str, subprocess.Popen] = {}
        for name in ("state", "spool", "bin"):
            (folder / name).mkdir(mode=0o755)
        ports = {"controller": _free_port(), "daemon": _free_port()}
        (folder / "slurm.conf").write_text(CONF.format(folder=folder, host=self.host, cpus=cpus, **ports))
        (folder / "bin/sacct").write_text(SACCT)
        (folder / "bin/sacct").chmod(0o755)
        path = f"{folder / 'bin'}:{os.environ['PATH']}:/usr/sbin:/sbin"
        self.environment = {"SLURM_CONF": str(folder / "slurm.conf"), "PATH": path}

    def start(self) -> None:
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        files = {"key-file": key, "socket": "munge.socket", "pid-file": "munge.pid", "log-file": "munge.log"}
        options = [f"--{name}={self.folder / path}" for name, path in files.items()]
        self.daemon("munged", "--foreground", "--force", *options, f"--seed-file={self.folder / 'munge.seed'}")
        wait((self.folder / "munge.socket").exists, "munged")
        self.daemon("slurmctld", "-D")
        self.daemon("slurmd", "-D", "-N", self.host)
        wait(self.idle, "node that is idle")

    def daemon(self, name: str, *options: str) -> None:
        """Start a daemon; its output goes to a file of its name."""
        program = _find(name)
        assert program
        with (self.folder / f"{name}.out").open("ab") as out:
            environment = os.environ | self.environment
            self.running[name] = subprocess.Popen([program, *options], env=environment, stdout=out, stderr=out)

    def kill(self, name: str, number: int = signal.SIGKILL) -> None:
        process = self.running.pop(name)
        process.send_signal(number)
        process.wait(PATIENCE_SECONDS)

    def node_dies(self) -> None:
        """Kill the node's daemon and all that runs there."""
        self.kill("slurmd")
        self.kill_tasks()

    def kill_tasks(self) -> None:
        """Kill what this SLURM started: first whoever would tell the controller of the tasks' end, then the tasks."""
        for number, _ in sorted(self.started(), key=lambda each: "slurmstepd" not in each[1]):
            with suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)

    def started(self) -> list[tuple[int, str]]:
        """The processes of tasks, and of SLURM's own that watch over them: number and command."""
        mine, found = f"SLURM_CONF={self.folder}/slurm.conf".encode(), []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has ended meanwhile
                variables = (process / "environ").read_bytes().split(b"\0")
                command = (process / "cmdline").read_text()
                watches = command.startswith("slurmstepd")
                if mine in variables and (watches or any(each.startswith(b"SLURM_JOB_ID=") for each in variables)):
                    found.append((int(process.name), command))
        return found

    def stop(self) -> None:
        """End every daemon and every task that is left."""
        for name in reversed(list(self.running)):
            self.kill(name, signal.SIGTERM)
        self.kill_tasks()

    def tell(self, *words: str) -> str:
        """What a command of SLURM's prints."""
        environment = os.environ | self.environment
        done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
        return done.stdout + done.stderr

    def idle(self) -> bool:
        return "idle" in self.tell("sinfo", "--noheader", "--format=%T", "--partition=work").split()

    def about(self, job: str) -> dict[str, str]:
        """What the controller knows of a task: JobId (its own number), Restarts (how often it was requeued), ..."""
        words = self.tell("scontrol", "show", "job", job).split()
        return {name: value for name, _, value in (word.partition("=") for word in words)}

    def again(self, *jobs: str, times: int = 1) -> None:
        """Wait until each task was requeued so often, and spare it the two minutes that SLURM lets it wait then.

        It lets it wait because what is left of the task on the node must not be taken for its next start.
        """
        for job in jobs:
            waits = lambda job=job: self.about(job).get("Restarts") == str(times) and self.jobs()[job] == "PENDING"
            wait(waits, f"task {job} that waits to run again")
            watcher = f"slurmstepd: [{self.about(job)['JobId']}."
            wait(
                lambda watcher=watcher: not any(c.startswith(watcher) for _, c in self.started()), f"end of task {job}"
            )
            self.tell("scontrol", "update", f"JobId={job}", "StartTime=now")

    def jobs(self) -> dict[str, str]:
        """The state of every task that the controller remembers: 12_3 -> RUNNING."""
        told = self.tell("squeue", "--all", "--states=all", "--array", "--noheader", "--format=%i|%T")
        return dict(line.split("|") for line in told.splitlines() if "|" in line)

    def logs(self) -> str:
        """The ends of the daemons' logs, for a failure's message."""
        found = [*self.folder.glob("*.log"), *self.folder.glob("*.out")]
        return "\n".join(f"--- {path.name}\n{path.read_text(errors='replace')[-2000:]}" for path in found)
