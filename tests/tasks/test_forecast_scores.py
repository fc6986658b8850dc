"""Scores of forecasts against loops, and the laws that they keep."""

import numpy as np
import pytest

from deepsphere.data.climatology import climatology
from deepsphere.data.field_series import array_series
from deepsphere.sampling import Equiangular, Healpix
from deepsphere.tasks.forecast_scores import (
    BANDS,
    ForecastScores,
    ScoreSums,
    forecast_scores,
    reference_forecasts,
)

GRID = Equiangular(7, 8)
NAMES = ("a", "b")


def draw(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def scores_of(
    forecast: np.ndarray, truth: np.ndarray, usual: np.ndarray, sampling=GRID, **options
) -> ForecastScores:
    """Of one step, in two parts."""
    sums = ScoreSums(sampling, NAMES[: truth.shape[-1]], num_steps=1, **options)
    for part in (slice(0, 2), slice(2, None)):
        sums.add(1, forecast[part], truth[part], usual=usual[part])
    return sums.scores()


def naive_acc(f: list[float], t: list[float], a: list[float]) -> float:
    """Weighted correlation."""
    total = sum(a)
    mean_f = sum(x * w for x, w in zip(f, a, strict=True)) / total
    mean_t = sum(x * w for x, w in zip(t, a, strict=True)) / total
    both = sum(w * (x - mean_f) * (y - mean_t) for x, y, w in zip(f, t, a, strict=True))
    own_f = sum(w * (x - mean_f) ** 2 for x, w in zip(f, a, strict=True))
    own_t = sum(w * (y - mean_t) ** 2 for y, w in zip(t, a, strict=True))
    return both / (own_f * own_t) ** 0.5


def test_scores_are_those_of_loops():
    truth, forecast, usual = draw(5, 56, 2), draw(5, 56, 2, seed=1), draw(5, 56, 2, seed=2)
    truth[1, 4] = np.nan
    forecast[3, 7, 0] = np.nan
    usual[:, 9, 1] = np.nan
    found = scores_of(forecast, truth, usual)
    lat, areas = np.rad2deg(GRID.lat), GRID.areas
    known = np.isfinite(truth) & np.isfinite(forecast) & np.isfinite(usual)
    for row, band in enumerate(found.bands):
        lower, upper = BANDS[band]
        inside = [v for v in range(56) if lower <= lat[v] and (lat[v] < upper or upper == 90)]
        for channel in range(2):
            errors, weights, correlations = [], [], []
            for start in range(5):
                there = [v for v in inside if known[start, v, channel]]
                errors += [forecast[start, v, channel] - truth[start, v, channel] for v in there]
                weights += [areas[v] for v in there]
                f = [forecast[start, v, channel] - usual[start, v, channel] for v in there]
                t = [truth[start, v, channel] - usual[start, v, channel] for v in there]
                correlations.append(naive_acc(f, t, [areas[v] for v in there]))
            total = sum(weights)
            pairs = list(zip(errors, weights, strict=True))
            assert found.rmse[0, row, channel] == pytest.approx(
                (sum(w * e * e for e, w in pairs) / total) ** 0.5
            )
            assert found.mae[0, row, channel] == pytest.approx(
                sum(w * abs(e) for e, w in pairs) / total
            )
            assert found.bias[0, row, channel] == pytest.approx(
                sum(w * e for e, w in pairs) / total
            )
            assert found.acc[0, row, channel] == pytest.approx(sum(correlations) / 5)
    for vertex in range(56):
        for channel in range(2):
            there = [s for s in range(5) if known[s, vertex, channel]]
            if not there:
                assert np.isnan(found.rmse_map[0, vertex, channel])
                continue
            errors = forecast[there, vertex, channel] - truth[there, vertex, channel]
            assert found.rmse_map[0, vertex, channel] == pytest.approx(np.sqrt(np.mean(errors**2)))
            assert found.bias_map[0, vertex, channel] == pytest.approx(errors.mean())
            assert found.mae_map[0, vertex, channel] == pytest.approx(np.abs(errors).mean())
            f = forecast[there, vertex, channel] - usual[there, vertex, channel]
            t = truth[there, vertex, channel] - usual[there, vertex, channel]
            assert found.acc_map[0, vertex, channel] == pytest.approx(np.corrcoef(f, t)[0, 1])


def test_perfect_forecast_has_no_error_and_full_correlation():
    truth, usual = draw(3, 56, 1), draw(3, 56, 1, seed=1)
    found = scores_of(truth, truth, usual)
    assert found.rmse.max() == found.mae.max() == np.abs(found.bias).max() == 0
    np.testing.assert_allclose(found.acc, 1)
    np.testing.assert_allclose(found.skill(scores_of(usual, truth, usual)), 1)
    assert (found.skill_map(scores_of(usual, truth, usual)) == 1).all()


def test_centred_correlation_does_not_see_an_offset():
    truth, forecast, usual = draw(3, 56, 1), draw(3, 56, 1, seed=1), draw(3, 56, 1, seed=2)
    np.testing.assert_allclose(
        scores_of(forecast + 5, truth, usual).acc, scores_of(forecast, truth, usual).acc
    )


def test_climatology_has_no_correlation():
    truth, usual = draw(4, 56, 2), draw(4, 56, 2, seed=1)
    found = scores_of(usual, truth, usual)
    assert np.isnan(found.acc).all()
    assert np.isnan(found.acc_map).all()
    np.testing.assert_allclose(found.skill(found), 0)
    # a start whose anomalies vary counts alone
    forecast = usual.copy()
    forecast[1] = truth[1]
    np.testing.assert_allclose(scores_of(forecast, truth, usual).acc, 1)


def test_errors_count_by_area():
    truth = np.zeros((3, 56, 1))
    polar = np.abs(GRID.lat) > 1.0
    forecast = np.where(polar, 1.0, 0.0)[None, :, None] + truth
    found = scores_of(forecast, truth, truth)
    share = GRID.areas[polar].sum() / GRID.areas.sum()
    np.testing.assert_allclose(found.mae[0, 0, 0], share)
    assert share < 0.8 * polar.mean()


def test_scores_do_not_depend_on_the_order_of_the_vertices():
    sampling = Healpix(2)
    truth, forecast, usual = draw(3, 48, 2), draw(3, 48, 2, seed=1), draw(3, 48, 2, seed=2)
    order = np.random.default_rng(3).permutation(48)
    one = scores_of(forecast, truth, usual, sampling)
    two = scores_of(forecast[:, order], truth[:, order], usual[:, order], sampling.subset(order))
    for name in ("rmse", "mae", "bias", "acc"):
        np.testing.assert_allclose(getattr(two, name), getattr(one, name), rtol=1e-12)
        there = getattr(two, f"{name}_map")
        np.testing.assert_allclose(there, getattr(one, f"{name}_map")[:, order], rtol=1e-12)


def test_garbage_on_land_is_ignored():
    truth, forecast, usual = draw(3, 56, 2), draw(3, 56, 2, seed=1), draw(3, 56, 2, seed=2)
    land = np.arange(56) % 3 == 0
    truth[:, land] = np.nan
    one = scores_of(forecast, truth, usual)
    forecast[:, land] = 1e30
    two = scores_of(forecast, truth, usual)
    assert np.array_equal(one.rmse, two.rmse)
    assert np.array_equal(one.acc, two.acc)


def test_bands_share_no_vertex_and_those_without_one_are_left_out():
    halves = {"south": (-90.0, 0.0), "north": (0.0, 90.0)}
    truth = np.zeros((3, 56, 1))
    forecast = np.broadcast_to(GRID.lat[None, :, None], truth.shape)
    found = scores_of(forecast, truth, truth, bands=halves)
    weights = [GRID.areas[GRID.lat < 0].sum(), GRID.areas[GRID.lat >= 0].sum()]
    together = scores_of(forecast, truth, truth).mae[0, 0, 0]
    np.testing.assert_allclose(np.average(found.mae[0, :, 0], weights=weights), together)
    north = GRID.subset(GRID.lat > 0.5)
    part = np.zeros((3, north.num_vertices, 1))
    assert scores_of(part, part, part, north).bands == ("globe", "north")


def test_forecasts_beyond_what_was_observed_are_left_out():
    months = np.arange("2010-01", "2014-01", dtype="datetime64[M]")
    values = draw(48, 12, 1)
    series = array_series(values, months, Healpix(1), channel_names=("a",))
    usual = climatology(series)
    starts = np.array([10, 45, 47])
    forecasts = reference_forecasts("persistence", series, starts=starts, num_steps=3)
    found = forecast_scores(forecasts, series, climatology=usual, num_steps=3)
    assert found.num_starts.tolist() == [2, 2, 1]
    errors = values[starts[:2]] - values[starts[:2] + 2]
    expected = np.sqrt(np.average((errors**2).mean(axis=0)[:, 0], weights=Healpix(1).areas))
    np.testing.assert_allclose(found.rmse[1, 0, 0], expected, rtol=1e-5)


def test_scores_that_cannot_be_made_are_rejected(unchecked):
    sums = ScoreSums(GRID, NAMES, num_steps=2)
    fields = np.zeros((1, 56, 2))
    with pytest.raises(ValueError, match="step must be between 1 and 2, got 3"):
        sums.add(3, fields, fields, usual=fields)
    with pytest.raises(ValueError, match="forecast, truth and usual must have one shape, got"):
        sums.add(1, fields, fields[:, :5], usual=fields)
    with pytest.raises(
        ValueError, match=r"bands must be latitudes from −90 to 90, .* got odd from"
    ):
        ScoreSums(GRID, NAMES, num_steps=1, bands={"odd": (20.0, 10.0)})
    with pytest.raises(ValueError, match="bands must have vertices, got none in pole"):
        ScoreSums(GRID, NAMES, num_steps=1, bands={"pole": (89.9, 90.0)})
    assert np.isnan(sums.scores().rmse).all()
