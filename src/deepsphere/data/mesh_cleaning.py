"""Meshes made ready for rays: cleaned, consistently oriented, centred and scaled.

All of it commutes with rotations, translations and scalings of the mesh, so that a rotated file
gives the rotated mesh.
"""

from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from deepsphere.data.meshes import MeshError, trimesh_class

if TYPE_CHECKING:
    from trimesh import Trimesh

# Vertices nearer than this share of the mesh's size are one, and a triangle that is lower is a
# line; the tolerance of trimesh, which however takes it as a length.
MERGE_TOLERANCE = 1e-8
# Flux through a body from its own centroid, over the largest that its faces could have, from which
# on the body has an inside: lets the most rays see outsides on the meshes of SHREC'12.
_SHEET_FLUX = 0.02
# The same from the centroid of the mesh, below which not even that tells: a sheet through it.
_FLUX_TOLERANCE = 1e-9


def clean_mesh(mesh: "Trimesh") -> "Trimesh":
    """Mesh without what is not surface, its triangles turned to the outside, small holes closed.

    In this order: faces at vertices that are not finite are left out; equal vertices become one;
    degenerate faces (without area), faces that are there twice (in whatever order of corners), and
    vertices without a face are left out; faces are oriented; holes of three or four edges are
    filled.

    Orientation: faces that meet at an edge of just two faces get the same sense of rotation, and
    every body so connected is turned such that its signed volume is positive: a closed body has its
    normals outside, as after ``trimesh.repair.fix_normals``. The volume of an open one is that of
    the cone over it from its own centroid; of a sheet, which from there has next to none, from the
    centroid of the mesh, so that its normals point away from it. Where that says nothing (a sheet
    through the centroid) the sense of the body's first face stays; a Möbius strip stays as it is.

    Parameters
    ----------
    mesh
        Any triangle mesh; not modified.

    Returns
    -------
    trimesh.Trimesh
        A new mesh, in the same place.

    Raises
    ------
    MeshError
        If no face is left: a mesh of zero size.

    Examples
    --------
    >>> import trimesh
    >>> box = trimesh.creation.box()
    >>> soup = trimesh.Trimesh(box.triangles.reshape(-1, 3), np.arange(36).reshape(-1, 3))
    >>> cleaned = clean_mesh(soup)
    >>> len(cleaned.vertices), len(cleaned.faces), bool(cleaned.is_watertight)
    (8, 12, True)
    """
    vertices, faces = np.array(mesh.vertices, np.float64), np.array(mesh.faces, np.int64)
    num_given = len(faces)
    is_finite = np.asarray(np.isfinite(vertices).all(axis=1))
    faces = faces[is_finite[faces].all(axis=1)]
    vertices, faces = _drop_unreferenced(vertices, faces)
    if len(faces):
        unit, _ = _unit_size(vertices)
        faces = _merge_vertices(unit)[faces]
        faces = faces[_altitudes(unit, faces) > MERGE_TOLERANCE]
        faces = faces[_first_of_each(np.sort(faces, axis=1))]
    if not len(faces):
        raise MeshError(
            f"mesh must have a face with an area, got {num_given} faces, all degenerate or at "
            "vertices that are not finite; a mesh of zero size has no surface to look at"
        )
    vertices, faces = _drop_unreferenced(vertices, faces)
    unit, _ = _unit_size(vertices)
    faces = _orient(unit, faces)
    faces = np.concatenate([faces, _hole_triangles(unit, faces)])
    return _make_mesh(vertices, faces)


def center_mesh(mesh: "Trimesh") -> "Trimesh":
    """Mesh with the centroid of its *surface* at the origin.

    The centroid is the mean of the triangles' centroids, weighted by their areas, as
    ``trimesh.Trimesh.centroid``: neither the mean of the vertices nor the centre of mass, which an
    open mesh does not have.

    Parameters
    ----------
    mesh
        Some of its faces have an area; not modified.

    Returns
    -------
    trimesh.Trimesh
        A new mesh.

    Raises
    ------
    MeshError
        If it has no area.

    Examples
    --------
    >>> import trimesh
    >>> box = trimesh.creation.box().apply_translation([3, 0, 0])
    >>> bool(np.allclose(center_mesh(box).centroid, 0))
    True
    """
    vertices = np.array(mesh.vertices, np.float64)
    unit, size = _unit_size(vertices)
    moved = (unit - surface_centroid(unit, np.asarray(mesh.faces))) * size
    return _make_mesh(moved, np.array(mesh.faces))


