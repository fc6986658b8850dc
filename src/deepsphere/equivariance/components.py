"""Where the rotation error of a network comes from: layer by layer, and by kind of layer."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, TypeAlias

import numpy as np
from jaxtyping import Float
from torch import Tensor, nn

from deepsphere.equivariance.harmonic_fit import resolved_degree
from deepsphere.equivariance.ideal_layers import IdealLayers
from deepsphere.equivariance.inputs import (
    Inputs,
    default_inputs,
    random_experiment,
    signal_at_rotation,
)
from deepsphere.equivariance.maps import level_samplings, num_channels_of
from deepsphere.equivariance.measurement import Reference, check_reference
from deepsphere.equivariance.recording import RecordedLayer, evaluation_mode
from deepsphere.sampling import Sampling

Component: TypeAlias = Literal[
    "filter",
    "normalization",
    "nonlinearity",
    "pooling",
    "upsampling",
    "readout",
    "dense layer",
    "other",
]

_REMEDIES: dict[Component, str] = {
    "filter": "more neighbors or better edge weights make filters more equivariant",
    "nonlinearity": "a finer resolution at the activation (UpsampledNonlinearity, last_upsampled) "
    "or a smoother activation makes less content that the grid does not resolve",
    "pooling": 'a low-pass before the subsampling (pooling="low_pass") folds less content',
    "upsampling": "a smoother interpolation makes less content that the grid does not resolve",
    "readout": "a mean or logsumexp over a finer feature map depends less on the grid than a "
    "maximum; a dense layer on vertices is not invariant at all",
    "dense layer": "a dense layer mixes features that are not invariant before it",
}


@dataclass(frozen=True)
class LayerContribution:
    """The part of one layer in the rotation error of a network.

    Attributes
    ----------
    name, kind : str
        Name of the submodule ("output" for the model itself), and its class.
    component : str
        Its kind of layer.
    accumulated : float
        The error of its output when the input of the network is rotated, as in
        :func:`layer_rotation_errors`.
    added : float
        The error that it makes itself: of its output when all layers before it are ideal, what
        the fit misses of it included.
    at_output : float
        Norm of what it adds to the output of the network, relative to the output (its size or
        spread).
    share : float
        Its share of the difference of the output; the shares of all layers sum to 1. Negative
        where a layer undoes what others did.
    """

    name: str
    kind: str
    component: Component
    accumulated: float
    added: float
    at_output: float
    share: float


@dataclass(frozen=True)
class ComponentContribution:
    """The part of all layers of one kind in the rotation error of a network.

    Attributes
    ----------
    component : str
    num_layers : int
    at_output : float
        Norm of what they add to the output together, relative to the output.
    share : float
        The sum of their shares.
    """

    component: Component
    num_layers: int
    at_output: float
    share: float


@dataclass(frozen=True)
class RotationErrorBudget:
    """The rotation error of a network, taken apart; printed as a table.

    Attributes
    ----------
    error : float
        Of the output, as in :func:`measure_equivariance`.
    layers : tuple of LayerContribution
        In the order in which they run.
    components : tuple of ComponentContribution
        The largest share first.
    relative_to : "size" or "spread"
        What every error is divided by.
    """

    error: float
    layers: tuple[LayerContribution, ...]
    components: tuple[ComponentContribution, ...]
    relative_to: Reference = "size"

    @property
    def largest(self) -> LayerContribution:
        """The layer with the largest share of the difference of the output."""
        return max(self.layers, key=lambda layer: layer.share)

    @property
    def advice(self) -> str:
        """The component and the layer that contribute the most, and what helps there."""
        first = self.components[0]
        worst = max(
            (layer for layer in self.layers if layer.component == first.component),
            key=lambda layer: layer.share,
        )
        facts = (
            f"largest contribution to the output: {first.component}, {first.at_output:.3g} of the "
            f"output's {self.relative_to}, {first.share:.0%} of the difference; most of it "
            f"by {worst.name} ({worst.kind}), which by itself has an error of {worst.added:.3g}"
        )
        remedy = _REMEDIES.get(first.component)
        return facts if remedy is None else f"{facts}; {remedy}"

    def __str__(self) -> str:
        width = max(len("component"), *(len(layer.name) for layer in self.layers))
        lines = [f"{'layer':{width}}  {'kind':14}  accumulated     added  at output  share"]
        for layer in self.layers:
            lines.append(
                f"{layer.name:{width}}  {layer.component:14}  {layer.accumulated:11.4f} "
                f"{layer.added:9.4f}  {layer.at_output:9.4f}  {layer.share:5.0%}"
            )
        lines += ["", f"{'component':{width}}  {'layers':14}  {'':22} at output  share"]
        for each in self.components:
            lines.append(
                f"{each.component:{width}}  {each.num_layers:<14}  {'':22} {each.at_output:9.4f}  "
                f"{each.share:5.0%}"
            )
        lines += ["", f"error of the output: {self.error:.4f}, relative to its {self.relative_to}"]
        return "\n".join(lines)


def rotation_error_budget(
    model: nn.Module,
    sampling: Sampling,
    *,
    inputs: Inputs | None = None,
    samplings: Sequence[Sampling] | None = None,
    relative_to: Reference = "size",
    num_signals: int = 4,
    num_rotations: int = 4,
    num_channels: int | None = None,
    seed: int = 0,
) -> RotationErrorBudget:
    r"""Where the rotation error of a network comes from.

    Call a layer ideal if for a rotated input R x it returns :math:`R F_k(x)`, its rotated output.
    With the first k layers ideal, and the others as they are, the network returns :math:`y_k`, from
    :math:`y_0 = F(R x)` to the ideal output :math:`y_K = R F(x)`. So the difference is a sum over
    layers,

    .. math:: F(R x) - R F(x) = \sum_{k=1}^{K} v_k, \quad v_k = y_{k-1} - y_k ,

    whatever branches the network has. The norm of :math:`v_k` is `at_output`; its projection on the
    sum is the `share`. What layer k itself makes of an ideal input, before the layers after it
    damp or amplify that, is the error `added`. Feature maps are rotated through their
    harmonic fit, as in :func:`layer_rotation_errors`: content that the fit misses is charged to the
    layer that made it. What a network computes between its layers is charged to the layer after.

    Layers are told apart by what they do: a layer from vertices to features is a readout, one that
    changes the number of vertices a pooling or an upsampling; of the others, "Conv" in its class
    makes it a filter, "Norm" a normalization, and a layer of ``torch.nn.modules.activation`` or
    without parameters is a nonlinearity.

    Parameters
    ----------
    model : Module
        Called in evaluation mode without gradients, once per layer and rotation.
    sampling : Sampling
        Vertices of the inputs: the whole sphere.
    inputs, relative_to, num_signals, num_rotations, num_channels, seed
        As in :func:`measure_equivariance`.
    samplings : sequence of Sampling, optional
        The levels of the network; those of its pyramid, or else the sampling and its coarser
        levels, if not given.

    Returns
    -------
    RotationErrorBudget

    Raises
    ------
    ValueError
        If no layer of the model returns features or a map on one of the samplings, or an option is
        out of range.

    Examples
    --------
    >>> import deepsphere as ds
    >>> budget = rotation_error_budget(nn.Sequential(nn.ReLU(), nn.Tanh()), ds.Healpix(nside=4))
    >>> [layer.component for layer in budget.layers], budget.largest.kind
    (['nonlinearity', 'nonlinearity'], 'ReLU')

    References
    ----------
    Karras et al. (2021), Alias-free generative adversarial networks, section 2 (nonlinearities and
    sampling as the causes of aliasing).
    """
    check_reference(relative_to)
    values_at, rotations = random_experiment(
        sampling,
        default_inputs(sampling) if inputs is None else inputs,
        num_signals=num_signals,
        num_rotations=num_rotations,
        num_channels=num_channels_of(model) if num_channels is None else num_channels,
        seed=seed,
    )
    signal_at = signal_at_rotation(model, sampling, values_at)
    levels = list(level_samplings(model, sampling)) if samplings is None else samplings
    with evaluation_mode(model):
        ideal = IdealLayers(model, signal_at(None), levels, resolved_degree)
        if not ideal.layers:
            raise ValueError(
                "model must have a layer that returns features or a map on one of the samplings "
                f"({', '.join(str(level.num_vertices) for level in levels)} vertices), got none"
            )
        sums = _Sums(ideal, signal_at(None))
        for rotation in rotations:
            sums.add(signal_at(rotation), rotation)
    return sums.budget(num_rotations, relative_to)


class _Sums:
    """Sums of squares over rotations."""

    def __init__(self, ideal: IdealLayers, signal: Tensor) -> None:
        num_layers = len(ideal.layers)
        self._ideal = ideal
        self._accumulated = np.zeros(num_layers)
        self._added = np.zeros(num_layers)
        self._unresolved = np.array(
            [ideal.unresolved_by_itself(index, signal) for index in range(num_layers)]
        )
        # inner products of what the layers add to the output
        self._products = np.zeros((num_layers, num_layers))

    def add(self, signal: Tensor, rotation: Float[np.ndarray, "3 3"]) -> None:
        """The differences for one rotation of the inputs."""
        ideal, last = self._ideal, len(self._ideal.layers) - 1
        expected = ideal.rotated(rotation)
        ends = []
        for index in range(last + 1):
            outputs = ideal.outputs_for(signal, expected[:index])
            if index == 0:
                for place, (actual, wanted) in enumerate(zip(outputs, expected, strict=True)):
                    self._accumulated[place] += ideal.squared_norm(actual - wanted)
            self._added[index] += ideal.squared_norm(outputs[index] - expected[index])
            ends.append(outputs[last])
        ends.append(expected[last])
        parts = [before - after for before, after in pairwise(ends)]
        for row, first in enumerate(parts):
            for column, second in enumerate(parts[: row + 1]):
                product = ideal.inner_product(first, second)
                self._products[row, column] += product
                self._products[column, row] += product * (row != column)

    def budget(self, num_rotations: int, relative_to: Reference) -> RotationErrorBudget:
        """The contributions, from the sums over rotations."""
        ideal = self._ideal
        references = ideal.squared_spreads if relative_to == "spread" else ideal.squared_norms
        norms = num_rotations * references
        accumulated = _root_ratio(self._accumulated + num_rotations * ideal.unresolved, norms)
        added = _root_ratio(self._added + num_rotations * self._unresolved, norms)
        at_output = _root_ratio(self._products.diagonal(), norms[-1:])
        total = self._products.sum()
        shares = self._products.sum(axis=1) / total if total > 0 else np.zeros(len(norms))
        layers = tuple(
            LayerContribution(
                name=layer.name or "output",
                kind=layer.kind,
                component=_component_of(layer),
                accumulated=float(accumulated[index]),
                added=float(added[index]),
                at_output=float(at_output[index]),
                share=float(shares[index]),
            )
            for index, layer in enumerate(ideal.layers)
        )
        present: dict[Component, None] = dict.fromkeys(layer.component for layer in layers)
        components = [self._component(component, layers, norms[-1]) for component in present]
        return RotationErrorBudget(
            error=float(accumulated[-1]),
            layers=layers,
            components=tuple(sorted(components, key=lambda each: -each.share)),
            relative_to=relative_to,
        )

    def _component(
        self, component: Component, layers: Sequence[LayerContribution], norm: float
    ) -> ComponentContribution:
        """What all layers of one kind add together."""
        members = [index for index, layer in enumerate(layers) if layer.component == component]
        together = self._products[np.ix_(members, members)].sum()
        return ComponentContribution(
            component=component,
            num_layers=len(members),
            at_output=float(_root_ratio(np.array([together]), np.array([norm]))[0]),
            share=sum(layers[index].share for index in members),
        )


def _root_ratio(
    numerators: Float[np.ndarray, "numbers"], norms: Float[np.ndarray, "..."]
) -> Float[np.ndarray, "numbers"]:
    """Roots of ratios of sums of squares; zero where there is nothing to compare with."""
    norms = np.broadcast_to(norms, numerators.shape)
    ratios = np.divide(numerators, norms, out=np.zeros_like(numerators), where=norms > 0)
    # a sum of inner products may be negative by rounding
    return np.sqrt(np.maximum(ratios, 0))


def _component_of(layer: RecordedLayer) -> Component:
    """What a layer is, by what it does and how its class is called."""
    before = layer.num_vertices_before
    if before is not None and layer.is_invariant:
        return "readout"
    if before is not None and before != layer.output.shape[1]:
        return "pooling" if layer.output.shape[1] < before else "upsampling"
    if "Linear" in layer.kind:
        return "dense layer"
    if "Norm" in layer.kind:
        return "normalization"
    if "Conv" in layer.kind:
        return "filter"
    is_activation = type(layer.module).__module__ == nn.modules.activation.__name__
    if is_activation or not any(True for _ in layer.module.parameters()):
        return "nonlinearity"
    return "other"
