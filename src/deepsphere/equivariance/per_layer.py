"""The rotation error of every layer of a network, measured with exactly rotated inputs."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from deepsphere.harmonics import rotate_signal
from deepsphere.sampling import Sampling


@dataclass(frozen=True)
class LayerError:
    """The rotation error of one layer.

    Parameters
    ----------
    name : str
        Name of the submodule, as in ``model.named_modules()``; ``"output"`` for the model itself.
    kind : str
        Its class.
    error : float
        ``|F(R x) - R F(x)| / |F(x)|``, root mean square over items, rotations and vertices;
        dimensionless. 0 is equivariant (invariant, for features without vertices).
    invariant : bool
        Whether the output has no vertices, so that R acts on it as the identity.
    """

    name: str
    kind: str
    error: float
    invariant: bool


def layer_rotation_errors(
    model: nn.Module,
    signal_at: Callable[
        [Float[np.ndarray, "3 3"] | None], Float[Tensor, "items vertices channels"]
    ],
    *,
    samplings: Sequence[Sampling],
    rotations: Float[np.ndarray, "rotations 3 3"],
    max_degree: Callable[[Sampling], int] | None = None,
) -> list[LayerError]:
    r"""The rotation error of each layer of a network, from its input to its output.

    .. math:: E_F = \sqrt{\frac{\sum \|F(R x) - R F(x)\|^2}{\sum \|R F(x)\|^2}}

    Inputs are rotated exactly by the caller. A feature map is rotated through a least-squares
    harmonic fit up to `max_degree`, so content that the grid does not determine counts as error;
    both maps are compared on the sampling of the layer. A feature without vertices is compared as
    it is. Outputs that have vertices and fit none of the samplings are left out.

    A layer is a module in which no other of these layers runs: convolution, normalization,
    activation, pooling, each statistic over the vertices, dense layer; not the blocks of them, nor
    what does nothing in evaluation mode. The model itself comes last, if what it returns is not
    the output of its last layer.

    Parameters
    ----------
    model : nn.Module
        Called in evaluation mode without gradients; its mode is restored.
    signal_at : callable
        Maps a rotation (3, 3), or None for no rotation, to the same items rotated, shape
        (items, vertices, channels).
    samplings : sequence of Sampling
        The levels of the network; a feature map is recognized by its number of vertices.
    rotations : ndarray, shape (rotations, 3, 3)
        Active rotations.
    max_degree : callable, optional
        Degree of the harmonic fit on a sampling; by default the square root of a third of its
        number of vertices (2 nside on HEALPix).

    Returns
    -------
    list of LayerError
        In the order in which the layers run; one that runs twice is listed twice.

    Raises
    ------
    ValueError
        If there is no rotation.

    Examples
    --------
    >>> from deepsphere.geometry import random_rotations
    >>> from deepsphere.sampling import Healpix
    >>> sampling = Healpix(nside=2)
    >>> def height_at(rotation):
    ...     points = sampling.points if rotation is None else sampling.points @ rotation
    ...     return torch.tensor(points[None, :, 2:])
    >>> (layer,) = layer_rotation_errors(
    ...     nn.Tanh(), height_at, samplings=[sampling], rotations=random_rotations(2, seed=0)
    ... )
    >>> layer.kind, layer.error < 0.02
    ('Tanh', True)

    References
    ----------
    Defferrard et al. (2020), DeepSphere: a graph-based spherical CNN, section 4 (there for a
    Laplacian and squared).
    """
    if len(rotations) == 0:
        raise ValueError("rotations must hold at least one rotation, got none")
    by_size = {sampling.num_vertices: sampling for sampling in samplings}
    degree = max_degree or _default_degree
    with _evaluation(model), torch.no_grad():
        unrotated = _record(model, signal_at(None), by_size)
        differences, norms = np.zeros(len(unrotated)), np.zeros(len(unrotated))
        for rotation in rotations:
            rotated = _record(model, signal_at(rotation), by_size)
            for index, (before, after) in enumerate(zip(unrotated, rotated, strict=True)):
                expected = before.output.double().numpy()
                if not before.is_invariant:
                    sampling = by_size[expected.shape[-2]]
                    expected = rotate_signal(
                        expected,
                        sampling.points,
                        rotation,
                        max_degree=degree(sampling),
                        areas=sampling.areas,
                    )
                differences[index] += ((after.output.double().numpy() - expected) ** 2).sum()
                norms[index] += (expected**2).sum()
    return [
        LayerError(
            name=layer.name or "output",
            kind=layer.kind,
            error=math.sqrt(difference / norm) if norm else 0.0,
            invariant=layer.is_invariant,
        )
        for layer, difference, norm in zip(unrotated, differences, norms, strict=True)
    ]


def _default_degree(sampling: Sampling) -> int:
    """The degree that a sampling resolves: harmonics number a third of the vertices."""
    return math.isqrt(sampling.num_vertices // 3)


@contextmanager
def _evaluation(model: nn.Module) -> Iterator[None]:
    """Evaluation mode for the duration of a block."""
    was_training = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in was_training.items():
            module.training = mode


@dataclass(frozen=True)
class _Layer:
    """What a layer returned in one call."""

    name: str
    kind: str
    output: Tensor

    @property
    def is_invariant(self) -> bool:
        """Whether it has no vertices."""
        return self.output.dim() == 2


class _Recorder:
    """The layers that run, in order: modules in which no other layer has run."""

    def __init__(self, num_items: int, by_size: dict[int, Sampling]) -> None:
        self.layers: list[_Layer] = []
        self._num_items = num_items
        self._by_size = by_size
        self._num_before: list[int] = []  # layers at the start of each module that is running

    def enter(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        """A module starts."""
        self._num_before.append(len(self.layers))

    def leave(self, name: str, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        """A module returns."""
        has_layers_inside = self._num_before.pop() < len(self.layers)
        if isinstance(module, nn.Identity | nn.Dropout) or not self._is_measured(output):
            return
        if has_layers_inside and (name or torch.equal(self.layers[-1].output, output.cpu())):
            return
        # a copy: an activation may work in place
        kept = output.detach().to("cpu", copy=True)
        self.layers.append(_Layer(name, type(module).__name__, kept))

    def _is_measured(self, output: Any) -> bool:
        """Whether it is a feature map on a known sampling, or features without vertices."""
        if not isinstance(output, Tensor) or not output.is_floating_point():
            return False
        if output.dim() not in (2, 3) or output.shape[0] != self._num_items:
            return False
        return output.dim() == 2 or output.shape[-2] in self._by_size


def _record(model: nn.Module, signal: Tensor, by_size: dict[int, Sampling]) -> list[_Layer]:
    """The layers of the model that run on a signal, with their outputs."""
    recorder = _Recorder(len(signal), by_size)
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
