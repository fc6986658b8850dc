"""Batches of labelled maps: shapes, order, what is missing, and motions that are physical."""

import numpy as np
import pytest
import torch

from deepsphere.data.climate_channels import CHANNEL_NAMES, CHANNELS
from deepsphere.data.climate_events import EventPlan, simulated_events
from deepsphere.data.event_sets import EventSet, array_events
from deepsphere.sampling import Icosahedral
from deepsphere.training.channel_scaling import ChannelScaling
from deepsphere.training.event_data import SphericalEvents, measure_events, published_scaling

PLAN = EventPlan(sampling="icosahedral:4", num_maps=24)
EVENTS = simulated_events(PLAN)
PARTS = (EVENTS.take(range(16)), EVENTS.take(range(16, 20)), EVENTS.take(range(20, 24)))


def small_events(values: np.ndarray, labels: np.ndarray | None = None) -> EventSet:
    """Maps of one run with two channels."""
    return array_events(
        values,
        np.zeros(values.shape[:2], int) if labels is None else labels,
        sampling=Icosahedral(1),
        channel_names=("TMQ", "V850"),
        class_names=("background", "storm"),
    )


def epoch_batches(data: SphericalEvents, epoch: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Training batches of an epoch."""
    loader = data.train_dataloader()
    loader.sampler.set_epoch(epoch)  # type: ignore[attr-defined]
    return list(loader)


def test_single_maps_are_scaled_signals_and_labels() -> None:
    data = SphericalEvents(*PARTS, batch_size=3)
    signals, labels = next(iter(data.test_dataloader()))
    assert (signals.shape, labels.shape) == ((3, 162, 16), (3, 162))
    assert (signals.dtype, labels.dtype) == (torch.float32, torch.int64)
    raw = np.stack([PARTS[2].read(index)[0] for index in range(3)])
    expected = (raw - np.array(data.scaling.mean)) / np.array(data.scaling.deviation)
    np.testing.assert_allclose(signals.numpy(), expected, atol=1e-4)
    seen = torch.cat([batch for batch, _ in epoch_batches(data, 0)])
    np.testing.assert_allclose(seen.mean(dim=(0, 1)), 0, atol=1e-4)
    np.testing.assert_allclose(seen.std(dim=(0, 1)), 1, atol=1e-2)


def test_stacks_and_sequences_hold_the_same_frames() -> None:
    stacked, sequence = (
        SphericalEvents(*PARTS, frames=frames, num_frames=3, batch_size=2)
        for frames in ("stacked", "sequence")
    )
    assert (stacked.in_channels, sequence.in_channels) == (48, 16)
    assert stacked.channel_names[0] == "TMQ(-6h)"
    assert stacked.channel_names[-1] == CHANNEL_NAMES[-1]
    assert len(stacked.normalization["mean"]) == 48
    for (first, labels), (second, others) in zip(
        stacked.split_signals("train"), sequence.split_signals("train"), strict=True
    ):
        assert second.shape == (2, 3, 162, 16)
        np.testing.assert_array_equal(first, np.concatenate(list(second.swapaxes(0, 1)), axis=2))
        np.testing.assert_array_equal(labels, others)
    # two windows of three in each of four runs of four
    assert len(stacked.windows["train"]) == 8


def test_labels_are_those_after_the_shift() -> None:
    values = np.arange(5.0)[:, None, None] * np.ones((5, 12, 2))
    labels = (np.arange(5) % 2)[:, None] * np.ones((5, 12), int)
    data = SphericalEvents(
        small_events(values, labels),
        frames="sequence",
        num_frames=2,
        shift=1,
        batch_size=9,
        scaling=ChannelScaling((0.0, 0.0), (1.0, 1.0)),
    )
    signals, found = next(data.split_signals("train"))
    assert signals[:, :, 0, 0].tolist() == [[0, 1], [1, 2], [2, 3]]
    assert found[:, 0].tolist() == [0, 1, 0]


def test_order_and_motions_are_those_of_seed_and_epoch() -> None:
    def make(seed: int, workers: int = 0) -> SphericalEvents:
        return SphericalEvents(
            *PARTS, symmetries="flips", seed=seed, batch_size=5, num_workers=workers
        )

    first, again = epoch_batches(make(1), 2), epoch_batches(make(1, workers=2), 2)
    for (signals, labels), (others, other_labels) in zip(first, again, strict=True):
        assert torch.equal(signals, others)
        assert torch.equal(labels, other_labels)
    for other in (epoch_batches(make(1), 3), epoch_batches(make(2), 2)):
        assert not torch.equal(first[0][0], other[0][0])


def test_missing_values_stay_and_are_not_labelled() -> None:
    values = np.random.default_rng(0).normal(size=(4, 12, 2))
    values[1, 3, 0] = np.nan
    data = SphericalEvents(small_events(values), frames="stacked", num_frames=2, batch_size=8)
    signals, labels = next(data.split_signals("train"))
    assert np.argwhere(np.isnan(signals)).tolist() == [[0, 3, 2], [1, 3, 0]]
    assert np.argwhere(labels == -1).tolist() == [[0, 3], [1, 3]]
    assert np.isfinite(data.scaling.mean).all()


def test_mirror_changes_the_sign_of_winds_to_the_north() -> None:
    data = SphericalEvents(*PARTS, symmetries="flips")
    samples = data._samples["train"]
    plain, labels = samples.sample(3)
    lat = data.sampling.lat
    raw_mean, deviation = np.array(data.scaling.mean), np.array(data.scaling.deviation)
    for element in (2, 7):  # a turn, and a mirror
        moved, moved_labels = samples.sample(3, element=element)
        first, second = plain * deviation + raw_mean, moved * deviation + raw_mean
        sign = 1 if element == 2 else -1
        for name in CHANNEL_NAMES:
            index = CHANNEL_NAMES.index(name)
            odd = sign if name in ("V850", "VBOT") else 1
            # what does not know places: all values, and their relation to latitude
            np.testing.assert_allclose(
                np.sort(second[:, index]), np.sort(odd * first[:, index]), rtol=1e-3, atol=1e-3
            )
            np.testing.assert_allclose(
                second[:, index] @ lat,
                sign * odd * (first[:, index] @ lat),
                rtol=1e-2,
                atol=1e-2 * np.abs(first[:, index]).max() * 10,
            )
        assert (moved_labels == 2).sum() == (labels == 2).sum()


def test_turn_keeps_the_rotation_of_cyclones() -> None:
    # a solid rotation about the axis has no meridional wind, and is the same after a turn
    values = np.zeros((1, 12, 2))
    values[..., 0] = np.cos(Icosahedral(1).lat)
    data = SphericalEvents(
        small_events(values), symmetries="turns", scaling=ChannelScaling((0.0, 0.0), (1.0, 1.0))
    )
    for element in range(5):
        moved, _ = data._samples["train"].sample(0, element=element)
        np.testing.assert_allclose(moved, values[0], atol=1e-6)


def test_published_scaling_is_that_of_the_channels() -> None:
    scaling = published_scaling()
    assert scaling.mean == tuple(one.mean for one in CHANNELS)
    assert scaling.deviation == tuple(one.deviation for one in CHANNELS)


def test_metadata_says_what_signals_are() -> None:
    data = SphericalEvents(*PARTS, frames="sequence", num_frames=2)
    assert data.projection["kind"] == "events"
    assert data.projection["num_frames"] == 2
    assert data.projection["class_names"] == list(EVENTS.class_names)
    assert data.normalization == data.scaling.values


def test_splits_that_are_not_there_have_no_batches() -> None:
    data = SphericalEvents(PARTS[0])
    assert data.val_dataloader() == data.test_dataloader() == []
    with pytest.raises(ValueError, match="split must be one of those that were given, train, got"):
        next(data.split_signals("test"))


def test_large_sets_stay_on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deepsphere.training.event_data._BYTES_IN_MEMORY", 1)
    data = SphericalEvents(*PARTS)
    assert data.train is PARTS[0]


def test_arguments_out_of_range_are_rejected(unchecked: None) -> None:
    events = small_events(np.zeros((2, 12, 2)) + np.arange(12)[:, None])
    unknown = array_events(
        np.ones((1, 12, 1)),
        np.zeros((1, 12), int),
        sampling=Icosahedral(1),
        channel_names=("vorticity",),
        class_names=("a", "b"),
    )
    for arguments, message in (
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"seed": -1}, "seed must be"),
        ({"frames": "all"}, "frames must be one of single, stacked, sequence, got 'all'"),
        ({"scaling": ChannelScaling((0.0,), (1.0,))}, "scaling must have 2 means and deviations"),
        ({"symmetries": "all"}, "motions must be one of none, turns, flips"),
        ({"test": unknown}, "test must have the channel_names of train"),
    ):
        with pytest.raises(ValueError, match=message):
            SphericalEvents(events, **arguments)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="symmetries must not be flips with channels"):
        SphericalEvents(unknown, symmetries="flips")


def test_values_that_are_no_numbers_are_rejected() -> None:
    values = np.random.default_rng(0).normal(size=(2, 12, 2))
    values[1, 3, 0] = np.inf
    data = SphericalEvents(small_events(values), batch_size=2)
    with pytest.raises(ValueError, match="maps must be finite, or NaN where missing, got 1"):
        next(data.split_signals("train"))
    with pytest.raises(ValueError, match="maps must have vertices with values of all channels"):
        measure_events(small_events(np.full((2, 12, 2), np.nan)))
