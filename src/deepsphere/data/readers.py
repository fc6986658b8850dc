"""Files of signals, read into one checked form."""

import os
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import numpy as np
from jaxtyping import Float, Num

from deepsphere.data.files import file_suffix
from deepsphere.data.healpix_fits import Ordering, read_healpix_fits
from deepsphere.fields import from_xarray, is_dataset_path, open_dataset
from deepsphere.sampling import Healpix, Subset

_BROKEN_ARCHIVE = (ValueError, TypeError, EOFError, OSError, zipfile.BadZipFile, zlib.error)
Missing = Literal["raise", "keep"]


@dataclass(frozen=True, eq=False)
class SignalFile:
    """Signals as they were found in a file, with what the file says about their sampling.

    Parameters
    ----------
    signals
        Shape (signals, vertices, channels), float32 or float64.
    ordering
        Order of HEALPix pixels, None when the file does not say.
    sampling
        Specification of the sampling, as in `Sampling.spec`, None when the file does not say.
    channel_names
        Names of the channels, None when the file does not say.

    Examples
    --------
    >>> SignalFile(np.zeros((1, 12, 1)), "ring", "healpix:nside=1,ordering=ring").ordering
    'ring'
    """

    signals: Float[np.ndarray, "signals vertices channels"]
    ordering: Ordering | None = None
    sampling: str | None = None
    channel_names: tuple[str, ...] | None = None


class _Content(NamedTuple):
    """What a file holds, as it is."""

    array: np.ndarray
    ordering: Ordering | None = None
    sampling: str | None = None
    channel_names: tuple[str, ...] | None = None


def read_signals(path: str | os.PathLike[str], *, missing: Missing = "raise") -> SignalFile:
    """Signals of a file, in shape (signals, vertices, channels).

    ======  ======================================================================================
    .npy    An array (signals, vertices, channels), (vertices, channels) or (vertices,).
    .npz    Such an array under the key `signals`; optionally the strings `ordering` (nested, ring)
            and `sampling` (a specification), and `channel_names`.
    .csv    One signal: a row for each vertex, a column for each channel, numbers between commas;
            a first line that is not numeric is taken as names of the columns.
    .fits   HEALPix maps, each column of the table a channel; also .fits.gz. The keywords ORDERING
            and NSIDE give the sampling, explicit indexing (partial sky) gives a subset. UNSEEN
            pixels (-1.6375e30) become NaN. Needs the extra `cosmology`.
    .nc     Fields with coordinates, netCDF or a Zarr store (.zarr, .zarr.zip): the variables are
            the channels, the grid is recognised (`deepsphere.fields`), all other dimensions count
            the signals. Needs the extra `climate`.
    ======  ======================================================================================

    Parameters
    ----------
    path
        The file; its suffix tells the format.
    missing
        "raise" rejects NaN and infinite values; "keep" leaves them where they are.

    Returns
    -------
    SignalFile
        float32 and float64 are kept; integers and other widths become float32.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If the suffix is unknown, the content is not of the form above, or values are not finite.
    ImportError
        If a FITS file is read without astropy, or a netCDF file or Zarr store without xarray.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "signals.npy"
    >>> np.save(path, np.zeros((5, 12, 2)))
    >>> read_signals(path).signals.shape
    (5, 12, 2)
    """
    path = Path(path)
    if missing not in get_args(Missing):
        raise ValueError(f"missing must be one of {', '.join(get_args(Missing))}, got {missing!r}")
    content = _read(path)
    signals = _as_signals(path, content.array)
    if missing == "raise":
        check_finite(signals, name=str(path))
    return SignalFile(signals, *content[1:])


def read_flags(path: str | os.PathLike[str]) -> SignalFile:
    """Masks of a file, as signals of numbers: true is 1, and a missing value NaN.

    Parameters
    ----------
    path
        A file as for `read_signals`, whose array may also be of booleans.

    Returns
    -------
    SignalFile

    Raises
    ------
    FileNotFoundError, ValueError, ImportError
        As `read_signals`.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "mask.npy"
    >>> np.save(path, np.array([True, False]))
    >>> read_flags(path).signals.ravel()
    array([1., 0.], dtype=float32)
    """
    path = Path(path)
    content = _read(path)
    array = content.array.astype(np.float32) if content.array.dtype == bool else content.array
    return SignalFile(_as_signals(path, array), *content[1:])


def _read(path: Path) -> _Content:
    """What is in the file, by its suffix."""
    if is_dataset_path(path):
        return _read_fields(path)
    reader = _READERS.get(file_suffix(path))
    if reader is None:
        raise ValueError(
            f"path must end in one of {', '.join(_READERS)}, .nc, .zarr, got {path}; convert it to "
            "one of them"
        )
    if not path.is_file():
        raise FileNotFoundError(f"path must name a file of signals, got {path}, which is not there")
    return reader(path)


def check_finite(
    signals: Float[np.ndarray, "signals vertices channels"], *, name: str = "signals"
) -> None:
    """Raise unless every value is finite; the message says how many are not, and where.

    Parameters
    ----------
    signals
        Shape (signals, vertices, channels).
    name
        What to call the signals in the message.

    Raises
    ------
    ValueError
        If a value is NaN or infinite.

    Examples
    --------
    >>> check_finite(np.zeros((1, 12, 1)))
    """
    is_bad = ~np.isfinite(signals)
    if not is_bad.any():
        return
    num_nan = int(np.isnan(signals).sum())
    num_infinite = int(is_bad.sum()) - num_nan
    signal, vertex, channel = np.unravel_index(int(is_bad.argmax()), signals.shape)
    raise ValueError(
        f"{name} must be finite, got {num_nan} NaN and {num_infinite} infinite of {signals.size} "
        f"values (first: signal {signal}, vertex {vertex}, channel {channel}); fill them, or keep "
        'the finite vertices: read with missing="keep" and use sampling.subset(mask), or in '
        "predictions --adapt"
    )


