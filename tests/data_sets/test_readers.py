"""Files of signals of every format, and what is wrong with them."""

import sys
from pathlib import Path

import jaxtyping
import numpy as np
import pytest

from deepsphere.data import read_signals, write_predictions
from deepsphere.sampling import Healpix, sampling_from_spec

SIGNALS = np.random.default_rng(0).random((2, 12, 3))


@pytest.mark.parametrize(
    ("array", "expected"),
    [(SIGNALS, SIGNALS), (SIGNALS[0], SIGNALS[:1]), (SIGNALS[0, :, 0], SIGNALS[:1, :, :1])],
    ids=["signals", "vertices and channels", "vertices"],
)
@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_arrays_get_three_axes(
    tmp_path: Path, array: np.ndarray, expected: np.ndarray, suffix: str
) -> None:
    path = tmp_path / f"file{suffix}"
    np.save(path, array) if suffix == ".npy" else np.savez(path, signals=array)
    read = read_signals(path)
    assert np.array_equal(read.signals, expected)
    assert (read.ordering, read.sampling) == (None, None)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("f4", "float32"),
        ("f8", "float64"),
        (">f8", "float64"),
        ("i2", "float32"),
        ("f2", "float32"),
    ],
)
def test_types_become_float32_or_float64(tmp_path: Path, dtype: str, expected: str) -> None:
    np.save(tmp_path / "a.npy", np.ones((12, 1), dtype))
    signals = read_signals(tmp_path / "a.npy").signals
    assert signals.dtype == expected
    assert signals.dtype.isnative


def test_archive_may_say_ordering_and_sampling(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, signals=SIGNALS, ordering="RING", sampling="healpix:nside=1,ordering=ring")
    read = read_signals(path)
    assert (read.ordering, read.sampling) == ("ring", "healpix:nside=1,ordering=ring")


def test_archive_may_name_its_channels(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    names = [f"channel {number}" for number in range(SIGNALS.shape[-1])]
    np.savez(path, signals=SIGNALS, channel_names=np.array(names))
    assert read_signals(path).channel_names == tuple(names)
    np.savez(path, signals=SIGNALS, channel_names=np.array(names[:1]))
    with pytest.raises(ValueError, match=r"must have one of channel_names for each channel \("):
        read_signals(path)


@pytest.mark.parametrize("header", ["", "temperature,wind,rain\n", "year_1,x2,3y\n"])
def test_csv_has_vertices_in_rows(tmp_path: Path, header: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(header + "\n".join(",".join(map(repr, row.tolist())) for row in SIGNALS[0]))
    assert np.array_equal(read_signals(path).signals, SIGNALS[:1])


def test_missing_file_and_unknown_suffix_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"file of signals, got .*a\.npy"):
        read_signals(tmp_path / "a.npy")
    with pytest.raises(ValueError, match=r"one of \.npy, .*\.fits, \.nc, \.zarr, got .*a\.docx"):
        read_signals(tmp_path / "a.docx")


def test_unknown_treatment_of_missing_values_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match="missing must be one of raise, keep, got 'drop'"):
        read_signals(tmp_path / "a.npy", missing="drop")


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".fits"])
def test_file_of_another_kind_is_rejected(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_text("not what the name says")
    with pytest.raises(ValueError, match=rf"a\{suffix} must be a (NumPy|complete FITS)"):
        read_signals(path)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_unsafe_loading_is_not_advised(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    path.write_text("not what the name says")
    with pytest.raises(ValueError, match="got another format or Python objects, which are not l"):
        read_signals(path)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".fits"])
