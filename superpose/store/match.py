"""Which rows are the same model: equal float32 coordinates (as the program sees them) and equal seed."""

import numpy as np

from superpose import grid
from superpose.grid import Rows
from superpose.store.errors import StoreError


def codes(stored: Rows, asked: Rows) -> tuple[np.ndarray, np.ndarray]:
    """One integer per distinct model, (stored,) and (asked,): equal integers exactly where `Rows.identities` are."""
    together = grid.concatenate([stored, asked])
    code = np.unique(together.seeds, return_inverse=True)[1]
    for column in together.traced().values():
        values, rank = np.unique(column, return_inverse=True)
        code = np.unique(code * len(values) + rank, return_inverse=True)[1]
    return code[: len(stored)], code[len(stored) :]


def arrange(rows: Rows, axes: tuple[str, ...]) -> Rows:
    """The same rows with their columns in the order of `axes`. Raises StoreError if the axes are others."""
    if set(rows.axes) != set(axes):
        raise StoreError(
            f"The table's axes are {list(axes)}, got rows of {list(rows.axes)}."
            " Other axes are another table: type name=ANOTHER."
        )
    return Rows(axes, rows.values[:, [rows.axes.index(axis) for axis in axes]], rows.seeds)


def new(stored: Rows, asked: Rows) -> Rows:
    """Those of `asked` that are not in `stored`, each once.

    A coordinate that the program cannot tell from a stored one is given the stored float64, lest one point become two.
    """
    here, there = codes(stored, asked)
    first = np.unique(there, return_index=True)[1]
    rows = asked[np.sort(first[~np.isin(there[first], here)])]
    columns = [_snap(axis, stored.values[:, k], rows.values[:, k]) for k, axis in enumerate(rows.axes)]
    return Rows(rows.axes, np.stack(columns, axis=1) if columns else rows.values, rows.seeds)


def _snap(axis: str, stored: np.ndarray, asked: np.ndarray) -> np.ndarray:
    if not len(stored):
        return asked
    seen, first = np.unique(grid.traced(axis, stored), return_index=True)
    wanted = grid.traced(axis, asked)
    place = np.searchsorted(seen, wanted).clip(max=len(seen) - 1)
    return np.where(seen[place] == wanted, stored[first[place]], asked)
