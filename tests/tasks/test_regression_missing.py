"""Regression at vertices of which some were not observed: only the others count."""

import itertools
import json
import math

import numpy as np
import pytest
import torch
from torchmetrics import MeanAbsoluteError, MeanSquaredError, R2Score

from deepsphere.sampling import Equiangular
from deepsphere.tasks import Regression, task_from_spec
from deepsphere.tasks.regression_losses import LARGEST_LOG_VARIANCE

SAMPLING = Equiangular(nlat=3, nlon=4)
SHAPE = (5, 12, 2)
OFFSET, SCALE = (0.3, 0.8), (0.05, 0.1)
LOSSES = ["l2", "l1", "gaussian"]


def _task(loss: str, sampling: str | None = None) -> Regression:
    return Regression(2, loss=loss, names=("a", "b"), offset=OFFSET, scale=SCALE, sampling=sampling)


def _random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _outputs(task: Regression) -> torch.Tensor:
    return _random(*SHAPE[:2], task.num_model_outputs)


def _targets(*, hidden: float = 0.4) -> torch.Tensor:
    """Quantities in their units; other vertices are hidden for each quantity."""
    targets = torch.tensor(OFFSET) + torch.tensor(SCALE) * _random(*SHAPE, seed=1)
    is_hidden = torch.rand(SHAPE, generator=torch.Generator().manual_seed(2)) < hidden
    return torch.where(is_hidden, torch.nan, targets)


def _observed(task: Regression, outputs: torch.Tensor, targets: torch.Tensor, areas: np.ndarray):
    """Prediction, log-variance, standardized target and weight of what was observed, in a list."""
    found = []
    for b, v, c in itertools.product(*map(range, SHAPE)):
        target = targets[b, v, c].item()
        if math.isnan(target):
            continue
        spread = outputs[b, v, 2 + c].item() if task.loss_name == "gaussian" else 0.0
        standardized = (target - OFFSET[c]) / SCALE[c]
        found.append((c, outputs[b, v, c].item(), spread, standardized, areas[v]))
    return [np.array(column) for column in zip(*found, strict=True)]


@pytest.mark.parametrize("sampling", [None, SAMPLING.spec], ids=["vertices", "areas"])
@pytest.mark.parametrize("loss", LOSSES)
def test_loss_is_the_mean_over_what_was_observed(loss, sampling):
    task = _task(loss, sampling)
    outputs, targets = _outputs(task), _targets()
    task.check_targets(outputs, targets)
    areas = np.ones(12) if sampling is None else SAMPLING.areas
    _, mean, spread, target, area = _observed(task, outputs, targets, areas)
    values = {
        "l2": (mean - target) ** 2,
        "l1": np.abs(mean - target),
        "gaussian": 0.5 * (spread + (mean - target) ** 2 / np.exp(spread) + np.log(2 * np.pi)),
    }[loss]
    expected = (area * values).sum() / area.sum()
    assert task.loss(outputs, targets).item() == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("sampling", [None, SAMPLING.spec], ids=["vertices", "areas"])
def test_metrics_are_their_definitions_over_what_was_observed(sampling):
    task = _task("gaussian", sampling)
    outputs, targets = _outputs(task), _targets()
    targets[3:] = torch.where(torch.arange(12)[:, None] < 3, targets[3:], torch.nan)
    metrics = task.metrics()
    # batches do not weigh the same, but what was observed in them does
    for batch in (slice(0, 1), slice(1, 3), slice(3, 5)):
        task.update_metrics(metrics, outputs[batch], targets[batch])
    areas = np.ones(12) if sampling is None else SAMPLING.areas
    quantity, y, s, t, area = _observed(task, outputs, targets, areas)

    def mean(values, chosen=slice(None)):
        return np.average(values[chosen], weights=area[chosen])

    scores = []
    for chosen in (quantity == 0, quantity == 1):
        variance = mean((t - mean(t, chosen)) ** 2, chosen)
        scores.append(1 - mean((t - y) ** 2, chosen) / variance)
    pulls = (t - y) / np.exp(s / 2)
    expected = {
        "mse": mean((t - y) ** 2),
        "mae": mean(np.abs(t - y)),
        "r2": np.mean(scores),
        "rmse_a": 0.05 * np.sqrt(mean((t - y) ** 2, quantity == 0)),
        "rmse_b": 0.1 * np.sqrt(mean((t - y) ** 2, quantity == 1)),
        "chi_square": mean(pulls**2),
        "coverage": mean(np.abs(pulls) <= 1),
    }
    values = {name: value.item() for name, value in metrics.compute().items()}
    assert values == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("shape", [(7, 2), (3, 700, 2)], ids=["signals", "vertices"])
