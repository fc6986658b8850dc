"""Hovmöller diagrams: how a field moves along longitude or latitude as time passes."""

from collections.abc import Mapping
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Shaped
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator
from scipy.sparse import csr_matrix

from deepsphere.plotting.cells import color_limits, symmetric_limit
from deepsphere.plotting.style import (
    BLANK,
    DIVERGING,
    INK,
    SEQUENTIAL,
    add_colorbar,
    new_figure,
    style_axes,
)
from deepsphere.plotting.times import TimesLike, time_positions, time_ticks
from deepsphere.sampling import Sampling

Along = Literal["longitude", "latitude"]
Fields = Shaped[np.ndarray, "times vertices"]

_SPACINGS_PER_BIN = 2.0  # so that neighbouring bins of an irregular sampling hold about the same
_NARROWEST = 0.1
_LARGEST_NUM_RINGS = 2.0  # in roots of the number of vertices; more latitudes are no rings
_FULL_GRID = 0.7  # share of columns times rings that are vertices: poles and masks are left out


def hovmoller(
    fields: Shaped[np.ndarray, "times vertices"],
    sampling: Sampling,
    *,
    along: Along = "longitude",
    band_deg: tuple[float | int, float | int] | None = None,
    num_bins: int | None = None,
) -> tuple[Float[np.ndarray, "bins"], Float[np.ndarray, "times bins"]]:
    """Means of fields over a band of latitude, by longitude, or over all longitudes, by latitude.

    Vertices are put into bins of longitude or latitude; a value is the mean over the valid vertices
    of a bin, weighted by their areas.

    Parameters
    ----------
    fields
        Shape (times, vertices); NaN where there is no value.
    sampling
        Any sampling.
    along
        ``"longitude"`` or ``"latitude"``.
    band_deg
        Southern and northern end of the vertices that count, degrees; None for (−5, 5), the
        equator, along longitude, and for all along latitude.
    num_bins
        Number of equal bins; None for the columns or rings of a grid, and otherwise for bins of two
        mean distances between vertices.

    Returns
    -------
    tuple[Float[np.ndarray, "bins"], Float[np.ndarray, "times bins"]]
        Middles of the bins, degrees, from 0 eastward or from south to north, and the means; NaN for
        bins without valid vertices.

    Raises
    ------
    ValueError
        If the shape is not (times, vertices), the direction is unknown, the band is empty, or there
        is no bin.

    Examples
    --------
    >>> from deepsphere.sampling import Equiangular
    >>> sampling = Equiangular(nlat=8)
    >>> lat_deg, means = hovmoller(sampling.lat[None], sampling, along="latitude")
    >>> bool(np.allclose(means[0], np.radians(lat_deg)))
    True

    References
    ----------
    Hovmöller (1949), The trough-and-ridge diagram.
    """
    if fields.shape[1:] != (sampling.num_vertices,) or len(fields) == 0:
        raise ValueError(
            f"fields must have shape (times, vertices) with {sampling.num_vertices} vertices, got "
            f"{fields.shape}; select one channel, and fields[None] for a single time"
        )
    if along not in get_args(Along):
        raise ValueError(f"along must be 'longitude' or 'latitude', got {along!r}; choose one")
    if num_bins is not None and num_bins < 1:
        raise ValueError(f"num_bins must be at least 1, got {num_bins}; use None for the default")
    if band_deg is None:
        band_deg = (-5, 5) if along == "longitude" else (-90, 90)
    lat_deg = np.degrees(sampling.lat)
    # a ring on the border of the band belongs to it, though its latitude is rounded
    in_band = np.flatnonzero((lat_deg >= band_deg[0] - 1e-6) & (lat_deg <= band_deg[1] + 1e-6))
    if len(in_band) == 0:
        raise ValueError(
            f"band_deg must be (south, north) with vertices between, got {band_deg}, where "
            f"{sampling!r} has none; widen it"
        )
    if along == "longitude":
        # meridians draw near to each other where the band lies
        narrowing = np.cos(np.abs(sampling.lat[in_band]).mean())
        spacing_deg = _spacing_deg(sampling) / max(float(narrowing), _NARROWEST)
        lon_deg = np.degrees(sampling.lon)[in_band]
        if num_bins is None and not _is_grid(lon_deg, lat_deg[in_band]):
            num_bins = max(round(360 / (_SPACINGS_PER_BIN * spacing_deg)), 4)
        middles, bins = _longitude_bins(lon_deg, num_bins)
    else:
        middles, bins = _latitude_bins(lat_deg[in_band], _spacing_deg(sampling), num_bins)
    areas = np.asarray(sampling.areas)[in_band]
    sums = csr_matrix((areas, (bins, np.arange(len(in_band)))), shape=(len(middles), len(in_band)))
    values = fields[:, in_band].astype(np.float64)
    valid = np.isfinite(values)
    weight = (sums @ valid.T.astype(np.float64)).T
    total = (sums @ np.where(valid, values, 0.0).T).T
    with np.errstate(invalid="ignore", divide="ignore"):
        return middles, np.where(weight > 0, total / weight, np.nan)


