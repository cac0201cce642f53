"""The paper's picture of a model, and a page of such: W^T W, beside it the bias, beside that a bar for every feature.

All three have a row for each feature (figures 2 to 5). A model is an `xr.Dataset` of one cell of a sweep.
"""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from superpose import plots, selection

WIDTHS = (1.0, 0.12, 0.45)
"""Of the heatmap, the bias and the bars, in heights."""
MOST = 10
"""Densities of which all are drawn; the paper's notebook draws every second of its 20."""
NOTHING, ENOUGH = 0.1, 0.9
"""The norm below which a feature may be left out of a picture of many; of which at least a tenth are left out."""


def places(count: int) -> list[int]:
    """Which of so many densities are drawn: all of up to ten, else every second (third, ...) and the last."""
    return sorted({*range(0, count, -(-count // MOST)), count - 1})


def page(shown: Sequence[tuple[str, xr.Dataset]], notes: Sequence[str]) -> Figure:
    """Models with their titles, four in a row, of more than 40 features three; the notes are the caption.

    Of more than 40 features the last ones, as far as no model has given them a norm of 0.1, are left out, if many.
    """
    n = max((model.sizes["feature"] for _, model in shown), default=1)
    columns = min(len(shown), 4 if n <= plots.CROWDED else 3)
    rows, width = -(-len(shown) // columns), 6.0 / columns if columns > 2 else 2.0
    figure = Figure(figsize=(0.9 + width * columns, 0.5 + 0.83 * width * rows))
    parts = figure.add_gridspec(rows, 4 * columns, width_ratios=[*WIDTHS, 0.02] * columns)
    reach = max([1.0, *(float(model["norm"].fillna(0).max()) for _, model in shown)])
    seen = max(1 + last(model) for _, model in shown)
    kept = seen if n > plots.CROWDED and seen < ENOUGH * n else n
    lines: list[list[Axes]] = [[] for _ in range(rows)]
    for k, (title, model) in enumerate(shown):
        row, place = divmod(k, columns)
        axes = [figure.add_subplot(parts[row, 4 * place + j]) for j in range(3)]
        panel(axes, title, model.isel(feature=slice(kept)), reach, lowest=k + columns >= len(shown), first=place == 0)
        lines[row] += axes
    whole = [line for line in lines if len(line) == 3 * columns]
    plots.colorbar(whole[0], plots.WEIGHTS, "$W^T W$ and $b$")
    plots.colorbar(whole[-1], plots.SUPERPOSITION, "superposition")
    left_out = f"features {kept} to {n - 1}, of norms below {NOTHING:g} in all of these models, are left out"
    figure.supxlabel("\n".join([*notes, *[left_out] * (kept < n)]), fontsize=7)
    return figure


def last(model: xr.Dataset) -> int:
    """The last feature that has a norm to be seen."""
    return int(np.flatnonzero(model["norm"].values >= NOTHING)[-1:].sum())


def panel(axes: Sequence[Axes], title: str, model: xr.Dataset, reach: float, *, lowest: bool, first: bool) -> None:
    """One model on three Axes: W^T W, the bias, and bars of the norms, in the colours of their superposition.

    Args:
        axes: side by side, of the widths `WIDTHS`.
        model: with W, b, norm and superposition; where W is not finite, it says "no model".
        reach: the longest bar of the page. lowest, first: in the last row, the first column.
    """
    heatmap, column, bars = axes
    W, n = selection.weights(model), model.sizes["feature"]
    plots.gram(heatmap, W.T @ W)
    plots.bias(column, model["b"].values)
    plots.norm_bars(bars, model["norm"].values, model["superposition"].values)
    plots.align(axes, WIDTHS)
    bars.set(xlim=(0, 1.05 * reach), xticks=[0, 1])
    heatmap.set_title(title, loc="left")
    if not np.isfinite(W).all():
        heatmap.text(0.5, 0.5, "no model", transform=heatmap.transAxes, ha="center", va="center")
    if first:
        heatmap.set_ylabel("feature")
        heatmap.set_yticks([0, n - 1], ["0", str(n - 1)])
    if lowest:
        for ax, label in zip(axes, ("$W^T W$", "$b$", r"$\Vert W_i \Vert$"), strict=True):
            ax.set_xlabel(label)
