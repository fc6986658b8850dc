"""How weights are stepped, and the learning rate over the course of a training."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import torch
from torch import nn

Schedule = Literal["one_cycle", "cosine", "constant", "step"]
OptimizerName = Literal["adamw", "sgd", "rmsprop"]


@dataclass(frozen=True)
class Optimization:
    """AdamW, stochastic gradient descent or RMSprop, with a schedule of the learning rate.

    ==========  ===================================================================================
    one_cycle   Rises from peak/25 to the peak over the first 30 % of all steps, falls to zero;
                the momentum, if there is one, runs against it (Smith & Topin 2018).
    cosine      Falls from the peak to zero along half a cosine, by steps.
    constant    Stays at the peak.
    step        The peak times `step_factor` after every `step_epochs` epochs.
    ==========  ===================================================================================

    Parameters
    ----------
    learning_rate
        The peak, positive.
    weight_decay
        Not negative: decoupled decay of AdamW (which with 0 is Adam), L2 penalty of the others.
    schedule
        One of the above.
    step_epochs, step_factor
        Of the schedule "step": epochs between drops, at least 1, and the factor in (0, 1].
    optimizer
        "adamw", "sgd" or "rmsprop".
    epsilon
        What AdamW and RMSprop add to the root of the second moment, positive. 0.1, as in the
        published experiments, makes AdamW resemble SGD where gradients are small.
    momentum
        Of SGD, in [0, 1).
    smoothing
        Of RMSprop, in [0, 1): how much of its mean of squared gradients a step keeps (called decay
        elsewhere).

    Raises
    ------
    ValueError
        If a number is out of its range or the schedule is unknown.

    Examples
    --------
    >>> Optimization(learning_rate=1e-3, schedule="cosine").weight_decay
    0.01

    References
    ----------
    Loshchilov, Hutter, "Decoupled weight decay regularization", ICLR 2019. Smith, Topin,
    "Super-convergence", 2018.
    """

    learning_rate: float = 5e-3
    weight_decay: float = 1e-2
    schedule: Schedule = "one_cycle"
    step_epochs: int = 10
    step_factor: float = 0.1
    optimizer: OptimizerName = "adamw"
    epsilon: float = 1e-8
    momentum: float = 0.9
    smoothing: float = 0.99

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not self.learning_rate > 0:
            raise ValueError(f"learning_rate must be positive, got {self.learning_rate}")
        if not self.weight_decay >= 0:
            raise ValueError(f"weight_decay must not be negative, got {self.weight_decay}")
        if self.schedule not in get_args(Schedule):
            raise ValueError(
                f"schedule must be one of {', '.join(get_args(Schedule))}, got {self.schedule!r}"
            )
        if self.step_epochs < 1:
            raise ValueError(f"step_epochs must be at least 1, got {self.step_epochs}")
        if not 0 < self.step_factor <= 1:
            raise ValueError(f"step_factor must be in (0, 1], got {self.step_factor}")
        if self.optimizer not in get_args(OptimizerName):
            raise ValueError(
                f"optimizer must be one of {', '.join(get_args(OptimizerName))}, "
                f"got {self.optimizer!r}"
            )
        if not self.epsilon > 0:
            raise ValueError(f"epsilon must be positive, got {self.epsilon}")
        if not 0 <= self.momentum < 1:
            raise ValueError(f"momentum must be in [0, 1), got {self.momentum}")
        if not 0 <= self.smoothing < 1:
            raise ValueError(f"smoothing must be in [0, 1), got {self.smoothing}")

    @property
    def values(self) -> dict[str, Any]:
        """The numbers and words by name."""
        return asdict(self)

    @property
    def depends_on_length(self) -> bool:
        """Whether the learning rate of a step depends on how many steps there will be."""
        return self.schedule in ("one_cycle", "cosine")

    def configure(self, module: nn.Module, *, num_steps: int) -> dict[str, Any]:
        """Optimizer and schedule for the parameters of a module, as Lightning wants them.

        Parameters
        ----------
        module
            Whose parameters are trained.
        num_steps
            Optimizer steps of the whole training.

        Returns
        -------
        dict
            With `optimizer` and `lr_scheduler`.
        """
        parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        optimizer = self._optimizer(parameters)
        schedules = torch.optim.lr_scheduler
        interval = "step"
        match self.schedule:
            case "one_cycle":
                schedule = schedules.OneCycleLR(
                    optimizer,
                    max_lr=self.learning_rate,
                    total_steps=num_steps,
                    cycle_momentum=self._has_momentum,
                )
            case "cosine":
                schedule = schedules.CosineAnnealingLR(optimizer, T_max=num_steps)
            case "constant":
                schedule = schedules.ConstantLR(optimizer, factor=1.0, total_iters=0)
            case "step":
                schedule = schedules.StepLR(optimizer, self.step_epochs, gamma=self.step_factor)
                interval = "epoch"
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": schedule, "interval": interval},
        }

    @property
    def _has_momentum(self) -> bool:
        """Whether there is one that a schedule can change."""
        return self.optimizer == "adamw" or (self.optimizer == "sgd" and self.momentum > 0)

    def _optimizer(self, parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        """The optimizer, without its schedule."""
        common: dict[str, Any] = {"lr": self.learning_rate, "weight_decay": self.weight_decay}
        match self.optimizer:
            case "adamw":
                return torch.optim.AdamW(parameters, eps=self.epsilon, **common)
            case "sgd":
                return torch.optim.SGD(parameters, momentum=self.momentum, **common)
            case "rmsprop":
                return torch.optim.RMSprop(
                    parameters, alpha=self.smoothing, eps=self.epsilon, **common
                )
