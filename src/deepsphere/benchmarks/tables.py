"""Numbers as they are read: lines while they come, tables for pages, and verdicts in words."""

import math
from collections.abc import Iterator, Sequence

from deepsphere.benchmarks.record import OURS, Measurement, Record, Verdict

VERDICT_HEADINGS = ("work", "against", "required", "measured", "verdict")
NUMBER_HEADINGS = ("work", "variant", "median", "quartiles", "beside ours", "remark")

_WORDS = {True: "met", False: "MISSED", None: "not measured"}


def number(value: float | None, digits: int = 3) -> str:
    """A number with as many digits as it deserves, or a dash.

    Parameters
    ----------
    value
        Any number.
    digits
        Significant ones.

    Returns
    -------
    str

    Examples
    --------
    >>> number(1234.5), number(12.345), number(0.012345), number(None)
    ('1,234', '12.3', '0.0123', '–')
    """
    if value is None:
        return "–"
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    decimals = digits - 1 - math.floor(math.log10(abs(value)))
    return f"{value:,.{max(decimals, 0)}f}"


def measurement_line(found: Measurement) -> str:
    """A number as it is shown when it comes.

    Parameters
    ----------
    found
        With or without a number.

    Returns
    -------
    str
    """
    if found.median is None:
        return f"  {found.work:<34} {found.variant:<22} {'–':>10} {'':<10} {found.note}"
    spread = "" if found.quartiles is None else f" [{_span(found)}]"
    return (
        f"  {found.work:<34} {found.variant:<22} {number(found.median):>10} {found.unit:<10}"
        f"{spread}  {found.note}"
    ).rstrip()


def verdict_line(verdict: Verdict) -> str:
    """A requirement, what was measured, and whether that is enough.

    Parameters
    ----------
    verdict
        Of `Record.verdicts`.

    Returns
    -------
    str
    """
    work, against, required, measured, word = verdict_cells(verdict)
    beside = f" against {against}" if against else ""
    return f"  {word:<12} {measured:>9} (required {required})  {work}{beside}"


def verdict_cells(verdict: Verdict) -> tuple[str, str, str, str, str]:
    """The cells of a row below ``VERDICT_HEADINGS``.

    Parameters
    ----------
    verdict
        Of `Record.verdicts`.

    Returns
    -------
    tuple of str
    """
    required = verdict.requirement
    unit = verdict.unit if verdict.unit in ("", "×") else f" {verdict.unit}"
    if required.at_least is not None:
        bound = f"≥ {required.at_least:,g}{unit}"
    else:
        bound = f"≤ {required.at_most:,g}{unit}"
    value = number(verdict.value) + (unit if verdict.value is not None else "")
    return required.work, required.against or "", bound, value, _WORDS[verdict.met]


def number_rows(record: Record, case: str) -> list[tuple[str, ...]]:
    """The rows of a case below ``NUMBER_HEADINGS``.

    Parameters
    ----------
    record
        Of a suite.
    case
        One of its cases.

    Returns
    -------
    list of tuple
    """
    rows = []
    of_case = [found for found in record.measurements if found.case == case]
    works = list(dict.fromkeys(found.work for found in of_case))
    # what is missing comes after what was measured
    for found in sorted(of_case, key=lambda m: (works.index(m.work), m.median is None)):
        ours = our_median(record.measurements, case, found.work)
        ratio = None if found.median is None or not ours else found.median / ours
        rows.append(
            (
                found.work,
                found.variant,
                number(found.median) + (f" {found.unit}" if found.median is not None else ""),
                "" if found.quartiles is None else _span(found),
                "" if ratio is None or found.variant == OURS else f"{number(ratio)}×",
                found.note,
            )
        )
    return rows


def our_median(measurements: Sequence[Measurement], case: str, work: str) -> float | None:
    """Our number in a case and a work.

    Parameters
    ----------
    measurements
        Of a suite.
    case, work
        Of the number.

    Returns
    -------
    float or None
    """
    for found in measurements:
        if (found.case, found.work, found.variant) == (case, work, OURS):
            return found.median
    return None


def cases_of(record: Record) -> list[str]:
    """The cases of a record, in order, each once.

    Parameters
    ----------
    record
        Of a suite.

    Returns
    -------
    list of str
    """
    return list(dict.fromkeys(found.case for found in record.measurements))


def markdown_tables(records: Sequence[Record]) -> str:
    """All tables for a page of the documentation.

    Parameters
    ----------
    records
        Of any suites.

    Returns
    -------
    str
        Markdown.
    """
    return "\n".join(line for record in records for line in _record_lines(record)) + "\n"


def _record_lines(record: Record) -> Iterator[str]:
    """The section of a suite, line by line."""
    yield f"## {record.title}"
    yield ""
    where = f"{record.machine.get('processor', '?')}, {record.setting.get('num_threads')} threads"
    if record.setting.get("device") == "cuda":
        where = f"{record.machine.get('accelerator', '?')}"
    yield f"{where}, torch {record.versions.get('torch', '?')}; `{record.command}`."
    if record.quick:
        yield ""
        yield "Small cases, which claim nothing."
    for case in cases_of(record):
        yield ""
        yield f"### {case}"
        yield ""
        verdicts = [v for v in record.verdicts() if v.requirement.case == case]
        if verdicts:
            yield from _table(VERDICT_HEADINGS, [verdict_cells(v) for v in verdicts])
            yield ""
        yield from _table(NUMBER_HEADINGS, number_rows(record, case))
    yield ""


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """A table in Markdown."""
    yield f"| {' | '.join(headings)} |"
    yield f"|{'---|' * len(headings)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', '/') for cell in row)} |"


def _span(found: Measurement) -> str:
    """The quartiles of a number."""
    assert found.quartiles is not None
    low, high = found.quartiles
    return f"{number(low)}, {number(high)}"
