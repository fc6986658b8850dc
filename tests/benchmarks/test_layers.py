"""Every variant computes the same layer; cases report all of them."""

import sys
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
import scipy.sparse
import torch
from torch import nn

from deepsphere.benchmarks import variants
from deepsphere.benchmarks.peers.chebyshev import OwnFilter, PublishedCOO
from deepsphere.benchmarks.peers.harmonic import DISCO_SMALL, HEALPY_PAIR
from deepsphere.benchmarks.record import OURS
from deepsphere.benchmarks.shapes import (
    LayerShape,
    filter_support,
    layer_inputs,
    layer_operator,
    tiny_operator,
)
from deepsphere.benchmarks.suites.layers import (
    FORWARD,
    TRAINING,
    LayerCase,
    layer_calls,
    measure_layer,
)
from deepsphere.benchmarks.timing import relative_error
from deepsphere.benchmarks.variants import (
    COO,
    EAGER,
    GEOMETRIC,
    LAYER_VARIANTS,
    SCIPY,
    LayerVariant,
    chosen_backend,
)
from deepsphere.ops import BACKENDS

SHAPE = LayerShape(nside=4, batch=2, in_channels=3, out_channels=5, kernel_size=4, num_neighbors=8)
ROUNDING = 1e-5  # of a sum of a hundred products in float32


class FakeConv(nn.Module):
    """The part of PyTorch Geometric's interface that the benchmark uses, written naively."""

    def __init__(self, in_channels: int, out_channels: int, *, K: int, bias: bool) -> None:
        super().__init__()
        self.lins = nn.ModuleList(
            nn.Linear(in_channels, out_channels, bias=False) for _ in range(K)
        )

    def __norm__(self, *_, **__):
        raise AssertionError("its Laplacian must not be computed in the timed part")

    def forward(self, signal, edges):
        edges, values = self.__norm__(edges)
        source, target = edges

        def propagate(x):
            messages = values[:, None] * x[:, source]
            return torch.zeros_like(x).index_add(1, target, messages)

        basis = [signal]
        for order in range(1, len(self.lins)):
            step = propagate(basis[-1])
            basis.append(step if order == 1 else 2 * step - basis[-2])
        return sum(linear(x) for linear, x in zip(self.lins, basis, strict=True))


@pytest.fixture
def fake_geometric(monkeypatch):
    package, rooms = ModuleType("torch_geometric"), ModuleType("torch_geometric.nn")
    rooms.ChebConv = FakeConv
    monkeypatch.setitem(sys.modules, "torch_geometric", package)
    monkeypatch.setitem(sys.modules, "torch_geometric.nn", rooms)


def dense_operator(folder) -> np.ndarray:
    operator = layer_operator(SHAPE, folder)
    arrays = (operator.values.numpy(), operator.col.numpy(), operator.crow.numpy())
    size = (operator.num_vertices,) * 2
    return scipy.sparse.csr_matrix(arrays, shape=size).toarray().astype(float)


def naive_filter(matrix: np.ndarray, signal: np.ndarray, weight: np.ndarray) -> np.ndarray:
    polynomials = [np.eye(len(matrix)), matrix]
    while len(polynomials) < len(weight):
        polynomials.append(2 * matrix @ polynomials[-1] - polynomials[-2])
    return sum(p @ signal @ w for p, w in zip(polynomials, weight, strict=False))


@pytest.mark.parametrize("name", [EAGER, OURS, "csr", "reference", COO, SCIPY, GEOMETRIC])
def test_variant_computes_the_polynomial(name, setting, fake_geometric):
    signal, weight, _ = layer_inputs(SHAPE)
    layer = LAYER_VARIANTS[name].make(layer_operator(SHAPE, setting.folder), weight)
    expected = naive_filter(
        dense_operator(setting.folder), signal.double().numpy(), weight.double().numpy()
    )
    (out,) = layer_calls({name: layer}, signal, None)[name]()
    assert out.dtype == torch.float32
    assert relative_error([out.double()], [torch.from_numpy(expected)]) < ROUNDING


