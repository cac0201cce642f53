"""Superposition as a phase change: what becomes of one extra feature, by its density and its importance.

Paper: "Superposition as a Phase Change". n = 2 features in m = 1 dimension (or 3 in 2), x' = ReLU(W^T W x + b). The
others have importance 1, the extra one, the last, r = 0.1 to 10; all have a density from 1 to 0.01.

    python -m superpose.run experiment=phase_change sparsity=dense importance=dense

You should see: the extra feature is ignored (grey) where features are dense and it matters less, has a dimension to
itself (blue) where it matters more, and shares one (red) where features are sparse; between them a sharp change, near
the density at which the closed forms of `superpose.theory` cross. Pairs live on to densities a little higher than that,
most of all where both matter alike: the closed form gives a pair no bias, and a shared positive one is better.
"""

import dataclasses
from collections.abc import Callable

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from superpose import charts, diagrams, panels, statistics, theory
from superpose.charts import Chart
from superpose.experiment import Claim, Experiment, Verdict

SOURCE = "Superposition as a Phase Change"
MOST = 0.99  # of the cells
ROUNDING = 1e-5  # of a float32 loss
LOWER = 0.25  # the quantile that is shown
NEAR_ONE = 1.25  # importances near 1: a factor
SAME = 0.01  # of a loss
NONE, WHOLE = 1e-3, 0.05  # what counts as no superposition; how near to 0 and 1 superposition and norm are


def figure(tree: xr.DataTree) -> Figure:
    """All panels of the first variant that has a map."""
    found = [shown for label in tree.children if (shown := charts.chart(tree, label)) is not None]
    return of_one(found[0]) if found else Figure(figsize=(6.9, 4.1))


def of_one(shown: Chart) -> Figure:
    """Theory, the best models, where the two differ, the seeds that agree; below, other reductions of the seeds."""
    figure = Figure(figsize=(6.9, 4.1))
    axes = figure.subplots(2, 4)
    panels.theory_map(axes[0, 0], shown)
    panels.trained_map(axes[0, 1], shown, shown.best, "best model")
    panels.difference_map(axes[0, 2], shown)
    panels.seeds_map(axes[0, 3], shown)
    diagrams.key(axes[1, 0])
    axes[1, 0].set_title("colours of b, f, g, h")
    colours = shown.ds[list(charts.COLOURS)]
    panels.trained_map(axes[1, 1], shown, colours.map(statistics.median), "median of seeds")
    panels.trained_map(axes[1, 2], shown, shown.mean_without_worst(), "mean without worst")
    lower = colours.map(lambda a: statistics.quantiles(a, [LOWER]).isel(quantile=0))
    panels.trained_map(axes[1, 3], shown, lower, "lower quartile")
    for ax, letter in zip(axes.ravel(), "abcdefgh", strict=True):
        ax.set_title(f"$\\bf{{{letter}}}$  {ax.get_title()}", loc="left", fontsize=7.5)
        ax.set_title("")
    panels.named((axes[0, 0], axes[1, 1]), (*axes[0], *axes[1, 1:]))
    figure.supxlabel("\n".join([panels.caption(shown), *explained(shown)]), fontsize=7)
    return figure


def explained(shown: Chart) -> list[str]:
    """What the panels show, and where and why they differ."""
    lines = [
        "f, g, h: norm and superposition, each over the seeds; unlike b where not all seeds reach the best loss (d)"
    ]
    if shown.losses() is None:
        return lines
    lines.insert(0, "c: cells in which the best model is in another phase than theory, in its colour; orange: theory")
    both = "a: both blues are a dimension of its own for the extra feature, which b and f to h show alike"
    return [both, *lines] if shown.n == 3 else lines


def said(
    text: str, check: Callable[[Chart], Verdict | None], n: int | None = None, source: str = SOURCE, ours: bool = False
) -> Claim:
    """A sentence on ReLU models that have closed forms, of n features where given."""

    def judged(tree: xr.DataTree) -> Verdict | None:
        shown = charts.chart(tree, "relu")
        if shown is not None and n not in (None, shown.n):
            return None
        usable = shown is not None and shown.losses() is not None and (shown.phases[shown.trained] >= 0).any()
        verdict = check(shown) if usable and shown is not None else None
        if shown is None or verdict is None:
            return Verdict(None, "nothing: the arrays lack the models that this speaks of")
        return dataclasses.replace(verdict, seeds=shown.ds.sizes["seed"])

    return Claim(text, source, judged, ours)


def agreement(shown: Chart, phases: np.ndarray) -> Verdict | None:
    known, same = phases >= 0, phases == theory.EXTRA_PHASE[shown.in_theory()]
    away = shown.surely(theory.EXTRA_PHASE) & known
    if not away.any():
        return None
    words = f"{same[away].mean():.1%} of {away.sum():,} cells away from a boundary, {same[known].mean():.1%} of the map"
    far = f"that are a factor of {charts.AWAY:g} in density and importance away from a boundary"
    return Verdict(bool(same[away].mean() >= MOST), words, f"{MOST:.0%} of the cells {far}")


