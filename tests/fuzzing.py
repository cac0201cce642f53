"""Bad input by the thousand: what people and damaged files may hold, drawn with fixed seeds, and what became of it."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

WORDS = [
    "",
    "null",
    "true",
    "nan",
    "-inf",
    "relu",
    "sweep",
    "${model.n}",
    "${oc.env:HOME}",
    "${",
    "???",
    "ü",
    "a b",
    "'",
]
NUMBERS = st.one_of(
    st.integers(-3, 12),
    st.sampled_from([0.0, -0.0, 0.5, 1.0, 1e-5, 1e-38, 1e308, -1.5, 2**31, 2**32, 2**63, 10**40]),
    st.floats(),
)
LEAVES = st.one_of(NUMBERS, st.none(), st.booleans(), st.sampled_from(WORDS), st.text(max_size=4))
KEYS = st.sampled_from(
    ["linear", "log", "points", "density", "target", "count", "_target_", "_partial_", "_args_", "n"]
)
VALUES = st.one_of(
    LEAVES,
    st.lists(LEAVES, max_size=4),
    st.recursive(LEAVES, lambda own: st.lists(own, max_size=3) | st.dictionaries(KEYS, own, max_size=3), max_leaves=6),
)
"""Anything that YAML or JSON can hold."""


def many(cases: int, strategy: st.SearchStrategy[Any], check: Callable[[Any], str], number: int = 0) -> Counter[str]:
    """Give `check` so many cases, the same ones every time for a `number`; it says how each ended, or fails."""
    counted: Counter[str] = Counter()

    @seed(number)
    @settings(
        max_examples=cases,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def one(case: Any) -> None:
        end = check(case)
        counted[end] += 1

    one()
    return counted
