"""Asymmetric superposition and inhibition: how ten neurons compute the absolute values of six features.

Paper: "Computation in Superposition", "The Asymmetric Superposition Motif". n = 6 features, m = 10 neurons,
y' = ReLU(W2 ReLU(W1 x) + b), y = |x|. Twelve neurons would do without superposition. Features a and b share a neuron,

    W_in = [2, -1/2], W_out = [1/2, 2]

so that a interferes heavily with b, but b hardly with a; and a second neuron that a excites, too, has a large negative
weight to b: what a adds to b becomes negative, and the output's ReLU cuts it off. (Signs into a neuron mean nothing, as
x_b and -x_b are the same task; what is given out is positive in whatever is found as a motif.)

    python -m superpose.run experiment=asym_motif

You should see, of the best model, ten neurons' weights in and out, and the same in two parts: the shared neurons with
those that inhibit, and the rest. The density is not in the paper: here S = 0.9.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Float
from matplotlib.figure import Figure

from superpose import neurons, selection, stacks
from superpose.experiment import Claim, Experiment, Verdict

SOURCE = "Computation in Superposition: The Asymmetric Superposition Motif"
RATIO = 2.0  # how much more of one feature than of the other, into the neuron and out of it
INHIBITS = -1.0  # an output weight of a neuron whose largest input weight is 1
GAIN = 0.5  # what a neuron that computes a feature passes on, |W_in| W_out, at least; 1 is right
SILENT = 0.05  # the output of a feature that counts as none
PAPER = 4.0  # 2 over 1/2
FEW = 5  # weights
SIZES = (6, 10)

Into, Out = Float[np.ndarray, "m n"], Float[np.ndarray, "n m"]


class Motif(NamedTuple):
    """A neuron shared by a (strong into it) and b (strong out of it), and a neuron by which a inhibits b."""

    shared: int
    a: int
    b: int
    inhibitor: int


def motifs(W1: Into, W2: Out) -> list[Motif]:
    """All motifs of a model, one for each shared neuron and pair of features.

        |W1_ja| >= 2 |W1_jb|,    |W2_aj| <= |W2_bj| / 2,    both computed there: |W1_ji| W2_ij > 1/2 of i = a, b
        another neuron k, excited by a where neuron j is (W1_ka of W1_ja's sign, above 0.2 of k's largest), W2_bk < -1

    Args:
        W1, W2: any scale of the neurons; of several inhibitors the one of the most negative weight.
    """
    peaks = np.maximum(np.abs(W1).max(axis=1), 1e-12)
    W1, W2 = W1 / peaks[:, None], W2 * peaks
    gain, found = np.abs(W1) * W2.T, []
    for j in range(len(W1)):
        computed = np.flatnonzero(gain[j] > GAIN).tolist()
        for a, b in [(a, b) for a in computed for b in computed if a != b]:
            asymmetric = abs(W1[j, a]) >= RATIO * abs(W1[j, b]) and RATIO * abs(W2[a, j]) <= abs(W2[b, j])
            excited = np.sign(W1[j, a]) * W1[:, a] > neurons.RESPONDS
            inhibiting = np.where(excited & (np.arange(len(W1)) != j), W2[b], np.inf)
            if asymmetric and inhibiting.min() < INHIBITS:
                found.append(Motif(j, a, b, int(inhibiting.argmin())))
    return found


def output(model: xr.Dataset, feature: int, value: float) -> Float[np.ndarray, " n"]:
    """y' of x with one feature active."""
    W1, W2 = neurons.weights(model)
    return np.maximum(W2 @ np.maximum(W1[:, feature] * value, 0) + model["b"].values, 0)


def sorted_models(tree: xr.DataTree) -> xr.Dataset | None:
    """The usable models, best first; None where there is none of n = 6, m = 10."""
    if "absolute_value" not in tree.children or "W1" not in tree["absolute_value"]:
        return None
    ds, _ = selection.one_point(tree["absolute_value"].to_dataset(), ())
    models = selection.sorted_by_loss(ds)
    right = (ds.sizes["feature"], ds.sizes["hidden"]) == SIZES
    return models[["W1", "W2", "b", "loss"]] if right and models.sizes["seed"] else None


def parts(model: xr.Dataset, found: list[Motif]) -> list[tuple[Into, Into]]:
    """W1 and W2^T whole, those entries that make the motifs, and the others."""
    W1, W2 = neurons.weights(model)
    into, out = np.zeros(W1.shape, bool), np.zeros(W1.shape, bool)
    for j, a, b, k in found:
        into[j, [a, b]] = out[j, [a, b]] = into[k, a] = out[k, b] = True
    return [
        (W1, W2.T),
        (np.where(into, W1, 0), np.where(out, W2.T, 0)),
        (np.where(into, 0, W1), np.where(out, 0, W2.T)),
    ]


