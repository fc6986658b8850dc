"""The rotation error of every layer of a network, measured with exactly rotated inputs."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor, nn

from deepsphere.equivariance.harmonic_fit import resolved_degree
from deepsphere.equivariance.ideal_layers import IdealLayers
from deepsphere.equivariance.recording import evaluation_mode
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
        ``|F(R x) - R F(x)| / |F(x)|``, root of the ratio of mean squares over items, rotations and
        vertices; dimensionless. 0 is equivariant (invariant, for features without vertices).
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

    .. math:: E_F^2 = \frac{\sum \|F(R x) - R P F(x)\|^2 + \|F(x) - P F(x)\|^2}
                          {\sum \|F(x)\|^2}

    Inputs are rotated exactly by the caller. A feature map is rotated through its least-squares
    harmonic fit P up to `max_degree`; content that the fit misses counts as error, in F(R x) and in
    F(x) alike (see :func:`deepsphere.measure_equivariance`). Both maps are compared on the sampling
    of the layer, vertices weighted by their areas. A feature without vertices is compared as it is.
    Outputs that have vertices and fit none of the samplings are left out.

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
    >>> import torch
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
    with evaluation_mode(model):
        ideal = IdealLayers(model, signal_at(None), samplings, max_degree or resolved_degree)
        differences = len(rotations) * ideal.unresolved
        for rotation in rotations:
            actual = ideal.outputs_for(signal_at(rotation))
            for index, expected in enumerate(ideal.rotated(rotation)):
                differences[index] += ideal.squared_norm(actual[index] - expected)
    norms = len(rotations) * ideal.squared_norms
    return [
        LayerError(
            name=layer.name or "output",
            kind=layer.kind,
            error=math.sqrt(differences[index] / norms[index]) if norms[index] else 0.0,
            invariant=layer.is_invariant,
        )
        for index, layer in enumerate(ideal.layers)
    ]
