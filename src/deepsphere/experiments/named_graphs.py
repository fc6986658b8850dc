"""Graphs that a recipe names, built; and what experiments without training refuse."""

from pathlib import Path
from typing import Any

from deepsphere.experiments.config import NamedGraph
from deepsphere.experiments.options import RunOptions
from deepsphere.graph import SphereGraph, build_graph
from deepsphere.sampling import Sampling


def build_named_graph(
    choice: NamedGraph, sampling: Sampling, *, kernel_width: float | None = None
) -> SphereGraph:
    """The graph of a sampling that a recipe describes.

    Parameters
    ----------
    choice
        From the recipe.
    sampling
        The vertices.
    kernel_width
        t of Gaussian weights; the library's if not given.

    Returns
    -------
    SphereGraph

    Examples
    --------
    >>> from deepsphere.sampling import Healpix
    >>> choice = NamedGraph(name="k = 8", num_neighbors=8, weights="gaussian")
    >>> build_named_graph(choice, Healpix(nside=2)).options.num_neighbors
    8
    """
    given = {
        "num_neighbors": choice.num_neighbors,
        "emphasis": choice.emphasis,
        "kernel_width": kernel_width,
    }
    options: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return build_graph(sampling, weights=choice.weights, **options)


def check_nothing_is_trained(experiment: str, options: RunOptions, data: Path | None) -> None:
    """Raise if data or an accelerator are given to an experiment without training.

    Parameters
    ----------
    experiment
        Its name.
    options, data
        What a user asked for.

    Raises
    ------
    ValueError
        If they are.
    """
    if data is not None:
        raise ValueError(f"data must not be given for {experiment}, got {data}; leave it out")
    if options.accelerator not in ("auto", "cpu"):
        raise ValueError(
            f"accelerator must be auto or cpu for {experiment}, which trains nothing, got "
            f"{options.accelerator!r}; leave it out"
        )
