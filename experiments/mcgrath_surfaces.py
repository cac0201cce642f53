"""The exact loss of two features in one dimension, without bias, over their two weights; and a "confused feature".

    L(W_1, W_2) = E sum_i I_i (x_i - ReLU(W_i (W_1 x_1 + W_2 x_2)))^2,    importances (1, I_2), n = 2, m = 1

Paper: McGrath's comment, three cases: a, at a low importance W_2 is low but not zero; b, at a high sparsity features
are antipodal; c, at S = 0.1 and I_2 = 0.8 W_1 and W_2 are near 1/sqrt(2), "confused". It gives the numbers of c only:
here a is c at a lower importance, (0.1, 0.1), and b is c at a higher sparsity, (0.9, 0.8).

    python -m superpose.run experiment=mcgrath_surfaces

You should see trained models at the minima of `theory.loss_without_bias`; a confused region, which passes into the
ignored one without a jump and meets the antipodal one at a jump; and, with a trained bias, none: x_2 is ignored there.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import xarray as xr
from jaxtyping import Float, Int8
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from superpose import charts, diagrams, plots, selection, statistics, theory
from superpose.experiment import Claim, Experiment, Verdict

SOURCE = "McGrath's comment"
CASES = {"a": (0.1, 0.1), "b": (0.9, 0.8), "c": (0.1, 0.8)}  # (S, I_2)
PLACES = CASES | {"d": (0.9, 0.1)}
"""The corners of a rectangle: the cases and a fourth one."""
PHASES = ("ignored", "dedicated", "antipodal", "confused")
REACH, CLOSE, STEP, JUMP = 0.03, 0.05, 0.05, 0.3
"""How far a cell may lie from its case, in S and in I_2; and weights from where they are said to be near. A change of W
above JUMP between neighbouring cells, which lie at most STEP apart, is no continuous move."""
EDGE, H = 1.3, 1e-4
SURFACE = plots.Scale(plots.VIRIDIS, 0.0, 1.0, extend="max")

Weights = Float[np.ndarray, "... 2"]
Level = float | Float[np.ndarray, "..."]


def loss(W: Weights, S: Level, r: Level) -> Float[np.ndarray, "..."]:
    """The exact loss at W of models without bias, r the second feature's importance."""
    return theory.loss_without_bias(W[..., 0], W[..., 1], 1 - S, r)


def derivatives(W: Weights, S: Level, r: Level) -> tuple[Weights, Float[np.ndarray, "... 2 2"]]:
    """Gradient and Hessian, by central differences of H: for W off the axes, where the gradient jumps."""
    L = {(i, j): loss(W + H * np.array([i, j]), S, r) for i in (-1, 0, 1) for j in (-1, 0, 1)}
    gradient = np.stack([L[1, 0] - L[-1, 0], L[0, 1] - L[0, -1]], -1) / (2 * H)
    first, second = L[1, 0] + L[-1, 0] - 2 * L[0, 0], L[0, 1] + L[0, -1] - 2 * L[0, 0]
    mixed = (L[1, 1] + L[-1, -1] - L[1, -1] - L[-1, 1]) / 4
    return gradient, np.stack([first, mixed, mixed, second], -1).reshape(*W.shape, 2) / H**2


def newton(W: Weights, S: Level, r: Level, *, down: bool) -> Weights:
    """From each W to where the gradient is zero, in steps of at most 0.1; with `down` always to lower losses."""
    for _ in range(40):
        gradient, hessian = derivatives(W, S, r)
        curvature, axes = np.linalg.eigh(hessian)
        curvature = np.where(np.abs(curvature) < 1e-6, 1e-6, np.abs(curvature) if down else curvature)
        step = np.einsum("...ij,...j,...kj,...k->...i", axes, 1 / curvature, axes, gradient)
        W = W - step / np.maximum(1, np.linalg.norm(step, axis=-1, keepdims=True) / 0.1)
    return W


