"""Edge weights as functions of the distance between neighbors, and the widths of their kernels."""

import math

import numpy as np
from scipy.sparse import csr_matrix

from deepsphere.sampling import Healpix, Sampling

# Edges whose weights are computed at once: what lies between stays in the cache.
_CHUNK = 2**16

# Published widths s of the kernel exp(-ln 2 d²/s²), found by search for HEALPix: the value for each
# number of neighbors, then each nside (Defferrard et al. 2020, section 3; protocol of PyGSP, whose
# entries from 512 on for 40 and 60 neighbors are halvings of those for 256).
HEALPIX_KERNEL_SCALES = {
    8: {32: 0.02500, 64: 0.01228, 128: 0.00614, 256: 0.00307, 512: 0.00154, 1024: 0.00077},
    20: {32: 0.03185, 64: 0.01564, 128: 0.00782, 256: 0.00391, 512: 0.00196, 1024: 0.00098},
    40: {
        32: 0.042432,
        64: 0.021354,
        128: 0.010595,
        256: 0.005551,
        512: 0.0027755,
        1024: 0.00138775,
    },
    60: {
        32: 0.051720,
        64: 0.025403,
        128: 0.012695,
        256: 0.006351,
        512: 0.0031755,
        1024: 0.00158775,
    },
}


def gaussian_weights(distances: csr_matrix, kernel_width: float) -> csr_matrix:
    """Edge weights that fall as a Gaussian of the distance: w = exp(-d² / 4t).

    This is the heat kernel of the plane at time t, up to a factor, so that the graph Laplacian
    tends to the Laplacian of the sphere as vertices are added and t goes to 0.

    Parameters
    ----------
    distances
        Chord distances of the edges.
    kernel_width
        t, squared radians, positive.

    Returns
    -------
    csr_matrix
        Weights in (0, 1] on the same edges, without those which are too long for a double
        (d² > 2980 t), whose weight is zero.

    Examples
    --------
    >>> gaussian_weights(csr_matrix([[0.0, 0.2], [0.2, 0.0]]), kernel_width=0.01).data
    array([0.36787944, 0.36787944])

    References
    ----------
    Defferrard, Milani, Gusset and Perraudin, 2020, DeepSphere: a graph-based spherical CNN, eq. 3.
    """
    return gaussian_weights_in_place(distances.copy(), kernel_width)


def gaussian_weights_in_place(distances: csr_matrix, kernel_width: float) -> csr_matrix:
    """`gaussian_weights` in the memory of the distances, which are lost: for millions of vertices.

    Parameters
    ----------
    distances
        Chord distances of the edges; overwritten.
    kernel_width
        t, squared radians, positive.

    Returns
    -------
    csr_matrix
        The argument.

    Examples
    --------
    >>> gaussian_weights_in_place(csr_matrix([[0.0, 0.2], [0.2, 0.0]]), kernel_width=0.01).data
    array([0.36787944, 0.36787944])
    """
    for start in range(0, distances.nnz, _CHUNK):
        part = distances.data[start : start + _CHUNK]
        np.exp(-(part**2) / (4.0 * kernel_width), out=part)
    distances.eliminate_zeros()
    return distances


def inverse_distance_weights(distances: csr_matrix) -> csr_matrix:
    """Edge weights w = 1/d.

    Parameters
    ----------
    distances
        Chord distances of the edges.

    Returns
    -------
    csr_matrix
        Weights of at least 1/2 on the same edges.

    Examples
    --------
    >>> inverse_distance_weights(csr_matrix([[0.0, 0.2], [0.2, 0.0]])).data
    array([5., 5.])

    References
    ----------
    Khasanova and Frossard, 2017, Graph-based classification of omnidirectional images, eq. 6.
    """
    weights = distances.copy()
    weights.data = np.reciprocal(distances.data)
    return weights


def unit_weights(distances: csr_matrix) -> csr_matrix:
    """Edge weights w = 1.

    Parameters
    ----------
    distances
        Chord distances of the edges.

    Returns
    -------
    csr_matrix
        Ones on the same edges.

    Examples
    --------
    >>> unit_weights(csr_matrix([[0.0, 0.2], [0.2, 0.0]])).data
    array([1., 1.])
    """
    weights = distances.copy()
    weights.data = np.ones_like(distances.data)
    return weights


def tuned_kernel_width(sampling: Sampling, num_neighbors: int) -> float:
    """The width t of the Gaussian kernel tuned for the equivariance of the nearest-neighbor graph.

    On HEALPix with 8, 20, 40 or 60 neighbors it is the published value; below nside 32 the one of
    nside 32 scaled with the distance between pixels, above nside 1024 likewise. Otherwise it is
    t = (1.6 + 0.14 k) / n, which meets the published values within a few percent and fits any
    sampling whose vertices are spread evenly.

    Parameters
    ----------
    sampling
        A quasi-uniform sampling of n vertices (the whole sphere).
    num_neighbors
        k, at least 1.

    Returns
    -------
    float
        t, squared radians.

    Examples
    --------
    >>> from deepsphere.sampling import Healpix
    >>> round(tuned_kernel_width(Healpix(nside=32), 20), 7)
    0.0003659

    References
    ----------
    Defferrard, Milani, Gusset and Perraudin, 2020, DeepSphere: a graph-based spherical CNN, section
    3 and appendix A.
    """
    scales = HEALPIX_KERNEL_SCALES.get(num_neighbors)
    if scales is not None and isinstance(sampling, Healpix):
        nside = sampling.nside
        nearest = min(max(nside, 32), 1024)
        if nearest in scales:
            return kernel_width_from_scale(scales[nearest] * nearest / nside)
    return (1.6 + 0.14 * num_neighbors) / sampling.num_vertices


def mean_distance_kernel_width(distances: csr_matrix) -> float:
    """The width t of the Gaussian kernel whose value is 1/2 at the mean distance of neighbors.

    t = mean(d)² / (4 ln 2): the default of PyGSP, and the width of the published experiments on
    samplings that are not HEALPix.

    Parameters
    ----------
    distances
        Chord distances of the edges, at least one.

    Returns
    -------
    float
        t, squared radians.

    Examples
    --------
    >>> round(mean_distance_kernel_width(csr_matrix([[0.0, 0.2], [0.2, 0.0]])), 6)
    0.014427

    References
    ----------
    Defferrard, Milani, Gusset and Perraudin, 2020, DeepSphere: a graph-based spherical CNN, section
    4 ("the kernel width is set to the average of the distances").
    """
    return kernel_width_from_scale(float(distances.data.mean()))


def kernel_width_from_scale(scale: float) -> float:
    """The t for which exp(-d²/4t) is 1/2 at the distance `scale` (PyGSP's ``kernel_width``).

    t = scale² / (4 ln 2).

    Parameters
    ----------
    scale
        Chord distance, positive.

    Returns
    -------
    float
        t, squared radians.

    Examples
    --------
    >>> round(kernel_width_from_scale(0.025), 7)
    0.0002254
    """
    return scale**2 / (4.0 * math.log(2.0))
