"""Superposition in a privileged basis: ten features in five neurons with hidden ReLUs, from dense to sparse.

Paper: "Superposition in a Privileged Basis". n = 10 features of importance 0.75^i in m = 5 neurons,
x' = ReLU(W^T ReLU(W x) + b); of 1,000 models per density the one of the lowest loss. The paper's sentences are on
ranges of densities, six regimes; each is judged at one density.

    python -m superpose.run experiment=hidden_10_5

You should see neurons turn from monosemantic (white ground) to polysemantic: first a neuron a feature, then two neurons
with a binary code of three features, at last every feature in a pair of neurons of its own. A feature alone activates
the neurons whose weights for it are positive; negative ones silence neurons that others activate.
"""

from collections.abc import Callable

import numpy as np
import xarray as xr
from jaxtyping import Array, Bool, Float, PRNGKeyArray
from matplotlib.figure import Figure

from superpose import neurons, selection, stacks, statistics
from superpose.experiment import Claim, Experiment, Verdict
from superpose.models import AbstractToyModel
from superpose.task import Task

SOURCE = "Superposition in a Privileged Basis"
ANTIPODAL, ORTHOGONAL = -0.9, 0.2  # cosines
LARGE = 0.5  # of a feature's largest entry: what counts as large whatever its sign
PANELS = 6
CLOSE = 1.005  # times the lowest loss: seeds that end there found the best model
ENOUGH = 5  # such seeds
ERRORS = 2.0  # standard errors of the loss, within which another code may be the better one

Model = xr.Dataset
Weights = Float[np.ndarray, "m n"]


def measure(model: AbstractToyModel, task: Task, key: PRNGKeyArray) -> dict[str, Array]:
    """The kind of each neuron of a tied model."""
    W = neurons.matrix(model)
    return neurons.summary(W, W.T)


def activated(W: Weights) -> Bool[np.ndarray, "m n"]:
    """Which neurons each feature activates: positive entries, above 0.2 of the feature's largest positive one."""
    return (W > 0) & (neurons.RESPONDS * np.maximum(W, 0).max(axis=0, initial=0) < W)


def mono(model: Model) -> Bool[np.ndarray, " m"]:
    return model["neuron_kind"].values == 1


def shared(model: Model) -> list[int]:
    """The represented features outside of monosemantic neurons."""
    alone = model["neuron_primary"].values[mono(model)]
    return [i for i in np.flatnonzero(model["represented"].values).tolist() if i not in alone]


def counts(model: Model, alone: int, features: int) -> bool:
    """So many monosemantic neurons, all others polysemantic, and so many features in these."""
    kinds = model["neuron_kind"].values
    return mono(model).sum() == alone and (kinds > 1).sum() == len(kinds) - alone and len(shared(model)) == features


def said_counts(model: Model) -> str:
    kinds = model["neuron_kind"].values
    return f"{mono(model).sum()} mono- and {(kinds > 1).sum()} polysemantic neurons, {len(shared(model))} in these"


def cosines(model: Model) -> Float[np.ndarray, "k k"]:
    """Of the features that share neurons, seen in these neurons alone."""
    W = selection.weights(model)[~mono(model)][:, shared(model)]
    unit = W / np.maximum(np.linalg.norm(W, axis=0), 1e-12)
    return unit.T @ unit


def binary(model: Model) -> bool:
    """Three features in two neurons: one activates both, the others are antipodal, and orthogonal to it."""
    rows, features = np.flatnonzero(~mono(model)), shared(model)
    if len(rows) != 2 or len(features) != 3:
        return False
    cosine, both = cosines(model), activated(selection.weights(model)[rows])[:, features].all(axis=0)
    first = int(both.argmax())
    others = [k for k in range(3) if k != first]
    right = np.abs(cosine[first, others]).max() < ORTHOGONAL
    return bool(both.sum() == 1 and right and cosine[others[0], others[1]] < ANTIPODAL)


def said_cosines(model: Model) -> str:
    features, cosine = shared(model), cosines(model)
    pairs = [(a, b) for b in range(len(features)) for a in range(b)]
    return "cosines " + ", ".join(f"{features[a]} and {features[b]} {cosine[a, b]:.2f}" for a, b in pairs)


