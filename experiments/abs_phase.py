"""A phase diagram of computation in superposition: when do too few neurons compute one more absolute value?

The paper draws none; its section is "Computation in Superposition". n = 3 features in [-1, 1], of importances 1, 1, r,
m = 4 or 5 neurons, y' = ReLU(W2 ReLU(W1 x) + b), y = |x|. Six neurons, one for each sign of each feature, would do
without superposition. What becomes of the extra feature, the last? Its output where it alone is active tells:

    0 not computed          y'_i(e_i) and y'_i(-e_i) rise by at most 1/2 above y'_i(0)
    1 one sign              one of them does rise by more
    2 dedicated             both do, by neurons of its own
    3 in superposition      one or both do, and one of its neurons is shared: beside it, another feature i comes in with
                            |W1_ji| > 0.2 |W1_j,extra|, or is passed on, |W1_ji| W2_ij > 0.2

    python -m superpose.run experiment=abs_phase

You should see it computed by neurons of its own where it matters more than the others, by one or none where it matters
less, and in superposition where features are sparse; and a loss below that of the best dedicated neurons there.
"""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Int, PRNGKeyArray
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba_array
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from superpose import dedicated, diagrams, neurons, plots, selection, statistics
from superpose.experiment import Claim, Experiment, Verdict
from superpose.models import AbstractToyModel
from superpose.task import Task

SOURCE = "Computation in Superposition (not in the paper)"
PHASES = ("not computed", "one sign", "dedicated", "in superposition")
COLOURS = ("#dddddd", "#88aadd", "#003399", "#dd4444")
COMPUTED = 0.5  # of the right output, 1
PASSES = 0.2  # of a feature, |W1_ji| W2_ij, that a neuron passes on at least if it computes it
FEATURES = 3
MOST = 0.9  # of importances or cells
DENSE, SPARSE = 0.9, 0.02
ABOVE = 1.02  # how many times the loss of dedicated neurons the best seed may have
GAIN = plots.Scale(plots.VIRIDIS, 0.0, 1.0, extend="max")
REACHED = plots.Scale(plots.VIRIDIS, 0.0, 1.0)


def measure(model: AbstractToyModel, task: Task, key: PRNGKeyArray) -> dict[str, Array]:
    """The phase of the extra feature in one model."""
    return {"extra": extra_phase(model)}


def extra_phase(model: AbstractToyModel) -> Int[Array, ""]:
    """The number in PHASES of the last feature, int8; -1 of weights that are not finite."""
    W1, W2 = (getattr(model, name) for name in ("W1", "W2"))
    unit = jnp.zeros((W1.shape[1], 1)).at[-1].set(1.0)
    rise = jnp.stack([(model(sign * unit) - model(0 * unit))[-1, 0] for sign in (1.0, -1.0)]) > COMPUTED
    into, passes = jnp.abs(W1), jnp.abs(W1) * W2.T > PASSES
    others = (into[:, :-1] > neurons.RESPONDS * into[:, -1:]) | passes[:, :-1]
    shared = jnp.any(passes[:, -1] & jnp.any(others, axis=1))
    found = jnp.where(jnp.any(rise) & shared, 3, jnp.sum(rise))
    finite = jnp.isfinite(W1).all() & jnp.isfinite(W2).all()
    return jnp.where(finite, found, -1).astype(jnp.int8)


def phase(ds: xr.Dataset) -> xr.DataArray:
    """The extra feature's phase in the best model of each cell; -1 where none is usable."""
    best = statistics.best(ds[[name for name in ("extra", "loss", "finite") if name in ds]])
    found = best["extra"].where(best["loss"].notnull(), -1).astype(np.int8)
    words = {"flag_values": list(range(len(PHASES))), "flag_meanings": " ".join(w.replace(" ", "_") for w in PHASES)}
    return found.drop_vars("seed", errors="ignore").assign_attrs(long_name="phase of the extra feature", **words)


def arrays(tree: xr.DataTree, label: str) -> xr.Dataset | None:
    """A variant over density (falling) and importance; None unless it is of three features."""
    if label not in tree.children or "extra" not in tree[label]:
        return None
    ds, _ = selection.one_point(tree[label].to_dataset(), ("sparsity", "importance"))
    if "importance" not in ds["loss"].dims or ds.sizes["feature"] != FEATURES:
        return None
    return ds.transpose("sparsity", "importance", "seed", ...)


