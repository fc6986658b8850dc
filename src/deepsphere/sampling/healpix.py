"""HEALPix: equal-area pixels on rings of latitude, in a quad-tree of twelve base pixels."""

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal

import healpix
import numpy as np
from jaxtyping import Int
from scipy.sparse import csr_matrix

from deepsphere.geometry import Pixels
from deepsphere.sampling.arrays import Array
from deepsphere.sampling.checks import as_integer, is_power_of_two, nearest_power_of_two
from deepsphere.sampling.healpix_faces import face_numberings, split_cells
from deepsphere.sampling.protocol import Sampling, read_only

Ordering = Literal["nested", "ring"]

MAX_NSIDE = 8192  # 805 million pixels, whose points alone take 19 GB


@dataclass(frozen=True, init=False, repr=False)
class Healpix(Sampling):
    """Centers of the 12 nside² HEALPix pixels, all of the same area π / (3 nside²).

    Parameters
    ----------
    nside
        Divisions of the edge of a base pixel. Any integer from 1 makes a RING sampling; the NESTED
        order and coarsening need a power of two.
    ordering
        ``"nested"``: the four children of pixel i are 4i .. 4i + 3. ``"ring"``: from north to south
        along the rings.
    order, level, depth
        Other words for log2(nside), given instead of nside.
    resolution
        Another word for nside.
    nest
        Another way to say the ordering: true for nested, false for ring.

    Raises
    ------
    ValueError
        If the size is given not at all or twice, is out of range, or is not a power of two in the
        NESTED order; if the ordering is unknown or contradicts nest.

    Examples
    --------
    >>> sampling = Healpix(nside=32)
    >>> sampling.num_vertices, sampling.coarsen()
    (12288, Healpix(nside=16, ordering='nested'))
    >>> Healpix(order=5) == sampling
    True

    References
    ----------
    Gorski et al. (2005), HEALPix, ApJ 622, section 5.
    """

    nside: int
    ordering: Ordering

    kind: ClassVar[str] = "healpix"
    quasi_uniform: ClassVar[bool] = True

    def __init__(
        self,
        nside: int | None = None,
        *,
        ordering: Ordering | None = None,
        order: int | None = None,
        level: int | None = None,
        depth: int | None = None,
        nest: bool | None = None,
        resolution: int | None = None,
    ) -> None:
        nside = _resolve_nside(
            {"nside": nside, "resolution": resolution},
            {"order": order, "level": level, "depth": depth},
        )
        ordering = _resolve_ordering(ordering, nest)
        if ordering == "nested" and not is_power_of_two(nside):
            raise ValueError(
                f"nside must be a power of two in the nested ordering, got {nside}; "
                f"use nside={nearest_power_of_two(nside)} or ordering='ring'"
            )
        object.__setattr__(self, "nside", nside)
        object.__setattr__(self, "ordering", ordering)

    def __repr__(self) -> str:
        return f"Healpix(nside={self.nside}, ordering={self.ordering!r})"

    @property
    def order(self) -> int:
        """log2(nside).

        Raises
        ------
        ValueError
            If nside is not a power of two.
        """
        if not is_power_of_two(self.nside):
            raise ValueError(
                f"nside must be a power of two to have an order, got {self.nside}; "
                f"use nside={nearest_power_of_two(self.nside)}"
            )
        return self.nside.bit_length() - 1

    @property
    def num_vertices(self) -> int:
        """Number of pixels, 12 nside²."""
        return 12 * self.nside**2

    def coarsen(self) -> "Healpix":
        """Sampling of the parent pixels, in the same ordering.

        Raises
        ------
        ValueError
            If nside is 1 or not a power of two.
        """
        if self.nside == 1 or not is_power_of_two(self.nside):
            remedy = (
                "the 12 base pixels have no parents; use fewer levels or a larger nside"
                if self.nside == 1
                else f"use nside={nearest_power_of_two(self.nside)}"
            )
            raise ValueError(
                f"nside must be a power of two, at least 2, to be coarsened, "
                f"got {self.nside}; {remedy}"
            )
        return Healpix(self.nside // 2, ordering=self.ordering)

    def membership(self) -> csr_matrix:
        """Matrix (coarse vertices, vertices) with a 1 at the parent of each pixel.

        Raises
        ------
        ValueError
            If nside is 1 or not a power of two.
        """
        return self._membership_at(np.arange(self.num_vertices))

    def cells(self) -> Pixels:
        """The pixels with their true borders."""
        rings = np.arange(self.num_vertices)
        if self.ordering == "nested":
            rings = healpix.nest2ring(self.nside, rings)
        face, y, x = split_cells(face_numberings(self.nside)[1][rings], self.nside)
        return Pixels(self.nside, face, x, y)

    def reorder(self, signals: Array, to: Ordering, *, axis: int = -2) -> Array:
        """Signals of this sampling in another order of the pixels.

        Parameters
        ----------
        signals
            numpy array or torch tensor whose pixels are in the order of this sampling.
        to
            The order wanted; signals already in it are returned as they are.
        axis
            The axis of the pixels; by default (*batch, vertices, channels).

        Returns
        -------
        Signals of the same kind and shape.

        Raises
        ------
        ValueError
            If the order is unknown, nside is not a power of two, or the axis has another length.

        Examples
        --------
        >>> Healpix(2, ordering="ring").reorder(np.arange(48), "nested", axis=0)[:4].tolist()
        [13, 5, 4, 0]
        """
        if to not in ("nested", "ring"):
            raise ValueError(f"to must be 'nested' or 'ring', got {to!r}")
        shape = tuple(signals.shape)
        if not -len(shape) <= axis < len(shape) or shape[axis] != self.num_vertices:
            raise ValueError(
                f"signals must have {self.num_vertices} pixels on axis {axis}, "
                f"got the shape {shape}"
            )
        if to == self.ordering:
            return signals
        # a copy, because torch warns of indices that are read-only
        index = (ring_to_nested if to == "ring" else nested_to_ring)(self.nside).copy()
        before = (slice(None),) * (axis % len(shape))
        return signals[(*before, index)]

    def _compute_points(self) -> np.ndarray:
        return self._points_at(np.arange(self.num_vertices))

    def _compute_areas(self) -> np.ndarray:
        return np.full(self.num_vertices, 4 * np.pi / self.num_vertices)

    def _points_at(self, indices: np.ndarray) -> np.ndarray:
        points = np.empty((len(indices), 3))
        # in pieces: the library returns three more arrays of the same size
        for start in range(0, len(indices), 1 << 20):
            piece = slice(start, start + (1 << 20))
            x, y, z = healpix.pix2vec(self.nside, indices[piece], nest=self.ordering == "nested")
            points[piece, 0], points[piece, 1], points[piece, 2] = x, y, z
        return points

    def _areas_at(self, indices: np.ndarray) -> np.ndarray:
        return np.full(len(indices), 4 * np.pi / self.num_vertices)

    def _membership_at(self, indices: np.ndarray) -> csr_matrix:
        coarse = self.coarsen()
        if self.ordering == "nested":
            parent = indices // 4
        else:
            parent = healpix.ring2nest(self.nside, indices) // 4
            parent = healpix.nest2ring(coarse.nside, parent)
        columns = csr_matrix(
            (np.ones(len(indices)), parent, np.arange(len(indices) + 1)),
            shape=(len(indices), coarse.num_vertices),
        )
        return columns.T.tocsr()


def ring_to_nested(nside: int) -> Int[np.ndarray, "vertices"]:
    """NESTED index of every pixel in RING order.

    Parameters
    ----------
    nside
        A power of two.

    Returns
    -------
    Read-only indices: pixel i of the RING order is pixel ``ring_to_nested(nside)[i]`` of the NESTED
    order, so that ``ring_signal = nested_signal[..., ring_to_nested(nside), :]``.

    Raises
    ------
    ValueError
        If nside is not a power of two.

    Examples
    --------
    >>> ring_to_nested(2)[:4].tolist()
    [3, 7, 11, 15]
    """
    return _permutation(Healpix(nside).nside, "ring")


def nested_to_ring(nside: int) -> Int[np.ndarray, "vertices"]:
    """RING index of every pixel in NESTED order.

    Parameters
    ----------
    nside
        A power of two.

    Returns
    -------
    Read-only indices: pixel i of the NESTED order is pixel ``nested_to_ring(nside)[i]`` of the RING
    order, so that ``nested_signal = ring_signal[..., nested_to_ring(nside), :]``.

    Raises
    ------
    ValueError
        If nside is not a power of two.

    Examples
    --------
    >>> nested_to_ring(2)[:4].tolist()
    [13, 5, 4, 0]
    """
    return _permutation(Healpix(nside).nside, "nested")


@lru_cache(maxsize=8)
def _permutation(nside: int, of: Ordering) -> np.ndarray:
    """Index in the other ordering of every pixel of an ordering."""
    convert = healpix.ring2nest if of == "ring" else healpix.nest2ring
    return read_only(np.asarray(convert(nside, np.arange(12 * nside**2)), np.int64))


def _resolve_nside(sizes: dict[str, object], orders: dict[str, object]) -> int:
    """Nside from exactly one of its synonyms."""
    given = {k: v for k, v in (sizes | orders).items() if v is not None}
    if len(given) != 1:
        received = ", ".join(f"{k}={v}" for k, v in given.items()) or "none of them"
        raise ValueError(
            "the size must be given exactly once, as nside (or resolution) or as its logarithm "
            f"order (or level or depth), got {received}; use Healpix(nside=32)"
        )
    ((name, value),) = given.items()
    if name in sizes:
        return as_integer(name, value, at_least=1, at_most=MAX_NSIDE)
    return 2 ** as_integer(name, value, at_least=0, at_most=MAX_NSIDE.bit_length() - 1)


def _resolve_ordering(ordering: str | None, nest: object) -> Ordering:
    """Ordering from its own word or from the flag of other libraries."""
    if ordering not in (None, "nested", "ring"):
        raise ValueError(f"ordering must be 'nested' or 'ring', got {ordering!r}")
    if nest is not None and not isinstance(nest, bool | np.bool_):
        raise ValueError(f"nest must be True or False, got {nest!r}; or write ordering='ring'")
    flagged = None if nest is None else "nested" if nest else "ring"
    if ordering and flagged and ordering != flagged:
        raise ValueError(f"ordering={ordering!r} contradicts nest={nest}; give one of them")
    return ordering or flagged or "nested"
