"""What the numbers of a forecasting task must fulfil."""

import math
from typing import TYPE_CHECKING, Literal, get_args

from deepsphere.data.windows import check_positive
from deepsphere.tasks.valid_vertices import DifferenceName

if TYPE_CHECKING:
    from deepsphere.tasks.forecasting import Forecasting

GradientPath = Literal["through", "detached"]


def check_forecasting(task: "Forecasting") -> None:
    """Raise if the numbers of a task do not fit together.

    Parameters
    ----------
    task
        All but checked.

    Raises
    ------
    ValueError
        If they do not.
    """
    names = task.channel_names
    if not names or len(set(names)) < len(names) or any(not n or "." in n for n in names):
        raise ValueError(
            f"channel_names must be different, not empty and without a dot, got {names}; "
            "metrics are called after them"
        )
    check_positive("step", task.step)
    check_positive("num_iterations", task.num_iterations)
    if task.loss_name not in get_args(DifferenceName):
        raise ValueError(f"loss must be 'l2' or 'l1', got {task.loss_name!r}")
    if task.gradient not in get_args(GradientPath):
        raise ValueError(f"gradient must be 'through' or 'detached', got {task.gradient!r}")
    if task.num_iterations > 1:
        task.check_iterable()
    if not task.boundary_lags or max(task.boundary_lags) > task.step:
        raise ValueError(
            f"boundary_lags must be at least one and at most the step ({task.step}), got "
            f"{task.boundary_lags}"
        )
    for name, number in (
        ("units", len(names)),
        ("channel_weights", len(names)),
        ("iteration_weights", task.num_iterations),
    ):
        given = getattr(task, name)
        if given is not None and len(given) != number:
            raise ValueError(f"{name} must be {number}, got {len(given)}")
    weights = task.iteration_weights
    if weights is not None and (min(weights) < 0 or not 0 < sum(weights) < math.inf):
        raise ValueError(
            f"iteration_weights must not be negative and not all be zero, got {weights}"
        )
    if not all(0 < weight < math.inf for weight in task.channel_weights or ()):
        raise ValueError(f"channel_weights must be positive, got {task.channel_weights}")