def filled(ds: xr.Dataset) -> tuple[xr.Dataset, str]:
    """The best models, and the map in words; a cell that was not trained (of a refined map) has the nearest one's.

    To the models are added `gain`, the best loss as a part of that of dedicated neurons, and `reached`, the share of
    seeds within 1% of the best (or as near as its error tells).
    """
    known, lowest = selection.trained(ds).any("seed").values, ds["loss"].min("seed")
    r = ds["importance"].values
    worth = np.stack([np.ones_like(r), np.ones_like(r), r], axis=-1)
    bound = dedicated.loss(ds["density"].values[:, None], worth, ds.sizes["hidden"])
    reached = (ds["loss"] <= 1.01 * lowest + 2 * ds["loss_standard_error"]).mean("seed")
    ds = ds.assign(gain=lowest / bound, reached=reached.where(lowest.notnull()))
    down, right = -np.log(ds["density"].values), np.log(ds["importance"].values)
    rows, columns = selection.stand_ins(known, down, right)
    at = {
        "sparsity": xr.DataArray(rows, dims=("row", "column")),
        "importance": xr.DataArray(columns, dims=("row", "column")),
    }
    whole = ds.drop_vars(["sparsity", "importance", "density"]).isel(at)
    whole = whole.rename(row="sparsity", column="importance").transpose("sparsity", "importance", "seed", ...)
    whole = whole.assign_coords({name: ds[name] for name in ("sparsity", "importance", "density")})
    rest = "" if known.all() else f", {known.mean():.1%} of the cells trained, others drawn as the nearest"
    return statistics.best(whole), f"$n = {FEATURES}$, {selection.best_of(whole)}{rest}"


def figure(tree: xr.DataTree) -> Figure:
    """Of each variant: the extra feature's phase, and the best loss beside that of dedicated neurons."""
    found = {label: ds for label in tree.children if (ds := arrays(tree, label)) is not None}
    figure = Figure(figsize=(6.9, 3.4 if len(found) < 2 else 5.0))
    axes = figure.subplots(max(1, len(found)), 3, squeeze=False)
    said: dict[str, None] = {}
    for row, ds in zip(axes, found.values(), strict=False):
        (best, words), m = filled(ds), ds.sizes["hidden"]
        said[words] = None
        x, y = best["importance"].values, best["density"].values
        states = np.where(best["loss"].notnull(), best["extra"], -1).astype(int)
        palette = np.concatenate([to_rgba_array(COLOURS), np.zeros((1, 4))])
        panel(row[0], x, y, palette[states], f"$m = {m}$: phase of the extra feature")
        diagrams.interfaces(row[0], x, y, states, color="black", linewidth=0.5)
        panel(row[1], x, y, diagrams.of_scale(GAIN, best["gain"].values), "best loss")
        panel(row[2], x, y, diagrams.of_scale(REACHED, best["reached"].values), "seeds that find it")
        row[0].set_ylabel("feature density $1 - S$")
        plots.colorbar(row[1], GAIN, "loss / dedicated neurons'")
        plots.colorbar(row[2], REACHED, "share of seeds within 1%")
    for ax in axes[-1]:
        ax.set_xlabel("relative importance")
    handles = [Patch(facecolor=colour, label=word) for colour, word in zip(COLOURS, PHASES, strict=True)]
    figure.legend(handles=handles, loc="outside upper center", ncols=4, frameon=False)
    figure.supxlabel("\n".join([*said, "loss 1: no better than dedicated neurons"]), fontsize=7)
    return figure


def panel(ax: Axes, x: np.ndarray, y: np.ndarray, colours: np.ndarray, title: str) -> None:
    diagrams.cells(ax, x, y, colours)
    diagrams.times(ax)
    ax.set_title(title)


Check = Callable[[xr.Dataset, xr.Dataset], tuple[bool | None, str]]


def claim(text: str, label: str, check: Check, expected: str) -> Claim:
    """A sentence on the best models of a variant, over density and importance."""

    def verdict(tree: xr.DataTree) -> Verdict:
        ds = arrays(tree, label)
        holds, measured = (None, "") if ds is None else check(ds, filled(ds)[0])
        if ds is None or holds is None:
            return Verdict(None, f"nothing: the arrays lack a map of the variant {label} that can tell")
        return Verdict(holds, measured, expected, seeds=ds.sizes["seed"])

    return Claim(text, SOURCE, verdict, ours=True)


