"""Pooling and unpooling between two consecutive levels of a pyramid."""

from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.sparse import csr_matrix
from torch import Tensor, nn

from deepsphere.graph.coarsening import Pyramid
from deepsphere.graph.low_pass import gaussian_pooling_matrix, low_pass_pooling_matrix
from deepsphere.graph.pooling_matrices import (
    adjoint_unpooling_matrix,
    area_unpooling_matrix,
    contiguous_group_size,
    keep_first_matrix,
    mean_pooling_matrix,
    subsampling_matrix,
    unpooling_matrix,
)
from deepsphere.layers.resampling import Resample, check_vertices

PoolName = Literal["mean", "area", "max", "low_pass", "gaussian", "subsample", "keep_first"]
UnpoolName = Literal["copy", "area", "adjoint", "zeros", "pad_ones", "index"]


class Pool(nn.Module):
    r"""Pooling of a signal from one level of a pyramid to the next coarser one.

    ==============  ============================================================================
    ``"mean"``      mean over the children, weighted by their shares
    ``"area"``      the same weighted by the areas too: the mean over the cell
    ``"max"``       maximum over the children
    ``"low_pass"``  mean over the children of the signal low-passed on its graph: anti-aliased,
                    nearly equivariant to rotations (:func:`low_pass_pooling_matrix`)
    ``"gaussian"``  Gaussian average around the coarse vertex (:func:`gaussian_pooling_matrix`)
    ``"subsample"`` value at the fine vertex in the same place, else at the first child
    ``"keep_first"`` values of the first vertices: the icosahedral pooling of the original
    ==============  ============================================================================

    On a part of the sphere only the children inside count. All but the maximum are linear and keep
    constants. Over groups of consecutive children the gradient of a maximum is spread evenly where
    several attain it. There are no parameters, and nothing is saved in a ``state_dict``.

    Parameters
    ----------
    pyramid : Pyramid
    level : int
        The level of the signal, from 0 to ``pyramid.num_levels - 2``; the result is on
        ``level + 1``.
    method : str
        One of the table.

    Examples
    --------
    >>> import deepsphere as ds
    >>> import torch
    >>> pyramid = ds.build_graph(ds.Healpix(nside=4), num_neighbors=8).pyramid(num_levels=2)
    >>> Pool(pyramid, level=0, method="max")(torch.zeros(5, 192, 16)).shape
    torch.Size([5, 48, 16])

    References
    ----------
    Zhang (2019), Making convolutional networks shift-invariant again, for the low-pass.
    """

    def __init__(self, pyramid: Pyramid, level: int, method: PoolName = "mean") -> None:
        super().__init__()
        _check_name(method, get_args(PoolName))
        _check_transition(pyramid, level)
        self.level, self.method = level, method
        self.num_vertices = [graph.num_vertices for graph in pyramid.graphs]
        membership = pyramid.memberships[level]
        if method == "max":
            self.operation: nn.Module = _MaxOverChildren(membership)
        elif method in ("mean", "area"):
            areas = pyramid.areas(level) if method == "area" else None
            self.operation = _make_mean(membership, areas)
        else:
            self.operation = Resample(_pooling_matrix(pyramid, level, method))

    def forward(
        self, x: Float[Tensor, "*batch vertices channels"]
    ) -> Float[Tensor, "*batch coarse_vertices channels"]:
        """The pooled signal.

        Parameters
        ----------
        x : Tensor, shape (*batch, vertices, channels)

        Returns
        -------
        Tensor, shape (*batch, coarse vertices, channels)

        Raises
        ------
        ValueError
            If the signal has another number of vertices.
        """
        check_vertices(x, self.num_vertices, self.level)
        return self.operation(x)

    @property
    def grouping(self) -> tuple[str, int] | None:
        """ "max" or "mean" and the number of vertices, if pooled over groups of as many consecutive
        ones; None for all other poolings.
        """
        if type(self.operation) is _MaxOverChildren and self.operation.group_size is not None:
            return "max", self.operation.group_size
        if type(self.operation) is _MeanOfGroup:
            return "mean", self.operation.size
        return None

    def with_indices(
        self, x: Float[Tensor, "*batch vertices channels"]
    ) -> tuple[
        Float[Tensor, "*batch coarse_vertices channels"],
        Int[Tensor, "*batch coarse_vertices channels"],
    ]:
        """The maxima, and the fine vertices where they are: what ``Unpool(..., "index")`` needs.

        Parameters
        ----------
        x : Tensor, shape (*batch, vertices, channels)

        Returns
        -------
        tuple of Tensor
            Both of shape (*batch, coarse vertices, channels); the indices are int64.

        Raises
        ------
        ValueError
            If the method is not ``"max"``, or if the signal has another number of vertices.
        """
        if not isinstance(self.operation, _MaxOverChildren):
            raise ValueError(
                f"method must be 'max' where indices are wanted, got {self.method!r}; "
                "use Pool(..., method='max') or Unpool(..., method='copy')"
            )
        check_vertices(x, self.num_vertices, self.level)
        return self.operation.with_indices(x)

    def extra_repr(self) -> str:
        """Level and method, in a network's printout."""
        return f"level {self.level} -> {self.level + 1}, method={self.method!r}"


