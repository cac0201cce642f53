"""Terms of the training loss besides L, against NumPy, and what is refused."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import superpose
from superpose import evaluation
from superpose.arguments import InputError
from superpose.features import IndependentFeatures
from superpose.memory import sweep_grid
from superpose.models import ReLUHidden, ReLUOutput, UntiedReLUHidden
from superpose.objective import Exact, Sampled, check_fits
from superpose.optimizers import Adam, Constant
from superpose.penalties import AbstractPenalty, Adversarial, HiddenL1, NoPenalty, directions
from superpose.program import Program
from superpose.sets import CorrelatedSets
from superpose.task import Identity, Task

N, M, BATCH = 4, 2, 12
RNG = np.random.default_rng(0)
W, B, X = RNG.normal(size=(M, N)), RNG.normal(size=N), RNG.uniform(size=(N, BATCH))
IMPORTANCE = 0.8 ** np.arange(N)


def model() -> ReLUOutput:
    pick = lambda m: (m.W, m.b)
    return eqx.tree_at(pick, ReLUOutput(N, M), (jnp.asarray(W, jnp.float32), jnp.asarray(B, jnp.float32)))


def task(penalty: AbstractPenalty) -> Task:
    return Task(IndependentFeatures(N, 0.5), jnp.asarray(IMPORTANCE, jnp.float32), Identity(), penalty)


def loss(seen: np.ndarray) -> float:
    """Of inputs `seen`, X being asked, in float64."""
    error = X - np.maximum(W.T @ (W @ seen) + B[:, None], 0)
    return float((IMPORTANCE[:, None] * error**2).sum() / BATCH)


def test_without_a_penalty_it_is_the_loss():
    asked, x = task(NoPenalty()), jnp.asarray(X, jnp.float32)
    assert float(asked.penalised(model(), x)) == float(asked.loss(model(), x))


def test_hidden_l1():
    found = task(HiddenL1(0.3)).penalised(model(), jnp.asarray(X, jnp.float32))
    assert float(found) == pytest.approx(loss(X) + 0.3 * np.abs(W @ X).sum() / BATCH, rel=1e-5)


def test_the_attack_is_along_the_gram_matrix():
    """Example k is attacked in feature k mod n, with a length of strength times the mean norm of the inputs."""
    gram, length = W.T @ W, 0.4 * np.linalg.norm(X, axis=0).mean()
    seen = np.stack([X[:, k] + length * gram[k % N] / np.linalg.norm(gram[k % N]) for k in range(BATCH)], axis=1)
    found = task(Adversarial(0.4)).penalised(model(), jnp.asarray(X, jnp.float32))
    assert float(found) == pytest.approx(loss(seen), rel=1e-5)


def test_no_gradient_goes_through_the_attack():
    """By finite differences in float64, the attacked inputs held as they are."""
    gram, length = W.T @ W, 0.4 * np.linalg.norm(X, axis=0).mean()
    seen = X + length * (gram / np.linalg.norm(gram, axis=0))[:, np.arange(BATCH) % N]
    slope, step = np.zeros_like(W), 1e-6
    for place in np.ndindex(*W.shape):
        sides = []
        for sign in (1, -1):
            moved = W.copy()
            moved[place] += sign * step
            error = X - np.maximum(moved.T @ (moved @ seen) + B[:, None], 0)
            sides.append((IMPORTANCE[:, None] * error**2).sum() / BATCH)
        slope[place] = (sides[0] - sides[1]) / (2 * step)
    asked = task(Adversarial(0.4))
    gradient = jax.grad(lambda m: asked.penalised(m, jnp.asarray(X, jnp.float32)))(model())
    np.testing.assert_allclose(gradient.W, slope, rtol=1e-4, atol=1e-5)


def test_directions():
    found = directions(jnp.asarray(W, jnp.float32))
    np.testing.assert_allclose(jnp.linalg.norm(found, axis=0), 1, rtol=1e-6)
    one = jnp.zeros((M, N)).at[0, 0].set(2.0)
    np.testing.assert_array_equal(directions(one), jnp.zeros((N, N)).at[0, 0].set(1.0))


def program(penalty: AbstractPenalty, **more) -> Program:
    how = {"objective": Sampled(256), "optimizer": Adam(0.01), "schedule": Constant(200)} | more
    return Program(ReLUOutput(6, 3), IndependentFeatures(6, 0.1), penalty=penalty, **how)


def test_a_strength_may_be_swept_and_a_strong_penalty_ends_the_model():
    """With lambda far above what a feature is worth, h = 0 is best."""
    axis = {"target": "penalty.strength", "points": [0.0, 10.0]}
    ds = sweep_grid(program(HiddenL1(0.0)), {"l1": axis, "seed": [0]})
    norms = ds["norm"].max("feature").isel(seed=0).squeeze()
    assert float(norms.sel(l1=0.0)) > 0.5 > 0.1 > float(norms.sel(l1=10.0))
    plain = sweep_grid(program(NoPenalty()), {"seed": [0]})
    np.testing.assert_array_equal(ds["W"].sel(l1=0.0).squeeze(), plain["W"].squeeze())


SETS = {"features": CorrelatedSets(6, 3, 0.1)}


@pytest.mark.parametrize(
    ("penalty", "other"),
    [
        (HiddenL1(5.0), {}),
        (HiddenL1(5.0), {"model": ReLUHidden(6, 3)}),
        (HiddenL1(5.0), SETS),
        (Adversarial(0.5), SETS),
    ],
)
def test_what_is_reported_has_no_penalty(penalty, other, monkeypatch):
    """At equal weights the loss and its gradient, exact or sampled, are L's: a rate of 0 leaves the first weights."""
    monkeypatch.setattr(evaluation, "VECTORS", 2**12)
    monkeypatch.setattr(evaluation, "GRADIENT_VECTORS", 2**12)
    still = {"optimizer": Adam(0.0), "schedule": Constant(1)}
    found = [dataclasses.replace(program(p, **still), **other) for p in (penalty, NoPenalty())]
    one, plain = (sweep_grid(each, {"seed": [0]}) for each in found)
    for name in ("loss", "loss_standard_error", "gradient_norm"):
        np.testing.assert_array_equal(one[name], plain[name])


