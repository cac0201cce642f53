"""What turning the hidden space does to a model, and the claims on trees made by hand."""

import sys
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

from superpose import neurons, plots
from superpose.experiment import MODULE, load_experiment
from superpose.features import IndependentFeatures
from superpose.models import ReLUHidden, ReLUOutput
from superpose.task import Identity, Task

experiment = load_experiment(Path(__file__).parent.parent / "experiments/privileged_basis.py")
basis = sys.modules[MODULE]
ALONE = np.eye(5, 10)
SHARED = np.tile([[0.8, 0.8]], (5, 5)) * (1 - 2 * (np.arange(50).reshape(5, 10) % 3 == 0))


def measured(kind: type, W: np.ndarray) -> dict[str, jax.Array]:
    task = Task(IndependentFeatures(10, 0.5), jnp.asarray(0.75 ** np.arange(10)), Identity())
    model = eqx.tree_at(lambda m: m.W, kind(10, 5), jnp.asarray(W, jnp.float32))
    assert experiment.measure is not None
    return experiment.measure(model, task, jax.random.key(0))


def test_turning_changes_only_a_model_with_hidden_relus():
    assert float(measured(ReLUOutput, ALONE)["turned"]) == pytest.approx(1, abs=1e-4)
    assert float(measured(ReLUHidden, ALONE)["turned"]) > 1.2
    assert set(measured(ReLUHidden, ALONE)) == set(experiment.dims)


def test_the_share_of_features_along_a_hidden_unit():
    W = np.zeros((5, 10), np.float32)
    W[0, 0], W[1, 1], W[:2, 2], W[3, 3] = 1, -0.8, 0.8, 0.1  # the last is not represented
    assert float(basis.aligned(jnp.asarray(W))) == pytest.approx(2 / 3)
    assert np.isnan(float(basis.aligned(jnp.zeros((5, 10)))))


def tree(**changed: float) -> xr.DataTree:
    """What the paper says, at two densities and three seeds; arguments replace numbers: hidden_relu_turned=1.2."""
    groups = {}
    for label in (basis.LINEAR, basis.HIDDEN, basis.BIASED):
        kept = float(label == basis.HIDDEN)
        values = {"aligned": kept, "turned": 1.0 + kept, "dense": 1.0, "sparse": 4.0, "loss": 0.1 + 0.4 * kept}
        values |= {"active": 0.97, "c": 0.5}
        values |= {key.removeprefix(f"{label}_"): value for key, value in changed.items() if key.startswith(label)}
        cell, size = ("sparsity", "seed"), (2, 3)
        counts = np.broadcast_to(np.array([values["dense"], values["sparse"]], int)[:, None, None], (2, 3, 5))
        data = {name: (cell, np.full(size, values[name])) for name in ("aligned", "turned", "active", "loss")}
        data |= {
            "neuron_features": ((*cell, "hidden"), counts),
            "neuron_kind": ((*cell, "hidden"), np.minimum(counts, 3)),
        }
        data |= {"neuron_primary": ((*cell, "hidden"), np.broadcast_to(np.arange(5), (2, 3, 5)))}
        W = np.broadcast_to(np.stack([ALONE, SHARED])[:, None], (2, 3, 5, 10))
        data |= {"W": ((*cell, "hidden", "feature"), W), "finite": (cell, np.ones(size, bool))}
        data["c"] = ((*cell, "hidden"), np.full((2, 3, 5), values["c"]))
        ds = xr.Dataset(data, {"sparsity": [0.25, 0.97], "seed": np.arange(3)})
        groups[label] = ds.assign_coords(density=1 - ds["sparsity"])
    return xr.DataTree.from_dict(groups)


def verdicts(found: xr.DataTree) -> list[bool | None]:
    return [claim.check(found).holds for claim in experiment.claims]


BROKEN = {
    "hidden_relu_aligned": (0.5, [0]),
    "no_hidden_relu_aligned": (0.5, [1]),
    "no_hidden_relu_turned": (1.1, [2]),
    "hidden_relu_turned": (1.05, [3, 4]),
    "hidden_relu_sparse": (1, [5]),
    "hidden_bias_active": (0.5, [6, 7]),
    "hidden_bias_c": (-0.1, [6, 7]),
    "hidden_bias_loss": (0.2, [8]),
}


def test_all_claims_hold_of_the_papers_sentences():
    assert verdicts(tree()) == [True] * 9


@pytest.mark.parametrize("name", BROKEN)
def test_a_claim_fails_where_its_sentence_does(name):
    value, places = BROKEN[name]
    found = verdicts(tree(**{name: value}))
    assert [k for k, holds in enumerate(found) if not holds] == places


def test_what_the_arrays_cannot_say_is_left_open():
    one = xr.DataTree.from_dict({basis.LINEAR: tree()[basis.LINEAR].to_dataset().isel(sparsity=[0])})
    assert verdicts(one) == [None, True, *[None] * 7]
    assert verdicts(xr.DataTree()) == [None] * 9


def test_the_figure_draws_each_variant_and_density():
    with plots.style():
        figure = experiment.figure(tree())
        figure.canvas.draw()
    titles = [ax.get_title() for ax in figure.axes if ax.get_title()]
    names = [name for name in basis.NAMES.values() for _ in range(2)]
    assert [title.split("\n")[0] for title in titles] == names
    assert set(neurons.VARIABLES) < set(experiment.dims)
