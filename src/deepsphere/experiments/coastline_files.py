"""Coastlines from files: which vertices of a mask, or of a field, are land."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from deepsphere.data.readers import read_flags
from deepsphere.experiments.picture_sources import FieldFrames, open_frames
from deepsphere.fields import is_dataset_path, open_dataset
from deepsphere.plotting.coastlines import Coastlines
from deepsphere.sampling import Sampling

_RULE = re.compile(r"(above|below|values):(.+)")
_MASK_NAMES = re.compile(r"(?i)land|lsm|sftlf|sftof|mask|sea.?area|oce?a?n.?frac")
_OF_SEA = ("sea_binary_mask", "sea_area_fraction", "sftof", "ocnfrac", "oceanfrac", "ocean_frac")
_MOST_CODES = 20
_ROUNDING = 1e-3  # by which fractions of models leave their range
_WORDS = "missing, above:NUMBER, below:NUMBER or values:NUMBER,NUMBER"


@dataclass(frozen=True, eq=False)
class ReadCoastlines:
    """Coastlines of a file, and how the file was understood.

    Parameters
    ----------
    coastlines
        To be drawn.
    note
        What was taken for land, in words.
    """

    coastlines: Coastlines
    note: str


def read_coastlines(
    path: Path, *, variable: str | None = None, land: str | None = None
) -> ReadCoastlines:
    """Coastlines between the land and the sea of a file.

    Without a rule, land is where values are missing, as those of a sea-surface temperature are. Of
    a mask or fraction without missing values, land is what is above 0.5 (above 50 where the unit is
    a percentage, and below that where the file says that the variable is one of the sea); of a mask
    of whole numbers it is all but 0. A variable that is called a mask and has zeros is one where
    it is missing around a region, too.

    Parameters
    ----------
    path
        Any file of fields or signals that says where they are; of several times the first counts.
    variable
        Its name or number; None takes the one that is called a mask, or the first.
    land
        What is land: "missing", "above:0", "below:0.5" or "values:1,3".

    Returns
    -------
    ReadCoastlines

    Raises
    ------
    FileNotFoundError, ImportError
        If the file or its reader is not there.
    ValueError
        If the rule is not one of these, the values tell nothing about land, or all are land or sea.
    """
    if land is not None:
        _check_rule(land)
    words = _words(path)
    frames = open_frames(path, channel=variable or _mask_name(words), flags=True)
    values = frames.load(np.array([0]))[0]
    rule = land
    if rule is None:
        rule = _rule_of(values, path, frames, words.get(frames.name, ""))
    is_land = _land(values, rule)
    share = float(np.average(is_land, weights=frames.sampling.areas))
    if is_land.all() or not is_land.any():
        raise ValueError(
            f"--coastlines must have land and sea, got only {'land' if is_land.all() else 'sea'} "
            f"in {path}, where land is {_in_words(rule, frames.name)}; say what is land: --land "
            f"{_WORDS}"
        )
    note = f"coastlines of {path}: land is {_in_words(rule, frames.name)}, {share:.0%} of its area"
    return ReadCoastlines(Coastlines(~is_land, frames.sampling), note)


def coastlines_of_missing(
    present: Bool[np.ndarray, "vertices"], sampling: Sampling
) -> Coastlines | None:
    """The outlines of where a field has no value anywhere; None where that is nowhere.

    Parameters
    ----------
    present
        Where it has one, shape (vertices,).
    sampling
        Of the field.

    Returns
    -------
    Coastlines or None

    Examples
    --------
    >>> from deepsphere.sampling import Healpix
    >>> coastlines_of_missing(np.ones(12, bool), Healpix(nside=1)) is None
    True
    """
    if present.all() or not present.any():
        return None
    coastlines = Coastlines(present, sampling)
    try:
        return coastlines if coastlines.lines else None
    except ValueError:  # so few points that there is no triangle between them
        return None


def _check_rule(land: str) -> None:
    """Raise unless a rule is understood."""
    found = _RULE.fullmatch(land)
    try:
        if land != "missing":
            _ = [float(word) for word in found[2].split(",")] if found else float("none")
            if found and found[1] != "values" and "," in found[2]:
                raise ValueError
    except ValueError:
        raise ValueError(
            f"--land must be {_WORDS}, got {land!r}; e.g. --land above:0 of heights"
        ) from None


def _words(path: Path) -> dict[str, str]:
    """Variables of a file, with their names in the CF conventions."""
    if not is_dataset_path(path):
        return {name: name for name in read_flags(path).channel_names or ()}
    data = open_dataset(path)
    words = {
        str(name): f"{name} {variable.attrs.get('standard_name', '')}"
        for name, variable in data.data_vars.items()
        if variable.ndim > 0
    }
    data.close()
    return words


def _mask_name(words: dict[str, str]) -> str:
    """The variable that is called a mask; the first where none is, or several are."""
    named = [name for name, word in words.items() if _MASK_NAMES.search(word)]
    return named[0] if len(named) == 1 else "0"


def _rule_of(
    values: Float[np.ndarray, "vertices"], path: Path, frames: FieldFrames, words: str
) -> str:
    """What is land where nobody says, by the values and the names of a variable."""
    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 0.0)
    # a mask of a region is missing around it, and says itself where in it there is land
    is_mask = _MASK_NAMES.search(words) is not None and abs(low) < _ROUNDING < high
    if len(known) < len(values) and not is_mask:
        return "missing"
    is_codes = bool((known == np.rint(known)).all()) and len(np.unique(known)) <= _MOST_CODES
    is_percent = high > 1 and frames.unit.lower() in ("%", "percent")
    largest = 100 if is_percent else np.inf if is_codes else 1
    if low < -_ROUNDING or high > largest + _ROUNDING:
        raise ValueError(
            f"--coastlines must say what is land, got values from {low:.4g} to {high:.4g} of "
            f"{frames.name or 'its channel'} in {path} and none missing; choose the variable of "
            f"the mask with --coastlines-variable, or say what is land: --land {_WORDS}"
        )
    of_sea = any(word in words.lower() for word in _OF_SEA)
    return f"{'below' if of_sea else 'above'}:{50 if is_percent else 0.5:g}"


def _land(values: Float[np.ndarray, "vertices"], rule: str) -> Bool[np.ndarray, "vertices"]:
    """Where there is land; a missing value is sea, unless the rule asks for missing ones."""
    if rule == "missing":
        return np.isnan(values)
    found = _RULE.fullmatch(rule)
    assert found is not None  # rules are checked
    numbers = [float(word) for word in found[2].split(",")]
    if found[1] == "values":
        return np.isin(values, numbers)
    with np.errstate(invalid="ignore"):
        return values > numbers[0] if found[1] == "above" else values < numbers[0]


def _in_words(rule: str, name: str) -> str:
    """A rule as a part of a sentence."""
    name = name or "the value"
    if rule == "missing":
        return f"where {name} is missing"
    kind, _, numbers = rule.partition(":")
    return f"where {name} is {'among' if kind == 'values' else kind} {numbers}"
