"""Files of fields on another sampling."""

from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from deepsphere.cli.fields import regrid as regrid_command
from deepsphere.data import read_signals
from deepsphere.experiments.regrid_files import regrid_file
from deepsphere.graph.regridding import regrid
from deepsphere.sampling import (
    CubedSphere,
    Equiangular,
    Fibonacci,
    GaussLegendre,
    Healpix,
    Icosahedral,
    Rectilinear,
    Sampling,
)

xr = pytest.importorskip("xarray")
pytest.importorskip("netCDF4")
pytest.importorskip("zarr")
pytest.importorskip("dask")

from deepsphere.fields import open_dataset, sampling_from_dataset  # noqa: E402
from deepsphere.fields.sampling_layouts import layout_of_sampling  # noqa: E402

LAT, LON = np.linspace(-85, 85, 18), np.arange(-180, 180, 20.0)
# the vertices run from north to south, and eastward from longitude 0
GRID = Equiangular(18, 18)


def weather(*, as_netcdf: Path | None = None):
    """Two fields at five times, one of them with land, on ascending latitudes from −180°."""
    generator = np.random.default_rng(0)
    values = generator.standard_normal((5, 18, 18)).astype(np.float32)
    values[:, 3:6, 2:9] = np.nan
    data = xr.Dataset(
        {
            "sst": (("time", "lat", "lon"), values, {"units": "degC", "long_name": "surface"}),
            "depth": (("lat", "lon"), generator.integers(0, 9, (18, 18)), {"units": "m"}),
            "scenario": ((), 7),
        },
        {
            "time": np.datetime64("2001-01-01") + np.arange(5) * np.timedelta64(1, "D"),
            "lat": ("lat", LAT, {"units": "degrees_north"}),
            "lon": ("lon", LON, {"units": "degrees_east"}),
        },
        {"title": "weather", "history": "made"},
    )
    if as_netcdf is not None:
        encoding = {"sst": {"_FillValue": np.float32(-999)}}
        data.to_netcdf(as_netcdf, encoding=encoding, unlimited_dims="time")
    return data


def on_grid(array) -> np.ndarray:
    """Values in the order of GRID, written naively."""
    rows = np.asarray(array.values)[..., ::-1, :]
    return np.roll(rows, 9, axis=-1).reshape(*rows.shape[:-2], -1)


@pytest.fixture
def source(tmp_path) -> Path:
    path = tmp_path / "in.nc"
    weather(as_netcdf=path)
    return path


@pytest.mark.parametrize("suffix", [".nc", ".zarr", ".zarr.zip"])
def test_fields_on_healpix_keep_names_attributes_and_times(source, tmp_path, suffix):
    before = source.read_bytes()
    target = tmp_path / f"out{suffix}"
    summary = regrid_file(source, target, to="healpix:4")
    assert (summary.source, summary.target) == (GRID, Healpix(4))
    result, given = open_dataset(target), open_dataset(source)
    assert sampling_from_dataset(result) == Healpix(4)
    assert result["sst"].dims == ("time", "cell")
    assert result["sst"].attrs == given["sst"].attrs
    assert result["sst"].dtype == np.float32
    assert result["scenario"] == 7
    assert result["cell_ids"].attrs["grid_name"] == "healpix"
    assert result["cell_ids"].attrs["indexing_scheme"] == "nested"
    np.testing.assert_array_equal(result["time"], given["time"])
    assert result.attrs["title"] == "weather"
    newest, oldest = result.attrs["history"].split("\n")
    assert oldest == "made"
    assert "regrid" in newest
    assert "healpix:4" in newest
    for name in ("sst", "depth"):
        expected = regrid(on_grid(given[name])[..., None], GRID, Healpix(4))[..., 0]
        np.testing.assert_allclose(result[name], expected, rtol=1e-5, atol=1e-6)
    assert source.read_bytes() == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


