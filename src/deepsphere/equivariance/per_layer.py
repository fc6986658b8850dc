"""The rotation error of every layer of a network, measured with exactly rotated inputs."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

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
        Name of the submodule, as in ``model.named_modules()``.
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
    it is. Layers whose output fits none of the samplings and has vertices are left out.

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
        In the order in which the layers run.

    Raises
    ------
    ValueError
        If there is no rotation.

    References
    ----------
    Defferrard et al. (2020), DeepSphere: a graph-based spherical CNN, section 4 (there for a
    Laplacian and squared).
    """
    if len(rotations) == 0:
        raise ValueError("rotations must hold at least one rotation, got none")
    by_size = {sampling.num_vertices: sampling for sampling in samplings}
    degree = max_degree or _default_degree
    kinds = {name: type(module).__name__ for name, module in model.named_modules()}
    differences: dict[str, float] = {}
    norms: dict[str, float] = {}
    invariant: dict[str, bool] = {}
    with _evaluation(model), torch.no_grad():
        unrotated = _record(model, signal_at(None), by_size)
        for rotation in rotations:
            rotated = _record(model, signal_at(rotation), by_size)
            for name, feature in unrotated.items():
                expected = feature.double().numpy()
                invariant[name] = feature.dim() == 2
                if not invariant[name]:
                    sampling = by_size[feature.shape[-2]]
                    expected = rotate_signal(
                        expected,
                        sampling.points,
                        rotation,
                        max_degree=degree(sampling),
                        areas=sampling.areas,
                    )
                difference = rotated[name].double().numpy() - expected
                differences[name] = differences.get(name, 0.0) + float((difference**2).sum())
                norms[name] = norms.get(name, 0.0) + float((expected**2).sum())
    return [
        LayerError(
            name=name or "output",
            kind=kinds[name],
            error=math.sqrt(differences[name] / norms[name]) if norms[name] else 0.0,
            invariant=invariant[name],
        )
        for name in unrotated
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


def _record(model: nn.Module, signal: Tensor, by_size: dict[int, Sampling]) -> dict[str, Tensor]:
    """Outputs of the model and its submodules that live on a known sampling or on none."""
    outputs: dict[str, Tensor] = {}
    changes_nothing = (nn.Identity, nn.Dropout)

    def keep(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
        def hook(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
            if not isinstance(output, Tensor) or not output.is_floating_point():
                return
            on_sampling = output.dim() == 3 and output.shape[-2] in by_size
            if output.shape[0] == signal.shape[0] and (on_sampling or output.dim() == 2):
                outputs[name] = output.detach().cpu()

        return hook

    handles = [
        module.register_forward_hook(keep(name))
        for name, module in model.named_modules()
        if not isinstance(module, changes_nothing)
        and (name == "" or not any(True for _ in module.children()) or _has_weight(module))
    ]
    try:
        model(signal)
    finally:
        for handle in handles:
            handle.remove()
    return outputs


def _has_weight(module: nn.Module) -> bool:
    """Whether a module owns parameters itself, as a convolution that holds its operator does."""
    return any(True for _ in module.parameters(recurse=False))
