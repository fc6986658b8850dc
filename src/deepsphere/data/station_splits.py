"""Parts of records in time, for training, validation and test."""

from typing import Any, NamedTuple

from deepsphere.data.series_splits import split_series
from deepsphere.data.station_records import StationRecords


class RecordSplits(NamedTuple):
    """Three parts of records, one after the other.

    Attributes
    ----------
    train
        What is learned from.
    validation
        What choices are made on; None where there is no such part.
    test
        What the final numbers are computed on; None where there is no such part.
    """

    train: StationRecords
    validation: StationRecords | None
    test: StationRecords | None


def split_records(
    records: StationRecords,
    *,
    validation_start: Any = None,
    test_start: Any = None,
    validation_fraction: float = 0.15,
    test_fraction: float = 0.15,
    history: int = 0,
) -> RecordSplits:
    """Parts of records in time: what is learned from comes first, the test last.

    Parameters
    ----------
    records
        The whole.
    validation_start, test_start
        Times or texts such as "2015". Where one is not given, the fraction decides.
    validation_fraction, test_fraction
        Of the times, at least one; 0 for no such part.
    history
        Steps before the parts for validation and test that are in them too, as what their first
        targets are predicted from.

    Returns
    -------
    RecordSplits

    Raises
    ------
    ValueError
        If fractions are out of range, starts are not in this order, or a part is empty.

    Examples
    --------
    >>> import numpy as np
    >>> from deepsphere.data.station_records import station_records
    >>> days = np.arange("2020-01-01", "2020-04-10", dtype="datetime64[D]")
    >>> records = station_records([8.5, 6.1], [47.4, 46.2], np.ones((100, 2)), days)
    >>> [len(part) for part in split_records(records)]
    [70, 15, 15]
    >>> [len(part) for part in split_records(records, test_start="2020-04", history=5)]
    [76, 20, 14]
    """
    if min(validation_fraction, test_fraction) < 0 or validation_fraction + test_fraction >= 1:
        raise ValueError(
            "validation_fraction and test_fraction must not be negative, and be less than 1 "
            f"together, got {validation_fraction} and {test_fraction}"
        )
    num_parts = 1 + (test_start is not None or test_fraction > 0)
    num_parts += validation_start is not None or validation_fraction > 0
    if len(records) < num_parts:
        raise ValueError(
            f"records must have a time for each of {num_parts} parts, got {len(records)}; give "
            "more times, or validation_fraction=0 and test_fraction=0"
        )
    stop = len(records)
    if test_start is None and test_fraction:
        stop -= max(round(test_fraction * len(records)), 1)
        test_start = records.times[max(stop, 0)]
    elif test_start is not None:
        stop = int((records.times < records.axis.parse(test_start)).sum())
    if validation_start is None and validation_fraction:
        start = stop - max(round(validation_fraction * len(records)), 1)
        validation_start = records.times[max(start, 0)]
    parts = split_series(
        records.series(),
        validation_start=validation_start,
        test_start=test_start,
        history=history,
    )
    return RecordSplits(
        records.take_times(parts.train.frames),
        None if parts.validation is None else records.take_times(parts.validation.frames),
        None if parts.test is None else records.take_times(parts.test.frames),
    )
