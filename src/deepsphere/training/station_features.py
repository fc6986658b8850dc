"""What a network may see of stations beside their values."""

from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float

from deepsphere.data.calendars import Times, year_fractions
from deepsphere.data.known_fields import PositionField, position_fields
from deepsphere.data.station_objectives import StationObjective
from deepsphere.sampling import Sampling

StationFeature = Literal[
    "x",
    "y",
    "z",
    "sin_lat",
    "cos_lat",
    "sin_lon",
    "cos_lon",
    "elevation",
    "sin_year",
    "cos_year",
    "climatology",
    "observed",
    "departure",
    "residual",
    "spread",
    "distance",
    "elevation_difference",
]
"""Names of the features, see `StationPreparation`."""

Features = tuple[StationFeature, ...]

_AXES = ("x", "y", "z")
_STATIC = (*_AXES, *get_args(PositionField), "elevation")
_SEASONS = ("sin_year", "cos_year")
_OF_SEASON: Features = ("climatology", "departure")
_OF_OTHERS: Features = ("residual", "spread", "distance", "elevation_difference")
_OF_VARIABLES = ("climatology", "observed", "departure", "residual", "spread")


def default_features(objective: StationObjective, *, whole_year: bool = True) -> Features:
    """What a network sees beside the values unless told otherwise.

    Parameters
    ----------
    objective
        What is learned.
    whole_year
        Whether all seasons are learned from. Where they are not, nothing is said of them.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> from deepsphere.data.station_objectives import day_of_year
    >>> default_features(day_of_year("tavg"))
    ('x', 'y', 'z', 'elevation')
    """
    places: Features = ("x", "y", "z", "elevation")
    season: Features = ("sin_year", "cos_year") if whole_year else ()
    usual: Features = _OF_SEASON if whole_year else ()
    match objective.kind:
        case "day_of_year":
            return places
        case "same_day":
            return (*places, *season)
        case "next_day":
            return (*places, *season, *usual, "observed")
        case "imputation":
            return (*places, *season, "observed", *_OF_OTHERS)


def static_names(features: Features) -> Features:
    """Those of the features that do not change in time.

    Parameters
    ----------
    features
        Names.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> static_names(("sin_lat", "observed", "elevation"))
    ('sin_lat', 'elevation')
    """
    return tuple(name for name in features if name in _STATIC)


def season_names(features: Features) -> Features:
    """Those of the features that say the time of the year.

    Parameters
    ----------
    features
        Names.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> season_names(("sin_lat", "sin_year"))
    ('sin_year',)
    """
    return tuple(name for name in features if name in _SEASONS)


def names_of_others(features: Features) -> Features:
    """Those of the features that the nearest other stations of the day tell.

    Parameters
    ----------
    features
        Names.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> names_of_others(("elevation", "distance"))
    ('distance',)
    """
    return tuple(name for name in features if name in _OF_OTHERS)


def measured_names(features: Features) -> Features:
    """Those of the features whose mean and deviation are measured on samples.

    Parameters
    ----------
    features
        Names.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> measured_names(("elevation", "departure", "distance"))
    ('departure', 'distance')
    """
    return tuple(name for name in features if name in ("departure", *_OF_OTHERS))


def needs_climatology(features: Features) -> bool:
    """Whether a feature is made of what is usual at the time of the year.

    Parameters
    ----------
    features
        Names.

    Returns
    -------
    bool

    Examples
    --------
    >>> needs_climatology(("departure",))
    True
    """
    return any(name in _OF_SEASON for name in features)


def check_features(features: tuple[str, ...]) -> None:
    """Raise unless all names are of features that there are, each once.

    Parameters
    ----------
    features
        Names; none is well.

    Raises
    ------
    ValueError
        If they are not.
    """
    unknown = [name for name in features if name not in get_args(StationFeature)]
    if unknown or len(set(features)) < len(features):
        raise ValueError(
            f"features must be different ones of {', '.join(get_args(StationFeature))}, got "
            f"{', '.join(features)}"
        )
    if "elevation_difference" in features and "elevation" not in features:
        raise ValueError(
            f"features must have elevation for elevation_difference, got {', '.join(features)}; "
            "add it"
        )


def check_fitting_features(features: Features, objective: StationObjective) -> None:
    """Raise if features tell what is to be learned.

    Parameters
    ----------
    features
        Names.
    objective
        What is learned.

    Raises
    ------
    ValueError
        If the time of the year is to be learned and among them; or a climatology, where stations
        are hidden of which none is known.
    """
    check_features(features)
    told = [name for name in features if name in (*_SEASONS, *_OF_SEASON)]
    usual = [name for name in features if name in _OF_SEASON]
    if objective.kind == "imputation" and usual:
        raise ValueError(
            f"features must not be of the climatology of a station for imputation, got "
            f"{', '.join(usual)}; it is not known of stations that are hidden: leave them out"
        )
    if objective.is_global and told:
        raise ValueError(
            f"features must not say the time of the year, which {objective.kind} is to learn, got "
            f"{', '.join(told)}; leave them out"
        )


def static_features(
    sampling: Sampling, elevation_m: Float[np.ndarray, "stations"], names: Features
) -> Float[np.ndarray, "stations features"]:
    """Features that do not change in time, in their units.

    Parameters
    ----------
    sampling
        Where the stations are.
    elevation_m
        Of each, NaN where it is not known.
    names
        As of `static_names`.

    Returns
    -------
    Float[np.ndarray, "stations features"]
        float64.
    """
    columns = np.zeros((sampling.num_vertices, len(names)))
    for index, name in enumerate(names):
        if name == "elevation":
            columns[:, index] = elevation_m
        elif name in _AXES:
            columns[:, index] = sampling.points[:, _AXES.index(name)]
        else:
            position: Any = name
            columns[:, index] = position_fields(sampling, [position])[:, 0]
    return columns


def season_features(times: Times, names: Features) -> Float[np.ndarray, "times features"]:
    """Features that say the time of the year.

    Parameters
    ----------
    times
        When.
    names
        As of `season_names`.

    Returns
    -------
    Float[np.ndarray, "times features"]
        float32.

    Examples
    --------
    >>> season_features(np.array(["2021-07-02T12"], "datetime64[s]"), ("cos_year",))
    array([[-1.]], dtype=float32)
    """
    if not len(times) or not names:
        return np.zeros((len(times), len(names)), np.float32)
    angle = 2 * np.pi * year_fractions(times)
    columns = [np.sin(angle) if name == "sin_year" else np.cos(angle) for name in names]
    return np.array(columns, np.float32).reshape(len(names), len(times)).T


def signal_names(objective: StationObjective, features: Features) -> tuple[str, ...]:
    """Name of each channel of the signals.

    Parameters
    ----------
    objective
        What is learned.
    features
        What a network sees beside the values.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> from deepsphere.data.station_objectives import next_day
    >>> signal_names(next_day("tavg", history=2), ("z", "observed"))
    ('tavg(-2)', 'tavg(-1)', 'z', 'observed(tavg)')
    """
    variables = objective.sample_names
    lags = [lag - objective.history + 1 - objective.lead for lag in range(objective.history)]
    names = [f"{name}({lag})" if lag else name for name in variables for lag in lags]
    for feature in features:
        if feature in _OF_VARIABLES:
            names += [f"{feature}({name})" for name in variables]
        else:
            names.append(feature)
    return tuple(names)
