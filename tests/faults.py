"""Many runs quickly: one process imports what a run imports, and forks for each run before JAX has started.

A run so started takes a second. `before` is Python that the child executes first, to plan a fault.
"""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, final

SERVER = """
import json, os, sys, traceback
import equinox, matplotlib.figure, optax, xarray, zarr
from superpose import app, command, config, devices, plots
os.fsync = lambda descriptor: None  # a killed process loses no page; only a power cut would
for line in sys.stdin:
    asked = json.loads(line)
    if "wait" in asked:
        print(os.waitstatus_to_exitcode(os.waitpid(asked["wait"], 0)[1]), flush=True)
        continue
    child = os.fork()
    if child:
        print(child, flush=True)
        continue
    code = 99
    try:
        told = os.open(asked["told"], os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        os.dup2(told, 1), os.dup2(told, 2)
        os.chdir(asked["folder"])
        exec(asked["before"], {})
        code = command.main(asked["words"])
        sys.stdout.flush()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)
"""

COUNT = """
import os, signal
real, left = os.{call}, [{at}]
def counted(*args, **how):
    found = real(*args, **how)
    left[0] -= 1
    if not left[0]:
        {do}
    return found
os.{call} = counted
"""
"""Do something after the `at`-th call of a function of `os`; never where `at` is 0."""

KILLED = "os.kill(os.getpid(), signal.SIGKILL)"


@final
@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit code (-9 where it was killed) and what it printed."""

    code: int
    told: str


@final
class Runs:
    """A process that forks a child for each run; `with Runs(folder) as runs:`."""

    def __init__(self, folder: Path):
        self.folder, self.count = folder, 0
        self.told: dict[int, Path] = {}
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent), "JAX_PLATFORMS": "cpu"}
        self.server = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", SERVER],
            env=environment, cwd=folder, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def __enter__(self) -> "Runs":
        return self

    def __exit__(self, *error: object) -> None:
        self.server.kill()
        self.server.communicate()

    def start(self, folder: Path, *words: str, before: str = "") -> int:
        """Begin a run in a folder; its process id, for `end`."""
        self.count += 1
        asked = {"folder": str(folder), "words": ["experiment=tiny", *words], "before": before}
        told = self.folder / str(self.count)
        child = int(self._ask({**asked, "told": str(told)}))
        self.told[child] = told
        return child

    def end(self, child: int) -> Ended:
        """Wait for a run."""
        code = int(self._ask({"wait": child}))
        return Ended(code, self.told.pop(child).read_text(encoding="utf-8", errors="replace"))

    def run(self, folder: Path, *words: str, before: str = "") -> Ended:
        return self.end(self.start(folder, *words, before=before))

    def _ask(self, asked: dict[str, Any]) -> str:
        assert self.server.stdin is not None and self.server.stdout is not None
        self.server.stdin.write(json.dumps(asked) + "\n")
        self.server.stdin.flush()
        return self.server.stdout.readline()


def killed_at(at: int, call: str = "fsync") -> str:
    """For `before`: die at the `at`-th call."""
    return COUNT.format(call=call, at=at, do=KILLED)


def kill(child: int) -> None:
    os.kill(child, signal.SIGKILL)
