"""Predictions: independent of batches, right in either order of pixels, with inputs checked."""

import jaxtyping
import numpy as np
import pytest
import torch
from torch import nn

from deepsphere.graph import build_graph
from deepsphere.models import CNN, FCN, UNet
from deepsphere.sampling import Fibonacci, Healpix, nested_to_ring
from deepsphere.training import predict
from deepsphere.training.prediction import predict_patches

SIGNALS = np.random.default_rng(0).random((5, 48, 1))
# position-sensitive models: order matters to them
PYRAMID = build_graph(Healpix(2), num_neighbors=8).pyramid(num_levels=2)


@pytest.fixture
def classifier() -> CNN:
    return CNN(PYRAMID, in_channels=1, out_channels=3, channels=(4, 8), kernel_size=2)


def test_predictions_do_not_depend_on_the_size_of_batches(classifier: CNN) -> None:
    whole = predict(classifier, SIGNALS, batch_size=5)
    assert np.allclose(whole, predict(classifier, SIGNALS, batch_size=2, progress=True), atol=1e-6)


def test_prediction_leaves_mode_and_weights_alone(classifier: CNN) -> None:
    classifier.train()
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    predict(classifier, SIGNALS)
    assert classifier.training
    after = classifier.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_ring_signals_are_reordered_on_request(classifier: CNN) -> None:
    ring = np.empty_like(SIGNALS)
    ring[:, nested_to_ring(2)] = SIGNALS
    with pytest.raises(ValueError, match=r"must be in NESTED order.*got RING; reorder them"):
        predict(classifier, ring, ordering="ring")
    outputs = predict(classifier, ring, ordering="ring", mismatch="reorder")
    assert np.array_equal(outputs, predict(classifier, SIGNALS))
    spec = Healpix(2, ordering="ring").spec
    outputs = predict(classifier, ring, sampling=spec, mismatch="reorder")
    assert np.array_equal(outputs, predict(classifier, SIGNALS, ordering="nested"))


def test_predictions_per_vertex_come_back_in_the_order_of_the_signals() -> None:
    model = UNet(PYRAMID, in_channels=1, out_channels=2, channels=(4, 8), kernel_size=2)
    ring = np.empty_like(SIGNALS)
    ring[:, nested_to_ring(2)] = SIGNALS
    expected = predict(model, SIGNALS)
    outputs = predict(model, ring, ordering="ring", mismatch="reorder")
    assert np.allclose(outputs[:, nested_to_ring(2)], expected, atol=1e-6)


def test_ordering_of_a_subset_is_not_converted() -> None:
    sampling = Healpix(4)
    subset = sampling.subset(sampling.lat > 0)
    pyramid = build_graph(subset, num_neighbors=8).pyramid(num_levels=1)
    model = FCN(pyramid, in_channels=1, out_channels=3, channels=(4,), kernel_size=2)
    signals = np.ones((1, subset.num_vertices, 1))
    with pytest.raises(ValueError, match="NESTED order, in which the subset of the model"):
        predict(model, signals, ordering="ring", mismatch="reorder")


def test_ordering_of_another_sampling_is_rejected() -> None:
    pyramid = build_graph(Fibonacci(48), num_neighbors=8).pyramid(num_levels=1)
    model = FCN(pyramid, in_channels=1, out_channels=3, channels=(4,), kernel_size=2)
    with pytest.raises(ValueError, match="ordering must be None for a model that is not on HEALP"):
        predict(model, SIGNALS, ordering="ring")


def test_signals_on_another_sampling_are_rejected(classifier: CNN) -> None:
    with pytest.raises(ValueError, match=r"of the model, healpix:nside=2.*got fibonacci:n"):
        predict(classifier, SIGNALS, sampling="fibonacci:48")
    with pytest.raises(ValueError, match=r"must have 48 vertices.*got 192 \(shape \(1, 192, 1\)"):
        predict(classifier, np.ones((1, 192, 1)))
    with pytest.raises(ValueError, match=r"must have 1 channels.*got 2"):
        predict(classifier, np.ones((1, 48, 2)))
    with pytest.raises(ValueError, match=r"not be empty, got \(0, 48, 1\)"):
        predict(classifier, np.ones((0, 48, 1)))


def test_signals_that_are_not_finite_are_rejected(classifier: CNN) -> None:
    signals = SIGNALS.copy()
    signals[2, 7, 0] = np.nan
    with pytest.raises(ValueError, match=r"got 1 NaN and 0 infinite.*signal 2, vertex 7"):
        predict(classifier, signals)


