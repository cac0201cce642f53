"""Two dense features in one dimension, without superposition: one of them is quantised, the other fills the gaps.

Paper: appendix, "Nonlinear Compression". With Z levels, for x, y in [0, 1),

    t = (floor(Z x) + y) / Z,    x' = floor(Z t) / Z + b_0,    y' = Z t - floor(Z t) + b_1

loses only what is within a level: 1 / (12 Z^2), where any linear model loses 1 / 12. Neurons have no jumps: here each
becomes a line of width epsilon, floor(v) = k + max(0, 1 - (k + 1 - v) / epsilon) for v in [k, k + 1).

    python -m superpose.run experiment=nonlinear_compression

You should see: all curves far below the linear line at epsilon = 0, and rising with epsilon; with three levels the code
is still better than a linear one at epsilon = 0.1.
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
    """The best loss over (Z, epsilon), each a dimension however few there are."""
    found = statistics.best(next(iter(tree.children.values())).to_dataset()).isel(sparsity=0)["loss"]
    for name in ("Z", "epsilon"):
        found = found if name in found.dims else found.expand_dims(name)
    return found.transpose("Z", "epsilon")


def figure(tree: xr.DataTree) -> Figure:
    """The loss over epsilon, a line for each Z, and the linear model's."""
    found = losses(tree)
    figure = Figure(figsize=(4.2, 2.9))
    ax = figure.subplots()
    colours = plots.VIRIDIS(np.linspace(0.05, 0.85, found.sizes["Z"]))
    for colour, row in zip(colours, found, strict=True):
        ax.plot(row["epsilon"], row, color=colour, marker=".", label=f"$Z = {float(row['Z']):g}$")
    ax.axhline(LINEAR, color=plots.INK, linestyle="--", linewidth=0.9)
    ax.annotate("best linear model, 1/12", (ax.get_xlim()[1], LINEAR), (-2, -9), textcoords="offset points", ha="right")
    ax.set(xlabel=r"width of a step $\varepsilon$, in levels", ylabel="expected loss, summed over both features")
    ax.set(yscale="log")
    ax.legend(frameon=False, ncols=2, loc="lower right")
    return figure


def said(tree: xr.DataTree) -> Verdict:
    found = losses(tree)
    here = np.isclose(found["Z"], PAPER[0])[:, None] & np.isclose(found["epsilon"], PAPER[1])
    if not here.any():
        return Verdict(None, f"nothing: the arrays lack Z = {PAPER[0]:g}, epsilon = {PAPER[1]:g}")
    loss = float(found.values[here][0])
    return Verdict(loss < LINEAR, f"{loss:.4f}, {loss / LINEAR:.2f} of the linear model's", f"less than {LINEAR:.4f}")


def ideal(tree: xr.DataTree) -> Verdict:
    found = losses(tree)
    sharp = found.isel(epsilon=np.flatnonzero(found["epsilon"] == 0))
    if not sharp.size:
        return Verdict(None, "nothing: the arrays lack epsilon = 0")
    ratio = sharp.isel(epsilon=0) * 12 * sharp["Z"] ** 2
    told = f"{float(ratio.min()):.3f} to {float(ratio.max()):.3f} times 1 / (12 Z^2)"
    return Verdict(bool((abs(ratio - 1) < CLOSE).all()), told, f"1 within {CLOSE:g}, for every Z")


def reach(tree: xr.DataTree) -> Verdict:
    """Up to which epsilon each Z is better than a linear model."""
    found = losses(tree)
    better = found < LINEAR
    last = [float(row["epsilon"].values[row.values].max(initial=-1)) for row in better]
    told = ", ".join(f"Z = {float(z):g}: {w:g}" for z, w in zip(found["Z"], last, strict=True) if w >= 0)
    return Verdict(
        bool(better.sel(epsilon=0, method="nearest").all()), f"up to epsilon = {told}", "at epsilon = 0 every Z"
    )


experiment = Experiment(
    figure,
    (
        Claim("Nonlinear compression is better than linear even with epsilon = 0.1 and Z = 3.", SOURCE, said),
        Claim("With sharp steps it loses only what lies within a level.", SOURCE, ideal),
        Claim("With steps that are sharp enough every number of levels beats the linear model.", SOURCE, reach),
    ),
)