def split(model: Model) -> tuple[int, list[int], list[int], list[set[int]]] | None:
    """A neuron whose sign splits the shared features in two: it, the important ones, the others, and all their codes.

    A code is the set of those other polysemantic neurons that a feature activates. The important group is the one of
    greater mean importance. Of several such neurons, one whose codes are `complementary`, else the first.
    """
    W, rows, features = selection.weights(model), np.flatnonzero(~mono(model)).tolist(), shared(model)
    worth, found = model["feature_importance"].values, []
    for row in rows:
        positive = [i for i in features if W[row, i] > 0]
        groups = [group for group in (positive, [i for i in features if i not in positive]) if group]
        clear = bool((np.abs(W[row, features]) > neurons.RESPONDS * np.abs(W[row]).max()).all())
        if len(groups) == 2 and clear:
            high, low = sorted(groups, key=lambda group: -worth[group].mean())
            rest = [j for j in rows if j != row]
            on = activated(W[rest])
            codes = [set(np.array(rest)[on[:, i]].tolist()) for i in high + low]
            found.append((row, high, low, codes))
    return next((f for f in found if complementary(f, len(rows) - 1)), found[0] if found else None)


def complementary(found: tuple[int, list[int], list[int], list[set[int]]], k: int) -> bool:
    """Whether the important features have all codes of k - 1 of the k other neurons, and the rest all single ones."""
    _, high, low, codes = found
    sizes = [len(code) for code in codes]
    distinct = len(set(map(frozenset, codes))) == len(codes)
    return distinct and sizes == [k - 1] * len(high) + [1] * len(low) and len(high) == len(low) == k


def splits(model: Model) -> bool:
    """Is there such a neuron, with every important feature of greater importance than every other?"""
    found, worth = split(model), model["feature_importance"].values
    if found is None or not complementary(found, int((~mono(model)).sum()) - 1):
        return False
    return bool(worth[found[1]].min() > worth[found[2]].max())


def said_split(model: Model) -> str:
    found = split(model)
    if found is None:
        return "no neuron's sign splits the features that share neurons"
    row, high, low, codes = found
    sizes = ["".join(map(str, sorted(len(code) for code in part))) for part in (codes[: len(high)], codes[len(high) :])]
    return (
        f"neuron {row} splits {', '.join(map(str, high))} (activating {sizes[0]} of the others) from"
        f" {', '.join(map(str, low))} ({sizes[1]})"
    )


def codes(model: Model, large: bool = False) -> list[frozenset[int]]:
    """The neurons that each feature activates; with `large`, in which its entry is large in magnitude."""
    W = selection.weights(model)
    on = np.abs(W) > LARGE * np.abs(W).max(axis=0) if large else activated(W)
    return [frozenset(np.flatnonzero(column).tolist()) for column in on.T]


def distinct_pairs(model: Model, large: bool = False) -> bool:
    found = codes(model, large)
    return bool(model["represented"].all()) and set(map(len, found)) == {2} and len(set(found)) == len(found)


def said_codes(model: Model, large: bool = False) -> str:
    found = codes(model, large)
    listed = " ".join("".join(map(str, sorted(code))) for code in found)
    return f"{listed} ({len(set(found))} distinct), {int(model['represented'].sum())} features represented"


def level(tree: xr.DataTree, density: float) -> xr.Dataset | None:
    """The usable models at a density, best first along `seed`; None where there is none of n = 10, m = 5."""
    if "relu_hidden" not in tree.children or "neuron_kind" not in tree["relu_hidden"]:
        return None
    ds = selection.one_point(tree["relu_hidden"].to_dataset())[0]
    there = selection.at_density(ds, density) if (ds.sizes["feature"], ds.sizes["hidden"]) == (10, 5) else None
    models = None if there is None else selection.sorted_by_loss(there)
    return models if models is not None and models.sizes["seed"] else None


def settled(models: xr.Dataset, true: list[bool]) -> tuple[bool, str]:
    """Whether the best model tells, and how many seeds it rests on, in words.

    It does not where fewer than 5 seeds come within 0.5% of its loss, and one of which the sentence is otherwise comes
    within two standard errors of it. (All losses are of one sample, so that differences have smaller errors.)
    """
    loss, error = models["loss"].values, float(models["loss_standard_error"][0])
    close = int((loss <= CLOSE * loss[0]).sum())
    rivals = loss[np.array(true) != true[0]]
    told = f"{close} of {loss.size} seeds within {CLOSE - 1:.1%} of the lowest loss"
    if not rivals.size:
        return True, told
    told += f"; the best one that differs in this at {rivals[0] / loss[0]:.4f} times it"
    return close >= ENOUGH or rivals[0] > loss[0] + ERRORS * error, told


