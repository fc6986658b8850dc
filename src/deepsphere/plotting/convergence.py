"""Chart of simulated maps: one of each class, their histograms and their spectra."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from deepsphere.plotting.maps import draw_map
from deepsphere.plotting.projections import View
from deepsphere.plotting.style import INK, PALETTE, add_colorbar, add_legend, new_figure, style_axes
from deepsphere.sampling import Healpix

_MOST_MAPS = 3  # beside each other; more classes get their lines only
_NUM_COLUMNS = 6  # of the grid: for one, two or three maps, and for two charts
_NUM_BINS = 120
_COLOR_PERCENTILES = (0.5, 99.5)


def plot_convergence(
    maps: Mapping[str, Float[np.ndarray, "vertices"]],
    spectra: Mapping[str, Float[np.ndarray, "degrees"]],
    target: Mapping[str, Float[np.ndarray, "degrees"]],
    *,
    title: str = "",
) -> Figure:
    """One map of each class, and below them the histograms of the maps and their power spectra.

    Parameters
    ----------
    maps
        By class: a map of the whole sphere, NESTED.
    spectra
        By class: C_l measured on maps, degrees from 0 on.
    target
        By name: the spectra that the maps were made to have. At most one for each class.
    title
        Title of the figure.

    Returns
    -------
    Figure
        The maps (at most three), a histogram and a spectrum, each in axes of its own.

    Raises
    ------
    ValueError
        If there is no map, or the spectra are of other classes.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> figure = plot_convergence({"a": rng.normal(size=768)}, {"a": np.ones(24)}, {})
    >>> [axes.get_xlabel() for axes in figure.axes if axes.get_xlabel()]
    ['convergence κ', 'convergence κ', 'degree l']
    """
    if not maps or list(maps) != list(spectra):
        raise ValueError(
            "maps and spectra must be of the same classes, at least one, got "
            f"{list(maps)} and {list(spectra)}"
        )
    shown = dict(list(maps.items())[:_MOST_MAPS])
    figure = new_figure(4.4 * max(2, len(shown)), 6.4)
    grid = figure.add_gridspec(2, _NUM_COLUMNS, height_ratios=(1.15, 1.0))
    width = _NUM_COLUMNS // len(shown)
    row = [
        figure.add_subplot(grid[0, place * width : (place + 1) * width])
        for place in range(len(shown))
    ]
    _draw_maps(figure, row, shown)
    half = _NUM_COLUMNS // 2
    _draw_histograms(figure.add_subplot(grid[1, :half]), maps)
    _draw_spectra(figure.add_subplot(grid[1, half:]), spectra, target)
    if title:
        figure.suptitle(title, color=INK, fontsize=11)
    return figure


def _draw_maps(figure: Figure, row: list[Axes], maps: Mapping[str, np.ndarray]) -> None:
    """Maps beside each other on one scale of colours."""
    low, high = np.percentile(np.concatenate(list(maps.values())), _COLOR_PERCENTILES)
    mappable = None
    for axes, (name, values) in zip(row, maps.items(), strict=True):
        sampling = Healpix(round((len(values) / 12) ** 0.5))
        view = View("mollweide", east="left")
        mappable = draw_map(
            axes, values, sampling, view, vmin=float(low), vmax=float(high), title=name
        )
    add_colorbar(figure, mappable, row, unit="convergence κ", extend="both", shrink=0.4)


def _draw_histograms(axes: Axes, maps: Mapping[str, np.ndarray]) -> None:
    """Densities of the values of maps, in a logarithmic scale that shows the tails."""
    everything = np.concatenate(list(maps.values()))
    edges = np.linspace(everything.min(), everything.max(), _NUM_BINS + 1)
    for color, (name, values) in enumerate(maps.items()):
        density, _ = np.histogram(values, edges, density=True)
        axes.stairs(
            np.where(density > 0, density, np.nan),
            edges,
            color=PALETTE[color % len(PALETTE)],
            linewidth=1.3,
            label=name,
        )
    axes.set_yscale("log")
    style_axes(axes, xlabel="convergence κ", ylabel="density of pixels")
    if len(maps) <= len(PALETTE):
        add_legend(axes, loc="upper right")


def _draw_spectra(
    axes: Axes, spectra: Mapping[str, np.ndarray], target: Mapping[str, np.ndarray]
) -> None:
    """Measured spectra as lines, the target below them."""
    for color, (name, values) in enumerate(target.items()):
        degrees = np.arange(1, len(values))
        axes.plot(
            degrees,
            degrees * (degrees + 1) * values[1:] / (2 * np.pi),
            color=INK if len(target) == 1 else PALETTE[color % len(PALETTE)],
            linestyle="dashed",
            linewidth=1.0,
            label=name,
            zorder=3,
        )
    for color, (name, values) in enumerate(spectra.items()):
        degrees = np.arange(1, len(values))
        axes.plot(
            degrees,
            degrees * (degrees + 1) * values[1:] / (2 * np.pi),
            color=PALETTE[color % len(PALETTE)],
            linewidth=1.1,
            alpha=0.85,
            label=name if not target else None,
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    style_axes(axes, xlabel="degree l", ylabel="l (l + 1) C_l / 2π")
    if len(target) <= len(PALETTE):
        add_legend(axes, loc="best")
