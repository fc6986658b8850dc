"""The command, its tables, and the files that it writes."""

import json
import re

import pytest

from deepsphere.benchmarks import run as run_module
from deepsphere.benchmarks.record import (
    OURS,
    CaseLoad,
    Measurement,
    Record,
    Requirement,
    read_record,
    write_record,
)
from deepsphere.benchmarks.registry import SUITES, Suite
from deepsphere.benchmarks.report import costs_of, ratios_of, read_records, write_report
from deepsphere.benchmarks.suites import block
from deepsphere.benchmarks.suites.scaling import COST
from deepsphere.benchmarks.tables import markdown_tables, number, verdict_line
from deepsphere.cli import main
from deepsphere.cli.benchmarks import SuiteName


def row(variant: str, median: float | None, **options) -> Measurement:
    values = {"case": "a layer", "work": "forward", "unit": "ms", **options}
    return Measurement(variant=variant, median=median, **values)


NEEDED = (
    Requirement(case="a layer", work="forward", against="COO", at_least=12.0),
    Requirement(case="a layer", work="forward", against="PyG", at_least=20.0),
    Requirement(case="a layer", work="memory", at_most=6.0),
)
ROWS = (
    row(OURS, 2.0, quartiles=(1.9, 2.2), num_repeats=5, note="csr"),
    row("COO", 30.0, quartiles=(29.0, 31.5), num_repeats=5),
    row("csr", 2.1),
    row("PyG", None, note="torch_geometric is not installed; pip install torch-geometric"),
    row(OURS, 7.5, work="memory", unit="GB"),
    row("16 → 32, nside 8", 9.0, work=COST, unit="ns/vertex", num_vertices=768),
)


def make_record(suite: str = "filter", rows=ROWS, requirements=NEEDED) -> Record:
    return Record(
        suite=suite,
        title="One graph convolution",
        command=f"deepsphere benchmark {suite} --peers",
        finished="2020-02-02T20:20:20+00:00",
        quick=False,
        setting={"device": "cpu", "num_threads": 2},
        measurements=list(rows),
        requirements=list(requirements),
        loads=[CaseLoad(case="a layer", before=0.5, after=1.5)],
        machine={"processor": "a processor <of old>"},
        versions={"torch": "2"},
    )


# tables


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.99996, "1.000"), (99.96, "100.0"), (1e6, "1,000,000"), (-2.5, "-2.50")],
)
def test_number_has_three_digits(value, text):
    assert number(value) == text


def test_verdicts_say_met_missed_or_not_measured():
    lines = [" ".join(verdict_line(verdict).split()) for verdict in make_record().verdicts()]
    assert lines == [
        "met 15.0× (required ≥ 12×) forward against COO",
        "not measured – (required ≥ 20×) forward against PyG",
        "MISSED 7.50 GB (required ≤ 6 GB) memory",
    ]


def test_markdown_holds_every_number_and_every_reason():
    text = markdown_tables([make_record()])
    assert "| forward | COO | ≥ 12× | 15.0× | met |" in text
    assert "| forward | COO | 30.0 ms | 29.0, 31.5 | 15.0× |  |" in text
    assert "| forward | PyG | – |  |  | torch_geometric is not installed" in text
    assert "a processor <of old>, 2 threads, torch 2" in text
    for line in text.splitlines():
        if line.startswith("|"):
            assert line.count("|") in (6, 7)


def test_ratios_are_times_over_ours_without_the_backend_that_served():
    (ratios,) = ratios_of(make_record()).values()
    assert ratios == {"COO": 15.0}


def test_costs_are_milliseconds_of_the_whole_sphere():
    rows = [
        row(OURS, 50.0, case="1 → 4, nside 8", work=COST, unit="ns/vertex", num_vertices=768),
        row(OURS, 40.0, case="1 → 4, nside 16", work=COST, unit="ns/vertex", num_vertices=3072),
        row("PyG", None, case="1 → 4, nside 16", work=COST, unit="ns/vertex", num_vertices=3072),
    ]
    costs = costs_of(make_record("scaling", rows))
    assert costs == {"deepsphere, 1 → 4": pytest.approx({768: 0.0384, 3072: 0.12288})}


# report


