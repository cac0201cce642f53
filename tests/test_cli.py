"""The console script: list, status, verify, measure, and their exit codes."""

import laboratory
import pytest

import superpose
from superpose import cli
from superpose.store import Store


@pytest.fixture
def folder(tmp_path):
    laboratory.make(tmp_path)
    superpose.run_sweep(["experiment=tiny", "sparsity=[0.5,0.9]"])
    return tmp_path / "outputs/tiny"


def test_list_names_every_experiment_and_its_first_sentence(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    laboratory.make(tmp_path)
    assert cli.main(["list"]) == 0
    told = capsys.readouterr().out
    assert "basic_results" in told and "intro_pentagon" in told
    assert "Four features in two dimensions" in told and str(tmp_path) in told


def test_status_counts_models(folder, capsys):
    assert cli.main(["status", str(folder)]) == 0
    assert "complete" in capsys.readouterr().out
    store = Store.open(folder)
    store.forget("relu", [0])
    assert cli.main(["status", str(folder)]) == 3
    assert "continues it" in capsys.readouterr().out


def test_verify_names_damaged_files(folder, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert cli.main(["verify", str(folder)]) == 0
    (chunk,) = (folder / "models.zarr/relu/b").glob("c.*")
    chunk.write_bytes(chunk.read_bytes()[:-3])
    assert cli.main(["verify", str(folder)]) == 3
    told = capsys.readouterr().out
    assert "relu/b/c.0" in told and "repair=true" in told


def test_measure_says_that_nothing_lacks(folder, capsys):
    assert cli.main(["measure", str(folder)]) == 0
    assert "measured already" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["status", "verify", "measure"])
def test_a_folder_without_a_run_is_told(command, tmp_path, capsys):
    assert cli.main([command, str(tmp_path / "nothing")]) == 2
    error = capsys.readouterr().err
    assert "nothing" in error and "Traceback" not in error


def test_help_shows_examples(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--help"])
    assert stop.value.code == 0 and "superpose status outputs/basic_results" in capsys.readouterr().out
