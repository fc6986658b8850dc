"""HEALPix pixels of a data set: which order, which size, which of them."""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int

from deepsphere.sampling import Healpix, Sampling, Subset

if TYPE_CHECKING:
    import xarray as xr

# names of coordinates that hold pixels (xdggs, and the CF standard name)
_CELL_NAMES = ("cell_ids", "cell_id", "healpix_index", "ipix", "hpix")
# names of dimensions of pixels that have no coordinate
CELL_DIMS = ("cell", "cells", "pix", "pixel", "pixels", "healpix", "hpix", "ipix", "values", "x")
_NSIDE = ("nside", "healpix_nside", "NSIDE")
_LEVEL = ("level", "refinement_level", "order", "depth", "resolution")
_ORDERING = ("indexing_scheme", "healpix_order", "ordering", "ORDERING", "nest")
_SAY_ORDERING = (
    "say so: data.assign_coords(cell_ids=({dim!r}, numpy.arange({size}), "
    "{{'grid_name': 'healpix', 'level': {level}, 'indexing_scheme': 'nested'}})), or 'ring'"
)


def healpix_of_dataset(data: "xr.Dataset") -> tuple[Sampling, str, np.ndarray] | None:
    """HEALPix sampling of a data set by its attributes, None where it has none.

    Read are the conventions of xdggs (a coordinate of pixels with `grid_name`, `level`, `nside` and
    `indexing_scheme` or `nest`), of a `crs` or other variable whose `grid_mapping_name` is
    healpix, and of the attributes of a whole store (`dggs`).

    Parameters
    ----------
    data
        A data set.

    Returns
    -------
    tuple or None
        The sampling (a `Subset` for a part of the sphere, its pixels increasing), the dimension,
        and the vertex of each cell.

    Raises
    ------
    ValueError
        If it is HEALPix, but size or ordering are missing or contradict the pixels.

    Examples
    --------
    >>> import xarray as xr
    >>> attrs = {"grid_name": "healpix", "level": 1, "indexing_scheme": "nested"}
    >>> healpix_of_dataset(xr.Dataset(coords={"cell_ids": ("cell", [5, 2], attrs)}))[::2]
    (Subset(Healpix(nside=2, ordering='nested'), 2 of 48 vertices), array([1, 0]))
    """
    name = _cell_coordinate(data)
    attrs = _grid_attributes(data, name)
    if name is not None:
        pixels = data[name]
        dim, ids = str(pixels.dims[0]), _as_pixels(pixels)
        return _sampling_of_pixels(ids, attrs, name), dim, _ranks(ids)
    if attrs is None:
        return None
    return _whole_sphere(data, attrs)


