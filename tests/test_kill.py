"""Kills and signals: whenever a run ends, the same command continues, and the arrays are those of a quiet run.

The child process counts the files that it brings to the disk and signals itself at one of them, so that every run of
these tests is the same.
"""

import os
import signal
import subprocess
import sys
from pathlib import Path

import laboratory
import pytest

import superpose

LEVELS = ["experiment=tiny", "sparsity=[0.0,0.5,0.9]", "seed=3", "compute.block=3"]
CHILD = """
import os, sys
from superpose import command
at, number = int(sys.argv.pop(1)), int(sys.argv.pop(1))
real, count = os.fsync, [0]
def fsync(descriptor):
    real(descriptor)
    count[0] += 1
    if count[0] == at:
        os.kill(os.getpid(), number)
os.fsync = fsync
code = command.main()
print("brought to the disk:", count[0], flush=True)
os._exit(code)
"""


@pytest.fixture(scope="module")
def quiet(tmp_path_factory):
    """The arrays of a run that nothing disturbed, and how many files it brought to the disk."""
    folder = laboratory.make(tmp_path_factory.mktemp("quiet"))
    ended = run(folder, 0, signal.SIGKILL)
    assert ended.returncode == 0
    return superpose.load(folder / "outputs/tiny"), int(ended.stdout.split()[-1])


def run(folder, at: int, number: int) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", CHILD, str(at), str(int(number)), *LEVELS]
    here = os.environ | {"PYTHONPATH": str(Path(__file__).parent.parent)}
    return subprocess.run(command, cwd=folder, env=here, capture_output=True, text=True, timeout=300)


def test_killed_again_and_again_it_ends_with_the_same_arrays(tmp_path, quiet):
    arrays, files = quiet
    laboratory.make(tmp_path)
    for share in (0.05, 0.3, 0.6, 0.2):  # of what a quiet run writes; each run writes less than the one before
        assert run(tmp_path, int(share * files), signal.SIGKILL).returncode == -signal.SIGKILL
    assert run(tmp_path, 0, signal.SIGKILL).returncode == 0
    assert laboratory.same(superpose.load(tmp_path / "outputs/tiny"), arrays)


ASKED = [
    (signal.SIGINT, 130),
    (signal.SIGTERM, 143),
    pytest.param(signal.SIGUSR1, 128 + signal.SIGUSR1, marks=pytest.mark.faults),
    pytest.param(signal.SIGUSR2, 128 + signal.SIGUSR2, marks=pytest.mark.faults),
]


@pytest.mark.parametrize("number, code", ASKED)
def test_a_signal_in_a_write_lets_it_end_and_says_how_to_go_on(tmp_path, quiet, number, code):
    arrays, files = quiet
    laboratory.make(tmp_path)
    ended = run(tmp_path, int(0.5 * files), number)
    assert ended.returncode == code
    assert "the same command continues" in ended.stderr and "Traceback" not in ended.stderr
    done = superpose.store.Store.open(tmp_path / "outputs/tiny").count_done("linear")[0]
    assert done in (3, 6)  # the block that was being written is whole
    assert run(tmp_path, 0, number).returncode == 0
    assert laboratory.same(superpose.load(tmp_path / "outputs/tiny"), arrays)
