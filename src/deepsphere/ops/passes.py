"""The compiled passes over a signal: everything after a filter at once, and its gradient."""

import ctypes
from functools import cache
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from deepsphere.native import load_library
from deepsphere.ops.cpp import ACTIVATIONS, POOLS
from deepsphere.ops.memory import empty_output
from deepsphere.ops.plans import DTYPES

ActivationKind = Literal["none", "relu", "gelu"]
PoolKind = Literal["none", "max", "mean"]

# rows of which the compiled gradient finds the maximum (kernels/passes.h)
LARGEST_GROUP = 64

_SIZES = [ctypes.c_int] * 3 + [ctypes.c_int64] * 3


class Normalization(NamedTuple):
    """A map ``(z - center) * scale + shift``, each with one number per channel."""

    center: Tensor
    scale: Tensor
    shift: Tensor


@cache
def library() -> ctypes.CDLL | None:
    """The compiled kernels with the signatures of the passes, or None."""
    found = load_library()
    if found is None:
        return None
    for name, num_pointers in (
        ("ds_pass_forward", 5),
        ("ds_pass_sums", 6),
        ("ds_pass_gradient", 8),
    ):
        function = getattr(found, name)
        function.argtypes = [*_SIZES, *[ctypes.c_void_p] * num_pointers, ctypes.c_int]
        function.restype = None
    return found


def serves(z: Tensor, group: int = 1) -> bool:
    """Whether the compiled passes take such a signal, pooled over such groups of vertices."""
    is_taken = z.device.type == "cpu" and z.dtype in DTYPES and group <= LARGEST_GROUP
    return is_taken and library() is not None


def forward(
    z: Tensor, normalization: Normalization, activation: str, pool: str, group: int
) -> Tensor:
    """``pool(activation((z - center) * scale + shift))`` of a signal (batch, vertices, channels).

    Parameters
    ----------
    z : Tensor, shape (batch, vertices, channels)
    normalization : Normalization
    activation, pool : str
        "none", "relu" or "gelu"; "none", "max" or "mean".
    group : int
        Consecutive vertices that are pooled into one; 1 without pooling.

    Returns
    -------
    Tensor, shape (batch, vertices / group, channels)
    """
    out = empty_output(z, z.shape[0], z.shape[1] // group, z.shape[2])
    _call("ds_pass_forward", z, group, activation, pool, z, *normalization, out)
    return out


def sums(
    grad: Tensor, z: Tensor, normalization: Normalization, activation: str, pool: str, group: int
) -> Tensor:
    """The gradients of the shift and of the scale, in float64, shape (2, channels)."""
    out = torch.empty(2, z.shape[2], dtype=torch.float64)
    _call("ds_pass_sums", z, group, activation, pool, grad, z, *normalization, out)
    return out


def gradient(
    grad: Tensor,
    z: Tensor,
    normalization: Normalization,
    losses: tuple[Tensor, Tensor],
    activation: str,
    pool: str,
    group: int,
) -> Tensor:
    """``scale * (g - losses[0] - (z - center) * losses[1])``, g the gradient before activation."""
    out = empty_output(z, *z.shape)
    _call("ds_pass_gradient", z, group, activation, pool, grad, z, *normalization, *losses, out)
    return out


def _call(name: str, z: Tensor, group: int, activation: str, pool: str, *tensors: Tensor) -> None:
    """Call a pass; tensors must be contiguous and of one type (but the sums)."""
    if z.numel() == 0:
        tensors[-1].zero_()
        return
    batch, vertices, channels = z.shape
    getattr(library(), name)(
        DTYPES[z.dtype],
        ACTIVATIONS[activation],
        POOLS[pool],
        batch * vertices // group,
        group,
        channels,
        *[tensor.data_ptr() for tensor in tensors],
        torch.get_num_threads(),
    )
