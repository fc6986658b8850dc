"""The check that functions on graph signals make of their input, and signals as columns."""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    from deepsphere.graph.sphere_graph import SphereGraph


def check_signals(graph: "SphereGraph", signals: np.ndarray) -> None:
    """Refuse signals that are not finite numbers on the vertices of a graph.

    Raises
    ------
    ValueError
        If the shape is not (*batch, vertices, channels), or a value is NaN or infinite.

    Examples
    --------
    >>> from deepsphere.graph import build_graph
    >>> from deepsphere.sampling import Healpix
    >>> graph = build_graph(Healpix(nside=2), num_neighbors=8)
    >>> check_signals(graph, np.zeros((48, 3)))
    >>> check_signals(graph, np.zeros((3, 48)))
    Traceback (most recent call last):
    ...
    ValueError: signals must have shape (*batch, 48, channels), got (3, 48); put ...
    """
    shape = tuple(np.shape(signals))
    if len(shape) < 2 or shape[-2] != graph.num_vertices:
        raise ValueError(
            f"signals must have shape (*batch, {graph.num_vertices}, channels), got {shape}; "
            "put the vertices second to last and the channels last, signal[:, None] for one channel"
        )
    num_bad = int(np.count_nonzero(~np.isfinite(signals)))
    if num_bad:
        raise ValueError(
            f"signals must be finite, got {num_bad} NaN or infinite values; "
            "fill them first, for example with deepsphere.graph.interpolate"
        )


def to_columns(
    signals: Float[np.ndarray, "*batch vertices channels"],
) -> Float[np.ndarray, "vertices columns"]:
    """Batch and channels together as columns, in float64; always a new array.

    Examples
    --------
    >>> to_columns(np.zeros((5, 2, 48, 3))).shape
    (48, 30)
    """
    vertices_first = np.moveaxis(np.asarray(signals, dtype=np.float64), -2, 0)
    return vertices_first.reshape(vertices_first.shape[0], -1).copy()


def from_columns(
    columns: Float[np.ndarray, "vertices columns"], shape: tuple[int, ...]
) -> Float[np.ndarray, "*batch vertices channels"]:
    """Columns back in the shape of the signals they came from.

    Examples
    --------
    >>> from_columns(np.zeros((48, 30)), (5, 2, 48, 3)).shape
    (5, 2, 48, 3)
    """
    vertices_first = columns.reshape(shape[-2], *shape[:-2], shape[-1])
    return np.moveaxis(vertices_first, 0, -2)
