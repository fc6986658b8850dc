"""Films: files that play, hold one frame per time, and show the colours of the fields."""

import subprocess
import sys
from itertools import pairwise
from unittest.mock import Mock

import numpy as np
import pytest
from matplotlib import colormaps
from matplotlib.colors import to_rgb
from PIL import Image

from deepsphere.plotting import View
from deepsphere.plotting.animation import animate_forecast, animate_maps
from deepsphere.plotting.cells import symmetric_limit
from deepsphere.plotting.coastlines import Coastlines
from deepsphere.plotting.film_files import ffmpeg_program, write_mp4
from deepsphere.plotting.film_frames import FilmPanel, FrameDrawer
from deepsphere.plotting.style import BLANK
from deepsphere.sampling import Equiangular, Healpix

SAMPLING = Healpix(nside=4)
WAVES = np.stack([np.cos(SAMPLING.lon - turn) for turn in (0.0, 0.7, 1.4, 2.1)])
pytest.importorskip("imageio_ffmpeg", reason="films in MP4 need ffmpeg")


def frames_of_gif(path):
    pictures = []
    with Image.open(path) as film:
        for index in range(film.n_frames):
            film.seek(index)
            pictures.append(np.asarray(film.convert("RGB")))
        return film, pictures


def num_frames(path):
    return len(frames_of_gif(path)[1])


def read_image(path):
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def frames_of_mp4(path, folder):
    command = [ffmpeg_program(), "-loglevel", "error", "-i", str(path), str(folder / "%03d.png")]
    subprocess.run(command, check=True)
    return [read_image(name) for name in sorted(folder.glob("*.png"))]


def colored_pixels(drawer, fields):
    """The pixels of the first map, and the colours of their vertices by the colour map itself."""
    pixels = drawer._maps[0]
    whole = np.zeros((*drawer._still.shape[:2],), bool)
    whole[pixels._rows, pixels._columns][pixels._places] = pixels._share[:, 0] > 0.999
    return whole, pixels._vertex[pixels._share[:, 0] > 0.999]


def test_frame_shows_the_color_of_the_vertex_in_each_pixel():
    view = View("orthographic", center=(30, 40))
    drawer = FrameDrawer([FilmPanel("a", "viridis", -1.0, 1.0, "", 0)], SAMPLING, view, num_rows=80)
    field = np.where(SAMPLING.lat > 0.9, np.nan, SAMPLING.points[:, 1])
    frame = drawer.draw([field], "now")
    inside, vertex = colored_pixels(drawer, field)
    wanted = np.asarray(colormaps["viridis"]((np.append(field, np.nan)[vertex] + 1) / 2))[:, :3]
    wanted[np.isnan(np.append(field, np.nan)[vertex])] = to_rgb(BLANK)
    assert inside.sum() > 3000
    assert np.abs(frame[inside] / 255 - wanted).max() < 0.02
    # the disc of 80 pixels is where the map is
    rows, columns = np.nonzero(inside)
    assert abs(np.ptp(rows) - 80) < 5
    assert abs(np.ptp(columns) - 80) < 5


def test_frame_is_white_but_for_maps_and_text():
    drawer = FrameDrawer([FilmPanel("", "viridis", 0.0, 1.0, "", 0)], SAMPLING, View(), num_rows=60)
    frame = drawer.draw([np.zeros(192)], "")
    assert frame.shape[0] % 2 == frame.shape[1] % 2 == 0
    corners = frame[[0, 0, -1, -1], [0, -1, 0, -1]]
    np.testing.assert_array_equal(corners, 255)
    # no pixel of the map spills over its border
    np.testing.assert_array_equal(frame[2:, :3], 255)


@pytest.mark.parametrize("projection", ["mollweide", "orthographic", "equirectangular"])
def test_gif_has_one_frame_per_time(tmp_path, projection):
    path = tmp_path / "wave.gif"
    assert animate_maps(WAVES, SAMPLING, path, projection=projection, num_rows=40) == path
    film, pictures = frames_of_gif(path)
    assert film.format == "GIF"
    assert len(pictures) == 4
    assert film.info["duration"] == 120
    assert film.info["loop"] == 0
    assert all((a != b).any() for a, b in pairwise(pictures))


