"""Statistics over seeds against brute force, and the coverage of the bootstrap against exact probabilities."""

from math import comb

import numpy as np
import pytest
import scipy.stats
import xarray as xr

from superpose import statistics

CELLS, SEEDS, FEATURES = 4, 5, 3


@pytest.fixture
def ds() -> xr.Dataset:
    rng = np.random.default_rng(0)
    loss = rng.uniform(size=(CELLS, SEEDS)).astype(np.float32)
    finite = np.ones((CELLS, SEEDS), bool)
    loss[1, 2], loss[1, 3], loss[1, 4] = np.nan, np.inf, -np.inf  # untrained, diverged, diverged
    loss[2, 0], finite[2, 0] = -1.0, False  # the lowest loss of a model that diverged elsewhere
    loss[3], finite[3] = np.nan, False
    own = ("sparsity", "seed", "feature")
    return xr.Dataset(
        {
            "loss": (("sparsity", "seed"), loss, {"units": "1"}),
            "finite": (("sparsity", "seed"), finite),
            "norm": (own, rng.uniform(size=(CELLS, SEEDS, FEATURES)).astype(np.float32), {"long_name": "norm"}),
            "represented": (own, rng.uniform(size=(CELLS, SEEDS, FEATURES)) > 0.5),
            "phase": (("sparsity", "seed"), rng.integers(0, 3, size=(CELLS, SEEDS)).astype(np.int8)),
            "feature_importance": ("feature", np.array([1.0, 0.5, 0.25])),
        },
        {"sparsity": [0.0, 0.5, 0.9, 0.99], "seed": 10 + np.arange(SEEDS)},
    )


def test_best_is_the_lowest_usable_loss(ds):
    chosen = statistics.best(ds)
    loss, finite = ds["loss"].values, ds["finite"].values
    for cell in range(CELLS - 1):
        usable = [s for s in range(SEEDS) if np.isfinite(loss[cell, s]) and finite[cell, s]]
        winner = min(usable, key=lambda s: loss[cell, s])
        assert chosen["seed"].values[cell] == 10 + winner
        for name in ("loss", "norm", "represented", "phase", "finite"):
            np.testing.assert_array_equal(chosen[name].values[cell], ds[name].values[cell, winner], err_msg=name)
    assert "seed" not in chosen.dims
    for name in ds.data_vars:
        assert chosen[name].dtype == ds[name].dtype and chosen[name].attrs == ds[name].attrs, name
        assert chosen[name].dims == tuple(d for d in ds[name].dims if d != "seed"), name
    xr.testing.assert_identical(chosen["feature_importance"], ds["feature_importance"])


def test_best_of_a_cell_without_a_usable_seed(ds):
    chosen = statistics.best(ds).isel(sparsity=3)
    assert np.isnan(chosen["loss"]) and np.isnan(chosen["norm"]).all()
    assert not chosen["represented"].any() and chosen["phase"] == -1 and chosen["seed"] == -1


def test_best_of_one_cell_and_by_another_variable(ds):
    one = statistics.best(ds.isel(sparsity=0))
    assert one["loss"].dims == () and one["loss"] == ds["loss"].isel(sparsity=0).min()
    without = statistics.best(ds.drop_vars("finite").rename(loss="error"), by="error")
    assert without["error"].values[2] == -1


def test_best_does_not_depend_on_the_order_of_dimensions(ds):
    turned = statistics.best(ds.transpose("feature", "seed", "sparsity"))
    xr.testing.assert_equal(turned.transpose("sparsity", "feature"), statistics.best(ds))


def test_median_quantiles_and_count_use_finite_seeds_only(ds):
    loss = ds["loss"]
    q = [0.1, 0.5, 0.8]
    for cell in range(CELLS - 1):
        kept = loss.values[cell].astype(np.float64)
        kept = kept[np.isfinite(kept)]
        assert statistics.median(loss).values[cell] == np.median(kept)
        np.testing.assert_allclose(statistics.quantiles(loss, q).values[:, cell], np.quantile(kept, q), rtol=1e-14)
    assert np.isnan(statistics.median(loss).values[3]) and np.isnan(statistics.quantiles(loss, q).values[:, 3]).all()
    assert statistics.count(loss).values.tolist() == [5, 2, 5, 0]
    assert statistics.median(loss).attrs == {"units": "1"} and statistics.median(loss).dims == ("sparsity",)
    np.testing.assert_array_equal(statistics.quantiles(loss, q)["quantile"], q)


