"""The forecasting task: what networks see, how forecasts follow each other, what is learned."""

import json

import numpy as np
import pytest
import torch
from torch import Tensor

from deepsphere.data.field_series import array_series
from deepsphere.data.known_fields import ComputedFields
from deepsphere.sampling import Healpix
from deepsphere.tasks import Forecasting, task_from_spec

NAMES = ("t", "z")


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# inputs


def test_network_sees_static_boundary_and_states_in_this_order():
    task = Forecasting(NAMES, input_lags=(-1, 0), static_names=("s",), boundary_names=("b",))
    states, boundary, static = draw(3, 2, 5, 2), draw(3, 5, 2, seed=1), draw(5, 1, seed=2)
    features = task.inputs(states, boundary=boundary, static=static)
    assert features.shape == (3, 5, task.num_model_inputs)
    for sample in range(3):
        for vertex in range(5):
            expected = [
                static[vertex, 0],
                *boundary[sample, vertex],
                *states[sample, 0, vertex],
                *states[sample, 1, vertex],
            ]
            assert features[sample, vertex].tolist() == [float(value) for value in expected]


def test_forecasts_follow_each_other_as_by_hand():
    task = Forecasting(
        NAMES, input_lags=(-2, -1, 0), num_iterations=4, static_names=("s",), boundary_names=("b",)
    )
    weight = draw(task.num_model_inputs, 2) / 3
    states, boundary = draw(3, 3, 5, 2, seed=1), draw(3, 4, 5, 2, seed=2)
    static = draw(5, 1, seed=3)
    found = list(
        task.unroll(lambda inputs: inputs @ weight, states, boundary=boundary, static=static)
    )
    window = [states[:, lag] for lag in range(3)]
    for iteration in range(4):
        inputs = torch.cat([static.expand(3, 5, 1), boundary[:, iteration], *window], dim=-1)
        window = [*window[1:], inputs @ weight]
        torch.testing.assert_close(found[iteration], window[-1])


def test_longer_steps_shift_the_inputs_by_one_forecast():
    task = Forecasting(("t",), input_lags=(-6, -3, 0), step=3, num_iterations=3)
    states = torch.tensor([1.0, 2.0, 4.0]).reshape(1, 3, 1, 1)
    found = list(task.unroll(lambda inputs: inputs.sum(dim=-1, keepdim=True), states))
    assert [forecast.item() for forecast in found] == [7.0, 13.0, 24.0]


def test_what_stands_where_there_is_no_field_is_never_looked_at():
    task = Forecasting(NAMES, input_lags=(-1, 0), num_iterations=3)
    mixing = draw(5, 5)

    def model(inputs: Tensor) -> Tensor:
        """Looks at all vertices, and has something to say on land too."""
        return torch.einsum("vw,bwf->bvf", mixing, inputs)[..., :2] + 1

    valid = torch.ones(5, 2, dtype=torch.bool)
    valid[3] = False
    valid[1, 1] = False
    states = draw(2, 2, 5, 2, seed=1)
    garbage = torch.where(valid, states, 1e30)
    missing = torch.where(valid, states, torch.nan)
    runs = [list(task.unroll(model, s, valid=valid)) for s in (states, garbage, missing)]
    for found in runs[1:]:
        for one, two in zip(runs[0], found, strict=True):
            assert torch.equal(one, two)


def test_model_that_counts_what_is_valid_sees_what_is_missing():
    task = Forecasting(("t",), input_lags=(0,), num_iterations=2)
    seen = []

    class Recorder:
        missing = "renormalize"

        def __call__(self, inputs: Tensor) -> Tensor:
            seen.append(inputs.isnan().flatten().tolist())
            return torch.ones_like(inputs)

    states = torch.tensor([1.0, torch.nan, torch.nan]).reshape(1, 1, 3, 1)
    valid = torch.tensor([True, True, False])[:, None]
    list(task.unroll(Recorder(), states, valid=valid))
    # a cloud is forecast, land is not
    assert seen == [[False, True, True], [False, False, True]]


# losses


