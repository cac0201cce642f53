"""Kill -9 at random moments of a run of hundreds of blocks: each restart goes on, the arrays are a quiet run's."""

import os
import random
import signal
import time

import laboratory
import pytest
from effort import tries
from faults import kill, killed_at

import superpose
from superpose.store import Store

KILLS = tries(100, 10)
BLOCKS = tries(240, 60)
WORDS = ("sparsity=[0.0,0.5,0.9]", f"seed={BLOCKS // 3}", "compute.block=1", "compute.tile=1", "schedule.steps=5")
WORDS = (*WORDS, "objective.batch=4", "compute.devices=1", "record.steps=[0]")


@pytest.fixture(scope="module")
def quiet(runs, tmp_path_factory):
    """The arrays of a run that nothing disturbed, its seconds, and how often it brought a file to the disk."""
    folder = laboratory.make(tmp_path_factory.mktemp("quiet"))
    assert runs.run(folder, *WORDS).code == 0  # compiles
    again, count = laboratory.make(folder / "again"), folder / "count"
    before = "import atexit, os\nreal, n = os.fsync, [0]\ndef fsync(d):\n    n[0] += 1\n    real(d)\n"
    before += f"    open({str(count)!r}, 'w').write(str(n[0]))\nos.fsync = fsync"
    begun = time.monotonic()
    assert runs.run(again, *WORDS, before=before).code == 0
    return superpose.load(again / "outputs/tiny"), time.monotonic() - begun, int(count.read_text())


def count_done(folder) -> int:
    if not (folder / "outputs/tiny/models.zarr/zarr.json").exists():
        return 0
    return Store.open(folder / "outputs/tiny").count_done("linear")[0]


@pytest.mark.faults
def test_killed_often(runs, quiet, tmp_path, record_property):
    """Half of them by the clock, at any moment of a start or of training, half at the n-th file brought to the disk."""
    arrays, seconds, files = quiet
    draw, kills, rounds, done, folder = random.Random(0), 0, 0, 0, tmp_path / "0"
    laboratory.make(folder)
    while kills < KILLS:
        by_clock = kills % 2 == 0
        before = "" if by_clock else killed_at(draw.randrange(1, files // 16))
        child = runs.start(folder, *WORDS, before=before)
        if by_clock:
            time.sleep(draw.uniform(0, seconds / 5))
            kill(child)
        ended = runs.end(child)
        assert ended.code in (-signal.SIGKILL, 0), ended.told
        kills += ended.code == -signal.SIGKILL
        now = count_done(folder)
        assert now >= done, "a model that was done is lost"
        done = now
        if ended.code == 0:
            assert laboratory.same(superpose.load(folder / "outputs/tiny"), arrays)
            rounds, done, folder = rounds + 1, 0, laboratory.make(tmp_path / str(rounds + 1))
    ended = runs.run(folder, *WORDS)
    assert ended.code == 0, ended.told
    assert laboratory.same(superpose.load(folder / "outputs/tiny"), arrays)
    assert superpose.store.verify(folder / "outputs/tiny") == []
    record_property("kill -9", {"kills": kills, f"runs of {BLOCKS} blocks gone on with to the end": rounds + 1})


@pytest.mark.faults
def test_killed_while_another_shard_works(runs, quiet, tmp_path):
    """The other shard does not notice; the killed one goes on."""
    arrays, _, files = quiet
    laboratory.make(tmp_path)
    draw = random.Random(1)
    (tmp_path / "hold").touch()
    other = runs.start(tmp_path, *WORDS, "compute.shards=2", "compute.shard=0", before=laboratory.HOLD)
    for _ in range(4):
        one = (*WORDS, "compute.shards=2", "compute.shard=1")
        assert runs.run(tmp_path, *one, before=killed_at(draw.randrange(5, files // 8))).code == -signal.SIGKILL
    (tmp_path / "hold").unlink()
    assert runs.end(other).code == 0
    ended = runs.run(tmp_path, *one)
    assert ended.code == 0, ended.told
    assert laboratory.same(superpose.load(tmp_path / "outputs/tiny"), arrays)
    assert not list((tmp_path / os.fspath("outputs")).rglob("*.partial"))
