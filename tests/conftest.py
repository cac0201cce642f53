"""What every test finds: four CPU devices, no display, and an empty current folder."""

from pathlib import Path

import jax
import matplotlib
import pytest

# Before anything asks JAX for its devices: results must be the same on 1, 2 and 4 of them.
jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_num_cpu_devices", 4)
matplotlib.use("Agg")


def pytest_addoption(parser: pytest.Parser):
    parser.addoption("--slow", action="store_true", help="run the tests marked slow as well")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]):
    if not config.getoption("--slow"):
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="slow: run with --slow"))


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    """Each test starts in an empty folder: what a run writes to ./outputs ends there, and no stray file is found.

    Processes that a test starts import this checkout.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent.parent))
    monkeypatch.delenv("SUPERPOSE_PATH", raising=False)
