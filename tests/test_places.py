"""Where a run lies and when: a store moved, linked to, of any name, under any umask and clock, goes on bit for bit."""

import os
import shutil
from pathlib import Path

import laboratory
import pytest
import xarray as xr
from effort import tries

import superpose
from superpose.store import Store

WORDS = ["experiment=tiny", "sparsity=[0.0,0.9]", "compute.block=2"]
FIRST, ALL = "seed=1", "seed=3"


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return laboratory.make(tmp_path_factory.mktemp("root"))


@pytest.fixture(autouse=True)
def found(root, monkeypatch):
    monkeypatch.setenv("SUPERPOSE_PATH", str(root))


@pytest.fixture(scope="module")
def quiet(root, tmp_path_factory) -> xr.DataTree:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SUPERPOSE_PATH", str(root))
        return superpose.run_sweep([*WORDS, ALL, f"output={tmp_path_factory.mktemp('quiet')}"])


def run(output: str | Path, seeds: str) -> xr.DataTree:
    return superpose.run_sweep([*WORDS, seeds, f"output='{output}'"])


def goes_on(output: str | Path, quiet: xr.DataTree) -> None:
    """The run in `output`, which has its first seed, gets the others, and keeps what it had as it was."""
    before = laboratory.chunks(Path(output) / "tiny")
    weights = {name: data for name, data in before.items() if "/W/" in name and "partial" not in name}
    assert weights and Store.open(Path(output) / "tiny").count_done("linear") == (2, 2)
    assert laboratory.same(run(output, ALL), quiet)
    after = laboratory.chunks(Path(output) / "tiny")
    assert all(after[name] == data for name, data in weights.items())
    assert superpose.store.verify(Path(output) / "tiny") == []


def test_a_store_that_was_moved(quiet):
    run("here", FIRST)
    shutil.move("here", "there")
    goes_on("there", quiet)


@pytest.mark.faults
def test_another_current_folder(quiet, tmp_path, monkeypatch):
    run("out", FIRST)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    goes_on("../out", quiet)
    assert not list(Path.cwd().iterdir())


@pytest.mark.faults
@pytest.mark.parametrize("name", ["größe 数据 é", "two words", "50%", "[x]", "a=b,c"][:: tries(1, 2)])
def test_any_name(quiet, name):
    run(name, FIRST)
    goes_on(name, quiet)


@pytest.mark.faults
def test_a_link_to_the_output(quiet, tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "outputs").symlink_to(tmp_path / "disk")
    run("outputs", FIRST)
    goes_on("disk", quiet)


@pytest.mark.faults
@pytest.mark.parametrize("umask", [0o077, 0o000])
def test_any_umask(quiet, umask):
    run("out", FIRST)
    before = os.umask(umask)
    try:
        goes_on("out", quiet)
    finally:
        os.umask(before)
    (block,) = Path("out/tiny/models.zarr/linear/W").glob("c.2.*")
    assert block.stat().st_mode & 0o777 == 0o666 & ~umask


@pytest.mark.faults
@pytest.mark.parametrize("year", [1971, 2200])
def test_another_clock(quiet, year):
    """What was written carries the time of a clock that was wrong, and so does what a killed process left."""
    run("out", FIRST)
    then = (year - 1970) * 365.25 * 86400
    (Path("out/tiny/models.zarr/linear/W") / f"c.9.0.0.{'0' * 32}.partial").write_bytes(b"half")
    for path in sorted(Path("out").rglob("*")):
        os.utime(path, (then, then))
    goes_on("out", quiet)