@pytest.mark.parametrize("name", [OURS, "reference", COO, GEOMETRIC])
def test_variant_gives_the_gradients_of_the_first(name, setting, fake_geometric):
    signal, weight, grad = layer_inputs(SHAPE)
    operator = layer_operator(SHAPE, setting.folder)
    layers = {key: LAYER_VARIANTS[key].make(operator, weight) for key in (EAGER, name)}
    outputs = {key: call() for key, call in layer_calls(layers, signal, grad).items()}
    shapes = [tuple(tensor.shape) for tensor in outputs[name]]
    assert shapes == [(2, 192, 5), (2, 192, 3), (4, 3, 5)]
    assert relative_error(outputs[name], outputs[EAGER]) < ROUNDING


@pytest.mark.parametrize("kernel_size", [1, 2])
def test_published_layer_of_low_order(kernel_size, setting):
    shape = replace(SHAPE, kernel_size=kernel_size)
    signal, weight, _ = layer_inputs(shape)
    out = PublishedCOO(layer_operator(shape, setting.folder), weight)(signal)
    expected = naive_filter(dense_operator(setting.folder), signal.numpy(), weight.numpy())
    assert relative_error([out.double()], [torch.from_numpy(expected).double()]) < ROUNDING


def test_operator_is_the_normalized_laplacian_of_gaussian_weights(setting):
    matrix = dense_operator(setting.folder)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-7)
    assert (np.diag(matrix) == 0).all()
    assert np.count_nonzero(matrix, axis=1).min() >= SHAPE.num_neighbors
    eigenvalues, vectors = np.linalg.eigh(matrix)
    np.testing.assert_allclose(eigenvalues[0], -1, atol=1e-6)  # of the square roots of degrees
    assert eigenvalues[-1] < 1
    assert (vectors[:, 0] > 0).all() or (vectors[:, 0] < 0).all()


def test_operator_is_built_once_per_folder(setting):
    first = layer_operator(SHAPE, setting.folder)
    (file,) = setting.folder.iterdir()
    written = file.stat().st_mtime_ns
    second = layer_operator(replace(SHAPE, batch=7, kernel_size=2), setting.folder)
    assert [entry.stat().st_mtime_ns for entry in setting.folder.iterdir()] == [written]
    assert torch.equal(first.values, second.values)


def test_base_pixel_is_a_twelfth_of_the_sphere():
    shape = replace(SHAPE, part="base pixel")
    assert shape.num_vertices * 12 == SHAPE.num_vertices
    assert shape.sampling().num_vertices == shape.num_vertices


def test_support_counts_the_vertices_within_reach():
    operator = tiny_operator()
    arrays = (operator.values.numpy(), operator.col.numpy(), operator.crow.numpy())
    hops = scipy.sparse.csr_matrix(arrays, shape=(192, 192)).toarray() != 0
    hops = hops | np.eye(192, dtype=bool)
    assert filter_support(operator, kernel_size=2) == pytest.approx(hops.sum(axis=1).mean())
    twice = (hops.astype(int) @ hops) > 0
    assert filter_support(operator, kernel_size=3) == pytest.approx(twice.sum(axis=1).mean())


def test_default_says_which_backend_it_is():
    signal, weight, _ = layer_inputs(SHAPE)
    operator = tiny_operator()  # of as many vertices
    assert chosen_backend(OwnFilter(operator, weight), signal) in ("cpp", "csr")
    assert chosen_backend(OwnFilter(operator, weight, backend="csr"), signal) == ""
    assert chosen_backend(PublishedCOO(operator, weight), signal) == ""


def test_absent_backend_says_why(setting, monkeypatch):
    def why_not(signal, weight, arrays):
        assert signal.device.type == setting.device
        return "the kernels were not built"

    monkeypatch.setattr(BACKENDS["cpp"], "why_not", why_not)
    variants._objection.cache_clear()
    found = {row.variant: row for row in measure_layer(LayerCase(SHAPE, (FORWARD,)), setting)}
    variants._objection.cache_clear()
    assert found["cpp"].median is None
    assert found["cpp"].note == "the kernels were not built"
    assert found["csr"].median is not None


