"""Which variables of a data set are the latitudes and longitudes, and of what they are."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

if TYPE_CHECKING:
    import xarray as xr

_UNITS = {
    "lat": {"degrees_north", "degree_north", "degree_n", "degrees_n", "degreen", "degreesn"},
    "lon": {"degrees_east", "degree_east", "degree_e", "degrees_e", "degreee", "degreese"},
}
_STANDARD_NAMES = {"lat": "latitude", "lon": "longitude"}
_AXES = {"lat": "Y", "lon": "X"}
_NAMES = {
    "lat": {"lat", "latitude", "lats", "latitudes", "nav_lat", "clat", "latcell", "xlat", "tlat"}
    | {"gphit", "geolat", "lat_rho", "lat_deg", "grid_lat", "lat_cell_centre"},
    "lon": {"lon", "longitude", "lons", "longitudes", "nav_lon", "clon", "loncell", "xlong"}
    | {"tlong", "tlon", "glamt", "geolon", "lon_rho", "lon_deg", "grid_lon", "long"}
    | {"lon_cell_centre"},
}
# names of axes which are angles if nothing better is there
_WEAK_NAMES = {"lat": "y", "lon": "x"}
# standard names by which the grids of ICON call them, which elsewhere are of a rotated pole
_ICON_NAMES = {"clat": "grid_latitude", "clon": "grid_longitude"}
# names which have radians by the convention of their model (MPAS)
_RADIAN_NAMES = {"latcell", "loncell"}
_DEGREES = {"degree", "degrees", "deg", "°"}
_RADIANS = {"radian", "radians", "rad"}
_TIME_DIMS = ("time", "xtime", "t")
_BOUNDS_ENDINGS = ("_bnds", "_bounds", "_bnd", "_vertices", "_vertex", "_corners")

# Beyond the poles by less than this is rounding of single precision, in degree.
_ROUNDING_DEG = 1e-3
_MAX_LON_DEG = 720.0


@dataclass(frozen=True, eq=False)
class Horizontal:
    """Latitudes and longitudes of a grid, as they stand in a data set.

    Attributes
    ----------
    lat_name, lon_name : str
        The variables.
    lat_deg, lon_deg : ndarray
        Their values in degrees, float64, of one or two dimensions.
    lat_dims, lon_dims : tuple of str
        Their dimensions.
    """

    lat_name: str
    lon_name: str
    lat_deg: Float[np.ndarray, "*lat"]
    lon_deg: Float[np.ndarray, "*lon"]
    lat_dims: tuple[str, ...]
    lon_dims: tuple[str, ...]

    @property
    def spatial_dims(self) -> tuple[str, ...]:
        """The dimensions of the grid, of the latitudes first."""
        return tuple(dict.fromkeys([*self.lat_dims, *self.lon_dims]))


def find_horizontal(data: "xr.Dataset") -> Horizontal | None:
    """Latitudes and longitudes of the variables of a data set, None where it has none.

    They are told by their attributes `standard_name`, `units` and `axis` (CF conventions), then by
    their names. Of several pairs, that which most variables lie on is taken.

    Parameters
    ----------
    data
        A data set; its variables tell which pair is meant.

    Returns
    -------
    Horizontal or None

    Raises
    ------
    ValueError
        If variables lie on several grids, or the values are not angles of a sphere.

    Examples
    --------
    >>> import xarray as xr
    >>> found = find_horizontal(xr.Dataset(coords={"lat": [-45.0, 45.0], "lon": [0.0, 90.0]}))
    >>> found.lat_name, found.spatial_dims
    ('lat', ('lat', 'lon'))
    >>> find_horizontal(xr.Dataset(coords={"time": [0, 1]})) is None
    True
    """
    pairs = _ranked_pairs(data)
    if not pairs:
        return None
    lat_name, lon_name = pairs[0]
    lat, lon = (_without_time(data[name]) for name in (lat_name, lon_name))
    lat_deg, lon_deg = _in_degrees(lat, "lat"), _in_degrees(lon, "lon")
    _refuse_radians(lat, lon, lat_deg, lon_deg)
    _check_range(lat, lon, lat_deg, lon_deg)
    return Horizontal(
        lat_name,
        lon_name,
        np.clip(lat_deg, -90.0, 90.0),
        lon_deg,
        tuple(map(str, lat.dims)),
        tuple(map(str, lon.dims)),
    )


def angle_role(variable: "xr.DataArray") -> tuple[str, int] | None:
    """Whether a variable is a latitude ("lat") or longitude ("lon"), and how surely (0 to 4).

    Parameters
    ----------
    variable
        With its name and attributes.

    Returns
    -------
    tuple or None

    Examples
    --------
    >>> import xarray as xr
    >>> angle_role(xr.DataArray([1.0], dims="x", name="a", attrs={"units": "degrees_east"}))
    ('lon', 3)
    >>> angle_role(xr.DataArray([1.0], dims="x", name="lat"))
    ('lat', 1)
    """
    attrs, name = variable.attrs, str(variable.name).lower()
    standard = str(attrs.get("standard_name", "")).lower()
    units = str(attrs.get("units", "")).strip().lower()
    if not np.issubdtype(variable.dtype, np.number):
        return None
    if standard and standard == _ICON_NAMES.get(name):
        standard = ""
    for role in ("lat", "lon"):
        if standard == _STANDARD_NAMES[role]:
            return role, 4
        if units in _UNITS[role]:
            return role, 3
    # other standard names are other things: latitudes of a rotated pole, metres of a projection
    if standard or units not in {"", *_DEGREES, *_RADIANS}:
        return None
    for role in ("lat", "lon"):
        if attrs.get("axis") == _AXES[role] and units:
            return role, 2
    for role in ("lat", "lon"):
        if name in _NAMES[role]:
            return role, 1
        if name == _WEAK_NAMES[role]:
            return role, 0
    return None


def bounds_names(data: "xr.Dataset") -> set[str]:
    """Names of the variables that are the borders of cells, not the cells.

    Parameters
    ----------
    data
        A data set.

    Returns
    -------
    set of str

    Examples
    --------
    >>> import xarray as xr
    >>> bounds_names(xr.Dataset({"lat_bnds": (("lat", "two"), [[0.0, 1.0]])}, {"lat": [0.5]}))
    {'lat_bnds'}
    """
    named = {
        str(variable.attrs.get("bounds") or variable.encoding.get("bounds"))
        for variable in data.variables.values()
    }
    return {
        str(name)
        for name in data.variables
        if str(name) in named or str(name).lower().endswith(_BOUNDS_ENDINGS)
    }


def _ranked_pairs(data: "xr.Dataset") -> list[tuple[str, str]]:
    """Pairs of latitude and longitude that span a grid, the most used and surest first."""
    without = bounds_names(data)
    found: dict[str, list[tuple[str, int]]] = {"lat": [], "lon": []}
    for name in map(str, data.variables):
        role = None if name in without or data[name].ndim == 0 else angle_role(data[name])
        if role is not None:
            found[role[0]].append((name, role[1]))
    angles = {name for candidates in found.values() for name, _ in candidates}
    values = [
        variable for name, variable in data.data_vars.items() if str(name) not in angles | without
    ]
    ranked = []
    for lat, lat_score in found["lat"]:
        for lon, lon_score in found["lon"]:
            if not _spans_grid(data[lat], data[lon]):
                continue
            dims = _without_time(data[lat]).dims + _without_time(data[lon]).dims
            users = [str(value.name) for value in values if set(dims) <= set(value.dims)]
            ranked.append((len(users), lat_score + lon_score, frozenset(dims), lat, lon, users))
    # with a projection and its latitudes on two dimensions, the surer ones come first
    ranked.sort(key=lambda entry: entry[:2], reverse=True)
    _refuse_several_grids(ranked)
    return [(lat, lon) for _, _, _, lat, lon, _ in ranked]


def _refuse_several_grids(ranked: list) -> None:
    """Raise where variables lie on grids that share no dimension set."""
    if not ranked:
        return
    first = ranked[0]
    for other in ranked[1:]:
        if other[2] != first[2] and set(other[5]) - set(first[5]):
            raise ValueError(
                f"variables must lie on one grid, got {', '.join(first[5][:4])} on "
                f"{', '.join(sorted(first[2]))} and {', '.join(other[5][:4])} on "
                f"{', '.join(sorted(other[2]))}; choose by variables=, or data[[names]]"
            )


def _spans_grid(lat: "xr.DataArray", lon: "xr.DataArray") -> bool:
    """Whether both have one dimension (each its own, or the same), or both the same ones."""
    lat, lon = _without_time(lat), _without_time(lon)
    return lat.ndim == lon.ndim and (lat.ndim == 1 or set(lat.dims) == set(lon.dims))


def _without_time(variable: "xr.DataArray") -> "xr.DataArray":
    """The angles at the first time where a grid that stays is repeated for every time (WRF)."""
    still = first_time(variable)
    if still.ndim < variable.ndim and not (variable.values == still.values).all():
        raise ValueError(
            f"coordinate {variable.name} must be the same at all times, got one that moves "
            f"along {variable.dims[0]}; take one time, as in data.isel({variable.dims[0]}=0), "
            "or bin the values on a grid first"
        )
    return still


def first_time(variable: "xr.DataArray") -> "xr.DataArray":
    """Angles at the first of their times; all else as it is.

    Parameters
    ----------
    variable
        Angles, or others.

    Returns
    -------
    xarray.DataArray

    Examples
    --------
    >>> import xarray as xr
    >>> first_time(xr.DataArray([[1.0, 2.0], [1.0, 2.0]], dims=("Time", "x"), name="XLAT")).dims
    ('x',)
    """
    has_time = variable.ndim >= 2 and str(variable.dims[0]).lower() in _TIME_DIMS
    if not has_time or angle_role(variable) is None or not variable.size:
        return variable
    return variable.isel({variable.dims[0]: 0}, drop=True)


def _in_degrees(angle: "xr.DataArray", role: str) -> np.ndarray:
    """Values as float64 in degree, by the units attribute, else by the name."""
    units = str(angle.attrs.get("units", "")).strip().lower()
    values = np.asarray(angle.values, np.float64)
    if values.size == 0:
        raise ValueError(
            f"coordinate {angle.name} must have values, got the sizes {dict(angle.sizes)}; was "
            "everything selected away?"
        )
    is_radian = units in _RADIANS or (not units and str(angle.name).lower() in _RADIAN_NAMES)
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        raise ValueError(
            f"coordinate {angle.name} must be finite, got {values[tuple(bad[0])]} at "
            f"{tuple(bad[0].tolist())}"
            + (f" and {len(bad) - 1} more" if len(bad) > 1 else "")
            + "; drop the cells without a position, as in data.where(data.lat.notnull(), drop=True)"
        )
    return np.rad2deg(values) if is_radian else values


def _refuse_radians(
    lat: "xr.DataArray", lon: "xr.DataArray", lat_deg: np.ndarray, lon_deg: np.ndarray
) -> None:
    """Raise where values that should be degrees fill the sphere in radians."""
    within = np.abs(lat_deg).max() <= np.pi / 2 + 1e-3 and np.abs(lon_deg).max() <= 2 * np.pi + 1e-3
    span_lat, span_lon = np.ptp(lat_deg), np.ptp(lon_deg)
    has_units = bool(str(lat.attrs.get("units", "")).strip())
    whole = (2.8, 5.8) if has_units else (1.0, 3.0)
    if within and span_lat >= whole[0] and span_lon >= whole[1]:
        raise ValueError(
            f"coordinates {lat.name} and {lon.name} must be in degrees unless their attribute "
            f"units says otherwise, got {lat_deg.min():.4g} .. {lat_deg.max():.4g} and "
            f"{lon_deg.min():.4g} .. {lon_deg.max():.4g} "
            f"with units {lat.attrs.get('units')!r}, which look like radians; set "
            f"data[{str(lat.name)!r}].attrs['units'] = 'radian', and of {lon.name} too"
        )


def _check_range(
    lat: "xr.DataArray", lon: "xr.DataArray", lat_deg: np.ndarray, lon_deg: np.ndarray
) -> None:
    """Raise where angles are beyond the poles or far around."""
    units = lat.attrs.get("units")
    beyond = np.argwhere(np.abs(lat_deg) > 90 + _ROUNDING_DEG)
    if len(beyond):
        place = tuple(beyond[0].tolist())
        hint = "are the coordinates swapped, or in metres?"
        if str(units).strip().lower() in _RADIANS:
            hint = f"the attribute units says {units!r}, but the values seem to be degrees"
        raise ValueError(
            f"coordinate {lat.name} must be a latitude between -90 and 90 degrees, got "
            f"{lat.values[place]:g} (units {units!r}) at {place}"
            + (f" and {len(beyond) - 1} more" if len(beyond) > 1 else "")
            + f"; {hint}"
        )
    if np.abs(lon_deg).max() > _MAX_LON_DEG:
        raise ValueError(
            f"coordinate {lon.name} must be longitudes within two turns of 0, got "
            f"{lon_deg.flat[np.abs(lon_deg).argmax()]:g} degrees; put missing values and metres "
            "out of the coordinates"
        )
