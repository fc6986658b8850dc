"""Commands for maps to learn from: `simulate` and `prepare`."""

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from deepsphere.cli.options import Overwrite, say

if TYPE_CHECKING:
    from deepsphere.data.cosmologies import Cosmology


class SimulationName(str, Enum):
    """What can be simulated."""

    cosmology = "cosmology"


class PreparationName(str, Enum):
    """What can be prepared."""

    cosmology = "cosmology"


class SpectraName(str, Enum):
    """Whose power spectrum the maps of a class have."""

    common = "common"
    own = "own"


class ScaleName(str, Enum):
    """Whether the sky is shown as it is."""

    physical = "physical"
    zoom = "zoom"


Folder = Annotated[
    Path,
    typer.Option(
        "--out",
        "--output",
        "-o",
        metavar="DIR",
        help="Folder for the maps. New, empty, or to continue.",
        show_default=False,
    ),
]


def simulate(
    what: Annotated[
        SimulationName, typer.Argument(metavar="NAME", help="cosmology.", show_default=False)
    ],
    nside: Annotated[
        int, typer.Option(metavar="NUMBER", help="Resolution, a power of two.", show_default=False)
    ],
    out: Folder,
    num_maps: Annotated[
        int, typer.Option(min=1, metavar="NUMBER", help="Maps of each cosmology.")
    ] = 40,
    scale: Annotated[
        ScaleName,
        typer.Option(
            help="The physical sky, or a zoom whose pixels have the statistics of those at nside "
            "1024 (structures too large; not a physical sky)."
        ),
    ] = ScaleName.physical,
    zoom: Annotated[bool, typer.Option("--zoom", help="Short for [b]--scale zoom[/b].")] = False,
    contrast: Annotated[
        float | None,
        typer.Option(
            metavar="RATIO",
            help="Stretch the lognormal shifts of the cosmologies until the largest is so many "
            "times the smallest (physically 1.12).",
        ),
    ] = None,
    shifts: Annotated[
        str | None,
        typer.Option(
            metavar="LIST",
            help="The lognormal shifts themselves, one for each cosmology, e.g. 0.04,0.02.",
        ),
    ] = None,
    cosmology: Annotated[
        list[str] | None,
        typer.Option(
            metavar="OMEGA_M:SIGMA_8",
            help="A universe, which makes a class. Repeatable; by default 0.31:0.82 and 0.26:0.91.",
        ),
    ] = None,
    prior: Annotated[
        str | None,
        typer.Option(
            metavar="RANGES",
            help="Draw universes evenly from ranges of both numbers, to learn to estimate them, "
            "e.g. 0.2:0.4,0.7:0.9. Each one has its own spectrum.",
        ),
    ] = None,
    num_cosmologies: Annotated[
        int | None,
        typer.Option(min=1, metavar="NUMBER", help="How many to draw. By default 100."),
    ] = None,
    spectra: Annotated[
        SpectraName | None,
        typer.Option(
            help="One power spectrum for all classes, so that it tells nothing, or each its own. "
            "By default common; own with [b]--prior[/b]."
        ),
    ] = None,
    redshift: Annotated[
        list[float] | None,
        typer.Option(
            metavar="NUMBER",
            help="Of a plane of sources, which makes a channel. Repeatable; by default 1.",
        ),
    ] = None,
    beam_arcmin: Annotated[
        float,
        typer.Option(
            metavar="NUMBER", help="Standard deviation of the beam, arc minutes; 0 for none."
        ),
    ] = 3.0,
    seed: Annotated[int, typer.Option(min=0, metavar="NUMBER", help="Of all random numbers.")] = 0,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0,
            metavar="NUMBER",
            help="Processes; of no other effect. By default as many as pay off.",
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A map of each class, the histograms and the spectra: .png, .svg or .pdf.",
        ),
    ] = None,
    overwrite: Overwrite = False,
) -> None:
    """Simulate maps of the lensing convergence for universes that only their shapes tell apart.

    Lognormal maps with a given power spectrum, in HDF5, float32, NESTED. The same command continues
    what was interrupted, repairs what is damaged, and adds maps where more are asked for.

    Example:  [b]deepsphere simulate cosmology --nside 64 --num-maps 40 --zoom --contrast 3
    --out maps --picture maps.png[/b]
    """
    from deepsphere.data.cosmologies import DEFAULT_COSMOLOGIES
    from deepsphere.data.simulation_plan import SimulationPlan
    from deepsphere.experiments.map_simulation import simulate_folder

    if prior is None:
        if num_cosmologies is not None:
            raise ValueError(
                f"--num-cosmologies must come with --prior, got {num_cosmologies} alone; "
                "name universes with --cosmology, or give ranges"
            )
        universes = tuple(_parse_cosmology(words) for words in cosmology or [])
    elif cosmology:
        raise ValueError("--prior must come without --cosmology, got both; choose one")
    else:
        universes = _draw(prior, num_cosmologies or 100, seed)
    choice = SpectraName.common if prior is None else SpectraName.own
    plan = SimulationPlan(
        nside=nside,
        num_maps=num_maps,
        cosmologies=universes or DEFAULT_COSMOLOGIES,
        redshifts=tuple(redshift or [1.0]),
        spectra=(spectra or choice).value,
        beam_arcmin=beam_arcmin,
        scale="zoom" if zoom else scale.value,
        contrast=contrast,
        shifts=None if shifts is None else _parse_numbers("--shifts", shifts, ","),
        seed=seed,
    )
    report = simulate_folder(
        plan, out, num_workers=workers, picture=picture, overwrite=overwrite, progress=True
    )
    written = f"{out} and {picture}" if picture else f"{out}"
    say(f"{report.summary()}\nwritten to {written}")


