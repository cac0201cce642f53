"""Initial weights: normal numbers of one standard deviation; biases start at zero.

    xavier    std = sqrt(2 / (n + m))                      per model
    notebook  std = sqrt(2 / (m (n + instances)))          what Xavier gives on the notebook's (instances, n, m) tensor
    normal    std as given

The notebook's initialisation is 3 to 5 times smaller than Xavier's, a side effect of its instance axis. It decides
which local optimum some models reach.
"""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from superpose.leaves import Scalar, scalar
from superpose.models import AbstractToyModel, trained


class AbstractInit(eqx.Module):
    """Fills a model's matrices with normal numbers of standard deviation `scale`; everything else stays as built."""

    @abc.abstractmethod
    def scale(self, rows: int, columns: int) -> Float[Array, ""] | float:
        """The standard deviation for a matrix of this shape."""

    def __call__(self, model: AbstractToyModel, *, key: PRNGKeyArray) -> AbstractToyModel:
        pick = trained(model)
        arrays = pick(model)
        keys = jax.random.split(key, len(arrays))
        return eqx.tree_at(pick, model, [self.draw(a, key=k) for a, k in zip(arrays, keys, strict=True)])

    def draw(self, array: Float[Array, "..."], *, key: PRNGKeyArray) -> Float[Array, "..."]:
        if array.ndim < 2:
            return array
        return self.scale(*array.shape[-2:]) * jax.random.normal(key, array.shape)


class Xavier(AbstractInit):
    """std = sqrt(2 / (rows + columns)) (Glorot and Bengio, 2010), for each model by itself."""

    def scale(self, rows: int, columns: int) -> float:
        return (2 / (rows + columns)) ** 0.5


class Notebook(AbstractInit):
    """std = sqrt(2 / (m (n + instances))): the authors' notebook, whose tensor W is (instances, n, m).

    `xavier_normal_` there takes n m for the fan in and instances m for the fan out.
    """

    instances: Scalar = eqx.field(converter=scalar)

    def scale(self, rows: int, columns: int) -> Float[Array, ""]:
        m, n = sorted((rows, columns))
        return jnp.sqrt(2 / (m * (n + self.instances)))


class Normal(AbstractInit):
    """A standard deviation of one's own."""

    std: Scalar = eqx.field(converter=scalar)

    def scale(self, rows: int, columns: int) -> Float[Array, ""]:
        return self.std
