"""Folders of simulated maps: written in parallel, resumed, and the same bytes in the end."""

import io
import json
import math
import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from deepsphere.data.files import write_atomically
from deepsphere.data.lognormal_maps import draw_map, gaussian_spectra, target_spectra
from deepsphere.data.map_files import is_intact, write_map_file
from deepsphere.data.map_folders import (
    file_digest,
    is_unfinished,
    only_writer,
    package_versions,
    remove_unfinished,
)
from deepsphere.data.simulation_plan import (
    SimulationPlan,
    plan_content,
    plan_from_content,
    plan_shifts,
)
from deepsphere.data.worker_processes import call_in_processes, num_processors

MANIFEST = "simulation.json"
SPECTRA = "spectra.npz"
_FORMAT = 1
_SUFFIX = ".h5"
_PACKAGES = ("camb", "glass", "healpy", "numpy")  # that numbers come from
# Rough times: of a map at nside 1024, of spectra, and that after which another process pays off.
_SECONDS_AT_1024, _SECONDS_OF_SPECTRA, _SECONDS_OF_START = 5.0, 3.0, 6.0


def simulate_maps(
    plan: SimulationPlan,
    folder: str | os.PathLike[str],
    *,
    num_workers: int | None = None,
    advance: Callable[[], None] | None = None,
    overwrite: bool = False,
) -> Path:
    """Make all maps of a plan, each in a file of its own, and continue where an earlier call ended.

    The folder holds ``simulation.json`` (the plan, names, shifts, versions and digests),
    ``spectra.npz`` (``target``, ``gaussian`` and ``shifts`` of each class) and for map 3 of class 0
    ``map-000-00003.h5``, with everything that it was made from inside. A map is there whole or not
    at all. Maps that are there are checked, kept if they are whole and written again otherwise, so
    that a call that was killed and repeated leaves the same bytes as one that was not. The same
    plan with more maps adds maps.

    Parameters
    ----------
    plan
        What to make.
    folder
        Where: new, empty, or of the same plan.
    num_workers
        Processes; below 2 this one does it all; None for as many as there are processors, or fewer
        where there is little to do. Of no effect on the maps.
    advance
        Called after each map, also one that was there already, for a progress bar.
    overwrite
        Replace maps of another plan.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    FileExistsError
        If the folder holds maps of another plan, or other files, or another process writes to it.
    ImportError
        If GLASS, h5py or (for spectra that are not shipped) CAMB are not installed.
    ValueError
        If no maps with such shifts exist, or `num_workers` is negative.

    Examples
    --------
    >>> import tempfile
    >>> from deepsphere.data.map_sets import open_maps
    >>> plan = SimulationPlan(nside=8, num_maps=2, scale="zoom")
    >>> folder = simulate_maps(plan, Path(tempfile.mkdtemp()) / "maps", num_workers=0)
    >>> sorted(path.name for path in folder.iterdir())[:2]
    ['map-000-00000.h5', 'map-000-00001.h5']
    >>> len(open_maps(folder))
    4
    """
    if num_workers is not None and num_workers < 0:
        raise ValueError(
            f"num_workers must not be negative, got {num_workers}; None takes all processors"
        )
    folder = Path(folder)
    _require_place(folder, plan, overwrite=overwrite)
    folder.mkdir(parents=True, exist_ok=True)
    with only_writer(folder):
        _require_place(folder, plan, overwrite=overwrite)
        remove_unfinished(folder)
        if num_workers is None:
            num_workers = _worthwhile_workers(plan)
        if overwrite and _is_other(folder, plan):
            _clear(folder)
        _prepare(plan, folder, num_workers)
        jobs = [(os.fspath(folder), i, j) for i, j in plan_indices(plan)]
        try:
            for _ in call_in_processes(_make_map, jobs, num_workers=num_workers):
                if advance is not None:
                    advance()
        finally:
            remove_unfinished(folder)
    return folder


def read_plan(folder: str | os.PathLike[str]) -> SimulationPlan:
    """Plan of a folder of simulated maps.

    Parameters
    ----------
    folder
        The folder.

    Returns
    -------
    SimulationPlan

    Raises
    ------
    FileNotFoundError
        If it is no such folder.
    ValueError
        If its manifest is damaged.
    """
    return plan_from_content(read_manifest(Path(folder))["plan"])


