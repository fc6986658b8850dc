"""HEALPix maps in FITS files, as WMAP, Planck and healpy write them."""

import warnings
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from jaxtyping import Float

from deepsphere.sampling import Healpix, Sampling, Subset

Ordering = Literal["nested", "ring"]
UNSEEN = -1.6375e30  # the value of a pixel that was not observed, by convention of HEALPix
PIXEL_COLUMN = "PIXEL"


class HealpixMaps(NamedTuple):
    """Maps of one table of a FITS file: a channel for each column."""

    signals: Float[np.ndarray, "vertices channels"]
    ordering: Ordering
    sampling: str
    channel_names: tuple[str, ...] = ()


def read_healpix_fits(path: Path) -> HealpixMaps:
    """Maps in the first HEALPix table of a FITS file, with UNSEEN pixels as NaN.

    Parameters
    ----------
    path
        The file, which may be gzipped.

    Returns
    -------
    HealpixMaps
        Signals (vertices, channels), the ordering, and the specification of the sampling: the
        full sphere, or a subset where the pixels are indexed explicitly.

    Raises
    ------
    ImportError
        If astropy is not installed.
    ValueError
        If the file is damaged, has no HEALPix table, does not give the ordering, or has a number
        of pixels that no nside has.

    References
    ----------
    Górski et al., "HEALPix: a framework for high-resolution discretization", ApJ 622 (2005); the
    keywords are those of "The HEALPix primer", appendix on FITS formats.
    """
    try:
        from astropy.io import fits
    except ImportError as error:
        raise ImportError(
            "reading FITS files needs astropy, which is not installed; "
            "pip install 'deepsphere-torch[cosmology]'"
        ) from error
    try:
        with warnings.catch_warnings(), fits.open(path, memmap=False) as units:
            warnings.filterwarnings("error", message=".*may have been truncated.*")
            tables = [unit for unit in units if _is_healpix(unit)]
            if not tables:
                raise ValueError(f"{path} must hold a table of HEALPix pixels, got none")
            return _read_table(path, tables[0])
    except (OSError, EOFError, TypeError, IndexError, UserWarning) as error:
        message = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(f"{path} must be a complete FITS file, got {message}") from error


def write_healpix_fits(
    path: Path,
    signals: Float[np.ndarray, "vertices channels"],
    sampling: Sampling,
    channel_names: tuple[str, ...],
) -> None:
    """Write maps as a table that `read_healpix_fits`, and healpy, read; NaN becomes UNSEEN.

    Parameters
    ----------
    path
        The file.
    signals
        Shape (vertices, channels).
    sampling
        `Healpix`, or a subset of it, which is written with explicit pixels.
    channel_names
        One for each channel.

    Raises
    ------
    ImportError
        If astropy is not installed.
    ValueError
        If the sampling is not HEALPix.
    """
    whole = sampling.base if isinstance(sampling, Subset) else sampling
    if not isinstance(whole, Healpix):
        raise ValueError(
            f"the sampling of a FITS file must be HEALPix, got {sampling!r}; write .nc, .zarr or "
            ".npz"
        )
    try:
        from astropy.io import fits
    except ImportError as error:
        raise ImportError(
            "writing FITS files needs astropy, which is not installed; "
            "pip install 'deepsphere-torch[cosmology]'"
        ) from error
    code = "E" if signals.dtype == np.float32 else "D"
    values = np.where(np.isnan(signals), signals.dtype.type(UNSEEN), signals)
    columns = [
        fits.Column(name=name, format=code, array=values[:, channel])
        for channel, name in enumerate(channel_names)
    ]
    if isinstance(sampling, Subset):
        columns.insert(0, fits.Column(name=PIXEL_COLUMN, format="K", array=sampling.indices))
    table = fits.BinTableHDU.from_columns(columns)
    table.header["PIXTYPE"] = "HEALPIX"
    table.header["ORDERING"] = "NESTED" if whole.ordering == "nested" else "RING"
    table.header["NSIDE"] = whole.nside
    table.header["FIRSTPIX"], table.header["LASTPIX"] = 0, whole.num_vertices - 1
    table.header["INDXSCHM"] = "EXPLICIT" if isinstance(sampling, Subset) else "IMPLICIT"
    table.writeto(path)


def _is_healpix(unit: Any) -> bool:
    """Whether a unit of a FITS file is a table of HEALPix pixels."""
    has_columns = unit.header.get("XTENSION", "").strip() == "BINTABLE"
    return has_columns and ("ORDERING" in unit.header or unit.header.get("PIXTYPE") == "HEALPIX")


def _read_table(path: Path, table: Any) -> HealpixMaps:
    """Columns of the table, one below the other in each channel."""
    ordering = _ordering(path, table.header.get("ORDERING"))
    columns = {name: np.asarray(table.data[name]).ravel() for name in table.columns.names}
    is_partial = str(table.header.get("INDXSCHM", "IMPLICIT")).strip().upper() == "EXPLICIT"
    pixels = columns.pop(_pixel_column(path, columns)) if is_partial else None
    if not columns or len({len(column) for column in columns.values()}) != 1:
        sizes = {name: len(column) for name, column in columns.items()}
        raise ValueError(f"{path} must hold columns of equal length, got {sizes or 'none'}")
    # FITS is big-endian, torch is not
    signals = np.stack(
        [column.astype(column.dtype.newbyteorder("=")) for column in columns.values()]
    )
    signals = signals.T.astype(np.float64 if signals.dtype == np.float64 else np.float32)
    signals[np.isclose(signals, UNSEEN, rtol=1e-5, atol=0)] = np.nan
    nside = _nside(path, table.header.get("NSIDE"), len(signals), is_partial=is_partial)
    sampling = Healpix(nside, ordering=ordering)
    where = sampling if pixels is None else sampling.subset(pixels.astype(np.int64))
    return HealpixMaps(signals, ordering, where.spec, tuple(columns))


def _pixel_column(path: Path, columns: dict[str, np.ndarray]) -> str:
    """Name of the column of pixel numbers in a map of a part of the sphere."""
    for name in columns:
        if name.strip().upper() in (PIXEL_COLUMN, "PIX", "IPIX"):
            return name
    raise ValueError(
        f"{path} must hold a column {PIXEL_COLUMN} since its INDXSCHM is EXPLICIT, "
        f"got {', '.join(columns)}"
    )


def _ordering(path: Path, word: str | None) -> Ordering:
    """Ordering that the header names."""
    upper = str(word).strip().upper()
    if upper == "RING":
        return "ring"
    if upper in ("NESTED", "NEST"):
        return "nested"
    raise ValueError(
        f"{path} must give the keyword ORDERING as RING or NESTED, got {word!r}; "
        "set it with astropy.io.fits.setval"
    )


def _nside(path: Path, stated: int | None, num_pixels: int, *, is_partial: bool) -> int:
    """Resolution that the header states, which must agree with the number of pixels."""
    if is_partial:
        if stated is None:
            raise ValueError(f"{path} must give the keyword NSIDE since it is a partial map")
        return int(stated)
    implied = round((num_pixels / 12) ** 0.5)
    if 12 * implied**2 != num_pixels or (stated is not None and int(stated) != implied):
        raise ValueError(
            f"{path} must hold 12 nside² pixels (its NSIDE is {stated}), got {num_pixels}; "
            "the file is damaged"
        )
    return implied