def test_equal_fields_are_frames_of_their_own(tmp_path):
    animate_maps(np.zeros((3, 192)), SAMPLING, tmp_path / "still.gif", num_rows=40)
    assert num_frames(tmp_path / "still.gif") == 3


def test_mp4_has_one_frame_per_time_and_its_colors(tmp_path):
    path = tmp_path / "wave.mp4"
    animate_maps(WAVES, SAMPLING, path, num_rows=80, vmin=-1, vmax=1, graticule=False)
    assert path.read_bytes()[4:8] == b"ftyp"
    pictures = frames_of_mp4(path, tmp_path)
    assert len(pictures) == 4
    drawer = FrameDrawer(
        [FilmPanel("", "viridis", -1.0, 1.0, "", 0)], SAMPLING, View(), num_rows=80, graticule=False
    )
    assert pictures[2].shape == drawer.draw([WAVES[2]], "").shape
    inside, _ = colored_pixels(drawer, WAVES[2])
    difference = pictures[2].astype(float) - drawer.draw([WAVES[2]], "3 / 4")
    # colours are stored at half the resolution, which shows at the borders of the cells
    assert np.median(np.abs(difference[inside])) < 4


@pytest.mark.parametrize("suffix", [".gif", ".mp4"])
def test_same_frames_give_the_same_bytes(tmp_path, suffix):
    coastlines = Coastlines(np.asarray(SAMPLING.lat < 0.5), SAMPLING)
    for name in ("a", "b"):
        animate_maps(
            WAVES, SAMPLING, tmp_path / f"{name}{suffix}", num_rows=40, coastlines=coastlines
        )
    assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_generator_gives_the_same_film_as_the_array(tmp_path):
    times = ["a", "b", "c", "d"]
    options = {"times": times, "num_rows": 40, "vmin": -1, "vmax": 1}
    animate_maps(WAVES, SAMPLING, tmp_path / "array.gif", **options)
    animate_maps((wave for wave in WAVES), SAMPLING, tmp_path / "generator.gif", **options)
    assert (tmp_path / "array.gif").read_bytes() == (tmp_path / "generator.gif").read_bytes()


def test_generator_of_unknown_length_is_counted(tmp_path):
    animate_maps(iter(WAVES), SAMPLING, tmp_path / "a.gif", num_rows=40, vmin=-1, vmax=1)
    assert num_frames(tmp_path / "a.gif") == 4


