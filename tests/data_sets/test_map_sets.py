"""Sets of maps from arrays, archives and FITS files, and how they are split."""

import warnings
from pathlib import Path

import numpy as np
import pytest

from deepsphere.data.healpix_fits import UNSEEN
from deepsphere.data.map_sets import MapSet, _coarsen, array_maps, open_maps, split_maps
from deepsphere.data.map_sources import check_ordering
from deepsphere.sampling import Healpix

CLASSES = ("one", "two")


def smooth(nside: int, seed: int = 0, num: int = 1) -> np.ndarray:
    """Maps (num, pixels) of low degrees, NESTED, with a little noise."""
    rng = np.random.default_rng(seed)
    waves = rng.normal(size=(num, 3, 3)) * 3
    points = Healpix(nside).points
    maps = np.stack([np.sin(points @ wave).sum(axis=1) for wave in waves])
    return maps + 0.1 * rng.normal(size=maps.shape)


def ring_of(maps: np.ndarray) -> np.ndarray:
    """The same maps in RING order."""
    nside = round((maps.shape[1] / 12) ** 0.5)
    return Healpix(nside).reorder(maps.T, "ring").T


def write_fits(path: Path, nested: np.ndarray, *, ordering: str, says: str | None = None) -> None:
    """A map in a FITS file that says `says`."""
    healpy = pytest.importorskip("healpy")
    path.parent.mkdir(parents=True, exist_ok=True)
    values = nested if ordering == "nested" else ring_of(nested[None])[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        healpy.write_map(
            path, values.astype(np.float32), nest=(says or ordering) == "nested", overwrite=True
        )


def set_of(num: int = 6, nside: int = 16) -> MapSet:
    return array_maps(smooth(nside, num=num), np.arange(num) % 2, class_names=CLASSES)


def test_arrays_are_read_back():
    values = smooth(16, num=3).astype(np.float32)
    maps = array_maps(values, np.array([1, 0, 1]), class_names=CLASSES)
    assert (len(maps), maps.nside, maps.num_channels, maps.num_pixels) == (3, 16, 1, 3072)
    assert maps.names == ("map 0", "map 1", "map 2")
    assert np.array_equal(maps.read(2)[:, 0], values[2])
    assert np.array_equal(maps.read(1, 256, 512)[:, 0], values[1, 256:512])
    chosen = maps.take([2, 0])
    assert chosen.labels.tolist() == [1, 1]
    assert np.array_equal(chosen.read(0), maps.read(2))
    assert chosen.class_names == CLASSES


def test_orderings_of_the_same_maps_are_the_same_set():
    values = smooth(16, num=2)
    labels = np.array([0, 1])
    nested = array_maps(values, labels, class_names=CLASSES)
    ring = array_maps(ring_of(values), labels, class_names=CLASSES, ordering="ring")
    assert nested.digest() == ring.digest()
    assert nested.digest() == nested.in_memory().digest()
    assert nested.digest() != nested.take([1, 0]).digest()


@pytest.mark.parametrize("nside", [16, 64])
@pytest.mark.parametrize(("is_ring", "said"), [(True, "nested"), (False, "ring")])
def test_maps_given_in_the_wrong_ordering_are_refused(nside, is_ring, said):
    values = smooth(nside)
    given = ring_of(values) if is_ring else values
    truth = "RING" if is_ring else "NESTED"
    with pytest.raises(
        ValueError,
        match=rf"map 0 must be in {said.upper()} order .* much smoother in {truth} order; say so",
    ):
        array_maps(given, np.zeros(1, np.int64), class_names=CLASSES, ordering=said)


def test_maps_of_which_nobody_can_tell_the_ordering_are_taken():
    rng = np.random.default_rng(0)
    for nside in (8, 16, 32):
        for _ in range(40):
            sparse = np.zeros(12 * nside**2)
            sparse[rng.integers(0, sparse.size, 5)] = 1.0
            for values in (rng.normal(size=12 * nside**2), sparse, np.ones(12 * nside**2)):
                for ordering in ("nested", "ring"):
                    check_ordering(values[:, None], assumed=ordering, name="noise")


def test_maps_that_vary_from_ring_to_ring_only_are_taken():
    rng = np.random.default_rng(0)
    for nside in (16, 32, 64):
        for ordering in ("nested", "ring"):
            height = Healpix(nside, ordering=ordering).points[:, 2:]
            ring = np.unique(height.round(9), return_inverse=True)[1].reshape(-1, 1)
            for values in (height, np.sin(20 * height), (-1.0) ** ring):
                for noise in (0, 0.01, 0.03, 0.1):
                    noisy = values + noise * rng.normal(size=values.shape)
                    check_ordering(noisy, assumed=ordering, name="zonal")


@pytest.mark.parametrize("value", [np.nan, np.inf, UNSEEN, np.float32(UNSEEN)])
def test_pixels_that_are_no_numbers_are_named(value):
    values = smooth(16, num=3)
    values[1, 77] = value
    with pytest.raises(ValueError, match=r"map 1 must be finite .* got 1 pixels .* pixel 77.*mask"):
        array_maps(values, np.zeros(3, np.int64), class_names=CLASSES)


@pytest.mark.parametrize("num_pixels", [11, 100, 12 * 6**2])
def test_numbers_of_pixels_of_no_sphere_are_rejected(num_pixels):
    with pytest.raises(ValueError, match=rf"map 0 must have 12 nside² pixels .* got {num_pixels}"):
        array_maps(np.zeros((1, num_pixels)), np.zeros(1, np.int64), class_names=CLASSES)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"labels": np.array([0])}, "labels must be one for each of 2 maps, got 1"),
        ({"labels": np.array([0, 2])}, r"labels must be in \[0, 2\), .* got 2 for map map 1"),
        ({"parameters": np.zeros((1, 2))}, "parameters must be one for each of 2 maps, got 1"),
        ({"parameters": np.zeros((2, 3))}, "parameter_names must be one for each of 3 parameters"),
        ({"parameters": np.full((2, 2), np.nan)}, "parameters must be finite"),
        ({"maps": np.zeros((0, 12)), "labels": np.zeros(0, np.int64)}, "maps must be at least one"),
        ({"maps": np.zeros(12)}, r"maps must be numbers of shape \(maps, pixels\) or"),
        ({"maps": np.full((2, 12), "a")}, "maps must be numbers of shape"),
    ],
)
def test_arrays_that_do_not_belong_together_are_rejected(unchecked, options, message):
    arguments = {"maps": np.zeros((2, 48)), "labels": np.array([0, 1]), **options}
    maps, labels = arguments.pop("maps"), arguments.pop("labels")
    with pytest.raises(ValueError, match=message):
        array_maps(maps, labels, class_names=CLASSES, **arguments)


