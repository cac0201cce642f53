"""Every experiment's claims and figure as Markdown: runs, resumes, and tells what did not run."""

import re
from pathlib import Path

import laboratory
import pytest
from rich.console import Console

from superpose import catalogue, cli, scorecard
from superpose.arguments import InputError
from superpose.catalogue import Found
from superpose.experiment import Claim, Verdict
from superpose.scorecard import Card

QUIET = Console(quiet=True)


@pytest.fixture
def tiny(tmp_path) -> Found:
    laboratory.make(tmp_path)
    return catalogue.find("tiny")


def test_every_experiment_says_how_it_is_run():
    for found in catalogue.experiments():
        command = scorecard.command_of(found)
        assert f"experiment={found.name}" in command or found.name == catalogue.DEFAULT, command


def test_an_experiment_without_a_command_is_refused(tiny):
    tiny.config.write_text(tiny.config.read_text().replace("python -m", ""))
    with pytest.raises(InputError, match=r"gives no command\. Add a line: # python -m superpose\.run experiment=NAME"):
        scorecard.command_of(tiny)


def test_a_run_is_judged_and_its_models_are_kept(tiny):
    first = scorecard.run(tiny, [], QUIET)
    assert not first.error and first.count(True) == 1 and first.seconds > 0
    weights = {path: path.stat().st_mtime_ns for path in (first.folder / "models.zarr").rglob("c.*")}
    again = scorecard.run(tiny, [], QUIET)
    assert weights == {path: path.stat().st_mtime_ns for path in weights}
    assert again.judged[0][1] == first.judged[0][1] and again.seconds > first.seconds


def test_what_does_not_run_is_told_and_the_rest_goes_on(tiny, tmp_path, capsys):
    assert cli.main(["scorecard", "tiny", "--set", "model.m=0"]) == 1
    assert "It did not run: InputError: `model.m` must be" in Path("outputs/scorecard/scorecard.md").read_text()
    assert "`model.m` must be" in capsys.readouterr().out


def test_pages(tiny, tmp_path):
    assert cli.main(["scorecard", "tiny", "--to", "mine"]) == 0
    claims, gallery = (Path("mine", name).read_text() for name in ("scorecard.md", "gallery.md"))
    assert "| [tiny](#tiny) | 1 | 1 | 0 | 0 |" in claims and "python -m superpose.run experiment=tiny" in claims
    (image,) = re.findall(r"!\[tiny\]\((.*)\)", gallery)
    assert Path("mine", image).read_bytes() == Path("outputs/tiny/figure.png").read_bytes()


def test_a_verdict_is_a_row(tiny):
    verdicts = Verdict(False, "0.5", "above 1", (0.4, 0.61234), 8), Verdict(None, "nothing")
    claim = Claim("||W|| falls.", "Here", lambda tree: verdicts[0])
    judged = [(claim, verdict) for verdict in verdicts]
    page = scorecard.claims_page([Card(tiny, "command", Path(), 12.4, judged)])
    row = r"| \|\|W\|\| falls. | Here | **fails** | 0.5 (interval 0.4 to 0.6123) | above 1 | 8 |"
    assert row in page and "| cannot say | nothing |" in page
    assert "| **all** | 2 | 0 | 1 | 1 | 0 min |" in page
