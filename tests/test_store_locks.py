"""Locks of shards, and what a killed process leaves."""

import json
import os
import socket
import subprocess
import sys
from itertools import count
from types import SimpleNamespace

import pytest
from test_store import NORM, grid, new

from superpose.store import Busy, StoreError, grow, locks, sums


def test_a_second_holder_is_told_who_holds_it(tmp_path):
    store = new(tmp_path)
    with store.lock_shard(0, 2):
        with pytest.raises(Busy, match=rf"process {os.getpid()} on .* since 20"), store.lock_shard(0, 2):
            pass
        with store.lock_shard(1, 2):
            pass
    with store.lock_shard(0, 2):
        pass


@pytest.mark.parametrize(
    ("first", "second", "meet"), [((0, 2), (0, 1), True), ((1, 4), (3, 6), True), ((1, 4), (2, 6), False)]
)
def test_shards_that_share_blocks_exclude_each_other(tmp_path, first, second, meet):
    store = new(tmp_path)
    with store.lock_shard(*first):
        if meet:
            with pytest.raises(Busy), store.lock_shard(*second):
                pass
        else:
            with store.lock_shard(*second):
                pass


def test_no_such_shard(tmp_path):
    with pytest.raises(StoreError, match=r"0 \.\.\. 1"), new(tmp_path).lock_shard(2, 2):
        pass


HOLD = """
import sys, time
from superpose.store import Store
with Store.open(sys.argv[1]).lock_shard(0, 1):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_killed_holder_frees_its_shard(tmp_path):
    store = new(tmp_path)
    held = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert held.stdout is not None and held.stdout.readline() == "held\n"
    with pytest.raises(Busy, match=f"process {held.pid} "), store.lock_shard(0, 1):
        pass
    held.kill()
    held.communicate()
    holder = tmp_path / ".locks" / "shard-0-of-1.json"
    assert json.loads(holder.read_text())["pid"] == held.pid
    with store.lock_shard(0, 1):
        assert json.loads(holder.read_text())["pid"] == os.getpid()
    assert not holder.exists()


LEFT = [
    '{"host": "another", "pid": 1, "start": "2020-01-01T00:00:00+00:00"}',
    json.dumps({"host": socket.gethostname(), "pid": os.getppid(), "start": "2020-01-01T00:00:00+00:00"}),
    "no JSON",
    "",
]
"""Files of dead holders: of another host, with a pid that another process has now, and such as a power cut leaves."""


@pytest.mark.parametrize("left", LEFT, ids=["another host", "a pid in use", "no JSON", "empty"])
@pytest.mark.parametrize("name", ["shard-0-of-2.json", "shard-0-of-1.json"])
def test_the_file_of_a_dead_holder_keeps_nobody_out(tmp_path, left, name):
    """The operating system has freed the lock: what its file says, of this shard or one that shares blocks, is old."""
    store = new(tmp_path)
    folder = locks.folder(store.path)
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(left)
    (folder / name).with_suffix(".lock").touch()
    with store.lock_shard(0, 2):
        locks.refuse_others(store.path, 0, 2)
        assert json.loads((folder / "shard-0-of-2.json").read_text())["pid"] == os.getpid()
    assert not list(folder.glob("*.json"))


def test_half_written_files_of_dead_processes_go_and_of_live_ones_stay(tmp_path):
    store = new(tmp_path)
    store.plan("relu", grid((0.1,), 2).rows())
    table, ending = tmp_path / "models.zarr" / "relu" / "W", f"{'0' * 32}.partial"
    old, live, folder, other = (
        table / f"c.0.{ending}",
        table / f"c.1.{ending}",
        tmp_path / f"arrays.zarr.{ending}",
        tmp_path / "a.partial",
    )
    for path in (old, other):
        path.write_text("")
    folder.mkdir()
    for path in (old, folder, other):
        os.utime(path, (0, 0))
    with store.lock_shard(0, 2):
        assert not old.exists() and not folder.exists() and other.exists()
        live.write_text("")
        with store.lock_shard(1, 2):
            assert live.exists()


def test_what_is_settled_takes_no_lock(tmp_path):
    """As tasks that start after the first one do: nothing to enter, no measure to add."""
    store, rows = new(tmp_path), grid((0.1, 0.9), 3).rows()
    store.plan("relu", rows)
    with locks.exclusive(store.path):
        store.plan("relu", rows)
        store.set_part("relu", "geometry", NORM, "1")
    assert store.count_done("relu") == (0, 6)


def test_one_who_waits_for_a_change_leaves_when_another_has_made_it(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "PAUSE_SECONDS", 0.01)
    store, rows, looked = new(tmp_path), grid((0.1, 0.9), 3).rows(), []

    def settled() -> bool:
        """The third look finds that whoever holds the lock has entered the rows."""
        looked.append(True)
        if len(looked) == 3:
            grow.plan(store.table("relu"), rows)
        return not len(grow.fresh(store.table("relu"), rows))

    with locks.exclusive(store.path):
        locks.unless(settled, store.path, lambda: pytest.fail("it holds no lock"))
    assert len(looked) == 3 and store.blocks("relu") == 2


def test_what_is_there_is_made_without_a_lock(tmp_path):
    """As tasks do that have looked for a table before another one made it."""
    store, settings = new(tmp_path), tmp_path / "config.yaml"
    sums.put(settings, b"seed: 1", store.path)
    with locks.exclusive(store.path):
        assert new(tmp_path) == store
        sums.put(settings, b"seed: 1", store.path)
    sums.place(settings).unlink()  # as a kill leaves it
    for data in (b"seed: 1", b"seed: 2"):
        sums.put(settings, data, store.path)
        assert settings.read_bytes() == data and sums.place(settings).exists() and not list(sums.altered(settings))


def test_patience_counts_from_the_last_that_took_the_lock(tmp_path, monkeypatch):
    """At each look of one who waits a second has passed, and 20 times another process has taken the lock meanwhile."""
    store, seconds, looked = new(tmp_path), count(), []

    def settled() -> bool:
        looked.append(True)
        if len(looked) <= 20:
            os.utime(locks.folder(store.path), (len(looked), len(looked)))
        return False

    with locks.exclusive(store.path), monkeypatch.context() as patch:
        patch.setattr(locks, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
        patch.setattr(locks, "PATIENCE_SECONDS", 5)
        patch.setattr(locks, "PAUSE_SECONDS", 0)
        with pytest.raises(Busy, match="for 5 s"):
            locks.unless(settled, store.path, lambda: pytest.fail("it holds no lock"))
    assert len(looked) > 20
    os.utime(locks.folder(store.path), (0, 0))
    with locks.exclusive(store.path):
        assert locks.folder(store.path).stat().st_mtime > 0  # what those who wait look at


def test_one_who_waits_too_long_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "PATIENCE_SECONDS", 0.05)
    store = new(tmp_path)
    with locks.exclusive(store.path), pytest.raises(Busy, match="Wait for it, or end it"):
        store.plan("relu", grid((0.1,), 2).rows())
