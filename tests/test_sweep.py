"""The sweep: what a model becomes depends on its coordinates and its seed, to the bit, and on nothing around it."""

import re
from collections.abc import Sequence
from functools import partial
from typing import Any

import equinox as eqx
import jax
import numpy as np
import pytest

from superpose.features import IndependentFeatures
from superpose.grid import Axis, Grid, Rows, Tile, concatenate, pack
from superpose.models import Linear, ReLUOutput
from superpose.objective import Sampled
from superpose.optimizers import Constant
from superpose.program import Program
from superpose.record import Record
from superpose.sweep import Seeding, sweep, tile_runner, wave_inputs, waves
from superpose.training import train
from superpose.weighting import Geometric

N, M = 5, 2
AXES = (("sparsity", "features.density"), ("importance", "weighting.base"))


def program(kind: Any = ReLUOutput, steps: int = 12, **parts) -> Program:
    given = {"weighting": Geometric(0.9), "objective": Sampled(32), "schedule": Constant(steps), "axes": AXES}
    return Program(kind(N, M), IndependentFeatures(N), **{**given, **parts})


def grid(sparsities: Sequence[float], importances: Sequence[float], seeds: Sequence[int]) -> Grid:
    return Grid((Axis("sparsity", tuple(sparsities)), Axis("importance", tuple(importances))), tuple(seeds))


def models(blocks: Sequence[Rows], found) -> dict[tuple, list[dict[str, bytes]]]:
    """Each model's arrays as bytes, by its key, from every block that holds it."""
    by_key: dict[tuple, list[dict[str, bytes]]] = {}
    for k, arrays in found:
        for row, key in enumerate(blocks[k].identities()):
            by_key.setdefault(key, []).append({name: array[row].tobytes() for name, array in arrays.items()})
    return by_key


# 5 cells and 2 seeds: every tile below has short lanes.
GRID = grid([0.0, 0.4, 0.7, 0.9, 0.99], [0.8], [3, 8])


def arrangements(tile: Tile) -> list[Rows]:
    """The grid's models in many neighbourhoods: whole, permuted, in small blocks, alone, and within larger grids."""
    rows, rng = GRID.rows(), np.random.default_rng(0)
    blocks = [rows, rows[rng.permutation(len(rows))], rows[::-1]]
    blocks += pack(rows, tile, 3) + pack(rows[rng.permutation(len(rows))], tile, 2 * tile.models)
    blocks += [rows[k : k + 1] for k in (0, 4, 7)]  # a model retrained alone, in a tile that its copies fill
    blocks += [grid([0.2, 0.4, 0.9], [0.5, 0.8], [1, 8]).rows(), grid([0.99], [0.8], [8, 2, 3]).rows()]
    return blocks


def trained(program: Program, tile: Tile, devices: int, blocks: Sequence[Rows]) -> dict[tuple, list[dict[str, bytes]]]:
    once = eqx.debug.assert_max_traces(
        lambda coordinates, init_key, data_key: program(coordinates, init_key, data_key), max_traces=1
    )
    return models(blocks, sweep(once, blocks, tile=tile, devices=jax.devices()[:devices]))


@pytest.fixture(scope="module")
def reference() -> dict[tuple, dict[str, bytes]]:
    """Each model alone in a tile of 1 x 3, on one device, in a sweep of its own program."""
    tile = Tile(1, 3)
    found = trained(program(), tile, 1, [GRID.rows()[row : row + 1] for row in range(len(GRID))])
    return {key: arrays for key, (arrays,) in found.items()}


@pytest.mark.parametrize("devices", [1, 2, 4])
def test_a_model_is_the_same_whatever_surrounds_it(reference, devices):
    """Neighbours, their order, block sizes, padding, larger grids, devices: every array, to the bit, in one trace."""
    blocks = arrangements(Tile(1, 3))
    found = trained(program(), Tile(1, 3), devices, blocks)
    assert set(reference) < set(found)
    for key, expected in reference.items():
        assert len(found[key]) >= 5
        for arrays in found[key]:
            assert arrays == expected


