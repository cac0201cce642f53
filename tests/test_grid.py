"""Axes, the grid they span, and its cutting into lanes, tiles and blocks: every row exactly once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from superpose.grid import (
    LARGEST_SEED,
    Axis,
    Grid,
    Rows,
    Tile,
    concatenate,
    fit_tile,
    lanes,
    of_shard,
    pack,
    tiles,
    traced,
)

PROPERTY = settings(deadline=None, derandomize=True)
TILES = st.builds(Tile, st.integers(1, 4), st.integers(1, 5))


def grid_of(cells: int, seeds: int) -> Grid:
    return Grid((Axis("base", tuple(map(float, range(cells)))),), tuple(range(seeds)))


# The size of a grid, and some of its rows in any order: what is missing of one.
CHOICES = st.tuples(st.integers(1, 7), st.integers(1, 5)).flatmap(
    lambda sizes: st.tuples(st.just(sizes), st.lists(st.integers(0, sizes[0] * sizes[1] - 1), min_size=1, unique=True))
)


def chosen(choice: tuple[tuple[int, int], list[int]]) -> Rows:
    sizes, index = choice
    return grid_of(*sizes).rows()[np.array(index)]


def test_a_grid_is_the_product_of_its_axes_and_seeds():
    grid = Grid((Axis("sparsity", (0.9, 0.0)), Axis("base", (3.0, 1.0, 2.0))), (5, 2))
    rows = grid.rows()
    assert grid.names == ("sparsity", "base") and grid.cells == 6 and len(grid) == len(rows) == 12
    assert rows.seeds.tolist() == [5] * 6 + [2] * 6
    one_seed = [[0.9, 3], [0.9, 1], [0.9, 2], [0, 3], [0, 1], [0, 2]]
    assert rows.values.tolist() == one_seed * 2


def test_a_grid_of_no_axes_is_its_seeds():
    rows = Grid((), (0, 1, 2)).rows()
    assert rows.values.shape == (3, 0) and rows.identities() == [(0,), (1,), (2,)]


def test_a_program_sees_the_density_of_a_sparsity():
    """p = 1 - S in float64, then rounded once; any other axis as it is."""
    points = np.array([0.0, 0.9, 0.999, 0.1 + 0.2])
    assert traced("sparsity", points).dtype == np.float32
    assert traced("sparsity", points).tolist() == [float(np.float32(1 - S)) for S in points]
    assert traced("sparsity", np.array([0.999])) != np.float32(1) - np.float32(0.999)
    assert traced("importance", points).tolist() == [float(np.float32(point)) for point in points]


def test_equal_keys_are_equal_models():
    rows = Rows(("sparsity",), np.array([[0.9], [0.9 + 1e-12], [0.8]]), np.array([1, 1, 1]))
    one, same, other = rows.identities()
    assert one == same == (float(np.float32(1 - 0.9)), 1) and other != one


@pytest.mark.parametrize(
    ("name", "points", "message"),
    [
        ("sparsity", (), r"`sparsity` has no points. Give at least one, as 'sparsity=\[0.1,0.9\]'"),
        ("base", (0.5, float("nan")), "`base` must be finite"),
        ("base", (float("inf"),), "`base` must be finite"),
        ("base", (0.5, 1.0, 0.5), "`base` holds one model twice: 0.5 and 0.5 have the same float32 value 0.5"),
        ("sparsity", (0.9, 0.9 + 1e-9), "`sparsity` holds one model twice: .* the same float32 density 1 - S"),
        ("learning_rate", (1.0, 1 + 2**-25), "have the same float32 value 1. Leave one out"),
    ],
)
def test_an_axis_refuses(name, points, message):
    with pytest.raises(ValueError, match=message):
        Axis(name, points)


def test_sparsities_are_compared_by_their_density():
    """1 - 2^-25 and 1 - 2^-26 are one float32, but their densities are not; near 0 it is the other way round."""
    assert np.float32(1 - 2**-25) == np.float32(1 - 2**-26)
    assert len(Axis("sparsity", (1 - 2**-25, 1 - 2**-26)).points) == 2
    with pytest.raises(ValueError, match="holds one model twice"):
        Axis("sparsity", (1e-9, 2e-9))


@pytest.mark.parametrize(
    ("seeds", "message"),
    [
        ((), "`seed` has no points"),
        ((0, -1), "from 0 to 4294967295 .*, got -1"),
        ((2**32,), "got 4294967296"),
        ((True,), "got True"),
        ((3, 4, 3), "`seed` holds 3 twice"),
    ],
)
def test_a_grid_refuses_seeds(seeds, message):
    with pytest.raises(ValueError, match=message):
        Grid((), seeds)


def test_the_largest_seed_is_a_seed():
    assert LARGEST_SEED == 2**32 - 1
    assert Grid((), (0, LARGEST_SEED)).rows().seeds.tolist() == [0, LARGEST_SEED]


@pytest.mark.parametrize(
    ("cells", "seeds", "budget", "expected"),
    [
        (20, 1, 8, Tile(1, 7)),  # 3 lanes: 7, 7, 6
        (20, 9, 7, Tile(1, 7)),
        (20, 9, 20, Tile(1, 20)),
        (20, 9, 1000, Tile(1, 20)),
        (20, 9, 1, Tile(1, 1)),
        (1, 9, 4, Tile(3, 1)),  # 3 tiles of 3 seeds
        (1, 3, 4, Tile(3, 1)),
    ],
)
def test_the_tile_of_a_grid(cells, seeds, budget, expected):
    assert fit_tile(grid_of(cells, seeds), budget) == expected


@pytest.mark.parametrize(
    ("cells", "seeds", "lanes", "expected"),
    [
        (7, 8, 1000, Tile(8, 7)),  # the whole grid
        (7, 8, 3, Tile(3, 7)),
        (20, 9, 1000, Tile(3, 20)),  # 64 models have room for 3 seeds
        (100, 9, 1000, Tile(1, 50)),
        (1, 100, 1000, Tile(50, 1)),
        (1, 100, 10, Tile(10, 1)),
    ],
)
def test_a_tile_with_several_lanes_takes_cells_first_then_seeds(cells, seeds, lanes, expected):
    assert fit_tile(grid_of(cells, seeds), 64, lanes) == expected


@pytest.mark.parametrize(
    ("levels", "lanes", "expected"),
    [
        ((7, 20), 1, Tile(1, 7, ("sparsity",))),  # 20 importances at a budget of 8: 7, 7, 6 of one sparsity
        ((7, 5), 1, Tile(1, 7)),  # 5 do not fill a tile: 35 cells
        ((7, 20), 4, Tile(1, 7, ("sparsity",))),
        ((20, 1), 1, Tile(1, 7)),
        ((1, 5), 1, Tile(1, 5, ("sparsity",))),  # one sparsity: all agree
    ],
)
def test_cells_that_fill_a_tile_agree_in_what_reaches_the_features(levels, lanes, expected):
    axes = [
        Axis(name, tuple(np.linspace(0, 0.9, k))) for name, k in zip(("sparsity", "importance"), levels, strict=True)
    ]
    assert fit_tile(Grid(tuple(axes), (0, 1)), 8, lanes, reach=("sparsity",)) == expected


def test_a_lane_has_one_point_of_the_axes_in_which_its_models_agree():
    axes = Axis("sparsity", (0.0, 0.5)), Axis("importance", (0.1, 0.2, 0.3))
    rows, tile = Grid(axes, (4, 5)).rows(), Tile(1, 2, ("sparsity",))
    found = [{(rows.seeds[k], rows.values[k, 0]) for k in lane} for lane in tiles(rows, tile).reshape(-1, 2)]
    assert all(len(lane) == 1 for lane in found)
    assert len(found) == 8  # 2 seeds x 2 sparsities x (2 + 1 importances)


def test_a_tile_holds_a_model():
    with pytest.raises(ValueError, match="A tile holds at least 1 model, got 0"):
        fit_tile(grid_of(3, 1), 0)


def test_two_axes_do_not_set_one_number():
    with pytest.raises(ValueError, match=r"`sparsity` and `p` both set features\.density. Leave one out"):
        Grid((Axis("sparsity", (0.5,), "features.density"), Axis("p", (0.1, 0.2), "features.density")), (0,))


@PROPERTY
@given(st.integers(1, 200), st.integers(1, 40), st.integers(1, 64))
def test_a_tile_holds_its_budget_and_divides_evenly(cells, seeds, budget):
    tile = fit_tile(grid_of(cells, seeds), budget)
    assert 1 <= tile.models <= budget
    if cells > 1:
        needed = -(-cells // budget)  # as few lanes as the budget allows, no lane more than one short on average
        assert -(-cells // tile.cells) <= needed and tile.cells * needed - cells < needed


@PROPERTY
@given(CHOICES, TILES)
def test_lanes_hold_each_row_once_and_one_seed(choice, tile):
    rows, cells = chosen(choice), tile.cells
    order, number = lanes(rows, tile)
    found = [order[number == k] for k in range(number[-1] + 1)]
    assert sorted(np.concatenate(found).tolist()) == list(range(len(rows)))
    for lane in found:
        assert 1 <= len(lane) <= cells and len(set(rows.seeds[lane])) == 1
    for seed in set(rows.seeds):
        mine = [len(lane) for lane in found if rows.seeds[lane[0]] == seed]
        assert all(length == cells for length in mine[:-1])  # only the last is short


@PROPERTY
@given(CHOICES, TILES)
def test_tiles_hold_each_row_and_repeat_only_to_fill(choice, tile):
    rows = chosen(choice)
    found = tiles(rows, tile)
    assert found.shape[1:] == (tile.lanes, tile.cells)
    assert set(found.ravel()) == set(range(len(rows)))
    needed = lanes(rows, tile)[1][-1] + 1
    assert len(found) == -(-needed // tile.lanes)
    flat = found.reshape(-1, tile.cells)
    for lane in flat:
        assert len(set(rows.seeds[lane])) == 1
    # a row stands in one lane alone, but for the last lane's copies
    of_lanes = [set(lane) for lane in flat[:needed]]
    assert sum(map(len, of_lanes)) == len(rows)
    assert all((lane == flat[needed - 1]).all() for lane in flat[needed:])


@PROPERTY
@given(CHOICES, TILES, st.integers(1, 30))
def test_blocks_hold_each_row_once_within_their_limit(choice, tile, block_rows):
    rows = chosen(choice)
    blocks = pack(rows, tile, block_rows)
    assert sorted(concatenate(blocks).identities()) == sorted(rows.identities())
    per_block = max(block_rows // tile.models, 1)
    for block in blocks:
        assert len(block) <= max(block_rows, tile.models)
        assert len(tiles(block, tile)) <= per_block
    assert sum(len(tiles(block, tile)) for block in blocks) == len(tiles(rows, tile))  # nothing more is trained


def test_a_million_models_are_cut_at_once():
    """A block of 2^14 rows of one seed each; the last lane, tile and block are short."""
    rows = grid_of(10, 100_001).rows()
    tile = Tile(1, 8)
    assert len(tiles(rows, tile)) == 2 * 100_001
    blocks = pack(rows, tile, 2**14)
    assert len(blocks) == -(-2 * 100_001 // 2**11) and sum(map(len, blocks)) == len(rows)
    assert max(map(len, blocks)) == 10 * 2**10


@PROPERTY
@given(st.integers(0, 50), st.integers(1, 7))
def test_shards_share_the_blocks(blocks, shards):
    parts = [of_shard(range(blocks), shard, shards) for shard in range(shards)]
    assert sorted(block for part in parts for block in part) == list(range(blocks))
    assert all(block % shards == shard for shard, part in enumerate(parts) for block in part)


@PROPERTY
@given(CHOICES, CHOICES)
def test_rows_concatenate(one, two):
    one, two = chosen(one), chosen(two)
    assert concatenate([one, two]).identities() == one.identities() + two.identities()
