"""What people type, made into what Hydra understands.

`sparsity=0.9` and `'sparsity=[0.1,0.9]'` crash inside Hydra's parser, which takes `sparsity` for a group; they become

    sparsity=points sparsity.points=[0.9]        and        sparsity=points sparsity.points=[0.1,0.9]

and `seed=8`, a count, becomes `seed=points seed.count=8`. Of several for one axis the last counts. One function,
applied wherever overrides are given: the command line, `run_sweep`'s list, a variant's list.
"""

import re
from collections.abc import Sequence

AXES = ("sparsity", "importance", "learning_rate", "weight_decay", "seed")
NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[+-]?(?:nan|inf)"
TYPED = re.compile(rf"^({'|'.join(AXES)})=(.*)$", re.DOTALL)
OPTIONS = r"(?!(?:null|true|false)$)[A-Za-z_]\w*(?:\s*,\s*[A-Za-z_]\w*)*"


class InputError(ValueError):
    """What was typed cannot be done: the message says what was wrong, what was got, and what to type."""


def rewrite(overrides: Sequence[str]) -> list[str]:
    """The overrides with levels typed for an axis moved to the axis's `points` (or `count`).

    Raises:
        InputError: a list that a space cuts in two, a comma list for an axis, which would start a process for each
            model, or another value that no axis takes.
    """
    _whole(overrides)
    return [made for override in _last(overrides) for made in _rewrite(override)]


def _whole(overrides: Sequence[str]) -> None:
    """Raise InputError if the shell has cut a list or a mapping in two at its space."""
    for k, override in enumerate(overrides):
        if _open(override):
            joined = "".join("".join(overrides[k:]).split())
            ends = (joined[:end] for end in range(len("".join(override.split())), len(joined) + 1))
            meant = next((text for text in ends if not _open(text)), f"{override.strip()}...")
            raise InputError(f"`{override}` ends inside its brackets: leave out the space, or quote it: '{meant}'")


def _open(text: str) -> bool:
    return len(re.findall(r"[\[{]", text)) > len(re.findall(r"[\]}]", text))


def _last(overrides: Sequence[str]) -> list[str]:
    """Without what an axis was set to before it is set anew; `sparsity.points=` beside a group stays."""
    kept: list[str] = []
    for override in overrides:
        found = TYPED.match(override.strip())
        kept = [*(_without(kept, found[1]) if found else kept), override]
    return kept


def _without(overrides: list[str], axis: str) -> list[str]:
    """Without AXIS=..., and without the levels that follow AXIS=points where a level was typed."""
    pairs = zip(["", *overrides], overrides, strict=False)
    return [
        override
        for before, override in pairs
        if not override.startswith(f"{axis}=") and not (before == f"{axis}=points" and override.startswith(f"{axis}."))
    ]


def _rewrite(override: str) -> list[str]:
    found = TYPED.match(override.strip())
    if not found:
        return [override]
    axis, value = found[1], found[2].strip()
    if re.fullmatch(rf"(?:{NUMBER})(?:\s*,\s*(?:{NUMBER}))+", value):
        raise InputError(
            f"`{override}` would start a process for each model. The models of an axis train together: type"
            f" '{axis}=[{value}]'"
        )
    if value.startswith("[") and value.endswith("]"):
        return [f"{axis}=points", f"{axis}.points={value}"]
    if re.fullmatch(NUMBER, value):
        return [f"{axis}=points", f"seed.count={value}" if axis == "seed" else f"{axis}.points=[{value}]"]
    if not re.fullmatch(OPTIONS, value):
        levels = "seed=8, 'seed=[3,5]'" if axis == "seed" else f"{axis}=0.9, '{axis}=[0.1,0.9]'"
        raise InputError(f"`{axis}` takes {levels} or one of its options, as {axis}=sweep, got {value!r}.")
    return [override]


def value_of(overrides: Sequence[str], key: str) -> str | None:
    """The last value typed for `key`, or None; `+key=` counts as well."""
    values = [value for name, _, value in (word.partition("=") for word in overrides) if name.lstrip("+") == key]
    return values[-1] if values else None
