"""Is the phase change of n = 2 features in m = 1 dimension of first order? Models followed from either side of it.

Paper: "Superposition as a Phase Change". Each model is trained at one end of a path of densities, and at each next one
from the model of the one before: `start` 0 goes from dense to sparse, 1 back. The loss is exact, so that a walk stays
in its minimum for as long as that is one.

    python -m superpose.run experiment=phase_change_path

You should see: the less important feature is ignored on the dense side, and half of an antipodal pair on the sparse
one. The two losses cross with different slopes, and its norm jumps. Either walk goes on beyond the crossing.

The features' importances are 1 and r. The problem at 1 / r is that at r with the features exchanged and L divided by r,
so that the figure shows r <= 1. The less important feature is the one of the smaller norm; at r = 1 it is either.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from superpose import plots, selection, statistics, theory
from superpose.experiment import Claim, Experiment, Verdict

SOURCE = "Superposition as a Phase Change"
SIDES = ("dense", "sparse")
APART = 0.05
"""Two walks are in different minima where the smaller norms of their models differ by more than this."""
SLOPES, JUMP = 0.05, 0.1
"""What counts as different slopes d ln L / d ln p, and as a jump of a norm."""
BEYOND = 3
"""So many points of the path, on either side of the crossing, a solution goes on as a minimum."""
PANELS = 4
COLOURS = dict(zip(SIDES, plots.WEIGHTS.colours(np.array([-1.0, 1.0])), strict=True))


class Walks(NamedTuple):
    """Of one importance the best walk from either side: loss and smaller norm along `density`, which rises."""

    importance: float
    density: np.ndarray
    loss: dict[str, np.ndarray]
    norm: dict[str, np.ndarray]
    seeds: int

    @property
    def ignored(self) -> np.ndarray:
        """The closed form of the loss of ignoring the less important feature."""
        return theory.dropped_loss(self.density, min(self.importance, 1.0))


class Crossing(NamedTuple):
    """Where the losses of two walks in different minima are equal: the density, d ln L / d ln p and norms of either.

    `ends` are the densities between which the walks are apart, each halfway to the next point of the path.
    """

    density: float
    slopes: dict[str, float]
    norms: dict[str, float]
    ends: tuple[float, float]


def walks(tree: xr.DataTree) -> list[Walks]:
    """Of each importance the walks of the lowest mean loss; none where the arrays are of something else."""
    ds = tree["relu"].to_dataset() if "relu" in tree.children else xr.Dataset()
    if not {"loss_path", "W_path", "start"} <= set(ds.variables) or "sparsity" in ds.coords:
        return []
    if tuple(ds.sizes.get(dim) for dim in ("start", "feature", "hidden")) != (2, 2, 1):
        return []
    ds = ds.isel({dim: ds.sizes[dim] // 2 for dim in ds["loss"].dims if dim not in ("importance", "start", "seed")})
    ds = ds if "importance" in ds.dims else ds.expand_dims("importance")
    best = statistics.best(ds.assign(walk=ds["loss_path"].mean("path", skipna=False)), by="walk")
    order = SIDES if ds["path_point"][0] > ds["path_point"][-1] else SIDES[::-1]
    best = best.isel(path=np.argsort(best["path_point"].values))
    found = []
    for own in (best.sel(importance=r) for r in best["importance"].values):
        sides = {side: own.isel(start=k) for k, side in enumerate(order)}
        loss = {side: walk["loss_path"].values.astype(float) for side, walk in sides.items()}
        norm = {side: abs(walk["W_path"]).min(("hidden", "feature")).values for side, walk in sides.items()}
        found.append(Walks(float(own["importance"]), own["path_point"].values, loss, norm, ds.sizes["seed"]))
    return found


def crossing(walks: Walks) -> Crossing | None:
    """The crossing of the losses of two walks that are in different minima on both sides of it; None: there is none."""
    p, norm = walks.density, walks.norm
    ahead = walks.loss["dense"] - walks.loss["sparse"]
    apart = np.abs(norm["dense"] - norm["sparse"]) > APART
    places = np.flatnonzero(apart[:-1] & apart[1:] & (ahead[:-1] > 0) & (ahead[1:] <= 0))
    if not len(places):
        return None
    k = int(places[-1])
    low = k + 1 - int(np.argmin(np.append(apart[k::-1], False)))
    high = k - 1 + int(np.argmin(np.append(apart[k:], False)))
    run, at = slice(low, high + 1), float(np.interp(0, -ahead[[k, k + 1]], p[[k, k + 1]]))
    slopes = {side: np.gradient(np.log(loss[run]), np.log(p[run])) for side, loss in walks.loss.items()}
    return Crossing(
        density=at,
        slopes={side: float(np.interp(at, p[run], slope)) for side, slope in slopes.items()},
        norms={side: float(np.interp(at, p, own)) for side, own in norm.items()},
        ends=(float(p[max(low - 1, 0) : low + 1].mean()), float(p[high : high + 2].mean())),
    )


def figure(tree: xr.DataTree) -> Figure:
    """Losses above, smaller norms below, a column for each importance."""
    found = [each for each in walks(tree) if each.importance < 1 + 1e-6] or walks(tree)
    shown = [found[k] for k in selection.evenly(len(found), PANELS)]
    figure = Figure(figsize=(6.9, 3.7))
    grid = figure.subplots(2, max(len(shown), 1), sharex="col", squeeze=False)
    for (above, below), each in zip(grid.T, shown, strict=False):
        at = crossing(each)
        losses(above, each, at)
        norms(below, each, at)
        below.set(xlim=window(each, at)[::-1], ylim=(-0.05, 1.15), xlabel="density $1-S$")
        above.set_title(f"$r = {each.importance:.3g}$")
    grid[0, 0].set_ylabel("loss / loss of\nignoring the feature")
    grid[1, 0].set_ylabel("norm of the less\nimportant feature")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=6, frameon=False, columnspacing=1.2)
    seeds = max((each.seeds for each in shown), default=0)
    told = "$n = 2$, $m = 1$; $r$: one feature's importance over the other's"
    told += f"; walks of the lowest mean loss of {seeds} seeds"
    figure.supxlabel(told if seeds else "no walks from both ends of a path of densities", fontsize=7)
    return figure


def losses(ax: Axes, walks: Walks, at: Crossing | None) -> None:
    """The losses of both walks over that of ignoring the less important feature, and the closed forms."""
    marked(ax, at)
    p, r = walks.density, walks.importance
    for side, width in zip(SIDES, (2.6, 1.0), strict=True):
        label = f"from the {side} side"
        ax.plot(p, walks.loss[side] / walks.ignored, color=COLOURS[side], linewidth=width, label=label)
    fixed = theory.antipodal_loss(p, 1.0, r) / walks.ignored
    ax.plot(p, fixed, "--", color=plots.INK, linewidth=0.7, label="closed forms")
    ax.axhline(1, linestyle="--", color=plots.INK, linewidth=0.7)
    hollow = {"color": "white", "markeredgecolor": plots.INK, "markersize": 3.5}
    ax.plot(theory.phase_boundary(r), 1, "o", **hollow, label="their crossing")
    if at is not None:
        level = float(np.interp(at.density, p, walks.loss["sparse"] / walks.ignored))
        ax.plot(at.density, level, "o", color=plots.INK, markersize=3.5, label="equal losses")
        ax.annotate(
            f"{at.density:.3f}", (at.density, level), (-3, -9), textcoords="offset points", ha="right", fontsize=7
        )
    start, stop = np.searchsorted(p, window(walks, at))
    near = np.concatenate([own[start:stop] / walks.ignored[start:stop] for own in walks.loss.values()])
    low, high = np.nanmin(near), np.nanmax(near)
    ax.set_ylim(low - 0.05 * (high - low), high + 0.15 * (high - low))


def norms(ax: Axes, walks: Walks, at: Crossing | None) -> None:
    """The smaller norms of both walks, an arrow for each at the end of its minimum."""
    marked(ax, at)
    for side, width in zip(SIDES, (2.6, 1.0), strict=True):
        ax.plot(walks.density, walks.norm[side], color=COLOURS[side], linewidth=width)
    if at is None:
        return
    for side, end, step in zip(SIDES, at.ends, (1, -1), strict=True):
        k = int(np.abs(walks.density - end).argmin())
        middle = float(walks.norm[side][max(k - 1, 0) : k + 2].mean())
        arrow = {"arrowstyle": "-|>", "color": COLOURS[side], "linewidth": 1.0, "mutation_scale": 9}
        ax.annotate("", (end, middle + 0.12 * step), (end, middle - 0.12 * step), arrowprops=arrow)
    ax.plot([at.density] * 2, list(at.norms.values()), "o-", color=plots.INK, markersize=3.5, linewidth=0.7)


def marked(ax: Axes, at: Crossing | None) -> None:
    """The densities at which the two walks differ, shaded."""
    if at is not None:
        ax.axvspan(*at.ends, color=plots.FAINT, alpha=0.35, linewidth=0, label="hysteresis")


def window(walks: Walks, at: Crossing | None) -> tuple[float, float]:
    """The densities that a panel shows: those of the hysteresis and the closed forms' boundary, and as many around."""
    if at is None:
        return float(walks.density[0]), float(walks.density[-1])
    low, high = min(at.ends[0], theory.phase_boundary(walks.importance)), at.ends[1]
    margin = 0.4 * (high - low)
    return float(max(low - margin, walks.density[0])), float(min(high + margin, walks.density[-1]))


