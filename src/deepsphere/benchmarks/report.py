"""The page of the benchmarks: one file of HTML, its figures, and its tables in Markdown."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from deepsphere.benchmarks.peers.harmonic import (
    DISCO_LARGE,
    DISCO_SMALL,
    HEALPY_PAIR,
    SPECTRAL,
)
from deepsphere.benchmarks.record import OURS, Record, Verdict, read_record
from deepsphere.benchmarks.registry import SUITES
from deepsphere.benchmarks.suites.block import UNFUSED
from deepsphere.benchmarks.suites.network import ON_TORCH
from deepsphere.benchmarks.suites.scaling import COST
from deepsphere.benchmarks.tables import (
    NUMBER_HEADINGS,
    VERDICT_HEADINGS,
    cases_of,
    markdown_tables,
    number,
    number_rows,
    our_median,
    verdict_cells,
)
from deepsphere.benchmarks.variants import COO, EAGER, GEOMETRIC, LAYER_VARIANTS, SCIPY
from deepsphere.data.files import write_atomically
from deepsphere.experiments.output import FIGURE_FOLDER, REPORT_FILE
from deepsphere.experiments.pages import ReportPage
from deepsphere.plotting import Card, Report, plot_cost, plot_ratios

TABLES_FILE = "tables.md"

# In the order of their colours.
_VARIANTS = (
    EAGER,
    COO,
    GEOMETRIC,
    "csr",
    SCIPY,
    DISCO_SMALL.name,
    DISCO_LARGE.name,
    SPECTRAL.name,
    "reference",
    UNFUSED,
    ON_TORCH,
)

_HOW = """All variants do the same work on the same input in one process and take turns; every call
makes its own output. Numbers are medians of the turns, with the quartiles beside them. Before
anything is timed, the outputs of a variant are compared with those of the first: one that differs
by more than 1e-4 of the largest value is refused. Memory is what a call adds to the resident memory
of a fresh process at its peak, the output included.

