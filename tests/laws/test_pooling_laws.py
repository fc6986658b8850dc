"""What pooling promises on every registered sampling, and on parts of it."""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck

from deepsphere.graph.coarsening import build_pyramid
from deepsphere.graph.transfer import TRANSFERS, transfer_matrix
from deepsphere.layers.pooling import Pool, Unpool
from deepsphere.layers.smoothing import UpsampledNonlinearity
from deepsphere.sampling import SAMPLINGS, Rectilinear, sampling_from_spec

SPECS = [
    "healpix:nside=4",
    "healpix:nside=4,ordering=ring",
    "equiangular:nlat=8,nlon=16,poles=0",
    "equiangular:nlat=9,nlon=16,poles=2",
    "equiangular:nlat=8,nlon=16,poles=1",
    "gauss_legendre:nlat=8",
    "gauss_legendre:nlat=8,nlon=octahedral",
    "icosahedral:subdivisions=4",
    "icosahedral:subdivisions=2,dual=true",
    "cubed_sphere:subdivisions=4",
    "cubed_sphere:subdivisions=4,spacing=equidistant",
    "fibonacci:num_vertices=150",
    "random_uniform:num_vertices=150",
    Rectilinear(np.arange(78.75, -90, -22.5), np.arange(11.25, 360, 22.5)).spec,
    Rectilinear(np.arange(-90, 91, 22.5), np.arange(16) * 22.5).spec,
]
# where the coarse cells are unions of fine ones
NESTED_AREAS = [
    "healpix:nside=4",
    "healpix:nside=4,ordering=ring",
    "equiangular:nlat=8,nlon=16,poles=0",
    "cubed_sphere:subdivisions=4",
    "cubed_sphere:subdivisions=4,spacing=equidistant",
]
LINEAR = ["mean", "area", "low_pass", "gaussian", "subsample"]


def sampling_of(name):
    """A sampling, or with a trailing word a part of it, or the same points in no known order."""
    spec, _, part = name.partition(" ")
    sampling = sampling_from_spec(spec)
    if part == "cap":
        return sampling.subset(sampling.points @ [0.6, 0, 0.8] > 0.2)
    if part == "holed":
        return sampling.subset(sampling.points[:, 2] < 0.8)
    if part == "scattered":
        lon, lat = np.rad2deg(sampling.lon), np.rad2deg(sampling.lat)
        return SAMPLINGS["scattered"](lon, lat)
    return sampling


NAMES = [*SPECS, *[f"{spec} {part}" for spec in SPECS for part in ("cap", "holed")]]
NAMES.append("fibonacci:num_vertices=150 scattered")
_PYRAMIDS = {}


@pytest.fixture(params=NAMES)
def pyramid(request):
    if request.param not in _PYRAMIDS:
        options = {"num_levels": 2, "num_neighbors": 8}
        _PYRAMIDS[request.param] = build_pyramid(sampling_of(request.param), **options)
    return _PYRAMIDS[request.param]


def random(*shape):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_every_sampling_is_here():
    kinds = {name.partition(":")[0] for name in SPECS} | {"scattered", "subset"}
    assert kinds == set(SAMPLINGS)


def test_memberships_are_shares(pyramid):
    membership = pyramid.memberships[0]
    assert membership.data.min() > 0
    np.testing.assert_allclose(membership.sum(axis=0), 1, atol=1e-12)
    assert (np.diff(membership.indptr) > 0).all()


@pytest.mark.parametrize("method", [*LINEAR, "max"])
def test_pooling_keeps_constants(pyramid, method):
    fine, coarse = (graph.num_vertices for graph in pyramid.graphs)
    pooled = Pool(pyramid, 0, method).double()(torch.full((fine, 2), 3.0, dtype=torch.float64))
    assert pooled.shape == (coarse, 2)
    np.testing.assert_allclose(pooled, 3, atol=1e-12)


@pytest.mark.parametrize("method", ["copy", "area"])
def test_pooling_then_unpooling_keeps_constants(pyramid, method):
    ones = torch.ones(pyramid.graphs[0].num_vertices, 1, dtype=torch.float64)
    back = Unpool(pyramid, 0, method).double()(Pool(pyramid, 0).double()(ones))
    np.testing.assert_allclose(back, 1, atol=1e-12)


def test_upsampled_nonlinearity_keeps_constants(pyramid):
    ones = torch.ones(pyramid.graphs[1].num_vertices, 1, dtype=torch.float64)
    out = UpsampledNonlinearity(pyramid, 1).double()(ones)
    np.testing.assert_allclose(out, 1, atol=1e-12)


def test_adjoint_unpooling_keeps_the_integral(pyramid):
    y = random(pyramid.graphs[1].num_vertices, 3)
    spread = Unpool(pyramid, 0, "adjoint").double()(y).numpy()
    fine, coarse = pyramid.areas(0), pyramid.areas(1)
    np.testing.assert_allclose(fine @ spread, coarse @ y.numpy(), atol=1e-12)


def test_area_unpooling_is_the_adjoint_of_area_pooling(pyramid):
    x, y = (random(graph.num_vertices, 1) for graph in pyramid.graphs)
    fine, coarse = (torch.tensor(pyramid.areas(level))[:, None] for level in (0, 1))
    one = (coarse * Pool(pyramid, 0, "area").double()(x) * y).sum()
    other = (fine * x * Unpool(pyramid, 0, "adjoint").double()(y)).sum()
    torch.testing.assert_close(one, other)


