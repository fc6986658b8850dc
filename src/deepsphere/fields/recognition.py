"""The sampling that the fields of a data set are on."""

from typing import TYPE_CHECKING

import numpy as np

from deepsphere.fields.coordinates import (
    Horizontal,
    angle_role,
    bounds_names,
    find_horizontal,
    first_time,
)
from deepsphere.fields.grids import grid_of_axes
from deepsphere.fields.healpix_cells import healpix_of_dataset, refuse_unordered
from deepsphere.fields.layout import GridLayout
from deepsphere.sampling import GaussLegendre, Healpix, Sampling
from deepsphere.sampling.scattered_regions import halo_of_points, next_rows, scattered_part

if TYPE_CHECKING:
    import xarray as xr

# Points nearer than this part of the mean spacing to those of a formula are those of the formula.
_SHARE_OF_SPACING = 0.01


def sampling_from_dataset(data: "xr.Dataset | xr.DataArray") -> Sampling:
    """Sampling of the sphere that a data set lies on, recognised by its coordinates.

    ==========================  ===================================================================
    latitude-longitude grid     `Equiangular` or `GaussLegendre` where it is one, whatever the order
                                of its rows and where its columns start; `Rectilinear` else; a
                                region, or a grid without its polar rows, is a `Subset`
    HEALPix                     `Healpix`, or a `Subset` of it: a coordinate `cell_ids` with the
                                attributes `grid_name`, `level` or `nside`, `indexing_scheme` or
                                `nest` (xdggs), or a grid mapping named healpix
    unstructured                `Scattered`: latitudes and longitudes along one dimension (ICON,
                                CAM-SE, MPAS, FESOM, stations), in degrees, or in radians where the
                                attribute `units` says so; reduced Gaussian grids by their points
    curvilinear                 `Scattered`: latitudes and longitudes on two dimensions, or on those
                                of tiles; a halo, which repeats points at the border, is read once
    ==========================  ===================================================================

    Where scattered points leave a part of the sphere without any (a region, or the land of an ocean
    model), they are a `Subset` of points on all of it, whose cells end where the points do.

    Parameters
    ----------
    data
        A data set or one variable, with its coordinates.

    Returns
    -------
    Sampling

    Raises
    ------
    ImportError
        If xarray is missing.
    ValueError
        If no grid is recognised: the error says what was seen and what is needed.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> data = xr.DataArray(
    ...     np.zeros((7, 12)),
    ...     coords={"latitude": np.arange(-90, 91, 30), "longitude": np.arange(-180, 180, 30)},
    ...     dims=("latitude", "longitude"),
    ... )
    >>> sampling_from_dataset(data)
    Equiangular(nlat=7, nlon=12, poles=2)
    """
    return layout_of_dataset(data).sampling


def layout_of_dataset(data: "xr.Dataset | xr.DataArray") -> GridLayout:
    """How the cells of a data set are the vertices of its sampling.

    Parameters
    ----------
    data
        As for :func:`sampling_from_dataset`.

    Returns
    -------
    GridLayout

    Raises
    ------
    ImportError, ValueError
        As :func:`sampling_from_dataset`.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> data = xr.Dataset(coords={"lat": [-45.0, 45.0], "lon": [0.0, 90.0, 180.0, 270.0]})
    >>> layout = layout_of_dataset(data)
    >>> layout.spatial_dims, layout.vertex.tolist()
    (('lat', 'lon'), [[4, 5, 6, 7], [0, 1, 2, 3]])
    """
    dataset = as_dataset(data)
    healpix = healpix_of_dataset(dataset)
    if healpix is not None:
        sampling, dim, vertex = healpix
        return _layout(dataset, sampling, (dim,), vertex)
    horizontal = find_horizontal(dataset)
    if horizontal is None:
        refuse_unordered(dataset)
        raise ValueError(_nothing_found(dataset))
    if horizontal.lat_deg.ndim > 1:
        return _curvilinear_layout(dataset, horizontal)
    if horizontal.lat_dims == horizontal.lon_dims:
        return _unstructured_layout(dataset, horizontal)
    return _grid_layout(dataset, horizontal.spatial_dims, horizontal.lat_deg, horizontal.lon_deg)


