"""The least time that a machine allows for a layer: arithmetic, or memory, whichever is longer."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from deepsphere.benchmarks.setting import Setting
from deepsphere.benchmarks.shapes import LayerShape
from deepsphere.experiments.timing import Times, interleave

_MATRIX = 2048
_COPIED_VALUES = 2**26
# A value in float32 and a column in 16 bits, the tightest of the formats in use here.
_BYTES_PER_EDGE = 6


@dataclass(frozen=True)
class Roof:
    """What a machine reaches in float32.

    Parameters
    ----------
    flops
        Floating-point operations per second, of a product of two matrices 2048 × 2048.
    bandwidth
        Bytes per second, read and written, of a copy of 256 MB.
    """

    flops: float
    bandwidth: float


@dataclass(frozen=True)
class Bound:
    """The least time of a layer, in milliseconds.

    Parameters
    ----------
    arithmetic, memory
        By each of the two limits.

    Examples
    --------
    >>> Bound(arithmetic=4.0, memory=11.0).milliseconds
    11.0
    """

    arithmetic: float
    memory: float

    @property
    def milliseconds(self) -> float:
        """The longer one."""
        return max(self.arithmetic, self.memory)

    @property
    def name(self) -> str:
        """Which one that is."""
        return "arithmetic" if self.arithmetic >= self.memory else "memory"


def time_beside_roof(call: Callable[[], object], setting: Setting) -> tuple[Times, Roof]:
    """Times of a call, and what the machine reaches in the same minute.

    A matrix product and a copy take turns with the call, so that a busy machine is as busy for all
    three; the best turns of these two count.

    Parameters
    ----------
    call
        Any work.
    setting
        Device and repetitions.

    Returns
    -------
    tuple of Times and Roof
    """
    size, values = (256, 2**20) if setting.quick else (_MATRIX, _COPIED_VALUES)
    left = torch.ones(size, size, device=setting.device)
    product = torch.empty_like(left)
    source = torch.ones(values, device=setting.device)
    target = torch.zeros_like(source)
    calls = {
        "call": call,
        "product": lambda: torch.mm(left, left, out=product),
        "copy": lambda: target.copy_(source),
    }
    times = interleave(calls, setting)
    product_ms, copy_ms = (min(times[name].milliseconds) for name in ("product", "copy"))
    roof = Roof(flops=2e3 * size**3 / product_ms, bandwidth=8e3 * values / copy_ms)
    return times["call"], roof


def layer_bound(shape: LayerShape, num_edges: int, roof: Roof) -> Bound:
    """The least time of a graph convolution if every number crosses the memory bus once.

    Arithmetic: ``2 E`` operations for each channel of the narrower side and order but the first,
    and ``2 V in out`` for each order. Memory: input, output and edges, once; what is between stays
    in cache.

    Parameters
    ----------
    shape
        Of the layer.
    num_edges
        Stored entries E of the operator.
    roof
        Of the machine.

    Returns
    -------
    Bound
    """
    items = shape.batch * shape.num_vertices
    narrow = min(shape.in_channels, shape.out_channels)
    steps = 2 * num_edges * shape.batch * narrow * (shape.kernel_size - 1)
    mixing = 2 * items * shape.kernel_size * shape.in_channels * shape.out_channels
    num_bytes = 4 * items * (shape.in_channels + shape.out_channels) + _BYTES_PER_EDGE * num_edges
    return Bound(
        arithmetic=1e3 * (steps + mixing) / roof.flops, memory=1e3 * num_bytes / roof.bandwidth
    )
