"""What a mesh looks like from the sphere around it: rays, and six channels of what they hit."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Float, Float32
from scipy.spatial import ConvexHull, QhullError

from deepsphere.data.meshes import MeshError, check_mesh_arrays

if TYPE_CHECKING:
    from embreex.rtcore_scene import EmbreeScene
    from trimesh import Trimesh

CHANNELS = ("distance", "cosine", "sine", "hull distance", "hull cosine", "hull sine")
VIEW_RADIUS = 0.99  # of the farthest vertex of a mesh, in Cohen et al. 2018 and after

MissingRays = Literal["zero", "far"]

# Rays begin this much above the unit sphere: one that begins on a surface may or may not hit it.
_LEAD = 0.5
_UNIT_TOLERANCE = 1e-6
# How much a mesh may stick out of the unit sphere: rounding.
_RADIUS_TOLERANCE = 1e-6
# Volume of a convex hull, over that of a ball of its radius, below which it is taken as flat: what
# rounding leaves of one that is.
_FLAT_VOLUME = 1e-10
# |n · g| below which the place of a hit along its ray is limited to that of the face.
_GRAZING_COSINE = 0.1
_MISSING_DISTANCE: dict[str, float] = {"zero": 0.0, "far": 1.0}


@dataclass(frozen=True, eq=False)
class MeshSignals:
    """Six channels of a mesh on the points of a sampling, and what is to be known about them.

    Parameters
    ----------
    values
        Shape (vertices, 6), in the order of `CHANNELS`.
    num_missing
        Number of rays that do not hit the mesh.
    num_missing_hull
        Number of rays that do not hit the convex hull, or the mesh where it stands for it.
    hull_failed
        Whether there is no convex hull with a volume (a flat mesh), so that the last three
        channels repeat the first three.

    Examples
    --------
    >>> MeshSignals(np.zeros((12, 6), np.float32), 12, 12, hull_failed=True).num_missing
    12
    """

    values: Float32[np.ndarray, "vertices 6"]
    num_missing: int
    num_missing_hull: int
    hull_failed: bool


def mesh_signals(
    mesh: "Trimesh",
    points: Float[np.ndarray, "vertices 3"],
    *,
    rotation: Float[np.ndarray, "3 3"] | None = None,
    missing: MissingRays = "zero",
) -> MeshSignals:
    """Signals of a mesh that lies within the unit sphere, seen from points of that sphere.

    From every point g a ray goes to the centre, and on beyond it, to its first hit of the surface
    at the distance t, where the face has the unit normal n::

        distance = t        cosine = n · g        sine = |n × g|

    and the same for the convex hull of the mesh. Nothing is moved or scaled here (see
    :func:`deepsphere.data.mesh_cleaning.normalize_mesh`). The sign of n is that of the order of a
    face's corners: seen from outside, a closed mesh has cosines in [0, 1]. A ray that enters
    through a hole hits the far wall from inside, with a distance that may exceed 1 and a cosine
    below 0, or nothing.

    Rotating the mesh by R is looking at it from the points R⁻¹ g; it is computed so, and
    ``mesh_signals(mesh, points, rotation=R)`` equals ``mesh_signals(mesh, points @ R)``.

    Parameters
    ----------
    mesh
        A mesh within the unit ball; not modified.
    points
        Unit vectors.
    rotation
        Active rotation of the mesh; None for none.
    missing
        Distance of a ray that hits nothing: ``"zero"`` for 0, as in the code of DeepSphere;
        ``"far"`` for 1, the distance of the centre, as in that of Cohen et al. Its cosine and sine
        are 0 in both.

    Returns
    -------
    MeshSignals

    Raises
    ------
    ValueError
        If points are not unit vectors, `rotation` is not a rotation, or `missing` is unknown.
    MeshError
        If the mesh sticks out of the unit sphere, or has no face with an area.
    ImportError
        If embreex is not installed.

    Examples
    --------
    >>> import trimesh
    >>> from deepsphere.sampling import Healpix
    >>> cube = trimesh.creation.box(extents=(1, 1, 1))
    >>> signals = mesh_signals(cube, Healpix(nside=2).points)
    >>> signals.values.shape, signals.num_missing
    ((48, 6), 0)
    >>> expected = 1 - 0.5 / np.abs(Healpix(nside=2).points).max(axis=1)
    >>> bool(np.allclose(signals.values[:, 0], expected, atol=1e-6))
    True

    References
    ----------
    Cohen, Geiger, Köhler, Welling (2018), Spherical CNNs, section 5.3 and the code with it.
    Esteves, Allen-Blanchette, Makadia, Daniilidis (2018), Learning SO(3) equivariant
    representations with spherical CNNs, section 5.
    """
    scene = MeshScene(mesh)
    if scene.radius > 1 + _RADIUS_TOLERANCE:
        raise MeshError(
            f"mesh must lie within the unit sphere, got a vertex at distance {scene.radius:.6g}; "
            "centre and scale it with normalize_mesh"
        )
    pose = Pose(np.eye(3) if rotation is None else rotation, np.zeros(3), 1.0)
    return scene.look(points, pose, missing=missing)


class Pose(NamedTuple):
    """How a mesh is held before the sphere: x becomes ``scale * rotation @ (x + translation)``.

    Attributes
    ----------
    rotation
        Active rotation matrix.
    translation
        In the frame and the unit of the mesh.
    scale
        Comes last, so that the mesh fits the sphere again.
    """

    rotation: np.ndarray
    translation: np.ndarray
    scale: float


class MeshScene:
    """A mesh and its convex hull, built once for rays from many poses.

    A rigid motion of the mesh is done to the rays: what is built stays.

    Parameters
    ----------
    mesh
        Not modified, not kept.

    Raises
    ------
    MeshError
        If it has no face with an area, a vertex that is not finite, or a face at a vertex that is
        not there.
    ImportError
        If embreex is not installed.

    Examples
    --------
    >>> import trimesh
    >>> scene = MeshScene(trimesh.creation.box(extents=(1, 1, 1)))
    >>> round(scene.radius, 6), scene.hull_failed
    (0.866025, False)
    """

    def __init__(self, mesh: "Trimesh") -> None:
        vertices, faces = np.array(mesh.vertices, np.float64), np.array(mesh.faces, np.int64)
        check_mesh_arrays(vertices, faces, name="mesh")
        # degenerate faces have no normal
        areas = np.linalg.norm(_normals(vertices[faces]), axis=1)
        faces = faces[areas > 0]
        if not len(faces):
            raise MeshError(f"mesh must have a face with an area, got {len(areas)} without")
        self._vertices = vertices[np.unique(faces)]
        self._mesh = _Surface(vertices[faces])
        hull = _convex_hull(self._vertices)
        self.hull_failed = hull is None
        self._hull = self._mesh if hull is None else hull

    @property
    def radius(self) -> float:
        """Distance of the farthest vertex from the origin."""
        return float(np.linalg.norm(self._vertices, axis=1).max())

    def fitting_scale(
        self, translation: Float[np.ndarray, "3"], *, radius: float = VIEW_RADIUS
    ) -> float:
        """Scale after which the farthest vertex of the translated mesh is at this distance."""
        return radius / float(np.linalg.norm(self._vertices + translation, axis=1).max())

    def look(
        self,
        points: Float[np.ndarray, "vertices 3"],
        pose: Pose,
        *,
        missing: MissingRays = "zero",
    ) -> MeshSignals:
        """Signals of the mesh in a pose, in which it must lie within the unit sphere.

        Parameters
        ----------
        points
            Unit vectors.
        pose
            Where the mesh is.
        missing
            As for :func:`mesh_signals`.

        Returns
        -------
        MeshSignals

        Raises
        ------
        ValueError
            If points are not unit vectors, `missing` is unknown, or the rotation is none.
        """
        if missing not in get_args(MissingRays):
            raise ValueError(
                f"missing must be one of {', '.join(get_args(MissingRays))}, got {missing!r}"
            )
        _check_points(points)
        check_rotation(pose.rotation)
        mesh, num_missing = self._mesh.look(points, pose, _MISSING_DISTANCE[missing])
        if self.hull_failed:
            hull, num_missing_hull = mesh, num_missing
        else:
            hull, num_missing_hull = self._hull.look(points, pose, _MISSING_DISTANCE[missing])
        values = np.concatenate([mesh, hull], axis=1, dtype=np.float32, casting="same_kind")
        return MeshSignals(values, num_missing, num_missing_hull, self.hull_failed)


class _Surface:
    """Triangles in embree, with their exact planes."""

    def __init__(self, corners: np.ndarray, normals: np.ndarray | None = None) -> None:
        normals = _normals(corners) if normals is None else normals
        self._corners = corners
        self._normals = normals / np.linalg.norm(normals, axis=1, keepdims=True)
        self._scene = embree_scene(corners)

    def look(self, points: np.ndarray, pose: Pose, far: float) -> tuple[np.ndarray, int]:
        """Distance, cosine and sine (vertices, 3) for each point; the number of missing rays."""
        outward = np.ascontiguousarray(points @ pose.rotation)  # rows are Rᵀ g
        origins = outward * ((1 + _LEAD) / pose.scale) - pose.translation
        face = self._scene.run(origins.astype(np.float32), (-outward).astype(np.float32))
        is_hit = face >= 0
        face, outward, origins = face[is_hit], outward[is_hit], origins[is_hit]
        normals = self._normals[face]
        cosine = np.einsum("rc,rc->r", normals, outward)
        # embree, in float32, says which triangle; where, its plane says in float64
        height = np.einsum("rc,rc->r", normals, origins - self._corners[face, 0])
        depth = np.divide(height, cosine, out=np.zeros_like(height), where=cosine != 0)
        grazing = np.abs(cosine) < _GRAZING_COSINE
        depth[grazing] = _between_corners(
            depth[grazing], self._corners[face[grazing]], origins[grazing], outward[grazing]
        )
        values = np.zeros((len(points), 3))
        values[:, 0] = far
        values[is_hit, 0] = np.maximum(depth * pose.scale - _LEAD, 0)
        values[is_hit, 1] = cosine
        values[is_hit, 2] = _sines(normals, outward)
        return values, int(len(points) - is_hit.sum())


def _between_corners(
    depth: np.ndarray, corners: np.ndarray, origins: np.ndarray, outward: np.ndarray
) -> np.ndarray:
    """Depths of hits, kept between those of the nearest and the farthest corner of their faces.

    Where a ray is all but parallel to a plane, the rounding of embree moves the hit far along it.
    """
    depths = np.einsum("rkc,rc->rk", origins[:, None] - corners, outward)
    return np.clip(depth, depths.min(axis=1), depths.max(axis=1))


def _sines(normals: np.ndarray, outward: np.ndarray) -> np.ndarray:
    """Lengths of cross products, by components: numpy's is slower."""
    (a, b, c), (x, y, z) = normals.T, outward.T
    return np.sqrt((b * z - c * y) ** 2 + (c * x - a * z) ** 2 + (a * y - b * x) ** 2)


