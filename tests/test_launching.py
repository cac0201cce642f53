"""Runs in processes of a launcher's: what is checked before they start. That they fill one store is in cluster/."""

import subprocess
import sys

import laboratory
import pytest

from superpose import command, launching
from superpose.arguments import InputError

LEVELS = ["experiment=tiny", "sparsity=[0.0,0.9]", "seed=4", "compute.block=2", "compute.devices=1"]


@pytest.fixture(autouse=True)
def lab(tmp_path):
    return laboratory.make(tmp_path)


@pytest.mark.parametrize("name", list(launching.PLUGINS))
def test_a_launcher_that_is_not_installed_is_told(name, monkeypatch, capsys):
    monkeypatch.setattr(launching, "find_spec", lambda package: None)
    assert command.main(["-m", f"hydra/launcher={name}", *LEVELS]) == 2
    assert f"pip install 'superpose[{launching.PLUGINS[name]}]'" in capsys.readouterr().err


def test_slurm_that_is_not_installed_is_told(monkeypatch):
    """Without any plugin of Hydra's there is not even the package that they are in."""

    def none(package: str) -> None:
        raise ModuleNotFoundError(package)

    monkeypatch.setattr(launching, "find_spec", none)
    with pytest.raises(InputError, match=r"pip install 'superpose\[slurm\]'"):
        launching.check(["compute=slurm"], multirun=True)


@pytest.mark.parametrize("what", ["compute=slurm", "hydra/launcher=joblib"])
def test_tasks_are_of_a_multirun(what, monkeypatch, capsys):
    monkeypatch.setattr(launching, "find_spec", lambda package: True)
    assert command.main([what, *LEVELS]) == 2
    assert f"type -m {what} 'compute.shard=range(4)'" in capsys.readouterr().err
    assert command.main(["-m", what, *LEVELS, "plan=true"]) == 2
    assert "leave out -m" in capsys.readouterr().err
    launching.check([what, "plan=true"], multirun=False)


@pytest.mark.parametrize(
    ("words", "more"),
    [
        (["compute=slurm", "compute.shards=8"], ["compute.shard=range(8)"]),
        (["compute=slurm_gpu", "compute.shards=8"], ["compute.shard=range(8)"]),
        (["hydra/launcher=ray", "compute.shards=2"], ["compute.shard=range(2)"]),
        (["compute=slurm", "compute.shards=8", "compute.shard=0,3"], []),
        (["compute=slurm", "model.m=2,5"], []),
        (["compute=cpu", "compute.shards=8"], []),
    ],
)
def test_each_shard_becomes_a_task(words, more):
    assert launching.shards(words) == more


def test_compute_slurm_composes_and_each_of_its_settings_can_be_typed():
    """In a process of its own: what the launchers' plugins import may replace this one's output."""
    pytest.importorskip("submitit", reason="not installed: pip install 'superpose[slurm]'")

    def told(*words: str) -> str:
        command = [sys.executable, "-m", "superpose.run", *words, "compute.shards=2", "hydra.launcher.partition=short"]
        return subprocess.run([*command, *LEVELS], capture_output=True, text=True, check=True).stdout

    for option, gpus, platform in (("slurm", "null", "null"), ("slurm_gpu", "1", "gpu")):
        launcher = told(f"compute={option}", "--cfg=hydra")
        settings = ("partition: short", f"gpus_per_node: {gpus}", "max_num_timeout: 1000", "requeue: true")
        assert all(line in launcher for line in ("launcher: submitit_slurm", *settings))
        compute = told(f"compute={option}", "--cfg=job", "--package=compute")
        assert "shards: 2" in compute and f"platform: {platform}" in compute and "cache: null" in compute
