"""The recipe of the spectrum: which graphs, on which sampling, up to which degree."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from deepsphere.experiments.config import (
    Count,
    KnownSampling,
    NamedGraph,
    Recipe,
    Widths,
    check_names_differ,
    tuple_of_list,
)


class SpectrumRecipe(Recipe):
    """Everything that the comparison with spherical harmonics needs to know.

    Parameters
    ----------
    experiment, title, claims
        As in every recipe.
    sampling
        Where the graphs are built, at most 5,000 vertices.
    max_degree
        Largest degree that is compared.
    degrees
        Those of the tables.
    graphs
        The graphs.

    Examples
    --------
    >>> graph = {"name": "k = 8", "num_neighbors": 8}
    >>> SpectrumRecipe(experiment="spectrum", title="a trial", graphs=[graph]).sampling
    'healpix:16'
    """

    experiment: Literal["spectrum"]
    sampling: KnownSampling = "healpix:16"
    max_degree: Count = 32
    degrees: Widths = (1, 2, 4, 8, 12, 16, 20, 24, 28, 32)
    graphs: Annotated[tuple[NamedGraph, ...], BeforeValidator(tuple_of_list), Field(min_length=1)]

    @model_validator(mode="after")
    def _name_graphs_once(self) -> "SpectrumRecipe":
        check_names_differ("graphs", (graph.name for graph in self.graphs))
        return self
