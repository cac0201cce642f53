"""Every kind of damage to every file of a run: it is named, no wrong number is loaded, and what is mended is equal.

One store of three variables, a coordinate, a measure and notes, in one process; a test a kind of damage. What no
number rests on may stay unnamed: a file whose absence says "not yet", as after a kill.
"""

import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import xarray as xr
from effort import tries
from test_store import F4, IDENTITY, NORM, W, grid, toy, train

from superpose.grid import Rows
from superpose.labels import Variable
from superpose.store import Store, StoreError, files, load, sums, verify, write_arrays

PARTS = {"models": {**W, "loss_curve": Variable(("step",), (3,), F4)}, "geometry": NORM}
ROWS = grid((0.1, 0.9), 6).rows()
EVERY = tries(1, 7)
ABSENT = ("done/c.", "geometry_done/c.", "origin/c.", ".config.yaml.sha256", ".arrays.zarr.sha256")
"""Deleted, these say "not yet": the next run, or the next change of the table, writes them."""


def flipped(path: Path) -> None:
    data, draw = bytearray(path.read_bytes()), random.Random(str(path.name))
    if data:
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
    path.write_bytes(bytes(data))


def folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "stray").write_bytes(b"x")


HARM: dict[str, Callable[[Path], object]] = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3]),
    "zeroed": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "flipped": flipped,
    "deleted": lambda path: path.unlink(),
    "replaced by a folder": folder,
    "emptied": lambda path: path.write_bytes(b""),
    "appended to": lambda path: path.write_bytes(path.read_bytes() + b"\x00garbage"),
}


def make(path: Path) -> Store:
    schema = toy(parts=PARTS, axes=("sparsity",))
    return Store.create(path, {**IDENTITY, "linear": IDENTITY["relu"]}, {"relu": schema, "linear": schema})


def complete(path: Path, asked: Rows = ROWS) -> int:
    """What a run does with its store; how many blocks it trained."""
    store, trained = make(path), 0
    for variant in store.variants:
        store.plan(variant, asked)
        for block in store.missing(variant, asked):
            rows = store.rows(variant, block)
            arrays = train(rows)
            store.write(variant, block, {**arrays, "loss_curve": arrays["W"][:, 0, :3].copy()})
            store.record(variant, block, {"device": "cpu"})
            trained += 1
        for block in store.missing(variant, asked, "geometry"):
            store.write(variant, block, {"norm": store.read(variant, block, ["W"])["W"].sum(1)}, "geometry")
    files.write(path / "config.yaml", b"seed: 6\n")
    sums.record(path / "config.yaml")
    write_arrays(path, path / "arrays.zarr")
    return trained


def repair(path: Path) -> set[tuple[str, int]]:
    """What repair=true does before it trains; the blocks that it gives to be trained again."""
    Store.restore(path)
    store, blocks = Store.open(path), set()
    for variant in store.variants:
        damages = store.damage(variant)
        store.forget(variant, {damage.block for damage in damages})
        blocks |= {(variant, damage.block) for damage in damages if damage.block is not None}
    return blocks


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("whole") / "run"
    complete(path)
    return path


def kinds(whole: Path, harm: str) -> list[str]:
    """Each kind of file once: of the variants one, of the blocks one, of the labelled arrays' files all.

    Quickly, each kind of damage has its own seventh of them.
    """
    found = [path.relative_to(whole).as_posix() for path in sorted(whole.rglob("*")) if path.is_file()]
    once = [name for name in found if "zarr/linear" not in name and ".1" not in Path(name).name]
    return once[list(HARM).index(harm) % EVERY :: EVERY]


def loaded_right(path: Path, wanted: xr.DataTree) -> bool:
    """Whether the run loads, and then every number in it is right: that of the quiet run, or none."""
    try:
        tree = load(path)
    except StoreError:
        return False
    assert set(tree.children) == set(wanted.children)
    for variant, node in tree.children.items():
        ours, quiet = node.to_dataset(), wanted[variant].to_dataset()
        if ours.data_vars:
            quiet = quiet.sel({dim: ours[dim] for dim in ("sparsity", "seed")})
        for name in (*ours.data_vars, *ours.coords):
            shown = ours[name].notnull().values
            assert (ours[name].values[shown] == quiet[name].values[shown]).all(), name
    return True


@pytest.mark.faults
@pytest.mark.parametrize("harm", HARM)
def test_every_file(harm, whole, tmp_path, monkeypatch, record_property):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # no power is cut here
    wanted, tried, named = load(whole), 0, 0
    for name in kinds(whole, harm):
        path = tmp_path / "run"
        shutil.copytree(whole, path)
        HARM[harm](path / name)
        damages = verify(path)
        locks = name.startswith(".locks")
        absent = locks or (harm == "deleted" and any(each in name for each in ABSENT))
        spared = path / name in [damage.path for damage in damages] or (name.endswith(".sha256") and damages)
        assert absent or spared, f"{name}, {harm}: not named, but {damages}"
        assert not (absent and damages), f"{name}, {harm}: {damages}"
        loaded_right(path, wanted)
        if locks and harm == "replaced by a folder":
            shutil.rmtree(path / name)  # the error of a run says so
        blocks = repair(path)
        assert len(blocks) <= 1 and blocks == {(d.variant, d.block) for d in damages if d.block is not None}
        retrained = complete(path)
        assert retrained == max(len(blocks), "done/c." in name and "geometry" not in name), f"{name}, {harm}"
        xr.testing.assert_identical(load(path), wanted)
        assert verify(path) == []
        shutil.rmtree(path)
        tried, named = tried + 1, named + bool(damages)
    record_property("damaged", {"files": tried, "named": named, "that say that nothing was written yet": tried - named})
