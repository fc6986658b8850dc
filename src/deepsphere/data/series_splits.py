"""Parts of a series in time, for training, validation and test."""

from typing import Any, NamedTuple

from deepsphere.data.calendars import format_time
from deepsphere.data.field_series import FieldSeries


class SeriesSplits(NamedTuple):
    """Three parts of a series, one after the other.

    Attributes
    ----------
    train
        What is learned from.
    validation
        What choices are made on; None where no time was given.
    test
        What the final numbers are computed on; None where no time was given.
    """

    train: FieldSeries
    validation: FieldSeries | None
    test: FieldSeries | None


def split_series(
    series: FieldSeries,
    *,
    validation_start: Any = None,
    test_start: Any = None,
    history: int = 0,
) -> SeriesSplits:
    """Parts of a series: before the validation, until the test, and the rest.

    What is forecast in one part is never a target of another. A forecast may know what was before
    its part, though: with a `history` the parts for validation and test begin so many times
    earlier, and their first target stands where they begin without.

    Parameters
    ----------
    series
        The whole.
    validation_start, test_start
        Times or texts such as "2015"; None for no such part. Without validation, the training
        lasts until the test.
    history
        Times before each part that forecasts may begin from: for windows with lags down to
        −2 and step 1, 3 (two lags, and the start itself). See `Forecasting.history`.

    Returns
    -------
    SeriesSplits

    Raises
    ------
    ValueError
        If the starts are not in this order, a part is empty, or the history is negative.

    Examples
    --------
    >>> import numpy as np
    >>> from deepsphere.data.field_series import array_series
    >>> from deepsphere.sampling import Healpix
    >>> months = np.arange("2010-01", "2014-01", dtype="datetime64[M]")
    >>> series = array_series(np.zeros((48, 12, 1)), months, Healpix(1))
    >>> parts = split_series(series, validation_start="2012", test_start="2013", history=3)
    >>> [len(part) for part in parts]
    [24, 15, 15]
    """
    if history < 0:
        raise ValueError(f"history must not be negative, got {history}")
    names = ("validation_start", "test_start")
    starts: dict[str, int] = {}
    for name, given in zip(names, (validation_start, test_start), strict=True):
        if given is not None:
            parsed = series.axis.parse(given)
            starts[name] = int((series.times < parsed).sum())
            if not 0 < starts[name] < len(series):
                raise ValueError(
                    f"{name} must lie after {format_time(series.times[0])} and not after "
                    f"{format_time(series.times[-1])}, got {given}"
                )
    test = starts.get("test_start", len(series))
    validation = starts.get("validation_start", test)
    if "validation_start" in starts and validation >= test:
        raise ValueError(
            f"validation_start must be before test_start, got {validation_start} and {test_start}"
        )

    def part(start: int, stop: int) -> FieldSeries:
        """Times of a part with those before it."""
        positions = series.axis.positions
        wanted = positions >= positions[start] - history
        wanted[stop:] = False
        return series.take(wanted.nonzero()[0])

    return SeriesSplits(
        series.take(range(validation)),
        part(validation, test) if "validation_start" in starts else None,
        part(test, len(series)) if "test_start" in starts else None,
    )
