"""The command that forecasts: `forecast`."""

from pathlib import Path
from typing import Annotated

import typer

from deepsphere.cli.options import Checkpoint, Overwrite, say


def forecast(
    checkpoint: Checkpoint,
    source: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT",
            help="Fields until the start: netCDF or Zarr, as those of the training.",
            show_default=False,
        ),
    ],
    target: Annotated[
        Path,
        typer.Argument(
            metavar="OUTPUT",
            help="The forecast: a Zarr store (.zarr) with the coordinates of INPUT.",
            show_default=False,
        ),
    ],
    steps: Annotated[
        int, typer.Option(min=1, metavar="NUMBER", help="How many steps.", show_default=False)
    ],
    start: Annotated[
        str | None,
        typer.Option(
            metavar="DATE",
            help="The last time that the forecast knows, e.g. 2020-01 or 2018-01-01T06. By "
            "default the last one of INPUT.",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="There must be an interrupted forecast in OUTPUT. The same command goes on with "
            "one in any case.",
        ),
    ] = False,
    overwrite: Overwrite = False,
) -> None:
    """Forecast fields step by step; what was made is kept when the command is interrupted.

    The same command continues what was interrupted, and leaves the same bytes as one that was not.

    Example:  [b]deepsphere forecast output/train/model.ckpt sst.nc forecast.zarr --start 2020-01
    --steps 12[/b]
    """
    from deepsphere.experiments.forecast_files import forecast_file

    summary = forecast_file(
        checkpoint,
        source,
        target,
        start=start,
        num_steps=steps,
        resume=resume,
        overwrite=overwrite,
        progress=True,
    )
    for note in summary.notes:
        say(note)
    before = f", {summary.num_before} of them made before" if summary.num_before else ""
    say(
        f"{', '.join(summary.channels)} forecast from {summary.start}: {summary.num_steps} steps "
        f"of {summary.step}{before}\nwritten to {summary.path}"
    )
