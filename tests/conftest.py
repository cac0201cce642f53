"""What every test finds: four CPU devices, no display, and an empty current folder."""

import os
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import jax
import matplotlib
import pytest
from faults import Runs

# Before anything asks JAX for its devices: results must be the same on 1, 2 and 4 of them.
jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", 4)
matplotlib.use("Agg")


def pytest_configure(config: pytest.Config):
    """A program that two tests compile, or a test and a process that it starts, is compiled once.

    Processes that run tests side by side inherit the folder of the one that started them. Without the slow tests XLA
    optimises little, which takes a sixth less time, and what is shown does not rest on it; with them all that it can.
    """
    if config.option.markexpr == "not slow and not faults":
        os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"  # for processes that a test starts
        jax.config.update("jax_disable_most_optimizations", True)
    if "PYTEST_XDIST_WORKER" not in os.environ:
        os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="superpose-compiled-")
        config.add_cleanup(lambda: shutil.rmtree(cache, ignore_errors=True))
    cache = os.environ["JAX_COMPILATION_CACHE_DIR"]
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    jax.config.update("jax_compilation_cache_dir", cache)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter):
    """What the tests of faults tried, and what came of it, the parts of a test together."""
    tried: dict[str, Counter[str]] = defaultdict(Counter)
    for report in terminalreporter.getreports("passed"):
        for what, counts in report.user_properties:
            tried[what].update(counts)
    for what, counts in tried.items():
        terminalreporter.write_line(f"{what}: {', '.join(f'{count:,} {each}' for each, count in counts.items())}")


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    """Each test starts in an empty folder: what a run writes to ./outputs ends there, and no stray file is found.

    Processes that a test starts import this checkout.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent))
    for name in ("SUPERPOSE_PATH", "HYDRA_FULL_ERROR", "SUPERPOSE_SHORT_ERROR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """Runs that are forked from one warm process."""
    with Runs(tmp_path_factory.mktemp("runs")) as started:
        yield started
