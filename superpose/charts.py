"""A variant over density and importance, as phase diagrams draw and judge it: what becomes of the last, extra feature.

    0 ignored      ||W_i|| <= 0.5
    1 dedicated    represented, and sum_{j != i} (u_i . W_j)^2 <= 0.25
    2 antipodal    represented, and above that: it shares its direction

0.25 is the square of 0.5: what one other feature along u_i adds from the norm on at which it counts as represented. So
for two features in one dimension the phases are those at importance 1 / r with their roles exchanged, and a feature of
a triangle, which has 0.5, shares its direction. Paper: "Superposition as a Phase Change".
"""

import dataclasses
from functools import cached_property

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int

from superpose import selection, statistics, theory
from superpose.geometry import REPRESENTED_NORM

SHARED = REPRESENTED_NORM**2
COLOURS = ("norm", "superposition")
NEEDED = (*COLOURS, "loss", "loss_standard_error", "finite", "feature_importance")
AWAY = 1.5
FACTORS = (1 / AWAY, 1.0, AWAY)
"""How far from a boundary a cell's phase is sure: a factor in density and in importance."""
FORMS = {(2, 1): theory.phase_losses, (3, 2): theory.phase_losses_3_2}
"""(n, m) -> the closed forms of its losses."""


def classify(norm: xr.DataArray, superposition: xr.DataArray) -> xr.DataArray:
    """The phase of the extra feature, int8, from the norm and superposition of all; -1 where one is not finite."""
    length, shared = norm.isel(feature=-1), superposition.isel(feature=-1)
    kinds = xr.where(length > REPRESENTED_NORM, xr.where(shared > SHARED, 2, 1), 0)
    return xr.where(length.notnull() & shared.notnull(), kinds, -1).astype(np.int8)


def phase(ds: xr.Dataset) -> xr.DataArray:
    """The phase of the extra feature in the best model of each cell, -1 where none is usable.

    Args:
        ds: norm, superposition, loss, and finite where there is one, of any cell dimensions and `seed`.
    """
    best = statistics.best(ds[[name for name in (*COLOURS, "loss", "finite") if name in ds]])
    found = classify(best["norm"], best["superposition"]).drop_vars("seed", errors="ignore")
    return found.assign_attrs(
        long_name="phase of the extra feature in the best model",
        units="1",
        flag_values=[0, 1, 2],
        flag_meanings="ignored dedicated antipodal",
    )


