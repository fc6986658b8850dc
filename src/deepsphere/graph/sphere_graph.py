"""The graph of a sampling: what a graph convolution needs to know of the sphere."""

from collections.abc import Mapping
from copy import copy
from dataclasses import asdict, dataclass, field, fields, replace
from difflib import get_close_matches
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import connected_components

from deepsphere.geometry import voronoi_areas
from deepsphere.graph.edge_weights import relative_areas, weighted_edges
from deepsphere.graph.laplacian import (
    combinatorial_laplacian,
    degrees,
    normalized_laplacian,
    random_walk_laplacian,
    rescaled,
)
from deepsphere.graph.neighbors import Neighborhood, root_and_indices
from deepsphere.graph.options import (
    Disconnected,
    Emphasis,
    GraphOptions,
    LaplacianKind,
    Mass,
    Weights,
    check_choices,
    has_equal_areas,
    resolve_options,
)
from deepsphere.graph.spectrum import largest_eigenvalue, largest_real_part
from deepsphere.sampling import Sampling, Subset, sampling_from_spec

if TYPE_CHECKING:
    from deepsphere.graph.coarsening import Pyramid

# Beyond, a graph is gigabytes and keeps its Laplacian only: the edges are built again on demand.
MAX_STORED_VERTICES = 2**21