def test_forecast_has_three_panels_and_zero_in_the_middle(tmp_path):
    path = tmp_path / "forecast.gif"
    animate_forecast(WAVES, WAVES, SAMPLING, path, num_rows=40, graticule=False)
    animate_maps(WAVES, SAMPLING, tmp_path / "single.gif", num_rows=40)
    _, (first, *_) = frames_of_gif(path)
    _, (single, *_) = frames_of_gif(tmp_path / "single.gif")
    width = single.shape[1]
    assert 2.5 * width < first.shape[1] < 3.2 * width
    # no difference has the middle of the two colours, which is nearly white
    right = first[first.shape[0] // 2, int(first.shape[1] * 5 / 6)]
    assert right.min() > 240
    assert first[first.shape[0] // 2, first.shape[1] // 6].min() < 200


def test_progress_is_told(tmp_path):
    advance = Mock()
    animate_maps(WAVES, SAMPLING, tmp_path / "a.gif", num_rows=40, advance=advance)
    assert [call.args for call in advance.call_args_list] == [(1,), (2,), (3,), (4,)]


def test_failure_leaves_no_file(tmp_path):
    def broken():
        yield WAVES[0]
        raise OSError("disk on fire")

    for suffix in (".gif", ".mp4"):
        with pytest.raises(OSError, match="disk on fire"):
            animate_maps(broken(), SAMPLING, tmp_path / f"a{suffix}", num_rows=40, vmin=0, vmax=1)
    assert not list(tmp_path.iterdir())


def test_existing_film_is_kept_unless_told_otherwise(tmp_path):
    path = tmp_path / "a.gif"
    path.write_bytes(b"mine")
    with pytest.raises(FileExistsError, match="overwrite"):
        animate_maps(WAVES, SAMPLING, path, num_rows=40)
    assert path.read_bytes() == b"mine"
    animate_maps(WAVES, SAMPLING, path, num_rows=40, overwrite=True)
    assert num_frames(path) == 4


def test_scale_is_not_stretched_by_outliers():
    values = np.concatenate([np.linspace(-1, 1, 1001), [50.0, np.nan]])
    assert symmetric_limit(values) == pytest.approx(0.99, abs=0.01)
    assert symmetric_limit(np.array([np.nan])) == 1.0
    assert symmetric_limit(np.zeros(5)) == 1.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"path": "a.avi"}, "path must end with .gif or .mp4, got a.avi"),
        ({"frames": {}}, "frames must hold at least one field"),
        ({"frames": WAVES[:0]}, "frames must hold at least one time"),
        ({"frames": iter([]), "vmin": 0, "vmax": 1}, "frames must hold at least one time"),
        ({"frames": iter(WAVES)}, "vmin and vmax must be given for frames that come one by one"),
        ({"frames": {"a": WAVES, "b": WAVES[:2]}}, "frames must hold equally many times"),
        ({"times": [1, 2]}, "times must hold one time for each of the 4 frames, got 2"),
        ({"cmap": "grue"}, "cmap must name a matplotlib colour map, got 'grue'"),
        ({"frames_per_second": 0}, "frames_per_second must be more than 0"),
        ({"sampling": Equiangular(nlat=4)}, "signal must have shape"),
        (
            {"frames": iter(WAVES), "vmin": 0, "vmax": 1, "times": range(5)},
            "got a panel that ends after 4 of 5 times",
        ),
        (
            {"frames": {"a": iter(WAVES), "b": iter(WAVES[:2])}, "vmin": 0, "vmax": 1},
            "got a panel that ends after 2; pass",
        ),
    ],
)
def test_impossible_films_are_rejected(tmp_path, monkeypatch, changes, message):
    monkeypatch.chdir(tmp_path)
    arguments = {"frames": WAVES, "sampling": SAMPLING, "path": "a.gif", "num_rows": 40} | changes
    with pytest.raises(ValueError, match=message):
        animate_maps(**arguments)
    assert not list(tmp_path.iterdir())


def test_impossible_comparisons_are_rejected(tmp_path, unchecked):
    with pytest.raises(ValueError, match="truth and forecast must have the same shape"):
        animate_forecast(WAVES, WAVES[:2], SAMPLING, tmp_path / "a.gif")
    with pytest.raises(ValueError, match="max_difference must be positive, got 0"):
        animate_forecast(WAVES, WAVES, SAMPLING, tmp_path / "a.gif", max_difference=0)


def test_ffmpeg_of_the_system_comes_first(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: f"/somewhere/{name}")
    assert ffmpeg_program() == "/somewhere/ffmpeg"


def test_missing_ffmpeg_is_told_before_anything_is_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(ImportError, match=r"ffmpeg on the PATH, or the package imageio-ffmpeg"):
        animate_maps(WAVES, SAMPLING, tmp_path / "a.mp4", num_rows=40)
    assert not list(tmp_path.iterdir())


def test_failing_ffmpeg_is_quoted(tmp_path, monkeypatch):
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\necho 'no such encoder' >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setattr("shutil.which", lambda name: str(program))
    picture = np.zeros((64, 64, 3), np.uint8)
    with pytest.raises(RuntimeError, match=r"could not write the film .*3.*no such encoder"):
        write_mp4(iter([picture] * 99), tmp_path / "a.mp4", frames_per_second=5, palette=picture)
