"""Somebody else's store: whatever was planted in it, opening it runs nothing, and reads and writes nothing outside."""

import json
import os
import pickle
import shutil
from contextlib import suppress
from pathlib import Path

import laboratory
import pytest
import xarray as xr
import yaml
from rich.console import Console

import superpose
from superpose import app, cli, console, trust
from superpose.printing import printable
from superpose.store import StoreError, metadata

COMMAND = "touch planted"
RUN = ["experiment=tiny", "seed=1", "schedule.steps=2"]


class Planted:
    """Unpickled, it writes a file."""

    def __reduce__(self):
        return os.system, (COMMAND,)


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """The folder of a run, and in `root` its experiment."""
    place, here = tmp_path_factory.mktemp("theirs"), Path.cwd()
    laboratory.make(place / "root")
    os.chdir(place / "root")
    superpose.run_sweep([*RUN, f"output={place}"])
    os.chdir(here)
    return place


@pytest.fixture
def theirs(trained, tmp_path) -> Path:
    """A copy of the run, below a current folder which holds its experiment, too."""
    laboratory.make(tmp_path)
    shutil.copytree(trained / "tiny", tmp_path / "got" / "tiny")
    settings = yaml.safe_load((tmp_path / "got/tiny/config.yaml").read_text())
    set_settings(tmp_path / "got/tiny", settings | {"root": str(tmp_path)})
    return tmp_path / "got" / "tiny"


def set_settings(folder: Path, settings: dict) -> None:
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))


def add_overrides(folder: Path, *overrides: str) -> None:
    settings = yaml.safe_load((folder / "config.yaml").read_text())
    set_settings(folder, settings | {"overrides": [*settings["overrides"], *overrides]})


def change(file: Path, *keys: str, to: object) -> None:
    """Set an entry of a zarr.json, which has the seal of what it says then."""
    found = node = json.loads(file.read_text())
    for key in keys[:-1]:
        node = node[key]
    node[keys[-1]] = to
    file.write_bytes(metadata.encoded(found))


def every_command(folder: Path, capsys: pytest.CaptureFixture) -> str:
    """What load, status, verify, list and measure say; the store is refused or read, and nothing is planted."""
    before = sorted(Path.cwd().rglob("*"))
    with suppress(StoreError):
        superpose.load(folder)
    codes = [cli.main(words) for words in (["status", str(folder)], ["verify", str(folder)], ["list"])]
    assert set(codes) <= {0, 2, 3}
    assert sorted(Path.cwd().rglob("*")) == before
    assert cli.main(["measure", str(folder)]) in (0, 2, 3)
    assert not any(folder.parent.parent.rglob("planted*"))
    return capsys.readouterr().err


TARGETS = [
    "model._target_=os.system",
    "model._target_=antigravity.webbrowser",
    "model._target_=superpose.app.os.system",
    "model._target_=experiment.jax.devices",
    "model._target_=superpose.experiment.load_experiment",
    "model._target_=superpose.store.files.remove",
    "model._target_=superpose.store.Store",
    "model._target_=superpose",
    f"+features.more={{_target_:os.system,command:'{COMMAND}'}}",
    f"+features.more=[{{_target_:subprocess.run,args:'{COMMAND}'}}]",
    f"+variants={{linear:['+target.more={{_target_:os.system,command:\"{COMMAND}\"}}']}}",
]


@pytest.mark.faults
@pytest.mark.parametrize("override", TARGETS)
def test_settings_of_a_stranger_make_components_alone(theirs, override, capsys):
    add_overrides(theirs, override)
    told = every_command(theirs, capsys)
    assert "written by somebody else" in told and "--trust" in told


@pytest.mark.parametrize(
    "override",
    ["hydra.searchpath=[pkg://planted]", "+hydra/job_logging=planted", "+variants={a:[hydra.searchpath=[x]]}"],
)
def test_settings_of_a_stranger_leave_hydra_alone(theirs, override, capsys):
    add_overrides(theirs, override)
    assert "sets no experiment" in every_command(theirs, capsys)


def test_an_experiments_name_is_no_path(theirs, tmp_path, capsys):
    laboratory.make(tmp_path / "evil", module=f"import os\nos.system('{COMMAND}')\n")
    evil = laboratory.YAML.replace("module: tiny", f"module: {tmp_path}/evil/experiments/tiny")
    laboratory.make(tmp_path / "evil", yaml=evil, module=f"import os\nos.system('{COMMAND}')\n")
    add_overrides(theirs, "experiment=../../evil/conf/experiment/tiny")
    assert "There is no experiment" in every_command(theirs, capsys)


