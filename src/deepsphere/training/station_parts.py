"""Parts of station records: whether they fit each other and an objective."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from deepsphere.data.station_objectives import StationObjective, day_windows
from deepsphere.data.station_records import StationRecords
from deepsphere.training.channel_scaling import ChannelScaling

# The median of values, further than so many deviations of the training from its mean, is not in
# its unit: kelvin for °C are 27 of them, and the coldest place is 7.
_MOST_DEVIATIONS = 10.0


def check_given(records: Any, objective: Any, *, name: str = "records") -> None:
    """Raise unless records and an objective are such, and not a path or a word.

    Parameters
    ----------
    records
        What was given as records.
    objective
        What was given as what is learned.
    name
        What the records are called.

    Raises
    ------
    TypeError
        If they are not.
    """
    if not isinstance(records, StationRecords):
        raise TypeError(
            f"{name} must be StationRecords, got {type(records).__name__}; read_stations reads "
            "them from a file"
        )
    if not isinstance(objective, StationObjective):
        raise TypeError(
            f"objective must be a StationObjective, got {objective!r}; next_day, same_day, "
            "day_of_year and imputation make one"
        )


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
        If the part lacks a variable, is of other stations, or of one alone.
    """
    if train.num_stations < 2:
        raise ValueError(
            f"train must be of at least 2 stations to join in a graph, got {train.num_stations}"
        )
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


def check_records(
    records: StationRecords,
    objective: StationObjective,
    *,
    units: Mapping[str, str],
    scaling: ChannelScaling,
) -> StationRecords:
    """The inputs of the objective, of records that a network can predict from.

    Parameters
    ----------
    records
        Of any stations.
    objective
        With the variables.
    units
        Of the variables in the training.
    scaling
        Of the inputs in the training.

    Returns
    -------
    StationRecords

    Raises
    ------
    ValueError
        If a variable is missing, or in another unit; or there is one station alone, or too few
        days in a row.
    """
    missing = [name for name in objective.inputs if name not in records.channel_names]
    if missing:
        raise ValueError(
            f"records must have the variables {', '.join(objective.inputs)}, got "
            f"{', '.join(records.channel_names)}"
        )
    if records.num_stations < 2:
        raise ValueError(
            "records must be of at least 2 stations to join in a graph, got 1; predict it together "
            "with others"
        )
    chosen = records.select(objective.inputs)
    for index, (name, unit) in enumerate(zip(chosen.channel_names, chosen.units, strict=True)):
        trained = units.get(name, "")
        if unit and trained and unit != trained:
            raise ValueError(
                f"{name} must be in {trained!r}, as in the training, got {unit!r}; convert it"
            )
        if trained and not unit:
            _check_plausible(chosen.values[..., index], name, trained, scaling, index)
    if not len(day_windows(records.axis, objective)):
        raise ValueError(
            f"records must hold {objective.history} days in a row to predict from, got "
            f"{len(records)} days without; take more days"
        )
    return chosen


def _check_plausible(
    values: np.ndarray, name: str, unit: str, scaling: ChannelScaling, index: int
) -> None:
    """Raise where values without a unit cannot be in that of the training."""
    there = values[~np.isnan(values)]
    middle = float(np.median(there)) if len(there) else scaling.mean[index]
    if abs(middle - scaling.mean[index]) > _MOST_DEVIATIONS * scaling.deviation[index]:
        raise ValueError(
            f"{name} must be in {unit!r}, as in the training with a mean of "
            f"{scaling.mean[index]:.4g}, got values around {middle:.4g} without a unit; say it "
            f"where they are read, units={{{name!r}: ...}}"
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
