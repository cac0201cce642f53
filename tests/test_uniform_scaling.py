"""How uniform superposition grows: claims on numbers of features that grow as they should, and as they should not."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from superpose import plots
from superpose.experiment import Experiment, load_experiment

ROOT = Path(__file__).parent.parent


def grown(counts: dict[tuple[int, int], Callable[[np.ndarray], np.ndarray]]) -> xr.DataTree:
    """Arrays of sizes (n, m) whose number of features learned is a function of the density."""
    densities = np.geomspace(1, 0.05, 6)
    found = {}
    for (n, m), count in counts.items():
        stars = np.repeat((m / count(densities))[:, None], 3, axis=1)
        cell = ("sparsity", "seed")
        data = {"dimensions_per_feature": (cell, stars), "loss": (cell, 0 * stars), "finite": (cell, stars > 0)}
        data["W"] = ((*cell, "hidden", "feature"), np.zeros((6, 3, m, n)))
        ds = xr.Dataset(data, {"sparsity": 1 - densities, "seed": np.arange(3)})
        found[f"n{n}_m{m}"] = ds.assign_coords(density=("sparsity", densities))
    return xr.DataTree.from_dict(found)


@pytest.fixture(scope="module")
def scaling() -> Experiment:
    return load_experiment(ROOT / "experiments/uniform_scaling.py")


def judged(experiment: Experiment, models: xr.DataTree) -> list[bool | None]:
    return [claim.check(models).holds for claim in experiment.claims]


def sizes(**factors: float) -> xr.DataTree:
    """10 / p^0.4 features in 10 dimensions, twice as many in 20, and what differs from that."""
    factor = {"small": 1.0, "double": 2.0, "wide": 1.0} | factors
    of = lambda by: lambda p: by * 10 / p**0.4
    return grown({(100, 10): of(factor["small"]), (200, 20): of(factor["double"]), (200, 10): of(factor["wide"])})


def test_growth_is_judged_by_the_number_of_features_learned(scaling):
    assert judged(scaling, sizes()) == [True] * 4
    assert judged(scaling, sizes(double=2.3)) == [False, True, False, False]
    assert judged(scaling, sizes(wide=1.2)) == [True, False, False, False]
    assert judged(scaling, sizes(wide=1.03)) == [True] * 4
    assert judged(scaling, sizes(small=6, double=12, wide=6)) == [None] * 4  # all features: n limits them
    assert judged(scaling, xr.DataTree()) == [None] * 4


def test_the_best_seed_counts(scaling):
    models = sizes()
    ds = models["n200_m20"].to_dataset()
    ds["loss"], worse = ds["loss"] + ds["seed"], ds["seed"] > 0
    ds["dimensions_per_feature"] = ds["dimensions_per_feature"].where(~worse, 1.0)
    models["n200_m20"] = ds
    assert judged(scaling, models) == [True] * 4
    assert all(claim.check(models).seeds == 3 for claim in scaling.claims)


def test_the_figure_names_the_sizes(scaling):
    with plots.style():
        figure = scaling.figure(sizes())
        figure.canvas.draw()
    assert [line.get_label() for line in figure.axes[0].lines[:3]] == [
        "$n = 100$, $m = 10$",
        "$n = 200$, $m = 20$",
        "$n = 200$, $m = 10$",
    ]
    assert isinstance(scaling.figure(xr.DataTree()), Figure)
