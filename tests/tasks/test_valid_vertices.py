"""Means over valid vertices against loops, and that nothing leaks from what is not valid."""

import itertools
import math

import pytest
import torch

from deepsphere.tasks.valid_vertices import (
    batch_mean,
    channel_mask,
    cross_entropy_loss,
    difference_loss,
    weighted_mean,
    weighted_sums,
)

BATCH, VERTICES, CHANNELS = 3, 7, 2
AREAS = torch.tensor([0.5, 1.0, 2.0, 0.25, 3.0, 1.5, 0.75], dtype=torch.float64)
GARBAGE = [float("nan"), float("inf"), -float("inf"), 1e300]


def _random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _valid(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) < 0.6


MASKS = {
    "vertices": _valid(VERTICES),
    "per sample": _valid(BATCH, VERTICES),
    "one sample": _valid(1, VERTICES),
    "per channel": _valid(BATCH, VERTICES, CHANNELS),
    "none": None,
}


@pytest.mark.parametrize("areas", [None, AREAS], ids=["equal", "areas"])
@pytest.mark.parametrize("valid", MASKS.values(), ids=MASKS)
def test_means_equal_loops(valid, areas):
    values = _random(BATCH, VERTICES, CHANNELS)
    whole = torch.ones(BATCH, VERTICES, CHANNELS, dtype=torch.bool)
    if valid is not None:
        whole = whole & (valid if valid.ndim == 3 else valid.unsqueeze(-1))
    totals = torch.zeros(BATCH, CHANNELS, dtype=torch.float64)
    weights = torch.zeros(BATCH, CHANNELS, dtype=torch.float64)
    for b, v, c in itertools.product(range(BATCH), range(VERTICES), range(CHANNELS)):
        if whole[b, v, c]:
            area = 1.0 if areas is None else areas[v]
            totals[b, c] += area * values[b, v, c]
            weights[b, c] += area
    total, weight = weighted_sums(values, areas=areas, valid=valid)
    torch.testing.assert_close(total, totals)
    torch.testing.assert_close(weight, weights)
    torch.testing.assert_close(
        weighted_mean(values, areas=areas, valid=valid), totals / weights, equal_nan=True
    )
    torch.testing.assert_close(
        batch_mean(values, areas=areas, valid=valid), totals.sum() / weights.sum()
    )


@pytest.mark.parametrize("loss", ["l2", "l1"])
def test_difference_loss_equals_that_of_the_valid_values(loss):
    outputs, targets = (
        _random(BATCH, VERTICES, CHANNELS),
        _random(BATCH, VERTICES, CHANNELS, seed=2),
    )
    valid = _valid(BATCH, VERTICES)
    definition = torch.nn.functional.mse_loss if loss == "l2" else torch.nn.functional.l1_loss
    expected = definition(outputs[valid], targets[valid])
    torch.testing.assert_close(difference_loss(outputs, targets, loss=loss, valid=valid), expected)
    holes = torch.where(valid.unsqueeze(-1), targets, torch.nan)
    torch.testing.assert_close(difference_loss(outputs, holes, loss=loss), expected)
    every = torch.ones(VERTICES, dtype=torch.bool)
    torch.testing.assert_close(difference_loss(outputs, holes, loss=loss, valid=every), expected)


def test_cross_entropy_equals_that_of_torch():
    logits, classes = _random(BATCH, VERTICES, 3), torch.tensor([0.2, 1.0, 5.0]).double()
    labels = torch.randint(-1, 3, (BATCH, VERTICES), generator=torch.Generator().manual_seed(0))
    valid = _valid(BATCH, VERTICES)
    counted = valid & (labels >= 0)
    for weight in (None, classes):
        expected = torch.nn.functional.cross_entropy(logits[counted], labels[counted], weight)
        found = cross_entropy_loss(logits, labels, class_weights=weight, valid=valid)
        torch.testing.assert_close(found, expected)
    each = torch.nn.functional.cross_entropy(
        logits[counted], labels[counted], classes, reduction="none"
    )
    found = cross_entropy_loss(
        logits, labels, class_weights=classes, averaging="vertices", valid=valid
    )
    torch.testing.assert_close(found, each.mean())
    area = AREAS.expand(BATCH, -1)[counted]
    found = cross_entropy_loss(
        logits, labels, class_weights=classes, averaging="vertices", valid=valid, areas=AREAS
    )
    torch.testing.assert_close(found, (area * each).sum() / area.sum())
    found = cross_entropy_loss(logits, labels, class_weights=classes, valid=valid, areas=AREAS)
    total = (area * classes[labels[counted]]).sum()
    torch.testing.assert_close(found, (area * each).sum() / total)


