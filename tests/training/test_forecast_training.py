"""Batches of windows, scaling by the training alone, autoregressive training and its schedule."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning
import numpy as np
import pytest
import torch
from lightning.pytorch.trainer.states import TrainerFn, TrainerState

from deepsphere.data.climatology import climatology
from deepsphere.data.field_series import FieldSeries, array_series
from deepsphere.data.known_fields import ComputedFields, position_fields
from deepsphere.data.series_splits import split_series
from deepsphere.data.simulated_weather import WeatherPlan, simulated_weather
from deepsphere.graph.coarsening import build_pyramid
from deepsphere.models import WeatherUNet
from deepsphere.sampling import Healpix
from deepsphere.tasks import Forecasting
from deepsphere.training import Optimization, fit, seeded
from deepsphere.training.field_preparation import FieldPreparation, measure_preparation
from deepsphere.training.forecast_data import ForecastBatch, ForecastData
from deepsphere.training.forecast_module import ForecastModule
from deepsphere.training.iteration_schedule import IterationSchedule

SAMPLING = Healpix(2)
PLAN = WeatherPlan(max_degree=4, land_fraction=0.2)


def make_series(number: int = 60, *, plan: WeatherPlan = PLAN) -> FieldSeries:
    series = simulated_weather(plan, SAMPLING, num_times=number).in_memory()
    static = np.concatenate([series.static, position_fields(SAMPLING)], axis=1)
    return replace(
        series,
        static=static,
        static_names=("land", "sin_lat"),
        boundary=ComputedFields(("insolation", "cos_year"), SAMPLING),
    )


def make_data(number: int = 60, **options: Any) -> ForecastData:
    series = make_series(number)
    task = Forecasting.of_series(series, input_lags=(-1, 0), num_iterations=3)
    start = series.times[number * 2 // 3]
    parts = split_series(series, validation_start=start, history=task.history)
    defaults: dict[str, Any] = {"batch_size": 8}
    return ForecastData(parts.train, task=task, validation=parts.validation, **(defaults | options))


def make_model(task: Forecasting, **options: Any) -> WeatherUNet:
    pyramid = build_pyramid(SAMPLING, num_levels=2, num_neighbors=8)
    sizes = {"in_channels": task.num_model_inputs, "out_channels": task.num_model_outputs}
    with seeded(0):
        return WeatherUNet(pyramid, **sizes, channels=(4, 8), **options)


def make_module(data: ForecastData, learning_rate: float = 2e-3) -> ForecastModule:
    optimization = Optimization(learning_rate=learning_rate, schedule="constant")
    return ForecastModule(make_model(data.task), data, optimization=optimization)


# scaling


def test_scaling_is_of_the_training_and_weighted_by_area():
    sampling = Healpix(2).subset(np.arange(30))
    generator = np.random.default_rng(0)
    values = (generator.normal(size=(20, 30, 2)) * (3, 1e-4) + (280, 1e-3)).astype(np.float32)
    values[3, 5, 0] = np.nan
    values[:, 7, 1] = np.nan
    times = np.arange("2020-01", "2021-09", dtype="datetime64[M]")
    found = measure_preparation(array_series(values, times, sampling))
    exact = values.astype(np.float64)
    for channel in range(2):
        there = ~np.isnan(exact[..., channel])
        weights = np.broadcast_to(sampling.areas, there.shape)[there]
        mean = np.average(exact[..., channel][there], weights=weights)
        variance = np.average((exact[..., channel][there] - mean) ** 2, weights=weights)
        np.testing.assert_allclose(found.scaling.mean[channel], mean, rtol=1e-9)
        np.testing.assert_allclose(found.scaling.deviation[channel], variance**0.5, rtol=1e-9)
    assert found.valid is not None
    assert np.argwhere(~found.valid).tolist() == [[7, 1]]


def test_scaling_does_not_know_the_validation():
    one = make_data()
    series = make_series()
    parts = split_series(series, validation_start=series.times[40], history=one.task.history)
    assert parts.validation is not None
    wild = replace(
        parts.validation.in_memory(),
        source=array_series(
            parts.validation.read(range(len(parts.validation))) * 100,
            parts.validation.times,
            SAMPLING,
        ).source,
        frames=np.arange(len(parts.validation)),
    )
    two = ForecastData(parts.train, task=one.task, validation=wild)
    assert one.preparation.scaling == two.preparation.scaling
    inputs = parts.train.times
    assert inputs.max() < parts.validation.times[one.task.history]


@pytest.mark.parametrize("anomalies", [False, True])
def test_prepared_fields_come_back(anomalies):
    series = make_series(200)
    usual = climatology(series, kind="day", smoothing_days=5) if anomalies else None
    preparation = measure_preparation(series, climatology=usual)
    values, times = series.read(range(9)), series.times[:9]
    scaled = preparation.prepare(values, times)
    np.testing.assert_allclose(preparation.restore(scaled, times), values, rtol=1e-5)
    assert np.nanstd(scaled) < 2
    again = FieldPreparation.from_metadata(
        preparation.normalization, preparation.projection, shape=(48, 2, 2)
    )
    for name in ("static", "valid"):
        assert np.array_equal(getattr(again, name), getattr(preparation, name))
    assert np.array_equal(again.prepare(values, times), scaled, equal_nan=True)
    assert again.step == preparation.step


def test_constant_channels_are_only_shifted_and_static_fields_standardized():
    values = np.full((5, 48, 1), 1e5, np.float32)
    times = np.arange("2020-01", "2020-06", dtype="datetime64[M]")
    static = np.stack([np.full(48, 7.0), SAMPLING.lat * 1e4], axis=1)
    names = ("flat", "steep")
    series = array_series(values, times, SAMPLING, static=static, static_names=names)
    found = measure_preparation(series)
    assert found.scaling.deviation == (1.0,)
    assert found.static is not None
    np.testing.assert_allclose(found.static.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(found.static.std(axis=0), [0, 1], atol=1e-5)


def test_series_that_teach_nothing_are_rejected():
    times = np.arange("2020-01", "2020-06", dtype="datetime64[M]")
    values = np.full((5, 48, 2), np.nan, np.float32)
    values[..., 0] = 1
    series = array_series(values, times, SAMPLING)
    with pytest.raises(ValueError, match="to learn from, got field_1 missing everywhere"):
        measure_preparation(series)
    with pytest.raises(ValueError, match="at least two times to learn from, got 1"):
        measure_preparation(array_series(values[:1], times[:1], SAMPLING))
    with pytest.raises(
        ValueError, match=r"metadata must be those of a forecast, got .* 'channels'"
    ):
        FieldPreparation.from_metadata({"kind": "channels"}, None, shape=(1, 1, 1))


# batches


@pytest.mark.parametrize("num_workers", [0, 2])
def test_batches_hold_the_windows_of_the_epoch(num_workers):
    data = make_data(num_workers=num_workers)
    series, preparation = data.train, data.preparation
    loader = data.train_dataloader()
    loader.sampler.set_epoch(3)
    order = list(loader.sampler)
    batches = list(loader)
    assert sorted(order) == list(range(len(data.windows["train"])))
    fields = preparation.prepare(series.read(range(len(series))), series.times)
    row = 0
    for batch in batches:
        for states, targets, boundary in zip(*batch, strict=True):
            start = int(data.windows["train"].starts[order[row]])
            np.testing.assert_array_equal(states, fields[start - 1 : start + 1])
            np.testing.assert_array_equal(targets, fields[start + 1 : start + 4])
            for iteration in range(3):
                times = series.times[[start + iteration, start + iteration + 1]]
                known = preparation.prepare_boundary(series.boundary, times)
                expected = np.concatenate([known[0], known[1]], axis=-1)
                np.testing.assert_array_equal(boundary[iteration], expected)
            row += 1
    assert row == len(order)


def test_parts_that_were_not_given_have_no_batches():
    data = make_data()
    assert data.test_dataloader() == []
    with pytest.raises(ValueError, match=r"split must be one of .* train, validation, got 'test'"):
        next(data.batches("test"))


def test_times_without_values_are_left_out_and_noted():
    series = make_series()
    values = series.read(range(60))
    values[20] = np.nan
    series = replace(series, source=array_series(values, series.times, SAMPLING).source)
    task = Forecasting.of_series(series, input_lags=(-1, 0))
    data = ForecastData(series, task=task)
    assert len(data.windows["train"]) == 58 - 3
    assert data.notes[0].startswith("train: 1 of 60 times left out, at which a channel has no")
    assert data.notes[1].startswith("train: 3 of 58 windows left out, which span a gap")


def test_parts_that_do_not_fit_are_rejected():
    data = make_data()
    train, task = data.train, data.task
    other = train.select(["height"])
    with pytest.raises(ValueError, match="validation must have the channels of the task, temper"):
        ForecastData(train, task=task, validation=other)
    with pytest.raises(
        ValueError, match=r"test must have the step of the training .* 6 hours, got"
    ):
        ForecastData(
            train,
            task=task,
            test=replace(
                train.take(range(0, 40, 2)).in_memory(), axis=type(train.axis)(train.times[::2])
            ),
        )
    with pytest.raises(ValueError, match="train must have the boundary fields of the training"):
        ForecastData(replace(train, boundary=None), task=task)
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        ForecastData(train, task=task, batch_size=0)


# training


def test_losses_are_those_of_forecasts_by_hand():
    data = make_data()
    module = make_module(data)
    batch = next(data.batches("train"))
    outputs = list(
        data.task.unroll(
            module.model,
            batch.states,
            boundary=batch.boundary,
            static=torch.from_numpy(np.array(data.preparation.static)),
            valid=torch.from_numpy(data.preparation.valid),
        )
    )
    found = module.forecasts(batch, num_iterations=3)
    torch.testing.assert_close(found, torch.stack(outputs, dim=1))
    areas = torch.tensor(SAMPLING.areas, dtype=torch.float32)
    there = ~batch.targets.isnan()
    squares = torch.where(there, (found - batch.targets).square(), 0)
    weights = areas[:, None] * there
    losses = (weights * squares).sum(dim=(0, 2, 3)) / weights.sum(dim=(0, 2, 3))
    module.log = lambda *_, **__: None
    torch.testing.assert_close(module.training_step(batch, 0), losses.mean())
    module.iteration_weights = torch.tensor([1.0, 0.5, 0.0])
    expected = (losses[0] + 0.5 * losses[1]) / 1.5
    torch.testing.assert_close(module.training_step(batch, 0), expected)


def test_untrained_network_scores_as_persistence():
    data = make_data()
    module = make_module(data).eval()
    batch = next(data.batches("validation"))
    with torch.no_grad():
        found = module.forecasts(batch, num_iterations=3)
    states = torch.where(batch.states[:, -1].isnan(), 0, batch.states[:, -1])
    for iteration in range(3):
        assert torch.equal(found[:, iteration], states)


def test_static_fields_and_masks_are_no_weights():
    data = make_data()
    assert all(
        key.startswith("model.") or "metrics" in key for key in make_module(data).state_dict()
    )


@pytest.mark.slow
def test_training_reduces_the_loss_below_that_of_persistence():
    data = make_data(120)
    result = fit(make_module(data, 1e-2), data, max_epochs=3, progress=False, accelerator="cpu")
    batches = list(data.batches("validation"))
    persistence = torch.cat(
        [(b.targets[:, 0] - b.states[:, -1]).square().flatten() for b in batches]
    )
    rmse = persistence[~persistence.isnan()].mean().sqrt() * data.preparation.scaling.deviation[0]
    assert result.history[-1]["val_rmse_temperature_1"] < 0.9 * rmse


class StoppedError(Exception):
    """What interrupts a training."""


class StopAfter(lightning.Callback):
    """Interrupts a training after an epoch."""

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        if trainer.current_epoch == self.epoch:
            raise StoppedError


def scheduled() -> IterationSchedule:
    # every decrease is too small: an iteration is added after each epoch
    return IterationSchedule(patience=1, min_improvement=1e9, weight_per_step=0.15)


def test_training_with_a_schedule_is_the_same_when_it_is_resumed(tmp_path: Path):
    options: dict[str, Any] = {"max_epochs": 4, "progress": False, "accelerator": "cpu"}
    whole_schedule = scheduled()
    whole = fit(
        make_module(make_data(30)),
        make_data(30),
        **options,
        callbacks=[whole_schedule],
        output=tmp_path / "whole",
    )
    with pytest.raises(StoppedError):
        fit(
            make_module(make_data(30)),
            make_data(30),
            **options,
            callbacks=[scheduled(), StopAfter(2)],
            output=tmp_path / "part",
        )
    part_schedule = scheduled()
    part = fit(
        make_module(make_data(30)),
        make_data(30),
        **options,
        callbacks=[part_schedule],
        output=tmp_path / "part",
        resume=tmp_path / "part" / "last.ckpt",
    )
    assert part_schedule.state_dict() == whole_schedule.state_dict()
    assert whole_schedule.num_iterations == 3
    for one, two in zip(
        whole.module.model.state_dict().values(),
        part.module.model.state_dict().values(),
        strict=True,
    ):
        assert torch.equal(one, two)
    assert [row["val_loss"] for row in whole.history] == [row["val_loss"] for row in part.history]


def test_schedule_adds_an_iteration_when_the_loss_stops_improving(unchecked):
    schedule = IterationSchedule(patience=2, min_improvement=0.1, weight_per_step=0.25)
    data = make_data()
    module = make_module(data)

    trainer: Any = SimpleNamespace(
        sanity_checking=False, state=TrainerState(fn=TrainerFn.FITTING), limit_val_batches=1.0
    )
    schedule.on_fit_start(trainer, module)
    numbers = []
    for loss in (1.0, 0.8, 0.75, 0.6, 0.55, 0.55, 5.0, 5.0, 5.0, 5.0, 5.0):
        trainer.callback_metrics = {"val_loss_trained": loss}
        schedule.on_validation_end(trainer, module)
        numbers.append(schedule.num_iterations)
    # .6 is better than .8 by more than .1; two epochs later nothing was; then another loss
    assert numbers == [1, 1, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    weights = []
    for _ in range(5):
        schedule.on_train_batch_start(trainer, module, None, 0)
        weights.append(module.iteration_weights.tolist())
        schedule.on_train_batch_end(trainer, module, None, None, 0)
    assert [row[2] for row in weights] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert all(row[:2] == [1.0, 1.0] for row in weights)


def test_schedules_that_cannot_work_are_rejected():
    for options, message in (
        ({"initial": 0}, "initial must be at least 1, got 0"),
        ({"patience": 0}, "patience must be at least 1, got 0"),
        ({"min_epochs": 0}, "min_epochs must be at least 1, got 0"),
        ({"min_improvement": -1.0}, "min_improvement must not be negative, got -1.0"),
        ({"weight_per_step": 0.0}, r"weight_per_step must be in \(0, 1\], got 0.0"),
    ):
        with pytest.raises(ValueError, match=message):
            IterationSchedule(**options)
    data = make_data()
    options = {"max_epochs": 1, "progress": False, "accelerator": "cpu"}
    with pytest.raises(ValueError, match="initial must be at most the 3 iterations of the task"):
        fit(make_module(data), data, callbacks=[IterationSchedule(initial=4)], **options)
    alone = ForecastData(data.train, task=data.task)
    with pytest.raises(ValueError, match="data must have a validation part for an IterationSch"):
        fit(make_module(alone), alone, callbacks=[IterationSchedule()], **options)
    with pytest.raises(TypeError, match="module must be a ForecastModule to have iterations"):
        IterationSchedule().on_train_batch_start(
            lightning.Trainer(logger=False, enable_checkpointing=False, accelerator="cpu"),
            lightning.LightningModule(),
            None,
            0,
        )


def test_models_that_do_not_fit_are_rejected():
    data = make_data()
    other = Forecasting(("a",))
    with pytest.raises(ValueError, match=r"model must have in_channels=10 for the task, got 3"):
        ForecastModule(make_model(other, increment="none"), data)
    wrong = Forecasting(
        (*data.task.channel_names, "c"), input_lags=(-1, 0), static_names=("a",) * 4
    )
    with pytest.raises(ValueError, match=r"model must have out_channels=2 for the task, got 3"):
        ForecastModule(make_model(wrong), data)
    pyramid = build_pyramid(Healpix(4), num_levels=2, num_neighbors=8)
    model = WeatherUNet(pyramid, in_channels=10, out_channels=2, channels=(4, 8))
    with pytest.raises(ValueError, match="model must be on the sampling of the data"):
        ForecastModule(model, data)


def test_batches_are_what_is_said():
    batch = next(make_data().batches("train"))
    assert isinstance(batch, ForecastBatch)
    assert [tuple(part.shape) for part in batch] == [(8, 2, 48, 2), (8, 3, 48, 2), (8, 3, 48, 4)]


@pytest.mark.slow
def test_neighbors_bring_more_than_the_vertex_alone():
    # two fields, a quarter of a wave apart: filters that know no direction can tell it from them,
    # and how fast a wave travels from its length, which a vertex alone does not know
    sampling = Healpix(4)
    series = simulated_weather(WeatherPlan(max_degree=8, memory=50.0), sampling, num_times=2400)
    task = Forecasting.of_series(series, input_lags=(0,))
    parts = split_series(series, validation_start=series.times[1900], history=task.history)
    usual = climatology(parts.train, kind="month")
    data = ForecastData(
        parts.train, task=task, validation=parts.validation, climatology=usual, batch_size=32
    )
    errors = {}
    for kernel_size, num_levels in ((1, 1), (4, 2)):
        pyramid = build_pyramid(sampling, num_levels=num_levels, num_neighbors=8)
        with seeded(0):
            model = WeatherUNet(
                pyramid,
                in_channels=2,
                out_channels=2,
                channels=(16, 32)[:num_levels],
                kernel_size=kernel_size,
            )
        module = ForecastModule(model, data, optimization=Optimization(learning_rate=1e-2))
        result = fit(module, data, max_epochs=4, progress=False, accelerator="cpu")
        errors[kernel_size] = result.history[-1]["val_rmse_temperature_1"]
    squares = [
        (batch.targets[:, 0] - batch.states[:, -1]).square().mean(dim=(0, 1))[0]
        for batch in data.batches("validation")
    ]
    persistence = float(torch.stack(squares).mean().sqrt()) * data.preparation.scaling.deviation[0]
    assert errors[4] < 0.7 * persistence
    assert errors[4] < 0.8 * errors[1]
