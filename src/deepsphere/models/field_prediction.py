"""Predictions of a network for fields with coordinates, which the predictions have again."""

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypeVar, cast, get_args

import numpy as np
from torch import nn

from deepsphere.fields.channels import from_xarray
from deepsphere.fields.matching import how_far, matching_vertices
from deepsphere.fields.values import Fields
from deepsphere.models.batches import run_in_batches
from deepsphere.models.field_description import FieldDescription, description_of
from deepsphere.models.retargeting import to_sampling
from deepsphere.sampling import Sampling

if TYPE_CHECKING:
    import xarray as xr

    FieldData: TypeAlias = "xr.Dataset | xr.DataArray | np.ndarray"
else:
    FieldData = Any

Data = TypeVar("Data", bound=FieldData)
OtherGrid = Literal["raise", "adapt"]
AtMissing = Literal["keep", "fill"]

# names of dimensions that are channels, as Dataset.to_array makes one
_CHANNEL_DIMS = ("channel", "channels", "variable")
# what would write predictions as the packed integers of the inputs
_PACKING = ("dtype", "scale_factor", "add_offset", "_FillValue", "missing_value")
_SAME_UNITS = (
    {"degc", "celsius", "degree_celsius", "degrees_celsius", "deg_c", "c", "°c"},
    {"k", "kelvin", "degk", "degrees_kelvin"},
    {"1", "", "none", "dimensionless"},
)


def predict_fields(
    model: nn.Module,
    data: Data,
    *,
    batch_size: int = 16,
    channel_dims: str | Sequence[str] | None = None,
    grid: OtherGrid = "raise",
    at_missing: AtMissing = "keep",
) -> Data:
    """Predictions of a network, as data of the same kind and with the same coordinates.

    Channels are the variables that the network was trained on, by their names where it knows them
    (`field_description`), else all variables in their order. Inputs are scaled and outputs given
    units as in the training. Vertices are found by their places: a file may be sorted otherwise,
    or have more vertices than the network.

    Parameters
    ----------
    model
        A network of `deepsphere.models`, on signals (*batch, vertices, channels).
    data
        A data set, one variable, or an array (*batch, vertices, channels) in the order of the
        sampling of the network; of a network of sequences (`RecurrentUNet`), an array (*batch,
        frames, vertices, channels).
    batch_size
        Fields in memory of the device at a time.
    channel_dims
        Dimensions whose places are channels, as ``"level"``; None: one called channel or variable.
    grid
        What to do with fields on another grid than the network's: "raise", or "adapt": its graphs
        are built anew for that grid (`deepsphere.models.to_sampling`).
    at_missing
        For networks that take missing values: "keep" leaves predictions missing at vertices where
        all channels are; "fill" gives what the network says there.

    Returns
    -------
    xarray.Dataset, xarray.DataArray or ndarray
        As was given. A data set has one variable for each output; the outputs of an array are its
        last axis, those of a DataArray its dimension ``channel`` if there are several. Outputs
        which are named as a variable of the input have its attributes, and so has a single output
        of a single variable.

    Raises
    ------
    TypeError
        If the data is neither.
    ValueError
        If the grid is another one than the network's, a channel is missing, a value is missing in
        a network that takes none, or an argument is not one of those above.

    Examples
    --------
    >>> import deepsphere as ds, xarray as xr
    >>> sampling = ds.Equiangular(4, 8)
    >>> pyramid = ds.build_pyramid(sampling, num_levels=1, num_neighbors=8)
    >>> model = ds.models.DenseRegressor(pyramid, in_channels=1, out_channels=1, channels=(4,))
    >>> lat, lon = [-67.5, -22.5, 22.5, 67.5], [45.0 * k for k in range(8)]
    >>> sst = xr.DataArray(np.ones((2, 4, 8)), {"time": [0, 1], "lat": lat, "lon": lon}, name="sst")
    >>> predict_fields(model, sst).coords.equals(sst.coords)
    True
    """
    for name, value, choices in (
        ("grid", grid, get_args(OtherGrid)),
        ("at_missing", at_missing, get_args(AtMissing)),
    ):
        if value not in choices:
            raise ValueError(f"{name} must be one of {', '.join(choices)}, got {value!r}")
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    description = description_of(model)
    if description.needs is not None:
        raise ValueError(
            "model must take fields alone to predict from them, got a network whose inputs are "
            f"prepared as {description.needs!r}; a forecast, which takes several times, is rolled "
            "out by deepsphere forecast"
        )
    if isinstance(data, np.ndarray):
        return _predicted(model, data, description, batch_size, at_missing)
    if _takes_frames(model):
        raise ValueError(
            "data must be an array (*batch, frames, vertices, channels) for a network of "
            f"sequences, got {type(data).__name__} for {type(model).__name__}: its coordinates do "
            "not say which times are a sequence; stack from_xarray(data).signals over windows"
        )
    fields = _chosen(model, data, description, channel_dims)
    model, order = _placed(model, fields.sampling, grid)
    outputs = _outputs(model, fields, order, description, batch_size, at_missing)
    return cast(Data, _as_fields(fields, outputs, order, description))


