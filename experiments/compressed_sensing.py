"""Features per dimension against the bound of compressed sensing.

Paper: appendix, "Compressed Sensing". A model that gives back all k-sparse vectors of n features needs
m = Omega(k log(n / k)) dimensions; with k = p n active features that is

    m = Omega(-n p log p),    n / m = O(1 / (-p log p))

features in a dimension: linear in m, modulated by sparsity. Features are counted as ||W||_F^2, those of norm 1 as one.

    python -m superpose.run experiment=compressed_sensing

You should see: the curves of several m on one another, and where features are sparse, no faster growth than that of
1 / (-p log p).
"""

import itertools

import numpy as np
import xarray as xr
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from superpose import plots, selection, statistics
from superpose.experiment import Claim, Experiment, Verdict

SOURCE = "Appendix: Compressed Sensing"
SPARSE = 0.3
"""The largest density that counts as sparse: -p log p rises up to p = 1 / e = 0.37 and falls to 0 at p = 1."""
FULL = 0.8
"""The share of all n features above which n, and not m, is the limit."""
LINEAR, RANK = 0.15, 0.95
GROWTH = 1.5
"""By how much the ratio to 1 / (-p log p) may be above its median where features are sparsest: a constant bounds it."""


def bound(p: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """1 / (-p log p), to which the number of features per dimension is at most proportional; natural logarithm."""
    return 1 / (-p * np.log(p))


def per_dimension(tree: xr.DataTree) -> dict[int, xr.DataArray]:
    """m -> features per dimension ||W||_F^2 / m of the best model at each density, sparse first."""
    found = {}
    for node in tree.children.values():
        best = statistics.best(node.to_dataset()).sortby("density")
        kept = best["loss"].notnull() & best["finite"]
        found[best.sizes["hidden"]] = (1 / best["dimensions_per_feature"]).isel(sparsity=np.flatnonzero(kept))
    return {m: found[m] for m in sorted(found) if found[m].size}


def free(m: int, counts: xr.DataArray, n: int) -> xr.DataArray:
    """Those of sparse features that are not near to having all n."""
    return counts.isel(sparsity=np.flatnonzero((counts["density"] <= SPARSE) & (counts * m < FULL * n)))


def features(tree: xr.DataTree) -> int:
    return next(iter(tree.children.values())).sizes["feature"]


def figure(tree: xr.DataTree) -> Figure:
    """Features per dimension over density, and over 1 / (-p log p), a line for each m."""
    found, n = per_dimension(tree), features(tree)
    figure = Figure(figsize=(6.6, 2.9))
    left, right = figure.subplots(1, 2, sharey=True)
    colours = plots.VIRIDIS(np.linspace(0.1, 0.8, len(found)))
    for colour, (m, counts) in zip(colours, found.items(), strict=True):
        p = counts["density"].values
        left.plot(p, counts, color=colour, marker=".", label=f"$m = {m}$")
        sparse = p <= SPARSE
        right.plot(bound(p[sparse]), counts.values[sparse], color=colour, marker=".")
        if (counts.values.max() * m) > FULL * n:
            right.axhline(n / m, color=colour, linewidth=0.6, linestyle=":")
    plots.logarithmic(left, "x", (1.0, 3.0))
    left.invert_xaxis()
    left.set(xlabel="feature density $1-S$", ylabel=r"features per dimension $\Vert W\Vert_F^2 / m$")
    left.legend(frameon=False)
    plots.logarithmic(right, "x")
    plots.logarithmic(right, "y")
    right.set(xlabel=r"$1 / (-p \log p)$, for $p \leq 0.3$")
    bounded(right, largest(found, n))
    figure.supxlabel(
        f"$n = {n}$, all importances 1; {note(tree)}\ndotted: $n / m$, every feature: near to it $n$ is the limit",
        fontsize=7,
    )
    return figure


def bounded(ax: Axes, constant: float) -> None:
    """The least multiple of 1 / (-p log p) that lies above all points, where there is one."""
    ends = np.array(ax.get_xlim())
    if np.isfinite(constant):
        told = rf"${constant:.2f} / (-p \log p)$"
        ax.plot(ends, constant * ends, color=plots.INK, linestyle="--", linewidth=0.8, label=told)
        ax.legend(frameon=False, loc="lower right")
    ax.set_xlim(*ends)


def note(tree: xr.DataTree) -> str:
    """Which of the seeds is shown."""
    return next((selection.best_of(node.to_dataset()) for node in tree.children.values()), "no model")


def seeds_of(tree: xr.DataTree) -> int:
    """The least number of seeds that a density of any m has."""
    counts = [node["loss"].notnull().sum("seed").values for node in tree.children.values()]
    return min((int(each[each > 0].min()) for each in counts if each.any()), default=0)


def largest(found: dict[int, xr.DataArray], n: int) -> float:
    """The largest ratio of features per dimension to 1 / (-p log p), where n is no limit; NaN where there is none."""
    ratios = [free(m, counts, n) for m, counts in found.items()]
    return max(
        (float((r * -r["density"] * np.log(r["density"])).max()) for r in ratios if r.size), default=float("nan")
    )


def linear_in_m(tree: xr.DataTree) -> Verdict:
    """At each density the features per dimension of any two m, where n limits neither."""
    kept = {m: free(m, counts, features(tree)) for m, counts in per_dimension(tree).items()}
    told = {}
    for (m, one), (other_m, other) in itertools.combinations(kept.items(), 2):
        one, other = xr.align(*(each.drop_vars("seed", errors="ignore") for each in (one, other)), join="inner")
        if one.size:
            apart = np.exp(np.abs(np.log(other.values / one.values))) - 1
            told[f"m = {m} and {other_m}"] = float(apart.max()), one.size
    if not told:
        return Verdict(None, "nothing: the arrays lack two m at a density <= 0.3 at which n is no limit")
    words = ", ".join(f"{most:.1%} between {pair} at {count} densities" for pair, (most, count) in told.items())
    holds = max(most for most, _ in told.values()) <= LINEAR
    return Verdict(holds, f"features per dimension differ by at most {words}", f"{LINEAR:.0%}", seeds=seeds_of(tree))


def below_the_bound(tree: xr.DataTree) -> Verdict:
    """The ratio to 1 / (-p log p) must not grow as features become sparser: a constant bounds it."""
    found, n = per_dimension(tree), features(tree)
    told, holds = [], []
    for m, counts in found.items():
        each = free(m, counts, n)
        if each.size >= 3:
            ratio = (each / bound(each["density"].values)).values
            holds.append(bool(ratio[0] <= GROWTH * np.median(ratio)))
            told.append(f"m = {m}: {ratio.min():.2f} to {ratio.max():.2f}, {ratio[0]:.2f} at the sparsest")
    if not told:
        return Verdict(None, "nothing: the arrays lack three densities <= 0.3 at which n is no limit")
    return Verdict(
        all(holds),
        f"(features per dimension) * (-p log p) for {'; '.join(told)}",
        f"at the sparsest at most {GROWTH:g} times the median",
        seeds=seeds_of(tree),
    )


def grows(tree: xr.DataTree) -> Verdict:
    """The rank correlation of features per dimension with 1 / (-p log p)."""
    told = {}
    for m, counts in per_dimension(tree).items():
        each = free(m, counts, features(tree))
        if each.size >= 4:
            told[m] = statistics.rank_correlation(each.values, bound(each["density"].values))
    if not told:
        return Verdict(None, "nothing: the arrays lack four densities <= 0.3 at which n is no limit")
    words = ", ".join(f"m = {m}: {rank:.3f}" for m, rank in told.items())
    return Verdict(min(told.values()) >= RANK, f"rank correlation {words}", f"at least {RANK:g}", seeds=seeds_of(tree))


experiment = Experiment(
    figure,
    (
        Claim("The number of features is linear in m.", SOURCE, linear_in_m),
        Claim("It is modulated by sparsity: it grows with 1 / (-p log p).", SOURCE, grows),
        Claim(
            "It stays below the bound: features per dimension are at most of the order 1 / (-p log p).",
            SOURCE,
            below_the_bound,
        ),
    ),
)
