"""What every model records about itself, so that a file can rebuild it, and checks of its input."""

from typing import Any

from torch import Tensor

from deepsphere.graph.coarsening import Pyramid
from deepsphere.sampling import CubedSphere, Equiangular, Icosahedral, Sampling, Subset

# What networks that need one kind of sampling call it, with one to use.
_KINDS: dict[type[Sampling], tuple[str, str]] = {
    Equiangular: ("a latitude-longitude grid", "equiangular:16x32"),
    CubedSphere: ("a cubed sphere", "cubed_sphere:16"),
    Icosahedral: ("the vertices of an icosahedral mesh", "icosahedral:16"),
    Subset: ("a part of a HEALPix sphere", "Healpix(nside=64).subset(np.arange(64**2))"),
}


def plain_arguments(arguments: dict[str, Any]) -> dict[str, Any]:
    """The keyword arguments of a model's constructor as plain values.

    Made from `locals()` on the first line of a constructor, so that an argument added to the
    signature cannot be forgotten in the specification.

    Parameters
    ----------
    arguments : dict
        Names and values; `self`, a pyramid or a sampling are left out, tuples become lists.

    Returns
    -------
    dict
        Names and values that survive JSON.

    Examples
    --------
    >>> plain_arguments({"self": None, "channels": (16, 32), "kernel_size": 5})
    {'channels': [16, 32], 'kernel_size': 5}
    """
    return {
        name: list(value) if isinstance(value, tuple | list) else value
        for name, value in arguments.items()
        if name != "self"
        and not name.startswith("__")
        and not isinstance(value, Pyramid | Sampling)
    }


def check_sampling(sampling: object, kind: type[Sampling], model: str) -> None:
    """Raise if a sampling is not of the kind that a model is made for.

    Parameters
    ----------
    sampling : Sampling
    kind : type of Sampling
        `Equiangular`, `CubedSphere`, `Icosahedral` or `Subset`.
    model : str
        Name of the model in the registry.

    Raises
    ------
    ValueError
        If it is another one.

    Examples
    --------
    >>> check_sampling(CubedSphere(4), CubedSphere, "cube_cnn")
    """
    if not isinstance(sampling, kind):
        words, example = _KINDS[kind]
        got = repr(sampling.spec) if isinstance(sampling, Sampling) else repr(sampling)
        raise ValueError(
            f"sampling must be {words} for {model}, got {got}; use {example}, for example"
        )


def check_signals(signals: Tensor, *, num_vertices: int, in_channels: int) -> None:
    """Raise if signals are not (*batch, vertices, channels) of a model's first level.

    Parameters
    ----------
    signals : Tensor
    num_vertices, in_channels : int
        What the model was built for.

    Raises
    ------
    TypeError
        If they are not a tensor.
    ValueError
        If the last two axes differ from these.
    """
    if not isinstance(signals, Tensor):
        raise TypeError(
            f"signals must be a torch tensor, got {type(signals).__name__}; use "
            "torch.from_numpy, or deepsphere.training.predict for arrays"
        )
    if tuple(signals.shape[-2:]) != (num_vertices, in_channels):
        raise ValueError(
            f"signals must have shape (*batch, {num_vertices} vertices, {in_channels} channels), "
            f"got {tuple(signals.shape)}; sample them where the model was built, with channels "
            "last (layers.ChannelsFirst adapts the other order)"
        )
