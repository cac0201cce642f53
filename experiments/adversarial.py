"""Adversarial vulnerability: how far small attacks on the input raise the loss, as features come to share dimensions.

Paper: "Superposition and Adversarial Robustness". n = 100 features of importance 1 in m = 10 dimensions.

    python -m superpose.run experiment=adversarial

The attacks of a model are the best L2 attacks on each of its features, were it linear:

    delta_i = +- lambda (W^T W)_i / ||(W^T W)_i||_2,    lambda = 0.1 E||x||_2

L' is the mean loss where x + delta is seen and x is to be given back. A model of orthogonal features, at the same
density and so the same lambda, is harmed most along a feature that it keeps: x_i + lambda instead of x_i, for any x, so
that L'_0 - L_0 = lambda^2. So

    vulnerability = (L' - L) / (L'_0 - L_0) = (L' - L) / lambda^2

You should see: 1 where features are dense; it rises as they become sparse, and so do the features per dimension, 1/D*.
The attack that is worst for each input by itself harms several times as much.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, PRNGKeyArray
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from superpose import plots, selection
from superpose.draws import seed_key
from superpose.experiment import Claim, Experiment, Verdict
from superpose.features import draws_nonzero
from superpose.models import AbstractTiedModel, AbstractToyModel
from superpose.penalties import directions
from superpose.task import Task

SOURCE = "Superposition and Adversarial Robustness"
LENGTH = 0.1
"""The attack's L2 norm over that of the mean input."""
VECTORS, SEED = 1024, 2209
RISE, STRONG, DENSE = 3.0, 0.9, 0.05
"""The paper's rise; what counts as a strong correlation; how near to 1 a dense model is."""
COLOURS = {"vulnerability": "#0072b2", "vulnerability_per_example": "#d55e00"}
NAMES = {"vulnerability": "one attack for all inputs", "vulnerability_per_example": "the worst for each input"}


def measure(model: AbstractToyModel, task: Task, key: PRNGKeyArray) -> dict[str, Array]:
    """(L' - L) / lambda^2 of the worst attack of all, and of the worst one for each input; and lambda.

    The inputs are one sample of vectors that are not zero, evenly drawn, and the zero vector with its probability.
    """
    assert isinstance(model, AbstractTiedModel) and draws_nonzero(task.features)
    noise = task.features.nonzero_noise(VECTORS, even=True, key=seed_key(SEED))
    x = jnp.concatenate([task.features.nonzero(*noise), jnp.zeros((task.features.n, 1))], axis=1)
    active = task.features.active_probability
    weight = jnp.append(jnp.full(VECTORS, active / VECTORS), 1 - active)
    length = LENGTH * jnp.sum(weight * jnp.linalg.norm(x, axis=0))
    gram = model.W.T @ model.W
    rise = attacked(model, task, x, length * gram @ directions(model.W))
    worst, everywhere = rise(weight)
    return {
        "vulnerability": worst / length**2,
        "vulnerability_per_example": everywhere / length**2,
        "attack_norm": length,
    }


def attacked(model: AbstractTiedModel, task: Task, x: Array, shifts: Array) -> Callable[[Array], tuple[Array, Array]]:
    """The function of the inputs' weights that gives the loss's rise by the worst attack, and by the worst for each.

    Args:
        x: inputs (n, batch).
        shifts: (n, k), what each attack adds to the pre-activations W^T W x + b.
    """
    before = model.W.T @ (model.W @ x) + model.b[:, None]
    loss = lambda a: jnp.sum(task.importance[:, None] * (x - model.activation(a)) ** 2, axis=0)
    clean = loss(before)

    def rises(weight: Array) -> tuple[Array, Array]:
        def attack(worst: Array, shift: Array) -> tuple[Array, Array]:
            rise = loss(before + shift[:, None]) - clean
            return jnp.maximum(worst, rise), jnp.sum(weight * rise)

        every = jnp.concatenate([shifts, -shifts], axis=1).T
        worst, means = jax.lax.scan(attack, jnp.full(x.shape[1], -jnp.inf), every)
        return jnp.max(means), jnp.sum(weight * worst)

    return rises