class Unpool(nn.Module):
    r"""Unpooling of a signal from one level of a pyramid to the next finer one.

    ============  ==============================================================================
    ``"copy"``    every child takes its parent's value, or the weighted mean of its parents'
    ``"area"``    the mean of a vertex's parents weighted by their areas; keeps constants
                  (:func:`area_unpooling_matrix`)
    ``"adjoint"`` the copy scaled such that the area integral is kept: the adjoint of area pooling
                  (:func:`adjoint_unpooling_matrix`)
    ``"zeros"``   the value at one child, the one that ``Pool(..., "subsample")`` takes, and zeros
    ``"pad_ones"`` the values at the first vertices, and ones: the icosahedral unpooling of the
                  original, the counterpart of ``Pool(..., "keep_first")``
    ``"index"``   the value where the maximum was, and zeros; where two coarse vertices share the
                  place of their maximum, their mean
    ============  ==============================================================================

    Parameters
    ----------
    pyramid : Pyramid
    level : int
        The level of the result, from 0 to ``pyramid.num_levels - 2``; the signal is on
        ``level + 1``. A network passes the same level to a pooling and to its unpooling.
    method : str
        One of the table.

    Examples
    --------
    >>> import deepsphere as ds
    >>> import torch
    >>> pyramid = ds.build_graph(ds.Healpix(nside=4), num_neighbors=8).pyramid(num_levels=2)
    >>> Unpool(pyramid, level=0)(torch.zeros(5, 48, 16)).shape
    torch.Size([5, 192, 16])
    """

    def __init__(self, pyramid: Pyramid, level: int, method: UnpoolName = "copy") -> None:
        super().__init__()
        _check_name(method, get_args(UnpoolName))
        _check_transition(pyramid, level)
        self.level, self.method = level, method
        self.num_vertices = [graph.num_vertices for graph in pyramid.graphs]
        membership = pyramid.memberships[level]
        size = contiguous_group_size(membership)
        if method == "index":
            self.operation: nn.Module = _ScatterToIndices(self.num_vertices[level])
        elif method == "pad_ones":
            fine, coarse = pyramid.samplings[level : level + 2]
            keep_first_matrix(fine=fine, coarse=coarse)  # refuses samplings of another order
            self.operation = _PadWithOnes(self.num_vertices[level])
        elif method == "copy" and size is not None:
            self.operation = _CopyToGroup(size)
        else:
            self.operation = Resample(_unpooling_matrix(pyramid, level, method))

    def forward(
        self,
        x: Float[Tensor, "*batch coarse_vertices channels"],
        indices: Int[Tensor, "*batch coarse_vertices channels"] | None = None,
    ) -> Float[Tensor, "*batch vertices channels"]:
        """The unpooled signal.

        Parameters
        ----------
        x : Tensor, shape (*batch, coarse vertices, channels)
        indices : Tensor, shape of x
            The fine vertices of the maxima, from :meth:`Pool.with_indices`; for the method
            ``"index"`` alone.

        Returns
        -------
        Tensor, shape (*batch, vertices, channels)

        Raises
        ------
        ValueError
            If the signal has another number of vertices, or if indices are missing or superfluous.
        """
        check_vertices(x, self.num_vertices, self.level + 1)
        if (indices is None) == (self.method == "index"):
            raise ValueError(
                f"indices must be given with method 'index' alone, got "
                f"{'none' if indices is None else 'some'} with {self.method!r}; they come from "
                "Pool(..., method='max').with_indices(x)"
            )
        return self.operation(x) if indices is None else self.operation(x, indices)

    def extra_repr(self) -> str:
        """Level and method, in a network's printout."""
        return f"level {self.level + 1} -> {self.level}, method={self.method!r}"


