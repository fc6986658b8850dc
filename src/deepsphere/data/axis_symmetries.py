"""Exact symmetries of a sampling that the atmosphere has too: turns about the axis, the equator."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import KDTree

from deepsphere.sampling.protocol import Sampling

AxisMotions = Literal["none", "turns", "flips"]
"""Nothing, rotations about the axis, or also the mirror at the equator."""

_TOLERANCE = 1e-7  # below any distance of vertices, above rounding
_LARGEST_NUM_TURNS = 65536


@dataclass(frozen=True, eq=False)
class AxisSymmetries:
    """Turns about the axis, and mirrors at the equator, that take vertices to vertices.

    The laws of the atmosphere on a rotating sphere are the same after a turn about the axis; after
    a mirror at the equator they are if meridional winds change their sign. A mirror that exchanges
    east and west, or any other rotation, turns cyclones the wrong way.

    Parameters
    ----------
    turn
        Vertex (vertices,) that comes to each vertex by the smallest turn.
    num_turns
        How many turns make the whole circle.
    mirror
        Vertex that comes to each vertex by a mirror at the equator (and half a turn more, if that
        is what it takes); None where there is none.
    """

    turn: Int[np.ndarray, "vertices"]
    num_turns: int
    mirror: Int[np.ndarray, "vertices"] | None

    def __len__(self) -> int:
        """Number of symmetries, the identity first; mirrored ones after all turns."""
        return self.num_turns * (1 if self.mirror is None else 2)

    def is_mirrored(self, element: int) -> bool:
        """Whether a symmetry exchanges north and south.

        Parameters
        ----------
        element
            Its number.

        Returns
        -------
        bool
        """
        return element >= self.num_turns

    def sources(self, element: int) -> Int[np.ndarray, "vertices"]:
        """Vertex that a symmetry moves to each vertex.

        Parameters
        ----------
        element
            Its number.

        Returns
        -------
        Int[np.ndarray, "vertices"]
            Signals are moved by ``signals[sources]``.

        Raises
        ------
        IndexError
            If there is no such symmetry.
        """
        if not 0 <= element < len(self):
            raise IndexError(f"element must be from 0 to {len(self) - 1}, got {element}")
        sources = np.arange(len(self.turn))
        power, times = self.turn, element % self.num_turns
        while times:  # by repeated squaring
            if times % 2:
                sources = sources[power]
            power, times = power[power], times // 2
        if self.mirror is not None and self.is_mirrored(element):
            sources = sources[self.mirror]
        return sources


@lru_cache(maxsize=8)
def axis_symmetries(sampling: Sampling, motions: AxisMotions) -> AxisSymmetries:
    """Symmetries of a sampling about the axis of the Earth.

    Parameters
    ----------
    sampling
        Whose vertices are moved to each other.
    motions
        "none", "turns" or "flips".

    Returns
    -------
    AxisSymmetries
        The identity alone where the sampling has no others.

    Raises
    ------
    ValueError
        If the word is another one.

    Examples
    --------
    >>> from deepsphere.sampling import Equiangular, Icosahedral
    >>> [len(axis_symmetries(Icosahedral(level=2), one)) for one in ("none", "turns", "flips")]
    [1, 5, 10]
    >>> len(axis_symmetries(Equiangular(4, 8), "flips"))
    16
    """
    if motions not in ("none", "turns", "flips"):
        raise ValueError(f"motions must be one of none, turns, flips, got {motions!r}")
    points = sampling.points
    identity = np.arange(len(points))
    if motions == "none":
        return AxisSymmetries(identity, 1, None)
    tree = KDTree(points)
    num_turns = _smallest_ring(points)
    turn = None
    for num in sorted((n for n in range(1, num_turns + 1) if num_turns % n == 0), reverse=True):
        turn = _match(tree, _rotated(points, -2 * np.pi / num))
        if turn is not None:
            num_turns = num
            break
    mirror = None
    if motions == "flips":
        for angle in (0.0, np.pi / num_turns):
            mirrored = _rotated(points * np.array([1.0, 1.0, -1.0]), -angle)
            mirror = _match(tree, mirrored)
            if mirror is not None:
                break
    return AxisSymmetries(identity if turn is None else turn, num_turns, mirror)


def _rotated(
    points: Float[np.ndarray, "vertices 3"], angle: float
) -> Float[np.ndarray, "vertices 3"]:
    """Points turned about the axis."""
    cosine, sine = np.cos(angle), np.sin(angle)
    x, y, z = points.T
    return np.stack([cosine * x - sine * y, sine * x + cosine * y, z], axis=1)


def _match(tree: KDTree, points: Float[np.ndarray, "vertices 3"]) -> np.ndarray | None:
    """Vertex at each point, if there is one at all of them."""
    if len(points) > 1000 and not _match_some(tree, points[:: len(points) // 500]):
        return None
    distance, vertex = tree.query(points)
    return np.asarray(vertex) if distance.max() < _TOLERANCE else None


def _match_some(tree: KDTree, points: Float[np.ndarray, "vertices 3"]) -> bool:
    """Whether there is a vertex at each point."""
    return bool(tree.query(points)[0].max() < _TOLERANCE)


def _smallest_ring(points: Float[np.ndarray, "vertices 3"]) -> int:
    """Vertices of the smallest circle of latitude, of which the number of turns is a divisor."""
    off_axis = np.hypot(points[:, 0], points[:, 1]) > _TOLERANCE
    _, counts = np.unique(np.round(points[off_axis, 2] / _TOLERANCE / 10), return_counts=True)
    return min(int(counts.min()), _LARGEST_NUM_TURNS) if len(counts) else 1
