"""The command line in this process: exit codes, and errors that say what was wrong, what was got, what to type."""

import laboratory
import pytest

from superpose import command
from superpose.arguments import rewrite

CASES = [
    ("sparsity=1.2", r"must lie in [0, 1), got 1.2"),
    ("sparsity=-0.1", r"must lie in [0, 1), got -0.1"),
    ("sparsity=nan", "`sparsity` must be finite"),
    ("sparsity.density=[0]", "Sparsity is the probability that a feature is zero"),
    ("sparsity=0.999999", "A draw has 23 bits"),
    ("sparsity=[]", "`sparsity` has no points"),
    ("sparsity=[0.1,0.1]", "holds one model twice"),
    ("sparsity=[0.1,0.10000000001]", "the same float32 density"),
    ("sparsity=[a,b]", "takes a list of numbers"),
    ("sparsity=0.1,0.9", "type 'sparsity=[0.1,0.9]'"),
    ("-m sparsity=0.1,0.9", "type 'sparsity=[0.1,0.9]'"),
    ("sparsity=[0.1, 0.9]", "leave out the space, or quote it: 'sparsity=[0.1,0.9]'"),
    ("record.steps=[1, 2, 3] seed=2", "leave out the space, or quote it: 'record.steps=[1,2,3]'"),
    ("+axes.p={target: features.density, points: [0.5, 1]}", "'+axes.p={target:features.density,points:[0.5,1]}'"),
    ("learning_rate=null", "`learning_rate` takes learning_rate=0.9, 'learning_rate=[0.1,0.9]' or one of its options"),
    ("-m seed=range(3)", "`seed` takes seed=8, 'seed=[3,5]' or one of its options, as seed=sweep, got 'range(3)'"),
    ("model=3", "A group takes the name of one of its options"),
    ("=3", "A group takes the name of one of its options"),
    ("sparsity", "An override is KEY=VALUE"),
    ("~model", "The group `model` has no option"),
    ("~seed", "The group `seed` has no option"),
    ("sparsity.points={linear:[0,0.9,4.7]}", "takes a list of numbers"),
    ("objective.batch=1000000000", "Lower objective.batch"),
    ("features.n=7", "do not fit features of n = 7: the model has W (2, 4), b (4,)"),
    ("model._target_=superpose.models.Nope", "`model._target_` must name a class, as superpose.models.ReLUOutput does"),
    ("model._target_=os.getcwd", "`model._target_` must name a class of the kind AbstractToyModel, got 'os.getcwd'"),
    ("target._target_=superpose.models.Nope", "`target._target_` must name a class"),
    ("record.steps=-1", "integers from 0 to schedule.steps = 40, got -1"),
    ("schedule.warmup=41", "`schedule.warmup` is at most schedule.steps = 40, got 41"),
    ("init=normal init.std=-1", "`init.std` must be a finite number of at least 0, got -1"),
    ("init=notebook init.instances=0", "`init.instances` must be a finite number of at least 1, got 0"),
    ("+axes.bump={target:features.relative_density.1,points:[0.5,20]}", "must lie in [1e-05, 1], got 0.05 to 2 over"),
    ("+axes.W={target:features.relative_density.1,points:[0.5]}", "`W` needs a name of its own"),
    ("sparsity=swep", "Did you mean sweep"),
    ("sparsity.points=[0.1] sparsity.density=[0.1]", "Leave one out"),
    ("model.m=0", "`model.m` must be an integer of at least 1, got 0"),
    ("model.n=two", "`model.n` must be an integer of at least 1, got 'two'"),
    ("model.k=3", "There is no key or group `model.k`. Did you mean model.n"),
    ("model=rleu", "`model` has no option 'rleu'. Did you mean relu"),
    ("modle=relu", "Did you mean model"),
    ("+foo=1", "There is no key or group `foo`"),
    ("experiment=tny", "Did you mean experiment=tiny?"),
    ("experiment=unknown", "conf/experiment/unknown.yaml"),
    ("plan=perhaps", "not a valid bool"),
    ("seed=0", "`seed` is a count of at least 1, got 0"),
    ("seed=100000000", "a count of at most 10,000,000"),
    ("seed=10000000 sparsity=dense", "A table of 240,000,000 models takes about 120 GB"),
    ("seed=1.5", "`seed` is a count of at least 1, got 1.5"),
    ("seed.points=[-1]", "A seed is an integer from 0 to 4294967295"),
    ("seed.points=[4294967296]", "A seed is an integer from 0 to 4294967295"),
    ("seed.points=[1.5]", "A seed is an integer"),
    ("seed.points=[3,3]", "`seed` holds 3 twice"),
    ("seed.init=-1", "`seed.init` is an integer from 0"),
    ("objective.batch=0", "`objective.batch` must be an integer of at least 1"),
    ("objective.zero_free=often", "`objective.zero_free` is true or false, got 'often'"),
    ("schedule.steps=0", "`schedule.steps` must be an integer of at least 1"),
    ("compute.tile=0", "`compute.tile` must be an integer of at least 1"),
    ("compute.devices=99 compute.platform=cpu", "`compute.devices` is 99, and there are 4 cpu devices"),
    ("compute.shard=2 compute.shards=2", "`compute.shard` must lie in 0 ... compute.shards - 1 = 1, got 2"),
    ("weighting=uniform importance=[0.5,0.7]", "Choose a weighting that takes it"),
    ("weighting=uniform importance=sweep", "Choose a weighting that takes it"),
    ("optimizer=adam weight_decay=[0,0.1]", "optimizer=adamw"),
    ("learning_rate=[-1]", "`learning_rate` must be at least 0, got -1"),
    ("record.steps=[50]", "integers from 0 to schedule.steps = 40, got 50"),
    ("+axes.bump={target:features.relative_densty.1,points:[0.5]}", "features.relative_density.0 ... "),
    ("+axes.bump={target:model.W,points:[0.5]}", "which is no single float"),
    ("+axes.bump={points:[0.5]}", "{target: PATH, points: [...]}"),
    ("+axes.density={target:features.density,points:[0.5]}", "needs a name of its own"),
    ("+axes.p={target:features.density,points:[0.5]}", "both set features.density"),
    ("features.relative_density=[1,1]", "one factor per feature, n = 4, got 2"),
    ("features.relative_density=[1,1,1,20]", "must lie in [1e-05, 1]"),
    (
        "features=correlated features.sets=2 sparsity.density=[1e-6]",
        "A set's density, 1 - sparsity, must lie in [1e-05",
    ),
    ("features=anticorrelated features.sets=2 path={target:features.density,points:[0.1,2]}", "got 0.1 to 2 over"),
    (
        "features=anticorrelated features.sets=2 sparsity.density=[1e-5]",
        "A set's density, 1 - sparsity, must lie in [2e",
    ),
    ("features=correlated features.sets=3", "`features.sets` must divide the number of features, n = 4, got 3"),
    ("features=anticorrelated features.sets=0", "`features.sets` must divide the number of features, n = 4, got 0"),
    ("penalty=hidden_l1 penalty.strength=-0.1", "`penalty.strength` must be a finite number of at least 0, got -0.1"),
    ("penalty=adversarial penalty.strength=inf", "`penalty.strength` must be a finite number of at least 0, got inf"),
    ("penalty=hidden_l1 +axes.s={target:penalty.strength,points:[-0.1]}", "sets penalty.strength, which must be at"),
    ("penalty=hidden_l1 path={target:penalty.strength,points:[-1,1]}", "The path sets penalty.strength, which must be"),
    ("record.steps={log:[0,40,5]}", "with start and stop above 0, got {'log': [0, 40, 5]}. Type 'record.steps=[0,40]'"),
    ("record.steps={log:[-1,40,5]}", "with start and stop above 0"),
    ("record.steps={linear:[0,40,1000000000000]}", "`record.steps` takes at most 10,000,000 numbers"),
    ("sparsity.density={linear:[0.1,0.9,1000000000000]}", "`sparsity` takes at most 10,000,000 numbers"),
    ("record.preset=abc", "`record.preset` are integers from 0 to schedule.steps = 40, got 'abc'"),
    ("record.steps=[0,41]", "integers from 0 to schedule.steps = 40, got 41"),
    ("schedule.steps=30 record.steps={linear:[0,40,5]}", "integers from 0 to schedule.steps = 30, got 40"),
    ("seed.root=null", "`seed.root` is an integer from 0"),
    ("seed.preset=data", "seed"),
    ("features=[0]", "A group takes the name of an option"),
    ("+axes.a=3", "The axis `a` is {target: PATH"),
    ("+optimizer.b1={_partial_:null}", "`optimizer`"),
    ("model.n=???", "model"),
]


