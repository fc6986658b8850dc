"""Opening maps from wherever they lie, and splitting them."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from deepsphere.data.files import file_suffix
from deepsphere.data.healpix_fits import Ordering
from deepsphere.data.images import stratified_choice
from deepsphere.data.labelled_maps import MapSet
from deepsphere.data.map_sources import (
    ArrayMap,
    CoarseMap,
    FitsMap,
    MaskedMap,
    StoredMap,
    check_map,
    check_ordering,
    is_seen,
    map_nside,
    read_fits_map,
    to_nested,
)
from deepsphere.data.original_convergence import MANIFEST as PREPARED
from deepsphere.data.original_convergence import PUBLISHED_CLASSES, read_prepared
from deepsphere.data.simulated_maps import (
    MANIFEST,
    map_path,
    map_settings,
    plan_indices,
    read_manifest,
)
from deepsphere.data.simulation_plan import plan_from_content

PARAMETER_NAMES = ("omega_m", "sigma_8")
_FITS_SUFFIXES = (".fits", ".fit")


class MapSplits(NamedTuple):
    """Three parts of a set of maps.

    Attributes
    ----------
    train
        What is learned from.
    validation
        What choices are made on; None where none was asked for.
    test
        What the final numbers are computed on; None where none was asked for.
    """

    train: MapSet
    validation: MapSet | None
    test: MapSet | None


def split_maps(
    maps: MapSet,
    *,
    validation_fraction: float | int = 0.2,
    test_fraction: float | int = 0.2,
    seed: int = 0,
) -> MapSplits:
    """Parts of a set, each with its share of every class; a map is in one part with all of it.

    The test part is chosen first and does not depend on the fraction of the validation.

    Parameters
    ----------
    maps
        The whole.
    validation_fraction, test_fraction
        Of the whole, at least 0, together below 1. Positive ones get at least one map.
    seed
        Of the choice.

    Returns
    -------
    MapSplits

    Raises
    ------
    ValueError
        If the fractions leave nothing to learn from.

    Examples
    --------
    >>> maps = array_maps(np.zeros((10, 12)), np.arange(10) % 2, class_names=("a", "b"))
    >>> [len(part) for part in split_maps(maps, validation_fraction=0.2, test_fraction=0.4)]
    [4, 2, 4]
    """
    fractions = (validation_fraction, test_fraction)
    if min(fractions) < 0 or sum(fractions) >= 1:
        raise ValueError(
            "validation_fraction and test_fraction must not be negative and be together below 1, "
            f"got {validation_fraction:g} and {test_fraction:g}"
        )
    num = len(maps)
    num_validation, num_test = (
        max(1, round(fraction * num)) if fraction > 0 else 0 for fraction in fractions
    )
    if num_validation + num_test >= num:
        raise ValueError(
            f"maps must leave at least one to train on, got {num} maps of which {num_validation} "
            f"are for validation and {num_test} for testing; make more maps"
        )
    test = stratified_choice(maps.labels, num_test, seed=seed)
    rest = np.setdiff1d(np.arange(num), test)
    validation = rest[stratified_choice(maps.labels[rest], num_validation, seed=seed + 1)]
    train = np.setdiff1d(rest, validation)
    return MapSplits(
        maps.take(train),
        maps.take(validation) if num_validation else None,
        maps.take(test) if num_test else None,
    )


def array_maps(
    maps: np.ndarray,
    labels: Int[np.ndarray, "maps"],
    *,
    class_names: Sequence[str],
    parameters: Float[np.ndarray, "maps parameters"] | None = None,
    parameter_names: Sequence[str] = PARAMETER_NAMES,
    ordering: Ordering = "nested",
    names: Sequence[str] | None = None,
    mask: Bool[np.ndarray, "pixels"] | None = None,
) -> MapSet:
    """Set of maps that are in memory.

    Parameters
    ----------
    maps
        Shape (maps, pixels) or (maps, pixels, channels).
    labels
        Class of each map.
    class_names
        Name of each class.
    parameters
        Numbers to be predicted, a row for each map.
    parameter_names
        Name of each of these numbers.
    ordering
        Of the pixels.
    names
        Of the maps; numbers by default.
    mask
        Which pixels count, in NESTED order; the others are zero, whatever they were.

    Returns
    -------
    MapSet

    Raises
    ------
    ValueError
        If the number of pixels is not 12 nside², a pixel that counts is NaN, infinite or UNSEEN, a
        map is much smoother in the other ordering, or labels do not belong to the maps.

    Examples
    --------
    >>> array_maps(np.zeros((2, 12, 3)), np.array([0, 0]), class_names=("sky",)).num_channels
    3
    """
    found = _gather(
        np.asarray(maps),
        labels,
        class_names=class_names,
        parameters=parameters,
        parameter_names=parameter_names,
        ordering=ordering,
        names=names,
    )
    return _checked(found, mask)


def _gather(
    maps: np.ndarray,
    labels: np.ndarray,
    *,
    class_names: Sequence[str],
    parameters: np.ndarray | None,
    parameter_names: Sequence[str],
    ordering: Ordering,
    names: Sequence[str] | None,
) -> MapSet:
    """Maps in memory, whatever their pixels are."""
    if ordering not in ("nested", "ring"):
        raise ValueError(f"ordering must be 'nested' or 'ring', got {ordering!r}")
    if maps.ndim not in (2, 3) or maps.dtype.kind not in "fiu":
        raise ValueError(
            "maps must be numbers of shape (maps, pixels) or (maps, pixels, channels), got "
            f"{maps.dtype} of shape {maps.shape}"
        )
    chosen = [f"map {index}" for index in range(len(maps))] if names is None else list(names)
    sources = []
    for name, values in zip(chosen, maps, strict=True):
        columns = values.reshape(len(values), -1)
        map_nside(len(columns), name=name)
        check_ordering(np.where(is_seen(columns), columns, 0), assumed=ordering, name=name)
        nested = to_nested(columns, ordering, name=name)
        nested.flags.writeable = False
        sources.append(ArrayMap(nested))
    return MapSet(
        sources=tuple(sources),
        nside=map_nside(maps.shape[1], name="maps"),
        num_channels=1 if maps.ndim == 2 else maps.shape[2],
        labels=np.asarray(labels, np.int64),
        class_names=tuple(class_names),
        names=tuple(chosen),
        parameters=None if parameters is None else np.asarray(parameters, np.float64),
        parameter_names=() if parameters is None else tuple(parameter_names),
    )


def open_maps(
    path: str | os.PathLike[str],
    *,
    nside: int | None = None,
    mask: Bool[np.ndarray, "pixels"] | None = None,
) -> MapSet:
    """Set of labelled maps, whatever it is.

    - A folder that ``deepsphere simulate`` or ``deepsphere prepare`` wrote: maps are read, and
      checked by their SHA-256, when they are asked for.
    - A folder of FITS files, one map in each (channels in its columns): a sub-folder for each
      class, or the words ``0p26`` and ``0p31`` of the published data set in the names. Files say
      whether they are RING or NESTED; of maps of a part of the sky a mask says which. All are read
      once, and checked.
    - An ``.npz`` file with ``maps`` (maps, pixels) or (maps, pixels, channels) and ``labels``, and
      maybe ``class_names``, ``parameters``, ``parameter_names``, ``names`` and ``ordering``
      ("nested" if it is not there).

    Maps that are much smoother in another ordering than the one they are said to be in are refused,
    except where this library wrote them.

    Parameters
    ----------
    path
        The folder or file.
    nside
        Maps of a finer resolution are averaged to this one.
    mask
        Which pixels count, in NESTED order, at the resolution of the result; the others are zero,
        whatever they were: NaN, UNSEEN, or not in the file.

    Returns
    -------
    MapSet

    Raises
    ------
    FileNotFoundError
        If there is nothing.
    ValueError
        If it is none of these, incomplete or damaged; maps are of different resolution; or a pixel
        that counts is NaN, infinite or UNSEEN.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "maps.npz"
    >>> np.savez(path, maps=np.zeros((2, 192)), labels=np.array([0, 1]))
    >>> open_maps(path).class_names
    ('0', '1')
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"path must name a folder or file of maps, got {path}")
    if path.is_dir():
        maps = _open_folder(path)
    elif file_suffix(path) == ".npz":
        maps = _open_archive(path)
    else:
        raise ValueError(
            f"path must be a folder of maps or an .npz file, got {path}; put FITS files in a "
            "folder with a sub-folder for each class"
        )
    return _checked(maps if nside is None else _coarsen(maps, nside), mask)