def test_orderings_that_do_not_exist_are_rejected(unchecked):
    with pytest.raises(ValueError, match="ordering must be 'nested' or 'ring', got 'nest'"):
        array_maps(np.zeros((1, 12)), np.array([0]), class_names=CLASSES, ordering="nest")


@pytest.mark.parametrize(("start", "stop"), [(-1, 4), (4, 4), (0, 3073)])
def test_pixels_out_of_range_are_rejected(start, stop):
    with pytest.raises(ValueError, match="start and stop must be increasing and within 3072"):
        set_of().read(0, start, stop)


def test_splits_are_stratified_and_share_no_map():
    maps = set_of(num=40, nside=2)
    parts = split_maps(maps, validation_fraction=0.2, test_fraction=0.3, seed=1)
    assert parts.validation is not None
    assert parts.test is not None
    assert [len(part) for part in parts] == [20, 8, 12]
    names = [set(part.names) for part in parts]
    assert set.union(*names) == set(maps.names)
    assert sum(map(len, names)) == 40
    for part in parts:
        assert np.bincount(part.labels).tolist() == [len(part) // 2] * 2
    again = split_maps(maps, validation_fraction=0.2, test_fraction=0.3, seed=1)
    assert [part.names for part in again] == [part.names for part in parts]
    other = split_maps(maps, validation_fraction=0, test_fraction=0.3, seed=1)
    assert other.validation is None
    assert other.test is not None
    assert other.test.names == parts.test.names
    assert split_maps(maps, seed=2)[2].names != split_maps(maps, seed=1)[2].names


@pytest.mark.parametrize(
    ("fractions", "message"),
    [
        ((-0.1, 0.2), "validation_fraction and test_fraction must not be negative"),
        ((0.5, 0.5), "be together below 1, got 0.5 and 0.5"),
        ((0.45, 0.45), "maps must leave at least one to train on, got 2 maps"),
    ],
)
def test_splits_without_training_maps_are_rejected(fractions, message):
    validation, test = fractions
    with pytest.raises(ValueError, match=message):
        split_maps(set_of(num=2), validation_fraction=validation, test_fraction=test)


def test_coarser_maps_are_means_of_children():
    maps = set_of()
    values = maps.read(3)
    expected = values.reshape(48, 64, 1).mean(axis=1)
    coarse = _coarsen(maps, 2)
    assert coarse.nside == 2
    np.testing.assert_allclose(coarse.read(3), expected, rtol=1e-5)
    assert np.array_equal(coarse.read(3, 10, 20), coarse.read(3)[10:20])
    assert coarse.digest() != maps.digest()
    assert _coarsen(maps, 16) is maps


def test_archives_are_opened_with_all_that_they_hold(tmp_path):
    values = smooth(16, num=4)
    path = tmp_path / "maps.npz"
    parameters = np.arange(8.0).reshape(4, 2)
    np.savez(
        path,
        maps=np.stack([ring_of(values), ring_of(values)], axis=-1),
        labels=np.array([0, 1, 1, 0]),
        class_names=np.array(CLASSES),
        parameters=parameters,
        ordering="ring",
    )
    maps = open_maps(path)
    assert maps.num_channels == 2
    assert maps.class_names == CLASSES
    assert maps.parameters is not None
    assert np.array_equal(maps.parameters, parameters)
    assert maps.parameter_names == ("omega_m", "sigma_8")
    assert np.array_equal(maps.read(2)[:, 1], values[2].astype(np.float32))
    assert open_maps(path, nside=4).read(0).shape == (192, 2)
    with pytest.raises(ValueError, match=r"nside must be at most that of the maps \(16\), got 32"):
        open_maps(path, nside=32)
    with pytest.raises(ValueError, match="nside must have 12 nside² pixels"):
        open_maps(path, nside=3)


def test_archives_that_are_silent_are_nested_unless_they_are_not(tmp_path):
    values = smooth(16, num=2)
    np.savez(tmp_path / "nested.npz", maps=values, labels=np.array([0, 1]))
    assert open_maps(tmp_path / "nested.npz").class_names == ("0", "1")
    np.savez(tmp_path / "ring.npz", maps=ring_of(values), labels=np.array([0, 1]))
    with pytest.raises(ValueError, match=r"ring.npz, map 0 must be in NESTED order as it is said"):
        open_maps(tmp_path / "ring.npz")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"maps": np.zeros((2, 12))}, "must hold maps and labels, got maps; save labels"),
        ({"maps": np.zeros((1, 12)), "labels": np.array([0.5])}, "must hold whole numbers as lab"),
        ({"maps": np.zeros((1, 12)), "labels": np.zeros(0, int)}, "must hold whole numbers"),
        ({"maps": np.array([{}]), "labels": np.array([0])}, "without pickled objects"),
    ],
)
def test_archives_of_something_else_are_rejected(tmp_path, arrays, message):
    np.savez(tmp_path / "maps.npz", **arrays)
    with pytest.raises(ValueError, match=rf"maps.npz must .*{message}|{message}"):
        open_maps(tmp_path / "maps.npz")


