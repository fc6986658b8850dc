"""Maps in batches: patches, scaling, noise, motions, targets, workers, and training on them."""

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from deepsphere.data.map_rotations import rotate_maps
from deepsphere.data.map_sets import MapSet, array_maps, split_maps
from deepsphere.data.map_sources import ArrayMap
from deepsphere.data.map_symmetries import MapSymmetries
from deepsphere.graph.coarsening import build_pyramid
from deepsphere.models import FCN
from deepsphere.sampling import Healpix
from deepsphere.sampling.healpix_patches import cut_patches, patch_sampling
from deepsphere.tasks import Classification, Regression
from deepsphere.training import (
    ChannelScaling,
    Optimization,
    SphereModule,
    fit,
    read_metadata,
    seeded,
)
from deepsphere.training.map_data import SphericalMaps
from deepsphere.training.map_noise import (
    MapNoise,
    add_evaluation_noise,
    add_training_noise,
)
from deepsphere.training.map_samples import EpochSamples, MapCut

NSIDE = 4
NUM_PIXELS = 12 * NSIDE**2
NAMES = ("empty", "full")


def make_arrays(num: int = 6, *, seed: int = 0, channels: int = 2) -> np.ndarray:
    """Maps of channels with different means and deviations, tiny as those of convergence are."""
    generator = np.random.default_rng(seed)
    maps = generator.normal(size=(num, NUM_PIXELS, channels))
    return (maps * np.arange(1, channels + 1) * 1e-8 + 1e-7).astype(np.float32)


def make_maps(num: int = 6, *, seed: int = 0, channels: int = 2) -> MapSet:
    """Maps of two classes, with parameters."""
    labels = np.arange(num) % 2
    parameters = np.random.default_rng(seed).normal(size=(num, 2)) * (0.1, 3.0) + (0.3, 0.8)
    arrays = make_arrays(num, seed=seed, channels=channels)
    return array_maps(arrays, labels, class_names=NAMES, parameters=parameters)


@pytest.fixture(scope="module")
def train() -> MapSet:
    return make_maps()


@pytest.fixture(scope="module")
def test() -> MapSet:
    return make_maps(4, seed=1)


def whole(maps: MapSet) -> np.ndarray:
    return np.stack([maps.read(index) for index in range(len(maps))])


def signals_of(data: SphericalMaps, split: Any, **options: Any) -> np.ndarray:
    return np.concatenate([signals for signals, _ in data.split_signals(split, **options)])


def batches_of(loader: Any, *, epoch: int | None = None) -> list[tuple[np.ndarray, np.ndarray]]:
    """All batches of an epoch, announced as Lightning announces it."""
    if epoch is not None:
        loader.sampler.set_epoch(epoch)
    return [(signals.numpy().copy(), targets.numpy().copy()) for signals, targets in loader]


def in_order(data: SphericalMaps, epoch: int) -> np.ndarray:
    """Signals of a training epoch in the order of the samples."""
    order = EpochSamples(len(data.targets("train")), seed=data._order_seed)
    order.set_epoch(epoch)
    found = np.concatenate([s for s, _ in batches_of(data.train_dataloader(), epoch=epoch)])
    signals = np.empty_like(found)
    signals[[sample for _, sample in order]] = found
    return signals


# scaling


@pytest.mark.parametrize("order", [0, 1, 2])
def test_scaled_signals_are_the_patches_of_the_maps(order, train):
    data = SphericalMaps(train, order=order, batch_size=5)
    arrays = whole(train).astype(np.float64)
    mean, deviation = arrays.mean(axis=(0, 1)), arrays.std(axis=(0, 1))
    np.testing.assert_allclose(data.scaling.mean, mean, rtol=1e-12)
    np.testing.assert_allclose(data.scaling.deviation, deviation, rtol=1e-9)
    patches = cut_patches((arrays - mean) / deviation, order)
    expected = patches.reshape(-1, *patches.shape[2:])
    found = signals_of(data, "train")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert data.sampling == patch_sampling(NSIDE, order)
    assert data.normalization == data.scaling.values


def test_test_maps_are_scaled_as_the_training_maps(train, test):
    data = SphericalMaps(train, test=test)
    arrays = (whole(test).astype(np.float64) - data.scaling.mean) / data.scaling.deviation
    found = signals_of(data, "test").reshape(len(test), NUM_PIXELS, 2)
    np.testing.assert_allclose(found, arrays, atol=1e-5)
    given = ChannelScaling((0.0, 0.0), (2.0, 4.0))
    found = signals_of(SphericalMaps(train, scaling=given), "train")
    np.testing.assert_allclose(found.reshape(6, NUM_PIXELS, 2), whole(train) / (2, 4))


