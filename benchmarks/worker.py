"""A process of its own for one program at one size: it stays warm between repeats, and idles while others run.

python benchmarks/worker.py PROGRAM N,M     does a repeat for every line that it reads, and answers with JSON
"""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

from jobs import JOBS, Job, Timing


def cores() -> int:
    """The CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def peak_gigabytes() -> float:
    """The most memory that this process has held.

    `ru_maxrss` is the same number, but on Linux a new process takes its parent's over.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e9


class Worker:
    """The process, seen from outside. Caches of compiled programs are kept in `caches`."""

    def __init__(self, program: str, job: Job, caches: Path):
        kept = {"XDG_CACHE_HOME": "xdg", "TORCHINDUCTOR_CACHE_DIR": "inductor"}
        environment = {**os.environ, "JAX_PLATFORMS": "cpu"} | {name: str(caches / own) for name, own in kept.items()}
        environment.pop("JAX_COMPILATION_CACHE_DIR", None)
        command = [sys.executable, __file__, program, f"{job.n},{job.m}"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, env=environment, text=True)

    def repeat(self) -> tuple[Timing, float]:
        """The timing of one more repeat, and the process's peak memory in GB.

        Raises:
            RuntimeError: the program failed; its last line says how.
        """
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        except OSError as error:
            raise RuntimeError("it was killed") from error
        answer: dict[str, Any] = json.loads(self.process.stdout.readline() or '{"error": "it ended without an answer"}')
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return Timing(*answer["timing"]), answer["gigabytes"]

    def stop(self) -> None:
        self.process.communicate()


def serve(program: str, size: str) -> None:
    """Answer on what was the standard output; what a library prints goes to the standard error."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    from programs import PROGRAMS

    (job,) = (job for job in JOBS if f"{job.n},{job.m}" == size)
    runner = None
    for _ in sys.stdin:
        try:
            runner = runner or PROGRAMS[program](job, cores())
            answer: dict[str, Any] = {"timing": runner(), "gigabytes": peak_gigabytes()}
        except Exception as error:
            lines = str(error).strip().splitlines() or [""]
            answer = {"error": f"{type(error).__name__}: {lines[0]}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    serve(*sys.argv[1:])
