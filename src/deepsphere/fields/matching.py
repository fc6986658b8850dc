"""Which vertices of one sampling are those of another."""

import numpy as np
from jaxtyping import Int
from scipy.spatial import KDTree

from deepsphere.sampling import Sampling

# Coordinates of files are rounded: points within this part of the spacing are the same.
SHARE_OF_SPACING = 0.02


def matching_vertices(wanted: Sampling, given: Sampling) -> Int[np.ndarray, "wanted"] | None:
    """Vertex of a sampling that lies where each of another one does.

    Parameters
    ----------
    wanted
        Whose vertices are looked for.
    given
        Among whose vertices.

    Returns
    -------
    ndarray or None
        Index in `given` for each vertex of `wanted`; None unless all are there.

    Examples
    --------
    >>> from deepsphere.sampling import Healpix
    >>> matching_vertices(Healpix(2).subset(np.array([7, 3])), Healpix(2)).tolist()
    [7, 3]
    >>> matching_vertices(Healpix(2), Healpix(4)) is None
    True
    """
    if wanted == given:
        return np.arange(wanted.num_vertices)
    if wanted.num_vertices > given.num_vertices:
        return None
    reach = SHARE_OF_SPACING * np.sqrt(wanted.areas)
    distance, index = KDTree(given.points).query(wanted.points)
    index = np.asarray(index)
    if (np.asarray(distance) > reach).any() or len(np.unique(index)) < len(index):
        return None
    return index


def how_far(wanted: Sampling, given: Sampling) -> str:
    """What two samplings that do not match are, and by how much, for a message.

    Parameters
    ----------
    wanted, given
        As for :func:`matching_vertices`.

    Returns
    -------
    str

    Examples
    --------
    >>> from deepsphere.sampling import Equiangular
    >>> how_far(Equiangular(2, 4), Equiangular(3, 4)).split(" degrees")[0]
    'Equiangular(nlat=3, nlon=4, poles=0), whose vertices are up to 15'
    """
    distance = np.asarray(KDTree(given.points).query(wanted.points)[0])
    return (
        f"{given!r}, whose vertices are up to {np.rad2deg(distance.max()):.2g} degrees away from "
        f"those of {wanted!r}"
    )
