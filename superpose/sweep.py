"""All vectorisation: models as seeds x cells, in tiles, on devices. Knows no model, no Hydra and no disk.

A tile is `tile.lanes` lanes of `tile.cells` models; it goes through all its steps on one device:

    vmap over lanes( vmap over the cells of a lane( program ) )

The keys of a lane are not mapped over its cells, so that its draws are made once; nor are the coordinates in which its
models agree, so that W x is one product for the lane where these alone reach the features. D devices run D tiles side
by side, a wave; every wave has the same shape, so a program is traced once. A model's numbers do not depend on its
neighbours.
"""

import dataclasses
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec
from jaxtyping import Array, PRNGKeyArray, PyTree, UInt32

from superpose.draws import seed_key
from superpose.grid import Rows, Tile, tiles

POLL_SECONDS = 0.002
FULL = "RESOURCE_EXHAUSTED"  # XLA's word, from a compile, from a start of a program, or from its results
OneModel = Callable[..., dict[str, Array]]
Coordinates = dict[str, Array]


class DoesNotFit(RuntimeError):
    """A tile of so many models takes more memory than a device has; `told` says so, without what to type."""

    def __init__(self, models: int, why: str):
        self.told = f"Tiles of {models} models do not fit in a device's memory ({why})."
        less = f"a smaller tile={models // 2}" if models > 1 else "an objective of a smaller batch"
        super().__init__(f"{self.told} Give {less}.")