def critical_points(S: float, r: float) -> tuple[Float[np.ndarray, "minima 2"], Float[np.ndarray, "saddles 2"]]:
    """All minima and all saddles with |W_i| < EDGE, of both signs.

    Between the axes: where Newton's method ends from each cell of a lattice on which both derivatives change sign. On
    an axis, a kink, the loss is p / 3 (1 - W_i^2)^2 and a constant: only +-1 may be one. A circle around each tells.
    """
    side, found = np.linspace(0.001, EDGE, 131), [np.eye(2)]
    for signs in np.array([(1, 1), (1, -1)]):
        lattice = signs * np.stack(np.meshgrid(side, side, indexing="ij"), -1)
        slope = derivatives(lattice, S, r)[0]
        corners = np.stack([slope[:-1, :-1], slope[:-1, 1:], slope[1:, :-1], slope[1:, 1:]])
        starts = lattice[:-1, :-1][((corners.min(0) <= 0) & (corners.max(0) >= 0)).all(-1)]
        ends = newton(starts + signs * (side[1] - side[0]) / 2, S, r, down=False)
        flat = np.linalg.norm(derivatives(ends, S, r)[0], axis=-1) < 1e-6
        found.append(ends[flat & ((signs * ends > 2 * H) & (signs * ends < EDGE)).all(-1)])
    W = np.unique(np.concatenate(found).round(6), axis=0)
    angles = 2 * np.pi * (np.arange(360) + 0.5) / 360
    circle = 10 * H * np.stack([np.cos(angles), np.sin(angles)], -1)
    higher = loss(W[:, None] + circle, S, r) > loss(W, S, r)[:, None]
    minima, saddles = W[higher.all(-1)], W[(higher != np.roll(higher, 1, -1)).sum(-1) >= 4]
    return np.concatenate([minima, -minima]), np.concatenate([saddles, -saddles])


def minimiser(S: Level, r: Level) -> tuple[Weights, Float[np.ndarray, "..."]]:
    """The lowest minimum, W_1 > 0, and its loss, for each S and r: the lower one of two quadrants' lowest."""
    S, r = np.broadcast_arrays(S, r)
    side, found = np.linspace(0.05, EDGE, 26), []
    for signs in np.array([(1, 1), (1, -1)]):
        lattice = signs * np.stack(np.meshgrid(side, side, indexing="ij"), -1).reshape(-1, 2)
        start = lattice[loss(lattice, S[..., None], r[..., None]).argmin(-1)]
        found.append(newton(start, S, r, down=True))
    W = np.where((loss(found[0], S, r) <= loss(found[1], S, r))[..., None], *found)
    return W * np.where(W[..., :1] < 0, -1, 1), loss(W, S, r)


def kinds(W: Weights) -> Int8[np.ndarray, "..."]:
    """The number in PHASES of each model, a feature of norm above 0.5 being represented; -1 where W is not finite.

    Both are: antipodal where W_1 W_2 < 0, else confused. The second one alone is: dedicated; else ignored.
    """
    first, second = np.moveaxis(np.abs(W) > 0.5, -1, 0)
    found = np.where(first & second, np.where(W.prod(-1) < 0, 2, 3), np.where(second, 1, 0))
    return np.where(np.isfinite(W).all(-1), found, -1).astype(np.int8)


def weights(ds: xr.Dataset) -> Weights:
    """(W_1, W_2), float64, W_1 > 0: W and -W are the same model."""
    W = ds["W"].isel(hidden=0).transpose(..., "feature").values.astype(np.float64)
    return W * np.where(W[..., :1] < 0, -1, 1)


def phase(ds: xr.Dataset) -> xr.DataArray:
    """What the best model of each cell does with its second feature; -1 where none is usable."""
    best = statistics.best(ds)
    attributes = {"long_name": "phase", "flag_values": list(range(4)), "flag_meanings": " ".join(PHASES)}
    return best["loss"].copy(data=kinds(weights(best))).assign_attrs(attributes).rename("phase")


