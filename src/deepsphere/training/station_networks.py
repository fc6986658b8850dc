"""Networks for stations, from their graph."""

from typing import Any, Literal, get_args

from torch import nn

from deepsphere.data.station_objectives import StationObjective
from deepsphere.graph import build_pyramid
from deepsphere.models.presets import ghcn
from deepsphere.models.unet import UNet
from deepsphere.sampling import Sampling

StationModel = Literal["ghcn", "unet"]

_UNET_CHANNELS = (32, 64, 128)


def station_network(
    model: StationModel,
    sampling: Sampling,
    objective: StationObjective,
    *,
    graph: dict[str, Any],
    **options: Any,
) -> nn.Module:
    """A network for an objective, that takes missing values.

    Parameters
    ----------
    model
        "ghcn", that of the published experiment, on one graph; or "unet", on as many as it has
        `channels`, for targets at stations: three unless told otherwise, or two where there are
        too few stations.
    sampling
        The stations.
    objective
        What it is to learn.
    graph
        Keywords of `build_graph`.
    **options
        Of the network, in_channels and out_channels among them.

    Returns
    -------
    Module

    Raises
    ------
    ValueError
        If there is no such model, it has no output for all stations together, or the stations are
        too few for several graphs.

    Examples
    --------
    >>> from deepsphere.data.station_objectives import day_of_year
    >>> from deepsphere.sampling import Fibonacci
    >>> network = station_network(
    ...     "ghcn", Fibonacci(50), day_of_year("tavg"), graph={"num_neighbors": 5}, in_channels=1
    ... )
    >>> type(network).__name__
    'Regressor'
    """
    if model not in get_args(StationModel):
        raise ValueError(f"model must be one of {', '.join(get_args(StationModel))}, got {model!r}")
    options = {"missing": "renormalize", **options}
    if model == "ghcn":
        variant = "global" if objective.is_global else "dense"
        return ghcn(build_pyramid(sampling, num_levels=1, **graph), variant=variant, **options)
    if objective.is_global:
        raise ValueError(
            f"model must be 'ghcn' for one target of all stations together, got {model!r}, which "
            "has outputs at stations"
        )
    most = _most_levels(sampling, len(_UNET_CHANNELS))
    if most < 2:
        raise ValueError(
            f"model must be 'ghcn' for stations too few to be coarsened, got {model!r} for "
            f"{sampling.num_vertices}"
        )
    options = {"channels": _UNET_CHANNELS[:most], **options}
    pyramid = build_pyramid(sampling, num_levels=len(options["channels"]), **graph)
    return UNet(pyramid, **options)


def _most_levels(sampling: Sampling, wanted: int) -> int:
    """How many levels a pyramid above some stations can have, of so many."""
    for level in range(1, wanted):
        try:
            sampling = sampling.coarsen()
        except ValueError:
            return level
    return wanted


def start_at_zero(network: nn.Module) -> None:
    """Make the outputs of a network zero, by the weights of its last convolution.

    Parameters
    ----------
    network
        As of `station_network`, with outputs at stations; changed in place.

    Examples
    --------
    >>> import torch
    >>> from deepsphere.data.station_objectives import next_day
    >>> from deepsphere.sampling import Fibonacci
    >>> network = station_network(
    ...     "ghcn", Fibonacci(50), next_day("tavg"), graph={"num_neighbors": 5}, in_channels=1
    ... )
    >>> start_at_zero(network)
    >>> network(torch.ones(50, 1)).abs().max().item()
    0.0
    """
    head: Any = network.get_submodule("head")
    for parameter in head.parameters():
        nn.init.zeros_(parameter)
