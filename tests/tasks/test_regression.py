"""Regression with units: losses, metrics and error bars against their definitions."""

import dataclasses
import json
import math
import pickle

import jaxtyping
import numpy as np
import pytest
import torch

from deepsphere.tasks import Regression, task_from_spec

NAMES = ("omega_m", "sigma_8")
TASK = Regression(
    2, loss="gaussian", names=NAMES, units=("", "Mpc"), offset=(0.3, 0.8), scale=(0.05, 0.1)
)


@pytest.fixture
def unchecked(monkeypatch):
    # the run-time checks of the test suite would refuse a wrong name before the library does
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


def _random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _physical(*shape: int) -> torch.Tensor:
    return torch.tensor([0.3, 0.8]) + torch.tensor([0.05, 0.1]) * _random(*shape, seed=1)


@pytest.mark.parametrize("shape", [(30, 2), (6, 5, 2)], ids=["signals", "vertices"])
@pytest.mark.parametrize(("loss", "power"), [("l2", 2), ("l1", 1)])
def test_losses_are_of_standardized_targets(shape, loss, power):
    task = Regression(2, loss=loss, offset=(0.3, 0.8), scale=(0.05, 0.1))
    outputs, targets = _random(*shape), _physical(*shape)
    task.check_targets(outputs, targets)
    assert task.num_model_outputs == 2
    naive = [
        abs(output - (target - task.offset[i % 2]) / task.scale[i % 2]) ** power
        for i, (output, target) in enumerate(
            zip(outputs.ravel().tolist(), targets.ravel().tolist(), strict=True)
        )
    ]
    assert task.loss(outputs, targets).item() == pytest.approx(np.mean(naive), rel=1e-9)


@pytest.mark.parametrize("shape", [(30, 2), (6, 5, 2)], ids=["signals", "vertices"])
def test_gaussian_loss_is_the_log_likelihood_of_normal_distributions(shape):
    outputs, targets = _random(*shape[:-1], 4), _physical(*shape)
    TASK.check_targets(outputs, targets)
    normal = torch.distributions.Normal(outputs[..., :2], (outputs[..., 2:] / 2).exp())
    standardized = (targets - torch.tensor([0.3, 0.8])) / torch.tensor([0.05, 0.1])
    expected = -normal.log_prob(standardized).mean()
    torch.testing.assert_close(TASK.loss(outputs, targets), expected)


def test_gaussian_loss_is_least_at_the_mean_and_variance_of_the_targets():
    task, targets = Regression(1, loss="gaussian"), 2 + 0.5 * _random(200, 1)
    best = torch.stack([targets.mean(), targets.var(correction=0).log()]).requires_grad_()
    loss = task.loss(best.expand(200, 2), targets)
    (gradient,) = torch.autograd.grad(loss, best)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), atol=1e-12, rtol=0)
    for step in ([0.1, 0], [-0.1, 0], [0, 0.1], [0, -0.1]):
        assert task.loss((best + torch.tensor(step)).expand(200, 2), targets) > loss


def test_extreme_log_variances_stay_finite():
    outputs = torch.tensor([[0.0, -1000.0], [0.0, 1000.0]], requires_grad=True)
    task, targets = Regression(1, loss="gaussian"), torch.tensor([[1.0], [1.0]])
    loss = task.loss(outputs, targets)
    loss.backward()
    assert loss.isfinite()
    assert outputs.grad.isfinite().all()
    # they count as those at the end of the range
    torch.testing.assert_close(loss, task.loss(outputs.detach().clamp(-20, 20), targets))


def test_quantities_have_their_units_back():
    outputs = _random(7, 5, 4)
    columns = TASK.quantities(outputs)
    assert tuple(columns) == TASK.column_names
    assert TASK.column_names == ("omega_m", "omega_m_std", "sigma_8", "sigma_8_std")
    assert TASK.column_units == ("", "", "Mpc", "Mpc")
    torch.testing.assert_close(columns["omega_m"], 0.3 + 0.05 * outputs[..., 0])
    torch.testing.assert_close(columns["sigma_8"], 0.8 + 0.1 * outputs[..., 1])
    torch.testing.assert_close(columns["omega_m_std"], 0.05 * outputs[..., 2].exp().sqrt())
    torch.testing.assert_close(columns["sigma_8_std"], 0.1 * outputs[..., 3].exp().sqrt())
    for name, values in TASK.quantities(outputs.numpy()).items():
        assert isinstance(values, np.ndarray)
        np.testing.assert_allclose(values, columns[name])


@pytest.mark.parametrize("loss", ["l2", "l1"])
def test_predictions_that_are_the_targets_come_back(loss):
    task = Regression.standardizing(_physical(50, 2).numpy(), loss=loss)
    targets = _physical(9, 2)
    columns = task.quantities(task.standardize(targets))
    assert tuple(columns) == task.column_names == ("output_0", "output_1")
    assert task.column_units is None
    torch.testing.assert_close(torch.stack(list(columns.values()), dim=-1), targets)


def test_standardizing_takes_mean_and_standard_deviation():
    targets = _physical(40, 3, 2).numpy()
    task = Regression.standardizing(targets, loss="l1", names=NAMES, units=("", ""))
    standardized = task.standardize(torch.from_numpy(targets)).reshape(-1, 2)
    assert standardized.mean(dim=0).tolist() == pytest.approx([0, 0], abs=1e-9)
    assert standardized.std(dim=0, correction=0).tolist() == pytest.approx([1, 1])
    assert (task.loss_name, task.names, task.units) == ("l1", NAMES, ("", ""))


