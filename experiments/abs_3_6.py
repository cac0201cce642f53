"""Absolute values without superposition: two neurons for each of three features.

Paper: "Computation in Superposition". n = 3 features in [-1, 1], m = 6 neurons, y' = ReLU(W2 ReLU(W1 x) + b), y = |x|:

    |x_i| = ReLU(x_i) + ReLU(-x_i)

so that one neuron takes a feature with +1 and another with -1, and both give it out with +1. The paper does not say how
sparse its features are: here S = 0.9; the solution is exact at any.

    python -m superpose.run experiment=abs_3_6

You should see these six neurons in the best models, with a loss of 0, and other seeds in which a neuron less is alive.
"""

from collections.abc import Callable

import numpy as np
import xarray as xr
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from superpose import neurons, plots, selection, stacks
from superpose.experiment import Claim, Experiment, Verdict

SOURCE = "Computation in Superposition"
NEAR = 0.05  # how far a weight may be from 1 or 0
ZERO = 1e-6  # a part of the loss of a model that gives 0, sum_i I_i p / 3, that counts as none
DRAWN = 0.1  # the smallest weight that the graph shows

Into, Out = Float[np.ndarray, "m n"], Float[np.ndarray, "n m"]


def two_for_each(W1: Into, W2: Out) -> bool:
    """Is row j of W1 +-1 at one feature, each feature and sign once, and column j of W2 1 at the same; all else 0?"""
    own = np.abs(W1).argmax(axis=1)
    target = np.eye(W1.shape[1])[own]
    sign = np.sign(W1[np.arange(len(W1)), own])
    once = len({*zip(own.tolist(), sign.tolist(), strict=True)}) == len(W1) == 2 * W1.shape[1]
    return bool(once and np.abs(W1 - sign[:, None] * target).max() < NEAR and np.abs(W2.T - target).max() < NEAR)


def nothing_done(models: xr.Dataset) -> float:
    """The loss of a model that gives 0: E x^2 = p / 3 of each feature, times its importance."""
    importance = models["feature_importance"].max([d for d in models["feature_importance"].dims if d != "feature"])
    return float(importance.sum()) * (1 - models["sparsity"].item()) / 3


def order(W1: Into) -> np.ndarray:
    """Neurons by their largest feature, the positive one first."""
    own = np.abs(W1).argmax(axis=1)
    return np.lexsort((-W1[np.arange(len(W1)), own], own))


def figure(tree: xr.DataTree) -> Figure:
    """The best model as a graph, its weights into its neurons and out of them; and the losses of all seeds."""
    ds, note = selection.one_point(next(iter(tree.children.values())).to_dataset(), ())
    W1, W2 = neurons.weights(ds.isel(seed=int(ds["loss"].fillna(np.inf).values.argmin())))
    W1, W2, n = W1[order(W1)], W2[:, order(W1)], W1.shape[1]
    figure = Figure(figsize=(6.9, 2.3))
    axes = figure.subplots(1, 4, width_ratios=(1.15, 1, 1, 1))
    graph(axes[0], W1, W2)
    for ax, W, title in zip(axes[1:3], (W1, W2.T), ("weights in, $W_1$", "weights out, $W_2$"), strict=True):
        stacks.stack(ax, W, stacks.of_features(n), span=stacks.limits([W1, W2.T]), labelled=True)
        ax.set(title=title, xlabel="neuron", yticks=[-1, 0, 1])
    losses(axes[3], ds)
    rest = [word for word in note.split(", ") if not word.startswith("sparsity")]
    density = f"$1-S = {float(ds['density']):.3g}$"
    said = [f"$n = {n}$, $m = {len(W1)}$", density, *rest, f"a to c {selection.best_of(ds)}"]
    figure.supxlabel(", ".join(filter(None, said)) + "; colour and number: feature", fontsize=7)
    for ax, letter in zip(axes, "abcd", strict=True):
        ax.set_title(f"$\\bf{{{letter}}}$  {ax.get_title()}", loc="left")
        ax.set_title("")
    return figure