SAMPLINGS: list[Sampling] = [
    Healpix(4),
    Healpix(3, ordering="ring"),
    Healpix(4).subset(np.array([7, 3, 100])),
    Equiangular(6, 9),
    Equiangular(7, 12, 2),
    GaussLegendre(8),
    Rectilinear([-50, 0, 70], [10, 100, 200]),
]


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=repr)
def test_what_is_written_is_recognised(sampling, tmp_path):
    values = np.random.default_rng(0).standard_normal(sampling.num_vertices)
    layout = layout_of_sampling(sampling)
    layout.restore(values, name="x").to_netcdf(tmp_path / "x.nc")
    data = open_dataset(tmp_path / "x.nc")
    found = sampling_from_dataset(data)
    assert found.num_vertices == sampling.num_vertices
    order = np.linalg.norm(found.points[:, None] - sampling.points, axis=2).argmin(axis=1)
    np.testing.assert_allclose(found.points, sampling.points[order], atol=1e-12)
    np.testing.assert_array_equal(layout.flatten(data["x"]), values)


@pytest.mark.parametrize("sampling", [Fibonacci(40), Icosahedral(2), CubedSphere(3)], ids=repr)
def test_unstructured_points_are_written_with_their_places(sampling, tmp_path):
    layout = layout_of_sampling(sampling)
    layout.restore(sampling.areas, name="x").to_netcdf(tmp_path / "x.nc")
    found = sampling_from_dataset(open_dataset(tmp_path / "x.nc"))
    np.testing.assert_allclose(found.points, sampling.points, atol=1e-12)


def test_grid_of_another_file_is_taken_with_its_coordinates(source, tmp_path):
    regrid_file(source, tmp_path / "there.nc", to="healpix:16", min_valid=0.01)
    regrid_file(tmp_path / "there.nc", tmp_path / "back.nc", to=str(source), variables=["depth"])
    back, given = open_dataset(tmp_path / "back.nc"), open_dataset(source)
    np.testing.assert_array_equal(back["lat"], given["lat"])
    np.testing.assert_array_equal(back["lon"], given["lon"])
    assert set(back.data_vars) == {"depth", "scenario"}
    # the global mean of what is never missing is kept, there and back
    areas = layout_of_sampling(GRID).restore(GRID.areas).values[::-1]
    mean = (np.roll(areas, 9, axis=1) * given["depth"].values).sum()
    assert (np.roll(areas, 9, axis=1) * back["depth"].values).sum() == pytest.approx(mean, rel=1e-9)


def test_parts_in_memory_change_nothing(source, tmp_path, monkeypatch):
    regrid_file(source, tmp_path / "whole.nc", to="gauss_legendre:8")
    monkeypatch.setattr("deepsphere.experiments.regrid_files._VALUES_PER_CHUNK", 700)
    regrid_file(source, tmp_path / "parts.nc", to="gauss_legendre:8")
    whole, parts = open_dataset(tmp_path / "whole.nc"), open_dataset(tmp_path / "parts.nc")
    np.testing.assert_array_equal(whole["sst"], parts["sst"])


def test_min_valid_says_where_land_begins(source, tmp_path):
    shares = []
    for min_valid in (0.01, 0.5, 1.0):
        path = tmp_path / f"{min_valid}.nc"
        regrid_file(source, path, to="healpix:8", min_valid=min_valid, variables=["sst"])
        shares.append(float(np.isnan(open_dataset(path)["sst"]).mean()))
    assert 0 < shares[0] < shares[1] < shares[2]


@pytest.mark.parametrize("suffix", [".npz", ".npy", ".fits"])
def test_arrays_hold_the_same_values(source, tmp_path, suffix):
    if suffix == ".fits":
        pytest.importorskip("astropy")
    regrid_file(source, tmp_path / "out.nc", to="healpix:4", variables=["depth"])
    regrid_file(source, tmp_path / f"out{suffix}", to="healpix:4", variables=["depth"])
    expected = open_dataset(tmp_path / "out.nc")["depth"].values
    file = read_signals(tmp_path / f"out{suffix}", missing="keep")
    np.testing.assert_allclose(file.signals[0, :, 0], expected, rtol=1e-6)
    if suffix != ".npy":
        assert file.sampling == Healpix(4).spec
    regrid_file(
        tmp_path / f"out{suffix}", tmp_path / "again.nc", to="healpix:4", sampling="healpix:4"
    )
    (name,) = open_dataset(tmp_path / "again.nc").data_vars
    np.testing.assert_allclose(open_dataset(tmp_path / "again.nc")[name], expected, rtol=1e-6)


