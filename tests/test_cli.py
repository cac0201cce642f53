"""The console script: list, status, verify, measure, and their exit codes."""

import errno
import os
import signal

import laboratory
import pytest
import yaml
from test_store import fill, grid, new

import superpose
from superpose import cli


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
    (folder / "models.zarr/linear/done/c.0").unlink()
    assert cli.main(["status", str(folder)]) == 3
    assert "continues it" in capsys.readouterr().out


def test_verify_names_damaged_files(folder, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert cli.main(["verify", str(folder)]) == 0
    (chunk,) = (folder / "models.zarr/linear/b").glob("c.*")
    chunk.write_bytes(chunk.read_bytes()[:-3])
    assert cli.main(["verify", str(folder)]) == 3
    told = capsys.readouterr().out
    assert told.count("linear/b/c.0") == 1 and "is cut short" in told and told.count("repair=true") == 1


def test_measure_says_that_nothing_lacks(folder, capsys):
    assert cli.main(["measure", str(folder)]) == 0
    assert "measured already" in capsys.readouterr().out


@pytest.mark.parametrize("command", ["status", "verify", "measure"])
def test_a_folder_without_a_run_is_told(command, tmp_path, capsys):
    assert cli.main([command, str(tmp_path / "nothing")]) == 2
    error = capsys.readouterr().err
    assert "nothing" in error and "Traceback" not in error


def test_status_counts_models_that_lack_a_measure(folder, capsys):
    for flag in (folder / "models.zarr/linear/geometry_done").glob("c.*"):
        flag.unlink()
    assert cli.main(["status", str(folder)]) == 3
    row, advice = capsys.readouterr().out.splitlines()[1:]
    assert row.split() == ["linear", "4", "4", "0", "4", "1"] and advice == f"superpose measure {folder}"
    assert cli.main(["measure", str(folder)]) == 0 and "measured 1 block" in capsys.readouterr().out
    assert cli.main(["status", str(folder)]) == 0


def test_measuring_needs_nothing_of_how_a_run_was_launched(folder, capsys):
    """A task of a cluster trained it; here there is neither its launcher nor its accelerator."""
    place = folder / "config.yaml"
    settings = yaml.safe_load(place.read_text())
    there = ["compute=slurm_gpu", "compute.platform=gpu", "compute.shard=5", "+compute.shards=2", "hydra/launcher=none"]
    place.write_text(yaml.safe_dump(settings | {"overrides": [*settings["overrides"], *there]}))
    assert cli.main(["measure", str(folder)]) == 0, capsys.readouterr().err


@pytest.mark.parametrize("command", ["status", "measure"])
def test_a_damaged_column_is_named(folder, command, capsys):
    (column,) = (folder / "models.zarr/linear/seed").glob("c.*")
    column.write_bytes(column.read_bytes()[:-3])
    assert cli.main([command, str(folder)]) == 3
    error = capsys.readouterr().err
    assert error.startswith(f"error: {column} is cut short") and "Traceback" not in error


@pytest.mark.parametrize("settings", [None, "overrides: [", "overrides: [experiment=other]\nroot: /\n"])
def test_a_run_whose_settings_cannot_be_used_is_told(folder, settings, capsys):
    (folder / "config.yaml").unlink()
    if settings is not None:
        (folder / "config.yaml").write_text(settings)
    assert cli.main(["measure", str(folder)]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and len(error.splitlines()) < 25 and "Traceback" not in error


@pytest.mark.parametrize("words", [["copy", "run", "there"], ["drop", "run", "seed=0"], ["merge", "both", "run"]])
def test_a_full_disk_has_the_exit_code_that_it_has_in_a_run(words, tmp_path, monkeypatch, capsys):
    fill(new(tmp_path / "run"), grid((0.5,), 2).rows())

    def full(descriptor: int):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    assert cli.main(words) == 1
    assert "free some space" in capsys.readouterr().err


def test_a_signal_ends_with_its_code(monkeypatch, capsys):
    monkeypatch.setattr(cli, "list_experiments", lambda *_: os.kill(os.getpid(), signal.SIGINT))
    assert cli.main(["list"]) == 130
    assert "Stopped by SIGINT" in capsys.readouterr().err


def test_where_an_error_comes_from_is_shown_on_demand(tmp_path, monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    with pytest.raises(ValueError, match="nothing"):
        cli.main(["status", str(tmp_path / "nothing")])


def test_help_shows_examples(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--help"])
    assert stop.value.code == 0 and "superpose status outputs/basic_results" in capsys.readouterr().out