@dataclass(frozen=True, eq=False, repr=False)
class SphereGraph:
    """A weighted graph on the vertices of a sampling, with its Laplacian.

    Built by `build_graph`; never changed after.

    Attributes
    ----------
    sampling
        The vertices.
    adjacency
        Weights (vertices, vertices), float64 CSR, nothing on the diagonal: row i holds those of the
        vertices that i looks at. Symmetric, but for the weights "optimal_rows". On more than
        2,097,152 vertices, where they take gigabytes, they are not kept but built each time.
    laplacian
        L (vertices, vertices), float64 CSR, not rescaled. After `forget_laplacian` built each time.
    options
        The choices that made it.
    kernel_width
        The t of the Gaussian kernel in use; None for weights without one.
    vertex_mass
        Positive m for which L is self-adjoint: sum_i m_i f_i (L g)_i = sum_i m_i (L f)_i g_i. Ones
        if L is symmetric; None if it is self-adjoint for no masses ("optimal_rows").
    symmetric
        Whether L is a symmetric matrix.

    Examples
    --------
    >>> from deepsphere.sampling import Healpix
    >>> build_graph(Healpix(nside=8), num_neighbors=8, weights="gaussian")
    SphereGraph(Healpix(nside=8, ordering='nested'), vertices=768, edges=3140, weights='gaussian')
    """

    sampling: Sampling
    adjacency: csr_matrix
    laplacian: csr_matrix
    options: GraphOptions
    kernel_width: float | None
    vertex_mass: Float[np.ndarray, "vertices"] | None = field(repr=False)
    symmetric: bool

    @property
    def num_vertices(self) -> int:
        """Number of vertices."""
        return self.sampling.num_vertices

    def __getattr__(self, name: str) -> csr_matrix:
        """A matrix of a large graph, which is built anew since it is not kept."""
        if name == "adjacency":
            return weighted_edges(self.sampling, self.options)[0]
        if name == "laplacian":
            return _laplacian(self.sampling, self.adjacency, self.options)[0]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def is_large(self) -> bool:
        """Whether the edges are too many to be kept."""
        return "adjacency" not in self.__dict__

    def forget_laplacian(self) -> None:
        """Free the Laplacian of a large graph; others keep it.

        Layers do this once they have it in their own type. It is built again when it is asked for.
        """
        if self.is_large:
            # what follows from it and is asked for later
            _ = self.num_edges, self.lambda_max
            self.__dict__.pop("laplacian", None)

    def with_lambda_max(self, lambda_max: float) -> "SphereGraph":
        """The same graph with another number for its largest eigenvalue.

        Parameters
        ----------
        lambda_max
            As in `build_graph`.

        Returns
        -------
        SphereGraph
            With the matrices of this one.
        """
        changed = copy(self)
        changed.__dict__.pop("lambda_max", None)  # what was computed
        changed.__dict__["options"] = replace(self.options, lambda_max=lambda_max)
        return changed

    @cached_property
    def num_edges(self) -> int:
        """Number of pairs of vertices that are joined, in one direction or in both."""
        if self.vertex_mass is not None:
            if self.is_large:  # all else in the Laplacian is its diagonal
                return int(self.laplacian.nnz - np.count_nonzero(self.laplacian.diagonal())) // 2
            return self.adjacency.nnz // 2
        return csr_matrix(self.adjacency.maximum(self.adjacency.T)).nnz // 2

    @cached_property
    def lambda_max(self) -> float:
        """The largest real part of an eigenvalue of L, or a bound just above it; computed once.

        The eigenvalues are real unless ``vertex_mass`` is None. If the options give a number, that
        one.
        """
        if self.options.lambda_max is not None:
            return self.options.lambda_max
        if self.vertex_mass is None:
            return largest_real_part(self.laplacian)
        mass = None if self.symmetric else self.vertex_mass
        return largest_eigenvalue(self.laplacian, mass=mass)

    def rescaled_laplacian(self, dtype: type[np.floating] = np.float64) -> csr_matrix:
        """2 L / lambda_max - I, whose eigenvalues lie in [-1, 1], where Chebyshev polynomials live.

        Where the eigenvalues are complex, their real parts do.

        Parameters
        ----------
        dtype
            Of the result, rounded once from float64.

        Returns
        -------
        csr_matrix
            (vertices, vertices). -I for a graph without edges.
        """
        scale = 2.0 / self.lambda_max if self.lambda_max > 0 else 0.0
        return rescaled(self.laplacian, scale, dtype=dtype)

    @property
    def spec(self) -> dict[str, Any]:
        """Plain values from which `graph_from_spec` rebuilds the graph.

        Examples
        --------
        >>> from deepsphere.sampling import Healpix
        >>> build_graph(Healpix(nside=2), num_neighbors=8, weights="gaussian").spec["weights"]
        'gaussian'
        """
        options = asdict(self.options)
        if self.options.lambda_max is None:  # as almost everywhere
            del options["lambda_max"]
        return {"sampling": self.sampling.spec, **options}

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
    weights: Weights = "optimal",
    emphasis: Emphasis | None = None,
    kernel_width: float | None = None,
    neighborhood: Neighborhood | None = None,
    laplacian: LaplacianKind = "combinatorial",
    mass: Mass | None = None,
    disconnected: Disconnected = "raise",
    lambda_max: float | None = None,
) -> SphereGraph:
    """The graph of a sampling.

    | weights | w of an edge of chord length d | neighborhood if not given |
    |---|---|---|
    | "optimal" | the one of the next two that suits the sampling | its own |
    | "optimal_symmetric" | the w_ij = w_ji >= 0 of least equivariance error | k nearest neighbors |
    | "optimal_rows" | for each vertex the w_ij >= 0 of least error | chosen among candidates |
    | "gaussian" | exp(-d² / 4t) | k nearest neighbors |
    | "inverse_distance" | 1 / d | 4 neighbors of a grid, else k nearest |
    | "perraudin" | exp(-d² / 2 mean(d²)) | 8 neighbors of a HEALPix pixel |
    | "perraudin_unweighted" | 1 | 8 neighbors of a HEALPix pixel |
    | "cotangent" | (cot α + cot β) / 2 | spherical Delaunay triangulation |

    "optimal" is the symmetric program on samplings spread evenly and on neighborhoods other than
    "knn"; on scattered points and on grids whose vertices crowd at the poles it is the rows.

    - "optimal_symmetric" minimises the mean squared rotation error of L over all edges at once.
      L = M⁻¹ (D - W), where m_i is the area of a cell over the mean area (ones, and L symmetric,
      where all areas are equal): self-adjoint, with real eigenvalues.
    - "optimal_rows" minimises each row of L = D - W alone. W is not symmetric and L is self-adjoint
      for no masses; a filter's backward pass uses its transpose. It is the more accurate where
      points are irregular.

    In both no weight is negative, rows of L sum to zero, the eigenvalues of L have no negative real
    part, and I - L / max_i L_ii is a stochastic matrix.

    The graph of a `Subset` is the graph of its base restricted to the kept vertices: same weights,
    and no edge across a hole. On more than 2,000 vertices optimal weights are kept on disk, see
    `cache_info`.

    Parameters
    ----------
    sampling
        The vertices.
    num_neighbors
        k of the nearest neighbors, 1 to vertices - 1; 20 if not given. With "optimal_rows" the
        number of candidates, which fit the sampling if it is not given. On the neighborhood "grid"
        4, or 8 for the diagonals too.
    weights
        See the table.
    emphasis
        Degrees that "optimal_symmetric" favors on samplings that are spread evenly: "low",
        "balanced" (if not given) or "no_worse", nowhere above the error of Gaussian weights on the
        same edges if these allow it.
    kernel_width
        t of the Gaussian kernel, squared radians, positive. If not given: on samplings spread
        evenly, the value tuned for equivariance (`tuned_kernel_width`); on others, and on
        neighborhoods other than "knn", the one at which the mean distance has weight one half
        (`mean_distance_kernel_width`).
    neighborhood
        "knn", "grid" (latitude-longitude), "pixel" (HEALPix) or "delaunay".
    laplacian
        "combinatorial" D - W, "normalized" I - D^(-1/2) W D^(-1/2) or "random_walk" I - D⁻¹ W;
        optimal weights are for the first.
    mass
        For "cotangent" weights with the combinatorial Laplacian, L = M⁻¹ (D - W): "unit" gives
        every vertex the area 4π / n (L is symmetric), "voronoi" the area of its Voronoi cell (L is
        self-adjoint for these areas only). If not given: "unit" where all areas are equal.
    disconnected
        "raise" rejects a graph of several components (whose edges may have one direction), "allow"
        accepts it: each is then filtered by itself, and a vertex without edges keeps its value up
        to a factor.
    lambda_max
        The number that stands for the largest eigenvalue of L where filters and low-passes rescale
        it, positive. If not given: that eigenvalue. Filters on two graphs are the same polynomial
        of L where both have the same, as those of a part of a sphere and of the whole should.

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

    Warns
    -----
    UserWarning
        If fewer than 12 nearest neighbors are asked for with symmetric optimal weights on a
        sampling of a thousand vertices or more, and no emphasis.

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
        sampling,
        num_neighbors=num_neighbors,
        weights=weights,
        emphasis=emphasis,
        kernel_width=kernel_width,
        neighborhood=neighborhood,
        laplacian=laplacian,
        mass=mass,
        disconnected=disconnected,
        lambda_max=lambda_max,
    )
    adjacency, width = weighted_edges(sampling, options)
    if disconnected == "raise":
        _check_connected(sampling, adjacency, options)
    matrix, vertex_mass, symmetric = _laplacian(sampling, adjacency, options)
    graph = SphereGraph(sampling, adjacency, matrix, options, width, vertex_mass, symmetric)
    if sampling.num_vertices > MAX_STORED_VERTICES:
        del graph.__dict__["adjacency"]
    return graph


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


def _check_connected(sampling: Sampling, adjacency: csr_matrix, options: GraphOptions) -> None:
    """Refuse a graph in several pieces."""
    # pieces of a symmetric graph are strongly connected, which is seen without its transpose
    strong = options.weights != "optimal_rows"
    num_components, labels = connected_components(
        adjacency, directed=strong, connection="strong" if strong else "weak"
    )
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
) -> tuple[csr_matrix, Float[np.ndarray, "vertices"] | None, bool]:
    """Laplacian, the masses for which it is self-adjoint, and whether it is symmetric."""
    ones = np.ones(sampling.num_vertices)
    if options.laplacian == "normalized":
        return normalized_laplacian(adjacency), ones, True
    if options.laplacian == "random_walk":
        degree = degrees(adjacency)
        mass = np.where(degree > 0, degree, 1.0)
        return random_walk_laplacian(adjacency), mass, False
    if options.weights == "optimal_rows":
        return combinatorial_laplacian(adjacency), None, False
    root, kept = root_and_indices(sampling)
    if options.weights == "optimal_symmetric" and not has_equal_areas(root):
        mass = relative_areas(sampling)
        return combinatorial_laplacian(adjacency, mass=mass), mass, False
    if options.mass is None:
        return combinatorial_laplacian(adjacency), ones, True
    if options.mass == "unit":
        area = np.full(len(ones), 4.0 * np.pi / root.num_vertices)
        return combinatorial_laplacian(adjacency, mass=area), ones, True
    area = voronoi_areas(root.points)
    area = area if kept is None else area[kept]
    return combinatorial_laplacian(adjacency, mass=area), area, False
