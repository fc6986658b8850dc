"""Rotations of whole HEALPix maps by any angle, with bilinear interpolation."""

from functools import lru_cache
from typing import NamedTuple

import healpix
import numpy as np
from jaxtyping import Float, Int

from deepsphere.sampling import Healpix, Sampling, ring_to_nested
from deepsphere.sampling.protocol import read_only

# Points that are interpolated at once: their arrays stay in the cache of the processor.
_POINTS_PER_PIECE = 2**14


def rotate_maps(
    maps: Float[np.ndarray, "maps vertices channels"],
    sampling: Sampling,
    rotations: Float[np.ndarray, "maps 3 3"],
) -> Float[np.ndarray, "maps vertices channels"]:
    """Maps of the whole sphere, each turned by a rotation of its own and resampled.

    (R f)(x) = f(Rᵀ x), interpolated between the four pixels around Rᵀ x: linearly in longitude on
    the ring above and on the ring below, then linearly in colatitude.

    Interpolation smooths. On average over rotations it leaves the following part of the angular
    power spectrum, measured on Gaussian maps:

    ==========  =======  =======  =====  =========  =======
    degree l    nside/4  nside/2  nside  3 nside/2  2 nside
    ==========  =======  =======  =====  =========  =======
    power kept  .99      .95      .81    .63        .44
    ==========  =======  =======  =====  =========  =======

    so that maps which were rotated should be compared with maps which were rotated too. Close to
    the poles, where rings have few pixels, it errs by up to .24 / nside times the gradient. The 16
    symmetries of `MapSymmetries` lose nothing; rotations in harmonic space
    (`healpy.Rotator.rotate_map_alms`) lose little of what is band-limited, and take long.

    Parameters
    ----------
    maps
        Shape (maps, vertices, channels).
    sampling
        `Healpix`, in either ordering.
    rotations
        Active rotation matrices.

    Returns
    -------
    Float[np.ndarray, "maps vertices channels"]
        Of the dtype of the maps.

    Raises
    ------
    ValueError
        If the sampling is not a whole HEALPix sphere, the maps are not on it, or the rotations
        are not as many as the maps or no rotations.

    Examples
    --------
    >>> from deepsphere.geometry import rotation_zyz
    >>> z = Healpix(16).points[None, :, 2:]
    >>> eastward = rotation_zyz(0.0, np.pi / 2, 0.0)  # takes the z axis to the x axis
    >>> x = rotate_maps(z, Healpix(16), eastward[None])
    >>> bool(np.abs(x[0, :, 0] - Healpix(16).points[:, 0]).max() < 0.01)
    True
    """
    if not isinstance(sampling, Healpix):
        raise ValueError(
            f"sampling must be a whole HEALPix sphere, got {sampling!r}; "
            "use deepsphere.graph.transfer.transfer_matrix for others"
        )
    if maps.ndim != 3 or maps.shape[1] != sampling.num_vertices:
        raise ValueError(
            f"maps must have the shape (maps, {sampling.num_vertices} vertices, channels), "
            f"got {maps.shape}"
        )
    check_rotations(rotations, num=len(maps))
    nested = sampling.reorder(maps, "nested")
    pixels = np.arange(sampling.num_vertices)
    rotated = np.empty_like(nested)
    for signal, rotation, out in zip(nested, rotations, rotated, strict=True):
        out[:] = rotated_values(signal, rotation, pixels)
    return Healpix(sampling.nside).reorder(rotated, sampling.ordering)


def rotated_values(
    signal: Float[np.ndarray, "vertices channels"],
    rotation: Float[np.ndarray, "3 3"],
    pixels: Int[np.ndarray, "pixels"],
) -> Float[np.ndarray, "pixels channels"]:
    """Some pixels of a rotated map, at a cost proportional to their number.

    Parameters
    ----------
    signal
        Whole map in NESTED order.
    rotation
        Active rotation matrix R.
    pixels
        NESTED indices of the pixels of R f that are wanted.

    Returns
    -------
    Float[np.ndarray, "pixels channels"]
        As of `rotate_maps`.
    """
    nside = round((len(signal) / 12) ** 0.5)
    values = np.empty((len(pixels), signal.shape[1]), signal.dtype)
    for start in range(0, len(pixels), _POINTS_PER_PIECE):
        piece = slice(start, start + _POINTS_PER_PIECE)
        points = np.stack(healpix.pix2vec(nside, pixels[piece], nest=True), axis=1)
        corners, weights = bilinear_weights(nside, points @ rotation)  # rows (Rᵀ x)ᵀ = xᵀ R
        weights = weights.astype(signal.dtype)
        total = weights[:, :1] * signal[corners[:, 0]]
        for corner in (1, 2, 3):
            total += weights[:, corner, None] * signal[corners[:, corner]]
        values[piece] = total
    return values


