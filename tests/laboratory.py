"""A small experiment of its own root, for tests of whole runs: what a user writes beside superpose."""

from pathlib import Path

import numpy as np
import xarray as xr

YAML = """# @package _global_
# python -m superpose.run experiment=tiny
# Four features in two dimensions, 40 steps, of the model that compiles soonest.
defaults:
  - override /model: linear
  - override /weighting: geometric
experiment: { name: tiny, module: tiny }
model: { n: 4, m: 2 }
schedule: { steps: 40 }
objective: { batch: 32 }
scale: { seeds: 2 }
"""

MODULE = '''"""Tiny."""

from typing import ClassVar

import jax
import jax.numpy as jnp
from matplotlib.figure import Figure

from superpose import AbstractToyModel, Claim, Experiment, Verdict, scalar


class Leaky(AbstractToyModel):
    """x' = max(y, slope y), y = W^T W x + b."""

    W: jax.Array
    b: jax.Array
    slope: jax.Array
    dims: ClassVar = {"W": ("hidden", "feature"), "b": ("feature",)}
    basis_privileged: ClassVar = False

    def __init__(self, n: int, m: int, slope: float):
        self.W, self.b, self.slope = jnp.zeros((m, n)), jnp.zeros(n), scalar(slope)

    def encode(self, x):
        return self.W @ x

    def decode(self, h):
        y = self.W.T @ h + self.b[:, None]
        return jnp.maximum(y, self.slope * y)


def figure(tree):
    drawn = Figure()
    drawn.subplots().plot(next(iter(tree.children.values()))["loss"].values.ravel())
    return drawn


def trained(tree):
    count = sum(int(node["finite"].sum()) for node in tree.children.values())
    return Verdict(count > 0, str(count), "some")


def measure(model, task, key):
    return {"bias_sum": jnp.sum(model.b)}


experiment = Experiment(figure, (Claim("models are trained", "here", trained),), measure, {"bias_sum": ()})
'''

HELD = 3  # blocks
HOLD = f'''

import logging
import time
from pathlib import Path


def wait(record, seen=[]):
    """After {HELD} blocks: while there is a file of the name `hold`."""
    if record.msg.startswith("%s: block"):
        seen.append(record)
    while len(seen) == {HELD} and Path("hold").exists():
        time.sleep(0.05)
    return True


logging.getLogger("superpose").addFilter(wait)
'''
"""With this a process waits, when it has written some blocks and has some to do."""


def make(root: Path, name: str = "tiny", yaml: str = YAML, module: str = MODULE) -> Path:
    """Write the two files of an experiment below `root`."""
    for path, text in ((f"conf/experiment/{name}.yaml", yaml), (f"experiments/{name}.py", module)):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


def same(one: xr.DataTree, other: xr.DataTree) -> bool:
    """Whether two runs hold the same numbers, bit for bit."""
    assert set(one.children) == set(other.children)
    return all(
        np.array_equal(node[name].values, other[label][name].values, equal_nan=node[name].dtype.kind == "f")
        for label, node in one.children.items()
        for name in node.data_vars
    )


def chunks(folder: Path) -> dict[str, bytes]:
    """Every chunk file of a run's table: path -> bytes."""
    files = (folder / "models.zarr").rglob("c.*")
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
