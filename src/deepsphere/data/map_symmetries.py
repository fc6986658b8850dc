"""Rotations and reflections that take HEALPix maps to HEALPix maps exactly, without resampling.

Sixteen rotations and reflections of the sphere take pixels to pixels. Each takes base pixels to
base pixels and, in all of these alike, the four children of a pixel to the children of its image
in one of four ways: as they were, across one diagonal, across the other, or across both. What is
true of children is true of their children, so that the pixels of a patch are rearranged in one of
these four ways too.
"""

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Literal, get_args

import numpy as np
from jaxtyping import Int, Shaped

from deepsphere.graph.symmetry import vertex_permutations
from deepsphere.sampling import Healpix
from deepsphere.sampling.checks import as_integer
from deepsphere.sampling.healpix_patches import num_patch_pixels
from deepsphere.sampling.protocol import read_only

Symmetries = Literal["none", "turns", "flips"]
"""Nothing but the identity; rotations; rotations and reflections."""


@dataclass(frozen=True)
class MapSymmetries:
    """The exact symmetries of HEALPix maps, or what they do to the pixels of one patch.

    ==========  ============  =======
    symmetries  whole sphere  a patch
    ==========  ============  =======
    none        1             1
    turns       8             2
    flips       16            4
    ==========  ============  =======

    A map that is moved by a symmetry and then cut into patches gives the patches of the map, in
    another order, each rearranged in one of the ways that a patch has here: for patches that are
    drawn at random, to rearrange them is to move the maps. Signals whose statistics depend on the
    handedness of the sphere should be turned alone.

    Parameters
    ----------
    nside
        Of the maps, a power of two.
    order
        Of the patches, a power of two up to nside; 0 for the whole sphere.
    symmetries
        "none", "turns" (rotations) or "flips" (rotations and reflections).

    Raises
    ------
    ValueError
        If nside, order or symmetries is not one of these.

    Examples
    --------
    >>> len(MapSymmetries(8, 0, "flips")), len(MapSymmetries(8, 1, "flips"))
    (16, 4)
    >>> MapSymmetries(2, 1, "flips").apply(np.arange(4)[:, None], 1).ravel().tolist()
    [0, 2, 1, 3]
    """

    nside: int
    order: int
    symmetries: Symmetries

    def __post_init__(self) -> None:
        """Check the words and numbers."""
        if self.symmetries not in get_args(Symmetries):
            raise ValueError(
                f"symmetries must be one of {', '.join(get_args(Symmetries))}, "
                f"got {self.symmetries!r}"
            )
        num_patch_pixels(self.nside, self.order)

    def __len__(self) -> int:
        """Number of elements; element 0 is the identity."""
        return len(_elements(self.order == 0, self.symmetries))

    @property
    def num_vertices(self) -> int:
        """Number of pixels that are rearranged."""
        return num_patch_pixels(self.nside, self.order)

    def sources(self, element: int) -> Int[np.ndarray, "vertices"]:
        """The pixel from which each pixel takes its value.

        Parameters
        ----------
        element
            Number of the symmetry, from 0.

        Returns
        -------
        Int[np.ndarray, "vertices"]
            NESTED indices within the map or the patch, read-only.

        Raises
        ------
        ValueError
            If there is no such element.
        """
        number = as_integer("element", element, at_least=0, at_most=len(self) - 1)
        base_pixels, children = _elements(self.order == 0, self.symmetries)[number]
        # element g takes pixel i to p(i), so that pixel p(i) takes its value from pixel i
        back = tuple(np.argsort(children).tolist())
        if self.order > 0:
            return _block(back, self.num_vertices)
        within = _block(back, self.nside**2)
        return read_only((np.argsort(base_pixels)[:, None] * self.nside**2 + within).ravel())

    def apply(
        self, signals: Shaped[np.ndarray, "*batch vertices channels"], element: int
    ) -> Shaped[np.ndarray, "*batch vertices channels"]:
        """Signals that were moved by a symmetry.

        Parameters
        ----------
        signals
            Maps or patches in NESTED order, (*batch, vertices, channels).
        element
            Number of the symmetry, from 0.

        Returns
        -------
        Shaped[np.ndarray, "*batch vertices channels"]
            The same values elsewhere.

        Raises
        ------
        ValueError
            If the signals have another number of pixels, or there is no such element.
        """
        if signals.ndim < 2 or signals.shape[-2] != self.num_vertices:
            raise ValueError(
                f"signals must have the shape (..., {self.num_vertices} vertices, channels), "
                f"got {signals.shape}"
            )
        return signals[..., self.sources(element), :]


_Element = tuple[tuple[int, ...], tuple[int, ...]]


@cache
def _elements(whole_sphere: bool, symmetries: Symmetries) -> tuple[_Element, ...]:
    """Where each symmetry takes the base pixels, and where the children of a pixel.

    For a patch, one for each way in which the children go.
    """
    coarse = Healpix(2)
    found: dict[_Element | tuple[int, ...], _Element] = {}
    for permutation in vertex_permutations(coarse):
        base_pixels = tuple((permutation[::4] // 4).tolist())
        children = tuple((permutation[:4] % 4).tolist())
        matrix = np.linalg.lstsq(coarse.points, coarse.points[permutation], rcond=None)[0]
        if symmetries == "turns" and np.linalg.det(matrix) < 0:
            continue
        element = (base_pixels, children)
        found.setdefault(element if whole_sphere else children, element)
    elements = tuple(found.values())
    return elements[:1] if symmetries == "none" else elements


@lru_cache(maxsize=8)
def _block(children: tuple[int, ...], num_pixels: int) -> Int[np.ndarray, "pixels"]:
    """Where the pixels of a block go if the children of each pixel go one way."""
    pixels = np.zeros(1, np.int64)
    while len(pixels) < num_pixels:
        pixels = (4 * pixels[:, None] + np.array(children)).ravel()
    return read_only(pixels)
