"""Processes of one run, which `jax.distributed` introduces to each other: the arrays are those of one process."""

import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import laboratory
import pytest

import superpose
from superpose import command

LEVELS = ["experiment=tiny", "sparsity=[0.0,0.5,0.9]", "seed=6", "compute.block=3", "compute.platform=cpu"]
ROOT = Path(__file__).parents[2]
TOGETHER = "compute.distributed=true"


def start(folder: Path, count: int, words: Sequence[str]) -> list[subprocess.Popen]:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        port = made.getsockname()[1]
    known = os.environ | {"PYTHONPATH": str(ROOT)}
    known |= {"JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}", "JAX_NUM_PROCESSES": str(count)}
    line = [sys.executable, "-m", "superpose.run", *LEVELS, *words]
    environments = [known | {"JAX_PROCESS_ID": str(k)} for k in range(count)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return [subprocess.Popen(line, cwd=folder, env=each, **pipes) for each in environments]


def end(processes: list[subprocess.Popen]) -> list[str]:
    """What they printed, once all have ended well."""
    told = [process.communicate(timeout=240)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), "\n".join(told)
    return told


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The arrays of one process. It is a process of its own, with the compiler's settings of the others."""
    folder = laboratory.make(tmp_path_factory.mktemp("alone"))
    end(start(folder, 1, []))
    return superpose.load(folder / "outputs/tiny")


@pytest.mark.parametrize("count", [2, 4])
def test_processes_share_the_blocks(tmp_path, alone, count):
    laboratory.make(tmp_path)
    told = end(start(tmp_path, count, [TOGETHER]))
    assert all(f"this is shard {k} of {count}" in text for k, text in enumerate(told))
    assert (tmp_path / "outputs/tiny/figure.png").exists()
    assert laboratory.same(superpose.load(tmp_path / "outputs/tiny"), alone)


def test_processes_share_each_shard(tmp_path, alone):
    """Shards 0 and 1 of two, each shared by two processes, in turn."""
    laboratory.make(tmp_path)
    for shard in (0, 1):
        told = end(start(tmp_path, 2, [TOGETHER, "compute.shards=2", f"compute.shard={shard}"]))
        assert all(f"this is shard {shard + 2 * k} of 4" in text for k, text in enumerate(told))
    assert laboratory.same(superpose.load(tmp_path / "outputs/tiny"), alone)


def test_one_dies_and_the_others_end(tmp_path, alone):
    """Whoever is killed leaves its blocks, and nothing else: the same command, of one process, trains them."""
    laboratory.make(tmp_path)
    processes = start(tmp_path, 2, [TOGETHER])
    dead = next(line for line in processes[1].stdout if "this is shard" in line)  # both have met by then
    processes[1].kill()
    assert dead and processes[1].wait(60) < 0
    end(processes[:1])
    end(start(tmp_path, 1, []))
    assert laboratory.same(superpose.load(tmp_path / "outputs/tiny"), alone)


def test_alone_it_teaches(tmp_path, capsys):
    laboratory.make(tmp_path)
    line = [sys.executable, "-m", "superpose.run", *LEVELS, TOGETHER]
    ended = subprocess.run(line, capture_output=True, text=True, timeout=120)
    assert ended.returncode == 2
    assert "finds no other processes" in ended.stderr and "JAX_NUM_PROCESSES" in ended.stderr
    assert command.main(["experiment=tiny", "compute.distributed=perhaps"]) == 2
    assert "not a valid bool" in capsys.readouterr().err
