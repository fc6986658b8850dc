"""Layouts of samplings that no file was given for: the dimensions and coordinates to write."""

from typing import Any

import numpy as np

from deepsphere.fields.layout import GridLayout
from deepsphere.fields.recognition import require_xarray
from deepsphere.sampling import (
    Equiangular,
    GaussLegendre,
    Healpix,
    Rectilinear,
    Sampling,
    Subset,
)

_LAT = {"standard_name": "latitude", "long_name": "latitude", "units": "degrees_north"}
_LON = {"standard_name": "longitude", "long_name": "longitude", "units": "degrees_east"}


def layout_of_sampling(sampling: Sampling) -> GridLayout:
    """How fields on a sampling are laid out in a file, such that the sampling is recognised in it.

    HEALPix has a dimension ``cell`` and its pixels as the coordinate ``cell_ids`` with the
    attributes of xdggs; latitude-longitude grids have the dimensions and coordinates ``lat`` and
    ``lon`` (a part of a grid is the whole grid with missing values); all others have latitudes and
    longitudes along ``cell``. Coordinates have the attributes of the CF conventions.

    Parameters
    ----------
    sampling
        Any.

    Returns
    -------
    GridLayout

    Raises
    ------
    ImportError
        If xarray is missing.

    Examples
    --------
    >>> from deepsphere.sampling import Equiangular, Healpix
    >>> layout_of_sampling(Equiangular(nlat=3, nlon=4)).shape
    (3, 4)
    >>> sorted(layout_of_sampling(Healpix(nside=2)).coords["cell_ids"].attrs)
    ['grid_name', 'indexing_scheme', 'level', 'nside']
    """
    xr = require_xarray()
    whole = sampling.base if isinstance(sampling, Subset) else sampling
    axes = _axes(whole)
    coords: dict[str, Any]
    if axes is not None:
        lat, lon, vertex = axes
        if isinstance(sampling, Subset):
            place = np.full(whole.num_vertices, -1)
            place[sampling.indices] = np.arange(sampling.num_vertices)
            vertex = place[vertex]
        coords = {"lat": xr.Variable("lat", lat, _LAT), "lon": xr.Variable("lon", lon, _LON)}
        return GridLayout(sampling, ("lat", "lon"), vertex.shape, vertex, coords)
    vertex = np.arange(sampling.num_vertices)
    if isinstance(whole, Healpix):
        pixels = sampling.indices if isinstance(sampling, Subset) else vertex
        order = np.argsort(pixels, kind="stable")
        coords = {"cell_ids": xr.Variable("cell", pixels[order], _pixel_attributes(whole))}
        return GridLayout(sampling, ("cell",), vertex.shape, order, coords)
    coords = {
        "lat": xr.Variable("cell", np.rad2deg(sampling.lat), _LAT),
        "lon": xr.Variable("cell", np.rad2deg(sampling.lon), _LON),
    }
    return GridLayout(sampling, ("cell",), vertex.shape, vertex, coords)


def _pixel_attributes(sampling: Healpix) -> dict[str, Any]:
    """What xdggs says of pixels."""
    level = {"level": sampling.order} if sampling.nside & (sampling.nside - 1) == 0 else {}
    return {
        "grid_name": "healpix",
        **level,
        "nside": sampling.nside,
        "indexing_scheme": sampling.ordering,
    }


def _axes(sampling: Sampling) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Latitudes, longitudes and the vertex of each cell of a grid; None if it is no grid."""
    if isinstance(sampling, Rectilinear):
        lat, lon = sampling.lat_deg, sampling.lon_deg
    elif isinstance(sampling, Equiangular):
        lat = 90 - np.rad2deg(sampling.colatitudes)
        assert sampling.nlon is not None  # set when it was made
        lon = 360 * np.arange(sampling.nlon) / sampling.nlon
    elif isinstance(sampling, GaussLegendre) and isinstance(sampling.nlon, int):
        lat = np.rad2deg(sampling.lat[:: sampling.nlon])
        lon = 360 * np.arange(sampling.nlon) / sampling.nlon
    else:
        return None
    # a pole is one vertex, whose value is repeated along its row
    sizes = np.where(np.abs(lat) > 90 - 1e-9, 1, len(lon))
    if isinstance(sampling, Equiangular | Rectilinear):
        lat = np.where(sizes == 1, np.sign(lat) * 90.0, lat)
    start = np.cumsum(sizes) - sizes
    column = np.where(sizes[:, None] == 1, 0, np.arange(len(lon)))
    return lat, lon, start[:, None] + column