def test_predictions_that_overflow_are_rejected(classifier: CNN) -> None:
    message = r"predictions must be finite, got \d+ of 15 .* up to 1e\+300; scale the signals as"
    with pytest.raises(ValueError, match=message):
        predict(classifier, np.full_like(SIGNALS, 1e300))


def test_unknown_options_are_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(
        ValueError, match="mismatch must be one of raise, reorder, adapt, got 'ignore'"
    ):
        predict(nn.Flatten(), SIGNALS, mismatch="ignore")
    with pytest.raises(TypeError, match="must be a NumPy array, got Tensor; call the model itself"):
        predict(nn.Flatten(), torch.from_numpy(SIGNALS))  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        predict(nn.Flatten(), SIGNALS, batch_size=0)
    model = FCN(PYRAMID, in_channels=1, out_channels=3, channels=(4,), kernel_size=2)
    with pytest.raises(ValueError, match="ordering must be one of nested, ring, got 'spiral'"):
        predict(model, SIGNALS, ordering="spiral")


# networks on other samplings than theirs

SKY = Healpix(8)
BLOCK = SKY.subset(np.arange(64))
MAPS = np.random.default_rng(1).normal(size=(2, SKY.num_vertices, 1))
SIZES = {"in_channels": 1, "out_channels": 3, "channels": (4, 5), "kernel_size": 2}


@pytest.fixture
def patch_model() -> FCN:
    return FCN(build_graph(BLOCK, num_neighbors=8).pyramid(num_levels=2), **SIZES).eval()


