"""A process killed at any of its file replacements leaves a table that opens and goes on to the same numbers."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPT = """
import os, sys
from pathlib import Path
import xarray as xr
from test_store import F4, NORM, Variable, fill, grid, new
from superpose.store import Store, load, write_arrays

os.fsync = lambda descriptor: None  # a killed process loses no page; only a power cut would
EXTRA = {"norm": NORM["norm"], "hue": Variable((), (), F4)}

def run(path):
    store = new(path)
    store.set_part("relu", "geometry", NORM, "1")
    for points in [(0.1,), (0.1, 0.5, 0.9)]:
        rows = grid(points, 2).rows()
        fill(store, rows)
    store.set_part("relu", "geometry", EXTRA, "2")
    for block in store.missing("relu", rows, "geometry"):
        w = store.read("relu", block, ["W"])["W"]
        store.write("relu", block, {"norm": w.sum(1), "hue": w[:, 0, 0]}, "geometry")
    write_arrays(path, path / "arrays.zarr")

def die_at(step):
    left = [step]
    def counted(real):
        def call(*args):
            left[0] -= 1
            if not left[0]:
                os._exit(9)
            return real(*args)
        return call
    os.replace, os.rename = counted(os.replace), counted(os.rename)

def child(work):
    pid = os.fork()
    if not pid:
        work()
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

def killed(path, step):
    die_at(step)
    run(path)

def goes_on(path, reference):
    if (path / "models.zarr").exists():
        store = Store.open(path)
        assert not store.damage("relu"), store.damage("relu")
        load(path)
    run(path)
    with Store.open(path).lock_shard(0, 1):
        assert not list(path.rglob("*.partial"))
    xr.testing.assert_identical(load(path), load(reference))
    assert Store.open(path).damage("relu") == []

root, part, parts = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
assert child(lambda: run(root / "reference")) == 0
step = 1 + part
while True:
    path = root / str(step)
    died = child(lambda: killed(path, step))
    assert died in (0, 9), died
    if died == 0:
        break
    assert child(lambda: goes_on(path, root / "reference")) == 0, f"killed at step {step}"
    step += parts
print(step)
"""


def test_a_kill_at_any_file_costs_at_most_a_block(tmp_path):
    script = tmp_path / "kill.py"
    script.write_text(SCRIPT)
    folders = [str(Path(__file__).parent), str(Path(__file__).parent.parent)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path), "0", "6"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) > 40  # the run replaces more files than that
