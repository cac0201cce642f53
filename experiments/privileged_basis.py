"""A privileged basis makes W readable: the model without hidden ReLUs, with them, and with a hidden bias besides.

Paper: "Superposition in a Privileged Basis". n = 10 features of importance 0.75^i in m = 5 dimensions,

    no_hidden_relu  x' = ReLU(W^T W x + b)
    hidden_relu     x' = ReLU(W^T ReLU(W x) + b)
    hidden_bias     x' = ReLU(W^T ReLU(W x + c) + b)

Turned by any orthogonal O, the first is the same model, (OW)^T (OW) = W^T W, so that single entries of W mean
nothing; the second is not. The third could be the first: with c > 0 large enough every neuron is always active, and b
takes W^T c away. The paper does not say which sizes and densities it shows: these are the sizes of its next figure, at
a density at which neurons of the second model are monosemantic, and at one at which they are not.

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

from superpose import geometry, neurons, selection, stacks, statistics
from superpose.experiment import Claim, Experiment, Verdict
from superpose.models import AbstractToyModel
from superpose.task import Task

SOURCE = "Superposition in a Privileged Basis"
LINEAR, HIDDEN, BIASED = "no_hidden_relu", "hidden_relu", "hidden_bias"
NAMES = {LINEAR: "no hidden ReLU", HIDDEN: "hidden ReLU", BIASED: "hidden ReLU, bias"}
DENSE, SPARSE = 0.75, 0.03
VECTORS = 4096  # on which the loss of a turned model is compared, and neurons are active
SAME, OTHER = 0.01, 0.1  # a relative change of the loss that is none, and one that is
MOST, FEW = 0.9, 0.2  # of the features, or of the activations
PANELS = 2  # of each variant


def measure(model: AbstractToyModel, task: Task, key: PRNGKeyArray) -> dict[str, Array]:
    """The kinds of neurons, the share of features along one of them, and what turning the hidden space does.

    `turned` is the loss with OW for a random orthogonal O, as a part of that with W, on one sample; `active` the share
    of the numbers h_j > 0 there.
    """
    W = neurons.matrix(model)
    turn_key, data_key = jax.random.split(key)
    turn = jnp.linalg.qr(jax.random.normal(turn_key, (W.shape[0], W.shape[0])))[0]
    other = eqx.tree_at(lambda tree: tree.W, model, jnp.matmul(turn, W, precision="highest"))
    x = task.features(task.features.noise(VECTORS, key=data_key))
    found = {"aligned": aligned(W), "turned": task.loss(other, x) / task.loss(model, x)}
    return neurons.summary(W, W.T) | found | {"active": jnp.mean(model.encode(x) > 0)}


def aligned(W: Float[Array, "m n"]) -> Float[Array, ""]:
    """The share of represented features that lie along one hidden unit: max_j |W_ji| > 0.9 ||W_i||; NaN of none."""
    kept = geometry.represented(W)
    along = jnp.max(jnp.abs(W), axis=0) > geometry.ALIGNED * geometry.norms(W)
    return jnp.sum(kept & along) / jnp.where(jnp.any(kept), jnp.sum(kept), jnp.nan)


def figure(tree: xr.DataTree) -> Figure:
    """The best model of each variant and density: W as a matrix, and stacked for each hidden unit."""
    shown, said, sizes = [], [], ""
    for label in [label for label in tree.children if "active" in tree[label]]:
        ds, _ = selection.one_point(tree[label].to_dataset())
        best, sizes = statistics.best(ds), f"n = {ds.sizes['feature']}, m = {ds.sizes['hidden']}"
        said.append(selection.best_of(ds))
        for place in selection.evenly(ds.sizes["sparsity"], PANELS):
            model = best.isel(sparsity=place)
            told = f"{float(model['active']):.0%} of $h$ active" if label != LINEAR else ""
            title = f"{NAMES.get(label, label)}\n$1-S = {float(model['density']):.3g}$\n{told}"
            shown.append(stacks.column(model, title, privileged=label != LINEAR))
    figure = Figure(figsize=(6.9, 4.3))
    stacks.below_matrices(figure, shown)
    for ax in figure.axes:
        ax.title.set_fontsize(7)
    seeds = "; ".join(dict.fromkeys(said))
    figure.supxlabel(f"${sizes.replace(', ', '$, $')}$, each column {seeds}; colour and number: feature", fontsize=7)
    return figure


def level(tree: xr.DataTree, label: str, density: float) -> xr.Dataset | None:
    """The usable models of a variant at a density, best first along `seed`; None where there is none."""
    if label not in tree.children or "active" not in tree[label]:
        return None
    there = selection.at_density(selection.one_point(tree[label].to_dataset())[0], density)
    models = None if there is None else selection.sorted_by_loss(there)
    return models if models is not None and models.sizes["seed"] else None


Found = tuple[bool, str, tuple[float, float] | None]


def claim(
    text: str, label: str, p: float, check: Callable[[xr.Dataset], Found], expected: str, ours: bool = False
) -> Claim:
    """A sentence on the models of a variant at a density."""

    def verdict(tree: xr.DataTree) -> Verdict:
        models = level(tree, label, p)
        if models is None:
            return Verdict(None, f"nothing: the arrays lack models of the variant {label} at p = {p:g}")
        holds, measured, interval = check(models)
        return Verdict(holds, measured, expected, interval, models.sizes["seed"])

    return Claim(text, SOURCE, verdict, ours)


def features_along(neurons_wanted: bool) -> Callable[[xr.Dataset], Found]:
    """Whether most features lie along a hidden unit, or in the median no more than a few by chance."""

    def check(models: xr.Dataset) -> Found:
        share = models["aligned"]
        middle = float(statistics.median(share))
        words = f"{float(share[0]):.0%} of the best model's features along one hidden unit, {middle:.0%} in the median"
        return (float(share[0]) >= MOST if neurons_wanted else middle <= FEW), words, statistics.interval(share)

    return check


def turning(changes: bool) -> Callable[[xr.Dataset], Found]:
    """Whether the loss of a turned model differs, in the median over seeds."""

    def check(models: xr.Dataset) -> Found:
        ratio = float(statistics.median(models["turned"]))
        holds = ratio > 1 + OTHER if changes else abs(ratio - 1) < SAME
        return holds, f"{ratio:.4g} times the loss, in the median", statistics.interval(models["turned"])

    return check


def blocks(models: xr.Dataset) -> Found:
    """Whether each neuron of the best model responds to several features."""
    counts = models["neuron_features"].transpose("seed", "hidden").values
    holds = np.all(counts > 1, axis=1).tolist()
    words = f"{', '.join(map(str, counts[0]))} features per neuron; true of {sum(holds)} of {len(holds)} seeds"
    return holds[0], words, None


def always_active(models: xr.Dataset) -> Found:
    """Whether the hidden biases of the best model are positive, and its neurons active."""
    share, c = models["active"], models["c"].transpose("seed", "hidden").values[0]
    words = f"{(c > 0).sum()} of {c.size} biases of the best model above 0, {float(share[0]):.0%} of its h_j"
    words += f"; {float(statistics.median(share)):.0%} in the median"
    return bool((c > 0).all() and float(share[0]) >= MOST), words, statistics.interval(share)


def as_linear(p: float) -> Claim:
    """Whether a hidden bias takes the loss back to that without hidden ReLUs (where dense, all three are equal)."""

    def verdict(tree: xr.DataTree) -> Verdict:
        found = [level(tree, label, p) for label in (BIASED, LINEAR, HIDDEN)]
        biased, linear, hidden = (np.nan if models is None else float(models["loss"][0]) for models in found)
        if found[0] is None or not np.isfinite(biased + linear):
            return Verdict(None, f"nothing: the arrays lack models with a hidden bias, or without ReLUs, at p = {p:g}")
        words = (
            f"{biased / linear:.4f} of the loss without hidden ReLUs; with them, without bias, {hidden / linear:.4f}"
        )
        return Verdict(abs(biased / linear - 1) < SAME, words, f"1 within {SAME:.0%}", seeds=found[0].sizes["seed"])

    return Claim(
        "With a hidden bias the model behaves linearly: its loss is that without hidden ReLUs.", SOURCE, verdict
    )


experiment = Experiment(
    figure=figure,
    measure=measure,
    dims={name: dims for name, (dims, _) in neurons.VARIABLES.items()} | {"aligned": (), "turned": (), "active": ()},
    attributes={name: attributes for name, (_, attributes) in neurons.VARIABLES.items()}
    | {
        "aligned": {"long_name": "share of represented features along one hidden unit", "units": "1"},
        "turned": {"long_name": "loss of OW over that of W, O random and orthogonal", "units": "1"},
        "active": {"long_name": "share of h_j > 0 over hidden units and samples", "units": "1"},
    },
    claims=(
        claim(
            "With hidden ReLUs W is aligned with neurons.",
            HIDDEN,
            DENSE,
            features_along(True),
            f"{MOST:.0%} of the best model's represented features at p = {DENSE}",
        ),
        claim(
            "Without them it is not.",
            LINEAR,
            DENSE,
            features_along(False),
            f"in the median over seeds at most {FEW:.0%} (of random directions in 5 dimensions: 7%)",
        ),
        claim(
            "Without hidden ReLUs OW is the same model as W: an identity, checked.",
            LINEAR,
            SPARSE,
            turning(False),
            f"the same loss within {SAME:.0%}",
            ours=True,
        ),
        *(
            claim(
                f"With hidden ReLUs OW is another model, {word}.",
                HIDDEN,
                p,
                turning(True),
                f"{OTHER:.0%} more at least",
                ours=True,
            )
            for word, p in (("dense", DENSE), ("sparse", SPARSE))
        ),
        claim(
            "Where features are sparse neurons are polysemantic: several blocks each.",
            HIDDEN,
            SPARSE,
            blocks,
            "2 or more each, in the best model",
        ),
        *(
            claim(
                f"With a hidden bias the model sets biases positive, p = {p:g}: its neurons are always active.",
                BIASED,
                p,
                always_active,
                f"all of the best model's biases, {MOST:.0%} of its h_j",
            )
            for p in (DENSE, SPARSE)
        ),
        as_linear(SPARSE),
    ),
)
