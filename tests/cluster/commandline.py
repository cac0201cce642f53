"""Runs of the command line in processes of their own, in a folder with the small experiment."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import laboratory
import xarray as xr

import superpose
from superpose.store import Store

ROOT = Path(__file__).parents[2]


class Command:
    """`python -m superpose.run` in the folder of the small experiment, with words that stay the same."""

    def __init__(self, folder: Path, words: Sequence[str], environment: dict[str, str]):
        self.folder, self.words = laboratory.make(folder, module=laboratory.MODULE + laboratory.HOLD), tuple(words)
        self.environment = os.environ | {"PYTHONPATH": str(ROOT)} | environment

    def start(self, *words: str, before: Sequence[str] = ()) -> subprocess.Popen:
        line = [*before, sys.executable, "-m", "superpose.run", *self.words, *words]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        return subprocess.Popen(line, cwd=self.folder, env=self.environment, **pipes)

    def run(self, *words: str, before: Sequence[str] = (), code: int = 0) -> str:
        """What it prints, once it has ended."""
        return self.end(self.start(*words, before=before), code)

    def end(self, process: subprocess.Popen, code: int = 0) -> str:
        told = process.communicate(timeout=240)[0]
        logs = sorted(self.folder.rglob("*_log.out"))
        assert process.returncode == code, told + "\n".join(path.read_text() for path in logs)
        return told

    def hold(self) -> None:
        """Let every run, once it has written `laboratory.HELD` blocks, wait for `go`."""
        (self.folder / "hold").touch()

    def go(self) -> None:
        (self.folder / "hold").unlink()

    def arrays(self) -> xr.DataTree:
        return superpose.load(self.folder / "outputs/tiny")

    def done(self, shard: int = 0, shards: int = 1) -> int:
        """How many blocks of a shard are written."""
        if not (self.folder / "outputs/tiny/models.zarr").exists():
            return 0
        store = Store.open(self.folder / "outputs/tiny")
        table = store.table("linear")
        flags = table.done("models", range(table.blocks))[shard::shards]
        return int(flags.any(1).sum())
