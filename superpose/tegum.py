"""Feature geometry: which features of a W (m, n) share dimensions, and what shape each such group has.

The feature-geometry graph has a node for each represented feature, ||W_i|| > 0.5, and an edge where |W_i . W_j| > 0.1.
Its connected components lie in orthogonal subspaces: W is their tegum product, and D_i is a matter of each alone.

    D_i = |W_i . W_i|^2 / sum_j (W_i . W_j)^2 = d / k      for k features in a tight frame of d dimensions

So an octahedron is three digons, a square two, a triangular bipyramid a triangle and a digon. NumPy only, in float64.
Paper: "Geometry of Superposition", "Uniform Superposition" and "Tegum Products".
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Num

from superpose.geometry import REPRESENTED_NORM

EDGE = 0.1
FLAT = 0.3
"""Singular values below this part of a component's largest span no dimension; those of a tight frame are equal."""

REGULAR = 0.05
"""How far a D_i may lie from d / k for the component to have the name of a shape. Neighbouring shapes of equal k or
equal d lie at least 1/4 apart, so this only says how regular a shape must be."""

CENTRED = 0.1
"""How long the mean of a component's unit vectors may be. Shapes of minimal interference have their centre at 0; the
same lines with one vector turned around have the same D_i and do not."""

OPPOSITE = -0.9
"""A square antiprism has no cosine below -0.81; a cube, of equal D_i, has antipodal corners."""

WITHIN, BESIDE, LEAST = 0.005, 0.0125, 10
"""A line of D_i at a number: so near, compared with so far beside it, and at least so many."""

SIZES = {
    "single": (1, 1),
    "digon": (2, 1),
    "triangle": (3, 2),
    "tetrahedron": (4, 3),
    "pentagon": (5, 2),
    "square antiprism": (8, 3),
}
"""Name -> features k and dimensions d of a component that has it."""

OTHER = "other"


class Component(NamedTuple):
    """A tegum factor: its features, the dimensions they span, their D_i among themselves, and the shape's name.

    `name` is one of `SIZES`, or "other".
    """

    features: np.ndarray
    dims: int
    shares: np.ndarray
    name: str

    @property
    def size(self) -> int:
        """The number of features k."""
        return len(self.features)

    @property
    def label(self) -> str:
        """The name, and of one without a name its size and dimensions: "7 in 4 dimensions"."""
        return self.name if self.name != OTHER else f"{self.size} in {self.dims} dimensions"


def simplex(d: int) -> Float[np.ndarray, "{d} {d}+1"]:
    """The d + 1 corners of a regular simplex: a digon, a triangle, a tetrahedron, with D_i = d / (d + 1).

    They are orthogonal to (1, ..., 1), and W_i . W_j = -1/d.
    """
    corners = np.eye(d + 1) - 1 / (d + 1)
    basis = np.linalg.svd(corners)[0][:, :d]
    return basis.T @ corners / np.sqrt(d / (d + 1))


def polygon(k: int) -> Float[np.ndarray, "2 {k}"]:
    """The k corners of a regular polygon, the first to the right, with D_i = 2 / k."""
    angles = 2 * np.pi * np.arange(k) / k
    return np.stack([np.cos(angles), np.sin(angles)])


def antiprism() -> Float[np.ndarray, "3 8"]:
    """The square antiprism that is a tight frame, z = 1/sqrt(3) and r = sqrt(2/3), with D_i = 3/8."""
    around, height = np.sqrt(2 / 3), np.full(4, 1 / np.sqrt(3))
    turned = np.stack([[1, -1], [1, 1]]) / np.sqrt(2) @ polygon(4)
    return np.concatenate([np.vstack([around * polygon(4), -height]), np.vstack([around * turned, height])], axis=1)


def product(*factors: Num[np.ndarray, "_ _"]) -> Float[np.ndarray, "m n"]:
    """The tegum product: each factor (d, k) in dimensions of its own. m and n are the sums of theirs."""
    W = np.zeros(np.sum([factor.shape for factor in factors], axis=0))
    corner = np.zeros(2, int)
    for factor in factors:
        end = corner + factor.shape
        W[corner[0] : end[0], corner[1] : end[1]] = factor
        corner = end
    return W


def graph(W: Num[np.ndarray, "m n"], edge: float = EDGE) -> Bool[np.ndarray, "n n"]:
    """Whether features i and j are joined: both represented, |W_i . W_j| > `edge`, and not one and the same."""
    W = W.astype(np.float64)
    there = np.linalg.norm(W, axis=0) > REPRESENTED_NORM
    joined = (np.abs(W.T @ W) > edge) & there & there[:, None]
    return joined & ~np.eye(len(joined), dtype=bool)