def plot_hovmoller(
    fields: Fields | Mapping[str, Fields],
    sampling: Sampling,
    *,
    times: TimesLike | None = None,
    along: Along = "longitude",
    band_deg: tuple[float | int, float | int] | None = None,
    num_bins: int | None = None,
    cmap: str = SEQUENTIAL,
    vmin: float | int | None = None,
    vmax: float | int | None = None,
    unit: str = "",
    title: str = "",
) -> Figure:
    """Hovmöller diagrams of one or several fields on one colour scale.

    Along longitude, time runs down; along latitude, it runs to the right.

    Parameters
    ----------
    fields
        Shape (times, vertices), or several by name; NaN where there is no value.
    sampling, along, band_deg, num_bins
        As for :func:`hovmoller`.
    times
        Time of each row, of any calendar; None to count them.
    cmap
        Name of a matplotlib colour map.
    vmin, vmax
        Ends of the colour scale; None for the extremes of all means.
    unit
        Label of the colour scale.
    title
        Title of the figure.

    Returns
    -------
    Figure
        One axes for each field and one for the colour scale.

    Raises
    ------
    ValueError
        As for :func:`hovmoller`; if there is no field, the colour map is unknown, or the times do
        not increase.

    Examples
    --------
    >>> from deepsphere.sampling import Fibonacci
    >>> sampling = Fibonacci(500)
    >>> waves = np.stack([np.cos(2 * sampling.lon - 0.3 * step) for step in range(10)])
    >>> len(plot_hovmoller({"truth": waves, "forecast": waves}, sampling, band_deg=(-20, 20)).axes)
    3
    """
    named = fields if isinstance(fields, Mapping) else {"": fields}
    if not named:
        raise ValueError("fields must hold at least one field, got none; pass {name: fields}")
    _check_cmap(cmap)
    options = {"along": along, "band_deg": band_deg, "num_bins": num_bins}
    means = {name: hovmoller(field, sampling, **options) for name, field in named.items()}
    pooled = np.concatenate([values.ravel() for _, values in means.values()])
    norm = Normalize(*color_limits(pooled, vmin, vmax))
    figure, grid = _diagram_layout(along, len(named))
    for axes, (name, (middles, values)) in zip(grid, means.items(), strict=True):
        _draw_diagram(axes, middles, values, times, along, norm=norm, cmap=cmap, title=name)
    _label_ends(grid, along)
    add_colorbar(figure, ScalarMappable(norm, cmap), grid, unit=unit)
    if title:
        figure.suptitle(title, color=INK, fontsize=12)
    return figure


