"""What an experiment measured: rows beside what was claimed, as JSON and as a table."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from deepsphere.data.files import write_atomically
from deepsphere.experiments.config import Claim

_ROUNDING = 1e-9

Finite = Annotated[float, Field(allow_inf_nan=False)]


class ResultRow(BaseModel):
    """One measured number beside what was required or published.

    Parameters
    ----------
    name
        What was measured.
    measured, spread
        Mean over the seeds and its standard deviation; no spread from one seed.
    published, source
        What others printed, and where.
    unit
        Unit of all the numbers of the row; empty for a pure number.
    tolerance
        How far on the wrong side of the claim is still accepted.
    ok
        Whether the claim is met; None where nothing is claimed.
    seconds
        Time that the measurement took, all seeds together.
    required
        The number that this project has set itself.
    better
        Which side of the claim is the right one; None where nothing is claimed.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1)]
    measured: Finite
    spread: Annotated[Finite, Field(ge=0)] | None = None
    published: Finite | None = None
    source: str | None = None
    unit: str = ""
    tolerance: Annotated[Finite, Field(ge=0)] | None = None
    ok: bool | None = None
    seconds: Annotated[Finite, Field(ge=0)]
    required: Finite | None = None
    better: Literal["higher", "lower"] | None = None


class Results(BaseModel):
    """The rows of an experiment, and all that is needed to run it again.

    Parameters
    ----------
    rows
        The measured numbers.
    recipe
        The recipe as it was run.
    command
        The command that runs it again.
    machine, versions
        Hardware and software, as of `deepsphere.experiments.machine`.
    notes
        What a reader of the rows has to know, such as what could not be measured here.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    rows: list[ResultRow]
    recipe: dict[str, Any]
    command: Annotated[str, Field(min_length=1)]
    machine: dict[str, str | int | float]
    versions: dict[str, str]
    notes: list[str] = []

    @model_validator(mode="after")
    def _name_rows_once(self) -> "Results":
        names = [row.name for row in self.rows]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"rows must differ in name, got {twice[0]!r} twice")
        return self


def make_row(
    name: str,
    values: Sequence[float],
    *,
    seconds: float,
    unit: str = "",
    claims: Iterable[Claim] = (),
) -> ResultRow:
    """The row of one measure over the seeds, with the claim of the same name.

    The spread is the sample standard deviation sqrt(sum (x_i - mean)² / (n - 1)).

    Parameters
    ----------
    name
        What was measured.
    values
        One number per seed.
    seconds
        Time that it took, all seeds together.
    unit
        Unit of the values.
    claims
        The claims of the recipe; at most the one of this name is used.

    Returns
    -------
    ResultRow

    Raises
    ------
    ValueError
        If there is no value, or one is not finite.

    Examples
    --------
    >>> row = make_row("accuracy", [97.0, 98.0], seconds=3.0, unit="%",
    ...                claims=[Claim(name="accuracy", required=96.0)])
    >>> row.measured, round(row.spread, 3), row.ok
    (97.5, 0.707, True)
    """
    if not values or not all(math.isfinite(value) for value in values):
        raise ValueError(
            f"values of {name!r} must be finite numbers, one per seed, got {list(values)}; "
            "look at the training curves of this run"
        )
    measured = fmean(values)
    claim = next((claim for claim in claims if claim.name == name), None)
    about_claim: dict[str, Any] = {}
    if claim is not None:
        about_claim = {
            "published": claim.published,
            "source": claim.source,
            "tolerance": claim.tolerance,
            "required": claim.required,
            "better": claim.better,
            "ok": claim.is_met(measured),
        }
    return ResultRow(
        name=name,
        measured=measured,
        spread=stdev(values) if len(values) > 1 else None,
        unit=unit,
        seconds=seconds,
        **about_claim,
    )


def check_claim_names(claims: Iterable[Claim], names: Iterable[str]) -> None:
    """Raise unless every claim is about a row of the results.

    Parameters
    ----------
    claims
        Of a recipe.
    names
        Of all rows that the experiment will measure.

    Raises
    ------
    ValueError
        If one is not.
    """
    known = list(names)
    for claim in claims:
        if claim.name not in known:
            raise ValueError(
                f"claims must be about a measured row, got {claim.name!r}; rows: {'; '.join(known)}"
            )


def write_results(path: Path, results: Results) -> None:
    """Write the results as JSON, complete or not at all.

    Parameters
    ----------
    path
        Usually ``OUTPUT/results.json``; an older file is replaced.
    results
        What to write.
    """
    text = json.dumps(results.model_dump(mode="json"), indent=2, allow_nan=False)
    with write_atomically(path, overwrite=True) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def read_results(path: Path) -> Results:
    """The results in a file, checked.

    Parameters
    ----------
    path
        A file written by `write_results`.

    Returns
    -------
    Results

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not JSON, or not of this form.
    """
    if not path.is_file():
        raise FileNotFoundError(f"results must be a file, got {path}; run the experiment first")
    try:
        return Results.model_validate_json(path.read_bytes())
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in problem["loc"]) or "the file"
        raise ValueError(
            f"{path} must hold results, got a fault at {where}: {problem['msg']}; "
            "run the experiment again"
        ) from None


def tabulate(rows: Sequence[ResultRow]) -> tuple[list[str], list[list[str]]]:
    """The rows in words, in columns of which none is empty.

    Parameters
    ----------
    rows
        Rows of results.

    Returns
    -------
    headings : list of str
        Name of each column.
    cells : list of list of str
        A list for each row.

    Examples
    --------
    >>> tabulate([make_row("accuracy", [97.0, 98.0], unit="%", seconds=3.0)])
    (['measure', 'measured', 'spread', 'seconds'], [['accuracy', '97.5 %', '0.7 %', '3']])
    """
    verdicts = {True: "ok", False: "short", None: ""}
    columns = {
        "measure": [row.name for row in rows],
        "measured": [format_number(row.measured, row.unit) for row in rows],
        "spread": [_or_empty(row.spread, row.unit) for row in rows],
        "required": [_with_direction(row) for row in rows],
        "published": [_or_empty(row.published, row.unit) for row in rows],
        "claim": [verdicts[row.ok] for row in rows],
        "seconds": [f"{row.seconds:.0f}" for row in rows],
    }
    kept = {heading: cells for heading, cells in columns.items() if any(cells)}
    return list(kept), [list(cells) for cells in zip(*kept.values(), strict=True)]


def _or_empty(value: float | None, unit: str) -> str:
    """A number that may be missing."""
    return "" if value is None else format_number(value, unit)


def _with_direction(row: ResultRow) -> str:
    """The required number, as a bound."""
    if row.required is None:
        return ""
    sign = "≤" if row.better == "lower" else "≥"
    return f"{sign} {format_number(row.required, row.unit)}"


def print_results(results: Results, console: Console) -> None:
    """Show the rows as a table, the claims marked ``ok`` or ``short``.

    Parameters
    ----------
    results
        What to show.
    console
        Where to show it.
    """
    # a colour per verdict beside its word, for those who see no colours
    colors = {"ok": "[green]ok[/green]", "short": "[bold red]short[/bold red]"}
    headings, rows = tabulate(results.rows)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        # on a narrow terminal the names wrap, so that no number is cut off
        is_word = heading in ("measure", "claim")
        is_name = heading == "measure"
        table.add_column(heading, justify="left" if is_word else "right", no_wrap=not is_name)
    for row in rows:
        table.add_row(*(colors.get(cell, cell) for cell in row))
    console.print(str(results.recipe.get("title", "")), style="bold", markup=False)
    console.print(table)
    for source in sorted({row.source for row in results.rows if row.source}):
        console.print(f"published: {source}", markup=False)
    for note in results.notes:
        console.print(note, markup=False)


def format_number(value: float, unit: str) -> str:
    """A number with as many digits as it deserves, and its unit.

    Parameters
    ----------
    value
        Any finite number.
    unit
        Empty for a pure number.

    Returns
    -------
    str

    Examples
    --------
    >>> format_number(97.468, "%"), format_number(22122.0, ""), format_number(0.0612, "")
    ('97.5 %', '22,122', '0.0612')
    """
    if value == int(value) and abs(value) >= 100:
        text = f"{int(value):,}"
    elif abs(value) >= 1 or unit == "%":
        text = f"{value:.1f}"
    elif abs(value) >= 0.1 or value == 0:
        text = f"{value:.3f}"
    else:
        text = f"{value:.3g}"
    return f"{text} {unit}".rstrip()


def mean_and_error(values: Sequence[float], unit: str = "", *, digits: int = 0) -> str:
    """The mean over the seeds and its standard error, in words.

    Both have the same decimals, as many as the error has before its first digit that is not zero.

    Parameters
    ----------
    values
        One per seed.
    unit
        As for `format_number`.
    digits
        Significant digits that the mean has at least; as `format_number` writes it if zero.

    Returns
    -------
    str

    Examples
    --------
    >>> mean_and_error([97.0, 98.0], "%"), mean_and_error([22122.0])
    ('97.5 ± 0.5', '22,122')
    >>> mean_and_error([0.3378, 0.3384, 0.3395]), mean_and_error([1.1304], digits=3)
    ('0.3386 ± 0.0005', '1.13')
    """
    mean = fmean(values)
    error = stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
    alone = format_number(mean, unit).removesuffix(f" {unit}")
    if error < _ROUNDING * abs(mean):  # what is left of equal numbers
        error = 0.0
    if "e" in alone or not (error or digits):
        return " ± ".join([alone, *([format_number(error, "")] if error else [])])
    decimals = len(alone.partition(".")[2])
    if digits and mean:
        decimals = max(decimals, digits - 1 - math.floor(math.log10(abs(mean))))
    if not error:
        return f"{mean:,.{decimals}f}"
    decimals = max(decimals, -math.floor(math.log10(error)))
    return f"{mean:,.{decimals}f} ± {error:,.{decimals}f}"


def summarize_claims(rows: Iterable[Mapping[str, Any] | ResultRow]) -> str:
    """One sentence about how many of the claims are met.

    Parameters
    ----------
    rows
        Rows of results.

    Returns
    -------
    str
    """
    verdicts = [row.ok if isinstance(row, ResultRow) else row["ok"] for row in rows]
    claimed = [verdict for verdict in verdicts if verdict is not None]
    if not claimed:
        return "nothing is claimed here"
    met = sum(claimed)
    return (
        f"all {met} claims are met"
        if met == len(claimed)
        else (f"{met} of {len(claimed)} claims are met")
    )