def connected(W: Num[np.ndarray, "m n"], edge: float = EDGE) -> list[np.ndarray]:
    """The features of each connected component of the graph, by their first ones; a W that is not finite has none."""
    there = np.linalg.norm(W.astype(np.float64), axis=0) > REPRESENTED_NORM
    reach, count = graph(W, edge) | np.diag(there), len(there)
    first, before = np.where(there, np.arange(count), count), None
    while before is None or (first != before).any():  # every feature hears of the first one within its reach
        first, before = np.where(reach, first, count).min(axis=1, initial=count), first
    return [np.flatnonzero(first == one) for one in np.unique(first[there])]


def shares(W: Num[np.ndarray, "m n"]) -> Float[np.ndarray, " n"]:
    """D_i in float64, of columns that are not 0; `geometry.dimensionality` gives the same in JAX."""
    gram = W.astype(np.float64).T @ W.astype(np.float64)
    return np.diag(gram) ** 2 / np.sum(gram**2, axis=1)


def dims(W: Num[np.ndarray, "m n"]) -> int:
    """How many dimensions the columns span, those left out in which they hardly extend (`FLAT`)."""
    values = np.linalg.svd(W.astype(np.float64), compute_uv=False)
    return int(np.sum(values > FLAT * values.max(initial=0)))


def name(W: Num[np.ndarray, "m k"]) -> str:
    """The shape of one component: that of `SIZES` with its k and d, if its D_i and its centre agree, else "other"."""
    unit = W.astype(np.float64) / np.linalg.norm(W.astype(np.float64), axis=0)
    k, d = W.shape[1], dims(W)
    if k == 1:
        return "single"
    regular = np.abs(shares(W) - d / k).max() <= REGULAR and np.linalg.norm(unit.mean(axis=1)) <= CENTRED
    named = [shape for shape, size in SIZES.items() if size == (k, d)]
    cube = named == ["square antiprism"] and (unit.T @ unit).min() < OPPOSITE
    return named[0] if named and regular and not cube else OTHER


def components(W: Num[np.ndarray, "m n"], edge: float = EDGE) -> list[Component]:
    """The tegum factors of W, as many as its graph has components, in the order of their first features.

    Args:
        W: one model's weights, a feature in each column.
        edge: the |W_i . W_j| above which two features are joined; the default is 0.1.

    Returns:
        One `Component` each; none where W is not finite or represents nothing.
    """
    found = connected(W, edge) if np.isfinite(W).all() else []
    return [Component(own, dims(W[:, own]), shares(W[:, own]), name(W[:, own])) for own in found]


def census(found: Sequence[Component]) -> dict[str, int]:
    """How many components have each label, the names of `SIZES` first, then others by size."""
    counts = Counter(one.label for one in found)
    sizes = {one.label: (one.size, one.dims) for one in found}
    places = {shape: place for place, shape in enumerate(SIZES)}
    ordered = sorted(counts, key=lambda label: (places.get(label, len(places)), sizes[label]))
    return {label: counts[label] for label in ordered}


def features_by_name(found: Sequence[Component]) -> dict[str, int]:
    """How many features lie in components of each name, 0 where there is none."""
    counts = dict.fromkeys([*SIZES, OTHER], 0)
    for one in found:
        counts[one.name] += one.size
    return counts


def part(found: Sequence[Component], dims: int) -> float:
    """The part of the features in the components that are in components of at most so many dimensions; NaN of none."""
    sizes = np.array([one.size for one in found], float)
    return float(sizes[[one.dims <= dims for one in found]].sum() / sizes.sum()) if found else float("nan")


def near(shares: Num[np.ndarray, " q"], at: float) -> int:
    """How many D_i lie within 0.005 of a number."""
    return int(np.sum(np.abs(shares - at) <= WITHIN))


def around(shares: Num[np.ndarray, " q"], at: float) -> tuple[int, int, int]:
    """`near` of a number less 0.0125, of the number, and of the number plus 0.0125."""
    below, there, above = (near(shares, at + side * BESIDE) for side in (-1, 0, 1))
    return below, there, above


def line(shares: Num[np.ndarray, " q"], at: float) -> bool:
    """Do so many D_i lie at a number that they show as a line: ten near it, and twice as many as on either side?"""
    below, there, above = around(shares, at)
    return there >= max(LEAST, 2 * below, 2 * above)