def arrays(tree: xr.DataTree, label: str) -> xr.Dataset:
    """A variant over S and I_2, at one point of any other axis; nothing unless it is of n = 2, m = 1."""
    ds, shown = tree[label].to_dataset() if label in tree.children else xr.Dataset(), ("sparsity", "importance")
    if not {*shown, "seed"} <= set(ds.sizes) or (ds.sizes.get("feature"), ds.sizes.get("hidden")) != (2, 1):
        return xr.Dataset()
    return selection.one_point(ds, shown)[0].transpose(*shown, "seed", ...)


def cell(ds: xr.Dataset, case: str) -> xr.Dataset:
    """The usable models of the cell nearest to a case, the best one first; nothing where there is none within REACH."""
    if "W" not in ds:
        return ds
    S, r = CASES[case]
    near = ds.sel(sparsity=S, importance=r, method="nearest")
    models = near.isel(seed=np.flatnonzero(near["loss"].notnull() & near["finite"])).sortby("loss")
    far = max(abs(near["sparsity"] - S), abs(near["importance"] - r)) > REACH
    return xr.Dataset() if far or not models.sizes["seed"] else models


def figure(tree: xr.DataTree) -> Figure:
    """Above, the surfaces of the three cases. Below, both weights around a loop, and W_1 W_2 of the best models."""
    figure = Figure(figsize=(6.9, 4.9))
    above, below = figure.subplots(2, 3)
    without_bias, relu = arrays(tree, "without_bias"), arrays(tree, "relu")
    for ax, case, title in zip(above, CASES, ("low importance", "high sparsity", "confused feature"), strict=True):
        surface(ax, *CASES[case], cell(without_bias, case))
        ax.set_title(f"{case}  {title}\n$1-S = {1 - CASES[case][0]:g}$, $I_2 = {CASES[case][1]:g}$")
    plots.colorbar(list(above), SURFACE, "loss / loss of $W = 0$")
    loop(below[0], without_bias)
    product(below[1], without_bias, "best models, no bias")
    product(below[2], relu, "best models, with bias")
    plots.colorbar(list(below), plots.WEIGHTS, "$W_1 W_2$")
    figure.legend(*above[1].get_legend_handles_labels(), loc="outside upper center", ncols=4, frameon=False)
    seeds = f"; dots above: all seeds, below: {selection.best_of(without_bias)}" if "W" in without_bias else ""
    figure.supxlabel(f"$n = 2$, $m = 1$, importances $(1, I_2)${seeds}; maps: a, b, c, d are the corners", fontsize=7)
    return figure


def surface(ax: Axes, S: float, r: float, models: xr.Dataset) -> None:
    """The exact loss over both weights, its minima and saddles, and the models of all seeds at the nearest cell."""
    side = np.linspace(-EDGE, EDGE, 261)
    over = loss(np.stack(np.meshgrid(side, side), -1), S, r) / loss(np.zeros(2), S, r)
    ax.spines[:].set_visible(True)
    ax.imshow(over, cmap=SURFACE.map, vmin=0, vmax=1, origin="lower", extent=(-EDGE, EDGE, -EDGE, EDGE))
    ax.contour(side, side, over, levels=np.geomspace(0.05, 3, 12), colors="white", linewidths=0.3, alpha=0.6)
    minima, saddles = critical_points(S, r)
    lowest = np.isclose(loss(minima, S, r), loss(minima, S, r).min(), rtol=1e-6)
    shown = {"lowest minimum": (minima[lowest], "o", 40), "other minimum": (minima[~lowest], "s", 34)}
    for name, (where, marker, size) in (shown | {"saddle": (saddles, "X", 28)}).items():
        ax.scatter(where[:, 0], where[:, 1], size, "white", marker=marker, ec=plots.INK, lw=0.7, label=name)
    if "W" in models:
        W1, W2 = models["W"].isel(hidden=0).transpose("feature", "seed").values
        ax.scatter(W1, W2, 7, color=plots.WEIGHTS.map(1.0), linewidth=0, label="trained models", zorder=3)
    ax.set(xlabel="$W_1$", ylabel="$W_2$", xticks=[-1, 0, 1], yticks=[-1, 0, 1])


