"""What the scoring of one checkpoint leaves: the same results as a recipe, without claims."""

from collections.abc import Iterable, Sequence

from torch import nn

from deepsphere.experiments.machine import describe_machine, describe_versions
from deepsphere.experiments.results import ResultRow, Results, make_row
from deepsphere.models import num_parameters


def evaluation_results(
    rows: Sequence[ResultRow],
    model: nn.Module,
    *,
    title: str,
    command: str,
    notes: Iterable[str] = (),
) -> Results:
    """The results of one network, its size as their last row, measured on this machine.

    Parameters
    ----------
    rows
        Its scores.
    model
        The network.
    title
        What was scored, on what.
    command
        What a reader has to type to do it again.
    notes
        What a reader has to know of the data.

    Returns
    -------
    Results

    Examples
    --------
    >>> rows = [make_row("accuracy", [90.0], unit="%", seconds=1.0)]
    >>> results = evaluation_results(rows, nn.Linear(2, 3), title="a trial", command="evaluate")
    >>> [(row.name, row.measured) for row in results.rows]
    [('accuracy', 90.0), ('parameters', 9.0)]
    """
    size = make_row("parameters", [float(num_parameters(model))], seconds=0.0)
    return Results(
        rows=[*rows, size],
        recipe={"title": title},
        command=command,
        machine=describe_machine(),
        versions=describe_versions(),
        notes=list(notes),
    )