def models(tree: xr.DataTree) -> xr.Dataset | None:
    """The ReLU models from dense to sparse, with their features per dimension; None where there are none."""
    ds = tree["relu"].to_dataset() if "relu" in tree.children else xr.Dataset()
    if not {*COLOURS, "dimensions_per_feature"} <= set(ds.variables):
        return None
    ds = selection.one_point(ds[[*COLOURS, "attack_norm", "dimensions_per_feature", "loss", "finite"]])[0]
    ds = (
        ds
        if "sparsity" in ds.dims
        else ds.expand_dims("sparsity").assign_coords(density=("sparsity", [float(ds["density"])]))
    )
    ds = (
        ds.assign(features_per_dimension=1 / ds["dimensions_per_feature"])
        .sortby("sparsity")
        .transpose("sparsity", "seed")
    )
    return ds.where(ds["finite"]) if ds["finite"].any() else None


def figure(tree: xr.DataTree) -> Figure:
    """Vulnerability and features per dimension over sparsity; beside them one against the other."""
    ds = models(tree)
    figure = Figure(figsize=(6.9, 3.6))
    if ds is None:
        figure.add_subplot().text(0.5, 0.5, "no models whose vulnerability was measured", ha="center")
        return figure
    grid = figure.add_gridspec(2, 2, width_ratios=(1.15, 1))
    above = figure.add_subplot(grid[0, 0])
    below = figure.add_subplot(grid[1, 0], sharex=above)
    x = 1 / ds["density"].values
    for name, colour in COLOURS.items():
        plots.band(above, x, ds[name].values, colour, label=NAMES[name])
    plots.band(below, x, ds["features_per_dimension"].values, plots.INK)
    above.set(xscale="log", yscale="log", ylabel="vulnerability relative to\nno superposition")
    above.legend(frameon=False)
    above.tick_params(labelbottom=False)
    below.set(
        ylabel="features per dimension\n$1/D^* = \\Vert W \\Vert_F^2 / m$", xlabel="$1/(1-S)$, from dense to sparse"
    )
    above.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    above.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    for ax in (above, below):
        ax.axhline(1, color=plots.FAINT, linewidth=0.6, linestyle="--", zorder=0)
    against(figure.add_subplot(grid[:, 1]), ds)
    figure.supxlabel(
        f"lines: medians of {ds.sizes['seed']} seeds; shaded: the half of the seeds around them", fontsize=7
    )
    return figure


def against(ax: Axes, ds: xr.Dataset) -> None:
    """Each model's vulnerability over its features per dimension, in the colour of its density."""
    scale = plots.Scale(plots.VIRIDIS, 0.0, float(-np.log10(ds["density"].min())) or 1.0)
    colours = scale.colours(np.repeat(-np.log10(ds["density"].values), ds.sizes["seed"]))
    x, y = ds["features_per_dimension"].values.ravel(), ds["vulnerability"].values.ravel()
    ax.scatter(x, y, c=colours, s=9, linewidth=0)
    ends = np.array([0.9, float(np.nanmax(x)) * 1.03])
    ax.plot(ends, ends, color=plots.FAINT, linewidth=0.6, linestyle="--", zorder=0)
    ax.set(xlabel="features per dimension $1/D^*$", ylabel="vulnerability (one attack for all inputs)")
    ax.set_ylim(0, 1.2 * float(np.nanmax(y)))
    plots.colorbar(ax, scale, r"$\log_{10}\, 1/(1-S)$")


def said(text: str, check: Callable[[xr.Dataset], Verdict | None], several: bool = True) -> Claim:
    """A sentence on the models, over at least four densities where it says how something changes."""

    def judged(tree: xr.DataTree) -> Verdict:
        ds = models(tree)
        fits = ds is not None and (ds.sizes["sparsity"] >= 4 or not several)
        verdict = check(ds) if fits and ds is not None else None
        return verdict or Verdict(None, "nothing: the arrays lack models that this is about, or densities of them")

    return Claim(text, SOURCE, judged)


def one_when_dense(ds: xr.Dataset) -> Verdict | None:
    dense = ds.isel(sparsity=np.flatnonzero(np.isclose(ds["density"], 1)))
    if not dense.sizes["sparsity"]:
        return None
    values = dense["vulnerability"].values.ravel()
    words = f"{np.nanmedian(values):.4f} at p = 1 (median; {np.nanmin(values):.4f} to {np.nanmax(values):.4f})"
    holds = bool(abs(np.nanmedian(values) - 1) < DENSE)
    return Verdict(holds, words, f"1 within {DENSE:g}", seeds=ds.sizes["seed"])


