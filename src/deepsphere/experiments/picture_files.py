"""From files of fields and signals to pictures: maps, films, globes and Hovmöller diagrams."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float
from rich.progress import Progress, TaskID

from deepsphere.data.files import require_writable, write_atomically
from deepsphere.data.readers import Ordering
from deepsphere.experiments.coastline_files import (
    ReadCoastlines,
    coastlines_of_missing,
    read_coastlines,
)
from deepsphere.experiments.frame_choice import choose_frames
from deepsphere.experiments.picture_sources import (
    FieldFrames,
    frame_statistics,
    open_frames,
)
from deepsphere.graph import SphereGraph, build_graph
from deepsphere.plotting.cells import color_limits
from deepsphere.plotting.projections import ProjectionName, View
from deepsphere.plotting.style import SEQUENTIAL
from deepsphere.training.progress import open_bar

PictureSuffix = Literal[".png", ".svg", ".pdf", ".gif", ".mp4", ".html"]
PictureKind = Literal["map", "hovmoller"]

MAX_MAPS = 24
"""Maps that fit on a page."""
_FILMS, _GLOBES = (".gif", ".mp4"), (".html",)
_DOTS_PER_INCH = 200
_LABEL_WIDTH, _NARROW_LABEL_WIDTH = 80, 44  # characters that fit below a picture
_OF_MISSING = "coastlines: outlines of where values are missing; --coastlines none leaves them out"


@dataclass(frozen=True)
class PictureSummary:
    """What was drawn, and where.

    Parameters
    ----------
    path
        The picture.
    what
        The field and its times, in words.
    notes
        What of the coastlines needs saying.
    """

    path: Path
    what: str
    notes: tuple[str, ...] = ()


def plot_file(
    source: Path,
    target: Path,
    *,
    sampling: str | None = None,
    index: int | str | None = None,
    times: str | None = None,
    at: Mapping[str, str] | None = None,
    channel: int | str = 0,
    kind: PictureKind = "map",
    band_deg: tuple[float | int, float | int] | None = None,
    edges: int | None = None,
    projection: ProjectionName | None = None,
    center: tuple[float | int, float | int] | None = None,
    coastlines: Path | str | None = None,
    coastlines_variable: str | None = None,
    land: str | None = None,
    cmap: str = SEQUENTIAL,
    vmin: float | int | None = None,
    vmax: float | int | None = None,
    ordering: Ordering | None = None,
    title: str = "",
    frames_per_second: float | int | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> PictureSummary:
    """Draw a field of a file: as a map, a film, or a globe that can be turned.

    Parameters
    ----------
    source
        Fields or signals, see `deepsphere.data.read_signals`. Missing values are gray.
    target
        ``.png``, ``.svg`` or ``.pdf`` for a map (or up to 24, where several times are chosen),
        ``.gif`` or ``.mp4`` for a film, ``.html`` for a globe, with a slider where several times
        are chosen.
    sampling
        Where the signals lie, e.g. ``"healpix:32"``; None takes what the file says.
    index, times
        Which frames: by their number, a number from 0, ``"FROM:TO"`` or ``"all"``; or by their
        date, as ``"2020-01"``, ``"2010:2015"`` or ``"all"``. None: the first; all for films and
        diagrams.
    at
        Places along other dimensions than the first of fields with coordinates, as
        ``{"level": "500"}``.
    channel
        Which variable or channel, by name or number.
    kind
        ``"map"``, or ``"hovmoller"`` for the mean over a band of latitude by longitude and time.
    band_deg
        South and north of the band of a Hovmöller diagram; None for (−5, 5).
    edges
        Draw the edges between each vertex and so many of its nearest ones, on maps of stations and
        on globes; None for no edges.
    projection
        Of maps and films; None for Mollweide. Maps of stations show the region that they fill where
        neither this nor the center is given.
    center
        Longitude and latitude of the middle, degrees.
    coastlines
        A file, see `read_coastlines`, or ``"none"``; None outlines where the field is missing at
        all times that are drawn.
    coastlines_variable, land
        Which variable of that file, and what of it is land.
    cmap, vmin, vmax
        Colour map of matplotlib, and ends of the scale; None for the extremes of what is drawn.
    ordering
        Order of the HEALPix pixels; None takes what the file or the sampling says.
    title
        Above the picture, in place of the name and the time.
    frames_per_second
        Speed of a film, or of a globe that plays; None for 8, or 4.
    overwrite
        Whether to replace `target`.
    progress
        Whether to show bars.

    Returns
    -------
    PictureSummary

    Raises
    ------
    FileNotFoundError, FileExistsError, ImportError
        If a file is not there, or may not be replaced; if a package or program is missing.
    ValueError
        If the suffix is unknown, the sampling is not known or does not fit, there is no such frame
        or channel, or an option does not go with the picture.
    """
    _check_options(
        target,
        kind,
        {
            "--band": band_deg,
            "--edges": edges,
            "--projection": projection,
            "--center": center,
            "--coastlines": coastlines,
            "--frames-per-second": frames_per_second,
        },
    )
    shores = _shores(coastlines, coastlines_variable, land)
    require_writable(target, overwrite=overwrite)
    frames = open_frames(source, channel=channel, sampling=sampling, ordering=ordering, at=at)
    frames = _chosen(frames, target, kind, index=index, times=times)
    with open_bar(shown=progress) as bar:
        if kind == "hovmoller":
            colors = {"cmap": cmap, "vmin": vmin, "vmax": vmax}
            _write_hovmoller(target, frames, colors, title, band_deg, overwrite=overwrite)
            return PictureSummary(target, _in_words(frames))
        reading = bar.add_task("reading", total=len(frames))
        statistics = frame_statistics(frames, advance=lambda: bar.advance(reading))
        bar.remove_task(reading)
        low, high = color_limits(np.array([statistics.low, statistics.high]), vmin, vmax)
        notes = () if shores is None else (shores.note,)
        look: dict[str, Any] = {"cmap": cmap, "vmin": low, "vmax": high, "coastlines": None}
        if shores is not None:
            look["coastlines"] = shores.coastlines
        elif coastlines is None and not frames.are_stations:
            look["coastlines"] = coastlines_of_missing(statistics.present, frames.sampling)
            notes = () if look["coastlines"] is None else (_OF_MISSING,)
        look |= {
            name: value
            for name, value in (
                ("graph", _graph_of(frames, target, edges)),
                ("center", center),
                ("projection", projection),
                ("frames_per_second", frames_per_second),
            )
            if value is not None
        }
        suffix = target.suffix.lower()
        if suffix in _FILMS:
            drawing = bar.add_task("drawing", total=len(frames))
            advance = partial(_set_progress, bar, drawing)
            _write_film(target, frames, look, title, advance=advance, overwrite=overwrite)
        else:
            write = _write_globe if suffix in _GLOBES else _write_maps
            write(target, frames, look, title, overwrite=overwrite)
    return PictureSummary(target, _in_words(frames), notes)


def _check_options(target: Path, kind: str, options: Mapping[str, object]) -> None:
    """Refuse what does not go with the picture that is asked for."""
    suffix = target.suffix.lower()
    if suffix not in get_args(PictureSuffix):
        raise ValueError(
            f"output must end in one of {', '.join(get_args(PictureSuffix))}, got {target.name}; "
            "rename it"
        )
    if kind not in get_args(PictureKind):
        raise ValueError(f"kind must be one of {', '.join(get_args(PictureKind))}, got {kind!r}")
    if kind == "hovmoller" and suffix in (*_FILMS, *_GLOBES):
        raise ValueError(
            f"output must end in .png, .svg or .pdf for a Hovmöller diagram, got {target.name}; "
            "rename it"
        )
    what, useless = "a map", ["--band", "--frames-per-second"]  # with edges between stations
    if kind == "hovmoller":
        what = "a Hovmöller diagram"
        useless = ["--edges", "--projection", "--center", "--coastlines", "--frames-per-second"]
    elif suffix in _GLOBES:
        what, useless = "a globe", ["--band", "--projection"]
    elif suffix in _FILMS:
        what, useless = "a film", ["--band", "--edges"]
    for name in useless:
        if options[name] is not None:
            raise ValueError(
                f"{name} must not be given for {what} ({target.name}), got {options[name]}; leave "
                "it out" + (", or choose --kind hovmoller" if name == "--band" else "")
            )


def _shores(
    coastlines: Path | str | None, variable: str | None, land: str | None
) -> ReadCoastlines | None:
    """The coastlines of a file, if one is named."""
    if coastlines is not None and str(coastlines) != "none":
        return read_coastlines(Path(coastlines), variable=variable, land=land)
    if variable is not None or land is not None:
        raise ValueError(
            "--coastlines-variable and --land must come with --coastlines FILE, of which they "
            "speak, got none; add it"
        )
    return None


def _chosen(
    frames: FieldFrames, target: Path, kind: str, *, index: int | str | None, times: str | None
) -> FieldFrames:
    """The frames that are asked for, as many as the picture can hold."""
    from deepsphere.plotting.time_globe import MAX_FRAMES

    suffix = target.suffix.lower()
    chosen = choose_frames(frames.times, len(frames), index=index, times=times)
    if chosen is None:
        several = suffix in _FILMS or kind == "hovmoller"
        chosen = np.arange(len(frames) if several else 1)
    limit = MAX_FRAMES if suffix in _GLOBES else len(chosen)
    if kind == "map" and suffix not in (*_GLOBES, *_FILMS):
        limit = MAX_MAPS
    if len(chosen) > limit:
        raise ValueError(
            f"{target.name} must hold at most {limit} times, got {len(chosen)}; choose some with "
            "--times FROM:TO, or write a film (.gif, .mp4)"
        )
    return frames.take(chosen).in_memory()


def _graph_of(frames: FieldFrames, target: Path, edges: int | None) -> SphereGraph | None:
    """The graph of nearest neighbors whose edges are to be drawn."""
    if edges is None:
        return None
    if not frames.are_stations and target.suffix.lower() not in _GLOBES:
        raise ValueError(
            f"--edges must be given for stations, or for a globe (.html), got {edges} for a map of "
            "cells; leave it out"
        )
    if not 1 <= edges < frames.sampling.num_vertices:
        raise ValueError(
            f"--edges must be between 1 and {frames.sampling.num_vertices - 1}, one less than the "
            f"vertices, got {edges}"
        )
    return build_graph(
        frames.sampling, num_neighbors=edges, weights="gaussian", disconnected="allow"
    )


def _write_maps(
    target: Path, frames: FieldFrames, look: Mapping[str, Any], title: str, *, overwrite: bool
) -> None:
    """One map, or a page of them."""
    from deepsphere.plotting import plot_map, plot_maps, plot_station_maps, plot_stations

    values = frames.read()
    is_narrow = len(frames) == 1 and look.get("projection") == "orthographic"
    unit = frames.label(_NARROW_LABEL_WIDTH if is_narrow else _LABEL_WIDTH)
    if frames.are_stations:
        look, draw_one, draw_all = _station_look(look), plot_stations, plot_station_maps
    else:
        draw_one, draw_all = plot_map, plot_maps
    if len(frames) == 1:
        title = title or frames.title(0)
        figure = draw_one(values[0], frames.sampling, title=title, unit=unit, **look)
    else:
        title = title or frames.name_and_place
        figure = draw_all(_named(frames, values), frames.sampling, title=title, unit=unit, **look)
    with write_atomically(target, overwrite=overwrite) as temporary:
        figure.savefig(temporary, dpi=_DOTS_PER_INCH)


def _named(
    frames: FieldFrames, values: Float[np.ndarray, "frames vertices"]
) -> dict[str, Float[np.ndarray, "vertices"]]:
    """The frames by their times."""
    names = frames.labels
    if len(set(names)) < len(names):  # the same time twice
        names = tuple(f"{name} ({number})" for number, name in enumerate(names))
    return dict(zip(names, values, strict=True))


def _station_look(look: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a map of stations: the map of their region unless one is asked for."""
    options = dict(look)
    asked = {name: options.pop(name) for name in ("projection", "center") if name in options}
    if asked:
        view = View(asked.get("projection", "mollweide"), center=asked.get("center", (0.0, 0.0)))
        options["view"] = view
    return options