def read_manifest(folder: Path) -> dict[str, Any]:
    """Content of ``simulation.json``, checked.

    Parameters
    ----------
    folder
        Where it lies.

    Returns
    -------
    dict

    Raises
    ------
    FileNotFoundError
        If it is not there.
    ValueError
        If it is damaged or of a later version.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if manifest["format"] == _FORMAT:
            plan_from_content(manifest["plan"])
            return manifest
    except (UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path} must be the description of a simulation, got a damaged file "
            f"({type(error).__name__}); simulate with --overwrite, or into another folder"
        ) from error
    raise ValueError(
        f"{path} must be of format {_FORMAT}, got {manifest['format']}; it was written by another "
        "version of deepsphere"
    )


def plan_indices(plan: SimulationPlan) -> list[tuple[int, int]]:
    """Class and index of all maps of a plan, map by map so that a part has all classes.

    Parameters
    ----------
    plan
        The plan.

    Returns
    -------
    list of (int, int)

    Examples
    --------
    >>> plan_indices(SimulationPlan(nside=8, num_maps=2))
    [(0, 0), (1, 0), (0, 1), (1, 1)]
    """
    return [(i, j) for j in range(plan.num_maps) for i in range(len(plan.cosmologies))]


def map_path(folder: Path, cosmology_index: int, map_index: int) -> Path:
    """File of a map.

    Parameters
    ----------
    folder
        Of the simulation.
    cosmology_index, map_index
        Which.

    Returns
    -------
    Path

    Examples
    --------
    >>> map_path(Path("maps"), 0, 3).as_posix()
    'maps/map-000-00003.h5'
    """
    return folder / f"map-{cosmology_index:03d}-{map_index:05d}{_SUFFIX}"


def map_settings(manifest: dict[str, Any], cosmology_index: int, map_index: int) -> str:
    """What a map of a simulation is made from, as JSON; the same for any number of maps.

    Parameters
    ----------
    manifest
        Of the simulation.
    cosmology_index, map_index
        Which map.

    Returns
    -------
    str
    """
    plan = {name: value for name, value in manifest["plan"].items() if name != "num_maps"}
    content = {
        "plan": plan,
        "spectra_sha256": manifest["spectra"]["sha256"],
        "cosmology_index": cosmology_index,
        "map_index": map_index,
        "shifts": manifest["shifts"][cosmology_index],
        "notes": manifest["notes"],
    }
    return json.dumps(content, sort_keys=True)


def _make_map(folder: str, cosmology_index: int, map_index: int) -> None:
    """Write a map unless it is there."""
    manifest, plan, spectra = _opened(folder, os.stat(Path(folder) / MANIFEST).st_mtime_ns)
    path = map_path(Path(folder), cosmology_index, map_index)
    settings = map_settings(manifest, cosmology_index, map_index)
    if is_intact(path, settings=settings):
        return
    values = draw_map(
        plan,
        spectra["gaussian"][cosmology_index],
        spectra["shifts"][cosmology_index],
        cosmology_index=cosmology_index,
        map_index=map_index,
    )
    universe = plan.cosmologies[cosmology_index]
    attributes = {
        "omega_m": universe.omega_m,
        "sigma_8": universe.sigma_8,
        "class_name": plan.class_names[cosmology_index],
        "versions": json.dumps(package_versions(_PACKAGES), sort_keys=True),
    }
    write_map_file(path, values, settings=settings, attributes=attributes, overwrite=True)


@lru_cache(maxsize=2)
def _opened(
    folder: str, modified: int
) -> tuple[dict[str, Any], SimulationPlan, dict[str, np.ndarray]]:
    """Manifest, plan and spectra of a folder whose manifest was last changed at this time."""
    manifest = read_manifest(Path(folder))
    with np.load(Path(folder) / SPECTRA, allow_pickle=False) as file:
        spectra = {name: file[name] for name in file.files}
    return manifest, plan_from_content(manifest["plan"]), spectra


def _prepare(plan: SimulationPlan, folder: Path, num_workers: int) -> None:
    """Write spectra and manifest, unless they are there."""
    path = folder / SPECTRA
    if (folder / MANIFEST).exists():
        manifest = read_manifest(folder)
        if path.exists() and file_digest(path) == manifest["spectra"]["sha256"]:
            if manifest["plan"]["num_maps"] < plan.num_maps:
                manifest["plan"]["num_maps"] = plan.num_maps
                _write_manifest(folder, manifest)
            return
    targets, gaussians = _solve_all(plan, num_workers)
    shifts = plan_shifts(plan)
    buffer = io.BytesIO()
    np.savez(buffer, target=targets, gaussian=gaussians, shifts=shifts)
    with write_atomically(path, overwrite=True) as temporary:
        temporary.write_bytes(buffer.getvalue())
    manifest = {
        "format": _FORMAT,
        "kind": "simulation",
        "plan": plan_content(plan),
        "class_names": plan.class_names,
        "shifts": shifts.tolist(),
        "max_degree": plan.max_degree,
        "zoom": plan.zoom,
        "notes": plan.notes,
        "spectra": {"file": SPECTRA, "sha256": file_digest(path)},
        "versions": package_versions(_PACKAGES),
    }
    _write_manifest(folder, manifest)


def _solve_all(plan: SimulationPlan, num_workers: int) -> tuple[np.ndarray, np.ndarray]:
    """Target spectra, one of each class or of all, and those of the Gaussian fields of each."""
    if plan.spectra == "common":
        target = target_spectra(plan)
        solved = [gaussian_spectra(target, shifts) for shifts in plan_shifts(plan)]
        return target[None], np.array(solved)
    # each class needs CAMB, for seconds
    jobs = [(plan, index) for index in range(len(plan.cosmologies))]
    found = dict(call_in_processes(_solve_own, jobs, num_workers=num_workers))
    targets, gaussians = zip(*(found[index] for index in range(len(jobs))), strict=True)
    return np.array(targets), np.array(gaussians)


def _solve_own(plan: SimulationPlan, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Target spectra of a class, and those of its Gaussian fields."""
    target = target_spectra(plan, cosmology_index=index)
    return target, gaussian_spectra(target, plan_shifts(plan)[index])


