"""Where a run computes: the memory of a GPU, and compiled programs that the next run loads."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import jax
import laboratory
import pytest
from jax.experimental.compilation_cache import compilation_cache

import superpose
from superpose import devices
from superpose.arguments import InputError
from superpose.config import Compute
from superpose.folders import caches

LEVELS = "sparsity=[0.0,0.9]"
DIR = "jax_compilation_cache_dir"


@pytest.fixture
def no_folder():
    """JAX as it starts, with no folder of compiled programs and nothing compiled."""
    before = {name: jax.config.values[name] for name in (DIR, *devices.CACHE_SETTINGS)}
    jax.config.update(DIR, None)
    compilation_cache.reset_cache()
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    compilation_cache.reset_cache()


@pytest.fixture
def events():
    """How often JAX asked its folder for a program, and how often it was there."""
    counts: dict[str, int] = {}
    listen = lambda event, **_: counts.__setitem__(event, counts.get(event, 0) + 1)
    jax.monitoring.register_event_listener(listen)
    yield counts
    jax.monitoring.unregister_event_listener(listen)


def entries(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*-cache"))


def test_the_second_run_compiles_nothing_and_gives_the_same_bits(tmp_path, no_folder, events):
    """All programs are found: of training, measures, seeds and whatever else a run computes."""
    laboratory.make(tmp_path)
    trees = []
    for name in ("cold", "warm"):
        jax.clear_caches()
        events.clear()
        words = ["experiment=tiny", "model=linear", LEVELS, f"name={name}", f"compute.cache={tmp_path}/kept"]
        trees.append(superpose.run_sweep(words))
    asked, found = (events[f"/jax/compilation_cache/{name}"] for name in ("compile_requests_use_cache", "cache_hits"))
    assert asked == found > 5 and len(entries(tmp_path / "kept")) >= found
    assert laboratory.same(*trees)


def test_a_damaged_program_is_told_and_compiled_again(tmp_path, no_folder):
    devices.keep_compiled(str(tmp_path))
    function = jax.jit(lambda x: x**2 - 7)
    assert function(3.0) == 2
    for path in entries(tmp_path):
        path.write_bytes(path.read_bytes()[:-9])
    jax.clear_caches()
    with pytest.warns(UserWarning, match="Error reading persistent compilation cache entry"):
        assert function(3.0) == 2


def test_what_a_killed_process_left_is_taken_out(tmp_path, no_folder):
    """An entry without the time of its last use, which JAX writes after it, would keep JAX from writing any other."""
    devices.keep_compiled(str(tmp_path))
    folder = Path(jax.config.values[DIR])
    assert folder.parent == tmp_path and folder.stat().st_mode & 0o77 == 0
    jax.jit(lambda x: x * 2 + 3)(1.0)
    (whole,) = (path for path in entries(folder) if "lambda" in path.name)
    (folder / "jit_half-0-cache").write_bytes(b"half")
    jax.config.update(DIR, None)
    devices.keep_compiled(str(tmp_path))
    assert whole in entries(folder) and not (folder / "jit_half-0-cache").exists()


def test_the_folder_does_not_grow_without_end(tmp_path, no_folder, monkeypatch):
    """What was not used for longest goes first."""
    monkeypatch.setitem(devices.CACHE_SETTINGS, "jax_compilation_cache_max_size", (-1, 12_000))
    devices.keep_compiled(str(tmp_path))
    for k in range(12):
        jax.jit(lambda x, k=k: x * k + 1)(1.0)
    kept = entries(tmp_path)
    assert 0 < len(kept) < 12 and sum(path.stat().st_size for path in kept) <= 12_000


def test_jaxs_own_setting_goes_before(tmp_path, no_folder):
    jax.config.update(DIR, str(tmp_path / "theirs"))
    devices.keep_compiled(str(tmp_path / "ours"))
    assert jax.config.values[DIR] == str(tmp_path / "theirs") and not (tmp_path / "ours").exists()


def test_false_keeps_nothing(no_folder):
    devices.keep_compiled(False)
    assert jax.config.values[DIR] is None


@pytest.mark.parametrize("where", ["file/below", "file"])
def test_a_folder_that_cannot_be_written_is_told_and_nothing_else(tmp_path, no_folder, caplog, where):
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING, "superpose"):
        devices.keep_compiled(str(tmp_path / where))
    assert "compiled programs are not kept" in caplog.text and jax.config.values[DIR] is None


@pytest.mark.parametrize(("platform", "usual"), [("linux", ".cache"), ("darwin", "Library/Caches")])
def test_the_users_folder(tmp_path, monkeypatch, platform, usual):
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert caches() == tmp_path / usual / "superpose"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "elsewhere"))
    assert caches() == tmp_path / "elsewhere" / "superpose"


@pytest.mark.parametrize("where", [True, 3, "", []])
def test_a_folder_is_a_folder(where):
    with pytest.raises(InputError, match=r"`compute\.cache` is a folder for"):
        devices.keep_compiled(where)


def test_the_part_of_a_gpus_memory(monkeypatch):
    """Told to JAX by the environment, unless the user did."""
    for name in devices.FRACTIONS:
        monkeypatch.setenv(name, "")
    devices.start_jax(Compute(memory_fraction=0.4, cache=False))
    assert os.environ["XLA_CLIENT_MEM_FRACTION"] == "0.4"
    devices.share_memory(0.9)
    assert os.environ["XLA_CLIENT_MEM_FRACTION"] == "0.4"
    monkeypatch.setenv("XLA_CLIENT_MEM_FRACTION", "")
    monkeypatch.setenv("XLA_PYTHON_CLIENT_MEM_FRACTION", "0.2")
    devices.share_memory(0.9)
    assert not os.environ["XLA_CLIENT_MEM_FRACTION"]


@pytest.mark.parametrize("fraction", [0.0, -0.5, 1.5, float("nan")])
def test_a_part_is_a_part(fraction):
    with pytest.raises(InputError, match=r"`compute.memory_fraction` must lie in \(0, 1\]"):
        devices.share_memory(fraction)


def test_help_imports_nothing_heavy():
    """What takes seconds to import comes after the command line was read."""
    words = [sys.executable, "-X", "importtime", "-m", "superpose.run", "--help"]
    told = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    imported = {line.rsplit("|", 1)[1].strip() for line in told.stderr.splitlines() if line.count("|") == 2}
    assert "superpose" in told.stdout and "hydra" in imported
    assert not imported & {"jax", "equinox", "optax", "xarray", "zarr", "matplotlib", "superpose.app"}
