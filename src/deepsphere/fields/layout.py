"""How the cells of a grid in a data set are vertices of a sampling, there and back."""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int, Shaped

from deepsphere.sampling import Sampling, Subset

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, eq=False)
class GridLayout:
    """The spatial dimensions of a data set, and the vertex that each of their cells is.

    Attributes
    ----------
    sampling : Sampling
        The vertices, in the order of the sampling: a grid runs from north to south and eastward
        from the meridian at or after 0, however the file is sorted.
    spatial_dims : tuple of str
        Dimensions that become the vertices.
    shape : tuple of int
        Their sizes.
    vertex : ndarray, shape of `shape`
        Vertex of each cell; −1 for a cell that is none.
    coords : dict
        Coordinates along the spatial dimensions alone (xarray variables), as they were.
    notes : tuple of str
        What was changed on the way: rows averaged, a repeated meridian dropped.
    copied : ndarray of bool or None
        Cells which repeat others and are not read: the cyclic point.

    Examples
    --------
    >>> import xarray as xr
    >>> from deepsphere.sampling import Equiangular
    >>> south_first = np.array([[3, 4, 5], [0, 1, 2]])
    >>> layout = GridLayout(Equiangular(2, 3), ("lat", "lon"), (2, 3), south_first)
    >>> field = xr.DataArray(np.arange(6).reshape(2, 3), dims=("lat", "lon"))
    >>> layout.flatten(field)
    array([3, 4, 5, 0, 1, 2])
    >>> bool((layout.restore(layout.flatten(field)) == field).all())
    True
    """

    sampling: Sampling
    spatial_dims: tuple[str, ...]
    shape: tuple[int, ...]
    vertex: Int[np.ndarray, "*shape"]
    coords: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    copied: np.ndarray | None = None

    def __post_init__(self) -> None:
        read = self.vertex >= 0 if self.copied is None else (self.vertex >= 0) & ~self.copied
        cells = np.flatnonzero(read)
        vertex = self.vertex.ravel()[cells]
        order = np.argsort(vertex, kind="stable")
        counts = np.bincount(vertex, minlength=self.sampling.num_vertices)
        if len(counts) != self.sampling.num_vertices or (counts == 0).any():
            raise ValueError(
                "every vertex must be a cell of the grid, got "
                f"{int((counts == 0).sum())} without one; use a subset of the sampling"
            )
        first = np.cumsum(counts) - counts
        sorted_cells = cells[order]
        object.__setattr__(self, "_cell", sorted_cells[first])
        shared = {
            int(which): sorted_cells[first[which] : first[which] + counts[which]]
            for which in np.flatnonzero(counts > 1)
        }
        object.__setattr__(self, "_shared", shared)

    _cell: np.ndarray = field(init=False, repr=False)
    _shared: dict[int, np.ndarray] = field(init=False, repr=False)

    def flatten(self, array: "xr.DataArray") -> Shaped[np.ndarray, "*batch vertices"]:
        """Values on the vertices, the other dimensions before them in their order.

        A pole, which a grid repeats along its row, gets the mean of the values that are there.

        Parameters
        ----------
        array
            With the spatial dimensions, in any order.

        Returns
        -------
        ndarray, shape (*batch, vertices)
            Of the same dtype; loaded if it was lazy.

        Raises
        ------
        ValueError
            If the dimensions are missing or of another size, or a file is damaged.
        """
        sizes = {str(dim): size for dim, size in array.sizes.items()}
        own = dict(zip(self.spatial_dims, self.shape, strict=True))
        if any(sizes.get(dim) != size for dim, size in own.items()):
            raise ValueError(
                f"array must have the dimensions {own} of the grid, got {sizes}; take another "
                "layout, by layout_of_dataset"
            )
        batch = [dim for dim in array.dims if str(dim) not in own]
        values = _loaded(array.transpose(*batch, *self.spatial_dims))
        flat = values.reshape(*values.shape[: len(batch)], self.vertex.size)
        signals = flat[..., self._cell]
        for vertex, cells in self._shared.items():
            signals[..., vertex] = _mean(flat[..., cells])
        return signals

    def restore(
        self,
        values: Shaped[np.ndarray, "*batch vertices"],
        *,
        like: "xr.DataArray | None" = None,
        batch: Mapping[str, Any] | None = None,
        name: str | None = None,
        attrs: Mapping[str, Any] | None = None,
    ) -> "xr.DataArray":
        """The data array of values on the vertices: the inverse of `flatten`.

        Parameters
        ----------
        values
            On the vertices, (*batch, vertices).
        like
            An array whose dimensions, in their order, coordinates, attributes, encoding and name
            the result has; its values are not looked at.
        batch
            Where there is nothing like it: names of the dimensions before the vertices, in their
            order, and the coordinate of each (None for none).
        name, attrs
            Of the result, where they are not those of `like`.

        Returns
        -------
        xarray.DataArray
            Of the dtype of the values; a cell that is no vertex is missing (NaN).

        Raises
        ------
        ValueError
            If the values have another shape.
        """
        import xarray as xr

        if values.shape[-1:] != (self.sampling.num_vertices,):
            raise ValueError(
                f"values must have the shape (..., {self.sampling.num_vertices} vertices), got "
                f"{values.shape}"
            )
        batch = dict(batch or {})
        dims = list(batch)
        if like is not None:
            dims = [str(dim) for dim in like.dims if str(dim) not in self.spatial_dims]
        sizes = None if like is None else tuple(like.sizes[dim] for dim in dims)
        if len(dims) != values.ndim - 1 or (sizes is not None and sizes != values.shape[:-1]):
            wanted = dict.fromkeys(dims) if like is None else {d: like.sizes[d] for d in dims}
            raise ValueError(
                f"values must have the dimensions {wanted} before the vertices, got the shape "
                f"{values.shape}; name them by batch="
            )
        grid = self._scattered(values).reshape(*values.shape[:-1], *self.shape)
        array = xr.DataArray(grid, dims=[*dims, *self.spatial_dims], name=name, attrs=attrs)
        if like is None:
            given = {dim: coord for dim, coord in batch.items() if coord is not None}
            return array.assign_coords(given).assign_coords(self.coords)
        restored = array.transpose(*like.dims)
        result = like.copy(data=restored.values)
        result.encoding = dict(like.encoding)
        if name is not None:
            result.name = name
        if attrs is not None:
            result.attrs = dict(attrs)
        return result

    def subset(self, kept: np.ndarray) -> "GridLayout":
        """The layout of part of the vertices; the other cells are missing when restored.

        Parameters
        ----------
        kept
            A boolean mask of the vertices.

        Returns
        -------
        GridLayout
        """
        place = np.full(self.sampling.num_vertices + 1, -1)
        place[:-1][kept] = np.arange(int(kept.sum()))
        return GridLayout(
            Subset(self.sampling, kept),
            self.spatial_dims,
            self.shape,
            place[self.vertex],
            self.coords,
            self.notes,
            self.copied,
        )

    def _scattered(self, values: np.ndarray) -> np.ndarray:
        """Values on all cells, those that are no vertex missing."""
        vertex = self.vertex.ravel()
        outside = vertex < 0
        cells = values[..., np.where(outside, 0, vertex)]
        if outside.any():
            cells = cells.astype(np.result_type(values.dtype, np.float32), copy=False)
            cells[..., outside] = np.nan
        return cells


def _loaded(array: "xr.DataArray") -> np.ndarray:
    """The values, read from the file if they are in one."""
    try:
        return np.asarray(array.values)
    except (OSError, RuntimeError, zlib.error) as error:
        raise ValueError(
            f"variable {array.name} must be readable, got {str(error) or type(error).__name__}: "
            "its file is damaged or incomplete; copy or download it again"
        ) from error


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis of what is not missing; equal values exactly."""
    first = values[..., 0]
    is_float = np.issubdtype(values.dtype, np.floating)
    valid = np.isfinite(values) if is_float else np.ones(values.shape, dtype=bool)
    total = np.where(valid, values, 0).sum(axis=-1, dtype=np.float64)
    count = valid.sum(axis=-1)
    mean = np.divide(total, count, out=np.full(first.shape, np.nan), where=count > 0)
    if not is_float:
        mean = np.rint(mean)
    return np.where((values == values[..., :1]).all(axis=-1), first, mean.astype(values.dtype))
