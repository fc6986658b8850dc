"""Pyramids: graphs on ever coarser samplings of one region, and who belongs to whom."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_matrix

from deepsphere.graph.neighbors import root_and_indices
from deepsphere.graph.sphere_graph import GraphOptions, SphereGraph, build_graph, graph_from_spec
from deepsphere.sampling import Sampling, Subset


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
    low_pass_powers : tuple of int or None, optional
        The exponents of `low_pass_power` between two levels, None where they follow from the
        graph: those of the pyramid that `pyramid_on_sampling` made this one from.

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
    low_pass_powers: tuple[int | None, ...] | None = None

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
        spec: dict[str, Any] = {"graph": self.graphs[0].spec, "steps": list(self.steps)}
        if self.low_pass_powers is not None:
            spec["lambda_max"] = [graph.options.lambda_max for graph in self.graphs]
            spec["low_pass_powers"] = list(self.low_pass_powers)
        return spec

    def areas(self, level: int) -> Float[np.ndarray, "vertices"]:
        """The area that each vertex of a level stands for, in steradians.

        On a whole sphere those of the sampling. On a part of it the sum over the vertices of the
        finest level that belong to it: a coarse vertex at the border, or at a hole, counts as much
        as it has inside.

        Parameters
        ----------
        level : int

        Returns
        -------
        ndarray, shape (vertices,)

        Examples
        --------
        >>> import deepsphere as ds
        >>> pyramid = build_pyramid(ds.Healpix(nside=2).subset(np.arange(5)), num_levels=2)
        >>> (pyramid.areas(1) / pyramid.areas(0)[0]).round(12)
        array([4., 1.])
        """
        if not isinstance(self.samplings[0], Subset):
            return self.samplings[level].areas
        areas = self.samplings[0].areas
        for membership in self.memberships[:level]:
            areas = membership @ areas
        return areas


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
    return _built(finest, steps)


def _built(
    finest: SphereGraph,
    steps: tuple[int, ...],
    *,
    lambda_max: Sequence[float | None] | None = None,
    low_pass_powers: tuple[int | None, ...] | None = None,
) -> Pyramid:
    """The pyramid above a graph, with given numbers for the largest eigenvalues of its levels."""
    graphs, memberships, sampling = [finest], [], finest.sampling
    for level, num_steps in enumerate(steps, start=1):
        sampling, membership = _coarsened(sampling, num_steps, finest=finest, level=level)
        given = None if lambda_max is None else lambda_max[level]
        graphs.append(_level_graph(sampling, finest=finest, level=level, lambda_max=given))
        memberships.append(membership)
    return Pyramid(tuple(graphs), tuple(memberships), steps, low_pass_powers)


def pyramid_from_spec(spec: Mapping[str, Any]) -> Pyramid:
    """The pyramid described by plain values, as given by ``Pyramid.spec``.

    Parameters
    ----------
    spec : mapping
        ``"graph"``, the specification of the finest graph, and ``"steps"``, a list of how many
        coarsenings lie between two levels; of a pyramid that `pyramid_on_sampling` made also
        ``"lambda_max"``, one number for each level, and ``"low_pass_powers"``.

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
    carried = {"lambda_max", "low_pass_powers"}
    if set(spec) - carried != {"graph", "steps"} or len(carried & set(spec)) == 1:
        raise ValueError(
            f"pyramid spec must have the keys 'graph' and 'steps', got {sorted(map(str, spec))}; "
            "take the spec of a Pyramid"
        )
    steps = tuple(spec["steps"])
    steps = _checked_steps(len(steps) + 1, steps)
    if "lambda_max" not in spec:
        return _built(graph_from_spec(spec["graph"]), steps)
    lambda_max, powers = list(spec["lambda_max"]), tuple(spec["low_pass_powers"])
    if len(lambda_max) != len(steps) + 1 or len(powers) != len(steps):
        raise ValueError(
            f"pyramid spec must have {len(steps) + 1} lambda_max and {len(steps)} low_pass_powers "
            f"with these steps, got {len(lambda_max)} and {len(powers)}; take the spec of a Pyramid"
        )
    finest = graph_from_spec({**spec["graph"], "lambda_max": lambda_max[0]})
    return _built(finest, steps, lambda_max=lambda_max, low_pass_powers=powers)


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


def _level_graph(
    sampling: Sampling, *, finest: SphereGraph, level: int, lambda_max: float | None
) -> SphereGraph:
    """The graph of a coarser level, with the options of the finest one."""
    options: GraphOptions = replace(finest.options, lambda_max=lambda_max)
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