def test_truncated_file_is_rejected(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    if suffix == ".fits":
        write_fits(path, [np.arange(3072.0)], ORDERING="RING", NSIDE=16)
    else:
        np.save(path, SIGNALS) if suffix == ".npy" else np.savez(path, signals=SIGNALS)
    path.write_bytes(path.read_bytes()[: -path.stat().st_size // 3])
    with pytest.raises(ValueError, match=rf"a\{suffix} must be a (NumPy|complete FITS)"):
        read_signals(path)


def test_archive_without_signals_is_rejected(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", maps=SIGNALS)
    with pytest.raises(ValueError, match="array named signals, got maps"):
        read_signals(tmp_path / "a.npz")


def test_archive_under_a_false_name_is_rejected(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", signals=SIGNALS)
    (tmp_path / "a.npz").rename(tmp_path / "a.npy")
    with pytest.raises(ValueError, match=r"single array, got an archive; rename it to \.npz"):
        read_signals(tmp_path / "a.npy")


def test_array_under_a_false_name_is_rejected(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", SIGNALS)
    (tmp_path / "a.npy").rename(tmp_path / "a.npz")
    with pytest.raises(ValueError, match="must be a NumPy archive"):
        read_signals(tmp_path / "a.npz")


def test_unknown_ordering_is_rejected(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", signals=SIGNALS, ordering="spiral")
    with pytest.raises(ValueError, match="nested or ring, got 'spiral'"):
        read_signals(tmp_path / "a.npz")


@pytest.mark.parametrize("shape", [(), (1, 2, 3, 4), (0, 3)])
def test_impossible_shape_is_rejected(tmp_path: Path, shape: tuple[int, ...]) -> None:
    np.save(tmp_path / "a.npy", np.zeros(shape))
    with pytest.raises(ValueError, match="array \\(signals, vertices, channels\\)"):
        read_signals(tmp_path / "a.npy")


def test_complex_numbers_are_rejected(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((12, 1), complex))
    with pytest.raises(ValueError, match="real numbers, got an array of complex128"):
        read_signals(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,2\n3\n", "2 columns in every row, got 1 in line 2"),
        ("1,2\n\n3,four\n", "numbers between commas, got '3,four' in line 3"),
        ("a,b\n", "row of numbers for each vertex, got no row"),
    ],
)
def test_broken_csv_is_rejected(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_signals(tmp_path / "a.csv")


def test_values_that_are_not_finite_are_counted_and_located(tmp_path: Path) -> None:
    signals = SIGNALS.copy()
    signals[1, 5, 2], signals[1, 7, :] = np.inf, np.nan
    np.save(tmp_path / "a.npy", signals)
    with pytest.raises(
        ValueError,
        match=r"got 3 NaN and 1 infinite of 72 values \(first: signal 1, vertex 5, channel 2\)",
    ):
        read_signals(tmp_path / "a.npy")
    kept = read_signals(tmp_path / "a.npy", missing="keep").signals
    assert np.array_equal(kept, signals, equal_nan=True)


def write_fits(path: Path, maps: list[np.ndarray], **keywords: object) -> None:
    """Table with a column for each map, as healpy writes it."""
    from astropy.io import fits

    columns = [fits.Column(name=f"MAP{i}", format="E", array=m) for i, m in enumerate(maps)]
    if "pixels" in keywords:
        columns.insert(0, fits.Column(name="PIXEL", format="J", array=keywords.pop("pixels")))
    table = fits.BinTableHDU.from_columns(columns)
    table.header["PIXTYPE"] = "HEALPIX"
    for name, value in keywords.items():
        table.header[name] = value
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(path)


@pytest.mark.parametrize("ordering", ["RING", "NESTED"])
@pytest.mark.parametrize("end", ["", ".gz"])
def test_fits_maps_are_channels(tmp_path: Path, ordering: str, end: str) -> None:
    maps = [np.arange(48.0), -np.arange(48.0)]
    write_fits(tmp_path / f"a.fits{end}", maps, ORDERING=ordering, NSIDE=2)
    read = read_signals(tmp_path / f"a.fits{end}")
    assert np.array_equal(read.signals[0], np.stack(maps, axis=1))
    assert read.signals.dtype == np.float32
    assert read.ordering == ordering.lower()
    assert read.sampling == Healpix(2, ordering=ordering.lower()).spec


def test_fits_rows_of_many_pixels_are_joined(tmp_path: Path) -> None:
    from astropy.io import fits

    column = fits.Column(name="I", format="16E", array=np.arange(48.0).reshape(3, 16))
    table = fits.BinTableHDU.from_columns([column])
    table.header["ORDERING"] = "RING"
    fits.HDUList([fits.PrimaryHDU(), table]).writeto(tmp_path / "a.fits")
    assert np.array_equal(read_signals(tmp_path / "a.fits").signals[0, :, 0], np.arange(48))


def test_unseen_pixels_are_missing(tmp_path: Path) -> None:
    values = np.arange(48.0)
    values[[3, 9]] = -1.6375e30
    write_fits(tmp_path / "a.fits", [values], ORDERING="RING", NSIDE=2)
    with pytest.raises(ValueError, match=r"got 2 NaN .*signal 0, vertex 3"):
        read_signals(tmp_path / "a.fits")
    kept = read_signals(tmp_path / "a.fits", missing="keep").signals
    assert np.flatnonzero(np.isnan(kept)).tolist() == [3, 9]


def test_partial_fits_map_is_a_subset(tmp_path: Path) -> None:
    pixels = np.array([40, 2, 7])
    write_fits(
        tmp_path / "a.fits",
        [np.array([1.0, 2.0, 3.0])],
        pixels=pixels,
        ORDERING="NESTED",
        NSIDE=2,
        INDXSCHM="EXPLICIT",
    )
    read = read_signals(tmp_path / "a.fits")
    assert read.sampling is not None
    assert read.ordering == "nested"
    expected = Healpix(2).points[pixels]
    assert np.array_equal(sampling_from_spec(read.sampling).points, expected)
    assert read.signals[0, :, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("num_pixels", "keywords", "message"),
    [
        (48, {"NSIDE": 2}, "ORDERING as RING or NESTED, got None"),
        (47, {"ORDERING": "RING", "NSIDE": 2}, "12 nside² pixels.*got 47"),
        (48, {"ORDERING": "RING", "NSIDE": 4}, "its NSIDE is 4.*got 48"),
        (3, {"ORDERING": "RING", "INDXSCHM": "EXPLICIT", "NSIDE": 2}, "column PIXEL"),
        (
            3,
            {"ORDERING": "RING", "INDXSCHM": "EXPLICIT", "pixels": np.arange(3)},
            "NSIDE since it is a partial map",
        ),
        (0, {"ORDERING": "RING", "INDXSCHM": "EXPLICIT", "pixels": np.arange(3)}, "equal length"),
    ],
)
def test_inconsistent_fits_is_rejected(
    tmp_path: Path, num_pixels: int, keywords: dict[str, object], message: str
) -> None:
    maps = [np.arange(float(num_pixels))] if num_pixels else []
    write_fits(tmp_path / "a.fits", maps, **keywords)
    with pytest.raises(ValueError, match=message):
        read_signals(tmp_path / "a.fits")


def test_fits_without_healpix_table_is_rejected(tmp_path: Path) -> None:
    from astropy.io import fits

    fits.HDUList([fits.PrimaryHDU(np.zeros((4, 4)))]).writeto(tmp_path / "a.fits")
    with pytest.raises(ValueError, match="table of HEALPix pixels, got none"):
        read_signals(tmp_path / "a.fits")


def test_fits_without_astropy_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.fits").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "astropy.io", None)
    with pytest.raises(ImportError, match=r"needs astropy.*deepsphere-torch\[cosmology\]"):
        read_signals(tmp_path / "a.fits")


def test_predictions_are_written_in_every_format(tmp_path: Path) -> None:
    outputs, names = np.array([[0.5, 2.0], [3.0, -1.0]]), ("sea", "land")
    for suffix in (".npz", ".npy", ".csv"):
        write_predictions(tmp_path / f"a{suffix}", outputs, class_names=names)
    with np.load(tmp_path / "a.npz") as archive:
        assert np.array_equal(archive["predictions"], outputs)
        assert archive["labels"].tolist() == [1, 0]
        assert archive["class_names"].tolist() == list(names)
    assert np.array_equal(np.load(tmp_path / "a.npy"), outputs)
    rows = (tmp_path / "a.csv").read_text().split()
    assert rows == ["signal,label,sea,land", "0,land,0.5,2.0", "1,sea,3.0,-1.0"]
    assert len(list(tmp_path.iterdir())) == 3


def test_predicted_quantities_are_written_with_names_and_units(tmp_path: Path) -> None:
    outputs = np.array([[0.25, 0.5], [1.0, 2.0]])
    names, units = ("omega_m", "depth"), ("", "km")
    for suffix in (".npz", ".npy", ".csv"):
        path = tmp_path / f"a{suffix}"
        write_predictions(path, outputs, output_names=names, output_units=units)
    with np.load(tmp_path / "a.npz") as archive:
        assert set(archive) == {"predictions", "output_names", "output_units"}
        assert np.array_equal(archive["predictions"], outputs)
        assert archive["output_names"].tolist() == list(names)
        assert archive["output_units"].tolist() == list(units)
    assert np.array_equal(np.load(tmp_path / "a.npy"), outputs)
    lines = (tmp_path / "a.csv").read_text().splitlines()
    assert lines == ["signal,omega_m,depth [km]", "0,0.25,0.5", "1,1.0,2.0"]


def test_predictions_per_vertex_of_one_signal_are_rows(tmp_path: Path) -> None:
    write_predictions(tmp_path / "a.csv", np.array([[[1.0], [2.0]]]))
    assert (tmp_path / "a.csv").read_text().split() == ["vertex,output_0", "0,1.0", "1,2.0"]


def test_predictions_that_cannot_be_written_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"single signal to be written as CSV, got 2 signals"):
        write_predictions(tmp_path / "a.csv", np.zeros((2, 12, 1)))
    with pytest.raises(ValueError, match=r"end in one of \.npz, \.npy, \.csv, got .*a\.txt"):
        write_predictions(tmp_path / "a.txt", np.zeros((2, 1)))
    with pytest.raises(ValueError, match=r"shape \(signals, outputs\).*got \(2,\)"):
        write_predictions(tmp_path / "a.npy", np.zeros(2))
    with pytest.raises(ValueError, match=r"as many as the outputs \(3\), got 2"):
        write_predictions(tmp_path / "a.npy", np.zeros((1, 3)), class_names=("a", "b"))
    with pytest.raises(ValueError, match=r"output_names must be as many as .* \(3\), got 1"):
        write_predictions(tmp_path / "a.npy", np.zeros((1, 3)), output_names=("a",))
    with pytest.raises(ValueError, match="units must come with output_names, got 'km' alone"):
        write_predictions(tmp_path / "a.npy", np.zeros((1, 1)), output_units=("km",))
    with pytest.raises(ValueError, match="must not both be given, got a, b and c, d; the outputs"):
        write_predictions(
            tmp_path / "a.npy", np.zeros((1, 2)), class_names=("a", "b"), output_names=("c", "d")
        )
    assert not list(tmp_path.iterdir())


def test_predictions_do_not_replace_a_file_by_accident(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    write_predictions(path, np.zeros((1, 2)))
    with pytest.raises(FileExistsError, match="must not exist yet"):
        write_predictions(path, np.ones((1, 2)))
    assert np.load(path).sum() == 0
    write_predictions(path, np.ones((1, 2)), overwrite=True)
    assert np.load(path).sum() == 2
