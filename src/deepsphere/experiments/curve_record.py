"""What one measurement of a curve found out, kept in a file so that it is not done again."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from deepsphere.data import write_atomically
from deepsphere.experiments.config import Recipe
from deepsphere.experiments.options import RunOptions
from deepsphere.experiments.output import RUN_FOLDER
from deepsphere.training.progress import track
from deepsphere.version import __version__

_NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class CurveRecord(BaseModel):
    """Numbers by degree, and what they were measured on.

    Parameters
    ----------
    fingerprint
        Of the recipe that it belongs to.
    curve
        Name of the graph.
    sampling
        Where it lives.
    degrees
        Harmonic degrees, if the numbers depend on them.
    values
        Lists of one number per degree, by name.
    facts
        Numbers of the whole, by name: entries per row, kernel width, …
    seconds
        Wall time of the parts, by name.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    fingerprint: str
    curve: str
    sampling: str
    degrees: list[int] = []
    values: dict[str, list[float]] = {}
    facts: dict[str, float] = {}
    seconds: dict[str, _NotNegative] = {}


def experiment_fingerprint(recipe: Recipe, data: Path | None) -> str:
    """What has to be equal for a finished measurement to be kept: recipe and version.

    Parameters
    ----------
    recipe
        Its title and claims do not count.
    data
        None.

    Returns
    -------
    str
    """
    return f"{recipe.fingerprint()}-{__version__}"


def measure_unfinished(
    measurements: Sequence[tuple[str, Callable[[], CurveRecord]]],
    output: Path,
    *,
    fingerprint: str,
    action: str,
    options: RunOptions,
) -> list[CurveRecord]:
    """The records of an experiment; those that are finished in its folder are not measured again.

    Parameters
    ----------
    measurements
        Name of the file in ``runs`` and what makes the record, for each.
    output
        A prepared folder.
    fingerprint
        See `experiment_fingerprint`.
    action
        What is done, as progress shows it: "measuring".
    options
        Whether to show progress.

    Returns
    -------
    list of CurveRecord
        In the order of the measurements.
    """
    shown = measurements
    if options.progress:
        shown = track(measurements, action, total=len(measurements))
    return [
        kept_or_measured(output / RUN_FOLDER / f"{name}.json", fingerprint, measure)
        for name, measure in shown
    ]


def kept_or_measured(
    path: Path, fingerprint: str, measure: Callable[[], CurveRecord]
) -> CurveRecord:
    """The record in a file if it is complete and of this recipe, else a new one, written there.

    Parameters
    ----------
    path
        Of the record.
    fingerprint
        That it has to have.
    measure
        Makes a new one.

    Returns
    -------
    CurveRecord
    """
    try:
        record = CurveRecord.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        record = None
    if record is not None and record.fingerprint == fingerprint:
        return record
    record = measure()
    with write_atomically(path, overwrite=True) as temporary:
        temporary.write_text(record.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return record
