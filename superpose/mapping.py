"""The adaptive map of a run: `refine=512` trains two axes coarsely, then level after level where their phases meet.

A level is what `refining.following` asks for, from the phases of all levels before it; its rows join the table as any
growth does. Nothing else is kept: the same command goes through the same levels again, finds what is done, and trains
what is missing. Only the models of this command count, its seeds and its lattice, so that the levels depend on nothing
else that the table holds.
"""

import dataclasses
from itertools import count

import jax
import numpy as np
import xarray as xr

from superpose import estimate, labels, refining, store
from superpose.arguments import InputError
from superpose.config import Run, Variant
from superpose.console import Bar
from superpose.grid import Axis, Grid, Rows, concatenate
from superpose.interrupt import Guard
from superpose.planning import Job, where
from superpose.refining import NO_PHASE, UNTRAINED
from superpose.store import Store
from superpose.work import measure, train

MOST_PHASE = 127
OVER_STEPS = ("step", "snapshot")


@dataclasses.dataclass(frozen=True)
class Map:
    """The lattice of one variant: the two refined axes as they were asked for, and their points, N + 1 each."""

    grid: Grid
    axes: tuple[Axis, Axis]
    lines: tuple[np.ndarray, np.ndarray]

    @property
    def intervals(self) -> int:
        return len(self.lines[0]) - 1

    def start(self) -> Grid:
        """The grid of the first level."""
        first = refining.strides(self.intervals)[0]
        coarse = {a.name: tuple(line[::first].tolist()) for a, line in zip(self.axes, self.lines, strict=True)}
        return Grid(
            tuple(dataclasses.replace(axis, points=coarse.get(axis.name, axis.points)) for axis in self.grid.axes),
            self.grid.seeds,
        )

    def rows(self, points: np.ndarray) -> Rows:
        """The models of lattice points (point, 2), seed by seed."""
        values = np.tile([axis.points[0] for axis in self.grid.axes], (len(points), 1))
        for k, (axis, line) in enumerate(zip(self.axes, self.lines, strict=True)):
            values[:, self.grid.names.index(axis.name)] = line[points[:, k]]
        seeds = np.repeat(np.array(self.grid.seeds, np.int64), len(points))
        return Rows(self.grid.names, np.tile(values, (len(self.grid.seeds), 1)), seeds)

    def told(self) -> str:
        """What the plan says."""
        names = (f"{axis.name} {refining.spacing(axis.name, axis.points)}" for axis in self.axes)
        size, first = self.intervals, self.intervals // refining.strides(self.intervals)[0]
        return (
            f"This is the start of a map of {size} x {size}, {first} x {first} squares: {', '.join(names)}. Squares in"
            " which the phase changes are split; how many depends on what is found."
        )


def prepare(run: Run) -> tuple[Run, dict[str, Map]]:
    """The run with the start of its maps as its grids, and each variant's map; without `refine=` the run as it is.

    Raises:
        InputError: the run has no map, or not of this size; the message says what to type.
    """
    if run.refine is None:
        return run, {}
    if run.refine not in refining.ALLOWED:
        near = min(refining.ALLOWED, key=lambda size: abs(np.log(size / max(run.refine or 1, 1))))
        least, *_, most = refining.ALLOWED
        raise InputError(f"`refine` is a power of two from {least} to {most:,}, got {run.refine}. Type refine={near}.")
    if run.compute.shards > 1:
        raise InputError(
            f"refine={run.refine} chooses each level of its map from all models of the level before, so that shards"
            " would wait for each other. Leave out compute.shards: a run uses every device of its machine."
        )
    if run.experiment.phase is None:
        raise InputError(
            f"refine={run.refine} follows the boundaries of a phase, and {where(run.found.module)} names none. Add"
            " Experiment(..., phase=...), a function from a variant's arrays to the phase of each cell as int8:"
            ' phase=lambda ds: (superpose.statistics.best(ds).represented.sum("feature")).astype("int8")'
        )
    maps = {label: lattice(label, variant, run.refine) for label, variant in run.variants.items()}
    grids = {label: dataclasses.replace(run.variants[label], grid=each.start()) for label, each in maps.items()}
    return dataclasses.replace(run, variants=grids), maps