@pytest.mark.parametrize("name", NESTED_AREAS)
def test_area_pooling_keeps_the_mean_where_cells_nest(name):
    pyramid = build_pyramid(sampling_of(name), num_levels=2, num_neighbors=8)
    x = random(pyramid.graphs[0].num_vertices, 3)
    fine, coarse = (sampling.areas for sampling in pyramid.samplings)
    pooled = Pool(pyramid, 0, "area").double()(x).numpy()
    np.testing.assert_allclose(coarse @ pooled, fine @ x.numpy(), atol=1e-9)
    ones = torch.ones(pyramid.graphs[1].num_vertices, 1, dtype=torch.float64)
    np.testing.assert_allclose(Unpool(pyramid, 0, "adjoint").double()(ones), 1, atol=1e-9)


def test_max_is_that_of_a_loop(pyramid):
    x = random(2, pyramid.graphs[0].num_vertices, 3)
    maxima, indices = Pool(pyramid, 0, "max").with_indices(x)
    assert torch.equal(Pool(pyramid, 0, "max")(x), maxima)
    membership = pyramid.memberships[0]
    for row in range(membership.shape[0]):
        children = membership.indices[membership.indptr[row] : membership.indptr[row + 1]]
        expected = x[:, children].amax(dim=1)
        assert torch.equal(maxima[:, row], expected)
        assert torch.equal(x.gather(1, indices[:, [row]])[:, 0], expected)


def test_pooling_looks_at_no_vertex_beyond_the_children(pyramid):
    """A change at one vertex moves the means of its parents and of no other."""
    num_fine = pyramid.graphs[0].num_vertices
    change = torch.zeros(num_fine, 1, dtype=torch.float64)
    vertex = num_fine // 2
    change[vertex] = 1
    parents = pyramid.memberships[0].toarray()[:, vertex] > 0
    for method in ("mean", "area", "max"):
        moved = Pool(pyramid, 0, method).double()(change).numpy()[:, 0] != 0
        assert not (moved & ~parents).any()
        assert method == "max" or (moved == parents).all()


@pytest.mark.parametrize("method", [*LINEAR, "max"])
def test_pooling_takes_any_batch(pyramid, method):
    pool, num = Pool(pyramid, 0, method).double(), pyramid.graphs[0].num_vertices
    x = random(3, 2, num, 4)
    whole = pool(x)
    np.testing.assert_allclose(pool(x[1]), whole[1], atol=1e-13)
    np.testing.assert_allclose(pool(x[1, 0]), whole[1, 0], atol=1e-13)
    np.testing.assert_allclose(pool(x[[2, 0, 1]]), whole[[2, 0, 1]], atol=1e-13)
    assert pool(x[:0]).shape == (0, *whole.shape[1:])
    assert whole.is_contiguous()


@pytest.mark.parametrize("method", ["copy", "area", "adjoint", "zeros"])
def test_unpooling_takes_any_batch(pyramid, method):
    unpool, num = Unpool(pyramid, 0, method).double(), pyramid.graphs[1].num_vertices
    x = random(3, 2, num, 4)
    whole = unpool(x)
    assert whole.shape == (3, 2, pyramid.graphs[0].num_vertices, 4)
    np.testing.assert_allclose(unpool(x[1, 0]), whole[1, 0], atol=1e-13)
    np.testing.assert_allclose(unpool(x[[2, 0, 1]]), whole[[2, 0, 1]], atol=1e-13)
    assert unpool(x[:0]).shape == (0, *whole.shape[1:])
    assert whole.is_contiguous()


SMALL = [
    "healpix:nside=2",
    "healpix:nside=2,ordering=ring",
    "equiangular:nlat=6,nlon=8,poles=1",
    "icosahedral:subdivisions=2",
    "fibonacci:num_vertices=40",
    "healpix:nside=2 cap",
]


@pytest.mark.parametrize("name", SMALL)
def test_gradients_are_right(name):
    pyramid = build_pyramid(sampling_of(name), num_levels=2, num_neighbors=5)
    fine, coarse = (graph.num_vertices for graph in pyramid.graphs)
    x, y = random(2, fine, 1).requires_grad_(), random(2, coarse, 1).requires_grad_()
    for method in [*LINEAR, "max"]:
        assert gradcheck(Pool(pyramid, 0, method).double(), x)
    for method in ("copy", "area", "adjoint", "zeros"):
        assert gradcheck(Unpool(pyramid, 0, method).double(), y)
    pool, unpool = Pool(pyramid, 0, "max"), Unpool(pyramid, 0, "index")
    _, indices = pool.with_indices(x.detach())
    assert gradcheck(lambda values: unpool(values, indices), y)
    assert gradcheck(UpsampledNonlinearity(pyramid, 1, "tanh").double(), y)


@pytest.mark.parametrize("method", TRANSFERS)
@pytest.mark.parametrize("name", NAMES)
def test_transfer_from_and_to_any_sampling_keeps_constants(name, method):
    sampling, other = sampling_of(name), sampling_of("fibonacci:num_vertices=70")
    for source, target in ((sampling, other), (other, sampling)):
        matrix = transfer_matrix(source, target, method)
        assert matrix.data.min() > 0
        # what a part of a sphere does not reach has an empty row
        sums = np.asarray(matrix.sum(axis=1)).ravel()
        reached = sums > 0
        assert reached.all() or source.kind == "subset"
        np.testing.assert_allclose(sums[reached], 1, atol=1e-12)
