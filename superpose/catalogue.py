"""Where experiments are found: the current folder, each folder of $SUPERPOSE_PATH, then those that come with superpose.

A root counts for an experiment only if it holds both of its files, `conf/experiment/NAME.yaml` and
`experiments/NAME.py` (or the module that the yaml names as `module`). The first such root wins.
"""

import dataclasses
import difflib
import os
import re
from pathlib import Path

import yaml

from superpose.arguments import InputError

PACKAGE = Path(__file__).parent
DEFAULT = "basic_results"
NAME = re.compile(r"\w[\w.-]*")


@dataclasses.dataclass(frozen=True)
class Found:
    """An experiment: its name, the root that holds it, and its two files."""

    name: str
    root: Path
    config: Path
    module: Path

    @property
    def summary(self) -> str:
        """What it is, in a line: the first comment of the yaml that is neither a package line nor a command."""
        comments = [
            line[1:].strip() for line in self.config.read_text(encoding="utf-8").splitlines() if line.startswith("#")
        ]
        told = [line for line in comments if not line.startswith(("@package", "python -m"))]
        return told[0] if told else ""


def shipped() -> Path:
    """The root that comes with superpose: in a wheel inside the package, in a checkout beside it."""
    inside = PACKAGE / "_shipped"
    return (inside if inside.is_dir() else PACKAGE.parent).resolve()


def roots() -> list[Path]:
    """The roots in the order in which they are searched."""
    named = [Path(folder).expanduser() for folder in os.environ.get("SUPERPOSE_PATH", "").split(os.pathsep) if folder]
    found = [root.resolve() for root in (Path.cwd(), *named, shipped())]
    return list(dict.fromkeys(found))


def at(root: Path, name: str) -> Found | None:
    """The experiment `name` of a root, if the root holds both of its files. A name is no path elsewhere."""
    if not NAME.fullmatch(name):
        return None
    config = root / "conf" / "experiment" / f"{name}.yaml"
    if not config.is_file():
        return None
    try:
        content = yaml.safe_load(config.read_text(encoding="utf-8"))
        module = ((content or {}).get("experiment") or {}).get("module", name)
    except (yaml.YAMLError, AttributeError):
        module = name
    path = root / "experiments" / f"{module}.py"
    return Found(name, root, config, path) if path.is_file() else None


def experiments() -> list[Found]:
    """Every experiment that can be run, by name."""
    found: dict[str, Found] = {}
    for root in roots():
        for config in (root / "conf" / "experiment").glob("*.yaml"):
            here = at(root, config.stem)
            if here is not None:
                found.setdefault(config.stem, here)
    return [found[name] for name in sorted(found)]


def find(name: str) -> Found:
    """The experiment `name` of the first root that holds it.

    Raises:
        InputError: none does; the message names the nearest.
    """
    for root in roots():
        here = at(root, name)
        if here is not None:
            return here
    names = [experiment.name for experiment in experiments()]
    near = difflib.get_close_matches(name, names, 1)
    hint = f"Did you mean experiment={near[0]}?" if near else f"There are: {', '.join(names)}."
    raise InputError(
        f"There is no experiment {name!r}. {hint} An experiment is conf/experiment/{name}.yaml and"
        f" experiments/{name}.py in the current folder or in one of $SUPERPOSE_PATH."
    )