def graph(ax: Axes, W1: Into, W2: Out) -> None:
    """Features, neurons and outputs as dots, weights as lines between them: red positive, blue negative.

    Neurons, sorted by their largest feature, stand around it.
    """
    n, own = W1.shape[1], np.abs(W1).argmax(axis=1)
    ends = np.linspace(1, 0, n + 2)[1:-1]
    middle = np.empty(len(W1))
    for i in range(n):
        middle[own == i] = ends[i] + np.linspace(0.25, -0.25, max((own == i).sum(), 1))[: (own == i).sum()] / (n + 1)
    for left, right, W in ((ends, middle, W1), (middle, ends, W2)):
        start = 0 if left is ends else 1
        for j, i in np.argwhere(np.abs(W) > DRAWN):
            colour, width = plots.WEIGHTS.colours(np.sign(W[[j], i]))[0], 1.5 * min(1, abs(W[j, i]))
            ax.plot([start, start + 1], [left[i], right[j]], color=colour, linewidth=width, zorder=1)
    for x, places in ((0, ends), (1, middle), (2, ends)):
        ax.scatter(np.full(len(places), x), places, 30, "white", edgecolor=plots.INK, linewidth=0.7, zorder=2)
    for i, y in enumerate(ends.tolist()):
        ax.text(-0.15, y, f"$x_{i}$", ha="right", va="center")
        ax.text(2.15, y, f"$y_{i}$", ha="left", va="center")
    ax.set(title="graph", xlim=(-0.7, 2.7), ylim=(0.05, 0.95), xticks=[], yticks=[])
    ax.set_xlabel("red: positive, blue: negative")
    ax.spines[:].set_visible(False)


def losses(ax: Axes, ds: xr.Dataset) -> None:
    """The loss of every seed, from the lowest to the highest, as a part of that of a model that gives 0."""
    relative = np.sort(ds["loss"].values[np.isfinite(ds["loss"].values)]) / nothing_done(ds)
    ax.plot((np.arange(len(relative)) + 1) / max(len(relative), 1), np.maximum(relative, 1e-12), ".", markersize=2)
    ax.axhline(ZERO, color=plots.FAINT, linewidth=0.6, zorder=0)
    ax.text(0.98, 0.4 * ZERO, "below:\ncounts as 0", ha="right", va="top", fontsize=7)
    ax.set(title="all seeds", xlabel="share of seeds", ylabel="loss / loss of $y' = 0$", yscale="log", xlim=(0, 1))


def claim(text: str, check: Callable[[xr.Dataset], tuple[bool, str]], expected: str, ours: bool = False) -> Claim:
    """A sentence on models of n = 3, m = 6, which come best first."""

    def verdict(tree: xr.DataTree) -> Verdict:
        ds = tree["absolute_value"].to_dataset() if "absolute_value" in tree.children else xr.Dataset()
        if "W1" not in ds or (ds.sizes["feature"], ds.sizes["hidden"]) != (3, 6):
            return Verdict(None, "nothing: the arrays lack models of n = 3, m = 6 that compute absolute values")
        ds, _ = selection.one_point(ds, ())
        models = selection.sorted_by_loss(ds)
        if not models.sizes["seed"]:
            return Verdict(None, "nothing: no model is usable")
        holds, measured = check(models)
        return Verdict(bool(holds), measured, expected, seeds=models.sizes["seed"])

    return Claim(text, SOURCE, verdict, ours)


def solved(models: xr.Dataset) -> np.ndarray:
    return np.array([two_for_each(*neurons.weights(models.isel(seed=k))) for k in range(models.sizes["seed"])])


def best_is(models: xr.Dataset) -> tuple[bool, str]:
    W1, W2 = neurons.weights(models.isel(seed=0))
    own = np.abs(W1).argmax(axis=1)
    each = [f"x_{i} {W1[j, i]:+.3f} in, {W2[i, j]:+.3f} out" for j, i in enumerate(own.tolist())]
    return bool(solved(models)[0]), "; ".join(each[j] for j in order(W1))


def no_loss(models: xr.Dataset) -> tuple[bool, str]:
    loss = float(models["loss"][0])
    part = loss / nothing_done(models)
    return part < ZERO, f"a loss of {loss:.1e}, {part:.1e} of that of a model that gives 0"


def some_seeds(models: xr.Dataset) -> tuple[bool, str]:
    found, near = solved(models), models["loss"].values < ZERO * nothing_done(models)
    words = f"{found.mean():.0%} of seeds have these neurons, {near.mean():.0%} a loss of 0 as above"
    return 0 < found.mean() < 1, f"{words}; the median loss is {float(models['loss'].median()):.1e}"


experiment = Experiment(
    figure=figure,
    claims=(
        claim(
            "Each feature has a neuron of +1 and one of -1, both with +1 out.",
            best_is,
            f"of the best model, all weights within {NEAR} of +-1 or 0",
        ),
        claim("|x| = ReLU(x) + ReLU(-x): the loss is 0.", no_loss, f"below {ZERO:g} of that of a model that gives 0"),
        claim("Only some seeds find it.", some_seeds, "some, not all", ours=True),
    ),
)