@pytest.mark.parametrize("loss", ["l2", "l1"])
def test_loss_is_the_naive_mean_over_what_counts(loss):
    task = Forecasting(
        NAMES,
        num_iterations=3,
        loss=loss,
        iteration_weights=(1.0, 0.5, 2.0),
        channel_weights=(1.0, 3.0),
    )
    outputs, targets, areas = draw(2, 3, 5, 2), draw(2, 3, 5, 2, seed=1), draw(5, seed=2).abs()
    valid = draw(5, 2, seed=3) > -0.5
    targets[0, 1, 2] = torch.nan
    total = weight = 0.0
    for iteration, iteration_weight in enumerate((1.0, 0.5, 2.0)):
        inner = count = 0.0
        for sample in range(2):
            for vertex in range(5):
                for channel, channel_weight in enumerate((0.5, 1.5)):  # of mean 1
                    target = targets[sample, iteration, vertex, channel]
                    if target.isnan() or not valid[vertex, channel]:
                        continue
                    error = outputs[sample, iteration, vertex, channel] - target
                    size = error**2 if loss == "l2" else error.abs()
                    inner += float(areas[vertex] * channel_weight * size)
                    count += float(areas[vertex])
        total += iteration_weight * inner / count
        weight += iteration_weight
    found = task.loss(outputs, targets, areas=areas, valid=valid)
    np.testing.assert_allclose(found.item(), total / weight, rtol=1e-10)


def test_loss_weights_vertices_by_area_and_not_by_number():
    task = Forecasting(("t",))
    outputs = torch.tensor([1.0, 3.0]).reshape(1, 1, 2, 1)
    targets = torch.zeros(1, 1, 2, 1)
    assert task.loss(outputs, targets).item() == 5.0
    assert task.loss(outputs, targets, areas=torch.tensor([3.0, 1.0])).item() == 3.0


def test_iterations_without_weight_do_not_count():
    task = Forecasting(("t",), num_iterations=2)
    outputs = torch.tensor([1.0, 100.0]).reshape(1, 2, 1, 1)
    loss = task.loss(outputs, torch.zeros(1, 2, 1, 1), weights=torch.tensor([1.0, 0.0]))
    assert loss.item() == 1.0


@pytest.mark.parametrize("gradient", ["through", "detached"])
def test_gradient_goes_through_the_iterations_or_not(gradient):
    """Against finite differences, of all forecasts or of the last one alone."""
    task = Forecasting(("t",), input_lags=(-1, 0), num_iterations=3, gradient=gradient)
    states, targets = draw(2, 2, 4, 1), draw(2, 3, 4, 1, seed=1)
    start = draw(2, 1, seed=2) / 2

    def forecasts(weight: Tensor) -> Tensor:
        found = task.unroll(lambda inputs: torch.tanh(inputs @ weight), states)
        return torch.stack(list(found), dim=1)

    def loss_of(weight: Tensor) -> Tensor:
        """What the gradient is of: inputs that are forecasts stay those of the first weight."""
        if gradient == "through":
            return task.loss(forecasts(weight), targets)
        fixed = torch.cat([states, forecasts(start)], dim=1)
        outputs = [torch.tanh(task.inputs(fixed[:, i : i + 2]) @ weight) for i in range(3)]
        return task.loss(torch.stack(outputs, dim=1), targets)

    weight = start.clone().requires_grad_()
    task.loss(forecasts(weight), targets).backward()
    small = 1e-6
    for index in range(2):
        step = torch.zeros(2, 1, dtype=torch.float64)
        step[index] = small
        expected = (loss_of(start + step) - loss_of(start - step)) / (2 * small)
        np.testing.assert_allclose(weight.grad[index].item(), expected.item(), rtol=1e-6)


# metrics


def test_metrics_are_errors_in_units_weighted_by_area():
    task = Forecasting(NAMES, num_iterations=3)
    metrics = task.metrics()
    areas, scale = torch.tensor([1.0, 3.0]), torch.tensor([2.0, 10.0])
    errors = torch.tensor([[1.0, 2.0], [3.0, 4.0]])  # of vertices and channels
    outputs = torch.zeros(1, 3, 2, 2)
    outputs[0, 0] = errors
    outputs[0, 2] = 2 * errors
    targets = torch.zeros(1, 3, 2, 2)
    task.update_metrics(metrics, outputs, targets, areas=areas, scale=scale)
    found = {name: value.item() for name, value in metrics.compute().items()}
    first = {"t": 2 * 7**0.5, "z": 10 * 13**0.5}
    expected = {f"rmse_{name}_1": value for name, value in first.items()}
    expected |= {f"rmse_{name}_3": 2 * value for name, value in first.items()}
    assert found == pytest.approx(expected, rel=1e-6)