def test_missing_pixels_of_part_of_the_sky_survive_fits(source, tmp_path):
    pytest.importorskip("astropy")
    regrid_file(
        Path(_save(tmp_path / "x.npz", Healpix(2).subset(np.arange(9)))),
        tmp_path / "x.fits",
        to="healpix:1",
    )
    file = read_signals(tmp_path / "x.fits", missing="keep")
    assert np.isnan(file.signals[0, 3:]).all()
    np.testing.assert_allclose(file.signals[0, :2, 0], [1.5, 5.5])


def _save(path: Path, sampling: Sampling) -> Path:
    values = np.arange(sampling.num_vertices, dtype=np.float64)[None, :, None]
    np.savez(path, signals=values, sampling=sampling.spec)
    return path


def test_grid_without_coordinates_takes_the_sampling_given(tmp_path):
    values = np.random.default_rng(0).standard_normal((2, 18, 18))
    xr.Dataset({"a": (("t", "y", "x"), values)}).to_netcdf(tmp_path / "in.nc")
    regrid_file(tmp_path / "in.nc", tmp_path / "o.nc", to="healpix:2", sampling="equiangular:18x18")
    expected = regrid(values.reshape(2, 324, 1), GRID, Healpix(2))[..., 0]
    np.testing.assert_allclose(open_dataset(tmp_path / "o.nc")["a"], expected, atol=1e-12)


def test_wrong_requests_are_rejected(source, tmp_path):
    with pytest.raises(ValueError, match=r"OUTPUT must end in \.nc, \.zarr, .* got out.png; renam"):
        regrid_file(source, tmp_path / "out.png", to="healpix:4")
    with pytest.raises(ValueError, match=r"OUTPUT must be another file than INPUT, got"):
        regrid_file(source, source, to="healpix:4", overwrite=True)
    with pytest.raises(ValueError, match=r"variables must be among sst, depth, scenario, got wind"):
        regrid_file(source, tmp_path / "out.nc", to="healpix:4", variables=["wind"])
    with pytest.raises(
        ValueError, match=r"variable scenario must be numbers on the dimensions lat,"
    ):
        regrid_file(source, tmp_path / "out.nc", to="healpix:4", variables=["scenario"])
    with pytest.raises(
        ValueError, match=r"the sampling of INPUT must have the size of its last di"
    ):
        regrid_file(source, tmp_path / "out.nc", to="healpix:4", sampling="healpix:16")
    with pytest.raises(ValueError, match="a FITS file must hold one field, got 5; write"):
        regrid_file(source, tmp_path / "out.fits", to="healpix:4")
    (tmp_path / "out.nc").write_text("mine")
    for suffix in (".nc", ".zarr"):
        (tmp_path / f"out{suffix}").touch()
        with pytest.raises(FileExistsError, match="must not exist yet"):
            regrid_file(source, tmp_path / f"out{suffix}", to="healpix:4")
    assert (tmp_path / "out.nc").read_text() == "mine"


def test_wrong_arrays_are_rejected(tmp_path):
    np.save(tmp_path / "x.npy", np.zeros(48))
    with pytest.raises(
        ValueError, match=r"the sampling of INPUT must be given, got none: .*--from"
    ):
        regrid_file(tmp_path / "x.npy", tmp_path / "y.npy", to="healpix:1")
    with pytest.raises(
        ValueError, match=r"the sampling must have the 48 vertices of .*, got 12 of"
    ):
        regrid_file(tmp_path / "x.npy", tmp_path / "y.npy", to="healpix:1", sampling="healpix:1")
    np.savez(tmp_path / "x.npz", signals=np.zeros(48), sampling="healpix:2")
    with pytest.raises(ValueError, match="variables must be among signal, got wind"):
        regrid_file(tmp_path / "x.npz", tmp_path / "y.npy", to="healpix:1", variables=["wind"])
    with pytest.raises(ValueError, match="the sampling of a FITS file must be HEALPix, got Fibo"):
        regrid_file(tmp_path / "x.npz", tmp_path / "y.fits", to="fibonacci:30")
    assert not (tmp_path / "y.fits").exists()