def claim(
    text: str,
    p: float,
    holds: Callable[[Model], bool],
    words: Callable[[Model], str],
    expected: str,
    ours: bool = False,
) -> Claim:
    """A sentence on the best model at a density; it says of how many seeds it is true, and how sure the best one is."""

    def check(tree: xr.DataTree) -> Verdict:
        models = level(tree, p)
        if models is None:
            return Verdict(None, f"nothing: the arrays lack models of n = 10, m = 5 with hidden ReLUs at p = {p:g}")
        names = ["W", "feature_importance", "represented", *neurons.VARIABLES]
        each = [models[names].isel(seed=k) for k in range(models.sizes["seed"])]
        true = [holds(model) for model in each]
        sure, told = settled(models, true)
        told = f"{words(each[0])}; true of {sum(true)} of {len(each)} seeds; {told}"
        return Verdict(bool(true[0]) if sure else None, told, expected, seeds=len(each))

    return Claim(text, SOURCE, check, ours)


def figure(tree: xr.DataTree) -> Figure:
    """Of each density the best model: its weights as a matrix, and stacked for each neuron."""
    ds, note = selection.one_point(tree["relu_hidden"].to_dataset())
    best = statistics.best(ds)
    models = [best.isel(sparsity=place) for place in selection.evenly(ds.sizes["sparsity"], PANELS)]
    figure = Figure(figsize=(6.9, 4.0))
    stacks.below_matrices(figure, [stacks.column(m, f"$1-S = {float(m['density']):.3g}$") for m in models])
    sizes = f"$n = {ds.sizes['feature']}$, $m = {ds.sizes['hidden']}$"
    said = ", ".join(filter(None, [sizes, note, f"each column {selection.best_of(ds)}", "colour and number: feature"]))
    figure.supxlabel(said, fontsize=7)
    return figure


def of_counts(text: str, p: float, alone: int, features: int) -> Claim:
    """A sentence on how many neurons are monosemantic, and how many features share the others."""
    rest = f", {5 - alone} polysemantic with {features} features" if features else ""
    return claim(text, p, lambda model: counts(model, alone, features), said_counts, f"{alone} monosemantic{rest}")


def of_split(text: str, p: float, alone: int, features: int, expected: str) -> Claim:
    """A sentence on a neuron that splits important from unimportant features."""
    holds = lambda model: counts(model, alone, features) and splits(model)
    return claim(text, p, holds, said_split, f"{expected}, sorted by importance")


experiment = Experiment(
    figure=figure,
    measure=measure,
    dims={name: dims for name, (dims, _) in neurons.VARIABLES.items()},
    attributes={name: attributes for name, (_, attributes) in neurons.VARIABLES.items()},
    claims=(
        of_counts("1 - S = 0.75 (above 0.5): all five neurons are monosemantic.", 0.75, 5, 0),
        of_counts(
            "0.35 (of 0.2 to 0.5): three neurons are monosemantic, three features share the other two.", 0.35, 3, 3
        ),
        claim(
            "0.35 (of 0.2 to 0.5): these have a binary code, the one of (1, 1) orthogonal to the antipodal other two.",
            0.35,
            binary,
            said_cosines,
            f"two below {ANTIPODAL}; the one that activates both within {ORTHOGONAL} of 0",
        ),
        of_counts("0.15: two neurons are monosemantic, five features share the other three.", 0.15, 2, 5),
        of_counts("0.12: one neuron is monosemantic, six features share the other four.", 0.12, 1, 6),
        of_split(
            "0.12: one of the four splits important from unimportant; the former are pairs, the latter single.",
            0.12,
            1,
            6,
            "all 3 pairs and all 3 single ones of the other 3 neurons",
        ),
        of_counts(
            "0.06 (of 0.05 to 0.08): eight features share the five neurons, all of them polysemantic.", 0.06, 0, 8
        ),
        of_split(
            "0.06 (of 0.05 to 0.08): one splits important from unimportant; the former are triples, the latter single.",
            0.06,
            0,
            8,
            "all 4 triples and all 4 single ones of the other 4 neurons",
        ),
        claim(
            "0.03 (of up to 0.04): every feature is a pair of neurons, ten pairs in all: those that it activates.",
            0.03,
            distinct_pairs,
            said_codes,
            "10 features, each activating 2 neurons, 10 distinct pairs",
        ),
        claim(
            "0.03 (of up to 0.04): every feature has exactly two large entries, whatever their sign.",
            0.03,
            lambda model: distinct_pairs(model, True),
            lambda model: said_codes(model, True),
            f"2 entries above {LARGE} of the feature's largest in magnitude, 10 distinct pairs",
            ours=True,
        ),
    ),
)
