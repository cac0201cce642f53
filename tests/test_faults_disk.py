"""A disk that fails under a run: it says so in a line and ends with 1 or 2; the same command then ends as a quiet run.

The disk is a small tmpfs that a test mounts (as root on Linux), or an error that a call of the system is made to give.
"""

import errno
import os
import subprocess

import laboratory
import pytest
from effort import tries
from faults import COUNT

import superpose
from superpose.store import verify

WORDS = ("sparsity=[0.0,0.5,0.9]", "seed=3", "compute.block=3")
CALLS = [("open", 20), ("fsync", 1), ("fsync", 40), ("fsync", 95), ("replace", 60)]
REMOVED = [".", "models.zarr", "models.zarr/linear", "models.zarr/linear/W", ".locks"]
FAIL = "raise OSError(errno.{name}, os.strerror(errno.{name}), str(args[0]))"

REMOVE = """
import os, shutil
real = os.replace
def replace(source, target):
    real(source, target)
    if str(target).endswith("linear/done/c.0"):
        shutil.rmtree({folder!r})
os.replace = replace
"""
"""The folder goes as soon as the first block is done."""


@pytest.fixture(scope="module")
def quiet(runs, tmp_path_factory):
    folder = laboratory.make(tmp_path_factory.mktemp("quiet"))
    assert runs.run(folder, *WORDS).code == 0
    return superpose.load(folder / "outputs/tiny")


@pytest.fixture
def disk(tmp_path):
    """Mounts a tmpfs at ./small, of the size asked for."""
    place = tmp_path / "small"
    place.mkdir()

    def mount(*options: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            ["mount", "-t", "tmpfs", "-o", ",".join(options), "superpose-test", str(place)],
            capture_output=True, text=True, check=False,
        )  # fmt: skip

    if os.geteuid() or (told := mount("size=1m")).returncode:
        pytest.skip(f"mounting a tmpfs takes root with CAP_SYS_ADMIN: {told.stderr if not os.geteuid() else 'no root'}")
    yield place, lambda *options: subprocess.run(["mount", "-o", f"remount,{','.join(options)}", place], check=True)
    subprocess.run(["umount", "--lazy", place], check=True)


def goes_on(runs, folder, quiet, *words: str) -> None:
    """The cause is gone: the same command ends as a quiet run."""
    ended = runs.run(folder, *WORDS, *words)
    assert ended.code == 0, ended.told
    place = folder / ("small" if words else "outputs") / "tiny"
    assert laboratory.same(superpose.load(place), quiet)
    assert verify(place) == []


def refused(ended, *told: str) -> None:
    assert ended.code in (1, 2), ended.told
    ours = ended.told.partition("Exception ignored in")[0]  # asyncio's own, of a loop that found no file handle
    assert "Traceback" not in ours and "Logging error" not in ours, ended.told
    assert any(word in ended.told for word in told), ended.told


@pytest.mark.faults
@pytest.mark.parametrize("kilobytes", [4, 24, 60, 120, 200, 280, 360, 440][:: tries(1, 4)])
def test_a_full_disk(runs, quiet, tmp_path, disk, kilobytes):
    laboratory.make(tmp_path)
    place, remount = disk
    remount(f"size={kilobytes}k")
    refused(runs.run(tmp_path, *WORDS, f"output={place}"), "No space left", "free some space")
    remount("size=16m")
    if (place / "tiny/models.zarr/zarr.json").exists():
        superpose.load(place / "tiny")
        assert verify(place / "tiny") == []
    goes_on(runs, tmp_path, quiet, f"output={place}")


@pytest.mark.faults
def test_a_read_only_file_system(runs, quiet, tmp_path, disk):
    laboratory.make(tmp_path)
    place, remount = disk
    remount("size=16m")
    assert runs.run(tmp_path, *WORDS[:1], *WORDS[2:], f"output={place}").code == 0
    remount("ro")
    refused(runs.run(tmp_path, *WORDS, f"output={place}"), "Read-only file system")
    superpose.load(place / "tiny")
    remount("rw")
    goes_on(runs, tmp_path, quiet, f"output={place}")


@pytest.mark.faults
@pytest.mark.parametrize("name", ["EIO", "EDQUOT", "EROFS", "ENOSPC", "EMFILE"][:: tries(1, 4)])
@pytest.mark.parametrize("call, at", CALLS[:: tries(1, 2)])
def test_an_error_of_the_system(runs, quiet, tmp_path, name, call, at):
    laboratory.make(tmp_path)
    fail = COUNT.format(call=call, at=at, do=f"import errno; {FAIL.format(name=name)}")
    refused(runs.run(tmp_path, *WORDS, before=fail), os.strerror(getattr(errno, name)))
    goes_on(runs, tmp_path, quiet)


@pytest.mark.faults
@pytest.mark.parametrize("spare", [0, 2, 4, 8][:: tries(1, 3)])
@pytest.mark.parametrize("at", [1, 60])
def test_no_more_file_handles(runs, quiet, tmp_path, spare, at):
    laboratory.make(tmp_path)
    limit = f"import os, resource; n = len(os.listdir('/proc/self/fd')) + {spare}"
    limit += "; resource.setrlimit(resource.RLIMIT_NOFILE, (n, n))"
    ended = runs.run(tmp_path, *WORDS, before=COUNT.format(call="fsync", at=at, do=limit))
    if ended.code:
        refused(ended, "Too many open files")
    goes_on(runs, tmp_path, quiet)


@pytest.mark.faults
@pytest.mark.parametrize("what", REMOVED[:: tries(1, 2)])
def test_a_folder_removed_under_a_run(runs, quiet, tmp_path, what):
    laboratory.make(tmp_path)
    ended = runs.run(tmp_path, *WORDS, before=REMOVE.format(folder=os.fspath(tmp_path / "outputs/tiny" / what)))
    if what != ".locks" or ended.code:
        refused(ended, "missing", "not there", "No such file")
    if what in ("models.zarr/linear", "models.zarr/linear/W"):
        refused(runs.run(tmp_path, *WORDS), "is missing", "not there")
        if what == "models.zarr/linear":
            return
        assert runs.run(tmp_path, *WORDS, "repair=true").code == 0
    goes_on(runs, tmp_path, quiet)
