"""Where the loss comes from: examples with 0, 1, 2 and more active features, and the linear model's three parts.

Paper: "Mathematical Understanding". The expected loss is a sum over how many features are active,

    L = S^n L_0 + (1 - S) S^(n - 1) L_1 + ... + (1 - S)^n L_n

and at high sparsity the first terms dominate. Each is found for the trained models themselves, without a sample: no,
one and two active in closed form, the rest by difference. The linear model's loss splits into what representing a
feature brings, what others disturb, and what the bias leaves (`theory.linear_parts`).

    python -m superpose.run experiment=loss_terms

You should see: at p = 1 all of the ReLU model's loss comes from examples with many active features; at p = 0.001 nearly
all comes from examples with one, in which negative interference costs nothing. The linear model has no interference: it
gives each of m features a dimension.
"""

import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, PRNGKeyArray
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from superpose import exact, plots, selection, statistics, theory
from superpose.experiment import Claim, Experiment, Verdict
from superpose.features import IndependentFeatures
from superpose.models import AbstractToyModel, Linear
from superpose.task import Task

SOURCE = "Mathematical Understanding"
ACTIVE = ("none", "one", "two", "more")
PARTS = ("not represented", "interference", "bias")
COLOURS = {"none": "#bdbdbd", "one": "#1b569c", "two": "#7fb2d8", "more": "#f29a82"}
PART_LINES = {
    "not represented": {"color": plots.GREEN, "linewidth": 2.5},
    "interference": {"color": plots.PINK, "linewidth": 2.5},
    "bias": {"color": plots.INK, "linestyle": ":"},
}
SPARSE, SHARE = 0.01, 0.5
"""From this density down none and one active make more than half of L."""
NEGATIVE, FREE = 0.03, 1e-3
"""The density from which biases are negative (figure 5), and up to which share interference counts as none."""
ROOM = 1.02


def measure(model: AbstractToyModel, task: Task, key: PRNGKeyArray) -> dict[str, Array]:
    """What examples with 0, 1, 2 and more active features add to L; of a linear model, the three parts of L too."""
    features = task.features
    found = {"loss_by_active": exact.by_active(model, task)}
    if type(model) is Linear and isinstance(features, IndependentFeatures):
        parts = theory.linear_parts(model.W, model.b, task.importance, *theory.moments(features.densities))
        found["loss_by_part"] = jnp.stack(parts)
    return found


def figure(tree: xr.DataTree) -> Figure:
    """The shares of a ReLU model's loss, the terms themselves, and the parts of the linear one's; best seed each."""
    figure = Figure(figsize=(6.9, 2.6))
    axes = [figure.add_subplot(1, 3, k + 1) for k in range(3)]
    notes = []
    for label, draws in (("relu", ((axes[0], shares), (axes[1], terms))), ("linear", ((axes[2], parts),))):
        found = best(tree, label)
        if found is not None:
            notes.append(found[1])
            for ax, draw in draws:
                draw(ax, found[0])
    for ax, title in zip(axes, ("ReLU: shares of $L$", "ReLU: terms", "linear: parts"), strict=True):
        ax.set_title(title, loc="left")
        ax.set_xlabel("density $1-S$, dense to sparse")
    handles, labels = axes[1].get_legend_handles_labels()
    if handles:
        words = [f"{label} active" if label in ACTIVE else label for label in labels]
        figure.legend(handles, words, loc="outside upper left", ncols=5, frameon=False)
    figure.supxlabel("; ".join(sorted(set(notes))), fontsize=7)
    return figure


def densities(ax: Axes, p: np.ndarray) -> None:
    """The axis of densities, dense at the left."""
    if len(p) > 1:
        plots.logarithmic(ax, "x", (1.0,))
        ax.set_xlim(p.max(), p.min())


def best(tree: xr.DataTree, label: str) -> tuple[xr.Dataset, str] | None:
    """The best model at each density that has one, from sparse to dense, and what they are."""
    if label not in tree.children or "loss_by_active" not in tree[label]:
        return None
    ds, note = selection.one_point(tree[label].to_dataset())
    models = statistics.best(ds)
    models = models.isel(sparsity=np.flatnonzero(models["loss"].notnull())).sortby("density")
    words = [f"$n = {ds.sizes['feature']}$, $m = {ds.sizes['hidden']}$", note, f"each {selection.best_of(ds)}"]
    return (models, ", ".join(filter(None, words))) if models.sizes["sparsity"] else None


