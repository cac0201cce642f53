"""One table of several runs of one identity, as clusters that share no disk leave them.

    superpose.store.merge("outputs/both", ["outputs/here", "outputs/there"])

The models that the target lacks are entered as blocks of its own, then copied with their measures. What it has is kept,
and nothing of the sources is changed. A kill leaves a table that says what it has; the same call goes on.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from superpose.labels import fill_value
from superpose.store import files, match, sums
from superpose.store.errors import StoreError, explained
from superpose.store.identity import compare
from superpose.store.loading import write_arrays
from superpose.store.schema import MODELS, ORIGIN, flag
from superpose.store.store import Store
from superpose.store.table import Table, described, locate


def merge(target: str | Path, sources: Sequence[str | Path]) -> dict[str, int]:
    """Bring the models of `sources` into `target`; how many of each variant were brought.

    Measures come along where both tables have them in one version. Models that are entered in a source, and not
    trained, are entered in the target, too.

    Args:
        target: a run's folder. One that is not there is made like the first source's, with its config.yaml.
        sources: folders of runs of the same identity, with the same tiles.

    Raises:
        StoreError: other models, other tiles, or a source that is the target.
        DamageError: a file of a source is missing or altered; what was brought before stays.
        Busy: a run works on the target.
    """
    path, stores = locate(target), [Store.open(source) for source in sources]
    for store in stores:
        if store.path.resolve() == path.resolve():
            raise StoreError(f"{store.path} is the table that is merged into: name the others after it.")
        _check_same(stores[0], store)
    first = stores[0]
    if not path.exists():
        schemas = {variant: first.schema(variant) for variant in first.variants}
        _settings(first.path.parent / "config.yaml", path.parent / "config.yaml")
        Store.create(path, first.identity, schemas)
    into = Store.open(path)
    _check_same(into, first)
    with into.lock_shard(0, 1):
        brought = {
            variant: sum(_bring(into, variant, store.table(variant)) for store in stores) for variant in into.variants
        }
    write_arrays(into.path, into.path.parent / "arrays.zarr")
    return brought


def _check_same(one: Store, other: Store) -> None:
    """Raise StoreError unless both tables hold models that one run could have made."""
    advice = "Only runs of the same models can be merged. superpose.load reads each by itself."
    compare(one.identity, other.identity, str(one.path), str(other.path), advice)
    for variant in one.variants:
        ours, theirs = (store.table(variant) for store in (one, other))
        if ours.schema.tile != theirs.schema.tile:
            raise StoreError(
                f"{ours.path} has tiles of {ours.schema.tile.models} models, {theirs.path} of"
                f" {theirs.schema.tile.models}: their numbers are rounded otherwise. Runs that share a grid by"
                " compute.shard and compute.shards, or have the same compute.tile, can be merged."
            )
        if (ours.schema.parts[MODELS], ours.dims) != (theirs.schema.parts[MODELS], theirs.dims) or not all(
            np.array_equal(values, theirs.coordinates()[name][1]) for name, (_, values) in ours.coordinates().items()
        ):
            raise StoreError(f"{ours.path} and {theirs.path} hold other arrays. Merge what one version wrote.")


def _settings(source: Path, target: Path) -> None:
    """The command that made the first source, with which the merged run can be measured."""
    if source.exists() and not target.exists():
        with explained(source), open(source, "rb", opener=files.opener) as file:
            files.write(target, file.read())
        sums.record(target)


def _bring(into: Store, variant: str, source: Table) -> int:
    """Copy the models that the target lacks; how many."""
    rows = source.columns(range(source.blocks))
    into.plan(variant, rows[rows.seeds >= 0])
    origins = np.array([*(into.number(variant, note) for note in source.notes), -1], np.int16)  # the last for -1
    table = into.table(variant)
    places = _places(table, source)
    for block in np.flatnonzero((places >= 0).any(1)).tolist():
        with described(source.path):  # a forged one may have origins that it does not note
            _copy(table, block, source, places[block], origins)
    return int((places >= 0).sum())


def _places(table: Table, source: Table) -> np.ndarray:
    """Where in the source each row of the table is, (block, row); -1 where it need not, or cannot, be brought."""
    rows = match.arrange(source.columns(range(source.blocks)), table.schema.axes)
    here, there = match.codes(table.columns(range(table.blocks)), rows)
    trained = np.flatnonzero(source.done(MODELS, range(source.blocks)).ravel() & (rows.seeds >= 0))
    found = np.full(max(here.max(initial=-1), there.max(initial=-1)) + 1, -1)
    found[there[trained]] = trained
    return np.where(table.done(MODELS, range(table.blocks)), -1, found[here].reshape(-1, table.schema.block_rows))


def _copy(table: Table, block: int, source: Table, places: np.ndarray, origins: np.ndarray) -> None:
    """Bring rows of one block: every array, then the flags, that of the models last.

    The flag of a measure that is not brought is written, too: it may be up for a model that was dropped.
    """
    kept, common = table.done(MODELS, [block])[0], _common(table, source)
    for part in table.schema.parts:
        own = done = table.done(part, [block])[0]
        if part in common:
            done = _with(own, places, source, lambda number, part=part: source.done(part, [number])[0])
        for name in table.schema.parts[part] if part in common and done.any() else ():
            values = table.chunk(name, block) if own.any() else _empty(table, name)
            table.write(
                name, block, _with(values, places, source, lambda number, name=name: source.chunk(name, number))
            )
        if part != MODELS:
            table.write(flag(part), block, done)
    numbers = table.origin(block) if kept.any() else _empty(table, ORIGIN)
    table.write(ORIGIN, block, _with(numbers, places, source, lambda number: origins[source.origin(number)]))
    table.write(flag(MODELS), block, kept | (places >= 0))


def _common(table: Table, source: Table) -> list[str]:
    """The models, and the measures that both tables have in one version."""
    ours, theirs = table.schema, source.schema
    same = lambda part: (ours.parts[part], ours.versions[part]) == (theirs.parts.get(part), theirs.versions.get(part))
    return [MODELS, *filter(same, ours.versions)]


def _with(values: np.ndarray, places: np.ndarray, source: Table, read: Callable[[int], np.ndarray]) -> np.ndarray:
    """The rows of a block, with those that are brought: `read` gives the rows of a block of the source."""
    values, size = values.copy(), source.schema.block_rows
    for number in np.unique(places[places >= 0] // size).tolist():
        here = places // size == number
        values[here] = read(number)[places[here] % size]
    return values


def _empty(table: Table, name: str) -> np.ndarray:
    variable = table.schema.arrays[name]
    return np.full((table.schema.block_rows, *variable.shape), fill_value(variable.dtype), variable.dtype)
