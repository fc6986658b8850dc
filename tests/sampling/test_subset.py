import inspect

import numpy as np
import pytest

from deepsphere.sampling import Equiangular, Fibonacci, Healpix, Icosahedral, Subset

BASES = [
    Healpix(4),
    Healpix(4, ordering="ring"),
    Equiangular(8, 16, 1),
    Icosahedral(4),
    Fibonacci(200),
]


@pytest.mark.parametrize("base", BASES, ids=repr)
def test_mask_and_indices_select_the_same(base):
    mask = base.lat > 0.3
    subset = base.subset(mask)
    assert subset == base.subset(np.flatnonzero(mask))
    assert hash(subset) == hash(base.subset(np.flatnonzero(mask)))
    np.testing.assert_array_equal(subset.points, base.points[mask])
    np.testing.assert_array_equal(subset.areas, base.areas[mask])
    np.testing.assert_array_equal(subset.lon, base.lon[mask])


def test_order_of_indices_is_kept():
    subset = Healpix(2).subset(np.array([5, 3, 40]))
    np.testing.assert_array_equal(subset.indices, [5, 3, 40])
    np.testing.assert_array_equal(subset.points, Healpix(2).points[[5, 3, 40]])
    assert subset != Healpix(2).subset(np.array([3, 5, 40]))


def test_selection_is_copied():
    indices = np.array([5, 3, 40])
    subset = Healpix(2).subset(indices)
    indices[0] = 7
    assert subset.indices[0] == 5


def test_subset_of_a_subset_is_of_the_whole():
    base = Healpix(4)
    north = base.subset(base.lat > 0)
    part = north.subset(north.lon < 1)
    assert part.base == base
    assert part == base.subset((base.lat > 0) & (base.lon < 1))


@pytest.mark.parametrize("base", BASES, ids=repr)
def test_level_has_every_coarse_vertex_with_a_part_inside(base):
    subset = base.subset(base.points[:, 0] > 0.2)
    whole = base.membership().toarray()[:, subset.indices]
    coarse = subset.coarsen()
    assert coarse.base == base.coarsen()
    np.testing.assert_array_equal(coarse.indices, np.flatnonzero(whole.sum(axis=1)))
    membership = subset.membership()
    np.testing.assert_array_equal(membership.toarray(), whole[coarse.indices])
    np.testing.assert_allclose(membership.sum(axis=0), 1, rtol=1e-15)
    assert (membership.sum(axis=1) > 0).all()


def test_everything_is_like_the_whole():
    base = Icosahedral(4)
    subset = base.subset(np.ones(base.num_vertices, bool))
    assert (subset.membership() != base.membership()).nnz == 0
    np.testing.assert_array_equal(subset.coarsen().points, base.coarsen().points)


def test_large_subset_does_not_need_the_whole():
    subset = Healpix(1024).subset(np.arange(5 * 1024**2, 5 * 1024**2 + 10**5))
    np.testing.assert_allclose(np.linalg.norm(subset.points, axis=1), 1)
    assert subset.coarsen().num_vertices == 25_000
    assert subset.membership().shape == (25_000, 100_000)


def test_runs_of_indices_have_a_short_spec():
    assert len(Healpix(1024).subset(np.arange(10**6)).spec) < 200


def test_embed_puts_signals_back():
    base = Healpix(2)
    subset = base.subset(np.array([7, 2]))
    whole = subset.embed(np.array([[[1.0, 2.0], [3.0, 4.0]]]))
    assert whole.shape == (1, 48, 2)
    np.testing.assert_array_equal(whole[0, [7, 2]], [[1, 2], [3, 4]])
    assert np.isnan(np.delete(whole, [2, 7], axis=1)).all()
    np.testing.assert_array_equal(subset.embed(whole[:, subset.indices], fill=0.0).sum(), 10)


def test_embed_keeps_single_precision_and_converts_integers():
    subset = Healpix(1).subset(np.array([3]))
    assert subset.embed(np.ones((1, 1), np.float32)).dtype == np.float32
    assert np.isnan(subset.embed(np.ones((1, 1), np.int64))).sum() == 11


