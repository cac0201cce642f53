"""Measures of trained models: a vmapped pass over weights that are already there."""

from collections.abc import Callable

import jax
import numpy as np
from jaxtyping import Array

from superpose.draws import seed_key
from superpose.experiment import Measure
from superpose.grid import Rows
from superpose.program import Coordinates, Program

ROWS_AT_ONCE = 64
Measurer = Callable[[Rows, dict[str, np.ndarray]], dict[str, np.ndarray]]


def measurer(measure: Measure, program: Program) -> Measurer:
    """The function (rows, their arrays) -> the measure's arrays, (row, ...), compiled once.

    It goes through the rows 64 at a time, the last of them filled up, so that a model's numbers do not depend on which
    others it is measured with.
    """

    def one(coordinates: Coordinates, arrays: dict[str, Array], seed: Array) -> dict[str, Array]:
        model, task = program.restore(coordinates, arrays)
        return measure.function(model, task, jax.random.fold_in(seed_key(0), seed))

    compiled = jax.jit(jax.vmap(one))

    def run(rows: Rows, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        needed = {name: arrays[name] for name in program.model.dims}
        parts = []
        for start in range(0, len(rows), ROWS_AT_ONCE):
            index = np.minimum(np.arange(start, start + ROWS_AT_ONCE), len(rows) - 1)
            chosen = jax.tree.map(lambda a, index=index: a[index], (rows.traced(), needed))
            with jax.default_matmul_precision("highest"):
                found = compiled(*chosen, rows.seeds[index].astype(np.uint32))
            parts.append(
                jax.tree.map(lambda a, count=min(len(rows) - start, ROWS_AT_ONCE): np.asarray(a)[:count], found)
            )
        return jax.tree.map(lambda *a: np.concatenate(a), *parts)

    return run
