"""What a run is about to do: for each variant its tile, its blocks, what is missing, and what that costs.

Nothing is written here. A store that exists has fixed its tile and blocks; for a new one they are chosen.
"""

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from superpose import estimate, tuning
from superpose.arguments import InputError
from superpose.components import SEARCH
from superpose.config import Run, Variant
from superpose.continuing import Earlier, earlier
from superpose.experiment import Measure, measured
from superpose.grid import Grid, Rows, Tile, fit_tile, of_shard, pack, tiles
from superpose.measuring import Measurer, measurer
from superpose.models import AbstractTiedModel, ReLUHidden
from superpose.program import Program
from superpose.reading import description
from superpose.store import MODELS, Schema, Store, match

RUN_SECONDS = 5.0  # a run of no models: Python's imports, the labelled arrays, the figure, the claims
COMPILE_SECONDS = 5.0
RUNTIME_BYTES = 0.5e9
MAP_TILES = 5  # a level of a map has about a fifth of the cells of its start, or more: it fills a tile of that size
ROW_BYTES = 500  # of a row in the plan: its columns, its key


class Share(NamedTuple):
    """What this shard trains: models in blocks, the waves that it takes, and the steps of all waves together."""

    models: int
    blocks: int
    waves: int
    steps: int


@dataclasses.dataclass(frozen=True)
class Job:
    """One variant's part of a run.

    Args:
        done: models that are trained already.
        blocks: how many are to be trained, by all shards.
        share: what of it is this shard's.
        seconds, compile_seconds: what that and the compiles will take.
        bytes: the memory that their training will take.
        tuned: how the tile was found, where it was searched for.
    """

    label: str
    variant: Variant
    measures: tuple[Measure, ...]
    schema: Schema
    rows: Rows
    done: int
    blocks: int
    share: Share
    seconds: float
    compile_seconds: float
    bytes: float
    earlier: Earlier | None
    tuned: str = ""
    compiled: dict[str, Any] = dataclasses.field(default_factory=dict, compare=False)
    """What was compiled for the variant; a job made of this one with `dataclasses.replace` shares it."""

    @property
    def measurers(self) -> list[Measurer]:
        """For each measure its compiled function."""
        if "measures" not in self.compiled:
            self.compiled["measures"] = [measurer(measure, self.variant.program) for measure in self.measures]
        return self.compiled["measures"]

    @property
    def narrow(self) -> bool:
        """Whether a tile holds far fewer models than a device likes."""
        return 4 * self.schema.tile.models <= self.schema.attributes["tile_budget"]

    @property
    def missing(self) -> int:
        return len(self.rows) - self.done


def open_store(run: Run) -> tuple[Store | None, Store | None]:
    """The run's store, if there is one, and the one with fewer steps that it continues, if there is one.

    Raises:
        StoreError: there is another run's store (which keys differ, what to type), or it cannot be read.
    """
    path = run.folder / "models.zarr"
    before = earlier(run)
    if not path.exists() or (before is not None and before.path == path):
        return None, before
    store = Store.open(path)
    store.check_identity(run.identity)
    return store, before


def plan(run: Run, store: Store | None, before: Store | None, devices: list[jax.Device]) -> list[Job]:
    """The jobs of a run, variant by variant."""
    return [job(run, label, store, before, devices) for label in run.variants]


def job(run: Run, label: str, store: Store | None, before: Store | None, devices: list[jax.Device]) -> Job:
    variant = run.variants[label]
    check_size(variant.grid)
    program, rows = variant.program, variant.grid.rows()
    old, tuned = before or store, ""
    if old is None:
        budget, tuned = tile_budget(run, variant, devices)
        schema = new_schema(run, label, devices, budget)
    else:
        made = old.schema(label)
        schema = store.schema(label) if store else new_schema(run, label, devices, made.attributes["tile_budget"])
        schema = dataclasses.replace(schema, tile=made.tile, block_rows=made.block_rows, attributes=made.attributes)
        check_tile(run, schema)
    done = store.count_done(label, rows)[0] if store else 0
    start = Earlier(before, label, variant) if before else None
    blocks = missing_blocks(store, label, schema, rows)
    own = share(run, blocks, schema.tile, program, start, len(devices))
    wave = own.steps * estimate.step_seconds(program) + own.waves * estimate.judging_seconds(program)
    lanes = schema.tile.lanes * estimate.draw_bytes(program)
    working = len(devices) * (schema.tile.models * estimate.model_bytes(program) + lanes)
    measures, cost = run.experiment.measures(), (own, schema.tile.models * wave, COMPILE_SECONDS, working)
    return Job(label, variant, measures, schema, rows, done, len(blocks), *cost, start, tuned)


def check_size(grid: Grid) -> None:
    """Raise InputError if the table of the grid's models does not fit in memory."""
    needs, has = len(grid) * ROW_BYTES, estimate.physical_memory()
    if needs > 0.8 * has:
        raise InputError(
            f"A table of {len(grid):,} models takes about {needs / 1e9:.0f} GB of memory, and there are"
            f" {has / 1e9:.0f} GB. Ask for fewer levels or seeds, or share them out over several names."
        )


def check_tile(run: Run, schema: Schema) -> None:
    """Raise InputError if `compute.tile` asks for another tile than the store's."""
    if run.compute.tile not in (None, SEARCH, schema.tile.models, schema.attributes["tile_budget"]):
        raise InputError(
            f"The store was made with tiles of {schema.tile.models} models, got compute.tile={run.compute.tile}."
            " Another tile rounds differently, so a store keeps its own. Leave compute.tile out, or type name=NEW."
        )


