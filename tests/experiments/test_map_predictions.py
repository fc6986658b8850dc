"""Maps as cosmologists have them: RING, masks, columns, missing pixels, other units."""

import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from deepsphere.cli import main
from deepsphere.data.healpix_fits import UNSEEN
from deepsphere.experiments.signal_files import predict_file
from deepsphere.experiments.signal_selection import read_mask
from deepsphere.graph import build_pyramid
from deepsphere.models import CNN, FCN, Regressor, UNet
from deepsphere.sampling import Equiangular, Healpix, nested_to_ring, ring_to_nested
from deepsphere.tasks import Regression
from deepsphere.training import Metadata, predict, save

NSIDE = 8
SKY = Healpix(NSIDE)
NUM = SKY.num_vertices
TO_NESTED = nested_to_ring(NSIDE)
SCALING = {"kind": "channels", "mean": [0.5], "deviation": [2.0]}
RNG = np.random.default_rng(0)
# three columns in RING order
IQU = RNG.normal(0.5, 2.0, (3, NUM)).astype(np.float32)
KEPT = np.abs(Healpix(NSIDE, ordering="ring").lat) > 0.3


def write_map(
    path: Path, columns: np.ndarray, *, nside: int = NSIDE, pixels: np.ndarray | None = None
) -> Path:
    """A FITS file in RING order with the columns I_STOKES, Q_STOKES, U_STOKES."""
    names = ["I_STOKES", "Q_STOKES", "U_STOKES"][: len(columns)]
    parts = [
        fits.Column(name, "E", array=column) for name, column in zip(names, columns, strict=True)
    ]
    if pixels is not None:
        parts.insert(0, fits.Column("PIXEL", "J", array=pixels))
    table = fits.BinTableHDU.from_columns(parts)
    table.header.update(PIXTYPE="HEALPIX", ORDERING="RING", NSIDE=nside)
    table.header["INDXSCHM"] = "IMPLICIT" if pixels is None else "EXPLICIT"
    table.writeto(path)
    return path


def make_model(kind: type = FCN, sampling=None, **sizes) -> FCN:
    sampling = SKY.subset(np.arange(NSIDE**2)) if sampling is None else sampling
    options = {"num_neighbors": 8, "weights": "gaussian", "disconnected": "allow"}
    pyramid = build_pyramid(sampling, num_levels=2, **options)
    sizes = {"in_channels": 1, "out_channels": 2, "channels": (4, 5), "kernel_size": 2} | sizes
    return kind(pyramid, **sizes).eval()


@pytest.fixture
def model(tmp_path: Path) -> FCN:
    """A network on the first patch, in NESTED order, saved as a classifier of scaled signals."""
    model = make_model()
    metadata = Metadata(class_names=("light", "dark"), normalization=SCALING)
    save(tmp_path / "model.ckpt", model, metadata=metadata)
    return model


def predictions(folder: Path, source: str = "map.fits", **options) -> np.ndarray:
    target = folder / "out.npy"
    predict_file(folder / "model.ckpt", folder / source, target, overwrite=True, **options)
    return np.load(target)


def scaled(ring: np.ndarray) -> np.ndarray:
    """A RING map as the network sees it: NESTED and scaled."""
    return ((ring[TO_NESTED] - 0.5) / 2.0)[None, :, None]


def test_masked_column_of_a_ring_map_is_that_of_the_moved_network(model, tmp_path):
    write_map(tmp_path / "map.fits", IQU)
    write_map(tmp_path / "mask.fits", KEPT[None].astype(np.float32))
    options = {"channels": "Q_STOKES", "mask": tmp_path / "mask.fits", "adapt": True}
    kept = KEPT[TO_NESTED]
    moved = model.to_sampling(SKY.subset(kept), disconnected="allow")
    expected = predict(moved, scaled(IQU[1])[:, kept])
    np.testing.assert_allclose(predictions(tmp_path, **options), expected, atol=1e-5)
    # by its index, and by a mask in NESTED order
    np.savez(tmp_path / "mask.npz", signals=kept.astype(np.float32), ordering="nested")
    options |= {"channels": "1", "mask": tmp_path / "mask.npz"}
    np.testing.assert_allclose(predictions(tmp_path, **options), expected, atol=1e-5)


def test_unseen_pixels_are_as_masked(model, tmp_path):
    write_map(tmp_path / "map.fits", np.where(KEPT, IQU[:1], np.float32(UNSEEN)))
    message = rf"map.fits must be finite, got {(~KEPT).sum()} NaN .* or in predictions --adapt"
    with pytest.raises(ValueError, match=message):
        predictions(tmp_path, reorder=True)
    found = predictions(tmp_path, adapt=True)
    write_map(tmp_path / "whole.fits", IQU[:1])
    np.save(tmp_path / "mask.npy", KEPT)
    mask = {"adapt": True, "mask": tmp_path / "mask.npy"}
    np.testing.assert_array_equal(found, predictions(tmp_path, "whole.fits", **mask))