@contextmanager
def fitting(tile: Tile) -> Iterator[None]:
    """Turn XLA's error of a full memory into `DoesNotFit`."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if FULL not in str(error):
            raise
        raise DoesNotFit(tile.models, str(error).splitlines()[0][:200]) from error


@dataclasses.dataclass(frozen=True)
class Seeding:
    """How a seed becomes two keys: init_key, data_key = split(fold_in(seed_key(root), seed)).

    With `init` given, every model's init_key comes from that seed instead; with `data`, its data_key.
    """

    root: int = 0
    init: int | None = None
    data: int | None = None

    def keys(self, seed: UInt32[Array, ""]) -> tuple[PRNGKeyArray, PRNGKeyArray]:
        pair = lambda s: jax.random.split(jax.random.fold_in(seed_key(self.root), s))
        init = seed if self.init is None else jnp.uint32(self.init)
        data = seed if self.data is None else jnp.uint32(self.data)
        return pair(init)[0], pair(data)[1]


def tile_runner(
    program: OneModel, tile: Tile, devices: Sequence[jax.Device], seeding: Seeding
) -> tuple[Callable, NamedSharding]:
    """The traced function of a wave, (device, lane, cell), and how its arguments lie on the devices."""

    def model(own: Coordinates, state: PyTree[Array], alike: Coordinates, keys: tuple) -> dict[str, Array]:
        return program(own | alike, *keys) if state is None else program(own | alike, state, keys[1])

    def lane(own: Coordinates, state: PyTree[Array], alike: Coordinates, seed: Array) -> dict[str, Array]:
        return mapped(model, tile.cells, (0, 0, None, None))(own, state, alike, seeding.keys(seed))

    def device(*wave: PyTree[Array]) -> dict[str, Array]:
        return mapped(mapped(lane, tile.lanes, (0, 0, 0, 0)), 1, (0, 0, 0, 0))(*wave)

    mesh, split = jax.sharding.Mesh(np.array(devices), ("device",)), PartitionSpec("device")
    run = jax.shard_map(device, mesh=mesh, in_specs=split, out_specs=split, check_vma=False)
    return run, NamedSharding(mesh, split)


def mapped(function: Callable, size: int, in_axes: tuple[int | None, ...]) -> Callable:
    """`vmap` over a leading axis of `size`; an axis of one is taken off instead.

    XLA's fast matrix product on a CPU knows one batch dimension. A second one, even of size 1, costs a factor of 2.
    """
    if size > 1:
        return jax.vmap(function, in_axes)

    def single(*arguments: PyTree[Array]) -> PyTree[Array]:
        first = lambda tree, axis: tree if axis is None else jax.tree.map(lambda a: a[0], tree)
        return jax.tree.map(lambda a: a[None], function(*map(first, arguments, in_axes)))

    return single


Wave = list[tuple[int, np.ndarray]]


def waves(blocks: Sequence[Rows], tile: Tile, devices: int) -> Iterator[Wave]:
    """The tiles of all blocks in turn, as many to a wave as there are devices: (place of the block, its rows' indices).

    A wave may hold tiles of two blocks, so that no device waits at a block's end; the last is filled up with its last
    tile.
    """
    every = ((k, index) for k, rows in enumerate(blocks) for index in tiles(rows, tile))
    while wave := list(islice(every, devices)):
        yield wave + wave[-1:] * (devices - len(wave))


def finished(arrays: PyTree[Array]) -> PyTree[np.ndarray]:
    """The arrays on the host. Waits in steps, so that a signal is handled while a device computes."""
    while not all(array.is_ready() for array in jax.tree.leaves(arrays)):
        time.sleep(POLL_SECONDS)
    return jax.device_get(arrays)


def sweep(
    program: OneModel,
    blocks: Sequence[Rows],
    *,
    tile: Tile,
    devices: Sequence[jax.Device],
    seeding: Seeding = Seeding(),
    states: Callable[[int], PyTree[np.ndarray]] | None = None,
    on_compile: Callable[[float], None] = lambda seconds: None,
    on_models: Callable[[int], None] = lambda models: None,
    compiled: dict[str, Any] | None = None,
) -> Iterator[tuple[int, dict[str, np.ndarray]]]:
    """Train the models of each block in turn.

    Args:
        program: (coordinates, init_key, data_key) -> arrays of one model; with `states`, it is called with
            (coordinates, state, data_key).
        blocks: the rows of each.
        tile: the shape of a tile; it decides how numbers are rounded, so a store keeps one.
        devices: those that train, a tile each. Their number changes no result.
        seeding: how seeds become keys.
        states: for each block (its place in `blocks`) the state of each of its rows to continue from.
        on_compile: told the seconds of the one compile; 0 where it was found in `compiled`.
        on_models: told how many models are done, wave by wave.
        compiled: keeps what was compiled for the next sweep of this program, tile and these devices.

    Yields:
        the place of a block in `blocks`, and its arrays, (row, ...).

    Raises:
        DoesNotFit: a tile takes more memory than a device has.
    """
    run, sharding = tile_runner(program, tile, devices, seeding)
    compiled, key = {} if compiled is None else compiled, "resumed" if states else "program"
    running: list[tuple[Wave, Any]] = []
    results: dict[int, dict[str, np.ndarray]] = {}
    begun: Counter[int] = Counter()  # tiles on the devices; of a block that has more, the next wave holds one
    for number, wave in enumerate(chain(waves(blocks, tile, len(devices)), [None])):
        if wave is not None:
            with fitting(tile):
                inputs = jax.device_put(wave_inputs(blocks, wave, tile, states), sharding)
                if number == 0:
                    on_compile(_compile(run, inputs, compiled, key))
                running.append((wave, compiled[key](*inputs)))
            begun.update(k for k, _ in wave)
        if len(running) == 2 or (running and wave is None):
            done, arrays = running.pop(0)
            with fitting(tile):
                arrays = finished(arrays)
            for device, (k, index) in enumerate(done):
                own = {name: array[device] for name, array in arrays.items()}
                collect(results.setdefault(k, {}), len(blocks[k]), index, own)
                begun[k] -= 1
            on_models(len({(k, row) for k, index in done for row in index.ravel().tolist()}))
            for k in [k for k in results if not begun[k]]:
                yield k, results.pop(k)


def _compile(run: Callable, inputs: tuple, compiled: dict[str, Any], key: str) -> float:
    """Compile the function of a wave, unless it is there; the seconds that it took."""
    if key in compiled:
        return 0.0
    begun = time.perf_counter()
    with jax.default_matmul_precision("highest"):
        states = 1  # their memory becomes that of the trained arrays
        compiled[key] = jax.jit(run, donate_argnums=states).lower(*inputs).compile()
    return time.perf_counter() - begun


def wave_inputs(
    blocks: Sequence[Rows],
    wave: Wave,
    tile: Tile,
    states: Callable[[int], PyTree[np.ndarray]] | None,
) -> tuple:
    """A wave's coordinates and states, (device, lane, cell, ...), and what a lane has one of, (device, lane): the
    coordinates in which its models agree, and its seed."""
    each = [tile_inputs(blocks[k], index, tile.alike, states(k) if states else None) for k, index in wave]
    return jax.tree.map(lambda *arrays: np.stack(arrays), *each)


def tile_inputs(rows: Rows, index: np.ndarray, alike: Sequence[str], state: PyTree[np.ndarray] | None) -> tuple:
    coordinates = rows.traced()
    own = {axis: values[index] for axis, values in coordinates.items() if axis not in alike}
    same = {axis: coordinates[axis][index[:, 0]] for axis in alike}
    return own, jax.tree.map(lambda a: a[index], state), same, rows.seeds[index[:, 0]].astype(np.uint32)


def collect(results: dict[str, np.ndarray], rows: int, index: np.ndarray, arrays: dict[str, np.ndarray]) -> None:
    """Put the arrays of one more tile, (lane, cell, ...), in their rows of the block's."""
    for name, array in arrays.items():
        own = array.reshape(-1, *array.shape[index.ndim :])
        results.setdefault(name, np.empty((rows, *own.shape[1:]), own.dtype))[index.ravel()] = own
