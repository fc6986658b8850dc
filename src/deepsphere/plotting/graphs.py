"""Pictures of a graph on the sphere: its edges as the viewer of a globe sees them."""

import numpy as np
from jaxtyping import Float, Int
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from scipy.sparse import triu

from deepsphere.graph import SphereGraph
from deepsphere.plotting.maps import draw_frame
from deepsphere.plotting.projections import View
from deepsphere.plotting.style import INK, PALETTE, SEQUENTIAL, add_colorbar, new_figure

VECTOR_EDGES = 1500
"""More edges than this are stored in a vector file as an image, which is then smaller."""


def plot_graph(
    graph: SphereGraph,
    *,
    center: tuple[float | int, float | int] = (0.0, 20.0),
    cmap: str = SEQUENTIAL,
    vertices: bool = True,
    highlight: int | None = None,
    colorbar: bool = True,
    unit: str = "edge weight",
    title: str = "",
) -> Figure:
    """The front half of a graph: vertices as dots, edges coloured by their weight.

    Light edges are drawn first and more transparent, so that the strong ones are seen.

    Parameters
    ----------
    graph
        Any graph on the sphere.
    center
        Longitude and latitude of the point facing the reader, degrees.
    cmap
        Name of a matplotlib colour map.
    vertices
        Whether to draw the vertices.
    highlight
        A vertex whose edges alone are drawn in full strength; None for all edges alike.
    colorbar
        Whether to draw the scale of the weights.
    unit
        Label of that scale.
    title
        Title of the picture.

    Returns
    -------
    Figure
        A figure whose line collection ``"edges"`` holds one segment per edge in front.

    Raises
    ------
    ValueError
        If ``highlight`` is not a vertex or ``cmap`` is unknown.

    Examples
    --------
    >>> from deepsphere.graph import build_graph
    >>> from deepsphere.sampling import Icosahedral
    >>> figure = plot_graph(build_graph(Icosahedral(subdivisions=1), num_neighbors=5))
    >>> len(figure.axes)
    2
    """
    if cmap not in colormaps:
        raise ValueError(f"cmap must name a matplotlib colour map, got {cmap!r}; try 'viridis'")
    if highlight is not None and not 0 <= highlight < graph.num_vertices:
        raise ValueError(
            f"highlight must be a vertex, from 0 to {graph.num_vertices - 1}, got {highlight}; use "
            "one of these or None"
        )
    view = View("orthographic", center=center)
    ends, weights = front_edges(graph, view)
    points = np.asarray(graph.sampling.points)
    positions = view.project(points)
    norm = Normalize(weights.min(initial=0.0), weights.max(initial=np.finfo(float).tiny))
    figure = new_figure(4.4, 4.4 + 0.6 * colorbar + 0.3 * bool(title))
    axes = figure.add_subplot()
    draw_frame(axes, view, title=title)
    axes.add_collection(
        _edge_lines(positions, ends, weights, norm=norm, cmap=cmap, highlight=highlight),
        autolim=False,
    )
    if vertices:
        size = float(np.clip(3000 / graph.num_vertices, 0.6, 14))
        axes.scatter(
            *positions[view.faces_viewer(points)].T, s=size, color=INK, linewidths=0, zorder=3
        )
    if highlight is not None:
        axes.scatter(*positions[highlight], s=40, color=PALETTE[3], linewidths=0, zorder=5)
    if colorbar:
        add_colorbar(figure, ScalarMappable(norm, cmap), axes, unit=unit)
    return figure


def front_edges(
    graph: SphereGraph, view: View
) -> tuple[Int[np.ndarray, "edges 2"], Float[np.ndarray, "edges"]]:
    """The edges whose two ends face the viewer, each once, and their weights.

    Of an edge with two weights, one in each direction, it is the larger.

    Parameters
    ----------
    graph
        Any graph on the sphere.
    view
        The map on which the edges are to be seen.

    Returns
    -------
    tuple[Int[np.ndarray, "edges 2"], Float[np.ndarray, "edges"]]
        Pairs of vertices, shape (edges, 2), and weights, shape (edges,).

    Examples
    --------
    >>> from deepsphere.graph import build_graph
    >>> from deepsphere.sampling import Icosahedral
    >>> graph = build_graph(Icosahedral(subdivisions=2), num_neighbors=6)
    >>> len(front_edges(graph, View("mollweide"))[0]) == graph.num_edges
    True
    """
    upper = triu(graph.adjacency.maximum(graph.adjacency.T), k=1).tocoo()
    facing = view.faces_viewer(np.asarray(graph.sampling.points))
    seen = facing[upper.row] & facing[upper.col]
    ends = np.stack([upper.row[seen], upper.col[seen]], axis=1).astype(np.int64)
    return ends, upper.data[seen].astype(np.float64)


def _edge_lines(
    positions: Float[np.ndarray, "vertices 2"],
    ends: Int[np.ndarray, "edges 2"],
    weights: Float[np.ndarray, "edges"],
    *,
    norm: Normalize,
    cmap: str,
    highlight: int | None,
) -> LineCollection:
    """The edges as straight segments, the heavy ones last, wider and less transparent."""
    order = np.argsort(np.abs(weights), kind="stable")
    ends, weights = ends[order], weights[order]
    strength = np.abs(weights) / np.abs(weights).max(initial=np.finfo(float).tiny)
    colors = np.array(colormaps[cmap](norm(weights)), dtype=float).reshape(-1, 4)
    colors[:, 3] = 0.2 + 0.7 * strength
    # thinner lines where there are many, so that the sphere does not turn into one blot
    density = float(np.clip(np.sqrt(2000 / max(len(weights), 1)), 0.5, 1.5))
    widths = (0.4 + 0.9 * strength) * density
    if highlight is not None:
        touches = (ends == highlight).any(axis=1)
        colors[~touches, 3] *= 0.25
        colors[touches, 3] = 1
        widths = np.where(touches, 1.8, widths)
    lines = LineCollection(list(positions[ends]), colors=colors, linewidths=widths, label="edges")
    lines.set_zorder(2)
    lines.set_rasterized(len(weights) > VECTOR_EDGES)
    return lines
