"""The recipe of the spectra of maps: which maps, and over which degrees they are averaged."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from deepsphere.experiments.config import Count, NotNegative, Recipe, Section
from deepsphere.experiments.cosmology_config import SimulationSection

SMALLEST_NSIDE = 16


class BinsSection(Section):
    """The bins of degrees that spectra are averaged over, up to degree 2 nside.

    Parameters
    ----------
    lowest
        The first degree of the first bin; below, one sky tells little of a mean.
    width
        Degrees in a bin, at least.
    relative_width
        Degrees in a bin, at least, as a part of its first degree.
    """

    lowest: Count = 20
    width: Count = 10
    relative_width: NotNegative = 0.05


class MapSpectraRecipe(Recipe):
    """Everything that the comparison of maps with theory, and of their classes, needs to know.

    Parameters
    ----------
    experiment, title, claims
        As in every recipe.
    simulation
        The maps, where none are named by ``--data``; as of the cosmology experiment.
    physical
        A second simulation, without a zoom, which is measured likewise; its rows end with
        "physical sky". None is measured where it is not given, or maps are named.
    bins
        Of the spectra.
    num_pixel_bins
        Of the histograms of pixels.

    Examples
    --------
    >>> recipe = MapSpectraRecipe(experiment="map-spectra", title="a trial")
    >>> recipe.bins.lowest
    20
    """

    experiment: Literal["map-spectra"]
    simulation: SimulationSection = SimulationSection()
    physical: SimulationSection | None = None
    bins: BinsSection = BinsSection()
    num_pixel_bins: Annotated[int, Field(ge=10)] = 120

    @model_validator(mode="after")
    def _keep_the_sky_physical(self) -> "MapSpectraRecipe":
        if self.physical is not None and self.physical.scale != "physical":
            raise ValueError(
                f"physical.scale must be 'physical', got {self.physical.scale!r}; describe zoomed "
                "maps in simulation"
            )
        return self
