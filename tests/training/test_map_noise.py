"""Noise on maps: white, as strong as asked for, and a function of what it may depend on alone."""

import itertools

import numpy as np
import pytest

from deepsphere.training.map_noise import (
    MapNoise,
    add_evaluation_noise,
    add_training_noise,
    check_seed,
)

ZERO = np.zeros((40_000, 2), np.float32)
# four standard errors of the mean and of the deviation of 40,000 numbers
ERROR_OF_MEAN = 4 / 200
ERROR_OF_DEVIATION = 4 / 283


def test_noise_is_white_and_as_strong_as_its_level():
    noise = add_training_noise(ZERO, (1.0, 3.5), seed=0, epoch=0, sample=0) / (1.0, 3.5)
    np.testing.assert_allclose(noise.mean(axis=0), 0, atol=ERROR_OF_MEAN)
    np.testing.assert_allclose(noise.std(axis=0), 1, atol=ERROR_OF_DEVIATION)
    assert abs((noise[:, 0] * noise[:, 1]).mean()) < ERROR_OF_MEAN
    # no correlation from vertex to vertex, nor between the pieces in which it is made
    for lag in (1, 2, 2**14):
        assert np.abs((noise[lag:] * noise[:-lag]).mean(axis=0)).max() < 1.5 * ERROR_OF_MEAN
    # normal: the fourth moment, whose standard error is sqrt(96 / n)
    np.testing.assert_allclose((noise**4).mean(axis=0), 3, atol=4 * np.sqrt(96 / 40_000))


def test_noise_is_added_to_the_signal():
    signal = np.random.default_rng(0).normal(size=(40_000, 2)).astype(np.float32)
    before = signal.copy()
    noisy = add_training_noise(signal, 2.0, seed=1, epoch=2, sample=3)
    alone = add_training_noise(ZERO, 1.0, seed=1, epoch=2, sample=3)
    assert noisy.dtype == np.float32
    np.testing.assert_allclose(noisy, signal + 2 * alone, atol=1e-5)
    np.testing.assert_array_equal(signal, before)


def test_silence_leaves_the_signal():
    assert add_training_noise(ZERO, 0.0, seed=0, epoch=0, sample=0) is ZERO
    fixed = add_evaluation_noise(ZERO, (0.0, 0.0), seed=0, split="test", sample=0)
    assert fixed is ZERO


def test_streams_never_meet():
    """Each of seed, epoch, sample and split makes another noise, and the same key the same."""
    signal = np.zeros((100, 1), np.float32)
    numbers = (0, 1, 2, 1000, 2**32 - 1)
    found = {}
    for seed, epoch, sample in itertools.product(numbers, repeat=3):
        noise = add_training_noise(signal, 1.0, seed=seed, epoch=epoch, sample=sample)
        found["train", seed, epoch, sample] = noise.tobytes()
    for seed, sample in itertools.product(numbers, repeat=2):
        for split in ("validation", "test"):
            noise = add_evaluation_noise(signal, 1.0, seed=seed, split=split, sample=sample)
            found[split, seed, sample] = noise.tobytes()
    assert len(set(found.values())) == len(found)
    again = add_training_noise(signal, 1.0, seed=1, epoch=2, sample=1000)
    assert again.tobytes() == found["train", 1, 2, 1000]


def test_noise_grows_linearly_to_its_level():
    noise = MapNoise.growing(3.5, num_epochs=4)
    levels = [noise.level(epoch) for epoch in range(7)]
    np.testing.assert_allclose(levels, [0, 0.875, 1.75, 2.625, 3.5, 3.5, 3.5])
    assert noise.final == 3.5
    channels = MapNoise.growing((1.0, 2.0), num_epochs=2)
    assert channels.levels == ((0.0, 0.0), (0.5, 1.0), (1.0, 2.0))
    assert MapNoise.growing(2.0, num_epochs=0) == MapNoise((2.0,))


def test_levels_can_be_listed():
    noise = MapNoise((0.0, 2.0, (1.0, 3.0)))
    assert [noise.level(epoch) for epoch in (0, 1, 2, 99)] == [0.0, 2.0, (1.0, 3.0), (1.0, 3.0)]
    assert noise.values == [0.0, 2.0, [1.0, 3.0]]
    noise.check_channels(2)
    with pytest.raises(ValueError, match=r"each of the 3 channels of the maps, got \(1\.0, 3\.0\)"):
        noise.check_channels(3)


def test_impossible_noise_is_rejected():
    with pytest.raises(ValueError, match="levels must be one or more, got none"):
        MapNoise(())
    for level in (-1.0, float("nan"), float("inf"), (1.0, -1.0), ()):
        with pytest.raises(ValueError, match="levels of noise must be finite and not negative"):
            MapNoise((1.0, level))
    with pytest.raises(ValueError, match="num_epochs must not be negative, got -1"):
        MapNoise.growing(1.0, num_epochs=-1)
    for seed in (-1, 2**32):
        with pytest.raises(ValueError, match=rf"noise_seed must be in \[0, 2\*\*32\), got {seed}"):
            check_seed("noise_seed", seed)
