"""What a run will cost: tiles that fit memory, blocks that are evenly full."""

import pytest

from superpose import IndependentFeatures, Program, ReLUOutput, estimate
from superpose.arguments import InputError


def program(n: int = 20, m: int = 5) -> Program:
    return Program(ReLUOutput(n, m), IndependentFeatures(n))


def test_a_tile_shrinks_with_the_size_of_a_model():
    budgets = [estimate.tile_budget(program(n, m), "cpu", 16e9) for n, m in ((4, 2), (20, 5), (80, 20), (400, 30))]
    assert budgets == [32, 8, 4, 2]


def test_models_that_share_no_draws_go_in_smaller_tiles():
    """The draws of a segment, 20 batches of 4 * 2 * 1024 bytes, fill 640 kB in 4 models, of n = 5 in 2."""
    sizes = ((2, 1), (5, 2), (20, 5), (400, 30))
    assert [estimate.tile_budget(program(*size), "cpu", 16e9, shared=False) for size in sizes] == [4, 2, 1, 1]


def test_a_tile_fits_in_memory_or_the_error_gives_the_number():
    large = program(400, 30)
    needs = estimate.model_bytes(large) + estimate.draw_bytes(large)
    assert estimate.tile_budget(large, "gpu", 10 * needs) < estimate.tile_budget(large, "gpu", 1000 * needs)
    with pytest.raises(InputError, match=r"needs about 0\.0 GB|Lower"):
        estimate.tile_budget(large, "cpu", needs / 2)


def test_a_cpus_tile_has_one_lane_and_an_accelerators_what_its_draws_leave_room_for():
    """The draws of a segment are 20 batches of 4 * 20 * 1024 bytes: a tenth of 16 GB holds 976 of them."""
    assert estimate.tile_lanes(program(), "cpu", 16e9) == 1
    assert estimate.tile_lanes(program(), "gpu", 16e9) == 976
    assert estimate.tile_lanes(program(), "gpu", 1e6) == 1


def test_blocks_are_whole_tiles_evenly_full_and_small_enough():
    rows = estimate.block_rows(program(), 7, 1000, 56)
    assert rows % 7 == 0
    assert estimate.block_rows(program(), 7, 10**7, 56) == 7  # 64 MB hold 6 rows: a tile is the least
    seconds = estimate.step_seconds(program()) * 10_000 * rows
    assert seconds <= estimate.BLOCK_SECONDS