def test_archives_that_are_cut_are_rejected(tmp_path):
    path = tmp_path / "maps.npz"
    np.savez(path, maps=smooth(16, num=4), labels=np.array([0, 1, 0, 1]))
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(ValueError, match=r"maps.npz must be a complete .npz file .* write it aga"):
        open_maps(path)


def test_fits_folders_of_both_orderings_are_one_set(tmp_path):
    values = smooth(16, num=4)
    for index, (name, ordering) in enumerate(
        [
            ("b/x.fits", "ring"),
            ("b/y.fits", "nested"),
            ("a/z.fits.gz", "ring"),
            ("a/w.fits", "ring"),
        ]
    ):
        write_fits(tmp_path / name, values[index], ordering=ordering)
    maps = open_maps(tmp_path)
    assert maps.class_names == ("a", "b")
    assert maps.names == ("a/w.fits", "a/z.fits.gz", "b/x.fits", "b/y.fits")
    assert maps.labels.tolist() == [0, 0, 1, 1]
    assert maps.parameters is None
    for position, index in enumerate([3, 2, 0, 1]):
        assert np.array_equal(maps.read(position)[:, 0], values[index].astype(np.float32))
    assert maps.digest() == maps.in_memory().digest()


def test_words_of_the_published_data_set_make_classes_and_parameters(tmp_path):
    for name in ("kappa_0p26_1.fits", "kappa_0p31_1.fits", "more/kappa_0p26_2.fits"):
        write_fits(tmp_path / name, smooth(16)[0], ordering="ring")
    maps = open_maps(tmp_path)
    assert maps.class_names == ("0p26", "0p31")
    assert maps.labels.tolist() == [0, 1, 0]
    assert maps.parameters is not None
    assert maps.parameters.tolist() == [[0.26, 0.91], [0.31, 0.82], [0.26, 0.91]]


