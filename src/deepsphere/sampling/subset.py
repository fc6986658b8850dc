"""Parts of a sampling: a mask or a list of its vertices."""

import hashlib
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped
from scipy.sparse import csr_matrix

from deepsphere.sampling.encoding import decode_array, encode_array
from deepsphere.sampling.protocol import Sampling, read_only
from deepsphere.sampling.scattered import MIN_COARSENED, Scattered

# A part of which the coarser base keeps less than one vertex in so many is not coarsened with it.
_FEWEST_COARSE = 8


@dataclass(frozen=True, init=False, repr=False, eq=False)
class Subset(Sampling):
    """Some vertices of another sampling, in a given order.

    Every kept vertex has the area that it has in the whole, so that the areas sum to less than 4π.

    A coarse vertex stays in `coarsen` where any of its children is kept: nothing that was observed
    is lost, pooling takes the children inside, and the coarse vertex counts as much as it has
    inside (`Pyramid.areas`). Where every coarse vertex should have all of its children, so that
    all of them pool alike (and, in NESTED order, by a reshape), `erode_to_groups` drops the groups
    that are not whole and `grow_to_groups` fills them.

    Parameters
    ----------
    base
        The whole sampling. The subset of a subset is a subset of the same whole.
    selection
        A boolean mask of all vertices of the base, or the indices of those to keep.

    Attributes
    ----------
    base : Sampling
        The whole, never a subset itself.
    indices : numpy.ndarray
        Vertices of the whole, read-only int64.

    Raises
    ------
    ValueError
        If nothing is selected, if a mask has the wrong length, or if an index is out of range or
        repeated.

    Examples
    --------
    >>> from deepsphere.sampling import Healpix
    >>> sampling = Healpix(nside=4)
    >>> north = sampling.subset(sampling.lat > 0)
    >>> north
    Subset(Healpix(nside=4, ordering='nested'), 88 of 192 vertices)
    >>> north.coarsen().num_vertices
    28
    """

    base: Sampling
    indices: np.ndarray
    _digest: bytes

    kind: ClassVar[str] = "subset"
    has_short_form: ClassVar[bool] = False

    def __init__(
        self,
        base: Sampling,
        selection: Bool[np.ndarray, "vertices"] | Int[np.ndarray, "kept"],
    ) -> None:
        indices = _resolve_selection(np.asarray(selection), base.num_vertices)
        if isinstance(base, Subset):
            base, indices = base.base, base.indices[indices]
        object.__setattr__(self, "base", base)
        object.__setattr__(self, "indices", read_only(indices))
        digest = hashlib.blake2b(indices.astype("<i8").tobytes(), digest_size=16).digest()
        object.__setattr__(self, "_digest", digest)

    def __repr__(self) -> str:
        return f"Subset({self.base!r}, {self.num_vertices} of {self.base.num_vertices} vertices)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Subset) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Sampling, bytes]:
        return self.base, self._digest

    @property
    def num_vertices(self) -> int:
        """Number of kept vertices."""
        return len(self.indices)

    @property
    def spec(self) -> str:
        """Printable text from which :func:`sampling_from_spec` rebuilds the sampling."""
        starts = np.flatnonzero(np.diff(self.indices, prepend=-2) != 1)
        lengths = np.diff(starts, append=self.num_vertices)
        return (
            f"subset:base=({self.base.spec}),starts={encode_array(self.indices[starts])},"
            f"lengths={encode_array(lengths)}"
        )

    @classmethod
    def _option_names(cls) -> tuple[list[str], list[str]]:
        names = ["base", "starts", "lengths"]
        return names, names

    @classmethod
    def _from_options(cls, options: dict[str, str]) -> "Subset":
        from deepsphere.sampling.spec import sampling_from_spec

        base = sampling_from_spec(options["base"].removeprefix("(").removesuffix(")"))
        starts, lengths = (decode_array(options[name], np.int64) for name in ("starts", "lengths"))
        if len(starts) != len(lengths) or (lengths < 1).any() or lengths.sum() > base.num_vertices:
            raise ValueError(
                f"the runs of a subset must fit its base of {base.num_vertices} vertices, got "
                f"{len(starts)} starts and {len(lengths)} lengths"
            )
        before = np.cumsum(lengths) - lengths
        return cls(base, np.arange(lengths.sum()) + np.repeat(starts - before, lengths))

    def coarsen(self) -> Sampling:
        """Subset of the coarser base: every coarse vertex that some kept vertex belongs to.

        Scattered points that are denser than the others of their base, as those of a regional
        model, would have hardly any there: of these, a quarter of the kept points.

        Raises
        ------
        ValueError
            If the base has no coarser level.
        """
        coarse = self._kept_coarse(self._base_membership())
        if self._is_thinned(coarse):
            return self._quarter()[0]
        return Subset(self.base.coarsen(), coarse)

    def membership(self) -> csr_matrix:
        """Matrix (coarse vertices, vertices): rows and columns of that of the base.

        Raises
        ------
        ValueError
            If the base has no coarser level.
        """
        whole = self._base_membership()
        coarse = self._kept_coarse(whole)
        return self._quarter()[1] if self._is_thinned(coarse) else csr_matrix(whole[coarse])

    def erode_to_groups(self, num_levels: int) -> "Subset":
        """The vertices whose groups are kept as a whole, in a pyramid of so many levels.

        Parameters
        ----------
        num_levels
            At least 1, which changes nothing. A group is what becomes one vertex of the coarsest
            level: ``4**(num_levels - 1)`` pixels of HEALPix.

        Returns
        -------
        Subset
            In the same order.

        Raises
        ------
        ValueError
            If no group is whole, the base has no so many levels, or its vertices belong to several
            coarse ones at once, as those of an icosahedral sampling.

        Examples
        --------
        >>> from deepsphere.sampling import Healpix
        >>> Healpix(2).subset(np.arange(3, 10)).erode_to_groups(2).indices
        array([4, 5, 6, 7])
        """
        owner, group = self._groups(num_levels)
        is_whole = np.bincount(owner[self.indices], minlength=len(group)) == group
        kept = is_whole[owner[self.indices]]
        if not kept.any():
            raise ValueError(
                f"num_levels must leave a group of which all is kept, got {num_levels} for "
                f"{self!r}; use fewer levels, or grow_to_groups"
            )
        return Subset(self.base, self.indices[kept])

    def grow_to_groups(self, num_levels: int) -> "Subset":
        """All vertices of the groups of which some is kept, in a pyramid of so many levels.

        Signals on them need values where there were none: put zeros, or the mean, there with
        `embed`.

        Parameters
        ----------
        num_levels
            At least 1, as in `erode_to_groups`.

        Returns
        -------
        Subset
            In the order of the base.

        Raises
        ------
        ValueError
            If the base has no so many levels, or its vertices belong to several coarse ones.

        Examples
        --------
        >>> from deepsphere.sampling import Healpix
        >>> Healpix(2).subset(np.arange(3, 6)).grow_to_groups(2).indices
        array([0, 1, 2, 3, 4, 5, 6, 7])
        """
        owner, group = self._groups(num_levels)
        is_touched = np.zeros(len(group), dtype=bool)
        is_touched[owner[self.indices]] = True
        return Subset(self.base, np.flatnonzero(is_touched[owner]))

    def _groups(self, num_levels: int) -> tuple[np.ndarray, np.ndarray]:
        """The coarsest vertex that each vertex of the base belongs to, and the sizes of groups."""
        if num_levels < 1:
            raise ValueError(f"num_levels must be at least 1, got {num_levels}; 1 is no coarsening")
        sampling, owner = self.base, np.arange(self.base.num_vertices)
        for _ in range(num_levels - 1):
            membership = sampling.membership().tocsc()
            if not (np.diff(membership.indptr) == 1).all():
                raise ValueError(
                    "groups must be made of vertices of one coarse vertex each, got "
                    f"{sampling.spec[:60]}, where some belong to several; use a HEALPix sampling"
                )
            owner, sampling = membership.indices[owner], sampling.coarsen()
        return owner, np.bincount(owner, minlength=sampling.num_vertices)

    def embed(
        self, signals: Shaped[np.ndarray, "*batch vertices channels"], *, fill: float = np.nan
    ) -> Float[np.ndarray, "*batch whole channels"]:
        """Signals on the whole sampling that are `fill` outside of the subset.

        Parameters
        ----------
        signals
            Signals on the subset, (*batch, vertices, channels).
        fill
            Value of the vertices outside.

        Returns
        -------
        Signals of shape (*batch, vertices of the base, channels), floating point.

        Raises
        ------
        ValueError
            If the signals have another number of vertices.
        """
        if signals.ndim < 2 or signals.shape[-2] != self.num_vertices:
            raise ValueError(
                f"signals must have the shape (..., {self.num_vertices} vertices, channels), "
                f"got {signals.shape}"
            )
        dtype = np.result_type(signals.dtype, np.float32)
        shape = (*signals.shape[:-2], self.base.num_vertices, signals.shape[-1])
        whole = np.full(shape, fill, dtype)
        whole[..., self.indices, :] = signals
        return whole

    def _is_thinned(self, coarse: Int[np.ndarray, "kept"]) -> bool:
        """Whether so few vertices of the coarser base as these would lose the part."""
        num_kept = len(self.indices)
        dense = len(coarse) * _FEWEST_COARSE < num_kept and num_kept >= MIN_COARSENED
        return dense and isinstance(self.base, Scattered)

    def _quarter(self) -> tuple[Sampling, csr_matrix]:
        from deepsphere.sampling.scattered_regions import quarter_of_part

        return quarter_of_part(self)

    def _base_membership(self) -> csr_matrix:
        return self.base._membership_at(self.indices)

    @staticmethod
    def _kept_coarse(membership: csr_matrix) -> np.ndarray:
        return np.flatnonzero(np.diff(membership.indptr))

    def _compute_points(self) -> np.ndarray:
        return self.base._points_at(self.indices)

    def _compute_areas(self) -> np.ndarray:
        return self.base._areas_at(self.indices)


