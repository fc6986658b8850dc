"""Numbers, requirements and verdicts, and the file that keeps them."""

import pytest

from deepsphere.benchmarks.record import (
    OURS,
    CaseLoad,
    Measurement,
    Record,
    Requirement,
    judge,
    read_record,
    write_record,
)


def measured(variant: str, median: float | None, **options) -> Measurement:
    unit = options.pop("unit", "ms")
    return Measurement(
        case="a layer", work="forward", variant=variant, unit=unit, median=median, **options
    )


def required(**options) -> Requirement:
    return Requirement(case="a layer", work="forward", **options)


def make_record(*measurements: Measurement, requirements: tuple[Requirement, ...] = ()) -> Record:
    return Record(
        suite="filter",
        title="One layer",
        command="deepsphere benchmark filter",
        finished="2020-02-02T20:20:20+00:00",
        quick=False,
        setting={"device": "cpu", "num_threads": 2},
        measurements=list(measurements),
        requirements=list(requirements),
        loads=[CaseLoad(case="a layer", before=0.5, after=None)],
        machine={"processor": "a processor", "cores": 2},
        versions={"torch": "2"},
    )


@pytest.mark.parametrize(("least", "met"), [(7.4, True), (7.5, True), (7.6, False)])
def test_ratio_is_the_time_of_the_other_over_ours(least, met):
    numbers = [measured(OURS, 2.0), measured("COO", 15.0), measured("PyG", 99.0)]
    verdict = judge(required(against="COO", at_least=least), numbers)
    assert verdict.value == 7.5
    assert verdict.met is met


@pytest.mark.parametrize(("most", "met"), [(1.4, False), (1.5, True)])
def test_number_that_counts_alone_is_compared_with_its_bound(most, met):
    verdict = judge(required(at_most=most), [measured(OURS, 1.5, unit="×")])
    assert verdict.value == 1.5
    assert verdict.met is met


@pytest.mark.parametrize(
    "numbers",
    [
        [],
        [measured(OURS, 2.0)],
        [measured("COO", 2.0)],
        [measured(OURS, None, note="failed"), measured("COO", 2.0)],
        [measured(OURS, 2.0), measured("COO", None, note="not installed")],
        [measured(OURS, 0.0), measured("COO", 2.0)],
    ],
)
def test_missing_number_leaves_the_verdict_open(numbers):
    verdict = judge(required(against="COO", at_least=12.0), numbers)
    assert verdict.value is None
    assert verdict.met is None


def test_number_of_another_work_does_not_count():
    other = measured(OURS, 1.0).model_copy(update={"work": "forward + backward"})
    assert judge(required(at_most=2.0), [other]).met is None


@pytest.mark.parametrize("bounds", [{}, {"at_least": 1.0, "at_most": 2.0}])
def test_requirement_has_one_bound(bounds):
    with pytest.raises(ValueError, match="must have one of at_least and at_most"):
        required(**bounds)


def test_record_survives_its_file(tmp_path):
    record = make_record(
        measured(OURS, 1.25, quartiles=(1.0, 1.5), num_repeats=5, error=1e-7, num_vertices=48),
        measured("PyG", None, note="torch_geometric is not installed"),
        measured("COO", None, error=0.5, disagrees=True, note="disagrees"),
        requirements=(required(against="COO", at_least=12.0), required(at_most=3.0)),
    )
    path = tmp_path / "filter.json"
    write_record(path, record)
    assert read_record(path) == record
    assert [verdict.met for verdict in read_record(path).verdicts()] == [None, True]
    assert [entry.name for entry in tmp_path.iterdir()] == ["filter.json"]


def test_record_is_not_replaced_unasked(tmp_path):
    path = tmp_path / "filter.json"
    write_record(path, make_record(measured(OURS, 1.0)))
    with pytest.raises(FileExistsError, match=r"filter\.json"):
        write_record(path, make_record())
    assert read_record(path).measurements[0].median == 1.0
    write_record(path, make_record(), overwrite=True)
    assert not read_record(path).measurements


@pytest.mark.parametrize("text", ["", "[]", '{"suite": "filter"}'])
def test_file_of_something_else_is_refused(text, tmp_path):
    path = tmp_path / "filter.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"must hold numbers of `deepsphere benchmark`"):
        read_record(path)
