"""A page of models: how many in a row, which features and densities are left out."""

import numpy as np
import pytest
import xarray as xr

from superpose import plots, portraits


def model(n: int, kept: int) -> xr.Dataset:
    norm = 1.0 * (np.arange(n) < kept)
    data = {"W": (("hidden", "feature"), norm[None]), "b": ("feature", np.zeros(n))}
    data |= {"norm": ("feature", norm), "superposition": ("feature", np.zeros(n))}
    return xr.Dataset(data)


@pytest.mark.parametrize(("n", "count", "rows", "shown"), [(20, 8, 2, 20), (50, 8, 3, 31), (50, 1, 1, 31)])
def test_a_page(n, count, rows, shown):
    with plots.style():
        figure = portraits.page(
            [(f"model {k}", model(n, 30 + k % 2 if n > 40 else 3)) for k in range(count)], ["a note"]
        )
        figure.canvas.draw()
    heatmaps = [ax for ax in figure.axes if ax.get_title("left")]
    assert len(heatmaps) == count and {ax.images[0].get_array().shape for ax in heatmaps} <= {(shown, shown), (30, 30)}
    assert len({round(ax.get_position().y0, 2) for ax in heatmaps}) == rows
    assert ("are left out" in figure.get_supxlabel()) == (shown < n)


def test_which_densities_are_drawn():
    assert portraits.places(1) == [0] and portraits.places(10) == list(range(10))
    assert portraits.places(20) == [*range(0, 20, 2), 19]
