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
    with pytest.raises(ValueError, match="mismatch must be one of raise, reorder, got 'ignore'"):
        predict(nn.Flatten(), SIGNALS, mismatch="ignore")
    with pytest.raises(TypeError, match="must be a NumPy array, got Tensor; call the model itself"):
        predict(nn.Flatten(), torch.from_numpy(SIGNALS))  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        predict(nn.Flatten(), SIGNALS, batch_size=0)
    model = FCN(PYRAMID, in_channels=1, out_channels=3, channels=(4,), kernel_size=2)
    with pytest.raises(ValueError, match="ordering must be one of nested, ring, got 'spiral'"):
        predict(model, SIGNALS, ordering="spiral")
