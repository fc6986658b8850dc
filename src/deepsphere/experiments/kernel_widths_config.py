"""The recipe of the kernel widths: which graphs are tuned, and for which objectives."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from deepsphere.experiments.config import KnownSamplings, Recipe, Widths, tuple_of_list

ObjectiveName = Literal["log", "red", "white"]


class KernelWidthsRecipe(Recipe):
    """Everything that the search for kernel widths needs to know.

    Parameters
    ----------
    experiment, title, claims
        As in every recipe.
    samplings
        Where the widths are tuned, coarse to fine.
    num_neighbors
        Numbers of nearest neighbors, ascending.
    objectives
        What is minimized, as in `deepsphere.tune_kernel_width`.

    Examples
    --------
    >>> KernelWidthsRecipe(experiment="kernel-widths", title="a trial").objectives
    ('log', 'red', 'white')
    """

    experiment: Literal["kernel-widths"]
    samplings: KnownSamplings = ("healpix:8", "healpix:16", "healpix:32", "healpix:64")
    num_neighbors: Widths = (8, 12, 16, 20, 30, 40, 60)
    objectives: Annotated[
        tuple[ObjectiveName, ...], BeforeValidator(tuple_of_list), Field(min_length=1)
    ] = ("log", "red", "white")
