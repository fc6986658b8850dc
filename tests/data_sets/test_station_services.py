"""Tables of weather services are read in the units that their documentation tells."""

import numpy as np
import pandas as pd
import pytest

from deepsphere.data.station_services import service_of, service_quantity, trusted_values
from deepsphere.data.station_tables import read_stations

HEAD = """\
EUROPEAN CLIMATE ASSESSMENT & DATASET (ECA&D), file created on: 12-12-2023
FILE FORMAT (MISSING VALUE CODE IS -9999):

01-06 STAID: Station identifier
15-22 DATE : Date YYYYMMDD
24-28 TG   : mean temperature in 0.1 &#176;C

This is the blended series of station SWEDEN, VAEXJOE (STAID: 1)
See files sources.txt and stations.txt for more info.

"""
SERIES = """\
STAID, SOUID,    DATE,   TG, Q_TG
     1, 35381,19180101,   23,    0
     1, 35381,19180102,  -12,    1
     1, 35381,19180103,-9999,    9
     1, 35381,19180104,  -47,    0
"""
LIST = """\
EUROPEAN CLIMATE ASSESSMENT & DATASET (ECA&D), file created on: 12-12-2023
FILE FORMAT:

01- 05 STAID  : Station identifier
STAID,STANAME                                 ,CN,      LAT,       LON,HGHT
    1,VAEXJOE                                 ,SE,+56:52:00,+014:48:00, 166
    2,FALUN                                   ,SE,+60:37:00,-015:37:30, 160
"""


def series_of(records, name):
    return records.column(name)[:, 0].astype(float)


def test_european_assessment_is_read_with_its_list(tmp_path):
    (tmp_path / "stations.txt").write_text(LIST)
    (tmp_path / "TG_STAID000001.txt").write_text(HEAD + SERIES)
    (tmp_path / "elements.txt").write_text("ELEI, DESCRIPTION\nTG1, mean temperature\n")
    alone = read_stations(tmp_path / "TG_STAID000001.txt", stations=tmp_path / "stations.txt")
    for records in (alone, read_stations(tmp_path)):
        assert (records.ids, records.names, records.units) == (("1",), ("VAEXJOE",), ("°C",))
        np.testing.assert_allclose(records.lat_deg, 56 + 52 / 60)
        np.testing.assert_allclose(
            series_of(records, "tavg"), [2.3, np.nan, np.nan, -4.7], atol=1e-6
        )
        assert records.notes[-1] == "TG: 1 values left out, whose code Q_TG is not 0, valid"


def test_german_service_is_read_with_its_columns(tmp_path):
    path = tmp_path / "produkt_klima_tag_00044.txt"
    path.write_text(
        "STATIONS_ID;MESS_DATUM;QN_3;  FX;QN_4; RSK;RSKF;SHK_TAG; TMK; TXK; TGK;eor\n"
        "         44;20220101;   10;11.6;   3;  0.4;   6;      2;11.1;13.8; 6.9;eor\n"
        "         44;20220102;   10;13.4;   3; -999;   6;   -999;-999;12.2; 6.5;eor\n"
    )
    stations = pd.DataFrame(
        {"Stations_id": [44], "geoBreite": [52.93], "geoLaenge": [8.24], "Stationshoehe": [44]}
    )
    records = read_stations(path, stations=stations)
    assert dict(zip(records.channel_names, records.units, strict=True)) == {
        "gust": "m/s", "prcp": "mm", "snwd": "mm", "tavg": "°C", "tmax": "°C", "tgk": "°C"
    }  # fmt: skip
    np.testing.assert_allclose(series_of(records, "tavg"), [11.1, np.nan], atol=1e-6)
    np.testing.assert_allclose(series_of(records, "snwd"), [20, np.nan])
    np.testing.assert_allclose(series_of(records, "tgk"), [6.9, 6.5], atol=1e-6)
    assert records.elevation_m.tolist() == [44.0]


def summary(**columns):
    return pd.DataFrame(
        {
            "STATION": "01001099999",
            "DATE": ["2020-01-01", "2020-01-02"],
            "LATITUDE": 70.9,
            "LONGITUDE": -8.7,
            "TEMP": [21.2, 50.0],
            "DEWP": [17.9, 9999.9],
            "MXSPD": [6.7, 999.9],
            "PRCP": [0.5, 99.99],
            **columns,
        }
    )


def test_summary_of_the_day_is_metric_where_a_package_made_it_so():
    noaa = read_stations(summary())
    np.testing.assert_allclose(series_of(noaa, "tavg"), [(21.2 - 32) / 1.8, 10], atol=1e-5)
    np.testing.assert_allclose(series_of(noaa, "prcp"), [12.7, np.nan], atol=1e-5)
    metric = read_stations(summary(STNID="010010-99999", YDAY=[1, 2], CTRY="NO"))
    np.testing.assert_allclose(series_of(metric, "tavg"), [21.2, 50.0], atol=1e-5)
    np.testing.assert_allclose(series_of(metric, "prcp"), [0.5, np.nan], atol=1e-6)
    assert (noaa.units[:1], metric.units[:1]) == (("°C",), ("°C",))
    assert "yday" not in metric.channel_names


def test_packed_fields_of_hourly_data_are_unpacked():
    table = pd.DataFrame(
        {
            "STATION": "01001099999",
            "DATE": [f"2020-01-01T0{hour}:00:00" for hour in range(3)],
            "LATITUDE": 70.9,
            "LONGITUDE": -8.7,
            "REPORT_TYPE": "FM-12",
            "QUALITY_CONTROL": "V020",
            "WND": "318,1,N,0061,1",
            "TMP": ["-0070,1", "+9999,9", "+0123,3"],
            "SLP": ["10131,1", "99999,9", "09998,1"],
        }
    )
    records = read_stations(table)
    assert (records.channel_names, records.units) == (("tavg", "slp"), ("°C", "hPa"))
    np.testing.assert_allclose(series_of(records, "tavg"), [-7, np.nan, np.nan])
    np.testing.assert_allclose(series_of(records, "slp"), [1013.1, np.nan, 999.8], atol=1e-3)
    assert "1 values left out, which are suspect or wrong by their codes" in records.notes


@pytest.mark.parametrize(
    ("headers", "title"),
    [
        (["NUM_POSTE", "AAAAMMJJ", "TX"], "Météo-France"),
        (["stn", "date", "temp", "dewp", "mxpsd"], "Global Summary of the Day, of BigQuery"),
        (["id", "date", "TX"], None),
    ],
)
def test_services_are_known_by_their_columns(headers, title):
    service = service_of(headers)
    assert (None if service is None else service.title) == title
    assert service_quantity("nothing", service) is None


def test_codes_that_are_no_numbers_are_not_trusted():
    table = pd.DataFrame(
        {"STAID": 1, "SOUID": 2, "TG": [10, 20, 30, -9999], "Q_TG": ["0", "x", None, "9"]}
    )
    before = table.copy()
    trusted, notes = trusted_values(table)
    np.testing.assert_array_equal(trusted["TG"], [10, np.nan, np.nan, -9999])
    assert notes == ["TG: 2 values left out, whose code Q_TG is not 0, valid"]
    pd.testing.assert_frame_equal(table, before)