def _check_name(method: str, valid: tuple[str, ...]) -> None:
    if method not in valid:
        raise ValueError(f"method must be one of {', '.join(valid)}, got {method!r}; choose one")


def _check_transition(pyramid: Pyramid, level: int) -> None:
    """Refuse a level without a coarser one."""
    if pyramid.num_levels < 2:
        raise ValueError(
            "pyramid must have at least 2 levels to pool between, got 1; build it with more levels"
        )
    if not 0 <= level < pyramid.num_levels - 1:
        raise ValueError(
            f"level must be between 0 and {pyramid.num_levels - 2} in a pyramid of "
            f"{pyramid.num_levels} levels, got {level}; it is the finer of the two levels"
        )


def _pooling_matrix(pyramid: Pyramid, level: int, method: PoolName) -> csr_matrix:
    """The matrix of a pooling which is neither a mean nor a maximum over the children."""
    membership = pyramid.memberships[level]
    fine, coarse = pyramid.samplings[level : level + 2]
    if method == "low_pass":
        powers = pyramid.low_pass_powers
        power = None if powers is None else powers[level]
        return low_pass_pooling_matrix(pyramid.graphs[level], membership, power=power)
    if method == "gaussian":
        return gaussian_pooling_matrix(fine, coarse)
    if method == "subsample":
        return subsampling_matrix(membership, fine=fine, coarse=coarse)
    return keep_first_matrix(fine=fine, coarse=coarse)


def _unpooling_matrix(pyramid: Pyramid, level: int, method: UnpoolName) -> csr_matrix:
    """The matrix of a linear unpooling."""
    membership = pyramid.memberships[level]
    fine, coarse = pyramid.samplings[level : level + 2]
    if method == "area":
        return area_unpooling_matrix(membership, coarse_areas=pyramid.areas(level + 1))
    if method == "adjoint":
        areas = {"fine_areas": pyramid.areas(level), "coarse_areas": pyramid.areas(level + 1)}
        return adjoint_unpooling_matrix(membership, **areas)
    if method == "zeros":
        return csr_matrix(subsampling_matrix(membership, fine=fine, coarse=coarse).T)
    return unpooling_matrix(membership)


def _make_mean(membership: csr_matrix, areas: np.ndarray | None) -> nn.Module:
    """The mean over the children, without a sparse product where it is a plain mean of groups."""
    size = contiguous_group_size(membership)
    matrix = mean_pooling_matrix(membership, areas)
    if size is not None and np.allclose(matrix.data, 1 / size, rtol=1e-12, atol=0):
        return _MeanOfGroup(size)
    return Resample(matrix)


class _MeanOfGroup(nn.Module):
    """The mean over consecutive vertices."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        # torch accumulates half precision means in float32
        return x.unflatten(-2, (-1, self.size)).mean(dim=-2)


class _CopyToGroup(nn.Module):
    """The copy to consecutive vertices."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        return x.repeat_interleave(self.size, dim=-2)


