"""Who can compute a graph convolution here: our backends and the peers, by name."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from importlib.util import find_spec
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from deepsphere.benchmarks.peers.chebyshev import (
    EagerCSR,
    GeometricConv,
    OwnFilter,
    PublishedCOO,
    ScipyFilter,
)
from deepsphere.benchmarks.record import OURS
from deepsphere.benchmarks.setting import Setting
from deepsphere.benchmarks.shapes import tiny_operator
from deepsphere.ops import BACKENDS, SparseOperator, choose_backend
from deepsphere.ops.backends import BackendName

Make = Callable[[SparseOperator, Tensor], nn.Module]

EAGER = "CSR eager"
COO = "COO"
GEOMETRIC = "PyG"
SCIPY = "SciPy"


@dataclass(frozen=True)
class LayerVariant:
    """One way to compute a graph convolution.

    Parameters
    ----------
    name
        In tables.
    description
        What it is, for those who read them.
    make
        From the operator and a weight (kernel_size, in, out) to a layer on (batch, vertices, in).
    kind
        "own": a backend of this library; "plain": torch alone; "peer": another library, measured
        only where peers are asked for.
    package
        What has to be installed; None for nothing more.
    trains
        Whether it has gradients.
    on_cuda
        Whether it runs there.
    largest_signal
        Beyond so many values it is left out, as it would take minutes or all of the memory.
    """

    name: str
    description: str
    make: Make
    kind: Literal["own", "plain", "peer"]
    package: str | None = None
    trains: bool = True
    on_cuda: bool = True
    largest_signal: int | None = None

    def why_not(
        self, setting: Setting, *, num_values: int = 0, training: bool = False
    ) -> str | None:
        """Why it is not measured, or None if it is.

        Parameters
        ----------
        setting
            Of the run.
        num_values
            Of the wider of input and output.
        training
            Whether gradients are asked for.

        Returns
        -------
        str or None
        """
        if self.kind == "own" and self.name in BACKENDS:
            return _objection(self.name, setting.device)
        if self.kind == "peer" and not setting.with_peers:
            return "peers were not asked for; pass --peers"
        if self.package is not None and find_spec(self.package) is None:
            return f"{self.package} is not installed; pip install {self.package.replace('_', '-')}"
        if training and not self.trains:
            return "has no gradients"
        if setting.device == "cuda" and not self.on_cuda:
            return "runs on a CPU only"
        if self.largest_signal is not None and num_values > self.largest_signal:
            return f"left out above {self.largest_signal:,} values"
        return None


_DESCRIPTIONS = {
    OURS: "this library with its default backend",
    "cpp": "this library, compiled kernels that keep all orders of a tile of vertices in cache",
    "triton": "this library, Triton kernels",
    "csr": "this library, fused CSR products of torch with gradients of its own",
    "reference": "this library, the plain definition",
}
# It gathers every neighbor of every channel.
_LARGEST_FOR_REFERENCE = 2**22


@cache
def _objection(backend: str, device: str) -> str | None:
    """Why a backend cannot filter a small signal on a device."""
    operator = tiny_operator()
    arrays = tuple(array.to(device) for array in operator.arrays())
    signal = torch.zeros(1, operator.num_vertices, 1, device=device)
    weight = torch.zeros(2, 1, 1, device=device)
    return BACKENDS[backend].why_not(signal, weight, arrays)


def _own(backend: BackendName) -> LayerVariant:
    """A backend of this library, or its default."""
    return LayerVariant(
        OURS if backend == "auto" else backend,
        _DESCRIPTIONS.get(backend if backend != "auto" else OURS, f"this library, {backend}"),
        partial(OwnFilter, backend=backend),
        "own",
        largest_signal=_LARGEST_FOR_REFERENCE if backend == "reference" else None,
    )


LAYER_VARIANTS: dict[str, LayerVariant] = {
    variant.name: variant
    for variant in (
        # the first is what the outputs of the others are compared with
        LayerVariant(EAGER, "the recurrence written out in torch CSR products", EagerCSR, "plain"),
        *(_own(backend) for backend in get_args(BackendName)),
        LayerVariant(
            COO, "deepsphere-pytorch's layer, re-stated from its formula", PublishedCOO, "peer"
        ),
        LayerVariant(
            GEOMETRIC,
            "ChebConv of PyTorch Geometric, its Laplacian computed outside the timed part",
            GeometricConv,
            "peer",
            package="torch_geometric",
        ),
        LayerVariant(
            SCIPY,
            "the recurrence in NumPy and SciPy, forward only",
            ScipyFilter,
            "peer",
            trains=False,
            on_cuda=False,
        ),
    )
}
"""All that can compute a graph convolution, by name."""


def chosen_backend(layer: nn.Module, signal: Tensor) -> str:
    """What computes a layer, as a remark beside its number: the backend that was chosen.

    Parameters
    ----------
    layer
        Of `LayerVariant.make`.
    signal
        Its input.

    Returns
    -------
    str
        Empty for peers.
    """
    if not isinstance(layer, OwnFilter) or layer.backend != "auto":
        return ""
    return choose_backend(signal, layer.weight, layer.operator.arrays())[0]