@pytest.fixture(autouse=True)
def lab(tmp_path):
    return laboratory.make(tmp_path)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        (["sparsity=0.9", "sparsity=sweep"], ["sparsity=sweep"]),
        (["seed=4", "model.m=3", "seed=[3,5]"], ["model.m=3", "seed=points", "seed.points=[3,5]"]),
        (["sparsity=points", "sparsity.points=[0.9]", "sparsity=sweep"], ["sparsity=sweep"]),
        (["sparsity.points=[0.5]", "sparsity=sweep"], ["sparsity.points=[0.5]", "sparsity=sweep"]),
        (["sparsity=sweep", "sparsity.points=[0.5]"], ["sparsity=sweep", "sparsity.points=[0.5]"]),
        (["seed=[1,2]", "seed=8"], ["seed=points", "seed.count=8"]),
        (["-m", "sparsity=sweep,dense"], ["-m", "sparsity=sweep,dense"]),
    ],
)
def test_of_several_for_one_axis_the_last_counts(typed, meant):
    assert rewrite(typed) == meant
    assert rewrite(rewrite(typed)) == meant


@pytest.mark.parametrize("typed, told", CASES, ids=[typed for typed, _ in CASES])
def test_bad_input_is_told_in_a_few_lines_before_anything_is_made(typed, told, capsys, tmp_path):
    words = typed.split()
    if not any(word.startswith("experiment=") for word in words):
        words.append("experiment=tiny")
    assert command.main(words) == 2
    error = capsys.readouterr().err
    assert told in error and "Traceback" not in error
    assert not (tmp_path / "outputs").exists()