def outputs_of(model: nn.Module, signals: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return model(torch.from_numpy(signals).float()).numpy()


def as_ring(maps: np.ndarray, nside: int) -> np.ndarray:
    ring = np.empty_like(maps)
    ring[:, nested_to_ring(nside)] = maps
    return ring


def test_adapted_prediction_is_that_of_the_moved_network(patch_model: FCN) -> None:
    expected = outputs_of(patch_model.to_sampling(SKY), MAPS)
    for kind in (None, SKY, SKY.spec):
        outputs = predict(patch_model, MAPS, sampling=kind, mismatch="adapt")
        assert np.allclose(outputs, expected, atol=1e-5)
    ring = as_ring(MAPS, 8)
    assert np.allclose(
        predict(patch_model, ring, ordering="ring", mismatch="adapt"), expected, atol=1e-5
    )
    spec = Healpix(8, ordering="ring").spec
    assert np.allclose(
        predict(patch_model, ring, sampling=spec, mismatch="adapt"), expected, atol=1e-5
    )


def test_adapted_prediction_leaves_out_what_is_missing(patch_model: FCN) -> None:
    kept = np.random.default_rng(2).random(SKY.num_vertices) > 0.3
    maps = MAPS.copy()
    maps[0, ~kept] = np.nan
    maps[1, ~kept] = np.nan
    moved = patch_model.to_sampling(SKY.subset(kept), disconnected="allow")
    outputs = predict(patch_model, maps, mismatch="adapt")
    assert np.allclose(outputs, outputs_of(moved, MAPS[:, kept]), atol=1e-5)
    # what is missing in one of them counts in none
    maps = MAPS.copy()
    maps[0, ~kept] = np.nan
    assert np.allclose(predict(patch_model, maps, mismatch="adapt"), outputs, atol=1e-5)


def test_adaptation_to_own_sampling_changes_nothing(patch_model: FCN) -> None:
    patches = MAPS[:, :64]
    assert np.array_equal(
        predict(patch_model, patches, mismatch="adapt"), predict(patch_model, patches)
    )
    maps = np.full_like(MAPS, np.nan)
    maps[:, :64] = patches  # all that is left of the sphere is the patch itself
    assert np.array_equal(
        predict(patch_model, maps, mismatch="adapt"), predict(patch_model, patches)
    )


def test_adapted_predictions_per_vertex_are_in_the_order_of_the_signals() -> None:
    pyramid = build_graph(BLOCK, num_neighbors=8).pyramid(num_levels=2)
    model = UNet(pyramid, in_channels=1, out_channels=2, channels=(4, 8), kernel_size=2).eval()
    maps = MAPS.copy()
    maps[:, 100:120] = np.nan
    outputs = predict(model, as_ring(maps, 8), ordering="ring", mismatch="adapt")
    nested = outputs[:, nested_to_ring(8)]
    assert np.isnan(nested[:, 100:120]).all()
    kept = np.r_[0:100, 120:768]
    expected = outputs_of(model.to_sampling(SKY.subset(kept)), MAPS[:, kept])
    assert np.allclose(nested[:, kept], expected, atol=1e-5)


def test_adaptation_to_another_kind_of_sampling(patch_model: FCN) -> None:
    signals = np.random.default_rng(0).normal(size=(1, 500, 1))
    with pytest.raises(ValueError, match=r"sampling must be given for signals of 500 vertices"):
        predict(patch_model, signals, mismatch="adapt")
    outputs = predict(patch_model, signals, sampling="fibonacci:500", mismatch="adapt")
    moved = patch_model.to_sampling(Fibonacci(500))
    assert np.allclose(outputs, outputs_of(moved, signals), atol=1e-5)


def test_pixels_of_the_model_are_found_in_any_order(patch_model: FCN) -> None:
    shuffled = np.random.default_rng(0).permutation(64)
    outputs = predict(patch_model, MAPS[:, shuffled], sampling=SKY.subset(shuffled))
    assert np.array_equal(outputs, predict(patch_model, MAPS[:, :64]))
    in_ring = Healpix(8, ordering="ring").subset(nested_to_ring(8)[shuffled])
    with pytest.raises(ValueError, match="must be in NESTED order, in which the model was trained"):
        predict(patch_model, MAPS[:, shuffled], sampling=in_ring)
    again = predict(patch_model, MAPS[:, shuffled], sampling=in_ring, mismatch="reorder")
    assert np.array_equal(again, outputs)


def test_whole_map_for_a_patch_names_the_ways_out(patch_model: FCN) -> None:
    message = r"got healpix:nside=8,.*mismatch=\"adapt\", --adapt, or on each patch: --patches each"
    with pytest.raises(ValueError, match=message):
        predict(patch_model, MAPS, sampling=SKY)
    with pytest.raises(ValueError, match=r"must have 64 vertices.*got 768 .*--adapt"):
        predict(patch_model, MAPS)
    with pytest.raises(ValueError, match=r"got 192 \(shape .* name the right one"):
        predict(patch_model, MAPS[:, :192], sampling=SKY)


def test_nothing_that_was_observed_is_rejected(patch_model: FCN) -> None:
    maps = MAPS.copy()
    maps[0, :400] = maps[1, 400:] = np.nan
    with pytest.raises(ValueError, match="must have a vertex that was observed in all of them"):
        predict(patch_model, maps, mismatch="adapt")
    maps[:] = 0
    maps[0, 3] = np.inf
    with pytest.raises(ValueError, match="got 0 NaN and 1 infinite"):
        predict(patch_model, maps, mismatch="adapt")


@pytest.mark.parametrize("order", [1, 2])
def test_each_patch_is_predicted_as_if_it_were_that_of_the_model(order: int) -> None:
    size = (8 // order) ** 2
    block = SKY.subset(np.arange(3 * size, 4 * size))
    model = FCN(build_graph(block, num_neighbors=8).pyramid(num_levels=2), **SIZES).eval()
    outputs = predict_patches(model, MAPS, batch_size=5)
    assert outputs.shape == (2, 12 * order**2, 3)
    for index in (0, 5, 12 * order**2 - 1):
        patch = MAPS[:, index * size : (index + 1) * size]
        assert np.allclose(outputs[:, index], predict(model, patch), atol=1e-6)
    ring = as_ring(MAPS, 8)
    with pytest.raises(ValueError, match="must be in NESTED order, in which the model was trained"):
        predict_patches(model, ring, ordering="ring")
    again = predict_patches(model, ring, ordering="ring", mismatch="reorder")
    assert np.allclose(again, outputs, atol=1e-6)


def test_patches_of_other_maps_or_models_are_rejected(patch_model: FCN, classifier: CNN) -> None:
    with pytest.raises(
        ValueError, match=r"on the whole sphere that the patch .* got healpix:nside="
    ):
        predict_patches(patch_model, MAPS[:, :192])
    with pytest.raises(
        ValueError, match=r"model must be on one of 12 order² equal blocks .* got he"
    ):
        predict_patches(classifier, SIGNALS)
    odd = SKY.subset(np.arange(3, 67))
    graph = build_graph(odd, num_neighbors=8, disconnected="allow")
    model = FCN(graph.pyramid(num_levels=2), **SIZES)
    with pytest.raises(
        ValueError, match=r"model must be on one of 12 order² equal blocks .* Subset"
    ):
        predict_patches(model, MAPS)