def plot_forecast_hovmoller(
    truth: Shaped[np.ndarray, "times vertices"],
    forecast: Shaped[np.ndarray, "times vertices"],
    sampling: Sampling,
    *,
    times: TimesLike | None = None,
    along: Along = "longitude",
    band_deg: tuple[float | int, float | int] | None = None,
    num_bins: int | None = None,
    cmap: str = SEQUENTIAL,
    vmin: float | int | None = None,
    vmax: float | int | None = None,
    max_difference: float | int | None = None,
    unit: str = "",
    title: str = "",
) -> Figure:
    """Hovmöller diagrams of the truth, of a forecast, and of forecast minus truth.

    Parameters
    ----------
    truth, forecast
        Shape (times, vertices); NaN where there is no value.
    sampling, along, band_deg, num_bins
        As for :func:`hovmoller`.
    times, cmap, vmin, vmax, unit, title
        As for :func:`plot_hovmoller`.
    max_difference
        Upper end of the scale of the difference, the lower is its opposite; None for the largest
        difference.

    Returns
    -------
    Figure
        Three axes, and two for the colour scales.

    Raises
    ------
    ValueError
        If the shapes differ, ``max_difference`` is not positive, or as for :func:`plot_hovmoller`.

    Examples
    --------
    >>> from deepsphere.sampling import Fibonacci
    >>> sampling = Fibonacci(500)
    >>> waves = np.stack([np.cos(2 * sampling.lon - 0.3 * step) for step in range(10)])
    >>> len(plot_forecast_hovmoller(waves, 0.8 * waves, sampling, along="latitude").axes)
    5
    """
    if truth.shape != forecast.shape:
        raise ValueError(
            "truth and forecast must have the same shape (times, vertices), got "
            f"{truth.shape} and {forecast.shape}; select the times that both have"
        )
    if max_difference is not None and not max_difference > 0:
        raise ValueError(f"max_difference must be positive, got {max_difference}; use None")
    _check_cmap(cmap)
    options = {"along": along, "band_deg": band_deg, "num_bins": num_bins}
    # both over the same vertices: where one has no value, a difference of means would be an error
    both = np.isfinite(truth) & np.isfinite(forecast)
    middles, first = hovmoller(np.where(both, truth, np.nan), sampling, **options)
    _, second = hovmoller(np.where(both, forecast, np.nan), sampling, **options)
    difference = second - first
    norm = Normalize(*color_limits(np.stack([first, second]), vmin, vmax))
    largest = float(max_difference or symmetric_limit(difference, 100))
    shared = ScalarMappable(norm, cmap)
    signed = ScalarMappable(Normalize(-largest, largest), DIVERGING)
    figure, grid = _diagram_layout(along, 3)
    for axes, name, values, scale in zip(
        grid,
        ("truth", "forecast", "forecast − truth"),
        (first, second, difference),
        (shared, shared, signed),
        strict=True,
    ):
        _draw_diagram(
            axes, middles, values, times, along, norm=scale.norm, cmap=scale.cmap, title=name
        )
    _label_ends(grid, along)
    add_colorbar(figure, shared, grid[:2], unit=unit, shrink=0.6)
    add_colorbar(figure, signed, grid[2], unit=unit, shrink=0.9)
    if title:
        figure.suptitle(title, color=INK, fontsize=12)
    return figure


def _check_cmap(cmap: str) -> None:
    if cmap not in colormaps:
        raise ValueError(f"cmap must name a matplotlib colour map, got {cmap!r}; try 'viridis'")


def _spacing_deg(sampling: Sampling) -> float:
    """The mean distance of neighbouring vertices."""
    return float(np.degrees(np.sqrt(np.asarray(sampling.areas).mean())))


def _longitude_bins(
    lon_deg: Float[np.ndarray, "n"], num_bins: int | None
) -> tuple[Float[np.ndarray, "bins"], np.ndarray]:
    """Middles of equal bins around the globe, and each vertex's; None for the columns of a grid."""
    start = 0.0
    if num_bins is None:
        columns = np.unique(np.round(lon_deg % 360, 6) % 360)
        # a regional grid has one step that leads around the globe
        step = float(np.median(np.diff(columns, append=columns[0] + 360)))
        num_bins, start = max(round(360 / step), 1), float(columns[0])
    width = 360 / num_bins
    # a hair, so that a vertex on the border of two bins is not thrown by rounding
    bins = np.floor((lon_deg - start) / width + 0.5 + 1e-6).astype(np.int64) % num_bins
    middles = (start + width * np.arange(num_bins)) % 360
    order = np.argsort(middles, kind="stable")
    return middles[order], np.argsort(order)[bins]


