"""Patches of a HEALPix sphere: they cover it once, and are blocks of its base pixels."""

import numpy as np
import pytest

from deepsphere.sampling import Healpix, Subset
from deepsphere.sampling.healpix_patches import (
    cut_patches,
    num_patch_pixels,
    num_patches,
    patch_sampling,
    patch_slice,
)

ORDERS = [0, 1, 2, 4, 8]


@pytest.mark.parametrize("order", ORDERS)
def test_patches_cover_the_sphere_once(order):
    pixels = np.arange(12 * 8**2)
    slices = [patch_slice(8, order, index) for index in range(num_patches(order))]
    found = [pixels[where] for where in slices]
    np.testing.assert_array_equal(np.concatenate(found), pixels)
    assert {len(patch) for patch in found} == {num_patch_pixels(8, order)}
    np.testing.assert_array_equal(cut_patches(pixels[:, None], order)[..., 0], found)


@pytest.mark.parametrize("order", ORDERS)
def test_first_patch_is_the_sampling_of_all(order):
    sampling = patch_sampling(8, order)
    assert sampling.num_vertices == num_patch_pixels(8, order)
    points = cut_patches(Healpix(8).points, order)[0]
    np.testing.assert_array_equal(sampling.points, points)
    assert isinstance(sampling, Subset) == (order > 0)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_patches_are_the_pixels_of_a_coarse_sphere(order):
    """A patch is what has one pixel of nside `order` as its ancestor."""
    sampling = Healpix(8)
    ancestors = np.arange(sampling.num_vertices)
    while sampling.nside > order:
        ancestors = ancestors // 4
        sampling = sampling.coarsen()
    patches = cut_patches(ancestors[:, None], order)[..., 0]
    np.testing.assert_array_equal(patches, np.arange(num_patches(order))[:, None] + 0 * patches)


@pytest.mark.parametrize("nside", [1, 2, 8])
def test_patches_coarsen_to_patches(nside):
    """So that a network on the first patch pools whole pixels."""
    for order in (1, 2):
        fine = patch_sampling(2 * nside, min(order, nside))
        assert fine.coarsen() == patch_sampling(nside, min(order, nside))


def test_patches_of_many_maps_keep_their_axes():
    maps = np.random.default_rng(0).normal(size=(3, 2, 48, 5))
    patches = cut_patches(maps, 2)
    assert patches.shape == (3, 2, 48, 1, 5)
    assert np.shares_memory(patches, maps)
    np.testing.assert_array_equal(patches[1, 0, 7, 0], maps[1, 0, 7])


@pytest.mark.parametrize(("order", "shown"), [(3, "3"), (6, "6"), (12, "12")])
def test_order_not_power_of_two_is_rejected(order, shown):
    with pytest.raises(ValueError, match=rf"order must be 0 .*or a power of two.*got {shown}"):
        patch_sampling(64, order)


def test_impossible_patches_are_rejected(unchecked):
    with pytest.raises(ValueError, match=r"order must be at most nside \(4\), got 8"):
        patch_slice(4, 8, 0)
    with pytest.raises(ValueError, match="order must be at least 0, got -1"):
        num_patches(-1)
    with pytest.raises(ValueError, match=r"order must be an integer, got 1\.0"):
        num_patches(1.0)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="index must be between 0 and 11, got 12"):
        patch_slice(4, 1, 12)
    with pytest.raises(ValueError, match="nside must be a power of two"):
        patch_sampling(12, 1)


@pytest.mark.parametrize("shape", [(48,), (47, 1), (108, 1), (0, 1)])
def test_maps_of_no_whole_sphere_are_rejected(shape, unchecked):
    with pytest.raises(ValueError, match=r"signals must have the shape \(\.\.\., 12 nside² pixels"):
        cut_patches(np.zeros(shape), 1)