def check_rotation(rotation: Float[np.ndarray, "3 3"]) -> None:
    """Raise unless a matrix is a rotation, to 1e-6.

    Parameters
    ----------
    rotation
        Shape (3, 3).

    Raises
    ------
    ValueError
        If it is not orthogonal, or a reflection.

    Examples
    --------
    >>> check_rotation(np.eye(3))
    """
    rotation = np.asarray(rotation)
    error = np.inf
    if rotation.shape == (3, 3):
        error = float(np.abs(rotation @ rotation.T - np.eye(3)).max())
    if not error < 1e-6 or np.linalg.det(rotation) < 0:
        raise ValueError(
            "rotation must be an orthogonal 3 x 3 matrix of determinant 1, "
            f"got {rotation.tolist()}; see deepsphere.geometry.random_rotations"
        )


def _check_points(points: np.ndarray) -> None:
    """Raise unless the points are on the unit sphere."""
    lengths = np.sqrt(np.einsum("...c,...c->...", points, points))
    is_unit = np.abs(lengths - 1).max(initial=0.0) <= _UNIT_TOLERANCE  # false for NaN
    if points.ndim != 2 or points.shape[1] != 3 or not is_unit:
        raise ValueError(
            "points must be unit vectors of shape (vertices, 3), got shape "
            f"{points.shape} and lengths from {lengths.min(initial=np.inf):.6g} to "
            f"{lengths.max(initial=0):.6g}; divide them by their lengths"
        )


