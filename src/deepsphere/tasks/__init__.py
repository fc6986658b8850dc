"""Losses, metrics and checks of what a network is trained to do."""

from typing import Any

from deepsphere.tasks.classification import Classification, relative_change
from deepsphere.tasks.regression import Regression

TASKS: dict[str, type[Classification] | type[Regression]] = {
    "classification": Classification,
    "regression": Regression,
}


def task_from_spec(spec: dict[str, Any]) -> Classification | Regression:
    """Task that the plain values of its `spec` describe.

    Parameters
    ----------
    spec
        What `Classification.spec` or `Regression.spec` gave.

    Returns
    -------
    Classification or Regression
        An equal task.

    Raises
    ------
    ValueError
        If the name of the task is unknown.

    Examples
    --------
    >>> task_from_spec(Regression(3).spec)
    Regression(num_outputs=3)
    """
    if spec.get("task") not in TASKS:
        raise ValueError(f"task must be one of {', '.join(TASKS)}, got {spec.get('task')!r}")
    if spec["task"] == "classification":
        return Classification(tuple(spec["class_names"]))
    return Regression(int(spec["num_outputs"]))


__all__ = ["TASKS", "Classification", "Regression", "relative_change", "task_from_spec"]