def test_metrics_leave_out_what_was_not_observed():
    task = Forecasting(("t",))
    metrics = task.metrics()
    targets = torch.tensor([[0.0, torch.nan, 0.0], [torch.nan] * 3]).reshape(2, 1, 3, 1)
    outputs = torch.tensor([2.0, 50.0, 100.0]).reshape(1, 1, 3, 1).expand(2, 1, 3, 1)
    valid = torch.tensor([True, True, False])[:, None]
    task.update_metrics(metrics, outputs, targets, valid=valid)
    assert metrics.compute()["rmse_t_1"].item() == 2.0


# the task as a value


def test_task_is_rebuilt_from_its_specification():
    task = Forecasting(
        NAMES,
        units=("K", "m"),
        input_lags=(-3, 0),
        step=3,
        num_iterations=2,
        static_names=("s",),
        boundary_names=("b", "c"),
        boundary_lags=(0,),
        loss="l1",
        gradient="detached",
        iteration_weights=(1.0, 2.0),
        channel_weights=(1.0, 4.0),
    )
    assert task_from_spec(json.loads(json.dumps(task.spec))) == task
    assert (task.history, task.num_model_inputs, task.num_model_outputs) == (6, 1 + 2 + 4, 2)


def test_task_of_a_series_sees_all_that_it_has():
    times = np.arange("2020-01", "2021-01", dtype="datetime64[M]")
    series = array_series(
        np.zeros((12, 12, 1)),
        times,
        Healpix(1),
        channel_names=("sst",),
        units=("degC",),
        static=np.zeros((12, 1)),
        static_names=("oro",),
        boundary=ComputedFields(("sin_year", "cos_year"), Healpix(1)),
    )
    task = Forecasting.of_series(series, input_lags=(-1, 0))
    assert (task.channel_names, task.units) == (("sst",), ("degC",))
    assert task.num_model_inputs == 1 + 2 * 2 + 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channel_names": ()}, r"channel_names must be different, not empty and without a dot"),
        ({"channel_names": ("a.b",)}, r"without a dot, got \('a.b',\); metrics are called"),
        ({"step": 0}, "step must be at least 1, got 0"),
        ({"num_iterations": 0}, "num_iterations must be at least 1, got 0"),
        ({"input_lags": (-1,)}, "input_lags must increase to 0"),
        ({"loss": "l3"}, "loss must be 'l2' or 'l1', got 'l3'"),
        ({"gradient": "none"}, "gradient must be 'through' or 'detached', got 'none'"),
        ({"units": ("K",)}, "units must be 2, got 1"),
        ({"boundary_lags": (2,)}, r"at least one and at most the step \(1\), got \(2,\)"),
        ({"iteration_weights": (1.0, 1.0)}, "iteration_weights must be 1, got 2"),
        ({"iteration_weights": (0.0,)}, "must not be negative and not all be zero"),
        ({"channel_weights": (1.0, 0.0)}, "channel_weights must be positive, got"),
        (
            {"num_iterations": 2, "step": 3},
            r"input_lags must be \(-6, -3, 0\) to forecast more than one step of 3, got \(-2, -1",
        ),
    ],
)
def test_tasks_that_do_not_fit_are_rejected(options, message, unchecked):
    with pytest.raises(ValueError, match=message):
        Forecasting(**({"channel_names": NAMES} | options))


def test_what_does_not_fit_the_task_is_rejected(unchecked):
    task = Forecasting(NAMES, static_names=("s",))
    with pytest.raises(ValueError, match=r"inputs must be 7 at each vertex \(1 static, 0 boundary"):
        task.inputs(torch.zeros(1, 3, 5, 2))
    outputs = torch.zeros(1, 1, 5, 2)
    with pytest.raises(ValueError, match=r"targets must have the shape .* 2 channels"):
        task.check_targets(outputs, outputs[..., :1])
    with pytest.raises(ValueError, match="targets must be finite or NaN, got 10 infinite values"):
        task.check_targets(outputs, outputs + torch.inf)
    with pytest.raises(ValueError, match="targets must hold a value, got none but NaN in a batch"):
        task.check_targets(outputs, outputs + torch.nan)
    direct = Forecasting(("t",), input_lags=(-1, 0), step=3)
    with pytest.raises(ValueError, match="to forecast more than one step of 3"):
        list(direct.unroll(torch.nn.Identity(), torch.zeros(1, 2, 5, 1), num_iterations=2))
