"""Finite-element weights on a triangulation of the sphere."""

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import coo_matrix, csr_matrix

# Weights below this part of the largest are zero up to rounding: the diagonal of four co-circular
# points, which could have been cut either way.
_RELATIVE_ZERO = 1e-12


def cotangent_weights(
    points: Float[np.ndarray, "vertices 3"], triangles: Int[np.ndarray, "triangles 3"]
) -> csr_matrix:
    """Cotangent weights of the edges of a triangulation: w = (cot α + cot β) / 2.

    α and β are the angles opposite to the edge in the two flat triangles that share it. D - W is
    then the stiffness matrix of piecewise linear finite elements: f·(D - W) f is the integral of
    |∇f|² over the polyhedron. On a Delaunay triangulation no weight is negative, unless the points
    leave more than a hemisphere empty; what is negative is set to zero.

    Parameters
    ----------
    points
        Unit vectors.
    triangles
        Corners, each edge shared by two triangles.

    Returns
    -------
    csr_matrix
        Symmetric weights (vertices, vertices), nothing on the diagonal.

    Examples
    --------
    >>> from deepsphere.geometry import spherical_delaunay
    >>> octahedron = np.concatenate([np.eye(3), -np.eye(3)])
    >>> weights = cotangent_weights(octahedron, spherical_delaunay(octahedron))
    >>> bool(np.allclose(weights.data, 1 / np.sqrt(3))), weights.nnz
    (True, 24)

    References
    ----------
    Pinkall and Polthier, 1993, Computing discrete minimal surfaces and their conjugates, section 2.
    """
    num_vertices = len(points)
    corners = points[triangles]
    # |b x c| of the sides from each corner is twice the area; the same for all three corners
    twice_area = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    rows, columns, values = [], [], []
    for corner in range(3):
        first, second = (corner + 1) % 3, (corner + 2) % 3
        to_first = corners[:, first] - corners[:, corner]
        to_second = corners[:, second] - corners[:, corner]
        rows.append(triangles[:, first])
        columns.append(triangles[:, second])
        values.append((to_first * to_second).sum(axis=1) / twice_area / 2.0)
    half = coo_matrix(
        (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))),
        shape=(num_vertices, num_vertices),
    ).tocsr()
    weights = csr_matrix(half + half.T)
    weights.data[weights.data < _RELATIVE_ZERO * weights.data.max()] = 0.0
    weights.eliminate_zeros()
    return weights
