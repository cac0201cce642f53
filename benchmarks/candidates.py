"""Ways to draw a batch that variance.py compares. Each estimates the same expected loss without bias.

`Sampled` of the package draws plainly, without zero vectors (`zero_free`), and those evenly (`even`, a lattice shifted
at random). Tried beside it:

    Antithetic   half as many vectors, each with its mirror image, 1 - x_i where x_i is active
    EvenFirst    of the vectors that are not zero, the first active feature and its value spread evenly, nothing else
    Quasi        plain sampling on the lattice; or Sobol's points with a random digital shift
    ByCount      strata of the number k of active features, for features of one density: as many of each k as chance
                 gives, or half of the batch for k = 1 and half for k > 1, weighted
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray, PyTree
from scipy.stats import qmc

from superpose import draws
from superpose.features import IndependentFeatures, draws_nonzero
from superpose.models import AbstractToyModel
from superpose.objective import AbstractObjective, Sampled
from superpose.task import Task

LARGEST_SORTED = 20  # features, up to which the strata of ByCount, which sorts, are tried


class Antithetic(AbstractObjective):
    """The vectors of `half` and their mirror images."""

    half: Sampled

    def noise(self, task: Task, *, key: PRNGKeyArray) -> PyTree[Array]:
        return self.half.noise(task, key=key)

    def loss(self, model: AbstractToyModel, task: Task, noise: PyTree[Array]) -> Float[Array, ""]:
        def both(x: Float[Array, "n batch"]) -> Float[Array, ""]:
            return (task.loss(model, x) + task.loss(model, jnp.where(x > 0, 1 - x, 0))) / 2

        if not self.half.zero_free:
            return both(task.features(noise))
        assert draws_nonzero(task.features)
        return task.features.zero_free(both, noise)


class EvenFirst(AbstractObjective):
    """No zero vectors, and `first` spread evenly."""

    free: Sampled

    def noise(self, task: Task, *, key: PRNGKeyArray) -> PyTree[Array]:
        noise_key, first_key = jax.random.split(key)
        return task.features.noise(self.free.batch, key=noise_key), even(self.free.batch, first_key)

    def loss(self, model: AbstractToyModel, task: Task, noise: PyTree[Array]) -> Float[Array, ""]:
        return self.free.loss(model, task, noise)


class Quasi(AbstractObjective):
    """The draws of `how` from points that fill the cube evenly."""

    how: Sampled
    sobol: bool = eqx.field(static=True)

    def noise(self, task: Task, *, key: PRNGKeyArray) -> PyTree[Array]:
        size = task.features.n + 1
        u = sobol(size, self.how.batch, key) if self.sobol else draws.lattice(size, self.how.batch, key=key)
        return (u[1:], u[0]) if self.how.zero_free else u[1:]

    def loss(self, model: AbstractToyModel, task: Task, noise: PyTree[Array]) -> Float[Array, ""]:
        return self.how.loss(model, task, noise)


def sobol(size: int, batch: int, key: PRNGKeyArray) -> Float[Array, "size batch"]:
    """Sobol's points, 23 bits each, those of a dimension combined with the same random bits by exclusive or."""
    points = (qmc.Sobol(size, scramble=False).random(batch).T * 2**23).astype(np.uint32)
    shift = draws.threefry(jax.random.key_data(key), jnp.arange(size, dtype=jnp.uint32)[:, None]) >> 9
    return (jnp.asarray(points) ^ shift).astype(jnp.float32) * 2**-23


class ByCount(AbstractObjective):
    """Strata of the number of active features; `halves` gives half of the batch to vectors with exactly one."""

    batch: int = eqx.field(static=True)
    halves: bool = eqx.field(static=True)

    def noise(self, task: Task, *, key: PRNGKeyArray) -> PyTree[Array]:
        order_key, value_key, count_key, first_key = jax.random.split(key, 4)
        n, several = task.features.n, self.batch // (2 if self.halves else 1)
        ranks = jnp.argsort(jnp.argsort(draws.uniform(order_key, (n, several)), axis=0), axis=0)
        values = draws.uniform(value_key, (n, several))
        return ranks, values, even(several, count_key), even(self.batch - several, first_key)

    def loss(self, model: AbstractToyModel, task: Task, noise: PyTree[Array]) -> Float[Array, ""]:
        assert isinstance(task.features, IndependentFeatures)
        ranks, values, count, first = noise
        law, least = binomial(task.features.n, task.features.density), 2 if self.halves else 1
        total = law[0] * task.loss(model, jnp.zeros((task.features.n, 1)))
        if self.halves:
            place = first * task.features.n - jnp.arange(task.features.n)[:, None]
            total += law[1] * task.loss(model, jnp.where((place >= 0) & (place < 1), place, 0))
        active = least + sum_below(law[least:], count)
        return total + jnp.sum(law[least:]) * task.loss(model, jnp.where(ranks < active, values, 0))


def even(count: int, key: PRNGKeyArray) -> Float[Array, " count"]:
    """(k + U) / count, k = 0 ... count - 1."""
    return jnp.minimum((jnp.arange(count) + draws.uniform(key, ())) / count, 1 - 2**-24)


def binomial(n: int, p: Float[Array, ""]) -> Float[Array, " count"]:
    """P(k of n features are active), k = 0 ... n."""
    k, p = jnp.arange(n + 1), jnp.clip(p, 1e-7, 1 - 1e-7)
    chosen = jax.scipy.special.gammaln(n + 1.0) - jax.scipy.special.gammaln(k + 1.0)
    return jnp.exp(chosen - jax.scipy.special.gammaln(n - k + 1.0) + k * jnp.log(p) + (n - k) * jnp.log1p(-p))


def sum_below(law: Float[Array, " count"], u: Float[Array, " batch"]) -> Int[Array, " batch"]:
    """The index that each u in [0, 1) has under a law, which need not add up to 1."""
    until = jnp.cumsum(law) / jnp.sum(law)
    return jnp.sum(u >= until[:-1, None], axis=0)


def candidates(n: int, batch: int) -> dict[str, AbstractObjective]:
    """Every way by its name; the first is what the others are compared with."""
    plain, free, half = Sampled(batch), Sampled(batch, zero_free=True, even=False), batch // 2
    found: dict[str, AbstractObjective] = {
        "plain": plain,
        "antithetic": Antithetic(Sampled(half)),
        "lattice": Quasi(plain, sobol=False),
        "Sobol": Quasi(plain, sobol=True),
        "zero-free": free,
        "zero-free, antithetic": Antithetic(Sampled(half, zero_free=True, even=False)),
        "zero-free, even first": EvenFirst(free),
        "zero-free, Sobol": Quasi(free, sobol=True),
        "zero-free, even": Sampled(batch, zero_free=True),
    }
    counts = {"by count": ByCount(batch, halves=False), "by count, in halves": ByCount(batch, halves=True)}
    return found | counts if 2 < n <= LARGEST_SORTED else found
