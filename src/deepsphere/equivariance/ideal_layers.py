"""What the layers of a network would return for rotated inputs if they commuted with rotations."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepsphere.equivariance.harmonic_fit import HarmonicFit
from deepsphere.equivariance.recording import RecordedLayer, record_layers
from deepsphere.sampling import Sampling


class IdealLayers:
    r"""The layers of a network on unrotated inputs, and their outputs rotated.

    A feature map :math:`F(x)` is rotated through its harmonic fit P, so that the ideal output is
    :math:`R P F(x)`; features without vertices stay as they are. Sums over vertices are weighted by
    their areas.

    Parameters
    ----------
    model : Module
        In evaluation mode.
    signal : Tensor, shape (items, vertices, channels)
        The inputs without rotation.
    samplings : sequence of Sampling
        A feature map is recognized by its number of vertices.
    max_degree : callable
        Degree of the harmonic fit on a sampling.

    Attributes
    ----------
    layers : list of RecordedLayer
        The model itself is the last, if what it returns is not the output of its last layer.
    squared_norms, squared_spreads, unresolved : ndarray, shape (layers,)
        :math:`\sum |F(x)|^2`, the same of the deviation from the mean over items and vertices, and
        :math:`\sum |F(x) - P F(x)|^2`.
    """

    def __init__(
        self,
        model: nn.Module,
        signal: Tensor,
        samplings: Sequence[Sampling],
        max_degree: Callable[[Sampling], int],
    ) -> None:
        self._model = model
        self._by_size = {sampling.num_vertices: sampling for sampling in samplings}
        self._max_degree = max_degree
        self._fits: dict[int, HarmonicFit] = {}
        layers = record_layers(model, signal, self._by_size)
        if len(layers) > 1 and torch.equal(layers[-1].output, layers[-2].output):
            del layers[-1]
        self.layers: list[RecordedLayer] = layers
        self._outputs = [layer.output.double().numpy() for layer in layers]
        self._coefficients = [self._fit(output) for output in self._outputs]
        identity = self.rotated(np.eye(3))
        self.squared_norms = np.array([self.squared_norm(output) for output in self._outputs])
        self.squared_spreads = np.array(
            [self.squared_norm(output - self._mean(output)) for output in self._outputs]
        )
        self.unresolved = np.array(
            [
                self.squared_norm(output - fitted)
                for output, fitted in zip(self._outputs, identity, strict=True)
            ]
        )

    def rotated(self, rotation: Float[np.ndarray, "3 3"]) -> list[Float[np.ndarray, "..."]]:
        """The ideal output of each layer for inputs that were rotated."""
        ideal = list(self._outputs)
        for size, fit in self._fits.items():
            here = [index for index, output in enumerate(ideal) if self._has_vertices(output, size)]
            maps = fit.rotated([self._coefficients[index] for index in here], rotation)
            for index, values in zip(here, maps, strict=True):
                ideal[index] = values
        return ideal

    def outputs_for(
        self, signal: Tensor, replaced: Sequence[Float[np.ndarray, "..."]] = ()
    ) -> list[Float[np.ndarray, "..."]]:
        """What each layer computes on a signal while the first ones return something else."""
        tensors = [torch.from_numpy(each) for each in replaced]
        recorded = record_layers(self._model, signal, self._by_size, replaced=tensors)
        return [layer.output.double().numpy() for layer in recorded[: len(self.layers)]]

    def unresolved_by_itself(self, index: int, signal: Tensor) -> float:
        """What the fit misses of a layer's output if the layers before are ideal, not rotated."""
        if self._outputs[index].ndim == 2:
            return 0.0
        before = self.rotated(np.eye(3))[:index]
        output = self.outputs_for(signal, before)[index]
        fit = self._fits[output.shape[1]]
        return self.squared_norm(output - fit.rotated([fit.coefficients(output)], np.eye(3))[0])

    def squared_norm(self, values: Float[np.ndarray, "..."]) -> float:
        """The sum of squares of something that has the shape of a layer's output."""
        return self.inner_product(values, values)

    def inner_product(
        self, first: Float[np.ndarray, "..."], second: Float[np.ndarray, "..."]
    ) -> float:
        """The sum of products, over vertices weighted by their shares of the sphere."""
        if first.ndim == 2:
            return float(np.vdot(first, second))
        return float(np.einsum("ivc,ivc,v->", first, second, self._shares(first)))

    def _mean(self, output: Float[np.ndarray, "..."]) -> Float[np.ndarray, "channels"]:
        """The mean of each channel over items and vertices."""
        over_items = output.mean(axis=0)
        return over_items if output.ndim == 2 else self._shares(output) @ over_items

    def _shares(self, output: Float[np.ndarray, "..."]) -> Float[np.ndarray, "vertices"]:
        """The share of the sphere of each vertex of a feature map."""
        areas = self._by_size[output.shape[1]].areas
        return areas / areas.sum()

    def _fit(self, output: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """The coefficients of a feature map; of other features nothing."""
        if output.ndim == 2:
            return np.empty(0)
        size = output.shape[1]
        if size not in self._fits:
            sampling = self._by_size[size]
            self._fits[size] = HarmonicFit(sampling, self._max_degree(sampling))
        return self._fits[size].coefficients(output)

    @staticmethod
    def _has_vertices(output: Float[np.ndarray, "..."], size: int) -> bool:
        return output.ndim == 3 and output.shape[1] == size
