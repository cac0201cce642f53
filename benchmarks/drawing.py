"""The figure of compare.py: rates below the machine's limit, and superpose's multiples of the other programs."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from report import SHORT

from superpose import plots

LOOKS = {
    "fast_sweep": ("#e3a08f", "s"),
    "superpose": ("#bd1e2d", "o"),
    "plain_vmap": ("#1b569c", "^"),
    "torch_compile": ("#7fb2d8", "D"),
    "torch_loop": ("#7a7a7a", "v"),
}
MARKS = (1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 300)


def draw(result: dict[str, Any]) -> Figure:
    """Two panels over the sizes: (a) model-steps per second, (b) superpose's multiples."""
    with plots.style():
        figure = Figure(figsize=(6.9, 2.9), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
        sizes = list(result["sizes"].values())
        rates(left, sizes)
        multiples(right, sizes, result["geometric_mean_multiple"])
        for ax in (left, right):
            ax.set_xticks(range(len(sizes)), [label.replace(" ", "") for label in result["sizes"]])
            ax.set_xlim(-0.35, len(sizes) - 0.5)
            ax.set_xlabel("features, hidden dimensions  $n,m$")
            ax.spines[["top", "right"]].set_visible(False)
    return figure


def rates(ax: Axes, sizes: Sequence[dict[str, Any]]) -> None:
    """The medians joined, every repeat a dot, and the machine's limit: the least of its bounds, with its name."""
    places = range(len(sizes))
    limit = [size["bounds"][size["binding"]] for size in sizes]
    ax.plot(places, limit, color=plots.INK, linestyle=(0, (4, 2)), linewidth=0.9, label="machine's limit")
    for place, size, bound in zip(places, sizes, limit, strict=True):
        told = f"{size['share_of_roofline']:.0%} of\n{size['binding']}"
        ax.annotate(told, (place, bound), (1, 3), textcoords="offset points", fontsize=6)
    for name, (colour, marker) in LOOKS.items():
        if name not in sizes[0]["rate"]:
            continue
        medians = [size["rate"][name] for size in sizes]
        ax.plot(places, medians, color=colour, marker=marker, markersize=sized(name), label=SHORT[name])
        for place, size in zip(places, sizes, strict=True):
            repeats = size["rates"][name]
            ax.plot([place] * len(repeats), repeats, ".", color=colour, markersize=2, alpha=0.6)
    ax.set_yscale("log")
    ax.set_ylim(top=8 * max(limit))
    ax.set_ylabel("model-steps per second")
    ax.legend(frameon=False, loc="upper right", handlelength=1.6, labelspacing=0.3)
    ax.set_title("(a) speed, and superpose's share of the limit", loc="left")


def sized(name: str) -> float:
    """The yardstick's marker is larger, for superpose's to lie on it."""
    return 5.0 if name == "fast_sweep" else 3.5


def multiples(ax: Axes, sizes: Sequence[dict[str, Any]], means: dict[str, float]) -> None:
    """superpose's rate over that of each other program, and in the legend the geometric mean."""
    for name, (colour, marker) in LOOKS.items():
        if name not in means:
            continue
        shown = [size["multiple"][name] for size in sizes]
        label = f"{SHORT[name]}: {means[name]:.3g}"
        ax.plot(range(len(sizes)), shown, color=colour, marker=marker, markersize=sized(name), label=label)
    ax.axhline(1, color=plots.FAINT, linewidth=0.6, zorder=0)
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(FixedLocator(MARKS))
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.set_ylabel("superpose, times as fast as")
    ax.legend(frameon=False, title="geometric mean", title_fontsize=7, handlelength=1.6, labelspacing=0.3)
    ax.set_title("(b) multiples", loc="left")
