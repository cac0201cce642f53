"""Copies on an S3-compatible server on this machine (moto's), through s3fs, as a user makes them: make remote."""

import itertools
import os
import signal
import subprocess
import sys

import pytest
import xarray as xr
from test_store import fill, grid, new

import superpose
from superpose import cli
from superpose.store import StoreError, arrays, copy

pytest.importorskip("s3fs", reason="s3fs is not installed: make remote")
moto_server = pytest.importorskip("moto.server", reason="moto's server is not installed: make remote")
pytestmark = pytest.mark.faults
NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def server():
    served = moto_server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    served.start()
    host, port = served.get_host_and_port()
    yield f"http://{host}:{port}"
    served.stop()


@pytest.fixture
def bucket(server, monkeypatch):
    """An empty bucket of the server, which the environment names."""
    import s3fs

    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(key, "testing")
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3fs.S3FileSystem.clear_instance_cache()
    name = f"bucket-{next(NUMBERS)}"
    s3fs.S3FileSystem().mkdir(name)
    return name


@pytest.fixture
def run(tmp_path):
    store = new(tmp_path / "run")
    fill(store, grid((0.1, 0.5, 0.9), 3).rows())
    return tmp_path / "run"


def test_a_copy_is_loaded_the_same(run, bucket, monkeypatch):
    monkeypatch.setattr(arrays, "CHUNK_BYTES", 64)
    monkeypatch.setattr(arrays, "SHARD_BYTES", 128)
    tree, url = superpose.load(run), f"s3://{bucket}/results/run"
    copy(run, f"{url}-2")
    copy(run, url)
    xr.testing.assert_identical(superpose.load(url), tree)
    with xr.open_datatree(url, engine="zarr") as plain:
        xr.testing.assert_identical(plain.load(), tree)
    with pytest.raises(StoreError, match="--replace"):
        copy(run, url)
    fill(superpose.store.Store.open(run), grid((0.7,), 3).rows())
    copy(run, url, replace=True)
    xr.testing.assert_identical(superpose.load(url), superpose.load(run))
    xr.testing.assert_identical(superpose.load(f"{url}-2"), tree)
    assert superpose.load(url).relu.sizes["sparsity"] == 4


def test_the_command_says_what_lacks(run, bucket, capsys):
    assert cli.main(["copy", str(run), "s3://there-is-no-such-bucket/run"]) == 2
    assert "bucket" in capsys.readouterr().err
    with pytest.raises(StoreError, match="s3://there-is-no-such-bucket"):
        superpose.load("s3://there-is-no-such-bucket/run")
    with pytest.raises(StoreError, match="no labelled arrays"):
        superpose.load(f"s3://{bucket}/run")
    assert cli.main(["copy", str(run), f"s3://{bucket}/run"]) == 0


KILLED = """
import os, signal, sys
from superpose.store import copy, remote
real, counts = remote.FsspecStore.set, []

async def counted(self, key, value):
    counts.append(key)
    if len(counts) > int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
    await real(self, key, value)

remote.FsspecStore.set = counted
copy(sys.argv[1], sys.argv[2])
"""


@pytest.mark.parametrize("writes", [0, 4, 10, 14])
def test_a_killed_copy_is_not_read_and_begun_again(run, bucket, writes):
    url = f"s3://{bucket}/run"
    command = [sys.executable, "-c", KILLED, str(run), url, str(writes)]
    done = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr
    with pytest.raises(StoreError, match="no labelled arrays"):
        superpose.load(url)
    copy(run, url)
    xr.testing.assert_identical(superpose.load(url), superpose.load(run))
