"""Adversarial vulnerability: how far small attacks on the input raise the loss, as features come to share dimensions.

Paper: "Relationship to Adversarial Robustness". n = 100 features of importance 1 in m = 10 dimensions.

    python -m superpose.run experiment=adversarial

The attacks of a model are the best L2 attacks on each of its features, were it linear:

    delta_i = +- lambda (W^T W)_i / ||(W^T W)_i||_2,    lambda = 0.1 E||x||_2

L' is the mean loss where x + delta is seen and x is to be given back. A model of orthogonal features, at the same
density and so the same lambda, is harmed most along a feature that it keeps: x_i + lambda instead of x_i, for any x, so
that L'_0 - L_0 = lambda^2. So

    vulnerability = (L' - L) / (L'_0 - L_0) = (L' - L) / lambda^2

You should see: 1 where features are dense, 2 where they are antipodal pairs; it goes on rising with the features per
dimension, 1/D*, though more slowly. The attack that is worst for each input by itself harms several times as much.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, PRNGKeyArray
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from superpose import plots, selection, statistics
from superpose.draws import seed_key
from superpose.experiment import Claim, Experiment, Verdict
from superpose.features import draws_nonzero
from superpose.models import AbstractTiedModel, AbstractToyModel
from superpose.penalties import directions
from superpose.task import Task

SOURCE = "Relationship to Adversarial Robustness"
LENGTH = 0.1
"""The attack's L2 norm over that of the mean input."""
VECTORS, SEED = 1024, 2209
RISE, STRONG, DENSE = 3.0, 0.9, 0.05
"""The paper's rise; what counts as a strong correlation; how near to 1 a dense model is."""
BAND, CROWD, PLATEAU, PAIRED = 1.5, 4.0, 0.03, 0.1
"""Vulnerability tracks 1/D* within this factor, up to that many features per dimension; how near to 1/2 D* is on the
antipodal plateau, and vulnerability to 2."""
MASKED, SMALL = 0.99, 0.05
"""The paper's share of outputs that are zero; an off-diagonal entry of W^T W, relative to the diagonal one, that is."""
CURVES = {
    "vulnerability": (plots.BLUE, "one attack for all inputs"),
    "vulnerability_per_example": (plots.ORANGE, "the worst for each input"),
}
MEASURED = {
    "vulnerability": "(L' - L) / lambda^2 of the attack of greatest mean loss",
    "vulnerability_per_example": "the same of the worst attack on each input",
    "vulnerability_moving": "the same of one attack, of plus sign, where x + delta is to be given back",
    "attack_norm": "lambda, 0.1 of the mean input norm",
    "zero_outputs": "share of inputs for which the output is 0",
}


def measure(model: AbstractToyModel, task: Task, key: PRNGKeyArray) -> dict[str, Array]:
    """What `MEASURED` says.

    The inputs are one sample of vectors that are not zero, evenly drawn, and the zero vector with its probability.
    """
    assert isinstance(model, AbstractTiedModel) and draws_nonzero(task.features)
    noise = task.features.nonzero_noise(VECTORS, even=True, key=seed_key(SEED))
    x = jnp.concatenate([task.features.nonzero(*noise), jnp.zeros((task.features.n, 1))], axis=1)
    active = task.features.active_probability
    weight = jnp.append(jnp.full(VECTORS, active / VECTORS), 1 - active)
    length = LENGTH * jnp.sum(weight * jnp.linalg.norm(x, axis=0))
    harm = harms(model, task, x, weight, length * directions(model.W)) / length**2
    zeros = (model(x) == 0) @ weight
    return dict(zip(MEASURED, (*harm, length, zeros), strict=True))


def harms(model: AbstractTiedModel, task: Task, x: Array, weight: Array, deltas: Array) -> Array:
    """L' - L of the worst attack, of the worst for each input, and of the worst where the target moves to x + delta.

    No ReLU gives back x - delta where that is negative: there the sign is plus.

    Args:
        x: inputs (n, batch). weight: theirs (batch,). deltas: the attacks (n, k), each of either sign.
    """
    before = model.W.T @ (model.W @ x) + model.b[:, None]
    loss = lambda asked, a: jnp.sum(task.importance[:, None] * (asked - model.activation(a)) ** 2, axis=0)
    clean = loss(x, before)

    def attack(worst: Array, delta: Array) -> tuple[Array, Array]:
        after = before + (model.W.T @ (model.W @ delta))[:, None]
        rise, moving = loss(x, after) - clean, loss(x + delta[:, None], after) - clean
        return jnp.maximum(worst, rise), jnp.stack([jnp.sum(weight * rise), jnp.sum(weight * moving)])

    every = jnp.concatenate([deltas, -deltas], axis=1).T
    worst, means = jax.lax.scan(attack, jnp.full(x.shape[1], -jnp.inf), every)
    fixed, moving = means.T
    return jnp.stack([jnp.max(fixed), jnp.sum(weight * worst), jnp.max(moving[: deltas.shape[1]])])


