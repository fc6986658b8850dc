"""What was measured and what was required, as JSON: numbers, verdicts, machine and versions."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from deepsphere.data.files import write_atomically

Finite = Annotated[float, Field(allow_inf_nan=False)]
Unit = Literal["ms", "s", "MB", "GB", "ns/vertex", "%", "×"]

OURS = "deepsphere"
"""The variant which a user gets who chooses nothing."""


class Measurement(BaseModel):
    """One number of one variant, or the reason why there is none.

    Parameters
    ----------
    case, work
        What is done, on what.
    variant
        Who does it; ``OURS`` is the default of this library.
    unit
        Of the median and the quartiles.
    median, quartiles
        None where nothing was measured; a number without spread has no quartiles.
    num_repeats
        How many times are behind them.
    error
        Largest difference to the first variant over its largest value; None where not compared.
    disagrees
        Whether that difference is too large, and the number therefore missing.
    note
        The reason why there is no number, or a remark.
    num_vertices
        Of the case, where a figure needs it.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    case: str
    work: str
    variant: str
    unit: Unit
    median: Finite | None = None
    quartiles: tuple[Finite, Finite] | None = None
    num_repeats: Annotated[int, Field(ge=0)] = 0
    error: Finite | None = None
    disagrees: bool = False
    note: str = ""
    num_vertices: int | None = None


class Requirement(BaseModel):
    """What a number of ours has to reach, alone or beside another variant.

    Parameters
    ----------
    case, work
        Of the numbers.
    against
        The variant whose number is divided by ours; None if ours counts alone.
    at_least, at_most
        The bound; exactly one of them.

    Raises
    ------
    ValueError
        If there is no bound, or two.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    case: str
    work: str
    against: str | None = None
    at_least: Finite | None = None
    at_most: Finite | None = None

    @model_validator(mode="after")
    def _check_one_bound(self) -> "Requirement":
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError(
                "requirement must have one of at_least and at_most, got "
                f"{self.at_least} and {self.at_most}"
            )
        return self


class Verdict(BaseModel):
    """A requirement beside what was measured.

    Parameters
    ----------
    requirement
        What was to be reached.
    value
        What was; None where a number is missing.
    met
        None where nobody knows.
    unit
        Of the value and the bound; empty where it is not known.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    requirement: Requirement
    value: Finite | None
    met: bool | None
    unit: str


class CaseLoad(BaseModel):
    """How busy the machine was: processes that wanted to run, before a case and after it."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    case: str
    before: Finite | None
    after: Finite | None


class Record(BaseModel):
    """All numbers of one suite, and what is needed to measure them again.

    Parameters
    ----------
    suite
        Its name.
    title
        What it measures, in one sentence.
    command
        What has to be typed to do it again.
    finished
        When, in UTC.
    quick
        Whether the cases are small ones that claim nothing.
    setting
        Device, threads, repetitions.
    measurements, requirements, loads
        The numbers, what they have to reach, and the load of the machine.
    machine, versions
        Hardware and software.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    suite: str
    title: str
    command: str
    finished: str
    quick: bool
    setting: dict[str, str | int | float | bool]
    measurements: list[Measurement]
    requirements: list[Requirement]
    loads: list[CaseLoad]
    machine: dict[str, str | int | float]
    versions: dict[str, str]

    def verdicts(self) -> list[Verdict]:
        """Every requirement beside what was measured.

        Returns
        -------
        list of Verdict
        """
        return [judge(requirement, self.measurements) for requirement in self.requirements]


def judge(requirement: Requirement, measurements: Sequence[Measurement]) -> Verdict:
    """Whether numbers reach what is required of them.

    Parameters
    ----------
    requirement
        Names its numbers by case, work and variant.
    measurements
        Those of the suite, in any order.

    Returns
    -------
    Verdict

    Examples
    --------
    >>> numbers = [
    ...     Measurement(case="a layer", work="forward", variant=name, unit="ms", median=median)
    ...     for name, median in (("deepsphere", 2.0), ("COO", 30.0))
    ... ]
    >>> needed = Requirement(case="a layer", work="forward", against="COO", at_least=12.0)
    >>> judge(needed, numbers).value, judge(needed, numbers).met
    (15.0, True)
    """
    found = _number_of(OURS, requirement, measurements)
    value = ours = None if found is None else found.median
    unit = "" if found is None else found.unit
    if requirement.against is not None:
        beside = _number_of(requirement.against, requirement, measurements)
        other = None if beside is None else beside.median
        value = None if not ours or other is None else other / ours
        unit = "×"
    met = None
    if value is not None and requirement.at_least is not None:
        met = value >= requirement.at_least
    elif value is not None and requirement.at_most is not None:
        met = value <= requirement.at_most
    return Verdict(requirement=requirement, value=value, met=met, unit=unit)


def _number_of(
    variant: str, requirement: Requirement, measurements: Sequence[Measurement]
) -> Measurement | None:
    """The number of a variant in the case and the work of a requirement."""
    for found in measurements:
        if (found.case, found.work, found.variant) == (
            requirement.case,
            requirement.work,
            variant,
        ):
            return found
    return None


def write_record(path: Path, record: Record, *, overwrite: bool = False) -> None:
    """Write a record as JSON, aside first and then into place.

    Parameters
    ----------
    path
        The file.
    record
        What it will hold.
    overwrite
        Whether a file that is there may be replaced.

    Raises
    ------
    FileExistsError
        If it is there and ``overwrite`` is false.
    """
    text = json.dumps(record.model_dump(mode="json"), indent=2, ensure_ascii=False)
    with write_atomically(path, overwrite=overwrite) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_record(path: Path) -> Record:
    """The record that a file holds.

    Parameters
    ----------
    path
        Written by `write_record`.

    Returns
    -------
    Record

    Raises
    ------
    ValueError
        If the file holds something else.
    """
    try:
        return Record.model_validate_json(path.read_text(encoding="utf-8"))
    except (ValidationError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"{path} must hold numbers of `deepsphere benchmark`, got something else ({reason}); "
            "measure again"
        ) from None
