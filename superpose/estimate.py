"""What a run will cost: bytes and seconds, and from them how many models a tile and a block hold.

The seconds are a fit to measured sweeps on two cores with AVX-512, one device a core, of a model-step of n features, m
hidden dimensions and a batch:

    (0.9 + 0.15 m) ns * n * batch

where an exact objective counts as a batch of as many examples as take its time (`exact.examples`).
They decide the size of a block and the time that a run shows before it starts; `plan=true` measures instead
(`superpose.forecast`). On another machine the bar tells the truth after the first tiles.

The tile is a fit, too, to the best of the tiles from 1 to 128. benchmarks/tiles.py measures them and fits both anew.
"""

import os

import jax
import numpy as np

from superpose import evaluation, exact
from superpose.arguments import InputError
from superpose.exact import Method
from superpose.objective import Exact
from superpose.program import Program

BLOCK_SECONDS = 15.0
BLOCK_BYTES = 64e6
TILE_BYTES = 640e3  # the batches of a tile of small models, which share a core's cache
LARGEST_TILE = 32
ACCELERATOR_TILE = 4_096
SCALAR_TILE = 1_536  # models that go through a quadrature number by number


def examples(program: Program) -> int:
    """The examples that a step of one model goes through."""
    objective = program.objective
    if isinstance(objective, Exact):
        return exact.examples(program.model, program.features.n, objective.method)
    return getattr(objective, "batch", 1024)


def example_bytes(program: Program) -> float:
    """Bytes of one model's batch x, (n, batch) in float32."""
    return 4.0 * program.features.n * examples(program)


def hidden(program: Program) -> int:
    """m, the smaller side of the model's first matrix."""
    shapes = [leaf.shape for leaf in jax.tree.leaves(program.model) if np.ndim(leaf) >= 2]
    return min(shapes[0]) if shapes else 1


def model_bytes(program: Program) -> float:
    """Bytes that one model takes while it trains: its batch in the passes of a step, and its recorded weights."""
    weights = sum(leaf.nbytes for leaf in jax.tree.leaves(program.model))
    recorded = len(program.record.steps(program.schedule.steps)) + 1
    return 4 * example_bytes(program) + weights * (recorded + 6)


def draw_bytes(program: Program) -> float:
    """Bytes of the draws of a segment of steps, which the models of a seed share."""
    return max(example_bytes(program), min(20 * example_bytes(program), 2.0**24))


def step_seconds(program: Program) -> float:
    """Seconds of one step of one model on one device."""
    return (0.9 + 0.15 * hidden(program)) * 1e-9 * example_bytes(program) / 4


def judgings(program: Program) -> int:
    """How often a model is judged: once, or at each point of its path."""
    return 1 if program.path is None else len(program.path.points)


def judging_seconds(program: Program) -> float:
    """Seconds in which one model is judged on one device, as often as it is."""
    objective, n = program.objective, program.features.n
    drawn = evaluation.methods(program.model, program.features, program.target, program.method)[1] != "exact"
    auto = objective.method if isinstance(objective, Exact) else Method()
    each = 2.6 * evaluation.GRADIENT_VECTORS if drawn else exact.examples(program.model, n, auto)
    return judgings(program) * each * step_seconds(program) / examples(program)


def tile_budget(program: Program, platform: str, memory: float, *, shared: bool = True) -> int:
    """How many models one device trains at once: what its cache likes, at most what fits in a device's `memory` bytes.

    Args:
        shared: whether they share their draws, as the cells of a seed do. Models of several seeds do not: then what
            fills a cache are the draws of a segment.

    Raises:
        InputError: not even one model fits.
    """
    if platform == "cpu" and scalar(program):
        likes = SCALAR_TILE
    elif platform == "cpu":
        together = shared or isinstance(program.objective, Exact)
        likes = cached_models(example_bytes(program)) if together else drawn_models(draw_bytes(program))
    else:
        likes = ACCELERATOR_TILE
    fits = most_models(program, memory)
    if fits < 1:
        needs = (model_bytes(program) + draw_bytes(program)) / 0.8
        raise InputError(
            f"One model needs about {needs / 1e9:.1f} GB in training, and a device has {memory / 1e9:.1f} GB. Lower"
            " objective.batch or compute.devices."
        )
    return min(likes, fits)


def cached_models(batch_bytes: float, tile_bytes: float = TILE_BYTES, largest: int = LARGEST_TILE) -> int:
    """How many models whose batches are of so many bytes a core trains best at once.

    Of small ones as many as fill `tile_bytes`; from 8 on downwards their number falls with the square root of the bytes
    only, since a product of few models keeps a core waiting.
    """
    fill = tile_bytes / batch_bytes
    return int(np.clip(round(max(fill, (8 * fill) ** 0.5)), 1, largest))


def drawn_models(draws_bytes: float, tile_bytes: float = TILE_BYTES) -> int:
    """How many models that share no draws a core trains best at once, the draws of each taking so many bytes."""
    return int(np.clip(round(tile_bytes / draws_bytes), 1, LARGEST_TILE))


def most_models(program: Program, memory: float) -> int:
    """How many models in training fit in a device's `memory` bytes."""
    return int((0.8 * memory - draw_bytes(program)) // model_bytes(program))


def scalar(program: Program) -> bool:
    """Whether a step goes through single numbers, not matrices: many models then make one vector."""
    objective = program.objective
    return isinstance(objective, Exact) and exact.way(program.model, program.features.n, objective.method) == "split"


def tile_lanes(program: Program, platform: str, memory: float) -> int:
    """How many seeds a tile of several cells may hold.

    On a CPU one: its matrix products are slower with two batch dimensions. Elsewhere as many as have room for their
    draws in a tenth of a device's `memory` bytes.
    """
    return 1 if platform == "cpu" else max(1, int(0.1 * memory // draw_bytes(program)))


def block_rows(program: Program, tile_models: int, row_bytes: int, rows: int) -> int:
    """Rows of a block: whole tiles, about 15 s of work on a device and at most 64 MB, all blocks about equally full."""
    seconds = (step_seconds(program) * program.updates + judging_seconds(program)) * tile_models
    tiles = int(max(1, min(BLOCK_SECONDS / max(seconds, 1e-9), BLOCK_BYTES / max(row_bytes * tile_models, 1))))
    needed = -(-rows // tile_models)
    return tile_models * -(-needed // -(-needed // tiles))


def device_memory(device: jax.Device, devices: int) -> float:
    """Bytes that one of `devices` devices may use."""
    stats = device.memory_stats() if device.platform != "cpu" else None
    if stats and "bytes_limit" in stats:
        return float(stats["bytes_limit"])
    return physical_memory() / devices


def physical_memory() -> float:
    """Bytes of the machine's memory."""
    return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
