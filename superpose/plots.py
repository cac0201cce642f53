"""Drawing primitives: each puts one array of one model on one Axes, in the paper's colours (figures 1 to 5).

Weights are blue at -1, white at 0, red at +1; superposition runs over viridis, dark where orthogonal, yellow from 1 up.
Colour-blind readers can tell both apart. Figures are made without pyplot, so that nothing global is touched:

    with style():
        figure = Figure(figsize=(6.9, 2.4))
        arrows(figure.add_subplot(), W, importance)
        save(figure, folder, "figure")
"""

import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import matplotlib
import numpy as np
from jaxtyping import Float, Num
from matplotlib.animation import Animation, PillowWriter
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

INK = "#222222"
FAINT = "#b0b0b0"
MISSING = "#d9d9d9"
"""Where a number is not finite: a model that diverged or was not trained."""
BLUE, ORANGE, GREEN, PINK, YELLOW, SKY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"
"""Colours of kinds, which colour-blind readers can tell apart (Okabe and Ito, 2008)."""

CROWDED = 40
"""Features above which bars touch, and figures show fewer models in a row."""

_STOPS = ["#1b569c", "#7fb2d8", "#ffffff", "#f29a82", "#bd1e2d"]
RED_WHITE_BLUE = LinearSegmentedColormap.from_list("red_white_blue", _STOPS, N=257).with_extremes(bad=MISSING)
VIRIDIS = matplotlib.colormaps["viridis"].with_extremes(bad=MISSING)


class Scale(NamedTuple):
    """How numbers become colours: a map, the numbers at its ends (beyond, colours stay), and which end is open."""

    map: Colormap
    low: float
    high: float
    extend: Literal["neither", "min", "max", "both"] = "neither"

    def mappable(self) -> ScalarMappable:
        """The scale as matplotlib takes it."""
        return ScalarMappable(Normalize(self.low, self.high), self.map)

    def colours(self, values: Num[np.ndarray, " n"]) -> Float[np.ndarray, "n 4"]:
        """RGBA in [0, 1] of each value."""
        return self.mappable().to_rgba(np.ma.masked_invalid(values))


WEIGHTS = Scale(RED_WHITE_BLUE, -1.0, 1.0)
SUPERPOSITION = Scale(VIRIDIS, 0.0, 1.0, extend="max")


def importance_scale(importance: Num[np.ndarray, " n"]) -> Scale:
    """Viridis from the least important feature (dark) to the most important (yellow); all dark where they are equal."""
    return Scale(VIRIDIS, float(np.min(importance)), float(np.max(importance)))


def style() -> AbstractContextManager[None]:
    """The look of every figure: legible at 3.3 inches (a column) or 6.9 (a page), text kept as text in SVG."""
    return matplotlib.rc_context(
        {
            "font.size": 8,
            "axes.titlesize": 8,
            "axes.labelsize": 8,
            "xtick.labelsize": 7,
            "ytick.labelsize": 7,
            "legend.fontsize": 7,
            "axes.linewidth": 0.6,
            "axes.edgecolor": INK,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "text.color": INK,
            "axes.labelcolor": INK,
            "xtick.color": INK,
            "ytick.color": INK,
            "xtick.major.width": 0.6,
            "ytick.major.width": 0.6,
            "xtick.major.size": 2.5,
            "ytick.major.size": 2.5,
            "lines.linewidth": 1.0,
            "figure.constrained_layout.use": True,
            "svg.fonttype": "none",
            "svg.hashsalt": "superpose",
        }
    )


def _heatmap(ax: Axes, values: Num[np.ndarray, "rows columns"]) -> None:
    """A matrix in the colours of weights, square cells, a thin frame and no ticks."""
    image = ax.imshow(np.ma.masked_invalid(values), cmap=WEIGHTS.map, interpolation="nearest")
    image.set_clim(WEIGHTS.low, WEIGHTS.high)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set(visible=True, color=FAINT, linewidth=0.5)


def gram(ax: Axes, gram: Num[np.ndarray, "n n"]) -> None:
    """W^T W (n, n) as a heatmap, feature 0 at the top left, blue at -1, white at 0, red at +1 (figures 2, 4, 5)."""
    _heatmap(ax, gram)


def matrix(ax: Axes, W: Num[np.ndarray, "rows columns"]) -> None:
    """Any matrix of weights as a heatmap of square cells, its first row on top, in the colours of `gram`."""
    _heatmap(ax, W)


def bias(ax: Axes, b: Num[np.ndarray, " n"]) -> None:
    """The bias b (n,) as one column, feature 0 on top, in the colours of `gram` (figures 2, 4, 5).

    Beside a heatmap its cells line up on `heatmap.inset_axes((1.05, 0, 1 / n, 1))`.
    """
    _heatmap(ax, b[:, None])


def norm_bars(ax: Axes, norm: Num[np.ndarray, " n"], superposition: Num[np.ndarray, " n"]) -> None:
    """||W_i|| as horizontal bars from 0, feature 0 on top, coloured by superposition (figures 3, 4, 5).

    Args:
        ax: its rows line up with those of a `gram` of the same height.
        norm: one number per feature; a bar that is not finite is left out.
        superposition: per feature, dark at 0, yellow from 1 up.
    """
    lengths = np.where(np.isfinite(norm), norm, 0)
    few = len(norm) <= CROWDED  # else gaps, or blurred edges, of less than a pixel would pale the colours
    bars = ax.barh(np.arange(len(norm)), lengths, height=0.85 if few else 1.0, snap=False)
    for bar, colour in zip(bars, SUPERPOSITION.colours(superposition), strict=True):
        bar.set(facecolor=colour, antialiased=few)
    ax.set(xlim=(0, max(1.0, float(np.max(lengths))) * 1.05), ylim=(len(norm) - 0.5, -0.5), yticks=[])


