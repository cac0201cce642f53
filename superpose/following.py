"""Following a model along a path: trained at its first point, then at each next one from the model of the one before.

    theta_1 = train(theta_0 at point 1),    theta_k = train(theta_{k-1} + nudge * normal numbers, at point k)

A model that is followed stays in its minimum for as long as that is one, also where another has become lower. Walked
from both ends, a path shows either branch beyond the point at which their losses cross, and where it ends.
"""

from collections.abc import Callable, Iterable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray, PyTree, Shaped

from superpose.leaves import Scalar, scalar

DIM = "path"
POINTS = "path_point"
APART = 2**32 - 1
"""What is folded into a key for all but the first point: no step of a training run."""

Train = Callable[[PyTree[Array], Float[Array, ""], PRNGKeyArray], tuple[PyTree[Array], dict[str, Array]]]


def _numbers(points: Iterable[Any]) -> tuple[float, ...]:
    return tuple(float(point) for point in points)


class Path(eqx.Module):
    """A line of values of one number of a program, along which a model is followed.

    Args:
        target: the number, as an axis names it: `features.density`, `weighting.relative`.
        points: its values, at least two, in the order of the path. Of `features.density` they are densities.
        start: 0 walks them from the first to the last, 1 from the last to the first. An axis `start` with
            the target `path.start` and the points 0 and 1 walks a path from both ends.
        nudge: standard deviation, >= 0, of the normal numbers added to the trained arrays before each point but the
            first: a minimum that has become a saddle is left, as no exact gradient would do.
    """

    target: str = eqx.field(static=True)
    points: tuple[float, ...] = eqx.field(static=True, converter=_numbers)
    start: Scalar = eqx.field(converter=scalar, default=0.0)
    nudge: Scalar = eqx.field(converter=scalar, default=1e-3)

    def __check_init__(self):
        if len(self.points) < 2 or not np.isfinite(np.array(self.points, np.float32)).all():
            raise ValueError(f"`path.points` are at least two finite numbers, got {list(self.points)}.")
        if float(self.start) not in (0.0, 1.0) or not float(self.nudge) >= 0:
            raise ValueError(
                "`path.start` is 0 (from the first point) or 1 (from the last), and `path.nudge` at least 0, got"
                f" {float(self.start):g} and {float(self.nudge):g}."
            )

    def turned(self, along: Shaped[Array, "path ..."]) -> Shaped[Array, "path ..."]:
        """What lies along the path in the order walked; turned again, it is in the order of the points."""
        return jnp.where(self.start > 0.5, along[::-1], along)

    @property
    def walked(self) -> Float[Array, " path"]:
        """The points in the order walked."""
        return self.turned(jnp.asarray(self.points, jnp.float32))

    def follow(self, train: Train, trained: PyTree[Array], *, key: PRNGKeyArray) -> dict[str, Array]:
        """The arrays that training gives at each point, (path, ...) in the order of the points.

        Args:
            train: (trained arrays, point, key) -> the arrays after training there, and what is kept of them.
            trained: where the first training starts.
            key: trains at the first point as it would without a path; those of later points are made from it.
        """
        apart = jax.random.fold_in(key, APART)

        def leg(trained: PyTree[Array], now: tuple[Array, Array]) -> tuple[PyTree[Array], dict[str, Array]]:
            k, point = now
            train_key, nudge_key = jax.random.split(jax.random.fold_in(apart, k))
            size = jnp.where(k == 0, 0.0, self.nudge)
            return train(nudged(trained, size, key=nudge_key), point, jnp.where(k == 0, key, train_key))

        _, arrays = jax.lax.scan(leg, trained, (jnp.arange(len(self.points)), self.walked))
        return jax.tree.map(self.turned, arrays)

    def last(self, along: dict[str, Array]) -> dict[str, Array]:
        """Of arrays in the order of the points those of the last point walked."""
        return jax.tree.map(lambda a: jnp.where(self.start > 0.5, a[0], a[-1]), along)

    def coordinates(self) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
        """The points as a coordinate of the results."""
        return {POINTS: ((DIM,), np.array(self.points, np.float64))}


def nudged(trained: PyTree[Array], size: Float[Array, ""], *, key: PRNGKeyArray) -> PyTree[Array]:
    """The arrays plus normal numbers of the standard deviation `size`."""
    arrays, structure = jax.tree.flatten(trained)
    keys = jax.random.split(key, len(arrays))
    moved: list[Any] = [a + size * jax.random.normal(k, a.shape, a.dtype) for a, k in zip(arrays, keys, strict=True)]
    return jax.tree.unflatten(structure, moved)
