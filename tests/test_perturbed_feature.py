"""A perturbed pentagon: shapes are told apart, and claims hold of losses and weights made for them, or fail."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from paired import polar

from superpose import plots, theory
from superpose.experiment import load_experiment

EXPERIMENT = load_experiment(Path(__file__).parent.parent / "experiments/perturbed_feature.py")
MODULE = __import__("experiment")
P = 0.05
AT = np.geomspace(0.125, 4, 41)
NAMES = ("cross", "about", "snaps", "first order", "continuous", "repels", "beyond one", "closed form")
TWO_DIGONS = polar([0, 90, 180, 270, 0], [1, 1, 1, 1, 0])


def pentagon(at: float, yields: float = 3.0, norm: float = 1.1) -> np.ndarray:
    """A pentagon whose varied point, at 0 degrees, has its neighbours at 72 + yields * log2(at) degrees."""
    near = 72 + yields * np.log2(at)
    return polar([near, 146, 214, -near, 0], norm)


def digons_loss(at: np.ndarray, p: float = P) -> np.ndarray:
    return theory.dropped_loss(p * at, 1.0) + 2 * p**2 / 3


def made(
    at: np.ndarray = AT,
    crossing: float = 0.4,
    *,
    pentagons: list[np.ndarray] | None = None,
    digons: np.ndarray = TWO_DIGONS,
    factor: float = 1.0,
    power: float = 0.3,
    bias: float = -0.2,
) -> xr.DataTree:
    """Two seeds: a pentagon of the loss of the digons at the crossing, growing as a power; and two digons."""
    own = pentagons or [pentagon(x) for x in at]
    W = np.array([[one, digons] for one in own])
    losses = np.stack([digons_loss(np.array(crossing)) * (at / crossing) ** power, factor * digons_loss(at)], axis=1)
    dims, cells = ("relative_density", "seed"), (1, len(at), 2)
    data = {
        "W": (("sparsity", *dims, "hidden", "feature"), W[None]),
        "b": (("sparsity", *dims, "feature"), np.full((*cells, 5), bias)),
        "loss": (("sparsity", *dims), losses[None]),
        "finite": (("sparsity", *dims), np.ones(cells, bool)),
    }
    coords = {"sparsity": [1 - P], "relative_density": at, "seed": [0, 1], "density": ("sparsity", [P])}
    return xr.DataTree.from_dict({"relu": xr.Dataset(data, coords)})


def verdicts(tree: xr.DataTree) -> dict[str, bool | None]:
    return {name: claim.check(tree).holds for name, claim in zip(NAMES, EXPERIMENT.claims, strict=True)}


def failing(tree: xr.DataTree) -> set[str]:
    return {name for name, holds in verdicts(tree).items() if holds is False}


def test_claims_hold_of_a_first_order_change():
    assert set(verdicts(made()).values()) == {True}


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"crossing": 0.25}, {"about"}),
        ({"crossing": 1.5}, {"cross", "about"}),
        # outside: the curves do not cross
        ({"crossing": 0.1}, {"cross", "about", "snaps", "first order", "continuous"}),
        ({"at": AT[AT > 0.3], "power": 0.72}, {"first order"}),  # the slope of the digons is 0.78 there
        ({"factor": 1.02}, {"closed form"}),
        ({"bias": 0.01}, {"beyond one"}),
        ({"pentagons": [pentagon(x, norm=0.99) for x in AT]}, {"beyond one"}),
        ({"pentagons": [pentagon(x, yields=-3.0) for x in AT]}, {"repels"}),
        ({"pentagons": [pentagon(x if x < 1 else 5 * x, yields=4.0) for x in AT]}, {"continuous"}),
    ],
)
def test_a_claim_fails_where_its_sentence_does(given, names):
    assert failing(made(**given)) == names


def test_a_point_that_is_not_at_0_is_no_snap():
    """The digons of the lowest loss below the crossing have a point away from 0, others of a higher loss do not."""
    good, off = (
        made(digons=W)["relu"].to_dataset() for W in (TWO_DIGONS, polar([0, 90, 180, 270, 45], [1] * 4 + [0.3]))
    )
    worse = good.assign(loss=1.001 * good["loss"])
    both = xr.concat([off, worse], "seed").assign_coords(seed=range(4))
    assert failing(xr.DataTree.from_dict({"relu": both})) == {"snaps"}


def test_the_crossing_is_where_it_was_put():
    (cross, *_) = (claim.check(made(crossing=0.4)) for claim in EXPERIMENT.claims)
    assert cross.measured.startswith("at 0.400") and cross.seeds == 2


def test_what_the_arrays_cannot_say_is_left_open():
    whole = made()["relu"].to_dataset()
    assert set(verdicts(xr.DataTree()).values()) == {None}
    assert set(verdicts(xr.DataTree.from_dict({"relu": whole.isel(relative_density=3)})).values()) == {None}
    one = xr.DataTree.from_dict({"relu": whole.isel(relative_density=[30])})
    assert [name for name, holds in verdicts(one).items() if holds is None] == list(NAMES[:6])
    only = xr.DataTree.from_dict({"relu": whole.isel(seed=[0])})
    assert [name for name, holds in verdicts(only).items() if holds is None] == [*NAMES[:5], "closed form"]
    diverged = whole.assign(loss=whole["loss"] * np.nan)
    assert set(verdicts(xr.DataTree.from_dict({"relu": diverged})).values()) == {None}


def test_a_figure_of_any_such_arrays():
    whole = made()["relu"].to_dataset()
    parts = (whole, whole.isel(seed=[0]), whole.isel(seed=[1]), whole.isel(relative_density=[7]), xr.Dataset())
    for ds in (*parts, whole.assign(W=whole["W"] * np.nan)):
        with plots.style():
            EXPERIMENT.figure(xr.DataTree.from_dict({"relu": ds})).canvas.draw()


def test_the_figure_tells_where_the_curves_cross():
    figure = EXPERIMENT.figure(made(crossing=0.4))
    assert [text.get_text() for ax in figure.axes for text in ax.texts] == ["0.400\N{MULTIPLICATION SIGN}"]
    assert figure.axes[0].get_title() == "pentagon, at 41 densities"
