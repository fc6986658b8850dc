"""The cells of samplings: great-circle polygons, latitude-longitude rectangles, HEALPix pixels."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from deepsphere.geometry.points import angular_distance
from deepsphere.geometry.triangles import triangle_circumcenters
from deepsphere.geometry.voronoi import merged_delaunay


class Polygons(NamedTuple):
    """Convex polygons bounded by great circles, counter-clockwise seen from outside.

    Attributes
    ----------
    centers
        A point of each polygon.
    offsets
        The corners of polygon i are those from offset i to offset i + 1.
    corners
        Unit vectors; corner k lies between the sides k and k + 1.
    normals
        Of the sides, of any length: a polygon is where no product with its normals is negative.
    radii
        Angle around its center within which each polygon lies.
    owner
        The polygon of each vertex; vertices that own the same one have equal parts of it.
    """

    centers: Float[np.ndarray, "cells 3"]
    offsets: Int[np.ndarray, " offsets"]
    corners: Float[np.ndarray, "sides 3"]
    normals: Float[np.ndarray, "sides 3"]
    radii: Float[np.ndarray, " cells"]
    owner: Int[np.ndarray, " vertices"]


class Rectangles(NamedTuple):
    """Cells between two parallels and two meridians, in zones that fill the sphere.

    Attributes
    ----------
    south, north
        Latitudes of the parallels.
    west, width
        Longitude of the western meridian, and from it to the eastern one, at most 2π.
    """

    south: Float[np.ndarray, " cells"]
    north: Float[np.ndarray, " cells"]
    west: Float[np.ndarray, " cells"]
    width: Float[np.ndarray, " cells"]


class Pixels(NamedTuple):
    """HEALPix pixels, squares in the twelve base faces.

    Attributes
    ----------
    nside
        Squares along the side of a face.
    face
        From 0 to 11.
    x, y
        Of each square in its face, to the north-east and to the north-west, from 0 to nside - 1.
    """

    nside: int
    face: Int[np.ndarray, " cells"]
    x: Int[np.ndarray, " cells"]
    y: Int[np.ndarray, " cells"]


Cells = Polygons | Rectangles | Pixels


def voronoi_cells(points: Float[np.ndarray, "vertices 3"]) -> Polygons:
    """The Voronoi cells of points, whose areas are those of :func:`voronoi_areas`.

    Parameters
    ----------
    points
        Unit vectors, at least four that do not lie in one plane. Points too close to each other to
        be told apart own one cell together.

    Returns
    -------
    Polygons

    Raises
    ------
    ValueError
        If there are fewer than four points, or they lie in one plane, or one is not finite.

    Examples
    --------
    >>> octahedron = np.concatenate([np.eye(3), -np.eye(3)])
    >>> voronoi_cells(octahedron).offsets.tolist()  # six squares
    [0, 4, 8, 12, 16, 20, 24]
    """
    triangles, owner = merged_delaunay(points)
    corners = triangle_circumcenters(points, triangles)
    # each triangle (v, a, b) gives its circumcenter to the cell of v, and the side towards a
    vertices = triangles.ravel()
    neighbors = triangles[:, [1, 2, 0]].ravel()
    # seen along a line into the hull, where the sides follow each other around the vertex; along
    # the radius they need not, where the points leave more than a hemisphere empty
    axes = (points - points.mean(axis=0))[vertices]
    bearings = _bearings(axes, points[neighbors] - points[vertices])
    order = np.lexsort((bearings, vertices))
    vertices, neighbors, triangle = vertices[order], neighbors[order], order // 3
    kept, cell = np.unique(owner, return_inverse=True)
    offsets = np.searchsorted(vertices, np.append(kept, len(points)))
    centers, sides = points[kept], corners[triangle]
    normals = points[vertices] - points[neighbors]
    return Polygons(centers, offsets, sides, normals, _radii(centers, offsets, sides), cell)


def convex_polygons(corners: Float[np.ndarray, "cells sides 3"]) -> Polygons:
    """Polygons of equally many sides, of their corners.

    Parameters
    ----------
    corners
        Unit vectors, counter-clockwise seen from outside.

    Returns
    -------
    Polygons

    Examples
    --------
    >>> octant = convex_polygons(np.eye(3)[None])
    >>> octant.normals @ octant.centers[0] > 0
    array([ True,  True,  True])
    """
    num, sides = corners.shape[:2]
    centers = corners.sum(axis=1)
    centers /= np.linalg.norm(centers, axis=1, keepdims=True)
    offsets = sides * np.arange(num + 1)
    # side k ends at corner k, so that a corner lies between the sides k and k + 1
    normals = np.cross(np.roll(corners, 1, axis=1), corners).reshape(-1, 3)
    flat = corners.reshape(-1, 3)
    return Polygons(centers, offsets, flat, normals, _radii(centers, offsets, flat), np.arange(num))


def _radii(
    centers: Float[np.ndarray, "cells 3"],
    offsets: Int[np.ndarray, " offsets"],
    corners: Float[np.ndarray, "sides 3"],
) -> Float[np.ndarray, " cells"]:
    """Angles around their centers within which polygons lie."""
    distance = angular_distance(np.repeat(centers, np.diff(offsets), axis=0), corners)
    reach = np.maximum.reduceat(distance, offsets[:-1])
    # beyond a hemisphere a side may bulge farther than its corners
    return np.where(reach < np.pi / 2, reach, np.pi)


def _bearings(
    axes: Float[np.ndarray, "pairs 3"], directions: Float[np.ndarray, "pairs 3"]
) -> Float[np.ndarray, " pairs"]:
    """The angles of directions around axes, counter-clockwise, from any zero fixed for the axis."""
    axes = axes / np.linalg.norm(axes, axis=1, keepdims=True)
    # the coordinate axis least aligned with it makes a well-conditioned frame across
    east = np.cross(np.eye(3)[np.argmin(np.abs(axes), axis=1)], axes)
    east /= np.linalg.norm(east, axis=1, keepdims=True)
    north = np.cross(axes, east)
    return np.arctan2(np.sum(directions * north, axis=1), np.sum(directions * east, axis=1))
