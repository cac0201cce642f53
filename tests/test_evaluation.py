"""How trained models are judged, against brute force and a float64 sample of its own."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from superpose import evaluation, exact
from superpose.evaluation import evaluate, methods, sample
from superpose.features import IndependentFeatures
from superpose.models import ElementwiseOutput, Linear, ReLUOutput
from superpose.task import AbsoluteValue, Identity, Task

N, M = 5, 2


@pytest.fixture(scope="module")
def task() -> Task:
    features = IndependentFeatures(N, 0.3, [2.0, 1.0, 1.0, 0.5, 0.1])
    return Task(features, jnp.asarray(0.8 ** np.arange(N), jnp.float32), Identity())


def filled(kind: Any) -> Any:
    rng = np.random.default_rng(3)
    W, b = rng.normal(size=(M, N)) * 0.6, rng.normal(size=N) * 0.1
    arrays = jnp.asarray(W, jnp.float32), jnp.asarray(b, jnp.float32)
    return eqx.tree_at(lambda m: (m.W, m.b), kind(N, M), arrays)


def numpy_losses(model: Any, task: Any, vectors: int) -> np.ndarray:
    """Losses of fresh examples from NumPy's own generator, in float64."""
    rng = np.random.default_rng(9)
    W, b, p, importance = (
        np.asarray(a, np.float64) for a in (model.W, model.b, task.features.densities, task.importance)
    )
    x = np.where(rng.uniform(size=(vectors, N)) < p, rng.uniform(size=(vectors, N)), 0)
    out = x @ W.T @ W + b
    out = np.maximum(out, 0) if isinstance(model, ReLUOutput) else out
    return (importance * (x - out) ** 2).sum(1)


def small_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "VECTORS", 4 * 128)
    monkeypatch.setattr(evaluation, "GRADIENT_VECTORS", 4 * 128)
    monkeypatch.setattr(evaluation, "CHUNK", 128)


@pytest.mark.parametrize("kind", [Linear, ReLUOutput])
def test_the_exact_loss_is_that_of_samples(task, kind):
    """Of the package's own sampler, and of NumPy's numbers in float64."""
    model = filled(kind)
    found = jax.jit(evaluate)(model, task)
    drawn = jax.jit(lambda key: sample(model, task, 2**17, 4096, key=key))(jax.random.key(21))
    losses = numpy_losses(model, task, 2**20)
    assert float(found.standard_error) == 0 < float(drawn.standard_error)
    assert abs(float(found.loss - drawn.loss)) < 5 * float(drawn.standard_error)
    assert abs(float(found.loss) - losses.mean()) < 5 * losses.std() / 2**10
    np.testing.assert_allclose(found.gradient_norm, drawn.gradient_norm, rtol=0.02)


def test_vectors_that_are_not_zero_make_the_error_smaller(task):
    """N vectors that are not zero stand for N / P(x != 0), with at most the variance of such vectors alone."""
    model = filled(ReLUOutput)
    found = jax.jit(lambda key: sample(model, task, 2**17, 4096, key=key))(jax.random.key(1))
    losses = numpy_losses(model, task, 2**20)
    at_zero = float((task.importance * jnp.maximum(model.b, 0) ** 2).sum())
    active = losses[losses != losses.min()] if np.isclose(losses.min(), at_zero) else losses
    share = float(task.features.active_probability)
    rng = np.random.default_rng(9)
    p = np.asarray(task.features.densities, np.float64)
    some = (np.where(rng.uniform(size=(2**20, N)) < p, rng.uniform(size=(2**20, N)), 0) > 0).any(1)
    np.testing.assert_allclose(some.mean(), share, atol=5 * 0.5 / 2**10)
    assert float(found.standard_error) < share * losses[some].std() / np.sqrt(2**17)
    assert share * losses[some].std() < losses.std() and len(active)