def align(axes: Sequence[Axes], widths: Sequence[float]) -> None:
    """Side by side, a height of 1 and these widths each: rows of a `gram`, a `bias` and `norm_bars` line up.

    The columns of their grid need the same `width_ratios`.
    """
    for ax, width in zip(axes, widths, strict=True):
        ax.set(aspect="auto", box_aspect=1 / width)


def arrows(ax: Axes, W: Num[np.ndarray, "2 n"], importance: Num[np.ndarray, " n"]) -> None:
    """The columns W_i as arrows from the origin, yellow the most important feature, dark the least (figure 1).

    Args:
        ax: becomes a square of +-1.3, or as far as the longest column reaches, with thin grey axes through the origin.
        W: weights of two hidden dimensions; a column that is not finite is left out.
        importance: one number per feature; the most important is drawn on top.
    """
    kept = np.isfinite(W).all(axis=0)
    order = np.flatnonzero(kept)[np.argsort(importance[kept], kind="stable")]
    reach = max(1.3, 1.1 * float(np.max(np.abs(W[:, order]), initial=0)))
    ax.axhline(0, color=FAINT, linewidth=0.5, zorder=0)
    ax.axvline(0, color=FAINT, linewidth=0.5, zorder=0)
    ax.quiver(
        *np.zeros((2, len(order))),
        *W[:, order],
        color=importance_scale(importance).colours(importance[order]),
        angles="xy",
        scale_units="xy",
        scale=1,
        units="width",
        width=0.022,
        edgecolor=INK,
        linewidth=0.4,
        zorder=2,
    )
    ax.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xticks=[], yticks=[])
    ax.spines[:].set_visible(False)


def band(ax: Axes, x: Num[np.ndarray, " k"], over_seeds: Num[np.ndarray, "k seed"], colour: str, **line: Any) -> None:
    """The median over seeds as a line, the half of the seeds around it shaded; numbers that are not finite count not.

    Args:
        line: `label`, `linestyle` and so on.
    """
    there = np.isfinite(over_seeds).any(axis=1)
    low, middle, high = np.nanquantile(over_seeds[there], [0.25, 0.5, 0.75], axis=1)
    ax.fill_between(x[there], low, high, color=colour, alpha=0.2, linewidth=0)
    ax.plot(x[there], middle, color=colour, marker="o", markersize=2.5, **line)


def logarithmic(ax: Axes, which: Literal["x", "y"] = "x", subs: Sequence[float] = (1.0, 2.0, 5.0)) -> None:
    """A logarithmic axis whose ticks, at these multiples of powers of ten, are written out: 0.05, not 5 x 10^-2."""
    ax.set(**{f"{which}scale": "log"})
    axis = ax.xaxis if which == "x" else ax.yaxis
    axis.set_major_locator(LogLocator(subs=subs, numticks=12))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g}"))


def colorbar(axes: Axes | list[Axes], scale: Scale, label: str) -> Colorbar:
    """A thin colour bar to the right of one or several Axes, with three ticks, pointed where it goes on."""
    figure = (axes if isinstance(axes, Axes) else axes[0]).figure
    bar = figure.colorbar(
        scale.mappable(),
        ax=axes,
        label=label,
        ticks=np.linspace(scale.low, scale.high, 3).tolist(),
        format=FuncFormatter(lambda tick, _: f"{tick:.3g}".replace("-", "\N{MINUS SIGN}")),
        extend=scale.extend,
        fraction=0.05,
        aspect=20,
        shrink=0.8,
        pad=0.02,
    )
    bar.outline.set_linewidth(0.5)
    return bar


def save(figure: Figure, folder: Path, stem: str) -> tuple[Path, Path]:
    """Writes `stem`.png (200 dots an inch) and `stem`.svg into `folder`, each in one step; returns their paths.

    With one version of matplotlib the same figure gives the same bytes: no dates, no random ids.
    """
    folder.mkdir(parents=True, exist_ok=True)
    return _write(figure, folder / f"{stem}.png"), _write(figure, folder / f"{stem}.svg")


def save_animation(moving: Animation, folder: Path, stem: str, *, frames_per_second: int = 12) -> Path:
    """Writes `stem`.gif (100 dots an inch) into `folder`, in one step; returns its path.

    With one version of matplotlib and Pillow the same animation gives the same bytes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with style():
        return _replace(
            folder / f"{stem}.gif",
            lambda partial: moving.save(str(partial), writer=PillowWriter(fps=frames_per_second), dpi=100),
        )


def _write(figure: Figure, path: Path) -> Path:
    nameless = {"Software": None} if path.suffix == ".png" else {"Date": None}
    with style():
        return _replace(
            path, lambda partial: figure.savefig(partial, format=path.suffix[1:], dpi=200, metadata=nameless)
        )


def _replace(path: Path, write: Callable[[Path], None]) -> Path:
    """Write a file beside `path`, and then put it there, so that nobody sees half of one."""
    partial = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        write(partial)
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path
