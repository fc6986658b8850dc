"""Angular power spectra of the convergence of weak lensing: shipped, cached, or from CAMB."""

import hashlib
import json
import zipfile
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.interpolate import CubicSpline, RectBivariateSpline

from deepsphere.data.cosmologies import (
    DEFAULT_COSMOLOGIES,
    LARGEST_REDSHIFT,
    SPEED_OF_LIGHT,
    Cosmology,
)
from deepsphere.data.files import write_atomically
from deepsphere.version import __version__

SHIPPED = "convergence_spectra.npz"
SHIPPED_REDSHIFTS = (1.0,)
# Spectra are computed up to this degree, or this plus one times a power of two minus one, so that a
# value does not depend on how many others were asked for.
STANDARD_DEGREE = 6143
_EVERY_DEGREE = 50  # below, each degree is a node of the interpolation
_NODE_RATIO = 1.04  # of neighboring nodes above
# Of the computation: counted up when it changes, since caches of other numbers must not be read.
_RECIPE = 1
_HALOFIT = "mead2020"
_LARGEST_WAVENUMBER = 50.0  # 1/Mpc; beyond, the power law goes on
_NUM_REDSHIFTS = 100  # at which CAMB gives the power
_NUM_DISTANCES = 300  # of the Gauss-Legendre rule along the line of sight
_FIRST_AMPLITUDE = 2e-9  # of the primordial fluctuations, before σ_8 is reached
# What reading a file that is cut, overwritten or not ours can raise.
_DAMAGE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


def convergence_spectra(
    cosmology: Cosmology,
    *,
    redshifts: Sequence[float | int] = SHIPPED_REDSHIFTS,
    max_degree: int,
) -> Float[np.ndarray, "redshifts redshifts degrees"]:
    """Auto and cross spectra C_l of the convergence for planes of sources at some redshifts.

    C_l^ij = (9/4) Ω_m² (H_0/c)⁴ ∫ (1 + z)² (1 − χ/χ_i) (1 − χ/χ_j) P((l + ½)/χ, z) dχ up to the
    nearer of the planes χ_i and χ_j, in the Limber and Born approximations. P is the nonlinear
    matter power of CAMB (HMcode-2020), with the primordial amplitude scaled to reach σ_8.

    Where CAMB is needed it takes about three seconds, once: spectra are kept in the subfolder
    ``spectra`` of what the environment variable DEEPSPHERE_CACHE names, or else of the folder that
    the system has for caches ("off" for none). The two universes of
    :data:`~deepsphere.data.cosmologies.DEFAULT_COSMOLOGIES` at redshift 1 come with the library up
    to degree 6143 and need no CAMB.

    Parameters
    ----------
    cosmology
        The universe.
    redshifts
        Of the source planes, in (0, 4], each once.
    max_degree
        Largest degree l, at least 1. Below 10 or so the Limber approximation is off by percents.

    Returns
    -------
    Float[np.ndarray, "redshifts redshifts degrees"]
        float64, symmetric in the first two axes, of degrees 0 to `max_degree`.

    Raises
    ------
    ImportError
        If CAMB is needed and not installed.
    ValueError
        If a redshift or the degree is out of range.

    Examples
    --------
    >>> spectra = convergence_spectra(DEFAULT_COSMOLOGIES[0], max_degree=1000)
    >>> spectra.shape, f"{spectra[0, 0, 100]:.1e}"
    ((1, 1, 1001), '8.0e-09')

    References
    ----------
    Bartelmann, Schneider, "Weak gravitational lensing", Physics Reports 340 (2001), section 6.
    Mead et al., "HMcode-2020", MNRAS 502 (2021). LoVerde, Afshordi, "Extended Limber
    approximation", PRD 78 (2008).
    """
    planes = tuple(float(redshift) for redshift in redshifts)
    _check(planes, max_degree)
    standard = STANDARD_DEGREE
    while standard < max_degree:
        standard = 2 * standard + 1
    nodes, values = _node_values(cosmology, planes, standard)
    spline = CubicSpline(np.log(nodes + 0.5), np.log(values), axis=-1)
    spectra = np.exp(spline(np.log(np.arange(max_degree + 1) + 0.5)))
    return spectra[_pair_index(len(planes))]


