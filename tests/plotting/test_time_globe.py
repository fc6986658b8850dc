"""The globe with a slider: one mesh, one set of values per time, nothing from elsewhere."""

import base64
import json
import re
from importlib import import_module

import numpy as np
import pytest

from deepsphere.plotting import Report
from deepsphere.plotting.coastlines import Coastlines
from deepsphere.plotting.time_globe import packed, time_globe
from deepsphere.sampling import Healpix, Icosahedral, Scattered

# the package may offer a function of the same name
module = import_module("deepsphere.plotting.time_globe")

SAMPLING = Icosahedral(subdivisions=4)
WAVES = np.stack([np.cos(SAMPLING.lon - turn) for turn in (0.0, 0.7, 1.4)])


def unpacked(spec):
    if isinstance(spec, dict):
        return np.frombuffer(base64.b64decode(spec["bdata"]), "<" + spec["dtype"])
    return np.asarray(spec)


def content(figure):
    return json.loads(
        figure.to_json(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON")
    )


def test_frames_hold_the_values_and_nothing_else():
    figure = content(time_globe(WAVES, SAMPLING, times=[0, 6, 12]))
    assert [frame["name"] for frame in figure["frames"]] == ["0", "1", "2"]
    for frame, wave in zip(figure["frames"], WAVES, strict=True):
        (trace,) = frame["data"]
        assert set(trace) == {"type", "intensity"}
        assert frame["traces"] == [0]
        np.testing.assert_allclose(unpacked(trace["intensity"]), wave, atol=1e-7)
    mesh = figure["data"][0]
    points = np.stack([unpacked(mesh[axis]) for axis in "xyz"], axis=1)
    np.testing.assert_allclose(points, SAMPLING.points, atol=1e-7)
    assert (mesh["cmin"], mesh["cmax"]) == (WAVES.min(), WAVES.max())
    assert "%{intensity" in mesh["hovertemplate"]


def test_slider_and_button_show_the_frames():
    figure = content(time_globe(WAVES, SAMPLING, times=[0, 6, 12], start=2, frames_per_second=5))
    (slider,) = figure["layout"]["sliders"]
    assert slider["active"] == 2
    assert [step["label"] for step in slider["steps"]] == ["0", "6", "12"]
    assert [step["args"][0] for step in slider["steps"]] == [["0"], ["1"], ["2"]]
    assert all(step["method"] == "animate" for step in slider["steps"])
    # surfaces are drawn anew only when asked to
    assert all(step["args"][1]["frame"]["redraw"] for step in slider["steps"])
    play, stop = figure["layout"]["updatemenus"][0]["buttons"]
    assert play["args"][0] is None
    assert play["args"][1]["frame"] == {"duration": 200.0, "redraw": True}
    assert stop["args"][0] == [None]
    np.testing.assert_allclose(unpacked(figure["data"][0]["intensity"]), WAVES[2], atol=1e-7)


def test_blank_that_stays_is_left_out_once():
    fields = np.where(SAMPLING.lat > 0.3, np.nan, WAVES)
    figure = content(time_globe(fields, SAMPLING))
    corners = np.stack([unpacked(figure["data"][0][name]) for name in "ijk"], axis=1)
    assert (np.asarray(SAMPLING.lat)[corners] <= 0.3).all()
    assert all(set(frame["data"][0]) == {"type", "intensity"} for frame in figure["frames"])


def test_blank_that_moves_takes_its_triangles_along():
    fields = np.where(SAMPLING.lat > np.array([0.0, 0.3, 0.6])[:, None], np.nan, WAVES)
    figure = content(time_globe(fields, SAMPLING))
    for frame, field in zip(figure["frames"], fields, strict=True):
        trace = frame["data"][0]
        corners = np.stack([unpacked(trace[name]) for name in "ijk"], axis=1)
        whole = np.isfinite(field)
        assert set(np.unique(corners)) <= set(np.flatnonzero(whole))
        assert len(corners) > 0
    full = content(time_globe(WAVES, SAMPLING))["data"][0]
    triangles = np.stack([unpacked(full[name]) for name in "ijk"], axis=1)
    assert len(corners) == np.isfinite(fields[2])[triangles].all(axis=1).sum()


def test_size_is_bounded_by_fewer_points(monkeypatch):
    monkeypatch.setattr(module, "MAX_VALUES", 600)
    with pytest.warns(UserWarning, match="nearest to 200 points of the 768 vertices"):
        figure = content(time_globe(np.ones((3, 768)), Healpix(nside=8)))
    assert [len(unpacked(f["data"][0]["intensity"])) for f in figure["frames"]] == [200] * 3
    fields = np.where(np.arange(768) < [[100], [200], [300]], np.nan, 1.0)
    with pytest.warns(UserWarning, match="nearest to 28 points"):
        figure = content(time_globe(fields, Healpix(nside=8)))
    total = sum(
        len(unpacked(frame["data"][0][name])) for frame in figure["frames"]
        for name in ("intensity", "i", "j", "k")
    )  # fmt: skip
    assert total <= 600


def test_values_of_fewer_points_are_the_nearest(monkeypatch):
    monkeypatch.setattr(module, "MAX_FRAME_VERTICES", 2000)
    sampling = Healpix(nside=16)
    with pytest.warns(UserWarning, match="2000 points"):
        mesh = time_globe(np.asarray(sampling.points[:, 2])[None], sampling).data[0]
    np.testing.assert_allclose(unpacked(mesh.intensity), mesh.z, atol=0.06)


def test_scattered_points_are_a_surface_with_holes():
    rng = np.random.default_rng(0)
    stations = Scattered(rng.uniform(0, 90, 400), rng.uniform(-30, 30, 400))
    figure = time_globe(np.ones((2, 400)), stations)
    mesh = figure.data[0]
    corners = np.unique(np.stack([mesh.i, mesh.j, mesh.k]))
    points = np.stack([mesh.x, mesh.y, mesh.z], axis=1)[corners]
    assert len(corners) > 10
    assert (points @ [-1, -1, 0] < 0).all()


def test_coastlines_are_drawn():
    land = Coastlines(np.asarray(SAMPLING.lat < 0.5), SAMPLING)
    names = [trace.name for trace in time_globe(WAVES, SAMPLING, coastlines=land).data]
    assert names == ["signal", "blank", "coastlines", "graticule"]


def test_page_refers_to_nothing_outside():
    report = Report("Globe")
    report.interactive(time_globe(WAVES, SAMPLING), alt="a wave")
    page = report.html()
    own = re.sub(r"<script>/\*\*.*?</script>", "", page, count=1, flags=re.DOTALL)
    assert len(own) < len(page) / 2  # that was plotly.js
    assert not re.findall(r"https?://(?!www\.w3\.org)", own)
    assert not re.search(r"<(?:script|link|img)[^>]+(?:src|href)=[\"']?(?!data:)\w", page)
    assert '"frames":[' in own
    assert "frames: figure.frames" in own


def test_values_are_packed_exactly():
    values = np.array([1.5, -2.25, 3e7], np.float32)
    np.testing.assert_array_equal(unpacked(packed(values)), values)
    corners = np.array([0, 70000], np.int32)
    np.testing.assert_array_equal(unpacked(packed(corners)), corners)


@pytest.mark.parametrize(
    ("fields", "options", "message"),
    [
        (np.zeros((2, 5)), {}, r"fields must have shape \(times, vertices\) with 162 vertices"),
        (np.zeros((0, 162)), {}, "fields must hold from 1 to 1000 times, got 0"),
        (np.zeros((1001, 162)), {}, "fields must hold from 1 to 1000 times, got 1001"),
        (WAVES, {"start": 3}, "start must be a frame, from 0 to 2, got 3"),
        (WAVES, {"frames_per_second": 0}, "frames_per_second must be between 0.5 and 25, got 0"),
        (WAVES, {"cmap": "grue"}, "cmap must name a matplotlib colour map, got 'grue'"),
        (WAVES, {"times": [1]}, "times must hold one time for each of the 3 frames, got 1"),
    ],
)
def test_impossible_globes_are_rejected(fields, options, message):
    with pytest.raises(ValueError, match=message):
        time_globe(fields, SAMPLING, **options)
