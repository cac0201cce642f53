"""A hundred training steps against PyTorch's AdamW, as the authors' notebook takes them.

PyTorch trains the same initial weights on the same batches, in its own arithmetic and its own order, examples as rows:
out = x W^T W + b, loss = (importance * (x - out)^2).mean(), the mean over examples and features.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from superpose.features import IndependentFeatures
from superpose.initial import Notebook, Xavier
from superpose.models import Linear, ReLUOutput
from superpose.objective import Sampled
from superpose.optimizers import AdamW, Constant, CosineDecay
from superpose.record import Record
from superpose.task import Identity, Task
from superpose.training import train

torch = pytest.importorskip("torch")

N, M, BATCH, STEPS, RATE, DECAY = 20, 5, 256, 100, 1e-3, 1e-2
KEY = jax.random.key(6)
TASK = Task(IndependentFeatures(N, 0.1), jnp.asarray(0.9 ** np.arange(N), jnp.float32), Identity())
START: Any = Xavier()(ReLUOutput(N, M), key=jax.random.key(7))
CASES = pytest.mark.parametrize(
    ("kind", "schedule"),
    [(Linear, Constant(STEPS)), (ReLUOutput, Constant(STEPS)), (ReLUOutput, CosineDecay(STEPS))],
    ids=["linear", "relu", "relu-cosine"],
)


@pytest.fixture(scope="module")
def batches() -> np.ndarray:
    """The features of steps 0 ... STEPS, (step, example, feature)."""
    x = lambda t: TASK.features(TASK.features.noise(BATCH, key=jax.random.fold_in(KEY, t)))
    return np.asarray(jax.jit(jax.vmap(x))(jnp.arange(STEPS + 1, dtype=jnp.uint32))).transpose(0, 2, 1)


def in_torch(batches: np.ndarray, relu: bool, rate) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    W, b = (torch.nn.Parameter(torch.tensor(np.array(a))) for a in (START.W, START.b))
    importance = torch.tensor(np.array(TASK.importance))
    optim = torch.optim.AdamW([W, b], lr=RATE, betas=(0.9, 0.999), weight_decay=DECAY)
    losses = []
    for t, batch in enumerate(batches):
        x = torch.tensor(batch)
        out = x @ W.T @ W + b
        loss = (importance * (x - (torch.relu(out) if relu else out)) ** 2).mean()
        losses.append(loss.item())
        if t < STEPS:
            optim.param_groups[0]["lr"] = rate(t)
            optim.zero_grad()
            loss.backward()
            optim.step()
    return W.detach().numpy(), b.detach().numpy(), np.array(losses)


@CASES
def test_a_hundred_steps_are_pytorchs(kind, schedule, batches):
    """Weights within 1e-5, after a way of 100 steps of 1e-3; and n times the notebook's mean loss is our sum."""
    cosine = lambda t: RATE * np.cos(0.5 * np.pi * t / (STEPS - 1))
    W, b, losses = in_torch(
        batches, kind is ReLUOutput, cosine if isinstance(schedule, CosineDecay) else lambda t: RATE
    )
    start = eqx.tree_at(lambda m: (m.W, m.b), kind(N, M), (START.W, START.b))
    how = Sampled(BATCH), AdamW(RATE, DECAY), schedule
    found: Any = eqx.filter_jit(lambda model: train(model, TASK, *how, record=Record(), key=KEY))(start)
    assert abs(W - np.asarray(START.W)).max() > 0.02
    np.testing.assert_allclose(found.model.W, W, rtol=0, atol=1e-5)
    np.testing.assert_allclose(found.model.b, b, rtol=0, atol=1e-5)
    np.testing.assert_allclose(found.loss_curve, N * losses[Record().steps(STEPS)], rtol=1e-5)


@pytest.mark.parametrize(("n", "m", "instances"), [(5, 2, 10), (100, 20, 20)])
def test_the_notebooks_initial_scale_is_xavier_normal_on_its_tensor(n, m, instances):
    """Within 5 sigma: a sample's standard deviation has one of std / sqrt(2 N)."""
    torch.manual_seed(0)
    W = torch.nn.init.xavier_normal_(torch.empty(instances, n, m))
    expected = float(Notebook(instances).scale(m, n))
    assert abs(float(W.std()) - expected) < 5 * expected / np.sqrt(2 * W.numel())
