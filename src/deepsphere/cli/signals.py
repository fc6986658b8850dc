"""Commands that take a file of signals: `predict` and `plot`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deepsphere.cli.options import BatchSize, Checkpoint, Ordering, Overwrite, Projection

_FORMATS = ".npy, .npz, .csv or .fits; an array (signals, vertices, channels)"


def predict(
    checkpoint: Checkpoint,
    source: Annotated[
        Path, typer.Argument(metavar="INPUT", help=f"Signals: {_FORMATS}.", show_default=False)
    ],
    target: Annotated[
        Path,
        typer.Argument(
            metavar="OUTPUT", help="Predictions: .npz, .npy or .csv.", show_default=False
        ),
    ],
    ordering: Annotated[
        Ordering | None,
        typer.Option(
            help="Order of the HEALPix pixels in INPUT. They are converted to that of the model. "
            "Without it, the file's own word counts, or else they are taken to be in order."
        ),
    ] = None,
    reorder: Annotated[
        bool,
        typer.Option(
            "--reorder",
            help="Convert signals whose file says that they are in another "
            "order than the model's, instead of refusing them.",
        ),
    ] = False,
    batch_size: BatchSize = 64,
    overwrite: Overwrite = False,
) -> None:
    """Map a file of signals to a file of predictions.

    Example:  [b]deepsphere predict output/train/model.ckpt maps.npy predictions.csv[/b]
    """
    from deepsphere.experiments.signal_files import predict_file

    summary = predict_file(
        checkpoint,
        source,
        target,
        ordering=ordering.value if ordering else None,
        reorder=reorder,
        batch_size=batch_size,
        overwrite=overwrite,
        progress=True,
    )
    Console().print(
        f"{summary.num_signals:,} predictions for signals of {summary.num_vertices:,} vertices "
        f"and {summary.num_channels} channels written to {summary.path}",
        markup=False,
        soft_wrap=True,
    )


def plot(
    source: Annotated[
        Path, typer.Argument(metavar="INPUT", help=f"Signals: {_FORMATS}.", show_default=False)
    ],
    target: Annotated[
        Path,
        typer.Argument(
            metavar="OUTPUT",
            help="A map as .png, .svg or .pdf, or a globe that can be turned as .html.",
            show_default=False,
        ),
    ],
    sampling: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            help="Where the vertices lie, e.g. healpix:32. Needed unless INPUT says it.",
        ),
    ] = None,
    index: Annotated[int, typer.Option(min=0, metavar="NUMBER", help="Which of the signals.")] = 0,
    channel: Annotated[
        int, typer.Option(min=0, metavar="NUMBER", help="Which of its channels.")
    ] = 0,
    projection: Annotated[Projection, typer.Option(help="Of a map.")] = Projection.mollweide,
    ordering: Annotated[
        Ordering | None, typer.Option(help="Order of the HEALPix pixels in INPUT.")
    ] = None,
    title: Annotated[str, typer.Option(metavar="TEXT", help="Above the picture.")] = "",
    overwrite: Overwrite = False,
) -> None:
    """Draw a signal on any sampling as a map or as an interactive globe.

    Example:  [b]deepsphere plot maps.npy map.png --sampling healpix:32[/b]
    """
    from deepsphere.experiments.signal_files import plot_file

    plot_file(
        source,
        target,
        sampling=sampling,
        index=index,
        channel=channel,
        projection=projection.value,
        ordering=ordering.value if ordering else None,
        title=title,
        overwrite=overwrite,
    )
    Console().print(f"written to {target}", markup=False, soft_wrap=True)
