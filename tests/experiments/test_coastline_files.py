"""Coastlines of files: what is read as land."""

import numpy as np
import pytest

from deepsphere.data.dataset_files import write_dataset
from deepsphere.experiments.coastline_files import coastlines_of_missing, read_coastlines
from deepsphere.sampling import Healpix, Scattered

xr = pytest.importorskip("xarray")
pytest.importorskip("netCDF4")

LAT, LON = np.arange(-78.75, 90, 22.5), np.arange(16) * 22.5
IS_LAND = (LON > 90) & (LON < 200) & (LAT[:, None] > 0)


def write(path, values, name="field", **attrs):
    coords = {"lat": ("lat", LAT, {"units": "degrees_north"}), "lon": LON}
    beside = ("lat", "lon"), np.full(values.shape, 280.0)
    data = {"t2m": beside, name: (("lat", "lon"), values, attrs)}
    write_dataset(path, xr.Dataset(data, coords))
    return path


def check(found):
    # our grids begin in the north
    np.testing.assert_array_equal(~found.coastlines.valid, IS_LAND[::-1].reshape(-1))


@pytest.mark.parametrize(
    ("values", "name", "attrs"),
    [
        (np.where(IS_LAND, np.nan, 4.0), "lsmask", {}),
        (IS_LAND.astype(np.int8), "LSMASK", {}),
        (3 * IS_LAND.astype(np.int8), "land", {}),
        (np.where(LAT[:, None] < -60, np.nan, IS_LAND), "lsm", {}),
        (np.where(IS_LAND, 0.9, 0.2), "LANDFRAC", {"units": "1"}),
        (np.where(IS_LAND, 90.0, 20.0), "sftlf", {"units": "%"}),
        (np.where(IS_LAND, 0.0, 1.0), "m", {"standard_name": "sea_binary_mask"}),
        (np.where(IS_LAND, 20.0, 90.0), "sftof", {"units": "%"}),
        (np.where(IS_LAND, 0.2, 0.9), "OCNFRAC", {"units": "fraction"}),
    ],
)
def test_masks_are_found_and_understood(tmp_path, values, name, attrs):
    if "standard_name" in attrs:
        name = "mask"
    found = read_coastlines(write(tmp_path / "mask.nc", values, name, **attrs))
    check(found)
    assert f"mask.nc: land is where {name} is " in found.note


@pytest.mark.parametrize(
    ("values", "land", "words"),
    [
        (np.where(IS_LAND, 800.0, -4000.0), "above:0", "above 0"),
        (np.where(IS_LAND, -1.0, 1.0), "below:0", "below 0"),
        (np.where(IS_LAND, 2, LON > 300), "values:2,5", "among 2,5"),
        (np.where(IS_LAND, np.nan, 1.0), "missing", "missing"),
    ],
)
def test_rules_say_what_is_land(tmp_path, values, land, words):
    path = write(tmp_path / "heights.nc", values.astype(float), "z")
    found = read_coastlines(path, variable="z", land=land)
    check(found)
    assert found.note.startswith(f"coastlines of {path}: land is where z is {words}")


def test_signals_with_a_sampling_are_masks_too(tmp_path):
    sampling = Healpix(nside=4)
    is_land = sampling.lat > 0.5
    options = {"signals": is_land, "sampling": "healpix:4"}
    np.savez(tmp_path / "mask.npz", **options)
    found = read_coastlines(tmp_path / "mask.npz")
    np.testing.assert_array_equal(~found.coastlines.valid, is_land)
    share = sampling.areas[is_land].sum() / (4 * np.pi)
    assert f"land is where the value is above 0.5, {share:.0%} of its area" in found.note


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, r"must say what is land, got values from -4000 to 800 of mask in .*--land missing, "),
        ({"land": ">0"}, r"--land must be missing, above:NUMBER, below.*got '>0'; e\.g\. --land "),
        ({"land": "above:sea"}, r"--land must be missing, .*got 'above:sea'"),
        ({"land": "above:1,2"}, r"--land must be missing, .*got 'above:1,2'"),
        ({"land": "above:9000"}, r"must have land and sea, got only sea in .*mask is above 9000"),
        ({"land": "below:9000"}, r"must have land and sea, got only land in .*mask is below 9000"),
    ],
)
def test_what_says_nothing_of_land_is_refused(tmp_path, options, message):
    path = write(tmp_path / "z.nc", np.where(IS_LAND, 800.0, -4000.0), "mask")
    with pytest.raises(ValueError, match=message):
        read_coastlines(path, **options)


def test_missing_values_are_outlined_where_that_is_possible():
    sampling = Healpix(nside=8)
    lines = coastlines_of_missing(sampling.lat < 0.5, sampling)
    assert lines is not None
    latitudes = np.arcsin(np.concatenate(lines.lines)[:, 2])
    assert np.abs(latitudes - 0.5).max() < 0.15  # two spacings
    assert coastlines_of_missing(np.ones(768, bool), sampling) is None
    assert coastlines_of_missing(np.zeros(768, bool), sampling) is None
    # two points have no triangle, and no line between them
    pair = Scattered(np.array([0.0, 10.0]), np.array([0.0, 0.0]))
    assert coastlines_of_missing(np.array([True, False]), pair) is None
