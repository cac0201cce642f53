"""Every experiment's claims and figure as Markdown: runs, resumes, and tells what did not run."""

import dataclasses
import re
from pathlib import Path

import laboratory
import pytest
from rich.console import Console

from superpose import catalogue, cli, scorecard
from superpose.arguments import InputError
from superpose.catalogue import Found
from superpose.experiment import Claim, Verdict
from superpose.hierarchy import Properties
from superpose.scorecard import Card

QUIET = Console(quiet=True)
DASH = f" {scorecard.NOTHING} "


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
    assert not first.error and first.count(True) == 1 and first.seconds > 0 and first.folder is not None
    weights = {path: path.stat().st_mtime_ns for path in (first.folder / "models.zarr").rglob("c.*")}
    again = scorecard.run(tiny, [], QUIET)
    assert weights == {path: path.stat().st_mtime_ns for path in weights}
    assert again.judged[0][1] == first.judged[0][1] and again.seconds > first.seconds
    assert first.properties["linear"].models == 2 and not scorecard.notice(again)


def test_models_beyond_the_command_are_told(tiny, capsys):
    scorecard.run(tiny, ["seed=3"], QUIET)
    assert cli.main(["scorecard", "tiny"]) == 0
    assert "outputs/tiny holds 1 models that are not of this command" in capsys.readouterr().out
    assert "**1 models in its folder are not of this command**" in Path("outputs/scorecard/scorecard.md").read_text()


def test_what_does_not_run_is_told_and_the_rest_goes_on(tiny, tmp_path, capsys):
    Path("run.log").write_text("trained and measured in 100.0 s")  # of something else, in the current folder
    assert cli.main(["scorecard", "tiny", "--set", "model.m=0"]) == 1
    page = Path("outputs/scorecard/scorecard.md").read_text()
    assert "It did not run:\n\n    InputError: `model.m` must be" in page and "`model.m=0`" in page
    assert "| [tiny](#tiny) | - | - | - | - | - | - | **did not run** |".replace(" - ", DASH) in page
    assert "| **all but 1 that did not run** | 0 | 0 | 0 | 0 | 0 | 0 | 0 min |" in page
    told = capsys.readouterr().out
    assert "error: InputError: `model.m` must be" in told and "Traceback" not in told


def test_what_breaks_shows_where(tiny, capsys):
    broken = laboratory.MODULE.replace("def trained(tree):", "def trained(tree):\n    raise KeyError('first\\nsecond')")
    tiny.module.write_text(broken)
    assert cli.main(["scorecard", "tiny"]) == 1
    told, page = capsys.readouterr().out, Path("outputs/scorecard/scorecard.md").read_text()
    assert "Traceback" in told and "in trained" in told
    assert "**did not run**" in page and "KeyError" in page and "The models are trained and kept" in page


def test_pages(tiny, tmp_path):
    assert cli.main(["scorecard", "tiny", "--to", "mine"]) == 0
    claims, gallery = (Path("mine", name).read_text() for name in ("scorecard.md", "gallery.md"))
    assert "| [tiny](#tiny) | 1 | 1 | 0 | 0 | 0 | 0 |" in claims and "python -m superpose.run experiment=tiny" in claims
    (image,) = re.findall(r"!\[tiny\]\((.*)\)", gallery)
    assert Path("mine", image).read_bytes() == Path("outputs/tiny/figure.png").read_bytes()


def test_a_page_is_not_replaced_by_one_that_shows_less(tiny, tmp_path):
    laboratory.make(tmp_path, "small")
    place = Path("mine")
    place.mkdir()
    cards = [Card(catalogue.find(name), "command", None, 1.0) for name in ("tiny", "small")]
    (place / "scorecard.md").write_text(scorecard.claims_page([*cards, Card(gone(tiny), "command", None, 1.0)]))
    scorecard.check_place(place, ["tiny", "small", "new"], [])  # what is gone from the catalogue may go
    with pytest.raises(InputError, match=r"shows 1 experiments that would be lost, as small\. Name another folder"):
        scorecard.check_place(place, ["tiny"], [])
    with pytest.raises(InputError, match="was written with other overrides"):
        scorecard.check_place(place, ["tiny", "small"], ["scale=smoke"])
    (place / "scorecard.md").write_text(scorecard.claims_page(cards, ["scale=smoke"]))
    scorecard.check_place(place, ["tiny", "small"], ["scale=smoke"])
    for more in ([], ["scale=full"]):
        with pytest.raises(InputError, match="was written with other overrides"):
            scorecard.check_place(place, ["tiny", "small"], more)


def test_a_page_is_looked_at_before_anything_runs(tiny, capsys):
    Path("mine").mkdir()
    Path("mine/scorecard.md").write_text("| [basic_results](#basic_results) | 1 |")
    assert cli.main(["scorecard", "tiny", "--to", "mine"]) == 2
    assert "would be lost, as basic_results" in capsys.readouterr().err and not Path("outputs").exists()


def gone(found: Found) -> Found:
    """An experiment that was there once."""
    return dataclasses.replace(found, name="gone")


def test_a_verdict_is_a_row(tiny):
    verdicts = Verdict(False, "0.5", "above 1", (0.4, 0.61234), 8), Verdict(None, "nothing"), Verdict(True, "1")
    claim = Claim("||W|| falls.", "Here", lambda tree: verdicts[0])
    ours = dataclasses.replace(claim, ours=True)
    judged = [(claim, verdicts[0]), (claim, verdicts[1]), (ours, verdicts[2]), (ours, verdicts[0])]
    page = scorecard.claims_page([Card(tiny, "command", Path(), 12.4, judged)])
    row = r"| \|\|W\|\| falls. | Here | **fails** | 0.5 (interval 0.4 to 0.6123) | above 1 | 8 |"
    assert row in page and "| cannot say | nothing |" in page and "| ours, after Here | holds | 1 |" in page
    assert "| [tiny](#tiny) | 2 | 0 | 1 | 1 | 1 | 1 | 12 s |" in page
    assert "| **all** | 2 | 0 | 1 | 1 | 1 | 1 | 0 min |" in page


def test_properties_are_rows(tiny):
    told = {"relu": Properties("ReLUHidden", 4, 1, None, (2, 1, 1)), "linear": Properties("Linear", 10, 10, 9, None)}
    page = scorecard.claims_page([Card(tiny, "command", Path(), 1.0, properties=told)])
    assert "| tiny | relu | ReLUHidden | 4 | 25% | - | 25%, 25%, 50% |".replace(" - ", DASH) in page
    assert "| tiny | linear | Linear | 10 | 100% | 90% | - |".replace(" - ", DASH) in page