def _normals(corners: np.ndarray) -> np.ndarray:
    """Normals of triangles (faces, 3, 3), right-handed, of any length; zeros for a line."""
    sides = corners[:, 1:] - corners[:, :1]
    longest = np.abs(sides).max(axis=(1, 2), keepdims=True)
    sides = np.divide(sides, longest, out=np.zeros_like(sides), where=longest > 0)
    return np.cross(sides[:, 0], sides[:, 1])


def _convex_hull(vertices: np.ndarray) -> _Surface | None:
    """Convex hull of points; None where it has no volume."""
    try:
        hull = ConvexHull(vertices)
    except (QhullError, ValueError):
        return None
    if hull.volume <= _FLAT_VOLUME * np.ptp(vertices, axis=0).max() ** 3:
        return None
    return _Surface(vertices[hull.simplices], hull.equations[:, :3])


def embree_scene(corners: Float[np.ndarray, "faces 3 3"]) -> "EmbreeScene":
    """Scene of triangles for rays in float32, watertight at the edges that they share.

    Parameters
    ----------
    corners
        Shape (faces, 3, 3).

    Returns
    -------
    embreex.rtcore_scene.EmbreeScene

    Raises
    ------
    ImportError
        If embreex is not installed.
    """
    try:
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene
    except ImportError as error:
        raise ImportError(
            "casting rays needs embreex, which is not installed; "
            "pip install 'deepsphere-torch[shapes]'"
        ) from error
    scene = EmbreeScene(robust=True)
    TriangleMesh(scene, corners.astype(np.float32))
    return scene
