"""Puts what was measured into README.md and docs/: the tables between their markers, and the figures.

    python benchmarks/publish.py      (make bench-write; after make bench, make bench-scaling and make bench-quality)

A table named NAME goes between the lines `<!-- bench NAME -->` and `<!-- end -->`, wherever they stand.
"""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import quality
import scaling
import store_tables
from report import sheets, told

OUTPUT = Path("outputs/bench")
PAGES = (Path("README.md"), Path("docs/benchmarks.md"), Path("docs/scaling.md"))
FIGURES = {"bench.png": "bench.png", "scaling.png": "bench_scaling.png", "sampling.png": "sampling.png"}
PLACE = re.compile(r"(<!-- bench (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def read(name: str) -> dict[str, Any] | None:
    path = OUTPUT / name
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def texts() -> dict[str, str]:
    """What goes where, by name; nothing of what was not measured."""
    bench, grown, good = read("bench.json"), read("scaling.json"), read("quality.json")
    stored = read("store.json")
    found: dict[str, str] = {}
    if bench is not None:
        found |= {name: sheet.markdown() for name, sheet in sheets(bench).items()}
        found["machine"] = f"Medians of {bench['work']['repeats']} repeats, on {told(bench['machine'])}"
        left_out = [f"`{name}` was left out: {why}." for name, why in bench["left_out"].items()]
        found["machine"] += "".join(f"\n{line}" for line in left_out)
    if grown is not None:
        found |= {"scaling": scaling.sheet(grown).markdown(), "scaled": f"On {told(grown['machine'])}"}
    if good is not None:
        found |= {name: sheet.markdown() for name, sheet in quality.sheets(good).items()}
        found["quality_machine"] = f"On {told(good['machine'])}"
    if stored is not None:
        found |= {name: sheet.markdown() for name, sheet in store_tables.sheets(stored).items()}
        found["store_machine"] = f"On {told(stored['machine'])}"
    return found


def main():
    found = texts()
    if not found:
        raise SystemExit("Nothing was measured yet. Run: make bench")
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        fill = lambda place: f"{place[1]}{found[place[2]]}\n{place[3]}" if place[2] in found else place[0]
        page.write_text(PLACE.sub(fill, text), encoding="utf-8")
    for name, shown in FIGURES.items():
        if (OUTPUT / name).is_file():
            shutil.copy(OUTPUT / name, Path("docs") / shown)


if __name__ == "__main__":
    main()
