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

from superpose import plots, selection
from superpose.experiment import Claim, Verdict

MOST = 0.5
"""A share of seeds: more is most of them."""
WIDE = 5.0
"""The ratio of losses from which their axis is logarithmic."""


class Curves(NamedTuple):
    """Models (k, seed) over k strengths, from the weakest up: mean superposition of represented features, how many are
    represented and superposed, 1/D*, the clean loss; which features (k, seed, n) are represented."""

    strength: np.ndarray
    superposition: np.ndarray
    represented: np.ndarray
    superposed: np.ndarray
    per_dimension: np.ndarray
    loss: np.ndarray
    kept: np.ndarray
    importance: np.ndarray
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
    return Curves(
        ds[axis].values,
        ds["superposition"].where(kept).mean("feature").values,
        kept.sum("feature").values,
        ds["superposed"].sum("feature").values,
        (1 / ds["dimensions_per_feature"]).values,
        ds["loss"].values,
        kept.values,
        ds["feature_importance"].values[0, 0],
        ", ".join(filter(None, [f"n = {ds.sizes['feature']}, m = {ds.sizes['hidden']}", note])),
    )


def figure(tree: xr.DataTree, axis: str, label: str) -> Figure:
    """Features per dimension, their number, superposition and the loss; where importances differ, what is kept.

    Args:
        axis: the one that sets the strength. label: what it is called in the figure.
    """
    found = curves(tree, axis)
    figure = Figure(figsize=(6.9, 3.9))
    if found is None:
        figure.add_subplot().text(0.5, 0.5, "no models over the strength of a penalty", ha="center")
        return figure
    differ = np.ptp(found.importance) > 0
    grid = figure.add_gridspec(2, 3 if differ else 2, width_ratios=(1, 1, 0.75) if differ else None)
    axes = [figure.add_subplot(grid[divmod(k, 2)]) for k in range(4)]
    blue, orange = "#0072b2", "#d55e00"
    plots.band(axes[0], found.strength, found.per_dimension, plots.INK)
    plots.band(axes[1], found.strength, found.represented, blue, label="represented")
    plots.band(axes[1], found.strength, found.superposed, orange, label="in superposition")
    plots.band(axes[2], found.strength, found.superposition, orange)
    plots.band(axes[3], found.strength, found.loss / np.median(found.loss[0]), plots.INK)
    axes[1].legend(frameon=False)
    names = ("features / dimension, $1/D^*$", "features", "mean superposition", "loss / that without penalty")
    for ax, name in zip(axes, names, strict=True):
        ax.set_ylabel(name)
        finish(ax, found)
    for ax in axes[:3]:
        ax.set_ylim(0, None)
    if np.median(found.loss[-1]) > WIDE * np.median(found.loss[0]):
        axes[3].set(yscale="log")
        axes[3].yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes[3].yaxis.set_minor_formatter(lambda value, _: f"{value:g}" if f"{value:.0e}"[0] in "25" else "")
        axes[3].tick_params(axis="y", which="minor", labelsize=7)
    if differ:
        survivors(figure.add_subplot(grid[:, 2]), found, label)
    dashed = "" if found.removed is None else "; dashed: superposition is gone"
    seeds = f"medians of {found.loss.shape[1]} seeds and the half of them around"
    for ax in axes[2:]:
        ax.set_xlabel(label)
    figure.supxlabel(f"{found.note}; {seeds}{dashed}", fontsize=7)
    return figure


def finish(ax: Axes, found: Curves) -> None:
    """The axis of strengths: logarithmic, 0 at its left end, where they are far apart; where superposition ends."""
    least = found.strength[found.strength > 0].min()
    if found.strength.max() > 100 * least:
        ax.set_xscale("symlog", linthresh=float(least), linscale=0.5)
        ax.set_xticks([0, *10.0 ** np.arange(np.ceil(np.log10(least)), np.log10(found.strength.max()) + 0.1)])
        ax.minorticks_off()
    ax.set_xlim(0, found.strength.max())
    if found.removed is not None:
        ax.axvline(found.strength[found.removed], color=plots.FAINT, linewidth=0.8, linestyle="--", zorder=0)


def survivors(ax: Axes, found: Curves, label: str) -> None:
    """In which share of the seeds each feature is represented, the most important on top."""
    share = found.kept.mean(axis=1).T
    ax.spines[:].set_visible(True)
    ax.imshow(share, cmap=plots.VIRIDIS, vmin=0, vmax=1, aspect="auto", interpolation="nearest")
    places = selection.evenly(len(found.strength), 5)
    ax.set_xticks(places, [f"{found.strength[k]:g}" for k in places])
    ax.set_yticks(selection.evenly(len(share), 5))
    ax.set(xlabel=label, ylabel="feature, the most important on top")
    plots.colorbar(ax, plots.Scale(plots.VIRIDIS, 0.0, 1.0), "seeds that represent it")


def nanmedian(values: np.ndarray) -> np.ndarray:
    """Over seeds; infinite where no model has features."""
    there = np.isfinite(values).any(axis=1)
    out = np.full(len(values), np.inf)
    out[there] = np.nanmedian(values[there], axis=1)
    return out


def told(found: Curves, k: int) -> str:
    """What models are at a strength."""
    features, loss = np.median(found.represented[k]), np.median(found.loss[k]) / np.median(found.loss[0])
    return f"{found.without[k].mean():.0%} of models without, {features:g} features, {loss:.2f} times the clean loss"


def said(axis: str, text: str, source: str, check: Callable[[Curves], Verdict | None]) -> Claim:
    """A sentence on the models over one of the axes, the weakest penalty being none."""

    def judged(tree: xr.DataTree) -> Verdict:
        found = curves(tree, axis)
        fits = found is not None and found.strength[0] == 0
        verdict = check(found) if fits and found is not None else None
        return verdict or Verdict(None, f"nothing: the arrays lack models over `{axis}`, from 0, of which to say this")

    return Claim(text, source, judged)