def test_command_says_what_it_did(source, tmp_path):
    app = typer.Typer()
    app.command()(regrid_command)
    target = tmp_path / "out.nc"
    words = [str(source), str(target), "--to", "healpix:2", "--method", "nearest"]
    found = CliRunner().invoke(app, [*words, "--variables", "sst"], catch_exceptions=False)
    assert found.exit_code == 0
    assert "sst: Equiangular(nlat=18, nlon=18, poles=0) -> Healpix(nside=2" in found.output
    assert "--method nearest --variables sst" in open_dataset(target).attrs["history"]


def test_choosing_variables_chooses_their_grid(tmp_path):
    data = weather()
    data["u"] = (("lat", "lon_u"), np.ones((18, 18)))
    data["lon_u"] = ("lon_u", LON + 10, {"units": "degrees_east"})
    data.to_netcdf(tmp_path / "in.nc")
    with pytest.raises(ValueError, match=r"variables must lie on one grid, got"):
        regrid_file(tmp_path / "in.nc", tmp_path / "out.nc", to="healpix:2")
    summary = regrid_file(
        tmp_path / "in.nc", tmp_path / "out.nc", to="healpix:2", variables=["sst"]
    )
    assert (summary.names, summary.source) == (("sst",), GRID)


def test_no_times_are_refused(tmp_path):
    weather().isel(time=slice(0, 0)).to_netcdf(tmp_path / "in.nc")
    with pytest.raises(
        ValueError, match=r"variable sst must have values, got the sizes .*time.: 0"
    ):
        regrid_file(tmp_path / "in.nc", tmp_path / "out.nc", to="healpix:2")


def test_region_of_a_curvilinear_grid_fills_its_part_of_the_sphere_alone(tmp_path):
    lon, lat = np.meshgrid(np.arange(0.0, 30, 2), np.arange(20.0, 50, 2))
    lon = lon + 0.1 * lat
    places = {"lat": (("y", "x"), lat), "lon": (("y", "x"), lon)}
    xr.Dataset({"t": (("y", "x"), np.sin(np.deg2rad(lat)))}, places).to_netcdf(tmp_path / "in.nc")
    regrid_file(tmp_path / "in.nc", tmp_path / "out.nc", to="equiangular:90x180")
    result = open_dataset(tmp_path / "out.nc")["t"]
    there = result.notnull()
    rows, columns = np.nonzero(there.values)
    where = result["lat"].values[rows], result["lon"].values[columns]
    assert where[0].min() > 18
    assert where[0].max() < 50
    np.testing.assert_allclose(there.sum(), 15 * 15, rtol=0.05)
    exact = np.sin(np.deg2rad(where[0]))
    assert np.abs(result.values[rows, columns] - exact).max() < np.deg2rad(2)


def test_old_store_stays_where_writing_fails(source, tmp_path, monkeypatch):
    target = tmp_path / "out.zarr"
    regrid_file(source, target, to="healpix:2")
    before = {path: path.read_bytes() for path in target.rglob("*") if path.is_file()}
    with monkeypatch.context() as patch:
        patch.setattr(xr.Dataset, "to_zarr", _fail)
        with pytest.raises(OSError, match="disk is full"):
            regrid_file(source, target, to="healpix:4", overwrite=True)
    assert {path: path.read_bytes() for path in target.rglob("*") if path.is_file()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.nc", "out.zarr"]
    with pytest.raises(FileExistsError, match=r"must not exist yet, got an existing"):
        regrid_file(source, target, to="healpix:4")


def _fail(*_, **__):
    raise OSError("disk is full")
