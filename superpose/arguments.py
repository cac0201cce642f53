"""What people type, made into what Hydra understands.

`sparsity=0.9` and `sparsity=[0.1,0.9]` crash inside Hydra's parser, which takes `sparsity` for a group; they become

    sparsity=points sparsity.points=[0.9]        and        sparsity=points sparsity.points=[0.1,0.9]

and `seed=8`, a count, becomes `seed=points seed.count=8`. One function, applied wherever overrides are given: the
command line, `run_sweep`'s list, a variant's list.
"""

import re
from collections.abc import Sequence

AXES = ("sparsity", "importance", "learning_rate", "weight_decay", "seed")
NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:nan|inf)"
TYPED = re.compile(rf"^({'|'.join(AXES)})=(.*)$")


class InputError(ValueError):
    """What was typed cannot be done: the message says what was wrong, what was got, and what to type."""


def rewrite(overrides: Sequence[str]) -> list[str]:
    """The overrides with levels typed for an axis moved to the axis's `points` (or `count`).

    Raises:
        InputError: a comma list for an axis, which would start a process for each model.
    """
    return [made for override in overrides for made in _rewrite(override)]


def _rewrite(override: str) -> list[str]:
    found = TYPED.match(override.strip())
    if not found:
        return [override]
    axis, value = found[1], found[2].strip()
    if re.fullmatch(rf"(?:{NUMBER})(?:\s*,\s*(?:{NUMBER}))+", value):
        raise InputError(
            f"`{override}` would start a process for each model. The models of an axis train together: type"
            f" {axis}=[{value}]"
        )
    if value.startswith("[") and value.endswith("]"):
        return [f"{axis}=points", f"{axis}.points={value}"]
    if re.fullmatch(NUMBER, value):
        return [f"{axis}=points", f"seed.count={value}" if axis == "seed" else f"{axis}.points=[{value}]"]
    return [override]


def value_of(overrides: Sequence[str], key: str) -> str | None:
    """The last value typed for `key`, or None."""
    values = [value for name, _, value in (override.partition("=") for override in overrides) if name == key]
    return values[-1] if values else None
