"""Commands that take a file of signals: `predict` and `plot`."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deepsphere.cli.options import BatchSize, Checkpoint, Ordering, Overwrite, Projection


class Patches(str, Enum):
    """What is written of the patches of a map."""

    each = "each"
    mean = "mean"


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
    channels: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Which columns of INPUT to take, by name or index, between commas: "
            "[b]--channels I_STOKES[/b]. Without it, all.",
        ),
    ] = None,
    mask: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A mask of the signals (1 kept, 0 left out), of the same nside and in either "
            "order. For a network that was not trained on what it keeps, with [b]--adapt[/b].",
        ),
    ] = None,
    mask_column: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Which column of the mask, by name or index; the first."),
    ] = None,
    mask_threshold: Annotated[
        float,
        typer.Option(min=0, max=1, metavar="NUMBER", help="Keep where the mask is larger."),
    ] = 0.5,
    adapt: Annotated[
        bool,
        typer.Option(
            "--adapt",
            help="Build the graphs of the network anew for the signals: another nside, the whole "
            "sphere for a network trained on patches, without what is masked, UNSEEN or NaN.",
        ),
    ] = False,
    patches: Annotated[
        Patches | None,
        typer.Option(
            help="Apply a network trained on a patch to each patch of whole maps: a row for each, "
            "or the mean of its outputs.",
        ),
    ] = None,
    sampling: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            help="Where the signals lie, e.g. healpix:32. Without it, what INPUT says, or else as "
            "the network's.",
        ),
    ] = None,
    batch_size: BatchSize = 64,
    overwrite: Overwrite = False,
) -> None:
    """Map a file of signals to a file of predictions.

    Examples:  [b]deepsphere predict output/train/model.ckpt maps.npy predictions.csv[/b]

    [b]deepsphere predict model.ckpt map.fits out.csv --channels 0 --mask mask.fits --adapt[/b]
    """
    from deepsphere.experiments.signal_files import predict_file

    summary = predict_file(
        checkpoint,
        source,
        target,
        ordering=ordering.value if ordering else None,
        reorder=reorder,
        sampling=sampling,
        channels=channels,
        mask=mask,
        mask_column=mask_column,
        mask_threshold=mask_threshold,
        adapt=adapt,
        patches=patches.value if patches else None,
        batch_size=batch_size,
        overwrite=overwrite,
        progress=True,
    )
    left_out = summary.num_vertices - summary.num_used
    without = f" ({left_out:,} of them masked or missing)" if left_out else ""
    Console().print(
        f"{summary.num_signals:,} predictions for signals of {summary.num_vertices:,} vertices"
        f"{without} and {summary.num_channels} channels written to {summary.path}",
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