def each_crossing(
    text: str, source: str, says: Callable[[Walks, Crossing], tuple[bool, str]], expected: str, ours: bool = False
) -> Claim:
    """A sentence that is to be true at every importance."""

    def check(tree: xr.DataTree) -> Verdict:
        found = [(each, crossing(each)) for each in walks(tree)]
        if not found:
            return Verdict(None, "nothing: the arrays lack walks of n = 2, m = 1 from both ends of a path of densities")
        told = [(False, "no crossing") if at is None else says(each, at) for each, at in found]
        words = "; ".join(
            f"r = {each.importance:.3g}: {word}" for (each, _), (_, word) in zip(found, told, strict=True)
        )
        return Verdict(all(holds for holds, _ in told), words, expected, seeds=found[0][0].seeds)

    return Claim(text, source, check, ours)


def slopes(walks: Walks, at: Crossing) -> tuple[bool, str]:
    dense, sparse = (at.slopes[side] for side in SIDES)
    return abs(dense - sparse) > SLOPES, f"at p = {at.density:.3f} with {dense:.2f} and {sparse:.2f}"


def jump(walks: Walks, at: Crossing) -> tuple[bool, str]:
    dense, sparse = (at.norms[side] for side in SIDES)
    return abs(sparse - dense) > JUMP, f"{dense:.2f} to {sparse:.2f}"