def test_report_shows_what_is_met_and_what_is_not(tmp_path):
    write_record(tmp_path / "filter.json", make_record())
    page, tables = write_report(tmp_path)
    html = page.read_text()
    assert "1 of 3" in html
    assert "MISSED" in html
    assert "15.0×" in html
    assert "a processor &lt;of old&gt;" in html
    assert not re.search(r"(src|href)=.http", html)  # needs nothing else
    assert tables.read_text() == markdown_tables([make_record()])
    assert (tmp_path / "figures" / "filter-ratios.png").stat().st_size > 1000


def test_records_are_read_in_the_order_of_the_suites(tmp_path):
    for name in ("scaling", "filter", "graph"):
        write_record(tmp_path / f"{name}.json", make_record(name))
    assert [record.suite for record in read_records(tmp_path)] == ["filter", "graph", "scaling"]


def test_report_of_an_empty_folder_says_what_to_do(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"deepsphere benchmark filter --output"):
        write_report(tmp_path)


# command


@pytest.fixture
def tiny_block(monkeypatch) -> str:
    """The suite of blocks with one tiny case; its title."""
    case = block.BlockCase(4, 1, 2, 3)
    monkeypatch.setattr(block, "QUICK_CASES", (case,))
    return case.title


def error_of(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """The single line on the standard error of a call that must fail."""
    assert main([str(word) for word in words]) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    return line


def test_help_explains_the_suites(capsys):
    assert main([]) == 0
    assert "benchmark " in capsys.readouterr().out
    assert main(["benchmark", "--help"]) == 0
    output = capsys.readouterr().out
    for word in ("filter", "scaling", "memory", "--peers", "--quick", "--report"):
        assert word in output


def test_every_suite_has_a_word_of_the_command():
    assert {name.value for name in SuiteName} == {*SUITES, "all"}


def test_quick_run_measures_and_writes(tiny_block, tmp_path, capsys):
    folder = tmp_path / "numbers"
    words = ["benchmark", "block", "--quick", "--threads", "1", "--output", str(folder)]
    assert main(words) == 0
    output = capsys.readouterr().out
    assert tiny_block in output
    record = read_record(folder / "block.json")
    assert record.command == "deepsphere benchmark block --quick --threads 1"
    measured = [found for found in record.measurements if found.variant in (OURS, block.UNFUSED)]
    assert len(measured) == 4
    assert all(found.median and found.num_repeats >= 5 for found in measured)
    assert all(str(folder / name) in output for name in ("block.json", "report.html"))
    assert tiny_block in (folder / "report.html").read_text()
    before = json.loads((folder / "block.json").read_text())
    assert "block.json" in error_of(capsys, *words)
    assert json.loads((folder / "block.json").read_text()) == before
    (folder / "report.html").unlink()
    assert main(["benchmark", "--report", str(folder)]) == 0
    assert (folder / "report.html").is_file()


def test_numbers_alone_go_to_a_file(tiny_block, tmp_path, capsys):
    file = tmp_path / "numbers.json"
    assert main(["benchmark", "block", "--quick", "--threads", "1", "-o", str(file)]) == 0
    assert [entry.name for entry in tmp_path.iterdir()] == ["numbers.json"]
    assert read_record(file).suite == "block"


def test_page_of_something_else_is_not_replaced(tiny_block, tmp_path, capsys):
    (tmp_path / "report.html").write_text("mine")
    line = error_of(capsys, "benchmark", "block", "--quick", "--output", tmp_path)
    assert "report.html" in line
    assert (tmp_path / "report.html").read_text() == "mine"


def test_disagreement_is_an_error_after_everything_is_written(monkeypatch, tmp_path, capsys):
    wrong = row("COO", None, error=0.5, disagrees=True, note="disagrees with CSR eager")
    suite = Suite("Blocks", lambda _: iter([row(OURS, 2.0), wrong]), lambda _: [])
    monkeypatch.setitem(SUITES, "block", suite)
    assert run_module.SUITES is SUITES
    file = tmp_path / "block.json"
    line = error_of(capsys, "benchmark", "block", "--output", file)
    assert "variants must agree within 1e-4, got other numbers from COO in 1 measurements" in line
    assert read_record(file).measurements[1] == wrong


@pytest.mark.parametrize("words", [[], ["filter", "--report", "."]])
def test_suite_or_report_must_be_chosen(words, capsys):
    line = error_of(capsys, "benchmark", *words)
    assert "must be told a SUITE or --report" in line


def test_unknown_suite_is_one_line(capsys):
    assert "speed" in error_of(capsys, "benchmark", "speed")