def _is_grid(lon_deg: Float[np.ndarray, "n"], lat_deg: Float[np.ndarray, "n"]) -> bool:
    """Whether the vertices stand in columns and rings."""
    num_columns, num_rings = (len(np.unique(np.round(angles, 6))) for angles in (lon_deg, lat_deg))
    return len(lon_deg) >= _FULL_GRID * num_columns * num_rings


def _latitude_bins(
    lat_deg: Float[np.ndarray, "n"], spacing_deg: float, num_bins: int | None
) -> tuple[Float[np.ndarray, "bins"], np.ndarray]:
    """The rings of a grid, or middles of equal bins from pole to pole, and each vertex's."""
    rings, ring = np.unique(np.round(lat_deg, 6), return_inverse=True)
    if num_bins is None and len(rings) <= _LARGEST_NUM_RINGS * np.sqrt(len(lat_deg)):
        return rings, ring.reshape(-1)
    if num_bins is None:
        num_bins = max(round(180 / (_SPACINGS_PER_BIN * spacing_deg)), 2)
    width = 180 / num_bins
    bins = np.clip(np.floor((lat_deg + 90) / width + 1e-6).astype(np.int64), 0, num_bins - 1)
    return -90 + width * (np.arange(num_bins) + 0.5), bins


def _diagram_layout(along: Along, number: int) -> tuple[Figure, list[Axes]]:
    """Axes side by side along longitude, one above the other along latitude."""
    if along == "longitude":
        figure = new_figure(3.1 * number + 1.4, 5.4)
        return figure, list(figure.subplots(1, number, sharey=True, squeeze=False)[0])
    figure = new_figure(7.4, 2.1 * number + 1.0)
    return figure, list(figure.subplots(number, 1, sharex=True, squeeze=False)[:, 0])


def _draw_diagram(
    axes: Axes,
    middles: Float[np.ndarray, "bins"],
    values: Float[np.ndarray, "times bins"],
    times: TimesLike | None,
    along: Along,
    *,
    norm,
    cmap,
    title: str,
) -> None:
    """One diagram with its two axes."""
    positions = time_positions(times, len(values))
    when, names = time_ticks(times, len(values))
    image = np.ma.masked_invalid(values)
    style_axes(axes, title=title, grid="none")
    axes.set_facecolor(BLANK)
    place, span = _edges(middles), _edges(positions)
    if along == "longitude":
        axes.pcolormesh(place, span, image, norm=norm, cmap=cmap, rasterized=True)
        axes.invert_yaxis()
        axes.xaxis.set_major_locator(MultipleLocator(60))
        axes.xaxis.set_major_formatter(lambda degrees, _: _longitude_name(degrees))
        axes.set_yticks(when, names)
    else:
        axes.pcolormesh(span, place, image.T, norm=norm, cmap=cmap, rasterized=True)
        axes.yaxis.set_major_locator(MultipleLocator(30))
        axes.yaxis.set_major_formatter(lambda degrees, _: _latitude_name(degrees))
        axes.set_xticks(when, names)


def _label_ends(grid: list[Axes], along: Along) -> None:
    """The name of the time axis, once."""
    if along == "longitude":
        grid[0].set_ylabel("time", color=INK)
    else:
        grid[-1].set_xlabel("time", color=INK)


def _edges(middles: Float[np.ndarray, "n"]) -> Float[np.ndarray, "m"]:
    """Borders halfway between middles, and as far beyond the first and the last."""
    if len(middles) == 1:
        return middles[0] + np.array([-0.5, 0.5])
    inner = (middles[1:] + middles[:-1]) / 2
    return np.concatenate([[2 * middles[0] - inner[0]], inner, [2 * middles[-1] - inner[-1]]])


def _longitude_name(degrees: float) -> str:
    """As on charts: 60°E, 180°, 120°W."""
    lon = degrees % 360
    if lon in (0, 180):
        return f"{lon:.0f}°"
    return f"{lon:.0f}°E" if lon < 180 else f"{360 - lon:.0f}°W"


def _latitude_name(degrees: float) -> str:
    """As on charts: 30°S, 0°, 60°N."""
    return f"{abs(degrees):.0f}°" + ("N" if degrees > 0 else "S" if degrees < 0 else "")
