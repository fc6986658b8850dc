"""Commands that train and measure: `train`, `evaluate`, `demo`, `reproduce`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from deepsphere.cli.options import (
    Accelerator,
    Changes,
    Checkpoint,
    Data,
    Devices,
    Output,
    Overwrite,
    PerturbationName,
    Precision,
    Quick,
    command_line,
    complete_recipe,
    parse_changes,
    say,
)

if TYPE_CHECKING:
    from deepsphere.experiments.config import Recipe
    from deepsphere.experiments.options import RunOptions


def train(
    experiment: Annotated[
        str,
        typer.Argument(
            metavar="EXPERIMENT",
            help="What to learn: digits, shapes, cosmology, climate, weather or stations.",
            show_default=False,
        ),
    ],
    recipe: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A recipe or a TOML file. By default digits, or mnist with [b]--data[/b]; "
            "of shapes, shrec17; of stations, ghcn; of cosmology, climate and weather, those of "
            "that name.",
            autocompletion=complete_recipe,
        ),
    ] = None,
    network: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Of digits: deepsphere or cnn2d. Of others: one of the recipe; a wrong name lists "
            "them. By default the first on a graph.",
        ),
    ] = None,
    rotate: Annotated[
        bool | None,
        typer.Option(
            "--rotate/--no-rotate",
            help="Whether every image gets a new random rotation in every epoch (R), or none (NR); "
            "of shapes, short for --perturbation so3 or translation. By default they rotate.",
        ),
    ] = None,
    perturbation: Annotated[
        PerturbationName | None,
        typer.Option(
            help="How shapes are moved: not at all, shifted, or shifted and turned about the z "
            "axis or in all ways."
        ),
    ] = None,
    sampling: Annotated[
        str | None,
        typer.Option(metavar="SPEC", help="Instead of the recipe's, e.g. icosahedral:8."),
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What stations are asked: next-day, day-of-year, imputation, … By default the "
            "first one of the recipe.",
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, metavar="NUMBER", help="Instead of the recipe's.")
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, metavar="NUMBER", help="Of weights, order and rotations.")
    ] = 0,
    quick: Quick = False,
    changes: Changes = None,
    data: Data = None,
    output: Output = Path("output/train"),
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the interrupted training in the folder.")
    ] = False,
    accelerator: Accelerator = "auto",
    devices: Devices = "auto",
    precision: Annotated[Precision, typer.Option(help="Arithmetic.")] = Precision.single,
    overwrite: Overwrite = False,
) -> None:
    """Train one network; writes model.ckpt for evaluate, predict and retrieve, and logs.

    Example:  [b]deepsphere train digits --no-rotate --epochs 10[/b]
    """
    from deepsphere.experiments.options import RunOptions
    from deepsphere.experiments.trainable import trainable
    from deepsphere.experiments.training_request import TrainingRequest

    chosen = trainable(experiment)
    request = TrainingRequest(
        recipe=recipe,
        quick=quick,
        overrides=parse_changes(changes),
        network=network,
        rotate=rotate,
        perturbation=None if perturbation is None else perturbation.value,
        sampling=sampling,
        objective=objective,
        epochs=epochs,
        seed=seed,
        data=data,
    )
    options = RunOptions(accelerator, devices, precision.value, progress=True)
    summary = chosen.train(request, output, resume=resume, overwrite=overwrite, options=options)
    for note in summary.notes:
        say(note)
    say(
        f"{summary.num_parameters:,} parameters trained for {summary.num_epochs} epochs in "
        f"{summary.seconds:.0f} s, loss {summary.loss:.3g}\n"
        f"model: {summary.checkpoint}\n"
        f"next:  {command_line(chosen.next_command, summary.checkpoint, data=data)}"
    )


def evaluate(
    checkpoint: Checkpoint,
    data: Data = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Folder for results.json and confusion matrices."
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Score a network: of digits as they are (NR) and rotated (R), of others as in training.

    Example:  [b]deepsphere evaluate output/train/model.ckpt[/b]
    """
    from deepsphere.experiments.results import print_results
    from deepsphere.experiments.trainable import trainable_of

    results = trainable_of(checkpoint).evaluate(
        checkpoint,
        command=command_line("evaluate", checkpoint, data=data, output=output),
        data=data,
        output=output,
        overwrite=overwrite,
        progress=True,
    )
    print_results(results, Console())
    if output is not None:
        say(f"results: {output / 'results.json'}")


def demo(
    output: Output = Path("output/demo"),
    quick: Quick = False,
    data: Data = None,
    overwrite: Overwrite = False,
) -> None:
    """Train DeepSphere beside a 2D CNN on spherical digits and write a report (4 minutes).

    Both networks are trained without (NR) and with (R) random rotations and scored under the
    protocols NR/NR, R/R and NR/R (train/test), from one seed. The table on the terminal and
    report.html in the folder say the same.
    """
    from deepsphere.experiments.options import RunOptions
    from deepsphere.experiments.reading import read_recipe

    name = "digits" if data is None else "mnist"
    recipe = read_recipe(name, quick=quick, overrides={"seeds": [0]})
    _reproduce(
        recipe,
        output,
        command=command_line("demo", output=output, quick=quick, data=data),
        data=data,
        overwrite=overwrite,
        options=RunOptions(progress=True),
    )


def reproduce(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A recipe; [b]deepsphere list[/b] shows them. Or a TOML file of yours.",
            autocompletion=complete_recipe,
            show_default=False,
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Folder for the results. New, empty, or to continue. By default output/NAME.",
        ),
    ] = None,
    quick: Quick = False,
    changes: Changes = None,
    data: Data = None,
    accelerator: Accelerator = "auto",
    devices: Devices = "auto",
    precision: Annotated[Precision, typer.Option(help="Arithmetic.")] = Precision.single,
    overwrite: Overwrite = False,
) -> None:
    """Run a recipe over all its seeds and compare the results with what is claimed.

    An interrupted call goes on where it was when it is typed again: finished trainings are kept
    as long as recipe and data are the same.

    Example:  [b]deepsphere reproduce digits[/b]
    """
    from deepsphere.experiments.options import RunOptions
    from deepsphere.experiments.reading import read_recipe

    recipe = read_recipe(name, quick=quick, overrides=parse_changes(changes))
    folder = output or Path("output") / (Path(name).stem + ("-quick" if quick else ""))
    options = RunOptions(accelerator, devices, precision.value, progress=True)
    command = command_line("reproduce", name, output=folder, quick=quick, set=changes, data=data)
    _reproduce(recipe, folder, command=command, data=data, overwrite=overwrite, options=options)


def _reproduce(
    recipe: "Recipe",
    output: Path,
    *,
    command: str,
    data: Path | None,
    overwrite: bool,
    options: "RunOptions",
) -> None:
    """Run it, and end with the table and where the report is."""
    from deepsphere.experiments.results import print_results, summarize_claims
    from deepsphere.experiments.run import reproduce as run_recipe

    outcome = run_recipe(
        recipe, output, command=command, data=data, overwrite=overwrite, options=options
    )
    print_results(outcome.results, Console())
    say(
        f"{summarize_claims(outcome.results.rows)}\n"
        f"report:  {outcome.report_path}\nresults: {outcome.results_path}"
    )
