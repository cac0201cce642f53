"""Two sets of ten correlated features in ten dimensions: each set has an orthogonal basis to itself.

Paper: "Correlated and Anticorrelated Features" (local, almost-orthogonal bases). n = 20, m = 10, equal importance,
x' = ReLU(W^T W x + b). A set is active with probability p = 1 - S, and then all of its features.

    python -m superpose.run experiment=local_bases

You should see: where features are sparse, two blocks of W^T W that are the identity each: within a set no feature
interferes with another, and the superposition is all between the sets. When dense, the model drops features.
"""

from collections.abc import Callable

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from superpose import plots, selection, set_geometry, set_shapes
from superpose.experiment import Claim, Experiment, Verdict

SOURCE = "Correlated and Anticorrelated Features"
SPARSE, DENSE = 0.05, 0.5
IDENTITY, FAR = 0.1, 0.5
"""A block is the identity where no entry of it is farther off than this, and none at all where one is by as much as a
feature's that is not represented: half of it."""
PANELS = 5

Check = Callable[[xr.Dataset], bool]


def figure(tree: xr.DataTree) -> Figure:
    """W^T W of the best model at each density, a line around the block of each set."""
    figure, node = Figure(figsize=(6.9, 1.95)), variant(tree)
    if node is None:
        figure.supxlabel("no models of features in sets", fontsize=8)
        return figure
    ds, note = selection.one_point(node)
    levels = selection.evenly(ds.sizes["sparsity"], PANELS)
    axes = figure.subplots(1, len(levels), squeeze=False)[0]
    n, size = ds.sizes["feature"], ds.sizes["feature"] // ds.sizes["set"]
    for ax, place in zip(axes, levels, strict=True):
        models = selection.ranked(ds.isel(sparsity=place))
        W = selection.weights(models[0]) if models else np.full((1, n), np.nan)
        plots.gram(ax, W.T @ W)
        for k in range(0, n, size):
            ax.plot(k - 0.5 + size * np.array([0, 1, 1, 0, 0]), k - 0.5 + size * np.array([0, 0, 1, 1, 0]), **FRAME)
        ax.set(xlim=(-0.5, n - 0.5), ylim=(n - 0.5, -0.5), title=f"$1-S = {float(ds['density'][place]):.3g}$")
        middles = [k + (size - 1) / 2 for k in range(0, n, size)]
        names = [f"set {k + 1}" for k in range(len(middles))]
        ax.set_xticks(middles, names)
        ax.set_yticks(middles, names if place == levels[0] else [], rotation=90, va="center")
        ax.tick_params(length=0, labelsize=6.5)
        ax.set_xlabel(f"off by {float(models[0]['block_error'].max()):.2f}" if models else "no model", fontsize=7)
    plots.colorbar(list(axes), plots.WEIGHTS, "$W^T W$")
    words = f"$n$ = {n}, $m$ = {ds.sizes['hidden']}{', ' + note if note else ''}; each panel {selection.best_of(ds)}"
    figure.supxlabel(f"{words}; off by: the most that an entry of a set's block differs from the identity", fontsize=7)
    return figure


FRAME = {"color": plots.INK, "linewidth": 0.7}


def variant(tree: xr.DataTree) -> xr.Dataset | None:
    """The arrays of the first variant whose features come in sets of several."""
    for node in tree.children.values():
        if {"W", "block_error"} <= set(node.data_vars) and node.sizes["set"] < node.sizes["feature"]:
            return node.to_dataset()
    return None


def said(text: str, holds: Check, words: Callable[[xr.Dataset], str], expected: str, low: float, high: float) -> Claim:
    """A sentence on the best model at each density from `low` to `high`, and the seeds of which it is true."""

    def check(tree: xr.DataTree) -> Verdict:
        ds = set_shapes.variant(tree, "correlated", 20, 10, 2)
        levels = [] if ds is None else selection.levels(ds)
        levels = [(p, models) for p, models in levels if low <= p * 1.001 and p <= high * 1.001]
        if not levels:
            return Verdict(None, "nothing: the arrays lack two correlated sets of ten in m = 10 at such densities")
        listed = "; ".join(f"p = {p:.3g}: {words(models[0])}" for p, models in levels)
        true = ", ".join(str(sum(map(holds, models))) for _, models in levels)
        seeds = len(levels[0][1])
        holding = all(holds(models[0]) for _, models in levels)
        return Verdict(holding, f"{listed}; true of {true} of {seeds} seeds", expected, seeds=seeds)

    return Claim(text, SOURCE, check)


def farthest(model: xr.Dataset) -> float:
    return float(model["block_error"].max())


def across(model: xr.Dataset) -> tuple[float, float]:
    """The lowest W_i . W_j of two features of different sets, and the highest."""
    W = selection.weights(model)
    between = (W.T @ W)[: W.shape[1] // 2, W.shape[1] // 2 :]
    return float(between.min()), float(between.max())


def distance(model: xr.Dataset) -> str:
    return f"{farthest(model):.3f}"


experiment = Experiment(
    figure=figure,
    measure=set_geometry.measure,
    dims=set_geometry.DIMS,
    attributes=set_geometry.ATTRIBUTES,
    claims=(
        said(
            "Each set has a local basis that is almost orthogonal: its block of W^T W is the identity.",
            lambda model: farthest(model) <= IDENTITY,
            distance,
            f"no entry of either block farther off than {IDENTITY:g}, at p <= {SPARSE:g}",
            0.0,
            SPARSE,
        ),
        said(
            "The two bases are in superposition: every feature is represented, and shares its direction.",
            lambda model: bool(model["superposed"].all()),
            lambda model: "{} of 20 features, W_i . W_j across sets from {:.2f} to {:.2f}".format(
                int(model["superposed"].sum()), *across(model)
            ),
            f"all 20 features, at p <= {SPARSE:g}",
            0.0,
            SPARSE,
        ),
        said(
            "When dense there are no such bases.",
            lambda model: farthest(model) >= FAR,
            distance,
            f"an entry at least {FAR:g} off, at p >= {DENSE:g}",
            DENSE,
            1.0,
        ),
    ),
)
