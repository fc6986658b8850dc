"""Pictures of files: what is drawn of which times, and what is said where that cannot be."""

import json
import re

import numpy as np
import pytest

from deepsphere.data.dataset_files import write_dataset
from deepsphere.experiments import picture_sources
from deepsphere.experiments.picture_files import plot_file
from deepsphere.experiments.picture_sources import frame_statistics, open_frames
from deepsphere.sampling import Equiangular, Healpix

xr = pytest.importorskip("xarray")
Image = pytest.importorskip("PIL.Image")
pytest.importorskip("matplotlib")
pytest.importorskip("plotly")
pytest.importorskip("netCDF4")
pytest.importorskip("cftime")

LAT, LON = np.arange(-78.75, 90, 22.5), np.arange(16) * 22.5
IS_LAND = (LON > 90) & (LON < 200) & (LAT[:, None] > 0)


def weather(num_times=5, **coords):
    """A field that is missing over land, and one with levels."""
    times = xr.date_range("2001-01-01", periods=num_times, freq="MS", use_cftime=True)
    rng = np.random.default_rng(3)
    sst = np.where(IS_LAND, np.nan, rng.normal(size=(num_times, 8, 16)))
    z = rng.normal(size=(3, num_times, 8, 16))
    return xr.Dataset(
        {
            "sst": (
                ("time", "lat", "lon"),
                sst,
                {"units": "degC", "long_name": "sea_surface_temperature"},
            ),
            "z": (("level", "time", "lat", "lon"), z, {"units": "m"}),
        },
        {
            "time": times,
            "lat": ("lat", LAT, {"units": "degrees_north"}),
            "lon": LON,
            "level": ("level", [1000, 850, 500], {"units": "hPa"}),
            **coords,
        },
    )


@pytest.fixture
def source(tmp_path):
    write_dataset(tmp_path / "in.nc", weather())
    return tmp_path / "in.nc"


# what is read


def test_frames_are_those_of_the_file(source):
    frames = open_frames(source, channel="sst")
    assert frames.sampling == Equiangular(8, 16)
    assert frames.labels == ("2001-01", "2001-02", "2001-03", "2001-04", "2001-05")
    assert frames.title(2) == "sst, 2001-03"
    assert frames.label(80) == "sea surface temperature [degC]"
    assert frames.label(20) == "sst [degC]"
    expected = weather().sst.values[:, ::-1].reshape(5, 128)
    np.testing.assert_array_equal(frames.read(), expected)
    np.testing.assert_array_equal(np.stack(list(frames.take(np.array([3, 1])))), expected[[3, 1]])


@pytest.mark.parametrize(("at", "index"), [({}, 0), ({"level": "850"}, 1), ({"level": "500.0"}, 2)])
def test_places_along_other_dimensions_are_chosen_and_named(source, at, index):
    frames = open_frames(source, channel="z", at=at)
    assert frames.title(0) == f"z, 2001-01, level {(1000, 850, 500)[index]} hPa"
    expected = weather().z.values[index, :, ::-1].reshape(5, 128)
    np.testing.assert_array_equal(frames.read(), expected)


def test_frames_are_counted_by_the_first_dimension_that_is_left(source):
    frames = open_frames(source, channel="z", at={"time": "2001-02"})
    assert frames.labels == ("level 1000 hPa", "level 850 hPa", "level 500 hPa")
    expected = weather().z.values[:, 1, ::-1].reshape(3, 128)
    np.testing.assert_array_equal(frames.read(), expected)


def test_coordinates_without_dimension_are_told(tmp_path):
    height = ((), 2.0, {"units": "m"})
    one = weather(height=height).isel(time=3)[["sst"]]
    write_dataset(tmp_path / "one.nc", one)
    assert open_frames(tmp_path / "one.nc").title(0) == "sst, 2001-04-01, height 2 m"


def test_dimensions_without_coordinates_are_numbered(tmp_path):
    write_dataset(tmp_path / "in.nc", weather().drop_vars(["level", "time"]))
    frames = open_frames(tmp_path / "in.nc", channel="z", at={"level": "2"})
    assert frames.title(4) == "z, time 4, level 2"
    np.testing.assert_array_equal(frames.read()[4], weather().z.values[2, 4, ::-1].reshape(128))