def product(ax: Axes, ds: xr.Dataset, title: str) -> None:
    """W_1 W_2 of the best model of each cell, the borders between phases, and the four corners."""
    ax.set(title=title, xlabel="importance $I_2$", ylabel="density $1-S$")
    if "W" not in ds or min(ds["loss"].shape[:2]) < 2:
        ax.text(0.5, 0.5, "no map", transform=ax.transAxes, ha="center")
        return
    p, r, found = 1 - ds["sparsity"].values, ds["importance"].values, phase(ds).values
    colours = plots.WEIGHTS.colours(weights(statistics.best(ds)).prod(-1).ravel()).reshape(*found.shape, 4)
    diagrams.shade(ax, r, p, colours)
    diagrams.interfaces(ax, r, p, found, color=plots.INK, linewidth=0.6)
    ax.set(xlim=(r.min(), r.max()), ylim=(p.min(), p.max()))
    for k, name in enumerate(PHASES):
        here = np.argwhere(found == k)
        if len(here) > 0.05 * found.size:
            row, column = here[np.abs(here - here.mean(0)).sum(-1).argmin()]
            ax.text(float(r[column]), float(p[row]), name, color="white" if k == 2 else plots.INK, ha="center")
    for corner, (S, own) in PLACES.items():
        row, column = np.abs(p - 1 + S).argmin(), np.abs(r - own).argmin()
        ink = "white" if found[row, column] == 2 else plots.INK
        ax.text(own, 1 - S, corner, color=ink, weight="bold", ha="center", va="center")


def loop(ax: Axes, ds: xr.Dataset) -> None:
    """Both weights without bias, lines exact and rings of the best models, from a to c, to b, to d, to a."""
    corners = np.array([PLACES[corner] for corner in "acbda"])
    ticks, lines = [0.0], []
    ax.set_prop_cycle(color=[plots.VIRIDIS(0.1), plots.VIRIDIS(0.65)])
    for start, end in pairwise(corners):
        S, r = np.linspace(start, end, 401).T
        W, x = minimiser(S, r)[0], ticks[-1] + abs(S - S[0]) + abs(r - r[0])
        W[1:][np.linalg.norm(np.diff(W, axis=0), axis=-1) > JUMP] = np.nan
        lines = ax.plot(x, W, linewidth=1.4)
        if "W" in ds:
            way = xr.Dataset({"sparsity": ("way", S[40::80]), "importance": ("way", r[40::80])})
            best = statistics.best(ds).sel(way, method="nearest")
            x = ticks[-1] + abs(best["sparsity"] - S[0]) + abs(best["importance"] - r[0])
            ax.plot(x, weights(best), "o", mfc="white", mec=plots.WEIGHTS.map(1.0), mew=0.7, markersize=3.2)
        ticks.append(ticks[-1] + np.abs(end - start).sum())
    ax.axhline(0, color=plots.FAINT, linewidth=0.5, zorder=0)
    ax.set(title="lowest minimum, no bias", xlabel="$(1-S, I_2)$ around a rectangle", xlim=(0, ticks[-1]))
    ax.set_xticks(ticks, list("acbda"))
    ax.legend(lines, ["$W_1$", "$W_2$"], frameon=False, loc="center left", bbox_to_anchor=(0, 0.3), handlelength=1)


def claim(
    text: str, cases: str, check: Callable, expected: str, label: str = "without_bias", ours: bool = False
) -> Claim:
    """A claim judged by check(a variant's arrays, its models at each case) -> (holds, measured)."""

    def verdict(tree: xr.DataTree) -> Verdict:
        ds = arrays(tree, label)
        models = {case: cell(ds, case) for case in cases}
        if not all("W" in own for own in models.values()):
            return Verdict(None, f"nothing: `{label}` has no usable model of n = 2, m = 1 at one of {', '.join(cases)}")
        holds, measured = check(ds, **models)
        return Verdict(holds, measured, expected, seeds=ds.sizes["seed"])

    return Claim(text, SOURCE, verdict, ours)


