"""Axes, the grid they span, and how its models are cut into tiles, blocks and shards. NumPy only.

A cell is one point of the grid without its seed; a model is a cell and a seed, one row. A lane is one seed with up to
`tile.cells` of its cells: its models share every draw, and where they agree in all axes that reach the features, every
feature vector too. A tile is `tile.lanes` lanes that one device trains at once. A block is a run of rows, the unit of
work and of storage; block k belongs to shard k mod N.
"""

import dataclasses
from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np

LARGEST_SEED = 2**32 - 1


def traced(axis: str, points: np.ndarray) -> np.ndarray:
    """The float32 that a program sees: of `sparsity` the density p = 1 - S, taken in float64, else the value."""
    points = np.asarray(points, np.float64)
    with np.errstate(over="ignore"):
        return (1.0 - points if axis == "sparsity" else points).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Axis:
    """A named coordinate of the grid: `points` in float64, and `target`, the path of the one number it sets.

    Raises:
        ValueError: no points, one that is not finite, or two that the program cannot tell apart (equal in float32).
    """

    name: str
    points: tuple[float, ...]
    target: str = ""

    def __post_init__(self):
        if not self.points:
            raise ValueError(f"`{self.name}` has no points. Give at least one, as '{self.name}=[0.1,0.9]'.")
        if not np.isfinite(traced(self.name, np.array(self.points))).all():
            raise ValueError(f"`{self.name}` must be finite in float32, got {list(self.points)}.")
        seen: dict[float, float] = {}
        for point, value in zip(self.points, traced(self.name, np.array(self.points)).tolist(), strict=True):
            if value in seen:
                what = "density 1 - S" if self.name == "sparsity" else "value"
                raise ValueError(
                    f"`{self.name}` holds one model twice: {seen[value]!r} and {point!r} have the same float32 {what}"
                    f" {value:.9g}. Leave one out."
                )
            seen[value] = point


@dataclasses.dataclass(frozen=True)
class Rows:
    """Models as rows: `values` (row, axis) in float64 and `seeds` (row,)."""

    axes: tuple[str, ...]
    values: np.ndarray
    seeds: np.ndarray

    def __len__(self) -> int:
        return len(self.seeds)

    def __getitem__(self, index: np.ndarray | slice) -> "Rows":
        return Rows(self.axes, self.values[index], self.seeds[index])

    def traced(self) -> dict[str, np.ndarray]:
        """What a program sees of each axis: float32 (row,). Found once, since each tile of a block asks for it."""
        return self._traced

    @cached_property
    def _traced(self) -> dict[str, np.ndarray]:
        return {axis: traced(axis, self.values[:, k]) for k, axis in enumerate(self.axes)}

    def identities(self) -> list[tuple[float | int, ...]]:
        """What makes a model this model: its float32 coordinates and its seed. Equal keys, equal model."""
        columns = [column.tolist() for column in self.traced().values()]
        return list(zip(*columns, self.seeds.tolist(), strict=True))


@dataclasses.dataclass(frozen=True)
class Grid:
    """The product of axes and seeds.

    Raises:
        ValueError: no seed, a seed twice, one outside 0 ... 2^32 - 1, or two axes that set one number.
    """

    axes: tuple[Axis, ...]
    seeds: tuple[int, ...]

    def __post_init__(self):
        if not self.seeds:
            raise ValueError("`seed` has no points. Give a count, as seed=8, or 'seed=[3,5]'.")
        for seed in self.seeds:
            if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed <= LARGEST_SEED:
                raise ValueError(f"A seed is an integer from 0 to {LARGEST_SEED} (2^32 - 1), got {seed!r}.")
        if len(set(self.seeds)) != len(self.seeds):
            twice = next(seed for seed in self.seeds if self.seeds.count(seed) > 1)
            raise ValueError(f"`seed` holds {twice} twice. Leave one out.")
        for axis in self.axes:
            same = [other.name for other in self.axes if other.target and other.target == axis.target]
            if len(same) > 1:
                raise ValueError(f"`{same[0]}` and `{same[1]}` both set {axis.target}. Leave one out.")

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(axis.name for axis in self.axes)

    @property
    def cells(self) -> int:
        return int(np.prod([len(axis.points) for axis in self.axes], dtype=int))

    def __len__(self) -> int:
        return self.cells * len(self.seeds)

    def rows(self) -> Rows:
        """Every model, seed by seed, the last axis fastest."""
        points = np.meshgrid(*(np.array(axis.points, np.float64) for axis in self.axes), indexing="ij")
        cells = np.stack([column.ravel() for column in points], axis=1) if points else np.empty((1, 0))
        seeds = np.repeat(np.array(self.seeds, np.int64), self.cells)
        return Rows(self.names, np.tile(cells, (len(self.seeds), 1)), seeds)