def _write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    """Write the description of the folder."""
    with write_atomically(folder / MANIFEST, overwrite=True) as temporary:
        temporary.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def _require_place(folder: Path, plan: SimulationPlan, *, overwrite: bool) -> None:
    """Raise unless the maps may be written to the folder."""
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"folder must name a folder, got the file {folder}; choose another")
    if not folder.exists():
        return
    if (folder / MANIFEST).exists():
        if not overwrite and (reason := _difference(folder, plan)):
            raise FileExistsError(
                f"{folder} must be empty or hold maps of the same plan, got another one "
                f"({reason}); choose another folder, or replace its maps (overwrite=True, "
                "--overwrite)"
            )
        return
    # what a call that was killed at its very beginning leaves
    others = [
        one.name for one in folder.iterdir() if not is_unfinished(one) and one.name != SPECTRA
    ]
    if others:
        raise FileExistsError(
            f"{folder} must be empty or hold maps of the same plan, got other files "
            f"({sorted(others)[0]}); choose another folder"
        )


def _difference(folder: Path, plan: SimulationPlan) -> str:
    """In what the plan of a folder differs, in words; empty if it can be continued."""
    try:
        found = json.loads(json.dumps(read_manifest(folder)["plan"]))
    except ValueError as error:
        return str(error)
    wanted = json.loads(json.dumps(plan_content(plan)))
    for name, value in wanted.items():
        if name != "num_maps" and found[name] != value:
            return f"{name} {found[name]} instead of {value}"
    if found["num_maps"] > plan.num_maps:
        return f"num_maps {found['num_maps']}, more than {plan.num_maps}"
    return ""


def _is_other(folder: Path, plan: SimulationPlan) -> bool:
    """Whether the folder holds maps of another plan."""
    return (folder / MANIFEST).exists() and bool(_difference(folder, plan))


def _clear(folder: Path) -> None:
    """Remove the maps of another plan, the manifest first: without it there is no simulation."""
    for path in (folder / MANIFEST, folder / SPECTRA, *folder.glob(f"map-*{_SUFFIX}")):
        path.unlink(missing_ok=True)


def _worthwhile_workers(plan: SimulationPlan) -> int:
    """Processes that pay off."""
    num_values = len(plan_indices(plan)) * len(plan.redshifts) * (plan.nside / 1024) ** 2
    seconds = num_values * _SECONDS_AT_1024
    if plan.spectra == "own":
        seconds += len(plan.cosmologies) * _SECONDS_OF_SPECTRA
    return min(num_processors(), math.ceil(seconds / _SECONDS_OF_START))