@pytest.mark.parametrize("shape", [(3, 1), (2,)])
def test_embed_of_another_size_is_rejected(shape):
    function = inspect.unwrap(Subset.embed)
    with pytest.raises(ValueError, match=r"shape \(\.\.\., 2 vertices, channels\), got "):
        function(Healpix(1).subset(np.array([0, 1])), np.zeros(shape))


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (np.zeros(0, int), "must keep at least one vertex, got an empty selection"),
        (np.zeros(12, bool), "must keep at least one vertex, got an empty selection"),
        (
            np.ones(11, bool),
            "one value for each of the 12 vertices, got 11; pass integers to select",
        ),
        (np.array([3, 12]), "indices must be between 0 and 11, got 12"),
        (np.array([-1, 3, 15]), "indices must be between 0 and 11, got -1 and 1 more outside"),
        (np.array([3, 1, 3]), "indices must be distinct, got 3 twice; use numpy.unique"),
        (np.array([1.0, 2.0]), "integer indices, got float64; turn weights into a mask by a thr"),
        (np.arange(12) % 2, r"mask must be boolean, got int64 values 0 and 1; use mask.astype\(b"),
        (np.ones(12, np.float32), "a mask must be boolean, got float32 values 0 and 1"),
        (np.array([[1, 2]]), r"a selection must have one axis, got the shape \(1, 2\)"),
    ],
)
def test_invalid_selection_is_rejected(born_unchecked, selection, message):
    with pytest.raises(ValueError, match=message):
        born_unchecked(Subset, Healpix(1), selection)


def test_subset_of_an_uncoarsenable_sampling_is_not_coarsened():
    with pytest.raises(ValueError, match="at least 2, to be coarsened, got 1"):
        Healpix(1).subset(np.arange(3)).coarsen()


def test_repr_does_not_list_the_indices():
    subset = Healpix(8).subset(np.arange(100))
    assert repr(subset) == "Subset(Healpix(nside=8, ordering='nested'), 100 of 768 vertices)"


@pytest.mark.parametrize("ordering", ["nested", "ring"])
@pytest.mark.parametrize("num_levels", [1, 2, 3])
def test_groups_are_whole_or_gone(ordering, num_levels):
    base = Healpix(8, ordering=ordering)
    kept = np.random.default_rng(0).random(base.num_vertices) > 0.02
    subset = base.subset(kept)
    eroded, grown = subset.erode_to_groups(num_levels), subset.grow_to_groups(num_levels)
    assert set(eroded.indices) <= set(subset.indices) <= set(grown.indices)
    in_nested = base.reorder(kept, "nested", axis=0).reshape(-1, 4 ** (num_levels - 1))
    assert eroded.num_vertices == in_nested.all(axis=1).sum() * in_nested.shape[1]
    assert grown.num_vertices == in_nested.any(axis=1).sum() * in_nested.shape[1]
    for part in (eroded, grown):
        for _ in range(num_levels - 1):
            assert (np.diff(part.membership().indptr) == 4).all()
            part = part.coarsen()
    assert grown.erode_to_groups(num_levels) == grown
    assert eroded.grow_to_groups(num_levels) == base.subset(np.sort(eroded.indices))


def test_eroding_keeps_the_order():
    subset = Healpix(2).subset(np.array([9, 7, 6, 5, 4]))
    assert subset.erode_to_groups(2).indices.tolist() == [7, 6, 5, 4]


def test_groups_of_other_hierarchies_with_one_parent():
    base = Fibonacci(200)
    subset = base.subset(base.lat > 0)
    owner = base.membership().argmax(axis=0).A1
    inside = np.flatnonzero(np.bincount(owner) == np.bincount(owner[subset.indices], minlength=50))
    assert set(owner[subset.erode_to_groups(2).indices]) == set(inside)


@pytest.mark.parametrize("method", ["erode_to_groups", "grow_to_groups"])
def test_impossible_groups_are_rejected(method):
    icosahedral = Icosahedral(4).subset(np.arange(50))
    with pytest.raises(ValueError, match=r"one coarse vertex each, got icosahedral:.*; use a HEAL"):
        getattr(icosahedral, method)(2)
    with pytest.raises(ValueError, match="num_levels must be at least 1, got 0; 1 is no coarsenin"):
        getattr(Healpix(2).subset(np.arange(5)), method)(0)
    with pytest.raises(ValueError, match="at least 2, to be coarsened, got 1"):
        getattr(Healpix(2).subset(np.arange(5)), method)(3)


def test_erosion_to_nothing_is_rejected():
    with pytest.raises(ValueError, match=r"leave a group of which all is kept, got 2 for Subset\("):
        Healpix(2).subset(np.array([0, 5, 10])).erode_to_groups(2)