@dataclasses.dataclass(frozen=True)
class Tile:
    """The models that one device trains at once: `lanes` lanes of `cells` models, which agree in the axes `alike`."""

    lanes: int
    cells: int
    alike: tuple[str, ...] = ()

    @property
    def models(self) -> int:
        return self.lanes * self.cells


def fit_tile(grid: Grid, budget: int, lanes: int = 1, most_cells: int | None = None, reach: Sequence[str] = ()) -> Tile:
    """The tile of at most `budget` models for a grid: cells of one seed, which share their draws, then more seeds.

    More cells than the budget are divided evenly: 20 cells at a budget of 8 give 3 lanes of 7. So are more seeds than
    fit. Cells and seeds at once need two batch dimensions, which cost a CPU more than they bring: there `lanes` is 1,
    and only a grid of one cell has tiles of several seeds. Where the axes that do not reach the features fill a tile,
    its models agree in those that do, and W x of all of them is one product.

    Args:
        grid: what is to be trained.
        budget: the models of a tile.
        lanes: how many seeds a tile may hold (`estimate.tile_lanes`).
        most_cells: how many cells a tile may hold, where the budget is not to be used up.
        reach: the axes that reach the features (`Program.reach`).

    Raises:
        ValueError: a budget below 1.
    """
    if budget < 1:
        raise ValueError(f"A tile holds at least 1 model, got {budget}.")
    most = min(budget, most_cells or budget)
    alike = tuple(axis.name for axis in grid.axes if axis.name in reach)
    points = int(np.prod([len(axis.points) for axis in grid.axes if axis.name in alike], dtype=int))
    if points > 1 and grid.cells // points < max(most, 2):
        alike, points = (), 1
    cells = _even(grid.cells // points, most)
    most_lanes = budget if grid.cells == 1 and lanes == 1 else lanes
    return Tile(_even(len(grid.seeds) * points, max(1, min(most_lanes, budget // cells))), cells, alike)


def _even(count: int, most: int) -> int:
    """The size of a share where `count` things are divided evenly into as few shares of at most `most` as it takes."""
    return -(-count // -(-count // most))


def lanes(rows: Rows, tile: Tile) -> tuple[np.ndarray, np.ndarray]:
    """The rows lane by lane: their indices, and for each the number of its lane."""
    same = [rows.values[:, rows.axes.index(axis)] for axis in tile.alike]
    order = np.lexsort([*same, rows.seeds])
    first = np.arange(len(order)) == 0
    for key in (rows.seeds, *same):
        first[1:] |= np.diff(key[order]) != 0
    place = np.arange(len(order))
    place -= np.maximum.accumulate(np.where(first, place, 0))
    return order, np.cumsum(place % tile.cells == 0) - 1


def tiles(rows: Rows, tile: Tile) -> np.ndarray:
    """Indices into `rows`, (tile, tile.lanes, tile.cells); what a short lane or tile lacks repeats a row of its own."""
    order, lane = lanes(rows, tile)
    begins = np.flatnonzero(np.diff(lane, prepend=-1))
    padded = np.repeat(order[begins, None], tile.cells, axis=1)
    padded[lane, np.arange(len(order)) - begins[lane]] = order
    whole = -(-len(padded) // tile.lanes) * tile.lanes
    return padded[np.minimum(np.arange(whole), len(padded) - 1)].reshape(-1, tile.lanes, tile.cells)


def pack(rows: Rows, tile: Tile, block_rows: int) -> list[Rows]:
    """The rows cut into blocks of at most `block_rows`, a block made of whole tiles."""
    per_block = max(block_rows // tile.models, 1) * tile.lanes
    order, lane = lanes(rows, tile)
    begins = np.flatnonzero(np.diff(lane // per_block, prepend=0))
    return [rows[index] for index in np.split(order, begins)] if len(order) else []


def of_shard(blocks: Iterable[int], shard: int, shards: int) -> list[int]:
    """Those of `blocks` (numbers in the whole table) that shard `shard` of `shards` trains."""
    return [block for block in blocks if block % shards == shard]


def concatenate(parts: Sequence[Rows]) -> Rows:
    """Rows of the same axes, one after another."""
    return Rows(parts[0].axes, np.concatenate([p.values for p in parts]), np.concatenate([p.seeds for p in parts]))
