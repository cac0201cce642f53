"""Hydra's and OmegaConf's errors in a few words, with the nearest names that exist. Hydra must be initialised."""

import difflib
import re
from collections.abc import Sequence
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig


def teach(error: Exception) -> str:
    """Hydra's and OmegaConf's words, made short, with the nearest names that exist."""
    told = str(error).strip()
    missing = re.search(r"Could not override '([^']+)'|Could not append to config|Key '([^']+)' (?:is )?not in", told)
    option = re.search(r"Could not find '([^']+)/([^'/]+)'", told)
    if option:
        known = GlobalHydra.instance().config_loader().get_group_options(option[1])
        near = difflib.get_close_matches(option[2], known, 3, 0.3)
        return f"`{option[1]}` has no option {option[2]!r}. {_near(near, known)}"
    if missing and (missing[1] or missing[2]):
        key = missing[1] or missing[2]
        near = difflib.get_close_matches(key, [known for known in known_keys() if known != key], 3)
        return f"There is no key or group `{key}`. {_near(near, [])}"
    if told.startswith("Config group override must be"):
        return (
            "A group takes the name of one of its options, as model=relu. `python -m superpose.run --help` lists them."
        )
    if told.startswith("Error parsing override '") or "override_grammar" in told:
        return f"{told.splitlines()[0]}. An override is KEY=VALUE, as model.m=3 or 'sparsity=[0.1,0.9]'."
    lines = [line.strip() for line in told.splitlines() if line.strip()]
    return " ".join(lines[:3])


def _near(near: Sequence[str], known: Sequence[str]) -> str:
    if near:
        return f"Did you mean {' or '.join(near)}?"
    return f"There are: {', '.join(known)}." if known else "`python -m superpose.run --help` lists them."


def known_keys() -> list[str]:
    """Every key of the default configuration, dotted."""
    keys: list[str] = []

    def walk(node: Any, path: str) -> None:
        for key in node if isinstance(node, DictConfig) else ():
            keys.append(f"{path}{key}")
            walk(node._get_node(key), f"{path}{key}.")

    walk(hydra.compose("config"), "")
    return keys
