"""What is learned from stations: the next day, another variable, the season, a silent station."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float, Int

from deepsphere.data.calendars import Times, later
from deepsphere.data.time_axis import TimeAxis, TimeStep
from deepsphere.data.windows import check_positive

ObjectiveKind = Literal["next_day", "same_day", "day_of_year", "imputation"]
Variables = Literal["together", "separate"]
"""Several variables as channels of one sample, or each as samples of its own."""

SEASON = "season"
"""Name of the target of the objective "day_of_year"."""

# Mean length of a year in days.
_YEAR = 365.25
_DAY = TimeStep("seconds", 86400)


@dataclass(frozen=True)
class StationObjective:
    """Which values of stations are known, and which are predicted from them.

    `next_day`, `same_day`, `day_of_year` and `imputation` make one with fewer words.

    ===========  ==================================================================================
    kind
    ===========  ==================================================================================
    next_day     values of day t, at every station, from those of the days t − history ... t − 1
    same_day     other variables of day t, at every station, from the inputs of the same day
    day_of_year  the season (1 − cos(2π d / 365.25)) / 2 of the d-th day of a year, one number for
                 all stations together, from the inputs of that day
    imputation   values at stations that are silent or hidden, from the others of the same day
    ===========  ==================================================================================

    Parameters
    ----------
    kind
        One of the above.
    inputs
        Names of the variables that are known.
    targets
        Names of those that are predicted: the inputs themselves, or some of them, for "next_day"
        and "imputation"; others for "same_day"; the season for "day_of_year".
    history
        Days that are known, for "next_day"; else 1.
    variables
        Of "next_day" with several inputs that are the targets too: "together", as channels of one
        sample, or "separate", each as samples of one channel, as in the published experiment.

    Raises
    ------
    ValueError
        If a word is unknown, a name is missing or repeated, or they do not fit the kind.

    Examples
    --------
    >>> next_day("tmin", "tmax").targets
    ('tmin', 'tmax')
    >>> same_day("tmin", targets=("tmax",)).inputs
    ('tmin',)

    References
    ----------
    Defferrard, Milani, Gusset and Perraudin, "DeepSphere: a graph-based spherical CNN", 2020,
    section 4.4.
    """

    kind: ObjectiveKind
    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    history: int = 1
    variables: Variables = "together"

    def __post_init__(self) -> None:
        """Check what belongs together."""
        for name, words in (("kind", ObjectiveKind), ("variables", Variables)):
            if getattr(self, name) not in get_args(words):
                raise ValueError(
                    f"{name} must be one of {', '.join(get_args(words))}, got "
                    f"{getattr(self, name)!r}"
                )
        for name in ("inputs", "targets"):
            names = getattr(self, name)
            if not names or len(set(names)) < len(names) or not all(names):
                raise ValueError(
                    f"{name} must be different names of variables, at least one, got {names}"
                )
        check_positive("history", self.history)
        if self.history > 1 and self.kind != "next_day":
            raise ValueError(
                f"history must be 1 but for next_day, got {self.history} for {self.kind}"
            )
        self._check_targets()
        if self.variables == "separate" and (
            self.kind != "next_day" or self.inputs != self.targets
        ):
            raise ValueError(
                "variables must be together but for next_day with the inputs as targets, got "
                f"separate for {self.kind} of {', '.join(self.targets)}"
            )

    def _check_targets(self) -> None:
        """Raise unless the targets fit the inputs."""
        inside = set(self.targets) & set(self.inputs)
        if self.kind in ("next_day", "imputation") and len(inside) < len(self.targets):
            raise ValueError(
                f"targets must be among the inputs, {', '.join(self.inputs)}, for {self.kind}, got "
                f"{', '.join(self.targets)}; add them to the inputs"
            )
        if self.kind == "same_day" and inside:
            raise ValueError(
                f"targets must be other variables than the inputs for same_day, got "
                f"{', '.join(sorted(inside))} for both; leave it out of one of them"
            )
        if self.kind == "day_of_year" and self.targets != (SEASON,):
            raise ValueError(f"targets must be ({SEASON!r},) for day_of_year, got {self.targets}")

    @property
    def channel_names(self) -> tuple[str, ...]:
        """Variables that the records must have: the inputs, then targets that are no inputs."""
        if self.kind == "day_of_year":
            return self.inputs
        return (*self.inputs, *(name for name in self.targets if name not in self.inputs))

    @property
    def sample_names(self) -> tuple[str, ...]:
        """Variables that are seen in one sample; "value" where each has samples of its own."""
        if self.variables == "separate" and len(self.inputs) > 1:
            return ("value",)
        return self.inputs

    @property
    def is_global(self) -> bool:
        """Whether there is one target for all stations together."""
        return self.kind == "day_of_year"

    @property
    def lead(self) -> int:
        """Days from the last that is known to the one that is predicted."""
        return 1 if self.kind == "next_day" else 0

    @property
    def values(self) -> dict[str, Any]:
        """Plain values, for the metadata of a checkpoint."""
        return {
            "kind": self.kind,
            "inputs": list(self.inputs),
            "targets": list(self.targets),
            "history": self.history,
            "variables": self.variables,
        }

    @classmethod
    def from_values(cls, values: Mapping[str, Any]) -> "StationObjective":
        """The objective that `values` describes.

        Parameters
        ----------
        values
            Plain values.

        Returns
        -------
        StationObjective
        """
        return cls(
            values["kind"],
            tuple(values["inputs"]),
            tuple(values["targets"]),
            int(values["history"]),
            values["variables"],
        )


def next_day(*names: str, history: int = 5, variables: Variables = "together") -> StationObjective:
    """The objective of predicting variables a day ahead.

    Parameters
    ----------
    names
        Of the variables.
    history
        How many days are known.
    variables
        See `StationObjective`.

    Returns
    -------
    StationObjective

    Raises
    ------
    ValueError
        As `StationObjective`.

    Examples
    --------
    >>> next_day("tavg").history
    5
    """
    return StationObjective("next_day", names, names, history, variables)


def same_day(*inputs: str, targets: tuple[str, ...]) -> StationObjective:
    """The objective of predicting variables from others of the same day.

    Parameters
    ----------
    inputs
        Names of the variables that are known.
    targets
        Of those that are predicted.

    Returns
    -------
    StationObjective

    Raises
    ------
    ValueError
        As `StationObjective`.

    Examples
    --------
    >>> same_day("tmin", "tmax", targets=("prcp",)).channel_names
    ('tmin', 'tmax', 'prcp')
    """
    return StationObjective("same_day", inputs, targets)


def day_of_year(*names: str) -> StationObjective:
    """The objective of telling the season from a day.

    Parameters
    ----------
    names
        Of the variables.

    Returns
    -------
    StationObjective

    Raises
    ------
    ValueError
        As `StationObjective`.

    Examples
    --------
    >>> day_of_year("tavg").targets
    ('season',)
    """
    return StationObjective("day_of_year", names, (SEASON,))


def imputation(*names: str) -> StationObjective:
    """The objective of predicting stations that are silent from the others of the day.

    Parameters
    ----------
    names
        Of the variables.

    Returns
    -------
    StationObjective

    Raises
    ------
    ValueError
        As `StationObjective`.

    Examples
    --------
    >>> imputation("tmax").inputs == imputation("tmax").targets
    True
    """
    return StationObjective("imputation", names, names)


def seasons(times: Times) -> Float[np.ndarray, "times"]:
    """The season of each time: 0 at the turn of the year, 1 in the middle of it.

    (1 − cos(2π d / 365.25)) / 2, where d is 1 on the first day of a year.

    Parameters
    ----------
    times
        datetime64 or cftime.

    Returns
    -------
    Float[np.ndarray, "times"]

    Examples
    --------
    >>> seasons(np.array(["2020-12-31", "2021-07-02", "2021-04-01"], "datetime64[D]")).round(2)
    array([0. , 1. , 0.5])

    References
    ----------
    Defferrard, Milani, Gusset and Perraudin, "DeepSphere: a graph-based spherical CNN", 2020,
    section 4.4.
    """
    if times.dtype.kind == "M":
        dates = times.astype("datetime64[D]")
        days = (dates - dates.astype("datetime64[Y]")).astype(np.float64) + 1
    else:
        days = np.array([time.dayofyr for time in times], np.float64)
    return (1 - np.cos(2 * np.pi * days / _YEAR)) / 2


@dataclass(frozen=True, eq=False)
class DayWindows:
    """Runs of days that are known, each with the day that is predicted from it.

    Parameters
    ----------
    inputs
        Indices on the axis of the days that are known, the earliest first.
    targets
        Of the day that is predicted; −1 where it is not on the axis.
    times
        Of the day that is predicted.
    num_left_out
        Days that follow fewer known days than an objective needs, or lie in a gap.
    """

    inputs: Int[np.ndarray, "windows history"]
    targets: Int[np.ndarray, "windows"]
    times: Times
    num_left_out: int

    def __len__(self) -> int:
        """Number of windows."""
        return len(self.targets)

    def take(self, chosen: np.ndarray) -> "DayWindows":
        """Some of the windows.

        Parameters
        ----------
        chosen
            Indices, or a mask.

        Returns
        -------
        DayWindows
        """
        return DayWindows(
            self.inputs[chosen], self.targets[chosen], self.times[chosen], self.num_left_out
        )


def day_windows(axis: TimeAxis, objective: StationObjective) -> DayWindows:
    """All windows of an objective whose days to know from are on an axis.

    The day that is predicted need not be there: the last window of "next_day" is the forecast for
    the day after the last.

    Parameters
    ----------
    axis
        Of the records.
    objective
        With its history and its lead.

    Returns
    -------
    DayWindows
        In the order of time; none where no run is long enough.

    Raises
    ------
    ValueError
        If the days before are asked for on an axis whose step is not one day.

    Examples
    --------
    >>> axis = TimeAxis(np.array(["2020-01-01", "2020-01-02", "2020-01-04"], "datetime64[s]"))
    >>> windows = day_windows(axis, next_day("tavg", history=1))
    >>> windows.inputs.ravel().tolist(), windows.targets.tolist()
    ([0, 1, 2], [1, -1, -1])
    """
    number = len(axis)
    if objective.kind != "next_day":
        every = np.arange(number)
        return DayWindows(every[:, None], every, axis.times, 0)
    if axis.step not in (None, _DAY):
        raise ValueError(
            f"records must be daily for next_day, got a step of {axis.step}; average them over "
            "days, or take an objective of single times"
        )
    positions = axis.positions
    index_of = np.full(int(positions[-1]) + 2, -1)
    index_of[positions] = np.arange(number)
    lags = np.arange(1 - objective.history, 1)
    wanted = positions[:, None] + lags
    is_there = (wanted >= 0) & (index_of[np.maximum(wanted, 0)] >= 0)
    chosen = is_there.all(axis=1)
    last = positions[chosen]
    times = axis.times[chosen].copy()
    times[:] = [later(time, _DAY.length) for time in times]
    num_targets = max(0, int(positions[-1]) + 1 - objective.history)
    targets = index_of[last + 1]
    return DayWindows(
        index_of[wanted[chosen]], targets, times, num_targets - int((targets >= 0).sum())
    )