def _write_film(
    target: Path,
    frames: FieldFrames,
    look: Mapping[str, Any],
    title: str,
    *,
    advance: Callable[[int], None],
    overwrite: bool,
) -> None:
    """A film, drawn frame by frame."""
    from deepsphere.plotting import animate_maps

    is_narrow = look.get("projection") == "orthographic"
    animate_maps(
        iter(frames),
        frames.sampling,
        target,
        times=frames.labels,
        title=title or frames.name_and_place,
        unit=frames.label(_NARROW_LABEL_WIDTH if is_narrow else _LABEL_WIDTH),
        overwrite=overwrite,
        advance=advance,
        **look,
    )


def _write_globe(
    target: Path, frames: FieldFrames, look: Mapping[str, Any], title: str, *, overwrite: bool
) -> None:
    """A globe that can be turned, with a slider where there are several times."""
    from deepsphere.plotting import globe
    from deepsphere.plotting.stations import station_view
    from deepsphere.plotting.time_globe import time_globe

    values = frames.read()
    if len(frames) == 1 or frames.are_stations:
        options = {name: value for name, value in look.items() if name != "frames_per_second"}
        view, region = station_view(frames.sampling)
        if frames.are_stations and region is not None:
            options.setdefault("center", view.center)
        shown: Any = values[0] if len(frames) == 1 else _named(frames, values)
        title = title or (frames.title(0) if len(frames) == 1 else frames.name_and_place)
        unit = frames.label(_LABEL_WIDTH)
        figure = globe(shown, frames.sampling, unit=unit, title=title, **options)
    else:
        if look.get("graph") is not None:
            raise ValueError("--edges must be given for one time, or for stations; leave it out")
        # the colour scale stands beside the globe, where there is room for the unit alone
        title = title or ", ".join(word for word in (frames.long_name, frames.place) if word)
        options = {**look, "unit": frames.unit, "title": title}
        figure = time_globe(values, frames.sampling, times=frames.labels, **options)
    with write_atomically(target, overwrite=overwrite) as temporary:
        # the script goes into the file, so that it can be looked at without a network
        figure.write_html(temporary, include_plotlyjs=True, auto_play=False)


