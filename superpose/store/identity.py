"""What a table's numbers depend on: compared key by key, and hashed."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from superpose.store.errors import StoreError

SHOWN = 12


def digest(identity: Mapping[str, Any]) -> str:
    """The sha256 of the canonical JSON: sorted keys, no spaces."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Leaves by dotted key, as JSON: {"a": {"b": 1}} -> {"a.b": "1"}."""
    leaves: dict[str, str] = {}
    for key, value in tree.items():
        nested = isinstance(value, Mapping) and value
        leaves |= flatten(value, f"{prefix}{key}.") if nested else {f"{prefix}{key}": json.dumps(value, sort_keys=True)}
    return leaves


ADVICE = "Type name=ANOTHER to begin a table of its own, or the values that the table has."


def compare(
    stored: Mapping[str, Any], asked: Mapping[str, Any], path: str, other: str = "these", advice: str = ADVICE
) -> None:
    """Refuse `asked` unless it equals `stored`.

    Args:
        path: where `stored` is.
        other: where `asked` is, if it is on a disk.
        advice: what to type where they differ.

    Raises:
        StoreError: names each dotted key that differs, both values, and what to type.
    """
    old, new = flatten(stored), flatten(asked)
    keys = [key for key in sorted(old.keys() | new.keys()) if old.get(key) != new.get(key)]
    if not keys:
        return
    said = "asked" if other == "these" else "the other"
    lines = [f"  {key}: the table has {old.get(key, 'none')}, {said} {new.get(key, 'none')}" for key in keys[:SHOWN]]
    more = [f"  and {len(keys) - SHOWN} more"] if len(keys) > SHOWN else []
    raise StoreError("\n".join([f"{path} holds other models than {other}:", *lines, *more, advice]))
