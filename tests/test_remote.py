"""Copies of labelled arrays: at a URL, in a folder, on an S3-compatible server; broken off, damaged, in the way."""

import json
from hashlib import sha256

import numpy as np
import pytest
import xarray as xr
from test_store import F4, W, fill, grid, new, train

import superpose
from superpose import cli
from superpose.labels import Variable
from superpose.store import DamageError, StoreError, arrays, copy, remote

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def run(tmp_path):
    """A run's folder, with an array that is all fill values."""
    store = new(tmp_path / "run")
    fill(store, grid((0.1, 0.5, 0.9), 3).rows())
    return tmp_path / "run"


@pytest.fixture
def url(request):
    """A place of its own in the memory of this process."""
    return f"memory://{request.node.name}/copy"


def files(url):
    fs, root = fsspec.url_to_fs(url)
    return {path.removeprefix(f"{root}/"): path for path in fs.find(root)}


def flip(fs, path):
    data = bytearray(fs.cat_file(path))
    data[len(data) // 2] ^= 1
    fs.pipe_file(path, bytes(data))


HARM = {"deleted": lambda fs, path: fs.rm_file(path), "flipped": flip, "cut": lambda fs, path: fs.pipe_file(path, b"x")}


@pytest.mark.parametrize("chunk", [2**20, 64])
def test_a_copy_is_the_same_labelled_arrays_to_any_reader(run, url, tmp_path, monkeypatch, chunk):
    monkeypatch.setattr(arrays, "CHUNK_BYTES", chunk)
    monkeypatch.setattr(arrays, "SHARD_BYTES", 2 * chunk)
    tree = superpose.load(run)
    for target in (url, tmp_path / "copy"):
        xr.testing.assert_identical(copy(run, target), tree)
        xr.testing.assert_identical(superpose.load(target), tree)
        with xr.open_datatree(str(target), engine="zarr") as plain:
            xr.testing.assert_identical(plain.load(), tree)
    assert all("copying" not in name for name in files(url))
    assert (len([name for name in files(url) if "/W/c" in name]) > 1) == (chunk == 64)


def test_the_arrays_of_a_run_are_read_too(run):
    tree = superpose.store.write_arrays(run, run / "arrays.zarr")
    xr.testing.assert_identical(superpose.load(run / "arrays.zarr"), tree)


@pytest.mark.parametrize("sizes", [(), (3,), (700, 400, 2, 5), (20, 10**6), (10**5, 10**4, 5, 2), (1, 10**9)])
def test_chunks_and_shards_are_runs_of_bounded_size(sizes):
    chunk, shard = arrays.cut(sizes, 4)
    assert 4 * np.prod(chunk) <= arrays.CHUNK_BYTES
    assert all(own <= size for own, size in zip(chunk, sizes, strict=True))
    if shard is None:
        assert chunk == sizes
    else:
        assert all(whole % own == 0 for own, whole in zip(chunk, shard, strict=True))
        assert 4 * np.prod(np.minimum(shard, sizes)) <= arrays.SHARD_BYTES
        assert 2 * 4 * np.prod(chunk) > arrays.CHUNK_BYTES or chunk[:-1] == sizes[:-1] or max(sizes) > 2**18


class Cut(Exception):
    """The connection is gone."""


def test_a_copy_broken_off_at_any_write_is_not_read_and_begun_again(run, url, monkeypatch):
    """No part of it can be opened either before every chunk is there: no group has metadata."""
    tree, real, step, counts = superpose.load(run), remote.FsspecStore.set, 0, []

    async def counted(self, key, value):
        counts.append(key)
        if len(counts) > step:
            raise Cut
        await real(self, key, value)

    monkeypatch.setattr(remote.FsspecStore, "set", counted)
    while True:
        counts.clear()
        try:
            copy(run, url)
            break
        except StoreError as error:
            assert isinstance(error.__cause__, Cut)
        there = files(url)
        if any(name.endswith("zarr.json") for name in there):
            assert len([name for name in there if "/c/" in name]) == 6
        assert "zarr.json" not in there
        with pytest.raises(StoreError, match=r"broken off|holds no labelled arrays"):
            superpose.load(url)
        step += 1
    assert step == len(counts) == 1 + 6 + 1 + 8  # the mark, the chunks, the digest, the metadata
    xr.testing.assert_identical(superpose.load(url), tree)


def test_what_is_in_the_way_stays(run, url, tmp_path):
    copy(run, url)
    copy(run, tmp_path / "copy")
    before = files(url)
    for target in (url, tmp_path / "copy"):
        with pytest.raises(StoreError, match="--replace"):
            copy(run, target)
    fill(superpose.store.Store.open(run), grid((0.7,), 3).rows())
    for target in (url, tmp_path / "copy"):
        copy(run, target, replace=True)
        assert superpose.load(target).relu.sizes["sparsity"] == 4
    assert files(url) == before
    other = f"memory://{tmp_path.name}-other"
    fsspec.filesystem("memory").pipe_file(f"{other}/zarr.json", b'{"attributes": {}}')
    for target in (other, run, url.removesuffix("/copy")):
        with pytest.raises(StoreError, match="nothing was changed"):
            copy(run, target, replace=True)
    assert superpose.store.Store.open(run).count_done("relu") == (12, 12)
    xr.testing.assert_identical(superpose.load(url), superpose.load(run))


@pytest.mark.parametrize("harm", HARM)
def test_damage_to_any_chunk_is_told(run, url, harm):
    copy(run, url)
    fs, tried = fsspec.filesystem("memory"), 0
    for name, path in files(url).items():
        if "/c/" in name:
            whole = fs.cat_file(path)
            HARM[harm](fs, path)
            with pytest.raises(DamageError, match="superpose copy"):
                superpose.load(url)
            fs.pipe_file(path, whole)
            tried += 1
    assert tried == 6
    superpose.load(url)


def test_damage_to_any_part_of_the_metadata_is_told(run, url):
    """One bit flipped at 40 places of the root's zarr.json, which alone is read, and of its digest."""
    copy(run, url)
    fs = fsspec.filesystem("memory")
    for name in ("zarr.json", arrays.DIGEST):
        path = files(url)[name]
        whole = fs.cat_file(path)
        for place in np.linspace(0, len(whole) - 1, 40, dtype=int):
            fs.pipe_file(path, whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            with pytest.raises(DamageError, match=r"altered.*superpose copy"):
                superpose.load(url)
        copy(run, url, replace=True)
    xr.testing.assert_identical(superpose.load(url), superpose.load(run))


def test_damage_to_the_metadata_of_a_runs_arrays_is_told(run):
    """As of a copy: any bit of what they say of themselves, and the digest that shows it."""
    tree = superpose.store.write_arrays(run, run / "arrays.zarr")
    for name in ("zarr.json", arrays.DIGEST):
        file = run / "arrays.zarr" / name
        whole = file.read_bytes()
        for place in np.linspace(0, len(whole) - 1, 40, dtype=int):
            file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            with pytest.raises(DamageError, match=r"altered.*run's folder loads"):
                superpose.load(run / "arrays.zarr")
        file.write_bytes(whole)
    xr.testing.assert_identical(superpose.load(run / "arrays.zarr"), tree)
    (run / "arrays.zarr" / arrays.DIGEST).unlink()  # or never there, as in arrays of an older superpose
    with pytest.raises(DamageError, match=r"lacks zarr.json.sha256.*run's folder loads"):
        superpose.load(run / "arrays.zarr")


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("node_type",), "array"),
        (("consolidated_metadata",), None),
        (("consolidated_metadata", "metadata", "relu/W"), {}),
        (("consolidated_metadata", "metadata", "relu/W", "shape"), "x"),
        (("consolidated_metadata", "metadata", "relu/W", "chunk_grid", "configuration", "chunk_shape"), [0, 0, 0, 0]),
        (("consolidated_metadata", "metadata", "relu/W", "codecs"), [{"name": "numcodecs.pickle"}]),
    ],
)
def test_forged_metadata_is_refused_in_words(run, place, value):
    """What it says is odd, and its digest fits."""
    superpose.store.write_arrays(run, run / "arrays.zarr")
    file = run / "arrays.zarr/zarr.json"
    document = node = json.loads(file.read_bytes())
    for key in place[:-1]:
        node = node[key]
    node[place[-1]] = value
    file.write_text(json.dumps(document))
    (run / "arrays.zarr" / arrays.DIGEST).write_text(sha256(file.read_bytes()).hexdigest())
    with pytest.raises(StoreError):
        superpose.load(run / "arrays.zarr")


