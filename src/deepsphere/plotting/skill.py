"""The skill of forecasts: over lead time, by latitude, and as maps."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Shaped
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from deepsphere.plotting.cells import symmetric_limit
from deepsphere.plotting.coastlines import CoastlinesLike
from deepsphere.plotting.maps import plot_maps
from deepsphere.plotting.projections import ProjectionName
from deepsphere.plotting.style import (
    DIVERGING,
    INK,
    MUTED,
    PALETTE,
    SEQUENTIAL,
    add_legend,
    new_figure,
    style_axes,
)
from deepsphere.sampling import Sampling

Curve = Sequence[float | int] | Shaped[np.ndarray, "_"]

_BASELINE_STYLES = ("--", ":", "-.")
_USELESS_ACC = 0.6  # below this anomaly correlation, forecasters deem a forecast of no use
_MAX_MARKERS = 24


def plot_lead_time_skill(
    scores: Mapping[str, Mapping[str, Curve]],
    lead_times: Curve,
    *,
    baselines: Mapping[str, Mapping[str, Curve]] | None = None,
    units: Mapping[str, str] | None = None,
    lead_unit: str = "h",
    title: str = "",
) -> Figure:
    """Scores of several models over lead time, one panel per score.

    Models are coloured, baselines gray and broken. In the panel of an anomaly correlation (``ACC``)
    a thin line marks 0.6, below which a forecast is commonly deemed useless.

    Parameters
    ----------
    scores
        For each score, such as ``"RMSE"`` and ``"ACC"``, the values of each model by lead time; NaN
        where there is none.
    lead_times
        Lead times of these values.
    baselines
        The same for forecasts without a model, such as persistence and climatology.
    units
        Unit of each score that has one.
    lead_unit
        Unit of the lead times.
    title
        Title of the figure.

    Returns
    -------
    Figure
        One axes per score.

    Raises
    ------
    ValueError
        If there is no score, or a curve has not one value per lead time.

    Examples
    --------
    >>> rmse = {"RMSE": {"U-Net": [1.0, 1.5]}, "ACC": {"U-Net": [0.9, 0.8]}}
    >>> figure = plot_lead_time_skill(rmse, [6, 12], units={"RMSE": "K"})
    >>> [axes.get_ylabel() for axes in figure.axes]
    ['RMSE [K]', 'ACC']
    """
    baselines, units = baselines or {}, units or {}
    names = list(dict.fromkeys([*scores, *baselines]))
    if not names:
        raise ValueError("scores must hold at least one score, got none; pass {'RMSE': {…}}")
    colors = _colors(scores)
    styles = _styles(baselines)
    figure = new_figure(4.3 * len(names), 3.3 + 0.3 * bool(title))
    for axes, score in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
        label = f"{score} [{units[score]}]" if units.get(score) else score
        style_axes(axes, xlabel=f"lead time [{lead_unit}]", ylabel=label)
        for name, curve in baselines.get(score, {}).items():
            _check_curve(score, name, curve, lead_times, "lead time")
            axes.plot(lead_times, curve, styles[name], color=MUTED, linewidth=1.3, label=name)
        for name, curve in scores.get(score, {}).items():
            _check_curve(score, name, curve, lead_times, "lead time")
            marker = "o" if len(lead_times) <= _MAX_MARKERS else ""
            axes.plot(
                lead_times, curve, color=colors[name], marker=marker, markersize=3.5, label=name
            )
        if score.upper().startswith("ACC"):
            axes.axhline(_USELESS_ACC, color=MUTED, linewidth=0.6, zorder=0)
            axes.set_ylim(top=1.0)
        if score.upper().startswith("BIAS"):
            axes.axhline(0, color=MUTED, linewidth=0.6, zorder=0)
        if score.upper().startswith(("RMSE", "MAE")):
            axes.set_ylim(bottom=0)
        _set_lead_ticks(axes, np.asarray(lead_times, np.float64), lead_unit)
        add_legend(axes)
    if title:
        figure.suptitle(title, color=INK, fontsize=12)
    return figure


def plot_latitude_skill(
    scores: Mapping[str, Curve],
    lat_deg: Curve,
    *,
    baselines: Mapping[str, Curve] | None = None,
    score: str = "RMSE",
    unit: str = "",
    title: str = "",
) -> Figure:
    """A score of several models by latitude.

    The axis of latitude is stretched as the areas of the bands are: equal lengths are equal areas.

    Parameters
    ----------
    scores
        For each model its score in each band of latitude; NaN where there is none.
    lat_deg
        Middles of the bands, degrees.
    baselines
        The same for forecasts without a model.
    score
        Name of the score.
    unit
        Its unit.
    title
        Title of the figure.

    Returns
    -------
    Figure
        One axes.

    Raises
    ------
    ValueError
        If there is no curve, a latitude is off the sphere, or a curve has not one value per band.

    Examples
    --------
    >>> plot_latitude_skill({"U-Net": [1.0, 2.0]}, [-45, 45], unit="K").axes[0].get_ylabel()
    'RMSE [K]'
    """
    baselines = baselines or {}
    if not scores and not baselines:
        raise ValueError("scores must hold at least one model, got none; pass {name: scores}")
    latitudes = np.asarray(lat_deg, np.float64)
    if not (np.abs(latitudes) <= 90).all():
        raise ValueError(f"lat_deg must be between -90 and 90, got {list(lat_deg)}; use degrees")
    figure = new_figure(5.6, 3.3)
    axes = figure.add_subplot()
    style_axes(axes, title=title, xlabel="latitude", ylabel=f"{score} [{unit}]" if unit else score)
    colors = _colors({score: scores})
    styles = _styles({score: baselines})
    place = np.sin(np.radians(latitudes))
    order = np.argsort(place)
    for name, curve in baselines.items():
        _check_curve(score, name, curve, lat_deg, "latitude")
        line = np.asarray(curve, np.float64)[order]
        axes.plot(place[order], line, styles[name], color=MUTED, linewidth=1.3, label=name)
    for name, curve in scores.items():
        _check_curve(score, name, curve, lat_deg, "latitude")
        marker = "o" if len(place) <= _MAX_MARKERS else ""
        line = np.asarray(curve, np.float64)[order]
        axes.plot(place[order], line, color=colors[name], marker=marker, markersize=3.5, label=name)
    if score.upper().startswith(("RMSE", "MAE")):
        axes.set_ylim(bottom=0)
    ticks = np.array([-90, -60, -30, 0, 30, 60, 90])
    axes.set_xticks(np.sin(np.radians(ticks)))
    names = [f"{abs(tick)}°" + ("N" if tick > 0 else "S" if tick < 0 else "") for tick in ticks]
    axes.set_xticklabels(names)
    axes.set_xlim(-1, 1)
    add_legend(axes)
    return figure


def plot_skill_maps(
    scores: Mapping[str, Shaped[np.ndarray, "..."]],
    sampling: Sampling,
    *,
    unit: str = "",
    title: str = "",
    coastlines: CoastlinesLike | None = None,
    projection: ProjectionName = "mollweide",
    center: tuple[float | int, float | int] = (0.0, 0.0),
    cmap: str = SEQUENTIAL,
    vmin: float | int | None = None,
    vmax: float | int | None = None,
    num_columns: int | None = None,
    num_rows: int = 240,
) -> Figure:
    """Maps of a score of several models, or of one at several lead times, on one colour scale.

    Scores of both signs, such as biases, are drawn in two colours with zero in the middle, unless
    the colour scale is given.

    Parameters
    ----------
    scores
        The score at each vertex by the title of its map; NaN where there is none.
    sampling
        The sampling of all.
    unit, title, coastlines, projection, center, cmap, vmin, vmax, num_columns, num_rows
        As for :func:`deepsphere.plotting.plot_maps`.

    Returns
    -------
    Figure
        One axes per map and one for the colour scale.

    Raises
    ------
    ValueError
        As for :func:`deepsphere.plotting.plot_maps`.

    Examples
    --------
    >>> from deepsphere.sampling import Healpix
    >>> sampling = Healpix(nside=2)
    >>> figure = plot_skill_maps({"bias": sampling.lat}, sampling, unit="K", num_rows=40)
    >>> figure.axes[0].images[0].get_cmap().name
    'RdBu_r'
    """
    pooled = np.concatenate([np.ravel(score) for score in scores.values()] or [np.empty(0)])
    finite = pooled[np.isfinite(pooled)]
    if finite.size and finite.min() < 0 < finite.max() and vmin is None and vmax is None:
        vmax = symmetric_limit(finite)
        vmin, cmap = -vmax, DIVERGING if cmap == SEQUENTIAL else cmap
    return plot_maps(
        scores,
        sampling,
        num_columns=num_columns,
        projection=projection,
        center=center,
        cmap=cmap,
        vmin=vmin,
        vmax=vmax,
        unit=unit,
        title=title,
        coastlines=coastlines,
        num_rows=num_rows,
    )


def _colors(scores: Mapping[str, Mapping[str, Curve]]) -> dict[str, str]:
    """One colour per model, the same in all panels."""
    names = dict.fromkeys(name for curves in scores.values() for name in curves)
    return {name: PALETTE[index % len(PALETTE)] for index, name in enumerate(names)}


def _styles(baselines: Mapping[str, Mapping[str, Curve]]) -> dict[str, str]:
    """One kind of broken line per baseline, the same in all panels."""
    names = dict.fromkeys(name for curves in baselines.values() for name in curves)
    return {
        name: _BASELINE_STYLES[index % len(_BASELINE_STYLES)] for index, name in enumerate(names)
    }


def _check_curve(score: str, name: str, curve: Curve, places: Curve, what: str) -> None:
    """Raise unless there is one value per place."""
    if len(curve) != len(places):
        raise ValueError(
            f"{score} of {name!r} must have one value per {what} ({len(places)}), got "
            f"{len(curve)}; fill it up with NaN"
        )


def _set_lead_ticks(axes: Axes, lead_times: Float[np.ndarray, "n"], unit: str) -> None:
    """Whole days on an axis of hours that is long enough, else whole steps."""
    span = float(lead_times.max(initial=0))
    if unit != "h" or span < 24:
        if (lead_times == np.rint(lead_times)).all():
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        return
    axes.xaxis.set_major_locator(MultipleLocator(24 * max(round(span / 24 / 7), 1)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda hours, _: f"{hours:.0f}"))
