"""Commands that take files of fields with coordinates: `regrid`."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deepsphere.cli.options import Overwrite, command_line


class RegridMethod(str, Enum):
    """Ways to carry a field to another sampling."""

    conservative = "conservative"
    barycentric = "barycentric"
    nearest = "nearest"


def regrid(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="INPUT",
            help="Fields: .nc, .zarr, HEALPix .fits, .npz, .npy or .csv.",
            show_default=False,
        ),
    ],
    target: Annotated[
        Path,
        typer.Argument(
            metavar="OUTPUT", help="Where: .nc, .zarr, .fits, .npz or .npy.", show_default=False
        ),
    ],
    to: Annotated[
        str,
        typer.Option(
            metavar="SPEC",
            help="The sampling wanted, e.g. healpix:64, equiangular:90x180, icosahedral:32; or a "
            ".nc or .zarr whose grid is wanted.",
            show_default=False,
        ),
    ],
    method: Annotated[
        RegridMethod,
        typer.Option(
            help="Conservative keeps integrals, barycentric interpolates linearly, nearest copies."
        ),
    ] = RegridMethod.conservative,
    variables: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES", help="Which variables, between commas. Without it, all on the grid."
        ),
    ] = None,
    sampling: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="SPEC",
            help="Where INPUT lies, for files without coordinates. Without it, what INPUT says.",
        ),
    ] = None,
    min_valid: Annotated[
        float,
        typer.Option(
            min=0,
            max=1,
            metavar="NUMBER",
            help="The least part of a target cell that must be covered by values for it to have "
            "one; 1 leaves every cell missing that anything missing touches.",
        ),
    ] = 0.5,
    overwrite: Overwrite = False,
) -> None:
    """Carry fields to another sampling, with their names, attributes and times.

    Example:  [b]deepsphere regrid sst.nc sst_healpix.nc --to healpix:64[/b]
    """
    from deepsphere.experiments.regrid_files import regrid_file

    names = None if variables is None else [name.strip() for name in variables.split(",")]
    options = {"to": to, "method": method.value, "variables": variables, "from": sampling}
    summary = regrid_file(
        source,
        target,
        to=to,
        sampling=sampling,
        method=method.value,
        variables=names,
        min_valid=min_valid,
        overwrite=overwrite,
        command=command_line("regrid", source, target, **options, **{"min-valid": min_valid}),
    )
    Console().print(
        f"{', '.join(summary.names)}: {summary.source!r} -> {summary.target!r}, {method.value}, "
        f"written to {summary.path}",
        markup=False,
        soft_wrap=True,
    )