def models(tree: xr.DataTree) -> xr.Dataset | None:
    """The ReLU models from dense to sparse, with their features per dimension; None where there are none."""
    ds = tree["relu"].to_dataset() if "relu" in tree.children else xr.Dataset()
    if not {*MEASURED, "dimensions_per_feature", "W"} <= set(ds.variables):
        return None
    ds = selection.one_point(ds[[*MEASURED, "dimensions_per_feature", "W", "loss", "finite"]])[0]
    if "sparsity" not in ds.dims:
        ds = ds.drop_vars("density").expand_dims("sparsity").assign_coords(density=("sparsity", [float(ds["density"])]))
    ds = ds.assign(features_per_dimension=1 / ds["dimensions_per_feature"]).sortby("sparsity")
    return ds.where(ds["finite"]).transpose("sparsity", "seed", "hidden", "feature") if ds["finite"].any() else None


def figure(tree: xr.DataTree) -> Figure:
    """Vulnerability and features per dimension over sparsity; beside them one against the other."""
    ds = models(tree)
    figure = Figure(figsize=(6.9, 3.6))
    if ds is None:
        figure.text(0.5, 0.5, "no models whose vulnerability was measured", ha="center")
        return figure
    grid = figure.add_gridspec(2, 2, width_ratios=(1.15, 1), height_ratios=(1.4, 1))
    above = figure.add_subplot(grid[0, 0])
    below = figure.add_subplot(grid[1, 0], sharex=above)
    x, crowd = 1 / ds["density"].values, ds["features_per_dimension"].values
    for name, (colour, label) in CURVES.items():
        plots.band(above, x, ds[name].values, colour, label=label)
    above.plot(x, np.nanmedian(crowd, axis=1), color=plots.FAINT, linewidth=1.5, zorder=0, label="$1/D^*$")
    plots.band(below, x, crowd, plots.INK)
    for which in ("x", "y"):
        plots.logarithmic(above, which)
    above.set_ylabel("vulnerability relative to\nno superposition")
    above.legend(frameon=False)
    above.tick_params(labelbottom=False)
    below.set(xlabel="$1/(1-S)$, from dense to sparse", ylabel="features per\ndimension $1/D^*$", ylim=(0, None))
    for ax in (above, below):
        ax.axhline(1, color=plots.FAINT, linewidth=0.6, linestyle="--", zorder=0)
    against(figure.add_subplot(grid[:, 1]), ds)
    sizes = f"$n = {ds.sizes['feature']}$, $m = {ds.sizes['hidden']}$, attacks of ${LENGTH:g}\\,E\\Vert x\\Vert$"
    seeds = f"left: medians of {ds.sizes['seed']} seeds and the half of them around; right: every model"
    figure.supxlabel(f"{sizes}; {seeds}", fontsize=7)
    return figure


def against(ax: Axes, ds: xr.Dataset) -> None:
    """Each model's vulnerability over its features per dimension, in the colour of its density."""
    sparse = -np.log10(ds["density"].values)
    scale = plots.Scale(plots.VIRIDIS, 0.0, float(sparse.max()) or 1.0)
    x, y = ds["features_per_dimension"].values.ravel(), ds["vulnerability"].values.ravel()
    ax.scatter(x, y, c=scale.colours(np.repeat(sparse, ds.sizes["seed"])), s=9, linewidth=0)
    top = 1.1 * float(np.nanmax(y))
    ax.plot([0, top], [0, top], color=plots.FAINT, linewidth=0.8, linestyle="--", zorder=0)
    ax.text(0.93 * top, 0.96 * top, "equal", color="#777777", ha="right", va="center", fontsize=7)
    ax.set(xlabel="features per dimension $1/D^*$", ylabel="vulnerability (one attack for all inputs)")
    ax.set(xlim=(0, 1.05 * float(np.nanmax(x))), ylim=(0, top))
    ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100) if np.log10(tick) <= scale.high + 1e-9]
    plots.colorbar(ax, scale, "$1/(1-S)$").set_ticks(np.log10(ticks).tolist(), labels=[f"{tick}" for tick in ticks])


