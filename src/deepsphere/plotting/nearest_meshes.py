"""Pictures of meshes beside those that were found for them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from matplotlib.figure import Figure

from deepsphere.plotting.meshes import draw_mesh
from deepsphere.plotting.style import INK, new_figure

if TYPE_CHECKING:
    from trimesh import Trimesh

MOST_COLUMNS = 9  # a query and eight others are as many as can be told apart on a page


class MeshPicture(NamedTuple):
    """A mesh within the unit ball, and what is written above it."""

    mesh: "Trimesh"
    title: str


def plot_nearest_meshes(rows: Sequence[Sequence[MeshPicture]], *, num_rows: int = 240) -> Figure:
    """Meshes in rows: in each a query, then what was found for it, the best first.

    Parameters
    ----------
    rows
        At least one, each with its query first; of what was found, eight are drawn at most.
    num_rows
        Height of the image of a mesh in pixels.

    Returns
    -------
    Figure

    Raises
    ------
    ValueError
        If there is no row, or one without a query.
    ImportError
        If embreex is not installed.

    Examples
    --------
    >>> import trimesh
    >>> box = MeshPicture(trimesh.creation.box(extents=(1, 1, 1)), "box")
    >>> len(plot_nearest_meshes([[box, box, box]], num_rows=20).axes)
    3
    """
    if not rows or not all(rows):
        raise ValueError(
            f"rows must hold at least one, each with a query, got {[len(row) for row in rows]}"
        )
    num_columns = min(max(map(len, rows)), MOST_COLUMNS)
    figure = new_figure(2.2 * num_columns, 2.6 * len(rows))
    cells = figure.add_gridspec(len(rows), num_columns)
    for place, row in enumerate(rows):
        for column, (mesh, title) in enumerate(row[:num_columns]):
            axes = figure.add_subplot(cells[place, column])
            draw_mesh(axes, mesh, num_rows=num_rows)
            axes.texts[-1].remove()  # the viewpoint, which is the same in all
            axes.set_title(title, fontsize=9, color=INK, fontweight="bold" if not column else None)
    return figure
