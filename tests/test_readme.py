"""Every Python example of the README runs, in order, in a folder that holds a small run of basic_results."""

import re
from pathlib import Path

import laboratory
import pytest

import superpose
from superpose import config

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
YAML = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
FEWER = ["scale=smoke", "schedule.steps=20"]


def short(example: str) -> str:
    """The example with fewer steps."""
    return example.replace("Constant(1000)", "Constant(20)")


def test_an_exact_loss():
    exec(PYTHON[0], {})


def test_reading_the_arrays():
    superpose.run_sweep(["sparsity=sweep", "seed=4", "name=basic_results", *FEWER])
    names: dict = {}
    exec(PYTHON[1], names)
    assert type(names["model"]).__name__ == "ReLUOutput"


def test_sweeping_something_of_ones_own():
    names: dict = {}
    shapes = []
    for example in PYTHON[2:6]:
        exec(short(example), names)
        shapes.append(dict(names["ds"].sizes))
        assert names["ds"]["loss"].notnull().all()
    assert all(len(example.strip().splitlines()) < 35 for example in PYTHON[2:6])
    swept = ("slope", "height", "power", "strength")
    assert [shape[axis] for shape, axis in zip(shapes, swept, strict=True)] == [3, 2, 2, 3]


def test_adding_an_experiment(tmp_path):
    laboratory.make(tmp_path, "mine", YAML[0], PYTHON[6])
    tree = superpose.run_sweep(["experiment=mine", *FEWER])
    assert tree["relu"].sizes["sparsity"] == 7 and tree["relu"].sizes["feature"] == 10


@pytest.mark.parametrize("line", re.findall(r"^    python -m superpose\.run (.*?)(?:  +#.*)?$", README, re.MULTILINE))
def test_every_command_composes(line, tmp_path):
    words = [word.replace("'", "") for word in re.findall(r"(?:[^\s']|'[^']*')+", line)]
    if any(word.startswith("-") for word in words):
        return
    if "compute=slurm" in words:
        pytest.importorskip("hydra_plugins.hydra_submitit_launcher", reason="not installed: superpose[slurm]")
    with config.session(words):
        run = config.build(words, start=lambda compute: None)
    assert sum(len(variant.grid) for variant in run.variants.values()) > 0