def missing_blocks(store: Store | None, label: str, schema: Schema, rows: Rows) -> dict[int, Rows]:
    """The blocks there are to train: those of the store that are not done, and those of models it lacks."""
    if store is None:
        return dict(enumerate(pack(rows, schema.tile, schema.block_rows)))
    missing = {number: store.rows(label, number) for number in store.missing(label, rows)}
    fresh = match.new(store.all_rows(label), match.arrange(rows, schema.axes))
    return missing | dict(enumerate(pack(fresh, schema.tile, schema.block_rows), store.blocks(label)))


def share(
    run: Run, blocks: dict[int, Rows], tile: Tile, program: Program, start: Earlier | None, devices: int
) -> Share:
    """What this shard trains of these blocks; what continues is swept apart."""
    own = [blocks[number] for number in of_shard(blocks, run.compute.shard, run.compute.shards)]
    ahead = [start is not None and bool(start.has(block).all()) for block in own]
    count = {False: 0, True: 0}
    for block, kind in zip(own, ahead, strict=True):
        count[kind] += len(tiles(block, tile))
    afresh, continued = (-(-count[kind] // devices) for kind in (False, True))
    before = start.steps if start else 0
    steps = afresh * program.updates + continued * (program.updates - before)
    return Share(sum(map(len, own)), len(own), afresh + continued, steps)


def tile_budget(run: Run, variant: Variant, devices: list[jax.Device]) -> tuple[int, str]:
    """The models that a device is to train at once in a new store, and how a search found them; "" without one."""
    asked, program = run.compute.tile, variant.program
    if isinstance(asked, int):
        return asked, ""
    memory = estimate.device_memory(devices[0], len(devices))
    budget = estimate.tile_budget(program, devices[0].platform, memory, shared=variant.grid.cells > 1)
    if asked is None:
        return budget, ""
    fit, most = partial(fitted, run, variant, devices), estimate.most_models(program, memory)
    return tuning.searched(program, variant.grid, fit, devices, variant.seeding, budget, most)


def fitted(run: Run, variant: Variant, devices: list[jax.Device], budget: int) -> Tile:
    """The tile of a variant's grid."""
    program, grid, asked = variant.program, variant.grid, isinstance(run.compute.tile, int)
    few = -(-grid.cells // MAP_TILES) if run.refine and not asked else None
    memory = estimate.device_memory(devices[0], len(devices))
    lanes = estimate.tile_lanes(program, devices[0].platform, memory)
    reach = () if run.refine else program.reach  # a finer level has few cells of each point
    return fit_tile(grid, budget, lanes, few, reach)


def new_schema(run: Run, label: str, devices: list[jax.Device], budget: int) -> Schema:
    """What the table of a variant holds, and the shape of its tiles and blocks, for a store that is new."""
    variant = run.variants[label]
    program, grid = variant.program, variant.grid
    tile = fitted(run, variant, devices, budget)
    parts = {MODELS: program.variables()}
    parts |= {measure.name: measured(measure, program.model, program.task()) for measure in run.experiment.measures()}
    row_bytes = sum(v.dtype.itemsize * int(np.prod(v.shape)) for part in parts.values() for v in part.values())
    rows = block_rows(run, program, tile, row_bytes, len(grid))
    return Schema(
        axes=grid.names,
        tile=tile,
        block_rows=rows,
        parts=parts,
        versions={measure.name: measure.version for measure in run.experiment.measures()},
        coordinates=program.steps(),
        attributes={
            **description(program),
            "basis_privileged": int(program.model.basis_privileged),
            "experiment": run.found.name,
            "tile_budget": budget,
        },
    )


def block_rows(run: Run, program: Program, tile: Tile, row_bytes: int, rows: int) -> int:
    """Rows of a block, in whole tiles: as many as `compute.block` asks for, else by work and size, with one a shard."""
    if run.compute.block:
        return tile.models * max(1, run.compute.block // tile.models)
    return estimate.block_rows(program, tile.models, row_bytes, -(-rows // run.compute.shards))


def settled(job: Job, table: Store) -> Job:
    """The job with the tiles and blocks of the store, which another shard may have made meanwhile."""
    made = table.schema(job.label)
    schema = dataclasses.replace(job.schema, tile=made.tile, block_rows=made.block_rows)
    return dataclasses.replace(job, schema=schema)


def roomy(jobs: list[Job]) -> list[str]:
    """A line for each variant that has a hidden dimension for every feature: it needs no superposition."""
    models = {job.label: job.variant.program.model for job in jobs}
    tied = {
        label: model.W.shape for label, model in models.items() if isinstance(model, AbstractTiedModel | ReLUHidden)
    }
    return [
        f"{label}: {m} hidden dimensions give each of {n} features one of its own, so that nothing calls for"
        f" superposition. For it, type model.m=K with K below {n}."
        for label, (m, n) in tied.items()
        if m >= n
    ]


def working_bytes(jobs: list[Job]) -> float:
    """The memory that the run will take: variants run one after another."""
    return RUNTIME_BYTES + max((job.bytes for job in jobs), default=0.0)


def expected_seconds(jobs: list[Job]) -> float:
    """The time that the run will take, one compile a program included."""
    return RUN_SECONDS + sum((job.seconds + job.compile_seconds for job in jobs if job.missing), 0.0)


def where(path: Path) -> str:
    """A path as people read it: relative to the current folder where it lies in it."""
    path = path.absolute()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
