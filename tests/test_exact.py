"""Which exact loss is taken when, its terms by active features, and that of trained models against samples."""

from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import superpose as sp
from superpose import exact, few_active, theory
from superpose.evaluation import sample
from superpose.exact import Method, by_active, refusal
from superpose.features import IndependentFeatures
from superpose.models import (
    ElementwiseOutput,
    ElementwiseOutputWithoutBias,
    LeakyReLUOutput,
    Linear,
    ReLUOutput,
)
from superpose.task import AbsoluteValue, Identity, Task


def filled(model: Any, seed: int = 1) -> Any:
    rng = np.random.default_rng(seed)
    m, n = model.W.shape
    W, b = rng.normal(size=(m, n)) * 0.7, rng.normal(size=n) * 0.2
    model = eqx.tree_at(lambda model: model.W, model, jnp.asarray(W, jnp.float32))
    if "b" not in model.dims:
        return model
    return eqx.tree_at(lambda model: model.b, model, jnp.asarray(b, jnp.float32))


def task_of(n: int, density: float = 0.3) -> Task:
    return Task(IndependentFeatures(n, density), jnp.asarray(0.9 ** np.arange(n), jnp.float32), Identity())


MODELS = {
    "linear": Linear(3, 2),
    "relu": ReLUOutput(3, 2),
    "leaky": LeakyReLUOutput(3, 2, 0.2),
    "gelu": ElementwiseOutput(3, 2, "gelu"),
    "tanh": ElementwiseOutput(3, 2, "tanh"),
    "relu without bias": ElementwiseOutputWithoutBias(3, 2, "relu"),
    "identity": ElementwiseOutputWithoutBias(3, 2, "identity"),
}


@pytest.mark.parametrize("name", MODELS)
def test_each_kind_of_model_against_samples(name):
    model, task = filled(MODELS[name]), task_of(3)
    assert refusal(model, task.features, task.target, Method()) is None
    drawn = jax.jit(lambda key: sample(model, task, 2**17, 4096, key=key))(jax.random.key(0))
    assert abs(float(exact.loss(model, task, Method()) - drawn.loss)) < 5 * float(drawn.standard_error)


@pytest.mark.parametrize("name", ["linear", "relu", "leaky", "relu without bias", "identity"])
def test_all_rules_agree(name):
    model, task = filled(MODELS[name]), task_of(3)
    found = [float(exact.loss(model, task, Method(rule))) for rule in ("auto", "quadrature", "series")]
    np.testing.assert_allclose(found, found[0], rtol=1e-4)


def test_a_linear_model_has_its_closed_form():
    model, task = filled(Linear(20, 5)), task_of(20)
    assert isinstance(task.features, IndependentFeatures)
    expected = theory.linear_loss(model.W, model.b, task.importance, *theory.moments(task.features.densities))
    assert float(exact.loss(model, task, Method())) == float(expected)


def test_refusals_say_why():
    features = IndependentFeatures(3)

    class Hidden(ReLUOutput):
        def encode(self, x):
            return jax.nn.relu(self.W @ x)

    class Correlated(IndependentFeatures):
        pass

    class Shift(ReLUOutput):
        activation: ClassVar = staticmethod(lambda a: jax.nn.relu(a - 0.3))

    gelu, four = ElementwiseOutput(4, 2, "gelu"), IndependentFeatures(4)
    for arguments, told in [
        ((Hidden(3, 2), features, Identity(), Method()), "Hidden is not of the form"),
        ((Shift(3, 2), features, Identity(), Method()), "Shift is not of the form"),
        ((ElementwiseOutput(3, 2, jnp.abs), features, Identity(), Method()), "a function of one's own"),
        ((ReLUOutput(3, 2), Correlated(3), Identity(), Method()), "Correlated, not independent"),
        ((ReLUOutput(3, 2), features, AbsoluteValue(), Method()), "not the features themselves"),
        ((ReLUOutput(4, 2), four, Identity(), Method("quadrature")), "ends at 3 features, and there are 4"),
        ((gelu, four, Identity(), Method()), "known for ReLU, leaky ReLU and linear"),
        ((ElementwiseOutput(3, 2, "gelu"), features, Identity(), Method("series")), "`series` is for ReLU"),
    ]:
        assert told in str(refusal(*arguments))


