"""A SLURM for the tests of this folder, where one can be."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import slurm

CPUS = 4  # of the node; the machine may have fewer


@pytest.fixture(scope="session")
def cluster() -> Iterator[slurm.Slurm]:
    if lacking := slurm.lacking():
        pytest.skip(lacking)
    with tempfile.TemporaryDirectory(prefix="superpose-slurm-") as folder:  # a socket's path must be short
        made = slurm.Slurm(Path(folder), CPUS)
        try:
            made.start()
            yield made
        except AssertionError:
            print(made.logs())
            raise
        finally:
            made.stop()