def test_large_files_are_read_in_parts(source, monkeypatch):
    monkeypatch.setattr(picture_sources, "_BYTES_AT_A_TIME", 2 * 8 * 128)
    frames = open_frames(source)
    assert frames.in_memory() is frames
    lengths = []
    load = frames.load
    object.__setattr__(frames, "load", lambda i: (lengths.append(len(i)), load(i))[1])
    statistics = frame_statistics(frames)
    assert lengths == [2, 2, 1]
    values = weather().sst.values
    assert statistics.low == np.nanmin(values)
    assert statistics.high == np.nanmax(values)
    np.testing.assert_array_equal(statistics.present, ~IS_LAND[::-1].reshape(-1))


def test_pixels_of_a_part_of_the_sky_have_their_order(tmp_path):
    whole = Healpix(nside=2, ordering="ring")
    part = whole.subset(whole.lat > 0)
    options = {"signals": np.zeros(part.num_vertices), "sampling": part.spec}
    np.savez(tmp_path / "part.npz", **options, ordering="ring")
    assert open_frames(tmp_path / "part.npz").sampling == part


# what is drawn


@pytest.mark.parametrize("suffix", [".gif", ".mp4"])
def test_films_have_a_frame_for_each_time(source, suffix):
    if suffix == ".mp4":
        pytest.importorskip("imageio_ffmpeg")
    target = source.with_suffix(suffix)
    summary = plot_file(source, target, times="2001-02:2001-04", projection="orthographic")
    assert summary.what == "sst, 3 frames, 2001-02 to 2001-04"
    assert summary.notes[0].startswith("coastlines: outlines of where values are missing")
    if suffix == ".gif":
        with Image.open(target) as film:
            assert film.n_frames == 3
            frames = []
            for index in range(3):
                film.seek(index)
                frames.append(np.asarray(film.convert("RGB")))
        assert (frames[0] != frames[1]).any()
    else:
        from imageio_ffmpeg import count_frames_and_secs

        assert count_frames_and_secs(str(target))[0] == 3
    assert sorted(path.name for path in source.parent.iterdir()) == [target.name, "in.nc"]


def test_film_of_all_signals_without_times(tmp_path):
    np.save(tmp_path / "in.npy", np.random.default_rng(0).normal(size=(4, 48, 2)))
    plot_file(tmp_path / "in.npy", tmp_path / "out.gif", sampling="healpix:2", channel=1)
    with Image.open(tmp_path / "out.gif") as film:
        assert film.n_frames == 4


def test_page_of_maps_has_a_title_for_each_time(source):
    target = source.with_suffix(".svg")
    plot_file(source, target, index="0:2", title="three months")
    text = target.read_text()
    for word in ("three months", "2001-01", "2001-02", "2001-03", "sea surface temperature [degC]"):
        assert word in text
    assert "2001-04" not in text


def test_map_has_the_name_the_time_and_the_unit(source):
    target = source.with_suffix(".svg")
    plot_file(source, target, times="2001-04", projection="equirectangular", center=(180, 0))
    text = target.read_text()
    assert "sst, 2001-04" in text
    assert "sea surface temperature [degC]" in text


def globe_of(path):
    """The layout of a globe, and its traces and frames, as the page holds them."""
    text = path.read_text()
    assert re.search(r"<script[^>]+src=", text) is None
    start = text.index("Plotly.newPlot(")
    decoder, place = json.JSONDecoder(), text.index("[", start)
    data, end = decoder.raw_decode(text, place)
    layout, _ = decoder.raw_decode(text, text.index("{", end))
    return data, layout


def test_globe_has_a_slider_with_the_times(source):
    target = source.with_suffix(".html")
    plot_file(source, target, times="all", center=(100, 10), vmin=-2, vmax=2, cmap="RdBu_r")
    data, layout = globe_of(target)
    steps = [step["label"] for step in layout["sliders"][0]["steps"]]
    assert steps == ["2001-01", "2001-02", "2001-03", "2001-04", "2001-05"]
    assert (data[0]["cmin"], data[0]["cmax"]) == (-2, 2)
    assert "coastlines" in [trace.get("name") for trace in data]
    assert layout["title"]["text"] == "sea surface temperature"


def test_globe_of_one_time_has_no_slider(source):
    target = source.with_suffix(".html")
    plot_file(source, target, coastlines="none")
    data, layout = globe_of(target)
    assert "sliders" not in layout
    assert "coastlines" not in [trace.get("name") for trace in data]
    assert layout["title"]["text"] == "sst, 2001-01"


