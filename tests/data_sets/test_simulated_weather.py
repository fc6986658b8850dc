"""Simulated weather: a function of its plan, with seasons, and neighbors that tell the future."""

import pickle
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import KDTree

from deepsphere.data.simulated_weather import WeatherPlan, simulated_weather
from deepsphere.sampling import Equiangular, Fibonacci, Healpix

PLAN = WeatherPlan(max_degree=6)


def test_weather_is_a_function_of_plan_and_time():
    series = simulated_weather(PLAN, Healpix(2), num_times=30)
    whole = series.read(range(30))
    again = pickle.loads(pickle.dumps(series)).read([7, 29, 3])
    assert np.array_equal(again, whole[[7, 29, 3]])
    longer = simulated_weather(PLAN, Healpix(2), num_times=50).read([7])
    assert np.array_equal(longer[0], whole[7])
    other = simulated_weather(replace(PLAN, seed=1), Healpix(2), num_times=30).read([7])
    assert not np.allclose(other, whole[7])


def test_weather_goes_on_where_times_are_missing():
    times = np.datetime64("2000-01-01", "s") + np.arange(12) * np.timedelta64(6, "h")
    whole = simulated_weather(PLAN, Healpix(1), times=times).read(range(12))
    part = simulated_weather(PLAN, Healpix(1), times=np.delete(times, [3, 4]))
    assert np.array_equal(part.read([4]), whole[[6]])


def test_weather_is_the_same_at_a_point_of_any_sampling():
    grid, cells = Equiangular(9, 16, poles=2), Fibonacci(200)
    one = simulated_weather(PLAN, grid, num_times=5).read([4])[0]
    two = simulated_weather(PLAN, cells, num_times=5).read([4])[0]
    distance, nearest = KDTree(cells.points).query(grid.points)
    near = distance < 0.05
    assert near.any()
    np.testing.assert_allclose(one[near], two[nearest[near]], rtol=0.02)


def test_waves_travel_by_a_rotation_without_noise():
    # one wind for all degrees, and hardly any fading: the field turns as a whole
    plan = WeatherPlan(max_degree=6, wind_deg=22.5, planetary_deg=0.0, memory=1e9)
    sampling = Equiangular(9, 16, poles=2)
    series = simulated_weather(plan, sampling, times=["2000-01-01", "2000-01-02"])
    first, second = series.read([0, 1])
    rows = slice(1, -1)  # without the poles, which are one vertex each

    def weather(field: np.ndarray) -> np.ndarray:
        """Less the zonal mean, which holds the seasons."""
        grid = field[rows, 0].reshape(7, 16)
        return grid - grid.mean(axis=1, keepdims=True)

    np.testing.assert_allclose(weather(second), np.roll(weather(first), 1, axis=1), atol=0.02)


def test_seasons_are_opposite_on_the_hemispheres():
    times = ["2001-01-15", "2001-02-15"]
    plan = WeatherPlan(max_degree=1, memory=1.0)
    summers = []
    for month in ("01", "07"):
        days = np.array([f"{year}-{month}-15" for year in range(2000, 2100)], "datetime64[s]")
        fields = simulated_weather(plan, Healpix(2), times=days).read(range(100))[..., 0]
        summers.append(fields.mean(axis=0))
    north = Healpix(2).lat > 0.5
    difference = summers[1] - summers[0]
    assert difference[north].min() > 10
    assert difference[Healpix(2).lat < -0.5].max() < -10
    assert len(simulated_weather(plan, Healpix(1), times=times)) == 2


def yearly(number: int) -> np.ndarray:
    """Times at which the season is the same."""
    return (np.arange(number) + 30).astype("datetime64[Y]")


def test_variance_is_that_of_the_plan():
    series = simulated_weather(WeatherPlan(memory=2.0), Healpix(4), times=yearly(400))
    deviation = series.read(range(400)).std(axis=0).mean(axis=0)
    np.testing.assert_allclose(deviation, [5.0, 80.0], rtol=0.1)


def test_land_covers_its_share_and_is_missing():
    series = simulated_weather(replace(PLAN, land_fraction=0.3), Healpix(8), num_times=2)
    land = series.static[:, 0] == 1
    assert abs(land.mean() - 0.3) < 0.01
    values = series.read([1])[0]
    assert np.isnan(values[land]).all()
    assert np.isfinite(values[~land]).all()


def test_neighbors_tell_more_than_the_place_itself():
    plan = WeatherPlan(max_degree=6, num_channels=1, memory=50.0)
    sampling = Healpix(4)
    fields = simulated_weather(plan, sampling, times=yearly(1000)).read(range(1000))[..., 0]
    fields = fields - fields.mean(axis=0)
    now, then = fields[:-1], fields[1:]

    def error(columns: np.ndarray, vertex: int) -> float:
        """Of a linear forecast, on the second half."""
        weights, *_ = np.linalg.lstsq(columns[:500], then[:500, vertex], rcond=None)
        return float(np.mean((columns[500:] @ weights - then[500:, vertex]) ** 2))

    vertices = range(0, 192, 16)
    own = np.mean([error(now[:, [vertex]], vertex) for vertex in vertices])
    points = sampling.points
    near = [np.argsort(-points @ points[vertex])[:21] for vertex in vertices]
    around = np.mean([error(now[:, n], v) for n, v in zip(near, vertices, strict=True)])
    assert around < 0.5 * own


def test_plans_out_of_range_are_rejected():
    for options, message in (
        ({"max_degree": 0}, "max_degree must be at least 1, got 0"),
        ({"memory": 0.0}, "memory must be positive, got 0.0"),
        ({"num_channels": 3}, "num_channels must be 1 or 2, got 3"),
        ({"land_fraction": 1.0}, r"land_fraction must be in \[0, 1\), got 1.0"),
        ({"seed": -1}, "seed must not be negative, got -1"),
    ):
        with pytest.raises(ValueError, match=message):
            WeatherPlan(**options)
    with pytest.raises(ValueError, match="times must be given, or num_times, got neither or both"):
        simulated_weather(PLAN, Healpix(1))
    with pytest.raises(
        ValueError, match="num_times and step_hours must be at least 1, got 0 and 6"
    ):
        simulated_weather(PLAN, Healpix(1), num_times=0)
