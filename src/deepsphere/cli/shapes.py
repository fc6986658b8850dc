"""Commands for 3D shapes: `project` and `retrieve`."""

from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deepsphere.cli.options import (
    Checkpoint,
    Overwrite,
    PerturbationName,
    command_line,
    say,
)


class SplitName(str, Enum):
    """Which of the shapes."""

    train = "train"
    validation = "validation"
    test = "test"
    all = "all"


class RankingName(str, Enum):
    """What lists are ordered by."""

    by_class = "class"
    by_descriptor = "descriptor"


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
    _complain(report.reasons)
    written = f"{output} and {picture}" if picture else f"{output}"
    Console().print(
        f"{report.summary()}\nwritten to {written}", markup=False, soft_wrap=True, highlight=False
    )


def retrieve(
    checkpoint: Checkpoint,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="A folder or zip with a sub-folder of meshes for each class, ModelNet, SHREC'17, "
            "an .npz of meshes, or a folder of meshes of unknown class. Without it, procedural "
            "shapes.",
        ),
    ] = None,
    split: Annotated[
        SplitName | None,
        typer.Option(
            help="Which of them, split as in training. By default test; all with [b]--query[/b]."
        ),
    ] = None,
    query: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="MESH",
            help="Search for the shapes that are nearest to this mesh (.obj, .off, .ply, .stl). "
            "Repeatable.",
        ),
    ] = None,
    top: Annotated[
        int, typer.Option(min=1, metavar="NUMBER", help="Shapes to show for each query.")
    ] = 5,
    by: Annotated[
        RankingName | None,
        typer.Option(
            help="Lists of the shapes of the predicted class, the surest first (the rule of the "
            "published scores), or of all shapes by distance of descriptors. By default class; "
            "descriptor with [b]--query[/b]."
        ),
    ] = None,
    perturbation: Annotated[
        PerturbationName | None,
        typer.Option(
            help="How shapes and queries are moved: not at all, shifted, or shifted and turned "
            "about the z axis or in all ways. By default as in training."
        ),
    ] = None,
    views: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="NUMBER",
            help="Of each shape, whose outputs are averaged. By default as in the recipe.",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="DIR",
            help="Folder for the ranked lists, one file per shape as SHREC'17's evaluator reads "
            "them, and results.json; with [b]--query[/b], for nearest.csv.",
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The queries beside what was found: .png, .svg or .pdf."),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Rank shapes with a trained network: lists and scores, or the nearest to a mesh of yours.

    Examples:  [b]deepsphere retrieve model.ckpt --data shapes[/b],
    [b]deepsphere retrieve model.ckpt --data shapes --query chair.off --picture chair.png[/b]
    """
    moved = None if perturbation is None else perturbation.value
    if query:
        from deepsphere.experiments.shape_retrieval import search_shapes

        search = search_shapes(
            checkpoint,
            query,
            data=data,
            split=(split or SplitName.all).value,
            perturbation=moved,
            num_views=views,
            by=(by or RankingName.by_descriptor).value,
            num_nearest=top,
            output=output,
            picture=picture,
            overwrite=overwrite,
            progress=True,
        )
        _complain([*search.query_report.reasons, *search.report.reasons])
        for note in search.notes:
            say(note)
        for answer in search.answers:
            say(f"\n{answer.query}: {answer.class_name} ({100 * answer.probability:.0f} %)")
            for rank, match in enumerate(answer.matches, start=1):
                word = "" if match.is_known else ", predicted"
                say(f"{rank:>4}  {match.distance:.4f}  {match.name} ({match.class_name}{word})")
        return
    if picture is not None:
        raise ValueError(
            f"picture must come with a mesh to search for, got {picture} alone; add --query MESH"
        )
    from deepsphere.experiments.results import print_results
    from deepsphere.experiments.shape_retrieval import retrieve_shapes

    chosen_split = None if split is None else split.value
    chosen_by = (by or RankingName.by_class).value
    retrieval = retrieve_shapes(
        checkpoint,
        command=command_line(
            "retrieve",
            checkpoint,
            data=data,
            split=chosen_split,
            by=chosen_by,
            perturbation=moved,
            views=views,
            output=output,
        ),
        data=data,
        split=chosen_split,
        perturbation=moved,
        num_views=views,
        by=chosen_by,
        output=output,
        overwrite=overwrite,
        progress=True,
    )
    _complain(retrieval.report.reasons)
    print_results(retrieval.results, Console())
    if output is not None:
        say(f"lists:   {retrieval.folder}\nresults: {output / 'results.json'}")


def _complain(reasons: Iterable[str]) -> None:
    """Say on the standard error what was left out."""
    errors = Console(stderr=True)
    for reason in reasons:
        errors.print(f"skipped: {reason}", markup=False, soft_wrap=True, highlight=False)