@pytest.mark.parametrize(
    ("kind", "tile"),
    [(ReLUOutput, Tile(3, 1)), (ReLUOutput, Tile(2, 2, ("importance",))), (Linear, Tile(1, 3, ("importance",)))],
    ids=str,
)
def test_so_it_is_in_tiles_of_any_shape(reference, kind, tile):
    """And the largest difference from tiles of 1 x 3 is a rounding."""
    found = trained(program(kind), tile, 1, arrangements(tile))
    for key in reference:
        assert all(arrays == found[key][0] for arrays in found[key][1:])
        if kind is ReLUOutput:
            one, other = (np.frombuffer(arrays["W"], np.float32) for arrays in (found[key][0], reference[key]))
            np.testing.assert_allclose(one, other, rtol=0, atol=1e-6)


def only_weights(program: Program, coordinates, init_key, data_key) -> dict[str, jax.Array]:
    """The program without its evaluation, which compiles in half the time."""
    here = program.at(coordinates)
    how = here.objective, here.optimizer, here.schedule
    start = here.init(here.model, key=init_key)
    model: Any = train(start, here.task(), *how, record=here.record, key=data_key).model
    return {"W": model.W, "b": model.b}


def test_tiles_of_other_sizes_agree_to_rounding():
    """Weights within 1e-6 after 100 steps, in tiles of 1, 3, 16 and 64."""
    rows = grid((1 - np.geomspace(0.02, 1, 64)).tolist(), [0.8], [5]).rows()
    run = partial(only_weights, program(steps=100))
    sizes = [next(sweep(run, [rows], tile=Tile(1, size), devices=jax.devices()[:1]))[1] for size in (1, 3, 16, 64)]
    for name in ("W", "b"):
        arrays = np.stack([found[name] for found in sizes])
        assert np.ptp(arrays, axis=0).max() < 1e-6
        assert np.ptp(arrays[0], axis=0).max() > 1e-2  # the 64 models differ from each other


def probe(coordinates, init_key, data_key) -> dict[str, jax.Array]:
    """A program that shows what it is given."""
    return {"init": jax.random.key_data(init_key), "data": jax.random.key_data(data_key), **coordinates}


def keys_of(seed: int, root: int = 0) -> tuple[list[int], list[int]]:
    pair = jax.random.split(jax.random.fold_in(jax.random.key(root), seed))
    return tuple(np.asarray(jax.random.key_data(key)).tolist() for key in pair)


@pytest.mark.parametrize("tile", [Tile(1, 3), Tile(3, 1), Tile(2, 2), Tile(2, 2, ("sparsity",))], ids=str)
def test_every_row_gets_its_own_coordinates_and_its_seeds_keys(tile):
    """init_key, data_key = split(fold_in(key(root), seed)), the same for all cells of a seed."""
    rows = grid([0.0, 0.9], [0.5, 0.7, 0.8], [0, 7, 2**32 - 1]).rows()
    rows = rows[np.random.default_rng(1).permutation(len(rows))[:14]]
    ((_, found),) = sweep(probe, [rows], tile=tile, devices=jax.devices()[:2], seeding=Seeding(root=4))
    np.testing.assert_array_equal(found["sparsity"], (1 - rows.values[:, 0]).astype(np.float32))
    np.testing.assert_array_equal(found["importance"], rows.values[:, 1].astype(np.float32))
    for row, seed in enumerate(rows.seeds):
        assert (found["init"][row].tolist(), found["data"][row].tolist()) == keys_of(int(seed), root=4)


def test_seeds_of_init_and_data_are_held_apart():
    rows = grid([0.5], [0.5], [0, 1, 6]).rows()
    device = jax.devices()[:1]
    all_three = [Seeding(), Seeding(init=6), Seeding(data=6)]
    plain, one_init, one_data = (
        next(sweep(probe, [rows], tile=Tile(3, 1), devices=device, seeding=s))[1] for s in all_three
    )
    np.testing.assert_array_equal(one_init["init"], [keys_of(6)[0]] * 3)
    np.testing.assert_array_equal(one_init["data"], plain["data"])
    np.testing.assert_array_equal(one_data["data"], [keys_of(6)[1]] * 3)
    np.testing.assert_array_equal(one_data["init"], plain["init"])
    assert len(np.unique(plain["init"], axis=0)) == len(np.unique(plain["data"], axis=0)) == 3