def said(text: str, check: Callable[[xr.Dataset], Verdict | None], ours: bool = False, least: int = 4) -> Claim:
    """A sentence on the models, over at least so many densities."""

    def judged(tree: xr.DataTree) -> Verdict:
        ds = models(tree)
        verdict = check(ds) if ds is not None and ds.sizes["sparsity"] >= least else None
        return verdict or Verdict(None, "nothing: the arrays lack models that this is about, or densities of them")

    return Claim(text, SOURCE, judged, ours)


def medians(ds: xr.Dataset, name: str) -> np.ndarray:
    """Over seeds, of each density."""
    return np.nanmedian(ds[name].values, axis=1)


def near(ds: xr.Dataset, where: np.ndarray, name: str, value: float, within: float) -> Verdict | None:
    """Whether the median over seeds is that value at all these densities, if there are any."""
    values, p = medians(ds, name)[where], ds["density"].values[where]
    if not len(p):
        return None
    levels = f"p = {p[0]:.3g}" if len(p) == 1 else f"the {len(p)} densities {p[-1]:.3g} to {p[0]:.3g}"
    words = f"{values.min():.4f} to {values.max():.4f} (medians) at {levels}"
    holds = bool((np.abs(values - value) <= within).all())
    return Verdict(holds, words, f"{value:g} within {within:g}", seeds=ds.sizes["seed"])


def when_dense(name: str, value: float) -> Callable[[xr.Dataset], Verdict | None]:
    return lambda ds: near(ds, np.isclose(ds["density"].values, 1), name, value, DENSE)


def on_the_plateau(ds: xr.Dataset) -> Verdict | None:
    paired = np.abs(medians(ds, "dimensions_per_feature") - 0.5) <= PLATEAU
    return near(ds, paired, "vulnerability", 2, 2 * PAIRED)


def rises(ds: xr.Dataset) -> Verdict:
    values = medians(ds, "vulnerability")
    k, times = int(np.argmax(values)), values.max() / values[0]
    words = f"{times:.2f} times that of the densest models, at p = {float(ds['density'][k]):.3g}"
    return Verdict(bool(times > RISE), words, f"more than {RISE:g} times", seeds=ds.sizes["seed"])


def tracks(ds: xr.Dataset) -> Verdict:
    both = medians(ds, "vulnerability"), medians(ds, "features_per_dimension")
    ratio, fits = both[0] / both[1], both[1] <= CROWD
    words = f"{ratio[fits].min():.2f} to {ratio[fits].max():.2f} times 1/D* up to {both[1][fits].max():.2f} of it"
    words += f", {ratio.min():.2f} at least; rank correlation {statistics.rank_correlation(*both):.3f} over all"
    holds = bool((np.abs(np.log(ratio[fits])) <= np.log(BAND)).all())
    return Verdict(holds, words, f"within a factor of {BAND:g} up to {CROWD:g} per dimension", seeds=ds.sizes["seed"])


def sublinear(ds: xr.Dataset) -> Verdict | None:
    """The slope d ln vulnerability / d ln 1/D* beyond pairs, of each seed."""
    x, y = (np.log(ds[name].values) for name in ("features_per_dimension", "vulnerability"))
    beyond = np.exp(np.nanmedian(x, axis=1)) > 1 / (0.5 - PLATEAU)
    if beyond.sum() < 3:
        return None
    own = xr.DataArray([np.polyfit(*pair, 1)[0] for pair in zip(x[beyond].T, y[beyond].T, strict=True)], dims="seed")
    low, high = (float(end) for end in statistics.bootstrap(own))
    words = f"as 1/D* to the power of {float(own.median()):.2f} over {beyond.sum()} densities"
    return Verdict(high < 1, words, "a power below 1", (low, high), ds.sizes["seed"])


def correlated(ds: xr.Dataset) -> Verdict:
    """Beside it, each seed's own correlation over the densities."""
    pairs = np.stack([ds[name].values for name in ("vulnerability", "features_per_dimension")])
    whole = float(np.corrcoef(pairs[:, np.isfinite(pairs[0])])[0, 1])
    own = [np.corrcoef(pairs[..., k])[0, 1] for k in range(ds.sizes["seed"])]
    words = f"r = {whole:.3f} over all models; of single seeds {np.nanmin(own):.3f} to {np.nanmax(own):.3f}"
    return Verdict(whole >= STRONG, words, f"r of at least {STRONG:g}", seeds=ds.sizes["seed"])


