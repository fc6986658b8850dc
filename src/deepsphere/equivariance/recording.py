"""What every layer of a network returns in one call, and calls with some of it replaced."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from deepsphere.sampling import Sampling


@dataclass(frozen=True, eq=False)
class RecordedLayer:
    """What a layer returned in one call.

    Parameters
    ----------
    name : str
        Name of the submodule; empty for the model itself.
    module : Module
    num_vertices_before : int or None
        Vertices of what it was given; None: features without vertices.
    output : Tensor
        A copy, on the CPU.
    """

    name: str
    module: nn.Module
    num_vertices_before: int | None
    output: Tensor

    @property
    def kind(self) -> str:
        """The class of the layer."""
        return type(self.module).__name__

    @property
    def is_invariant(self) -> bool:
        """Whether the output has no vertices."""
        return self.output.dim() == 2


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients for the duration of a block; every mode is restored."""
    was_training = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for module, mode in was_training.items():
            module.training = mode


def record_layers(
    model: nn.Module,
    signal: Tensor,
    by_size: dict[int, Sampling],
    *,
    replaced: Sequence[Tensor] = (),
) -> list[RecordedLayer]:
    """The layers that run on a signal, in order, then the model itself.

    A layer is a module in which no other layer runs, that is neither an identity nor a dropout, and
    that returns features without vertices or a map on one of the samplings.

    Parameters
    ----------
    model : Module
    signal : Tensor, shape (items, vertices, channels)
    by_size : dict
        Samplings by their number of vertices.
    replaced : sequence of Tensor
        What the first layers are made to return, instead of what they computed.

    Returns
    -------
    list of RecordedLayer
        With what each layer computed, replaced or not.
    """
    recorder = _Recorder(len(signal), by_size, replaced)
    handles = []
    for name, module in model.named_modules():
        handles.append(module.register_forward_pre_hook(recorder.enter))
        handles.append(module.register_forward_hook(partial(recorder.leave, name)))
    try:
        model(signal)
    finally:
        for handle in handles:
            handle.remove()
    return recorder.layers


class _Recorder:
    """The hooks of one call."""

    def __init__(
        self, num_items: int, by_size: dict[int, Sampling], replaced: Sequence[Tensor]
    ) -> None:
        self.layers: list[RecordedLayer] = []
        self._num_items = num_items
        self._by_size = by_size
        self._replaced = replaced
        # for each module that is running: layers at its start, and vertices of its input
        self._running: list[tuple[int, int | None]] = []

    def enter(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        """A module starts."""
        given = inputs[0] if inputs else None
        num_vertices = None
        if isinstance(given, Tensor) and given.dim() == 3:
            num_vertices = given.shape[-2]
        self._running.append((len(self.layers), num_vertices))

    def leave(
        self, name: str, module: nn.Module, inputs: tuple[Any, ...], output: Any
    ) -> Tensor | None:
        """A module returns; what this returns in its place, if anything."""
        num_before, num_vertices_before = self._running.pop()
        if isinstance(module, nn.Identity | nn.Dropout) or not self._is_measured(output):
            return None
        if name and num_before < len(self.layers):  # layers ran inside
            return None
        index = len(self.layers)
        # a copy: an activation may work in place
        kept = output.detach().to("cpu", copy=True)
        self.layers.append(RecordedLayer(name, module, num_vertices_before, kept))
        if index < len(self._replaced):
            return self._replaced[index].to(output, copy=True)
        return None

    def _is_measured(self, output: Any) -> bool:
        """Whether it is a feature map on a known sampling, or features without vertices."""
        if not isinstance(output, Tensor) or not output.is_floating_point():
            return False
        if output.dim() not in (2, 3) or output.shape[0] != self._num_items:
            return False
        return output.dim() == 2 or output.shape[-2] in self._by_size