def lattice(label: str, variant: Variant, intervals: int) -> Map:
    """The map of a variant.

    Raises:
        InputError: it has not two axes of several points, or its points would be too close for float32.
    """
    several = [axis for axis in variant.grid.axes if len(axis.points) > 1]
    if len(several) != 2:
        named = ", ".join(f"`{axis.name}`" for axis in several) or "none"
        raise InputError(
            f"refine={intervals} needs exactly two axes of several points beside `seed`, whose least and greatest are"
            f" the map's ends; of {label} there {'is' if len(several) == 1 else 'are'} {named}. Type a range for two,"
            " as sparsity=dense importance=dense, and one level for every other axis."
        )
    one, other = several
    lines = [refining.line(a.points, refining.spacing(a.name, a.points), intervals) for a in several]
    for axis, line in zip(several, lines, strict=True):
        try:
            Axis(axis.name, tuple(line.tolist()), axis.target)
        except ValueError as error:
            raise InputError(
                f"refine={intervals} puts the points of `{axis.name}` from {line[0]:g} to {line[-1]:g} closer together"
                " than float32 can tell. Type a smaller refine, or a wider range."
            ) from error
    return Map(variant.grid, (one, other), (lines[0], lines[1]))


def check_size(jobs: list[Job], maps: dict[str, Map]) -> None:
    """Raise InputError if the labelled arrays of the maps, which have every cell, would not fit in memory."""
    needs = 0.0
    for job in (job for job in jobs if job.label in maps):
        parts = job.schema.parts.values()
        row = sum(v.dtype.itemsize * int(np.prod(v.shape)) for part in parts for v in part.values())
        needs += (maps[job.label].intervals + 1) ** 2 * len(maps[job.label].grid.seeds) * row
    if needs > 0.5 * (has := estimate.physical_memory()):
        raise InputError(
            f"The labelled arrays of such a map take up to {needs / 1e9:.0f} GB, and there are {has / 1e9:.0f} GB of"
            " memory. Type a smaller refine, fewer seeds, or less to record (record.curve=false)."
        )


def refine(run: Run, table: Store, job: Job, chart: Map, devices: list[jax.Device], guard: Guard, bar: Bar) -> Job:
    """Train and measure a map, level after level; the job with all its models."""
    phases = np.full((chart.intervals + 1,) * 2, UNTRAINED, np.int16)
    points, levels = refining.start(chart.intervals), []
    for bar.level in count(1):
        levels.append(dataclasses.replace(job, rows=chart.rows(points)))
        done, models = table.count_done(job.label, levels[-1].rows)
        bar.say(f"{job.label}, level {bar.level}: {len(points):,} cells, {done:,} of {models:,} models done")
        train(run, table, levels[-1], devices, guard, bar)
        measure(run, table, levels[-1], guard, everything=True)
        phases[tuple(points.T)] = found(run, table, levels[-1], chart)
        points = refining.following(phases)
        if not len(points):
            break
    bar.level = 0
    cells, of = int((phases != UNTRAINED).sum()), phases.size
    size = f"{chart.intervals} x {chart.intervals}"
    bar.say(f"{job.label}, refined {size}: trained {cells:,} of {of:,} cells ({cells / of:.1%})")
    return dataclasses.replace(job, rows=concatenate([level.rows for level in levels]))


def found(run: Run, table: Store, job: Job, chart: Map) -> np.ndarray:
    """The phase of each cell of a level, (cell,); NO_PHASE where no seed is usable.

    Raises:
        RuntimeError: the experiment's `phase` fails, or gives something else.
    """
    assert run.experiment.phase is not None
    models = store.load_rows(table.path, job.label, job.rows, wanted(table, job.label))
    cells = labels.cells(models, ["sparsity", *(axis.name for axis in chart.axes)], len(chart.grid.seeds))
    kept = f"The models are trained and kept; their phase failed. Mend {where(run.found.module)}:"
    again = "The same command goes on then."
    try:
        phase = run.experiment.phase(cells)
    except Exception as error:
        raise RuntimeError(f"{kept} {type(error).__name__}: {error}. {again}") from error
    if not isinstance(phase, xr.DataArray) or phase.dims != ("cell",) or phase.dtype.kind not in "biu":
        got = f"{phase.dtype} along {phase.dims}" if isinstance(phase, xr.DataArray) else type(phase).__name__
        raise RuntimeError(f"{kept} `phase` gives int8 for each cell, one array without `seed`, got {got}. {again}")
    if int(phase.max()) > MOST_PHASE:
        raise RuntimeError(f"{kept} a phase is at most {MOST_PHASE}, got {int(phase.max())}. {again}")
    return np.where(cells["finite"].any("seed") & (phase >= 0), phase, NO_PHASE)


def wanted(table: Store, label: str) -> list[str]:
    """The arrays that a phase may depend on: of the trained models, not of how they came to be."""
    parts = table.schema(label).parts.values()
    arrays = {name: variable for part in parts for name, variable in part.items()}
    return [
        name
        for name, variable in arrays.items()
        if not set(OVER_STEPS) & set(variable.dims) and not name.startswith("optimizer_")
    ]
