"""What there is to choose from, and what a sampling looks like, in words for people."""

import inspect

import numpy as np
from scipy.spatial import KDTree

from deepsphere.experiments.reading import read_recipe, recipe_names
from deepsphere.geometry import angular_distance
from deepsphere.graph import SphereGraph, build_graph
from deepsphere.graph.options import DEFAULT_NUM_NEIGHBORS
from deepsphere.models import MODELS, PRESETS
from deepsphere.sampling import SAMPLINGS, Sampling, sampling_from_spec


def list_everything() -> dict[str, list[tuple[str, str]]]:
    """The samplings, models, presets and recipes by name, each with one line about it.

    Returns
    -------
    dict
        Heading to (name, description) pairs.

    Examples
    --------
    >>> list(list_everything())
    ['samplings', 'models', 'presets', 'recipes']
    """
    return {
        "samplings": [(name, _first_sentence(kind)) for name, kind in SAMPLINGS.items()],
        "models": [(name, _first_sentence(kind)) for name, kind in MODELS.items()],
        "presets": [(name, _first_sentence(preset)) for name, preset in PRESETS.items()],
        "recipes": [(name, read_recipe(name).title) for name in recipe_names()],
    }


def describe_sampling(spec: str, *, num_neighbors: int | None = None) -> list[tuple[str, str]]:
    """The numbers of a sampling and of its Gaussian graph, each with its name.

    Parameters
    ----------
    spec
        A sampling, e.g. ``"healpix:32"``.
    num_neighbors
        Of the graph; its default if not given, or one less than the vertices where they are fewer.

    Returns
    -------
    list of (str, str)
        Name and value, with unit.

    Raises
    ------
    ValueError
        If the specification is not one of a sampling, or has too few vertices.

    Examples
    --------
    >>> dict(describe_sampling("healpix:4"))["vertices"]
    '192'
    """
    sampling = sampling_from_spec(spec)
    num_vertices = sampling.num_vertices
    if num_neighbors is None and num_vertices <= DEFAULT_NUM_NEIGHBORS:
        num_neighbors = num_vertices - 1
    graph = build_graph(sampling, num_neighbors=num_neighbors)
    distances = np.degrees(_nearest_distances(sampling.points))
    areas = sampling.areas
    degrees = np.diff(graph.adjacency.indptr)
    return [
        ("sampling", sampling.spec),
        ("vertices", f"{num_vertices:,}"),
        (
            "mean spacing",
            f"{np.degrees(np.sqrt(areas.mean())):.3g}° (root of the mean area)",
        ),
        (
            "nearest vertex",
            f"{distances.min():.3g}° to {distances.max():.3g}°, mean {distances.mean():.3g}°",
        ),
        (
            "areas",
            f"{areas.min():.4g} to {areas.max():.4g} sr, sum {areas.sum() / np.pi:.6g} π",
        ),
        ("graph", _graph_in_words(graph)),
        (
            "edges",
            f"{graph.num_edges:,}; a vertex looks along {degrees.min()} to {degrees.max()}, "
            f"mean {degrees.mean():.1f}",
        ),
        ("largest eigenvalue", f"{graph.lambda_max:.6g}"),
        ("coarser level", _coarser(sampling)),
    ]


def _first_sentence(thing: object) -> str:
    """The first line of a docstring, without its full stop."""
    return (inspect.getdoc(thing) or "").split("\n")[0].rstrip(".")


def _nearest_distances(points: np.ndarray) -> np.ndarray:
    """Angle from each point to the nearest other one, in radians."""
    neighbors = np.asarray(KDTree(points).query(points, k=2)[1])[:, 1]
    return angular_distance(points, points[neighbors])


def _graph_in_words(graph: SphereGraph) -> str:
    """How the graph was built."""
    neighbors = graph.options.num_neighbors
    width = graph.kernel_width
    edges = "edges of their own" if neighbors is None else f"{neighbors} nearest neighbors"
    return f"{graph.options.weights} weights on {edges}" + (
        "" if width is None else f", kernel width {width:.4g}"
    )


def _coarser(sampling: Sampling) -> str:
    """The next level of a pyramid, or why there is none."""
    try:
        coarse = sampling.coarsen()
    except ValueError as error:
        return f"none: {error}"
    return f"{coarse.spec} ({coarse.num_vertices:,} vertices)"
