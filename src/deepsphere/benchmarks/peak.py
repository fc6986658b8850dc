"""Peak memory of one variant, measured in a process of its own.

`python -m deepsphere.benchmarks.peak REQUEST` is that process; it prints megabytes.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from deepsphere.benchmarks.setting import Setting, limited_threads
from deepsphere.benchmarks.shapes import LayerShape, layer_inputs, layer_operator, tiny_operator
from deepsphere.benchmarks.variants import LAYER_VARIANTS
from deepsphere.experiments.memory import added_megabytes, ask_process, resident_megabytes
from deepsphere.ops import release_memory

Work = Literal["forward", "forward + backward"]


class _Loss(torch.autograd.Function):
    """A loss that keeps nothing of its input, whose gradient exists already.

    With it, the memory of a step is that of the layer: whoever needs its output again in the
    backward pass keeps it, and nobody else does.
    """

    @staticmethod
    def forward(ctx: Any, output: Tensor, grad: Tensor) -> Tensor:
        """A number."""
        ctx.grad = grad
        return output.new_zeros(())

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> tuple[Tensor, None]:
        """The gradient that was given."""
        return ctx.grad, None


def layer_call(
    variant: str, shape: LayerShape, work: Work, folder: Path, device: str
) -> tuple[Callable[[], object], Callable[[], object]]:
    """A call that makes ready, and the call whose memory is wanted.

    The first one runs the same filter on one channel, so that libraries are loaded and whatever is
    kept for a graph exists, but no memory of the size that will be needed; and once on a tiny graph
    with all channels.

    Parameters
    ----------
    variant
        Key of `LAYER_VARIANTS`.
    shape, work
        What is done.
    folder
        Of the graphs.
    device
        "cpu" or "cuda".

    Returns
    -------
    tuple of callables
    """
    make = LAYER_VARIANTS[variant].make
    operator = layer_operator(shape, folder, device=device)
    signal, weight, grad = layer_inputs(shape, device=device)
    layer = make(operator, weight)

    def once(layer: torch.nn.Module, signal: torch.Tensor, grad: torch.Tensor) -> object:
        with torch.set_grad_enabled(work != "forward"):
            if work == "forward":
                return layer(signal)
            signal = signal.requires_grad_()
            loss = _Loss.apply(layer(signal), grad)
            return torch.autograd.grad(loss, (signal, *layer.parameters()))

    def make_ready() -> None:
        # what is made once per graph and size of signals, but nothing as large as what is measured
        few = min(3, len(signal) - 1)
        if few:
            once(make(operator, weight), signal[:few].clone(), grad[:few].clone())
        else:
            one = (slice(None), slice(None), slice(1))
            once(make(operator, weight[:, :1, :1]), signal[one].clone(), grad[one].clone())
        tiny = tiny_operator()
        if device == "cuda":
            return
        size = tiny.num_vertices
        once(make(tiny, weight), signal[:, :size].clone(), grad[:, :size].clone())
        release_memory()

    return make_ready, lambda: once(layer, signal, grad)


def measure_layer_memory(
    variant: str, shape: LayerShape, work: Work, setting: Setting, *, whole_process: bool = False
) -> float:
    """Peak memory of a graph convolution in megabytes, from a process of its own.

    Parameters
    ----------
    variant
        Key of `LAYER_VARIANTS`.
    shape, work
        What is done.
    setting
        Device, threads, and the folder of the graphs.
    whole_process
        The peak of the process with interpreter, libraries and graph, instead of what the call adds
        to it.

    Returns
    -------
    float

    Raises
    ------
    RuntimeError
        If the process fails, with the last line that it wrote.
    """
    layer_operator(shape, setting.folder)  # built here, or its memory would be counted
    return ask_process(
        __name__,
        {
            "variant": variant,
            "shape": asdict(shape),
            "work": work,
            "folder": str(setting.folder),
            "device": setting.device,
            "num_threads": setting.num_threads,
            "whole_process": whole_process,
        },
    )


def measure_neighbor_memory(nside: int, num_neighbors: int, setting: Setting) -> float:
    """Peak memory of a process that searches the nearest neighbors of HEALPix, in megabytes.

    Parameters
    ----------
    nside, num_neighbors
        Of the graph.
    setting
        Threads.

    Returns
    -------
    float

    Raises
    ------
    RuntimeError
        If the process fails, with the last line that it wrote.
    """
    request = {"nside": nside, "num_neighbors": num_neighbors}
    return ask_process(__name__, request | {"num_threads": setting.num_threads})


def _answer(request: dict[str, Any]) -> float:
    """What the fresh process computes."""
    if "variant" not in request:
        from deepsphere.graph.neighbors import neighbor_distances
        from deepsphere.sampling import Healpix

        neighbor_distances(Healpix(request["nside"]), num_neighbors=request["num_neighbors"])
        return resident_megabytes("VmHWM")
    make_ready, call = layer_call(
        request["variant"],
        LayerShape(**request["shape"]),
        request["work"],
        Path(request["folder"]),
        request["device"],
    )
    if request["whole_process"]:
        call()
        return resident_megabytes("VmHWM")
    return added_megabytes(make_ready, call, request["device"])


if __name__ == "__main__":
    _request = json.loads(sys.argv[1])
    with limited_threads(_request["num_threads"]):
        sys.stdout.write(f"{_answer(_request):.3f}\n")
