"""How many almost orthogonal vectors fit: unit vectors in m dimensions, no two of which have a |cosine| above epsilon.

Paper: "Superposition Hypothesis", which computes none. These are bare vectors, no model's. Only m vectors are
orthogonal, but exponentially many in m are almost so (Johnson and Lindenstrauss, 1984): random ones already number
exp(c m epsilon^2). Here they are optimised. The largest |cosine| of k vectors, their coherence mu, is at least that of
Welch (1974),

    mu >= sqrt((k - m) / (m (k - 1)))    for k > m.

    python -m superpose.run experiment=almost_orthogonal

You should see: coherence well below that of random vectors and near Welch's bound for few vectors; and at each epsilon
a number of vectors that grows faster than any power of m.
"""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float, PRNGKeyArray
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from superpose import AbstractObjective, AbstractToyModel, Claim, Experiment, Task, Verdict, plots, scalar, statistics
from superpose.models import Dims

SOURCE = "Superposition Hypothesis"
EPSILONS = (0.3, 0.4, 0.5, 0.6)
SHADES = (plots.SKY, plots.PINK, plots.ORANGE, plots.YELLOW)  # of epsilons; those of m are viridis's
SHARPNESS = 40
STEEPER = 0.05


class Vectors(AbstractToyModel):
    """The first k = per_dimension * m columns of W are the vectors. As a model, which nobody trains, it is W^T W x."""

    W: Float[Array, "m n"]
    per_dimension: Array
    dims: ClassVar[Dims] = {"W": ("hidden", "feature")}
    basis_privileged: ClassVar[bool] = False

    def __init__(self, n: int, m: int, per_dimension: float | Array):
        self.W, self.per_dimension = jnp.zeros((m, n)), scalar(per_dimension)

    def encode(self, x: Float[Array, "n batch"]) -> Float[Array, "m batch"]:
        return self.W @ x

    def decode(self, h: Float[Array, "m batch"]) -> Float[Array, "n batch"]:
        return self.W.T @ h

    def cosines(self) -> Float[Array, "n n"]:
        """|cosine| of each pair of the first k columns, 0 for others and on the diagonal."""
        unit = self.W / jnp.maximum(jnp.linalg.norm(self.W, axis=0), 1e-12)
        place = jnp.arange(self.W.shape[1])
        counted = place < self.per_dimension * self.W.shape[0]
        pairs = counted[:, None] & counted & (place[:, None] != place)
        return jnp.where(pairs, jnp.abs(unit.T @ unit), 0.0)


class Coherence(AbstractObjective):
    """A smooth maximum of |cosine| over ordered pairs, (sum c^40)^(1/40): at most k^(1/20) times the maximum."""

    def noise(self, task: Task, *, key: PRNGKeyArray) -> tuple[()]:
        return ()

    def loss(self, model: AbstractToyModel, task: Task, noise: tuple[()]) -> Float[Array, ""]:
        assert isinstance(model, Vectors)
        c = model.cosines()
        top = jax.lax.stop_gradient(jnp.maximum(jnp.max(c), 1e-6))
        return top * jnp.sum((c / top) ** SHARPNESS) ** (1 / SHARPNESS)


def measure(model: AbstractToyModel, task: Task, key: PRNGKeyArray) -> dict[str, Array]:
    """mu of the trained vectors, and of as many random ones."""
    assert isinstance(model, Vectors)
    random = Vectors(model.W.shape[1], model.W.shape[0], model.per_dimension)
    shape = model.W.shape
    random = jax.tree.map(lambda a: jax.random.normal(key, a.shape) if a.shape == shape else a, random)
    return {"coherence": jnp.max(model.cosines()), "random_coherence": jnp.max(random.cosines())}


def welch(k: Float[np.ndarray, "..."], m: int) -> Float[np.ndarray, "..."]:
    """The least coherence that k > m vectors in m dimensions can have."""
    return np.sqrt((k - m) / (m * (k - 1)))


def coherences(tree: xr.DataTree) -> dict[int, xr.Dataset]:
    """m -> the least coherence over seeds, and the median of random vectors, over k."""
    found = {}
    for node in tree.children.values():
        ds = node.to_dataset().isel(sparsity=0)
        ds = ds if "per_dimension" in ds.dims else ds.expand_dims("per_dimension")
        m = ds.sizes["hidden"]
        own = xr.Dataset(
            {
                "coherence": ds["coherence"].min("seed"),
                "random": statistics.median(ds["random_coherence"]),
                "k": np.floor(np.minimum(ds["per_dimension"] * m, ds.sizes["feature"])),
            }
        )
        own = own.isel(per_dimension=np.flatnonzero(own["coherence"].notnull()))
        if own.sizes["per_dimension"]:
            found[m] = own.sortby("k")
    return {m: found[m] for m in sorted(found)}


def seeds_of(tree: xr.DataTree) -> int:
    """The least number of seeds that any number of vectors has."""
    counts = [statistics.count(node.to_dataset()["coherence"]).values for node in tree.children.values()]
    return min((int(each[each > 0].min()) for each in counts if each.any()), default=0)


def fitting(own: xr.Dataset, epsilon: float) -> float:
    """The largest k whose coherence is at most epsilon, log k interpolated between those tried; NaN outside of them."""
    mu, k = np.maximum.accumulate(own["coherence"].values), own["k"].values
    if len(k) < 2 or not mu[0] <= epsilon <= mu[-1]:
        return float("nan")
    return float(np.exp(np.interp(epsilon, mu, np.log(k))))


