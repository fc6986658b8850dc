"""Derivatives of functions on the icosahedral mesh, by linear finite elements, as sparse matrices.

A signal is the function that is linear on each flat triangle with the values at its corners. Its
gradient is constant on a triangle; that of a vertex is the mean over the triangles around it,
weighted by their areas.
"""

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_matrix, diags_array

from deepsphere.geometry import triangle_circumcenters
from deepsphere.graph.cotangent import cotangent_weights
from deepsphere.sampling import Icosahedral
from deepsphere.sampling.icosahedral import icosahedral_mesh


def mesh_derivatives(sampling: Icosahedral) -> tuple[csr_matrix, csr_matrix]:
    r"""The derivatives towards the east and towards the north, per radian, at the vertices.

    Where a triangle lies (the direction of its normal), east and north are unit vectors in its
    plane, and the mean is that of the derivatives along them, as published. At a pole there is
    neither: the mean over the triangles around it is over all longitudes and vanishes as the mesh
    is refined. At the neighbors of a pole, whose triangles disagree on where east is, an error of
    up to 8 % remains on every level; at a given latitude it falls with the spacing.

    Parameters
    ----------
    sampling : Icosahedral
        Vertices, not face centers.

    Returns
    -------
    tuple of csr_matrix
        Both (vertices, vertices), rows of sum zero: a vertex sees itself and its neighbors.

    Examples
    --------
    >>> sampling = Icosahedral(level=4)
    >>> _, north = mesh_derivatives(sampling)
    >>> error = north @ sampling.points[:, 2] - np.cos(sampling.lat)  # of the function z
    >>> bool(np.abs(error).max() < 0.05)
    True

    References
    ----------
    Jiang et al. (2019), Spherical CNNs on unstructured grids, section 3.2.
    """
    points, faces = sampling.points, icosahedral_mesh(sampling.level).faces
    normals = triangle_circumcenters(points, faces)
    east = np.cross([0.0, 0.0, 1.0], normals)
    east /= np.linalg.norm(east, axis=1, keepdims=True)
    north = np.cross(normals, east)
    average = _mean_over_triangles(points, faces)
    eastward, northward = (
        average @ _derivative_on_triangles(points, faces, direction) for direction in (east, north)
    )
    return csr_matrix(eastward), csr_matrix(northward)


def mesh_laplacian(sampling: Icosahedral) -> csr_matrix:
    r"""The Laplacian, whose eigenvalues are near :math:`-l (l + 1)`.

    .. math:: (\Delta f)_i = \frac{1}{a_i} \sum_j \frac{\cot \alpha_{ij} + \cot \beta_{ij}}{2}
              (f_j - f_i)

    with the areas a of the vertices: the stiffness matrix with lumped masses.

    Parameters
    ----------
    sampling : Icosahedral
        Vertices, not face centers.

    Returns
    -------
    csr_matrix
        (vertices, vertices), rows of sum zero: a vertex sees itself and its neighbors.

    Examples
    --------
    >>> sampling = Icosahedral(level=4)
    >>> height = sampling.points[:, 2]  # degree 1
    >>> bool(np.allclose(mesh_laplacian(sampling) @ height, -2 * height, atol=0.02))
    True

    References
    ----------
    Jiang et al. (2019), Spherical CNNs on unstructured grids, section 3.2.
    """
    weights = cotangent_weights(sampling.points, icosahedral_mesh(sampling.level).faces)
    differences = weights - diags_array(np.asarray(weights.sum(axis=1)).ravel())
    return csr_matrix(diags_array(1 / sampling.areas) @ differences)


def _derivative_on_triangles(
    points: Float[np.ndarray, "vertices 3"],
    faces: Int[np.ndarray, "faces 3"],
    directions: Float[np.ndarray, "faces 3"],
) -> csr_matrix:
    """The derivative on each triangle along a direction in its plane, (faces, vertices)."""
    corners = points[faces]
    twice_normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    squared = (twice_normals**2).sum(axis=1, keepdims=True)
    # the hat function of a corner grows at right angles to the opposite side, inward
    opposite = np.roll(corners, -2, axis=1) - np.roll(corners, -1, axis=1)
    gradients = np.cross(twice_normals[:, None], opposite) / squared[:, None]
    values = np.einsum("fcx,fx->fc", gradients, directions)
    rows = np.repeat(np.arange(len(faces)), 3)
    return csr_matrix((values.ravel(), (rows, faces.ravel())), shape=(len(faces), len(points)))


def _mean_over_triangles(
    points: Float[np.ndarray, "vertices 3"], faces: Int[np.ndarray, "faces 3"]
) -> csr_matrix:
    """The mean over the triangles around each vertex, by area, (vertices, faces)."""
    corners = points[faces]
    areas = np.linalg.norm(
        np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1
    )
    columns = np.repeat(np.arange(len(faces)), 3)
    sums = csr_matrix(
        (np.repeat(areas, 3), (faces.ravel(), columns)), shape=(len(points), len(faces))
    )
    return csr_matrix(diags_array(1 / np.asarray(sums.sum(axis=1)).ravel()) @ sums)