def refuse_unordered(data: "xr.Dataset") -> None:
    """Raise where a dimension has as many cells as a HEALPix sampling, and nothing else is said.

    Parameters
    ----------
    data
        A data set in which no grid was found.

    Raises
    ------
    ValueError
        That says which words are missing.

    Examples
    --------
    >>> import xarray as xr
    >>> refuse_unordered(xr.Dataset({"t": ("station", [1.0] * 12)}))
    """
    for dim, size in data.sizes.items():
        nside = math.isqrt(size // 12)
        if str(dim).lower() in CELL_DIMS and size == 12 * nside**2 and nside & (nside - 1) == 0:
            raise ValueError(
                f"dimension {dim} has the {size} = 12 · {nside}² cells of HEALPix, but not their "
                "order, nested or ring; "
                + _SAY_ORDERING.format(dim=str(dim), size=size, level=nside.bit_length() - 1)
            )


def _cell_coordinate(data: "xr.Dataset") -> str | None:
    """The variable that holds the numbers of pixels."""
    for name, variable in data.variables.items():
        attrs = variable.attrs
        is_cell = (
            str(attrs.get("grid_name", "")).lower() == "healpix"
            or attrs.get("standard_name") == "healpix_index"
            or str(name) in _CELL_NAMES
        )
        if is_cell and variable.ndim == 1 and np.issubdtype(variable.dtype, np.number):
            return str(name)
    return None


def _grid_attributes(data: "xr.Dataset", name: str | None) -> dict[str, Any] | None:
    """What is said of the pixels, wherever it stands: None if HEALPix is nowhere named."""
    found: dict[str, Any] = {}
    named = False
    for variable in data.variables.values():
        if str(variable.attrs.get("grid_mapping_name", "")).lower() == "healpix":
            found |= variable.attrs
            named = True
    for store in (data.attrs.get("dggs"), data.attrs):
        if (
            isinstance(store, Mapping)
            and str(store.get("name", store.get("grid_name", ""))).lower() == "healpix"
        ):
            found |= dict(store)
            named = True
    if name is not None:
        found |= data[name].attrs
        named = True
    return found if named else None


def _as_pixels(pixels: "xr.DataArray") -> np.ndarray:
    """Numbers of pixels as int64, distinct and not negative."""
    ids = np.asarray(pixels.values)
    if not np.issubdtype(ids.dtype, np.integer):
        whole = np.isfinite(ids).all() and (ids == np.rint(ids)).all()
        if not whole:
            raise ValueError(
                f"coordinate {pixels.name} must hold the numbers of pixels, got {ids.dtype} values "
                "that are not integers"
            )
    ids = ids.astype(np.int64)
    if (ids < 0).any():
        raise ValueError(
            f"coordinate {pixels.name} must hold numbers of pixels from 0, got {ids.min()}; drop "
            "the cells without a pixel"
        )
    values, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        raise ValueError(
            f"coordinate {pixels.name} must hold distinct pixels, got {values[counts > 1][0]} "
            f"{counts.max()} times; merge their values and keep one"
        )
    return ids


def _ranks(ids: Int[np.ndarray, "cells"]) -> Int[np.ndarray, "cells"]:
    """Place of each pixel among the sorted ones."""
    rank = np.empty(len(ids), np.int64)
    rank[np.argsort(ids)] = np.arange(len(ids))
    return rank


def _sampling_of_pixels(ids: np.ndarray, attrs: dict[str, Any] | None, name: str) -> Sampling:
    """The whole sphere or the part of it that these pixels are, checked against its size."""
    attrs = attrs or {}
    ordering = _ordering(attrs)
    nside = _nside(attrs)
    if nside is None:
        guess = math.isqrt(len(ids) // 12)
        if len(ids) != 12 * guess**2 or ids.max() != len(ids) - 1:
            raise ValueError(
                f"coordinate {name} must say the size of the HEALPix sampling for a part of the "
                f"sphere, got {len(ids)} cells with the attributes {sorted(map(str, attrs))}; set "
                f"data[{name!r}].attrs to grid_name='healpix', level=..., indexing_scheme='nested'"
            )
        nside = guess
    if ordering is None:
        level = max(nside.bit_length() - 1, 0)
        raise ValueError(
            f"coordinate {name} must say the order of its pixels, nested or ring, got the "
            f"attributes {sorted(map(str, attrs))}; set data[{name!r}].attrs to "
            f"grid_name='healpix', level={level}, indexing_scheme='nested' (or 'ring')"
        )
    whole = Healpix(nside, ordering=ordering)
    if ids.max() >= whole.num_vertices:
        raise ValueError(
            f"coordinate {name} must hold pixels below {whole.num_vertices} for nside {nside}, got "
            f"{ids.max()}; correct its attribute level or nside"
        )
    return whole if len(ids) == whole.num_vertices else Subset(whole, np.sort(ids))


def _whole_sphere(data: "xr.Dataset", attrs: dict[str, Any]) -> tuple[Sampling, str, np.ndarray]:
    """All pixels in order along a dimension that has as many."""
    nside, ordering = _nside(attrs), _ordering(attrs)
    sizes = {str(dim): size for dim, size in data.sizes.items()}
    if nside is None:
        counts = {dim: math.isqrt(size // 12) for dim, size in sizes.items()}
        fitting = [dim for dim, side in counts.items() if side and sizes[dim] == 12 * side**2]
        nside = counts[fitting[0]] if len(fitting) == 1 else None
    fitting = [dim for dim, size in sizes.items() if nside and size == 12 * nside**2]
    if nside is None or len(fitting) != 1 or ordering is None:
        raise ValueError(
            "a HEALPix data set without a coordinate of pixels must have nside (or level), "
            "the ordering, and one dimension of 12 nside² cells, got the attributes "
            f"{sorted(map(str, attrs))} and the dimensions {sizes}; assign a coordinate cell_ids"
        )
    return Healpix(nside, ordering=ordering), fitting[0], np.arange(12 * nside**2)


def _nside(attrs: Mapping[str, Any]) -> int | None:
    """Divisions of a base pixel, by nside or by its logarithm."""
    for key in _NSIDE:
        if key in attrs:
            return int(attrs[key])
    for key in _LEVEL:
        if key in attrs:
            # level 29 is the finest there is: a larger "resolution" is nside
            value = int(attrs[key])
            return 2**value if value <= 29 else value
    return None


def _ordering(attrs: Mapping[str, Any]) -> Any:
    """nested, ring, or None where nothing is said."""
    for key in _ORDERING:
        if key not in attrs:
            continue
        value = attrs[key]
        if isinstance(value, bool | np.bool_ | int | np.integer):
            return "nested" if value else "ring"
        word = str(value).lower()
        if word in ("nested", "nest", "true"):
            return "nested"
        if word in ("ring", "false"):
            return "ring"
        raise ValueError(
            f"the order of HEALPix pixels must be nested or ring, got {key}={value!r}; convert the "
            "numbers of the pixels first"
        )
    return None
