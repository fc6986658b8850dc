"""Units and fill values of station tables, against conversions written out."""

import numpy as np
import pandas as pd
import pytest

from deepsphere.data.station_tables import read_stations
from deepsphere.data.station_units import canonical_units, is_sentinel, recognise_quantity

CELSIUS = np.array([-40.0, 0.0, 25.3, 41.9])
MILLIMETERS = np.array([0.0, 0.3, 25.4, 310.0])


def table(**columns):
    number = len(next(iter(columns.values())))
    return pd.DataFrame(
        {
            "id": [f"s{index}" for index in range(number)],
            "date": "2020-01-01",
            "lat": np.linspace(-40, 40, number),
            "lon": np.linspace(-120, 120, number),
            **columns,
        }
    )


@pytest.mark.parametrize(
    ("unit", "values"),
    [
        *[(unit, CELSIUS) for unit in ("C", "°C", "degC", "deg C", "Celsius", "degrees Celsius")],
        *[(unit, CELSIUS * 9 / 5 + 32) for unit in ("F", "°F", "degF", "deg_F", "Fahrenheit")],
        *[(unit, CELSIUS + 273.15) for unit in ("K", "kelvin", "degK")],
        *[
            (unit, CELSIUS * 10)
            for unit in ("tenths", "0.1 degC", "tenths of degrees C", "°C/10", "degC*10", "0.1C")
        ],
    ],
)
def test_temperatures_become_celsius_and_back(unit, values):
    found, canonical = canonical_units(values, "tmax", unit)
    np.testing.assert_allclose(found, CELSIUS, atol=1e-10)
    assert canonical == "°C"
    records = read_stations(table(tmax=values), units={"tmax": unit})
    np.testing.assert_allclose(records.column("tmax")[0], CELSIUS, rtol=1e-6, atol=1e-5)
    assert records.units == ("°C",)


@pytest.mark.parametrize(
    ("unit", "scale"),
    [
        ("mm", 1), ("millimeters", 1), ("kg m-2", 1), ("kg m**-2", 1), ("mm/day", 1), ("mm d-1", 1),
        ("cm", 0.1), ("m", 1e-3), ("inches", 1 / 25.4), ("in", 1 / 25.4), ("tenths of mm", 10),
        ("0.1 mm", 10), ("tenths", 10), ("hundredths of inches", 100 / 25.4),
        ("kg m-2 s-1", 1 / 86400),
    ],
)  # fmt: skip
def test_water_becomes_millimeters(unit, scale):
    found, canonical = canonical_units(MILLIMETERS * scale, "prcp", unit)
    np.testing.assert_allclose(found, MILLIMETERS, atol=1e-9)
    assert canonical == "mm"


@pytest.mark.parametrize(
    ("name", "unit"), [("slp", "hPa"), ("height", "m"), ("x", ""), ("wdir", "deg")]
)
def test_other_units_are_kept(name, unit):
    found, canonical = canonical_units(CELSIUS, name, unit)
    assert found is CELSIUS
    assert canonical == unit


@pytest.mark.parametrize(
    ("column", "name", "unit"),
    [
        ("TMAX", "tmax", ""), ("tavg_f", "tavg", "f"), ("TMIN (F)", "tmin", "F"),
        ("tempc", "tavg", "c"), ("temp_maxc", "tmax", "c"), ("temp_minc", "tmin", "c"),
        ("Mean Temperature [K]", "tavg", "K"), ("prcp_mm", "prcp", "mm"), ("prec", "prcp", ""),
        ("Rainfall (inches)", "prcp", "inches"), ("SNWD", "snwd", ""),
        ("snow depth (cm)", "snwd", "cm"),
        ("dew_point_f", "dew_point", "f"), ("class_c", "class_c", ""), ("wind_in", "wind_in", ""),
        ("Wind Speed", "wind_speed", ""), ("temperature_2m_max", "tmax", ""),
    ],
)  # fmt: skip
def test_names_and_units_are_recognised(column, name, unit):
    assert tuple(recognise_quantity(column)) == (name, unit)


def test_the_column_of_the_name_keeps_it():
    records = read_stations(table(temp=CELSIUS, TAVG=CELSIUS + 1, Tmean=CELSIUS + 2))
    assert records.channel_names == ("temp", "tavg", "tmean")
    np.testing.assert_allclose(records.column("tavg")[0], CELSIUS + 1, rtol=1e-6)


def test_a_given_unit_is_believed_rather_than_the_header():
    values = CELSIUS + 273.15
    records = read_stations(table(tmax_c=values), units={"tmax": "K"})
    np.testing.assert_allclose(records.column("tmax")[0], CELSIUS, atol=1e-4)
    assert "tmax: converted from K to °C" in records.notes
    with pytest.raises(ValueError, match="units must be among tmax, got 'tmin'"):
        read_stations(table(tmax_c=values), units={"tmin": "K"})