def test_a_key_is_not_suggested_in_its_own_place(capsys):
    assert command.main(["experiment=tiny", "features=correlated", "features.relative_density=[1,1]"]) == 2
    error = capsys.readouterr().err
    assert "no key or group `features.relative_density`" in error and error.count("relative_density") == 1


def test_a_model_with_room_for_every_feature_is_told_of(capsys):
    words = ["experiment=tiny", "plan=true"]
    assert command.main(words) == 0
    assert "nothing calls for superposition" not in capsys.readouterr().out
    assert command.main([*words, "model.m=4"]) == 0
    told = capsys.readouterr().out
    assert "each of 4 features one of its own" in told and "model.m=K with K below 4" in told


def test_an_output_that_is_a_file_is_told(tmp_path, capsys):
    (tmp_path / "taken").write_text("")
    assert command.main(["experiment=tiny", "output=taken"]) == 2
    assert "Results cannot be written to taken/tiny: Not a directory" in capsys.readouterr().err


def test_full_errors_are_shown_when_asked(monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(ValueError, match="must lie in"):
        command.main(["experiment=tiny", "sparsity=2"])


def test_a_multirun_makes_a_folder_for_each_program(tmp_path, capsys):
    assert command.main(["-m", "experiment=tiny", "model.m=1,2", "schedule.steps=2"]) == 0
    assert sorted(path.name for path in (tmp_path / "outputs").iterdir()) == [
        ".hydra",
        "tiny-model.m=1",
        "tiny-model.m=2",
    ]
    assert "tiny-model.m=2/figure.png" in capsys.readouterr().out.replace("\n", "")


@pytest.mark.slow
def test_a_multirun_over_keys_makes_a_folder_for_each(tmp_path):
    assert command.main(["-m", "experiment=tiny", "seed.init=0,1", "schedule.steps=2", "plan=false"]) == 0
    assert {path.name for path in (tmp_path / "outputs").iterdir()} == {
        ".hydra",
        "tiny-seed.init=0",
        "tiny-seed.init=1",
    }


def test_a_multirun_over_experiments_of_one_root(tmp_path):
    laboratory.make(tmp_path, "small", laboratory.YAML.replace("experiment: { name: tiny, module: tiny }\n", ""))
    assert command.main(["-m", "experiment=tiny,small", "schedule.steps=2"]) == 0
    assert {path.name for path in (tmp_path / "outputs").iterdir()} == {".hydra", "tiny", "small"}


def test_a_multirun_over_experiments_of_two_roots_is_refused(capsys):
    assert command.main(["-m", "experiment=tiny,intro_pentagon", "schedule.steps=2"]) == 2
    assert "One multirun takes experiments of one root" in capsys.readouterr().err


def test_a_multirun_over_shards_fills_one_store(tmp_path):
    words = ["experiment=tiny", "compute.shard=range(0,2)", "compute.shards=2", "compute.block=1", "schedule.steps=2"]
    assert command.main(["-m", *words]) == 0
    assert (tmp_path / "outputs/tiny/figure.png").exists()


def test_a_multirun_stops_at_bad_input(capsys):
    with pytest.raises(SystemExit) as stop:
        command.main(["-m", "experiment=tiny", "model.m=0,1"])
    assert stop.value.code == 2
    assert "`model.m` must be an integer" in capsys.readouterr().err
