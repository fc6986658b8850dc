"""On what hardware and with which software a number was measured."""

import importlib.metadata
import os
import platform
import sys
from dataclasses import dataclass
from pathlib import Path

from deepsphere.version import __version__

_RELEVANT = (
    "torch",
    "numpy",
    "scipy",
    "healpix",
    "healpy",
    "camb",
    "glass",
    "lightning",
    "torchmetrics",
    "scikit-learn",
)


@dataclass(frozen=True)
class Extra:
    """An optional part of the installation.

    Parameters
    ----------
    name
        As in ``pip install "deepsphere-torch[name]"``.
    purpose
        What it is for.
    distributions
        The packages that it installs.
    """

    name: str
    purpose: str
    distributions: tuple[str, ...]

    def missing(self) -> list[str]:
        """The packages of it that are not installed.

        Returns
        -------
        list of str
        """
        return [name for name in self.distributions if installed_version(name) is None]

    @property
    def install_command(self) -> str:
        """What to type to install it."""
        return f'pip install "deepsphere-torch[{self.name}]"'


EXTRAS = (
    Extra(
        "train",
        "training, recipes and this command",
        (
            "lightning",
            "torchmetrics",
            "pydantic",
            "typer",
            "rich",
            "scikit-learn",
            "tensorboard",
        ),
    ),
    Extra("plot", "maps, reports and the interactive globe", ("matplotlib", "plotly")),
    Extra(
        "cosmology",
        "simulated and measured maps of the sky, FITS files",
        ("astropy", "healpy", "camb", "glass", "transformcl", "h5py"),
    ),
    Extra("shapes", "meshes and the rays that see them", ("trimesh", "embreex")),
    Extra(
        "climate",
        "xarray in and out, netCDF, Zarr, HDF5, forecasts as films",
        ("xarray", "netCDF4", "zarr", "dask", "h5py", "imageio-ffmpeg"),
    ),
    Extra(
        "stations",
        "tables of weather stations, GHCN-Daily and its download",
        ("pandas", "pyarrow", "requests"),
    ),
    Extra("rivals", "training of the networks to compare with", ("deepsphere-torch",)),
    Extra("gpu", "kernels on a GPU (Linux)", ("triton",)),
)
"""The optional parts, as `pyproject.toml` declares them."""


def installed_version(distribution: str) -> str | None:
    """The installed version of a package, or None.

    Parameters
    ----------
    distribution
        Its name on the package index.

    Returns
    -------
    str or None

    Examples
    --------
    >>> installed_version("no-such-package-anywhere") is None
    True
    """
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def describe_versions() -> dict[str, str]:
    """The versions of Python, of this package, and of those that its numbers depend on.

    Returns
    -------
    dict of str
        Name of the package to its version; an absent one is left out.

    Examples
    --------
    >>> {"deepsphere", "numpy", "python"} <= set(describe_versions())
    True
    """
    versions = {"deepsphere": __version__, "python": platform.python_version()}
    for name in _RELEVANT:
        version = installed_version(name)
        if version is not None:
            versions[name] = version
    return versions


def describe_machine() -> dict[str, str | int | float]:
    """The hardware that decides how long things take, and nothing that names its owner.

    Returns
    -------
    dict
        ``system``, ``processor``, ``cores`` that this process may use, ``threads`` of torch,
        ``memory_gib`` where it is known, and ``accelerator``.
    """
    import torch

    machine: dict[str, str | int | float] = {
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": _usable_cores(),
        "threads": torch.get_num_threads(),
        "accelerator": describe_accelerator(),
    }
    memory = _memory_gib()
    if memory is not None:
        machine["memory_gib"] = memory
    return machine


def describe_accelerator() -> str:
    """The name of the first accelerator that torch sees, or ``"none"``.

    Returns
    -------
    str
    """
    import torch

    if torch.cuda.is_available():
        others = torch.cuda.device_count() - 1
        return torch.cuda.get_device_name(0) + (f" and {others} more" if others else "")
    if torch.backends.mps.is_available():
        return "Apple GPU (mps)"
    return "none"


def _usable_cores() -> int:
    """Cores that this process may use, which can be fewer than there are."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    """The model name of the processor."""
    information = Path("/proc/cpuinfo")
    if information.is_file():
        for line in information.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or "unknown"


def _memory_gib() -> float | None:
    """Memory of the machine in GiB, where the system tells."""
    try:
        num_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not a POSIX system
        return None
    return round(num_bytes / 2**30, 1)
