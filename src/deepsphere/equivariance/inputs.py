"""The signals on which a rotation error is measured: functions that are known at any point."""

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

import numpy as np
from jaxtyping import Float
from torch import Tensor, nn

from deepsphere.equivariance.harmonic_fit import harmonic_values, resolved_degree
from deepsphere.equivariance.maps import signal_like
from deepsphere.geometry import random_rotations
from deepsphere.sampling import Sampling

FunctionOfPoints: TypeAlias = Callable[
    [Float[np.ndarray, "points 3"]], Float[np.ndarray, "signals points channels"]
]
Inputs: TypeAlias = int | tuple[int, int] | Float[np.ndarray, "degrees"] | FunctionOfPoints

# Default inputs and fits stop here: harmonics at a point number the square of the degree.
LARGEST_INPUT_DEGREE, LARGEST_FIT_DEGREE = 32, 64


def default_inputs(sampling: Sampling) -> tuple[int, int]:
    """Degrees of the inputs if none are named: from 0 to half of what the sampling resolves.

    Examples
    --------
    >>> from deepsphere.sampling import Healpix
    >>> default_inputs(Healpix(nside=8))
    (0, 8)
    """
    return 0, min(max(1, resolved_degree(sampling) // 2), LARGEST_INPUT_DEGREE)


def angular_spectrum(inputs: Inputs) -> Float[np.ndarray, "degrees"] | None:
    """The spectrum C_l, from degree 0, that random inputs have; None for functions of points.

    Raises
    ------
    TypeError
        If `inputs` is none of the kinds of :func:`deepsphere.measure_equivariance`.
    ValueError
        If a degree or a variance is negative, or the band is empty.

    Examples
    --------
    >>> spectrum = angular_spectrum((1, 2))
    >>> float(spectrum @ [1, 3, 5] / (4 * np.pi))  # the variance at a point
    1.0
    """
    if callable(inputs):
        return None
    if isinstance(inputs, np.ndarray):
        if inputs.ndim != 1 or not np.all(inputs >= 0) or not np.any(inputs > 0):
            raise ValueError(
                "inputs must be a spectrum C_l of nonnegative numbers, not all zero, got "
                f"{inputs}; its first entry is that of degree 0"
            )
        return inputs
    band = inputs if isinstance(inputs, tuple) else (inputs, inputs)
    if len(band) != 2 or not all(_is_integer(degree) for degree in band):
        raise TypeError(
            "inputs must be a degree, a pair of degrees, an array C_l or a function of points, "
            f"got {inputs!r}; (0, 8) stands for degrees 0 to 8"
        )
    low, high = band
    if not 0 <= low <= high:
        raise ValueError(
            f"inputs must name degrees that are not negative and in order, got {inputs!r}; "
            "(0, 8) stands for degrees 0 to 8"
        )
    spectrum = np.zeros(high + 1)
    spectrum[low:] = 4 * np.pi / ((high + 1) ** 2 - low**2)
    return spectrum


def functions_of_points(
    inputs: Inputs, *, num_signals: int, num_channels: int, seed: int | np.random.Generator
) -> FunctionOfPoints:
    """The signals at any points, (signals, points, channels).

    Random ones are isotropic and Gaussian: every coefficient of degree l has variance C_l.

    Examples
    --------
    >>> values_at = functions_of_points(1, num_signals=2, num_channels=3, seed=0)
    >>> poles = np.array([[0.0, 0.0, 1.0], [0.0, 0.0, -1.0]])
    >>> values = values_at(poles)
    >>> values.shape, bool(np.allclose(values[:, 0], -values[:, 1]))
    ((2, 2, 3), True)
    """
    spectrum = angular_spectrum(inputs)
    if spectrum is None:
        assert callable(inputs)
        return partial(_checked_values, inputs)
    deviations = np.repeat(np.sqrt(spectrum), 2 * np.arange(len(spectrum)) + 1)
    draw = np.random.default_rng(seed).standard_normal
    coefficients = draw((num_signals, len(deviations), num_channels)) * deviations[:, None]
    return lambda points: harmonic_values(coefficients, points)


def random_experiment(
    sampling: Sampling,
    inputs: Inputs,
    *,
    num_signals: int,
    num_rotations: int,
    num_channels: int,
    seed: int,
) -> tuple[FunctionOfPoints, Float[np.ndarray, "rotations 3 3"]]:
    """Signals at any points, and Haar rotations, from one seed.

    Raises
    ------
    ValueError
        If a number is below one, or the sampling covers a part of the sphere only.

    Examples
    --------
    >>> from deepsphere.sampling import Healpix
    >>> sizes = {"num_signals": 2, "num_rotations": 3, "num_channels": 4}
    >>> values_at, rotations = random_experiment(Healpix(nside=2), 1, seed=0, **sizes)
    >>> values_at(Healpix(nside=2).points @ rotations[0]).shape
    (2, 48, 4)
    """
    numbers = {
        "num_signals": num_signals,
        "num_rotations": num_rotations,
        "num_channels": num_channels,
    }
    for name, number in numbers.items():
        if not _is_integer(number) or number < 1:
            raise ValueError(f"{name} must be an integer of at least 1, got {number!r}")
    area = float(sampling.areas.sum())
    if area < 0.999 * 4 * np.pi:
        raise ValueError(
            f"sampling must cover the sphere, got {sampling.spec} of {area / (4 * np.pi):.0%} of "
            "it, which rotations leave; measure on the whole sphere, or a matrix with "
            "equivariance_error and the rows that count"
        )
    values_at = functions_of_points(
        inputs,
        num_signals=num_signals,
        num_channels=num_channels,
        seed=np.random.default_rng([seed, 0]),
    )
    return values_at, random_rotations(num_rotations, seed=np.random.default_rng([seed, 1]))


def signal_at_rotation(
    model: nn.Module, sampling: Sampling, values_at: FunctionOfPoints
) -> Callable[[Float[np.ndarray, "3 3"] | None], Tensor]:
    """The signals on a sampling, rotated, as tensors for a model.

    Examples
    --------
    >>> from deepsphere.sampling import Healpix
    >>> values_at = functions_of_points(1, num_signals=2, num_channels=1, seed=0)
    >>> signal_at_rotation(nn.Linear(1, 1), Healpix(nside=1), values_at)(None).shape
    torch.Size([2, 12, 1])
    """

    def signal_at(rotation: np.ndarray | None) -> Tensor:
        points = sampling.points if rotation is None else sampling.points @ rotation
        return signal_like(model, values_at(points))

    return signal_at


def _checked_values(
    function: FunctionOfPoints, points: Float[np.ndarray, "points 3"]
) -> Float[np.ndarray, "signals points channels"]:
    """What a function of points returns, if it has the right shape."""
    values = np.asarray(function(points), dtype=np.float64)
    if values.ndim != 3 or values.shape[1] != len(points):
        raise ValueError(
            f"inputs must return (signals, {len(points)} points, channels) for as many points, "
            f"got the shape {values.shape}"
        )
    return values


def _is_integer(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
