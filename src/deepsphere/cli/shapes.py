"""Commands for 3D shapes: `project`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deepsphere.cli.options import Overwrite


def project(
    meshes: Annotated[
        list[Path],
        typer.Argument(
            metavar="MESH...", help="Files: .obj, .off, .ply, .stl.", show_default=False
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Signals: .npz or .npy.", show_default=False
        ),
    ],
    sampling: Annotated[
        str, typer.Option(metavar="SPEC", help="Where the rays begin, e.g. equiangular:64x128.")
    ] = "healpix:32",
    rotate: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="SEED",
            help="Turn each mesh at random, uniformly; the same seed turns it the same way.",
        ),
    ] = None,
    views: Annotated[
        int,
        typer.Option(min=1, metavar="NUMBER", help="Signals of each mesh, each turned otherwise."),
    ] = 1,
    picture: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The first mesh beside its signals: .png, .svg or .pdf."),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Cast rays at meshes from a sphere around them: six channels for any sampling.

    Distance, cosine and sine of the angle of the surface, and the same of the convex hull. Meshes
    are cleaned, centred and scaled first.

    Example:  [b]deepsphere project chair.off --output chair.npz --picture chair.png[/b]
    """
    from deepsphere.experiments.mesh_files import project_files
    from deepsphere.sampling import sampling_from_spec

    report = project_files(
        meshes,
        output,
        sampling_from_spec(sampling),
        rotate=rotate,
        views=views,
        picture=picture,
        overwrite=overwrite,
        progress=True,
    )
    errors = Console(stderr=True)
    for reason in report.reasons:
        errors.print(f"skipped: {reason}", markup=False, soft_wrap=True, highlight=False)
    written = f"{output} and {picture}" if picture else f"{output}"
    Console().print(
        f"{report.summary()}\nwritten to {written}", markup=False, soft_wrap=True, highlight=False
    )