# batches and targets


def test_loaders_hold_what_classical_methods_are_given(train, test):
    options: dict[str, Any] = {"validation": train, "test": test, "noise": 1.5, "batch_size": 7}
    data = SphericalMaps(train, order=1, **options)
    for split, loader in (("validation", data.val_dataloader()), ("test", data.test_dataloader())):
        found = batches_of(loader)
        expected = list(data.split_signals(split))  # pyright: ignore[reportArgumentType]
        assert len(found) == len(expected)
        for (signals, targets), (other, labels) in zip(found, expected, strict=True):
            np.testing.assert_array_equal(signals, other)
            np.testing.assert_array_equal(targets, labels)
    for epoch in (0, 3):
        np.testing.assert_array_equal(in_order(data, epoch), signals_of(data, "train", epoch=epoch))


def test_every_sample_is_seen_once_with_the_label_of_its_map(train):
    data = SphericalMaps(train, order=1, batch_size=5)
    expected = {
        s.tobytes(): t
        for s, t in zip(signals_of(data, "train"), data.targets("train"), strict=True)
    }
    batches = batches_of(data.train_dataloader(), epoch=2)
    found = [
        (s.tobytes(), t)
        for signals, targets in batches
        for s, t in zip(signals, targets, strict=True)
    ]
    assert len(found) == len(expected) == 72
    assert dict(found) == expected
    np.testing.assert_array_equal(data.targets("train"), np.repeat(train.labels, 12))
    assert data.targets("train").dtype == np.int64


def test_order_changes_with_seed_and_epoch_alone(train):
    def order(seed: int, epoch: int) -> list[tuple[int, int]]:
        sampler = EpochSamples(50, seed=seed)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert order(0, 1) == order(0, 1)
    assert {epoch for epoch, _ in order(0, 1)} == {1}
    orders = [[sample for _, sample in order(*key)] for key in ((0, 0), (0, 1), (1, 0))]
    assert all(sorted(one) == list(range(50)) for one in orders)
    assert orders[0] != orders[1] != orders[2] != orders[0]


def test_parameters_are_in_their_own_units(train, test):
    data = SphericalMaps(train, test=test, order=1, target="parameters")
    assert train.parameters is not None
    assert data.targets("train").dtype == np.float32
    expected = np.repeat(train.parameters, 12, axis=0)
    np.testing.assert_allclose(data.targets("train"), expected, rtol=1e-6)
    batch = next(iter(data.test_dataloader()))
    assert batch[1].dtype == torch.float32
    np.testing.assert_allclose(batch[1], np.repeat(test.parameters, 12, axis=0)[: len(batch[1])])


# noise


def test_training_noise_is_that_of_seed_epoch_and_sample(train):
    silent = signals_of(SphericalMaps(train), "train")
    data = SphericalMaps(train, noise=3.5, seed=7, batch_size=5)
    for epoch in (0, 4):
        found = in_order(data, epoch)
        for sample in (0, 1, 71):
            expected = add_training_noise(silent[sample], 3.5, seed=7, epoch=epoch, sample=sample)
            np.testing.assert_array_equal(found[sample], expected)
    # not of the batches, of what was asked for before, or of workers
    other = SphericalMaps(train, noise=3.5, seed=7, batch_size=16)
    np.testing.assert_array_equal(in_order(other, 4), in_order(data, 4))


def test_evaluation_noise_is_that_of_the_sample(train, test):
    """The same in every epoch, for all seeds of training and all networks."""
    silent = signals_of(SphericalMaps(train, test=test), "test")
    for seed, noise in ((0, 3.5), (1, MapNoise((0.0, 1.0, 3.5)))):
        data = SphericalMaps(train, validation=test, test=test, noise=noise, seed=seed)
        first = signals_of(data, "test")
        np.testing.assert_array_equal(first, signals_of(data, "test", epoch=5))
        for sample in (0, 47):
            expected = add_evaluation_noise(
                silent[sample], 3.5, seed=0, split="test", sample=sample
            )
            np.testing.assert_array_equal(first[sample], expected)
        assert (first != signals_of(data, "validation")).any(axis=(1, 2)).all()
    other = SphericalMaps(train, test=test, noise=3.5, noise_seed=1)
    assert (first != signals_of(other, "test")).any(axis=(1, 2)).all()