LOSSES = {
    "mean": lambda x, valid: batch_mean(x, areas=AREAS, valid=valid),
    "scores": lambda x, valid: weighted_mean(x, areas=AREAS, valid=valid).nansum(),
    "l2": lambda x, valid: difference_loss(x, torch.zeros_like(x), valid=valid, areas=AREAS),
    "l1": lambda x, valid: difference_loss(x, torch.ones_like(x), loss="l1", valid=valid),
    "cross-entropy": lambda x, valid: cross_entropy_loss(
        x, torch.ones(x.shape[:-1], dtype=torch.int64), valid=valid
    ),
    "weighted": lambda x, valid: cross_entropy_loss(
        x,
        torch.ones(x.shape[:-1], dtype=torch.int64),
        class_weights=torch.tensor([1.0, 3.0]),
        valid=valid,
    ),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("garbage", GARBAGE)
def test_nothing_leaks_from_what_is_not_valid(name, garbage):
    valid = _valid(BATCH, VERTICES)
    results = []
    for filling in (0.0, garbage):
        values = _random(BATCH, VERTICES, CHANNELS)
        values[~valid] = filling
        values.requires_grad_()
        loss = LOSSES[name](values, valid)
        loss.backward()
        results.append((loss.detach(), values.grad))
    assert torch.equal(results[0][0], results[1][0])
    assert torch.equal(results[0][1], results[1][1])
    assert torch.count_nonzero(results[1][1][~valid]) == 0
    assert results[1][1][valid].abs().min() > 0


@pytest.mark.parametrize("name", LOSSES)
def test_nothing_valid_is_zero_with_zero_gradient(name):
    values = torch.full((BATCH, VERTICES, CHANNELS), torch.nan, requires_grad=True)
    valid = torch.zeros(BATCH, VERTICES, dtype=torch.bool)
    loss = LOSSES[name](values.double(), valid)
    loss.backward()
    assert loss.item() == 0
    assert torch.count_nonzero(values.grad) == 0


def test_sample_without_valid_vertices_contributes_nothing():
    values, valid = _random(BATCH, VERTICES, CHANNELS), _valid(BATCH, VERTICES)
    valid[1] = False
    others = batch_mean(values[::2], areas=AREAS, valid=valid[::2])
    torch.testing.assert_close(batch_mean(values, areas=AREAS, valid=valid), others)
    means = weighted_mean(values, areas=AREAS, valid=valid)
    assert means[1].isnan().all()
    torch.testing.assert_close(
        means[::2], weighted_mean(values[::2], areas=AREAS, valid=valid[::2])
    )


def test_output_that_is_nan_where_a_target_counts_is_not_hidden():
    outputs = torch.tensor([[torch.nan], [0.0]])
    assert difference_loss(outputs, torch.zeros(2, 1)).isnan()
    assert cross_entropy_loss(outputs.expand(2, 3), torch.tensor([0, 1])).isnan()


def test_half_precision_sums_are_single_precision():
    values = torch.full((4096, 1), 300.0, dtype=torch.float16)
    assert batch_mean(values).item() == 300
    assert difference_loss(values, torch.zeros_like(values)).item() == 90000
    loss = cross_entropy_loss(torch.zeros(4096, 2).half(), torch.zeros(4096, dtype=torch.int64))
    assert loss.item() == pytest.approx(math.log(2), abs=1e-6)


def test_gradients_are_those_of_the_definition():
    valid = _valid(BATCH, VERTICES, CHANNELS)
    values = _random(BATCH, VERTICES, CHANNELS).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x: weighted_mean(x, areas=AREAS, valid=valid).nansum(), (values,)
    )
    assert torch.autograd.gradcheck(
        lambda x: difference_loss(x, torch.zeros_like(x), areas=AREAS, valid=valid), (values,)
    )


@pytest.mark.parametrize("shape", [(VERTICES + 1,), (2, VERTICES), (VERTICES, CHANNELS), ()])
def test_mask_of_another_shape_is_rejected(shape):
    with pytest.raises(ValueError, match=r"valid must broadcast to \(\*batch, vertices\) or be of"):
        channel_mask(torch.zeros(BATCH, VERTICES, CHANNELS), torch.ones(shape, dtype=torch.bool))


@pytest.mark.usefixtures("unchecked")
def test_wrong_areas_and_names_are_rejected():
    values = torch.zeros(BATCH, VERTICES, CHANNELS)
    with pytest.raises(ValueError, match=r"areas must be one per vertex \(7\), got shape \(6,\)"):
        weighted_mean(values, areas=torch.ones(6))
    with pytest.raises(ValueError, match="loss must be one of l2, l1, got 'huber'"):
        difference_loss(values, values, loss="huber")
    with pytest.raises(ValueError, match="averaging must be one of vertices, weights, got 'mean'"):
        cross_entropy_loss(values, torch.zeros(BATCH, VERTICES).long(), averaging="mean")
