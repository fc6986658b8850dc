"""A trained network on another sampling: the same weights, other graphs."""

from typing import Any, TypeVar

import torch
from torch import nn

from deepsphere.graph.coarsening import Pyramid
from deepsphere.graph.options import Disconnected
from deepsphere.graph.retargeting import pyramid_on_sampling
from deepsphere.sampling import Sampling

Network = TypeVar("Network", bound=nn.Module)


def to_sampling(
    model: Network, sampling: Sampling, *, disconnected: Disconnected | None = None
) -> Network:
    """The same network, with a copy of its weights, for signals on another sampling.

    From a patch to the whole sphere, to another patch, to what a survey mask leaves, to another
    resolution, even to another kind of sampling: the graphs are built anew with the choices of the
    network's own graph, and every learned filter stays the same function of the Laplacian
    (`deepsphere.graph.pyramid_on_sampling`). Inside of two parts of one sphere the feature maps
    are equal; at another resolution the filters reach as many vertices, not as many degrees.

    Statistics of the training (batch normalization) are carried over, statistics over the vertices
    (readouts) are weighted with the areas of the new sampling.

    Parameters
    ----------
    model : Module
        A network of `deepsphere.models` whose weights belong to no vertex.
    sampling : Sampling
        With as many levels as the network.
    disconnected : "raise" or "allow", optional
        What to do where the sampling falls apart, as what a mask leaves may; if not given, what
        the graph of the network does, which is to raise unless it was told otherwise.

    Returns
    -------
    Module
        Of the same class, device, floating type and mode. The model itself is left as it is.

    Raises
    ------
    TypeError
        If the model is not a network of `deepsphere.models`, or the sampling not a sampling.
    ValueError
        If a layer of the network is tied to its vertices, as the dense layer of a `CNN`, if it
        lives on another kind of sampling, or if the graphs cannot be built.

    Examples
    --------
    >>> import torch, numpy as np, deepsphere as ds
    >>> sky = ds.Healpix(nside=4)
    >>> pyramid = ds.build_pyramid(sky.subset(np.arange(16)), num_levels=2, num_neighbors=8)
    >>> model = ds.models.FCN(pyramid, in_channels=1, out_channels=2, channels=(4, 8))
    >>> model.to_sampling(sky)(torch.zeros(192, 1)).shape
    torch.Size([2])
    """
    if not isinstance(sampling, Sampling):
        raise TypeError(
            f"sampling must be a sampling such as Healpix(nside=32), got {type(sampling).__name__};"
            " make one of a text with sampling_from_spec"
        )
    inner: Any = model
    config = getattr(inner, "config", None)
    home: Pyramid | Sampling | None = getattr(inner, "pyramid", getattr(inner, "sampling", None))
    if config is None or home is None:
        raise TypeError(
            f"model must be a network of deepsphere.models, got {type(model).__name__}; take the "
            "network inside of a wrapper, as module.model"
        )
    if isinstance(home, Pyramid):
        own = home.samplings[0]
        there: Pyramid | Sampling = pyramid_on_sampling(home, sampling, disconnected=disconnected)
    else:
        own, there = home, sampling
    if sampling != own and getattr(model, "tied_to_vertices", False):
        _refuse(model, sampling)
    # the weights that the constructor draws are replaced: no draw of the caller's is used up
    with torch.random.fork_rng(devices=[]):
        moved: Any = type(inner)(there, **config)
    weights = model.state_dict()
    shapes = {name: tensor.shape for name, tensor in weights.items()}
    if {name: tensor.shape for name, tensor in moved.state_dict().items()} != shapes:
        _refuse(model, sampling)
    reference = next(model.parameters(), None)
    if reference is not None:
        moved.to(reference)
    moved.load_state_dict(weights)
    for name, parameter in moved.named_parameters():
        parameter.requires_grad_(model.get_parameter(name).requires_grad)
    if hasattr(inner, "field_description"):
        moved.field_description = inner.field_description
    return moved.train(model.training)


def _refuse(model: nn.Module, sampling: Sampling) -> None:
    """Raise since weights of the model belong to vertices of its own sampling."""
    raise ValueError(
        f"model must have no weights that belong to vertices, got {type(model).__name__} for "
        f"{sampling!r}; train a network with statistics over the vertices, as FCN, or cut the maps "
        "into patches like those that it was trained on"
    )
