from pathlib import Path

import numpy as np
import pytest
import torch

from deepsphere.sampling import Healpix, nested_to_ring, ring_to_nested, sampling_from_spec

ORACLE = np.load(Path(__file__).parent.parent / "data" / "healpix_oracle.npz")
ORACLE_NSIDES = (1, 2, 4, 8, 16)


@pytest.mark.parametrize("ordering", ["ring", "nested"])
@pytest.mark.parametrize("nside", ORACLE_NSIDES)
def test_pixel_centers_agree_with_healpy(nside, ordering):
    expected = ORACLE[f"{ordering}_{nside}"]
    assert np.abs(Healpix(nside, ordering=ordering).points - expected).max() <= 1e-12


@pytest.mark.parametrize("nside", ORACLE_NSIDES)
def test_index_maps_agree_with_healpy(nside):
    expected = ORACLE[f"ring_to_nested_{nside}"]
    np.testing.assert_array_equal(ring_to_nested(nside), expected)
    np.testing.assert_array_equal(nested_to_ring(nside), np.argsort(expected))


@pytest.mark.parametrize("nside", [3, 5, 6])
def test_ring_centers_of_any_nside_lie_on_the_rings_of_the_paper(nside):
    sampling = Healpix(nside, ordering="ring")
    z, sizes = [], []
    for ring in range(1, 4 * nside):  # Gorski et al. (2005), eq. 4 and 8
        near_pole = min(ring, 4 * nside - ring)
        if near_pole < nside:
            height = 1 - near_pole**2 / (3 * nside**2)
            z.append(height if ring < 2 * nside else -height)
        else:
            z.append(4 / 3 - 2 * ring / (3 * nside))
        sizes.append(4 * min(near_pole, nside))
    np.testing.assert_allclose(sampling.points[:, 2], np.repeat(z, sizes), atol=1e-14)


def test_large_pieces_are_put_together_in_order():
    whole = Healpix(512).points  # three pieces
    some = np.array([0, 2**20 - 1, 2**20, 2**21, 12 * 512**2 - 1])
    assert (whole[some] == Healpix(512)._points_at(some)).all()


@pytest.mark.parametrize("ordering", ["ring", "nested"])
def test_parent_is_the_nearest_of_its_kind(ordering):
    sampling = Healpix(8, ordering=ordering)
    membership = sampling.membership()
    assert (membership.data == 1).all()
    assert (membership.sum(axis=1) == 4).all()
    # the mean of the four children points along the parent, to the order of the pixel size
    mean = membership @ sampling.points / 4
    parents = sampling.coarsen().points
    assert (np.sum(mean * parents, axis=1) > 0.99).all()


def test_nested_children_are_contiguous():
    rows = Healpix(4).membership().tocoo()
    np.testing.assert_array_equal(rows.row, rows.col // 4)


@pytest.mark.parametrize("size", ["nside", "order", "level", "depth", "resolution"])
def test_synonyms_of_the_size(size):
    value = 16 if size in ("nside", "resolution") else 4
    sampling = Healpix(**{size: value})
    assert sampling == Healpix(16)
    assert (sampling.nside, sampling.order, sampling.num_vertices) == (16, 4, 3072)


@pytest.mark.parametrize("ordering", ["ring", "nested"])
def test_synonym_of_the_ordering(ordering):
    nest = ordering == "nested"
    assert Healpix(4, nest=nest) == Healpix(4, ordering=ordering)
    assert Healpix(4, nest=nest, ordering=ordering).ordering == ordering


def test_default_ordering_is_nested():
    assert Healpix(2).ordering == "nested"


def test_numpy_integers_are_sizes(born_unchecked):
    sampling = born_unchecked(Healpix, np.int64(4))
    assert sampling == Healpix(4)
    assert type(sampling.nside) is int


@pytest.mark.parametrize("arguments", [{}, {"nside": 4, "order": 2}, {"level": 1, "depth": 1}])
def test_size_not_given_once_is_rejected(arguments):
    with pytest.raises(ValueError, match=r"must be given exactly once.*use Healpix\(nside=32\)"):
        Healpix(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"nside": 0}, "nside must be between 1 and 8192, got 0"),
        ({"nside": 16384}, "nside must be between 1 and 8192, got 16384"),
        ({"order": 14}, "order must be between 0 and 13, got 14"),
        ({"level": -1}, "level must be between 0 and 13, got -1"),
        (
            {"nside": 12},
            "nside must be a power of two in the nested ordering, got 12; use nside=8 or "
            "ordering='ring'",
        ),
        ({"nside": 13}, "got 13; use nside=16"),
        ({"nside": 2, "ordering": "ring", "nest": True}, "contradicts nest=True; give one"),
    ],
)
def test_invalid_arguments_are_rejected(arguments, message):
    with pytest.raises(ValueError, match=message):
        Healpix(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"nside": 4.0}, "nside must be an integer, got 4.0"),
        ({"nside": True}, "nside must be an integer, got True"),
        ({"nside": 4, "ordering": "spiral"}, "ordering must be 'nested' or 'ring', got 'spiral'"),
        ({"nside": 4, "nest": "ring"}, "nest must be True or False, got 'ring'; or write ordering"),
    ],
)
def test_arguments_of_the_wrong_type_are_rejected(born_unchecked, arguments, message):
    with pytest.raises(ValueError, match=message):
        born_unchecked(Healpix, **arguments)


