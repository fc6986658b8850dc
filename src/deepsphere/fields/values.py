"""Fields of a data set as signals on its sampling, and signals as fields again."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int

from deepsphere.fields.layout import GridLayout
from deepsphere.fields.numbers import as_dtype, float_type, warn_of_fills
from deepsphere.sampling import Sampling

if TYPE_CHECKING:
    import xarray as xr

_TIME_NAMES = ("time", "valid_time", "date", "t")


@dataclass(frozen=True)
class Channel:
    """A channel of signals: a variable, at one place of its channel dimensions.

    Attributes
    ----------
    variable : str
        Name in the data set.
    place : tuple of (str, int)
        Index along each channel dimension.

    Examples
    --------
    >>> Channel("z", (("level", 1),)).variable
    'z'
    """

    variable: str
    place: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, eq=False)
class Fields:
    """Fields of a data set, read as signals (*batch, vertices, channels) when they are asked for.

    Attributes
    ----------
    layout : GridLayout
        Which vertex each cell of the grid is.
    dataset : xarray.Dataset
        The variables that are read, as they were given.
    channels : tuple of Channel
        Where each channel comes from.
    channel_names : tuple of str
        A variable, or with channel dimensions ``variable_value``, as in z_500.
    batch_dims : tuple of str
        Dimensions before the vertices, time first.
    channel_dims : tuple of str
        Dimensions that became channels.
    is_array : bool
        Whether a DataArray was given, which is what `restore` then gives back.
    array_name : hashable
        Its name.

    Examples
    --------
    >>> import xarray as xr
    >>> from deepsphere.fields import from_xarray
    >>> grid = {"lat": [-45.0, 45.0], "lon": [0.0, 120.0, 240.0]}
    >>> fields = from_xarray(xr.Dataset({"t": (("time", "lat", "lon"), np.zeros((5, 2, 3)))}, grid))
    >>> fields
    Fields(t on Equiangular(nlat=2, nlon=3, poles=0); time: 5)
    >>> fields.read([0, 4]).shape, fields.batch_shape
    ((2, 6, 1), (5,))
    """

    layout: GridLayout
    dataset: "xr.Dataset"
    channels: tuple[Channel, ...]
    channel_names: tuple[str, ...]
    batch_dims: tuple[str, ...]
    channel_dims: tuple[str, ...] = ()
    is_array: bool = False
    array_name: Hashable = None

    def __repr__(self) -> str:
        sizes = ", ".join(f"{dim}: {self.dataset.sizes[dim]}" for dim in self.batch_dims)
        return f"Fields({', '.join(self.channel_names)} on {self.sampling!r}; {sizes or 'one'})"

    @property
    def sampling(self) -> Sampling:
        """The vertices."""
        return self.layout.sampling

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Sizes of the dimensions before the vertices."""
        return tuple(self.dataset.sizes[dim] for dim in self.batch_dims)

    @property
    def units(self) -> tuple[str, ...]:
        """Unit of each channel, empty where the file says none."""
        return tuple(
            str(self.dataset[channel.variable].attrs.get("units", "")) for channel in self.channels
        )

    @property
    def times(self) -> np.ndarray | None:
        """Coordinate of the dimension of time: datetime64, cftime dates or numbers; or None."""
        for dim in self.batch_dims:
            if is_time(self.dataset, dim) and dim in self.dataset.coords:
                return self.dataset[dim].values
        return None

    @property
    def notes(self) -> tuple[str, ...]:
        """What was changed on the way."""
        return self.layout.notes

    @cached_property
    def signals(self) -> Float[np.ndarray, "*batch vertices channels"]:
        """All of them; missing values are NaN. float64 where a variable is, else float32."""
        return self._read(self.dataset)

    @property
    def valid(self) -> Bool[np.ndarray, "*batch vertices"]:
        """Where no channel is missing."""
        return np.asarray(np.isfinite(self.signals).all(axis=-1))

    @property
    def always_valid(self) -> Bool[np.ndarray, "vertices"]:
        """Vertices at which nothing is missing in any field."""
        return np.asarray(self.valid.reshape(-1, self.sampling.num_vertices).all(axis=0))

    def read(self, indices: slice | Int[np.ndarray, "n"] | Sequence[int]) -> np.ndarray:
        """Part of the signals along the first batch dimension; only that is loaded.

        Parameters
        ----------
        indices
            Places along the first batch dimension.

        Returns
        -------
        ndarray, shape (n, *batch, vertices, channels)

        Raises
        ------
        ValueError
            If there is no batch dimension.
        """
        if not self.batch_dims:
            raise ValueError(
                "fields must have a dimension before the vertices to be read in parts, got "
                f"{self!r}; use signals"
            )
        return self._read(self.dataset.isel({self.batch_dims[0]: indices}))

    def dropna(self) -> "Fields":
        """The same fields on the vertices at which nothing is ever missing.

        Returns
        -------
        Fields
            On a `Subset`; `restore` leaves the other cells missing.

        Raises
        ------
        ValueError
            If no vertex is always there.
        """
        kept = self.always_valid
        if kept.all():
            return self
        if not kept.any():
            raise ValueError(
                f"fields must have a vertex at which nothing is missing, got none of "
                f"{len(kept)} in {self!r}; choose times or variables, or mask each field by valid"
            )
        return replace(self, layout=self.layout.subset(kept))

    def select(self, names: Sequence[str]) -> "Fields":
        """The same fields with some of the channels, in the order of their names.

        Parameters
        ----------
        names
            Among `channel_names`.

        Returns
        -------
        Fields

        Raises
        ------
        ValueError
            If there is no such channel.
        """
        absent = [name for name in names if name not in self.channel_names]
        if absent:
            raise ValueError(
                f"channels must be among {', '.join(self.channel_names)}, got {', '.join(absent)}"
            )
        chosen = tuple(self.channels[self.channel_names.index(name)] for name in names)
        left_out = self._variables - {channel.variable for channel in chosen}
        return replace(
            self,
            dataset=self.dataset.drop_vars(left_out),
            channels=chosen,
            channel_names=tuple(names),
        )

    def restore(
        self, signals: Float[np.ndarray, "*batch vertices channels"]
    ) -> "xr.Dataset | xr.DataArray":
        """The data set of other signals: same variables, coordinates, attributes and encoding.

        Parameters
        ----------
        signals
            In the shape of `signals`.

        Returns
        -------
        xarray.Dataset or DataArray
            As was given. Of the dtype of each variable where its values fit, else floating.

        Raises
        ------
        ValueError
            If the shape is another one, or not all places of a channel dimension are channels.
        """
        self._check_whole()
        wanted = (*self.batch_shape, self.sampling.num_vertices, len(self.channels))
        if signals.shape != wanted:
            raise ValueError(
                f"signals must have the shape {wanted} of the fields, got {signals.shape}"
            )
        restored = self.dataset.copy()
        for name in dict.fromkeys(channel.variable for channel in self.channels):
            # the variable alone: its coordinates are there, and an index of several levels stays
            restored[name] = self._restored_variable(name, signals).variable
        if not self.is_array:
            return restored
        return restored[self.channels[0].variable].rename(self.array_name)

    def output(
        self, values: Float[np.ndarray, "..."], name: str, *, per_vertex: bool = True
    ) -> "xr.DataArray":
        """An array of other values on the same grid and at the same times.

        Parameters
        ----------
        values
            (*batch, vertices), or (*batch) for one value of each field.
        name
            Of the array; where it is that of a variable, the array has its attributes.
        per_vertex
            Whether there is a value for each vertex.

        Returns
        -------
        xarray.DataArray
            With the coordinates of the data set, its dimensions in the order of the first variable.
        """
        import xarray as xr

        first = self.dataset[self.channels[0].variable]
        batch = dict.fromkeys(self.batch_dims)
        if per_vertex:
            array = self.layout.restore(values, batch=batch, name=name)
        else:
            array = xr.DataArray(values, dims=list(batch), name=name)
        ordered = [dim for dim in first.dims if dim in array.dims]
        array = array.transpose(*[dim for dim in array.dims if dim not in ordered], *ordered)
        coords = {
            key: coord
            for key, coord in self.dataset.coords.items()
            if set(coord.dims) <= set(array.dims)
        }
        array = array.drop_vars(array.coords).assign_coords(coords)
        array.attrs = dict(self.dataset[name].attrs) if name in self._variables else {}
        return array

    @property
    def _variables(self) -> set[str]:
        """Names of the variables that are channels."""
        return {channel.variable for channel in self.channels}

    @property
    def is_whole(self) -> bool:
        """Whether every place along the channel dimensions of a variable is a channel."""
        sizes = self.dataset.sizes
        return all(
            sum(channel.variable == name for channel in self.channels)
            == math.prod(sizes[dim] for dim in self.channel_dims if dim in self.dataset[name].dims)
            for name in self._variables
        )

    def _check_whole(self) -> None:
        if not self.is_whole:
            raise ValueError(
                "fields must have all places of their channel dimensions to be restored, got "
                f"{', '.join(self.channel_names)}; select whole variables"
            )

    def _restored_variable(self, name: str, signals: np.ndarray) -> "xr.DataArray":
        """A variable, made of its channels."""
        like = self.dataset[name]
        own = [number for number, channel in enumerate(self.channels) if channel.variable == name]
        batch = tuple(dim for dim in self.batch_dims if dim in like.dims)
        extra = tuple(dim for dim in self.channel_dims if dim in like.dims)
        values = np.moveaxis(signals[..., own], -1, -2)
        # a variable that lacks a batch dimension was repeated along it
        absent = tuple(0 if dim not in like.dims else slice(None) for dim in self.batch_dims)
        values = values[absent]
        shape = tuple(like.sizes[dim] for dim in (*batch, *extra))
        values = values.reshape(*shape, values.shape[-1])
        template = like.transpose(*batch, *extra, *self.layout.spatial_dims)
        array = self.layout.restore(as_dtype(values, like.dtype), like=template)
        array = array.transpose(*like.dims)
        array.encoding = dict(like.encoding)
        return array

    def _read(self, dataset: "xr.Dataset") -> np.ndarray:
        """Signals of a part of the data set, along its batch dimensions."""
        sizes = tuple(dataset.sizes[dim] for dim in self.batch_dims)
        dtype = np.result_type(
            *[float_type(dataset[channel.variable]) for channel in self.channels]
        )
        signals = np.empty((*sizes, self.sampling.num_vertices, len(self.channels)), dtype)
        loaded: dict[str, np.ndarray] = {}
        for number, channel in enumerate(self.channels):
            if channel.variable not in loaded:
                loaded = {channel.variable: self._flat(dataset[channel.variable])}
                warn_of_fills(channel.variable, loaded[channel.variable])
            variable = dataset[channel.variable]
            extra = [dim for dim in self.channel_dims if dim in variable.dims]
            place = dict(channel.place)
            values = loaded[channel.variable]
            # flattened as (*channel dims, *batch dims, vertices)
            values = values[tuple(place[dim] for dim in extra)]
            shape = [dataset.sizes[dim] if dim in variable.dims else 1 for dim in self.batch_dims]
            signals[..., number] = values.reshape(*shape, self.sampling.num_vertices)
        return signals

    def _flat(self, variable: "xr.DataArray") -> np.ndarray:
        """Values (*channel dims, *batch dims, vertices) of a variable."""
        extra = [dim for dim in self.channel_dims if dim in variable.dims]
        batch = [dim for dim in self.batch_dims if dim in variable.dims]
        return self.layout.flatten(variable.transpose(*extra, *batch, *self.layout.spatial_dims))


def is_time(data: "xr.Dataset", dim: str) -> bool:
    """Whether a dimension is time, by its values or its name.

    Parameters
    ----------
    data
        That has it.
    dim
        Its name.

    Returns
    -------
    bool

    Examples
    --------
    >>> import xarray as xr
    >>> data = xr.Dataset(coords={"valid_time": [0, 6], "level": [500, 850]})
    >>> is_time(data, "valid_time"), is_time(data, "level")
    (True, False)
    """
    if dim in data.coords:
        coord = data[dim]
        if coord.dtype.kind == "M" or coord.attrs.get("standard_name") == "time":
            return True
    return dim.lower() in _TIME_NAMES
