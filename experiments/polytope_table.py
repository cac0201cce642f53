"""The table of polytopes: three and four features of equal importance in two dimensions.

Paper: "Tegum Products" and the table "Polytopes and Low-Rank Matrices". x' = ReLU(W^T W x + b), n = 3 and n = 4, m = 2.
The paper does not state a density; these are trained at 1 - S = 0.6 and 0.1.

    python -m superpose.run experiment=polytope_table

You should see: at 1 - S = 0.6 three features as a triangle, W orthogonal to (1, 1, 1) and off-diagonals of -1/2 between
unit vectors; four as a square, which is two digons: W orthogonal to (1, 0, 1, 0) and (0, 1, 0, 1). At 1 - S = 0.1 three
features are a digon and one alone.

Equal features can be numbered at will: they are, around the circle, from one that points right.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from superpose import networks, plots, selection, statistics, tegum
from superpose.experiment import Claim, Experiment, Verdict

SOURCE = "Tegum Products"
NEAR = 0.03
EXACT = 1 + 1e-6  # a factor by which a density may differ and still be the one that is meant
HEADS = ("columns of $W$", "graph", "$W^T W$", r"$W \perp$")


class Model(NamedTuple):
    """The best model of a variant at a density, its features around the circle, and how many seeds are alike."""

    W: Float[np.ndarray, "2 n"]
    density: float
    names: dict[str, int]
    alike: int
    seeds: int

    @property
    def unit(self) -> Float[np.ndarray, "2 n"]:
        """The directions."""
        return self.W / np.maximum(np.linalg.norm(self.W, axis=0), 1e-12)

    @property
    def words(self) -> str:
        """What it is made of, and of how many seeds that is true."""
        return f"{said(self.names)} ({self.alike} of {self.seeds} seeds)"


def said(names: dict[str, int]) -> str:
    return " + ".join(f"{count} {name}s" if count > 1 else name for name, count in names.items()) or "nothing"


def around(W: np.ndarray) -> np.ndarray:
    """W (2, n), its columns in the order of their angles from the longest one, which is turned to the right."""
    first = np.argmax(np.linalg.norm(W, axis=0))
    angle = np.arctan2(*W[::-1, first])
    W = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) @ W
    angles = np.mod(np.arctan2(W[1], W[0]) + 1e-6, 2 * np.pi)
    return W[:, np.argsort(angles, kind="stable")]


def models(tree: xr.DataTree) -> list[Model]:
    """A model of each variant in two dimensions and each density, the variants in their order, dense to sparse."""
    found = []
    for node in tree.children.values():
        if "W" in node and node.sizes["hidden"] == 2:
            ds = selection.one_point(node.to_dataset())[0].sortby("density", ascending=False)
            best = statistics.best(ds)
            found += [of_cell(ds.isel(sparsity=k), best.isel(sparsity=k)) for k in range(ds.sizes["sparsity"])]
    return [model for model in found if model is not None]


def of_cell(ds: xr.Dataset, best: xr.Dataset) -> Model | None:
    weights = [W for W in ds["W"].transpose("seed", "hidden", "feature").values if np.isfinite(W).all()]
    if not np.isfinite(best["loss"]):
        return None
    W = around(best["W"].transpose("hidden", "feature").values.astype(np.float64))
    names = tegum.census(tegum.components(W))
    alike = sum(tegum.census(tegum.components(other)) == names for other in weights)
    return Model(W, float(ds["density"]), names, alike, len(weights))


def orthogonal_to(model: Model) -> list[np.ndarray]:
    """The indicators of the components whose unit vectors sum to zero: (1, 1, 1) of a triangle."""
    found = []
    for component in tegum.components(model.W):
        indicator = np.isin(np.arange(model.W.shape[1]), component.features).astype(int)
        if off(model, indicator) <= NEAR:
            found.append(indicator)
    return found


def off(model: Model, vector: np.ndarray) -> float:
    """|W v| / (||W||_F |v|): 0 where W is orthogonal to v."""
    return float(np.linalg.norm(model.W @ vector) / (np.linalg.norm(model.W) * np.linalg.norm(vector)))


def figure(tree: xr.DataTree) -> Figure:
    """A row for each model: points, graph, matrix, and the vectors that W is orthogonal to."""
    shown = models(tree)
    figure = Figure(figsize=(6.9, 0.5 + 1.2 * max(1, len(shown))))
    parts = figure.add_gridspec(max(1, len(shown)), 5, width_ratios=(1.25, 1, 1, 1, 1.15))
    for row, model in enumerate(shown):
        axes = [figure.add_subplot(parts[row, place]) for place in range(5)]
        named(axes[0], model)
        points(axes[1], model)
        networks.network(axes[2], model.W, tegum.components(model.W))
        matrix(axes[3], model)
        vectors(axes[4], model)
        for ax, head in zip(axes[1:], HEADS if row == 0 else [""] * 4, strict=True):
            ax.set_title(head)
    seeds = max((model.seeds for model in shown), default=0)
    words = r"right: vectors $v$ of 0 and 1, and $\Vert W v \Vert / (\Vert W \Vert_F \Vert v \Vert)$"
    figure.supxlabel(f"the best of {seeds} seeds (lowest loss); {words}", fontsize=7)
    return figure


def blank(ax: Axes, text: str) -> None:
    ax.set_axis_off()
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", fontsize=7.5, linespacing=1.5)


def named(ax: Axes, model: Model) -> None:
    """Sizes, density and name of a row."""
    m, n = model.W.shape
    shares = ", ".join(f"{share:.2f}" for share in tegum.shares(model.W))
    blank(ax, f"${n} \\to {m}$, $1 - S = {model.density:.3g}$\n{said(model.names)}\n$D_i$ = {shares}")


def points(ax: Axes, model: Model) -> None:
    """The columns as numbered points and the unit circle."""
    circle = tegum.polygon(180)
    ax.plot(*np.concatenate([circle, circle[:, :1]], axis=1), color=plots.FAINT, linewidth=0.5)
    ax.plot(0, 0, "+", color=plots.FAINT, markersize=4, markeredgewidth=0.5)
    for k, (x, y) in enumerate(model.W.T):
        ax.plot(x, y, "o", color=plots.INK, markersize=4)
        ax.text(1.35 * x, 1.35 * y, str(k), ha="center", va="center", fontsize=7)
    ax.set(xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), aspect="equal", xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def matrix(ax: Axes, model: Model) -> None:
    """W^T W in its colours, with its numbers."""
    gram = model.W.T @ model.W
    plots.gram(ax, gram)
    for i, j in np.ndindex(*gram.shape):
        words = f"{gram[i, j] + 0.0:.2f}".replace("-0.00", "0.00").replace("-", "\N{MINUS SIGN}")
        pale = abs(gram[i, j]) < 0.6
        ax.text(j, i, words, ha="center", va="center", fontsize=6, color=plots.INK if pale else "white")


def vectors(ax: Axes, model: Model) -> None:
    """What W is orthogonal to, and how nearly."""
    lines = [f"({', '.join(map(str, v))})   {off(model, v):.3f}" for v in orthogonal_to(model)]
    blank(ax, "\n".join(lines) or "none of 0 and 1")


def at(text: str, n: int, density: float, check: Callable[[Model], tuple[bool, str]], expected: str) -> Claim:
    """A sentence on the best model of a size at a density."""

    def judged(tree: xr.DataTree) -> Verdict:
        found = [one for one in models(tree) if one.W.shape[1] == n and 1 / EXACT < one.density / density < EXACT]
        if not found:
            return Verdict(None, f"nothing: the arrays lack n = {n}, m = 2 at 1 - S = {density:g}")
        holds, words = check(found[0])
        return Verdict(holds, words, expected, seeds=found[0].seeds)

    return Claim(text, SOURCE, judged)


def made_of(**names: int) -> Callable[[Model], tuple[bool, str]]:
    return lambda model: (model.names == names, model.words)


def off_diagonals(model: Model) -> tuple[bool, str]:
    cosines = (model.unit.T @ model.unit)[np.triu_indices(model.W.shape[1], 1)]
    return bool(np.abs(cosines + 0.5).max() <= NEAR), f"cosines {cosines.min():.3f} to {cosines.max():.3f}"


def orthogonal(*vectors: tuple[int, ...]) -> Callable[[Model], tuple[bool, str]]:
    def check(model: Model) -> tuple[bool, str]:
        residuals = [off(model, np.array(vector)) for vector in vectors]
        words = ", ".join(f"{residual:.4f}" for residual in residuals)
        return max(residuals) <= NEAR, f"|W v| / (|W| |v|) = {words}"

    return check


NULL = f"at most {NEAR:g}"
experiment = Experiment(
    figure=figure,
    claims=(
        at("Three features are a triangle at 1 - S = 0.6.", 3, 0.6, made_of(triangle=1), "one triangle"),
        at("Its unit vectors' products are -1/2.", 3, 0.6, off_diagonals, f"-0.5 within {NEAR:g}"),
        at("Its W is orthogonal to (1, 1, 1).", 3, 0.6, orthogonal((1, 1, 1)), NULL),
        at("Three features are a triangle at 1 - S = 0.1, too.", 3, 0.1, made_of(triangle=1), "one triangle"),
        *(
            claim
            for p in (0.6, 0.1)
            for claim in (
                at(f"Four features are a square, two digons, at 1 - S = {p:g}.", 4, p, made_of(digon=2), "two digons"),
                at(
                    f"Its W is orthogonal to (1, 0, 1, 0) and (0, 1, 0, 1) at 1 - S = {p:g}.",
                    4,
                    p,
                    orthogonal((1, 0, 1, 0), (0, 1, 0, 1)),
                    NULL,
                ),
            )
        ),
    ),
)