def hysteresis(walks: Walks, at: Crossing) -> tuple[bool, str]:
    (low, high), p = at.ends, walks.density
    steps = [int(((p > low) & (p < at.density)).sum()), int(((p > at.density) & (p < high)).sum())]
    return min(steps) >= BEYOND, f"p from {low:.3f} to {high:.3f}, {steps[0]} points below and {steps[1]} above"


def denser(walks: Walks, at: Crossing) -> tuple[bool, str]:
    """By more than the path's points are apart."""
    form, step = theory.phase_boundary(walks.importance), float(np.diff(walks.density).max())
    return bool(at.density > form + step), f"{at.density / form:.3f}"


def symmetric(tree: xr.DataTree) -> Verdict:
    """Are the crossings at r and 1 / r the same?"""
    found = {each.importance: (each, crossing(each)) for each in walks(tree)}
    pairs = [(r, s) for r in found for s in found if r < 1 and np.isclose(r * s, 1, rtol=1e-6)]
    if not pairs:
        return Verdict(None, "nothing: no two importances r and 1 / r")
    both = [[found[r][1] for r in pair] for pair in pairs]
    ratios = [np.nan if one is None or other is None else one.density / other.density for one, other in both]
    words = "; ".join(f"r = {r:.3g}: {ratio:.4f}" for (r, _), ratio in zip(pairs, ratios, strict=True))
    seeds = found[pairs[0][0]][0].seeds
    return Verdict(bool(np.all(np.abs(np.array(ratios) - 1) < 0.01)), words, "ratios of 1 within 1%", seeds=seeds)


experiment = Experiment(
    figure=figure,
    claims=(
        each_crossing(
            "The phase change is of first order: the losses of the two solutions cross with different slopes.",
            SOURCE,
            slopes,
            f"a crossing at every r, the slopes d ln L / d ln p there at least {SLOPES:g} apart",
        ),
        each_crossing(
            "The norm of the less important feature jumps where the losses cross.",
            SOURCE,
            jump,
            f"a jump of at least {JUMP:g} at every r",
        ),
        each_crossing(
            "Either solution goes on as a minimum beyond the crossing: hysteresis.",
            SOURCE,
            hysteresis,
            f"walks apart at {BEYOND} points of the path and more on both sides of the crossing at every r",
            ours=True,
        ),
        each_crossing(
            "The losses cross at a higher density than the closed forms, whose antipodal pair has fixed weights.",
            SOURCE,
            denser,
            "a ratio of the densities above 1 at every r, by more than a step of the path",
            ours=True,
        ),
        Claim("Importances r and 1 / r have the same crossing.", SOURCE, symmetric, ours=True),
    ),
)
