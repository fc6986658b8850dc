"""Exact symmetries of maps: they are those of the sphere, and what these do to patches."""

import numpy as np
import pytest

from deepsphere.data.map_symmetries import MapSymmetries, Symmetries
from deepsphere.graph import build_graph
from deepsphere.graph.symmetry import vertex_permutations
from deepsphere.sampling import Healpix
from deepsphere.sampling.healpix_patches import cut_patches

NSIDE = 8


def moved_maps(signal: np.ndarray) -> list[np.ndarray]:
    """A whole map under each of the sixteen symmetries, by their permutations of its pixels."""
    maps = []
    for permutation in vertex_permutations(Healpix(round((len(signal) / 12) ** 0.5))):
        moved = np.empty_like(signal)
        moved[permutation] = signal
        maps.append(moved)
    return maps


def make_map(nside: int = NSIDE) -> np.ndarray:
    """Values that are all different."""
    return np.random.default_rng(0).permutation(24 * nside**2).reshape(-1, 2)


def as_set(maps: list[np.ndarray]) -> set[bytes]:
    return {np.ascontiguousarray(signal).tobytes() for signal in maps}


@pytest.mark.parametrize("nside", [1, 2, NSIDE])
def test_symmetries_of_whole_maps_are_those_of_the_sampling(nside):
    signal = make_map(nside)
    symmetries = MapSymmetries(nside, 0, "flips")
    found = [symmetries.apply(signal, element) for element in range(len(symmetries))]
    assert as_set(found) == as_set(moved_maps(signal))
    assert len(found) == 16
    np.testing.assert_array_equal(found[0], signal)


@pytest.mark.parametrize("order", [1, 2, 4])
def test_patches_of_moved_maps_are_the_patches_rearranged(order):
    """Every patch of every moved map is a patch of the map in one of the four ways, and back."""
    signal = make_map()
    symmetries = MapSymmetries(NSIDE, order, "flips")
    found = [
        symmetries.apply(patch, element)
        for patch in cut_patches(signal, order)
        for element in range(len(symmetries))
    ]
    expected = [patch for moved in moved_maps(signal) for patch in cut_patches(moved, order)]
    assert as_set(found) == as_set(expected)
    assert len(found) == 4 * 12 * order**2


@pytest.mark.parametrize("order", [1, 4])
def test_each_symmetry_rearranges_all_patches_alike(order):
    signal = make_map()
    symmetries = MapSymmetries(NSIDE, order, "flips")
    patches = cut_patches(signal, order)
    ways = [as_set(list(symmetries.apply(patches, element))) for element in range(len(symmetries))]
    for moved in moved_maps(signal):
        assert as_set(list(cut_patches(moved, order))) in ways


@pytest.mark.parametrize(
    ("symmetries", "order", "number"),
    [("none", 0, 1), ("none", 2, 1), ("turns", 0, 8), ("turns", 2, 2), ("flips", 2, 4)],
)
def test_symmetries_form_a_group(symmetries: Symmetries, order, number):
    group = MapSymmetries(NSIDE, order, symmetries)
    assert len(group) == number
    elements = {group.sources(element).tobytes() for element in range(number)}
    assert len(elements) == number
    for first in range(number):
        for second in range(number):
            assert group.sources(first)[group.sources(second)].tobytes() in elements
    np.testing.assert_array_equal(group.sources(0), np.arange(group.num_vertices))


def test_turns_keep_the_handedness_of_the_sphere():
    """Three neighboring points go to three that are seen in the same sense from outside."""
    points = Healpix(2).points
    graph = build_graph(Healpix(2), num_neighbors=8)
    first = 0
    second, third = graph.adjacency[[0]].indices[:2]

    def senses(symmetries: Symmetries) -> set[bool]:
        group = MapSymmetries(2, 0, symmetries)
        found = set()
        for element in range(len(group)):
            images = points[group.sources(element)][[first, second, third]]
            found.add(bool(np.linalg.det(images) > 0))
        return found

    assert len(senses("turns")) == 1
    assert len(senses("flips")) == 2


def test_patch_seen_as_an_image_is_transposed_and_turned():
    """In the coordinates of a base pixel: the bits of a NESTED index, taken in turn."""
    pixels = np.arange(64)
    x = sum(((pixels >> (2 * bit)) & 1) << bit for bit in range(3))
    y = sum(((pixels >> (2 * bit + 1)) & 1) << bit for bit in range(3))
    image = np.empty((8, 8), int)
    image[x, y] = pixels
    ways = {tuple(MapSymmetries(8, 1, "flips").sources(element).tolist()) for element in range(4)}
    turned = image[::-1, ::-1]
    expected = {tuple(way[x, y].tolist()) for way in (image, image.T, turned, turned.T)}
    assert ways == expected


def test_impossible_symmetries_are_rejected(unchecked):
    with pytest.raises(ValueError, match="symmetries must be one of none, turns, flips, got 'all'"):
        MapSymmetries(4, 1, "all")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="order must be at most nside"):
        MapSymmetries(4, 8, "none")
    group = MapSymmetries(4, 1, "turns")
    with pytest.raises(ValueError, match="element must be between 0 and 1, got 2"):
        group.sources(2)
    with pytest.raises(
        ValueError, match=r"shape \(\.\.\., 16 vertices, channels\), got \(192, 1\)"
    ):
        group.apply(np.zeros((192, 1)), 0)
