"""What a training step minimises."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from superpose import exact
from superpose.features import IndependentFeatures
from superpose.models import ReLUOutput
from superpose.objective import Exact, Sampled, check_fits, over_draws
from superpose.task import AbsoluteValue, Identity, Task

N, M = 3, 2


@pytest.fixture(scope="module")
def task() -> Task:
    return Task(IndependentFeatures(N, 0.3, [2.0, 1.0, 0.1]), jnp.asarray([1.0, 0.8, 0.6]), Identity())


def test_a_training_step_sees_a_batch(task):
    """Sampled is the task's loss on features(noise), and noise is that of the features."""
    model, key = ReLUOutput(N, M), jax.random.key(8)
    noise = Sampled(32).noise(task, key=key)
    np.testing.assert_array_equal(noise, task.features.noise(32, key=key))
    assert float(Sampled(32).loss(model, task, noise)) == float(task.loss(model, task.features(noise)))


def test_over_draws_uses_each_key_once_in_order():
    keys, items = jax.random.split(jax.random.key(2), 4), jnp.arange(4)
    draw = lambda key: {"u": jax.random.uniform(key, (3,))}
    found = over_draws(draw, keys, items, lambda noise, item: (noise["u"], item))
    np.testing.assert_array_equal(found[0], [draw(key)["u"] for key in keys])
    np.testing.assert_array_equal(found[1], items)


def test_the_exact_objective_needs_no_draws(task):
    model = ReLUOutput(N, M)
    assert Exact().noise(task, key=jax.random.key(0)) == ()
    assert float(Exact().loss(model, task, ())) == float(exact.loss(model, task, exact.Method()))


def test_an_exact_loss_that_does_not_exist_is_refused_and_another_named(task):
    model = ReLUOutput(N, M)
    with pytest.raises(ValueError, match=r"target is not the features.*objective=sampled"):
        check_fits(Exact(), model, task.features, AbsoluteValue())
    with pytest.raises(ValueError, match=r"ends at 3 features.*Leave out objective.rule"):
        check_fits(Exact("quadrature"), ReLUOutput(4, M), IndependentFeatures(4), Identity())
    check_fits(Exact(), ReLUOutput(4, M), IndependentFeatures(4), Identity())
    check_fits(Sampled(8), model, task.features, AbsoluteValue())


@pytest.mark.parametrize(
    ("wrong", "told"),
    [({"nodes": 1}, "at least 2"), ({"rule": "simpson"}, "quadrature, series"), ({"terms": 3}, "at least 16")],
)
def test_what_an_exact_loss_takes(wrong, told):
    with pytest.raises(ValueError, match=told):
        Exact(**wrong)