def as_dataset(data: "xr.Dataset | xr.DataArray") -> "xr.Dataset":
    """A data set; of one variable, the data set that holds it alone.

    Parameters
    ----------
    data
        Either.

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    ImportError
        If xarray is missing.
    TypeError
        If it is neither.

    Examples
    --------
    >>> import xarray as xr
    >>> list(as_dataset(xr.DataArray([1.0], dims="x")))
    ['values']
    """
    xr = require_xarray()
    if isinstance(data, xr.Dataset):
        return data
    if isinstance(data, xr.DataArray):
        name = "values" if data.name is None or data.name in data.coords else data.name
        return data.to_dataset(name=name)
    raise TypeError(
        f"data must be an xarray Dataset or DataArray, got {type(data).__name__}; open files by "
        "deepsphere.fields.open_dataset"
    )


def require_xarray():
    """The module xarray, or an ImportError that says how to install it.

    Examples
    --------
    >>> require_xarray().__name__
    'xarray'
    """
    try:
        import xarray
    except ImportError as error:
        raise ImportError(
            "fields with coordinates need xarray: pip install 'deepsphere-torch[climate]'"
        ) from error
    return xarray


def _layout(
    data: "xr.Dataset",
    sampling: Sampling,
    dims: tuple[str, ...],
    vertex: np.ndarray,
    *,
    notes: tuple[str, ...] = (),
    copied: np.ndarray | None = None,
) -> GridLayout:
    """A layout with the coordinates that lie on its dimensions alone."""
    # latitudes and longitudes are coordinates even where a file lists them among its variables
    angles = {str(name) for name in data.data_vars if angle_role(data[name])} - bounds_names(data)
    found = {str(name): first_time(data[name]).variable for name in [*data.coords, *angles]}
    coords = {
        name: variable
        for name, variable in found.items()
        if variable.dims and set(map(str, variable.dims)) <= set(dims)
    }
    shape = tuple(data.sizes[dim] for dim in dims)
    return GridLayout(sampling, dims, shape, vertex.reshape(shape), coords, notes, copied)


def _grid_layout(
    data: "xr.Dataset", dims: tuple[str, ...], lat_deg: np.ndarray, lon_deg: np.ndarray
) -> GridLayout:
    grid = grid_of_axes(lat_deg, lon_deg)
    copied = np.zeros(grid.vertex.shape, dtype=bool)
    copied[:, grid.copied_columns] = True
    return _layout(data, grid.sampling, dims, grid.vertex, notes=grid.notes, copied=copied)


def _unstructured_layout(data: "xr.Dataset", horizontal: Horizontal) -> GridLayout:
    (dim,) = horizontal.lat_dims
    index = data.get(dim)
    if index is not None and index.dtype.kind in "mM":
        raise ValueError(
            f"coordinates {horizontal.lat_name} and {horizontal.lon_name} must lie on places, got "
            f"the times {dim}: a trajectory, which is no grid; bin it on a grid first"
        )
    lon = _around_zero(horizontal.lon_deg)
    sampling = _known_points(horizontal.lat_deg, lon)
    if sampling is None:
        sampling = scattered_part(lon, horizontal.lat_deg)
    return _layout(data, sampling, (dim,), np.arange(sampling.num_vertices))


