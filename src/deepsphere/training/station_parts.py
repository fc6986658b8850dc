"""Parts of station records: whether they fit each other and an objective."""

import numpy as np

from deepsphere.data.station_objectives import StationObjective
from deepsphere.data.station_records import StationRecords


def fitting_part(
    records: StationRecords, *, name: str, objective: StationObjective, train: StationRecords
) -> StationRecords:
    """The variables of the objective, of records that fit.

    Parameters
    ----------
    records
        A part.
    name
        What it is called.
    objective
        With the variables.
    train
        The part that is learned from.

    Returns
    -------
    StationRecords

    Raises
    ------
    ValueError
        If the part lacks a variable, or is of other stations.
    """
    missing = [one for one in objective.channel_names if one not in records.channel_names]
    if missing:
        raise ValueError(
            f"{name} must have the variables of the objective, "
            f"{', '.join(objective.channel_names)}, got {', '.join(records.channel_names)}"
        )
    if records.sampling != train.sampling:
        raise ValueError(
            f"{name} must be of the stations of the training, {train.sampling!r}, got "
            f"{records.sampling!r}; split one table with split_records"
        )
    return records.select(objective.channel_names)


def check_units(objective: StationObjective, train: StationRecords) -> None:
    """Raise if variables of several units were to be samples of one kind.

    Parameters
    ----------
    objective
        What is learned.
    train
        What it is learned from.

    Raises
    ------
    ValueError
        If they were.
    """
    units = dict(zip(train.channel_names, train.units, strict=True))
    found = {units[name] for name in objective.inputs if name in units}
    if objective.variables == "separate" and len(found) > 1:
        raise ValueError(
            "variables must be together where their units differ, got separate for "
            f"{', '.join(objective.inputs)} in {', '.join(sorted(map(repr, found)))}"
        )


def check_hidden(
    hidden: np.ndarray | None, objective: StationObjective, train: StationRecords
) -> None:
    """Raise unless a mask of hidden stations makes sense.

    Parameters
    ----------
    hidden
        None for no mask, which is fine.
    objective
        What is learned.
    train
        What it is learned from.

    Raises
    ------
    ValueError
        If there is a mask for another objective than imputation, of another length, or of all
        stations or none.
    """
    if hidden is None:
        return
    if objective.kind != "imputation":
        raise ValueError(f"hidden must be None but for imputation, got a mask for {objective.kind}")
    if len(hidden) != train.num_stations or hidden.all() or not hidden.any():
        raise ValueError(
            f"hidden must be a mask of {train.num_stations} stations, some of them True and some "
            f"not, got {int(hidden.sum())} True of {len(hidden)}; use None to hide none"
        )


def why_no_samples(name: str, records: StationRecords, objective: StationObjective) -> str:
    """Why a part has no sample, in words.

    Parameters
    ----------
    name
        Of the part.
    records
        What it is.
    objective
        What is learned.

    Returns
    -------
    str
    """
    if objective.kind == "next_day":
        return (
            f"{name} must hold {objective.history + 1} days in a row with values of "
            f"{', '.join(objective.channel_names)}, got {len(records)} days without; give it more "
            "days, or take a shorter history"
        )
    return (
        f"{name} must hold values of {', '.join(objective.channel_names)}, got "
        f"{len(records)} times without; give it more times"
    )