def spectra_nodes(max_degree: int) -> Float[np.ndarray, "nodes"]:
    """Degrees at which spectra are computed: all up to 50, then spaced evenly in the logarithm.

    Parameters
    ----------
    max_degree
        The largest one is at least this.

    Returns
    -------
    Float[np.ndarray, "nodes"]
        Increasing.

    Examples
    --------
    >>> nodes = spectra_nodes(6143)
    >>> len(nodes), nodes[:3].tolist(), bool(nodes[-1] > 6143)
    (175, [0.0, 1.0, 2.0], True)
    """
    num_spaced = int(np.ceil(np.log(max_degree / _EVERY_DEGREE) / np.log(_NODE_RATIO))) + 2
    spaced = _EVERY_DEGREE * _NODE_RATIO ** np.arange(num_spaced)
    return np.concatenate([np.arange(_EVERY_DEGREE), spaced])


def compute_node_values(
    cosmology: Cosmology, redshifts: tuple[float, ...], nodes: Float[np.ndarray, "nodes"]
) -> Float[np.ndarray, "pairs nodes"]:
    """Spectra at some degrees by CAMB, neither from the library nor from the cache.

    Parameters
    ----------
    cosmology
        The universe.
    redshifts
        Of the source planes.
    nodes
        Degrees, not necessarily whole.

    Returns
    -------
    Float[np.ndarray, "pairs nodes"]
        For the pairs (0, 0), (1, 0), (1, 1), (2, 0) … of redshifts.

    Raises
    ------
    ImportError
        If CAMB is not installed.
    """
    background, log_power = _matter_power(cosmology, max(redshifts))
    amplitude = (1.5 * cosmology.omega_m * (cosmology.hubble / SPEED_OF_LIGHT) ** 2) ** 2
    planes = [float(background.comoving_radial_distance(z)) for z in redshifts]
    roots, weights = np.polynomial.legendre.leggauss(_NUM_DISTANCES)
    values = []
    for first, second in _pairs(len(redshifts)):
        nearest = min(planes[first], planes[second])
        # squared roots: the nodes crowd near the observer, where k = (l + ½)/χ varies fastest
        fraction = (1 + roots) / 2
        distance = nearest * fraction**2
        step = weights * nearest * fraction
        z = np.asarray(background.redshift_at_comoving_radial_distance(distance))
        lensing = (1 + z) ** 2 * (1 - distance / planes[first]) * (1 - distance / planes[second])
        wavenumber = (nodes[:, None] + 0.5) / distance
        power = np.exp(log_power(np.broadcast_to(z, wavenumber.shape), np.log(wavenumber)))
        values.append(amplitude * (power @ (step * lensing)))
    return np.array(values)


def _matter_power(cosmology: Cosmology, redshift: float) -> tuple[Any, Any]:
    """CAMB's background, and the logarithm of the power (Mpc³) as a function of z and log k."""
    try:
        import camb
        from camb import model
    except ImportError as error:
        raise ImportError(
            "spectra of another setting than the shipped one need CAMB, which is not installed; "
            "pip install 'deepsphere-torch[cosmology]'"
        ) from error
    reduced = (cosmology.hubble / 100) ** 2
    parameters = camb.CAMBparams()
    parameters.set_cosmology(
        H0=cosmology.hubble,
        ombh2=cosmology.omega_b * reduced,
        omch2=(cosmology.omega_m - cosmology.omega_b) * reduced,
        omk=0.0,
        mnu=0.0,
        num_massive_neutrinos=0,
    )
    parameters.InitPower.set_params(As=_FIRST_AMPLITUDE, ns=cosmology.spectral_index)
    parameters.NonLinearModel.set_params(halofit_version=_HALOFIT)
    parameters.NonLinear = model.NonLinear_none
    parameters.WantCls = False
    parameters.set_matter_power(
        redshifts=np.linspace(redshift, 0.0, _NUM_REDSHIFTS).tolist(),
        kmax=_LARGEST_WAVENUMBER,
        silent=True,
    )
    results = camb.get_transfer_functions(parameters)
    results.calc_power_spectra()
    # σ_8 is linear in the square root of the amplitude, and transfer functions know no amplitude
    ratio = (cosmology.sigma_8 / float(results.get_sigma8_0())) ** 2
    results.Params.InitPower.set_params(As=_FIRST_AMPLITUDE * ratio, ns=cosmology.spectral_index)
    results.Params.NonLinear = model.NonLinear_both
    results.calc_power_spectra()
    wavenumber, redshifts, power = results.get_nonlinear_matter_power_spectrum(
        hubble_units=False, k_hunit=False
    )
    log_k, log_p = np.log(wavenumber), np.log(power)
    inside = RectBivariateSpline(redshifts, log_k, log_p)
    # at both ends the power is a power of k: k^n_s below, some other above
    first = CubicSpline(redshifts, (log_p[:, 1] - log_p[:, 0]) / (log_k[1] - log_k[0]))
    last = CubicSpline(redshifts, (log_p[:, -1] - log_p[:, -9]) / (log_k[-1] - log_k[-9]))

    def log_power(z: np.ndarray, log_wavenumber: np.ndarray) -> np.ndarray:
        within = np.clip(log_wavenumber, log_k[0], log_k[-1])
        beyond = log_wavenumber - within
        return inside.ev(z, within) + beyond * np.where(beyond < 0, first(z), last(z))

    return results, log_power