def _checked(maps: MapSet, mask: np.ndarray | None) -> MapSet:
    """The maps, of which only the pixels of the mask count, if these are all numbers."""
    if mask is not None:
        maps = _masked(maps, mask)
    for index, (source, name) in enumerate(zip(maps.sources, maps.names, strict=True)):
        while isinstance(source, CoarseMap | MaskedMap):
            source = source.source
        if not isinstance(source, StoredMap):  # those were checked when they were written
            check_map(maps.read(index), name=name)
    return maps


def _masked(maps: MapSet, mask: np.ndarray) -> MapSet:
    """Maps of which only some pixels count."""
    if mask.dtype != bool or mask.shape != (12 * maps.nside**2,):
        raise ValueError(
            f"mask must be boolean of shape ({12 * maps.nside**2},), one value for each pixel in "
            f"NESTED order, got {mask.dtype} of shape {mask.shape}; resample it, for example with "
            "healpy.ud_grade, and set a threshold"
        )
    sources = zip(maps.sources, maps.names, strict=True)
    return replace(maps, sources=tuple(MaskedMap(source, mask, name) for source, name in sources))


def _coarsen(maps: MapSet, nside: int) -> MapSet:
    """Maps averaged to a resolution."""
    map_nside(12 * nside**2, name="nside")
    if nside > maps.nside:
        raise ValueError(
            f"nside must be at most that of the maps ({maps.nside}), got {nside}; "
            "finer maps have to be simulated"
        )
    if nside == maps.nside:
        return maps
    num_children = (maps.nside // nside) ** 2
    sources = tuple(CoarseMap(source, num_children) for source in maps.sources)
    return replace(maps, sources=sources, nside=nside)


def _open_folder(folder: Path) -> MapSet:
    """Maps of a folder of ours, or of FITS files."""
    if (folder / MANIFEST).exists():
        return _open_simulation(folder)
    if (folder / PREPARED).exists():
        return _open_prepared(folder)
    files = sorted(one for one in folder.rglob("*") if file_suffix(one) in _FITS_SUFFIXES)
    files = [one for one in files if not one.name.startswith(".")]
    if not files:
        raise ValueError(
            f"path must be a folder that simulate wrote, or one of FITS files, got {folder}, "
            f"which has neither {MANIFEST} nor files that end with .fits"
        )
    return _open_fits(folder, files)


def _open_simulation(folder: Path) -> MapSet:
    """Maps of a folder of `simulate_maps`."""
    manifest = read_manifest(folder)
    plan = plan_from_content(manifest["plan"])
    # by class, as people list them
    indices = sorted(plan_indices(plan))
    paths = [map_path(folder, *index) for index in indices]
    missing = [one for one in paths if not one.exists()]
    if missing:
        raise ValueError(
            f"{folder} must hold all {len(paths)} maps of its plan, got {len(paths) - len(missing)}"
            f" ({missing[0].name} is missing); simulate them again, which adds what is missing"
        )
    universes = [plan.cosmologies[index] for index, _ in indices]
    return MapSet(
        sources=tuple(
            StoredMap(one, map_settings(manifest, *index))
            for one, index in zip(paths, indices, strict=True)
        ),
        nside=plan.nside,
        num_channels=len(plan.redshifts),
        labels=np.array([index for index, _ in indices], np.int64),
        class_names=plan.class_names,
        names=tuple(one.stem for one in paths),
        parameters=np.array([[one.omega_m, one.sigma_8] for one in universes]),
        parameter_names=PARAMETER_NAMES,
        notes=plan.notes,
    )


def _open_prepared(folder: Path) -> MapSet:
    """Maps of a folder of `prepare_original`."""
    manifest = read_prepared(folder)
    entries = manifest["maps"]
    paths = [folder / entry["file"] for entry in entries]
    missing = [one for one in paths if not one.exists()]
    if missing:
        raise ValueError(
            f"{folder} must hold all {len(paths)} prepared maps, got {len(paths) - len(missing)} "
            f"({missing[0].name} is missing); prepare them again, which adds what is missing"
        )
    class_names = tuple(sorted({entry["class"] for entry in entries}))
    nside = manifest["settings"]["nside"]
    sources = tuple(StoredMap(one) for one in paths)
    return MapSet(
        sources=sources,
        nside=nside,
        num_channels=sources[0].read(0, 1).shape[1],
        labels=np.array([class_names.index(entry["class"]) for entry in entries], np.int64),
        class_names=class_names,
        names=tuple(entry["source"] for entry in entries),
        parameters=np.array([PUBLISHED_CLASSES[entry["class"]] for entry in entries]),
        parameter_names=PARAMETER_NAMES,
    )


def _open_fits(folder: Path, files: list[Path]) -> MapSet:
    """Maps of FITS files in sub-folders, or with the words of the published classes."""
    classes = [_class_of(folder, one) for one in files]
    class_names = tuple(sorted(set(classes)))
    shapes = {}
    for one in files:
        shape = read_fits_map(one).shape
        shapes.setdefault(shape, one)
        if len(shapes) > 1:
            (first, example), _ = shapes.items()
            raise ValueError(
                f"{one} must have the pixels and channels of the other maps "
                f"({first[0]}, {first[1]} in {example}), got {shape[0]} and {shape[1]}; "
                "all maps of a set have one nside"
            )
    (num_pixels, num_channels), _ = shapes.popitem()
    known = all(name in PUBLISHED_CLASSES for name in class_names)
    return MapSet(
        sources=tuple(FitsMap(one) for one in files),
        nside=map_nside(num_pixels, name=str(files[0])),
        num_channels=num_channels,
        labels=np.array([class_names.index(one) for one in classes], np.int64),
        class_names=class_names,
        names=tuple(one.relative_to(folder).as_posix() for one in files),
        parameters=np.array([PUBLISHED_CLASSES[one] for one in classes]) if known else None,
        parameter_names=PARAMETER_NAMES if known else (),
    )


def _class_of(folder: Path, file: Path) -> str:
    """Class of a file: its word of the published data set, or the sub-folder that it lies in."""
    inside = file.relative_to(folder)
    words = [word for word in PUBLISHED_CLASSES if word in inside.as_posix()]
    if len(words) == 1:
        return words[0]
    if len(inside.parts) > 1:
        return inside.parts[0]
    raise ValueError(
        f"{file} must be in a sub-folder named after its class, or have "
        f"{' or '.join(PUBLISHED_CLASSES)} in its name, got neither; move it"
    )


def _open_archive(path: Path) -> MapSet:
    """Maps of an .npz file."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except Exception as error:
        # numpy, zipfile and zlib raise a dozen kinds for files that are cut
        raise ValueError(
            f"{path} must be a complete .npz file without pickled objects, got one that cannot be "
            f"read ({type(error).__name__}); write it again"
        ) from error
    missing = [name for name in ("maps", "labels") if name not in arrays]
    if missing:
        raise ValueError(
            f"{path} must hold maps and labels, got {', '.join(arrays) or 'nothing'}; "
            f"save {' and '.join(missing)} with numpy.savez"
        )
    labels = np.asarray(arrays["labels"]).ravel()
    if labels.dtype.kind not in "iu" or not len(labels):
        raise ValueError(f"{path} must hold whole numbers as labels, got {labels.dtype}")
    default = [str(label) for label in range(int(labels.max()) + 1)]
    parameters = arrays.get("parameters")
    parameter_names = [str(one) for one in arrays.get("parameter_names", PARAMETER_NAMES)]
    names = [f"{path.name}, map {index}" for index in range(len(arrays["maps"]))]
    return _gather(
        arrays["maps"],
        labels.astype(np.int64),
        class_names=[str(one) for one in arrays.get("class_names", default)],
        parameters=None if parameters is None else np.asarray(parameters, np.float64),
        parameter_names=parameter_names,
        ordering=str(arrays.get("ordering", "nested")).lower(),  # pyright: ignore[reportArgumentType]
        names=[str(one) for one in arrays.get("names", names)],
    )
