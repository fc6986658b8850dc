"""Simulated events: functions of a plan, as frequent as published, shaped as they should."""

import itertools
import math
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from deepsphere.data.climate_channels import CHANNEL_NAMES, CHANNELS, CLASS_NAMES, CLASS_WEIGHTS
from deepsphere.data.climate_events import event_map, simulated_events
from deepsphere.data.event_background import Waves, ground_at, waves_at
from deepsphere.data.event_plan import EventPlan
from deepsphere.data.event_tracks import CLUSTER, COLD_LOW, CYCLONE, EARTH_RADIUS_KM, run_events
from deepsphere.data.worker_processes import call_in_processes
from deepsphere.sampling import Fibonacci, sampling_from_spec

PLAN = EventPlan(sampling="fibonacci:600", num_maps=8, seed=3)
NUM_SAMPLED = 200


def channel(signals: np.ndarray, name: str) -> np.ndarray:
    """Values of a channel by name."""
    return signals[..., CHANNEL_NAMES.index(name)]


@pytest.fixture(scope="module")
def many() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Signals, labels and shares of the area of many independent maps."""
    plan = EventPlan(sampling="fibonacci:1200", num_maps=NUM_SAMPLED, seed=11, steps_per_run=1)
    maps = [event_map(plan, index) for index in range(plan.num_maps)]
    areas = plan.grid.areas / (4 * math.pi)
    return np.array([one for one, _ in maps]), np.array([one for _, one in maps]), areas


def test_channels_are_the_sixteen_of_the_data_set() -> None:
    assert len(CHANNELS) == len(set(CHANNEL_NAMES)) == 16
    assert (CHANNELS[7].name, CHANNELS[7].unit, CHANNELS[7].mean) == ("PSL", "Pa", 100982.02)
    # scikit-learn's balanced weights: 1 / (classes × share of the class), and shares sum to 1
    assert sum(1 / (3 * weight) for weight in CLASS_WEIGHTS) == pytest.approx(1, abs=1e-6)
    assert len(CLASS_NAMES) == 3


def test_map_is_the_same_bytes_in_any_order_and_process() -> None:
    wanted = [event_map(PLAN, index) for index in range(4)]
    backward = [event_map(PLAN, index) for index in reversed(range(4))][::-1]
    elsewhere = dict(
        call_in_processes(event_map, [(PLAN, index) for index in range(4)], num_workers=2)
    )
    for index, (signals, labels) in enumerate(wanted):
        for other, other_labels in (backward[index], elsewhere[index]):
            assert other.tobytes() == signals.tobytes()
            assert other_labels.tobytes() == labels.tobytes()


def test_map_does_not_depend_on_the_number_of_maps() -> None:
    more = replace(PLAN, num_maps=100)
    np.testing.assert_array_equal(event_map(more, 5)[0], event_map(PLAN, 5)[0])


def test_other_seeds_runs_and_steps_are_other_maps() -> None:
    maps = [event_map(PLAN, 0), event_map(replace(PLAN, seed=4), 0)]
    maps += [event_map(PLAN, 1), event_map(PLAN, PLAN.steps_per_run)]
    for (first, _), (second, _) in itertools.combinations(maps, 2):
        assert (first != second).mean() > 0.5


def test_map_of_two_samplings_is_one_field() -> None:
    fine, coarse = (
        event_map(EventPlan(sampling=f"icosahedral:{size}", num_maps=1, seed=2), 0)
        for size in (16, 8)
    )
    # the vertices of a level are the first ones of the next
    deviation = np.array([one.deviation for one in CHANNELS])
    assert np.abs((fine[0][:642] - coarse[0]) / deviation).max() < 1e-5
    np.testing.assert_array_equal(fine[1][:642], coarse[1])


@pytest.mark.parametrize(
    "spec", ["healpix:8", "equiangular:16x32", "equiangular:9x16x2", "gauss_legendre:12"]
)
def test_maps_are_finite_on_every_sampling(spec: str) -> None:
    signals, labels = event_map(EventPlan(sampling=spec, num_maps=1), 0)
    assert signals.shape == (sampling_from_spec(spec).num_vertices, 16)
    assert np.isfinite(signals).all()
    assert (signals.dtype, labels.dtype) == (np.float32, np.int8)
    assert set(np.unique(labels)) <= {0, 1, 2}


def test_classes_have_the_published_frequencies(many: tuple[np.ndarray, ...]) -> None:
    _, labels, areas = many
    for number, expected in ((1, 0.001), (2, 0.022)):
        shares = ((labels == number) * areas).sum(axis=1)
        error = shares.std(ddof=1) / math.sqrt(len(shares))
        assert abs(shares.mean() - expected) < 3.5 * error
        assert error < 0.15 * expected  # or this would not say much


def test_frequencies_are_those_of_the_plan() -> None:
    plan = EventPlan(
        sampling="fibonacci:600", num_maps=60, frequencies=(0.0, 0.05), steps_per_run=1
    )
    labels = np.array([event_map(plan, index)[1] for index in range(plan.num_maps)])
    assert not (labels == 1).any()
    shares = (labels == 2).mean(axis=1)
    assert abs(shares.mean() - 0.05) < 3.5 * shares.std() / math.sqrt(len(shares))


def test_channels_have_the_published_statistics(many: tuple[np.ndarray, ...]) -> None:
    signals, _, areas = many
    for one in CHANNELS:
        values = channel(signals, one.name).astype(np.float64)
        mean = (values * areas).sum(axis=1).mean()
        deviation = math.sqrt((((values - mean) ** 2) * areas).sum(axis=1).mean())
        assert abs(mean - one.mean) < 0.15 * one.deviation, one.name
        # that of rain is one of few heavy events
        tolerance = 0.25 if one.name == "PRECT" else 0.12
        assert deviation == pytest.approx(one.deviation, rel=tolerance), one.name


def test_water_humidity_and_rain_are_never_negative(many: tuple[np.ndarray, ...]) -> None:
    for name in ("TMQ", "QREFHT", "PRECT"):
        assert channel(many[0], name).min() > 0


def test_air_is_warm_and_moist_in_the_tropics(many: tuple[np.ndarray, ...]) -> None:
    signals, _, _ = many
    z = Fibonacci(1200).points[:, 2]
    tropics, polar = np.abs(z) < math.sin(math.radians(15)), np.abs(z) > math.sin(math.radians(60))
    for name, factor in (("TMQ", 3.0), ("QREFHT", 3.0), ("T500", 1.05), ("TS", 1.05)):
        values = channel(signals, name)
        assert values[:, tropics].mean() > factor * values[:, polar].mean()
    # trades and westerlies
    u850 = channel(signals, "U850")
    middle = (np.abs(z) > math.sin(math.radians(38))) & (np.abs(z) < math.sin(math.radians(52)))
    assert u850[:, tropics].mean() < -2 < 2 < u850[:, middle].mean()


def test_mountains_are_the_same_on_all_maps(many: tuple[np.ndarray, ...]) -> None:
    pressure = channel(many[0], "PS")
    within = pressure.std(axis=0).mean()
    assert pressure.mean(axis=0).std() > 3 * within
    assert ground_at(np.array([[0.0, 0.0, -1.0]])).height_km[0] > 2  # Antarctica


@lru_cache
def storm_measures(kind: int) -> dict[str, np.ndarray]:
    """What round events of a kind do: their core less their surroundings, and winds around."""
    plan = EventPlan(sampling="icosahedral:32", num_maps=14, seed=5, steps_per_run=1)
    points = plan.grid.points
    east = np.stack([-points[:, 1], points[:, 0], np.zeros(len(points))], axis=1)
    east /= np.hypot(points[:, 0], points[:, 1])[:, None] + 1e-12
    north = np.cross(points, east)
    found: dict[str, list[float]] = {name: [] for name in (*CHANNEL_NAMES, "circulation")}
    for run in range(plan.num_maps):
        signals, _ = event_map(plan, run)
        winds = channel(signals, "U850")[:, None] * east + channel(signals, "V850")[:, None] * north
        events = run_events(plan, run).vortices(0.0)
        for index in np.flatnonzero((events.kind == kind) & (events.strength > 0.5)):
            lon, lat = events.lonlat[index]
            center = np.array(
                [math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)]
            )
            distance = np.arccos(np.clip(points @ center, -1, 1)) * EARTH_RADIUS_KM
            share = distance / events.radius_km[index]
            core, outside = share < 0.7, (share > 2.5) & (share < 3.5)
            ring = (share > 0.4) & (share < 1.6)
            if not core.any() or not ring.any():
                continue
            for name in CHANNEL_NAMES:
                values = channel(signals, name)
                found[name].append(values[core].mean() - values[outside].mean())
            around = np.cross(center, points[ring])
            around /= np.linalg.norm(around, axis=1, keepdims=True)
            turning = (winds[ring] * around).sum(axis=1).mean()
            found["circulation"].append(turning * math.copysign(1, lat))
    return {name: np.array(values) for name, values in found.items()}


def test_cyclones_turn_the_right_way_around_a_warm_moist_low() -> None:
    measures = storm_measures(CYCLONE)
    assert len(measures["PSL"]) > 10
    # against the clock in the north, with it in the south
    assert (measures["circulation"] > 2).mean() > 0.9
    for name, smallest in (("T200", 1.5), ("T500", 1.0), ("TMQ", 3.0), ("PRECT", 1e-7)):
        assert np.median(measures[name]) > smallest, name
    for name, largest in (("PSL", -400), ("PS", -400), ("Z1000", -30)):
        assert np.median(measures[name]) < largest, name


def test_clusters_are_as_warm_as_cyclones_and_do_not_turn() -> None:
    cyclones, clusters = storm_measures(CYCLONE), storm_measures(CLUSTER)
    assert abs(clusters["circulation"].mean()) < 0.25 * cyclones["circulation"].mean()
    for name in ("T200", "TMQ", "PSL", "PRECT"):
        assert clusters[name].mean() == pytest.approx(cyclones[name].mean(), rel=0.5), name


def test_lows_outside_of_the_tropics_are_cold_and_turn() -> None:
    measures = storm_measures(COLD_LOW)
    assert (measures["circulation"] > 2).mean() > 0.9
    assert measures["T500"].mean() < -2
    assert measures["PSL"].mean() < -500


def test_cyclones_are_labelled_disks_in_the_low_latitudes() -> None:
    plan = EventPlan(sampling="icosahedral:32", num_maps=12, seed=6, steps_per_run=1)
    points = plan.grid.points
    for run in range(plan.num_maps):
        events = run_events(plan, run).vortices(0.0)
        expected = np.zeros(len(points), bool)
        for index in np.flatnonzero(events.is_labelled):
            lon, lat = events.lonlat[index]
            assert math.radians(4) < abs(lat) < math.radians(40)
            dot = math.sin(lat) * points[:, 2] + math.cos(lat) * (
                math.cos(lon) * points[:, 0] + math.sin(lon) * points[:, 1]
            )
            expected |= np.arccos(np.clip(dot, -1, 1)) * 6371.0 <= events.radius_km[index]
        np.testing.assert_array_equal(event_map(plan, run)[1] == 1, expected)


def test_rivers_are_long_narrow_and_leave_the_tropics() -> None:
    plan = EventPlan(sampling="icosahedral:32", num_maps=6, seed=7, steps_per_run=1)
    points = plan.grid.points
    poleward = []
    for run in range(plan.num_maps):
        events = run_events(plan, run).filaments(0.0)
        labels = event_map(plan, run)[1]
        covered = np.zeros(len(points), bool)
        for index, nodes in enumerate(events.nodes):
            steps = np.arccos(np.clip((nodes[1:] * nodes[:-1]).sum(axis=1), -1, 1)) * 6371.0
            assert steps.sum() == pytest.approx(events.length_km[index], rel=0.01)
            if not events.is_labelled[index]:
                continue
            assert steps.sum() > 2000
            assert 350 < 2 * events.half_width_km[index].mean() < 700
            poleward.append(abs(nodes[-1, 2]) > abs(nodes[0, 2]))
            # narrow: no vertex of it is farther than a width from the line
            near = np.min(np.arccos(np.clip(points @ nodes.T, -1, 1)), axis=1) * 6371.0
            covered |= near <= events.half_width_km[index].max()
        assert covered[labels == 2].all()
        short = events.length_km < 2000
        assert short.any()
        assert not events.is_labelled[short].any()
    assert np.mean(poleward) > 0.8


def test_rivers_are_moister_than_the_air_around_and_blow_along() -> None:
    plan = EventPlan(sampling="icosahedral:32", num_maps=12, seed=8, steps_per_run=1)
    latitude = np.arcsin(plan.grid.points[:, 2])
    inside, outside = [], []
    for run in range(plan.num_maps):
        signals, labels = event_map(plan, run)
        here = np.abs(np.abs(latitude) - math.radians(35)) < math.radians(8)
        # the poleward wind in both hemispheres
        values = np.stack(
            [channel(signals, "TMQ"), channel(signals, "V850") * np.sign(latitude)], axis=1
        )
        inside.append(values[here & (labels == 2)])
        outside.append(values[here & (labels == 0)])
    more = np.concatenate(inside).mean(axis=0) - np.concatenate(outside).mean(axis=0)
    assert more[0] > 5
    assert more[1] > 2


def test_waves_have_the_gradient_that_winds_follow() -> None:
    longitude, latitude = np.array([0.3, 2.0, 4.5]), np.array([-0.9, 0.2, 1.1])

    def low(lon: np.ndarray, lat: np.ndarray) -> Waves:
        points = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], 1)
        return waves_at(points, PLAN, run=1, hours=5.0)

    step = 1e-2  # waves are rounded: a step must not be small
    found = low(longitude, latitude)
    eastward = low(longitude + step, latitude).low - low(longitude - step, latitude).low
    northward = low(longitude, latitude + step).low - low(longitude, latitude - step).low
    np.testing.assert_allclose(found.low_lon, eastward / (2 * step), rtol=2e-2, atol=2e-2)
    expected = northward / (2 * step) * np.cos(latitude)
    np.testing.assert_allclose(found.low_lat, expected, rtol=2e-2, atol=2e-2)


def test_waves_have_unit_variance() -> None:
    sampling = Fibonacci(500)
    runs = [waves_at(sampling.points, PLAN, run=run, hours=0.0) for run in range(60)]
    for name in ("low", "high", "moisture", "rain", "eastward", "northward"):
        power = np.mean([getattr(one, name) ** 2 for one in runs])
        assert power == pytest.approx(1.0, abs=0.2), name


def test_waves_do_not_depend_on_how_points_are_cut_into_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    points = Fibonacci(300).points
    whole = waves_at(points, PLAN, run=0, hours=3.0)
    monkeypatch.setattr("deepsphere.data.event_background._LARGEST_BASIS", 1)
    monkeypatch.setattr("deepsphere.data.event_background._PART", 77)
    parts = waves_at(points, PLAN, run=0, hours=3.0)
    np.testing.assert_allclose(np.array(whole), np.array(parts), atol=1e-5)


def test_weather_of_a_run_changes_slowly() -> None:
    plan = EventPlan(sampling="fibonacci:600", num_maps=48, steps_per_run=8, seed=1)
    pressure = np.array([channel(event_map(plan, index)[0], "Z200") for index in range(48)])
    pressure = pressure.reshape(6, 8, -1)
    pressure = pressure - pressure.mean(axis=(0, 1))

    def distance(first: np.ndarray, second: np.ndarray) -> float:
        return float(np.sqrt(((first - second) ** 2).mean()))

    one_step = distance(pressure[:, 1:], pressure[:, :-1])
    seven_steps = distance(pressure[:, 7], pressure[:, 0])
    other_runs = distance(pressure[1:, 0], pressure[:-1, 0])
    assert 0 < one_step < 0.4 * seven_steps < 0.6 * other_runs


def test_cyclones_and_rivers_move_with_time() -> None:
    events = run_events(EventPlan(sampling="fibonacci:600", num_maps=8, seed=1), 0)
    before, after = events.vortices(0.0), events.vortices(1e-6)
    assert len(before.kind) == len(after.kind)
    speed = np.linalg.norm(after.lonlat - before.lonlat, axis=1) / 1e-6 * 6371.0 / 3.6
    assert (speed > 0.5).all()
    assert (speed < 30).all()
    nodes = [events.filaments(hours).nodes for hours in (0.0, 1e-6)]
    moved = np.linalg.norm(nodes[1] - nodes[0], axis=2) / 1e-6 * 6371.0 / 3.6
    assert (moved > 0.5).all()


def test_dates_are_those_of_runs_of_consecutive_steps() -> None:
    plan = EventPlan(sampling="icosahedral:1", num_maps=60, steps_per_run=4, step_hours=6)
    events = simulated_events(plan)
    assert [len(one) for one in events.segments()] == [4] * 15
    assert events.step == np.timedelta64(6, "h")
    assert len(set(events.names)) == 60
    assert events.names[3] == "data-1996-01-01-18-1"
    assert events.missing_dates() != []  # between runs of one member
    assert any("simulated" in note for note in events.notes)


def test_digest_of_simulated_events_is_that_of_the_plan() -> None:
    events = simulated_events(PLAN)
    assert events.digest() == simulated_events(PLAN).digest()
    assert events.digest() != simulated_events(replace(PLAN, seed=99)).digest()
    assert events.digest() != events.take([0, 1]).digest()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"num_maps": 0}, "num_maps must be at least 1, got 0"),
        ({"steps_per_run": 0}, "steps_per_run must be at least 1, got 0"),
        ({"step_hours": 0}, "step_hours must be at least 1, got 0"),
        ({"seed": -1}, "seed must not be negative, got -1"),
        ({"frequencies": (0.1, 0.0)}, "frequencies must be the shares of cyclones and rivers"),
        ({"sampling": "cube:3"}, "the kind of a sampling must be one of"),
    ],
)
def test_plan_out_of_range_is_rejected(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        EventPlan(**{"sampling": "icosahedral:4", "num_maps": 4, **changes})  # type: ignore


def test_map_that_is_not_in_the_plan_is_rejected() -> None:
    with pytest.raises(IndexError, match="index must be from 0 to 7, got 8"):
        event_map(PLAN, 8)
