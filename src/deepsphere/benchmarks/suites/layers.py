"""Single graph convolutions: cases as data, and their times and memory by every variant."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

import torch
from torch import Tensor, nn

from deepsphere.benchmarks.peak import measure_layer_memory
from deepsphere.benchmarks.record import OURS, Measurement, Requirement
from deepsphere.benchmarks.setting import Setting
from deepsphere.benchmarks.shapes import LayerShape, layer_inputs, layer_operator
from deepsphere.benchmarks.timing import Call, measure
from deepsphere.benchmarks.variants import LAYER_VARIANTS, LayerVariant, chosen_backend

FORWARD: Literal["forward"] = "forward"
TRAINING: Literal["forward + backward"] = "forward + backward"
FORWARD_MEMORY = "extra memory, forward"
TRAINING_MEMORY = "extra memory, forward + backward"

_MEMORY_OF: dict[str, Literal["forward", "forward + backward"]] = {
    FORWARD_MEMORY: FORWARD,
    TRAINING_MEMORY: TRAINING,
}


@dataclass(frozen=True)
class LayerCase:
    """One layer, what is done with it, and how many times faster or smaller it has to be.

    Parameters
    ----------
    shape
        Of the layer.
    works
        Some of ``FORWARD``, ``TRAINING``, ``FORWARD_MEMORY`` and ``TRAINING_MEMORY``.
    factors
        By work: for each variant the least number that its time or memory is divided by ours.
    without
        By work: variants that are left out, with the reason.
    """

    shape: LayerShape
    works: tuple[str, ...]
    factors: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    without: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def requirements(self) -> list[Requirement]:
        """The factors as requirements.

        Returns
        -------
        list of Requirement
        """
        return [
            Requirement(case=self.shape.title, work=work, against=variant, at_least=factor)
            for work, factors in self.factors.items()
            for variant, factor in factors.items()
        ]


def measure_layer(
    case: LayerCase,
    setting: Setting,
    *,
    variants: Mapping[str, LayerVariant] = LAYER_VARIANTS,
) -> Iterator[Measurement]:
    """All numbers of a case, work by work, and the reasons of those that are missing.

    Parameters
    ----------
    case
        What is done.
    setting
        How.
    variants
        By name; the first one that can is what the others are compared with.

    Yields
    ------
    Measurement
    """
    for work in case.works:
        able = []
        for variant in variants.values():
            reason = case.without.get(work, {}).get(variant.name) or variant.why_not(
                setting,
                num_values=case.shape.largest_signal,
                training=work in (TRAINING, TRAINING_MEMORY),
            )
            if reason is None:
                able.append(variant)
            else:
                unit = "MB" if work in _MEMORY_OF else "ms"
                yield Measurement(
                    case=case.shape.title, work=work, variant=variant.name, unit=unit, note=reason
                )
        if work in _MEMORY_OF:
            for variant in able:
                yield _memory(case.shape, work, variant.name, setting)
        else:
            yield from _times(case.shape, work, able, setting)


def layer_calls(
    layers: Mapping[str, nn.Module], signal: Tensor, grad: Tensor | None
) -> dict[str, Call]:
    """Forward calls, or with the gradient of the output, forward and backward calls.

    Parameters
    ----------
    layers
        Of `LayerVariant.make`, by name.
    signal
        The input.
    grad
        Gradient of the output; None for forward alone.

    Returns
    -------
    dict
        A call returns the output, or output and gradients of signal and weight.
    """

    def infer(layer: nn.Module) -> Sequence[Tensor]:
        with torch.no_grad():
            return [layer(signal)]

    def train(layer: nn.Module, signal: Tensor, grad: Tensor) -> Sequence[Tensor]:
        out = layer(signal)
        of_signal, *of_weights = torch.autograd.grad(out, (signal, *layer.parameters()), grad)
        weight_gradient: Callable[..., Tensor] = layer.weight_gradient  # pyright: ignore[reportAssignmentType]
        return [out.detach(), of_signal, weight_gradient(of_weights)]

    if grad is None:
        return {name: partial(infer, layer) for name, layer in layers.items()}
    wanted = signal.detach().requires_grad_()
    return {name: partial(train, layer, wanted, grad) for name, layer in layers.items()}


def _times(
    shape: LayerShape, work: str, variants: Sequence[LayerVariant], setting: Setting
) -> Iterator[Measurement]:
    """Times of a work by variants that can do it."""
    operator = layer_operator(shape, setting.folder, device=setting.device)
    signal, weight, grad = layer_inputs(shape, device=setting.device)
    layers = {variant.name: variant.make(operator, weight) for variant in variants}
    calls = layer_calls(layers, signal, grad if work == TRAINING else None)
    notes = {OURS: chosen_backend(layers[OURS], signal)} if OURS in layers else {}
    for found in measure(shape.title, work, calls, setting, notes=notes):
        yield found.model_copy(update={"num_vertices": shape.num_vertices})


def _memory(shape: LayerShape, work: str, variant: str, setting: Setting) -> Measurement:
    """Memory of a work by one variant."""
    megabytes, note = None, ""
    try:
        megabytes = measure_layer_memory(variant, shape, _MEMORY_OF[work], setting)
    except RuntimeError as failure:
        note = f"failed: {failure}"
    return Measurement(
        case=shape.title,
        work=work,
        variant=variant,
        unit="MB",
        median=megabytes,
        num_repeats=int(megabytes is not None),
        note=note,
        num_vertices=shape.num_vertices,
    )