def _predicted(
    model: nn.Module,
    signals: np.ndarray,
    description: FieldDescription,
    batch_size: int,
    at_missing: AtMissing,
) -> np.ndarray:
    """Outputs for signals (*batch, vertices, channels) in the order of the network."""
    own = _own_sampling(model)
    if signals.ndim < 2 or (own is not None and signals.shape[-2] != own.num_vertices):
        raise ValueError(
            f"data must have the shape (*batch, {own.num_vertices if own else 'vertices'} "
            f"vertices, channels), got {signals.shape}; give fields of other grids with their "
            "coordinates"
        )
    _check_channels(model, signals.shape[-1])
    # what goes through the network at once, before which the others are
    entry = 3 if _takes_frames(model) else 2
    if signals.ndim < entry:
        raise ValueError(
            "data must have the shape (*batch, frames, vertices, channels) for a network of "
            f"sequences, got {signals.shape}; a single frame is signals[None]"
        )
    if 0 in signals.shape:
        raise ValueError(
            f"data must have a field to predict from, got the shape {signals.shape}; was "
            "everything selected away?"
        )
    missing = ~np.isfinite(signals)
    if missing.any() and getattr(model, "missing", "raise") != "renormalize":
        count = int(missing.reshape(-1, *missing.shape[-2:]).any(axis=(0, 2)).sum())
        raise ValueError(
            f"fields must have no missing values for this network, got some at {count} of "
            f"{signals.shape[-2]} vertices; fill them, build the network with "
            "missing='renormalize', or train it on the vertices that are there, "
            "from_xarray(data).dropna().sampling"
        )
    scaled = description.scale(np.where(np.isinf(signals), np.nan, signals))
    flat = scaled.reshape(-1, *scaled.shape[-entry:])
    outputs = run_in_batches(model, flat, batch_size=batch_size)
    if description.interpret is not None:
        outputs = description.interpret(outputs)
    outputs = outputs.reshape(*signals.shape[:-entry], *outputs.shape[1:])
    # of a sequence, the last frame is the one that is predicted for
    missing = missing if entry == 2 else missing[..., -1, :, :]
    if at_missing == "keep" and outputs.ndim == missing.ndim:
        outputs = np.where(missing.all(axis=-1, keepdims=True), np.nan, outputs)
    return outputs.astype(np.float32, copy=False)


def _chosen(
    model: nn.Module,
    data: "xr.Dataset | xr.DataArray",
    description: FieldDescription,
    channel_dims: str | Sequence[str] | None,
) -> Fields:
    """The channels of the network among those of the data."""
    if not hasattr(data, "dims") or not hasattr(data, "coords"):
        raise TypeError(
            "data must be an xarray Dataset or DataArray or a NumPy array, got "
            f"{type(data).__name__}; call the network itself with tensors"
        )
    if channel_dims is None:
        channel_dims = [name for name in _CHANNEL_DIMS if name in data.dims]
    fields = from_xarray(data, channel_dims=channel_dims)
    names = description.channel_names
    # a single variable is what the caller says it is
    alone = fields.is_array and not fields.channel_dims
    if names is not None and not (alone and len(names) == 1):
        fields = fields.select(_labels_of(fields, names))
    _check_channels(model, len(fields.channels), fields.channel_names)
    if description.channel_units is not None:
        _warn_of_units(fields, description.channel_units)
    return fields


def _labels_of(fields: Fields, names: Sequence[str]) -> list[str]:
    """Names of the channels of the data that are those of the network."""
    # a dimension of channels says the names alone, or after that of the variable
    tails = {name.split("_", 1)[-1]: name for name in fields.channel_names}
    by_tail = fields.is_array and set(names) <= set(tails)
    absent = [name for name in names if name not in fields.channel_names]
    if absent and not by_tail:
        raise ValueError(
            f"data must have the channels of the network, {', '.join(names)}, got "
            f"{', '.join(fields.channel_names)}; {', '.join(absent)} not among them: rename the "
            "variables, or name the dimension of levels by channel_dims"
        )
    return [tails[name] for name in names] if absent else list(names)


def _check_channels(model: nn.Module, number: int, names: Sequence[str] = ()) -> None:
    """Raise unless there are as many channels as the network takes."""
    expected = getattr(model, "in_channels", None)
    if expected is None:
        spec: Any = getattr(model, "spec", None)
        expected = spec["config"].get("in_channels") if spec else None
    if expected is not None and expected != number:
        listed = f" ({', '.join(names)})" if names else ""
        raise ValueError(
            f"data must have {expected} channels, as the network, got {number}{listed}; choose "
            "variables, as in data[['t2m']], or name dimensions of channels by channel_dims"
        )


