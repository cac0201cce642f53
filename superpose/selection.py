"""What of the labelled arrays a figure or a claim shows, where there is more than it has room for, or less."""

import itertools
from collections.abc import Sequence

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int


def one_point(ds: xr.Dataset, shown: Sequence[str] = ("sparsity",)) -> tuple[xr.Dataset, str]:
    """One value of every axis but `seed` and those shown, for what can show no more.

    Of each axis, the value at which most models were trained; of several such, the middle one.

    Args:
        ds: labelled arrays with a variable `loss`, whose dimensions are the axes.
        shown: the axes that keep their values.

    Returns:
        The arrays there, and the choice in words: "importance 0.7 (one of 6)", empty where there was none to make; of
        an axis of one value, "importance 0.7".
    """
    words = []
    for axis in [str(dim) for dim in ds["loss"].dims if dim not in (*shown, "seed")]:
        trained = ds["loss"].notnull().sum([dim for dim in ds["loss"].dims if dim != axis]).values
        most = np.flatnonzero(trained == trained.max())
        of_how_many = f" (one of {ds.sizes[axis]})" if ds.sizes[axis] > 1 else ""
        ds = ds.isel({axis: most[len(most) // 2]})
        words.append(f"{axis.replace('_', ' ')} {ds[axis].item():g}{of_how_many}")
    return ds, ", ".join(words)


def evenly(count: int, most: int) -> list[int]:
    """At most `most` of the places 0 ... count - 1, the first and the last among them, as evenly as can be."""
    if most < 2:
        return list(range(count))[-most:]
    return sorted(set(np.linspace(0, count - 1, min(count, most)).round().astype(int).tolist()))


def best_of(ds: xr.Dataset) -> str:
    """What a figure of the best models says of its seeds: "the best of 8 seeds", fewer where some have no loss."""
    counts = ds["loss"].notnull().sum("seed")
    low, high = int(counts.min()), int(counts.max())
    seeds = f"{low} to {high}" if low < high else str(high)
    return f"the best of {seeds} seeds (lowest loss)" if high > 1 else "the only seed"


def sorted_by_loss(models: xr.Dataset) -> xr.Dataset:
    """The usable models along `seed`, the one of the lowest loss first; those that diverged are left out.

    Args:
        models: labelled arrays at one point of every axis but `seed`, with `loss` and `finite`.
    """
    usable = np.flatnonzero(models["loss"].notnull() & models["finite"].astype(bool))
    return models.isel(seed=usable[np.argsort(models["loss"].values[usable], kind="stable")])


def ranked(models: xr.Dataset) -> list[xr.Dataset]:
    """The models of `sorted_by_loss`, one by one."""
    models = sorted_by_loss(models)
    return [models.isel(seed=k) for k in range(models.sizes["seed"])]


def at_density(ds: xr.Dataset, density: float, within: float = 1.02) -> xr.Dataset | None:
    """The arrays at the sparsity whose density is nearest to `density`; None where none is within a factor `within`.

    Args:
        ds: labelled arrays with the dimension `sparsity` and its coordinate `density`.
        density: in (0, 1].
        within: the factor, at least 1.
    """
    away = np.abs(np.log(ds["density"].values / density))
    nearest = int(away.argmin()) if away.size else -1
    return ds.isel(sparsity=nearest) if nearest >= 0 and away[nearest] <= np.log(within) * (1 + 1e-9) else None


def levels(ds: xr.Dataset) -> list[tuple[float, list[xr.Dataset]]]:
    """Density and `ranked` models of each sparsity at which a model is usable, as they are sorted: dense first.

    Args:
        ds: labelled arrays at one point of every axis but `sparsity` and `seed`.
    """
    found = [ds.isel(sparsity=k) for k in range(ds.sizes["sparsity"])]
    return [(float(level["density"]), models) for level in found if (models := ranked(level))]


def weights(model: xr.Dataset) -> Float[np.ndarray, "m n"]:
    """W of one model."""
    return model["W"].transpose("hidden", "feature").values.astype(float)


def trained(ds: xr.Dataset) -> xr.DataArray:
    """Which models were trained, those that diverged among them: they have importances, or at least a loss."""
    has_loss = ds["loss"].notnull()
    return has_loss | ds["feature_importance"].notnull().any("feature") if "feature_importance" in ds else has_loss


def stand_ins(
    known: Bool[np.ndarray, "rows columns"],
    down: Float[np.ndarray, " rows"] | None = None,
    right: Float[np.ndarray, " columns"] | None = None,
) -> Int[np.ndarray, "2 rows columns"]:
    """The cell that stands for each one in a map of which only some cells are known: row and column of every cell's.

    It is the cell itself where it is known, else the nearest one of those whose row and column are not greater, else
    of those towards the other corners: on a refined map mostly a corner of the square that the cell lies in.
    Where nothing is known every cell stands for itself. Use: values[tuple(stand_ins(known))].

    Args:
        known: which cells are.
        down, right: where the rows and columns lie, in the units of the map; evenly where left out.
    """
    places = [
        np.arange(size, dtype=float) if at is None else at for size, at in zip(known.shape, (down, right), strict=True)
    ]
    found = np.where(known, np.indices(known.shape), -1)
    for way in itertools.product((1, -1), repeat=2):
        open_yet = found[0] < 0
        if not known.any() or not open_yet.any():
            break
        turned = _nearest_before(
            known[:: way[0], :: way[1]], *(at[::step] for at, step in zip(places, way, strict=True))
        )
        turned = turned[:, :: way[0], :: way[1]]
        last = np.array([size - 1 if step < 0 else 0 for size, step in zip(known.shape, way, strict=True)])
        there = np.where(turned < 0, -1, np.abs(last[:, None, None] - turned))
        found = np.where(open_yet, there, found)
    return np.where(found < 0, np.indices(known.shape), found)


def _nearest_before(
    known: Bool[np.ndarray, "rows columns"], y: Float[np.ndarray, " rows"], x: Float[np.ndarray, " columns"]
) -> Int[np.ndarray, "2 rows columns"]:
    """Row and column of the nearest known cell whose row and column are not greater, -1 where there is none.

    By jump flooding (Rong and Tan, 2006): each cell hears of its neighbours' nearest, from far steps to near ones; in
    rare places it settles for the second nearest.
    """
    place = np.indices(known.shape)
    source = np.where(known, place, -1)
    away = lambda own, other: np.where(
        other[0] < 0, np.inf, (y[own[0]] - y[other[0]]) ** 2 + (x[own[1]] - x[other[1]]) ** 2
    )
    step = 1 << (max(known.shape) - 1).bit_length()
    while step := step >> 1:
        for down, right in ((step, 0), (0, step), (step, step)):
            here, own = source[:, down:, right:], place[:, down:, right:]
            heard = source[:, : here.shape[1], : here.shape[2]].copy()
            here[...] = np.where(away(own, heard) < away(own, here), heard, here)
    return source