def _curvilinear_layout(data: "xr.Dataset", horizontal: Horizontal) -> GridLayout:
    """Points on two dimensions, or on more: the tiles of a cubed sphere."""
    dims = horizontal.lat_dims
    lat = horizontal.lat_deg
    lon = horizontal.lon_deg.transpose([horizontal.lon_dims.index(dim) for dim in dims])
    if lat.ndim == 2:
        for turned in (False, True):
            one, other = (lat.T, lon.T) if turned else (lat, lon)
            if (one == one[:, :1]).all() and (other == other[:1]).all():
                order = dims[::-1] if turned else dims
                return _grid_layout(data, order, one[:, 0], other[0])
    lon = _around_zero(lon)
    vertex, copied, notes = halo_of_points(lon, lat)
    read = ~copied
    around = next_rows(lon, lat) if lat.ndim == 2 and min(lat.shape) > 1 else None
    try:
        sampling = scattered_part(lon[read], lat[read], around=around)
    except ValueError as error:
        raise ValueError(
            f"coordinates {horizontal.lat_name} and {horizontal.lon_name} on "
            f"{' × '.join(dims)}: {error}; rows and columns that overlap are left out by data.isel"
        ) from error
    return _layout(data, sampling, dims, vertex, notes=notes, copied=copied)


def _around_zero(lon_deg: np.ndarray) -> np.ndarray:
    """Longitudes in [0, 360)."""
    lon = np.mod(lon_deg, 360.0)
    lon[lon >= 360.0] = 0.0
    return lon


def _known_points(lat_deg: np.ndarray, lon_deg: np.ndarray) -> Sampling | None:
    """HEALPix or the octahedral reduced grid, where the points are those in their order."""
    num = len(lat_deg)
    candidates: list[Sampling] = []
    nside = round((num / 12) ** 0.5)
    if num == 12 * nside**2 and nside & (nside - 1) == 0:
        candidates += [Healpix(nside), Healpix(nside, ordering="ring")]
    half = round((num + 81) ** 0.5 / 2 - 4.5)  # 4 n² + 36 n points
    if half > 0 and num == 4 * half**2 + 36 * half:
        candidates.append(GaussLegendre(2 * half, "octahedral"))
    lat, lon = np.deg2rad(lat_deg), np.deg2rad(lon_deg)
    points = np.stack([np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)], axis=1)
    reach = _SHARE_OF_SPACING * (4 * np.pi / num) ** 0.5
    for sampling in candidates:
        if np.abs(sampling.points - points).max() < reach:
            return sampling
    return None


def _nothing_found(data: "xr.Dataset") -> str:
    """What was seen, and what would be needed."""
    dims = ", ".join(f"{dim}: {size}" for dim, size in data.sizes.items()) or "none"
    coords = "; ".join(
        f"{name}({', '.join(map(str, coord.dims))}), units {coord.attrs.get('units')!r}"
        for name, coord in list(data.coords.items())[:12]
    )
    names = ", ".join(map(str, list(data.data_vars)[:8]))
    remedy = (
        "add them, as in data.assign_coords(lat=('y', ...), lon=('x', ...)) with attrs "
        "units='degrees_north' and 'degrees_east'"
    )
    icon = any(
        variable.attrs.get("CDI_grid_type") == "unstructured"
        for variable in data.variables.values()
    )
    if icon:
        uri = data.attrs.get("grid_file_uri")
        remedy = (
            "they are in the file of the grid"
            + (f" ({uri})" if uri else "")
            + ": open both, as in open_dataset([path, grid_path]), or data.assign_coords(clat="
            "grid.clat, clon=grid.clon)"
        )
    elif len(data.data_vars) == 1 and not data.coords.keys() - set(map(str, data.dims)):
        remedy += (
            "; if they are variables of the data set that this is of, make them coordinates of it: "
            "data.set_coords(['lat', 'lon'])"
        )
    return (
        "data must have coordinates of the sphere: latitudes and longitudes (told by standard_name,"
        " units or name) along their dimensions or along one, or HEALPix cell_ids; got the "
        f"dimensions {dims}, the coordinates {coords or 'none'}, and the variables "
        f"{names or 'none'}; {remedy}"
    )