def test_coastlines_of_another_file(source, tmp_path):
    mask = Healpix(nside=4)
    np.savez(tmp_path / "mask.npz", signals=(mask.lat > 0.4).astype(float), sampling=mask.spec)
    target = tmp_path / "out.html"
    options = {"coastlines": tmp_path / "mask.npz", "land": "above:0.5"}
    summary = plot_file(source, target, channel="z", **options)
    assert "land is where the value is above 0.5" in summary.notes[0]
    data, _ = globe_of(target)
    assert "coastlines" in [trace.get("name") for trace in data]


def test_nothing_missing_has_no_coastlines(source):
    assert plot_file(source, source.with_suffix(".png"), channel="z").notes == ()


def test_hovmoller_of_a_band(source):
    target = source.with_suffix(".svg")
    summary = plot_file(source, target, kind="hovmoller", band_deg=(-20, 40))
    assert "sst, mean of 20°S to 40°N" in target.read_text()
    assert summary.what == "sst, 5 frames, 2001-01 to 2001-05"


def test_interrupted_pictures_leave_nothing(source, monkeypatch):
    from matplotlib.figure import Figure

    def fail(self, path, **options):
        path.write_text("half of a picture")
        raise OSError("no space left")

    monkeypatch.setattr(Figure, "savefig", fail)
    target = source.with_suffix(".png")
    target.write_text("mine")
    with pytest.raises(OSError, match="no space left"):
        plot_file(source, target, overwrite=True)
    assert target.read_text() == "mine"
    assert sorted(path.name for path in source.parent.iterdir()) == ["in.nc", "in.png"]


# what cannot be


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.bmp", {}, r"output must end in one of \.png, .*\.html, got a\.bmp; rename it"),
        ("a.gif", {"kind": "hovmoller"}, r"must end in \.png, \.svg or \.pdf for a Hovm.*a\.gif"),
        ("a.png", {"kind": "scatter"}, r"kind must be one of map, hovmoller, got 'scatter'"),
        ("a.png", {"band_deg": (0, 5)}, r"--band must not be given for a map .*--kind hovmoller"),
        ("a.gif", {"band_deg": (0, 5)}, r"--band must not be given for a film \(a\.gif\), got"),
        ("a.html", {"projection": "mollweide"}, r"--projection must not be given for a globe"),
        ("a.png", {"frames_per_second": 2}, r"--frames-per-second must not be given for a map"),
        ("a.png", {"kind": "hovmoller", "center": (0, 0)}, r"--center must not be given for a Hov"),
        ("a.png", {"land": "missing"}, r"must come with --coastlines FILE, of which they speak"),
        ("a.png", {"at": {"depth": "3"}}, r"--at must name a dimension of sst .*, time, got depth"),
        (
            "a.png",
            {"channel": "z", "at": {"level": "7"}},
            r"level must be one of 1000, 850, 500, g",
        ),
        ("a.png", {"channel": "sea"}, r"channel must be one of sst, z or 0 to 1, got 'sea'"),
        ("a.png", {"channel": 2}, r"channel must be between 0 and 1 \(sst, z\), got 2"),
        ("a.png", {"times": "2002"}, r"got 2002; it has 5, from 2001-01-01 to 2001-05-01"),
        ("a.png", {"vmin": 3, "vmax": 1}, r"vmin must not exceed vmax, got 3 > 1; exchange them"),
        ("a.png", {"cmap": "sunny"}, r"cmap must name a matplotlib colour map, got 'sunny'"),
    ],
)
def test_pictures_that_cannot_be_are_refused(source, unchecked, name, options, message):
    with pytest.raises(ValueError, match=message):
        plot_file(source, source.parent / name, **options)
    assert [path.name for path in source.parent.iterdir()] == ["in.nc"]


def test_too_many_maps_are_a_film(tmp_path):
    write_dataset(tmp_path / "in.nc", weather(25)[["sst"]])
    with pytest.raises(ValueError, match=r"a\.png must hold at most 24 times, got 25; choose some"):
        plot_file(tmp_path / "in.nc", tmp_path / "a.png", times="all")


def test_signals_without_names_or_places(tmp_path):
    np.save(tmp_path / "in.npy", np.zeros((1, 12, 1)))
    options = {"sampling": "healpix:1"}
    with pytest.raises(ValueError, match=r"channel must be one of the numbers or 0 to 0, got 'a'"):
        open_frames(tmp_path / "in.npy", channel="a", **options)
    with pytest.raises(ValueError, match=r"--at must come with a \.nc or \.zarr file, whose dimen"):
        open_frames(tmp_path / "in.npy", at={"level": "3"}, **options)
    with pytest.raises(ValueError, match=r"sampling must be given, got none"):
        open_frames(tmp_path / "in.npy")
    with pytest.raises(ValueError, match=r"must not be given for fibonacci:12, got ring; only HEA"):
        open_frames(tmp_path / "in.npy", sampling="fibonacci:12", ordering="ring")
    with pytest.raises(ValueError, match=r"sampling must have the 12 vertices of .*got 48 of heal"):
        open_frames(tmp_path / "in.npy", sampling="healpix:2")


