"""The launchers of Hydra's plugins on this machine: their tasks fill one store, and the same command continues."""

import laboratory
import pytest

import superpose
from superpose import command

LEVELS = ["experiment=tiny", "sparsity=[0.0,0.9]", "seed=4", "compute.block=2", "compute.devices=1"]
SHARDS = ["compute.shard=range(3)", "compute.shards=3"]
RAY = ["+hydra.launcher.ray.init.num_cpus=2", "+hydra.launcher.ray.init.include_dashboard=false"]


@pytest.mark.parametrize("name, words", [("joblib", ["hydra.launcher.n_jobs=2"]), ("ray", RAY)])
def test_tasks_fill_one_store_and_the_same_command_continues(tmp_path, name, words, capfd):
    pytest.importorskip(name, reason=f"not installed: pip install 'superpose[{name}]'")
    laboratory.make(tmp_path)
    line = ["-m", f"hydra/launcher={name}", *words, *LEVELS, *SHARDS]
    assert command.main([*line, "name=tasks", "sparsity=[0.9]"]) == 0
    assert command.main([*line, "name=tasks"]) == 0
    alone = superpose.run_sweep([*LEVELS, "name=alone"])
    assert laboratory.same(superpose.load(tmp_path / "outputs/tasks"), alone)
    assert (tmp_path / "outputs/tasks/figure.png").exists()
    assert command.main([*line, "model.m=0"]) == 2
    told = capfd.readouterr().err
    assert "error: `model.m` must be an integer of at least 1, got 0" in told and "Traceback" not in told
