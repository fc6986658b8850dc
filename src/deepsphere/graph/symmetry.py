"""Rotations and reflections that map a sampling to itself, as permutations of its vertices."""

import math

import healpix
import numpy as np
from jaxtyping import Float, Int
from scipy.spatial import KDTree

from deepsphere.sampling import (
    CubedSphere,
    Equiangular,
    GaussLegendre,
    Healpix,
    Icosahedral,
    Sampling,
)

# A vertex counts as mapped to another if it falls this much of a mean spacing near it.
_MATCH = 1e-4
# Entries of all permutations together, 1 GB as 32-bit integers: HEALPix up to nside 1024.
_MAX_ENTRIES = 2**28


def vertex_permutations(sampling: Sampling) -> Int[np.ndarray, "elements vertices"]:
    """A group of symmetries of a sampling: the vertex to which each element takes each vertex.

    | sampling | group | elements |
    |---|---|---|
    | `Healpix` | prism on a square | 16 |
    | `Icosahedral` | icosahedron | 120 |
    | `CubedSphere` | cube | 48 |
    | latitude-longitude grids | prism, or pyramid where a single pole is a vertex | up to 4 nlon |
    | others | none known: the identity alone | 1 |

    Groups of very large grids are cut to subgroups that fit in memory.

    Parameters
    ----------
    sampling
        A whole-sphere sampling.

    Returns
    -------
    ndarray of int32, shape (elements, vertices)
        Row 0 is the identity. Distances are kept: |x_g(i) - x_g(j)| = |x_i - x_j|.

    Examples
    --------
    >>> vertex_permutations(Healpix(nside=2)).shape
    (16, 48)
    """
    num_vertices = sampling.num_vertices
    limit = max(1, _MAX_ENTRIES // num_vertices)
    identity = np.arange(num_vertices, dtype=np.int32)[None]
    generators = _generators(sampling, limit)
    words = _words(generators)
    if len(words) > limit:
        return identity
    found = [_permutation(sampling, matrix) for matrix in generators]
    steps = [step for step in found if step is not None]
    if len(steps) < len(found):
        return identity
    group = np.empty((len(words), num_vertices), dtype=np.int32)
    group[0] = identity
    for element, (step, before) in enumerate(words[1:], start=1):
        group[element] = steps[step][group[before]]
    return group


def _permutation(
    sampling: Sampling, matrix: Float[np.ndarray, "3 3"]
) -> Int[np.ndarray, "vertices"] | None:
    """The vertex at the image of each vertex, or None if one of them is not there."""
    points = sampling.points
    images = points @ matrix.T
    if isinstance(sampling, Healpix):
        nest = sampling.ordering == "nested"
        found = np.asarray(healpix.vec2pix(sampling.nside, *images.T, nest=nest))
    else:
        found = np.asarray(KDTree(points).query(images)[1])
    tolerance = _MATCH * math.sqrt(4 * math.pi / len(points))
    return found if np.abs(points[found] - images).max() <= tolerance else None


def _generators(sampling: Sampling, limit: int) -> list[Float[np.ndarray, "3 3"]]:
    """Matrices that generate a group of symmetries, of at most about `limit` elements."""
    if isinstance(sampling, Healpix):
        return [_turn([0, 0, 1], 4), np.diag([1.0, -1.0, 1.0]), np.diag([1.0, 1.0, -1.0])]
    if isinstance(sampling, CubedSphere):
        return [_turn([0, 0, 1], 4), _turn([1, 0, 0], 4), -np.eye(3)]
    if isinstance(sampling, Icosahedral):
        return _icosahedral_generators(sampling)
    if isinstance(sampling, Equiangular | GaussLegendre):
        return _grid_generators(sampling, limit)
    return []


def _icosahedral_generators(sampling: Icosahedral) -> list[Float[np.ndarray, "3 3"]]:
    """Turns about a corner and about a face of the icosahedron of the sampling, and inversion."""
    corners = Icosahedral(subdivisions=1).points
    near = corners[np.argsort(np.linalg.norm(corners - corners[0], axis=1))[1:6]]
    spread = np.linalg.norm(near - near[0], axis=1)
    face = corners[0] + near[0] + near[np.argsort(spread)[1]]
    return [_turn(corners[0], 5), _turn(face, 3), -np.eye(3)]


def _grid_generators(
    sampling: Equiangular | GaussLegendre, limit: int
) -> list[Float[np.ndarray, "3 3"]]:
    """Turns about the axis, the mirror through longitude 0 and, if there, the equator's."""
    octahedral = isinstance(sampling, GaussLegendre) and sampling.nlon == "octahedral"
    order = 4 if octahedral else int(sampling.nlon or 2 * sampling.nlat)
    # the largest subgroup of turns that leaves room for the mirrors
    order = max(
        divisor
        for divisor in range(1, order + 1)
        if order % divisor == 0 and (divisor == 1 or 4 * divisor <= limit)
    )
    mirrors = [np.diag([1.0, -1.0, 1.0])]
    if isinstance(sampling, GaussLegendre) or sampling.poles in (0, 2):
        mirrors.append(np.diag([1.0, 1.0, -1.0]))
    return [_turn([0, 0, 1], order), *mirrors]


def _turn(axis: list[int] | Float[np.ndarray, "3"], order: int) -> Float[np.ndarray, "3 3"]:
    """Rotation by a fraction of a full turn about an axis (Rodrigues' formula)."""
    x, y, z = np.asarray(axis) / np.linalg.norm(axis)
    angle = 2 * np.pi / order
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross


def _words(generators: list[Float[np.ndarray, "3 3"]]) -> list[tuple[int, int]]:
    """The elements of a group, each as a generator applied after an element before it.

    Element 0 is the identity, whose entry means nothing.
    """
    matrices, words = [np.eye(3)], [(-1, -1)]
    known = {_key(matrices[0])}
    for before, matrix in enumerate(matrices):  # grows as it goes
        for step, generator in enumerate(generators):
            product = generator @ matrix
            if _key(product) not in known:
                known.add(_key(product))
                matrices.append(product)
                words.append((step, before))
    return words


def _key(matrix: Float[np.ndarray, "3 3"]) -> tuple[int, ...]:
    """A hashable approximation of a matrix; + 0 makes minus zero zero."""
    return tuple(int(entry) for entry in np.rint(matrix.ravel() * 1e6))
