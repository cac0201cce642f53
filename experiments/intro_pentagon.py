"""The introduction's figure: five features in two dimensions, dense to sparse.

Paper: "Introduction". n = 5 features of importance 0.9^i in m = 2 dimensions, x' = ReLU(W^T W x + b), at
S = 0, 0.8 and 0.9. The paper does not state the importances; these are the notebook's. The notebook's ten densities are
not the paper's, whose sentences are of these three sparsities.

    python -m superpose.run experiment=intro_pentagon

You should see: the two most important features at right angles when all are dense; two antipodal pairs, without the
least important feature, at S = 0.8; a pentagon of all five at S = 0.9.

A model is defined up to a rotation and reflection of its hidden space: the figure turns W so that the most important
feature points right and the second one not down.
"""

from collections.abc import Callable

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from superpose import angles, plots, selection, statistics
from superpose.experiment import Claim, Experiment, Verdict

SOURCE = "Introduction"
DEGREES = 10.0
DROPPED = 0.1
"""The norm below which a feature counts as zero."""
PANELS, COLUMNS = 8, 4


def figure(tree: xr.DataTree) -> Figure:
    """The columns of W as arrows, a panel for each sparsity, best seed each."""
    node = next(node for node in tree.children.values() if "W" in node)
    ds, note = selection.one_point(node.to_dataset())
    best = statistics.best(ds)
    levels = selection.evenly(ds.sizes["sparsity"], PANELS)
    rows, columns = -(-len(levels) // COLUMNS), min(len(levels), COLUMNS)
    figure = Figure(figsize=(0.9 + 1.6 * columns, 0.4 + 1.7 * rows))
    axes = [figure.add_subplot(rows, columns, k + 1) for k in range(len(levels))]
    importance = ds["feature_importance"].max(["sparsity", "seed"]).fillna(0).values
    for ax, level in zip(axes, levels, strict=True):
        model = best.isel(sparsity=level)
        plots.arrows(ax, turned(model), importance)
        ax.set_title(f"$S = {float(model['sparsity']):.4g}$")
        if not model["finite"]:
            ax.text(0.5, 0.6, "no model", transform=ax.transAxes, ha="center")
    reach = max(ax.get_xlim()[1] for ax in axes)
    for ax in axes:
        ax.set(xlim=(-reach, reach), ylim=(-reach, reach))
    if np.ptp(importance) > 0:
        plots.colorbar(axes, plots.importance_scale(importance), "importance")
    m = ds.sizes["hidden"]
    words = [f"$n$ = {ds.sizes['feature']}, $m$ = {m}", note, "seen in the plane of features 0 and 1" if m > 2 else ""]
    figure.supxlabel(f"{', '.join(filter(None, words))}; each panel {selection.best_of(ds)}", fontsize=7)
    return figure


def turned(model: xr.Dataset) -> np.ndarray:
    """W (2, n), turned so that W_0 points right and W_1 not down: R of W = QR; the first two rows where m > 2."""
    W = selection.weights(model)
    if not np.isfinite(W).all():
        return np.full((2, W.shape[1]), np.nan)
    R = np.linalg.qr(W).R
    R = R * np.where(np.diagonal(R) < 0, -1, 1)[:, None]
    return np.concatenate([R, np.zeros((2, W.shape[1]))])[:2]


def gaps(model: xr.Dataset) -> np.ndarray:
    """The angles between neighbouring features that are not zero, all the way around (`angles.gaps`)."""
    return angles.gaps(selection.weights(model)[:, kept(model)])


def kept(model: xr.Dataset) -> np.ndarray:
    return model["norm"].values > DROPPED


def keeps(model: xr.Dataset, count: int) -> bool:
    """Are the `count` most important features represented, and the others zero?"""
    return bool(model["represented"].values[:count].all()) and not kept(model)[count:].any()


def orthogonal(model: xr.Dataset) -> bool:
    return keeps(model, 2) and bool(abs(gaps(model).min() - 90) < DEGREES)


def two_pairs(model: xr.Dataset) -> bool:
    return keeps(model, 4) and bool((np.abs(gaps(model) - 90) < DEGREES).all())


def pentagon(model: xr.Dataset) -> bool:
    return keeps(model, 5) and bool((np.abs(gaps(model) - 72) < DEGREES).all())


def said(text: str, sparsity: float, holds: Callable[[xr.Dataset], bool], expected: str) -> Claim:
    """A sentence on the best model at a sparsity; it counts the seeds of which it is true, too."""

    def check(tree: xr.DataTree) -> Verdict:
        ds = selection.one_point(tree["relu"].to_dataset())[0] if "relu" in tree.children else xr.Dataset()
        level = selection.at_density(ds, 1 - sparsity) if "W" in ds else None
        if level is None or (ds.sizes["feature"], ds.sizes["hidden"]) != (5, 2):
            return Verdict(None, f"nothing: the arrays lack a ReLU model with n = 5, m = 2 at S = {sparsity:g}")
        each = selection.ranked(level)
        if not each:
            return Verdict(None, f"nothing: no model at S = {sparsity:g} is usable")
        found = [holds(model) for model in each]
        norms = " ".join(f"{norm:.2f}" for norm in each[0]["norm"].values)
        around = " ".join(f"{gap:.0f}" for gap in gaps(each[0]))
        words = f"norms {norms}, angles between neighbours {around}; true of {sum(found)} of {len(found)} seeds"
        return Verdict(found[0], words, expected, seeds=len(found))

    return Claim(text, SOURCE, check)


experiment = Experiment(
    figure=figure,
    claims=(
        said(
            "Dense: the two most important features are orthogonal, the others zero.",
            0.0,
            orthogonal,
            f"norms of features 0 and 1 above 0.5, of others below {DROPPED}, 90 degrees within {DEGREES:g}",
        ),
        said(
            "S = 0.8: four features as two antipodal pairs, the least important one dropped.",
            0.8,
            two_pairs,
            f"norms of features 0 to 3 above 0.5, of 4 below {DROPPED}, each angle 90 degrees within {DEGREES:g}",
        ),
        said(
            "S = 0.9: all five features as a pentagon.",
            0.9,
            pentagon,
            f"norms above 0.5, each angle 72 degrees within {DEGREES:g} (cosines 0.31 and -0.81 at 72 and 144)",
        ),
    ),
)