def test_gaussian_metrics_are_their_definitions():
    outputs, targets = _random(6, 5, 4), _physical(6, 5, 2)
    metrics = TASK.metrics().clone(prefix="val_")
    TASK.update_metrics(metrics, outputs[:2], targets[:2])
    TASK.update_metrics(metrics, outputs[2:], targets[2:])
    values = {name: value.item() for name, value in metrics.compute().items()}
    y, s = outputs.reshape(-1, 4).numpy()[:, :2], outputs.reshape(-1, 4).numpy()[:, 2:]
    t = (targets.reshape(-1, 2).numpy() - [0.3, 0.8]) / [0.05, 0.1]
    pulls = (t - y) / np.sqrt(np.exp(s))
    expected = {
        "val_mse": ((t - y) ** 2).mean(),
        "val_mae": np.abs(t - y).mean(),
        "val_r2": (1 - ((t - y) ** 2).sum(0) / ((t - t.mean(0)) ** 2).sum(0)).mean(),
        "val_rmse_omega_m": 0.05 * np.sqrt(((t - y)[:, 0] ** 2).mean()),
        "val_rmse_sigma_8": 0.1 * np.sqrt(((t - y)[:, 1] ** 2).mean()),
        "val_chi_square": (pulls**2).mean(),
        "val_coverage": (np.abs(pulls) <= 1).mean(),
    }
    assert values == pytest.approx(expected, rel=1e-5)


def test_right_error_bars_have_the_coverage_of_normal_errors():
    log_variances = _random(20_000, 1, seed=2)
    targets = _random(20_000, 1, seed=3) * (log_variances / 2).exp()
    task = Regression(1, loss="gaussian")
    metrics = task.metrics()
    task.update_metrics(metrics, torch.cat([torch.zeros_like(targets), log_variances], -1), targets)
    values = metrics.compute()
    # standard errors √(2/n) and √(p (1 - p)/n), three of them
    assert values["chi_square"].item() == pytest.approx(1, abs=3 * math.sqrt(2 / 20_000))
    assert values["coverage"].item() == pytest.approx(math.erf(0.5**0.5), abs=0.01)


@pytest.mark.parametrize(
    "task", [TASK, Regression(3, loss="l1", names=("a", "b", "c")), Regression(2, scale=(1.0, 2.0))]
)
def test_task_is_rebuilt_from_plain_values(task):
    assert task_from_spec(json.loads(json.dumps(task.spec))) == task
    assert pickle.loads(pickle.dumps(task)) == task
    assert eval(repr(task)) == task
    with pytest.raises(dataclasses.FrozenInstanceError):
        task.num_outputs = 7


def test_specification_of_before_is_still_read():
    assert task_from_spec({"task": "regression", "num_outputs": 3}) == Regression(3)
    assert Regression(3).quantities(torch.ones(2, 3))["output_2"].tolist() == [1, 1]


def test_gaussian_outputs_are_checked():
    with pytest.raises(ValueError, match=r"\(batch, 4\) .*\(means and log-variances of 2\), got"):
        TASK.check_targets(torch.zeros(3, 2), torch.zeros(3, 2))
    with pytest.raises(ValueError, match=r"got \(3, 2\); build the model with out_channels=4"):
        TASK.quantities(torch.zeros(3, 2))
    with pytest.raises(ValueError, match=r"targets must have shape \(3, 2\), got \(3, 4\)"):
        TASK.check_targets(torch.zeros(3, 4), torch.zeros(3, 4))
    with pytest.raises(ValueError, match=r"outputs must have shape \(batch, 4\) .*got \(4,\)"):
        TASK.check_targets(torch.zeros(4), torch.zeros(2))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"names": ("a",)}, r"names must be as many as the quantities \(2\), got 1"),
        ({"units": ("a",) * 3}, r"units must be as many as the quantities \(2\), got 3"),
        ({"offset": (0.0,)}, r"offset must be as many as the quantities \(2\), got 1"),
        ({"scale": (1.0,)}, r"scale must be as many as the quantities \(2\), got 1"),
        ({"names": ("a", "a")}, "names must be different and not empty, got 'a', 'a'"),
        ({"names": ("a", "")}, "names must be different and not empty, got 'a', ''"),
        (
            {"names": ("a", "a_std"), "loss": "gaussian"},
            "names must be different and not empty, got 'a', 'a_std', 'a_std', 'a_std_std'",
        ),
        ({"names": ("a", "b.c")}, "names must have no dot, got 'a', 'b.c'"),
        ({"offset": (0.0, math.nan)}, r"offset must be finite, got \(0.0, nan\)"),
        ({"scale": (1.0, 0.0)}, r"scale must be finite and positive, got \(1.0, 0.0\)"),
        ({"scale": (1.0, math.inf)}, r"scale must be finite and positive, got \(1.0, inf\)"),
    ],
)
def test_badly_described_quantities_are_rejected(arguments, message):
    with pytest.raises(ValueError, match=message):
        Regression(2, **arguments)


@pytest.mark.usefixtures("unchecked")
def test_unknown_loss_is_rejected():
    with pytest.raises(ValueError, match="loss must be one of l2, l1, gaussian, got 'huber'"):
        Regression(1, loss="huber")


def test_targets_that_cannot_be_standardized_are_rejected():
    with pytest.raises(ValueError, match=r"targets must vary, got 0.3 .* in quantity 1; leave it"):
        Regression.standardizing(np.array([[0.1, 0.3], [0.2, 0.3]]))
    with pytest.raises(ValueError, match="got 2 of each and 1 NaN or infinite values"):
        Regression.standardizing(np.array([[0.1], [np.nan]]))
    with pytest.raises(ValueError, match="at least one of each quantity, got 0 of each and 0 NaN"):
        Regression.standardizing(np.zeros((0, 2)))
