"""Basic results: which features a model keeps, and which of them share directions, as features become sparser.

Paper: "Demonstrating Superposition", "Basic Results" (experiments 2 to 5). n features of falling importance in m < n
dimensions; a linear model x' = W^T W x + b, and the ReLU output model x' = ReLU(W^T W x + b) at densities p = 1 - S.

    python -m superpose.run sparsity=sweep                  n = 20, m = 5, importance 0.7^i
    python -m superpose.run experiment=basic_80_20          n = 80, m = 20, importance 0.9^i

You should see: the linear model keeps the m most important features, orthogonal to each other, whatever the density. The
ReLU model does the same at p = 1. Then the less important features share directions, first as antipodal pairs, while the
most important ones keep theirs (dark bars); in the end every feature is in superposition, and biases are negative.
"""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from superpose import geometry, plots, statistics, theory
from superpose.experiment import Claim, Experiment, Verdict

SOURCE = "Demonstrating Superposition, Basic Results"
TOLERANCE = 0.02
ANTIPODAL = -0.9
"""Between an antipodal pair (cosine -1) and the next closest shape, a pentagon (-0.81)."""
PANELS, COLUMNS = 8, 4
NAMES = {"linear": "Linear", "relu": "ReLU"}

READ_OFF = {1.0: (5, 0), 0.3: (7, 0), 0.1: (9, 0), 0.03: (10, 2), 0.01: (11, 2), 0.003: (12, 5), 0.001: (12, 7)}
"""Density -> bars in the paper's figure for n = 20, m = 5: full ones, and partial ones or ones that may be either."""


# The figure


def figure(tree: xr.DataTree) -> Figure:
    """A panel for the linear model at its sparsest level, then the ReLU model from dense to sparse; best seed each."""
    shown, notes = chosen(tree)
    rows, columns = -(-len(shown) // COLUMNS), min(len(shown), COLUMNS)
    figure = Figure(figsize=(0.9 + 1.5 * columns, 0.55 + 1.25 * rows))
    axes = figure.subplots(rows, columns, squeeze=False)
    reach = max([1.0, *(float(model["norm"].max()) for _, model in shown if np.isfinite(model["norm"]).all())])
    for k, (title, model) in enumerate(shown):
        panel(axes.flat[k], title, model, reach, lowest=k + columns >= len(shown), first=k % columns == 0)
    for unused in axes.flat[len(shown) :]:
        unused.remove()
    used = list(axes.flat[: len(shown)])
    plots.colorbar(used, plots.WEIGHTS, "weight")
    plots.colorbar(used, plots.SUPERPOSITION, "superposition")
    figure.supxlabel(". ".join(notes), fontsize=6.5)
    return figure


def chosen(tree: xr.DataTree) -> tuple[list[tuple[str, xr.Dataset]], list[str]]:
    """The models of the figure with their titles, and what its caption says."""
    labels = [label for label, node in tree.children.items() if "W" in node]
    linear = "linear" in labels and len(labels) > 1
    most = (PANELS - linear) // max(1, len(labels) - linear)
    shown, notes = [], []
    for label in labels:
        ds, note = plots.one_point(tree[label].to_dataset())
        best = statistics.best(ds)
        trained = np.flatnonzero(best["loss"].notnull())
        sparsest = [int(trained[-1]) if trained.size else -1]
        for level in sparsest if linear and label == "linear" else plots.evenly(ds.sizes["sparsity"], most):
            model = best.isel(sparsity=level)
            shown.append((f"{NAMES.get(label, label)}, $1-S = {float(model['density']):.3g}$", model))
        sizes = f"n = {ds.sizes['feature']}, m = {ds.sizes['hidden']}"
        notes.append(f"{NAMES.get(label, label)}: {sizes}, {plots.best_of(ds)}{f', {note}' * bool(note)}")
    return shown, notes


def panel(ax: Axes, title: str, model: xr.Dataset, reach: float, *, lowest: bool, first: bool) -> None:
    """One model: W^T W, beside it the bias, beside that a bar for every feature in the same row."""
    W, n = model["W"].transpose("hidden", "feature").values, model.sizes["feature"]
    plots.gram(ax, W.T @ W)
    column, bars = ax.inset_axes((1.05, 0, 0.06, 1)), ax.inset_axes((1.18, 0, 0.5, 1))
    plots.bias(column, model["b"].values)
    column.set_aspect("auto")
    plots.norm_bars(bars, model["norm"].values, model["superposition"].values)
    bars.set(xlim=(0, 1.05 * reach), xticks=[0, 1])
    ax.set_title(title, loc="left")
    if not np.isfinite(W).all():
        ax.text(0.5, 0.5, "no model", transform=ax.transAxes, ha="center", va="center")
    if first:
        ax.set_ylabel("feature")
        ax.set_yticks([0, n - 1], ["1", str(n)])
    if lowest:
        ax.set_xlabel("$W^T W$")
        column.set_xlabel("$b$")
        bars.set_xlabel(r"$\Vert W_i \Vert$")