@pytest.mark.parametrize("loss", ["l2", "l1"])
def test_nothing_changes_by_a_bit_where_all_was_observed(loss, shape):
    task = Regression(2, loss=loss)
    definition = {"l2": torch.nn.functional.mse_loss, "l1": torch.nn.functional.l1_loss}[loss]
    targets, results = _random(*shape, seed=1).float(), []
    for function in (task.loss, definition):
        outputs = _random(*shape).float().requires_grad_()
        value = function(outputs, targets)
        value.backward()
        results.append((value.detach(), outputs.grad))
    assert all(map(torch.equal, *results))
    # so do metrics
    metrics = task.metrics()
    known = {"mse": MeanSquaredError(), "mae": MeanAbsoluteError(), "r2": R2Score()}
    for seed in range(3):
        y, t = _random(*shape, seed=seed).float(), _random(*shape, seed=seed + 3).float()
        task.update_metrics(metrics, y, t)
        for metric in known.values():
            metric.update(y.reshape(-1, 2), t.reshape(-1, 2))
    for name, value in metrics.compute().items():
        assert torch.equal(value, known[name].compute())


def test_gaussian_loss_changes_by_no_bit_where_all_was_observed():
    task, targets = Regression(2, loss="gaussian"), _random(3, 700, 2, seed=1).float()
    outputs = 30 * _random(3, 700, 4).float()
    bound = outputs[..., 2:].clamp(-LARGEST_LOG_VARIANCE, LARGEST_LOG_VARIANCE)
    values = bound + (targets - outputs[..., :2]).square() * torch.exp(-bound)
    expected = 0.5 * (values.mean() + math.log(2 * math.pi))
    assert torch.equal(task.loss(outputs, targets), expected)


@pytest.mark.parametrize("sampling", [None, SAMPLING.spec], ids=["vertices", "areas"])
@pytest.mark.parametrize("garbage", [torch.nan, torch.inf, 1e200])
@pytest.mark.parametrize("loss", LOSSES)
def test_outputs_where_nothing_was_observed_change_nothing(loss, garbage, sampling):
    task, targets, results = _task(loss, sampling), _targets(), []
    is_hidden = targets.isnan().repeat(1, 1, 2 if loss == "gaussian" else 1)
    for filling in (0.0, garbage):
        outputs = torch.where(is_hidden, filling, _outputs(task)).requires_grad_()
        value = task.loss(outputs, targets)
        value.backward()
        metrics = task.metrics()
        task.update_metrics(metrics, outputs.detach(), targets)
        assert torch.count_nonzero(outputs.grad[is_hidden]) == 0
        results.append([value.detach(), outputs.grad, *metrics.compute().values()])
    assert all(map(torch.equal, *results))
    assert all(torch.isfinite(value).all() for value in results[0])


@pytest.mark.parametrize("sampling", [None, SAMPLING.spec], ids=["vertices", "areas"])
@pytest.mark.parametrize("loss", LOSSES)
def test_nothing_observed_is_zero_with_zero_gradient(loss, sampling):
    task = _task(loss, sampling)
    outputs, targets = _outputs(task).requires_grad_(), torch.full(SHAPE, torch.nan)
    task.check_targets(outputs, targets)
    value = task.loss(outputs, targets)
    value.backward()
    assert value.item() == 0
    assert torch.count_nonzero(outputs.grad) == 0
    # and adds nothing to the metrics of other batches
    metrics, alone = task.metrics(), task.metrics()
    task.update_metrics(metrics, outputs.detach(), targets)
    task.update_metrics(metrics, outputs.detach(), _targets())
    task.update_metrics(alone, outputs.detach(), _targets())
    assert metrics.compute() == alone.compute()


