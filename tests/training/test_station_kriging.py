"""Imputation on kriging: from all stations, and from the nearest of many."""

import numpy as np
import pytest
import torch

from deepsphere.data import drift_kriging
from deepsphere.data.drift_kriging import DriftKriging, LocalDriftKriging
from deepsphere.data.station_objectives import imputation
from deepsphere.data.station_records import StationRecords, station_records
from deepsphere.training.station_data import StationData
from deepsphere.training.station_predictor import station_predictor_of

NUM = 60
GENERATOR = np.random.default_rng(0)
LON, LAT = GENERATOR.uniform(-10, 10, NUM), GENERATOR.uniform(40, 60, NUM)
ELEVATION = np.where(np.arange(NUM) == 3, np.nan, GENERATOR.uniform(0, 2000, NUM))
HIDDEN = np.arange(NUM) % 5 == 1
VALUES = GENERATOR.normal(size=(40, NUM)) - 0.0065 * np.nan_to_num(ELEVATION)
VALUES[GENERATOR.random(VALUES.shape) < 0.1] = np.nan
VALUES[38] = np.nan


def records_of(values: np.ndarray) -> StationRecords:
    days = np.datetime64("2020-01-01") + np.arange(40)
    return station_records(
        LON, LAT, values, days, elevation_m=ELEVATION, channel_names=["tavg"], units=["°C"]
    )


@pytest.fixture(params=[DriftKriging, LocalDriftKriging])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> type:
    """Which kriging; the local one as if the stations were many."""
    if request.param is LocalDriftKriging:
        monkeypatch.setattr(drift_kriging, "MOST_STATIONS", NUM - 1)
    return request.param


def test_untrained_network_predicts_the_kriging(kind: type) -> None:
    records = records_of(VALUES)
    data = StationData.of_records(records, imputation("tavg"), hidden=HIDDEN, num_neighbors=4)
    assert data.preparation.reference == "kriging"
    module = data.module(kernel_size=2, channels=(4, 4))
    found = station_predictor_of(module).predict(records, hidden=HIDDEN).column("tavg")
    # the one unknown elevation is that of the nearest station
    distance = np.linalg.norm(records.sampling.points - records.sampling.points[3], axis=1)
    distance[3] = np.inf
    elevation = np.where(np.arange(NUM) == 3, ELEVATION[distance.argmin()], ELEVATION)
    kriging = kind(records.sampling, elevation / 1000)
    expected = kriging(VALUES, ~np.isnan(VALUES) & ~HIDDEN)
    shown = ~np.isnan(VALUES) & ~HIDDEN
    asked = ~shown & (np.arange(40) != 38)[:, None]  # not the day on which all are silent
    # an output of zero is the mean difference of the training
    mean = float(data.task.quantities(torch.zeros(1, 1))["tavg"])
    np.testing.assert_allclose(found[asked], expected[asked] + mean, atol=1e-4)
    np.testing.assert_array_equal(found[shown], VALUES[shown].astype(np.float32))


@pytest.mark.usefixtures("kind")
def test_nothing_is_read_of_hidden_stations() -> None:
    changed = np.where(HIDDEN, 1e6 * GENERATOR.normal(size=VALUES.shape), VALUES)
    batches = []
    for values in (VALUES, changed):
        data = StationData.of_records(
            records_of(values), imputation("tavg"), hidden=HIDDEN, num_neighbors=4, batch_size=50
        )
        batches.append(next(iter(data.train_dataloader())))
    for one, same in zip(*batches, strict=True):
        np.testing.assert_array_equal(one.numpy(), same.numpy())
