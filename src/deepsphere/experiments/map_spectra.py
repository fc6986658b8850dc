"""The spectra of maps: what they were made to have, and whether they tell classes apart."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from deepsphere.data.files import write_atomically
from deepsphere.data.map_features import SpectrumFeatures
from deepsphere.data.map_sets import MapSet
from deepsphere.experiments.map_spectra_config import BinsSection, MapSpectraRecipe
from deepsphere.experiments.map_spectra_data import StudiedMaps, studied_maps
from deepsphere.experiments.map_spectra_rows import MeasuredMaps, row_names
from deepsphere.experiments.map_spectra_statistics import (
    MapStatistics,
    central_moments,
    degree_bins,
)
from deepsphere.experiments.named_graphs import check_nothing_is_trained
from deepsphere.experiments.options import RunOptions
from deepsphere.experiments.output import RUN_FOLDER
from deepsphere.experiments.results import check_claim_names
from deepsphere.sampling import Healpix
from deepsphere.training.progress import open_bar

_NAMES = ("spectra", "moments", "counts")  # what is kept of a map


def check_run(recipe: MapSpectraRecipe, options: RunOptions, data: Path | None) -> None:
    """Raise unless the recipe can be run on this machine and its claims are about its rows.

    Parameters
    ----------
    recipe
        What to run.
    options
        Nothing is trained here.
    data
        Where the maps lie; looked into later, by `experiment_fingerprint`.

    Raises
    ------
    ValueError
        If they do not go together, or a claim is about nothing that is measured.
    """
    check_nothing_is_trained(recipe.experiment, options, None)
    # other maps may have no theory, and then some of the rows are not there
    check_claim_names(recipe.claims, row_names())


def experiment_fingerprint(recipe: MapSpectraRecipe, data: Path | None) -> str:
    """What has to be equal for the measurements in a folder to be kept.

    Parameters
    ----------
    recipe
        Its title, claims and bins do not count.
    data
        Where the maps lie; None where they are simulated.

    Returns
    -------
    str

    Raises
    ------
    FileNotFoundError, ImportError, ValueError
        See `studied_maps`.
    """
    prints = [studied.fingerprint for studied in studied_maps(recipe, data)]
    return "-".join([*prints, str(recipe.num_pixel_bins)])


def measure_map_spectra(
    recipe: MapSpectraRecipe,
    output: Path,
    *,
    fingerprint: str,
    data: Path | None,
    options: RunOptions,
) -> list[MeasuredMaps]:
    """Spectra, moments and histograms of all maps; those that are in the folder are kept.

    Parameters
    ----------
    recipe
        What to measure.
    output
        A prepared folder; each map has a file in ``runs``.
    fingerprint
        See `experiment_fingerprint`.
    data
        Where the maps lie; None where they are simulated.
    options
        Whether to show progress.

    Returns
    -------
    list of MeasuredMaps

    Raises
    ------
    ImportError
        If healpy, GLASS or what reads the maps are not installed.
    ValueError
        If a map cannot be read, or is constant.
    """
    all_studied = studied_maps(recipe, data)
    with open_bar(shown=options.progress) as bar:
        num_maps = sum(len(studied.maps) for studied in all_studied)
        task = bar.add_task("measuring maps", total=num_maps)
        return [
            _measure_all(
                studied,
                output / RUN_FOLDER / studied.name,
                bins=_bins_of(recipe.bins, studied.maps.nside),
                num_pixel_bins=recipe.num_pixel_bins,
                advance=lambda: bar.advance(task),
            )
            for studied in all_studied
        ]


def _bins_of(section: BinsSection, nside: int) -> np.ndarray:
    """The bins of a recipe for maps of a resolution."""
    if section.lowest > 2 * nside:
        raise ValueError(
            f"bins.lowest must be at most 2 nside ({2 * nside}), got {section.lowest}; lower it"
        )
    return degree_bins(
        section.lowest, 2 * nside, width=section.width, relative_width=section.relative_width
    )


def _measure_all(
    studied: StudiedMaps,
    folder: Path,
    *,
    bins: np.ndarray,
    num_pixel_bins: int,
    advance: Callable[[], Any],
) -> MeasuredMaps:
    """All maps of a set, class by class."""
    start = time.perf_counter()
    maps = studied.maps
    edges = _kept(
        folder / "pixel_edges.npz",
        studied.fingerprint,
        lambda: {"edges": _pixel_edges(maps, num_pixel_bins)},
    )["edges"]
    features = SpectrumFeatures.on_sampling(Healpix(maps.nside))
    kept = []
    for index in range(len(maps)):
        path = folder / f"map-{index:05d}.npz"
        kept.append(
            _kept(
                path,
                studied.fingerprint,
                lambda index=index: _measure_map(maps, index, features=features, edges=edges),
            )
        )
        advance()
    by_class = [
        [one for one, of in zip(kept, maps.labels, strict=True) if of == label]
        for label in range(len(maps.class_names))
    ]
    return MeasuredMaps(
        studied=studied,
        by_class=tuple(
            MapStatistics(**{name: np.array([one[name] for one in of]) for name in _NAMES})
            for of in by_class
        ),
        bins=bins,
        pixel_edges=edges,
        seconds=time.perf_counter() - start,
    )


def _measure_map(
    maps: MapSet, index: int, *, features: SpectrumFeatures, edges: np.ndarray
) -> dict[str, np.ndarray]:
    """What is kept of one map."""
    signal = maps.read(index)
    moments = central_moments(signal)
    if not (moments[:, 1] > 0).all():
        raise ValueError(
            f"{maps.names[index]} must not be constant, got a map of one value; it has no spectrum"
        )
    degrees = np.arange(features.max_degree + 1)
    # the features of the linear models of the table; the monopole is no fluctuation
    scaled = features(signal).reshape(-1, len(degrees))
    spectra = scaled / np.maximum(degrees * (degrees + 1), 1)
    return {
        "spectra": spectra,
        "moments": moments,
        "counts": np.histogram(signal[:, 0], edges)[0],
    }


def _pixel_edges(maps: MapSet, num_bins: int) -> np.ndarray:
    """Bins of equal width over the range of the first channel of the first map of each class."""
    firsts = [maps.read(int(np.argmax(maps.labels == k)))[:, 0] for k in np.unique(maps.labels)]
    low, high = min(one.min() for one in firsts), max(one.max() for one in firsts)
    return np.linspace(low, high, num_bins + 1, dtype=np.float64)


def _kept(
    path: Path, fingerprint: str, measure: Callable[[], dict[str, np.ndarray]]
) -> dict[str, np.ndarray]:
    """The arrays in a file if it is complete and of these maps, else new ones, written there."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
    except Exception:  # numpy, zipfile and zlib raise a dozen kinds for files that are cut
        found = {}
    if str(found.pop("fingerprint", "")) == fingerprint:
        return found
    measured = measure()
    stored: dict[str, Any] = {"fingerprint": np.array(fingerprint), **measured}
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_atomically(path, overwrite=True) as temporary:
        np.savez(temporary, **stored)
    return measured
