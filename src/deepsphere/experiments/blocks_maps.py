"""The dense task of the experiment on blocks: random fields and their squared gradients."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from deepsphere.experiments.blocks_config import MapsSection
from deepsphere.geometry import random_rotations
from deepsphere.harmonics import synthesize
from deepsphere.sampling import Sampling

# Of the central difference: its error h² l² / 6 and the rounding 1e-16 / h are both below 1e-6.
_STEP = 1e-4


@dataclass(frozen=True, eq=False)
class Maps:
    """Fields and their squared gradients on a sampling, standardized by those learned from.

    Parameters
    ----------
    train
        Fields and targets to learn from, shape (fields, vertices, 1) each.
    unrotated, rotated
        Fields and targets to score on, as they are and each under its own rotation.
    rotations
        Those rotations.
    target_degree
        Largest harmonic degree of the targets, twice that of the fields.
    """

    train: tuple[Tensor, Tensor]
    unrotated: tuple[Tensor, Tensor]
    rotated: tuple[Tensor, Tensor]
    rotations: Float[np.ndarray, "fields 3 3"]
    target_degree: int


def zonal_coefficients(
    num: int, *, max_degree: int, zonal_share: float, seed: int
) -> Float[np.ndarray, "num harmonics 1"]:
    """Harmonic coefficients of random fields that are drawn out along the circles of latitude.

    Gaussian, with the orders |m| up to a share of the degree l alone, and the same expected
    variance in every degree from 1 on: together one on average over the sphere.

    Parameters
    ----------
    num
        Number of fields.
    max_degree
        Largest l.
    zonal_share
        Largest |m| / l, in [0, 1]; 1 makes the fields isotropic.
    seed
        Of the draw.

    Returns
    -------
    ndarray, shape (num, (max_degree + 1)², 1)

    Examples
    --------
    >>> zonal_coefficients(2, max_degree=3, zonal_share=0.0, seed=0).nonzero()[1].tolist()
    [2, 6, 12, 2, 6, 12]
    """
    degrees = np.repeat(np.arange(max_degree + 1), 2 * np.arange(max_degree + 1) + 1)
    orders = np.arange(len(degrees)) - degrees * (degrees + 1)
    kept = (degrees > 0) & (np.abs(orders) <= zonal_share * degrees)
    num_kept = np.bincount(degrees, weights=kept)[degrees]
    scale = np.where(kept, np.sqrt(4 * np.pi / (max_degree * np.maximum(num_kept, 1))), 0.0)
    normal = np.random.default_rng(seed).standard_normal((num, len(degrees)))
    return (normal * scale)[..., None]


def squared_gradient(
    coefficients: Float[np.ndarray, "*batch harmonics channels"],
    points: Float[np.ndarray, "vertices 3"],
) -> Float[np.ndarray, "*batch vertices channels"]:
    r"""The squared length of the gradient of band-limited functions.

    .. math:: |\nabla f|^2 = \sum_{k = x, y, z} (\partial_\alpha f(R_k(\alpha) x))^2,

    the derivatives by the rotations about the three axes, which no pole disturbs; by central
    differences of the exact function.

    Parameters
    ----------
    coefficients
        Shape (*batch, (max_degree + 1)², channels).
    points
        Unit vectors.

    Returns
    -------
    ndarray, shape (*batch, vertices, channels)
        Per squared radian.

    Examples
    --------
    >>> z = np.sqrt(4 * np.pi / 3) * np.eye(4)[:, 2:3]
    >>> squared_gradient(z, np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])).round(6).tolist()
    [[1.0], [0.0]]
    """
    total = np.zeros(1)
    for axis in np.eye(3):
        turned = np.cross(axis, points)
        # the component along the axis stays
        moved = [
            points + np.sin(angle) * turned + (1 - np.cos(angle)) * np.cross(axis, turned)
            for angle in (_STEP, -_STEP)
        ]
        ahead, behind = (synthesize(coefficients, place) for place in moved)
        total = total + ((ahead - behind) / (2 * _STEP)) ** 2
    return total


def make_maps(section: MapsSection, sampling: Sampling) -> Maps:
    """The fields and targets of a recipe on a sampling.

    A rotated field is (R f)(x) = f(Rᵀ x), evaluated from its harmonics: no map is interpolated.

    Parameters
    ----------
    section
        How many of which kind.
    sampling
        Where they are evaluated.

    Returns
    -------
    Maps
    """
    points = sampling.points
    shape = {"max_degree": section.max_degree, "zonal_share": section.zonal_share}
    # streams of their own: more fields to learn from do not change those that are scored
    learned = zonal_coefficients(section.num_train, seed=2 * section.seed, **shape)
    scored = zonal_coefficients(section.num_scored, seed=2 * section.seed + 1, **shape)
    rotations = random_rotations(section.num_scored, seed=section.seed)
    fields, targets = synthesize(learned, points), squared_gradient(learned, points)

    def standardized(
        signals: Float[np.ndarray, "fields vertices 1"],
        gradients: Float[np.ndarray, "fields vertices 1"],
    ) -> tuple[Tensor, Tensor]:
        values = (signals / fields.std(), (gradients - targets.mean()) / targets.std())
        return torch.tensor(values[0]).float(), torch.tensor(values[1]).float()

    turned = [
        (synthesize(field, points @ rotation), squared_gradient(field, points @ rotation))
        for field, rotation in zip(scored, rotations, strict=True)
    ]
    return Maps(
        train=standardized(fields, targets),
        unrotated=standardized(synthesize(scored, points), squared_gradient(scored, points)),
        rotated=standardized(*(np.stack(parts) for parts in zip(*turned, strict=True))),
        rotations=rotations,
        target_degree=2 * section.max_degree,
    )
