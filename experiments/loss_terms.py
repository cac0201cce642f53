"""Where the loss comes from: examples with 0, 1, 2 and more active features, and the linear model's three parts.

Paper: "Mathematical Understanding". The expected loss is a sum over how many features are active,

    L = S^n L_0 + (1 - S) S^(n - 1) L_1 + ... + (1 - S)^n L_n

and at high sparsity the first terms dominate. Each is found for the trained models themselves, without a sample: no,
one and two active in closed form, the rest by difference. The linear model's loss splits into what representing a
feature brings, what others disturb, and what the bias leaves (`theory.linear_parts`).

    python -m superpose.run experiment=loss_terms

You should see: at p = 1 all of the ReLU model's loss comes from examples with many active features; at p = 0.01 nearly
all comes from examples with one. The linear model has no interference: it gives each of m features a dimension.
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
PART_COLOURS = {"not represented": "#1b569c", "interference": "#bd1e2d", "bias": "#bdbdbd"}
SHARE, NO_INTERFERENCE = 0.5, 0.01


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
    figure = Figure(figsize=(6.9, 2.5))
    axes = [figure.add_subplot(1, 3, k + 1) for k in range(3)]
    notes = {}
    relu, linear = (best(tree, label) for label in ("relu", "linear"))
    if relu is not None:
        notes["relu"] = relu[1]
        shares(axes[0], relu[0])
        terms(axes[1], relu[0])
    if linear is not None:
        notes["linear"] = linear[1]
        parts(axes[2], linear[0])
    for ax, title in zip(axes, ("ReLU: shares of the loss", "ReLU: terms", "Linear: parts"), strict=True):
        ax.set_title(title, loc="left")
        ax.set_xlabel("density $1-S$")
    handles, labels = axes[1].get_legend_handles_labels()
    if handles:
        words = [f"{label} active" if label in ACTIVE else label for label in labels]
        figure.legend(handles, words, loc="outside upper left", ncols=5, frameon=False)
    figure.supxlabel("; ".join(sorted(set(notes.values()))), fontsize=7)
    return figure


def best(tree: xr.DataTree, label: str) -> tuple[xr.Dataset, str] | None:
    """The best model at each density that has one, from sparse to dense, and what they are."""
    if label not in tree.children or "loss_by_active" not in tree[label]:
        return None
    ds, note = selection.one_point(tree[label].to_dataset())
    models = statistics.best(ds)
    models = models.isel(sparsity=np.flatnonzero(models["loss"].notnull())).sortby("density")
    words = [f"n = {ds.sizes['feature']}, m = {ds.sizes['hidden']}", note, f"each {selection.best_of(ds)}"]
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
        ax.set(xscale="log", xlim=(p.min(), p.max()))
    else:
        ax.bar(ACTIVE, share[:, 0], color=[COLOURS[name] for name in ACTIVE])
    ax.set(ylim=(0, 1), ylabel="share of $L$")


def terms(ax: Axes, models: xr.Dataset) -> None:
    """Each term relative to the loss of answering 0, on logarithmic axes."""
    p, scale = models["density"].values, lost(models)
    for k, name in enumerate(ACTIVE):
        each = models["loss_by_active"].isel(active=k).values / scale
        shown = np.where(each > 1e-5, each, np.nan)
        ax.plot(p, shown, color=COLOURS[name], marker="." if len(p) < 12 else "", label=name)
    ax.plot(p, models["loss"].values / scale, color=plots.INK, linestyle="--", label="$L$")
    ax.set(xscale="log", yscale="log", ylim=(1e-4, 1.5), ylabel=r"$P(k)\,L_k \,/\, \sum_i I_i\, p/3$")


def parts(ax: Axes, models: xr.Dataset) -> None:
    """The parts of a linear model's loss relative to the loss of answering 0."""
    p, scale = models["density"].values, lost(models)
    for k, name in enumerate(PARTS):
        each = models["loss_by_part"].isel(part=k).values / scale
        ax.plot(p, each, color=PART_COLOURS[name], marker="." if len(p) < 12 else "", label=name)
    ax.plot(p, models["loss"].values / scale, color=plots.INK, linestyle="--", label="$L$")
    ax.set(xscale="log", ylabel=r"part of $L \,/\, \sum_i I_i\, p/3$")
    ax.set_ylim(-0.02, 1.6 * float((models["loss"].values / scale).max()))
    ax.legend(frameon=False, loc="upper right", ncols=2, handlelength=1.2, columnspacing=1.0)


def sparse_is_few(tree: xr.DataTree) -> Verdict:
    found = best(tree, "relu")
    if found is None or found[0].sizes["sparsity"] < 2:
        return Verdict(None, "nothing: the arrays lack ReLU models at two densities")
    models = found[0]
    few = models["loss_by_active"].isel(active=slice(0, 2)).sum("active").values / models["loss"].values
    p = models["density"].values
    if p[0] > 0.02:
        return Verdict(None, f"nothing: the sparsest level is p = {p[0]:.3g}, and this is said of high sparsity")
    return Verdict(
        bool(few[0] > SHARE and few[0] > few[-1]),
        f"{few[0]:.1%} of L at p = {p[0]:.3g}, {few[-1]:.1%} at p = {p[-1]:.3g}",
        f"more than {SHARE:.0%} at p <= 0.02, more than when dense",
        seeds=int(tree["relu"].sizes["seed"]),
    )


def linear_has_no_interference(tree: xr.DataTree) -> Verdict:
    found = best(tree, "linear")
    if found is None:
        return Verdict(None, "nothing: the arrays lack linear models")
    models = found[0]
    share = models["loss_by_part"].isel(part=1).values / models["loss"].values
    return Verdict(
        bool(share.max() < NO_INTERFERENCE),
        f"at most {share.max():.2g} of the loss",
        f"less than {NO_INTERFERENCE:g} at every density",
        seeds=int(tree["linear"].sizes["seed"]),
    )


experiment = Experiment(
    figure=figure,
    claims=(
        Claim("At high sparsity the examples with no and one active feature dominate the loss.", SOURCE, sparse_is_few),
        Claim(
            "It is never worthwhile for a linear model to represent more than m features: none interferes.",
            SOURCE,
            linear_has_no_interference,
        ),
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
