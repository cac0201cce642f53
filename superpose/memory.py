"""A sweep in memory: a program and a grid in, labelled arrays out. No Hydra, no disk.

    program = Program(ReLUOutput(n=5, m=2), IndependentFeatures(5), schedule=Constant(2000))
    ds = sweep_grid(program, {"sparsity": [0.0, 0.9], "seed": range(8)})

On a CPU, every core trains if JAX was told so before its first use: jax.config.update("jax_num_cpu_devices", cores).
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
import xarray as xr

from superpose import axes, estimate, labels, leaves
from superpose.experiment import GEOMETRY, measured
from superpose.grid import Axis, Grid, fit_tile
from superpose.measuring import measurer
from superpose.program import Program
from superpose.reading import description
from superpose.sweep import Seeding, sweep


def sweep_grid(
    program: Program,
    points: Mapping[str, Any],
    *,
    tile: int | None = None,
    devices: Sequence[jax.Device] | None = None,
    seeding: Seeding = Seeding(),
) -> xr.Dataset:
    """Train every model of a grid and label the arrays.

    Args:
        program: what is trained.
        points: axis -> its levels. `sparsity`, `importance`, `learning_rate` and `weight_decay` are known by name,
            `seed` is a count or a sequence of integers (0 where it is left out). Any other name is that of a float
            field of the program's modules, or comes with its path:
            {"bump": {"target": "features.relative_density.4", "points": [0.5, 1]}}.
        tile: models that one device trains at once; from their size where it is left out.
        devices: those that train; all local ones where it is left out.
        seeding: how seeds become keys.

    Returns:
        A Dataset of dimensions (*axes, seed, *own): the trained arrays, `loss`, `loss_curve`, the geometry of W.

    Raises:
        ValueError: a level that means nothing, or an axis that names no single float of the program.
    """
    named = tuple(axis(name, given, program) for name, given in points.items() if name != "seed")
    grid = axes.checked(Grid(named, seeds(points.get("seed", 1))), program)
    program = dataclasses.replace(program, axes=tuple((axis.name, axis.target) for axis in grid.axes))
    devices = jax.local_devices() if devices is None else devices
    memory = estimate.device_memory(devices[0], len(devices))
    if tile is None:
        tile = estimate.tile_budget(program, devices[0].platform, memory, shared=grid.cells > 1)
    lanes = estimate.tile_lanes(program, devices[0].platform, memory)
    shape = fit_tile(grid, tile, lanes, reach=program.reach)
    rows = grid.rows()
    ((_, arrays),) = sweep(program, [rows], tile=shape, devices=devices, seeding=seeding)
    variables = program.variables()
    if "W" in program.model.dims:
        arrays |= measurer(GEOMETRY, program)(rows, arrays)
        variables |= measured(GEOMETRY, program.model, program.task())
    columns = {name: rows.values[:, k] for k, name in enumerate(grid.names)} | {"seed": rows.seeds}
    wide = labels.unstack(labels.table(columns, arrays, variables, program.steps()), grid.names)
    return wide.assign_attrs(description(program))


def seeds(given: Any) -> tuple[int, ...]:
    """The seeds of a count or a sequence."""
    if isinstance(given, int | np.integer):
        return axes.seeds({"points": None, "count": int(given)})
    listed = [int(seed) if isinstance(seed, np.integer) else seed for seed in given]
    return axes.seeds({"points": listed, "count": None})


def axis(name: str, given: Any, program: Program) -> Axis:
    """One entry of `points` as an axis."""
    if isinstance(given, Mapping):
        return axes.open_axis(name, given, program)
    levels = tuple(float(level) for level in np.asarray(given, np.float64).ravel())
    target = axes.consumer(name, program) if name in axes.NAMED else own(name, program)
    if target is None:
        raise ValueError(
            f"Nothing in this program takes `{name}`. These may be swept:\n  " + "\n  ".join(axes.targets(program))
        )
    return Axis(name, levels, target)


def own(name: str, program: Program) -> str:
    """The path of the program's one float field of that name."""
    fits = [path for path in axes.targets(program) if path.split(".")[-1] == name]
    if len(fits) == 1 and leaves.is_scalar(program, fits[0]):
        return fits[0]
    found = f"{len(fits)} of them: {', '.join(fits)}" if fits else "none"
    raise ValueError(
        f"`{name}` is to be the one float field of that name in the program, and there is {found}. Give its path:"
        f" {{{name!r}: {{'target': PATH, 'points': [...]}}}}, with one of\n  " + "\n  ".join(axes.targets(program))
    )
