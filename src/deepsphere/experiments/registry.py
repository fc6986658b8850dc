"""The experiments by name: the type of recipe that each reads, and the functions that run it.

Recipes are read without torch, hence an experiment itself is imported only when it is run.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from deepsphere.experiments.blocks_config import BlocksRecipe
from deepsphere.experiments.climate_config import ClimateRecipe
from deepsphere.experiments.config import Recipe
from deepsphere.experiments.cosmology_config import CosmologyRecipe
from deepsphere.experiments.digits_config import DigitsRecipe
from deepsphere.experiments.equivariance_config import EquivarianceRecipe
from deepsphere.experiments.kernel_widths_config import KernelWidthsRecipe
from deepsphere.experiments.map_spectra_config import MapSpectraRecipe
from deepsphere.experiments.shapes_config import ShapesRecipe
from deepsphere.experiments.spectrum_config import SpectrumRecipe
from deepsphere.experiments.stations_config import StationsRecipe
from deepsphere.experiments.weather_config import WeatherRecipe

if TYPE_CHECKING:
    from deepsphere.experiments.options import RunOptions
    from deepsphere.experiments.results import ResultRow, Results


@runtime_checkable
class _Measure(Protocol):
    """Runs what is not yet finished in the folder, and returns all that was measured."""

    def __call__(
        self,
        recipe: Any,
        output: Path,
        /,
        *,
        fingerprint: str,
        data: Path | None,
        options: "RunOptions",
    ) -> Any: ...


@runtime_checkable
class _WriteReport(Protocol):
    """Writes the report and its figures, and whatever else is worth a file of its own."""

    def __call__(
        self,
        output: Path,
        recipe: Any,
        measured: Any,
        results: "Results",
        /,
        *,
        data: Path | None,
        progress: bool,
    ) -> Path: ...


def _no_notes(recipe: Any, measured: Any) -> list[str]:
    """The rows say it all."""
    return []


@dataclass(frozen=True)
class Experiment:
    """What `reproduce` asks of an experiment; it knows nothing else of it.

    Parameters
    ----------
    check
        Raises ``ValueError`` before anything is written where recipe, options and data do not go
        together, or a claim is about no row of the results.
    fingerprint
        What has to be equal for a finished run to be kept: recipe, data, version.
    measure
        Runs it in a prepared folder. What is finished there under the same fingerprint is read,
        not run again; each part is written aside and moved into place.
    rows
        The rows of the results, from the recipe and what ``measure`` returned.
    write_report
        Writes ``report.html`` and the figures, and returns the path of the report.
    notes
        What a reader of the rows has to know, from the recipe and what ``measure`` returned.
    """

    check: Callable[[Any, "RunOptions", Path | None], None]
    fingerprint: Callable[[Any, Path | None], str]
    measure: _Measure
    rows: Callable[[Any, Any], "list[ResultRow]"]
    write_report: _WriteReport
    notes: Callable[[Any, Any], list[str]] = _no_notes


@dataclass(frozen=True)
class _Place:
    """Where the functions of an experiment are, as "module.function" within this package."""

    check: str
    fingerprint: str
    measure: str
    rows: str
    write_report: str
    notes: str | None = None

    def load(self) -> Experiment:
        """The functions, their modules imported now."""
        given = {name: place for name, place in asdict(self).items() if place is not None}
        return Experiment(**{name: _function(place) for name, place in given.items()})


def _function(place: str) -> Callable[..., Any]:
    module, _, name = place.partition(".")
    return getattr(import_module(f"deepsphere.experiments.{module}"), name)


RECIPE_TYPES: dict[str, type[Recipe]] = {
    "digits": DigitsRecipe,
    "cosmology": CosmologyRecipe,
    "blocks": BlocksRecipe,
    "climate": ClimateRecipe,
    "equivariance": EquivarianceRecipe,
    "kernel-widths": KernelWidthsRecipe,
    "map-spectra": MapSpectraRecipe,
    "shapes": ShapesRecipe,
    "spectrum": SpectrumRecipe,
    "stations": StationsRecipe,
    "weather": WeatherRecipe,
}
"""The type of recipe of each experiment."""

_EXPERIMENTS: dict[str, _Place] = {
    "digits": _Place(
        check="digits.check_run",
        fingerprint="digits.experiment_fingerprint",
        measure="digits.run_digits",
        rows="digits.result_rows",
        write_report="digits_report.write_report",
    ),
    "cosmology": _Place(
        check="cosmology.check_run",
        fingerprint="cosmology.experiment_fingerprint",
        measure="cosmology.measure_cosmology",
        rows="cosmology_rows.result_rows",
        write_report="cosmology_report.write_report",
        notes="cosmology_rows.result_notes",
    ),
    "blocks": _Place(
        check="blocks.check_run",
        fingerprint="blocks.experiment_fingerprint",
        measure="blocks.run_blocks",
        rows="blocks.result_rows",
        write_report="blocks_report.write_report",
    ),
    "climate": _Place(
        check="climate.check_run",
        fingerprint="climate.experiment_fingerprint",
        measure="climate.measure_climate",
        rows="climate_rows.result_rows",
        write_report="climate_report.write_report",
        notes="climate_rows.result_notes",
    ),
    "shapes": _Place(
        check="shapes.check_run",
        fingerprint="shapes.experiment_fingerprint",
        measure="shapes.measure_shapes",
        rows="shapes_rows.result_rows",
        write_report="shapes_report.write_report",
        notes="shapes_rows.result_notes",
    ),
    "equivariance": _Place(
        check="equivariance.check_run",
        fingerprint="curve_record.experiment_fingerprint",
        measure="equivariance.measure_curves",
        rows="equivariance.result_rows",
        write_report="equivariance_report.write_report",
        notes="equivariance.result_notes",
    ),
    "kernel-widths": _Place(
        check="kernel_widths.check_run",
        fingerprint="curve_record.experiment_fingerprint",
        measure="kernel_widths.tune_widths",
        rows="kernel_widths.result_rows",
        write_report="kernel_widths_report.write_report",
    ),
    "map-spectra": _Place(
        check="map_spectra.check_run",
        fingerprint="map_spectra.experiment_fingerprint",
        measure="map_spectra.measure_map_spectra",
        rows="map_spectra_rows.result_rows",
        write_report="map_spectra_report.write_report",
        notes="map_spectra_rows.result_notes",
    ),
    "spectrum": _Place(
        check="spectrum.check_run",
        fingerprint="curve_record.experiment_fingerprint",
        measure="spectrum.measure_spectra",
        rows="spectrum.result_rows",
        write_report="spectrum_report.write_report",
    ),
    "stations": _Place(
        check="stations.check_run",
        fingerprint="stations.experiment_fingerprint",
        measure="stations.measure_stations",
        rows="stations_rows.result_rows",
        write_report="stations_report.write_report",
        notes="stations_rows.result_notes",
    ),
    "weather": _Place(
        check="weather.check_run",
        fingerprint="weather.experiment_fingerprint",
        measure="weather.measure_weather",
        rows="weather_rows.result_rows",
        write_report="weather_report.write_report",
        notes="weather_rows.result_notes",
    ),
}


def experiment_of(recipe: Recipe) -> Experiment:
    """The experiment that a recipe describes.

    Parameters
    ----------
    recipe
        See `read_recipe`.

    Returns
    -------
    Experiment

    Examples
    --------
    >>> experiment_of(DigitsRecipe(experiment="digits", title="a trial")).rows.__name__
    'result_rows'
    """
    return _EXPERIMENTS[recipe.experiment].load()