def lost(models: xr.Dataset) -> np.ndarray:
    """sum_i I_i p / 3 at each density: the loss of answering 0 to everything."""
    return models["feature_importance"].sum("feature").values * models["density"].values / 3


def shares(ax: Axes, models: xr.Dataset) -> None:
    """The share of each term, stacked."""
    terms = models["loss_by_active"].transpose("active", "sparsity").values
    p, share = models["density"].values, terms / terms.sum(0)
    if len(p) > 1:
        ax.stackplot(p, share, colors=[COLOURS[name] for name in ACTIVE], linewidth=0)
    else:
        ax.bar(ACTIVE, share[:, 0], color=[COLOURS[name] for name in ACTIVE])
    densities(ax, p)
    ax.set(ylim=(0, 1), ylabel="share of $L$")


def terms(ax: Axes, models: xr.Dataset) -> None:
    """Each term relative to the loss of answering 0, on logarithmic axes."""
    p, scale = models["density"].values, lost(models)
    for k, name in enumerate(ACTIVE):
        each = models["loss_by_active"].isel(active=k).values / scale
        shown = np.where(each > 1e-5, each, np.nan)
        ax.plot(p, shown, color=COLOURS[name], marker="." if len(p) < 12 else "", label=name)
    ax.plot(p, models["loss"].values / scale, color=plots.INK, linestyle="--", label="$L$")
    plots.logarithmic(ax, "y", (1.0,))
    densities(ax, p)
    ax.set(ylim=(1e-4, 1.0), ylabel="$P(k)\\,L_k$ / loss of answering 0")


def parts(ax: Axes, models: xr.Dataset) -> None:
    """The parts of a linear model's loss relative to the loss of answering 0."""
    p, scale = models["density"].values, lost(models)
    for k, name in enumerate(PARTS):
        each = models["loss_by_part"].isel(part=k).values / scale
        ax.plot(p, each, **PART_LINES[name], marker="." if len(p) < 12 else "", label=name)
    ax.plot(p, models["loss"].values / scale, color=plots.INK, linestyle="--", label="$L$")
    densities(ax, p)
    ax.set_ylabel("part of $L$ / loss of answering 0")
    ax.set_ylim(-0.02, 1.6 * float((models["loss"].values / scale).max()))
    ax.legend(frameon=False, loc="upper right", ncols=2, handlelength=1.5, columnspacing=1.0)


def single_interference(W: np.ndarray, b: np.ndarray, importance: np.ndarray) -> np.ndarray:
    """I_j int_0^1 ReLU(W_j . W_i x + b_j)^2 dx of each pair (j, i), what x_i alone does to output j; 0 for j = i."""
    g, b = W.T @ W, np.broadcast_to(b[:, None], (len(b), len(b)))
    crosses = (g + b) * b < 0
    steep = np.where(np.abs(g) < 1e-12, 1.0, g)
    start = np.where(crosses & (g > 0), -b / steep, 0.0)
    stop = np.where(crosses & (g < 0), -b / steep, 1.0)
    area = (g**2 * (stop**3 - start**3) / 3 + g * b * (stop**2 - start**2) + b**2 * (stop - start)) * importance[
        :, None
    ]
    return np.where(np.maximum(b, g + b) > 0, area, 0.0) * (1 - np.eye(len(b)))


def sparse_is_few(tree: xr.DataTree) -> Verdict:
    """More than half of the loss where features are sparse, and most of it where they are sparsest: the limit."""
    found = best(tree, "relu")
    p = np.ones(1) if found is None else found[0]["density"].values
    sparse = p <= SPARSE * ROOM
    if found is None or sparse.sum() < 2:
        return Verdict(None, f"nothing: the arrays lack ReLU models at two densities of at most {SPARSE:g}")
    few = found[0]["loss_by_active"].isel(active=slice(0, 2)).sum("active").values / found[0]["loss"].values
    shown = (p[-1], few[-1]), (p[sparse][-1], few[sparse][-1]), (p[0], few[0])
    words = "of L " + ", ".join(f"{share:.1%} at p = {density:.3g}" for density, share in shown)
    expected = f"more than {SHARE:.0%} at every p <= {SPARSE:g}, and most at the sparsest"
    holds = bool((few[sparse] > SHARE).all() and few.argmax() == 0)
    return Verdict(holds, words, expected, seeds=int(tree["relu"].sizes["seed"]))