def is_so(holds: Callable[[np.ndarray], bool]) -> Callable:
    """Whether it holds of the best model's (W_1, W_2), of how many seeds, and how many cells are confused."""

    def check(ds: xr.Dataset, **models: xr.Dataset) -> tuple[bool, str]:
        W, confused = weights(*models.values()), phase(ds) == 3
        found = [bool(holds(own)) for own in W]
        told = f"W = ({W[0, 0]:.4f}, {W[0, 1]:.4f}); true of {sum(found)} of {len(found)} seeds"
        return found[0], f"{told}; {int(confused.sum())} of {confused.size} cells are confused"

    return check


def moves(*, jumps: bool) -> Callable:
    """Whether W jumps (does not jump) from the first case to the second, on whatever way through the cells."""

    def check(ds: xr.Dataset, **models: xr.Dataset) -> tuple[bool | None, str]:
        axes = [ds.get_index(axis) for axis in ("sparsity", "importance")]
        at = [tuple(int(np.argmax(axis == own[axis.name].item())) for axis in axes) for own in models.values()]
        change, step = charts.smoothest(weights(statistics.best(ds)), at[0]), max(np.diff(axis).max() for axis in axes)
        told = ", ".join(f"{change[end]:.3f} to {case}" for case, end in zip(list(models)[1:], at[1:], strict=True))
        holds = bool((change[at[1]] > JUMP) == jumps) if step < STEP + 1e-9 and change[at[1]] < np.inf else None
        return holds, f"between cells {step:.3g} apart, on the smoothest way, by up to {told}"

    return check


def even(ds: xr.Dataset, **models: xr.Dataset) -> tuple[bool, str]:
    """Whether each trained model's loss is the surface's at -W."""
    S, r = (ds[axis].values for axis in ("sparsity", "importance"))
    W = ds["W"].isel(hidden=0).transpose(..., "feature").values.astype(np.float64)
    off = np.abs(loss(-W, S[:, None, None], r[:, None]) / ds["loss"].values - 1)
    return bool(np.nanmax(off) < 1e-4), f"off by at most {np.nanmax(off):.1e} of it, {np.isfinite(off).sum():,} models"


def is_lowest(ds: xr.Dataset, **models: xr.Dataset) -> tuple[bool, str]:
    """Whether the best seed of each cell has the loss of the surface's lowest minimum."""
    off = abs(ds["loss"].min("seed").values / minimiser(ds["sparsity"].values[:, None], ds["importance"].values)[1] - 1)
    return bool(np.nanmax(off) < 1e-4), f"off by at most {np.nanmax(off):.1e} of it in {np.isfinite(off).sum()} cells"


low, antipodal = lambda W: 0.01 < abs(W[1]) < 0.5 < abs(W[0]), lambda W: abs(W - [1, -1]).max() < CLOSE
confused, sure = lambda W: abs(W - np.sqrt(0.5)).max() < CLOSE, lambda W: kinds(W) != 3
experiment = Experiment(
    figure=figure,
    phase=phase,
    claims=(
        claim("A low importance: W_2 is low, but not zero.", "a", is_so(low), "0.01 < |W_2| < 0.5 < |W_1|"),
        claim("A high sparsity: antipodal.", "b", is_so(antipodal), f"W = +-(1, -1) within {CLOSE}"),
        claim("S = 0.1, I_2 = 0.8: confused.", "c", is_so(confused), f"both weights 1/sqrt(2) within {CLOSE}"),
        claim(
            "With a bias it is not confused.", "c", is_so(sure), "not both norms above 0.5 at one sign", "relu", True
        ),
        claim("From a to b W moves continuously.", "abc", moves(jumps=False), f"at most {JUMP} to b"),
        claim("From antipodal to confused W jumps.", "bc", moves(jumps=True), f"more than {JUMP}"),
        claim("W and -W are the same model.", "abc", even, "at -W the same loss, within 1e-4"),
        claim("Training finds the lowest minimum.", "abc", is_lowest, "its loss within 1e-4 in every cell", ours=True),
    ),
)