def test_noise_follows_its_curriculum(train):
    silent = signals_of(SphericalMaps(train), "train")
    for noise, epochs in ((3.0, 3), (MapNoise((0.0, 1.0, 2.0, 3.0)), 0)):
        data = SphericalMaps(train, noise=noise, noise_warmup_epochs=epochs)
        for epoch, level in ((0, 0), (1, 1), (3, 3), (9, 3)):
            added = signals_of(data, "train", epoch=epoch) - silent
            # 13,824 numbers, four standard errors
            assert abs(added.std() - level) <= 0.024 * level


def test_channels_may_have_noise_of_their_own(train):
    silent = signals_of(SphericalMaps(train), "train")
    noisy = signals_of(SphericalMaps(train, noise=MapNoise(((0.0, 2.0),))), "train")
    np.testing.assert_array_equal(noisy[..., 0], silent[..., 0])
    assert abs((noisy - silent)[..., 1].std() - 2) < 0.07


# motions


@pytest.mark.parametrize(("order", "elements", "epochs"), [(0, 16, 16), (1, 4, 2), (2, 4, 2)])
def test_symmetries_move_training_samples_anew_in_each_epoch(order, elements, epochs, train, test):
    plain = SphericalMaps(train, test=test, order=order)
    data = SphericalMaps(train, test=test, order=order, symmetries="flips")
    group = MapSymmetries(NSIDE, order, "flips")
    ways = [group.apply(signals_of(plain, "train"), element) for element in range(elements)]
    drawn = []
    for epoch in range(epochs):
        found = signals_of(data, "train", epoch=epoch)
        # each sample is moved in exactly one of the ways
        matches = [(way == found).all(axis=(1, 2)) for way in ways]
        np.testing.assert_array_equal(np.sum(matches, axis=0), 1)
        drawn.append(np.argmax(matches, axis=0))
    assert (drawn[0] != drawn[1]).any()
    assert set(np.ravel(drawn)) == set(range(elements))
    np.testing.assert_array_equal(signals_of(data, "test"), signals_of(plain, "test"))


def test_patches_are_cut_from_rotated_maps(train, test):
    """All patches of a map make a map that was rotated as a whole."""
    data = SphericalMaps(train, test=test, order=1, rotations="uniform")
    patches = signals_of(data, "train", epoch=1).reshape(len(train), NUM_PIXELS, 2)
    again = SphericalMaps(train, test=test, order=0, rotations="uniform")
    np.testing.assert_allclose(signals_of(again, "train", epoch=1), patches, atol=1e-6)
    assert np.abs(patches[0] - signals_of(again, "train", epoch=2)[0]).max() > 0.1
    # what is judged is rotated too, always in the same way
    fixed = signals_of(data, "test", epoch=1)
    np.testing.assert_array_equal(fixed, signals_of(data, "test", epoch=2))
    assert fixed.var() < 0.9 * signals_of(SphericalMaps(train, test=test), "test").var()


def test_rotations_are_those_of_rotate_maps():
    """A linear function, which tells its rotation."""
    points = Healpix(NSIDE).points
    arrays = np.repeat(points[None], 2, axis=0).astype(np.float32)
    maps = array_maps(arrays, np.array([0, 1]), class_names=NAMES)
    scaling = ChannelScaling((0.0,) * 3, (1.0,) * 3)
    data = SphericalMaps(maps, order=0, rotations="uniform", scaling=scaling)
    for epoch in (0, 1):
        found = signals_of(data, "train", epoch=epoch)
        rotations = []
        for signal in found:
            u, _, v = np.linalg.svd(np.linalg.lstsq(points, signal, rcond=None)[0])
            rotations.append((u @ v).T)
        # (R f)(x) = Rᵀ x for f(x) = x, as near as interpolation lets it be told
        expected = rotate_maps(arrays, Healpix(NSIDE), np.stack(rotations).transpose(0, 2, 1))
        assert np.abs(found - expected).max() < 0.05 < np.abs(found[0] - found[1]).max()


# masks