def test_median_of_flags_is_a_number(ds):
    flags = ds["represented"]
    np.testing.assert_array_equal(statistics.median(flags), np.median(flags.values.astype(float), axis=1))


def test_bootstrap_is_the_loop_over_cells_and_resamples(ds):
    low, high = statistics.bootstrap(ds["loss"], np.mean, resamples=50, level=0.8, seed=3)
    for cell in range(CELLS - 1):
        kept = ds["loss"].values[cell].astype(np.float64)
        kept = kept[np.isfinite(kept)]
        draws = np.random.default_rng([3, len(kept)]).integers(len(kept), size=(50, len(kept)))
        means = [np.mean([kept[i] for i in draw]) for draw in draws]
        np.testing.assert_allclose([low[cell], high[cell]], np.quantile(means, [0.1, 0.9]), rtol=1e-12)
    assert np.isnan(low[3]) and np.isnan(high[3]) and low.dims == ("sparsity",)


def test_bootstrap_keeps_further_dimensions_and_does_not_see_the_grid(ds, monkeypatch):
    low, high = statistics.bootstrap(ds["norm"])
    assert low.dims == ("sparsity", "feature") and (low <= high).all()
    alone = statistics.bootstrap(ds["norm"].isel(sparsity=[2]))
    xr.testing.assert_identical(alone[0], low.isel(sparsity=[2]))
    monkeypatch.setattr(statistics, "CHUNK", 1)
    xr.testing.assert_identical(statistics.bootstrap(ds["norm"])[1], high)


def test_bootstrap_of_one_seed_is_that_seed():
    low, high = statistics.bootstrap(xr.DataArray([[1.5, np.nan], [np.inf, 2.5]], dims=("cell", "seed")))
    assert low.values.tolist() == high.values.tolist() == [1.5, 2.5]


def test_the_interval_of_a_sample_is_its_bootstrap(ds):
    for statistic in (np.median, np.mean):
        ends = statistics.bootstrap(ds["loss"], statistic)
        assert statistics.interval(ds["loss"][0], statistic) == tuple(float(end[0]) for end in ends)


def test_bootstrap_of_the_median_covers_as_often_as_its_order_statistics():
    """The resampled median of k = 11 is at most the j-th value if 6 of 11 draws are: P(Bin(11, j / 11) >= 6).

    That passes .025 and .975 at two ranks, so the ends are the order statistics x_(low) and x_(high), and they enclose
    the true median with probability P(low <= Bin(11, 1/2) <= high - 1), whatever the distribution: here .9346.
    """
    k, runs = 11, 4000
    at_most = [sum(comb(k, i) * (j / k) ** i * (1 - j / k) ** (k - i) for i in range(6, k + 1)) for j in range(k + 1)]
    low_rank = next(j for j in range(k + 1) if at_most[j] > 0.025)
    high_rank = next(j for j in range(k + 1) if at_most[j] > 0.975)
    coverage = sum(comb(k, i) for i in range(low_rank, high_rank)) / 2**k
    sample = np.random.default_rng(5).exponential(size=(runs, k))  # median log 2
    low, high = statistics.bootstrap(xr.DataArray(sample, dims=("run", "seed")))
    ordered = np.sort(sample, axis=1)
    np.testing.assert_array_equal(low, ordered[:, low_rank - 1])
    np.testing.assert_array_equal(high, ordered[:, high_rank - 1])
    covered = float(((low <= np.log(2)) & (np.log(2) <= high)).mean())
    assert abs(covered - coverage) < 5 * np.sqrt(coverage * (1 - coverage) / runs)
    assert (low_rank, high_rank) == (3, 9) and abs(coverage - 0.9346) < 1e-4


def test_rank_correlation_is_that_of_scipy_with_and_without_ties():
    x, y = np.random.default_rng(0).normal(size=(2, 50))
    for a, b in ((x, y), (x.round(), y.round()), (x, x**3)):
        assert statistics.rank_correlation(a, b) == pytest.approx(scipy.stats.spearmanr(a, b).statistic, abs=1e-12)
    assert statistics.rank_correlation(x, -x) == pytest.approx(-1)
    assert np.isnan(statistics.rank_correlation(x, np.ones(50)))