def test_temperatures_that_cannot_be_celsius_are_kept_and_told():
    records = read_stations(table(tmax=[253.0, -31.0, 120.0, 398.0]))
    np.testing.assert_array_equal(records.column("tmax")[0], [253, -31, 120, 398])
    assert records.units == ("",)
    assert any("tmax has no unit and reaches 398" in note for note in records.notes)


# numbers that stand for nothing


@pytest.mark.parametrize("number", [-9999, -9999.9, 9999.9, 999.9, -999.9, -99, -999, 9.96921e36])
@pytest.mark.parametrize("unit", ["C", "F", ""])
def test_numbers_that_no_temperature_has_become_missing(number, unit):
    values = [12.0, number, 31.5, np.nan]
    records = read_stations(table(tmax=values), units={"tmax": unit} if unit else None)
    assert np.isnan(records.column("tmax")[0]).tolist() == [False, True, False, True]
    assert "1 values of" in records.notes[0]


def test_numbers_that_may_have_been_measured_are_kept():
    polar = np.array([-99.0, -97.5, -101.2, -80.0])  # °F at Vostok
    assert not is_sentinel(polar, "tmin", "F").any()
    tenths = np.array([-99.0, -93.0, 12.0, 253.0])
    assert not is_sentinel(tenths, "tmin", "tenths").any()
    pressure = np.array([999.9, 1013.2, 985.0])
    assert not is_sentinel(pressure, "slp", "hPa").any()
    assert not is_sentinel(np.array([-9.0, 9.0, 99.0, 0.0]), "u10", "m/s").any()


def test_negative_amounts_of_water_are_sentinels_only_where_customary():
    found = is_sentinel(np.array([-99.9, -999.0, -1.0, 0.0, 95.0]), "prcp", "mm")
    assert found.tolist() == [True, True, False, False, False]


def test_files_of_the_global_summary_of_the_day_are_known():
    columns = {
        "STATION": ["01001099999", "01001499999"],
        "DATE": "2020-01-01",
        "LATITUDE": [70.9, 59.8],
        "LONGITUDE": [-8.7, 5.3],
        "ELEVATION": [9.0, -999.9],
        "NAME": ["JAN MAYEN, NO", "SORSTOKKEN, NO"],
        "TEMP": [28.4, 9999.9],
        "TEMP_ATTRIBUTES": [24, 8],
        "DEWP": [20.0, 30.0],
        "SLP": [999.9, 9999.9],
        "WDSP": [10.0, 999.9],
        "MXSPD": [20.0, 999.9],
        "MAX": [32.0, 9999.9],
        "MAX_ATTRIBUTES": ["*", ""],
        "PRCP": [0.5, 99.99],
        "SNDP": [999.9, 2.0],
        "FRSHTT": [1000, 0],
    }
    records = read_stations(pd.DataFrame(columns))
    assert records.channel_names == (
        "tavg", "dewp", "slp", "wdsp", "mxspd", "tmax", "prcp", "snwd"
    )  # fmt: skip
    assert records.units == ("°C", "°C", "hPa", "kn", "kn", "°C", "mm", "mm")
    nan = np.nan
    expected = [
        [-2, (20 - 32) / 1.8, 999.9, 10, 20, 0, 12.7, nan],
        [nan, -2 / 1.8, nan, nan, nan, nan, nan, 50.8],
    ]
    np.testing.assert_allclose(records.values[0], expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(records.elevation_m, [9.0, nan])
    assert records.ids == ("01001099999", "01001499999")


def test_texts_among_numbers_are_missing_and_told():
    rows = table(tmax=["12,5", "M", "about 3", "7"], prcp=["T", "0.2", "", "1"])
    records = read_stations(rows)
    np.testing.assert_array_equal(records.column("tmax")[0], np.float32([12.5, np.nan, np.nan, 7]))
    np.testing.assert_array_equal(records.column("prcp")[0], np.float32([0, 0.2, np.nan, 1]))
    assert records.notes == (
        "tmax: texts that are no numbers became 1 missing values, as 'about 3'",
    )


def test_sentinels_do_not_enter_the_mean_of_repeated_rows():
    rows = table(tmax=[10.0, 20.0])
    rows = pd.concat([rows, rows.assign(tmax=[-9999.0, 30.0])])
    np.testing.assert_array_equal(read_stations(rows).column("tmax"), [[10.0, 25.0]])
    stacked = rows.melt(id_vars=["id", "date", "lat", "lon"], var_name="element")
    np.testing.assert_array_equal(read_stations(stacked).column("tmax"), [[10.0, 25.0]])


@pytest.mark.parametrize("header", ["elev_ft", "Elevation (feet)", "altitude_ft"])
def test_elevations_in_feet_become_meters(header):
    records = read_stations(table(tmax=[1.0, 2.0], **{header: [1000.0, 10.0]}))
    np.testing.assert_allclose(records.elevation_m, [304.8, 3.048])