def test_mask_makes_each_map_one_sample(train, test):
    mask = Healpix(NSIDE).lat > 0.5
    data = SphericalMaps(train, test=test, mask=mask, noise=1.0)
    assert data.sampling == Healpix(NSIDE).subset(mask)
    assert data.order == 0
    assert data.targets("test").tolist() == test.labels.tolist()
    kept = whole(train)[:, mask].astype(np.float64)
    np.testing.assert_allclose(data.scaling.mean, kept.mean(axis=(0, 1)), rtol=1e-12)
    silent = SphericalMaps(train, mask=mask, order=0)
    np.testing.assert_allclose(
        signals_of(silent, "train"), (kept - data.scaling.mean) / data.scaling.deviation, atol=1e-5
    )


def test_maps_are_moved_before_they_are_masked(train):
    mask = np.zeros(NUM_PIXELS, bool)
    mask[[3, 50, 51, 190]] = True
    scaling = ChannelScaling((0.0, 0.0), (1e-8, 1e-8))
    for motion in ({"symmetries": "turns"}, {"rotations": "uniform"}):
        options: dict[str, Any] = {"scaling": scaling, **motion}
        masked = SphericalMaps(train, mask=mask, **options)
        moved = SphericalMaps(train, order=0, **options)
        for epoch in range(3):
            np.testing.assert_array_equal(
                signals_of(masked, "train", epoch=epoch),
                signals_of(moved, "train", epoch=epoch)[:, mask],
            )


def test_pixels_outside_of_the_mask_do_not_matter():
    arrays = make_arrays()
    arrays[:, :40] = np.nan
    sources = tuple(ArrayMap(values) for values in arrays)
    maps = replace(make_maps(), sources=sources)
    mask = np.arange(NUM_PIXELS) >= 40
    data = SphericalMaps(maps, mask=mask)
    assert np.isfinite(signals_of(data, "train")).all()
    message = "maps must be finite where they are used, got 'map 0' with 8 values"
    with pytest.raises(ValueError, match=message):
        SphericalMaps(maps, order=2)
    moved = SphericalMaps(maps, mask=mask, symmetries="turns")
    with pytest.raises(ValueError, match="leave out symmetries and rotations, which bring pixels"):
        [signals_of(moved, "train", epoch=epoch) for epoch in range(9)]


# reading


def test_only_the_pixels_of_a_patch_are_read(train, monkeypatch):
    reads = []
    original = MapSet.read

    def read(self: MapSet, index: int, start: int = 0, stop: int | None = None) -> np.ndarray:
        reads.append((index, start, stop))
        return original(self, index, start, stop)

    data = SphericalMaps(train, order=2, symmetries="flips", noise=1.0, batch_size=1)
    monkeypatch.setattr(MapSet, "read", read)
    batches = data.split_signals("train")
    for _ in range(50):
        next(batches)
    assert reads == [divmod_patch(sample) for sample in range(50)]


def divmod_patch(sample: int) -> tuple[int, int, int]:
    """Map, first pixel and the one after the last of a patch of order 2."""
    index, patch = divmod(sample, 48)
    return index, 4 * patch, 4 * patch + 4


def test_large_sets_stay_on_disk(train, monkeypatch):
    calls = []
    monkeypatch.setattr(MapSet, "in_memory", lambda self: calls.append(len(self)) or self)
    monkeypatch.setattr("deepsphere.data.labelled_maps._BYTES_IN_MEMORY", 4 * 6 * NUM_PIXELS * 2)
    SphericalMaps(train)
    assert calls == [6]
    SphericalMaps(train, test=train)
    assert calls == [6]


@pytest.mark.parametrize("num_workers", [1, 2])
def test_workers_that_outlive_an_epoch_see_the_next(num_workers, train, test):
    """Noise and motions of later epochs reach processes that were started in the first."""
    options: dict[str, Any] = {"noise": 3.0, "symmetries": "flips", "noise_warmup_epochs": 2}
    here = SphericalMaps(train, validation=test, **options)
    there = SphericalMaps(train, validation=test, num_workers=num_workers, **options)
    loaders = here.train_dataloader(), there.train_dataloader()
    for epoch in (0, 1, 2, 5):
        expected, found = (batches_of(loader, epoch=epoch) for loader in loaders)
        for (signals, targets), (other, labels) in zip(expected, found, strict=True):
            np.testing.assert_array_equal(signals, other)
            np.testing.assert_array_equal(targets, labels)


