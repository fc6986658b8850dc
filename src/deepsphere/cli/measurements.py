"""Commands that measure a graph: `equivariance`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from deepsphere.cli.options import Emphasis, Overwrite, WeightsChoice


def equivariance(
    sampling: Annotated[
        str,
        typer.Argument(
            metavar="SAMPLING",
            help="A sampling in the short form (healpix:32, equiangular:64x128 …), or a file of "
            "points: .csv, .npz or .npy with longitudes and latitudes in degrees.",
            show_default=False,
        ),
    ],
    num_neighbors: Annotated[
        int | None,
        typer.Option(min=1, metavar="NUMBER", help="Nearest neighbors of a vertex."),
    ] = None,
    weights: Annotated[
        WeightsChoice, typer.Option(help="Edge weights of the graph.")
    ] = WeightsChoice.optimal,
    emphasis: Annotated[
        Emphasis | None, typer.Option(help="Degrees that optimal weights favor.")
    ] = None,
    degrees: Annotated[
        str | None, typer.Option(metavar="LIST", help="Degrees of the table, e.g. 1,10,40.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="DIR", help="Folder for the figure and a JSON."),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Measure how far a graph is from commuting with rotations, by harmonic degree.

    The errors are exact: an expectation over all rotations and all functions of a degree. Beside
    the graph stands one with Gaussian weights and as many neighbors.

    Example:  [b]deepsphere equivariance healpix:32 --num-neighbors 20[/b]
    """
    from deepsphere.data import require_writable
    from deepsphere.experiments.own_grid import (
        grid_facts,
        grid_files,
        grid_table,
        measure_grid,
        write_grid,
    )
    from deepsphere.experiments.point_files import read_sampling

    if output is not None:
        for path in grid_files(output):
            require_writable(path, overwrite=overwrite)
    with Console(stderr=True).status("measuring"):
        found = measure_grid(
            read_sampling(sampling),
            num_neighbors=num_neighbors,
            weights=weights.value,
            emphasis=None if emphasis is None else emphasis.value,
            degrees=None if degrees is None else _parse_degrees(degrees),
        )
    console = Console()
    facts = Table.grid(padding=(0, 2))
    for name, value in grid_facts(found):
        facts.add_row(f"[bold]{name}[/bold]", value)
    console.print(facts)
    headings, rows = grid_table(found)
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in headings:
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(*row)
    console.print(table)
    if output is not None:
        for path in write_grid(found, output, overwrite=overwrite):
            console.print(f"written to {path}", markup=False, soft_wrap=True)


def _parse_degrees(words: str) -> list[int]:
    """Whole numbers between commas."""
    try:
        return [int(word) for word in words.split(",")]
    except ValueError:
        raise ValueError(
            f"--degrees must be whole numbers between commas, got {words!r}; e.g. 1,10,40"
        ) from None