def test_the_program_of_a_run_is_one_of_the_users_own(theirs, tmp_path, monkeypatch, capsys):
    """In another folder the root that the settings name is not loaded, unless it is trusted."""
    laboratory.make(tmp_path, module=f"import os\nos.system('{COMMAND}')\n{laboratory.MODULE}")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert f"of {tmp_path}, which is a Python program" in every_command(theirs, capsys)
    assert cli.main(["measure", str(theirs), "--trust"]) == 0
    assert (tmp_path / "elsewhere/planted").exists()


def test_an_own_root_needs_no_trust(theirs, tmp_path, monkeypatch):
    assert app.measure_again(theirs) == 0
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    monkeypatch.setenv("SUPERPOSE_PATH", str(tmp_path))
    assert app.measure_again(theirs) == 0


def test_what_may_be_made():
    names = ["superpose.models.ReLUOutput", "superpose.ReLUOutput", "optax.cosine_decay_schedule", "superpose.nothing"]
    assert all(map(trust.allowed, names))
    wrong = ["os.system", "superpose.app.os.system", "superpose.run_sweep", "superpose:models", 3]
    assert not any(map(trust.allowed, wrong))


def test_yaml_makes_no_object(theirs, capsys):
    (theirs / "config.yaml").write_text(f"root: !!python/object/apply:os.system ['{COMMAND}']\noverrides: []\n")
    assert "is no plain YAML" in every_command(theirs, capsys)


@pytest.mark.parametrize("text", ["", "[]", "root: 3\noverrides: x", "root: x\noverrides: [{a: b}]"])
def test_settings_that_say_nothing(theirs, text, capsys):
    (theirs / "config.yaml").write_text(text)
    assert "does not say what was run" in every_command(theirs, capsys)


@pytest.mark.parametrize("kind", ["variant", "array", "part", "axis", "coordinate"])
def test_a_name_leads_nowhere_else(theirs, kind, capsys):
    group = theirs / "models.zarr"
    before = (group / "linear/zarr.json").read_text()
    for name in ("../../../outside", "/etc", "..", ".", "", "a/b", "a\x1b[31mb", "a\nb"):
        record = json.loads(before)["attributes"]["superpose"]
        if kind == "variant":
            change(group / "zarr.json", "attributes", "superpose", "variants", to=[name])
        elif kind == "axis":
            record["axes"] = [name]
        else:
            node = {"array": record["parts"]["models"], "part": record["parts"], "coordinate": record["coordinates"]}[
                kind
            ]
            node[name] = node.pop(min(node))
        change(group / "linear/zarr.json", "attributes", "superpose", to=record)
        with pytest.raises(StoreError):
            superpose.load(theirs)
        assert cli.main(["status", str(theirs)]) == 2
        told = capsys.readouterr().err
        assert "\x1b" not in told and "Traceback" not in told
    every_command(theirs, capsys)


@pytest.mark.faults
@pytest.mark.parametrize("what", ["linear", "linear/W", "linear/done/c.0", "linear/W/c.0.0.0", "linear/seed/copies"])
def test_a_link_out_of_the_store_is_not_followed(theirs, tmp_path, what, capsys):
    place = theirs / "models.zarr" / what
    place.rename(tmp_path / "outside")
    place.symlink_to(tmp_path / "outside")
    assert "link" in every_command(theirs, capsys)
    with pytest.raises(StoreError, match="link"):
        superpose.load(theirs)


@pytest.mark.parametrize(
    "what", ["run.log", "config.yaml", "models.zarr", "arrays.zarr", ".locks", ".locks/table.lock"]
)
def test_what_a_run_writes_beside_its_table_is_no_link(theirs, tmp_path, what, capsys):
    """Names of variants are logged, and a lock is emptied when it is taken: neither may reach a file of the user's."""
    (tmp_path / "mine").write_text("mine")
    for flag in (theirs / "models.zarr/linear").glob("*_done/c.0"):
        flag.unlink()  # so that there is something to measure, and to log
    if (theirs / what).exists():
        (theirs / what).rename(tmp_path / "outside")
    (theirs / what).symlink_to(tmp_path / "mine" if what in ("run.log", ".locks/table.lock") else tmp_path / "outside")
    before = {path: path.read_bytes() for path in (tmp_path / "outside").rglob("*") if path.is_file()}
    assert cli.main(["measure", str(theirs)]) == 2
    assert "link" in capsys.readouterr().err
    assert (tmp_path / "mine").read_text() == "mine"
    assert all(path.read_bytes() == data for path, data in before.items())