class _PadWithOnes(nn.Module):
    """The values, and ones after them."""

    def __init__(self, num_fine: int) -> None:
        super().__init__()
        self.num_fine = num_fine

    def forward(self, x: Tensor) -> Tensor:
        ones = x.new_ones(*x.shape[:-2], self.num_fine - x.shape[-2], x.shape[-1])
        return torch.cat([x, ones], dim=-2)


class _ScatterToIndices(nn.Module):
    """The values at given vertices, zeros elsewhere."""

    def __init__(self, num_fine: int) -> None:
        super().__init__()
        self.num_fine = num_fine

    def forward(self, x: Tensor, indices: Tensor) -> Tensor:
        zeros = x.new_zeros(*x.shape[:-2], self.num_fine, x.shape[-1])
        return zeros.scatter_reduce(-2, indices, x, reduce="mean", include_self=False)


class _MaxOverChildren(nn.Module):
    """The maximum over the children of each coarse vertex, and where it is.

    Rows are taken in classes of width, so that a few coarse vertices with many children (the poles
    of a latitude-longitude grid) do not widen the tables of all.
    """

    place: Tensor

    def __init__(self, membership: csr_matrix) -> None:
        super().__init__()
        self.group_size = contiguous_group_size(membership)
        self.num_classes = 0
        if self.group_size is None:
            tables, rows = _child_tables(membership)
            self.num_classes = len(tables)
            for index, table in enumerate(tables):
                self.register_buffer(f"children_{index}", torch.from_numpy(table), persistent=False)
            place = torch.from_numpy(np.argsort(rows))
            self.register_buffer("place", place, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.group_size is not None:
            return x.unflatten(-2, (-1, self.group_size)).amax(dim=-2)
        return self._in_place([self._children(x, table).amax(dim=-2) for table in self._tables()])

    def with_indices(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The maxima, and the vertices where they are."""
        if self.group_size is not None:
            maxima, child = x.unflatten(-2, (-1, self.group_size)).max(dim=-2)
            first = torch.arange(0, x.shape[-2], self.group_size, device=x.device)
            return maxima, first[:, None] + child
        parts, indices = [], []
        for table in self._tables():
            maxima, child = self._children(x, table).max(dim=-2)
            parts.append(maxima)
            whole = table[..., None].expand(*child.shape[:-2], *table.shape, child.shape[-1])
            indices.append(whole.gather(-2, child[..., None, :]).squeeze(-2))
        return self._in_place(parts), self._in_place(indices)

    def _tables(self) -> list[Tensor]:
        """The children of the coarse vertices, one table for each class of width."""
        return [getattr(self, f"children_{index}") for index in range(self.num_classes)]

    def _children(self, x: Tensor, table: Tensor) -> Tensor:
        """The values of the children in a table, side by side."""
        return x.index_select(-2, table.reshape(-1)).unflatten(-2, table.shape)

    def _in_place(self, parts: list[Tensor]) -> Tensor:
        """The rows of all classes in the order of the coarse vertices."""
        if len(parts) == 1:  # one class holds the rows in their order
            return parts[0]
        return torch.cat(parts, dim=-2).index_select(-2, self.place)


def _child_tables(membership: csr_matrix) -> tuple[list[np.ndarray], np.ndarray]:
    """Children of the coarse vertices in classes of similar width, and the vertices so ordered.

    The last child is repeated where a row is shorter than its table, which changes no maximum.
    """
    shares = mean_pooling_matrix(membership)  # canonical, and no row is empty
    counts = np.diff(shares.indptr)
    classes = np.ceil(np.log2(counts)).astype(np.int64)
    tables, rows = [], []
    for width in np.unique(classes):
        members = np.flatnonzero(classes == width)
        within = np.minimum(np.arange(counts[members].max()), counts[members][:, None] - 1)
        tables.append(shares.indices[shares.indptr[members][:, None] + within].astype(np.int64))
        rows.append(members)
    return tables, np.concatenate(rows)
