"""The table of polytopes: a few features of equal importance in two and three dimensions.

Paper: "Tegum Products" and the table "Polytopes and Low-Rank Matrices". x' = ReLU(W^T W x + b), n = 3 and 4 in m = 2.
Of the solutions of the Thomson problem that the text names, n = 5, 7 and 8 in m = 3. The paper states no density.

    python -m superpose.run experiment=polytope_table

You should see: at 1 - S = 0.6 three features as a triangle, W orthogonal to (1, 1, 1) and off-diagonals of -1/2 between
unit vectors; four as a square, which is two digons: W orthogonal to (1, 0, 1, 0) and (0, 1, 0, 1). At 1 - S = 0.1 three
features are a digon and one alone. In three dimensions five are a triangle and a digon, seven a pentagon and a digon,
and eight a square antiprism.

Equal features can be numbered at will: in the plane they are, around the circle, from one that points right; in three
dimensions component after component, the largest first, each around its axis.
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
HEADS = ("columns of $W$", "graph", "$W^T W$", r"$W_\perp$")
TRIANGLE, ALONE = 3 / 8, 1 / 3  # loss / p^2 of three features: a triangle of unit vectors without bias; a digon and one
CLOSE = 0.03
CROWDED = 4  # features above which a matrix has no room for its numbers


class Model(NamedTuple):
    """The best model of a variant at a density, its features in order, and how many seeds are alike."""

    W: Float[np.ndarray, "m n"]
    loss: float
    density: float
    names: dict[str, int]
    alike: int
    seeds: int

    @property
    def unit(self) -> Float[np.ndarray, "m n"]:
        """The directions."""
        return self.W / np.maximum(np.linalg.norm(self.W, axis=0), 1e-12)

    @property
    def words(self) -> str:
        """What it is made of, and of how many seeds that is true."""
        return f"{said(self.names)} ({self.alike} of {self.seeds} seeds)"


def said(names: dict[str, int]) -> str:
    return " + ".join(f"{count} {name}s" if count > 1 else name for name, count in names.items()) or "nothing"


def models(tree: xr.DataTree) -> list[Model]:
    """A model of each variant of two or three dimensions and each density, the variants in order, dense to sparse."""
    found = []
    for node in tree.children.values():
        if "W" in node and node.sizes["hidden"] in (2, 3):
            ds = selection.one_point(node.to_dataset())[0].sortby("density", ascending=False)
            best = statistics.best(ds)
            found += [of_cell(ds.isel(sparsity=k), best.isel(sparsity=k)) for k in range(ds.sizes["sparsity"])]
    return [model for model in found if model is not None]


def of_cell(ds: xr.Dataset, best: xr.Dataset) -> Model | None:
    weights = [W for W in ds["W"].transpose("seed", "hidden", "feature").values if np.isfinite(W).all()]
    if not np.isfinite(best["loss"]):
        return None
    W = selection.weights(best)
    W = networks.around(W) if len(W) == 2 else networks.upright(W)
    names = tegum.census(tegum.components(W))
    alike = sum(tegum.census(tegum.components(other)) == names for other in weights)
    return Model(W, float(best["loss"]), float(ds["density"]), names, alike, len(weights))


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
    figure = Figure(figsize=(6.9, 0.5 + 1.05 * max(1, len(shown))))
    parts = figure.add_gridspec(max(1, len(shown)), 5, width_ratios=(1.25, 1, 1, 1, 1.15))
    for row, model in enumerate(shown):
        axes = [figure.add_subplot(parts[row, place]) for place in range(5)]
        named(axes[0], model)
        points(axes[1], model)
        networks.network(axes[2], model.W, tegum.components(model.W), numbered=True)
        matrix(axes[3], model)
        vectors(axes[4], model)
        for ax, head in zip(axes[1:], HEADS if row == 0 else [""] * 4, strict=True):
            ax.set_title(head)
    seeds = max((model.seeds for model in shown), default=0)
    words = r"right: vectors $v$ of 0 and 1, and $\Vert W v \Vert / (\Vert W \Vert_F \Vert v \Vert)$"
    figure.supxlabel(
        f"the best of {seeds} seeds (lowest loss), all importances 1; three dimensions: seen from a little above\n"
        f"graph: $|W_i \\cdot W_j| > {tegum.EDGE:g}$, darker the larger; {words}",
        fontsize=7,
    )
    return figure


def blank(ax: Axes, text: str) -> None:
    ax.set_axis_off()
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", fontsize=7.5, linespacing=1.5)


def named(ax: Axes, model: Model) -> None:
    """Sizes, density and name of a row."""
    m, n = model.W.shape
    parts = {one.name: f"{one.shares.mean():.3f}" for one in tegum.components(model.W)}
    shares = ", ".join(parts[name] for name in model.names if name in parts)
    blank(ax, f"${n} \\to {m}$, $1 - S = {model.density:.3g}$\n{said(model.names)}\n$D_i$ = {shares}")


def points(ax: Axes, model: Model) -> None:
    """The columns as numbered points and the unit circle."""
    circle = tegum.polygon(180)
    ax.plot(*np.concatenate([circle, circle[:, :1]], axis=1), color=plots.FAINT, linewidth=0.5)
    ax.plot(0, 0, "+", color=plots.FAINT, markersize=4, markeredgewidth=0.5)
    shown = model.W if len(model.W) == 2 else networks.tilted(model.W)
    for k, (x, y) in enumerate(shown.T):
        if len(model.W) == 3:
            ax.plot([0, x], [0, y], color=plots.FAINT, linewidth=0.6, zorder=0)
        outward, far = np.array([x, y]) / max(np.hypot(x, y), 1e-12), float(np.hypot(x, y))
        ax.plot(x, y, "o", color=plots.INK, markersize=3.5)
        beside = max(1.0, far) if far > 0.7 else far  # not on the circle
        right, up = outward * (beside + 0.3)
        ax.text(right, up, str(k), ha="center", va="center", fontsize=7)
    ax.set(xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), aspect="equal", xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def matrix(ax: Axes, model: Model) -> None:
    """W^T W in its colours, with its numbers where there is room."""
    gram = model.W.T @ model.W
    plots.gram(ax, gram)
    for i, j in np.ndindex(*gram.shape) if len(gram) <= CROWDED else ():
        words = f"{gram[i, j] + 0.0:.2f}".replace("-0.00", "0.00").replace("-", "\N{MINUS SIGN}")
        pale = abs(gram[i, j]) < 0.6
        ax.text(j, i, words, ha="center", va="center", fontsize=5.5, color=plots.INK if pale else "white")


def vectors(ax: Axes, model: Model) -> None:
    """What W is orthogonal to, and how nearly."""
    lines = [f"({', '.join(map(str, v))})   {off(model, v):.3f}" for v in orthogonal_to(model)]
    blank(ax, "\n".join(lines) or "none of 0 and 1")


def at(
    text: str,
    sizes: tuple[int, int],
    density: float,
    check: Callable[[Model], tuple[bool, str]],
    expected: str,
    ours: bool = False,
) -> Claim:
    """A sentence on the best model of a size (n, m) at a density."""

    def judged(tree: xr.DataTree) -> Verdict:
        same = lambda one: one.W.shape[::-1] == sizes and 1 / EXACT < one.density / density < EXACT
        found = [one for one in models(tree) if same(one)]
        if not found:
            return Verdict(None, f"nothing: the arrays lack n, m = {sizes} at 1 - S = {density:g}")
        holds, words = check(found[0])
        return Verdict(holds, words, expected, seeds=found[0].seeds)

    return Claim(text, SOURCE, judged, ours)


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


def product(*parts: tuple[int, str, float]) -> Callable[[Model], tuple[bool, str]]:
    """So many components of each name, and no others, whose D_i are the fractions."""

    def check(model: Model) -> tuple[bool, str]:
        fractions = {name: share for _, name, share in parts}
        known = [one for one in tegum.components(model.W) if one.name in fractions]
        away = max((float(np.abs(one.shares - fractions[one.name]).max()) for one in known), default=0.0)
        words = ", ".join(f"{share:.3f}" for share in tegum.shares(model.W))
        same = model.names == {name: count for count, name, _ in parts}
        return same and away <= NEAR, f"{model.words}, D_i = {words}"

    return check


def alone(model: Model) -> tuple[bool, str]:
    """A digon and a single one, of less loss than a triangle of unit vectors, and about theirs."""
    ratio = model.loss / model.density**2
    names = {"single": 1, "digon": 1}
    return model.names == names and abs(ratio / ALONE - 1) <= CLOSE, f"{model.words}, loss {ratio:.4f} p^2"


NULL = f"at most {NEAR:g}"
FOUND = "found: the paper states no density"
SQUARE = (1, 0, 1, 0), (0, 1, 0, 1)
experiment = Experiment(
    figure=figure,
    claims=(
        at("Three features are a triangle.", (3, 2), 0.6, made_of(triangle=1), f"one triangle at 1 - S = 0.6, {FOUND}"),
        at("The triangle's unit vectors have products of -1/2.", (3, 2), 0.6, off_diagonals, f"-0.5 within {NEAR:g}"),
        at("The triangle's W is orthogonal to (1, 1, 1).", (3, 2), 0.6, orthogonal((1, 1, 1)), NULL),
        at(
            "At 1 - S = 0.1 three features are a digon and a single one: p^2 / 3 is less than a triangle's 3 p^2 / 8.",
            (3, 2),
            0.1,
            alone,
            f"a single one and a digon, {ALONE:.4f} p^2 within {CLOSE:.0%}; a triangle has {TRIANGLE:.4f} p^2",
            ours=True,
        ),
        *(
            claim
            for p in (0.6, 0.1)
            for claim in (
                at(
                    f"Four features are a square, two digons, at 1 - S = {p:g}.",
                    (4, 2),
                    p,
                    made_of(digon=2),
                    "two digons",
                ),
                at(
                    f"The square's W is orthogonal to (1, 0, 1, 0) and (0, 1, 0, 1) at 1 - S = {p:g}.",
                    (4, 2),
                    p,
                    orthogonal(*SQUARE),
                    NULL,
                ),
            )
        ),
        at(
            "A triangular bipyramid splits into a triangle and a digon: 2/3 and 1/2, not 3/5.",
            (5, 3),
            0.6,
            product((1, "triangle", 2 / 3), (1, "digon", 1 / 2)),
            f"these two and D_i within {NEAR:g} of 2/3 and 1/2, five features at 1 - S = 0.6, {FOUND}",
        ),
        at(
            "A pentagonal bipyramid splits into a pentagon and a digon: 2/5 and 1/2, not 3/7.",
            (7, 3),
            0.15,
            product((1, "pentagon", 2 / 5), (1, "digon", 1 / 2)),
            f"these two and D_i within {NEAR:g} of 2/5 and 1/2, seven features at 1 - S = 0.15, {FOUND}",
        ),
        at(
            "Eight features in three dimensions are a square antiprism: 3/8.",
            (8, 3),
            0.15,
            product((1, "square antiprism", 3 / 8)),
            f"one and D_i within {NEAR:g} of 3/8 at 1 - S = 0.15, {FOUND}",
        ),
    ),
)
