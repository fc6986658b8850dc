"""Drawing many frames of the same maps fast: everything that stays is drawn once."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Shaped, UInt8
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize, to_rgb
from matplotlib.patches import Polygon

from deepsphere.plotting.cells import checked_signal, position_vertices
from deepsphere.plotting.coastlines import CoastlinesLike, draw_coastlines
from deepsphere.plotting.maps import draw_frame
from deepsphere.plotting.projections import View
from deepsphere.plotting.style import BLANK, INK, TITLE_SIZE, add_colorbar, new_figure
from deepsphere.sampling import Sampling

_RESOLUTION = 100  # pixels per inch
_NUM_COLORS = 256
_MARGIN = 0.12  # inches


@dataclass(frozen=True)
class FilmPanel:
    """One map of a film and its colours.

    Parameters
    ----------
    name
        Title of the map.
    cmap
        Name of a matplotlib colour map.
    vmin, vmax
        Ends of the colour scale.
    unit
        Label of the colour scale.
    scale
        Neighbouring panels with the same number share one colour bar.
    """

    name: str
    cmap: str
    vmin: float
    vmax: float
    unit: str
    scale: int


class FrameDrawer:
    """Frames of a film: maps side by side whose values change while all else stays.

    The figure is drawn twice, with black and with white maps. What it is drawn with is
    ``B + T · color``, where ``B`` is the drawing with black maps, and ``T``, the difference of both
    drawings, tells how much of the colour of a map shines through graticule and coastlines. A frame
    then costs one look-up of colours per pixel, and the drawing of a line of text.

    Parameters
    ----------
    panels
        The maps, at least one.
    sampling
        The sampling of all fields.
    view
        The projection and its centre.
    title
        Title above the maps, before the time.
    num_rows
        Height of a map in pixels.
    coastlines, graticule
        As for :func:`deepsphere.plotting.plot_map`.

    Examples
    --------
    >>> from deepsphere.sampling import Healpix
    >>> sampling = Healpix(nside=2)
    >>> panel = FilmPanel("height", "viridis", -1.0, 1.0, "m", scale=0)
    >>> drawer = FrameDrawer([panel], sampling, View(), num_rows=40)
    >>> drawer.draw([np.sin(sampling.lat)], "1 January").dtype
    dtype('uint8')
    """

    def __init__(
        self,
        panels: Sequence[FilmPanel],
        sampling: Sampling,
        view: View,
        *,
        title: str = "",
        num_rows: int = 320,
        coastlines: CoastlinesLike | None = None,
        graticule: bool = True,
    ) -> None:
        self._panels, self._sampling, self._title = panels, sampling, title
        figure, canvas, grid, self._text = _layout(panels, view, num_rows)
        grounds = []
        for axes, panel in zip(grid, panels, strict=True):
            border = draw_frame(axes, view, title=panel.name, graticule=graticule)
            if coastlines is not None:
                draw_coastlines(axes, coastlines, view, border=border, num_rows=2 * num_rows)
            grounds.append(next(item for item in axes.patches if isinstance(item, Polygon)))
        canvas.draw()
        figure.set_layout_engine("none")
        drawings = [_drawn(canvas, grounds, color) for color in ("black", "white")]
        self._canvas, self._figure = canvas, figure
        self._still = drawings[0]
        self._background = canvas.copy_from_bbox(figure.bbox)
        through = (drawings[1] - drawings[0])[..., 0]
        self._maps = [_MapPixels(axes, sampling, view, through) for axes in grid]
        self._tables = [_color_table(panel) for panel in panels]

    def draw(
        self, fields: Sequence[Shaped[np.ndarray, "vertices"]], label: str
    ) -> UInt8[np.ndarray, "height width 3"]:
        """One frame.

        Parameters
        ----------
        fields
            One field for each map, shape (vertices,); NaN for blank.
        label
            The time, written above the maps.

        Returns
        -------
        UInt8[np.ndarray, "height width 3"]
            An image with even sides.

        Raises
        ------
        ValueError
            If a field does not fit the sampling.
        """
        frame = self._titled(label)
        for field, panel, table, pixels in zip(
            fields, self._panels, self._tables, self._maps, strict=True
        ):
            values = checked_signal(field, self._sampling)
            share = (values - panel.vmin) / (panel.vmax - panel.vmin)
            level = np.clip(np.nan_to_num(share) * _NUM_COLORS, 0, _NUM_COLORS - 1).astype(np.int64)
            level[np.isnan(values)] = _NUM_COLORS
            pixels.add(frame, table[np.append(level, _NUM_COLORS)])
        return np.rint(np.clip(frame, 0, 255)).astype(np.uint8)

    def palette_sample(self) -> UInt8[np.ndarray, "height width 3"]:
        """A frame in which all colours occur about equally often."""
        frame = self._titled("")
        for table, pixels in zip(self._tables, self._maps, strict=True):
            shuffled = np.random.default_rng(0).integers(0, len(table), pixels.num_vertices + 1)
            pixels.add(frame, table[shuffled])
        return np.rint(np.clip(frame, 0, 255)).astype(np.uint8)

    def _titled(self, label: str) -> Float[np.ndarray, "height width 3"]:
        """The picture without the colours of the maps, from 0 to 255."""
        self._canvas.restore_region(self._background)
        self._text.set_text("   ".join(part for part in (self._title, label) if part))
        self._figure.draw_artist(self._text)
        frame = self._still.copy()
        top = int(frame.shape[0] - self._text.get_window_extent().y0) + 4
        frame[: max(top, 0)] = np.asarray(self._canvas.buffer_rgba())[: max(top, 0), :, :3]
        return frame


class _MapPixels:
    """The pixels of one map in the picture, and the vertex that each shows."""

    def __init__(
        self,
        axes: Axes,
        sampling: Sampling,
        view: View,
        through: Float[np.ndarray, "height width"],
    ) -> None:
        height = through.shape[0]
        box = axes.get_window_extent()
        self._rows = slice(max(int(height - box.y1) - 1, 0), int(height - box.y0) + 2)
        self._columns = slice(max(int(box.x0) - 1, 0), int(box.x1) + 2)
        share = through[self._rows, self._columns] / 255.0
        # pixels of the map alone, so that a frame does not pass over the corners
        self._places = np.nonzero(share > 0)
        self._share = share[self._places][:, None].astype(np.float32)
        rows, columns = (
            place + part.start + 0.5
            for place, part in zip(self._places, (self._rows, self._columns), strict=True)
        )
        inverse = axes.transData.inverted()
        positions = inverse.transform(np.stack([columns, height - rows], axis=1))
        pixel_size = abs(np.diff(inverse.transform([(0, 0), (0, 1)])[:, 1])[0])
        self._vertex = position_vertices(sampling, view, positions, float(pixel_size))
        self.num_vertices = sampling.num_vertices

    def add(
        self, frame: Float[np.ndarray, "height width 3"], colors: Float[np.ndarray, "_ 3"]
    ) -> None:
        """Add the colours of the vertices, the last for blank pixels, to a frame."""
        part = frame[self._rows, self._columns]
        part[self._places] += self._share * colors[self._vertex]


def _layout(panels: Sequence[FilmPanel], view: View, num_rows: int):
    """A figure with axes for the maps, colour bars below, and a line of text above."""
    height = num_rows / _RESOLUTION
    width = height * view.half_width / view.half_height
    has_names = any(panel.name for panel in panels)
    top, bottom = 0.34 + 0.26 * has_names, 0.62
    sides = [
        round(inches * _RESOLUTION / 2) * 2 / _RESOLUTION  # video formats want even sides
        for inches in (
            len(panels) * (width + _MARGIN) + _MARGIN,
            height + top + bottom + _MARGIN,
        )
    ]
    figure = new_figure(sides[0], sides[1])
    figure.set_layout_engine("none")
    figure.set_dpi(_RESOLUTION)
    canvas = FigureCanvasAgg(figure)
    grid = []
    for index in range(len(panels)):
        left = _MARGIN + index * (width + _MARGIN)
        grid.append(
            figure.add_axes(
                (left / sides[0], bottom / sides[1], width / sides[0], height / sides[1])
            )
        )
    for scale in dict.fromkeys(panel.scale for panel in panels):
        members = [k for k, panel in enumerate(panels) if panel.scale == scale]
        panel = panels[members[0]]
        first, last = grid[members[0]].get_position(), grid[members[-1]].get_position()
        middle, span = (first.x0 + last.x1) / 2, min(0.7 * width, 4.0) / sides[0]
        place = (middle - span / 2, 0.44 / sides[1], span, 0.09 / sides[1])
        mappable = ScalarMappable(Normalize(panel.vmin, panel.vmax), panel.cmap)
        add_colorbar(figure, mappable, grid[0], unit=panel.unit, place=figure.add_axes(place))
    text = figure.text(
        0.5, 1 - 0.1 / sides[1], "", ha="center", va="top", color=INK, fontsize=TITLE_SIZE
    )
    text.set_animated(True)
    return figure, canvas, grid, text


def _drawn(
    canvas: FigureCanvasAgg, grounds: Sequence[Polygon], color: str
) -> Float[np.ndarray, "height width 3"]:
    """The figure drawn with maps of one colour, from 0 to 255."""
    for ground in grounds:
        ground.set_facecolor(color)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].astype(np.float32)


def _color_table(panel: FilmPanel) -> Float[np.ndarray, "colors 3"]:
    """The colours of a scale and, last, that of blank vertices, from 0 to 255."""
    colors = np.asarray(colormaps[panel.cmap](np.linspace(0, 1, _NUM_COLORS)))[:, :3]
    return (255 * np.concatenate([colors, [to_rgb(BLANK)]])).astype(np.float32)
