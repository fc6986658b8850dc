"""The rotation error as it was published: sampled, with rotations by harmonic transforms.

A map is rotated by a transform to degree 3 nside − 1, a rotation of the coefficients, and the
transform back. The transform uses one weight for each pixel and is not iterated. Those weights
integrate degrees up to 3 nside only, while products of two harmonics have up to twice that degree:
what leaks to other degrees counts as error of the graph, most at low degrees, where the Laplacian
amplifies it, and beyond 2 nside. The exact error is `deepsphere.equivariance_error`.

This file alone uses healpy, which is under the GPL and comes with the extra ``cosmology``.
"""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.util import find_spec
from typing import Any

import numpy as np
from jaxtyping import Complex, Float
from scipy.sparse import csr_matrix

# Residual of the conditions on the weights, relative to a sphere of one; a thousandth of it would
# change no digit of an error.
_WEIGHT_TOLERANCE = 1e-6
_MAX_ITERATIONS = 300

Coefficients = Complex[np.ndarray, "coefficients"]


def has_healpy() -> bool:
    """Whether the package healpy is installed.

    Returns
    -------
    bool
    """
    return find_spec("healpy") is not None


def sampled_errors(
    operators: Mapping[str, csr_matrix],
    *,
    nside: int,
    degree: int,
    num_functions: int = 5,
    num_rotations: int = 5,
    seed: int = 1994,
) -> dict[str, float]:
    """Mean of ‖R A f − A R f‖ / ‖A f‖ over random functions f of one degree and rotations R.

    Functions and rotations are those of the published curves, number by number: the generator is
    seeded anew for each degree, draws the coefficients of all degrees of a function and then three
    angles, uniform in 0 to 360°, for each of its rotations.

    Parameters
    ----------
    operators
        Matrices (pixels, pixels) by name, on HEALPix in RING order.
    nside
        Of the pixels.
    degree
        Of the functions, 1 to 3 nside − 1.
    num_functions, num_rotations
        How many functions, and rotations of each.
    seed
        Of the generator of MT19937.

    Returns
    -------
    dict of str to float
        An error, not squared, for each operator.

    Raises
    ------
    ImportError
        If healpy is not installed.
    """
    healpy: Any = _import_healpy()
    max_degree = 3 * nside - 1
    degrees, orders = healpy.Alm.getlm(max_degree)
    generator = np.random.RandomState(seed)  # the generator behind the published numbers
    ratios: dict[str, list[float]] = {name: [] for name in operators}
    for _ in range(num_functions):
        real, imaginary = generator.standard_normal((2, len(degrees)))
        white = np.where(orders == 0, real + 0j, (real + 1j * imaginary) / np.sqrt(2))
        signal = healpy.alm2map(np.where(degrees == degree, white, 0), nside, lmax=max_degree)
        filtered = [operator @ signal for operator in operators.values()]
        analyzed = [_analyze(map_, nside) for map_ in (signal, *filtered)]
        for angles in generator.uniform(0, 360, (num_rotations, 3)):
            rotated, *rotated_filtered = _rotate(analyzed, healpy.Rotator(rot=list(angles)), nside)
            for (name, operator), before, after in zip(
                operators.items(), filtered, rotated_filtered, strict=True
            ):
                difference = after - operator @ rotated
                ratio = np.linalg.norm(difference) / np.linalg.norm(before)
                ratios[name].append(float(ratio))
    return {name: float(np.mean(values)) for name, values in ratios.items()}


def _import_healpy() -> Any:
    """The package healpy, or how to install it."""
    if not has_healpy():
        raise ImportError(
            "the published convention needs the package healpy, which is not installed; "
            'run: pip install "deepsphere-torch[cosmology]"'
        )
    import healpy

    return healpy


def _analyze(signal: Float[np.ndarray, "pixels"], nside: int) -> Coefficients:
    """Coefficients up to degree 3 nside − 1 by the weighted sum over pixels."""
    weights = quadrature_weights(nside)
    return _import_healpy().map2alm(weights * signal, lmax=3 * nside - 1, iter=0)


def _rotate(
    coefficients: Sequence[Coefficients], rotator: Any, nside: int
) -> list[Float[np.ndarray, "pixels"]]:
    """The maps of rotated coefficients."""
    healpy: Any = _import_healpy()
    max_degree = 3 * nside - 1
    maps = []
    for start in range(0, len(coefficients), 3):
        # healpy rotates three sets for little more than the cost of one, and no other number
        three = [*coefficients[start : start + 3], *coefficients[:2]][:3]
        for rotated in rotator.rotate_alm(np.array(three), lmax=max_degree):
            maps.append(healpy.alm2map(rotated, nside, lmax=max_degree))
    return maps[: len(coefficients)]


@lru_cache(maxsize=4)
def quadrature_weights(nside: int) -> Float[np.ndarray, "pixels"]:
    """Factors of the pixel areas by which sums over pixels integrate all degrees up to 3 nside.

    Of all such factors those that are nearest to one; found by conjugate gradients, so that no
    table has to be fetched from elsewhere.

    Parameters
    ----------
    nside
        A power of two.

    Returns
    -------
    ndarray, shape (pixels,)
        In RING order, read-only.

    Raises
    ------
    ImportError
        If healpy is not installed.
    """
    healpy: Any = _import_healpy()
    max_degree = 3 * nside
    degrees, orders = healpy.Alm.getlm(max_degree)
    # sums over HEALPix pixels of the other harmonics vanish by symmetry
    is_kept = (degrees % 2 == 0) & (orders % 4 == 0)
    multiplicity = np.where(orders == 0, 1.0, 2.0)

    def analyze(map_: Float[np.ndarray, "pixels"]) -> Coefficients:
        return np.where(is_kept, healpy.map2alm(map_, lmax=max_degree, iter=0), 0)

    def inner(first: Coefficients, second: Coefficients) -> float:
        return float(np.sum(multiplicity * (first.conj() * second).real))

    weights = np.ones(12 * nside**2)
    residual = -analyze(weights)
    residual[0] += np.sqrt(4 * np.pi)
    direction, size = residual.copy(), inner(residual, residual)
    for _ in range(_MAX_ITERATIONS):
        if size < _WEIGHT_TOLERANCE**2:
            break
        step_map = healpy.alm2map(direction, nside, lmax=max_degree)
        image = analyze(step_map)
        step = size / inner(direction, image)
        weights += step * step_map
        residual -= step * image
        size_before, size = size, inner(residual, residual)
        direction = residual + size / size_before * direction
    weights.setflags(write=False)
    return weights