def medians(ds: xr.Dataset, name: str) -> np.ndarray:
    """Over seeds, of each density."""
    return np.nanmedian(ds[name].values, axis=1)


def rises(ds: xr.Dataset) -> Verdict:
    values = medians(ds, "vulnerability")
    k = int(np.argmax(values))
    times = values[k] / values[0]
    words = f"{times:.2f} times that of the densest models, at p = {float(ds['density'][k]):.3g}"
    return Verdict(bool(times > RISE), words, f"more than {RISE:g} times", seeds=ds.sizes["seed"])


def ranks(values: np.ndarray) -> np.ndarray:
    return np.argsort(np.argsort(values))


def tracks(ds: xr.Dataset) -> Verdict:
    both = medians(ds, "vulnerability"), medians(ds, "features_per_dimension")
    rank = float(np.corrcoef(ranks(both[0]), ranks(both[1]))[0, 1])
    ratio = both[0] / both[1]
    words = f"rank correlation {rank:.3f} of the medians of {len(ratio)} densities"
    words += f"; vulnerability {ratio.min():.2f} to {ratio.max():.2f} times 1/D*"
    return Verdict(rank >= STRONG, words, f"a rank correlation of at least {STRONG:g}", seeds=ds.sizes["seed"])


def correlated(ds: xr.Dataset) -> Verdict:
    """With an interval over seeds: each seed's own correlation over the densities."""
    pairs = [ds[name].values for name in ("vulnerability", "features_per_dimension")]
    there = np.isfinite(pairs[0])
    whole = float(np.corrcoef(pairs[0][there], pairs[1][there])[0, 1])
    own = [np.corrcoef(pairs[0][:, k], pairs[1][:, k])[0, 1] for k in range(ds.sizes["seed"])]
    words = f"r = {whole:.3f} over {there.sum()} models; of single seeds {np.nanmin(own):.3f} to {np.nanmax(own):.3f}"
    return Verdict(whole >= STRONG, words, f"r of at least {STRONG:g}", seeds=ds.sizes["seed"])


def per_example_exceeds(ds: xr.Dataset) -> Verdict:
    ratio = medians(ds, "vulnerability_per_example") / medians(ds, "features_per_dimension")
    least = float((ds["vulnerability_per_example"] / ds["vulnerability"]).min())
    words = f"{ratio.min():.2f} to {ratio.max():.2f} times 1/D*, and at least {least:.2f} times the one attack's harm"
    return Verdict(
        bool(least >= 1 - 1e-5 and ratio.max() > 2),
        words,
        "never less; more than twice 1/D* somewhere",
        seeds=ds.sizes["seed"],
    )


def without_reference(ds: xr.Dataset) -> Verdict:
    harm = medians(ds.assign(harm=ds["vulnerability"] * ds["attack_norm"] ** 2), "harm")
    ratio = harm / harm[0]
    words = f"{ratio.min():.3f} to {ratio.max():.3f} times the densest models', {ratio[-1]:.3f} times at the sparsest"
    return Verdict(
        bool(ratio.max() < RISE and ratio[-1] < 1),
        words,
        f"below {RISE:g}, and below 1 in the end",
        seeds=ds.sizes["seed"],
    )


experiment = Experiment(
    figure=figure,
    measure=measure,
    dims={"vulnerability": (), "vulnerability_per_example": (), "attack_norm": ()},
    attributes={
        "vulnerability": {"long_name": "(L' - L) / lambda^2 of the attack of greatest mean loss", "units": "1"},
        "vulnerability_per_example": {"long_name": "the same of the worst attack on each input", "units": "1"},
        "attack_norm": {"long_name": "lambda, 0.1 of the mean input norm", "units": "1"},
    },
    claims=(
        said("Dense models are as vulnerable as a model without superposition.", one_when_dense, several=False),
        said("Vulnerability rises more than three times as superposition forms.", rises),
        said("It closely tracks the number of features per dimension, 1/D*.", tracks),
        said("The two are strongly correlated over models.", correlated),
        said("The worst attack for each input harms more, several times 1/D*.", per_example_exceeds),
        said("Relative to the dense models' harm, with their longer attack, there is no such rise.", without_reference),
    ),
)
