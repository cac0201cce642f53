"""The tile found by measuring, `compute.tile=search`, and its memory: a file in the user's cache folder.

A run trains its models in waves of a tile on each device. Of the tiles around the formula's the one is taken of which

    waves * seconds of a wave's step

is least: twice the tile as long as that is better, else half of it.
"""

import hashlib
import json
import math
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import jax

from superpose.folders import caches, processor
from superpose.grid import Grid, Tile, tiles
from superpose.probing import repeated, short_training
from superpose.program import Program
from superpose.sweep import DoesNotFit, Seeding, fitting

SECONDS = 0.6
GAIN = 0.97  # another tile is to take less than this share of the time: what is less is chance

Fit = Callable[[int], Tile]


def searched(
    program: Program, grid: Grid, fit: Fit, devices: Sequence[jax.Device], seeding: Seeding, start: int, most: int
) -> tuple[int, str]:
    """The models that one device trains at once, and how they were found, in words.

    Args:
        fit: budget -> the tile of the grid.
        start: the formula's budget.
        most: the largest that fits in memory.
    """
    path, key = caches() / "tiles.json", digest(program, grid, fit(start), devices)
    known = recall(path).get(key)
    if isinstance(known, int) and 1 <= known <= most:
        return known, "by an earlier search"
    rows = grid.rows()

    def cost(budget: int) -> float:
        tile = fit(budget)
        waves = -(-len(tiles(rows, tile)) // len(devices))
        try:
            with fitting(tile):
                return waves * repeated(short_training(program, rows, tile, devices, seeding), SECONDS)
        except DoesNotFit:
            return math.inf

    costs = climb(cost, fit, start, most)
    if min(costs.values()) == math.inf:
        return start, "by the formula: of the tiles tried none fits in memory"
    best = min(costs, key=lambda budget: (costs[budget] * (1 if budget == start else 1 / GAIN), budget))
    remember(path, key, best)
    if costs[start] == math.inf:
        return best, f"by search: the formula's {start} do not fit in memory"
    return best, f"by search: {costs[start] / costs[best]:.2f} times the speed of the formula's {start}"


def climb(cost: Callable[[int], float], fit: Fit, start: int, most: int) -> dict[int, float]:
    """What each budget tried costs: upwards from `start` as long as it gets better; if it never did, downwards.

    What does not fit costs infinity: from there it goes down until something fits.
    """
    costs = {start: cost(start)}
    up, down = lambda budget: min(2 * budget, most), lambda budget: fit(budget).models // 2
    for step in (down,) if costs[start] == math.inf else (up, down):
        here = start
        while (there := step(here)) >= 1 and fit(there) not in map(fit, costs):
            costs[there] = cost(there)
            if costs[there] > GAIN * costs[here]:
                break
            here = there
        if here != start:
            break
    return costs


def digest(program: Program, grid: Grid, tile: Tile, devices: Sequence[jax.Device]) -> str:
    """What decides the speed of a tile: the program's modules with their shapes, the grid with the formula's tile, the
    devices, JAX."""
    modules = (program.model, program.features, program.weighting, program.target, program.objective, program.optimizer)
    kinds = sorted({device.device_kind for device in devices}), len(devices), processor(), jax.__version__
    told = repr((modules, program.axes, grid.cells, len(grid.seeds), tile, kinds))
    return hashlib.sha256(told.encode()).hexdigest()[:32]


def recall(path: Path) -> dict[str, Any]:
    """What was found before; nothing, where the file is not there or damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def remember(path: Path, key: str, budget: int) -> None:
    """Add what was found, in one step; where the folder cannot be written the next run searches again."""
    partial = path.with_name(f"{path.name}.{uuid4().hex}.partial")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps({**recall(path), key: budget}, indent=1) + "\n", encoding="utf-8")
        os.replace(partial, path)