@pytest.mark.parametrize(("n", "m"), [(3, 2), (20, 5)])
@pytest.mark.parametrize("kind", [ReLUOutput, Linear])
def test_the_terms_are_means_over_examples_with_so_many_active_features(kind, n, m):
    """Against examples drawn by number of active features, each weighted with the probability of that number."""
    model, task, rng, p = filled(kind(n, m)), task_of(n, 0.1), np.random.default_rng(4), 0.1
    found = np.asarray(by_active(model, task), float)
    assert found[0] == float(few_active.none_active(model.W, model.b, jnp.full(n, p), task.importance, model.slope))
    np.testing.assert_allclose(found.sum(), float(exact.loss(model, task, Method())), rtol=1e-6)
    for k in (1, 2):
        ranks = rng.uniform(size=(n, 200_000)).argsort(axis=0)
        x = jnp.asarray(np.where(ranks < k, rng.uniform(size=ranks.shape), 0), jnp.float32)
        losses = np.asarray(task.losses(model, x), float)
        weight = p**k * (1 - p) ** (n - k) * (n if k == 1 else n * (n - 1) / 2)
        assert abs(weight * losses.mean() - found[k]) < 5 * weight * losses.std() / np.sqrt(losses.size)


def test_all_examples_have_at_most_two_active_features_of_two():
    found = by_active(filled(ReLUOutput(2, 1)), task_of(2))
    assert abs(float(found[3])) < 1e-6 * float(jnp.sum(found))


@pytest.mark.slow
def test_fifty_trained_models_against_two_million_examples():
    """Of 52 models of all sizes and densities the exact loss lies within 4 standard errors: P(one not) = .003."""
    count = 0
    for n, m, seeds in ((2, 1, 4), (3, 2, 4), (20, 5, 4), (80, 20, 1)):
        program = sp.Program(
            sp.ReLUOutput(n, m), sp.IndependentFeatures(n), sp.Geometric(0.9), schedule=sp.Constant(1000)
        )
        found = sp.sweep_grid(program, {"sparsity": [0.0, 0.7, 0.97, 0.999], "seed": range(seeds)})
        assert (found["loss_standard_error"] == 0).all()
        for level in range(4):
            for seed in range(seeds):
                one = found.isel(sparsity=level, seed=seed)
                model = sp.model_at(found, sparsity=float(one["sparsity"]), seed=seed)
                task = Task(
                    IndependentFeatures(n, 1 - float(one["sparsity"])),
                    jnp.asarray(one["feature_importance"].values),
                    Identity(),
                )
                drawn = jax.jit(lambda m=model, t=task: sample(m, t, 2**21, 2**14, key=jax.random.key(7)))()
                assert abs(float(one["loss"]) - float(drawn.loss)) < 4 * float(drawn.standard_error), (n, level, seed)
                count += 1
    assert count >= 50


@pytest.mark.slow
def test_models_trained_both_ways_end_in_the_same_phase():
    """Exactly, and on batches: the phase of the best of 8 seeds, in cells away from a boundary."""
    axes = {"sparsity": [0.1, 0.3, 0.9, 0.97], "importance": [0.2, 0.5, 2.0, 5.0], "seed": range(8)}
    parts = {"optimizer": sp.Adam(0.03), "init": sp.Normal(1.0)}
    phases = []
    for objective, steps in ((sp.Exact(), 1000), (sp.Sampled(1024), 3000)):
        program = sp.Program(
            sp.ReLUOutput(2, 1),
            sp.IndependentFeatures(2),
            sp.LastFeature(1.0),
            objective=objective,
            schedule=sp.CosineDecay(steps),
            **parts,
        )
        best = sp.sweep_grid(program, axes)
        best = best.isel(seed=best["loss"].argmin("seed"))
        norm = np.linalg.norm(best["W"].transpose(..., "hidden", "feature").values, axis=-2)
        phases.append(norm > 0.5)
    np.testing.assert_array_equal(*phases)


def test_the_loss_by_active_features_is_of_models_of_two_lines():
    with pytest.raises(ValueError, match="f is smooth"):
        by_active(ElementwiseOutput(3, 2, "gelu"), task_of(3))
    with pytest.raises(ValueError, match="not the features themselves"):
        by_active(ReLUOutput(3, 2), Task(IndependentFeatures(3), jnp.ones(3), AbsoluteValue()))