def test_the_cells_of_a_lane_share_their_draws():
    """No random bits, which are uint32, have the dimension of the lane's 7 cells; the float32 weights have it."""
    rows, tile = grid(np.linspace(0, 0.9, 7).tolist(), [0.8], [0]).rows(), Tile(1, 7)
    run, _ = tile_runner(partial(only_weights, program()), tile, jax.devices()[:1], Seeding())
    inputs = wave_inputs([rows], next(waves([rows], tile, 1)), tile, None)
    shapes = re.findall(r"([a-z]+\d+)\[([\d,]+)\]", str(jax.make_jaxpr(run)(*inputs)))
    with_cells = {kind for kind, shape in shapes if "7" in shape.split(",")}
    assert "f32" in with_cells and "u32" not in with_cells
    assert ("u32", f"{N},32") in shapes or any(kind == "u32" and shape.endswith(f"{N},32") for kind, shape in shapes)


def test_models_that_agree_in_what_reaches_the_features_share_their_products():
    """W x and its gradient are one product for a lane's 3 models, without a batch dimension, where x is the lane's."""
    rows = grid([0.0, 0.5], [0.5, 0.7, 0.9], [0]).rows()

    def unbatched(tile: Tile) -> int:
        run, _ = tile_runner(partial(only_weights, program()), tile, jax.devices()[:1], Seeding())
        inputs = wave_inputs([rows], next(waves([rows], tile, 1)), tile, None)
        return len(re.findall(r"dimension_numbers=\(\([^()]*\), \(\[\], \[\]\)\)", str(jax.make_jaxpr(run)(*inputs))))

    assert unbatched(Tile(1, 3, ("sparsity",))) >= 2
    assert unbatched(Tile(1, 3)) == 0


def test_one_compile_and_every_model_is_reported():
    rows, compiles, done = GRID.rows(), [], []
    blocks = pack(rows, Tile(1, 2), 2)
    once = eqx.debug.assert_max_traces(probe, max_traces=1)
    told = partial(sweep, on_compile=compiles.append, on_models=done.append)
    places = [k for k, _ in told(once, blocks, tile=Tile(1, 2), devices=jax.devices()[:2])]
    assert len(compiles) == 1 and sum(done) == len(rows) and places == list(range(len(blocks))) and len(blocks) == 6


def test_a_sweep_goes_on_from_recorded_states():
    """8 steps, then 5 more from the recorded states, in another order and in tiles of 3: as 13 at once, to the bit."""
    rows, tile, device = GRID.rows(), Tile(1, 3), jax.devices()[:1]
    order = np.random.default_rng(2).permutation(len(rows))
    at = lambda steps: program(Linear, steps, record=Record(state=True))
    ((_, straight),) = sweep(at(13), [rows], tile=tile, devices=device)
    ((_, short),) = sweep(at(8), [rows], tile=tile, devices=device)
    states = at(8).state(short)
    blocks = [rows[order[:4]], rows[order[4:]]]
    chosen = lambda k: jax.tree.map(lambda a: a[[order[:4], order[4:]][k]], states)
    go_on = lambda coordinates, state, data_key: at(13).resume(coordinates, state, data_key, 8)
    found = sweep(go_on, blocks, tile=tile, devices=device, states=chosen)
    since = at(13).steps()["step"][1] >= 8
    for (_, arrays), index in zip(found, (order[:4], order[4:]), strict=True):
        assert set(arrays) == set(straight)
        arrays["loss_curve"], expected = arrays["loss_curve"][:, since], dict(straight)
        expected["loss_curve"] = straight["loss_curve"][:, since]
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, expected[name][index])


def test_blocks_of_rows_from_several_grids():
    rows = concatenate([GRID.rows(), grid([0.1], [0.1], [0]).rows()])
    ((_, found),) = sweep(probe, [rows], tile=Tile(1, 3), devices=jax.devices()[:1])
    np.testing.assert_array_equal(found["importance"], rows.traced()["importance"])


def test_blocks_of_one_tile_keep_every_device_busy():
    """Three blocks of one tile on two devices are two waves, the second filled up with the last tile."""
    blocks = [grid([0.5, 0.9], [0.8], [seed]).rows() for seed in range(3)]
    found = list(waves(blocks, Tile(1, 2), 2))
    assert [[k for k, _ in wave] for wave in found] == [[0, 1], [2, 2]]
