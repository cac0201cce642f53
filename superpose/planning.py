"""What a run is about to do: for each variant its tile, its blocks, what is missing, and what that costs.

Nothing is written here. A store that exists has fixed its tile and blocks; for a new one they are chosen.
"""

import dataclasses
from pathlib import Path

import jax
import numpy as np

from superpose import estimate
from superpose.arguments import InputError
from superpose.config import Run, Variant
from superpose.experiment import Measure, measured
from superpose.grid import Rows, Tile, fit_tile, of_shard, pack
from superpose.store import MODELS, Schema, Store

COMPILE_SECONDS = 3.0
RUNTIME_BYTES = 0.5e9


@dataclasses.dataclass(frozen=True)
class Job:
    """One variant's share of a run."""

    label: str
    variant: Variant
    measures: tuple[Measure, ...]
    schema: Schema
    rows: Rows
    done: int
    blocks: int
    seconds: float
    bytes: float

    @property
    def missing(self) -> int:
        return len(self.rows) - self.done


def open_store(run: Run) -> Store | None:
    """The run's store, if there is one and it is this run's.

    Raises:
        StoreError: it is another run's (which keys differ, what to type), or it cannot be read.
    """
    path = run.folder / "models.zarr"
    if not path.exists():
        return None
    store = Store.open(path)
    store.check_identity({label: variant.identity for label, variant in run.variants.items()})
    return store


def plan(run: Run, store: Store | None, devices: list[jax.Device]) -> list[Job]:
    """The jobs of a run, variant by variant."""
    return [job(run, label, store, devices) for label in run.variants]


def job(run: Run, label: str, store: Store | None, devices: list[jax.Device]) -> Job:
    variant = run.variants[label]
    program, rows = variant.program, variant.grid.rows()
    schema = new_schema(run, label, devices) if store is None else store.schema(label)
    asked = run.compute.tile
    if store is not None and asked not in (None, schema.tile.models, schema.attributes["tile_budget"]):
        raise InputError(
            f"The store was made with tiles of {schema.tile.models} models, got compute.tile={asked}. Another tile rounds"
            " differently, so a store keeps its own. Leave compute.tile out, or give another name=..."
        )
    done = store.count_done(label, rows)[0] if store else 0
    left = len(rows) - done
    seconds = estimate.step_seconds(program) * program.schedule.steps * left / len(devices)
    lanes = schema.tile.seeds * estimate.draw_bytes(program)
    working = len(devices) * (schema.tile.models * estimate.model_bytes(program) + lanes)
    blocks = missing_blocks(store, label, schema, rows)
    return Job(label, variant, run.experiment.measures(), schema, rows, done, blocks, seconds, working)


def missing_blocks(store: Store | None, label: str, schema: Schema, rows: Rows) -> int:
    """How many blocks there are to train: those of the store that are not done, and those of models it lacks."""
    known = [] if store is None else [store.rows(label, block) for block in range(store.blocks(label))]
    keys = {key for part in known for key in part.keys()}
    new = np.array([key not in keys for key in rows.keys()], bool)
    fresh = len(pack(rows[new], schema.tile, schema.block_rows))
    return fresh + (len(store.missing(label, rows)) if store else 0)


def new_schema(run: Run, label: str, devices: list[jax.Device]) -> Schema:
    """What the table of a variant holds, and the shape of its tiles and blocks, for a store that is new."""
    variant = run.variants[label]
    program, grid = variant.program, variant.grid
    memory = estimate.device_memory(devices[0], len(devices))
    budget = run.compute.tile or estimate.tile_budget(program, devices[0].platform, memory)
    tile = fit_tile(grid, budget)
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
        attributes={"model": type(program.model).__name__, "experiment": run.found.name, "tile_budget": budget},
    )


def block_rows(run: Run, program, tile: Tile, row_bytes: float, rows: int) -> int:
    """Rows of a block, in whole tiles: as many as `compute.block` asks for, else by work and size, with one a shard."""
    if run.compute.block:
        return tile.models * max(1, run.compute.block // tile.models)
    return estimate.block_rows(program, tile.models, row_bytes, -(-rows // run.compute.shards))


def my_blocks(run: Run, store: Store, label: str, rows: Rows, part: str = MODELS) -> list[int]:
    """The blocks that lack `part` and are this shard's."""
    return of_shard(store.missing(label, rows, part), run.compute.shard, run.compute.shards)


def working_bytes(jobs: list[Job]) -> float:
    """The memory that the run will take: variants run one after another."""
    return RUNTIME_BYTES + max((job.bytes for job in jobs), default=0.0)


def expected_seconds(jobs: list[Job]) -> float:
    """The time that the run will take on a CPU, one compile a program included."""
    return sum(job.seconds + COMPILE_SECONDS for job in jobs if job.missing)


def where(path: Path) -> str:
    """A path as people read it: relative to the current folder where it lies in it."""
    path = path.absolute()
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)
