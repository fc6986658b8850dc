"""Regression of quantities, of a whole signal or at every vertex."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from deepsphere.sampling import sampling_from_spec
from deepsphere.sampling.arrays import Array
from deepsphere.tasks.regression_losses import (
    LARGEST_LOG_VARIANCE,
    LossName,
    check_loss,
    gaussian_nll,
)
from deepsphere.tasks.target_moments import target_moments
from deepsphere.tasks.valid_vertices import areas_like, difference_loss

if TYPE_CHECKING:
    from torchmetrics import MetricCollection

_STD_SUFFIX = "_std"


@dataclass(frozen=True, init=False, repr=False)
class Regression:
    r"""The task of predicting real quantities, for each signal or for each of its vertices.

    Targets at vertices may be NaN, quantity by quantity: not observed. They count neither in the
    loss nor in a metric. Targets of whole signals must be known: leave signals without them out.

    Targets are always in the units of the quantities. Networks predict them standardized,
    (target - offset) / scale, so that quantities of different sizes weigh the same; losses and
    metrics are of standardized values, and `quantities` gives the units back.

    ========  =====================================================================================
    loss
    ========  =====================================================================================
    l2        mean squared error
    l1        mean absolute error: far-off targets weigh less, and the network learns the median
    gaussian  the network also says how sure it is: its outputs are the means μ and then the
              logarithms s of the variances of all quantities, and the loss of a target t is its
              negative log-likelihood, ½ (s + (t − μ)² e⁻ˢ + ln 2π)
    ========  =====================================================================================

    Parameters
    ----------
    num_outputs
        Number of quantities, at least one.
    loss
        "l2", "l1" or "gaussian".
    names
        Name of each quantity, all different; none: output_0, output_1, ...
    units
        Unit of each quantity, "" for a pure number; none: not known.
    offset, scale
        The value of each quantity that is predicted as 0, and by how much it differs from the one
        predicted as 1, positive: mean and standard deviation of the training (see `standardizing`).
        None: 0 and 1.
    sampling
        Specification of the sampling by whose areas vertices weigh, in loss and metrics; None: all
        vertices weigh the same. For targets at vertices only.

    Attributes
    ----------
    loss_name : str
        The `loss` given; the attribute `loss` is the function.

    Raises
    ------
    ValueError
        If `num_outputs` is less than one, the loss is not one of these, a tuple has another length,
        names are repeated, an offset is not finite, a scale is not positive, or there is no such
        sampling.

    Examples
    --------
    >>> Regression(1).loss(torch.zeros(2, 1), torch.tensor([[1.0], [3.0]])).item()
    5.0
    >>> targets = torch.tensor([[[1.0], [float("nan")]]])  # of one signal with two vertices
    >>> Regression(1).loss(torch.zeros(1, 2, 1), targets).item()
    1.0
    >>> task = Regression(
    ...     2, loss="gaussian", names=("omega_m", "sigma_8"), offset=(0.3, 0.8), scale=(0.1, 0.2)
    ... )
    >>> task.num_model_outputs
    4
    >>> outputs = torch.tensor([[1.0, -1.0, 0.0, -2.0]])
    >>> {name: round(float(value), 3) for name, value in task.quantities(outputs).items()}
    {'omega_m': 0.4, 'omega_m_std': 0.1, 'sigma_8': 0.6, 'sigma_8_std': 0.074}

    References
    ----------
    Nix and Weigend (1994), Estimating the mean and variance of the target probability distribution
    (the Gaussian loss).
    """

    num_outputs: int
    loss_name: LossName
    names: tuple[str, ...] | None
    units: tuple[str, ...] | None
    offset: tuple[float, ...] | None
    scale: tuple[float, ...] | None
    sampling: str | None

    def __init__(
        self,
        num_outputs: int = 1,
        *,
        loss: LossName = "l2",
        names: Sequence[str] | None = None,
        units: Sequence[str] | None = None,
        offset: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        sampling: str | None = None,
    ) -> None:
        fields = {
            "num_outputs": num_outputs,
            "loss_name": loss,
            "names": None if names is None else tuple(names),
            "units": None if units is None else tuple(units),
            "offset": None if offset is None else tuple(map(float, offset)),
            "scale": None if scale is None else tuple(map(float, scale)),
            "sampling": sampling,
        }
        for name, value in fields.items():
            object.__setattr__(self, name, value)
        self._check()

    def _check(self) -> None:
        """Raise if the quantities are not well described."""
        if self.num_outputs < 1:
            raise ValueError(f"num_outputs must be at least 1, got {self.num_outputs}")
        check_loss(self.loss_name)
        for name in ("names", "units", "offset", "scale"):
            given = getattr(self, name)
            if given is not None and len(given) != self.num_outputs:
                raise ValueError(
                    f"{name} must be as many as the quantities ({self.num_outputs}), got "
                    f"{len(given)}"
                )
        columns = self.column_names
        repeated = sorted({name for name in columns if columns.count(name) > 1})
        if repeated or not all(columns):
            raise ValueError(
                f"names must be different and not empty, got {', '.join(map(repr, columns))} for "
                "the columns of the predictions"
            )
        if any("." in name for name in columns):
            raise ValueError(
                f"names must have no dot, got {', '.join(map(repr, columns))}; metrics are called "
                "after them, and no part of a torch module can be called so"
            )
        if self.offset is not None and not all(map(math.isfinite, self.offset)):
            raise ValueError(f"offset must be finite, got {self.offset}")
        if self.scale is not None and not all(math.isfinite(s) and s > 0 for s in self.scale):
            raise ValueError(
                f"scale must be finite and positive, got {self.scale}; a quantity that is the same "
                "everywhere cannot be learned: leave it out"
            )
        if self.sampling is not None:
            sampling_from_spec(self.sampling)

    def __repr__(self) -> str:
        """What differs from the default."""
        parts = [f"num_outputs={self.num_outputs}"]
        if self.loss_name != "l2":
            parts.append(f"loss={self.loss_name!r}")
        for name in ("names", "units", "offset", "scale", "sampling"):
            if getattr(self, name) is not None:
                parts.append(f"{name}={getattr(self, name)!r}")
        return f"Regression({', '.join(parts)})"

    @classmethod
    def standardizing(
        cls,
        targets: Float[np.ndarray, "*batch outputs"],
        *,
        loss: LossName = "l2",
        names: Sequence[str] | None = None,
        units: Sequence[str] | None = None,
        sampling: str | None = None,
    ) -> "Regression":
        """The task whose offset and scale are mean and standard deviation of targets.

        Parameters
        ----------
        targets
            Those of the training, in the units of the quantities: of whole signals, shape (batch,
            outputs), or at vertices, shape (*batch, vertices, outputs) with at least three axes,
            where NaN was not observed and does not count. Each vertex weighs the same.
        loss, names, units, sampling
            As in the constructor.

        Returns
        -------
        Regression

        Raises
        ------
        ValueError
            If there is no target of a quantity, one is not finite (but NaN at a vertex), or a
            quantity is the same everywhere.

        Examples
        --------
        >>> Regression.standardizing(np.array([[0.2], [0.4]]), names=("omega_m",))
        Regression(num_outputs=1, names=('omega_m',), offset=(0.3,), scale=(0.1,))
        """
        mean, deviation = target_moments(targets)
        return cls(
            len(mean),
            loss=loss,
            names=names,
            units=units,
            offset=mean,
            scale=deviation,
            sampling=sampling,
        )

    @property
    def num_model_outputs(self) -> int:
        """Number of outputs of a model for the task: its `out_channels`."""
        return self.num_outputs * (2 if self.loss_name == "gaussian" else 1)

    @property
    def quantity_names(self) -> tuple[str, ...]:
        """Name of each quantity; output_0, output_1, ... where none were given."""
        return self.names or tuple(f"output_{index}" for index in range(self.num_outputs))

    @property
    def column_names(self) -> tuple[str, ...]:
        """The keys of `quantities`, in their order."""
        if self.loss_name != "gaussian":
            return self.quantity_names
        return tuple(f"{name}{end}" for name in self.quantity_names for end in ("", _STD_SUFFIX))

    @property
    def column_units(self) -> tuple[str, ...] | None:
        """Unit of each column of `quantities`; None where no units were given."""
        if self.units is None or self.loss_name != "gaussian":
            return self.units
        return tuple(unit for unit in self.units for _ in range(2))

    @property
    def spec(self) -> dict[str, Any]:
        """Plain values that rebuild the task with `tasks.task_from_spec`."""
        described: dict[str, Any] = {
            name: list(value)
            for name in ("names", "units", "offset", "scale")
            if (value := getattr(self, name)) is not None
        }
        if self.sampling is not None:
            described["sampling"] = self.sampling
        return {
            "task": "regression",
            "num_outputs": self.num_outputs,
            "loss": self.loss_name,
            **described,
        }

    def quantities(self, outputs: Array) -> dict[str, Array]:
        """What the outputs of a model say about each quantity, in its unit.

        Parameters
        ----------
        outputs
            Shape (*batch, num_model_outputs), tensor or array.

        Returns
        -------
        dict
            Values of shape (*batch,) by name: for each quantity its prediction and, with the
            Gaussian loss, under the name followed by _std the standard deviation of its error.

        Raises
        ------
        ValueError
            If there is another number of outputs.
        """
        self._check_outputs(tuple(outputs.shape))
        offset, scale = self._offset_and_scale()
        columns: dict[str, Array] = {}
        for index, name in enumerate(self.quantity_names):
            columns[name] = outputs[..., index] * scale[index] + offset[index]
            if self.loss_name == "gaussian":
                half = self._log_variances(outputs)[..., index] / 2
                spread: Any = torch.exp(half) if isinstance(half, Tensor) else np.exp(half)
                columns[f"{name}{_STD_SUFFIX}"] = spread * scale[index]
        return columns

    def standardize(
        self, targets: Float[Tensor, "*batch outputs"]
    ) -> Float[Tensor, "*batch outputs"]:
        """Targets as a network predicts them, (target - offset) / scale.

        Parameters
        ----------
        targets
            Shape (*batch, outputs), in the units of the quantities.

        Returns
        -------
        Float[Tensor, "*batch outputs"]
        """
        if self.offset is not None:
            targets = targets - targets.new_tensor(self.offset)
        if self.scale is not None:
            targets = targets / targets.new_tensor(self.scale)
        return targets

    def loss(
        self,
        outputs: Float[Tensor, "*batch model_outputs"],
        targets: Float[Tensor, "*batch outputs"],
    ) -> Float[Tensor, ""]:
        """The loss of standardized targets: mean over signals, vertices and quantities.

        Parameters
        ----------
        outputs
            Shape (batch, num_model_outputs) or (batch, vertices, num_model_outputs).
        targets
            Shape (batch, outputs) or (batch, vertices, outputs), in the units of the quantities;
            NaN at a vertex where one was not observed.

        Returns
        -------
        Float[Tensor, ""]
            The mean over everything observed; 0, with zero gradients, where nothing was at any
            vertex of the batch.
        """
        targets = self.standardize(targets)
        counted: dict[str, Any] = {}
        if outputs.ndim > 2:
            counted = {"areas": areas_like(outputs, self.sampling), "valid": ~targets.isnan()}
        if self.loss_name == "gaussian":
            means, log_variances = self._means(outputs), self._log_variances(outputs)
            return gaussian_nll(means, log_variances, targets, **counted)
        if counted:
            return difference_loss(outputs, targets, loss=self.loss_name, **counted)
        if self.loss_name == "l1":
            return torch.nn.functional.l1_loss(outputs, targets)
        return torch.nn.functional.mse_loss(outputs, targets)

    def check_targets(self, outputs: Float[Tensor, "..."], targets: Float[Tensor, "..."]) -> None:
        """Raise unless the targets fit the outputs and are finite, or NaN at a vertex.

        Parameters
        ----------
        outputs
            What the model made, shape (batch, num_model_outputs) or (batch, vertices,
            num_model_outputs).
        targets
            Shape (batch, outputs) or (batch, vertices, outputs).

        Raises
        ------
        ValueError
            If a shape does not fit, a target is infinite, or that of a whole signal is NaN.
        """
        if outputs.ndim not in (2, 3):
            raise ValueError(self._shape_message(tuple(outputs.shape)))
        self._check_outputs(tuple(outputs.shape))
        expected = (*outputs.shape[:-1], self.num_outputs)
        if tuple(targets.shape) != expected:
            raise ValueError(
                f"targets must have shape {expected}, got {tuple(targets.shape)}; one for each "
                "quantity where the model has outputs"
            )
        if outputs.ndim == 2 and self.sampling is not None:
            raise ValueError(
                f"sampling must be None where a signal has one target, got {self.sampling!r}; it "
                "says how much the vertices weigh that have targets"
            )
        if outputs.ndim == 2:
            num_bad, rule, found = int((~targets.isfinite()).sum()), "finite", "NaN or infinite"
        else:
            num_bad, rule, found = int(targets.isinf().sum()), "finite or NaN", "infinite"
        if num_bad:
            raise ValueError(
                f"targets must be {rule}, got {num_bad} {found} values of {targets.numel()} in "
                "the batch"
            )

    def metrics(self) -> "MetricCollection":
        """Errors of the predictions, over all signals and vertices with targets.

        =============  ============================================================================
        mse, mae       mean squared and mean absolute error of standardized values
        r2             coefficient of determination, averaged over quantities
        rmse_<name>    root mean square error in the unit of the quantity, where names were given
        chi_square     mean of ((target − mean) / standard deviation)² with the Gaussian loss: 1 for
                       right standard deviations, more where the network is too sure
        coverage       share of targets within one standard deviation: .683 for Gaussian errors
        =============  ============================================================================

        Returns
        -------
        torchmetrics.MetricCollection
            Fresh metrics, to be fed by `update_metrics`.
        """
        from deepsphere.tasks.regression_metrics import make_metrics

        return make_metrics(num_outputs=self.num_outputs, loss=self.loss_name, names=self.names)

    def update_metrics(
        self,
        metrics: "MetricCollection",
        outputs: Float[Tensor, "*batch model_outputs"],
        targets: Float[Tensor, "*batch outputs"],
    ) -> None:
        """Take a batch into account.

        Parameters
        ----------
        metrics
            What `metrics` made; updated in place, which is what it is for.
        outputs
            Shape (batch, num_model_outputs) or (batch, vertices, num_model_outputs).
        targets
            Shape (batch, outputs) or (batch, vertices, outputs), in the units of the quantities.
        """
        # every vertex counts as a sample of its own
        weights = self._weights(outputs, targets).reshape(-1, self.num_outputs)
        outputs = outputs.reshape(-1, self.num_model_outputs)
        standardized = self.standardize(targets.reshape(-1, self.num_outputs))
        means = self._means(outputs)
        errors = means - standardized
        metrics["mse"].update(errors.square(), weights)
        metrics["mae"].update(errors.abs(), weights)
        metrics["r2"].update(means, standardized, weights)
        if self.names is not None:
            _, scale = self._offset_and_scale()
            for index, name in enumerate(self.names):
                squares = (errors[:, index] * scale[index]).square()
                metrics[f"rmse_{name}"].update(squares, weights[:, index])
        if self.loss_name == "gaussian":
            squares = errors.square() * torch.exp(-self._log_variances(outputs))
            metrics["chi_square"].update(squares, weights)
            metrics["coverage"].update((squares <= 1).to(squares.dtype), weights)

    def _weights(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Whether each target counts, or how much."""
        if outputs.ndim == 2:
            return torch.ones_like(targets, dtype=torch.bool)
        observed, areas = ~targets.isnan(), areas_like(outputs, self.sampling)
        return observed if areas is None else observed * areas.unsqueeze(-1)

    def _means(self, outputs: Tensor) -> Tensor:
        """The standardized predictions among the outputs."""
        return outputs[..., : self.num_outputs]

    def _log_variances(self, outputs: Array) -> Array:
        """The logarithms of the variances among the outputs, as far as they count."""
        values = outputs[..., self.num_outputs :]
        return values.clip(-LARGEST_LOG_VARIANCE, LARGEST_LOG_VARIANCE)

    def _offset_and_scale(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Both, as they are or as they are if not given."""
        zeros, ones = (0.0,) * self.num_outputs, (1.0,) * self.num_outputs
        return self.offset or zeros, self.scale or ones

    def _check_outputs(self, shape: tuple[int, ...]) -> None:
        """Raise if outputs are not as many as the task takes."""
        if not shape or shape[-1] != self.num_model_outputs:
            raise ValueError(self._shape_message(shape))

    def _shape_message(self, shape: tuple[int, ...]) -> str:
        """What outputs should be."""
        number = self.num_model_outputs
        why = (
            f" (means and log-variances of {self.num_outputs})"
            if number != self.num_outputs
            else ""
        )
        return (
            f"outputs must have shape (batch, {number}) or (batch, vertices, {number}){why}, got "
            f"{shape}; build the model with out_channels={number}"
        )