@pytest.mark.slow
def test_maps_on_disk_reach_processes_that_start_afresh(tmp_path, monkeypatch):
    """Files are opened in each process, also where these do not inherit anything."""
    from deepsphere.data.map_files import write_map_file
    from deepsphere.data.map_sources import StoredMap

    sources = []
    for index, values in enumerate(make_arrays()):
        write_map_file(tmp_path / f"{index}.h5", values, settings="{}")
        sources.append(StoredMap(tmp_path / f"{index}.h5", "{}"))
    stored = replace(make_maps(), sources=tuple(sources))
    monkeypatch.setattr("deepsphere.data.labelled_maps._BYTES_IN_MEMORY", 0)
    data = SphericalMaps(stored, noise=1.0, num_workers=2)
    loader = data.train_dataloader()
    for context in ("spawn", "fork"):
        found = torch.utils.data.DataLoader(
            loader.dataset,
            batch_size=5,
            sampler=EpochSamples(72, seed=None),
            num_workers=2,
            multiprocessing_context=context,
        )
        signals = np.concatenate([signals for signals, _ in batches_of(found)])
        np.testing.assert_array_equal(
            signals, signals_of(SphericalMaps(make_maps(), noise=1.0), "train")
        )


def test_samples_can_be_sent_to_other_processes(train):
    data = SphericalMaps(train, noise=2.0, symmetries="flips", rotations="uniform")
    samples = pickle.loads(pickle.dumps(data.train_dataloader().dataset))
    np.testing.assert_array_equal(
        samples.signal(5, epoch=3), data._samples["train"].signal(5, epoch=3)
    )


# training


def make_module(task: Any = None, *, in_channels: int = 1) -> SphereModule:
    pyramid = build_pyramid(patch_sampling(NSIDE, 1), num_levels=2, num_neighbors=4)
    with seeded(0):
        model = FCN(
            pyramid,
            in_channels=in_channels,
            out_channels=2,
            channels=(8, 8),
            kernel_size=3,
            dropout=0.2,
        )
    optimization = Optimization(learning_rate=0.02, schedule="constant", weight_decay=0.0)
    return SphereModule(model, task or Classification(NAMES), optimization=optimization)


@pytest.mark.parametrize("num_workers", [0, 1])
def test_resumed_training_ends_as_the_uninterrupted_one(num_workers, train, test, tmp_path: Path):
    """Exactly: order, symmetries and noise all go on."""

    def data() -> SphericalMaps:
        return SphericalMaps(
            train,
            validation=test,
            noise=2.0,
            noise_warmup_epochs=3,
            symmetries="flips",
            seed=2,
            num_workers=num_workers,
        )

    options: dict[str, Any] = {"accelerator": "cpu", "progress": False, "seed": 2}
    complete = make_module(in_channels=2)
    fit(complete, data(), max_epochs=4, **options)
    first = fit(make_module(in_channels=2), data(), max_epochs=2, output=tmp_path, **options)
    resumed = make_module(in_channels=2)
    fit(resumed, data(), max_epochs=4, output=tmp_path, resume=first.last, **options)
    for name, values in complete.model.state_dict().items():
        assert torch.equal(values, resumed.model.state_dict()[name]), name


def test_network_learns_classes_that_differ_in_skewness(tmp_path: Path):
    """What the maps are for: two distributions of equal mean and variance."""
    generator = np.random.default_rng(0)
    labels = np.arange(24) % 2
    signs = np.where(labels == 0, -1, 1)[:, None, None]
    arrays = signs * (generator.exponential(size=(24, NUM_PIXELS, 1)) - 1)
    maps = array_maps(arrays, labels, class_names=NAMES)
    parts = split_maps(maps, validation_fraction=0.25, test_fraction=0, seed=0)
    data = SphericalMaps(parts.train, validation=parts.validation, noise=0.5, symmetries="flips")
    module = make_module()
    result = fit(module, data, max_epochs=4, accelerator="cpu", output=tmp_path, progress=False)
    assert result.history[-1]["val_accuracy"] > 0.85
    metadata = read_metadata(tmp_path / "last.ckpt")
    assert metadata.normalization == data.scaling.values
    assert metadata.projection == data.projection
    assert metadata.projection is not None
    assert metadata.projection["kind"] == "patches"
    assert metadata.projection["noise"] == [0.5]
    assert metadata.class_names == NAMES