@dataclasses.dataclass(frozen=True)
class Chart:
    """A variant over density (rows, falling) and importance (columns).

    Args:
        ds: of dims (sparsity, importance, seed, feature); a cell that was not trained has another's numbers.
        m: hidden dimensions.
        trained: the cells that have their own.
        note: at which point of further axes it was taken, in words.
    """

    ds: xr.Dataset
    m: int
    trained: Bool[np.ndarray, "r c"]
    note: str

    @property
    def x(self) -> Float[np.ndarray, " c"]:
        return self.ds["importance"].values

    @property
    def y(self) -> Float[np.ndarray, " r"]:
        return self.ds["density"].values

    @property
    def n(self) -> int:
        return self.ds.sizes["feature"]

    @cached_property
    def best(self) -> xr.Dataset:
        """The best models."""
        return statistics.best(self.ds)

    @cached_property
    def phases(self) -> Int[np.ndarray, "r c"]:
        """Of the best models' extra feature."""
        return classify(self.best["norm"], self.best["superposition"]).values

    @cached_property
    def states(self) -> Int[np.ndarray, "r c"]:
        """Numbers in `theory.PHASES`: as `phases`, and 3 where all others are represented beside a dedicated one."""
        all_there = (self.best["norm"] > REPRESENTED_NORM).all("feature").values
        return np.where((self.phases == 1) & all_there, 3, self.phases)

    @cached_property
    def exact(self) -> bool:
        """Whether the losses are expectations, not means over samples."""
        return "loss_standard_error" in self.ds and not (self.ds["loss_standard_error"] > 0).any()

    def losses(self, p: np.ndarray | None = None, r: np.ndarray | None = None) -> dict[str, np.ndarray] | None:
        """The closed forms' losses at each cell, or at these densities and importances; None for a model without."""
        importance = self.ds["feature_importance"].max("seed").values
        asked = np.ones(importance.shape)
        asked[..., -1] = self.x
        fits = np.allclose(importance[self.trained], asked[self.trained], rtol=1e-4)
        known = (self.n, self.m) in FORMS and self.ds.attrs.get("model", "ReLUOutput") == "ReLUOutput"
        if not fits or not known:
            return None
        density, ratio = np.broadcast_arrays(self.y[:, None] if p is None else p, self.x if r is None else r)
        return FORMS[self.n, self.m](density, ratio)

    def in_theory(self, density: float = 1.0, importance: float = 1.0) -> Int[np.ndarray, "r c"]:
        """The closed forms' states, with density and importance multiplied by these factors; density ends at 1."""
        losses = self.losses(np.minimum(self.y * density, 1)[:, None], self.x * importance)
        assert losses is not None
        return theory.phases(losses)

    def surely(self, kinds: np.ndarray) -> Bool[np.ndarray, "r c"]:
        """The trained cells with a usable model in which no boundary of the closed forms is within `AWAY` on both axes.

        Args:
            kinds: what the states in `theory.PHASES` are told apart by, a number for each.
        """
        near = [kinds[self.in_theory(p, r)] for p in FACTORS for r in FACTORS]
        return np.all(np.array(near) == near[len(near) // 2], axis=0) & self.trained & (self.phases >= 0)

    @cached_property
    def endings(self) -> tuple[Int[np.ndarray, " c"], Float[np.ndarray, " c"], Float[np.ndarray, " c"]]:
        """Of each importance the row of the highest density at which two features share a direction; the density at
        which that ends, halfway to the next one above; and by which factor it is uncertain: NaN where neither is known.
        """
        shared, columns = self.states >= 2, np.arange(len(self.x))
        first = shared.argmax(axis=0)
        there = shared.any(axis=0) & (first > 0) & (self.states[first - 1, columns] >= 0)
        above, below = self.y[first - 1], self.y[first]
        ends, step = np.sqrt(above * below), np.sqrt(above / below)
        return first, np.where(there, ends, np.nan), np.where(there, step, np.nan)

    def reached(self, within: float = 0.01) -> xr.DataArray:
        """The share of the seeds of each cell whose loss is that near to the best, or as near as its error tells."""
        loss = self.ds["loss"]
        error = self.ds["loss_standard_error"] if "loss_standard_error" in self.ds else xr.zeros_like(loss)
        near = loss <= (1 + within) * loss.min("seed") + 2 * error
        return (near.sum("seed") / selection.trained(self.ds).sum("seed")).where(loss.notnull().any("seed"))

    def mean_without_worst(self) -> xr.Dataset:
        """Norm and superposition as the paper reduces them."""
        return self.ds[list(COLOURS)].map(lambda a: statistics.mean_without_worst(a, self.ds["loss"]))


def smoothest(W: Float[np.ndarray, "rows columns 2"], start: tuple[int, ...]) -> Float[np.ndarray, "rows columns"]:
    """The largest change of W between neighbouring cells on the way from `start`, on the way where that is smallest."""
    down, right = (np.nan_to_num(np.linalg.norm(np.diff(W, axis=k), axis=-1), nan=np.inf) for k in (0, 1))
    reached, before = np.full(W.shape[:2], np.inf), np.zeros(0)
    reached[start] = 0
    while not np.array_equal(before, reached):
        before = reached.copy()
        for here, there in ((np.s_[1:], np.s_[:-1]), (np.s_[:-1], np.s_[1:])):
            reached[here] = np.minimum(reached[here], np.maximum(before[there], down))
            reached[:, here] = np.minimum(reached[:, here], np.maximum(before[:, there], right))
    return reached


def on_axis(points: Float[np.ndarray, " points"]) -> Float[np.ndarray, " points"]:
    """Where points lie on the axis of a map: by their logarithm, where they have one."""
    return np.log(points) if (points > 0).all() else points


def chart(tree: xr.DataTree, label: str) -> Chart | None:
    """The chart of a variant, at one point of its further axes; None where it has no models, or they no W."""
    if label not in tree.children or not {"W", "norm", "sparsity"} <= set(tree[label].variables):
        return None
    whole = tree[label].to_dataset()
    ds, note = selection.one_point(whole[[name for name in NEEDED if name in whole]], ("sparsity", "importance"))
    if "importance" not in ds.dims:
        ds = ds.assign_coords(importance=ds.coords.get("importance", 1.0)).expand_dims("importance")
    ds = ds.transpose("sparsity", "importance", "seed", ...).load()
    trained = selection.trained(ds).any("seed").values
    rows, columns = selection.stand_ins(trained, *(on_axis(ds[name].values) for name in ("density", "importance")))
    if not trained.all():
        ds = ds.map(lambda a: a.copy(data=a.values[rows, columns]))
    return Chart(ds, whole.sizes["hidden"], trained, note) if trained.any() else None
