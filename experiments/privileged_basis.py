"""A privileged basis makes W readable: the model without and with hidden ReLUs, side by side.

Paper: "Superposition in a Privileged Basis". n = 10 features of importance 0.75^i in m = 5 dimensions,

    linear  x' = ReLU(W^T W x + b)          relu_hidden  x' = ReLU(W^T ReLU(W x) + b)

Turned by any orthogonal O, the first is the same model, (OW)^T (OW) = W^T W, so that single entries of W mean
nothing; the second is not. The paper does not say which sizes and densities it shows: these are the sizes of its next
figure, at a density at which neurons of the second model are monosemantic, and at one at which they are not.

    python -m superpose.run experiment=privileged_basis

You should see a W full of middling numbers without hidden ReLUs; with them a matrix that can be read, each feature
along one neuron when dense, and polysemantic neurons, stacks of several blocks, when sparse.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, PRNGKeyArray
from matplotlib.figure import Figure

from superpose import geometry, neurons, plots, selection, stacks, statistics
from superpose.experiment import Claim, Experiment, Verdict
from superpose.models import AbstractToyModel
from superpose.task import Task

SOURCE = "Superposition in a Privileged Basis"
NAMES = {"linear": "without hidden ReLUs", "relu_hidden": "with hidden ReLUs"}
DENSE, SPARSE = 0.75, 0.03
NEAR = 1.02  # the factor by which a density may differ and still be the one that is meant
VECTORS = 4096  # on which the loss of a turned model is compared
SAME, OTHER = 0.01, 0.1  # a relative change of the loss that is none, and one that is
MOST, FEW = 0.9, 0.2  # of the features
PANELS = 2  # of each variant
GROUNDS = {1: "monosemantic neuron", 3: "polysemantic neuron"}


def measure(model: AbstractToyModel, task: Task, key: PRNGKeyArray) -> dict[str, Array]:
    """The kinds of neurons, the share of features along one of them, and what turning the hidden space does.

    `turned` is the loss with OW for a random orthogonal O, as a part of that with W, on one sample.
    """
    W = getattr(model, "W")  # noqa: B009 (only some models have it)
    turn_key, data_key = jax.random.split(key)
    turn = jnp.linalg.qr(jax.random.normal(turn_key, (W.shape[0], W.shape[0])))[0]
    other = eqx.tree_at(lambda tree: tree.W, model, jnp.matmul(turn, W, precision="highest"))
    x = task.features(task.features.noise(VECTORS, key=data_key))
    return neurons.summary(W, W.T) | {"aligned": aligned(W), "turned": task.loss(other, x) / task.loss(model, x)}


def aligned(W: Float[Array, "m n"]) -> Float[Array, ""]:
    """The share of represented features that lie along one hidden unit: max_j |W_ji| > 0.9 ||W_i||; NaN of none."""
    kept = geometry.represented(W)
    along = jnp.max(jnp.abs(W), axis=0) > geometry.ALIGNED * geometry.norms(W)
    return jnp.sum(kept & along) / jnp.where(jnp.any(kept), jnp.sum(kept), jnp.nan)


def figure(tree: xr.DataTree) -> Figure:
    """The best model of each variant and density: W as a matrix, and stacked for each hidden unit."""
    shown, said = [], []
    for label in [label for label in tree.children if "neuron_kind" in tree[label]]:
        ds, _ = selection.one_point(tree[label].to_dataset())
        best = statistics.best(ds)
        said.append(selection.best_of(ds))
        shown += [(label, best.isel(sparsity=k)) for k in selection.evenly(ds.sizes["sparsity"], PANELS)]
    figure = Figure(figsize=(6.9, 4.0))
    axes = figure.subplots(2, len(shown), squeeze=False, height_ratios=(1.0, 1.1))
    limits = stacks.limits([weights(model) for _, model in shown])
    for place, (column, (label, model)) in enumerate(zip(axes.T, shown, strict=True)):
        W, hidden = weights(model), label != "linear"
        order = np.lexsort((model["neuron_primary"].values, np.maximum(model["neuron_kind"].values, 1) > 1))
        plots.matrix(column[0], W[order].T)
        column[0].set_title(f"{NAMES.get(label, label)}\n$1-S = {float(model['density']):.3g}$")
        ground = np.where(model["neuron_kind"].values[order] > 1, 3, 1) if hidden else None
        stacks.stack(column[1], W[order], stacks.of_features(W.shape[1]), kinds=ground, limits=limits, labelled=True)
        column[1].set_xlabel("neuron" if hidden else "hidden dimension")
        column[1].tick_params(labelleft=place == 0)
    n, m = (shown[0][1].sizes[dim] for dim in ("feature", "hidden"))
    axes[0, 0].set(ylabel="feature", yticks=[0, n - 1])
    axes[1, 0].set_ylabel("weights $W_{ji}$, stacked")
    plots.colorbar(list(axes[0]), plots.WEIGHTS, "$W_{ji}$")
    figure.legend(handles=stacks.ground_key(GROUNDS), loc="outside upper center", ncols=2, frameon=False)
    said = dict.fromkeys(said)
    figure.supxlabel(f"n = {n}, m = {m}, each column {'; '.join(said)}; colour and number: feature", fontsize=7)
    return figure


def weights(model: xr.Dataset) -> Float[np.ndarray, "m n"]:
    return model["W"].transpose("hidden", "feature").values.astype(np.float64)


def level(tree: xr.DataTree, label: str, density: float) -> xr.Dataset | None:
    """The usable models of a variant at a density, best first along `seed`; None where there is none."""
    if label not in tree.children or "turned" not in tree[label]:
        return None
    ds, _ = selection.one_point(tree[label].to_dataset())
    off = np.abs(np.log(ds["density"].values / density))
    models = ds.isel(sparsity=int(off.argmin()))
    models = models.isel(seed=np.flatnonzero(models["loss"].notnull() & models["finite"])).sortby("loss")
    return models if off.min() <= np.log(NEAR) and models.sizes["seed"] else None


Found = tuple[bool, str, tuple[float, float] | None]


def claim(text: str, label: str, p: float, check: Callable[[xr.Dataset], Found], expected: str) -> Claim:
    """A sentence on the models of a variant at a density."""

    def verdict(tree: xr.DataTree) -> Verdict:
        models = level(tree, label, p)
        if models is None:
            return Verdict(None, f"nothing: the arrays lack models of the variant {label} at p = {p:g}")
        holds, measured, interval = check(models)
        return Verdict(holds, measured, expected, interval, models.sizes["seed"])

    return Claim(text, SOURCE, verdict)


def interval(sample: xr.DataArray) -> tuple[float, float]:
    """The bootstrap interval of the median over seeds."""
    low, high = statistics.bootstrap(sample)
    return float(low), float(high)


def features_along(neurons_wanted: bool) -> Callable[[xr.Dataset], Found]:
    """Whether most features lie along a hidden unit, or in the median no more than a few by chance."""

    def check(models: xr.Dataset) -> Found:
        share = models["aligned"]
        middle = float(statistics.median(share))
        words = f"{float(share[0]):.0%} of the best model's features along one hidden unit, {middle:.0%} in the median"
        return (float(share[0]) >= MOST if neurons_wanted else middle <= FEW), words, interval(share)

    return check


def turning(changes: bool) -> Callable[[xr.Dataset], Found]:
    """Whether the loss of a turned model differs, in the median over seeds."""

    def check(models: xr.Dataset) -> Found:
        ratio = float(statistics.median(models["turned"]))
        holds = ratio > 1 + OTHER if changes else abs(ratio - 1) < SAME
        return holds, f"{ratio:.4g} times the loss, in the median", interval(models["turned"])

    return check


def blocks(several: bool) -> Callable[[xr.Dataset], Found]:
    """Whether each neuron of the best model responds to several features, or each to one."""

    def check(models: xr.Dataset) -> Found:
        counts = models["neuron_features"].transpose("seed", "hidden").values
        holds = np.all(counts > 1 if several else counts == 1, axis=1).tolist()
        words = f"{', '.join(map(str, counts[0]))} features per neuron; true of {sum(holds)} of {len(holds)} seeds"
        return holds[0], words, None

    return check


experiment = Experiment(
    figure=figure,
    measure=measure,
    dims={name: dims for name, (dims, _) in neurons.VARIABLES.items()} | {"aligned": (), "turned": ()},
    attributes={name: attributes for name, (_, attributes) in neurons.VARIABLES.items()}
    | {
        "aligned": {"long_name": "share of represented features along one hidden unit", "units": "1"},
        "turned": {"long_name": "loss of OW over that of W, O random and orthogonal", "units": "1"},
    },
    claims=(
        claim(
            "With hidden ReLUs W is aligned with neurons.",
            "relu_hidden",
            DENSE,
            features_along(True),
            f"{MOST:.0%} of the best model's represented features at p = {DENSE}",
        ),
        claim(
            "Without them it is not.",
            "linear",
            DENSE,
            features_along(False),
            f"in the median over seeds at most {FEW:.0%} (of random directions in 5 dimensions: 7%)",
        ),
        claim(
            "Without hidden ReLUs a turned W is the same model, dense.",
            "linear",
            DENSE,
            turning(False),
            f"the same loss within {SAME:.0%}",
        ),
        claim(
            "Without hidden ReLUs a turned W is the same model, sparse.",
            "linear",
            SPARSE,
            turning(False),
            f"the same loss within {SAME:.0%}",
        ),
        claim("With them it is another, dense.", "relu_hidden", DENSE, turning(True), f"{OTHER:.0%} more at least"),
        claim("With them it is another, sparse.", "relu_hidden", SPARSE, turning(True), f"{OTHER:.0%} more at least"),
        claim("A monosemantic neuron is one block.", "relu_hidden", DENSE, blocks(False), "1 each, in the best model"),
        claim(
            "A polysemantic neuron is several blocks.",
            "relu_hidden",
            SPARSE,
            blocks(True),
            "2 or more each, in the best model",
        ),
    ),
)
