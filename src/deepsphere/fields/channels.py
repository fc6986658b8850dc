"""Which variables of a data set become channels."""

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from deepsphere.fields.coordinates import angle_role, bounds_names
from deepsphere.fields.layout import GridLayout
from deepsphere.fields.recognition import as_dataset, layout_of_dataset
from deepsphere.fields.values import Channel, Fields, is_time

if TYPE_CHECKING:
    import xarray as xr

# Areas of cells where no attribute says so (MPAS, ICON, CMIP; CAM-SE).
_AREA_NAMES = {"areacell", "cell_area", "areacella", "areacello"}
_AREA_UNITS = {"steradian", "steradians", "sr", "radian^2", "radians^2", "m2", "m^2", "km2"}


def from_xarray(
    data: "xr.Dataset | xr.DataArray",
    *,
    variables: str | Sequence[str] | None = None,
    channel_dims: str | Sequence[str] = (),
) -> Fields:
    """Fields of a data set, as signals on the sampling that its coordinates describe.

    Parameters
    ----------
    data
        A data set or one variable.
    variables
        Names of the variables that become channels, in this order; by default all numbers on the
        grid, the areas of its cells aside.
    channel_dims
        Dimensions whose places become channels too, as ``"level"``; the other dimensions come
        before the vertices, time first. A variable that lacks one is repeated along it.

    Returns
    -------
    Fields
        Read when its `signals` are asked for.

    Raises
    ------
    ImportError
        If xarray is missing.
    ValueError
        If the grid is not recognised, or there is no such variable on it.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> temperature = xr.DataArray(
    ...     np.arange(8.0).reshape(1, 2, 4),
    ...     coords={"time": [0], "lat": [-45.0, 45.0], "lon": [-180.0, -90.0, 0.0, 90.0]},
    ...     dims=("time", "lat", "lon"), name="t2m", attrs={"units": "K"},
    ... )
    >>> fields = from_xarray(temperature)
    >>> fields.signals.shape, fields.channel_names, fields.units
    ((1, 8, 1), ('t2m',), ('K',))
    >>> fields.signals[0, :4, 0]  # the north from longitude 0 eastward
    array([6., 7., 4., 5.])
    >>> bool(fields.restore(fields.signals).identical(temperature))
    True
    """
    dataset = as_dataset(data)
    names = [variables] if isinstance(variables, str) else variables
    if names is not None:
        absent = [name for name in names if name not in dataset.data_vars]
        if absent or not names:
            raise ValueError(
                f"variables must be among {', '.join(map(str, dataset.data_vars))}, got "
                f"{', '.join(absent) or 'none'}"
            )
        dataset = dataset.drop_vars(_fields_beside(dataset, names))
    layout = layout_of_dataset(dataset)
    names = names or _variables_on_grid(dataset, layout)
    dims = [channel_dims] if isinstance(channel_dims, str) else list(channel_dims)
    _check_variables(dataset, names, layout, dims)
    batch = dict.fromkeys(
        str(dim)
        for name in names
        for dim in dataset[name].dims
        if str(dim) not in {*layout.spatial_dims, *dims}
    )
    channels = [channel for name in names for channel in _channels(dataset[name], dims)]
    return Fields(
        layout,
        dataset,
        tuple(channels),
        tuple(_label(dataset[channel.variable], channel) for channel in channels),
        tuple(sorted(batch, key=lambda dim: not is_time(dataset, dim))),
        tuple(dims),
        not hasattr(data, "data_vars"),
        getattr(data, "name", None),
    )


def _fields_beside(data: "xr.Dataset", names: Sequence[str]) -> list[str]:
    """Variables that were not asked for and say nothing of the grid."""
    without = bounds_names(data)
    return [
        str(name)
        for name, variable in data.data_vars.items()
        if name not in names
        and variable.ndim > 0
        and str(name) not in without
        and angle_role(variable) is None
    ]


def _variables_on_grid(data: "xr.Dataset", layout: GridLayout) -> list[str]:
    """Numbers with the spatial dimensions, coordinates and borders of cells aside."""
    without = bounds_names(data)
    names = [
        str(name)
        for name, variable in data.data_vars.items()
        if set(layout.spatial_dims) <= set(variable.dims)
        and str(name) not in without
        and variable.dtype.kind in "fiub"
        and (angle_role(variable) is None or str(name).lower() in ("x", "y"))
    ]
    of_cells = _area_names(data)
    names = [name for name in names if name not in of_cells] or names
    if not names:
        raise ValueError(
            f"data must have a variable on the dimensions {', '.join(layout.spatial_dims)} of the "
            f"grid, got {', '.join(map(str, data.data_vars)) or 'none'}"
        )
    return names


def _area_names(data: "xr.Dataset") -> set[str]:
    """Variables that are the areas of the cells, which belong to the grid."""
    named = " ".join(
        str(variable.attrs.get("cell_measures") or variable.encoding.get("cell_measures"))
        for variable in data.data_vars.values()
    ).split()
    return {
        str(name)
        for name, variable in data.data_vars.items()
        if str(name) in named
        or variable.attrs.get("standard_name") == "cell_area"
        or str(name).lower() in _AREA_NAMES
        or (str(name).lower() == "area" and variable.attrs.get("units") in _AREA_UNITS)
    }


def _check_variables(
    data: "xr.Dataset", names: Sequence[str], layout: GridLayout, channel_dims: Sequence[str]
) -> None:
    """Raise unless all are numbers on the grid, and some have the channel dimensions."""
    for name in names:
        variable = data[name]
        if not set(layout.spatial_dims) <= set(variable.dims) or variable.dtype.kind not in "fiub":
            raise ValueError(
                f"variable {name} must be numbers on the dimensions "
                f"{', '.join(layout.spatial_dims)} of the grid, got {variable.dtype} on "
                f"{', '.join(map(str, variable.dims)) or 'none'}"
            )
    for dim in channel_dims:
        if dim in layout.spatial_dims or not any(dim in data[name].dims for name in names):
            raise ValueError(
                f"channel_dims must be dimensions of the variables beside those of the grid, got "
                f"{dim!r}; they have {', '.join(map(str, data[names[0]].dims))}"
            )


def _channels(variable: "xr.DataArray", channel_dims: Sequence[str]) -> list[Channel]:
    """Every place along the channel dimensions of a variable."""
    own = [dim for dim in channel_dims if dim in variable.dims]
    places = product(*[range(variable.sizes[dim]) for dim in own])
    return [Channel(str(variable.name), tuple(zip(own, place, strict=True))) for place in places]


def _label(variable: "xr.DataArray", channel: Channel) -> str:
    """Name of a channel: the variable, and the coordinates of its place."""
    words = [channel.variable]
    for dim, index in channel.place:
        value = variable[dim].values[index] if dim in variable.coords else index
        words.append(
            f"{value:g}" if np.issubdtype(np.asarray(value).dtype, np.number) else str(value)
        )
    return "_".join(words)