def figure(tree: xr.DataTree) -> Figure:
    """Coherence over the number of vectors per dimension, and the number that fits over m, a line for each epsilon."""
    found = coherences(tree)
    figure = Figure(figsize=(6.9, 3.1))
    left, right = figure.subplots(1, 2)
    colours = plots.VIRIDIS(np.linspace(0.05, 0.85, len(found)))
    for colour, (m, own) in zip(colours, found.items(), strict=True):
        ratio = own["k"].values / m
        left.plot(ratio, own["coherence"], color=colour, marker=".", label=f"$m = {m}$")
        left.plot(ratio, own["random"], color=colour, linestyle=":", linewidth=0.8)
        left.plot(ratio, welch(own["k"].values, m), color=colour, linestyle="--", linewidth=0.8)
    left.plot([], [], color=plots.INK, linestyle=":", linewidth=0.8, label="random")
    left.plot([], [], color=plots.INK, linestyle="--", linewidth=0.8, label="Welch's bound")
    left.set(xscale="log", ylim=(0, 1.02), xlabel="vectors per dimension $k / m$", ylabel=r"largest $|\cos|$")
    left.set_xticks([2, 4, 8, 16], ["2", "4", "8", "16"], minor=False)
    left.xaxis.set_minor_locator(NullLocator())
    place = {"frameon": False, "borderpad": 0, "labelspacing": 0.2, "columnspacing": 1.0}
    left.legend(ncols=3, loc="lower left", bbox_to_anchor=(0, 1.01), **place)
    for colour, epsilon in zip(SHADES, EPSILONS, strict=True):
        counts = {m: fitting(own, epsilon) for m, own in found.items()}
        right.plot(
            list(counts),
            list(counts.values()),
            color=colour,
            marker="o",
            markersize=3,
            label=rf"$\varepsilon = {epsilon:g}$",
        )
    right.plot(list(found), list(found), color=plots.INK, linewidth=0.8, linestyle="--", label="orthogonal")
    right.set(yscale="log", xlabel="dimensions $m$", ylabel="vectors that fit", xticks=list(found))
    right.legend(ncols=3, loc="lower left", bbox_to_anchor=(0, 1.01), **place)
    figure.supxlabel(
        f"bare unit vectors, no model; coherence: the least of {seeds_of(tree)} seeds; random: the median of as many\n"
        r"right: the largest $k$ whose coherence is at most $\varepsilon$, $\log k$ interpolated between those tried",
        fontsize=7,
    )
    return figure


def more_than_dimensions(tree: xr.DataTree) -> Verdict:
    """At epsilon = 0.5 more vectors than dimensions, for every m; and the growth of their logarithm."""
    found = coherences(tree)
    counts = {m: fitting(own, 0.5) for m, own in found.items()}
    told = {m: k for m, k in counts.items() if np.isfinite(k)}
    if not told:
        return Verdict(None, "nothing: the arrays lack vectors on both sides of |cos| = 0.5")
    words = ", ".join(f"{k:.0f} in m = {m}" for m, k in told.items())
    return Verdict(
        all(k > m for m, k in told.items()), f"with |cos| <= 0.5: {words}", "more than m", seeds=seeds_of(tree)
    )


def exponential(tree: xr.DataTree) -> Verdict:
    """Whether k grows faster than any power of m: d log k / d log m rises from m to m, where three m have it."""
    found, told, holds = coherences(tree), [], []
    for epsilon in EPSILONS:
        counts = {m: k for m, own in found.items() if np.isfinite(k := fitting(own, epsilon))}
        if len(counts) >= 3:
            m, k = np.array(list(counts), float), np.array(list(counts.values()))
            powers = np.diff(np.log(k)) / np.diff(np.log(m))
            holds.append(bool((np.diff(powers) > STEEPER).all()))
            words, slope = ", ".join(f"{power:.2f}" for power in powers), np.polyfit(m, np.log(k), 1)[0]
            told.append(f"epsilon = {epsilon:g}: powers {words}, log k grows by {slope:.2f} a dimension")
    if not told:
        return Verdict(None, "nothing: the arrays lack three m at one epsilon")
    expected = f"powers of m that rise by more than {STEEPER:g} from m to m"
    return Verdict(all(holds), "; ".join(told), expected, seeds=seeds_of(tree))


def between_bounds(tree: xr.DataTree) -> Verdict:
    """Never below Welch's bound, and always below random vectors."""
    found = coherences(tree)
    above = [float((own["coherence"] / welch(own["k"].values, m)).min()) for m, own in found.items()]
    below = [float((own["coherence"] / own["random"]).max()) for own in found.values()]
    if not found:
        return Verdict(None, "nothing: the arrays lack vectors")
    told = f"at least {min(above):.4f} of Welch's bound, at most {max(below):.2f} of random vectors'"
    return Verdict(min(above) >= 1 - 1e-4 and max(below) < 1, told, "at least 1, and less than 1", seeds=seeds_of(tree))


experiment = Experiment(
    figure,
    (
        Claim(
            "More vectors than dimensions fit, if they need only be almost orthogonal.", SOURCE, more_than_dimensions
        ),
        Claim("Their number grows exponentially with the dimensions.", SOURCE, exponential),
        Claim(
            "Optimised vectors are closer to orthogonal than random ones, and obey the bound of Welch (1974).",
            SOURCE,
            between_bounds,
            ours=True,
        ),
    ),
    measure=measure,
    dims={"coherence": (), "random_coherence": ()},
    attributes={
        "coherence": {"long_name": "largest |cosine| of two of the vectors", "units": "1"},
        "random_coherence": {"long_name": "the same of as many random vectors", "units": "1"},
    },
)
