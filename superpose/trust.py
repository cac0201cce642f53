"""What may be made from settings that somebody else wrote: components of superpose, of the experiment, of optax.

A `_target_` names anything that Python can import and call, so that a settings file is a program. From a foreign one
only these are made: classes of modules in superpose (`eqx.Module`), and what `experiment` or `optax` defines itself.
The Python file of the experiment is never a stranger's: it lies in a root that the user chose.
"""

import pkgutil
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx

from superpose import catalogue
from superpose.arguments import InputError, value_of

OURS, OPEN = "superpose", ("experiment", "optax")
TARGET = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")
OWN_WAY = "If you trust who wrote it, as you would a program, add --trust."


def check_overrides(overrides: Sequence[str], path: Path) -> None:
    """None of a settings file's overrides is for Hydra itself, which can look for settings in any package.

    Raises:
        InputError: one is.
    """
    for override in overrides:
        if "hydra" in override:
            raise InputError(f"{path} has the override {override!r}, which sets no experiment. {OWN_WAY}")


def check_root(root: str, overrides: Sequence[str], path: Path) -> None:
    """The root that a settings file names holds Python code: it is one of the user's own, or no experiment's.

    Raises:
        InputError: it holds the experiment, and is not the current folder, of $SUPERPOSE_PATH or superpose's.
    """
    name = value_of(overrides, "experiment") or catalogue.DEFAULT
    there = Path(root).resolve()
    if there not in catalogue.roots() and catalogue.at(there, name) is not None:
        raise InputError(
            f"{path} runs the experiment {name!r} of {there}, which is a Python program. Go there (cd {there}) to use"
            f" it. {OWN_WAY}"
        )


def check_targets(settings: Mapping[str, Any]) -> None:
    """Every `_target_` of foreign settings, however deep, is one that may be made.

    Raises:
        InputError: one is not; nothing of it was imported.
    """
    for target in targets(settings):
        if not allowed(target):
            raise InputError(
                f"These settings were written by somebody else, and have `_target_: {target!r}`. Of such only the"
                f" components of superpose, of the experiment and of optax are made. {OWN_WAY}"
            )


def targets(node: Any) -> Iterator[Any]:
    """Every `_target_` in nested settings."""
    if isinstance(node, Mapping):
        yield from (value for key, value in node.items() if key == "_target_")
        node = list(node.values())
    if isinstance(node, list | tuple):
        for each in node:
            yield from targets(each)


def allowed(target: Any) -> bool:
    """Whether a name is one of those, by where it is defined: `superpose.app.os.system` is not of superpose."""
    if not isinstance(target, str) or not TARGET.fullmatch(target) or _package(target) not in (OURS, *OPEN):
        return False
    try:
        found = pkgutil.resolve_name(target)
    except (ImportError, AttributeError):
        return True  # it names nothing, which is told where the component is made
    if _package(target) == OURS:
        return isinstance(found, type) and issubclass(found, eqx.Module) and _package(found.__module__) == OURS
    return _package(getattr(found, "__module__", None) or "") == _package(target)


def _package(name: str) -> str:
    return name.partition(".")[0]
