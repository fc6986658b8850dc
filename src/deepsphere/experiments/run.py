"""From a recipe to a folder with results, figures and a report."""

from dataclasses import dataclass
from pathlib import Path

from deepsphere.experiments.config import Recipe
from deepsphere.experiments.machine import describe_machine, describe_versions
from deepsphere.experiments.options import RunOptions
from deepsphere.experiments.output import REPORT_FILE, RESULTS_FILE, prepare_output
from deepsphere.experiments.registry import experiment_of
from deepsphere.experiments.results import Results, write_results


@dataclass(frozen=True)
class Outcome:
    """What came out of an experiment.

    Parameters
    ----------
    results
        As they are in the file.
    results_path, report_path
        The files.
    """

    results: Results
    results_path: Path
    report_path: Path


def reproduce(
    recipe: Recipe,
    output: Path,
    *,
    command: str,
    data: Path | None = None,
    overwrite: bool = False,
    options: RunOptions | None = None,
) -> Outcome:
    """Run a recipe and write ``results.json``, the figures and the report.

    When the same recipe was begun in the folder before, its finished runs are kept.

    Parameters
    ----------
    recipe
        See `read_recipe`.
    output
        The folder: new, empty, or to be continued.
    command
        What a reader has to type to do it again.
    data
        Folder of the data, where the recipe needs one.
    overwrite
        Whether what an experiment wrote into the folder before may be removed.
    options
        How this machine computes.

    Returns
    -------
    Outcome

    Raises
    ------
    FileExistsError
        If the folder holds something else, and may not be overwritten.
    FileNotFoundError
        If the data are not there.
    ValueError
        If the recipe asks for what does not go together, or claims what is not measured.
    """
    options = options or RunOptions()
    if data is None:
        about_all = tuple(claim for claim in recipe.claims if claim.about == "all")
        recipe = recipe.model_copy(update={"claims": about_all})
    experiment = experiment_of(recipe)
    experiment.check(recipe, options, data)
    fingerprint = experiment.fingerprint(recipe, data)
    plain_recipe = recipe.model_dump(mode="json")
    prepare_output(output, fingerprint=fingerprint, recipe=plain_recipe, overwrite=overwrite)
    measured = experiment.measure(
        recipe, output, fingerprint=fingerprint, data=data, options=options
    )
    results = Results(
        rows=experiment.rows(recipe, measured),
        recipe=plain_recipe,
        command=command,
        machine=describe_machine(),
        versions=describe_versions(),
        notes=experiment.notes(recipe, measured),
    )
    experiment.write_report(output, recipe, measured, results, data=data, progress=options.progress)
    # the last file of all: who sees it may trust that the rest is there
    write_results(output / RESULTS_FILE, results)
    return Outcome(results, output / RESULTS_FILE, output / REPORT_FILE)
