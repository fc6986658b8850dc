"""Commands that take a file of signals: `predict` and `plot`."""

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from deepsphere.cli.options import BatchSize, Checkpoint, Ordering, Overwrite, Projection, say


class Patches(str, Enum):
    """What is written of the patches of a map."""

    each = "each"
    mean = "mean"


class PictureKind(str, Enum):
    """What is drawn of a field."""

    map = "map"
    hovmoller = "hovmoller"


_WHAT, _HOW = "What is drawn", "How it looks"
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

    [b]deepsphere predict stations.ckpt stations.csv tomorrow.csv[/b]
    """
    from deepsphere.experiments.field_files import predict_fields_file
    from deepsphere.experiments.signal_files import predict_file
    from deepsphere.experiments.station_files import is_station_checkpoint
    from deepsphere.fields import is_dataset_path

    if is_station_checkpoint(checkpoint):
        refused = {
            "--ordering": ordering,
            "--reorder": reorder,
            "--mask": mask,
            "--sampling": sampling,
            "--patches": patches,
            "--channels": channels,
        }
        _refuse(refused, what="a network that learned from stations, whose INPUT says it all")
        _predict_stations(checkpoint, source, target, batch_size=batch_size, overwrite=overwrite)
        return

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
            help="A map as .png, .svg or .pdf (up to 24 maps of several times); a film as .gif or "
            ".mp4; a globe that can be turned as .html, with a slider for several times.",
            show_default=False,
        ),
    ],
    channel: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Which variable or channel, by name or number.",
            rich_help_panel=_WHAT,
        ),
    ] = "0",
    times: Annotated[
        str | None,
        typer.Option(
            metavar="WHICH",
            help="Which times: a date (2020 is all of that year, 2020-01, 2018-01-01T06), FROM:TO "
            "with both ends, or all. Without it, the first; all of a film.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    index: Annotated[
        str | None,
        typer.Option(
            metavar="WHICH",
            help="The same by number: 0 is the first signal or time, 0:11 the first twelve, or "
            "all.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    at: Annotated[
        list[str] | None,
        typer.Option(
            metavar="DIM=VALUE",
            help="Where along other dimensions of INPUT: [b]--at level=500[/b]. Repeatable. "
            "Without it, the first place.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    sampling: Annotated[
        str | None,
        typer.Option(
            metavar="SPEC",
            help="Where the vertices lie, e.g. healpix:32. Needed unless INPUT says it.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    ordering: Annotated[
        Ordering | None,
        typer.Option(help="Order of the HEALPix pixels in INPUT.", rich_help_panel=_WHAT),
    ] = None,
    kind: Annotated[
        PictureKind,
        typer.Option(
            help="A map, or a Hovmöller diagram: the mean over a band of latitude, by longitude "
            "and time.",
            rich_help_panel=_HOW,
        ),
    ] = PictureKind.map,
    band: Annotated[
        str | None,
        typer.Option(
            metavar="SOUTH,NORTH",
            help="The band of a Hovmöller diagram, degrees. Without it, -5,5.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    edges: Annotated[
        int | None,
        typer.Option(
            metavar="NUMBER",
            help="Draw the edges between each station and so many of its nearest ones; a globe has "
            "a button for them.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    projection: Annotated[
        Projection | None,
        typer.Option(
            help="Of a map or a film. Without it, mollweide, whose areas are true; stations fill "
            "a map of their region.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    center: Annotated[
        str | None,
        typer.Option(
            metavar="LON,LAT",
            help="The middle of the map, or what a globe shows first, degrees: [b]--center "
            "-60,20[/b].",
            rich_help_panel=_HOW,
        ),
    ] = None,
    coastlines: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="A land mask, or any field that is missing over land, on any grid. Without it, "
            "outlines of where INPUT has no values; none: no lines.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    coastlines_variable: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Which variable of that file. Without it, the one called a mask, or the first.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    land: Annotated[
        str | None,
        typer.Option(
            metavar="RULE",
            help="What is land in that file: missing, above:0, below:0.5 or values:1,3. Without "
            "it, what is missing; of masks without missing values, what is above 0.5.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    cmap: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Colours, a name of matplotlib: RdBu_r for anomalies.",
            rich_help_panel=_HOW,
        ),
    ] = "viridis",
    vmin: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER",
            help="Lower end of the colours. Without it, the least value drawn.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    vmax: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER",
            help="Upper end. Without it, the largest value drawn.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    title: Annotated[
        str,
        typer.Option(
            metavar="TEXT",
            help="Above the picture. Without it, the name of the field, and its time.",
            rich_help_panel=_HOW,
        ),
    ] = "",
    frames_per_second: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER",
            help="Speed of a film (8), or of a globe that plays (4).",
            rich_help_panel=_HOW,
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Draw fields on any sampling as maps, as a film, or as an interactive globe.

    Names, units and times are those of INPUT. Missing values are gray.

    Examples:  [b]deepsphere plot maps.npy map.png --sampling healpix:32[/b]

    [b]deepsphere plot sst.nc map.png --times 2015-12 --center 180,0[/b]

    [b]deepsphere plot era5.nc film.mp4 --channel z --at level=500 --coastlines landsea.nc[/b]

    [b]deepsphere plot sst.nc globe.html --times 2015-01:2016-12[/b]

    [b]deepsphere plot stations.csv map.png --channel tmax --times 2014-01-01 --edges 20[/b]

    [b]deepsphere plot sst.nc waves.png --kind hovmoller --band -5,5[/b]
    """
    from deepsphere.experiments.picture_files import plot_file

    summary = plot_file(
        source,
        target,
        sampling=sampling,
        index=index,
        times=times,
        at=_places(at),
        channel=channel,
        kind=kind.value,
        band_deg=_pair("--band", band, "-5,5"),
        edges=edges,
        projection=projection.value if projection else None,
        center=_pair("--center", center, "-60,20"),
        coastlines=coastlines,
        coastlines_variable=coastlines_variable,
        land=land,
        cmap=cmap,
        vmin=vmin,
        vmax=vmax,
        ordering=ordering.value if ordering else None,
        title=title,
        frames_per_second=frames_per_second,
        overwrite=overwrite,
        progress=True,
    )
    for note in summary.notes:
        say(note)
    say(f"{summary.what}, written to {summary.path}")