def test_fits_files_that_lie_about_their_ordering_are_named(tmp_path):
    write_fits(tmp_path / "a" / "lie.fits", smooth(16)[0], ordering="ring", says="nested")
    with pytest.raises(ValueError, match=r"lie.fits must be in NESTED order .* keyword ORDERING"):
        open_maps(tmp_path)


def test_fits_maps_with_holes_or_of_other_resolution_are_named(tmp_path):
    write_fits(tmp_path / "a" / "good.fits", smooth(16)[0], ordering="ring")
    write_fits(tmp_path / "b" / "small.fits", smooth(8)[0], ordering="ring")
    with pytest.raises(
        ValueError, match=r"small.fits must have the pixels .*good.fits.* one nside"
    ):
        open_maps(tmp_path)
    holes = smooth(16)[0]
    holes[5] = UNSEEN
    write_fits(tmp_path / "b" / "small.fits", holes, ordering="nested")
    with pytest.raises(ValueError, match=r"small.fits must be finite everywhere, got 1 pixels"):
        open_maps(tmp_path)


def test_fits_files_of_a_part_of_the_sky_are_rejected(tmp_path):
    fits = pytest.importorskip("astropy.io.fits")
    columns = [
        fits.Column("PIXEL", "J", array=np.arange(100, dtype=np.int32)),
        fits.Column("KAPPA", "E", array=np.ones(100, np.float32)),
    ]
    table = fits.BinTableHDU.from_columns(columns)
    table.header.update(
        PIXTYPE="HEALPIX", ORDERING="NESTED", NSIDE=16, INDXSCHM="EXPLICIT", OBJECT="PARTIAL"
    )
    (tmp_path / "a").mkdir()
    table.writeto(tmp_path / "a" / "part.fits")
    with pytest.raises(
        ValueError, match=r"part.fits must be finite everywhere, got 2972 pixels .* give a mask"
    ):
        open_maps(tmp_path)


def test_places_without_maps_are_rejected(tmp_path):
    with pytest.raises(FileNotFoundError, match="path must name a folder or file of maps"):
        open_maps(tmp_path / "nothing")
    with pytest.raises(ValueError, match=r"has neither simulation.json nor files that end with"):
        open_maps(tmp_path)
    (tmp_path / "map.txt").write_text("1")
    with pytest.raises(ValueError, match=r"path must be a folder of maps or an .npz file"):
        open_maps(tmp_path / "map.txt")
    write_fits(tmp_path / "map.fits", smooth(16)[0], ordering="ring")
    with pytest.raises(ValueError, match=r"map.fits must be in a sub-folder named after its class"):
        open_maps(tmp_path)


