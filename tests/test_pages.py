"""The pages of README.md and docs/: every table that a benchmark fills is full, and every linked file exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")
PLACE = re.compile(r"<!-- bench (\w+) -->\n(.*?)<!-- end -->", re.DOTALL)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tables_of_benchmarks_are_filled(page):
    for name, content in PLACE.findall(page.read_text(encoding="utf-8")):
        assert content.strip(), f"{page.name}: run the benchmark of `{name}`, then: make bench-write"
