"""The graph of a sampling: what a graph convolution needs to know of the sphere."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_matrix, identity
from scipy.sparse.csgraph import connected_components

from deepsphere.geometry import spherical_delaunay, voronoi_areas
from deepsphere.graph.cotangent import cotangent_weights
from deepsphere.graph.laplacian import (
    combinatorial_laplacian,
    degrees,
    normalized_laplacian,
    random_walk_laplacian,
)
from deepsphere.graph.neighbors import Neighborhood, neighbor_distances, root_and_indices
from deepsphere.graph.options import (
    DEFAULT_NUM_NEIGHBORS,
    Disconnected,
    GraphOptions,
    LaplacianKind,
    Mass,
    Weights,
    check_choices,
    resolve_options,
)
from deepsphere.graph.pixel_neighbors import mean_squared_pixel_distance
from deepsphere.graph.spectrum import largest_eigenvalue
from deepsphere.graph.weights import (
    gaussian_weights,
    inverse_distance_weights,
    mean_distance_kernel_width,
    tuned_kernel_width,
    unit_weights,
)
from deepsphere.sampling import Healpix, Sampling, Subset, sampling_from_spec

if TYPE_CHECKING:
    from deepsphere.graph.coarsening import Pyramid


@dataclass(frozen=True, eq=False, repr=False)
class SphereGraph:
    """A weighted graph on the vertices of a sampling, with its Laplacian.

    Built by `build_graph`; never changed after.

    Attributes
    ----------
    sampling
        The vertices.
    adjacency
        Symmetric weights (vertices, vertices), float64 CSR, nothing on the diagonal.
    laplacian
        L (vertices, vertices), float64 CSR, not rescaled.
    options
        The choices that made it.
    kernel_width
        The t of the Gaussian kernel in use; None for weights without one.
    vertex_mass
        Positive m for which L is self-adjoint: sum_i m_i f_i (L g)_i = sum_i m_i (L f)_i g_i. Ones
        if L is symmetric.
    symmetric
        Whether L is a symmetric matrix.

    Examples
    --------
    >>> from deepsphere.sampling import Healpix
    >>> build_graph(Healpix(nside=8), num_neighbors=8)
    SphereGraph(Healpix(nside=8, ordering='nested'), vertices=768, edges=3140, weights='gaussian')
    """

    sampling: Sampling
    adjacency: csr_matrix
    laplacian: csr_matrix
    options: GraphOptions
    kernel_width: float | None
    vertex_mass: Float[np.ndarray, "vertices"] = field(repr=False)
    symmetric: bool

    @property
    def num_vertices(self) -> int:
        """Number of vertices."""
        return self.sampling.num_vertices

    @property
    def num_edges(self) -> int:
        """Number of undirected edges."""
        return self.adjacency.nnz // 2

    @cached_property
    def lambda_max(self) -> float:
        """The largest eigenvalue of the Laplacian, or a bound just above it; computed once."""
        mass = None if self.symmetric else self.vertex_mass
        return largest_eigenvalue(self.laplacian, mass=mass)

    def rescaled_laplacian(self) -> csr_matrix:
        """2 L / lambda_max - I, whose eigenvalues lie in [-1, 1], where Chebyshev polynomials live.

        Returns
        -------
        csr_matrix
            (vertices, vertices), float64. -I for a graph without edges.
        """
        scale = 2.0 / self.lambda_max if self.lambda_max > 0 else 0.0
        return csr_matrix(scale * self.laplacian - identity(self.num_vertices, format="csr"))

    @property
    def spec(self) -> dict[str, Any]:
        """Plain values from which `graph_from_spec` rebuilds the graph.

        Examples
        --------
        >>> from deepsphere.sampling import Healpix
        >>> build_graph(Healpix(nside=2), num_neighbors=8).spec["weights"]
        'gaussian'
        """
        return {"sampling": self.sampling.spec, **asdict(self.options)}

    def __deepcopy__(self, memo: dict[int, Any]) -> "SphereGraph":
        """Itself: a value that never changes need not be copied with the layers that hold it."""
        return self

    def pyramid(self, num_levels: int, **options: Any) -> "Pyramid":
        """Pyramid of graphs with this one as the finest; see `build_pyramid` for the options."""
        # coarsening builds graphs, so it imports this module
        from deepsphere.graph.coarsening import build_pyramid

        return build_pyramid(self, num_levels=num_levels, **options)

    def __repr__(self) -> str:
        return (
            f"SphereGraph({self.sampling!r}, vertices={self.num_vertices}, "
            f"edges={self.num_edges}, weights={self.options.weights!r})"
        )


def build_graph(
    sampling: Sampling,
    *,
    num_neighbors: int | None = None,
    weights: Weights = "gaussian",
    kernel_width: float | None = None,
    neighborhood: Neighborhood | None = None,
    laplacian: LaplacianKind = "combinatorial",
    mass: Mass | None = None,
    disconnected: Disconnected = "raise",
) -> SphereGraph:
    """The graph of a sampling.

    | weights | w of an edge of chord length d | neighborhood if not given |
    |---|---|---|
    | "gaussian" | exp(-d² / 4t) | k nearest neighbors |
    | "inverse_distance" | 1 / d | 4 neighbors of a grid, else k nearest |
    | "perraudin" | exp(-d² / 2 mean(d²)) | 8 neighbors of a HEALPix pixel |
    | "perraudin_unweighted" | 1 | 8 neighbors of a HEALPix pixel |
    | "cotangent" | (cot α + cot β) / 2 | spherical Delaunay triangulation |

    The graph of a `Subset` is the graph of its base restricted to the kept vertices: same weights,
    and no edge across a hole.

    Parameters
    ----------
    sampling
        The vertices.
    num_neighbors
        k of the nearest neighbors, 1 to vertices - 1; 20 if not given.
    weights
        See the table.
    kernel_width
        t of the Gaussian kernel, squared radians, positive. If not given: on samplings spread
        evenly, the value tuned for equivariance (`tuned_kernel_width`); on others, and on
        neighborhoods other than "knn", the one at which the mean distance has weight one half
        (`mean_distance_kernel_width`).
    neighborhood
        "knn", "grid" (latitude-longitude), "pixel" (HEALPix) or "delaunay".
    laplacian
        "combinatorial" D - W, "normalized" I - D^(-1/2) W D^(-1/2) or "random_walk" I - D⁻¹ W.
    mass
        For "cotangent" weights with the combinatorial Laplacian, L = M⁻¹ (D - W): "unit" gives
        every vertex the area 4π / n (L is symmetric), "voronoi" the area of its Voronoi cell (L is
        self-adjoint for these areas only). If not given: "unit" where all areas are equal.
    disconnected
        "raise" rejects a graph of several components, "allow" accepts it.

    Returns
    -------
    SphereGraph
        With ``adjacency`` and ``laplacian`` as float64 CSR matrices (vertices, vertices).

    Raises
    ------
    TypeError
        If `sampling` is not a sampling.
    ValueError
        If an option is unknown, does not go with another or with the sampling, if there are too few
        vertices for num_neighbors, or if the graph is disconnected.

    Examples
    --------
    >>> from deepsphere.sampling import Healpix
    >>> graph = build_graph(Healpix(nside=4), num_neighbors=20)
    >>> graph.laplacian.shape, graph.symmetric
    ((192, 192), True)

    References
    ----------
    Defferrard et al., 2020, DeepSphere: a graph-based spherical CNN ("gaussian").
    Khasanova and Frossard, 2017, Graph-based classification of omnidirectional images
    ("inverse_distance").
    Perraudin et al., 2019, DeepSphere: efficient spherical convolutional neural network with
    HEALPix sampling for cosmological applications ("perraudin").
    Pinkall and Polthier, 1993, Computing discrete minimal surfaces ("cotangent").
    """
    if not isinstance(sampling, Sampling):
        received = "the class" if isinstance(sampling, type) else "a value of"
        name = sampling.__name__ if isinstance(sampling, type) else type(sampling).__name__
        raise TypeError(
            f"sampling must be a sampling such as Healpix(nside=32), got {received} {name}; "
            "make one of points with Scattered(lon_deg, lat_deg), of a text with sampling_from_spec"
        )
    options = resolve_options(
        sampling, num_neighbors, weights, kernel_width, neighborhood, laplacian, mass, disconnected
    )
    adjacency, width = _weighted_edges(sampling, options)
    if disconnected == "raise":
        _check_connected(sampling, adjacency, options)
    matrix, vertex_mass, symmetric = _laplacian(sampling, adjacency, options)
    return SphereGraph(sampling, adjacency, matrix, options, width, vertex_mass, symmetric)


def graph_from_spec(spec: Mapping[str, Any]) -> SphereGraph:
    """The graph described by plain values, as given by `SphereGraph.spec`.

    Parameters
    ----------
    spec
        "sampling" (a sampling spec) and any keyword of `build_graph`.

    Returns
    -------
    SphereGraph
        Equal to the graph that gave the spec.

    Raises
    ------
    ValueError
        If "sampling" is missing, a key is unknown, or an option is invalid.

    Examples
    --------
    >>> graph_from_spec({"sampling": "healpix:nside=2", "num_neighbors": 8}).num_vertices
    48
    """
    known = ["sampling", *(option.name for option in fields(GraphOptions))]
    for key in spec:
        if key not in known:
            nearest = get_close_matches(str(key), known, n=1, cutoff=0.0)[0]
            raise ValueError(
                f"graph spec keys must be among {', '.join(known)}, got {key!r}; "
                f"did you mean {nearest!r}?"
            )
    if "sampling" not in spec:
        raise ValueError(
            f"graph spec must have the key 'sampling', got only {sorted(spec)}; "
            "add for example sampling='healpix:nside=32'"
        )
    options = {key: value for key, value in spec.items() if key != "sampling"}
    check_choices(options)
    return build_graph(sampling_from_spec(spec["sampling"]), **options)


def _weighted_edges(sampling: Sampling, options: GraphOptions) -> tuple[csr_matrix, float | None]:
    """Adjacency of a graph, and the width of its Gaussian kernel if it has one."""
    root, kept = root_and_indices(sampling)
    if options.weights == "cotangent":
        adjacency = cotangent_weights(root.points, spherical_delaunay(root.points))
        return (adjacency if kept is None else csr_matrix(adjacency[kept][:, kept])), None
    choice = {
        "neighborhood": options.neighborhood,
        "num_neighbors": options.num_neighbors or DEFAULT_NUM_NEIGHBORS,
    }
    distances = neighbor_distances(sampling, **choice)
    if options.weights == "inverse_distance":
        return inverse_distance_weights(distances), None
    if options.weights == "perraudin_unweighted":
        return unit_weights(distances), None
    if options.kernel_width is not None:
        width = options.kernel_width
    elif options.weights == "perraudin":
        assert isinstance(root, Healpix)  # neighbor_distances refuses others
        width = mean_squared_pixel_distance(root.nside) / 2.0
    elif options.neighborhood == "knn" and root.quasi_uniform:
        width = tuned_kernel_width(root, choice["num_neighbors"])
    else:
        whole = distances if kept is None else neighbor_distances(root, **choice)
        width = mean_distance_kernel_width(whole)
    return gaussian_weights(distances, width), width


def _check_connected(sampling: Sampling, adjacency: csr_matrix, options: GraphOptions) -> None:
    """Refuse a graph in several pieces."""
    num_components, labels = connected_components(adjacency, directed=False)
    if num_components <= 1:
        return
    sizes = np.sort(np.bincount(labels))
    listed = ", ".join(str(size) for size in sizes[:5])
    more = ", ..." if num_components > 5 else ""
    remedies = []
    if options.neighborhood == "knn":
        remedies.append("more neighbors")
        if not isinstance(sampling, Subset):  # a triangulation of the sphere is connected
            remedies.append("neighborhood='delaunay'")
    if options.kernel_width is not None:
        remedies.append("a larger kernel_width")
    remedies.append("disconnected='allow'")
    raise ValueError(
        f"the graph must be connected, got {num_components} components (sizes, smallest first: "
        f"{listed}{more}); use {', or '.join(remedies)}"
    )


def _laplacian(
    sampling: Sampling, adjacency: csr_matrix, options: GraphOptions
) -> tuple[csr_matrix, Float[np.ndarray, "vertices"], bool]:
    """Laplacian, the masses for which it is self-adjoint, and whether it is symmetric."""
    ones = np.ones(sampling.num_vertices)
    if options.laplacian == "normalized":
        return normalized_laplacian(adjacency), ones, True
    if options.laplacian == "random_walk":
        degree = degrees(adjacency)
        mass = np.where(degree > 0, degree, 1.0)
        return random_walk_laplacian(adjacency), mass, False
    if options.mass is None:
        return combinatorial_laplacian(adjacency), ones, True
    root, kept = root_and_indices(sampling)
    if options.mass == "unit":
        area = np.full(len(ones), 4.0 * np.pi / root.num_vertices)
        return combinatorial_laplacian(adjacency, mass=area), ones, True
    area = voronoi_areas(root.points)
    area = area if kept is None else area[kept]
    return combinatorial_laplacian(adjacency, mass=area), area, False
