"""Pictures of a mesh beside what the sphere around it sees."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Float32
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from deepsphere.data.mesh_signals import CHANNELS, embree_scene
from deepsphere.plotting.maps import draw_frame, draw_map
from deepsphere.plotting.projections import View
from deepsphere.plotting.style import (
    DIVERGING,
    INK,
    MUTED,
    SEQUENTIAL,
    SMALL_SIZE,
    add_colorbar,
    new_figure,
    set_title,
)
from deepsphere.sampling import Sampling

if TYPE_CHECKING:
    from trimesh import Trimesh

# Where the viewer stands, degrees: a little above, a little aside of the centre of the maps.
VIEWPOINT = (30.0, 20.0)

_SURFACE = "#9dc0da"  # of the mesh in full light
_INSIDE = "#dcb59c"  # of faces seen from behind, which a closed mesh does not show
# Directions of two lights in the frame of the viewer (towards, right, up), and their strengths.
_LIGHTS = (((0.9, -0.7, 0.9), 0.66), ((0.9, 0.9, 0.1), 0.3))
_AMBIENT = 0.3
# Share of cosines below 0 from which on they get colours of their own.
_NEGATIVE_SHARE = 0.02
_SAMPLES = 3  # rays per pixel and axis, so that outlines are smooth


def plot_mesh_signals(
    mesh: "Trimesh",
    values: Float32[np.ndarray, "vertices 6"],
    sampling: Sampling,
    *,
    viewpoint: tuple[float | int, float | int] = VIEWPOINT,
    title: str = "",
    num_rows: int = 300,
) -> Figure:
    """A mesh within the unit sphere, and its six channels as maps of that sphere.

    Rays that miss are gray. Cosines are drawn from −1 to 1, in two colours, where more than a few
    are negative, otherwise from 0 to 1.

    Parameters
    ----------
    mesh
        In the pose in which it was looked at, within the unit ball.
    values
        Of :func:`deepsphere.data.mesh_signals.mesh_signals`.
    sampling
        Where the values lie.
    viewpoint
        Longitude and latitude from which the mesh is seen, degrees. The centre of the maps is at
        longitude 0 on the equator.
    title
        Above the picture.
    num_rows
        Height of a map in pixels; the mesh has twice as many.

    Returns
    -------
    Figure
        The mesh, six maps and three colour scales.

    Raises
    ------
    ValueError
        If the values are not those of the sampling, or the viewpoint is not on the sphere.
    ImportError
        If embreex is not installed.

    Examples
    --------
    >>> import trimesh
    >>> from deepsphere.data.mesh_signals import mesh_signals
    >>> from deepsphere.sampling import Healpix
    >>> sampling = Healpix(nside=2)
    >>> cube = trimesh.creation.box(extents=(1, 1, 1))
    >>> values = mesh_signals(cube, sampling.points).values
    >>> len(plot_mesh_signals(cube, values, sampling, num_rows=20).axes)
    10
    """
    if values.shape != (sampling.num_vertices, len(CHANNELS)):
        raise ValueError(
            f"values must have shape ({sampling.num_vertices}, {len(CHANNELS)}), that of the "
            f"sampling and of the channels, got {values.shape}"
        )
    figure = new_figure(14.0, 5.0)
    cells = figure.add_gridspec(2, 4, width_ratios=(1.2, 1, 1, 1))
    draw_mesh(figure.add_subplot(cells[:, 0]), mesh, viewpoint=viewpoint, num_rows=2 * num_rows)
    grid = [[figure.add_subplot(cells[row, column]) for column in (1, 2, 3)] for row in (0, 1)]
    is_missing = ~values.reshape(-1, 2, 3).any(axis=2)
    shown = np.where(np.repeat(is_missing, 3, axis=1), np.nan, values)
    for column in range(3):
        pair = shown[:, [column, column + 3]]
        low, high, cmap = _colors(pair, column)
        mappables = [
            draw_map(
                grid[row][column],
                pair[:, row],
                sampling,
                View(),
                cmap=cmap,
                vmin=low,
                vmax=high,
                title=CHANNELS[3 * row + column],
                num_rows=num_rows,
            )
            for row in range(2)
        ]
        extend = "min" if np.nanmin(pair, initial=0.0) < low else "neither"
        add_colorbar(figure, mappables[0], [row[column] for row in grid], shrink=0.6, extend=extend)
    if title:
        figure.suptitle(title, color=INK, fontsize=12)
    return figure


def draw_mesh(
    axes: Axes,
    mesh: "Trimesh",
    *,
    viewpoint: tuple[float | int, float | int] = VIEWPOINT,
    title: str = "",
    num_rows: int = 600,
) -> None:
    """The picture of a mesh within the unit sphere, seen from far away.

    Every pixel is found by rays, so that what is in front hides what is behind, in any mesh. Faces
    whose normals point away from the viewer have another colour.

    Parameters
    ----------
    axes
        Axes to draw on.
    mesh
        Within the unit ball.
    viewpoint
        Longitude and latitude of the viewer, degrees.
    title
        Above the picture.
    num_rows
        Height of the image in pixels.

    Raises
    ------
    ValueError
        If the viewpoint is not on the sphere.
    ImportError
        If embreex is not installed.

    Examples
    --------
    >>> import trimesh
    >>> axes = Figure().subplots()
    >>> draw_mesh(axes, trimesh.creation.box(extents=(1, 1, 1)), num_rows=20)
    >>> axes.images[0].get_array().shape
    (20, 20, 4)
    """
    view = View("orthographic", center=viewpoint)
    draw_frame(axes, view, title="")
    axes.imshow(
        _render(np.asarray(mesh.vertices)[np.asarray(mesh.faces)], view, num_rows),
        origin="lower",
        extent=(-1, 1, -1, 1),
        interpolation="antialiased",
        zorder=5,
    )
    axes.set_xlim(-1.01, 1.01)
    axes.set_ylim(-1.01, 1.01)
    lon, lat = viewpoint
    axes.text(
        0.5,
        -0.03,
        f"seen from longitude {lon:g}°, latitude {lat:g}°",
        transform=axes.transAxes,
        ha="center",
        va="top",
        color=MUTED,
        fontsize=SMALL_SIZE,
    )
    set_title(axes, title)


def _colors(values: np.ndarray, column: int) -> tuple[float, float, str]:
    """Ends of the colour scale of a channel, and the map of its colours."""
    if column == 0:
        return 0.0, max(1.0, float(np.nanmax(values, initial=0.0))), SEQUENTIAL
    if column == 1 and (values < 0).mean() > _NEGATIVE_SHARE:
        return -1.0, 1.0, DIVERGING
    return 0.0, 1.0, SEQUENTIAL


def _render(corners: Float[np.ndarray, "faces 3 3"], view: View, num_rows: int) -> np.ndarray:
    """Image (rows, columns, 4) of triangles in the square around the unit disc, row 0 below."""
    corners = corners @ view.rotation.T  # towards the viewer, right, up
    num_fine = num_rows * _SAMPLES
    ticks = (np.arange(num_fine) + 0.5) * (2 / num_fine) - 1
    right, up = np.meshgrid(ticks, ticks)
    origins = np.stack([np.full(right.size, 2.0), right.ravel(), up.ravel()], axis=1)
    directions = np.zeros_like(origins)
    directions[:, 0] = -1
    face = embree_scene(corners).run(origins.astype(np.float32), directions.astype(np.float32))
    colors = np.append(_face_colors(corners), np.zeros((1, 4)), axis=0)  # the last for no face
    fine = colors[face].reshape(num_rows, _SAMPLES, num_rows, _SAMPLES, 4)
    # transparent rays count for the opacity only
    opacity = fine[..., 3:].mean(axis=(1, 3))
    color = (fine[..., :3] * fine[..., 3:]).mean(axis=(1, 3)) / np.maximum(opacity, 1e-9)
    return np.concatenate([color, opacity], axis=2)


def _face_colors(corners: Float[np.ndarray, "faces 3 3"]) -> Float[np.ndarray, "faces 4"]:
    """Colours of triangles in the light, opaque."""
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
    is_inside = normals[:, 0] < 0
    normals[is_inside] *= -1  # the side that is seen is the one that is lit
    light = np.full(len(normals), _AMBIENT)
    for direction, strength in _LIGHTS:
        light += strength * np.maximum(normals @ np.array(direction) / np.linalg.norm(direction), 0)
    paint = np.where(is_inside[:, None], to_rgb(_INSIDE), to_rgb(_SURFACE))
    return np.append(np.clip(paint * light[:, None], 0, 1), np.ones((len(normals), 1)), axis=1)