def scale_mesh(mesh: "Trimesh", *, radius: float = 1.0) -> "Trimesh":
    """Mesh scaled about the origin such that its farthest vertex is at a distance of `radius`.

    Parameters
    ----------
    mesh
        Not modified.
    radius
        More than 0.

    Returns
    -------
    trimesh.Trimesh
        A new mesh.

    Raises
    ------
    ValueError
        If the radius is not positive.
    MeshError
        If all vertices are at the origin.

    Examples
    --------
    >>> import trimesh
    >>> scale_mesh(trimesh.creation.box(), radius=2.0).bounds[1].round(4).tolist()
    [1.1547, 1.1547, 1.1547]
    """
    if not radius > 0 or not np.isfinite(radius):
        raise ValueError(f"radius must be positive, got {radius}; the unit sphere has radius 1")
    vertices = np.array(mesh.vertices, np.float64)
    largest = np.abs(vertices).max(initial=0.0)
    if not largest > 0:
        raise MeshError("mesh must have a size, got one whose vertices are all at the origin")
    vertices = vertices / largest
    vertices *= radius / np.linalg.norm(vertices, axis=1).max()
    return _make_mesh(vertices, np.array(mesh.faces))


def normalize_mesh(mesh: "Trimesh") -> "Trimesh":
    """Mesh cleaned, its centroid at the origin, its farthest vertex at distance 1.

    Parameters
    ----------
    mesh
        Any triangle mesh; not modified.

    Returns
    -------
    trimesh.Trimesh
        A new mesh.

    Raises
    ------
    MeshError
        If it has no area.

    Examples
    --------
    >>> import trimesh
    >>> round(float(normalize_mesh(trimesh.creation.icosphere(radius=7)).extents.max()), 6)
    2.0
    """
    return scale_mesh(center_mesh(clean_mesh(mesh)), radius=1.0)


def surface_centroid(
    vertices: Float[np.ndarray, "vertices 3"], faces: np.ndarray
) -> Float[np.ndarray, "3"]:
    """Mean of the centroids of triangles, weighted by their areas.

    Parameters
    ----------
    vertices
        Shape (vertices, 3).
    faces
        Shape (faces, 3).

    Returns
    -------
    Shape (3,).

    Raises
    ------
    MeshError
        If all areas are zero.

    Examples
    --------
    >>> surface_centroid(np.eye(3), np.array([[0, 1, 2]])).round(6).tolist()
    [0.333333, 0.333333, 0.333333]
    """
    corners = vertices[faces]
    areas = np.linalg.norm(_area_vectors(corners), axis=1)
    if not areas.sum() > 0:
        raise MeshError("mesh must have an area, got 0; a line or a point has no centroid here")
    return areas @ corners.mean(axis=1) / areas.sum()


def _make_mesh(vertices: np.ndarray, faces: np.ndarray) -> "Trimesh":
    """Mesh of arrays, as they are; also where the given one is a primitive, made otherwise."""
    return trimesh_class()(vertices=vertices, faces=faces, process=False, validate=False)


def _unit_size(vertices: np.ndarray) -> tuple[np.ndarray, float]:
    """Vertices over their largest coordinate, so that no product overflows, and that number."""
    size = float(np.abs(vertices).max(initial=0.0)) or 1.0
    return vertices / size, size


def _area_vectors(corners: np.ndarray) -> np.ndarray:
    """Normals of triangles (faces, 3, 3), twice as long as their areas."""
    return np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])


def _drop_unreferenced(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices that faces use, in their order, and faces in their numbers."""
    is_used = np.zeros(len(vertices), dtype=bool)
    is_used[faces] = True
    return vertices[is_used], (np.cumsum(is_used) - 1)[faces]


def _first_of_each(rows: np.ndarray) -> np.ndarray:
    """Indices, increasing, of the first of all rows that are equal."""
    order = np.lexsort(rows.T)  # stable: of equal rows the first comes first
    is_new = np.ones(len(rows), dtype=bool)
    is_new[1:] = (np.diff(rows[order], axis=0) != 0).any(axis=1)
    return np.sort(order[is_new])


def _merge_vertices(vertices: np.ndarray) -> np.ndarray:
    """Index of the vertex that stands for each one; the first of those in the same place."""
    extent = float(np.ptp(vertices, axis=0).max())
    if not extent > 0:
        return np.zeros(len(vertices), np.int64)
    places = np.round((vertices - vertices.min(axis=0)) / (MERGE_TOLERANCE * extent))
    order = np.lexsort(places.T)
    is_new = np.ones(len(order), dtype=bool)
    is_new[1:] = (np.diff(places[order], axis=0) != 0).any(axis=1)
    owner = np.empty(len(order), np.int64)
    owner[order] = order[is_new][np.cumsum(is_new) - 1]
    return owner


def _altitudes(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Lowest altitude of each triangle, as a share of the size of the mesh."""
    corners = vertices[faces]
    longest = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).max(axis=1)
    area = np.linalg.norm(_area_vectors(corners), axis=1)
    extent = float(np.ptp(vertices, axis=0).max()) or 1.0
    return np.divide(area, longest * extent, out=np.zeros_like(area), where=longest > 0)