def _warn_of_units(fields: Fields, units: Sequence[str]) -> None:
    """Say where a unit is another one than in the training."""
    for name, given, wanted in zip(fields.channel_names, fields.units, units, strict=True):
        one, other = (unit.strip().lower().replace(" ", "_") for unit in (given, wanted))
        same = one == other or any(one in group and other in group for group in _SAME_UNITS)
        if given and wanted and not same:
            warnings.warn(
                f"channel {name} is in {given}, in the training in {wanted}: convert it if they "
                "are not the same",
                stacklevel=5,
            )


def _takes_frames(model: nn.Module) -> bool:
    """Whether the inputs of a network are sequences of fields."""
    return bool(getattr(model, "takes_frames", False))


def _own_sampling(model: Any) -> Sampling | None:
    """Where the signals of a network are."""
    if hasattr(model, "pyramid"):
        return model.pyramid.graphs[0].sampling
    return getattr(model, "sampling", None)


def _placed(model: nn.Module, given: Sampling, grid: OtherGrid) -> tuple[nn.Module, np.ndarray]:
    """The network, and which vertices of the data it takes, in its order."""
    own = _own_sampling(model)
    if own is None:
        return model, np.arange(given.num_vertices)
    order = matching_vertices(own, given)
    if order is not None:
        return model, order
    if grid == "adapt":
        return to_sampling(model, given), np.arange(given.num_vertices)
    raise ValueError(
        f"data must be on the grid of the network, got {how_far(own, given)}; regrid the data "
        "(deepsphere regrid), or ask for the network on its grid: grid='adapt'"
    )


def _outputs(
    model: nn.Module,
    fields: Fields,
    order: np.ndarray,
    description: FieldDescription,
    batch_size: int,
    at_missing: AtMissing,
) -> np.ndarray:
    """Outputs (*batch, ...) of the network, of which the fields are read in parts."""
    if not fields.batch_dims:
        taken = fields.signals[None, order]
        return _predicted(model, taken, description, batch_size, at_missing)[0]
    if 0 in fields.batch_shape:
        raise ValueError(
            f"data must have a field to predict from, got none in {fields!r}; was everything "
            "selected away?"
        )
    parts = []
    for start in range(0, fields.batch_shape[0], batch_size):
        taken = fields.read(slice(start, start + batch_size))[..., order, :]
        parts.append(_predicted(model, taken, description, batch_size, at_missing))
    return np.concatenate(parts)


def _as_fields(
    fields: Fields, outputs: np.ndarray, order: np.ndarray, description: FieldDescription
) -> "xr.Dataset | xr.DataArray":
    """Outputs with the coordinates of the data."""
    names = description.output_names
    per_vertex = outputs.ndim == len(fields.batch_dims) + 2
    if names is None and per_vertex and outputs.shape[-1] == len(fields.channels):
        names = fields.channel_names
    if names is None:
        names = tuple(f"output_{number}" for number in range(outputs.shape[-1]))
    if per_vertex:
        whole = np.full(
            (*outputs.shape[:-2], fields.sampling.num_vertices, outputs.shape[-1]),
            np.nan,
            outputs.dtype,
        )
        whole[..., order, :] = outputs
        outputs = whole
    # what is the same at all times in the input need not be so in the output
    is_even = all(
        set(fields.batch_dims) <= set(fields.dataset[channel.variable].dims)
        for channel in fields.channels
    )
    if per_vertex and tuple(names) == fields.channel_names and fields.is_whole and is_even:
        return _unpacked(fields, fields.restore(outputs))
    arrays = [
        fields.output(outputs[..., number], name, per_vertex=per_vertex)
        for number, name in enumerate(names)
    ]
    for array, unit in zip(arrays, description.output_units or (), strict=False):
        array.attrs |= {"units": unit}
    if not fields.is_array:
        data = fields.dataset.drop_vars({channel.variable for channel in fields.channels})
        return data.assign({str(array.name): array for array in arrays})
    if len(arrays) == 1:
        return arrays[0]
    import xarray as xr

    bare = [array.rename(None).assign_attrs() for array in arrays]
    for array in bare:
        array.attrs = {}
    joined = xr.concat(bare, dim="channel", join="exact", compat="equals", coords="minimal")
    return joined.assign_coords(channel=list(names)).transpose(..., "channel")


def _unpacked(fields: Fields, restored: "xr.Dataset | xr.DataArray") -> "xr.Dataset | xr.DataArray":
    """The same, to be written as floating-point numbers wherever the inputs were integers."""
    names = {channel.variable for channel in fields.channels}
    variables = [restored] if fields.is_array else [restored[name] for name in names]
    for variable in variables:
        packed = {"scale_factor", "add_offset"} & set(variable.encoding)
        if packed or np.issubdtype(variable.encoding.get("dtype", np.float32), np.integer):
            kept = variable.encoding.items()
            variable.encoding = {key: value for key, value in kept if key not in _PACKING}
    return restored
