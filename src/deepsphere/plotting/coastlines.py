"""Coastlines from a land mask on any sampling, for maps of signals on any other."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import is_color_like, to_rgba
from matplotlib.patches import Patch
from matplotlib.patheffects import Normal, Stroke

from deepsphere.plotting.cells import raster_vertices
from deepsphere.plotting.outlines import outlines
from deepsphere.plotting.projections import View, Window, cut_line
from deepsphere.plotting.style import INK
from deepsphere.sampling import Sampling

LAND = "#c4c1b8"
"""Colour of plain land."""
_LINE_WIDTH = 0.7  # points
_RIM, _RIM_OPACITY = "white", 0.45  # lines are seen on dark colours, too


@dataclass(frozen=True, eq=False)
class Coastlines:
    """The lines between land and sea, from a mask on any sampling or grid: nothing is downloaded.

    The mask may be finer than the signals that it is drawn over. Where a data set is missing over
    land, as sea-surface temperatures are, ``np.isfinite(signal)`` is such a mask.

    Parameters
    ----------
    valid
        True for sea, or wherever data are valid, and false for land, shape (vertices,).
    sampling
        The sampling of the mask.
    color
        Colour of the lines.
    fill
        Colour of the land, such as :data:`LAND`; empty to draw lines only.
    smoothing
        Rounds of smoothing, as for :func:`deepsphere.plotting.outlines.outlines`.

    Raises
    ------
    ValueError
        If the mask does not fit the sampling or a colour is unknown.

    Examples
    --------
    >>> from deepsphere.plotting import plot_map
    >>> from deepsphere.sampling import Equiangular, Healpix
    >>> fine, coarse = Equiangular(nlat=32), Healpix(nside=4)
    >>> coastlines = Coastlines(fine.lat < 0.5, fine)
    >>> figure = plot_map(coarse.lat, coarse, coastlines=coastlines, num_rows=40)
    """

    valid: Bool[np.ndarray, "..."]
    sampling: Sampling
    color: str = INK
    fill: str = ""
    smoothing: int = field(default=1, kw_only=True)

    def __post_init__(self) -> None:
        if self.valid.shape != (self.sampling.num_vertices,) or self.valid.dtype != bool:
            raise ValueError(
                f"valid must hold {self.sampling.num_vertices} booleans, one for each vertex of "
                f"{self.sampling!r}, got shape {self.valid.shape} of {self.valid.dtype}; compare a "
                "mask of numbers, as in mask == 0"
            )
        for name in ("color", "fill"):
            value = getattr(self, name)
            if not is_color_like(value) and not (name == "fill" and value == ""):
                raise ValueError(
                    f"{name} must be a colour of matplotlib, got {value!r}; try 'gray'"
                )

    @cached_property
    def lines(self) -> list[Float[np.ndarray, "points 3"]]:
        """The curves, unit vectors of shape (points, 3)."""
        return outlines(self.valid, self.sampling, smoothing=self.smoothing)


CoastlinesLike = Coastlines | Sequence[Float[np.ndarray, "_ 3"]]
"""Coastlines, or curves of unit vectors that take their place."""


def curves_of(coastlines: CoastlinesLike | None) -> list[Float[np.ndarray, "_ 3"]]:
    """The curves of coastlines, in whichever way they are given.

    Parameters
    ----------
    coastlines
        Coastlines, curves, or None for no curve.

    Returns
    -------
    list[Float[np.ndarray, "points 3"]]
        Unit vectors along each curve.

    Raises
    ------
    ValueError
        If a curve is not made of unit vectors.

    Examples
    --------
    >>> curves_of([np.eye(3)])[0].shape
    (3, 3)
    """
    if coastlines is None:
        return []
    if isinstance(coastlines, Coastlines):
        return coastlines.lines
    for index, curve in enumerate(coastlines):
        is_unit = curve.ndim == 2 and curve.shape[1] == 3
        if not is_unit or not np.allclose(np.linalg.norm(curve, axis=1), 1, atol=1e-3):
            raise ValueError(
                "coastlines must be Coastlines(valid, sampling) or curves of unit vectors, each of "
                f"shape (points, 3), got shape {curve.shape} as curve {index}; "
                "geometry.lonlat_to_points makes unit vectors"
            )
    return list(coastlines)


def draw_coastlines(
    axes: Axes,
    coastlines: CoastlinesLike,
    view: View,
    *,
    border: Patch | None = None,
    window: Window | None = None,
    num_rows: int = 720,
) -> LineCollection:
    """Draw coastlines on a map, and the land if it has a colour, above the signal.

    Parameters
    ----------
    axes
        Axes of the map.
    coastlines
        Coastlines, or curves of unit vectors.
    view
        The projection and its centre.
    border
        What the land is trimmed to, as from :func:`deepsphere.plotting.maps.draw_frame`.
    window
        The part of the map that is seen; None for all of it.
    num_rows
        Height of the image of the land in pixels.

    Returns
    -------
    LineCollection
        The lines, labelled ``"coastlines"``.

    Raises
    ------
    ValueError
        If a curve is not made of unit vectors.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from deepsphere.sampling import Fibonacci
    >>> sampling = Fibonacci(500)
    >>> axes = Figure().subplots()
    >>> coastlines = Coastlines(sampling.points[:, 0] < 0.9, sampling)
    >>> len(draw_coastlines(axes, coastlines, View()).get_paths())
    1
    """
    color = INK
    if isinstance(coastlines, Coastlines):
        color = coastlines.color
        if coastlines.fill:
            vertex = raster_vertices(coastlines.sampling, view, num_rows, None, window)
            land = np.append(~coastlines.valid, False)[vertex]
            shades = np.zeros((*land.shape, 4))
            shades[land] = to_rgba(coastlines.fill)
            image = axes.imshow(
                shades,
                origin="lower",
                extent=window or view.window,
                interpolation="antialiased",
                zorder=1.5,
            )
            if border is not None:
                image.set_clip_path(border)
    pieces = [piece for curve in curves_of(coastlines) for piece in cut_line(view, curve)]
    lines = LineCollection(
        pieces, colors=color, linewidths=_LINE_WIDTH, zorder=2.5, label="coastlines"
    )
    lines.set_joinstyle("round")
    rim = Stroke(linewidth=_LINE_WIDTH + 1.2, foreground=_RIM, alpha=_RIM_OPACITY)
    lines.set_path_effects([rim, Normal()])
    axes.add_collection(lines, autolim=False)
    return lines