def per_example_exceeds(ds: xr.Dataset) -> Verdict:
    ratio = medians(ds, "vulnerability_per_example") / medians(ds, "features_per_dimension")
    words = f"{ratio.min():.2f} to {ratio.max():.2f} times 1/D*"
    return Verdict(bool(ratio.max() > 2), words, "more than twice 1/D* somewhere", seeds=ds.sizes["seed"])


def without_reference(ds: xr.Dataset) -> Verdict:
    harm = medians(ds.assign(harm=ds["vulnerability"] * ds["attack_norm"] ** 2), "harm")
    ratio = harm / harm[0]
    words = f"{ratio.min():.3f} to {ratio.max():.3f} times the densest models'"
    return Verdict(bool(ratio.max() < RISE), words, f"below {RISE:g}", seeds=ds.sizes["seed"])


def masked(ds: xr.Dataset) -> Verdict:
    """At the sparsest level: of all outputs, and of those of represented features alone."""
    sparsest = ds.isel(sparsity=-1)
    zero, kept = sparsest["zero_outputs"].values, np.linalg.norm(sparsest["W"].values, axis=-2) > 0.5
    words = f"{np.nanmean(zero):.1%} of outputs at p = {float(sparsest['density']):.3g}"
    words += f", {np.nanmean(zero[kept]):.1%} of those of represented features" * bool(kept.any())
    return Verdict(bool(np.nanmean(zero) >= MASKED), words, f"{MASKED:.0%} of outputs", seeds=ds.sizes["seed"])


def beside_the_diagonal(W: np.ndarray) -> np.ndarray:
    """(W^T W)_ij / (W^T W)_ii, j != i, of the represented features i; (k, n - 1)."""
    gram = W.T @ W
    rows = np.flatnonzero(np.diag(gram) > 0.25)
    return np.array([np.delete(gram[i], i) / gram[i, i] for i in rows]).reshape(len(rows), W.shape[1] - 1)


def rows_of_the_gram_matrix(ds: xr.Dataset) -> Verdict | None:
    """At the sparsest of the densities at which no features share dimensions, and at the sparsest of all."""
    alone = np.flatnonzero(
        (np.abs(medians(ds, "dimensions_per_feature") - 1) <= PLATEAU) & (ds["density"].values < 0.99)
    )
    if not len(alone) or medians(ds, "features_per_dimension")[-1] < 2:
        return None
    said, most = [], []
    for k in (int(alone[-1]), -1):
        rows = np.concatenate([beside_the_diagonal(W) for W in ds["W"].values[k] if np.isfinite(W).all()])
        most.append(float(np.median(np.abs(rows).max(axis=1))))
        large = rows[np.abs(rows) > SMALL]
        signs = f", of either sign ({(large > 0).mean():.0%} positive)" if large.size else ""
        said.append(f"up to {most[-1]:.3f} of the diagonal at p = {float(ds['density'][k]):.3g}{signs}")
    holds = bool(most[0] <= SMALL < most[1] and (large > 0).any() and (large < 0).any())
    return Verdict(holds, "; ".join(said), f"at most {SMALL:g}, then more, of either sign", seeds=ds.sizes["seed"])


experiment = Experiment(
    figure=figure,
    measure=measure,
    dims={**dict.fromkeys(MEASURED, ()), "zero_outputs": ("feature",)},
    version="2",
    attributes={name: {"long_name": words, "units": "1"} for name, words in MEASURED.items()},
    claims=(
        said("Vulnerability rises more than three times as superposition forms.", rises),
        said("It closely tracks the number of features per dimension, 1/D*.", tracks),
        said("The two are strongly correlated over models.", correlated),
        said("(W^T W)_i is (1, 0, ...) without, and (1, e, -e, ...) with superposition.", rows_of_the_gram_matrix),
        said("Where features are sparse, outputs are zero 99% of the time, which masks gradients.", masked),
        said("Dense models are as vulnerable as without superposition.", when_dense("vulnerability", 1), True, 1),
        said(
            "If their target moves with the input, nothing harms them.", when_dense("vulnerability_moving", 0), True, 1
        ),
        said("Where features are antipodal pairs, vulnerability is 2.", on_the_plateau, True, 1),
        said("Beyond pairs it grows more slowly than 1/D*.", sublinear, True),
        said("The worst attack for each input harms several times 1/D*.", per_example_exceeds, True),
        said("Relative to the harm of dense models, with longer attacks, it does not rise.", without_reference, True),
    ),
)