# cases


def test_case_reports_every_variant_in_every_work(setting):
    case = LayerCase(SHAPE, (FORWARD, TRAINING))
    found = list(measure_layer(case, setting))
    for work in case.works:
        of_work = {row.variant: row for row in found if row.work == work}
        assert set(of_work) == set(LAYER_VARIANTS)
        assert len(of_work) == len([row for row in found if row.work == work])
        for name in (EAGER, OURS, "csr", "reference"):
            assert of_work[name].median is not None
            assert of_work[name].num_vertices == 192
        assert of_work[COO].median is None
        assert of_work[COO].note == "peers were not asked for; pass --peers"


def test_absent_peer_is_reported_with_what_installs_it(setting):
    absent = LayerVariant("absent", "", OwnFilter, "peer", package="no_such_package_anywhere")
    with_peers = replace(setting, with_peers=True)
    able = {EAGER: LAYER_VARIANTS[EAGER], "absent": absent}
    found = list(measure_layer(LayerCase(SHAPE, (FORWARD,)), with_peers, variants=able))
    (row,) = (row for row in found if row.variant == "absent")
    assert row.median is None
    assert (
        row.note
        == "no_such_package_anywhere is not installed; pip install no-such-package-anywhere"
    )


def test_variant_that_computes_something_else_is_refused(setting):
    class Wrong(PublishedCOO):
        def forward(self, signal):
            return super().forward(signal) + 0.01

    able = {
        EAGER: LAYER_VARIANTS[EAGER],
        "wrong": LayerVariant("wrong", "", Wrong, "plain"),
    }
    found = list(measure_layer(LayerCase(SHAPE, (FORWARD,)), setting, variants=able))
    assert [row.disagrees for row in found] == [False, True]
    assert found[1].median is None


@pytest.mark.parametrize(
    ("variant", "options", "reason"),
    [
        (LAYER_VARIANTS[SCIPY], {"training": True}, "has no gradients"),
        (LAYER_VARIANTS["reference"], {"num_values": 10**9}, "left out above 4,194,304 values"),
        (LAYER_VARIANTS[COO], {"training": True}, None),
    ],
)
def test_reason_of_a_variant(variant, options, reason, setting):
    assert variant.why_not(replace(setting, with_peers=True), **options) == reason


def test_reason_of_a_convolution_on_another_grid(setting, monkeypatch):
    with_peers = replace(setting, with_peers=True)
    assert HEALPY_PAIR.why_not(setting, nside=4) == "peers were not asked for; pass --peers"
    too_large = 2 * HEALPY_PAIR.largest_nside
    assert HEALPY_PAIR.why_not(with_peers, nside=too_large) == "left out above nside 1024"
    absent = replace(DISCO_SMALL, package="no_such_package")
    assert absent.why_not(with_peers, nside=4) == (
        "no_such_package is not installed; pip install no-such-package"
    )


def test_transforms_give_back_a_map_of_low_degree(monkeypatch):
    healpy = pytest.importorskip("healpy")
    vertical = healpy.pix2vec(8, np.arange(768))[2]
    monkeypatch.setattr(
        np.random, "default_rng", lambda _: type("", (), {"standard_normal": lambda *_: vertical})
    )
    call, remark = HEALPY_PAIR.prepare(LayerShape(8, 1, 1, 1), "cpu")
    error = call()[0].numpy() - vertical
    assert np.sqrt(np.mean(error**2)) < 0.02  # of the quadrature, which is not iterated
    assert remark.startswith("one channel, degrees to 16")


def test_factors_become_requirements():
    case = LayerCase(SHAPE, (FORWARD,), factors={FORWARD: {COO: 12.0, EAGER: 4.0}})
    assert [(r.case, r.work, r.against, r.at_least) for r in case.requirements()] == [
        (SHAPE.title, FORWARD, COO, 12.0),
        (SHAPE.title, FORWARD, EAGER, 4.0),
    ]