def prepare(
    what: Annotated[
        PreparationName, typer.Argument(metavar="NAME", help="cosmology.", show_default=False)
    ],
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="Folder with the maps of the published data set (Zenodo 1303272), unzipped: "
            ".fits, .npz or .npy, with 0p26 or 0p31 in their names.",
            show_default=False,
        ),
    ],
    out: Folder,
    nside: Annotated[
        int, typer.Option(metavar="NUMBER", help="Resolution to average the maps to.")
    ] = 1024,
    beam_arcmin: Annotated[
        float,
        typer.Option(
            metavar="NUMBER", help="Standard deviation of the beam, arc minutes; 0 for none."
        ),
    ] = 3.0,
    workers: Annotated[
        int, typer.Option(min=0, metavar="NUMBER", help="Processes; of no other effect.")
    ] = 1,
    overwrite: Overwrite = False,
) -> None:
    """Prepare the maps of the published experiment, for those who were given them.

    The mean subtracted, averaged to nside 1024, smoothed by a beam of 3 arc minutes (standard
    deviation), float32, NESTED. The same command continues what was interrupted.

    Example:  [b]deepsphere prepare cosmology downloaded --out prepared[/b]
    """
    from deepsphere.data.original_convergence import original_files, prepare_original
    from deepsphere.training.progress import open_bar

    total = len(original_files(source, out))
    with open_bar(shown=True) as bar:
        task = bar.add_task("preparing maps", total=total)
        prepare_original(
            source,
            out,
            nside=nside,
            beam_arcmin=beam_arcmin,
            num_workers=workers,
            advance=lambda: bar.advance(task),
            overwrite=overwrite,
        )
    say(f"{total} maps prepared\nwritten to {out}")


def _parse_cosmology(words: str) -> "Cosmology":
    """A universe from words like 0.31:0.82."""
    from deepsphere.data.cosmologies import Cosmology

    numbers = _parse_numbers("--cosmology", words, ":")
    if len(numbers) != 2:
        raise ValueError(f"--cosmology must be OMEGA_M:SIGMA_8, got {words!r}; e.g. 0.31:0.82")
    return Cosmology(omega_m=numbers[0], sigma_8=numbers[1])


def _draw(words: str, num: int, seed: int) -> "tuple[Cosmology, ...]":
    """Universes from ranges like 0.2:0.4,0.7:0.9."""
    from deepsphere.data.cosmologies import draw_cosmologies

    ranges = [_parse_numbers("--prior", part, ":") for part in words.split(",")]
    if [len(one) for one in ranges] != [2, 2]:
        raise ValueError(
            f"--prior must be two ranges, of omega_m and sigma_8, got {words!r}; "
            "e.g. 0.2:0.4,0.7:0.9"
        )
    (low_m, high_m), (low_8, high_8) = ranges
    return draw_cosmologies(num, omega_m=(low_m, high_m), sigma_8=(low_8, high_8), seed=seed)


def _parse_numbers(option: str, words: str, separator: str) -> tuple[float, ...]:
    """Numbers between separators."""
    try:
        return tuple(float(word) for word in words.split(separator))
    except ValueError:
        raise ValueError(
            f"{option} must be numbers with {separator!r} between them, got {words!r}; "
            f"e.g. {separator.join(('0.04', '0.02') if separator == ',' else ('0.31', '0.82'))}"
        ) from None
