"""Two dense features in one dimension, without superposition: one of them is quantised, the other fills the gaps.

Paper: appendix, "Nonlinear Compression". With Z levels, for x, y in [0, 1),

    t = (floor(Z x) + y) / Z,    x' = floor(Z t) / Z + b_0,    y' = Z t - floor(Z t) + b_1

loses only what is within a level: 1 / (12 Z^2), where any linear model loses 1 / 12. Neurons have no jumps: here each
becomes a line of width epsilon, floor(v) = k + max(0, 1 - (k + 1 - v) / epsilon) for v in [k, k + 1). Here epsilon is
in levels; read as a width on x, where a level is 1 / Z wide, the paper's 0.1 is 0.1 Z levels.

    python -m superpose.run experiment=nonlinear_compression

You should see: all curves far below the linear line at epsilon = 0, and rising with epsilon; with three levels the code
is still better than a linear one at epsilon = 0.1, but not where that is a width on x.
"""

from typing import ClassVar

import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float
from matplotlib.figure import Figure

from superpose import AbstractToyModel, Claim, Experiment, Verdict, plots, scalar, statistics, theory
from superpose.models import Dims

SOURCE = "Appendix: Nonlinear Compression"
LINEAR = float(theory.linear_optimum(np.ones(2), 1.0, 1))
"""What the best linear model loses: the variance of one of the two, 1 / 12."""
PAPER = 3.0, 0.1
CLOSE = 0.02


class Quantised(AbstractToyModel):
    """t = (floor(Z x_0) + x_1) / Z, decoded by the same floor, whose jumps are lines of width epsilon.

    Args:
        n, m: 2 and 1.
        Z: levels, at least 1.
        epsilon: width of a jump, in [0, 1], in units of a level.
    """

    b: Float[Array, " n"]
    Z: Array
    epsilon: Array
    dims: ClassVar[Dims] = {"b": ("feature",)}
    basis_privileged: ClassVar[bool] = True

    def __init__(self, n: int, m: int, Z: float, epsilon: float):
        if (n, m) != (2, 1):
            raise ValueError(
                f"This code puts 2 features into 1 dimension, got n = {n}, m = {m}. Type model.n=2 model.m=1."
            )
        self.b, self.Z, self.epsilon = jnp.zeros(2), scalar(Z), scalar(epsilon)

    def encode(self, x: Float[Array, "2 batch"]) -> Float[Array, "1 batch"]:
        return ((steps(self.Z * x[0], self.epsilon) + x[1]) / self.Z)[None]

    def decode(self, h: Float[Array, "1 batch"]) -> Float[Array, "2 batch"]:
        v = self.Z * h[0]
        level = steps(v, self.epsilon)
        return jnp.stack([level / self.Z, v - level]) + self.b[:, None]


def steps(v: Float[Array, " batch"], width: Float[Array, ""]) -> Float[Array, " batch"]:
    """floor(v), each jump a line that begins `width` before it."""
    whole = jnp.floor(v)
    rise = jnp.maximum(0.0, 1 - (whole + 1 - v) / jnp.where(width > 0, width, 1.0))
    return whole + jnp.where(width > 0, rise, 0.0)


def losses(tree: xr.DataTree) -> xr.DataArray:
    """The best loss over (Z, epsilon), each a dimension however few there are; `seeds` says of how many models."""
    ds = next(iter(tree.children.values())).to_dataset()
    found = statistics.best(ds).isel(sparsity=0)["loss"].assign_attrs(seeds=ds.sizes["seed"])
    for name in ("Z", "epsilon"):
        found = found if name in found.dims else found.expand_dims(name)
    return found.transpose("Z", "epsilon")