def _half_edges(faces: np.ndarray, num_vertices: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Half-edges (3 faces, 2), a face after the other; their order by edge; size of each group."""
    edges = np.stack([faces, np.roll(faces, -1, axis=1)], axis=2).reshape(-1, 2)
    key = edges.min(axis=1) * num_vertices + edges.max(axis=1)
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(np.concatenate([[True], np.diff(key[order]) != 0]))
    return edges, order, np.diff(np.append(starts, len(order)))


def _orient(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Faces of each body in one sense of rotation, normals outside.

    Every face is two nodes of a graph, as it is and flipped; neighbours are joined such that a
    connected component is a body in one of its two orientations.
    """
    num_faces = len(faces)
    edges, order, sizes = _half_edges(faces, len(vertices))
    first = (np.cumsum(sizes) - sizes)[sizes == 2]
    one, other = order[first], order[first + 1]
    agree = edges[one, 0] != edges[other, 0]
    one, other = one // 3, other // 3
    flipped = np.where(agree, 0, num_faces)
    rows = np.concatenate([one, one + num_faces])
    columns = np.concatenate([other + flipped, other + num_faces - flipped])
    graph = coo_matrix((np.ones(len(rows)), (rows, columns)), shape=(2 * num_faces, 2 * num_faces))
    num_sheets, sheet = connected_components(graph, directed=False)
    as_is, turned = sheet[:num_faces], sheet[num_faces:]
    # bodies: the two sheets of an orientable one share the lower number
    body = np.minimum(as_is, turned)
    sense = np.where(as_is == body, 1.0, -1.0)
    outside = _outside(vertices[faces], body, sense, num_sheets)
    # components are numbered by their first node: the lower number holds the first face as it is
    flip = (sense * np.where(outside == 0, 1.0, outside)[body] < 0) & (as_is != turned)
    return np.where(flip[:, None], faces[:, ::-1], faces)


def _outside(
    corners: np.ndarray, body: np.ndarray, sense: np.ndarray, num_bodies: int
) -> np.ndarray:
    """Sign of the flux out of each body, whose faces are in one sense; 0 where it says nothing.

    From the body's own centroid that is its volume; a sheet, which has next to none, is seen from
    the centroid of the mesh.
    """
    area_vectors = _area_vectors(corners) * sense[:, None]
    areas = np.linalg.norm(area_vectors, axis=1)
    middles = corners.mean(axis=1)

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(body, values, num_bodies)

    area = np.maximum(total(areas), np.finfo(np.float64).tiny)
    own = np.stack([total(areas * x) for x in middles.T], axis=1) / area[:, None]
    sign = np.zeros(num_bodies)
    for center, tolerance in (
        (own[body], _SHEET_FLUX),
        (areas @ middles / areas.sum(), _FLUX_TOLERANCE),
    ):
        arms = middles - center
        flux = total(np.einsum("fc,fc->f", arms, area_vectors))
        size = total(np.linalg.norm(arms, axis=1) * areas)
        sign = np.where((sign == 0) & (np.abs(flux) > tolerance * size), np.sign(flux), sign)
    return sign


def _hole_triangles(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Triangles that close the holes of three and of four edges between as many faces."""
    edges, order, sizes = _half_edges(faces, len(vertices))
    border = order[(np.cumsum(sizes) - sizes)[sizes == 1]]
    start, end = edges[border].T
    # only where the border does not branch can one walk along it
    is_simple = (np.bincount(start, minlength=len(vertices)) == 1) & (
        np.bincount(end, minlength=len(vertices)) == 1
    )
    following = np.full(len(vertices) + 1, -1)
    face_at = np.full(len(vertices) + 1, -1)
    following[start], face_at[start] = end, border // 3
    following[:-1][~is_simple] = -1
    walk = [np.flatnonzero(is_simple)]
    for _ in range(4):
        walk.append(following[walk[-1]])
    filled = []
    for num_edges in (3, 4):
        loops = np.stack(walk[:num_edges], axis=1)
        closed = (walk[num_edges] == walk[0]) & (loops >= 0).all(axis=1)
        # each loop once, from its lowest vertex; a triangle alone is no hole, nor are two
        around = np.sort(face_at[loops], axis=1)
        closed &= (loops.min(axis=1) == loops[:, 0]) & (np.diff(around, axis=1) > 0).all(axis=1)
        filled.append(_cap(vertices, loops[closed]))
    return np.concatenate(filled)


def _cap(vertices: np.ndarray, loops: np.ndarray) -> np.ndarray:
    """Triangles that close loops (loops, edges) of border edges, along the shorter diagonal."""
    if loops.shape[1] == 3:
        return loops[:, ::-1]
    a, b, c, d = loops.T
    length = np.linalg.norm(vertices[a] - vertices[c], axis=1)
    across = np.linalg.norm(vertices[b] - vertices[d], axis=1)
    pick = (length <= across)[:, None, None]
    one = np.stack([np.stack([a, c, b], 1), np.stack([a, d, c], 1)], 1)
    other = np.stack([np.stack([b, a, d], 1), np.stack([b, d, c], 1)], 1)
    return np.where(pick, one, other).reshape(-1, 3)