def at_density(best: xr.Dataset, density: float, *, below: bool) -> np.ndarray:
    """The phases in the rows of at most (at least) this density."""
    rows = best["density"].values <= density if below else best["density"].values >= density
    return best["extra"].values[rows]


def sparse_is_shared(ds: xr.Dataset, best: xr.Dataset) -> tuple[bool | None, str]:
    found = at_density(best, SPARSE, below=True)
    share = (found == 3).mean() if found.size else np.nan
    return (bool(share >= MOST) if found.size else None), f"{share:.0%} of {found.size} cells at p <= {SPARSE:g}"


def dense_is_not(ds: xr.Dataset, best: xr.Dataset) -> tuple[bool | None, str]:
    found = at_density(best, DENSE, below=False)
    share = (found != 3).mean() if found.size else np.nan
    return (bool(share >= MOST) if found.size else None), f"{share:.0%} of {found.size} cells at p >= {DENSE:g}"


def one_boundary(ds: xr.Dataset, best: xr.Dataset) -> tuple[bool | None, str]:
    shared = best["extra"].values == 3
    crossings = (shared[1:] != shared[:-1]).sum(axis=0)
    if not crossings.size or not shared.any():
        return None, ""
    share = float((crossings <= 1).mean())
    ends = best["density"].values[shared.argmax(axis=0)][shared.any(axis=0)]
    words = f"at {share:.0%} of {crossings.size} importances one boundary at most; it starts at p = {ends.min():.2g}"
    return share >= MOST, f"{words} to {ends.max():.2g}, {np.median(ends):.2g} in the median"


def by_importance(ds: xr.Dataset, best: xr.Dataset) -> tuple[bool | None, str]:
    r, found = best["importance"].values, at_density(best, DENSE, below=False)
    less, more = found[:, r < 1 / 1.5], found[:, r > 1.5]
    if not less.size or not more.size:
        return None, ""
    lacks, has = np.isin(less, (0, 1)).mean(), (more == 2).mean()
    words = f"below r = 0.67 not computed or of one sign in {lacks:.0%} of cells, above r = 1.5 dedicated in {has:.0%}"
    return bool(min(lacks, has) >= MOST), words


def not_worse(ds: xr.Dataset, best: xr.Dataset) -> tuple[bool | None, str]:
    fine = best["gain"].values[selection.trained(ds).any("seed").values]
    fine = fine[np.isfinite(fine)]
    if not fine.size:
        return None, ""
    words = f"{fine.min():.3f} to {fine.max():.3f} times it, {np.median(fine):.3f} in the median"
    return bool((fine <= ABOVE).mean() >= MOST), f"{words}; at most {ABOVE:g} times in {(fine <= ABOVE).mean():.0%}"


def of_each(text: str, check: Check, expected: str) -> list[Claim]:
    return [claim(f"m = {m}: {text}", f"m{m}", check, expected) for m in (4, 5)]


experiment = Experiment(
    figure=figure,
    measure=measure,
    dims={"extra": ()},
    version="2",
    attributes={"extra": {"long_name": "phase of the extra feature", "units": "1"}},
    phase=phase,
    claims=(
        *of_each(
            "where features are sparse the extra one is in superposition.",
            sparse_is_shared,
            f"{MOST:.0%} of cells at p <= {SPARSE:g}",
        ),
        *of_each("where they are dense it is not.", dense_is_not, f"{MOST:.0%} of cells at p >= {DENSE:g}"),
        *of_each(
            "where they are dense, importance decides which feature lacks neurons.",
            by_importance,
            f"{MOST:.0%} of cells at p >= {DENSE:g}: at most one sign below r = 0.67, dedicated above r = 1.5",
        ),
        *of_each("superposition starts at one density.", one_boundary, f"{MOST:.0%} of importances"),
        *of_each(
            "no choice of dedicated neurons has a lower loss.",
            not_worse,
            f"at most {ABOVE:g} times their loss in {MOST:.0%} of cells",
        ),
    ),
)
