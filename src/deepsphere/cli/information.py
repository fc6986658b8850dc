"""Commands that look and tell: `list`, `info`, `doctor`."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table


def list_names() -> None:
    """List the samplings, recipes, presets and models by the names that other commands take."""
    from deepsphere.experiments.catalog import list_everything

    console = Console()
    for heading, entries in list_everything().items():
        console.print(f"[bold]{heading}[/bold]")
        table = Table.grid(padding=(0, 2))
        for name, description in entries:
            table.add_row("", f"[cyan]{name}[/cyan]", description)
        console.print(table)
        console.print()


def info(
    sampling: Annotated[
        str,
        typer.Argument(
            metavar="SAMPLING",
            help="A sampling in the short form: healpix:32, icosahedral:4, equiangular:16x32 …",
        ),
    ],
    num_neighbors: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="NUMBER", help="Nearest neighbors of a vertex; 20 if there are as many."
        ),
    ] = None,
) -> None:
    """Describe a sampling and its graph: vertices, spacing, areas, edges, largest eigenvalue.

    Example:  [b]deepsphere info healpix:32[/b]
    """
    from deepsphere.experiments.catalog import describe_sampling

    table = Table.grid(padding=(0, 2))
    for name, value in describe_sampling(sampling, num_neighbors=num_neighbors):
        table.add_row(f"[bold]{name}[/bold]", value)
    Console().print(table)


def doctor() -> None:
    """Show versions, devices, whether the kernels are compiled, and which parts are installed."""
    from deepsphere.experiments.machine import EXTRAS, describe_machine, describe_versions
    from deepsphere.native import describe_kernels

    console = Console()
    for heading, values in (
        ("versions", describe_versions()),
        ("machine", describe_machine()),
        ("compiled kernels", describe_kernels()),
    ):
        console.print(f"[bold]{heading}[/bold]")
        table = Table.grid(padding=(0, 2))
        for name, value in values.items():
            table.add_row("", name, _escape(str(value)))
        console.print(table)
        console.print()
    console.print("[bold]optional parts[/bold]")
    table = Table.grid(padding=(0, 2))
    for extra in EXTRAS:
        missing = extra.missing()
        state = (
            f"[yellow]missing {', '.join(missing)}[/yellow]: {_escape(extra.install_command)}"
            if missing
            else "[green]installed[/green]"
        )
        table.add_row("", extra.name, extra.purpose, state)
    console.print(table)


def _escape(text: str) -> str:
    """Text in which square brackets stay brackets."""
    from rich.markup import escape

    return escape(text)