def at_most_m(tree: xr.DataTree) -> Verdict:
    found = best(tree, "linear")
    if found is None:
        return Verdict(None, "nothing: the arrays lack linear models")
    models = found[0]
    count = models["represented"].sum("feature").values
    share = models["loss_by_part"].isel(part=1).values / models["loss"].values
    words = (
        f"{count.min()} to {count.max()} features at {len(count)} densities; interference up to {share.max():.2g} of L"
    )
    expected = f"at most m = {models.sizes['hidden']} at every density"
    return Verdict(
        bool((count <= models.sizes["hidden"]).all()), words, expected, seeds=int(tree["linear"].sizes["seed"])
    )


def sparse_pairs(tree: xr.DataTree) -> tuple[list[tuple[np.ndarray, np.ndarray, np.ndarray]], int] | None:
    """Of each best ReLU model at a density of at most `NEGATIVE`, and of ordered pairs (j, i) of represented features:
    W_j . W_i, b_j and `single_interference`; and the number of seeds. None where there is no such model."""
    found = best(tree, "relu")
    models = None if found is None else found[0].isel(sparsity=found[0]["density"].values <= NEGATIVE * ROOM)
    if models is None or not models.sizes["sparsity"]:
        return None
    pairs = []
    for k in range(models.sizes["sparsity"]):
        own = models.isel(sparsity=k)
        W, b = selection.weights(own), own["b"].values.astype(float)
        kept = own["represented"].values.astype(bool)
        two = np.outer(kept, kept) & ~np.eye(len(kept), dtype=bool)
        cost = single_interference(W, b, own["feature_importance"].values.astype(float))
        pairs.append(((W.T @ W)[two], np.broadcast_to(b[:, None], two.shape)[two], cost[two]))
    return pairs, int(tree["relu"].sizes["seed"])


def negative_is_free(tree: xr.DataTree) -> Verdict:
    found = sparse_pairs(tree)
    if found is None:
        return Verdict(None, f"nothing: the arrays lack ReLU models at p <= {NEGATIVE:g}")
    share = [cost[g < 0].sum() / max(cost.sum(), 1e-30) for g, _, cost in found[0]]
    count = sum(int((g < 0).sum()) for g, _, _ in found[0])
    words = (
        f"{max(share):.2g} at most of what one active feature does to others, by {count} pairs of {len(share)} models"
    )
    return Verdict(
        bool(max(share) <= FREE and count > 0), words, "nothing, of negative pairs there are", seeds=found[1]
    )


def bias_frees_the_positive(tree: xr.DataTree) -> Verdict:
    found = sparse_pairs(tree)
    if found is None:
        return Verdict(None, f"nothing: the arrays lack ReLU models at p <= {NEGATIVE:g}")
    free = [((g > 0) & (g <= -b)).sum() / max((g > 0).sum(), 1) for g, b, _ in found[0]]
    words = (
        f"of pairs with W_j . W_i > 0, {min(free):.0%} to {max(free):.0%} have it below -b_j, at {len(free)} densities"
    )
    return Verdict(bool(min(free) > 0), words, f"some at every density p <= {NEGATIVE:g}", seeds=found[1])


experiment = Experiment(
    figure=figure,
    claims=(
        Claim("At high sparsity the examples with no and one active feature dominate the loss.", SOURCE, sparse_is_few),
        Claim("It is never worthwhile for a linear model to represent more than m features.", SOURCE, at_most_m),
        Claim("Where one feature is active, negative interference is free.", SOURCE, negative_is_free),
        Claim("A negative bias turns small positive interference into free negative.", SOURCE, bias_frees_the_positive),
    ),
    measure=measure,
    dims={"loss_by_active": ("active",), "loss_by_part": ("part",)},
    attributes={
        "loss_by_active": {
            "long_name": "what examples with 0, 1, 2, more active features add to the expected loss L",
            "units": "1",
        },
        "loss_by_part": {"long_name": f"parts of a linear model's expected loss L: {', '.join(PARTS)}", "units": "1"},
    },
)
