"""Statistics over the seeds of labelled arrays. A seed that was not trained or diverged (not finite) counts nowhere.

Every cell (a point of the grid, and of any further dimension) is treated alone: its numbers depend on its own seeds and
on nothing else. NumPy and xarray only.
"""

from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr
from jaxtyping import Num

from superpose.labels import fill_value

CHUNK = 4_000_000
"""Resampled numbers held at once: 32 MB."""


def _finite(da: xr.DataArray) -> xr.DataArray:
    return xr.apply_ufunc(np.isfinite, da)


def best(ds: xr.Dataset, by: str = "loss", dim: str = "seed") -> xr.Dataset:
    """Of each cell, the model of the lowest finite loss (the paper's practice).

    Args:
        ds: labelled arrays; where they hold a variable `finite` (same dimensions as `by`), only models with it count.
        by: the variable to minimise, of dimensions (cell..., dim).
        dim: the dimension to choose along.

    Returns:
        `ds` without the dimension `dim`, every variable keeping its type; `dim` stays as a coordinate: the seed
        chosen in each cell. A cell without a usable seed has NaN, False for flags, -1 for counts and for the seed.
    """
    usable = _finite(ds[by])
    if "finite" in ds:
        usable = usable & ds["finite"].astype(bool)
    index = ds[by].where(usable, np.inf).argmin(dim)
    chosen, any_usable = ds.isel({dim: index}), usable.any(dim)
    for name, variable in ds.variables.items():
        if dim in variable.dims:
            order = [d for d in ds[by].dims if d in chosen[name].dims and d not in variable.dims]
            order += [d for d in variable.dims if d != dim]
            kept = chosen[name].where(any_usable, fill_value(variable.dtype)).astype(variable.dtype)
            chosen[name] = kept.transpose(*order).assign_attrs(variable.attrs)
    return chosen


def _reduce(
    da: xr.DataArray, dim: str, function: Callable[[np.ndarray], np.ndarray], labels: Sequence[float]
) -> xr.DataArray:
    """Applies `function`, (cell, usable seed) -> (label, cell), to the cells of equally many usable seeds at a time."""
    values = da.astype(np.float64).transpose(..., dim)
    flat = values.values.reshape(-1, values.sizes[dim])
    usable = np.isfinite(flat)
    counts = usable.sum(axis=1)
    reduced = np.full((len(labels), len(flat)), np.nan)
    for size in np.unique(counts[counts > 0]).tolist():
        cells = counts == size
        reduced[:, cells] = function(flat[cells][usable[cells]].reshape(-1, size))
    cell = values.isel({dim: 0}, drop=True)
    result = cell.expand_dims(quantile=list(labels))
    return result.copy(data=reduced.reshape(result.shape))


def quantiles(da: xr.DataArray, q: Sequence[float], dim: str = "seed") -> xr.DataArray:
    """Quantiles over the usable seeds of each cell, interpolated linearly.

    Args:
        da: values with the dimension `dim`.
        q: probabilities in [0, 1].
        dim: the dimension to reduce.

    Returns:
        float64, `da` with a leading dimension `quantile` instead of `dim`; NaN where no seed is usable.
    """
    return _reduce(da, dim, lambda sample: np.quantile(sample, q, axis=-1), q)


def median(da: xr.DataArray, dim: str = "seed") -> xr.DataArray:
    """The median over the usable seeds of each cell, as float64; NaN where there is none."""
    return quantiles(da, [0.5], dim).isel(quantile=0, drop=True)


def mean_without_worst(da: xr.DataArray, loss: xr.DataArray, dim: str = "seed") -> xr.DataArray:
    """The mean over the usable seeds of each cell but the one of the highest loss, as the paper has it.

    Paper: "Superposition as a Phase Change", of ten models.

    Args:
        da: values with the dimension `dim`.
        loss: of the models, the same cells. A seed counts where both are finite.
        dim: the dimension to reduce.

    Returns:
        `da` without `dim`; a seed alone in its cell is kept; NaN where none is usable.
    """
    usable = _finite(da) & _finite(loss)
    place = xr.DataArray(np.arange(da.sizes[dim]), dims=dim)
    worst = (place == loss.where(usable, -np.inf).argmax(dim)) & (usable.sum(dim) > 1)
    return da.where(usable & ~worst).mean(dim)


def count(da: xr.DataArray, dim: str = "seed") -> xr.DataArray:
    """The number of usable seeds of each cell."""
    return _finite(da).sum(dim)


def bootstrap(
    da: xr.DataArray,
    statistic: Callable[..., np.ndarray] = np.median,
    *,
    resamples: int = 2000,
    level: float = 0.95,
    dim: str = "seed",
    seed: int = 0,
) -> tuple[xr.DataArray, xr.DataArray]:
    """The percentile bootstrap interval of a statistic over the seeds of each cell.

    The usable seeds of a cell are drawn with replacement, as many as there are; the interval lies between the quantiles
    (1 - level) / 2 and (1 + level) / 2 of the statistic of these resamples.

    Args:
        da: values with the dimension `dim`.
        statistic: called as `statistic(array, axis=-1)`, as `np.median` and `np.mean` are.
        resamples: how many draws.
        level: the nominal coverage, in (0, 1).
        dim: the dimension of the sample.
        seed: of the draws. They depend on it and on the number of usable seeds only, so a cell's interval does not
            change when the grid grows.

    Returns:
        The lower and the upper end, `da` without `dim`: NaN where no seed is usable, equal where one is.
    """
    ends = [(1 - level) / 2, (1 + level) / 2]

    def interval(sample: np.ndarray) -> np.ndarray:
        cells, size = sample.shape
        draws = np.random.default_rng([seed, size]).integers(size, size=(resamples, size))
        parts = np.array_split(sample, min(cells, -(-cells * draws.size // CHUNK)))
        return np.concatenate(
            [np.quantile(statistic(part[:, draws], axis=-1), ends, axis=-1) for part in parts], axis=1
        )

    both = _reduce(da, dim, interval, ends)
    return both.isel(quantile=0, drop=True), both.isel(quantile=1, drop=True)


def interval(sample: xr.DataArray, statistic: Callable[..., np.ndarray] = np.median) -> tuple[float, float]:
    """The 95% bootstrap interval of one sample's statistic, as a verdict takes it.

    Args:
        sample: values along `seed`, and along nothing else.
        statistic: as of `bootstrap`.
    """
    low, high = bootstrap(sample, statistic)
    return float(low), float(high)


def rank_correlation(x: Num[np.ndarray, " k"], y: Num[np.ndarray, " k"]) -> float:
    """Spearman's rank correlation, in [-1, 1]; equal numbers share the mean of their ranks; NaN where all are equal."""

    def ranks(values: Num[np.ndarray, " k"]) -> Num[np.ndarray, " k"]:
        ordered = np.sort(values)
        return np.searchsorted(ordered, values, "left") + np.searchsorted(ordered, values, "right")

    with np.errstate(invalid="ignore"):
        return float(np.corrcoef(ranks(x), ranks(y))[0, 1])
