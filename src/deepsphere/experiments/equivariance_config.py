"""The recipe of the equivariance figure: which graphs on which samplings, and their colours."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from deepsphere.experiments.config import (
    Count,
    KnownSamplings,
    NamedGraph,
    Positive,
    Recipe,
    Section,
    Seed,
    Widths,
    check_names_differ,
    tuple_of_list,
)

PublishedName = Literal["V1_Lf", "V2_k8_Lf", "V2_k20_Lf", "V2_k40_Lf", "khasanova_frossard"]
"""The published curves: four graphs on HEALPix by nside, one on equiangular grids by bandwidth."""


class CurveSection(NamedGraph):
    """A graph on several samplings: one curve on each.

    Parameters
    ----------
    name, num_neighbors, weights, emphasis, color
        The graph.
    samplings
        Where it is built, coarse to fine, e.g. ``"healpix:32"``.
    kernel_scales
        Widths s of the weights exp(−ln 2 d² / s²), one for each sampling, instead of the library's.
    published
        The published curve beside it, by the name of its numbers.
    """

    samplings: KnownSamplings
    kernel_scales: (
        Annotated[tuple[Positive, ...], BeforeValidator(tuple_of_list), Field(min_length=1)] | None
    ) = None
    published: PublishedName | None = None

    @model_validator(mode="after")
    def _give_every_sampling_a_width(self) -> "CurveSection":
        if self.kernel_scales is not None and len(self.kernel_scales) != len(self.samplings):
            raise ValueError(
                f"kernel_scales must hold one number for each of the {len(self.samplings)} "
                f"samplings of {self.name!r}, got {len(self.kernel_scales)}"
            )
        return self


class SampledSection(Section):
    """How errors are sampled in the published convention (needs the extra ``cosmology``).

    Parameters
    ----------
    num_functions, num_rotations
        Random functions of each degree, and random rotations of each.
    seed
        Of functions and rotations; 1994 draws the published ones.
    largest_nside
        Finer graphs are measured exactly only.
    smallest_degree
        Where the comparison with the published curves begins.
    """

    num_functions: Count = 5
    num_rotations: Count = 5
    seed: Seed = 1994
    largest_nside: Count = 128
    smallest_degree: Count = 30


class EquivarianceRecipe(Recipe):
    """Everything that the figure needs to know.

    Parameters
    ----------
    experiment, title, claims
        As in every recipe.
    curves
        The graphs.
    degrees
        Those of the tables; larger ones than a sampling holds are left out there.
    sampled
        The published convention.

    Examples
    --------
    >>> curve = {"name": "k = 8", "samplings": ["healpix:4"], "num_neighbors": 8}
    >>> recipe = EquivarianceRecipe(experiment="equivariance", title="a trial", curves=[curve])
    >>> recipe.sampled.num_rotations
    5
    """

    experiment: Literal["equivariance"]
    curves: Annotated[tuple[CurveSection, ...], BeforeValidator(tuple_of_list), Field(min_length=1)]
    degrees: Widths = (1, 5, 10, 20, 40, 80, 120, 160, 191)
    sampled: SampledSection = SampledSection()

    @model_validator(mode="after")
    def _name_curves_once(self) -> "EquivarianceRecipe":
        check_names_differ("curves", (curve.name for curve in self.curves))
        return self
