"""How the loss is estimated, against the closed form, brute force and a float64 sample of its own."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from superpose import objective
from superpose.features import IndependentFeatures
from superpose.models import Linear, ReLUOutput
from superpose.objective import Sampled, evaluate, over_draws, sample
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


def test_the_closed_form_is_that_of_a_sample(task):
    model = filled(Linear)
    exact = evaluate(model, task)
    assert float(exact.standard_error) == 0
    drawn = jax.jit(lambda key: sample(model, task, 2**17, 4096, key=key))(jax.random.key(21))
    assert abs(float(exact.loss - drawn.loss)) < 5 * float(drawn.standard_error)


def test_a_trained_relu_model_is_judged_by_a_sample_with_the_right_mean(task):
    model = filled(ReLUOutput)
    found = jax.jit(evaluate)(model, task)
    losses = numpy_losses(model, task, 2**20)
    error = np.hypot(float(found.standard_error), losses.std() / np.sqrt(len(losses)))
    assert float(found.standard_error) > 0 and abs(float(found.loss) - losses.mean()) < 5 * error
    # The same standard error for as many vectors: its relative spread is sqrt((kurtosis - 1) / (4 N)), each.
    kurtosis = ((losses - losses.mean()) ** 4).mean() / losses.var() ** 2
    spread = np.sqrt((kurtosis - 1) / 4 * (1 / 2**17 + 1 / 2**20))
    assert abs(float(found.standard_error) / (losses.std() / np.sqrt(2**17)) - 1) < 5 * spread


def test_a_samples_mean_and_standard_error_are_brute_force(task):
    """The same draws at once and in float64: s / sqrt(N), s^2 = sum (l - mean)^2 / (N - 1)."""
    model, vectors, chunk, key = filled(ReLUOutput), 512, 64, jax.random.key(4)
    found = jax.jit(lambda key: sample(model, task, vectors, chunk, key=key))(key)
    noise = [task.features.noise(chunk, key=k) for k in jax.random.split(key, vectors // chunk)]
    losses = np.concatenate([np.asarray(task.losses(model, task.features(u)), np.float64) for u in noise])
    np.testing.assert_allclose(found.loss, losses.mean(), rtol=20 * 2**-24)
    np.testing.assert_allclose(found.standard_error, losses.std(ddof=1) / np.sqrt(vectors), rtol=20 * 2**-24)


def test_all_models_are_judged_by_the_same_vectors(task, monkeypatch):
    """The evaluation sample is one: of the package's seed, and of nothing of the model."""
    monkeypatch.setattr(objective, "EVALUATION_VECTORS", 4 * 128)
    monkeypatch.setattr(objective, "EVALUATION_CHUNK", 128)
    model, key = filled(ReLUOutput), jax.random.key(objective.EVALUATION_SEED)
    one, two = evaluate(model, task), sample(model, task, 512, 128, key=key)
    assert (float(one.loss), float(one.standard_error)) == (float(two.loss), float(two.standard_error))


def test_the_closed_form_is_for_linear_models_of_independent_features_alone(task, monkeypatch):
    """Classes of one's own, made from these, may compute anything: they are sampled, as is another target."""
    monkeypatch.setattr(objective, "EVALUATION_VECTORS", 4 * 128)
    monkeypatch.setattr(objective, "EVALUATION_CHUNK", 128)

    class Own(Linear):
        def decode(self, h):
            return 2 * super().decode(h)

    class OwnFeatures(IndependentFeatures):
        def __call__(self, noise):
            return 2 * super().__call__(noise)

    model, others = filled(Linear), (filled(Own), filled(ReLUOutput))
    tasks = [
        Task(OwnFeatures(N, 0.3, np.ones(N)), task.importance, Identity()),
        Task(task.features, task.importance, AbsoluteValue()),
    ]
    assert float(evaluate(model, task).standard_error) == 0
    for one, asked in [*((other, task) for other in others), *((model, other) for other in tasks)]:
        assert float(evaluate(one, asked).standard_error) > 0


def test_a_training_step_sees_a_batch(task):
    """Sampled is the task's loss on features(noise), and noise is that of the features."""
    model, key = filled(ReLUOutput), jax.random.key(8)
    noise = Sampled(32).noise(task, key=key)
    np.testing.assert_array_equal(noise, task.features.noise(32, key=key))
    assert float(Sampled(32).loss(model, task, noise)) == float(task.loss(model, task.features(noise)))


def test_over_draws_uses_each_key_once_in_order():
    keys, items = jax.random.split(jax.random.key(2), 4), jnp.arange(4)
    draw = lambda key: {"u": jax.random.uniform(key, (3,))}
    found = over_draws(draw, keys, items, lambda noise, item: (noise["u"], item))
    np.testing.assert_array_equal(found[0], [draw(key)["u"] for key in keys])
    np.testing.assert_array_equal(found[1], items)
