"""Power cuts: whatever was not synced is lost or mangled; the table still opens, and goes on to the same numbers.

The system calls of a writing process are traced once. After each of many calls a disk is built that a power cut there
may leave (tests/disk.py), and on it the run goes on.
"""

import os
import random
import shutil
from pathlib import Path

import pytest
import xarray as xr
from disk import Disk, trace
from effort import tries
from test_faults_corruption import complete, loaded_right

from superpose.store import Store, load, verify

STATES = tries(60, 10)
SCRIPT = """
import os, sys
sys.path[:0] = sys.argv[2].split(os.pathsep)
from pathlib import Path
from superpose.store import Store
from test_faults_corruption import complete, grid

run, real = Path(sys.argv[1]), Store.write
def write(store, variant, block, arrays, part="models"):
    real(store, variant, block, arrays, part)
    if part == "models":
        os.write(1, b"done ")  # what a run says of a block, it keeps
Store.write = write
complete(run, grid((0.1,), 3).rows())
complete(run, grid((0.1, 0.9), 6).rows())
"""


def done_models(path: Path) -> int:
    """The blocks that are done, as the table that a power cut left says."""
    if not (path / "models.zarr").exists():
        return 0
    store = Store.open(path)
    return sum(int(store.table(v).done("models", range(store.blocks(v))).any(1).sum()) for v in store.variants)


@pytest.mark.faults
def test_a_power_cut_at_any_call(tmp_path, monkeypatch, record_property):
    if shutil.which("strace") is None:
        pytest.skip("strace is not here: apt-get install strace")
    script, run = tmp_path / "write.py", tmp_path / "disk/outputs/run"
    script.write_text(SCRIPT)
    (tmp_path / "disk").mkdir()
    tests = Path(__file__).parent
    calls = trace(script, tmp_path, str(run), os.pathsep.join(map(str, (tests, tests.parent))))
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # no power is cut while the run goes on
    wanted, draw, said = load(run), random.Random(0), 0
    disk, states = Disk(tmp_path / "disk"), []
    for call, paths, data in calls:
        said += call == "write" and data == b"done "
        if disk.feed(call, paths, data):
            states.append(tmp_path / f"cut{len(states)}")
            disk.cut(states[-1], draw)
            (states[-1] / "said").write_text(str(said))
    assert len(states) > STATES
    for state in draw.sample(states, STATES):
        path = state / "outputs/run"
        assert done_models(path) >= int((state / "said").read_text()), "a block that was said to be done is lost"
        if (path / "models.zarr").exists():
            assert verify(path) == []
            loaded_right(path, wanted)
        complete(path)
        xr.testing.assert_identical(load(path)["relu"], wanted["relu"])
        assert verify(path) == []
        shutil.rmtree(state)
    record_property("power cut", {"system calls": len(calls), "states": len(states), "gone on from": STATES})