def _node_values(
    cosmology: Cosmology, redshifts: tuple[float, ...], standard: int
) -> tuple[np.ndarray, np.ndarray]:
    """Nodes up to a standard degree and the spectra there, from where they are found first."""
    nodes = spectra_nodes(standard)
    if standard == STANDARD_DEGREE and redshifts == SHIPPED_REDSHIFTS:
        shipped = _shipped()
        if cosmology in shipped:
            return nodes, shipped[cosmology]
    key = _key(cosmology, redshifts, standard)
    folder = spectra_folder()
    path = None if folder is None else folder / f"convergence-{key[:32]}.npz"
    if path is not None:
        found = _read(path, key, shape=(len(_pairs(len(redshifts))), len(nodes)))
        if found is not None:
            return nodes, found
    values = compute_node_values(cosmology, redshifts, nodes)
    if path is not None:
        # the cache never decides whether spectra can be had
        with suppress(OSError), write_atomically(path, overwrite=True) as temporary:
            np.savez(temporary, key=np.array(key), values=values)
    return nodes, values


def spectra_folder() -> Path | None:
    """Folder of the user for spectra, beside that of graphs.

    The subfolder ``spectra`` of what the environment variable DEEPSPHERE_CACHE names, or else of
    the folder that the system has for caches.

    Returns
    -------
    Path or None
        None where the variable is empty or "off".

    Examples
    --------
    >>> folder = spectra_folder()
    >>> folder is None or folder.name == "spectra"
    True
    """
    from deepsphere.graph.cache import cache_folder

    return cache_folder("spectra")


def write_shipped(path: Path) -> None:
    """Compute the spectra that come with the library, for its developers.

    Parameters
    ----------
    path
        The file to write; an existing one is replaced.

    Raises
    ------
    ImportError
        If CAMB is not installed.
    """
    nodes = spectra_nodes(STANDARD_DEGREE)
    values = [compute_node_values(one, SHIPPED_REDSHIFTS, nodes) for one in DEFAULT_COSMOLOGIES]
    with write_atomically(path, overwrite=True) as temporary:
        np.savez(temporary, values=np.array(values))


@lru_cache(maxsize=1)
def _shipped() -> dict[Cosmology, np.ndarray]:
    """Spectra that come with the library."""
    file = resources.files("deepsphere.data") / "shipped" / SHIPPED
    with file.open("rb") as raw, np.load(raw, allow_pickle=False) as stored:
        return dict(zip(DEFAULT_COSMOLOGIES, stored["values"], strict=True))


def _read(path: Path, key: str, *, shape: tuple[int, int]) -> np.ndarray | None:
    """Spectra in a file of the cache; None if it is not there, damaged, or of something else."""
    try:
        with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
            values = file["values"] if str(file["key"]) == key else None
    except _DAMAGE:
        return None
    if values is None or values.shape != shape or not (values > 0).all():
        return None
    return values


def _key(cosmology: Cosmology, redshifts: tuple[float, ...], standard: int) -> str:
    """Digest of all that spectra depend on."""
    content = {
        "cosmology": asdict(cosmology),
        "redshifts": redshifts,
        "degree": standard,
        "recipe": _RECIPE,
        "halofit": _HALOFIT,
        "version": __version__,
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _pairs(num: int) -> list[tuple[int, int]]:
    """Pairs of redshifts, the second not above the first."""
    return [(first, second) for first in range(num) for second in range(first + 1)]


def _pair_index(num: int) -> np.ndarray:
    """Matrix of the index of each pair."""
    index = np.zeros((num, num), np.int64)
    for position, (first, second) in enumerate(_pairs(num)):
        index[first, second] = index[second, first] = position
    return index


def _check(redshifts: tuple[float, ...], max_degree: int) -> None:
    """Raise unless there are spectra to compute."""
    if not redshifts or any(not 0 < z <= LARGEST_REDSHIFT for z in redshifts):
        raise ValueError(
            f"redshifts must be in (0, {LARGEST_REDSHIFT:g}], at least one, got {redshifts}"
        )
    if len(set(redshifts)) < len(redshifts):
        raise ValueError(f"redshifts must differ, got {redshifts}; name each once")
    if max_degree < 1:
        raise ValueError(f"max_degree must be at least 1, got {max_degree}")
