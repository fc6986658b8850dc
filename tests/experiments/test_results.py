"""Rows of results: the verdicts follow the claims, and files are checked on the way in."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from deepsphere.experiments.config import Claim
from deepsphere.experiments.results import (
    ResultRow,
    Results,
    format_number,
    make_row,
    print_results,
    read_results,
    summarize_claims,
    tabulate,
    write_results,
)


def results_of(*rows: ResultRow) -> Results:
    return Results(
        rows=list(rows), recipe={"title": "t"}, command="deepsphere", machine={}, versions={}
    )


@pytest.mark.parametrize(
    ("claim", "measured", "verdict"),
    [
        ({"required": 96.0}, 96.0, True),
        ({"required": 96.0}, 95.9, False),
        ({"required": 0.12, "better": "lower"}, 0.12, True),
        ({"required": 0.12, "better": "lower"}, 0.13, False),
        ({"published": 90.0, "source": "s", "tolerance": 1.0}, 89.0, True),
        ({"published": 90.0, "source": "s", "tolerance": 1.0}, 88.9, False),
        ({"published": 90.0, "source": "s", "tolerance": 1.0, "better": "lower"}, 91.5, False),
        ({"published": 90.0, "source": "s"}, 10.0, None),
        ({"published": 90.0, "source": "s", "required": 5.0}, 10.0, True),
    ],
)
def test_claim_is_met_on_the_right_side_of_its_number(claim, measured, verdict):
    claim = Claim(name="a", **claim)
    assert claim.is_met(measured) is verdict
    assert make_row("a", [measured], seconds=1.0, claims=[claim]).ok is verdict


def test_row_holds_mean_and_sample_deviation():
    row = make_row("a", [1.0, 2.0, 6.0], seconds=1.0)
    assert row.measured == 3.0
    assert row.spread == pytest.approx(((2**2 + 1 + 3**2) / 2) ** 0.5)
    assert row.ok is None
    assert make_row("a", [1.0], seconds=1.0).spread is None


@pytest.mark.parametrize("values", [[], [1.0, float("nan")]])
def test_row_without_finite_values_is_rejected(values):
    with pytest.raises(ValueError, match="values of 'a' must be finite numbers, one per seed, got"):
        make_row("a", values, seconds=1.0)


def test_rows_must_differ_in_name():
    row = make_row("a", [1.0], seconds=1.0)
    with pytest.raises(ValueError, match="rows must differ in name, got 'a' twice"):
        results_of(row, row)


def test_file_round_trip_has_the_promised_keys(tmp_path: Path):
    path = tmp_path / "results.json"
    results = results_of(make_row("a", [1.0], seconds=2.0, unit="%"))
    write_results(path, results)
    assert read_results(path) == results
    raw = json.loads(path.read_text())
    promised = {"name", "measured", "spread", "published", "source", "unit", "tolerance", "ok"}
    assert promised | {"seconds"} <= set(raw["rows"][0])
    assert {"rows", "machine", "versions", "recipe", "command", "notes"} == set(raw)
    assert [entry.name for entry in tmp_path.iterdir()] == ["results.json"]


def test_damaged_file_is_rejected(tmp_path: Path):
    path = tmp_path / "results.json"
    with pytest.raises(FileNotFoundError, match="results must be a file, got"):
        read_results(path)
    write_results(path, results_of(make_row("a", [1.0], seconds=2.0)))
    whole = path.read_text()
    path.write_text(whole[:40])
    with pytest.raises(ValueError, match="must hold results, got a fault at the file: "):
        read_results(path)
    path.write_text(whole.replace('"seconds": 2.0', '"seconds": "2.0"'))
    with pytest.raises(ValueError, match=r"must hold results, got a fault at rows.0.seconds: "):
        read_results(path)


def test_table_marks_the_claims():
    claims = [Claim(name="good", required=1.0), Claim(name="bad", required=9.0)]
    rows = [make_row(name, [2.0], seconds=1.0, claims=claims) for name in ("good", "bad", "free")]
    console = Console(file=io.StringIO(), width=120)
    print_results(results_of(*rows), console)
    lines = console.file.getvalue().splitlines()
    assert any("good" in line and " ok " in line for line in lines)
    assert any("bad" in line and " short " in line for line in lines)
    assert not any("free" in line and (" ok " in line or " short " in line) for line in lines)


def test_table_has_no_empty_column_and_shows_bounds():
    claim = Claim(name="a", required=0.5, better="lower")
    row = make_row("a", [0.25], seconds=1.0, claims=[claim])
    assert tabulate([row]) == (
        ["measure", "measured", "required", "claim", "seconds"],
        [["a", "0.250", "≤ 0.500", "ok", "1"]],
    )


def test_claims_are_summarized():
    rows = [ResultRow(name=str(ok), measured=1.0, seconds=0.0, ok=ok) for ok in (True, False, None)]
    assert summarize_claims(rows) == "1 of 2 claims are met"
    assert summarize_claims(rows[:1]) == "all 1 claims are met"
    assert summarize_claims(rows[2:]) == "nothing is claimed here"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (22122.0, "", "22,122"),
        (97.44, "%", "97.4 %"),
        (0.71, "%", "0.7 %"),
        (0.0612, "", "0.0612"),
        (0.000691, "", "0.000691"),
        (0.0, "", "0.000"),
    ],
)
def test_numbers_are_readable(value, unit, text):
    assert format_number(value, unit) == text