def as_the_paper_reduces(shown: Chart) -> Verdict | None:
    reduced = shown.mean_without_worst()
    return agreement(shown, charts.classify(reduced["norm"], reduced["superposition"]).values)


def none_at_all(shown: Chart) -> Verdict | None:
    """The greatest superposition of a represented feature where closed forms ignore the extra one."""
    away = shown.surely(np.arange(4)) & (shown.in_theory() == 0)
    if not away.any():
        return None
    best = shown.best.transpose("sparsity", "importance", ...)
    most = best["superposition"].where(best["norm"] > 0.5).max("feature").values[away]
    words = f"below {NONE:g} in {(most < NONE).mean():.1%} of {away.sum():,} cells, at most {most.max():.1g}"
    far = f"a factor of {charts.AWAY:g} away from a boundary"
    expected = f"{MOST:.0%} of the cells in which closed forms ignore the extra feature, {far}"
    return Verdict(bool((most < NONE).mean() >= MOST), words, expected)


def beyond_theory(shown: Chart) -> tuple[np.ndarray, np.ndarray]:
    """The importances at which the end of superposition is known, and its density over that of the closed forms."""
    form = theory.phase_boundary if shown.n == 2 else theory.phase_boundary_3_2
    ratio = shown.endings[1] / form(shown.x)
    return shown.x[~np.isnan(ratio)], ratio[~np.isnan(ratio)]


def where_forms_cross(shown: Chart) -> Verdict | None:
    (r, ratio), step = beyond_theory(shown), shown.endings[2]
    if not len(r):
        return None
    low, high = int(np.argmin(ratio)), int(np.argmax(ratio))
    same = np.abs(np.log(ratio)) <= np.log(step[~np.isnan(step)])
    words = (
        f"{ratio[low]:.2f} (r = {r[low]:.3g}) to {ratio[high]:.2f} (r = {r[high]:.3g}) times that density,"
        f" in the median {np.median(ratio):.2f}; at {same.mean():.0%} of importances the same"
    )
    form = "4r/(2+5r) up to r = 1, " + ("4/(5+2r) from there" if shown.n == 2 else "4/7 from there")
    return Verdict(bool(same.all()), words, f"{form}, within half a step of the grid")


def most_of_all_near_one(shown: Chart) -> Verdict | None:
    r, ratio = beyond_theory(shown)
    if len(r) < 4 or r[0] > 1 / NEAR_ONE or r[-1] < NEAR_ONE:
        return None
    k = int(np.argmax(ratio))
    words = f"{ratio[k]:.2f} times that density at r = {r[k]:.3g}; {ratio[0]:.2f} and {ratio[-1]:.2f} at the ends"
    step = float(np.nanmax(shown.endings[2]))
    holds = bool(ratio[k] > step and abs(np.log(r[k])) <= np.log(NEAR_ONE))
    expected = f"above 1 by more than half a step of the grid, and greatest within a factor of {NEAR_ONE:g} of r = 1"
    return Verdict(holds, words, expected)


def shorter(shown: Chart) -> Verdict | None:
    """The smaller of the two norms at the highest density of superposition."""
    row, ends, _ = shown.endings
    columns = np.flatnonzero(~np.isnan(ends))
    if not len(columns):
        return None
    norm = shown.best["norm"].transpose("sparsity", "importance", ...).values.min(axis=-1)[row[columns], columns]
    words = f"{norm.min():.2f} to {norm.max():.2f} over {len(norm)} importances"
    return Verdict(bool(norm.max() < 1), words, "below 1 at every importance")


def rising(shown: Chart) -> tuple[np.ndarray, np.ndarray, bool, str] | None:
    """Importances from r = 1 on and the densities at which superposition ends there; whether these rise up to r = 1."""
    known = ~np.isnan(shown.endings[1])
    r, ends = shown.x[known], shown.endings[1][known]
    below, beyond = ends[r <= 1], ends[r >= 1]
    if len(below) < 2 or len(beyond) < 2:
        return None
    words = f"from {below[0]:.3f} at r = {r[0]:.3g} to {below[-1]:.3f} at r = {r[r <= 1][-1]:.3g}, "
    return r[r >= 1], beyond, bool((np.diff(below) >= 0).all()), words


def rises_and_falls(shown: Chart) -> Verdict | None:
    found = rising(shown)
    if found is None:
        return None
    r, beyond, rises, words = found
    words += f"from {beyond[0]:.3f} at r = {r[0]:.3g} to {beyond[-1]:.3f} at r = {r[-1]:.3g}"
    return Verdict(rises and bool((np.diff(beyond) <= 0).all()), words, "no fall, then no rise")


def rises_and_stays(shown: Chart) -> Verdict | None:
    found = rising(shown)
    if found is None:
        return None
    r, beyond, rises, words = found
    near = np.abs(np.log(beyond / beyond[-1])) <= 2 * np.log(np.nanmax(shown.endings[2])) * (1 + 1e-9)
    start = len(near) - int(near[::-1].cumprod().sum())
    words += f"then {beyond.min():.3f} to {beyond.max():.3f}, {beyond[-1]:.3f} from r = {r[start]:.3g} on"
    return Verdict(rises and bool(near.all()), words, "no fall, then one density within a step of the grid; theory 4/7")