def _places(words: list[str] | None) -> dict[str, str]:
    """Places along dimensions, from words like ``level=500``."""
    places = {}
    for word in words or []:
        dim, equals, value = word.partition("=")
        if not (equals and dim.strip() and value.strip()):
            raise ValueError(f"--at must be DIM=VALUE, got {word!r}; e.g. --at level=500")
        places[dim.strip()] = value.strip()
    return places


def _pair(option: str, text: str | None, example: str) -> tuple[float, float] | None:
    """Two numbers between which there is a comma."""
    if text is None:
        return None
    try:
        first, second = (float(word) for word in text.split(","))
    except ValueError:
        raise ValueError(
            f"{option} must be two numbers in degrees with a comma between, got {text!r}; e.g. "
            f"{option} {example}"
        ) from None
    return first, second


def _predict_stations(
    checkpoint: Path, source: Path, target: Path, *, batch_size: int, overwrite: bool
) -> None:
    """Map a file of stations to a file of predictions, and say what was done."""
    from deepsphere.experiments.station_files import predict_stations_file

    summary = predict_stations_file(
        checkpoint, source, target, batch_size=batch_size, overwrite=overwrite, progress=True
    )
    for note in summary.notes:
        say(note)
    unseen = f" ({summary.num_unseen:,} not in the training)" if summary.num_unseen else ""
    say(
        f"{', '.join(summary.names)} predicted for {summary.num_times:,} times at "
        f"{summary.num_stations:,} stations{unseen}, written to {summary.path}"
    )


_OF_FIELDS = "an OUTPUT that keeps coordinates, which say where the fields are; or write .npz"


def _refuse(options: Mapping[str, object], *, what: str = _OF_FIELDS) -> None:
    """Refuse options that are those of other signals."""
    given = [name for name, value in options.items() if value]
    if given:
        raise ValueError(f"{given[0]} must not be given with {what}; leave it out")
