"""Films of fields on the sphere: GIF and MP4 files, one frame per time."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Shaped
from matplotlib import colormaps

from deepsphere.data.files import require_writable, write_atomically
from deepsphere.plotting.cells import color_limits, symmetric_limit
from deepsphere.plotting.coastlines import CoastlinesLike
from deepsphere.plotting.film_files import FILM_WRITERS, film_writer
from deepsphere.plotting.film_frames import FilmPanel, FrameDrawer
from deepsphere.plotting.projections import EastSide, ProjectionName, View
from deepsphere.plotting.style import DIVERGING, SEQUENTIAL
from deepsphere.plotting.times import TimesLike, time_labels
from deepsphere.sampling import Sampling

Frames = Shaped[np.ndarray, "times vertices"] | Iterable[Shaped[np.ndarray, "vertices"]]


def animate_maps(
    frames: Frames | Mapping[str, Frames],
    sampling: Sampling,
    path: str | os.PathLike[str],
    *,
    times: TimesLike | None = None,
    projection: ProjectionName = "mollweide",
    center: tuple[float | int, float | int] = (0.0, 0.0),
    east: EastSide = "right",
    cmap: str = SEQUENTIAL,
    vmin: float | int | None = None,
    vmax: float | int | None = None,
    unit: str = "",
    title: str = "",
    coastlines: CoastlinesLike | None = None,
    graticule: bool = True,
    num_rows: int = 320,
    frames_per_second: float | int = 8,
    overwrite: bool = False,
    advance: Callable[[int], None] | None = None,
) -> Path:
    """A film of one field, or of several side by side, on one fixed colour scale.

    The same frames give the same bytes. The file appears when it is complete.

    Parameters
    ----------
    frames
        The field at each time: an array of shape (times, vertices), or anything that gives one
        array of shape (vertices,) after the other, such as a generator; or several of these by
        name. NaN is gray.
    sampling
        The sampling of the fields.
    path
        The film, ``.gif`` or ``.mp4``. MP4 needs ffmpeg.
    times
        The time of each frame, of any calendar, written above the maps; None to count the frames.
        As many as there are frames, where that is known in advance.
    projection, center, east, cmap, unit, title, coastlines, graticule
        As for :func:`deepsphere.plotting.plot_map`.
    vmin, vmax
        Ends of the colour scale; None for the extremes over all frames, which must then be arrays.
    num_rows
        Height of a map in pixels.
    frames_per_second
        Speed of the film. GIF files count in hundredths of a second.
    overwrite
        Whether a file that is there may be replaced.
    advance
        Called after each frame with the number of frames that are done.

    Returns
    -------
    Path
        The path of the film.

    Raises
    ------
    ValueError
        If there is no frame, a field does not fit the sampling, the panels do not have equally many
        frames, a choice is unknown, or a colour scale has no end.
    FileExistsError
        If the file is there and ``overwrite`` is false.
    ImportError
        If an MP4 file is wanted and there is no ffmpeg.
    RuntimeError
        If ffmpeg fails.

    Examples
    --------
    >>> import tempfile
    >>> from deepsphere.sampling import Healpix
    >>> sampling = Healpix(nside=2)
    >>> fields = np.stack([np.cos(sampling.lon - turn) for turn in (0.0, 1.0)])
    >>> path = Path(tempfile.mkdtemp()) / "wave.gif"
    >>> animate_maps(fields, sampling, path, num_rows=40).name
    'wave.gif'
    """
    named = dict(frames) if isinstance(frames, Mapping) else {"": frames}
    if not named:
        raise ValueError("frames must hold at least one field, got none; pass {name: frames}")
    low, high = _limits(named.values(), vmin, vmax)
    panels = [FilmPanel(str(name), cmap, low, high, unit, scale=0) for name in named]
    view = View(projection, center=center, east=east)
    return _write(
        _Film(panels, view, title, num_rows, coastlines, graticule),
        list(named.values()),
        sampling,
        path,
        times=times,
        frames_per_second=frames_per_second,
        overwrite=overwrite,
        advance=advance,
    )


def animate_forecast(
    truth: Shaped[np.ndarray, "times vertices"],
    forecast: Shaped[np.ndarray, "times vertices"],
    sampling: Sampling,
    path: str | os.PathLike[str],
    *,
    times: TimesLike | None = None,
    projection: ProjectionName = "mollweide",
    center: tuple[float | int, float | int] = (0.0, 0.0),
    east: EastSide = "right",
    cmap: str = SEQUENTIAL,
    vmin: float | int | None = None,
    vmax: float | int | None = None,
    max_difference: float | int | None = None,
    unit: str = "",
    title: str = "",
    coastlines: CoastlinesLike | None = None,
    graticule: bool = True,
    num_rows: int = 240,
    frames_per_second: float | int = 8,
    overwrite: bool = False,
    advance: Callable[[int], None] | None = None,
) -> Path:
    """A film of the truth, a forecast, and forecast minus truth, side by side.

    Truth and forecast share one colour scale; the difference has another, with zero in its middle.

    Parameters
    ----------
    truth, forecast
        Fields of shape (times, vertices); NaN is gray.
    max_difference
        Upper end of the scale of the difference, the lower is its opposite; None for the 99th
        percentile of the absolute difference over all frames.
    vmin, vmax
        Ends of the scale of truth and forecast; None for the extremes of the truth.
    sampling, path, times, projection, center, east, cmap, unit, title, coastlines, graticule
        As for :func:`animate_maps`.
    num_rows, frames_per_second, overwrite, advance
        As for :func:`animate_maps`.

    Returns
    -------
    Path
        The path of the film.

    Raises
    ------
    ValueError
        If the shapes differ, or as for :func:`animate_maps`.
    FileExistsError, ImportError, RuntimeError
        As for :func:`animate_maps`.

    Examples
    --------
    >>> import tempfile
    >>> from deepsphere.sampling import Healpix
    >>> sampling = Healpix(nside=2)
    >>> truth = np.stack([np.cos(sampling.lon - turn) for turn in (0.0, 1.0)])
    >>> path = Path(tempfile.mkdtemp()) / "wave.gif"
    >>> animate_forecast(truth, 0.9 * truth, sampling, path, num_rows=30).name
    'wave.gif'
    """
    if truth.shape != forecast.shape or truth.ndim != 2:
        raise ValueError(
            "truth and forecast must have the same shape (times, vertices), got "
            f"{truth.shape} and {forecast.shape}; select the times that both have"
        )
    low, high = _limits([truth], vmin, vmax)
    difference = forecast.astype(np.float64) - truth
    largest = symmetric_limit(difference) if max_difference is None else float(max_difference)
    if not largest > 0:
        raise ValueError(f"max_difference must be positive, got {max_difference}; use None")
    panels = [
        FilmPanel("truth", cmap, low, high, unit, scale=0),
        FilmPanel("forecast", cmap, low, high, unit, scale=0),
        FilmPanel("forecast − truth", DIVERGING, -largest, largest, unit, scale=1),
    ]
    view = View(projection, center=center, east=east)
    return _write(
        _Film(panels, view, title, num_rows, coastlines, graticule),
        [truth, forecast, difference],
        sampling,
        path,
        times=times,
        frames_per_second=frames_per_second,
        overwrite=overwrite,
        advance=advance,
    )


@dataclass(frozen=True, eq=False)
class _Film:
    """What does not change from frame to frame."""

    panels: Sequence[FilmPanel]
    view: View
    title: str
    num_rows: int
    coastlines: CoastlinesLike | None
    graticule: bool


def _limits(
    fields: Iterable[Frames], vmin: float | int | None, vmax: float | int | None
) -> tuple[float, float]:
    """The ends of the colour scale of all frames."""
    if vmin is not None and vmax is not None:
        return color_limits(np.empty(0), vmin, vmax)
    ends = []
    for field in fields:
        if not isinstance(field, np.ndarray):
            raise ValueError(
                "vmin and vmax must be given for frames that come one by one, got "
                f"vmin={vmin}, vmax={vmax}; pass both, or an array of shape (times, vertices)"
            )
        finite = field[np.isfinite(field)]
        ends += [finite.min(), finite.max()] if finite.size else []
    return color_limits(np.array(ends, np.float64), vmin, vmax)


def _write(
    film: _Film,
    fields: Sequence[Frames],
    sampling: Sampling,
    path: str | os.PathLike[str],
    *,
    times: TimesLike | None,
    frames_per_second: float | int,
    overwrite: bool,
    advance: Callable[[int], None] | None,
) -> Path:
    """Draw the frames and write them to a file."""
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in FILM_WRITERS:
        raise ValueError(f"path must end with .gif or .mp4, got {path}; choose one of these")
    if not 0 < frames_per_second <= 100:
        raise ValueError(
            f"frames_per_second must be more than 0 and at most 100, got {frames_per_second}; "
            "use 8 for instance"
        )
    for panel in film.panels:
        if panel.cmap not in colormaps:
            raise ValueError(
                f"cmap must name a matplotlib colour map, got {panel.cmap!r}; try 'viridis'"
            )
    require_writable(path, overwrite=overwrite)
    lengths = {len(field) for field in fields if isinstance(field, np.ndarray)}
    if len(lengths) > 1:
        raise ValueError(
            f"frames must hold equally many times in each panel, got {sorted(lengths)}; select the "
            "times that all have"
        )
    known = next(iter(lengths), None if times is None else len(times))
    if known == 0:
        raise ValueError("frames must hold at least one time, got none; pass one or more")
    labels = None if known is None else time_labels(times, known)
    drawer = FrameDrawer(
        film.panels,
        sampling,
        film.view,
        title=film.title,
        num_rows=film.num_rows,
        coastlines=film.coastlines,
        graticule=film.graticule,
    )
    with write_atomically(path, overwrite=overwrite) as temporary:
        pictures = _pictures(drawer, fields, labels, numbered=times is None, advance=advance)
        film_writer(suffix)(
            pictures,
            temporary,
            frames_per_second=frames_per_second,
            palette=drawer.palette_sample(),
        )
    return path


def _pictures(
    drawer: FrameDrawer,
    fields: Sequence[Frames],
    labels: list[str] | None,
    *,
    numbered: bool,
    advance: Callable[[int], None] | None,
) -> Iterator[Shaped[np.ndarray, "height width 3"]]:
    """The frames as images, drawn when they are asked for."""
    iterators = [iter(field) for field in fields]
    count = 0
    while True:
        values = [next(iterator, None) for iterator in iterators]
        present = [value for value in values if value is not None]
        if len(present) < len(values) or (labels is not None and count == len(labels)):
            break
        label = str(count + 1) if labels is None else labels[count]
        if numbered and labels is not None:
            label = f"{label} / {len(labels)}"
        yield drawer.draw(present, label)
        count += 1
        if advance is not None:
            advance(count)
    if present or (labels is not None and count != len(labels)):
        raise ValueError(
            "frames must hold equally many times in each panel and as many as there are times, "
            f"got a panel that ends after {count}"
            + ("" if labels is None else f" of {len(labels)} times")
            + "; pass as many frames as times"
        )
    if count == 0:
        raise ValueError("frames must hold at least one time, got none; pass one or more")