@pytest.mark.parametrize("nside", [4, 16])
def test_other_resolutions_are_adapted_to(model, tmp_path, nside):
    maps = RNG.normal(0.5, 2.0, (1, 12 * nside**2)).astype(np.float32)
    write_map(tmp_path / "map.fits", maps, nside=nside)
    with pytest.raises(ValueError, match=rf"got healpix:nside={nside},ordering=ring; .* --adapt"):
        predictions(tmp_path)
    signals = (maps[0, nested_to_ring(nside)][None, :, None] - 0.5) / 2.0
    expected = predict(model.to_sampling(Healpix(nside)), signals)
    np.testing.assert_allclose(predictions(tmp_path, adapt=True), expected, atol=1e-5)


def test_explicit_pixels_in_any_order_are_taken_in_that_of_the_model(model, tmp_path):
    block = TO_NESTED[: NSIDE**2]  # RING numbers of the pixels of the patch
    pixels = RNG.permutation(block)
    write_map(tmp_path / "map.fits", IQU[:1, pixels], pixels=pixels)
    expected = predict(model, scaled(IQU[0])[:, : NSIDE**2])
    np.testing.assert_allclose(predictions(tmp_path, reorder=True), expected, atol=1e-6)
    np.testing.assert_allclose(predictions(tmp_path, adapt=True), expected, atol=1e-6)
    with pytest.raises(ValueError, match=r"must be in NESTED order, .* got RING; .* --reorder"):
        predictions(tmp_path)
    # some of the sky that is not the patch
    pixels = RNG.permutation(NUM)[:400]
    (tmp_path / "map.fits").unlink()
    write_map(tmp_path / "map.fits", IQU[:1, pixels], pixels=pixels)
    numbers = np.sort(ring_to_nested(NSIDE)[pixels])
    moved = model.to_sampling(SKY.subset(numbers), disconnected="allow")
    expected = predict(moved, scaled(IQU[0])[:, numbers])
    np.testing.assert_allclose(predictions(tmp_path, adapt=True), expected, atol=1e-5)


def test_network_of_a_mask_takes_whole_maps_through_that_mask(tmp_path):
    kept = KEPT[TO_NESTED]
    model = make_model(sampling=SKY.subset(kept))
    save(tmp_path / "model.ckpt", model, metadata=Metadata(normalization=SCALING))
    write_map(tmp_path / "map.fits", IQU[:1])
    np.savez(tmp_path / "mask.npz", signals=KEPT.astype(float), ordering="ring")
    found = predictions(tmp_path, mask=tmp_path / "mask.npz", reorder=True)
    expected = predict(model, scaled(IQU[0])[:, kept])
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_patches_of_a_map_have_a_row_each_or_a_mean(model, tmp_path):
    write_map(tmp_path / "map.fits", IQU[:1])
    with pytest.raises(ValueError, match="must be in NESTED order"):
        predictions(tmp_path, patches="each")
    each = predictions(tmp_path, patches="each", reorder=True)
    expected = predict(model, scaled(IQU[0]).reshape(12, NSIDE**2, 1))
    np.testing.assert_allclose(each, expected, atol=1e-5)
    mean = predictions(tmp_path, patches="mean", reorder=True)
    np.testing.assert_allclose(mean, expected.mean(axis=0, keepdims=True), atol=1e-5)


def test_predictions_per_pixel_are_missing_where_the_map_is(tmp_path):
    save(tmp_path / "model.ckpt", make_model(UNet))
    write_map(tmp_path / "map.fits", np.where(KEPT, IQU[:1], np.float32(np.nan)))
    found = predictions(tmp_path, adapt=True)
    assert found.shape == (1, NUM, 2)
    np.testing.assert_array_equal(np.isnan(found[0, :, 0]), ~KEPT)


def test_regression_is_written_in_its_units(tmp_path):
    task = Regression(2, names=("omega_m", "sigma_8"), offset=(0.3, 0.8), scale=(0.1, 0.2))
    model = make_model(Regressor)
    save(tmp_path / "model.ckpt", model, metadata=Metadata(task=task.spec))
    write_map(tmp_path / "map.fits", IQU[:1])
    target = tmp_path / "out.csv"
    predict_file(tmp_path / "model.ckpt", tmp_path / "map.fits", target, adapt=True)
    names, values = (line.split(",") for line in target.read_text().splitlines())
    assert names == ["signal", "omega_m", "sigma_8"]
    raw = predict(model.to_sampling(SKY), IQU[0][TO_NESTED][None, :, None])[0]
    expected = raw * [0.1, 0.2] + [0.3, 0.8]
    np.testing.assert_allclose(np.array(values[1:], float), expected, atol=1e-5)