def order(model: xr.Dataset, found: list[Motif]) -> list[int]:
    """Neurons by their largest feature, those of a motif side by side at the end."""
    W1, _ = neurons.weights(model)
    special = [j for motif in found for j in (motif.shared, motif.inhibitor)]
    rest = sorted(set(range(len(W1))) - set(special), key=lambda j: int(np.abs(W1[j]).argmax()))
    return rest + list(dict.fromkeys(special))


def figure(tree: xr.DataTree) -> Figure:
    """The best model: weights into its neurons and out of them, whole and in two parts."""
    ds, note = selection.one_point(next(iter(tree.children.values())).to_dataset(), ())
    model = ds.isel(seed=int(ds["loss"].fillna(np.inf).values.argmin()))
    found, n = motifs(*neurons.weights(model)), ds.sizes["feature"]
    figure = Figure(figsize=(6.9, 3.6))
    axes = figure.subplots(2, 3, sharey="row")
    titles = ("all weights", "asymmetric superposition, inhibition", "all other weights")
    shown = parts(model, found)
    for k, (row, label) in enumerate(zip(axes, ("weights in, $W_1$", "weights out, $W_2$"), strict=True)):
        span = stacks.limits([pair[k] for pair in shown])
        for ax, title, pair in zip(row, titles, shown, strict=True):
            stacks.stack(ax, pair[k][order(model, found)], stacks.of_features(n), span=span, labelled=True)
            ax.set(title=title if k == 0 else "", xlabel="neuron" if k == 1 else "")
        row[0].set_ylabel(label)
    figure.legend(handles=stacks.feature_key(n), title="feature", loc="outside right center", frameon=False)
    rest = [word for word in note.split(", ") if not word.startswith("sparsity")]
    sizes = f"$n = {n}$, $m = {ds.sizes['hidden']}$, $1-S = {float(ds['density']):.3g}$"
    said = ", ".join(filter(None, [sizes, *rest, selection.best_of(ds)]))
    figure.supxlabel(f"{said}; each neuron's largest weight in is 1 or \N{MINUS SIGN}1", fontsize=7)
    return figure


Check = Callable[[xr.Dataset, list[Motif]], tuple[bool | None, str]]


def claim(text: str, check: Check, expected: str, ours: bool = False) -> Claim:
    """A sentence on the best model and its motifs; open where there are no such models, or it holds no motif.

    What is read off the paper's figure is `ours`.
    """

    def verdict(tree: xr.DataTree) -> Verdict:
        models = sorted_models(tree)
        if models is None:
            return Verdict(None, "nothing: the arrays lack models of n = 6, m = 10 that compute absolute values")
        holds, measured = check(models, motifs(*neurons.weights(models.isel(seed=0))))
        return Verdict(holds if holds is None else bool(holds), measured, expected, seeds=models.sizes["seed"])

    return Claim(text, SOURCE, verdict, ours)


def appears(models: xr.Dataset, found: list[Motif]) -> tuple[bool, str]:
    each = [len(motifs(*neurons.weights(models.isel(seed=k)))) for k in range(models.sizes["seed"])]
    near = np.flatnonzero(models["loss"].values < 1.1 * float(models["loss"][0]))
    words = f"in {np.count_nonzero(each)} of {len(each)} models"
    words += f" ({np.count_nonzero(np.array(each)[near])} of the {len(near)} within 10% of the lowest loss)"
    return len(found) > 0, f"{words}; {len(found)} in the best"


def twice(models: xr.Dataset, found: list[Motif]) -> tuple[bool, str]:
    counts = [len(motifs(*neurons.weights(models.isel(seed=k)))) for k in range(models.sizes["seed"])]
    listed = ", ".join(f"{k} in {counts.count(k)}" for k in sorted(set(counts)))
    words = f"{len(found)} in the best model, {len({m.shared for m in found})} neurons, weak feature"
    return len(found) == 2, f"{words} {sorted({m.b for m in found})}; of all models {listed}"


def ratios(models: xr.Dataset, found: list[Motif]) -> tuple[bool | None, str]:
    W1, W2 = neurons.weights(models.isel(seed=0))
    into = np.array([abs(W1[j, a] / W1[j, b]) for j, a, b, _ in found])
    out = np.array([abs(W2[b, j] / W2[a, j]) for j, a, b, _ in found])
    near = np.abs(np.log(np.concatenate([into, out]) / PAPER)) <= np.log(RATIO)
    words = f"a over b into it {', '.join(f'{r:.1f}' for r in into)}; b over a out of it"
    return bool(near.all()) if found else None, f"{words} {', '.join(f'{r:.1f}' for r in out)}"