def bilinear_weights(
    nside: int, points: Float[np.ndarray, "points 3"]
) -> tuple[Int[np.ndarray, "points 4"], Float[np.ndarray, "points 4"]]:
    """The four pixels around each point, and the part that each of them has in its value.

    Beyond the first and the last ring the pole takes the place of the other ring, with the mean
    of the four pixels around it.

    Parameters
    ----------
    nside
        A power of two.
    points
        Unit vectors.

    Returns
    -------
    pixels : Int[np.ndarray, "points 4"]
        NESTED indices.
    weights : Float[np.ndarray, "points 4"]
        Not negative, in rows that sum to one.

    References
    ----------
    Górski et al. (2005), HEALPix, ApJ 622, section 5; the interpolation is that of
    `healpy.get_interp_weights`.
    """
    rings = _ring_geometry(nside)
    x, y, z = points.T
    colatitude = np.arctan2(np.hypot(x, y), z)
    turns = np.arctan2(y, x) / (2 * np.pi) % 1.0
    above = _ring_above(nside, z)
    gap = rings.colatitude[above + 1] - rings.colatitude[above]
    downward = np.clip((colatitude - rings.colatitude[above]) / gap, 0.0, 1.0)
    ring_pixels = np.empty((len(points), 4), np.int64)
    weights = np.empty((len(points), 4))
    for column, ring, share in ((0, above, 1 - downward), (2, above + 1, downward)):
        count = rings.num_pixels[ring]
        place = turns * count - rings.shift[ring]
        left = np.floor(place)
        eastward = place - left
        west = left.astype(np.int64) % count
        ring_pixels[:, column] = rings.start[ring] + west
        ring_pixels[:, column + 1] = rings.start[ring] + (west + 1) % count
        weights[:, column] = share * (1 - eastward)
        weights[:, column + 1] = share * eastward
    for ring, pole, other in (
        (0, slice(0, 2), slice(2, 4)),
        (4 * nside - 1, slice(2, 4), slice(2)),
    ):
        at_pole = np.flatnonzero(above == ring)
        # the four pixels around the pole: two are there already, the others are opposite
        near = ring_pixels[at_pole, other]
        ring_pixels[at_pole, pole] = near - near % 4 + (near + 2) % 4
        quarter = weights[at_pole, pole].sum(axis=1, keepdims=True) / 4
        weights[at_pole, pole] = quarter
        weights[at_pole, other] += quarter
    return ring_to_nested(nside)[ring_pixels], weights


def check_rotations(rotations: Float[np.ndarray, "..."], *, num: int) -> None:
    """Raise unless these are rotation matrices, as many as there are maps.

    Parameters
    ----------
    rotations
        Of any shape.
    num
        Number of maps.

    Raises
    ------
    ValueError
        If a shape does not fit, or a matrix is not orthogonal or reflects.
    """
    if rotations.shape != (num, 3, 3):
        raise ValueError(
            f"rotations must have the shape ({num}, 3, 3), one for each map, got {rotations.shape}"
        )
    products = rotations @ rotations.transpose(0, 2, 1)
    if not np.allclose(products, np.eye(3), atol=1e-6) or (np.linalg.det(rotations) < 0).any():
        raise ValueError(
            "rotations must be orthogonal matrices of determinant 1, got others; "
            "make them with deepsphere.geometry.random_rotations or rotation_zyz"
        )


class _Rings(NamedTuple):
    """The rings from north to south, between the two poles as rings 0 and 4 nside."""

    colatitude: Float[np.ndarray, "rings"]
    num_pixels: Int[np.ndarray, "rings"]
    start: Int[np.ndarray, "rings"]
    """RING index of the first pixel."""
    shift: Float[np.ndarray, "rings"]
    """Longitude of the first pixel in units of the distance to the next."""


@lru_cache(maxsize=8)
def _ring_geometry(nside: int) -> _Rings:
    """Where the rings of a HEALPix sphere are."""
    ring = np.arange(4 * nside + 1)
    to_pole = np.minimum(ring, 4 * nside - ring)
    in_cap = to_pole < nside
    # 1 - cos = 2 sin² of the half angle: precise near the poles
    polar = 2 * np.arcsin(np.minimum(to_pole / nside, 1) / np.sqrt(6))
    polar = np.where(ring < 2 * nside, polar, np.pi - polar)
    equatorial = np.arccos(np.clip((2 * nside - ring) * 2 / (3 * nside), -1, 1))
    count = 4 * np.clip(to_pole, 1, nside)
    start = np.concatenate([[0, 0], np.cumsum(count[1:-1])])
    start[-1] = 12 * nside**2 - 4
    shift = np.where(in_cap | ((ring + nside) % 2 == 0), 0.5, 0.0)
    colatitude = np.where(in_cap, polar, equatorial)
    return _Rings(*map(read_only, (colatitude, count, start, shift)))


def _ring_above(nside: int, z: Float[np.ndarray, "points"]) -> Int[np.ndarray, "points"]:
    """The last ring that is not south of each height; 0 north of them all."""
    to_pole = nside * np.sqrt(3 * (1 - np.abs(z)))
    cap = np.where(z > 0, np.floor(to_pole), 4 * nside - 1 - np.floor(to_pole))
    belt = np.floor(nside * (2 - 1.5 * z))
    ring = np.where(np.abs(z) <= 2 / 3, belt, cap).astype(np.int64)
    return np.clip(ring, 0, 4 * nside - 1)