@pytest.mark.parametrize("error", [MemoryError("all"), TypeError("a bug of ours")])
def test_what_no_address_could_mend_is_not_explained_by_the_address(run, url, monkeypatch, error):
    def broken(*_, **__):
        raise error

    monkeypatch.setattr(arrays, "write", broken)
    with pytest.raises(type(error), match=str(error)):
        copy(run, url)


def test_a_runs_own_arrays_are_no_place_for_a_copy(run, tmp_path):
    """They have a list of checksums beside them, which would no longer fit."""
    superpose.store.write_arrays(run, run / "arrays.zarr")
    with pytest.raises(StoreError, match="Choose another place"):
        copy(run, run / "arrays.zarr", replace=True)
    assert superpose.store.verify(run) == []
    (tmp_path / "empty").mkdir()
    xr.testing.assert_identical(copy(run, tmp_path / "empty"), superpose.load(tmp_path / "empty"))
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="nothing was changed"):
        copy(run, tmp_path / "file", replace=True)


def test_errors_say_what_to_do(run, url, monkeypatch):
    with pytest.raises(StoreError, match="Protocol not known"):
        copy(run, "nowhere://bucket/run")
    with pytest.raises(StoreError, match="holds no labelled arrays: check the address"):
        superpose.load(url)
    monkeypatch.setattr(remote.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(StoreError, match=r"pip install 'superpose\[remote\]'"):
        superpose.load(url)


def test_models_that_diverged_are_copied_and_counted(tmp_path, capsys):
    """They have no loss; their importances say that they were trained."""
    importance = {"feature_importance": Variable(("feature",), (5,), F4)}
    store, rows = new(tmp_path, parts={"models": {**W, **importance}}, versions={}), grid((0.1, 0.9), 2).rows()
    store.plan("relu", rows)
    for block in store.missing("relu", rows):
        found = train(store.rows("relu", block))
        loss = np.where(store.rows("relu", block).seeds == 0, np.nan, found["loss"]).astype(F4)
        store.write("relu", block, {**found, "loss": loss, "feature_importance": np.ones((len(loss), 5), F4)})
    assert cli.main(["copy", str(tmp_path), str(tmp_path / "copy")]) == 0
    assert "copied 4 models" in capsys.readouterr().out


def test_the_command_tells_what_it_copied(run, url, capsys):
    assert cli.main(["copy", str(run), url]) == 0
    told = capsys.readouterr().out
    assert "copied 9 models" in told and f'superpose.load("{url}")' in told
    assert cli.main(["copy", str(run), url]) == 2
    assert "--replace" in capsys.readouterr().err
    assert cli.main(["copy", str(run), url, "--replace"]) == 0
    next(run.glob("models.zarr/relu/W/c.0*")).unlink()
    assert cli.main(["copy", str(run), url, "--replace"]) == 3