def test_file_without_times_is_refused(tmp_path):
    write_dataset(tmp_path / "in.nc", weather().isel(time=slice(0, 0))[["sst"]])
    with pytest.raises(ValueError, match=r"in\.nc must hold a field, got none along time"):
        open_frames(tmp_path / "in.nc")


def test_command_speaks_of_what_it_did(source, capsys):
    from deepsphere.cli import main

    target = source.with_suffix(".png")
    words = ["plot", str(source), str(target), "--times", "2001-02", "--center", "-60,20"]
    assert main([*words, "--projection", "orthographic"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("coastlines: outlines of where values are missing")
    assert lines[1] == f"sst, 2001-02, written to {target}"
    with Image.open(target) as picture:
        assert picture.width > 500
    words[1:1] = ["--overwrite"]
    for more, message in (
        (
            ["--center", "5"],
            "--center must be two numbers in degrees with a comma between, got '5'",
        ),
        (["--at", "level"], "--at must be DIM=VALUE, got 'level'; e.g. --at level=500"),
        (["--kind", "hovmoller"], "--center must not be given for a Hovmöller diagram (in.png), "),
    ):
        assert main([*words, *more]) == 2
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1


@pytest.fixture
def stations(tmp_path):
    """A table of eight stations in Switzerland on three days, one of them silent on the second."""
    generator = np.random.default_rng(0)
    lines = ["station,date,lat,lon,tmax_c"]
    for station, (lat, lon) in enumerate(generator.uniform((46, 6), (47.5, 10), (8, 2))):
        for day in (1, 2, 3):
            value = "" if (station, day) == (3, 2) else f"{10 * day + station}"
            lines.append(f"{station},2020-01-0{day},{lat:.3f},{lon:.3f},{value}")
    path = tmp_path / "stations.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_stations_of_a_table_are_frames_by_day(stations):
    frames = open_frames(stations, channel="tmax")
    assert frames.are_stations
    assert (frames.name, frames.unit, len(frames)) == ("tmax", "°C", 3)
    assert frames.labels == ("2020-01-01", "2020-01-02", "2020-01-03")
    expected = np.array([[10 * day + station for station in range(8)] for day in (1, 2, 3)], float)
    expected[1, 3] = np.nan
    np.testing.assert_array_equal(frames.read(), expected)


def test_maps_of_stations_show_their_region_and_their_edges(stations, tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "matplotlib.figure.Figure.savefig",
        lambda figure, path, **_: (drawn.append(figure), path.write_text("")),
    )
    plot_file(stations, tmp_path / "one.png", times="2020-01-02", edges=3)
    plot_file(stations, tmp_path / "all.png", times="all")
    plot_file(stations, tmp_path / "globe.png", projection="orthographic", center=(8, 47))
    one, page, whole = drawn
    collections = {collection.get_label() for collection in one.axes[0].collections}
    assert {"edges", "silent"} <= collections
    assert len(page.axes) == 4
    assert np.ptp(one.axes[0].get_xlim()) < 0.2 < 2 < np.ptp(whole.axes[0].get_xlim())


def test_globe_of_stations_has_edges_and_a_list_of_days(stations, tmp_path):
    target = tmp_path / "stations.html"
    summary = plot_file(stations, target, times="all", edges=3)
    assert summary.what == "tmax, 3 frames, 2020-01-01 to 2020-01-03"
    text = target.read_text()
    assert '"label":"2020-01-03"' in text
    assert '"name":"edges"' in text


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.png", {"edges": 8}, "--edges must be between 1 and 7, one less than the vertices, got"),
        ("a.gif", {"edges": 3}, r"--edges must not be given for a film \(a.gif\), got 3"),
        ("a.png", {"at": {"level": "500"}}, "--at must come with a .nc or .zarr file"),
    ],
)
def test_pictures_of_stations_that_cannot_be_are_refused(stations, name, options, message):
    with pytest.raises(ValueError, match=message):
        plot_file(stations, stations.with_name(name), **options)


def test_edges_on_a_map_of_cells_are_refused(source, tmp_path):
    with pytest.raises(ValueError, match="--edges must be given for stations, or for a globe"):
        plot_file(source, tmp_path / "map.png", edges=5)
