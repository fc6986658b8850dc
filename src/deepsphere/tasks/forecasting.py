"""Forecasting of fields, step after step from what was forecast before."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from deepsphere.data.field_series import FieldSeries
from deepsphere.data.windows import check_lags
from deepsphere.tasks.forecast_checks import GradientPath, check_forecasting
from deepsphere.tasks.forecast_metrics import feed_metrics, make_metrics
from deepsphere.tasks.valid_vertices import DifferenceName, difference_loss

if TYPE_CHECKING:
    from torchmetrics import MetricCollection


@dataclass(frozen=True, init=False)
class Forecasting:
    r"""The task of forecasting the fields a step ahead, and so on from the forecast.

    A network sees at every vertex, in this order: static fields; boundary fields, lag by lag; the
    fields at the lags, oldest first. What it makes is the field `step` after the start. For the
    next step the newest forecast takes its place among the inputs and the oldest field leaves.

    Fields are scaled to unit variance (and may be anomalies); so are losses and metrics. The loss
    of an iteration is the mean difference, weighted by area, over what was observed; the whole loss
    is the weighted mean over the iterations,

    .. math:: \sum_i w_i L_i \Big/ \sum_i w_i

    Parameters
    ----------
    channel_names
        Of the fields that are forecast, different and without a dot.
    units
        Unit of each, "" where it is not known; none: not known.
    input_lags
        Times of the inputs before the start, in steps of the series: increasing, the last one 0.
    step
        Steps of the series to the first forecast and from each to the next.
    num_iterations
        How many steps are forecast in training; more than one needs lags −k·step, ..., −step, 0.
    static_names, boundary_names
        Of the fields that a network sees beside.
    boundary_lags
        Times at which it sees the boundary fields, from the start of each iteration and at most
        `step`. None: at the start and at the time that is forecast.
    loss
        "l2" (mean squared difference) or "l1" (mean absolute difference).
    gradient
        "through" the iterations: what an early forecast does to later ones counts. "detached": each
        iteration takes the one before as if it had been observed.
    iteration_weights
        w, not negative, not all zero; ones if not given.
    channel_weights
        Weight of each channel in the loss, positive; ones if not given.

    Attributes
    ----------
    loss_name : str
        The `loss` given; the attribute `loss` is the function.

    Raises
    ------
    ValueError
        If a number is out of its range or the numbers do not fit together.

    Examples
    --------
    >>> task = Forecasting(("t2m",), static_names=("sin_lat",), num_iterations=2)
    >>> task.num_model_inputs, task.num_model_outputs
    (4, 1)
    >>> states = torch.tensor([1.0, 2.0, 3.0]).reshape(1, 3, 1, 1)
    >>> def persistence(inputs):
    ...     return inputs[..., -1:]
    >>> forecasts = list(task.unroll(persistence, states, static=torch.zeros(1, 1)))
    >>> [forecast.item() for forecast in forecasts]
    [3.0, 3.0]

    References
    ----------
    Keisler (2022), Forecasting global weather with graph neural networks, section 2.3 (training
    through several steps).
    """

    channel_names: tuple[str, ...]
    units: tuple[str, ...] | None
    input_lags: tuple[int, ...]
    step: int
    num_iterations: int
    static_names: tuple[str, ...]
    boundary_names: tuple[str, ...]
    boundary_lags: tuple[int, ...]
    loss_name: DifferenceName
    gradient: GradientPath
    iteration_weights: tuple[float, ...] | None
    channel_weights: tuple[float, ...] | None

    class_names = None  # what the metadata of a checkpoint hold of a classifier

    def __init__(
        self,
        channel_names: Sequence[str],
        *,
        units: Sequence[str] | None = None,
        input_lags: Sequence[int] = (-2, -1, 0),
        step: int = 1,
        num_iterations: int = 1,
        static_names: Sequence[str] = (),
        boundary_names: Sequence[str] = (),
        boundary_lags: Sequence[int] | None = None,
        loss: DifferenceName = "l2",
        gradient: GradientPath = "through",
        iteration_weights: Sequence[float] | None = None,
        channel_weights: Sequence[float] | None = None,
    ) -> None:
        fields = {
            "channel_names": tuple(channel_names),
            "units": None if units is None else tuple(units),
            "input_lags": check_lags(input_lags),
            "step": step,
            "num_iterations": num_iterations,
            "static_names": tuple(static_names),
            "boundary_names": tuple(boundary_names),
            "boundary_lags": (0, step) if boundary_lags is None else tuple(boundary_lags),
            "loss_name": loss,
            "gradient": gradient,
            "iteration_weights": _as_weights(iteration_weights),
            "channel_weights": _as_weights(channel_weights),
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)
        check_forecasting(self)

    @classmethod
    def of_series(cls, series: FieldSeries, **options: Any) -> "Forecasting":
        """The task of forecasting all channels of a series, seeing all fields beside them.

        Parameters
        ----------
        series
            Whose names and units are taken.
        options
            All other arguments.

        Returns
        -------
        Forecasting
        """
        boundary = () if series.boundary is None else series.boundary.channel_names
        return cls(
            series.channel_names,
            units=series.units,
            static_names=series.static_names,
            boundary_names=boundary,
            **options,
        )

    @property
    def num_model_inputs(self) -> int:
        """Number of inputs of a model for the task: its `in_channels`."""
        num_boundary = len(self.boundary_names) * len(self.boundary_lags)
        num_states = len(self.channel_names) * len(self.input_lags)
        return len(self.static_names) + num_boundary + num_states

    @property
    def num_model_outputs(self) -> int:
        """Number of outputs of a model for the task: its `out_channels`."""
        return len(self.channel_names)

    @property
    def history(self) -> int:
        """Steps of a series before a part of it that windows need so that it begins with a target.

        See `split_series`.
        """
        return self.step - self.input_lags[0]

    @property
    def spec(self) -> dict[str, Any]:
        """Plain values that rebuild the task with `tasks.task_from_spec`."""
        return {
            "task": "forecasting",
            "channel_names": list(self.channel_names),
            "units": None if self.units is None else list(self.units),
            "input_lags": list(self.input_lags),
            "step": self.step,
            "num_iterations": self.num_iterations,
            "static_names": list(self.static_names),
            "boundary_names": list(self.boundary_names),
            "boundary_lags": list(self.boundary_lags),
            "loss": self.loss_name,
            "gradient": self.gradient,
            "iteration_weights": _as_list(self.iteration_weights),
            "channel_weights": _as_list(self.channel_weights),
        }

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> "Forecasting":
        """The task that the plain values of its `spec` describe.

        Parameters
        ----------
        spec
            Of a task.

        Returns
        -------
        Forecasting
        """
        return cls(**{key: value for key, value in spec.items() if key != "task"})

    def check_iterable(self) -> None:
        """Raise unless forecasts can take the place of inputs.

        Raises
        ------
        ValueError
            If a time between two forecasts would be needed, which nothing forecasts.
        """
        expected = tuple(-self.step * lag for lag in reversed(range(len(self.input_lags))))
        if self.input_lags != expected:
            raise ValueError(
                f"input_lags must be {expected} to forecast more than one step of {self.step}, "
                f"got {self.input_lags}; the times between are not forecast"
            )

    def inputs(
        self,
        states: Float[Tensor, "*batch lags vertices channels"],
        *,
        boundary: Float[Tensor, "*batch vertices boundary"] | None = None,
        static: Float[Tensor, "vertices static"] | None = None,
    ) -> Float[Tensor, "*batch vertices inputs"]:
        """What a network sees at each vertex.

        Parameters
        ----------
        states
            Fields at the lags, oldest first.
        boundary
            Boundary fields, all of the first lag first.
        static
            Static fields.

        Returns
        -------
        Float[Tensor, "*batch vertices inputs"]

        Raises
        ------
        ValueError
            If they are not as many as the task says.
        """
        shape = (*states.shape[:-3], states.shape[-2])
        parts = [states.transpose(-3, -2).flatten(-2)]
        if boundary is not None:
            parts.insert(0, boundary)
        if static is not None:
            parts.insert(0, static.expand(*shape, -1))
        features = torch.cat(parts, dim=-1)
        if features.shape[-1] != self.num_model_inputs:
            raise ValueError(
                f"inputs must be {self.num_model_inputs} at each vertex "
                f"({len(self.static_names)} static, {len(self.boundary_names)} boundary at "
                f"{len(self.boundary_lags)} lags, {len(self.channel_names)} fields at "
                f"{len(self.input_lags)} lags), got {features.shape[-1]}"
            )
        return features

    def unroll(
        self,
        model: Callable[[Tensor], Tensor],
        states: Float[Tensor, "*batch lags vertices channels"],
        *,
        boundary: Float[Tensor, "*batch iterations vertices boundary"] | None = None,
        static: Float[Tensor, "vertices static"] | None = None,
        valid: Bool[Tensor, "vertices channels"] | None = None,
        num_iterations: int | None = None,
    ) -> Iterator[Float[Tensor, "*batch vertices channels"]]:
        """Forecasts, one after the other.

        Parameters
        ----------
        model
            Maps the inputs (*batch, vertices, num_model_inputs) to the forecast.
        states
            Fields at the lags, scaled; NaN is missing. A model that was built with
            ``missing="renormalize"`` sees the NaN; for all others it is zero, the mean.
        boundary
            Boundary fields of each iteration.
        static
            Static fields.
        valid
            Where there are fields at all; elsewhere forecasts are not looked at again.
        num_iterations
            How many; as many as the task says if not given.

        Yields
        ------
        Float[Tensor, "*batch vertices channels"]
            What the model made.

        Raises
        ------
        ValueError
            If inputs are not as many as the task says, or forecasts cannot be inputs.
        """
        number = self.num_iterations if num_iterations is None else num_iterations
        if number > 1:
            self.check_iterable()
        sees_missing = getattr(model, "missing", "raise") == "renormalize"
        fill = torch.nan if sees_missing else 0.0
        if valid is not None:
            states = torch.where(valid, states, fill)
        if not sees_missing:
            states = torch.where(states.isnan(), 0.0, states)
        for iteration in range(number):
            now = None if boundary is None else boundary[..., iteration, :, :]
            forecast = model(self.inputs(states, boundary=now, static=static))
            yield forecast
            if iteration + 1 == number:
                return
            newest = forecast if self.gradient == "through" else forecast.detach()
            if valid is not None:
                newest = torch.where(valid, newest, fill)
            states = torch.cat([states[..., 1:, :, :], newest.unsqueeze(-3)], dim=-3)

    def iteration_losses(
        self,
        outputs: Float[Tensor, "batch iterations vertices channels"],
        targets: Float[Tensor, "batch iterations vertices channels"],
        *,
        areas: Float[Tensor, "vertices"] | None = None,
        valid: Bool[Tensor, "vertices channels"] | None = None,
    ) -> Float[Tensor, "iterations"]:
        """The loss of each iteration.

        Parameters
        ----------
        outputs, targets
            Scaled forecasts, and what was observed; NaN where it was not.
        areas
            Of the vertices; equal if not given.
        valid
            What counts; everything observed if not given.

        Returns
        -------
        Float[Tensor, "iterations"]
        """
        if self.channel_weights is not None:
            weights = outputs.new_tensor(self.channel_weights)
            weights = weights * len(weights) / weights.sum()
            scale = weights.sqrt() if self.loss_name == "l2" else weights
            outputs, targets = outputs * scale, targets * scale
        pairs = zip(outputs.unbind(1), targets.unbind(1), strict=True)
        mask = None if valid is None else valid.unsqueeze(0)
        return torch.stack(
            [
                difference_loss(output, target, loss=self.loss_name, areas=areas, valid=mask)
                for output, target in pairs
            ]
        )

    def loss(
        self,
        outputs: Float[Tensor, "batch iterations vertices channels"],
        targets: Float[Tensor, "batch iterations vertices channels"],
        *,
        areas: Float[Tensor, "vertices"] | None = None,
        valid: Bool[Tensor, "vertices channels"] | None = None,
        weights: Float[Tensor, "iterations"] | None = None,
    ) -> Float[Tensor, ""]:
        """The weighted mean of the losses of the iterations.

        Parameters
        ----------
        outputs, targets, areas, valid
            As of `iteration_losses`.
        weights
            Of the iterations, in place of those of the task.

        Returns
        -------
        Float[Tensor, ""]
        """
        losses = self.iteration_losses(outputs, targets, areas=areas, valid=valid)
        if weights is None:
            given = self.iteration_weights or (1.0,) * len(losses)
            weights = losses.new_tensor(given[: len(losses)])
        weights = weights.to(losses)
        return (weights * losses).sum() / weights.sum()

    def check_targets(self, outputs: Float[Tensor, "..."], targets: Float[Tensor, "..."]) -> None:
        """Raise unless targets fit the outputs and are finite or NaN.

        Parameters
        ----------
        outputs, targets
            As of `loss`.

        Raises
        ------
        ValueError
            If a shape does not fit, a target is infinite, or none was observed.
        """
        if outputs.shape != targets.shape or targets.shape[-1] != len(self.channel_names):
            raise ValueError(
                "targets must have the shape (batch, iterations, vertices, "
                f"{len(self.channel_names)} channels) of the outputs, {tuple(outputs.shape)}, got "
                f"{tuple(targets.shape)}"
            )
        if targets.isinf().any():
            raise ValueError(
                f"targets must be finite or NaN, got {int(targets.isinf().sum())} infinite values"
            )
        if targets.isnan().all():
            raise ValueError("targets must hold a value, got none but NaN in a batch")

    def metrics(self) -> "MetricCollection":
        """Root mean square errors of the first and the last iteration, weighted by area.

        Their names are ``rmse_<channel>_<iteration>``; they are in the units of the channels.

        Returns
        -------
        torchmetrics.MetricCollection
            Fresh metrics, to be fed by `update_metrics`.
        """
        return make_metrics(self.channel_names, self._judged_iterations)

    def update_metrics(
        self,
        metrics: "MetricCollection",
        outputs: Float[Tensor, "batch iterations vertices channels"],
        targets: Float[Tensor, "batch iterations vertices channels"],
        *,
        areas: Float[Tensor, "vertices"] | None = None,
        valid: Bool[Tensor, "vertices channels"] | None = None,
        scale: Float[Tensor, "channels"] | None = None,
    ) -> None:
        """Take a batch into account.

        Parameters
        ----------
        metrics
            What `metrics` made; updated in place, which is what it is for.
        outputs, targets, areas, valid
            As of `iteration_losses`.
        scale
            By what each channel was divided; 1 if not given.
        """
        mask = ~targets.isnan() if valid is None else ~targets.isnan() & valid
        squares = (outputs - targets).square()
        for iteration in self._judged_iterations:
            feed_metrics(
                metrics,
                squares[:, iteration],
                channel_names=self.channel_names,
                iteration=iteration,
                areas=areas,
                valid=mask[:, iteration],
                scale=scale,
            )

    @property
    def _judged_iterations(self) -> tuple[int, ...]:
        """The first and the last."""
        return tuple(sorted({0, self.num_iterations - 1}))


def _as_weights(weights: Sequence[float] | None) -> tuple[float, ...] | None:
    """Weights as numbers."""
    return None if weights is None else tuple(map(float, weights))


def _as_list(weights: tuple[float, ...] | None) -> list[float] | None:
    """Weights as plain values."""
    return None if weights is None else list(weights)
