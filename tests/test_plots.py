"""Each primitive drawn on small data: the colours of known numbers, the limits, and files that do not change."""

import subprocess
import sys

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from superpose import plots

BLUE, WHITE, RED, GREY = (to_rgb(c) for c in ("#1b569c", "#ffffff", "#bd1e2d", "#d9d9d9"))
DARK, YELLOW = (matplotlib.colormaps["viridis"](end)[:3] for end in (0.0, 1.0))
ANGLES = 2 * np.pi * np.arange(5) / 5
PENTAGON = np.stack([np.cos(ANGLES), np.sin(ANGLES)])


@pytest.fixture
def ax():
    with plots.style():
        yield Figure(figsize=(3.3, 3)).add_subplot()


def page() -> Figure:
    with plots.style():
        figure = Figure(figsize=(6.9, 2))
        axes = figure.subplots(1, 3)
        plots.gram(axes[0], PENTAGON.T @ PENTAGON)
        plots.bias(axes[0].inset_axes((1.05, 0, 1 / 5, 1)), np.linspace(-1, 1, 5))
        plots.norm_bars(axes[1], np.ones(5), np.linspace(0, 1.5, 5))
        plots.arrows(axes[2], PENTAGON, 0.9 ** np.arange(5))
        plots.colorbar(axes[0], plots.WEIGHTS, "$W^T W$")
        plots.colorbar([axes[1], axes[2]], plots.SUPERPOSITION, "superposition")
    return figure


def test_weights_run_from_blue_over_white_to_red():
    found = plots.WEIGHTS.colours(np.array([-2.0, -1.0, 0.0, 1.0, 2.0, np.nan]))[:, :3]
    np.testing.assert_allclose(found, [BLUE, BLUE, WHITE, RED, RED, GREY], atol=1e-12)


def test_superposition_runs_from_dark_to_yellow_at_one():
    found = plots.SUPERPOSITION.colours(np.array([0.0, 1.0, 7.0, np.inf]))[:, :3]
    np.testing.assert_allclose(found, [DARK, YELLOW, YELLOW, GREY], atol=1e-12)


def test_gram_draws_every_entry_in_its_colour(ax):
    plots.gram(ax, np.array([[1.0, -1.0], [0.0, np.nan]]))
    (image,) = ax.images
    drawn = image.to_rgba(image.get_array())[..., :3]
    np.testing.assert_allclose(drawn, [[RED, BLUE], [WHITE, GREY]], atol=1e-12)
    assert ax.get_aspect() == 1 and ax.yaxis_inverted() and not ax.get_xticks().size and not ax.get_yticks().size


def test_bias_is_one_column(ax):
    plots.bias(ax, np.array([-1.0, 0.0, 1.0]))
    (image,) = ax.images
    np.testing.assert_allclose(image.to_rgba(image.get_array())[:, 0, :3], [BLUE, WHITE, RED], atol=1e-12)


def test_bars_start_at_zero_with_feature_0_on_top(ax):
    plots.norm_bars(ax, np.array([1.2, 0.5, np.nan]), np.array([0.0, 3.0, np.nan]))
    assert [bar.get_width() for bar in ax.patches] == [1.2, 0.5, 0]
    assert ax.get_xlim()[0] == 0 and ax.get_xlim()[1] > 1.2 and ax.yaxis_inverted()
    assert [round(bar.get_y() + bar.get_height() / 2, 9) for bar in ax.patches] == [0, 1, 2]
    np.testing.assert_allclose([bar.get_facecolor()[:3] for bar in ax.patches], [DARK, YELLOW, GREY], atol=1e-12)


def test_bars_of_many_features_touch(ax):
    plots.norm_bars(ax, np.ones(plots.CROWDED + 1), np.zeros(plots.CROWDED + 1))
    assert {bar.get_height() for bar in ax.patches} == {1.0}


def test_arrows_are_the_columns_in_order_of_importance(ax):
    plots.arrows(ax, PENTAGON, 0.9 ** np.arange(5))
    (quiver,) = ax.collections
    np.testing.assert_array_equal(np.stack([quiver.U, quiver.V]), PENTAGON[:, ::-1])  # the most important is on top
    np.testing.assert_allclose(quiver.get_facecolor()[[0, -1], :3], [DARK, YELLOW], atol=1e-12)
    assert ax.get_xlim() == ax.get_ylim() == (-1.3, 1.3) and ax.get_aspect() == 1


def test_arrows_make_room_and_leave_out_what_is_not_finite(ax):
    W = 2 * PENTAGON
    W[0, 2] = np.nan
    plots.arrows(ax, W, np.ones(5))
    assert ax.collections[0].U.size == 4 and ax.get_xlim() == pytest.approx((-2.2, 2.2))


def test_a_diverged_model_still_draws(ax):
    nothing = np.full(4, np.nan)
    plots.norm_bars(ax, nothing, nothing)
    plots.arrows(ax, np.full((2, 4), np.nan), np.ones(4))
    plots.gram(ax, np.full((4, 4), np.inf))
    ax.figure.draw_without_rendering()


def test_colour_bar_names_its_ends(ax):
    bar = plots.colorbar(ax, plots.importance_scale(0.9 ** np.arange(5)), "importance")
    ax.figure.draw_without_rendering()
    assert [label.get_text() for label in bar.ax.get_yticklabels()] == ["0.656", "0.828", "1"]  # 0.9^4 = 0.6561
    assert plots.colorbar(ax, plots.SUPERPOSITION, "superposition").extend == "max"


def test_a_band_shows_the_median_and_the_half_around_it(ax):
    """Of 0 ... 4 the quartiles are 1, 2, 3. A seed that is not finite does not count, nor a point without any."""
    seeds = np.stack([np.arange(5.0), np.full(5, np.nan), [2, 2, 2, np.nan, np.nan]])
    plots.band(ax, np.array([1.0, 2.0, 3.0]), seeds, plots.INK)
    assert ax.lines[0].get_xydata().tolist() == [[1, 2], [3, 2]]
    assert set(ax.collections[0].get_paths()[0].vertices[:, 1]) == {1, 2, 3}


def test_save_writes_the_same_bytes_each_time(tmp_path):
    first = plots.save(page(), tmp_path / "new" / "folder", "figure")
    assert [path.name for path in first] == ["figure.png", "figure.svg"]
    second = plots.save(page(), tmp_path, "figure")
    for one, other in zip(first, second, strict=True):
        assert one.stat().st_size > 1000 and one.read_bytes() == other.read_bytes()
        assert {path.name for path in one.parent.iterdir()} == {
            "figure.png",
            "figure.svg",
            *(["new"] if one is other else []),
        }
    assert b"<text" in first[1].read_bytes() and b"superposition" in first[1].read_bytes()


def test_a_save_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path, _ = plots.save(page(), tmp_path, "figure")
    before = path.read_bytes()

    def breaks(self, target, **options):
        target.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(Figure, "savefig", breaks)
    with pytest.raises(OSError, match="disk full"):
        plots.save(page(), tmp_path, "figure")
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 2


def test_style_is_left_behind():
    before = dict(matplotlib.rcParams)
    with plots.style():
        assert matplotlib.rcParams["svg.fonttype"] == "none"
    assert dict(matplotlib.rcParams) == before


def test_pyplot_is_not_imported():
    code = "import sys, superpose.plots; sys.exit('matplotlib.pyplot' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