def test_a_samples_mean_error_and_gradient_are_brute_force(task):
    """The same draws at once and in float64: the error is that of the mean of K chunks' means."""
    model, vectors, chunk, key = filled(ReLUOutput), 512, 64, jax.random.key(4)
    found = jax.jit(lambda key: sample(model, task, vectors, chunk, key=key))(key)
    numbers = [task.features.nonzero_noise(chunk, even=True, key=k) for k in jax.random.split(key, vectors // chunk)]
    x = jnp.concatenate([task.features.nonzero(*each) for each in numbers], axis=1)
    losses = np.asarray(task.losses(model, x), np.float64)
    share = float(task.features.active_probability)
    zero = jnp.zeros((N, 1))
    at_zero = float(task.losses(model, zero)[0])
    np.testing.assert_allclose(found.loss, (1 - share) * at_zero + share * losses.mean(), rtol=20 * 2**-24)
    means = share * losses.reshape(-1, chunk).mean(axis=1)
    np.testing.assert_allclose(found.standard_error, means.std(ddof=1) / np.sqrt(vectors // chunk), rtol=1e-4)
    mean = lambda model: (1 - share) * task.loss(model, zero) + share * task.loss(model, x)
    np.testing.assert_allclose(found.gradient_norm, optax.tree.norm(jax.grad(mean)(model)), rtol=1e-5)


def test_all_models_are_judged_by_the_same_vectors(task, monkeypatch):
    """The evaluation sample is one: of the package's seed, and of nothing of the model."""
    small_sample(monkeypatch)
    asked = Task(task.features, task.importance, AbsoluteValue())
    model, key = filled(ReLUOutput), jax.random.key(evaluation.SEED)
    one, two = evaluate(model, asked), sample(model, asked, 512, 128, key=key)
    assert (float(one.loss), float(one.standard_error)) == (float(two.loss), float(two.standard_error))


def test_exact_losses_are_for_classes_that_are_known(task, monkeypatch):
    """Classes of one's own, made from these, may compute anything: they are sampled, as is another target."""
    small_sample(monkeypatch)

    class Own(Linear):
        def decode(self, h):
            return 2 * super().decode(h)

    class OwnFeatures(IndependentFeatures):
        def __call__(self, noise):
            return 2 * super().__call__(noise)

    model, smooth = filled(Linear), filled(lambda n, m: ElementwiseOutput(n, m, "gelu"))
    tasks = [
        Task(OwnFeatures(N, 0.3, np.ones(N)), task.importance, Identity()),
        Task(task.features, task.importance, AbsoluteValue()),
    ]
    assert float(evaluate(model, task).standard_error) == 0
    assert methods(model, task.features, task.target) == ("exact", "exact")
    for one, asked in [(filled(Own), task), (smooth, task), *((model, other) for other in tasks)]:
        assert float(evaluate(one, asked).standard_error) > 0
        assert methods(one, asked.features, asked.target)[0] == "sample of 512 feature vectors"


def test_a_smooth_model_of_few_features_is_judged_exactly():
    features = IndependentFeatures(2, 0.3)
    assert exact.refusal(ElementwiseOutput(2, 1, "gelu"), features, Identity(), exact.Method()) is None


def test_a_distribution_of_ones_own_is_sampled_as_it_draws(task):
    """A class that draws something else does not inherit how to draw vectors that are not zero."""

    class Signed(IndependentFeatures):
        def __call__(self, noise):
            return 2 * super().__call__(noise) - 1

    features, model = Signed(N, 0.3, np.ones(N)), filled(ReLUOutput)
    found = sample(model, Task(features, task.importance, Identity()), 2**15, 4096, key=jax.random.key(3))
    x = features(features.noise(2**17, key=jax.random.key(4)))
    losses = np.asarray(task.losses(model, x), np.float64)
    error = np.hypot(float(found.standard_error), losses.std() / np.sqrt(losses.size))
    assert abs(float(found.loss) - losses.mean()) < 5 * error


def test_the_gradient_of_a_large_model_is_sampled_unless_it_was_trained_exactly(task):
    model = filled(ReLUOutput)
    assert methods(model, task.features, task.target)[1].startswith("sample")
    assert methods(model, task.features, task.target, exact.Method()) == ("exact", "exact")
    one, two = (jax.jit(lambda how=how: evaluate(model, task, how))() for how in (None, exact.Method()))
    assert float(one.loss) == pytest.approx(float(two.loss), rel=1e-6)
    np.testing.assert_allclose(one.gradient_norm, two.gradient_norm, rtol=0.02)