def _looks_like_mask(selection: np.ndarray, num_vertices: int) -> bool:
    """Whether these are the zeros and ones of a mask, as files hold them: indices are distinct."""
    return (
        2 < len(selection) == num_vertices
        and np.issubdtype(selection.dtype, np.number)
        and bool(np.isin(selection, (0, 1)).all())
    )


def _resolve_selection(selection: np.ndarray, num_vertices: int) -> np.ndarray:
    """Indices of a mask or a list of indices, checked."""
    if selection.ndim != 1:
        raise ValueError(f"a selection must have one axis, got the shape {selection.shape}")
    if selection.dtype == bool:
        if len(selection) != num_vertices:
            raise ValueError(
                f"a mask must have one value for each of the {num_vertices} vertices, "
                f"got {len(selection)}; pass integers to select by index"
            )
        selection = np.flatnonzero(selection)
    if len(selection) == 0:
        raise ValueError("a subset must keep at least one vertex, got an empty selection")
    if _looks_like_mask(selection, num_vertices):
        raise ValueError(
            f"a mask must be boolean, got {selection.dtype} values 0 and 1; use mask.astype(bool)"
        )
    if not np.issubdtype(selection.dtype, np.integer):
        raise ValueError(
            f"a selection must be a boolean mask or integer indices, got {selection.dtype}; "
            "turn weights into a mask by a threshold, as in mask > 0.5"
        )
    outside = selection[(selection < 0) | (selection >= num_vertices)]
    if len(outside):
        raise ValueError(
            f"indices must be between 0 and {num_vertices - 1}, got {outside[0]}"
            + (f" and {len(outside) - 1} more outside" if len(outside) > 1 else "")
        )
    indices = selection.astype(np.int64)
    ordered = np.sort(indices)
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    if len(repeated):
        raise ValueError(f"indices must be distinct, got {repeated[0]} twice; use numpy.unique")
    return indices
