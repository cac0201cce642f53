"""More steps for models that are trained already.

With `record.state=true` a table holds the optimiser's state. Asked for more `schedule.steps`, a run sets that table
aside as models-<steps>.zarr and trains a new one, each model from where the old one stopped. The numbers are those of
a run that was long from the start, to the bit. The schedule must be constant: the others stretch with the number of
steps.
"""

import copy
import dataclasses
import os
from collections.abc import Mapping
from functools import cached_property, partial
from typing import Any

import numpy as np
from jaxtyping import PyTree

from superpose.config import Run, Variant
from superpose.grid import Rows
from superpose.optimizers import Constant
from superpose.store import Store, StoreError


def without_steps(identity: Mapping[str, Any]) -> dict[str, Any]:
    """Every variant's identity but for the number of steps."""
    plain = copy.deepcopy(dict(identity))
    for variant in plain.values():
        variant["schedule"].pop("steps")
    return plain


def steps_of(identity: Mapping[str, Any]) -> int:
    return min(variant["schedule"]["steps"] for variant in identity.values())


def continues(run: Run, table: Store) -> bool:
    """Whether `table` is this run with fewer steps, and can be continued.

    Raises:
        StoreError: it has fewer steps, and cannot; the message says why.
    """
    asked, has = run.identity, table.identity
    if without_steps(asked) != without_steps(has) or steps_of(asked) <= steps_of(has):
        return False
    steps = (
        f"The models of {table.path} have {steps_of(has):,} steps, and schedule.steps={steps_of(asked)} is asked for."
    )
    if not all(variant.program.record.state for variant in run.variants.values()):
        raise StoreError(
            f"{steps} They can be continued only if the optimiser's state was recorded, with record.state=true from the"
            " start. Give another name=..., and the longer run starts from nothing."
        )
    if not all(isinstance(variant.program.schedule, Constant) for variant in run.variants.values()):
        raise StoreError(f"{steps} Only schedule=constant can be continued: the others stretch. Give another name=...")
    return True


def earlier(run: Run) -> Store | None:
    """The longest table of this run with fewer steps: models.zarr itself, or one that was set aside."""
    tables = [Store.open(path) for path in run.folder.glob("models*.zarr")]
    fits = [table for table in tables if table.identity != run.identity and continues(run, table)]
    return max(fits, key=lambda table: steps_of(table.identity), default=None)


def set_aside(table: Store) -> Store:
    """Give models.zarr the name models-<steps>.zarr, which makes room for the longer run's."""
    aside = table.path.with_name(f"models-{steps_of(table.identity)}.zarr")
    if not aside.exists():  # another shard may have been first
        os.rename(table.path, aside)
    return Store.open(aside)


@dataclasses.dataclass(frozen=True)
class Earlier:
    """The trained models of one variant of the table that a run continues."""

    table: Store
    label: str
    variant: Variant

    @property
    def steps(self) -> int:
        """The step at which they stopped."""
        return self.table.identity[self.label]["schedule"]["steps"]

    @cached_property
    def places(self) -> dict[tuple[float | int, ...], tuple[int, int]]:
        """Of each trained model its block and its place in it."""
        missing = set(self.table.missing(self.label, self.table.all_rows(self.label)))
        done = [block for block in range(self.table.blocks(self.label)) if block not in missing]
        rows = {block: self.table.rows(self.label, block) for block in done}
        return {key: (block, place) for block in done for place, key in enumerate(rows[block].identities())}

    def has(self, rows: Rows) -> np.ndarray:
        """Which of these models are there."""
        return np.array([key in self.places for key in rows.identities()], bool)

    def read(self, rows: Rows, names: list[str]) -> dict[str, np.ndarray]:
        """Arrays of these models, in the order of `rows`."""
        where = [self.places[key] for key in rows.identities()]
        blocks = {
            block: self.table.read(self.label, block, names) for block in dict.fromkeys(block for block, _ in where)
        }
        return {name: np.stack([blocks[block][name][place] for block, place in where]) for name in names}

    def states(self, rows: Rows) -> PyTree[np.ndarray]:
        """The states in which these models stopped."""
        program = self.variant.program
        return program.state(self.read(rows, program.state_names()))

    def program(self) -> Any:
        """(coordinates, state, data_key) -> arrays: the longer program from where these models stopped."""
        return partial(_resumed, self.variant.program, self.steps)

    def completed(self, rows: Rows, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The arrays of a continued block with what was recorded before it stopped."""
        recorded = {"loss_curve": "step"} | {
            f"{name}_steps": "snapshot_step" for name in self.variant.program.model.dims
        }
        recorded = {name: step for name, step in recorded.items() if name in arrays}
        before = self.read(rows, list(recorded))
        coordinates = self.table.schema(self.label).coordinates
        for name, step in recorded.items():
            new, old = self.variant.program.steps()[step][1], coordinates[step][1]
            place = np.flatnonzero(new < self.steps)
            arrays[name][:, place] = before[name][:, np.searchsorted(old, new[place])]
        return arrays


def _resumed(program: Any, first: int, coordinates: Any, state: Any, data_key: Any) -> dict[str, Any]:
    return program.resume(coordinates, state, data_key, first)
