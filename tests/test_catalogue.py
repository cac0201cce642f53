"""Where experiments are found, and that only a root with both files counts."""

import hydra
import laboratory
import pytest
from hydra.core.global_hydra import GlobalHydra

from superpose import catalogue, config
from superpose.arguments import InputError


def build(*overrides: str) -> config.Run:
    with config.session(overrides):
        return config.build(overrides, start=lambda compute: None)


def test_the_current_folder_comes_before_the_path_and_the_shipped_ones(tmp_path, monkeypatch):
    here, there = tmp_path / "here", tmp_path / "there"
    for root in (here, there):
        laboratory.make(root)
    monkeypatch.setenv("SUPERPOSE_PATH", str(there))
    monkeypatch.chdir(tmp_path)
    assert catalogue.find("tiny").root == there
    monkeypatch.chdir(here)
    assert catalogue.find("tiny").root == here
    assert catalogue.find("basic_results").root == catalogue.shipped()


def test_a_root_without_both_files_does_not_count(tmp_path):
    laboratory.make(tmp_path, "basic_results", laboratory.YAML.replace("tiny", "basic_results"))
    assert catalogue.find("basic_results").root == tmp_path
    (tmp_path / "experiments/basic_results.py").unlink()
    assert catalogue.find("basic_results").root == catalogue.shipped()
    with pytest.raises(InputError, match="There is no experiment 'tiny'"):
        catalogue.find("tiny")


def test_ones_own_experiment_of_a_shipped_name_wins_with_its_settings(tmp_path):
    laboratory.make(tmp_path, "basic_results", laboratory.YAML.replace("tiny", "basic_results"))
    run = build("experiment=basic_results")
    assert run.found.root == tmp_path and run.variants["linear"].program.features.n == 4


def test_groups_of_ones_own_are_found(tmp_path):
    laboratory.make(tmp_path)
    (tmp_path / "conf/model").mkdir()
    (tmp_path / "conf/model/leaky.yaml").write_text("_target_: experiment.Leaky\nn: 4\nm: 2\nslope: 0.1\n")
    run = build("experiment=tiny", "model=leaky", "+axes.slope={target: model.slope, points: [0.0, 0.2]}")
    assert run.variants["leaky"].grid.names[-1] == "slope"
    assert type(run.variants["leaky"].program.model).__name__ == "Leaky"


def test_a_module_may_serve_several_settings():
    assert catalogue.find("basic_80_20").module.name == "basic_results.py"
    assert {found.name for found in catalogue.experiments()} >= {"basic_results", "basic_80_20", "intro_pentagon"}


def test_axes_compose_and_each_component_takes_the_keys_it_knows():
    run = build("sparsity=sweep", "importance=sweep", "weighting=last_feature", "seed=20")
    grid = run.variants["relu"].grid
    assert [len(axis.points) for axis in grid.axes] == [7, 7, 1, 1] and len(grid.seeds) == 20
    assert dict(run.variants["relu"].program.axes)["importance"] == "weighting.relative"
    fixed = build("weighting=uniform", "optimizer=sgd").variants["relu"].grid
    assert fixed.names == ("sparsity", "learning_rate") and fixed.axes[1].points == (0.01,)


def test_what_is_typed_beats_a_preset_and_a_scale_beats_the_experiment():
    assert build().variants["relu"].grid.seeds == tuple(range(8))
    assert build("scale=smoke").variants["relu"].grid.seeds == (0, 1)
    assert build("scale=full").variants["relu"].grid.seeds == tuple(range(64))
    assert build("scale=full", "seed=fixed").variants["relu"].grid.seeds == (0,)
    assert build("scale=full", "seed=fixed", "seed=sweep").variants["relu"].grid.seeds == tuple(range(64))
    assert build("~scale", "~variants").variants["relu"].grid.seeds == tuple(range(8))
    assert build("seed=4", "seed=[3,5]").variants["relu"].grid.seeds == (3, 5)
    assert len(build("sparsity=0.9", "sparsity=sweep").variants["relu"].grid.axes[0].points) == 7
    assert build("scale=smoke", "seed=5").variants["relu"].grid.seeds == tuple(range(5))
    assert build("seed.points=[3,5]").variants["relu"].grid.seeds == (3, 5)
    assert build("sparsity=sweep", "sparsity.points=[0.5]").variants["relu"].grid.axes[0].points == (0.5,)
    assert build("scale=smoke", "schedule.steps=7").variants["relu"].program.schedule.steps == 7


def test_the_name_tells_the_experiment_the_scale_and_what_a_multirun_sweeps():
    assert build("scale=smoke").folder.name == "basic_results-smoke"
    assert build("name=mine", "scale=smoke").folder.name == "mine"
    swept = build("model.m=3", "seed=2", "compute.shard=1", "compute.shards=2", "swept=[seed,model.m,compute.shard]")
    assert swept.folder.name == "basic_results-model.m=3"
    assert build("seed.init=1", "swept=[seed.init]").folder.name == "basic_results-seed.init=1"
    assert build("++model.m=3", "swept=[model.m]").folder.name == "basic_results-model.m=3"
    assert build("experiment=intro_pentagon").folder.name == "intro_pentagon"
    assert build("experiment=basic_80_20").settings["experiment"] == {"name": "basic_80_20", "module": "basic_results"}


def test_a_variant_may_set_an_axis_anew(tmp_path):
    yaml = laboratory.YAML + "variants: { one: [], all: [sparsity=sweep] }\n"
    laboratory.make(tmp_path, yaml=yaml)
    built = build("experiment=tiny", "sparsity=0.5")
    assert [len(built.variants[label].grid.axes[0].points) for label in ("one", "all")] == [1, 7]


def test_an_experiment_may_set_the_seeds_of_its_scale(tmp_path):
    laboratory.make(tmp_path, yaml=laboratory.YAML.replace("seeds: 2", "seeds: 3"))
    for typed, seeds in ((), 3), (("scale=smoke",), 2), (("seed=fixed",), 1):
        assert len(build("experiment=tiny", *typed).variants["linear"].grid.seeds) == seeds


def test_another_apps_hydra_is_not_taken_for_ones_own(tmp_path):
    (tmp_path / "config.yaml").write_text("experiment: mine\n")
    taken = pytest.raises(InputError, match="Hydra is at work for another app")
    with hydra.initialize_config_dir(str(tmp_path), version_base="1.3"), taken:
        config.session([])


def test_the_options_of_a_group_are_those_to_choose_from():
    with config.session([]):
        loader = GlobalHydra.instance().config_loader()
        assert loader.get_group_options("seed") == ["fixed", "points", "sweep"]
        assert loader.get_group_options("compute") == ["auto", "cpu", "gpu", "slurm", "slurm_gpu", "tpu"]
    assert build("compute=cpu").compute == config.Compute(platform="cpu")


@pytest.mark.parametrize("name", ["basic_results", "basic_80_20", "intro_pentagon"])
def test_the_summary_is_a_sentence(name):
    assert catalogue.find(name).summary[-1] in ".?" and not catalogue.find(name).summary.startswith("Paper")


def test_the_identity_leaves_out_points_seeds_and_compute():
    one = build("sparsity=[0.1]", "learning_rate=1e-2", "seed=3", "compute.block=7")
    assert one.identity == build().identity
    assert one.identity != build("model.m=4").identity
    assert one.identity != build("seed.init=0").identity
    assert one.identity != build("+axes.bump={target: features.relative_density.1, points: [1.0]}").identity