@pytest.mark.parametrize("factor", [1000.0, 1e-3])
def test_signals_in_other_units_are_warned_of(model, tmp_path, factor):
    write_map(tmp_path / "map.fits", factor * IQU[:1])
    with pytest.warns(UserWarning, match="channel 0 of the signals has mean .* are the units the"):
        predictions(tmp_path, adapt=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        write_map(tmp_path / "fine.fits", 3 * IQU[:1])
        predictions(tmp_path, "fine.fits", adapt=True)


def test_command_tells_how_much_was_left_out(model, tmp_path, capsys):
    write_map(tmp_path / "map.fits", IQU)
    write_map(tmp_path / "mask.fits", np.stack([np.ones(NUM), KEPT]).astype(np.float32))
    words = [str(tmp_path / name) for name in ("model.ckpt", "map.fits", "out.csv")]
    mask = ["--mask", str(tmp_path / "mask.fits"), "--mask-column", "q_stokes"]
    assert main(["predict", *words, "--channels", "I_STOKES", *mask, "--adapt"]) == 0
    assert f"768 vertices ({(~KEPT).sum()} of them masked or missing)" in capsys.readouterr().out
    (tmp_path / "out.csv").unlink()
    assert main(["predict", *words]) == 2
    assert "got 3 (I_STOKES, Q_STOKES, U_STOKES) in" in capsys.readouterr().err


def test_unsuitable_options_are_rejected(model, tmp_path, unchecked):
    write_map(tmp_path / "map.fits", IQU)
    for options, message in (
        ({}, r"must have 1 channels, .* got 3 \(I_STOKES, Q_STOKES, U_STOKES\) in .* --channels"),
        ({"channels": "T"}, r"among I_STOKES, Q_STOKES, U_STOKES or 0 to 2, .* got 'T'"),
        ({"channels": "0,7"}, r"among .* got '7'; name some between commas"),
        ({"channels": "0", "ordering": "nested"}, "ordering must be the one that .* says, ring"),
        ({"channels": "0", "sampling": "healpix:4"}, "sampling must have the 768 vertices of .* g"),
        ({"channels": "0", "patches": "each", "adapt": True}, "patches='each' must come without"),
        ({"channels": "0", "patches": "some"}, "patches must be one of each, mean, got 'some'"),
    ):
        with pytest.raises(ValueError, match=message):
            predictions(tmp_path, **options)
    save(tmp_path / "model.ckpt", make_model(CNN), overwrite=True)
    with pytest.raises(ValueError, match="no weights that belong to vertices, got CNN for Healpix"):
        predictions(tmp_path, channels="0", adapt=True)
    mask = tmp_path / "out.npy"
    np.save(mask, KEPT)
    with pytest.raises(ValueError, match="OUTPUT must be another file than MASK"):
        predictions(tmp_path, channels="0", adapt=True, mask=mask)


# masks


def test_mask_keeps_what_is_above_the_threshold(tmp_path):
    weights = RNG.random(NUM)
    np.save(tmp_path / "mask.npy", weights)
    for threshold in (0.5, 0.9):
        kept = read_mask(tmp_path / "mask.npy", SKY, threshold=threshold)
        np.testing.assert_array_equal(kept, weights > threshold)
    part = SKY.subset(np.array([9, 3, 700]))
    np.testing.assert_array_equal(
        read_mask(tmp_path / "mask.npy", part), weights[[9, 3, 700]] > 0.5
    )


def test_mask_of_explicit_pixels_leaves_the_others_out(tmp_path):
    pixels = RNG.permutation(NUM)[:100]
    write_map(tmp_path / "mask.fits", np.ones((1, 100), np.float32), pixels=pixels)
    ring = Healpix(NSIDE, ordering="ring")
    assert np.flatnonzero(read_mask(tmp_path / "mask.fits", ring)).tolist() == sorted(pixels)
    nested = read_mask(tmp_path / "mask.fits", SKY)
    assert np.flatnonzero(nested).tolist() == sorted(ring_to_nested(NSIDE)[pixels])


def test_mask_on_another_sampling_than_healpix(tmp_path):
    grid = Equiangular(8)
    np.save(tmp_path / "mask.npy", grid.lat > 0)
    np.testing.assert_array_equal(read_mask(tmp_path / "mask.npy", grid), grid.lat > 0)


def test_unsuitable_masks_are_rejected(tmp_path):
    write_map(tmp_path / "coarse.fits", np.ones((1, 192), np.float32), nside=4)
    np.save(tmp_path / "short.npy", np.ones(100))
    np.save(tmp_path / "counts.npy", np.arange(NUM))
    np.save(tmp_path / "empty.npy", np.zeros(NUM))
    np.save(tmp_path / "two.npy", np.ones((2, NUM, 1)))
    for name, message in (
        ("coarse.fits", r"must hold a mask for the nside 8 of the signals, got one for nside 4; r"),
        ("short.npy", r"for the 768 vertices of healpix:nside=8,.* got one for 100; resample it"),
        ("counts.npy", r"weights from 0 \(left out\) to 1, got values from 0 to 767; name another"),
        ("empty.npy", r"must keep a vertex of the signals, got none above 0\.5; lower --mask-thr"),
        ("two.npy", r"must hold one mask, got \(2, 1\); split it"),
    ):
        with pytest.raises(ValueError, match=message):
            read_mask(tmp_path / name, SKY)
