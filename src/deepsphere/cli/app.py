"""The words of the command and what they call."""

from typing import Annotated

import typer

from deepsphere.cli import (
    benchmarks,
    cosmology,
    experiments,
    fields,
    information,
    measurements,
    shapes,
    signals,
    stations,
    weather,
)
from deepsphere.version import __version__

_HELP = """Deep learning on the sphere by graph convolution.

Begin with  [b]deepsphere demo[/b] : it trains a network on spherical digits and writes a report."""

app = typer.Typer(
    name="deepsphere",
    help=_HELP,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(is_asked: bool) -> bool:
    """Answer ``--version`` wherever it stands before the first word."""
    if is_asked:
        typer.echo(f"deepsphere {__version__}")
        raise typer.Exit
    return is_asked


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", is_eager=True, callback=_show_version
        ),
    ] = False,
) -> None:
    """Options before the first word."""


for _panel, _commands in {
    "Experiments": {
        "demo": experiments.demo,
        "reproduce": experiments.reproduce,
        "train": experiments.train,
        "evaluate": experiments.evaluate,
    },
    "Data": {
        "download": stations.download,
        "simulate": cosmology.simulate,
        "prepare": cosmology.prepare,
    },
    "Signals": {
        "project": shapes.project,
        "retrieve": shapes.retrieve,
        "predict": signals.predict,
        "plot": signals.plot,
        "regrid": fields.regrid,
        "forecast": weather.forecast,
    },
    "Graphs": {"equivariance": measurements.equivariance},
    "Speed": {"benchmark": benchmarks.benchmark},
    "Information": {
        "list": information.list_names,
        "info": information.info,
        "doctor": information.doctor,
    },
}.items():
    for _name, _function in _commands.items():
        app.command(_name, rich_help_panel=_panel)(_function)
