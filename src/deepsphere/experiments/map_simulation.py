"""Simulating maps for the command line: a progress bar, a picture and a summary."""

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from deepsphere.data.files import require_writable, write_atomically
from deepsphere.data.labelled_maps import MapSet
from deepsphere.data.lognormal_maps import target_spectra
from deepsphere.data.map_sets import open_maps
from deepsphere.data.simulated_maps import simulate_maps
from deepsphere.data.simulation_plan import SimulationPlan
from deepsphere.sampling import Healpix
from deepsphere.training.progress import open_bar

PICTURE_SUFFIXES = (".png", ".svg", ".pdf")
_MOST_AVERAGED = 8  # maps of a class for its measured spectrum in the picture
_MOST_CLASSES = 8  # in the picture


@dataclass(frozen=True)
class SimulationReport:
    """What a simulation left.

    Parameters
    ----------
    folder
        Where.
    num_maps, num_classes
        How many.
    num_bytes
        Of all files of the folder.
    seconds
        That it took.
    notes
        What a reader of results on these maps must know.
    """

    folder: Path
    num_maps: int
    num_classes: int
    num_bytes: int
    seconds: float
    notes: tuple[str, ...]

    def summary(self) -> str:
        """A line, and one for each note."""
        classes = "class" if self.num_classes == 1 else "classes"
        size = f"{self.num_bytes / 1e6:.1f} MB"
        line = f"{self.num_maps} maps of {self.num_classes} {classes}, {size}, {self.seconds:.0f} s"
        return "\n".join([line, *(f"note: {note}" for note in self.notes)])


def simulate_folder(
    plan: SimulationPlan,
    folder: Path,
    *,
    num_workers: int | None = None,
    picture: Path | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> SimulationReport:
    """Make the maps of a plan, and a picture of them.

    Parameters
    ----------
    plan, folder, num_workers, overwrite
        As for :func:`~deepsphere.data.simulated_maps.simulate_maps`.
    picture
        ``.png``, ``.svg`` or ``.pdf``; None for none. An existing one is replaced where `overwrite`
        is true.
    progress
        Show a bar on a terminal.

    Returns
    -------
    SimulationReport

    Raises
    ------
    FileExistsError
        If the folder holds something else, or the picture is there.
    ValueError
        If the name of the picture has another ending.
    """
    if picture is not None:
        if picture.suffix.lower() not in PICTURE_SUFFIXES:
            raise ValueError(
                f"picture must end in one of {', '.join(PICTURE_SUFFIXES)}, got {picture.name}; "
                "rename it"
            )
        require_writable(picture, overwrite=overwrite)
    start = time.monotonic()
    with open_bar(shown=progress) as bar:
        task = bar.add_task("simulating maps", total=plan.num_maps * len(plan.cosmologies))
        simulate_maps(
            plan,
            folder,
            num_workers=num_workers,
            advance=lambda: bar.advance(task),
            overwrite=overwrite,
        )
    maps = open_maps(folder)
    if picture is not None:
        draw_simulation(picture, plan, maps, overwrite=overwrite)
    return SimulationReport(
        folder=folder,
        num_maps=len(maps),
        num_classes=len(plan.cosmologies),
        num_bytes=sum(path.stat().st_size for path in folder.iterdir()),
        seconds=time.monotonic() - start,
        notes=maps.notes,
    )


def draw_simulation(
    picture: Path, plan: SimulationPlan, maps: MapSet, *, overwrite: bool = False
) -> None:
    """Draw the first map of each class, its histogram, and spectra beside their targets.

    Parameters
    ----------
    picture
        The file to write.
    plan
        Of the maps.
    maps
        That were made; of several redshifts the first is drawn.
    overwrite
        Replace an existing file.

    Raises
    ------
    FileExistsError
        If it is there and may not be replaced.
    ImportError
        If healpy or matplotlib are not installed.
    """
    from deepsphere.plotting.convergence import plot_convergence

    shown, spectra, target = {}, {}, {}
    for label, name in enumerate(maps.class_names[:_MOST_CLASSES]):
        members = np.flatnonzero(maps.labels == label)[:_MOST_AVERAGED]
        shown[name] = maps.read(int(members[0]))[:, 0]
        spectra[name] = mean_spectrum(maps, members)
        if plan.spectra == "own":
            target[name] = target_spectra(plan, cosmology_index=label)[0, 0]
    if plan.spectra == "common":
        target["target of all classes"] = target_spectra(plan)[0, 0]
    title = "; ".join(maps.notes)
    figure = plot_convergence(shown, spectra, target, title=title)
    with write_atomically(picture, overwrite=overwrite) as temporary:
        figure.savefig(temporary, dpi=150)


def mean_spectrum(maps: MapSet, indices: np.ndarray) -> Float[np.ndarray, "degrees"]:
    """Power spectrum of the first channel, the mean over some maps.

    Parameters
    ----------
    maps
        Of the whole sphere.
    indices
        Which, at least one.

    Returns
    -------
    Float[np.ndarray, "degrees"]
        C_l up to 3 nside − 1.

    Raises
    ------
    ImportError
        If healpy is not installed.
    """
    import healpy

    sampling = Healpix(maps.nside)
    spectra = []
    for index in indices:
        ring = sampling.reorder(maps.read(int(index)), "ring")[:, 0]
        spectra.append(np.asarray(healpy.anafast(ring.astype(np.float64)), np.float64))
    return np.mean(np.stack(spectra), axis=0)