@pytest.mark.parametrize(
    ("sampling", "message"),
    [
        (Healpix(1), "at least 2, to be coarsened, got 1; the 12 base pixels have no parents"),
        (Healpix(6, ordering="ring"), "power of two.* to be coarsened, got 6; use nside=4"),
    ],
)
def test_sampling_without_parents_is_not_coarsened(sampling, message):
    with pytest.raises(ValueError, match=message):
        sampling.coarsen()
    with pytest.raises(ValueError, match=message):
        sampling.membership()


def test_order_of_no_power_of_two_is_rejected():
    with pytest.raises(ValueError, match="power of two to have an order, got 6; use nside=4"):
        _ = Healpix(6, ordering="ring").order


@pytest.mark.parametrize("make", [np.asarray, torch.as_tensor], ids=["numpy", "torch"])
@pytest.mark.parametrize("start", ["ring", "nested"])
def test_reorder_follows_the_points(make, start):
    other = "nested" if start == "ring" else "ring"
    sampling, reordered = Healpix(4, ordering=start), Healpix(4, ordering=other)
    signals = make(np.stack([sampling.points, 2 * sampling.points]))
    result = sampling.reorder(signals, other)
    assert type(result) is type(signals)
    np.testing.assert_allclose(
        np.asarray(result), np.stack([reordered.points, 2 * reordered.points]), atol=1e-15
    )
    assert sampling.reorder(signals, start) is signals
    np.testing.assert_array_equal(np.asarray(reordered.reorder(result, start)), np.asarray(signals))


def test_reorder_along_another_axis():
    signals = np.arange(2 * 48 * 3).reshape(48, 2, 3)
    sampling = Healpix(2)
    np.testing.assert_array_equal(
        sampling.reorder(signals, "ring", axis=0), signals[ring_to_nested(2)]
    )
    np.testing.assert_array_equal(
        sampling.reorder(signals[:, 0].T, "ring", axis=-1), signals[ring_to_nested(2), 0].T
    )


@pytest.mark.parametrize("axis", [0, 5])
def test_reorder_of_another_number_of_pixels_is_rejected(axis):
    with pytest.raises(ValueError, match=rf"48 pixels on axis {axis}, got the shape \(47, 48, 1\)"):
        Healpix(2).reorder(np.zeros((47, 48, 1)), "ring", axis=axis)


def test_reorder_to_an_unknown_order_is_rejected():
    import inspect

    with pytest.raises(ValueError, match="to must be 'nested' or 'ring', got 'spiral'"):
        inspect.unwrap(Healpix.reorder)(Healpix(2), np.zeros((48, 1)), "spiral")


def test_spec_accepts_synonyms():
    assert sampling_from_spec("healpix:order=3,ordering=ring") == Healpix(8, ordering="ring")
    assert sampling_from_spec("healpix:nside=8,nest=false") == Healpix(8, ordering="ring")


def test_repr_is_the_constructor():
    assert repr(Healpix(32)) == "Healpix(nside=32, ordering='nested')"
