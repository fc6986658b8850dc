"""Images put on the sphere, exactly: every sampling point looks up its own place in the image."""

import math
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from deepsphere.geometry import random_rotations

Fit = Literal["edges", "corners"]
FAR_OUTSIDE = 4.0  # in half widths of the image: beyond the reach of bilinear interpolation


def stereographic_signals(
    images: Float[Tensor, "batch height width"],
    points: Float[Tensor, "vertices 3"],
    rotations: Float[Tensor, "batch 3 3"] | None = None,
    *,
    cap_deg: float = 90.0,
    fit: Fit = "edges",
) -> Float[Tensor, "batch vertices 1"]:
    """Values at the sampling points of images that lie on the sphere and were rotated.

    The spherical image f is the plane image seen through the stereographic projection from the
    south pole: a point at colatitude θ lies at radius r = tan(θ/2) / tan(cap/2) from the middle
    of the image. A rotation R makes the image R f(x) = f(Rᵀ x), which is evaluated by rotating
    the sampling points: no map is interpolated, and signals of the same image under different
    rotations differ by the rotation alone. Between pixel centres the image is bilinear; it is
    zero outside.

    Seen from outside above the north pole, with the x axis to the right and the y axis up, a
    digit is upright.

    Parameters
    ----------
    images
        Shape (batch, height, width).
    points
        Shape (vertices, 3), unit vectors.
    rotations
        Shape (batch, 3, 3), active rotation matrices; None leaves the images at the north pole.
    cap_deg
        Angular radius of the polar cap that the image fills, in degrees, in (0, 180).
        90 fills the northern hemisphere.
    fit
        "edges": the middles of the edges of the image lie on the boundary of the cap, and its
        corners outside of it. "corners": the corners lie on the boundary, so that the whole image
        is inside of the cap.

    Returns
    -------
    Float[Tensor, "batch vertices 1"]
        Of the dtype and on the device of `images`.

    Raises
    ------
    ValueError
        If `cap_deg` or `fit` is not one of the above.

    Examples
    --------
    >>> north_and_south = torch.tensor([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])
    >>> stereographic_signals(torch.ones(1, 8, 8), north_and_south).squeeze()
    tensor([1., 0.])

    References
    ----------
    Cohen, Geiger, Köhler, Welling, "Spherical CNNs", ICLR 2018, section 5.2 (the experiment).
    """
    if not 0 < cap_deg < 180:
        raise ValueError(f"cap_deg must be between 0 and 180, both excluded, got {cap_deg}")
    if fit not in get_args(Fit):
        raise ValueError(f"fit must be one of {', '.join(get_args(Fit))}, got {fit!r}")
    points = points.to(images)
    if rotations is None:
        rotated = points.expand(len(images), -1, -1)
    else:
        rotated = points @ rotations.to(images)  # rows (Rᵀ x)ᵀ = xᵀ R
    half_width = math.tan(math.radians(cap_deg) / 2)
    if fit == "corners":
        half_width /= math.sqrt(2)
    plane = _project(rotated) / half_width
    # rows of an image run downwards
    grid = (plane * plane.new_tensor([1.0, -1.0])).clamp(-FAR_OUTSIDE, FAR_OUTSIDE)
    # align_corners=False: ±1 are the outer edges of the image, not the outer pixel centres
    values = torch.nn.functional.grid_sample(
        images[:, None], grid[:, None], mode="bilinear", padding_mode="zeros", align_corners=False
    )
    return values[:, 0, 0, :, None]


def _project(points: Float[Tensor, "batch vertices 3"]) -> Float[Tensor, "batch vertices 2"]:
    """Stereographic projection from the south pole, equator at radius 1, the pole far away."""
    denominator = 1 + points[..., 2:]
    # within 2e-4 radian of the south pole; there, rounding makes the quotient meaningless
    is_pole = denominator < 1e-8 if points.dtype == torch.float64 else denominator < 1e-6
    far = points.new_tensor(1e6)
    return torch.where(is_pole, far, points[..., :2] / denominator.masked_fill(is_pole, 1.0))


def epoch_rotations(num: int, *, seed: int, epoch: int) -> Float[np.ndarray, "num 3 3"]:
    """Rotations of all samples in one epoch, uniform in SO(3); row i belongs to sample i.

    They depend on the seed, the epoch and the index alone: not on the order of the samples, the
    size of the batches, the number of processes, or whether a training was interrupted.

    Parameters
    ----------
    num
        Number of samples.
    seed
        Seed of the training, nonnegative.
    epoch
        Number of the epoch, from 0.

    Returns
    -------
    Float[np.ndarray, "num 3 3"]
        Active rotation matrices, float64.

    Examples
    --------
    >>> first, second = (epoch_rotations(5, seed=0, epoch=epoch) for epoch in (0, 1))
    >>> bool(np.allclose(first, second))
    False
    >>> bool(np.array_equal(first, epoch_rotations(5, seed=0, epoch=0)))
    True
    """
    return random_rotations(num, seed=np.random.default_rng((seed, epoch)))


def evaluation_rotations(
    num_images: int, *, per_image: int = 3, seed: int = 0
) -> Float[np.ndarray, "images rotations 3 3"]:
    """Fixed random rotations for the test images, the same for every model and training.

    Parameters
    ----------
    num_images
        Number of images.
    per_image
        Rotations of each image.
    seed
        Seed, apart from those of the epochs: no training sees these rotations.

    Returns
    -------
    Float[np.ndarray, "images rotations 3 3"]
        Active rotation matrices, float64.

    Examples
    --------
    >>> evaluation_rotations(10).shape
    (10, 3, 3, 3)
    """
    # a key of another length gives a stream of its own
    generator = np.random.default_rng((seed, 0, 0x7E57))
    rotations = random_rotations(num_images * per_image, seed=generator)
    return rotations.reshape(num_images, per_image, 3, 3)