@pytest.mark.parametrize("kind", [ReLUHidden, UntiedReLUHidden])
def test_an_attack_needs_a_tied_model(kind):
    with pytest.raises(ValueError, match=rf"attacks along W\^T W, and {kind.__name__} has no such W"):
        dataclasses.replace(program(Adversarial(0.1)), model=kind(6, 3))


def test_what_does_not_go_together():
    given = model(), IndependentFeatures(N), Identity()
    with pytest.raises(ValueError, match=r"needs whole batches.*zero_free=false"):
        check_fits(Sampled(8, zero_free=True), *given, Adversarial(0.1))
    with pytest.raises(ValueError, match=r"no exact expectation.*objective=sampled, or penalty=none"):
        check_fits(Exact(), *given, HiddenL1(0.1))
    check_fits(Sampled(8, zero_free=True), *given, HiddenL1(0.1))


class PerExample(AbstractPenalty):
    """What each example adds, not its mean."""

    def __call__(self, model, x, losses):
        return losses(x)


def test_a_penalty_is_one_number():
    with pytest.raises(ValueError, match=r"PerExample gives an array of shape \(1,\).*Take jnp\.mean"):
        program(PerExample())


@pytest.mark.parametrize("kind", [HiddenL1, Adversarial])
@pytest.mark.parametrize("strength", [-0.5, np.nan, np.inf])
def test_a_strength_is_a_number_of_at_least_0(kind, strength):
    with pytest.raises(ValueError, match=r"`penalty\.strength` must be a number of at least 0, got (-0\.5|nan|inf)"):
        kind(strength)
    jax.eval_shape(kind, jnp.zeros(()))  # a traced one has no value to check


@pytest.mark.parametrize(
    "words",
    [
        ["penalty=hidden_l1", "penalty.strength=-0.1"],
        ["penalty=adversarial", "+axes.attack={target: penalty.strength, points: [-0.1, 0.1]}"],
    ],
)
def test_a_strength_below_zero_is_refused(words):
    with pytest.raises(InputError, match=r"penalty\.strength.* must be .*at least 0, got -0\.1"):
        superpose.run_sweep([*words, "plan=true"])