def test_a_log_that_is_a_link_is_not_written(tmp_path):
    (tmp_path / "run.log").symlink_to(tmp_path / "mine")
    with pytest.raises(StoreError, match=r"run\.log.* link"), console.logged(tmp_path / "run.log"):
        pass
    assert not (tmp_path / "mine").exists()


@pytest.mark.faults
def test_a_pickle_is_not_read(theirs, capsys):
    """As a chunk, as an array of objects, as a filter of a pickling codec."""
    (theirs / "models.zarr/linear/loss/c.0").write_bytes(pickle.dumps(Planted()))
    every_command(theirs, capsys)
    array = theirs / "models.zarr/linear/W/zarr.json"
    for key, value in (
        ("data_type", "object"),
        ("codecs", [{"name": "numcodecs.pickle", "configuration": {"id": "pickle"}}]),
        ("codecs", [{"name": "vlen-bytes"}]),
        ("storage_transformers", [{"_target_": "os.system", "command": COMMAND}]),
    ):
        change(array, key, to=value)
        every_command(theirs, capsys)
    with pytest.raises(StoreError):
        superpose.load(theirs)


def test_verify_and_repair_tell_a_terminal_no_commands(theirs, capsys):
    """The list of checksums names files as a stranger likes."""
    (theirs / ".arrays.zarr.sha256").write_text("0" * 64 + "  arrays.zarr/\x1b[2J\x1b]0;x\x07\n")
    assert cli.main(["verify", str(theirs)]) == 3
    label = "\x1b[2Jlinear"
    (theirs / "models.zarr" / label / "seed/copies").mkdir(parents=True)
    shutil.copyfile(theirs / "models.zarr/zarr.json", theirs / "models.zarr" / label / "seed/copies/zarr.json")
    app.restore(theirs, Console())
    told = capsys.readouterr().out
    assert "\x1b" not in told and "\\x1b[2J" in told and "mended" in told


def test_attributes_are_data(theirs, capsys):
    node = {"_target_": "os.system", "command": COMMAND, "py/reduce": "!!python/object/apply:os.system"}
    for group in ("zarr.json", "linear/zarr.json"):
        file = theirs / "models.zarr" / group
        change(file, "attributes", "more", to=node)
    every_command(theirs, capsys)


def test_the_labelled_arrays_for_other_tools_run_nothing(theirs):
    """xarray and zarr read them; an array of Zarr v2 with a pickling filter, planted among them, is not unpickled."""
    planted = theirs / "arrays.zarr/linear/pickled"
    planted.mkdir()
    codec = {"id": "pickle", "protocol": 5}
    kind = {"shape": [1], "chunks": [1], "dtype": "|O", "fill_value": 0, "order": "C", "zarr_format": 2}
    (planted / ".zarray").write_text(json.dumps(kind | {"compressor": None, "filters": [codec]}))
    (planted / "0").write_bytes(pickle.dumps([Planted()]))
    tree = xr.open_datatree(theirs / "arrays.zarr", engine="zarr", consolidated=False)
    assert "pickled" not in tree["linear"].load() and not (Path.cwd() / "planted").exists()


@pytest.mark.faults
def test_a_terminal_is_told_no_commands(theirs, tmp_path, capsys):
    """Control characters in the notes of blocks, and markup, are shown as they are written."""
    assert printable("a\x1b[31m\x07ü\nb\u202e") == "a\\x1b[31m\\x07ü\nb\\u202e"
    file = theirs / "models.zarr/linear/zarr.json"
    change(file, "attributes", "superpose", "notes", to=[{"jax": "\x1b[2J[bold]0[/]", "superpose": "\x1b]0;x\x07"}])
    every_command(theirs, capsys)
    from superpose import command

    assert command.main([*RUN, f"output={theirs.parent}"]) in (0, 2)
    told = capsys.readouterr()
    assert "\x1b" not in told.out + told.err
