"""Preparing the convergence maps of the published experiment, for those who were given them."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from deepsphere.data.files import file_suffix, write_atomically
from deepsphere.data.healpix_fits import Ordering, read_healpix_fits
from deepsphere.data.map_files import is_intact, write_map_file
from deepsphere.data.map_folders import (
    file_digest,
    is_unfinished,
    only_writer,
    package_versions,
    remove_unfinished,
)
from deepsphere.data.map_sources import check_map, check_ordering, map_nside, to_nested
from deepsphere.data.worker_processes import call_in_processes
from deepsphere.sampling import Healpix, sampling_from_spec

MANIFEST = "prepared.json"
# The two universes, (Ω_m, σ_8), by the words that file names have for them.
PUBLISHED_CLASSES = {"0p26": (0.26, 0.91), "0p31": (0.31, 0.82)}
_FORMAT = 1
_SUFFIXES = (".fits", ".fit", ".npz", ".npy")


def prepare_original(
    source: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    nside: int = 1024,
    beam_arcmin: float | int = 3.0,
    num_workers: int = 1,
    advance: Callable[[], None] | None = None,
    overwrite: bool = False,
) -> Path:
    """Prepare the maps of the data set (Zenodo 1303272) as for the published experiment.

    From each map its mean is subtracted; it is averaged to `nside`, smoothed by a Gaussian beam
    whose *standard deviation* is 3 arc minutes, and written as float32 in NESTED order. The class
    is the word ``0p26`` or ``0p31`` (of Ω_m) in the name of a file or of a folder above it. Of 60
    maps, 20 make the test set: ``split_maps(maps, test_fraction=1/3, ...)``.

    A map is there whole or not at all; a call that was killed is continued by the same call.

    Parameters
    ----------
    source
        Folder with all files, at any depth: FITS, which say their ordering; or ``.npz`` or ``.npy``
        with one array of pixels, in RING order (as healpy's functions give them) unless an array
        ``ordering`` in the ``.npz`` says otherwise.
    output
        Folder to write to, for :func:`~deepsphere.data.map_sets.open_maps`: new, empty, or of an
        earlier call with the same maps and settings.
    nside
        Resolution of the result, at most that of the maps.
    beam_arcmin
        Standard deviation of the beam; 0 for none.
    num_workers
        Processes; below 2 this one does it all.
    advance
        Called after each map, also one that was there already, for a progress bar.
    overwrite
        Replace maps of other settings.

    Returns
    -------
    Path
        The folder `output`.

    Raises
    ------
    FileNotFoundError
        If there are no maps.
    FileExistsError
        If the output holds other maps or other files, or another process writes to it.
    ImportError
        If healpy, h5py or astropy are needed and not installed.
    ValueError
        If a file is damaged, of no class, coarser than `nside`, NaN or UNSEEN somewhere, or much
        smoother in the other ordering.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> rng = np.random.default_rng(0)
    >>> for word in PUBLISHED_CLASSES:
    ...     np.save(folder / f"kappa_{word}.npy", rng.normal(size=3072))
    >>> prepare_original(folder, folder / "prepared", nside=8).name
    'prepared'
    """
    source, output = Path(source), Path(output)
    map_nside(12 * nside**2, name="nside")
    if not 0 <= beam_arcmin <= 600:
        raise ValueError(f"beam_arcmin must be from 0 to 600 arc minutes, got {beam_arcmin:g}")
    if num_workers < 0:
        raise ValueError(f"num_workers must not be negative, got {num_workers}")
    files = original_files(source, output)
    manifest = {
        "format": _FORMAT,
        "kind": "prepared",
        "settings": {"nside": nside, "beam_arcmin": float(beam_arcmin)},
        "maps": [
            {
                "file": f"map-{index:05d}.h5",
                "class": word,
                "source": one.relative_to(source).as_posix(),
            }
            for index, (one, word) in enumerate(files.items())
        ],
    }
    output.mkdir(parents=True, exist_ok=True)
    with only_writer(output):
        _require_place(output, manifest, overwrite=overwrite)
        remove_unfinished(output)
        with write_atomically(output / MANIFEST, overwrite=True) as temporary:
            temporary.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        jobs = [
            (os.fspath(one), os.fspath(output / entry["file"]), nside, float(beam_arcmin), word)
            for (one, word), entry in zip(files.items(), manifest["maps"], strict=True)
        ]
        try:
            for _ in call_in_processes(_prepare_file, jobs, num_workers=num_workers):
                if advance is not None:
                    advance()
        finally:
            remove_unfinished(output)
    return output


def original_files(source: Path, output: Path) -> dict[Path, str]:
    """Files of maps in a folder and the class of each, without those of the output.

    Parameters
    ----------
    source
        The folder.
    output
        One that may lie within.

    Returns
    -------
    dict
        Class by path, sorted by path.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or nothing in it.
    ValueError
        If a file is of no class.
    """
    if not source.is_dir():
        raise FileNotFoundError(f"source must be a folder of maps, got {source}; unzip them first")
    files = [
        one
        for one in sorted(source.rglob("*"))
        if file_suffix(one) in _SUFFIXES
        and not one.name.startswith(".")
        and output.resolve() not in one.resolve().parents
    ]
    if not files:
        raise FileNotFoundError(
            f"source must hold files that end in one of {', '.join(_SUFFIXES)}, got none in "
            f"{source}; unzip them first"
        )
    return {one: _class_of(one.relative_to(source)) for one in files}


def read_prepared(folder: Path) -> dict[str, Any]:
    """Content of ``prepared.json``.

    Parameters
    ----------
    folder
        Where it lies.

    Returns
    -------
    dict

    Raises
    ------
    ValueError
        If it is damaged or of another version.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        found = manifest["format"], manifest["settings"]["nside"], manifest["maps"][0]["file"]
    except (UnicodeDecodeError, ValueError, KeyError, TypeError, IndexError) as error:
        raise ValueError(
            f"{path} must be the description of prepared maps, got a damaged file "
            f"({type(error).__name__}); prepare them again with --overwrite"
        ) from error
    if found[0] != _FORMAT:
        raise ValueError(
            f"{path} must be of format {_FORMAT}, got {found[0]}; it was written by another "
            "version of deepsphere"
        )
    return manifest


def prepare_map(
    values: Float[np.ndarray, "pixels channels"], *, nside: int, beam_arcmin: float | int
) -> Float[np.ndarray, "vertices channels"]:
    """A map without its mean, at another resolution, and smoothed.

    Parameters
    ----------
    values
        NESTED.
    nside
        Resolution of the result, at most that of the map.
    beam_arcmin
        Standard deviation of the Gaussian beam; 0 for none.

    Returns
    -------
    Float[np.ndarray, "vertices channels"]
        float32, NESTED.

    Raises
    ------
    ImportError
        If healpy is not installed.
    ValueError
        If the map is coarser than that.

    Examples
    --------
    >>> prepare_map(np.arange(48.0)[:, None], nside=1, beam_arcmin=0)[:2, 0].tolist()
    [-22.0, -18.0]
    """
    own = map_nside(len(values), name="values")
    if own < nside:
        raise ValueError(
            f"nside must be at most that of the maps ({own}), got {nside}; ask for {own}"
        )
    centred = values.astype(np.float64) - values.mean(axis=0, dtype=np.float64)
    coarse = centred.reshape(12 * nside**2, -1, values.shape[1]).mean(axis=1)
    if beam_arcmin:
        healpy = _healpy()
        sampling = Healpix(nside)
        ring = sampling.reorder(coarse, "ring")
        spread = float(np.deg2rad(beam_arcmin / 60))
        smooth = [healpy.smoothing(channel, sigma=spread) for channel in ring.T]
        coarse = Healpix(nside, ordering="ring").reorder(np.stack(smooth, axis=-1), "nested")
    return coarse.astype(np.float32)


def prepared_settings(manifest: dict[str, Any], source_sha256: str) -> str:
    """What a prepared map is made from, as JSON.

    Parameters
    ----------
    manifest
        Of the folder.
    source_sha256
        Of the original file.

    Returns
    -------
    str
    """
    return json.dumps({**manifest["settings"], "source_sha256": source_sha256}, sort_keys=True)


def _prepare_file(path: str, target: str, nside: int, beam_arcmin: float, word: str) -> None:
    """Write the prepared map of a file unless it is there."""
    settings = prepared_settings(
        {"settings": {"nside": nside, "beam_arcmin": beam_arcmin}}, file_digest(Path(path))
    )
    if is_intact(Path(target), settings=settings):
        return
    values = prepare_map(_read_original(Path(path)), nside=nside, beam_arcmin=beam_arcmin)
    omega_m, sigma_8 = PUBLISHED_CLASSES[word]
    attributes = {
        "omega_m": omega_m,
        "sigma_8": sigma_8,
        "class_name": word,
        "source": Path(path).name,
        "versions": json.dumps(package_versions(["healpy", "numpy"]), sort_keys=True),
    }
    write_map_file(Path(target), values, settings=settings, attributes=attributes, overwrite=True)


def _read_original(path: Path) -> np.ndarray:
    """A map of a file, NESTED, float32."""
    ordering: Ordering = "ring"
    is_silent = True
    if file_suffix(path) in (".fits", ".fit"):
        found = read_healpix_fits(path)
        sampling = sampling_from_spec(found.sampling)
        if not isinstance(sampling, Healpix):
            raise ValueError(f"{path} must hold a map of the whole sky, got a part of it")
        values, ordering, is_silent = found.signals, found.ordering, False
    else:
        values, said = _read_array(path)
        if said is not None:
            if said not in ("ring", "nested"):
                raise ValueError(f"{path} must say ring or nested as ordering, got {said!r}")
            ordering, is_silent = said, False
    check_map(values, name=str(path))
    if is_silent:
        check_ordering(values, assumed=ordering, name=str(path))
    return to_nested(values, ordering, name=str(path))


def _read_array(path: Path) -> tuple[np.ndarray, str | None]:
    """Pixels (pixels, 1) of a file of numpy, and the ordering if it says so."""
    try:
        with path.open("rb") as raw:
            loaded = np.load(raw, allow_pickle=False)
            if isinstance(loaded, np.ndarray):
                arrays = {"": loaded}
            else:
                with loaded:
                    arrays = {name: loaded[name] for name in loaded.files}
    except Exception as error:
        # numpy, zipfile and zlib raise a dozen kinds for files that are cut
        raise ValueError(
            f"{path} must be a complete file of numpy without pickled objects, got one that "
            f"cannot be read ({type(error).__name__}); download it again"
        ) from error
    said = arrays.pop("ordering", None)
    maps = [one for one in arrays.values() if one.size >= 12 and one.dtype.kind == "f"]
    if len(maps) != 1:
        raise ValueError(f"{path} must hold one array of pixels, got {len(maps)} of them")
    return maps[0].reshape(-1, 1), None if said is None else str(said).lower()


def _class_of(path: Path) -> str:
    """Class of a file: the word in its name, or else in the folders above."""
    for text in (path.name, path.as_posix()):
        words = [word for word in PUBLISHED_CLASSES if word in text]
        if len(words) == 1:
            return words[0]
    raise ValueError(
        f"{path} must have one of {', '.join(PUBLISHED_CLASSES)} in its name, got none or both; "
        "put it into a folder named after its class"
    )


def _require_place(output: Path, manifest: dict[str, Any], *, overwrite: bool) -> None:
    """Raise unless the maps may be written to the folder; clear it where that was asked for."""
    if (output / MANIFEST).exists():
        try:
            is_same = read_prepared(output) == json.loads(json.dumps(manifest))
        except ValueError:
            is_same = False
        if not is_same and not overwrite:
            raise FileExistsError(
                f"{output} must be empty or hold the same maps with the same settings, got "
                "others; choose another folder, or replace them (overwrite=True, --overwrite)"
            )
        if not is_same:
            for path in (output / MANIFEST, *output.glob("map-*.h5")):
                path.unlink(missing_ok=True)
        return
    others = sorted(one.name for one in output.iterdir() if not is_unfinished(one))
    if others:
        raise FileExistsError(
            f"{output} must be empty or hold prepared maps, got other files ({others[0]}); "
            "choose another folder"
        )


def _healpy() -> Any:
    """The package healpy, or how to install it."""
    try:
        import healpy
    except ImportError as error:
        raise ImportError(
            "smoothing maps needs healpy, which is not installed; "
            "pip install 'deepsphere-torch[cosmology]'"
        ) from error
    return healpy
