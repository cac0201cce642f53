"""The import contract: which room of superpose may import which, and who may know Hydra, matplotlib and the disk.

A room is a file of superpose/, or its package `store`. A new room, or a new import between rooms, is one word in ROOMS.
The rooms stand in the order of their imports: a room imports none that stands below it, so there are no cycles.
"""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LONGEST = 300

# room -> the rooms that it may import, all of which stand above it
ROOMS = {
    # rooms that know no other
    "draws": "",
    "leaves": "",
    "labels": "",
    "record": "",
    "grid": "",
    "geometry": "",
    "theory": "",
    "dedicated": "",
    "tegum": "geometry",
    "statistics": "labels",
    "plots": "",
    "diagrams": "plots",
    "points": "plots",
    "alignment": "",
    "angles": "geometry",
    "branches": "",
    "collapse": "",
    "stacks": "plots",
    "networks": "plots tegum theory",
    "refining": "",
    "selection": "",
    "sharing": "selection tegum",
    "portraits": "plots selection",
    "uniform": "selection statistics tegum theory",
    "charts": "geometry selection statistics theory",
    "panels": "charts diagrams plots selection theory",
    "arguments": "",
    "catalogue": "arguments",
    "interrupt": "",
    "launching": "arguments",
    "printing": "",
    "teaching": "",
    "trust": "arguments catalogue",
    # one model, and how it is trained
    "weighting": "leaves",
    "models": "leaves",
    "neurons": "arguments models",
    "features": "draws leaves",
    "sets": "draws features leaves",
    "penalties": "leaves models",
    "task": "features models penalties",
    "set_geometry": "arguments geometry models sets task",
    "set_shapes": "angles selection set_geometry",
    "quadrature": "",
    "few_active": "",
    "series": "few_active",
    "exact": "features few_active models quadrature series task theory",
    "objective": "draws exact features models penalties task",
    "evaluation": "draws exact features models objective penalties task",
    "snapshots": "draws features geometry models objective selection task",
    "octahedron": "snapshots",
    "polishing": "",
    "initial": "leaves models",
    "optimizers": "leaves",
    "training": "draws models objective optimizers record task",
    "following": "leaves",
    "experiment": "draws geometry labels models task",
    "strengths": "experiment plots selection",
    "program": "draws evaluation exact features following initial labels leaves models objective optimizers penalties"
    " polishing record task training weighting",
    # many models: the sweep knows no model, the table knows no program
    "sweep": "draws grid",
    "store": "grid labels",
    "measuring": "draws experiment grid program",
    "reading": "leaves models program",
    "axes": "following geometry grid leaves program",
    "estimate": "arguments evaluation exact objective program",
    "probing": "estimate evaluation grid models program record sweep training",
    "folders": "",
    "tuning": "folders grid probing program sweep",
    "memory": "axes estimate experiment grid labels leaves measuring program reading sweep",
    # what a user typed, and the run
    "searching": "arguments catalogue",
    "components": "arguments axes features initial models objective optimizers penalties polishing weighting",
    "config": "arguments axes catalogue components experiment grid program record searching sweep teaching trust",
    "continuing": "config grid optimizers store",
    "planning": "arguments components config continuing estimate experiment grid measuring models program reading"
    " store tuning",
    "forecast": "arguments estimate measuring planning probing sweep",
    "console": "config experiment planning statistics",
    "devices": "arguments config console folders",
    "halving": "arguments config console planning store",
    "work": "config console experiment grid halving interrupt measuring planning store sweep",
    "mapping": "arguments config console estimate grid interrupt labels planning refining store work",
    "app": "arguments config console continuing devices experiment forecast interrupt mapping planning plots printing"
    " store trust work",
    "command": "app arguments config devices interrupt launching printing searching store teaching",
    "hierarchy": "draws features geometry neurons objective program",
    "scorecard": "app arguments catalogue config devices experiment hierarchy store",
    "cli": "app arguments catalogue command interrupt printing scorecard store",
    "run": "command interrupt",
}

# library -> the only rooms that may import it
OUTSIDE = {
    "hydra": "command components config searching teaching",
    "omegaconf": "command components config teaching",
    "matplotlib": "diagrams networks panels plots points portraits stacks strengths",
    "zarr": "store",
    "filelock": "devices store",
    "rich": "app cli command console scorecard",
}


def imported(path: Path) -> set[str]:
    """What a file imports, anywhere in it, by full names: `from a.b import c` is a.b.c."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write `from superpose.room import name`, no relative import."
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def module(path: Path) -> str:
    """superpose/store/locks.py -> superpose.store.locks"""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


FILES = {module(path): path for path in sorted((ROOT / "superpose").rglob("*.py"))}
INSIDE = {name: path for name, path in FILES.items() if name != "superpose"}


def home(name: str) -> str | None:
    """The module of superpose that an imported name lies in; None for one of another library."""
    while name and name not in FILES:
        name = name.rpartition(".")[0]
    return name or None


@pytest.mark.parametrize("name", INSIDE)
def test_a_room_imports_what_it_may(name: str):
    room = name.split(".")[1]
    assert room in ROOMS, f"superpose/{room} is new: give it a line in ROOMS, {__file__}."
    for used in imported(INSIDE[name]):
        library = used.split(".")[0]
        allowed = OUTSIDE.get(library, room).split()
        assert room in allowed, f"{name} imports {used}; only {', '.join(allowed)} may."
        if library != "superpose" or used == "superpose.__version__":
            continue
        other = used.split(".")[1]
        assert home(used) != "superpose", f"{name} imports {used}: import it from its room."
        assert other in {room, *ROOMS[room].split()}, f"{name} imports {used}; ROOMS in {__file__} does not allow it."


def test_the_contract_itself():
    """Every room exists, and the rooms that it may import stand above it."""
    above: set[str] = set()
    for room, allowed in ROOMS.items():
        assert f"superpose.{room}" in FILES, f"There is no room {room}: take it out of ROOMS."
        assert set(allowed.split()) <= above, f"{room} may import only rooms that stand above it."
        above.add(room)


def test_no_cycle_between_files():
    graph = {name: {home(used) or used for used in imported(path)} - {name} for name, path in INSIDE.items()}
    assert tuple(TopologicalSorter(graph).static_order())


def test_superpose_imports_no_experiment():
    for name, path in FILES.items():
        assert not any(used.split(".")[0] in ("experiments", "benchmarks", "tests") for used in imported(path)), name


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_short(name):
    lines = len(FILES[name].read_text(encoding="utf-8").splitlines())
    assert lines <= LONGEST, f"{name} has {lines} lines: it holds more than one concept."


@pytest.mark.parametrize("folder", ["superpose", "experiments", "benchmarks", "tests"])
def test_annotations_are_checked(folder):
    """Annotations kept as text, as `__future__` can have it, would turn the shape checks off."""
    for path in (ROOT / folder).rglob("*.py"):
        assert "__future__.annotations" not in imported(path), path
