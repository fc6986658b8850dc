"""Equal parts of a HEALPix sphere: runs of the NESTED order, all alike."""

import numpy as np
from jaxtyping import Shaped

from deepsphere.sampling.checks import as_integer, is_power_of_two
from deepsphere.sampling.healpix import Healpix
from deepsphere.sampling.subset import Subset


def num_patches(order: int) -> int:
    """Number of patches of a whole sphere: 12 order², and 1 of order 0.

    Parameters
    ----------
    order
        Patches along the edge of a base pixel, a power of two; 0 for the whole sphere as one patch.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If the order is neither 0 nor a power of two.

    Examples
    --------
    >>> [num_patches(order) for order in (0, 1, 2, 4)]
    [1, 12, 48, 192]
    """
    return 12 * _as_order(order) ** 2 or 1


def patch_sampling(nside: int, order: int) -> Healpix | Subset:
    """The pixels of the first patch, or of the whole sphere for order 0.

    Patches are the 12 order² blocks of (nside / order)² pixels that follow each other in the
    NESTED order: the base pixels of order 1, their quarters of order 2, and so on. Signals of all
    of them are given to networks on the first: seen in a base pixel, from corner to corner, they
    have the same neighbors, while the shapes of the pixels differ a little with latitude.

    Parameters
    ----------
    nside
        Of the sphere, a power of two.
    order
        Patches along the edge of a base pixel: 0, or a power of two up to nside.

    Returns
    -------
    Healpix or Subset
        In the NESTED order.

    Raises
    ------
    ValueError
        If nside is not a power of two, or the order neither 0 nor a power of two up to nside.

    Examples
    --------
    >>> patch_sampling(64, 2)
    Subset(Healpix(nside=64, ordering='nested'), 1024 of 49152 vertices)
    >>> patch_sampling(64, 0)
    Healpix(nside=64, ordering='nested')

    References
    ----------
    Perraudin, Defferrard, Kacprzak and Sgier, "DeepSphere: efficient spherical convolutional
    neural network with HEALPix sampling for cosmological applications", 2019, section 3.2.
    """
    sampling = Healpix(nside)
    if order == 0:
        return sampling
    return sampling.subset(np.arange(num_patch_pixels(nside, order)))


def num_patch_pixels(nside: int, order: int) -> int:
    """Number of pixels of a patch.

    Parameters
    ----------
    nside
        Of the sphere, a power of two.
    order
        0, or a power of two up to nside.

    Returns
    -------
    int

    Raises
    ------
    ValueError
        If nside is not a power of two, or the order neither 0 nor a power of two up to nside.

    Examples
    --------
    >>> num_patch_pixels(1024, 1), num_patch_pixels(1024, 4)
    (1048576, 65536)
    """
    sampling = Healpix(nside)
    if _as_order(order) > sampling.nside:
        raise ValueError(
            f"order must be at most nside ({sampling.nside}), got {order}; "
            "a patch has at least one pixel"
        )
    return sampling.num_vertices // num_patches(order)


def patch_slice(nside: int, order: int, index: int) -> slice:
    """Where the pixels of a patch stand in a map in NESTED order.

    Parameters
    ----------
    nside
        Of the map, a power of two.
    order
        0, or a power of two up to nside.
    index
        Of the patch, from 0.

    Returns
    -------
    slice

    Raises
    ------
    ValueError
        If nside is not a power of two, the order neither 0 nor a power of two up to nside, or
        there is no such patch.

    Examples
    --------
    >>> patch_slice(64, 1, 11)
    slice(45056, 49152, None)
    """
    size = num_patch_pixels(nside, order)
    first = size * as_integer("index", index, at_least=0, at_most=num_patches(order) - 1)
    return slice(first, first + size)


def cut_patches(
    signals: Shaped[np.ndarray, "*batch pixels channels"], order: int
) -> Shaped[np.ndarray, "*batch patches vertices channels"]:
    """All patches of maps in NESTED order.

    Parameters
    ----------
    signals
        Maps of the whole sphere, (*batch, 12 nside², channels), nside a power of two.
    order
        0, or a power of two up to nside.

    Returns
    -------
    Shaped[np.ndarray, "*batch patches vertices channels"]
        A view where the maps are contiguous.

    Raises
    ------
    ValueError
        If these are no maps of the whole sphere, or the order is neither 0 nor a power of two up
        to nside.

    Examples
    --------
    >>> cut_patches(np.arange(48)[:, None], 1)[:2, :, 0].tolist()
    [[0, 1, 2, 3], [4, 5, 6, 7]]
    """
    num_pixels = signals.shape[-2] if signals.ndim >= 2 else 0
    nside = round((num_pixels / 12) ** 0.5)
    if not nside or 12 * nside**2 != num_pixels or not is_power_of_two(nside):
        raise ValueError(
            "signals must have the shape (..., 12 nside² pixels, channels) with nside a power of "
            f"two, got {signals.shape}; add an axis for the channels if there is none"
        )
    size = num_patch_pixels(nside, order)
    shape = (*signals.shape[:-2], num_pixels // size, size, signals.shape[-1])
    return signals.reshape(shape)


def _as_order(order: int) -> int:
    """The order, checked."""
    order = as_integer("order", order, at_least=0)
    if not is_power_of_two(order):
        raise ValueError(
            f"order must be 0 (the whole sphere) or a power of two (12 order² patches), got {order}"
        )
    return order