"Beside ours" is a number divided by ours: how many times longer it takes, or how many times more
memory. A load above the number of cores means that something else ran."""


def read_records(folder: Path) -> list[Record]:
    """The records in a folder, in the order of the suites.

    Parameters
    ----------
    folder
        With ``filter.json`` and so on.

    Returns
    -------
    list of Record

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError
        If a file of that name holds something else.
    """
    files = [folder / f"{name}.json" for name in SUITES]
    records = [read_record(file) for file in files if file.is_file()]
    if not records:
        raise FileNotFoundError(
            f"{folder} must hold numbers of a suite, such as filter.json, got none; measure with  "
            f"deepsphere benchmark filter --output {folder}"
        )
    return records


def write_report(folder: Path) -> list[Path]:
    """Draw the page, the figures and the tables of all records in a folder.

    Parameters
    ----------
    folder
        With ``filter.json`` and so on; pages that were drawn before are replaced.

    Returns
    -------
    list of Path
        Page and tables.

    Raises
    ------
    FileNotFoundError
        If there is no record.
    """
    records = read_records(folder)
    report = Report(
        "Benchmarks", subtitle="Time and memory of graph convolutions on the sphere, measured here."
    )
    page = ReportPage(report, folder / FIGURE_FOLDER)
    _write_summary(report, records)
    for record in records:
        _write_record(page, record)
    _write_methods(report, records)
    tables = folder / TABLES_FILE
    with write_atomically(tables, overwrite=True) as temporary:
        temporary.write_text(markdown_tables(records), encoding="utf-8")
    return [report.write(folder / REPORT_FILE, overwrite=True), tables]


def ratios_of(record: Record) -> dict[str, dict[str, float]]:
    """Times of others divided by ours, by case and work, then by variant.

    Parameters
    ----------
    record
        Of a suite.

    Returns
    -------
    dict
        Works without such times are left out, and the backend that serves by default.
    """
    ratios: dict[str, dict[str, float]] = defaultdict(dict)
    served = {found.note for found in record.measurements if found.variant == OURS}
    for found in record.measurements:
        ours = our_median(record.measurements, found.case, found.work)
        if found.unit == "ms" and found.median and ours and found.variant not in {OURS, *served}:
            ratios[_label(found.case, found.work)][found.variant] = found.median / ours
    return dict(ratios)


def costs_of(record: Record) -> dict[str, dict[int, float]]:
    """Milliseconds by layer and variant, then by number of vertices.

    Parameters
    ----------
    record
        Of the suite "scaling".

    Returns
    -------
    dict
    """
    costs: dict[str, dict[int, float]] = defaultdict(dict)
    for found in record.measurements:
        if found.work == COST and found.median is not None and found.num_vertices is not None:
            layer = found.case.partition(",")[0]
            name = found.variant
            if name != HEALPY_PAIR.name:  # transforms know no layer
                name = f"{name}, {layer}"
            costs[name][found.num_vertices] = 1e-6 * found.median * found.num_vertices
    return dict(sorted(costs.items(), key=lambda item: not item[0].startswith(OURS)))


def _write_summary(report: Report, records: Sequence[Record]) -> None:
    """How many requirements are met, suite by suite, and which ones are not."""
    verdicts = [(record, verdict) for record in records for verdict in record.verdicts()]
    known = [verdict for _, verdict in verdicts if verdict.met is not None]
    refused = sum(found.disagrees for record in records for found in record.measurements)
    if any(record.quick for record in records):
        report.paragraph("Some of these cases are small ones, which claim nothing.")
    cards = []
    if verdicts:
        met = sum(bool(verdict.met) for verdict in known)
        state = "good" if met == len(known) == len(verdicts) else "plain"
        note = f"{len(verdicts) - len(known)} not measured"
        cards.append(Card("requirements met", f"{met} of {len(verdicts)}", note, state))
    cards.append(
        Card(
            "variants with other numbers",
            str(refused),
            "refused, not timed" if refused else "all agree within 1e-4",
            "bad" if refused else "good",
        )
    )
    report.cards(cards)
    missed = [(record, verdict) for record, verdict in verdicts if verdict.met is False]
    if missed:
        report.section("What is not reached")
        rows = [[verdict.requirement.case, *verdict_cells(verdict)] for _, verdict in missed]
        report.table(["case", *VERDICT_HEADINGS], rows)


def _write_record(page: ReportPage, record: Record) -> None:
    """The section of a suite: its figure, then a table for each case."""
    report = page.report
    report.section(record.title)
    loads = {load.case: load for load in record.loads}
    verdicts = record.verdicts()
    costs = costs_of(record)
    if costs:
        page.figure(
            plot_cost(costs, emphasized=OURS),
            "scaling",
            alt="Time against the number of vertices on logarithmic axes, by variant",
            caption="A graph convolution costs as much per vertex on a large sphere as on a small "
            "one; transforms to spherical harmonics cost more per vertex as the sphere grows. "
            "Dotted: the slopes n and n^1.5.",
        )
    ratios = ratios_of(record)
    if ratios:
        page.figure(
            plot_ratios(ratios, required=_required(verdicts), variants=_VARIANTS),
            f"{record.suite}-ratios",
            alt="Times of the other variants divided by ours, by case",
            caption="How many times longer others take; the line at 1× is this library by default. "
            "Small bars: what is required.",
        )
    for case in cases_of(record):
        report.subsection(case)
        required = [v for v in verdicts if v.requirement.case == case]
        if required:
            report.table(VERDICT_HEADINGS, [verdict_cells(v) for v in required])
        load = loads.get(case)
        caption = "" if load is None else f"Load {number(load.before)} to {number(load.after)}."
        report.table(NUMBER_HEADINGS, number_rows(record, case), caption=caption)


def _write_methods(report: Report, records: Sequence[Record]) -> None:
    """How it was measured, who the variants are, and on what."""
    report.section("How it was measured")
    report.paragraph(_HOW)
    seen = {found.variant for record in records for found in record.measurements}
    described = (
        *LAYER_VARIANTS.values(),
        DISCO_SMALL,
        DISCO_LARGE,
        SPECTRAL,
        HEALPY_PAIR,
    )
    rows = [[one.name, one.description] for one in described if one.name in seen]
    report.table(["variant", "what it is"], rows)
    commands = "\n".join(f"{record.command}  # {record.finished}" for record in records)
    report.details("Commands", commands)
    last = records[-1]
    report.footer({**last.machine, **last.setting, **last.versions})


def _required(verdicts: Sequence[Verdict]) -> dict[str, dict[str, float]]:
    """The least ratios by case and work, then by variant."""
    table: dict[str, dict[str, float]] = defaultdict(dict)
    for verdict in verdicts:
        needed = verdict.requirement
        if needed.against is not None and needed.at_least is not None:
            table[_label(needed.case, needed.work)][needed.against] = needed.at_least
    return table


def _label(case: str, work: str) -> str:
    """A case and its work in two short lines."""
    words = [word for word in case.split(", ") if word not in ("kernel_size 3", "k = 20")]
    return f"{', '.join(words[:3])}\n{', '.join([*words[3:], work])}"
