"""Options that several commands share, described once, and how they speak to the user."""

import shlex
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from deepsphere.experiments.reading import parse_value, recipe_names

Output = Annotated[
    Path,
    typer.Option(
        "--output", "-o", metavar="DIR", help="Folder for the results. New, empty, or to continue."
    ),
]
Data = Annotated[
    Path | None,
    typer.Option(
        metavar="PATH",
        help="Of digits: the folder with the four MNIST files (IDX, also gzipped); without it, "
        "recipes use the 1,797 digits that come with scikit-learn. Of shapes: a folder or zip with "
        "a sub-folder of meshes for each class, ModelNet, SHREC'17, or an .npz of meshes; without "
        "it, procedural shapes. Of weather: a netCDF file or a Zarr store; without it, simulated "
        "weather.",
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="Replace what an earlier call wrote there.")
]
Quick = Annotated[
    bool,
    typer.Option(
        "--quick", help="The short form of the recipe: shows that everything runs, claims little."
    ),
]
Changes = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change one value of the recipe, e.g. [b]--set model.kernel_size=5[/b]. Repeatable.",
    ),
]
Accelerator = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="Where to train: auto, cpu, gpu, mps, or another one of Lightning."
    ),
]
Devices = Annotated[
    str,
    typer.Option(help="How many of them (2), which (0,3), or auto.", metavar="NUMBER"),
]
BatchSize = Annotated[
    int,
    typer.Option(min=1, metavar="NUMBER", help="Signals in memory at a time; of no other effect."),
]


Checkpoint = Annotated[
    Path,
    typer.Argument(
        metavar="CHECKPOINT", help="A model written by [b]train[/b].", show_default=False
    ),
]


class Precision(str, Enum):
    """The arithmetic of a training."""

    single = "32-true"
    half_mixed = "16-mixed"
    bfloat_mixed = "bf16-mixed"
    double = "64-true"


class PerturbationName(str, Enum):
    """How shapes are moved."""

    none = "none"
    translation = "translation"
    z = "z"
    so3 = "so3"


class Projection(str, Enum):
    """How the sphere is laid on the page."""

    mollweide = "mollweide"
    equirectangular = "equirectangular"
    orthographic = "orthographic"


class WeightsChoice(str, Enum):
    """Names of edge weights."""

    optimal = "optimal"
    optimal_symmetric = "optimal_symmetric"
    optimal_rows = "optimal_rows"
    gaussian = "gaussian"
    inverse_distance = "inverse_distance"
    perraudin = "perraudin"
    perraudin_unweighted = "perraudin_unweighted"
    cotangent = "cotangent"


class Emphasis(str, Enum):
    """Degrees that optimal weights favor."""

    low = "low"
    balanced = "balanced"
    no_worse = "no_worse"


class Ordering(str, Enum):
    """The two orders in which HEALPix maps are stored."""

    ring = "ring"
    nested = "nested"


def complete_recipe(incomplete: str) -> list[str]:
    """The recipes whose names begin like this, for the completion of the shell.

    Parameters
    ----------
    incomplete
        What was typed so far.

    Returns
    -------
    list of str

    Examples
    --------
    >>> "digits" in complete_recipe("dig")
    True
    """
    return [name for name in recipe_names() if name.startswith(incomplete)]


def parse_changes(changes: list[str] | None) -> dict[str, Any]:
    """Changes of a recipe, by dotted key, from words like ``training.epochs=5``.

    Parameters
    ----------
    changes
        ``KEY=VALUE``, with the value as in TOML; a text may do without its quotes.

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        If one has no ``=`` or no key.

    Examples
    --------
    >>> parse_changes(["training.epochs=5", "model.pooling=mean", "model.channels=[8, 16]"])
    {'training.epochs': 5, 'model.pooling': 'mean', 'model.channels': [8, 16]}
    """
    parsed: dict[str, Any] = {}
    for change in changes or []:
        key, equals, value = change.partition("=")
        if not equals or not key.strip():
            raise ValueError(
                f"--set must be KEY=VALUE, got {change!r}; e.g. --set training.epochs=5"
            )
        parsed[key.strip()] = parse_value(value.strip())
    return parsed


def command_line(*words: object, **options: object) -> str:
    """What has to be typed to do it again; what is None, false or empty is left out.

    Parameters
    ----------
    words
        After ``deepsphere``.
    options
        By name; those that can be repeated as lists.

    Returns
    -------
    str

    Examples
    --------
    >>> command_line("train", "digits", data=None, quick=True, set=["a=1", "b=2"])
    'deepsphere train digits --quick --set a=1 --set b=2'
    """
    for name, value in options.items():
        for one in value if isinstance(value, list) else [value]:
            if one not in (None, False):
                words += (f"--{name}",) if one is True else (f"--{name}", one)
    return shlex.join(["deepsphere", *map(str, words)])


def say(text: str) -> None:
    """Write lines that can be copied: no wrapping, no colours.

    Parameters
    ----------
    text
        One line or several.
    """
    Console().print(text, markup=False, highlight=False, soft_wrap=True)
