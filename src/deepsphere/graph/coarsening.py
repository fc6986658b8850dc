"""Pyramids of graphs, and the sparse matrices that move signals between two of their levels."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_matrix
from scipy.spatial import KDTree

from deepsphere.graph.neighbors import root_and_indices
from deepsphere.graph.sphere_graph import GraphOptions, SphereGraph, build_graph, graph_from_spec
from deepsphere.sampling import Sampling

# Points this close (chord of the unit sphere) are the same point computed twice.
_COINCIDENT = 1e-9


@dataclass(frozen=True, eq=False)
class Pyramid:
    """Graphs on ever coarser samplings of one region, and who belongs to whom between them.

    Level 0 is the finest. Built by :func:`build_pyramid`.

    Attributes
    ----------
    graphs : tuple of SphereGraph
        One per level.
    memberships : tuple of csr_matrix, shape (vertices of level + 1, vertices of level)
        Share of each vertex that belongs to each vertex of the next level; columns sum to one.
    steps : tuple of int
        How many times the sampling is coarsened between two levels.

    Examples
    --------
    >>> import deepsphere as ds
    >>> pyramid = build_pyramid(ds.Healpix(nside=4), num_levels=3)
    >>> [graph.num_vertices for graph in pyramid.graphs]
    [192, 48, 12]
    """

    graphs: tuple[SphereGraph, ...]
    memberships: tuple[csr_matrix, ...]
    steps: tuple[int, ...]

    def __deepcopy__(self, memo: dict[int, Any]) -> "Pyramid":
        """Itself: a value that never changes need not be copied with the models that hold it."""
        return self

    @property
    def num_levels(self) -> int:
        """Number of graphs."""
        return len(self.graphs)

    @property
    def samplings(self) -> tuple[Sampling, ...]:
        """The sampling of each level."""
        return tuple(graph.sampling for graph in self.graphs)

    @property
    def spec(self) -> dict[str, Any]:
        """Plain values from which :func:`pyramid_from_spec` rebuilds the pyramid."""
        return {"graph": self.graphs[0].spec, "steps": list(self.steps)}


def build_pyramid(
    graph_or_sampling: SphereGraph | Sampling,
    *,
    num_levels: int,
    steps: int | tuple[int, ...] = 1,
    **graph_options: Any,
) -> Pyramid:
    """The pyramid of a sampling: the same kind of graph on each of its coarser levels.

    All levels have the options of the finest one, except that num_neighbors is reduced where a
    level has too few vertices. A kernel width that was left to its tuned value is tuned for each
    level; one that was given grows as the vertices get fewer.

    Parameters
    ----------
    graph_or_sampling : SphereGraph or Sampling
        The finest level, as a graph, or as a sampling of which a graph is built.
    num_levels : int
        Number of graphs, at least 1.
    steps : int or tuple of int
        How many times the sampling is coarsened between two consecutive levels: one number for
        all, or one for each of the ``num_levels - 1`` transitions.
    **graph_options
        Keywords of :func:`build_graph`, if a sampling is given.

    Returns
    -------
    Pyramid

    Raises
    ------
    ValueError
        If the sampling cannot be coarsened so often, if an argument is out of range, or if graph
        options come with a graph.

    Examples
    --------
    >>> import deepsphere as ds
    >>> pyramid = build_pyramid(ds.Healpix(nside=8), num_levels=3, steps=(1, 2), num_neighbors=8)
    >>> [sampling.nside for sampling in pyramid.samplings]
    [8, 4, 1]
    >>> pyramid.memberships[1].shape
    (12, 192)
    """
    steps = _checked_steps(num_levels, steps)
    if isinstance(graph_or_sampling, SphereGraph):
        if graph_options:
            raise ValueError(
                "graph options must be given with a sampling only, got "
                f"{', '.join(sorted(graph_options))} with a graph, which has made its choices; "
                "pass graph.sampling to change them"
            )
        finest = graph_or_sampling
    else:
        finest = build_graph(graph_or_sampling, **graph_options)
    graphs, memberships, sampling = [finest], [], finest.sampling
    for level, num_steps in enumerate(steps, start=1):
        sampling, membership = _coarsened(sampling, num_steps, finest=finest, level=level)
        graphs.append(_level_graph(sampling, finest=finest, level=level))
        memberships.append(membership)
    return Pyramid(tuple(graphs), tuple(memberships), steps)


def pyramid_from_spec(spec: Mapping[str, Any]) -> Pyramid:
    """The pyramid described by plain values, as given by ``Pyramid.spec``.

    Parameters
    ----------
    spec : mapping
        ``"graph"``, the specification of the finest graph, and ``"steps"``, a list of how many
        coarsenings lie between two levels.

    Returns
    -------
    Pyramid
        With the same matrices as the pyramid that gave the specification.

    Raises
    ------
    ValueError
        If the keys are not these two, or if a value is invalid.

    Examples
    --------
    >>> import deepsphere as ds
    >>> pyramid = build_pyramid(ds.Healpix(nside=2), num_levels=2, num_neighbors=8)
    >>> pyramid_from_spec(pyramid.spec).samplings == pyramid.samplings
    True
    """
    if set(spec) != {"graph", "steps"}:
        raise ValueError(
            f"pyramid spec must have the keys 'graph' and 'steps', got {sorted(map(str, spec))}; "
            "take the spec of a Pyramid"
        )
    steps = tuple(spec["steps"])
    return build_pyramid(graph_from_spec(spec["graph"]), num_levels=len(steps) + 1, steps=steps)


def _checked_steps(num_levels: int, steps: int | tuple[int, ...]) -> tuple[int, ...]:
    """One number of coarsenings for each transition."""
    if num_levels < 1:
        raise ValueError(f"num_levels must be at least 1, got {num_levels}; 1 is a single graph")
    if isinstance(steps, int):
        steps = (steps,) * (num_levels - 1)
    if len(steps) != num_levels - 1 or any(num < 1 for num in steps):
        raise ValueError(
            f"steps must be a positive integer, or one for each of the {num_levels - 1} transitions"
            f" between {num_levels} levels, got {steps}; 1 coarsens once between two levels"
        )
    return tuple(steps)


def _coarsened(
    sampling: Sampling, num_steps: int, *, finest: SphereGraph, level: int
) -> tuple[Sampling, csr_matrix]:
    """The sampling after some coarsenings, and the membership across all of them."""
    membership = None
    for _ in range(num_steps):
        try:
            coarse, share = sampling.coarsen(), sampling.membership()
        except ValueError as error:
            raise ValueError(
                f"num_levels must be at most {level} above {finest.sampling!r} with these steps, "
                f"got more: {error}"
            ) from error
        membership = share if membership is None else csr_matrix(share @ membership)
        sampling = coarse
    assert membership is not None  # num_steps is at least 1
    return sampling, membership


def _level_graph(sampling: Sampling, *, finest: SphereGraph, level: int) -> SphereGraph:
    """The graph of a coarser level, with the options of the finest one."""
    options: GraphOptions = finest.options
    num_vertices = root_and_indices(sampling)[0].num_vertices
    if options.num_neighbors is not None:
        num_neighbors = min(options.num_neighbors, num_vertices - 1)
        options = replace(options, num_neighbors=num_neighbors)
    if options.kernel_width is not None:
        # squared distances between neighbors grow as the area of a cell
        growth = root_and_indices(finest.sampling)[0].num_vertices / num_vertices
        options = replace(options, kernel_width=options.kernel_width * growth)
    try:
        return build_graph(sampling, **asdict(options))
    except ValueError as error:
        raise ValueError(f"level {level} of the pyramid, {sampling!r}: {error}") from error


def mean_pooling_matrix(
    membership: csr_matrix, areas: Float[np.ndarray, " fine"] | None = None
) -> csr_matrix:
    r"""The average of a signal over the children of each coarse vertex.

    :math:`P_{cf} \propto M_{cf}`, or :math:`P_{cf} \propto M_{cf} a_f` with areas, which keeps
    the area-weighted mean of the signal where the fine cells fill the coarse ones. Rows sum to one,
    so constants are kept.

    Parameters
    ----------
    membership : csr_matrix, shape (coarse vertices, fine vertices)
    areas : array of shape (fine vertices,), optional
        Positive areas of the fine vertices, in any unit.

    Returns
    -------
    csr_matrix, shape (coarse vertices, fine vertices)

    Raises
    ------
    ValueError
        If a coarse vertex has no child, or if the number of areas is wrong.

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> membership = csr_matrix([[1, 1, 0.5], [0, 0, 0.5]])
    >>> mean_pooling_matrix(membership).toarray()
    array([[0.4, 0.4, 0.2],
           [0. , 0. , 1. ]])
    """
    shares = _shares(membership)
    if areas is not None:
        num_fine = matrix_size(shares)[1]
        if len(areas) != num_fine:
            raise ValueError(
                f"areas must hold one value for each of the {num_fine} fine vertices, got "
                f"{len(areas)}; pass the areas of the sampling that is pooled"
            )
        shares.data = shares.data * areas[shares.indices]
    totals = np.add.reduceat(shares.data, shares.indptr[:-1])
    shares.data = shares.data / np.repeat(totals, np.diff(shares.indptr))
    return shares


def unpooling_matrix(membership: csr_matrix) -> csr_matrix:
    r"""The copy of a coarse signal to the children of each vertex.

    :math:`U = M^T`: a fine vertex which is shared takes the mean of its coarse vertices, weighted
    by the shares. Rows sum to one, so constants are kept.

    Parameters
    ----------
    membership : csr_matrix, shape (coarse vertices, fine vertices)

    Returns
    -------
    csr_matrix, shape (fine vertices, coarse vertices)

    Raises
    ------
    ValueError
        If a coarse vertex has no child.

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> unpooling_matrix(csr_matrix([[1, 1, 0.5], [0, 0, 0.5]])).toarray()
    array([[1. , 0. ],
           [1. , 0. ],
           [0.5, 0.5]])
    """
    return csr_matrix(_shares(membership).T)


def area_unpooling_matrix(
    membership: csr_matrix,
    *,
    fine_areas: Float[np.ndarray, " fine"],
    coarse_areas: Float[np.ndarray, " coarse"],
) -> csr_matrix:
    r"""The spreading of a coarse signal over the children that keeps its area integral.

    .. math:: U = M^T \operatorname{diag}(A_c / \textstyle\sum_f M_{cf} a_f).

    It is the adjoint of area pooling P in the inner products weighted by the areas,
    :math:`\langle P x, y \rangle_A = \langle x, U y \rangle_a`; hence
    :math:`\sum_f a_f (U y)_f = \sum_c A_c y_c`. Where the children fill their coarse cells exactly
    it is the copy of :func:`unpooling_matrix`; elsewhere constants are kept on average only.

    Parameters
    ----------
    membership : csr_matrix, shape (coarse vertices, fine vertices)
    fine_areas, coarse_areas : arrays of shape (fine vertices,), (coarse vertices,)
        In one unit.

    Returns
    -------
    csr_matrix, shape (fine vertices, coarse vertices)

    Raises
    ------
    ValueError
        If a coarse vertex has no child.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_matrix
    >>> areas = {"fine_areas": np.array([1.0, 1.0]), "coarse_areas": np.array([3.0])}
    >>> area_unpooling_matrix(csr_matrix([[1, 1]]), **areas).toarray()
    array([[1.5],
           [1.5]])
    """
    copies = unpooling_matrix(membership)
    scale = coarse_areas / (membership @ fine_areas)
    copies.data = copies.data * scale[copies.indices]
    return copies


def subsampling_matrix(membership: csr_matrix, *, fine: Sampling, coarse: Sampling) -> csr_matrix:
    """The choice of one fine vertex for each coarse vertex.

    The fine vertex at the same place where there is one, else the first child: among those with
    the largest share, the one of lowest index. Its transpose puts values there and zeros elsewhere.

    Parameters
    ----------
    membership : csr_matrix, shape (coarse vertices, fine vertices)
    fine, coarse : Sampling
        Of the two levels.

    Returns
    -------
    csr_matrix, shape (coarse vertices, fine vertices)
        One entry, 1, in each row.

    Raises
    ------
    ValueError
        If a coarse vertex has no child.

    Examples
    --------
    >>> import deepsphere as ds
    >>> fine, coarse = ds.Healpix(nside=2), ds.Healpix(nside=1)
    >>> subsampling_matrix(fine.membership(), fine=fine, coarse=coarse).indices.tolist()
    [0, 4, 8, 12, 16, 20, 24, 28, 32, 36, 40, 44]
    """
    shares = _shares(membership)
    largest = np.maximum.reduceat(shares.data, shares.indptr[:-1])
    is_largest = shares.data >= np.repeat(largest, np.diff(shares.indptr)) * (1 - _COINCIDENT)
    candidates = np.where(is_largest, shares.indices, fine.num_vertices)
    children = np.minimum.reduceat(candidates, shares.indptr[:-1])
    distance, nearest = KDTree(fine.points).query(coarse.points)
    return _choice(np.where(distance < _COINCIDENT, nearest, children), fine.num_vertices)


def keep_first_matrix(*, fine: Sampling, coarse: Sampling) -> csr_matrix:
    """The choice of the first fine vertices, which are the coarse vertices.

    What the original DeepSphere calls pooling on the icosahedron.

    Parameters
    ----------
    fine, coarse : Sampling
        Of the two levels; the points of the coarse one are the first points of the fine one.

    Returns
    -------
    csr_matrix, shape (coarse vertices, fine vertices)
        One entry, 1, in each row, on the diagonal.

    Raises
    ------
    ValueError
        If the first points of the fine sampling are not those of the coarse one.

    Examples
    --------
    >>> import deepsphere as ds
    >>> fine, coarse = ds.Icosahedral(subdivisions=2), ds.Icosahedral(subdivisions=1)
    >>> keep_first_matrix(fine=fine, coarse=coarse).shape
    (12, 42)

    References
    ----------
    Defferrard, Milani, Gusset, Perraudin (2020), DeepSphere: a graph-based spherical CNN.
    """
    num_coarse = coarse.num_vertices
    first = fine.points[:num_coarse]
    if len(first) < num_coarse or np.abs(first - coarse.points).max() > _COINCIDENT:
        raise ValueError(
            "keep_first must be used where the coarse points are the first of the fine ones "
            f"(Icosahedral), got {fine.spec} above {coarse.spec}; use 'subsample'"
        )
    return _choice(np.arange(num_coarse), fine.num_vertices)


def contiguous_group_size(membership: csr_matrix) -> int | None:
    """How many consecutive fine vertices make each coarse vertex, where it is so simple.

    Parameters
    ----------
    membership : csr_matrix, shape (coarse vertices, fine vertices)

    Returns
    -------
    int or None
        The size g of the groups if coarse vertex c owns exactly the fine vertices gc .. gc + g - 1,
        as on nested HEALPix, so that pooling is a reshape; else None.

    Examples
    --------
    >>> import deepsphere as ds
    >>> contiguous_group_size(ds.Healpix(nside=2).membership())
    4
    """
    num_coarse, num_fine = matrix_size(membership)
    size, remainder = divmod(num_fine, num_coarse)
    shares = _shares(membership)
    if remainder or shares.nnz != num_fine or not np.all(np.diff(shares.indptr) == size):
        return None
    return size if np.array_equal(shares.indices, np.arange(num_fine)) else None


def matrix_size(matrix: csr_matrix) -> tuple[int, int]:
    """The numbers of rows and columns of a sparse matrix.

    Parameters
    ----------
    matrix : csr_matrix

    Returns
    -------
    tuple of int

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> matrix_size(csr_matrix([[1, 2, 3]]))
    (1, 3)
    """
    # what type checkers infer from SciPy's sources includes None
    return cast(tuple[int, int], matrix.shape)


def _shares(membership: csr_matrix) -> csr_matrix:
    """A canonical copy of a membership, none of whose rows is empty."""
    shares = csr_matrix(membership, dtype=np.float64, copy=True)
    shares.sum_duplicates()
    shares.eliminate_zeros()
    empty = np.flatnonzero(np.diff(shares.indptr) == 0)
    if len(empty):
        raise ValueError(
            f"membership must give every coarse vertex a child, got none for {len(empty)} of "
            f"{matrix_size(shares)[0]}, the first being {empty[0]}; drop those coarse vertices"
        )
    return shares


def _choice(indices: np.ndarray, num_columns: int) -> csr_matrix:
    """Rows with a single 1 each."""
    offsets = np.arange(len(indices) + 1)
    return csr_matrix((np.ones(len(indices)), indices, offsets), (len(indices), num_columns))
