"""What learns from stations: it sees nothing of the future and nothing of who is hidden."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deepsphere.data.station_objectives import (
    StationObjective,
    day_of_year,
    imputation,
    next_day,
    same_day,
    seasons,
)
from deepsphere.data.station_records import StationRecords, station_records
from deepsphere.training import (
    FitResult,
    Metadata,
    Optimization,
    SphereModule,
    StationData,
    StationPredictor,
    fit,
    open_station_predictor,
    save,
    station_predictor_of,
)
from deepsphere.training.station_shrinkage import shrink_correction
from deepsphere.training.station_signals import StationSignals

# both poles, both sides of the date line, and others
LON = np.array([0.0, 0.0, 179.9, -179.9, 10.0, 12.0, 60.0, 75.0, -70.0, -100.0, 130.0, 140.0])
LAT = np.array([90.0, -90.0, 10.0, 10.5, 50.0, 47.0, 20.0, 25.0, -30.0, 40.0, -20.0, 35.0])
NUM = len(LON)
SILENT_DAY, SILENT_STATION = 30, 5
DAYS = np.datetime64("2019-01-01") + np.arange(500)


def made_values(seed: int = 0) -> np.ndarray:
    """Two temperatures with seasons and weather; a day and a station silent altogether."""
    generator = np.random.default_rng(seed)
    angle = 2 * np.pi * np.arange(len(DAYS)) / 365.25
    weather = 3 * np.sin(np.cumsum(generator.normal(size=(len(DAYS), NUM)), axis=0))
    tmin = 10 - 8 * np.cos(angle)[:, None] * np.sign(LAT) + weather
    tmax = tmin + 6 + generator.normal(size=tmin.shape)
    values = np.stack([tmin, tmax], axis=-1)
    values[generator.random(values.shape) < 0.1] = np.nan
    values[SILENT_DAY] = np.nan
    values[:, SILENT_STATION] = np.nan
    return values


ELEVATION = np.random.default_rng(1).uniform(0, 2000, NUM)
ELEVATION[2] = np.nan
VALUES = made_values()


def records_of(values: np.ndarray = VALUES, days: np.ndarray = DAYS) -> StationRecords:
    """Records of the stations."""
    return station_records(
        LON,
        LAT,
        values,
        days,
        ids=[f"S{number}" for number in range(NUM)],
        names=[f"Station {number}" for number in range(NUM)],
        elevation_m=ELEVATION,
        channel_names=["tmin", "tmax"],
        units=["°C", "°C"],
    )


RECORDS = records_of()
OBJECTIVES = {
    "next day": next_day("tmin", history=3),
    "both": next_day("tmin", "tmax", history=3),
    "separate": next_day("tmin", "tmax", history=3, variables="separate"),
    "same day": same_day("tmin", targets=("tmax",)),
    "imputation": imputation("tmin"),
    "imputation of both": imputation("tmin", "tmax"),
}
each_objective = pytest.mark.parametrize("objective", OBJECTIVES.values(), ids=OBJECTIVES.keys())


def made_data(
    objective: StationObjective, records: StationRecords = RECORDS, **options: Any
) -> StationData:
    """Data with a small graph."""
    given = {"num_neighbors": 4, "weights": "gaussian", "batch_size": 16}
    return StationData.of_records(records, objective, **(given | options))


def small_module(data: StationData, **options: Any) -> SphereModule:
    """A network of a few hundred parameters, with its task."""
    return data.module(**({"kernel_size": 2, "channels": (8, 8)} | options))


def trained(data: StationData, *, epochs: int = 1, **options: Any) -> FitResult:
    """A small network, trained for some epochs."""
    optimization = Optimization(learning_rate=3e-3, schedule="constant")
    module = small_module(data, optimization=optimization)
    return fit(module, data, max_epochs=epochs, accelerator="cpu", progress=False, **options)


def batches(data: StationData, epoch: int = 0) -> list[Any]:
    """Training batches of an epoch."""
    loader: Any = data.train_dataloader()
    loader.sampler.set_epoch(epoch)
    return list(loader)


def garbage(values: np.ndarray, where: Any) -> np.ndarray:
    """The values with nonsense somewhere, half of it missing."""
    changed = values.copy()
    noise = np.random.default_rng(9).normal(1000, 500, changed.shape)
    noise[np.random.default_rng(8).random(changed.shape) < 0.5] = np.nan
    changed[where] = noise[where]
    return changed


# what a network must not see


@each_objective
@pytest.mark.parametrize("filling", ["masked", "interpolated", "usual"])
def test_predictions_of_a_day_do_not_depend_on_it_or_later_ones(
    objective: StationObjective, filling: Any
) -> None:
    if objective.kind == "imputation":
        filling = "interpolated"
    values = VALUES[:100]
    records = records_of(values, DAYS[:100])
    data = made_data(objective, records, filling=filling)
    predictor = station_predictor_of(small_module(data, kernel_size=3))
    day = 60
    # for targets of the same day, what is not to be seen are the days after
    first = day if objective.kind == "next_day" else day + 1
    changed = records_of(garbage(values, slice(first, None)), DAYS[:100])
    before, after = (predictor.predict(one, batch_size=7) for one in (records, changed))
    known = before.times <= DAYS[day]
    assert known.sum() > 50
    np.testing.assert_array_equal(before.values[known], after.values[known])
    assert not np.array_equal(before.values, after.values, equal_nan=True)


@each_objective
def test_what_is_measured_does_not_depend_on_later_parts(objective: StationObjective) -> None:
    start = {"validation_start": DAYS[420], "test_start": DAYS[460]}
    data = made_data(objective, **start)
    other = made_data(objective, records_of(garbage(VALUES, slice(420, None))), **start)
    assert data.normalization == other.normalization
    assert data.task == other.task
    for one, same in zip(batches(data), batches(other), strict=True):
        for tensor, equal in zip(one, same, strict=True):
            torch.testing.assert_close(tensor, equal, rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("names", [("tmin",), ("tmin", "tmax")])
def test_nothing_is_seen_of_hidden_stations(names: tuple[str, ...]) -> None:
    hidden = np.arange(NUM) % 4 == 1
    data = made_data(imputation(*names), hidden=hidden)
    changed = records_of(garbage(VALUES, (slice(None), hidden)))
    other = made_data(imputation(*names), changed, hidden=hidden)
    assert data.normalization == other.normalization
    assert data.task == other.task
    for loader in ("train_dataloader", "val_dataloader"):
        for one, same in zip(getattr(data, loader)(), getattr(other, loader)(), strict=True):
            for tensor, equal in zip(one, same, strict=True):
                torch.testing.assert_close(tensor, equal, rtol=0, atol=0, equal_nan=True)
            assert torch.as_tensor(one[1])[:, hidden].isnan().all()
    predictor = station_predictor_of(small_module(data, kernel_size=3))
    found, same = (
        predictor.predict(one, hidden=hidden, batch_size=64).values for one in (RECORDS, changed)
    )
    np.testing.assert_array_equal(found, same)
    # those that are not hidden stay as they are
    expected = RECORDS.select(names).values
    shown = ~np.isnan(expected) & ~hidden[:, None]
    np.testing.assert_array_equal(found[shown], expected[shown])


def test_hidden_stations_alone_are_asked_for_in_the_test() -> None:
    data = made_data(imputation("tmin"), batch_size=1000)
    assert data.hidden is not None
    assert data.test is not None
    assert data.hidden.sum() == round(0.2 * NUM)
    [(signals, targets)] = data.test_dataloader()
    assert targets[:, ~data.hidden].isnan().all()
    seen = data.test.observed.any(axis=(1, 2))
    expected = np.isnan(data.test.select(["tmin"]).values[seen][:, data.hidden])
    np.testing.assert_array_equal(targets[:, data.hidden].isnan().numpy(), expected)
    observed = signals[..., data.channel_names.index("observed(tmin)")]
    assert (observed[:, data.hidden] == 0).all()


def test_season_is_not_told_by_features() -> None:
    objective = day_of_year("tmin")
    for name in ("sin_year", "cos_year", "climatology", "departure"):
        with pytest.raises(ValueError, match="features must not say the time of the year, which"):
            made_data(objective, features=(name,))
    one = made_data(objective, filling="masked")
    # the same values on other dates give the same signals
    other = made_data(objective, records_of(days=DAYS + 100), filling="masked")
    for (signals, targets), (same, others) in zip(batches(one), batches(other), strict=True):
        torch.testing.assert_close(signals, same, rtol=0, atol=0, equal_nan=True)
        assert not torch.equal(targets, others)


# what it sees


def naive_history(column: np.ndarray, day: int, history: int) -> np.ndarray:
    """The days before one at a station, with gaps filled as they should be."""
    window = list(column[day - history : day])
    for index in range(1, history):
        if np.isnan(window[index]):
            window[index] = window[index - 1]
    for index in reversed(range(history - 1)):
        if np.isnan(window[index]):
            window[index] = window[index + 1]
    return np.array(window)


def test_signals_and_targets_are_those_of_a_naive_loop() -> None:
    data = made_data(next_day("tmin", history=3), features=("observed",))
    signals = data.signals["train"]
    numbers = np.arange(20, 50)
    batch = signals.batch(numbers)
    [mean], [deviation] = data.preparation.scaling.mean, data.preparation.scaling.deviation
    columns = np.asarray(data.train.values[..., 0], np.float64)
    for index, number in enumerate(numbers):
        day = int(signals.windows.targets[number])
        for station in range(NUM):
            window = naive_history(columns[:, station], day, 3)
            share = np.mean(~np.isnan(columns[day - 3 : day, station]))
            found = batch.signals[index, station]
            if np.isnan(window).all():
                assert np.isnan(found[:3]).all()
                continue
            np.testing.assert_allclose(found[:3], (window - mean) / deviation, atol=1e-5)
            assert found[3] == pytest.approx(share)
            assert batch.references[index, station, 0] == pytest.approx(window[-1], abs=1e-4)
            difference = columns[day, station] - window[-1]
            assert batch.targets[index, station, 0] == pytest.approx(
                difference, abs=1e-4, nan_ok=True
            )
    assert np.isnan(batch.signals[:, SILENT_STATION]).any(axis=-1).all()


def test_silent_stations_take_what_the_nearest_tell() -> None:
    features = ("elevation", "residual", "distance", "elevation_difference")
    data = made_data(imputation("tmin"), features=features, reference="interpolated")
    preparation = replace(data.preparation, num_neighbors=3)
    signals = StationSignals(data.train, data.objective, preparation)
    day = 7
    batch = signals.batch(np.array([day]))
    values = preparation.scale(data.train.select(["tmin"]).values)[day, :, 0]
    angles = np.arccos(np.clip(RECORDS.sampling.points @ RECORDS.sampling.points.T, -1, 1))
    names = list(data.channel_names)
    elevation = batch.signals[0, :, names.index("elevation")]
    scale = dict(zip(features[1:], preparation.measured_scaling.deviation, strict=True))
    means = dict(zip(features[1:], preparation.measured_scaling.mean, strict=True))
    for station in range(NUM):
        others = [n for n in range(NUM) if n != station and not np.isnan(values[n])]
        near = sorted(others, key=lambda other: angles[station, other])[:3]
        weights = 1 / angles[station, near] ** 2
        weights /= weights.sum()
        told = weights @ values[near]
        own = told if np.isnan(values[station]) else values[station]
        expected = {
            "tmin": own,
            "residual(tmin)": (own - told) / scale["residual"],
            "distance": (np.log(angles[station, near[0]]) - means["distance"]) / scale["distance"],
            "elevation_difference": (elevation[station] - weights @ elevation[near])
            / scale["elevation_difference"],
        }
        for name, value in expected.items():
            assert batch.signals[0, station, names.index(name)] == pytest.approx(
                value, rel=1e-4, abs=1e-4
            ), (station, name)


def test_features_are_standardized_and_unknown_elevation_is_the_mean() -> None:
    data = made_data(next_day("tmin"))
    assert any("1 of 12 stations of unknown elevation" in note for note in data.notes)
    signals = torch.cat([signals for signals, _ in batches(data)])
    names = list(data.channel_names)
    elevation = signals[:, :, names.index("elevation")]
    assert (elevation[:, 2] == 0).all()
    known = np.delete(ELEVATION, 2)
    expected = (ELEVATION[0] - known.mean()) / known.std()
    assert elevation[0, 0].item() == pytest.approx(expected, rel=1e-5)
    for name in ("z", "departure(tmin)"):
        column = signals[:, :, names.index(name)]
        assert 0.7 < column[~column.isnan()].std().item() < 1.3
    # beside a value that is masked, features stay known
    silent = signals[:, SILENT_STATION]
    assert silent[:, names.index("tmin(-1)")].isnan().all()
    assert silent[:, names.index("climatology(tmin)")].isfinite().all()


def test_seasons_of_less_than_a_year_are_no_features() -> None:
    short = RECORDS.take_times(np.arange(150))
    data = made_data(next_day("tmin"), short)
    assert not {"sin_year", "climatology(tmin)"} & set(data.channel_names)
    assert any("shorter than a year" in note for note in data.notes)
    told = made_data(next_day("tmin"), short, features=("sin_year",))
    assert told.channel_names[-1] == "sin_year"


def test_targets_of_the_season_are_of_whole_signals() -> None:
    data = made_data(day_of_year("tmin"), batch_size=1000)
    [(_, targets)] = data.val_dataloader()
    assert data.validation is not None
    np.testing.assert_allclose(targets[:, 0], seasons(data.validation.times), atol=1e-6)


# what is left out


def test_days_without_anything_are_left_out_and_counted() -> None:
    days = np.delete(np.arange(len(DAYS)), [100, 101])
    data = made_data(next_day("tmin", history=3), records_of(VALUES[days], DAYS[days]))
    # 100 to 104 are not there or lack a day before
    assert "train: 5 days left out, which do not follow 3 days in a row" in data.notes
    assert any("1 of" in note and "nothing is observed" in note for note in data.notes)
    targets = data.signals["train"].windows.times
    assert DAYS[SILENT_DAY] in targets  # it is predicted, but not learned from
    assert not np.isin(DAYS[100:105], targets).any()


@each_objective
def test_silent_day_gives_finite_predictions_and_losses(objective: StationObjective) -> None:
    values = VALUES.copy()
    values[460:480] = np.nan  # in the test
    records = records_of(values)
    data = made_data(objective, records, batch_size=8)
    module = small_module(data)
    predictor = station_predictor_of(module)
    found = predictor.predict(records, batch_size=64)
    assert np.isfinite(found.values).all()
    signals = data.signals["test"]
    batch = signals.batch(np.arange(len(signals)))
    outputs = module(torch.from_numpy(batch.signals))
    loss = module.task.loss(outputs, torch.from_numpy(batch.targets))
    loss.backward()
    assert loss.isfinite()
    gradients = [p.grad for p in module.parameters() if p.grad is not None]
    assert gradients
    assert all(gradient.isfinite().all() for gradient in gradients)


# masks


def test_masks_depend_on_seed_epoch_and_sample_alone() -> None:
    data = made_data(imputation("tmin"), batch_size=5)
    samples = data._samples["train"]
    keys = [(2, number) for number in range(40)]
    together = samples.hidden(keys)
    assert together is not None
    for chosen in ([7], [3, 11, 2]):
        some = samples.hidden([keys[number] for number in chosen])
        np.testing.assert_array_equal(some, together[chosen])
    other_epoch, other_seed = (
        samples.hidden([(3, n) for n in range(40)]),
        made_data(imputation("tmin"), hidden=data.hidden, seed=1)._samples["train"].hidden(keys),
    )
    assert not np.array_equal(together, other_epoch)
    assert not np.array_equal(together, other_seed)
    # a share of those that report, and never those of the test or of the validation
    observed = samples.signals.observed(samples.numbers[:40])
    if data.hidden_in_validation is not None:
        observed &= ~data.hidden_in_validation
    assert not together[~observed].any()
    np.testing.assert_array_equal(
        together.sum(axis=1), np.clip((0.2 * observed.sum(axis=1)).round(), 1, None)
    )


def test_batches_are_the_same_in_other_processes() -> None:
    given: dict[str, Any] = {"objective": imputation("tmin", "tmax"), "batch_size": 100}
    alone, helped = made_data(**given), made_data(**given, num_workers=2)
    for one, same in zip(batches(alone, 1), batches(helped, 1), strict=True):
        for tensor, equal in zip(one, same, strict=True):
            torch.testing.assert_close(tensor, equal, rtol=0, atol=0, equal_nan=True)


def test_validation_asks_for_places_that_were_not_learned() -> None:
    generator = np.random.default_rng(4)
    lon, lat = generator.uniform(0, 360, 40), generator.uniform(-60, 60, 40)
    values = generator.normal(size=(100, 40))
    records = station_records(lon, lat, values, DAYS[:100], channel_names=["tmin"])
    data = made_data(imputation("tmin"), records, batch_size=200)
    chosen = data.hidden_in_validation
    assert data.hidden is not None
    assert chosen is not None
    assert (data.hidden.sum(), chosen.sum()) == (8, 6)
    assert not (data.hidden & chosen).any()
    [(_, targets)] = data.val_dataloader()
    np.testing.assert_array_equal(~targets[..., 0].isnan().numpy(), np.tile(chosen, (15, 1)))
    [(signals, targets)] = batches(data)
    assert targets[:, chosen | data.hidden].isnan().all()
    observed = signals[..., data.channel_names.index("observed(tmin)")].numpy()
    assert (observed[:, chosen] == 1).all()


def test_hidden_share_is_drawn_between_two() -> None:
    data = made_data(imputation("tmin"), hidden_fraction=(0.1, 0.9), hidden=0.1)
    hidden = data._samples["train"].hidden([(0, number) for number in range(200)])
    assert hidden is not None
    counts = np.unique(hidden.sum(axis=1))
    assert counts.min() == 1
    assert counts.max() >= 7


# training, and what is kept


@each_objective
def test_predictor_of_a_checkpoint_is_that_of_the_module(
    objective: StationObjective, tmp_path: Path
) -> None:
    data = made_data(objective, RECORDS.take_times(np.arange(400)))
    result = trained(data, output=tmp_path)
    assert result.last is not None
    assert np.isfinite(result.history[-1]["val_loss"])
    opened = open_station_predictor(result.last)
    found, expected = (
        opened.predict(RECORDS, batch_size=64),
        station_predictor_of(result.module).predict(RECORDS, batch_size=64),
    )
    np.testing.assert_array_equal(found.values, expected.values)
    assert opened.preparation.values == data.preparation.values
    assert (found.ids, found.names) == (RECORDS.ids, RECORDS.names)
    assert found.channel_names == objective.targets
    assert set(found.units) == {"°C"}
    np.testing.assert_array_equal(found.elevation_m, RECORDS.elevation_m)
    lead = int(objective.kind == "next_day")
    assert found.times[-1] == DAYS[-1] + lead


def test_module_outputs_are_differences_from_the_reference() -> None:
    data = made_data(next_day("tmin", "tmax", history=3))
    module = small_module(data).eval()
    signals = data.signals["test"]
    batch = signals.batch(np.arange(10))
    with torch.no_grad():
        outputs = module(torch.from_numpy(batch.signals))
    columns = module.task.quantities(outputs)
    assert data.test is not None
    found = station_predictor_of(module).predict(data.test).values[:10]
    for index, name in enumerate(("tmin", "tmax")):
        expected = columns[name].numpy() + batch.references[..., index]
        np.testing.assert_allclose(found[..., index], expected, rtol=1e-4, atol=1e-4)


def test_separate_variables_are_predicted_as_if_alone() -> None:
    data = made_data(OBJECTIVES["separate"])
    assert data.channel_names[:3] == ("value(-3)", "value(-2)", "value(-1)")
    assert len(data.signals["train"]) == 2 * len(data.signals["train"].windows)
    predictor = station_predictor_of(small_module(data))
    found = predictor.predict(RECORDS, batch_size=64)
    swapped = replace(RECORDS, values=RECORDS.values[..., ::-1].copy())
    # the same numbers under other names, where no climatology tells them apart
    plain = made_data(OBJECTIVES["separate"], features=("x", "observed"))
    predictor = station_predictor_of(small_module(plain))
    found, other = (
        predictor.predict(RECORDS, batch_size=64),
        predictor.predict(swapped, batch_size=64),
    )
    np.testing.assert_array_equal(found.column("tmin"), other.column("tmax"))


def test_resumed_training_is_the_same(tmp_path: Path) -> None:
    data = made_data(imputation("tmin"), RECORDS.take_times(np.arange(120)))
    whole = trained(data, epochs=2, output=tmp_path / "whole")
    half = trained(data, epochs=1, output=tmp_path / "half")
    resumed = trained(data, epochs=2, output=tmp_path / "half", resume=half.last)
    weights, others = whole.module.state_dict(), resumed.module.state_dict()
    assert all(torch.equal(weights[name], others[name]) for name in weights)
    again = trained(data, epochs=2)
    assert all(torch.equal(weights[name], again.module.state_dict()[name]) for name in weights)


def test_training_learns_the_next_day() -> None:
    generator = np.random.default_rng(3)
    # weather that travels to the next station in a day
    waves = generator.normal(size=(150, NUM))
    for day in range(1, 150):
        waves[day] = np.roll(waves[day - 1], 1)
    lon = np.arange(NUM) * 30.0
    records = station_records(lon, np.zeros(NUM), waves, DAYS[:150], channel_names=["wave"])
    data = StationData.of_records(
        records, next_day("wave", history=2), num_neighbors=2, weights="gaussian", batch_size=8
    )
    errors = {}
    for kernel_size in (1, 3):
        module = small_module(
            data, kernel_size=kernel_size, optimization=Optimization(learning_rate=2e-2)
        )
        result = fit(module, data, max_epochs=4, accelerator="cpu", progress=False)
        errors[kernel_size] = result.history[-1]["val_mse"]
    assert errors[3] < 0.7 * errors[1]


def test_correction_is_shrunken_to_what_the_validation_bears_out() -> None:
    data = made_data(imputation("tmin"), batch_size=7)
    module = trained(data, epochs=2).module
    batches = list(data.val_dataloader())
    signals, targets = (torch.cat(parts) for parts in zip(*batches, strict=True))
    with torch.no_grad():
        outputs = module.eval()(signals).double().numpy()
    differences = module.task.standardize(targets).double().numpy()
    stations = np.flatnonzero((~np.isnan(differences)).any(axis=(0, 2)))

    def best(chosen: np.ndarray) -> float:
        """The share with the least squared error at some stations, by a regression through 0."""
        told, truth = outputs[:, chosen].ravel(), differences[:, chosen].ravel()
        seen = ~np.isnan(truth)
        return float(np.linalg.lstsq(told[seen, None], truth[seen], rcond=None)[0][0])

    without = [best(stations[stations != station]) for station in stations]
    number = len(stations)
    error = np.sqrt((number - 1) / number * np.square(without - np.mean(without)).sum())
    assert error > 0.01  # so that it matters here
    share = shrink_correction(module, data)
    assert share == pytest.approx(np.clip(best(stations) - error, 0, 1), abs=1e-6)
    with torch.no_grad():
        np.testing.assert_allclose(module(signals), share * outputs, atol=1e-5)
    plain = made_data(next_day("tmin"), reference="none")
    with pytest.raises(ValueError, match="data must have a reference and a validation to tell"):
        shrink_correction(small_module(plain), plain)


# other stations


# of a dozen vertices, one more changes the largest eigenvalue a lot
@pytest.mark.filterwarnings("ignore:the largest eigenvalue on Scattered:UserWarning")
def test_added_station_is_predicted() -> None:
    data = made_data(next_day("tmin"))
    predictor = station_predictor_of(small_module(data))
    lon, lat = np.append(LON, 30.0), np.append(LAT, 48.0)
    added = np.concatenate([VALUES, VALUES[:, 4:5] + 1], axis=1)
    more = station_records(
        lon, lat, added, DAYS, channel_names=["tmin", "tmax"], units=["°C", "°C"]
    )
    found = predictor.predict(more, batch_size=64)
    assert found.values.shape == (496, NUM + 1, 1)
    assert np.isfinite(found.values).all()
    moved = predictor.to_sampling(more.sampling)
    assert moved.preparation is predictor.preparation
    assert predictor.to_sampling(RECORDS.sampling) is predictor


def test_unseen_stations_take_the_climatology_of_their_neighbors() -> None:
    data = made_data(next_day("tmin"))
    usual = data.preparation.climatology
    assert usual is not None
    part = RECORDS.take(np.array([7, 1]))
    np.testing.assert_array_equal(usual.on(part.sampling).coefficients, usual.coefficients[[7, 1]])


# what is refused


def test_what_does_not_fit_is_refused() -> None:
    data = made_data(next_day("tmin"))
    predictor = station_predictor_of(small_module(data))
    with pytest.raises(ValueError, match="objective must be one of all stations together, got nex"):
        predictor.predict_signals(RECORDS, batch_size=64)
    with pytest.raises(ValueError, match="hidden must be None but for imputation, got a mask for"):
        predictor.predict(RECORDS, hidden=np.zeros(NUM, bool))
    with pytest.raises(ValueError, match="records must have the variables tmin, got tmax"):
        predictor.predict(RECORDS.select(["tmax"]))
    with pytest.raises(ValueError, match="tmin must be in '°C', as in the training, got '°F'"):
        predictor.predict(replace(RECORDS, units=("°F", "°F")))
    with pytest.raises(ValueError, match="records must hold 5 days in a row to predict from, got"):
        predictor.predict(RECORDS.take_times(np.arange(4)))
    season = station_predictor_of(small_module(made_data(day_of_year("tmin"))))
    with pytest.raises(ValueError, match="objective must be one with targets at stations, got day"):
        season.predict(RECORDS, batch_size=64)
    assert season.predict_signals(RECORDS, batch_size=64)[1].shape == (500, 1)
    imputer = station_predictor_of(small_module(made_data(imputation("tmin"))))
    with pytest.raises(ValueError, match="hidden must be a mask of 12 stations, got 3"):
        imputer.predict(RECORDS, hidden=np.zeros(3, bool))


def test_checkpoint_of_something_else_is_refused(tmp_path: Path) -> None:
    data = made_data(next_day("tmin"))
    save(tmp_path / "other.ckpt", data.network(kernel_size=1), metadata=Metadata())
    with pytest.raises(ValueError, match="metadata must be those of a network that learned"):
        open_station_predictor(tmp_path / "other.ckpt")
    assert isinstance(station_predictor_of(data.module()), StationPredictor)


@pytest.mark.parametrize(
    ("objective", "options", "message"),
    [
        (next_day("tmin"), {"features": ("z", "z")}, "features must be different ones of"),
        (next_day("tmin"), {"features": ("elevation_difference",)}, "features must have elevation"),
        (
            next_day("tmin"),
            {"reference": "interpolated"},
            "reference must be one of none, last",
        ),
        (next_day("tmin"), {"filling": "zeros"}, "filling must be one of masked, interpolated"),
        (next_day("tmin"), {"hidden": 0.2}, "hidden must be None but for imputation, got a mask"),
        (next_day("tmin"), {"batch_size": 0}, "batch_size must be at least 1, got 0"),
        (next_day("tmin"), {"seed": -1}, r"seed must be in \[0, 2\*\*32\), got -1"),
        (imputation("tmin"), {"hidden": 1.0}, "hidden must be a share of the stations between"),
        (
            imputation("tmin"),
            {"hidden": np.ones(NUM, bool)},
            "hidden must be a mask of 12 stations",
        ),
        (
            imputation("tmin"),
            {"features": ("climatology",)},
            "features must not be of the clim",
        ),
        (
            imputation("tmin"),
            {"hidden_fraction": 0.0},
            "hidden_fraction must be two shares",
        ),
        (next_day("tavg"), {}, "channels must be among tmin, tmax, got 'tavg'"),
        (next_day("tmin", history=80), {}, "must hold 81 days in a row"),
    ],
)
def test_wrong_options_are_refused(
    objective: StationObjective, options: dict[str, Any], message: str, unchecked: None
) -> None:
    records = RECORDS.take_times(np.arange(100))
    with pytest.raises(ValueError, match=message):
        made_data(objective, records, **options)


def test_parts_of_other_stations_are_refused() -> None:
    with pytest.raises(ValueError, match="validation must be of the stations of the training"):
        StationData(RECORDS, objective=next_day("tmin"), validation=RECORDS.take(np.arange(4)))
    with pytest.raises(ValueError, match="test must have the variables of the objective, tmin"):
        StationData(RECORDS, objective=next_day("tmin"), test=RECORDS.select(["tmax"]))
    silent = records_of(np.where(np.isnan(VALUES), np.nan, np.nan))
    with pytest.raises(ValueError, match="records must have values of tmin to learn from"):
        made_data(next_day("tmin"), silent)


def test_paths_and_words_in_place_of_records_and_objectives_are_refused(unchecked: None) -> None:
    path: Any = "stations.csv"
    word: Any = "next_day"
    objective = next_day("tmin")
    no_records = "must be StationRecords, got str; read_stations reads them from a file"
    with pytest.raises(TypeError, match=f"^records {no_records}"):
        StationData.of_records(path, objective)
    with pytest.raises(TypeError, match=f"^train {no_records}"):
        StationData(path, objective=objective)
    with pytest.raises(TypeError, match=f"^validation {no_records}"):
        StationData(RECORDS, objective=objective, validation=path)
    no_objective = "^objective must be a StationObjective, got 'next_day'; next_day, same_day"
    with pytest.raises(TypeError, match=no_objective):
        StationData.of_records(RECORDS, word)
    with pytest.raises(TypeError, match=no_objective):
        StationData(RECORDS, objective=word)
    predictor = station_predictor_of(small_module(made_data(objective)))
    with pytest.raises(TypeError, match=f"^records {no_records}"):
        predictor.predict(path)


def test_unknown_networks_are_refused(unchecked: None) -> None:
    data = made_data(day_of_year("tmin"))
    with pytest.raises(ValueError, match="model must be one of ghcn, unet, got 'fcn'"):
        data.network(model="fcn")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="model must be 'ghcn' for one target of all stations"):
        data.network(model="unet")
