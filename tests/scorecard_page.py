"""docs/scorecard.md as tests read it: what it says of each experiment's claims, and how long that trained."""

import re
from pathlib import Path

PAGE = Path(__file__).parent.parent / "docs/scorecard.md"
CELLS = re.compile(r"(?<!\\)\|")
TIME = re.compile(r"^\| \[(\w+)\]\(#\w+\) \|.*\| (\d+) s \|$", re.MULTILINE)


def sections() -> dict[str, dict[str, tuple[str, str]]]:
    """Experiment -> claim -> its source and its outcome, in the page's words."""
    _, *parts = re.split(r"^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    tables = {part.split("\n", 1)[0]: rows(part) for part in parts if "\n    python -m" in part}
    return {name: {text: (source, outcome) for text, source, outcome in table} for name, table in tables.items()}


def rows(part: str) -> list[tuple[str, str, str]]:
    """The first three cells of each row of a section's table, below its head."""
    lines = [line for line in part.splitlines() if line.startswith("|")][2:]
    cells = ([cell.strip().replace("\\|", "|") for cell in CELLS.split(line)[1:4]] for line in lines)
    return [(text, source, outcome) for text, source, outcome in cells]


def times() -> dict[str, int]:
    """Experiment -> the seconds that its training took."""
    return {name: int(seconds) for name, seconds in TIME.findall(PAGE.read_text(encoding="utf-8"))}