def _write_hovmoller(
    target: Path,
    frames: FieldFrames,
    colors: Mapping[str, Any],
    title: str,
    band_deg: tuple[float | int, float | int] | None,
    *,
    overwrite: bool,
) -> None:
    """Means over a band by longitude and time."""
    from deepsphere.plotting.hovmoller import plot_hovmoller

    south, north = band_deg or (-5.0, 5.0)
    ends = [f"{abs(lat):g}°{'N' if lat > 0 else 'S' if lat < 0 else ''}" for lat in (south, north)]
    band = f"mean of {ends[0]} to {ends[1]}"
    figure = plot_hovmoller(
        frames.read(),
        frames.sampling,
        times=frames.times,
        band_deg=(south, north),
        unit=frames.label(_NARROW_LABEL_WIDTH),
        title=title or ", ".join(word for word in (frames.name_and_place, band) if word),
        **colors,
    )
    with write_atomically(target, overwrite=overwrite) as temporary:
        figure.savefig(temporary, dpi=_DOTS_PER_INCH)


def _set_progress(bar: Progress, task: TaskID, count: int) -> None:
    """Tell a bar how many frames are done."""
    bar.update(task, completed=count)


def _in_words(frames: FieldFrames) -> str:
    """What was drawn."""
    if len(frames) == 1:
        return frames.title(0) or "one signal"
    ends = f"{len(frames)} frames, {frames.labels[0]} to {frames.labels[-1]}"
    return ", ".join(word for word in (frames.name_and_place, ends) if word)
