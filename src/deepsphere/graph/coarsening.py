"""Pyramids: graphs on ever coarser samplings of one region, and who belongs to whom."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from scipy.sparse import csr_matrix

from deepsphere.graph.neighbors import root_and_indices
from deepsphere.graph.sphere_graph import GraphOptions, SphereGraph, build_graph, graph_from_spec
from deepsphere.sampling import Sampling


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
    if options.neighborhood == "knn" and options.num_neighbors is not None:
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
