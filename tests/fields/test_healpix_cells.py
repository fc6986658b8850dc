"""HEALPix cells of data sets, in the conventions that say which pixels they are."""

import numpy as np
import pytest

from deepsphere.fields import from_xarray, sampling_from_dataset
from deepsphere.sampling import Healpix, Subset, nested_to_ring

xr = pytest.importorskip("xarray")

XDGGS = {"grid_name": "healpix", "level": 2, "indexing_scheme": "nested"}


def cells(ids, attrs, *, dim="cells", name="cell_ids"):
    """A field whose value at a pixel is its number."""
    ids = np.asarray(ids)
    return xr.Dataset(
        {"t": (("time", dim), np.stack([ids, ids + 1000]).astype(np.float32))},
        {name: (dim, ids, attrs)},
    )


@pytest.mark.parametrize(
    ("attrs", "ordering"),
    [
        (XDGGS, "nested"),
        ({**XDGGS, "indexing_scheme": "ring"}, "ring"),
        ({"grid_name": "healpix", "nside": 4, "nest": True}, "nested"),
        ({"grid_name": "healpix", "nside": 4, "nest": False}, "ring"),
        ({"grid_name": "healpix", "resolution": 2, "nest": 1}, "nested"),
        ({"grid_name": "healpix", "order": 2, "ordering": "RING"}, "ring"),
        ({"grid_name": "healpix", "refinement_level": 2, "indexing_scheme": "nest"}, "nested"),
    ],
)
def test_attributes_say_size_and_order(attrs, ordering):
    fields = from_xarray(cells(np.arange(192), attrs))
    assert fields.sampling == Healpix(4, ordering=ordering)
    np.testing.assert_array_equal(fields.signals[0, :, 0], np.arange(192))


def test_pixels_in_any_order_are_put_in_order_and_back():
    ids = np.random.default_rng(0).permutation(192)
    data = cells(ids, XDGGS)
    fields = from_xarray(data)
    assert fields.sampling == Healpix(4)
    np.testing.assert_array_equal(fields.signals[1, :, 0], np.arange(192) + 1000)
    assert fields.restore(fields.signals).identical(data)


def test_some_pixels_are_a_part_of_the_sphere():
    ids = np.array([77, 3, 150, 4, 91])
    data = cells(ids, XDGGS)
    fields = from_xarray(data)
    assert fields.sampling == Healpix(4).subset(np.sort(ids))
    np.testing.assert_array_equal(fields.signals[0, :, 0], np.sort(ids))
    assert fields.restore(fields.signals).identical(data)
    # that of a larger resolution is the level by the convention of xdggs
    part = cells(ids, {"grid_name": "healpix", "resolution": 4, "nest": True})
    assert sampling_from_dataset(part).base == Healpix(16)


def test_size_of_all_pixels_need_not_be_said():
    data = cells(np.arange(192), {"indexing_scheme": "nested"})
    assert sampling_from_dataset(data) == Healpix(4)


def test_grid_mapping_and_store_attributes_are_read():
    field = xr.Dataset({"t": ("cell", np.arange(192.0))})
    mapping = {
        "grid_mapping_name": "healpix",
        "healpix_nside": 4,
        "healpix_order": "nest",
    }
    assert sampling_from_dataset(field.assign(crs=((), 0, mapping))) == Healpix(4)
    mapping = {
        "grid_mapping_name": "healpix",
        "refinement_level": 2,
        "indexing_scheme": "ring",
    }
    assert sampling_from_dataset(field.assign(crs=((), 0, mapping))) == Healpix(4, ordering="ring")
    store = {"name": "healpix", "refinement_level": 2, "indexing_scheme": "nested"}
    assert sampling_from_dataset(field.assign_attrs(dggs=store)) == Healpix(4)


def test_points_at_the_places_of_both_orders_agree():
    ring, nested = Healpix(4, ordering="ring"), Healpix(4)
    as_ring = from_xarray(cells(np.arange(192), {**XDGGS, "indexing_scheme": "ring"}))
    as_nested = from_xarray(cells(np.arange(192), XDGGS))
    np.testing.assert_allclose(as_ring.sampling.points[nested_to_ring(4)], nested.points)
    assert as_ring.sampling == ring
    assert as_nested.sampling == nested


def test_cells_whose_order_is_not_said_are_refused():
    data = xr.Dataset({"t": ("cell", np.arange(192.0))})
    with pytest.raises(
        ValueError,
        match=r"192 = 12 · 4² cells of HEALPix, but not their order.*'level': 2, 'indexing_scheme'",
    ):
        sampling_from_dataset(data)


@pytest.mark.parametrize(
    ("ids", "attrs", "message"),
    [
        (range(192), {"level": 2}, r"must say the order of its pixels, nested or ring"),
        (range(5), {"indexing_scheme": "nested"}, r"must say the size of the HEALPix sampling"),
        ([0, 192], XDGGS, r"must hold pixels below 192 for nside 4, got 192"),
        ([0, 3, 3], XDGGS, r"must hold distinct pixels, got 3 2 times"),
        ([-1, 3], XDGGS, r"must hold numbers of pixels from 0, got -1"),
        ([0.5, 3], XDGGS, r"must hold the numbers of pixels, got float64 values that are not"),
        (range(192), {**XDGGS, "indexing_scheme": "zuniq"}, r"must be nested or ring, got index"),
        (range(300), {"grid_name": "healpix", "nside": 5, "nest": True}, r"power of two"),
    ],
)
def test_contradictions_are_named(ids, attrs, message):
    with pytest.raises(ValueError, match=message):
        sampling_from_dataset(cells(list(ids), attrs))


def test_mapping_without_a_fitting_dimension_is_refused():
    data = xr.Dataset({"t": ("cell", np.arange(100.0))}).assign_attrs(
        dggs={"name": "healpix", "level": 2, "indexing_scheme": "nested"}
    )
    with pytest.raises(ValueError, match=r"one dimension of 12 nside² cells.*'cell': 100"):
        sampling_from_dataset(data)
    assert isinstance(sampling_from_dataset(cells([1, 2], XDGGS)), Subset)