def test_quantity_that_was_never_observed_has_no_score():
    task, outputs, targets = _task("l2"), _random(*SHAPE), _targets()
    targets[..., 1] = torch.nan
    metrics, alone = task.metrics(), Regression(1, offset=OFFSET[:1], scale=SCALE[:1]).metrics()
    task.update_metrics(metrics, outputs, targets)
    Regression(1, offset=OFFSET[:1], scale=SCALE[:1]).update_metrics(
        alone, outputs[..., :1], targets[..., :1]
    )
    values, expected = metrics.compute(), alone.compute()
    assert math.isnan(values["rmse_b"])
    for name in ("mse", "mae", "r2"):
        torch.testing.assert_close(values[name], expected[name])


def test_constant_targets_have_the_score_zero_or_one():
    metrics, task = Regression(2).metrics(), Regression(2)
    targets = torch.ones(1, 6, 2)
    task.update_metrics(metrics, torch.tensor([1.0, 2.0]).expand(1, 6, 2), targets)
    assert metrics.compute()["r2"] == 0.5  # one is met, the other not


def test_areas_are_those_of_the_sampling():
    """A quantity at the poles weighs less, by as much as the sphere has less of them."""
    task, targets = Regression(1, sampling=SAMPLING.spec), torch.zeros(1, 12, 1)
    for vertex in range(12):
        outputs = torch.zeros(1, 12, 1)
        outputs[0, vertex] = 1.0
        share = SAMPLING.areas[vertex] / (4 * math.pi)
        assert task.loss(outputs, targets).item() == pytest.approx(share, rel=1e-5)
    half = task.loss(outputs.half(), targets.half())  # sums of at least single precision
    assert half.item() == pytest.approx(share, rel=1e-5)


def test_standardizing_takes_what_was_observed():
    targets = _targets().numpy()
    task = Regression.standardizing(targets, names=("a", "b"), sampling=SAMPLING.spec)
    for index in range(2):
        values = [value for value in targets[..., index].ravel() if not math.isnan(value)]
        assert task.offset[index] == pytest.approx(np.mean(values), rel=1e-10)
        assert task.scale[index] == pytest.approx(np.std(values), rel=1e-10)
    assert task.sampling == SAMPLING.spec


def test_task_with_areas_is_rebuilt_from_plain_values():
    task = _task("l1", SAMPLING.spec)
    assert task_from_spec(json.loads(json.dumps(task.spec))) == task
    assert eval(repr(task)) == task
    assert "sampling" not in _task("l1").spec  # as of before


def test_targets_that_are_no_numbers_are_rejected():
    task, targets = Regression(1), torch.tensor([[[torch.inf], [torch.nan], [1.0], [2.0]]])
    with pytest.raises(ValueError, match="finite or NaN, got 1 infinite values of 4 in the batch"):
        task.check_targets(torch.zeros(1, 4, 1), targets)
    with pytest.raises(ValueError, match="finite, got 2 NaN or infinite values of 4 in the batch"):
        task.check_targets(torch.zeros(4, 1), targets[0])
    with pytest.raises(ValueError, match="got 3 of each and 1 NaN or infinite values"):
        Regression.standardizing(targets.numpy())
    with pytest.raises(ValueError, match="at least one of each quantity, got 0 of each and 0 NaN"):
        Regression.standardizing(np.array([[[1.0, np.nan], [2.0, np.nan]]]))
    with pytest.raises(ValueError, match=r"must vary, got 5 for every signal in quantity 1; leave"):
        Regression.standardizing(np.array([[[1.0, np.nan], [2.0, 5.0], [3.0, 5.0]]]))


@pytest.mark.usefixtures("unchecked")
def test_sampling_that_does_not_fit_is_rejected():
    task = Regression(1, sampling=SAMPLING.spec)
    with pytest.raises(ValueError, match="sampling must be None where a signal has one target"):
        task.check_targets(torch.zeros(3, 1), torch.zeros(3, 1))
    with pytest.raises(ValueError, match=r"areas must be one per vertex \(5\), got shape \(12,\)"):
        task.loss(torch.zeros(2, 5, 1), torch.zeros(2, 5, 1))
    with pytest.raises(ValueError, match="the kind of a sampling must be one of"):
        Regression(1, sampling="ball:3")
