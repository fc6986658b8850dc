"""The choices that turn a sampling into a graph, and whether they go together."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal, get_args

import numpy as np

from deepsphere.graph.neighbors import Neighborhood, is_grid, root_and_indices
from deepsphere.sampling import Healpix, Sampling

Weights = Literal[
    "optimal",
    "optimal_symmetric",
    "optimal_rows",
    "gaussian",
    "inverse_distance",
    "perraudin",
    "perraudin_unweighted",
    "cotangent",
]
Emphasis = Literal["low", "balanced", "no_worse"]
LaplacianKind = Literal["combinatorial", "normalized", "random_walk"]
Mass = Literal["unit", "voronoi"]
Disconnected = Literal["raise", "allow"]

DEFAULT_NUM_NEIGHBORS = 20
# the neighborhoods whose number of neighbors is a fact, or one of two
_NUM_NEIGHBORS_OF: dict[str, tuple[int, ...]] = {"grid": (4, 8), "pixel": (8,)}
_FIXED_NEIGHBORHOODS: dict[str, Neighborhood] = {
    "perraudin": "pixel",
    "perraudin_unweighted": "pixel",
    "cotangent": "delaunay",
}
# the least k with which the symmetric program beats the Gaussian at every degree by a wide margin;
# on fewer vertices than these nobody asks for high degrees
_WIDE_MARGIN_NEIGHBORS = 12
_WIDE_MARGIN_VERTICES = 1000
# cells that differ by less are equal up to the rounding of their areas
_EQUAL_AREAS = 1e-9


@dataclass(frozen=True)
class GraphOptions:
    """The choices that turn a sampling into a graph, as resolved by `build_graph`.

    The defaults are those of a sampling that is spread evenly.

    Attributes
    ----------
    num_neighbors
        k of the nearest neighbors, 4 or 8 on the neighborhood "grid"; None on other neighborhoods,
        and where "optimal_rows" choose among candidates of their own.
    weights
        Name of the edge weights; "optimal" stands as the one of its two forms that it meant.
    emphasis
        Degrees that the weights "optimal_symmetric" favor; None for other weights, and on samplings
        that are not spread evenly, where there is no choice.
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
    lambda_max
        The number that stands for the largest eigenvalue, as given; None where it is computed.
    """

    num_neighbors: int | None = DEFAULT_NUM_NEIGHBORS
    weights: Weights = "optimal_symmetric"
    emphasis: Emphasis | None = "balanced"
    kernel_width: float | None = None
    neighborhood: Neighborhood = "knn"
    laplacian: LaplacianKind = "combinatorial"
    mass: Mass | None = None
    disconnected: Disconnected = "raise"
    lambda_max: float | None = None


def has_equal_areas(sampling: Sampling) -> bool:
    """Whether all cells of a sampling have the same area, up to rounding.

    Examples
    --------
    >>> from deepsphere.sampling import Icosahedral
    >>> has_equal_areas(Healpix(nside=2)), has_equal_areas(Icosahedral(4))
    (True, False)
    """
    areas = sampling.areas
    return bool(np.ptp(areas) < _EQUAL_AREAS * areas.max())


def check_choices(options: Mapping[str, Any]) -> None:
    """Refuse a name that is not among the choices of its option."""
    choices: dict[str, tuple[str, ...]] = {
        "weights": get_args(Weights),
        "emphasis": get_args(Emphasis),
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
    *,
    num_neighbors: int | None,
    weights: Weights,
    emphasis: Emphasis | None,
    kernel_width: float | None,
    neighborhood: Neighborhood | None,
    laplacian: LaplacianKind,
    mass: Mass | None,
    disconnected: Disconnected,
    lambda_max: float | None,
) -> GraphOptions:
    """The options with every default filled in (but the kernel width), once they are consistent.

    Warns where the number of neighbors named costs much of what the optimal weights bring.
    """
    check_choices(
        {
            "weights": weights,
            "emphasis": emphasis,
            "neighborhood": neighborhood,
            "laplacian": laplacian,
            "mass": mass,
            "disconnected": disconnected,
        }
    )
    root, _ = root_and_indices(sampling)
    weights = _resolve_weights(root, weights, neighborhood)
    neighborhood = _resolve_neighborhood(root, weights, neighborhood)
    named = num_neighbors
    num_neighbors = _resolve_num_neighbors(root, weights, neighborhood, num_neighbors)
    if emphasis is None and named is not None and weights == "optimal_symmetric":
        _warn_of_few_neighbors(root, neighborhood, named)
    return GraphOptions(
        num_neighbors,
        weights,
        _resolve_emphasis(root, weights, emphasis),
        _checked_kernel_width(weights, kernel_width),
        neighborhood,
        _checked_laplacian(weights, laplacian),
        _resolve_mass(root, weights, laplacian, mass),
        disconnected,
        _checked_lambda_max(lambda_max),
    )


def _resolve_weights(
    root: Sampling, weights: Weights, neighborhood: Neighborhood | None
) -> Weights:
    """The form of the optimal weights that suits a sampling; other weights as they are."""
    if weights == "optimal":
        on_edges = root.quasi_uniform or neighborhood not in (None, "knn")
        return "optimal_symmetric" if on_edges else "optimal_rows"
    if weights == "optimal_rows" and neighborhood not in (None, "knn"):
        raise ValueError(
            "neighborhood must be left out with weights='optimal_rows', which choose their own "
            f"edges, got {neighborhood!r}; use weights='optimal_symmetric' for these edges"
        )
    return weights


def _warn_of_few_neighbors(root: Sampling, neighborhood: Neighborhood, num_neighbors: int) -> None:
    """Say what a few nearest neighbors more would bring."""
    is_few = neighborhood == "knn" and num_neighbors < _WIDE_MARGIN_NEIGHBORS
    if is_few and root.quasi_uniform and root.num_vertices >= _WIDE_MARGIN_VERTICES:
        warnings.warn(
            f"num_neighbors={num_neighbors} leaves the optimal weights little room: "
            f"{_WIDE_MARGIN_NEIGHBORS} is the smallest that beats Gaussian weights at every degree "
            "by a wide margin (error at most 0.57 of theirs, against 1.15 with 8); use "
            f"num_neighbors={_WIDE_MARGIN_NEIGHBORS} or more, or say with emphasis='low', "
            "'balanced' or 'no_worse' which degrees matter",
            UserWarning,
            stacklevel=4,
        )


def _resolve_emphasis(
    root: Sampling, weights: Weights, emphasis: Emphasis | None
) -> Emphasis | None:
    """The degrees to favor, "balanced" if not given, where there is a choice."""
    if weights == "optimal_symmetric" and root.quasi_uniform:
        return emphasis or "balanced"
    if emphasis is not None:
        raise ValueError(
            "emphasis must be given with weights='optimal_symmetric' on samplings that are spread "
            f"evenly only, got emphasis={emphasis!r} with weights={weights!r} on "
            f"{type(root).__name__}; leave emphasis out"
        )
    return None


def _checked_kernel_width(weights: Weights, kernel_width: float | None) -> float | None:
    """The width given for the Gaussian kernel."""
    if kernel_width is None:
        return None
    if weights != "gaussian":
        raise ValueError(
            f"kernel_width must be given with weights='gaussian' only, got {kernel_width} with "
            f"weights={weights!r}; name these weights, or leave kernel_width out"
        )
    if not _is_positive(kernel_width):
        raise ValueError(
            f"kernel_width must be positive and finite, got {kernel_width!r}; "
            "leave it out for the tuned value"
        )
    return float(kernel_width)


def _checked_lambda_max(lambda_max: float | None) -> float | None:
    """The number given for the largest eigenvalue."""
    if lambda_max is None:
        return None
    if not _is_positive(lambda_max):
        raise ValueError(
            f"lambda_max must be positive and finite, got {lambda_max!r}; "
            "leave it out for the largest eigenvalue"
        )
    return float(lambda_max)


def _is_positive(value: object) -> bool:
    """Whether this is a positive finite number."""
    return isinstance(value, int | float | np.number) and bool(np.isfinite(value) and value > 0)


def _checked_laplacian(weights: Weights, laplacian: LaplacianKind) -> LaplacianKind:
    """The kind of Laplacian, for which optimal weights leave no choice."""
    if weights in ("optimal_symmetric", "optimal_rows") and laplacian != "combinatorial":
        raise ValueError(
            "laplacian must be 'combinatorial' with optimal weights, which are optimal for it, got "
            f"{laplacian!r} with weights={weights!r}; leave laplacian out or use weights='gaussian'"
        )
    return laplacian


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
    root: Sampling, weights: Weights, neighborhood: Neighborhood, num_neighbors: int | None
) -> int | None:
    """k for nearest neighbors, 4 or 8 on a grid, None where there is nothing to choose."""
    if neighborhood != "knn":
        valid = _NUM_NEIGHBORS_OF.get(neighborhood, ())
        if num_neighbors is not None and num_neighbors not in valid:
            few = f" (or {' or '.join(map(str, valid))} with 'grid')" if len(valid) > 1 else ""
            raise ValueError(
                f"num_neighbors must be given with neighborhood='knn' only{few}, got "
                f"{num_neighbors} with neighborhood={neighborhood!r}; leave it out or use "
                "neighborhood='knn'"
            )
        if neighborhood != "grid":
            return None
        # four neighbors see no diagonal, so no weights make them isotropic
        default = 8 if weights == "optimal_symmetric" else 4
        return default if num_neighbors is None else int(num_neighbors)
    if num_neighbors is None and weights == "optimal_rows":
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
    return "unit" if has_equal_areas(root) else "voronoi"
