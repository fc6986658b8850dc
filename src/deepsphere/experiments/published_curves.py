"""The numbers behind a published figure, as they ship with the package."""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any, get_args

import numpy as np
from jaxtyping import Float, Int

from deepsphere.experiments.equivariance_config import PublishedName

PUBLISHED_FILE = Path(__file__).parent / "published" / "equivariance.json"


def published_source() -> str:
    """Who published the curves, and where the numbers are from.

    Returns
    -------
    str

    Examples
    --------
    >>> "2020" in published_source()
    True
    """
    source = _contents()["source"]
    return f"{source['citation']}; numbers from {source['data']} ({source['license']})"


def published_curve(
    name: PublishedName, size: int
) -> tuple[Int[np.ndarray, "degrees"], Float[np.ndarray, "degrees"]]:
    """Degrees and unsquared errors of a published curve.

    Parameters
    ----------
    name
        Which curve.
    size
        nside of HEALPix, or the bandwidth b of the grid of 2b × 2b points.

    Returns
    -------
    degrees, errors : ndarray, shape (degrees,)

    Raises
    ------
    ValueError
        If there is no such curve.

    Examples
    --------
    >>> degrees, errors = published_curve("V2_k20_Lf", 32)
    >>> degrees[:3].tolist(), errors[:3].round(4).tolist()
    ([10, 20, 30], [0.0826, 0.0372, 0.0202])
    """
    names = get_args(PublishedName)
    if name not in names:
        raise ValueError(f"name must be one of {', '.join(names)}, got {name!r}")
    curves = _contents()[name]
    if str(size) not in curves:
        raise ValueError(f"size must be one of {', '.join(curves)} for {name}, got {size}")
    curve = curves[str(size)]
    return np.array(curve["degrees"]), np.array(curve["error"])


def published_kernel_scale(num_neighbors: int, nside: int) -> float | None:
    """The published width s of the weights exp(−ln 2 d² / s²) on HEALPix, if there is one.

    Parameters
    ----------
    num_neighbors, nside
        Of the graph.

    Returns
    -------
    float or None

    Examples
    --------
    >>> published_kernel_scale(20, 32), published_kernel_scale(12, 32)
    (0.03185, None)
    """
    return _contents()["optimal_kernel_widths"].get(str(num_neighbors), {}).get(str(nside))


@lru_cache(maxsize=1)
def _contents() -> dict[str, Any]:
    """The file."""
    return json.loads(PUBLISHED_FILE.read_text(encoding="utf-8"))
