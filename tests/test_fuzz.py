"""Settings by the thousand: each makes programs and a grid, or is refused in words; none ends in another error."""

import copy
import traceback
from collections.abc import Iterator, Mapping
from typing import Any

import fuzzing
import pytest
from effort import tries
from hypothesis import strategies as st

from superpose import catalogue, config
from superpose.arguments import InputError
from superpose.teaching import known_keys

THROUGH_HYDRA, PLAIN, PARTS = tries(2_000, 80), tries(10_000, 160), 8
FAST = 10
LONGEST = 4000
BASES = (
    "",
    "model=leaky_relu weighting=geometric",
    "features=anticorrelated model.n=4 optimizer=sgd",
    "features=correlated model.n=4",
    "features=signed penalty=hidden_l1 schedule=cosine",
    "polish=lbfgs objective=exact init=normal schedule=linear",
    "model=gelu penalty=adversarial target=absolute_value init=notebook optimizer=adam weighting=last_feature",
)
WHOLE = ("compute.tile", "compute.shard", "compute.block", "compute.shards")  # which the schema holds to be integers
PARTS_AND_WHOLE = [pytest.param(k, marks=pytest.mark.faults) for k in range(PARTS)]


def refused(error: ValueError) -> str:
    """The end of a case that was refused: in words of superpose, not of a library."""
    where = traceback.extract_tb(error.__traceback__)[-1].filename
    assert isinstance(error, InputError) or "/superpose/" in where, f"{error!r} of {where}"
    assert 0 < len(str(error)) < LONGEST and "Traceback" not in str(error)
    return "refused"


def overrides() -> st.SearchStrategy[list[str]]:
    """Options of every group, keys with values of every kind, and anything else."""
    conf = catalogue.shipped() / "conf"
    options = [f"{path.parent.relative_to(conf)}={path.stem}" for path in sorted(conf.glob("*/*.yaml"))]
    with config.session([]):
        keys = [key for key in known_keys() if not key.startswith("hydra")]
    keys += ["record.steps", "path", "+axes.a", "+model.more", "~model", "~seed", "compute.cache", "variants"]
    typed = [st.builds(lambda key, value: f"{key}={text(value)}", st.sampled_from(keys), values) for values in
             (fuzzing.VALUES, fuzzing.NUMBERS)]  # fmt: skip
    return st.lists(st.one_of(st.sampled_from(options), *typed, st.text(max_size=12)), max_size=4)


def text(value: Any) -> str:
    """A value as it is typed."""
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{key}:{text(own)}" for key, own in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(text, value)) + "]"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def hydra_case(words: list[str]) -> str:
    try:
        config.build(["experiment=intro_pentagon", *words], start=lambda compute: None)
    except ValueError as error:
        return refused(error)
    return "composed"


def paths(node: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in node.items():
        yield (*above, key)
        if isinstance(value, Mapping):
            yield from paths(value, (*above, key))


@pytest.fixture(scope="module")
def composed() -> list[dict[str, Any]]:
    with config.session([]):
        return [config.compose(["experiment=intro_pentagon", *base.split()]) for base in BASES]


def changes(composed: list[dict[str, Any]]) -> st.SearchStrategy[tuple[int, list]]:
    """Which settings, and what takes the place of some of their entries."""
    free = (*config.COMPONENTS, *config.AXES)
    places = {(group, *path) for each in composed for group in free for path in paths(each[group])}
    places |= {
        ("path",),
        ("axes", "a"),
        ("record", "steps"),
        ("record", "preset"),
        *(tuple(w.split(".")) for w in WHOLE),
    }
    change = st.tuples(st.sampled_from(sorted(path for path in places if "_target_" not in path)), fuzzing.VALUES)
    return st.tuples(st.integers(0, len(composed) - 1), st.lists(change, min_size=1, max_size=3))


def changed(settings: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    """Put a value in its place, unless the schema refuses it there or the place has gone."""
    whole = ".".join(path) in WHOLE and (not isinstance(value, int) or isinstance(value, bool))
    if whole or (path == ("path",) and not isinstance(value, Mapping | None)):
        return
    for key in path[:-1]:
        settings = settings.get(key) or {}
        if not isinstance(settings, dict):
            return
    settings[path[-1]] = value


@pytest.mark.parametrize("part", [-1, *PARTS_AND_WHOLE])
def test_through_hydra(part, record_property):
    cases = FAST if part < 0 else THROUGH_HYDRA // PARTS
    drawn = overrides()
    with config.session([]):
        counted = fuzzing.many(cases, drawn, hydra_case, part + 1)
    record_property("overrides through Hydra", dict(counted))
    assert counted.total() >= cases and set(counted) == {"composed", "refused"}


@pytest.mark.parametrize("part", [-1, *PARTS_AND_WHOLE])
@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_without_hydra(part, composed, record_property):
    def case(drawn: tuple[int, list]) -> str:
        settings = copy.deepcopy(composed[drawn[0]])
        for path, value in drawn[1]:
            changed(settings, path, value)
        try:
            config.variant([], settings)
        except ValueError as error:
            return refused(error)
        return "made"

    cases = 2 * FAST if part < 0 else PLAIN // PARTS
    counted = fuzzing.many(cases, changes(composed), case, part + 1)
    record_property("settings without Hydra", dict(counted))
    assert counted.total() >= cases and set(counted) == {"made", "refused"}
