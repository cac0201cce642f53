"""What becomes of the sweep that the benchmarks time: the best loss over the density, and whether it falls."""

import xarray as xr
from matplotlib.figure import Figure

from superpose import Claim, Experiment, Verdict


def best(tree: xr.DataTree) -> xr.DataArray:
    """The best loss over seeds, from dense to sparse."""
    return tree["relu"].to_dataset()["loss"].min("seed").sortby("sparsity")


def figure(tree: xr.DataTree) -> Figure:
    drawn = Figure(figsize=(3.3, 2.4))
    ax = drawn.add_subplot()
    ax.loglog(1 - best(tree)["sparsity"], best(tree), marker=".")
    ax.set(xlabel="feature density $1 - S$", ylabel="best loss")
    return drawn


def falls(tree: xr.DataTree) -> Verdict:
    losses = best(tree).values
    told = f"{losses[0]:.4g} when dense, {losses[-1]:.4g} when sparse"
    return Verdict(bool(losses[-1] <= losses[0]), told, "lower when sparse", seeds=tree["relu"].sizes["seed"])


experiment = Experiment(figure, (Claim("The loss falls as features grow sparse.", "Basic Results", falls),))
