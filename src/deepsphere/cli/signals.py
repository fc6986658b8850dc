"""Commands that take a file of signals: `predict` and `plot`."""

from collections.abc import Mapping
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


_FORMATS = (
    ".npy, .npz, .csv or .fits, an array (signals, vertices, channels); .nc or .zarr, fields with "
    "coordinates"
)


def predict(
    checkpoint: Checkpoint,
    source: Annotated[
        Path, typer.Argument(metavar="INPUT", help=f"Signals: {_FORMATS}.", show_default=False)
    ],
    target: Annotated[
        Path,
        typer.Argument(
            metavar="OUTPUT",
            help="Predictions: .npz, .npy or .csv; .nc or .zarr of an INPUT that is one, with its "
            "coordinates.",
            show_default=False,
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

    [b]deepsphere predict model.ckpt era5.nc out.nc[/b]
    """
    from deepsphere.experiments.field_files import predict_fields_file
    from deepsphere.experiments.signal_files import predict_file
    from deepsphere.fields import is_dataset_path

    if is_dataset_path(target):
        _refuse(
            {
                "--ordering": ordering,
                "--reorder": reorder,
                "--mask": mask,
                "--sampling": sampling,
                "--patches": patches,
            }
        )
        fields = predict_fields_file(
            checkpoint,
            source,
            target,
            variables=channels,
            adapt=adapt,
            batch_size=batch_size,
            overwrite=overwrite,
        )
        sizes = ", ".join(f"{dim} {size}" for dim, size in fields.shape.items())
        Console().print(
            f"{', '.join(fields.names)} predicted for {sizes}, on {fields.sampling}, written to "
            f"{fields.path}",
            markup=False,
            soft_wrap=True,
        )
        return

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
    index: Annotated[
        int,
        typer.Option(min=0, metavar="NUMBER", help="Which of the signals, or of the times."),
    ] = 0,
    channel: Annotated[
        str, typer.Option(metavar="NAME", help="Which of its channels, by name or number.")
    ] = "0",
    projection: Annotated[Projection, typer.Option(help="Of a map.")] = Projection.mollweide,
    ordering: Annotated[
        Ordering | None, typer.Option(help="Order of the HEALPix pixels in INPUT.")
    ] = None,
    title: Annotated[str, typer.Option(metavar="TEXT", help="Above the picture.")] = "",
    overwrite: Overwrite = False,
) -> None:
    """Draw a signal on any sampling as a map or as an interactive globe.

    Examples:  [b]deepsphere plot maps.npy map.png --sampling healpix:32[/b]

    [b]deepsphere plot sst.nc map.png --channel sst --index 3[/b]
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


def _refuse(options: Mapping[str, object]) -> None:
    """Refuse options of signals without coordinates for fields that have them."""
    given = [name for name, value in options.items() if value]
    if given:
        raise ValueError(
            f"{given[0]} must not be given with an OUTPUT that keeps coordinates, which say where "
            "the fields are; leave it out, or write .npz"
        )