def _as_signals(
    path: Path, array: Num[np.ndarray, "..."]
) -> Float[np.ndarray, "signals vertices channels"]:
    """The array with three axes, in float32 or float64."""
    if not (np.issubdtype(array.dtype, np.integer) or np.issubdtype(array.dtype, np.floating)):
        raise ValueError(f"{path} must hold real numbers, got an array of {array.dtype}")
    if array.ndim == 1:
        array = array[None, :, None]
    elif array.ndim == 2:
        array = array[None]
    if array.ndim != 3 or 0 in array.shape:
        raise ValueError(
            f"{path} must hold an array (signals, vertices, channels), (vertices, channels) or "
            f"(vertices,) that is not empty, got shape {array.shape}"
        )
    dtype = np.float64 if array.dtype.newbyteorder("=") == np.float64 else np.float32
    return np.ascontiguousarray(array, dtype=dtype)


def _read_npy(path: Path) -> _Content:
    """Array of a .npy file."""
    try:
        array = np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise ValueError(
            f"{path} must be a NumPy array file, got {_numpy_complaint(error)}"
        ) from error
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{path} must hold a single array, got an archive; rename it to .npz")
    return _Content(array)


def _read_npz(path: Path) -> _Content:
    """Array, ordering and sampling of a .npz file."""
    try:
        # opened here: NumPy leaves the file open when the archive is broken
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            content = {key: archive[key] for key in archive.files}
    except _BROKEN_ARCHIVE as error:
        raise ValueError(
            f"{path} must be a NumPy archive, got {_numpy_complaint(error)}"
        ) from error
    if "signals" not in content:
        raise ValueError(
            f"{path} must hold an array named signals, got {', '.join(content) or 'nothing'}"
        )
    ordering = str(content["ordering"]) if "ordering" in content else None
    sampling = str(content["sampling"]) if "sampling" in content else None
    names = None
    if "channel_names" in content:
        names = tuple(str(name) for name in np.atleast_1d(content["channel_names"]))
        found = content["signals"].shape[-1] if content["signals"].ndim > 1 else 1
        if len(names) != found:
            raise ValueError(
                f"{path} must have one of channel_names for each channel ({found}), got "
                f"{', '.join(names) or 'none'}"
            )
    return _Content(content["signals"], _as_ordering(path, ordering), sampling, names)


def _read_csv(path: Path) -> _Content:
    """Columns of a .csv file: vertices in rows, channels in columns."""
    rows = path.read_text(encoding="utf-8-sig").splitlines()
    rows = [(number, row.split(",")) for number, row in enumerate(rows, start=1) if row.strip()]
    names = None
    if rows and not _is_numeric(rows[0][1]):
        names, rows = tuple(word.strip() for word in rows[0][1]), rows[1:]
    if not rows:
        raise ValueError(f"{path} must hold a row of numbers for each vertex, got no row")
    num_columns = len(rows[0][1])
    values = np.empty((len(rows), num_columns))
    for index, (number, row) in enumerate(rows):
        if len(row) != num_columns:
            raise ValueError(
                f"{path} must hold {num_columns} columns in every row, "
                f"got {len(row)} in line {number}"
            )
        try:
            values[index] = [float(word) for word in row]
        except ValueError as error:
            raise ValueError(
                f"{path} must hold numbers between commas, got {','.join(row)!r} in line {number}"
            ) from error
    named = names is not None and len(names) == num_columns
    return _Content(values, channel_names=names if named else None)


def _is_numeric(words: list[str]) -> bool:
    """Whether one of the words is a number: names of columns are not."""
    for word in words:
        try:
            float(word)
        except ValueError:
            continue
        return True
    return False


def _read_fits(path: Path) -> _Content:
    """Maps, ordering and sampling of a HEALPix FITS file."""
    maps = read_healpix_fits(path)
    return _Content(maps.signals, maps.ordering, maps.sampling, maps.channel_names)


def _read_fields(path: Path) -> _Content:
    """Fields of a netCDF file or a Zarr store, on the sampling of their coordinates."""
    data = open_dataset(path)
    fields = from_xarray(data)
    signals = fields.signals.reshape(-1, *fields.signals.shape[-2:])
    data.close()
    whole = fields.sampling.base if isinstance(fields.sampling, Subset) else fields.sampling
    ordering = whole.ordering if isinstance(whole, Healpix) else None
    return _Content(signals, ordering, fields.sampling.spec, fields.channel_names)


def _as_ordering(path: Path, word: str | None) -> Ordering | None:
    """The ordering that a file names, in our spelling."""
    orderings: dict[str, Ordering] = {"nested": "nested", "nest": "nested", "ring": "ring"}
    if word is None:
        return None
    if word.lower() not in orderings:
        raise ValueError(f"{path} must name the ordering nested or ring, got {word!r}")
    return orderings[word.lower()]


def _one_line(error: Exception) -> str:
    """First line of the message of an error of a library."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def _numpy_complaint(error: Exception) -> str:
    """What NumPy found, without its advice to load unknown files unsafely."""
    if "pickle" in str(error):
        return "another format or Python objects, which are not loaded for your safety"
    return _one_line(error)


_READERS: dict[str, Callable[[Path], _Content]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".csv": _read_csv,
    ".fits": _read_fits,
}
