"""Figures of the spectra and histograms of maps, class by class."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, PercentFormatter

from deepsphere.data.convergence_spectra import convergence_spectra
from deepsphere.data.simulation_plan import SimulationPlan
from deepsphere.experiments.map_spectra_data import Theory
from deepsphere.experiments.map_spectra_rows import MeasuredMaps
from deepsphere.experiments.map_spectra_statistics import (
    Scattered,
    band_powers,
    degree_bins,
    lognormal_density,
    scatter_band,
)
from deepsphere.plotting.style import (
    INK,
    MUTED,
    PALETTE,
    add_legend,
    new_figure,
    set_title,
    style_axes,
)

MOST_CLASSES = 4
"""More are measured, and not drawn."""
REQUIRED = 0.05
"""What deviations are compared with."""
_FINEST = {"width": 1, "relative_width": 0.06}  # bins that are drawn from degree 2 on
_TRANSPARENT = 0.22
_CREDIBLE_COUNT = 20  # pixels in a bin whose scatter is small on a logarithmic axis


def draw_spectra(measured: MeasuredMaps) -> Figure:
    """Spectra of the first channel: theory, mean of the maps, and where two of three maps lie.

    Parameters
    ----------
    measured
        See `deepsphere.experiments.map_spectra.measure_map_spectra`.

    Returns
    -------
    Figure
    """
    figure = new_figure(8.6, 4.2)
    axes = figure.subplots()
    edges = degree_bins(2, 2 * measured.studied.maps.nside, **_FINEST)
    degrees, scale = _centers(edges), _usual_scale(_centers(edges))
    for label, name in _shown_classes(measured):
        powers = band_powers(measured.by_class[label].spectra[:, 0], edges)
        low, high = scatter_band(powers)
        axes.fill_between(
            degrees,
            scale * low,
            scale * high,
            color=PALETTE[label],
            alpha=_TRANSPARENT,
            linewidth=0,
        )
        # the second line is thinner and dashed, so that the first is seen below it
        axes.plot(
            degrees,
            scale * powers.mean(axis=0),
            color=PALETTE[label],
            linewidth=2.4 if label == 0 else 1.2,
            label=name,
        )
    if measured.studied.theory is not None:
        for label, target in _different_targets(measured.studied.theory):
            axes.plot(
                degrees,
                scale * band_powers(target, edges),
                color=INK,
                linewidth=1.0,
                linestyle=(0, (4, 2 + label)),
                label="theory" if label == 0 else None,
            )
    axes.set(xscale="log", yscale="log")
    _mark_degrees(axes, measured)
    style_axes(axes, xlabel="degree l", ylabel="l (l + 1) C_l / 2π", grid="both")
    add_legend(axes, loc="lower center")
    return figure


def draw_ratios(measured: MeasuredMaps) -> Figure:
    """Spectra over theory, a panel for each class; the difference of the classes in the last one.

    Parameters
    ----------
    measured
        See `deepsphere.experiments.map_spectra.measure_map_spectra`.

    Returns
    -------
    Figure
    """
    classes = list(_shown_classes(measured)) if measured.from_theory is not None else []
    has_difference = measured.between_classes is not None
    num_panels = len(classes) + has_difference
    figure = new_figure(8.6, 0.8 + 1.8 * num_panels)
    panels = figure.subplots(num_panels, 1, sharex=True, squeeze=False)[:, 0]
    degrees = _centers(measured.bins)
    for axes, (label, name) in zip(panels, classes, strict=False):
        _draw_ratio_to_theory(axes, measured, label, name)
    for axes in panels[: len(classes)]:  # one scale for all classes
        limit = max(abs(end) for other in panels[: len(classes)] for end in other.get_ylim())
        axes.set_ylim(-limit, limit)
    if measured.between_classes is not None:
        difference = _first_pair(measured.between_classes)
        axes = panels[-1]
        _draw_errors(axes, degrees, difference, INK)
        axes.axhline(0.0, color=MUTED, linewidth=0.8)
        limit = 1.25 * float((np.abs(difference.mean) + difference.error).max())
        axes.set_ylim(-limit, limit)
        names = measured.studied.maps.class_names
        what = f"{names[0]} less {names[1]}" if len(names) == 2 else "largest less smallest class"
        set_title(axes, f"Means of the classes: {what}")
        style_axes(axes, ylabel="difference", grid="both")
    for axes in panels:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    panels[-1].set_xscale("log")
    panels[-1].xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5, 7)))
    panels[-1].xaxis.set_major_formatter(FuncFormatter(lambda degree, _: f"{degree:g}"))
    panels[-1].xaxis.set_minor_formatter(NullFormatter())
    panels[-1].set_xlabel("degree l", color=INK)
    return figure


def draw_universes(theory: Theory) -> Figure:
    """Spectra of the universes as they are, the one their maps were given, and what they differ by.

    Parameters
    ----------
    theory
        Of the maps.

    Returns
    -------
    Figure
        Degrees are those of the sky, also where maps are zoomed.

    Raises
    ------
    ImportError
        If CAMB is needed and not installed.
    """
    plan = theory.plan
    raw = universe_spectra(plan)
    degrees = np.arange(2, raw.shape[-1])
    figure = new_figure(9.6, 3.6)
    left, right = figure.subplots(1, 2)
    for label, name in enumerate(plan.class_names[:MOST_CLASSES]):
        left.plot(
            degrees,
            _usual_scale(degrees) * raw[label, 2:],
            color=PALETTE[label],
            linewidth=2.4 if label == 0 else 1.2,
            label=name,
        )
        deviation = raw[label] / raw.mean(axis=0) - 1
        right.plot(degrees, deviation[2:], color=PALETTE[label], label=name)
    for label, target in _different_targets(theory):
        on_sky = plan.zoom * np.arange(1, len(target))
        left.plot(
            on_sky,
            _usual_scale(on_sky) * target[1:] / plan.zoom**2,
            color=INK,
            linewidth=1.0,
            linestyle=(0, (4, 2 + label)),
            label="of the maps, with the beam" if label == 0 else None,
        )
    left.set(xscale="log", yscale="log")
    right.set_xscale("log")
    right.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    set_title(left, "Spectra of the universes")
    set_title(right, "Deviation from their mean")
    style_axes(left, xlabel="degree l", ylabel="l (l + 1) C_l / 2π", grid="both")
    style_axes(right, xlabel="degree l", grid="both")
    add_legend(left, loc="lower center")
    return figure


def universe_spectra(plan: SimulationPlan) -> np.ndarray:
    """Spectra of the first classes at the first redshift, as they are on the sky.

    Parameters
    ----------
    plan
        Of the simulation.

    Returns
    -------
    ndarray
        Of shape (classes, degrees), up to the largest degree that the maps are made of.

    Raises
    ------
    ImportError
        If CAMB is needed and not installed.
    """
    largest = int(np.ceil(plan.zoom * plan.max_degree))
    return np.array(
        [
            convergence_spectra(one, redshifts=plan.redshifts[:1], max_degree=largest)[0, 0]
            for one in plan.cosmologies[:MOST_CLASSES]
        ]
    )


def draw_histograms(measured: MeasuredMaps) -> Figure:
    """Densities of the pixels of the first channel, and the lognormal ones, on a logarithmic axis.

    Parameters
    ----------
    measured
        See `deepsphere.experiments.map_spectra.measure_map_spectra`.

    Returns
    -------
    Figure
    """
    figure = new_figure(8.6, 4.2)
    axes = figure.subplots()
    edges, widths = measured.pixel_edges, np.diff(measured.pixel_edges)
    theory, num_pixels = measured.studied.theory, measured.studied.maps.num_pixels
    for label, name in _shown_classes(measured):
        counts = measured.by_class[label].counts
        density = counts.sum(axis=0) / (len(counts) * num_pixels * widths)
        seen = np.where(counts.sum(axis=0) >= _CREDIBLE_COUNT, density, np.nan)
        axes.stairs(seen, edges, color=PALETTE[label], linewidth=2.2, alpha=0.55, label=name)
        if theory is not None:
            _, deviation, _ = theory.moments()[label, 0]
            values = np.linspace(edges[0], edges[-1], 600)
            expected = lognormal_density(
                values, variance=float(deviation**2), shift=float(theory.shifts[label, 0])
            )
            floor = np.nanmin(seen) / 3
            axes.plot(
                values,
                np.where(expected > floor, expected, np.nan),
                color=PALETTE[label],
                linewidth=1.0,
                linestyle="--",
                label=f"lognormal, shift {theory.shifts[label, 0]:.3g}",
            )
    axes.set_yscale("log")
    style_axes(axes, xlabel="value of a pixel", ylabel="density", grid="both")
    add_legend(axes)
    return figure


def _draw_ratio_to_theory(axes: Axes, measured: MeasuredMaps, label: int, name: str) -> None:
    """The band of single maps, the mean with its errors, and the lines at ±5 %."""
    theory, deviations = measured.studied.theory, measured.from_theory
    assert theory is not None  # who asks has looked
    assert deviations is not None
    target = band_powers(theory.target[label, 0], measured.bins)
    single = band_powers(measured.by_class[label].spectra[:, 0], measured.bins) / target - 1
    degrees = _centers(measured.bins)
    low, high = scatter_band(single)
    axes.fill_between(degrees, low, high, color=PALETTE[label], alpha=_TRANSPARENT, linewidth=0)
    own = Scattered(deviations.mean[label, 0], deviations.error[label, 0])
    _draw_errors(axes, degrees, own, PALETTE[label])
    for value in (-REQUIRED, REQUIRED):
        axes.axhline(value, color=INK, linewidth=0.9, linestyle="--")
    axes.axhline(0.0, color=MUTED, linewidth=0.8)
    set_title(axes, name)
    style_axes(axes, ylabel="from theory", grid="both")


def _draw_errors(axes: Axes, degrees: np.ndarray, values: Scattered, color: str) -> None:
    """Means with their standard errors."""
    axes.errorbar(
        degrees,
        values.mean,
        yerr=values.error,
        color=color,
        fmt="o",
        markersize=2.6,
        elinewidth=1.0,
    )


def _mark_degrees(axes: Axes, measured: MeasuredMaps) -> None:
    """A line at the first degree that numbers are about."""
    axes.axvline(measured.bins[0], color=MUTED, linewidth=0.8, linestyle=":")


def _first_pair(values: Scattered) -> Scattered:
    """Those of the first channel with itself."""
    return Scattered(values.mean[0], values.error[0])


def _shown_classes(measured: MeasuredMaps) -> Sequence[tuple[int, str]]:
    """Index and name of the classes that are drawn."""
    return list(enumerate(measured.studied.maps.class_names[:MOST_CLASSES]))


def _different_targets(theory: Theory) -> Sequence[tuple[int, np.ndarray]]:
    """Targets of the first channel, one for all classes where it is common."""
    num = 1 if theory.plan.spectra == "common" else min(MOST_CLASSES, len(theory.target))
    return [(label, theory.target[label, 0]) for label in range(num)]


def _centers(edges: np.ndarray) -> np.ndarray:
    """Middle of the degrees of each bin."""
    return (edges[:-1] + edges[1:] - 1) / 2


def _usual_scale(degrees: np.ndarray) -> np.ndarray:
    """What spectra are multiplied with so that an octave of degrees shows its variance."""
    return degrees * (degrees + 1) / (2 * np.pi)