def three_colours(shown: Chart) -> Verdict | None:
    """The extra feature where it is dedicated, the others being antipodal or one of them ignored."""
    extra = shown.best.isel(feature=-1).transpose("sparsity", "importance", ...)
    whole = (np.abs(extra["norm"].values - 1) <= WHOLE) & (extra["superposition"].values <= WHOLE)
    of = [whole[(shown.states == state) & shown.trained] for state in (1, 3)]
    if not all(len(own) for own in of):
        return None
    words = f"of {len(of[0]):,} cells with one of the others ignored {of[0].mean():.1%}, of {len(of[1]):,} with the"
    words += f" others antipodal {of[1].mean():.1%}"
    expected = f"{MOST:.0%} of either have superposition 0 and norm 1 within {WHOLE:g}"
    return Verdict(bool(min(own.mean() for own in of) >= MOST), words, expected)


def mirrored(shown: Chart) -> tuple[np.ndarray, np.ndarray]:
    """The column of importance 1/r for each r, and the cells that have such a mirror image, both with a model."""
    mirror = np.abs(np.log(shown.x[:, None] * shown.x)).argmin(axis=1)
    paired = np.isclose(shown.x * shown.x[mirror], 1, rtol=1e-4) & ~np.isclose(shown.x, 1, rtol=1e-4)
    return mirror, shown.trained & shown.trained[:, mirror] & paired


def symmetric(shown: Chart) -> Verdict | None:
    mirror, usable = mirrored(shown)
    usable &= (shown.phases >= 0) & (shown.phases[:, mirror] >= 0)
    if not usable.any():
        return None
    same = np.array([1, 0, 2])[shown.phases[:, mirror]][usable] == shown.phases[usable]
    words = f"{same.mean():.2%} of {same.size:,} cells"
    return Verdict(bool(same.mean() >= MOST), words, f"{MOST:.0%} of the cells that have a mirror image")


def scaled(shown: Chart) -> Verdict | None:
    """Importances (1, r) are r times (1/r, 1), the problem at 1/r with the features exchanged."""
    mirror, usable = mirrored(shown)
    if not usable.any():
        return None
    best = shown.best.transpose("sparsity", "importance", ...)
    loss, norm = best["loss"].values, best["norm"].values
    ratio = np.abs(loss / shown.x / loss[:, mirror] - 1)[usable]
    apart = np.abs(norm - norm[:, mirror, ::-1]).max(axis=-1)[usable]
    same = (ratio <= SAME) & (apart <= WHOLE)
    words = f"L / r within {ratio.max():.1g}, norms within {apart.max():.1g}; {same.mean():.2%} of {same.size:,} cells"
    expected = f"L / r at r that at 1/r within {SAME:g}, norms within {WHOLE:g}, the features exchanged, in {MOST:.0%}"
    return Verdict(bool(same.mean() >= MOST), words, f"{expected} of the cells that have a mirror image")


def not_above(shown: Chart) -> Verdict | None:
    losses = shown.losses()
    if losses is None or not shown.exact:
        return None
    ratio = np.where(shown.trained, shown.best["loss"].values / np.min(list(losses.values()), axis=0), np.nan)
    row, column = np.unravel_index(np.nanargmin(ratio), ratio.shape)
    words = (
        f"{np.nanmin(ratio):.4f} (r = {shown.x[column]:.3g}, p = {shown.y[row]:.3g}) to {np.nanmax(ratio):.6f} times"
        f" it, in the median {np.nanmedian(ratio):.4f}"
    )
    holds = bool(np.nanmax(ratio) <= 1 + ROUNDING)
    return Verdict(holds, words, f"at most {1 + ROUNDING:.5f}")


experiment = Experiment(
    figure=figure,
    phase=charts.phase,
    claims=(
        said("The best models are in the phase of the lowest closed form.", lambda of: agreement(of, of.phases)),
        said("So are the models' means without the worst, the paper's reduction.", as_the_paper_reduces),
        said("Superposition ends at the density at which the closed forms cross.", where_forms_cross),
        said("That density rises with importance up to r = 1, then it falls.", rises_and_falls, n=2),
        said("That density rises with importance up to r = 1, then it stays.", rises_and_stays, n=3),
        said("There is a regime with exactly no superposition.", none_at_all, source="Strategic Picture"),
        said("Scaling all importances alike scales the loss, and leaves the best model as it is.", scaled, n=2),
        said("It lasts beyond that density, most of all near r = 1.", most_of_all_near_one, ours=True),
        said("Where it ends, the less important feature's norm is below 1.", shorter, n=2, ours=True),
        said("The phases at r are those at 1/r with the two features exchanged.", symmetric, n=2, ours=True),
        said(
            "A dedicated extra feature looks the same whatever the others do: three colours.",
            three_colours,
            3,
            ours=True,
        ),
        said("No closed form has a lower loss than the best model.", not_above, ours=True),
    ),
)
