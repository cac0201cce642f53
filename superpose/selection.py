"""What of the labelled arrays a figure or a claim shows, where there is more than it has room for."""

import numpy as np
import xarray as xr


def one_point(ds: xr.Dataset) -> tuple[xr.Dataset, str]:
    """One value of every axis but `sparsity` and `seed`, for what can show these two only.

    Of each axis, the value at which most models were trained; of several such, the middle one.

    Args:
        ds: labelled arrays with a variable `loss`, whose dimensions are the axes.

    Returns:
        The arrays there, and the choice in words: "importance 0.7 (one of 6)", empty where there was none to make.
    """
    words = []
    for axis in [str(dim) for dim in ds["loss"].dims if dim not in ("sparsity", "seed")]:
        trained = ds["loss"].notnull().sum([dim for dim in ds["loss"].dims if dim != axis]).values
        most = np.flatnonzero(trained == trained.max())
        of_how_many = ds.sizes[axis]
        ds = ds.isel({axis: most[len(most) // 2]})
        words.append(f"{axis.replace('_', ' ')} {ds[axis].item():g} (one of {of_how_many})")
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
