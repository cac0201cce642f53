"""The pages of README.md and docs/: benchmarks fill their tables, linked files exist, and claims are the code's."""

import re
from pathlib import Path

import pytest
import scorecard_page

from superpose import catalogue
from superpose.experiment import load_experiment

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")
PLACE = re.compile(r"<!-- bench (\w+) -->\n(.*?)<!-- end -->", re.DOTALL)
WRITE = "Write the pages again: make scorecard"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tables_of_benchmarks_are_filled(page):
    for name, content in PLACE.findall(page.read_text(encoding="utf-8")):
        assert content.strip(), f"{page.name}: run the benchmark of `{name}`, then: make bench-write"


def test_every_experiment_is_in_the_scorecard_and_the_gallery():
    names = {found.name for found in catalogue.experiments()}
    assert set(scorecard_page.sections()) == set(scorecard_page.times()) == names, WRITE
    figures = re.findall(r"^!\[(\w+)\]\(figures/\1\.png\)$", (ROOT / "docs/gallery.md").read_text(), re.MULTILINE)
    assert set(figures) == names, WRITE


def test_the_claims_of_the_scorecard_are_those_of_the_experiments():
    """A claim may be about the models of one of the experiments that share a module: it stands on that one's page."""
    said: dict[Path, set[tuple[str, str]]] = {}
    for name, claims in scorecard_page.sections().items():
        said.setdefault(catalogue.find(name).module, set()).update(
            (text, source) for text, (source, _) in claims.items()
        )
    for module, claims in said.items():
        own = {(claim.text, claim.origin) for claim in load_experiment(module).claims}
        assert claims == own, f"{module.name}. {WRITE}"