# masks


def partial_fits(folder: Path, pixels: np.ndarray, values: np.ndarray, ordering: str) -> None:
    """A map of a part of the sky, its pixels in a column."""
    from astropy.io import fits

    columns = [
        fits.Column("PIXEL", "J", array=pixels.astype(np.int32)),
        fits.Column("KAPPA", "E", array=values.astype(np.float32)),
    ]
    table = fits.BinTableHDU.from_columns(columns)
    table.header.update(
        PIXTYPE="HEALPIX", ORDERING=ordering, NSIDE=4, INDXSCHM="EXPLICIT", OBJECT="PARTIAL"
    )
    folder.mkdir(exist_ok=True)
    table.writeto(folder / "map.fits")


def test_maps_of_a_part_of_the_sky_are_opened_with_a_mask(tmp_path):
    from deepsphere.sampling import nested_to_ring

    generator = np.random.default_rng(0)
    mask = generator.random(192) < 0.6
    nested = generator.normal(size=(2, 192)).astype(np.float32)
    kept = np.flatnonzero(mask)
    shuffled = generator.permutation(kept)
    partial_fits(tmp_path / "a", shuffled, nested[0, shuffled], "NESTED")
    partial_fits(tmp_path / "b", nested_to_ring(4)[kept], nested[1, kept], "RING")
    maps = open_maps(tmp_path, mask=mask)
    expected = np.where(mask, nested, 0)
    for index in range(2):
        np.testing.assert_array_equal(maps.read(index)[:, 0], expected[index])
        np.testing.assert_array_equal(maps.read(index, 50, 90)[:, 0], expected[index, 50:90])
    smaller = mask & (np.arange(192) > 20)
    assert open_maps(tmp_path, mask=smaller).digest() != maps.digest()
    larger = mask.copy()
    larger[np.flatnonzero(~mask)[0]] = True
    with pytest.raises(ValueError, match=r"a/map.fits must be finite everywhere, got 1 pixels"):
        open_maps(tmp_path, mask=larger)


def test_masked_arrays_may_be_anything_outside(tmp_path):
    maps = np.ones((2, 192, 1), np.float32)
    maps[0, 5], maps[1, 9] = np.nan, -1.6375e30
    mask = np.ones(192, bool)
    labels = np.array([0, 1])
    with pytest.raises(ValueError, match="map 0 must be finite everywhere, got 1 pixels"):
        array_maps(maps, labels, class_names=("a", "b"), mask=mask)
    mask[[5, 9]] = False
    found = array_maps(maps, labels, class_names=("a", "b"), mask=mask)
    assert found.read(1)[[5, 9], 0].tolist() == [0.0, 0.0]
    assert found.read(1).sum() == 190
    np.savez(tmp_path / "maps.npz", maps=maps[..., 0], labels=labels)
    opened = open_maps(tmp_path / "maps.npz", mask=mask)
    np.testing.assert_array_equal(opened.read(1), found.read(1))
    # a coarse pixel that has a missing child does not count either
    coarse = np.ones(48, bool)
    coarse[[1, 2]] = False
    assert open_maps(tmp_path / "maps.npz", nside=2, mask=coarse).read(0)[1] == 0
    with pytest.raises(ValueError, match="must be finite"):
        open_maps(tmp_path / "maps.npz", nside=2, mask=np.ones(48, bool))


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.ones(48, bool), r"mask must be boolean of shape \(192,\).*got bool of shape \(48,\)"),
        (np.ones(192), r"mask must be boolean of shape \(192,\).*got float64"),
    ],
)
def test_masks_must_fit_the_maps(unchecked, mask, message):
    maps = np.ones((1, 192), np.float32)
    with pytest.raises(ValueError, match=message):
        array_maps(maps, np.array([0]), class_names=("a",), mask=mask)
