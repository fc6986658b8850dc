"""Areas and circumcenters of spherical triangles."""

import numpy as np
from jaxtyping import Float, Int


def triangle_areas(
    a: Float[np.ndarray, "*#shape 3"],
    b: Float[np.ndarray, "*#shape 3"],
    c: Float[np.ndarray, "*#shape 3"],
) -> Float[np.ndarray, "*shape"]:
    """Signed areas of spherical triangles, in steradian.

    2 atan2(a · (b × c), 1 + a · b + b · c + c · a): positive where a, b, c are counter-clockwise
    seen from outside. Accurate to rounding for tiny triangles, and for long ones, with one corner
    nearly opposite to the two others.

    Parameters
    ----------
    a, b, c
        Corners, unit vectors, of shapes that broadcast.

    Returns
    -------
    Areas in [−2π, 2π].

    Examples
    --------
    >>> float(triangle_areas(*np.eye(3)) / (4 * np.pi))
    0.125

    References
    ----------
    Van Oosterom and Strackee (1983), The solid angle of a plane triangle, eq. 8.
    """
    a, b, c = np.broadcast_arrays(a, b, c)
    areas = _van_oosterom(a, b, c)
    negative = [np.sum(x * y, axis=-1) < 0 for x, y in ((b, c), (c, a), (a, b))]
    for far, x, y, is_near, is_far in (
        (a, b, c, negative[0], negative[1] & negative[2]),
        (b, c, a, negative[1], negative[2] & negative[0]),
        (c, a, b, negative[2], negative[0] & negative[1]),
    ):
        # the formula loses all digits: take the lune from the far corner to its antipode, less
        # the small triangle at the antipode
        long = is_far & ~is_near
        areas[long] = _lune(far[long], x[long], y[long]) - _van_oosterom(
            y[long], x[long], -far[long]
        )
    return areas


def triangle_circumcenters(
    points: Float[np.ndarray, "vertices 3"], triangles: Int[np.ndarray, "triangles 3"]
) -> Float[np.ndarray, "triangles 3"]:
    """Centers of the circles through the corners of triangles, unit vectors.

    The outward normals (b − a) × (c − a) of the flat triangles, normalized.

    Parameters
    ----------
    points
        Unit vectors.
    triangles
        Vertex indices, counter-clockwise seen from outside.

    Returns
    -------
    For a triangle that covers more than a hemisphere, its center and not the antipode.

    Examples
    --------
    >>> center = triangle_circumcenters(np.eye(3), np.array([[0, 1, 2]]))
    >>> (center * 3**0.5).round(12).tolist()
    [[1.0, 1.0, 1.0]]
    """
    a, b, c = (points[triangles[:, corner]] for corner in range(3))
    normals = np.cross(b - a, c - a)
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def _van_oosterom(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Signed areas of triangles of moderate size."""
    # a · (b × c), by differences: exact to rounding also where the three points are close
    volume = np.sum(a * np.cross(b - a, c - a), axis=-1)
    dots = np.sum(a * b, axis=-1) + np.sum(b * c, axis=-1) + np.sum(c * a, axis=-1)
    return np.asarray(2 * np.arctan2(volume, 1 + dots))


def _lune(pole: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Signed areas of the lunes from poles to their antipodes, near which their sides pass x, y."""
    x, y = x + pole, y + pole  # exact for x and y near the antipode
    across = np.sum(pole * np.cross(x, y), axis=-1)
    # 1 + pole · x = |x + pole|² / 2 is the part of the sum along the axis
    along = np.sum(x * y, axis=-1) - np.sum(x * x, axis=-1) * np.sum(y * y, axis=-1) / 4
    return 2 * np.arctan2(across, along)