def figure(tree: xr.DataTree) -> Figure:
    """The loss over epsilon, in levels and as a width on x, a line for each Z; and the linear model's."""
    found = losses(tree)
    figure = Figure(figsize=(6.9, 2.9))
    axes = figure.subplots(1, 2, sharey=True)
    colours = plots.VIRIDIS(np.linspace(0.05, 0.85, found.sizes["Z"]))
    for colour, row in zip(colours, found, strict=True):
        for ax, width in zip(axes, (row["epsilon"], row["epsilon"] / row["Z"]), strict=True):
            ax.plot(width, row, color=colour, marker=".", label=f"$Z = {float(row['Z']):g}$")
    for ax, unit in zip(axes, ("in levels", "on $x$"), strict=True):
        ax.axhline(LINEAR, color=plots.INK, linestyle="--", linewidth=0.9)
        ax.axvline(PAPER[1], color=plots.FAINT, linestyle=":", linewidth=0.9, zorder=0)
        ax.set_xlabel(rf"width of a step $\varepsilon$, {unit}")
    end = axes[0].get_xlim()[1]
    axes[0].annotate("best linear model, 1/12", (end, LINEAR), (-2, -9), textcoords="offset points", ha="right")
    axes[0].set_ylabel("expected loss,\nsummed over both features")
    plots.logarithmic(axes[0], "y")
    axes[0].legend(frameon=False, ncols=2, loc="lower right")
    seeds = f"each the best of {found.attrs['seeds']} seeds"
    figure.supxlabel(f"$n = 2$, $m = 1$, $1-S = 1$; {seeds}; dotted: the paper's {PAPER[1]:g}", fontsize=7)
    return figure


def said(tree: xr.DataTree) -> Verdict:
    """With epsilon in levels; what it is as a width on x is told beside it."""
    found = losses(tree)
    at = lambda width: found.values[np.isclose(found["Z"], PAPER[0])[:, None] & np.isclose(found["epsilon"], width)]
    here, on_x = at(PAPER[1]), at(PAPER[1] * PAPER[0])
    if not here.size:
        return Verdict(None, f"nothing: the arrays lack Z = {PAPER[0]:g}, epsilon = {PAPER[1]:g}")
    told = [f"{here[0]:.4f}, {here[0] / LINEAR:.2f} of the linear model's, with epsilon in levels"]
    told += [f"{value:.4f}, {value / LINEAR:.2f} of it, with epsilon a width on x" for value in on_x]
    expected = f"less than {LINEAR:.4f}, with epsilon in levels"
    return Verdict(bool(here[0] < LINEAR), "; ".join(told), expected, seeds=found.attrs["seeds"])


def ideal(tree: xr.DataTree) -> Verdict:
    found = losses(tree)
    sharp = found.isel(epsilon=np.flatnonzero(found["epsilon"] == 0))
    if not sharp.size:
        return Verdict(None, "nothing: the arrays lack epsilon = 0")
    ratio = sharp.isel(epsilon=0) * 12 * sharp["Z"] ** 2
    told = f"{float(ratio.min()):.3f} to {float(ratio.max()):.3f} times 1 / (12 Z^2)"
    holds = bool((abs(ratio - 1) < CLOSE).all())
    return Verdict(holds, told, f"1 within {CLOSE:g}, for every Z", seeds=found.attrs["seeds"])


def reach(tree: xr.DataTree) -> Verdict:
    """Up to which epsilon each Z is better than a linear model."""
    found = losses(tree)
    better = found < LINEAR
    last = [float(row["epsilon"].values[row.values].max(initial=-1)) for row in better]
    told = ", ".join(f"Z = {float(z):g}: {w:g}" for z, w in zip(found["Z"], last, strict=True) if w >= 0)
    holds = bool(better.sel(epsilon=0, method="nearest").all())
    return Verdict(holds, f"up to epsilon = {told}", "at epsilon = 0 every Z", seeds=found.attrs["seeds"])


experiment = Experiment(
    figure,
    (
        Claim("Nonlinear compression is better than linear even with epsilon = 0.1 and Z = 3.", SOURCE, said),
        Claim("With sharp steps it loses only what lies within a level.", SOURCE, ideal, ours=True),
        Claim("With sharp enough steps every number of levels beats the linear model.", SOURCE, reach, ours=True),
    ),
)