def test_parameters_are_learned_and_said_in_the_checkpoint(train, test, tmp_path: Path):
    data = SphericalMaps(train, validation=test, target="parameters", order=1)
    module = make_module(Regression(2), in_channels=2)
    fit(module, data, max_epochs=1, accelerator="cpu", output=tmp_path, progress=False)
    projection = read_metadata(tmp_path / "last.ckpt").projection
    assert projection is not None
    assert projection["target_names"] == ["omega_m", "sigma_8"]


# errors


def test_impossible_data_are_rejected(train, unchecked):
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"batch_size": 0}, "batch_size must be at least 1, got 0"),
        ({"seed": -1}, r"seed must be in \[0, 2\*\*32\), got -1"),
        ({"noise_seed": 2**32}, r"noise_seed must be in \[0, 2\*\*32\)"),
        ({"target": "labels"}, "target must be one of class, parameters, got 'labels'"),
        ({"rotations": "all"}, "rotations must be one of none, uniform, got 'all'"),
        ({"symmetries": "all"}, "symmetries must be one of none, turns, flips, got 'all'"),
        ({"order": 3}, "order must be 0 .* or a power of two"),
        ({"order": 8}, r"order must be at most nside \(4\), got 8"),
        ({"noise": -1.0}, "levels of noise must be finite and not negative, got -1"),
        ({"noise": MapNoise(((1.0,),))}, "one for each of the 2 channels"),
        ({"noise_warmup_epochs": -1}, "num_epochs must not be negative"),
        (
            {"noise": MapNoise((1.0,)), "noise_warmup_epochs": 2},
            "noise_warmup_epochs must be 0 with noise that says its levels, got 2",
        ),
        ({"scaling": ChannelScaling((0.0,), (1.0,))}, "scaling must have 2 means .* got 1"),
        ({"mask": np.ones(NUM_PIXELS)}, r"mask must be boolean .* got float64 of shape \(192,\)"),
        ({"mask": np.ones(48, bool)}, r"mask must be boolean of shape \(192,\).*\(48,\)"),
        ({"mask": np.zeros(NUM_PIXELS, bool)}, "mask must keep at least one pixel, got none"),
        (
            {"mask": np.ones(NUM_PIXELS, bool), "order": 1},
            "order must be 0 with a mask, where each map is one sample, got 1",
        ),
    ]
    for options, message in wrong:
        with pytest.raises(ValueError, match=message):
            SphericalMaps(train, **options)


def test_splits_that_do_not_fit_are_rejected(train):
    other = array_maps(np.zeros((2, 48, 2)), np.array([0, 1]), class_names=NAMES)
    with pytest.raises(ValueError, match="test must have the nside of train, 4, got 2"):
        SphericalMaps(train, test=other)
    with pytest.raises(ValueError, match="validation must have the num_channels of train, 2"):
        SphericalMaps(train, validation=make_maps(channels=1))
    renamed = replace(train, class_names=("full", "empty"))
    with pytest.raises(ValueError, match="test must have the class_names of train"):
        SphericalMaps(train, test=renamed)
    bare = replace(train, parameters=None, parameter_names=())
    with pytest.raises(ValueError, match="test must hold maps with parameters to learn them"):
        SphericalMaps(train, test=bare, target="parameters")
    swapped = replace(train, parameter_names=("sigma_8", "omega_m"))
    message = "test must have the parameters of train, omega_m, sigma_8, got sigma_8, omega_m"
    with pytest.raises(ValueError, match=message):
        SphericalMaps(train, test=swapped, target="parameters")
    assert len(SphericalMaps(train, test=swapped).targets("test")) == 72


def test_splits_that_are_not_there_are_rejected(train):
    data = SphericalMaps(train)
    assert data.val_dataloader() == data.test_dataloader() == []
    with pytest.raises(ValueError, match=r"split must be one of those .*, train, got 'test'"):
        data.targets("test")
    with pytest.raises(ValueError, match="epoch must not be negative, got -1"):
        next(data.split_signals("train", epoch=-1))


def test_cut_says_what_it_takes():
    cut = MapCut(NSIDE, 2)
    np.testing.assert_array_equal(cut.pixels(3), np.arange(12, 16))
    reverse = np.arange(4)[::-1]
    np.testing.assert_array_equal(cut.pixels(3, reverse), [15, 14, 13, 12])
    masked = MapCut(NSIDE, 0, np.array([4, 7]))
    np.testing.assert_array_equal(masked.pixels(0), [4, 7])
    np.testing.assert_array_equal(masked.pixels(0, np.arange(192)[::-1]), [187, 184])