def silenced(models: xr.Dataset, found: list[Motif]) -> tuple[bool | None, str]:
    if not found:
        return None, "nothing: the best model holds no motif"
    model = models.isel(seed=0)
    W1, W2 = neurons.weights(model)
    after = [output(model, a, np.sign(W1[j, a]))[b] for j, a, b, _ in found]
    alone = [W2[b, j] * abs(W1[j, a]) for j, a, b, _ in found]
    words = f"y'_b {', '.join(f'{y:.3f}' for y in after)} where a is active, of"
    return max(after) < SILENT, f"{words} {', '.join(f'{y:.2f}' for y in alone)} from the shared neuron alone"


def back(models: xr.Dataset, found: list[Motif]) -> tuple[bool | None, str]:
    if not found:
        return None, "nothing: the best model holds no motif"
    W1, W2 = neurons.weights(models.isel(seed=0))
    to_b = np.array([abs(W1[j, a]) * W2[b, j] for j, a, b, _ in found])
    to_a = np.array([abs(W1[j, b]) * W2[a, j] for j, a, b, _ in found])
    told = ", ".join(f"{x:.2f} against {y:.2f}" for x, y in zip(to_b, to_a, strict=True))
    return bool((to_a < GAIN).all() and (to_b > 1).all()), f"a to b against b to a: {told}"


def ordinary(models: xr.Dataset, found: list[Motif]) -> tuple[bool | None, str]:
    if not found:
        return None, "nothing: the best model holds no motif"
    W1, W2 = neurons.weights(models.isel(seed=0))
    own = np.argmax(np.abs(W1), axis=1)
    sides = [{np.sign(W1[j, i]) for j in np.flatnonzero(own == i) if W2[i, j] > GAIN} for i in range(W1.shape[1])]
    weak = {m.b for m in found}
    both = [i for i, side in enumerate(sides) if len(side) == 2]
    words = f"features {', '.join(map(str, both)) or 'none'} have a neuron for each sign; the weak partner is"
    none = all(not sides[i] for i in weak)
    words += f" {', '.join(map(str, sorted(weak)))}, with {'no' if none else 'a'} neuron of its own"
    return bool(none and set(both) == set(range(W1.shape[1])) - weak), words


def inhibitors(models: xr.Dataset, found: list[Motif]) -> tuple[bool | None, str]:
    if not found:
        return None, "nothing: the best model holds no motif"
    W1, W2 = neurons.weights(models.isel(seed=0))
    each = {b: np.flatnonzero(W2[b] < INHIBITS) for b in sorted({m.b for m in found})}
    own = {b: np.abs(W1[those]).argmax(axis=1).tolist() for b, those in each.items()}
    told = [f"{len(each[b])} to feature {b}, of feature {' and '.join(map(str, sorted(set(own[b]))))}" for b in each]
    return all(len(those) == 2 and len(set(those)) == 1 for those in own.values()), ", ".join(told)


def conditional(models: xr.Dataset, found: list[Motif]) -> tuple[bool | None, str]:
    if not found:
        return None, "nothing: the best model holds no motif"
    W1, W2 = neurons.weights(models.isel(seed=0))
    other = np.abs(W1) * W2.T <= GAIN
    other[[m.inhibitor for m in found], [m.b for m in found]] = False
    left = W2.T[other & (np.abs(W2.T) > neurons.RESPONDS)]
    told = ", ".join(f"{weight:.2f}" for weight in left) or "none"
    return bool(0 < len(left) <= FEW and np.abs(left).max() < -INHIBITS), f"{len(left)} above 0.2: {told}"


experiment = Experiment(
    figure=figure,
    claims=(
        claim("Models hold neurons of asymmetric superposition, with inhibition.", appears, "at least one in the best"),
        claim("The motif occurs twice in the model that is shown.", twice, "2 in the best model"),
        claim("W_in = [2, -1/2], W_out = [1/2, 2], up to signs in.", ratios, "ratios of 4 within a factor of 2"),
        claim("One feature interferes heavily with the other, but not vice versa.", back, "above 1 against below 0.5"),
        claim(
            "Inhibition makes the interference negative, and the output's ReLU cuts it off.",
            silenced,
            f"below {SILENT}, in all motifs of the best model",
        ),
        claim(
            "The weak partner has no neuron of its own; all other features have one for each sign.",
            ordinary,
            "all but the weak partner",
            ours=True,
        ),
        claim(
            "Two neurons, of one other feature, carry large negative weights out to the weak partner.",
            inhibitors,
            f"2 of one feature below {INHIBITS:g}",
            ours=True,
        ),
        claim(
            "A few other weights act as small conditional biases.",
            conditional,
            f"1 to {FEW} other weights out above {neurons.RESPONDS} in magnitude, none above 1",
        ),
    ),
)
