"""The choices that turn a sampling into a graph, and whether they go together."""

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, get_args

import numpy as np

from deepsphere.graph.neighbors import Neighborhood, is_grid, root_and_indices
from deepsphere.sampling import Healpix, Sampling

Weights = Literal["gaussian", "inverse_distance", "perraudin", "perraudin_unweighted", "cotangent"]
LaplacianKind = Literal["combinatorial", "normalized", "random_walk"]
Mass = Literal["unit", "voronoi"]
Disconnected = Literal["raise", "allow"]

DEFAULT_NUM_NEIGHBORS = 20
# the neighborhoods whose number of neighbors is a fact, not a choice
_FIXED_NUM_NEIGHBORS = {"grid": 4, "pixel": 8}
_FIXED_NEIGHBORHOODS: dict[str, Neighborhood] = {
    "perraudin": "pixel",
    "perraudin_unweighted": "pixel",
    "cotangent": "delaunay",
}


@dataclass(frozen=True)
class GraphOptions:
    """The choices that turn a sampling into a graph, as resolved by `build_graph`.

    Attributes
    ----------
    num_neighbors
        k of the nearest neighbors; None where the neighborhood is not "knn".
    weights
        Name of the edge weights.
    kernel_width
        t of the Gaussian kernel as given; None where it was left to the tuned value.
    neighborhood
        Name of the rule that joins vertices.
    laplacian
        Kind of Laplacian.
    mass
        Masses of the cotangent Laplacian; None for other weights.
    disconnected
        Whether a graph of several components is accepted.
    """

    num_neighbors: int | None = DEFAULT_NUM_NEIGHBORS
    weights: Weights = "gaussian"
    kernel_width: float | None = None
    neighborhood: Neighborhood = "knn"
    laplacian: LaplacianKind = "combinatorial"
    mass: Mass | None = None
    disconnected: Disconnected = "raise"


def check_choices(options: Mapping[str, Any]) -> None:
    """Refuse a name that is not among the choices of its option."""
    choices: dict[str, tuple[str, ...]] = {
        "weights": get_args(Weights),
        "neighborhood": get_args(Neighborhood),
        "laplacian": get_args(LaplacianKind),
        "mass": get_args(Mass),
        "disconnected": get_args(Disconnected),
    }
    for name, valid in choices.items():
        value = options.get(name)
        required = name in ("weights", "laplacian", "disconnected") and name in options
        if value not in valid and (value is not None or required):
            nearest = get_close_matches(str(value), valid, n=1, cutoff=0.0)[0]
            raise ValueError(
                f"{name} must be one of {', '.join(valid)}, got {value!r}; "
                f"did you mean {nearest!r}?"
            )


def resolve_options(
    sampling: Sampling,
    num_neighbors: int | None,
    weights: Weights,
    kernel_width: float | None,
    neighborhood: Neighborhood | None,
    laplacian: LaplacianKind,
    mass: Mass | None,
    disconnected: Disconnected,
) -> GraphOptions:
    """The options with every default filled in (but the kernel width), once they are consistent."""
    check_choices(
        {
            "weights": weights,
            "neighborhood": neighborhood,
            "laplacian": laplacian,
            "mass": mass,
            "disconnected": disconnected,
        }
    )
    root, _ = root_and_indices(sampling)
    neighborhood = _resolve_neighborhood(root, weights, neighborhood)
    num_neighbors = _resolve_num_neighbors(root, neighborhood, num_neighbors)
    if kernel_width is not None:
        if weights != "gaussian":
            raise ValueError(
                f"kernel_width must be given with weights='gaussian' only, got {kernel_width} with "
                f"weights={weights!r}; leave one of them out"
            )
        is_number = isinstance(kernel_width, int | float | np.number)
        if not (is_number and np.isfinite(kernel_width) and kernel_width > 0):
            raise ValueError(
                f"kernel_width must be positive and finite, got {kernel_width!r}; "
                "leave it out for the tuned value"
            )
        kernel_width = float(kernel_width)
    mass = _resolve_mass(root, weights, laplacian, mass)
    return GraphOptions(
        num_neighbors, weights, kernel_width, neighborhood, laplacian, mass, disconnected
    )


def _resolve_neighborhood(
    root: Sampling, weights: Weights, neighborhood: Neighborhood | None
) -> Neighborhood:
    """The neighborhood asked for, or the one of the paper that introduced the weights."""
    fixed = _FIXED_NEIGHBORHOODS.get(weights)
    if fixed is not None:
        if neighborhood not in (None, fixed):
            raise ValueError(
                f"neighborhood must be {fixed!r} with weights={weights!r}, got {neighborhood!r}; "
                "leave neighborhood out"
            )
        return fixed
    if neighborhood is not None:
        return neighborhood
    if weights == "inverse_distance" and is_grid(root):
        return "grid"
    return "knn"


def _resolve_num_neighbors(
    root: Sampling, neighborhood: Neighborhood, num_neighbors: int | None
) -> int | None:
    """k for nearest neighbors, None for other neighborhoods."""
    if neighborhood != "knn":
        if num_neighbors not in (None, _FIXED_NUM_NEIGHBORS.get(neighborhood)):
            raise ValueError(
                f"num_neighbors must be given with neighborhood='knn' only, got {num_neighbors} "
                f"with neighborhood={neighborhood!r}; leave it out or use neighborhood='knn'"
            )
        return None
    if num_neighbors is None:
        num_neighbors = DEFAULT_NUM_NEIGHBORS
    is_integer = isinstance(num_neighbors, int | np.integer) and not isinstance(num_neighbors, bool)
    if not is_integer or num_neighbors < 1:
        raise ValueError(
            f"num_neighbors must be an integer of at least 1, got {num_neighbors!r}; "
            f"use {DEFAULT_NUM_NEIGHBORS}, the default"
        )
    if num_neighbors >= root.num_vertices:
        finer = "a finer sampling"
        if isinstance(root, Healpix):
            nside = next(2**i for i in range(30) if 12 * 4**i > num_neighbors)
            finer = f"Healpix(nside >= {nside})"
        raise ValueError(
            "num_neighbors must be smaller than the number of vertices "
            f"({root.num_vertices}), got {num_neighbors}; use {finer} or fewer neighbors"
        )
    return int(num_neighbors)


def _resolve_mass(
    root: Sampling, weights: Weights, laplacian: LaplacianKind, mass: Mass | None
) -> Mass | None:
    """The masses asked for, or those that fit the areas of the sampling."""
    if weights != "cotangent" or laplacian != "combinatorial":
        if mass is not None:
            raise ValueError(
                "mass must be given with weights='cotangent' and laplacian='combinatorial' only, "
                f"got mass={mass!r} with weights={weights!r} and laplacian={laplacian!r}; "
                "leave mass out"
            )
        return None
    if mass is not None:
        return mass
    return "unit" if np.ptp(root.areas) < 1e-9 * root.areas.max() else "voronoi"
