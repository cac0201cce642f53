"""Models over the strength of a penalty on their training: how far it removes superposition, and what that costs.

A model is without superposition where none of its features is in it (`geometry.superposed`) and it represents one.

    mean superposition    the mean over represented features of sum_{j != i} (u_i . W_j)^2
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, MultipleLocator

from superpose import plots, selection
from superpose.experiment import Claim, Verdict

MOST = 0.5
"""A share of seeds: more is most of them."""
WIDE = 5.0
"""The ratio of losses from which their axis is logarithmic."""


class Curves(NamedTuple):
    """Models (k, seed) over k strengths, from the weakest up: mean superposition of represented features, how many are
    represented and superposed, 1/D*, the clean loss; which features (k, seed, n) are represented. At one density."""

    strength: np.ndarray
    superposition: np.ndarray
    represented: np.ndarray
    superposed: np.ndarray
    per_dimension: np.ndarray
    loss: np.ndarray
    kept: np.ndarray
    importance: np.ndarray
    density: float
    note: str

    @property
    def without(self) -> np.ndarray:
        """Which models have features and no superposition."""
        return (self.superposed == 0) & (self.represented > 0)

    @property
    def removed(self) -> int | None:
        """The first strength at which most models are without superposition, though not without features."""
        clear = self.without.mean(axis=1) > MOST
        return int(clear.argmax()) if clear.any() else None


def curves(tree: xr.DataTree, axis: str) -> Curves | None:
    """Of the ReLU models over the axis that sets the strength; None where there are fewer than two strengths of it."""
    ds = tree["relu"].to_dataset() if "relu" in tree.children else xr.Dataset()
    if axis not in ds.dims or "superposition" not in ds:
        return None
    ds, note = selection.one_point(ds, (axis,))
    ds = ds.sortby(axis).transpose(axis, "seed", ...)
    ds = ds.isel(seed=np.flatnonzero(ds["finite"].all(axis)))
    if not ds.sizes["seed"] or ds.sizes[axis] < 2:
        return None
    kept = ds["represented"].astype(bool)
    density = float(ds["density"])
    sizes = f"$n = {ds.sizes['feature']}$, $m = {ds.sizes['hidden']}$, $1-S = {density:.3g}$"
    others = [word for word in note.split(", ") if word and not word.startswith("sparsity")]
    return Curves(
        ds[axis].values,
        ds["superposition"].where(kept).mean("feature").values,
        kept.sum("feature").values,
        ds["superposed"].sum("feature").values,
        (1 / ds["dimensions_per_feature"]).values,
        ds["loss"].values,
        kept.values,
        ds["feature_importance"].values[0, 0],
        density,
        ", ".join([sizes, *others]),
    )


def figure(tree: xr.DataTree, axis: str, label: str, cost: str, mark: float | None = None) -> Figure:
    """Features per dimension, their number, superposition and the loss; where importances differ, what is kept.

    Args:
        axis: the one that sets the strength. label: what it is called in the figure.
        cost: what the loss is relative to, in words.
        mark: the paper's strength, where it names one.
    """
    found = curves(tree, axis)
    figure = Figure(figsize=(6.9, 3.9))
    if found is None:
        figure.add_subplot().text(0.5, 0.5, "no models over the strength of a penalty", ha="center")
        return figure
    differ = np.ptp(found.importance) > 0
    grid = figure.add_gridspec(2, 3 if differ else 2, width_ratios=(1, 1, 0.85) if differ else None)
    axes = [figure.add_subplot(grid[divmod(k, 2)]) for k in range(4)]
    plots.band(axes[0], found.strength, found.per_dimension, plots.INK)
    plots.band(axes[1], found.strength, found.represented, plots.BLUE, label="represented")
    plots.band(axes[1], found.strength, found.superposed, plots.ORANGE, label="in superposition")
    plots.band(axes[2], found.strength, found.superposition, plots.ORANGE)
    plots.band(axes[3], found.strength, found.loss / np.median(found.loss[0]), plots.INK)
    axes[1].legend(frameon=False)
    names = ("features / dimension, $1/D^*$", "features", "mean superposition", cost)
    for ax, name in zip(axes, names, strict=True):
        ax.set_ylabel(name)
        finish(ax, found, mark)
    for ax in axes[:3]:
        ax.set_ylim(0, None)
    if np.median(found.loss[-1]) > WIDE * np.median(found.loss[0]):
        plots.logarithmic(axes[3], "y")
    if differ:
        axes.append(figure.add_subplot(grid[:, 2]))
        survivors(axes[-1], found)
    for ax in axes[2:]:
        ax.set_xlabel(label)
    figure.supxlabel(caption(found, mark), fontsize=7)
    return figure


def caption(found: Curves, mark: float | None) -> str:
    """Sizes, seeds, and what the vertical lines are."""
    said, lines = f"{found.note}; medians of {found.loss.shape[1]} seeds and the half of them around", []
    if found.removed is not None:
        lines.append(f"dashed: superposition first gone, at {found.strength[found.removed]:g}")
    if mark is not None:
        lines.append(f"yellow: the paper's {mark:g}")
    return "\n".join(filter(None, [said, "; ".join(lines)]))


def finish(ax: Axes, found: Curves, mark: float | None = None) -> None:
    """The axis of strengths; where superposition first ends, and where it does in the paper."""
    across(ax, found)
    if mark is not None:
        ax.axvline(mark, color=plots.YELLOW, alpha=0.4, linewidth=3, zorder=0)
    if found.removed is not None:
        ax.axvline(found.strength[found.removed], color="#777777", linewidth=0.8, linestyle="--", zorder=0)


def far_apart(found: Curves) -> float | None:
    """The least strength above 0, where the axis of strengths is logarithmic from there on."""
    least = float(found.strength[found.strength > 0].min())
    return least if found.strength.max() > 100 * least else None


def across(ax: Axes, found: Curves) -> None:
    """The axis of strengths: logarithmic, 0 at its left end, where they are far apart."""
    least, most = far_apart(found), float(found.strength.max())
    if least is None:
        ax.xaxis.set_major_locator(MaxNLocator(5))
    else:
        ax.set_xscale("symlog", linthresh=least, linscale=0.5)
        powers = np.arange(np.ceil(np.log10(least)), np.log10(most) + 0.1)
        ax.set_xticks([0, *10.0 ** powers[::-2][::-1]])
        ax.minorticks_off()
    ax.set_xlim(0, most)


def survivors(ax: Axes, found: Curves) -> None:
    """In which share of the seeds each feature is represented, the most important on top."""
    own, share = found.strength, found.kept.mean(axis=1).T
    logarithmic = far_apart(found) is not None
    between = np.sqrt(own[1:] * own[:-1]) if logarithmic else (own[1:] + own[:-1]) / 2
    between[0] = own[1] / 2 if own[0] == 0 else between[0]
    edges = np.array([own[0], *between, own[-1]])
    ax.spines[:].set_visible(True)
    ax.pcolormesh(edges, np.arange(len(share) + 1) + 0.5, share, cmap=plots.VIRIDIS, vmin=0, vmax=1, rasterized=True)
    across(ax, found)
    ax.yaxis.set_major_locator(MultipleLocator(5 if len(share) >= 10 else 1))
    ax.set(ylabel="feature $i$, the most important on top", ylim=(len(share) + 0.5, 0.5))
    plots.colorbar(ax, plots.Scale(plots.VIRIDIS, 0.0, 1.0), "share of seeds that represent it")


def nanmedian(values: np.ndarray) -> np.ndarray:
    """Over seeds; infinite where no model has features."""
    there = np.isfinite(values).any(axis=1)
    out = np.full(len(values), np.inf)
    out[there] = np.nanmedian(values[there], axis=1)
    return out


def told(found: Curves, k: int) -> str:
    """What models are at a strength."""
    features, loss = np.median(found.represented[k]), np.median(found.loss[k]) / np.median(found.loss[0])
    return f"{found.without[k].mean():.0%} of models without, {features:g} features, {loss:.2f} times the loss at 0"


def said(axis: str, text: str, source: str, check: Callable[[Curves], Verdict | None], ours: bool = False) -> Claim:
    """A sentence on the models over one of the axes, the weakest penalty being none."""

    def judged(tree: xr.DataTree) -> Verdict:
        found = curves(tree, axis)
        fits = found is not None and found.strength[0] == 0
        verdict = check(found) if fits and found is not None else None
        return verdict or Verdict(None, f"nothing: the arrays lack models over `{axis}`, from 0, of which to say this")

    return Claim(text, source, judged, ours)
