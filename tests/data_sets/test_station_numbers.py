"""Numbers and angles of tables, however they are written."""

import numpy as np
import pandas as pd
import pytest

from deepsphere.data.station_numbers import as_degrees, as_numbers, elevations_m
from deepsphere.data.station_tables import read_stations

NAN = np.nan


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["1,5", "-0,25", "7", "3.5"], [1.5, -0.25, 7, 3.5]),
        (["1,234.5", "12", "1,000"], [1234.5, 12, 1000]),
        (["1,234,567", "8"], [1234567, 8]),
        (["1.234,5", "2.000", "7,25"], [1234.5, 2000, 7.25]),
        (["0,125", "1,250"], [0.125, 1.25]),  # no number begins with 0 thousand
        (["1,013", "7"], [NAN, 7]),  # could be either
        (["-0070,1", "+0123,1"], [NAN, NAN]),  # a number and a code
        (["T", "trace", "M", "", "1e-1", "1_0"], [0, 0, NAN, NAN, 0.1, NAN]),
        ([b"1.5", None, 2], [1.5, NAN, 2]),
    ],
)
def test_commas_are_what_all_numbers_of_a_column_allow(texts, expected):
    np.testing.assert_array_equal(as_numbers(texts)[0], expected)


def test_texts_that_are_no_numbers_are_counted():
    assert as_numbers(["x", "1", "y", "x", "M"])[1] == ("x", 3)
    assert as_numbers([[1, 2], [3]])[1].number == 2


def test_complex_numbers_are_rejected():
    with pytest.raises(ValueError, match="values must be real, got complex ones"):
        as_numbers(np.array([1j]))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("5.63N", 5.63),
        ("3,23 W", -3.23),
        ("S 33.5", -33.5),
        ("+56:52:00", 56 + 52 / 60),
        ("-014:48:36", -14.81),
        ("14°48'36\"W", -14.81),
        ("14° 30' S", -14.5),
        ("-00:30:00", -0.5),
        ("-7.25", -7.25),
        ("14:75:00", NAN),
        ("somewhere", NAN),
        ("", NAN),
    ],
)
def test_angles_in_degrees_minutes_and_seconds(text, expected):
    np.testing.assert_allclose(as_degrees([text, None]), [expected, NAN])


def test_angles_with_their_side_are_read_in_tables():
    table = pd.DataFrame(
        {
            "dt": ["1849-01-01", "1849-01-01"],
            "City": ["Abidjan", "Rio"],
            "Latitude": ["5.63N", "22.5S"],
            "Longitude": ["3.23W", "43.1W"],
            "AverageTemperature": [26.7, 24.5],
        }
    )
    records = read_stations(table)
    np.testing.assert_allclose(records.lat_deg, [5.63, -22.5])
    np.testing.assert_allclose(records.lon_deg, [356.77, 316.9])
    assert records.channel_names == ("tavg",)


def test_elevations_in_feet_and_kilometers_are_meters():
    np.testing.assert_allclose(elevations_m(["1,000", "-9999"], "elev_ft"), [304.8, NAN])
    np.testing.assert_allclose(elevations_m([1.5], "elevation (km)"), [1500.0])
    np.testing.assert_allclose(elevations_m([1.5], "elevation (m)"), [1.5])
