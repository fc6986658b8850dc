"""The compiled filter against the plain definition, for every instruction set and odd shape."""

import gc
import os
import subprocess
import sys
from multiprocessing import get_context

import numpy as np
import pytest
import scipy.sparse
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import deepsphere as ds
from deepsphere import native, ops
from deepsphere.ops import cpp, plans

# relative to the largest value; single precision rounds to 6e-8 and sums some hundred terms
TOLERANCES = {torch.float64: 1e-12, torch.float32: 1e-5}


def operator_of(num_vertices: int, degree: int, *, symmetric: bool, seed: int = 0):
    """A random operator of spectral radius below one, with some empty rows, in float64."""
    random = np.random.default_rng(seed)
    density = min(degree / num_vertices, 1.0)
    matrix = scipy.sparse.random_array((num_vertices,) * 2, density=density, rng=random).tocsr()
    if symmetric:
        matrix = matrix + matrix.T
    return scipy.sparse.csr_array(matrix / max(abs(matrix).sum(axis=1).max(), 1e-9))


def band_of(num_vertices: int):
    """A ring of vertices, each with its three neighbors to either side: tiles with small halos."""
    offsets = [0, 1, 2, 3, -1, -2, -3, num_vertices - 1, 1 - num_vertices]
    weights = [0.1, 0.2, -0.1, 0.05, 0.2, -0.1, 0.05, 0.2, 0.2]
    shape = (num_vertices, num_vertices)
    return scipy.sparse.csr_array(scipy.sparse.diags_array(weights, offsets=offsets, shape=shape))


def assert_as_defined(matrix, *, symmetric, batch, channels, kernel_size, dtype, seed=0):
    """Value and gradients of the compiled filter are those of the reference in float64."""
    operator = ops.sparse_operator(matrix, symmetric=symmetric, dtype=dtype)
    exact = ops.sparse_operator(matrix, symmetric=symmetric, dtype=torch.float64)
    random = torch.Generator().manual_seed(seed)
    shape, (in_channels, out_channels) = (batch, matrix.shape[0], channels[0]), channels
    signal = torch.randn(shape, generator=random, dtype=dtype)
    weight = torch.randn(kernel_size, in_channels, out_channels, generator=random, dtype=dtype)
    cotangent = torch.randn(batch, matrix.shape[0], out_channels, generator=random, dtype=dtype)
    results = []
    for backend, cast, known in (("cpp", dtype, operator), ("reference", torch.float64, exact)):
        leaves = [t.to(cast, copy=True).requires_grad_() for t in (signal, weight)]
        value = ops.chebyshev_filter(*leaves, known, backend=backend)
        gradients = torch.autograd.grad(value, leaves, cotangent.to(cast), retain_graph=True)
        alone = torch.autograd.grad(value, leaves[1:], cotangent.to(cast))
        results.append([value.detach(), *gradients, *alone])
    factors = [(signal, weight), (cotangent, weight), (cotangent, signal), (cotangent, signal)]
    for value, expected, (left, right) in zip(*results, factors, strict=True):
        assert value.shape == expected.shape
        assert value.dtype == dtype
        if left.numel() == 0 or right.numel() == 0:
            assert not value.any()
            continue
        # relative to the result, or to its terms where they cancel in a result of a few numbers
        terms = 0.1 * left.abs().max() * right.abs().max()
        error = (value - expected).abs().max() / torch.maximum(expected.abs().max(), terms)
        assert error < TOLERANCES[dtype]


@pytest.mark.usefixtures("unchecked")
@settings(max_examples=60, deadline=None)
@given(
    num_vertices=st.integers(1, 90),
    degree=st.integers(0, 12),
    symmetric=st.booleans(),
    batch=st.integers(0, 9),
    channels=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    kernel_size=st.integers(1, 16),
    dtype=st.sampled_from(list(TOLERANCES)),
    seed=st.integers(0, 2**16),
)
def test_compiled_filter_is_as_defined_for_any_shape(
    num_vertices, degree, symmetric, batch, channels, kernel_size, dtype, seed
):
    assert_as_defined(
        operator_of(num_vertices, degree, symmetric=symmetric, seed=seed),
        symmetric=symmetric,
        batch=batch,
        channels=channels,
        kernel_size=kernel_size,
        dtype=dtype,
        seed=seed,
    )


@pytest.mark.parametrize("dtype", list(TOLERANCES))
@pytest.mark.parametrize("tile_size", [256, 512])
@pytest.mark.parametrize(
    ("batch", "channels", "kernel_size"),
    [(1, (1, 16), 3), (3, (16, 32), 4), (2, (40, 3), 5), (70, (1, 2), 2), (1, (5, 70), 16)],
)
def test_tiles_with_halos_change_nothing(
    dtype, tile_size, batch, channels, kernel_size, monkeypatch
):
    monkeypatch.setattr(plans, "_tile_size", lambda *_: tile_size)
    assert_as_defined(
        band_of(1900),
        symmetric=False,
        batch=batch,
        channels=channels,
        kernel_size=kernel_size,
        dtype=dtype,
    )


@pytest.mark.parametrize("kernel_size", [2, 3, 5])
def test_scattered_vertices_are_gathered_in_patches(kernel_size, monkeypatch):
    monkeypatch.setattr(plans, "_tile_size", lambda *_: 256)
    random = np.random.default_rng(3)
    order = random.permutation(3000)
    matrix = scipy.sparse.csr_array(band_of(3000)[order][:, order])
    operator = ops.sparse_operator(matrix, symmetric=False)
    plan = cpp.plan_of(operator.arrays(), kernel_size, 1, 2)
    assert isinstance(plan, plans.Plan)
    assert not plan.is_ordered
    assert plan.visited_share < 1.3
    assert_as_defined(
        matrix,
        symmetric=False,
        batch=2,
        channels=(3, 5),
        kernel_size=kernel_size,
        dtype=torch.float64,
    )


@pytest.mark.parametrize("dtype", list(TOLERANCES))
@pytest.mark.parametrize("activation", ["none", "relu", "gelu"])
@pytest.mark.parametrize(("batch", "channels"), [(1, (3, 5)), (3, (16, 40)), (2, (40, 16))])
def test_what_follows_the_filter_reaches_the_vertices_of_a_patch(
    dtype, activation, batch, channels, monkeypatch
):
    monkeypatch.setattr(plans, "_tile_size", lambda *_: 256)
    order = np.random.default_rng(3).permutation(3000)
    matrix = scipy.sparse.csr_array(band_of(3000)[order][:, order])
    operator = ops.sparse_operator(matrix, symmetric=False, dtype=dtype)
    random = torch.Generator().manual_seed(0)
    signal = torch.randn(batch, 3000, channels[0], generator=random, dtype=dtype)
    weight = torch.randn(3, *channels, generator=random, dtype=dtype)
    scale, shift = torch.randn(2, channels[1], generator=random, dtype=dtype)
    plan = cpp.plan_of(operator.arrays(), 3, channels[0], batch)
    assert isinstance(plan, plans.Plan)
    assert not plan.is_ordered
    after = {"scale": scale, "shift": shift, "activation": activation, "pool": "none", "group": 1}
    finished = cpp.filter_with_epilogue(signal, weight, operator.arrays(), **after)
    filtered = ops.chebyshev_filter(signal, weight, operator, backend="reference") * scale + shift
    activate = {"none": lambda x: x, "relu": torch.relu, "gelu": torch.nn.functional.gelu}
    expected = activate[activation](filtered)
    tolerance = TOLERANCES[dtype] * expected.abs().max().item()
    torch.testing.assert_close(finished, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", list(TOLERANCES))
@pytest.mark.parametrize("channels", [(40, 1), (41, 2)])
def test_outputs_far_fewer_than_inputs_are_filtered_as_defined(dtype, channels):
    """The weights come first there; on signals that are large enough for it to pay."""
    size = {"batch": 3, "channels": channels, "kernel_size": 5}
    assert 3 * 1000 * channels[0] > cpp._SMALL_VALUES
    assert_as_defined(band_of(1000), symmetric=False, dtype=dtype, **size)


def test_weights_that_come_first_do_not_follow_autocast():
    operator = ops.sparse_operator(band_of(1000), symmetric=False)
    random = torch.Generator().manual_seed(0)
    signal = torch.randn(3, 1000, 40, generator=random)
    weight = torch.randn(5, 40, 1, generator=random)
    expected = ops.chebyshev_filter(signal, weight, operator, backend="cpp")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = ops.chebyshev_filter(signal, weight, operator, backend="cpp")
    assert torch.equal(cast, expected)


def _shares_inside_tiles(matrix: scipy.sparse.csr_array, tiles: np.ndarray) -> float:
    rows, columns = matrix.nonzero()
    return float((tiles[rows] == tiles[columns]).mean())


def test_patches_are_taken_where_fewer_edges_leave_them():
    """Rings of a grid are longer than wide; pixels of HEALPix in their own order are compact."""
    grid = ds.build_graph(ds.Equiangular(nlat=64), num_neighbors=8, weights="gaussian")
    healpix = ds.build_graph(ds.Healpix(nside=32), num_neighbors=8, weights="gaussian")
    for graph, is_ordered in ((grid, False), (healpix, True)):
        matrix = graph.rescaled_laplacian(np.float32)
        operator = ops.sparse_operator(matrix, symmetric=True)
        half = operator.arrays()[:3]
        order = plans._patches(half, 256)
        own = np.arange(graph.num_vertices) // 256
        assert (order is None) == is_ordered
        if order is not None:
            assert sorted(order.tolist()) == list(range(graph.num_vertices))
            tiles = np.empty_like(own)
            tiles[order.numpy()] = own
            before = 1 - _shares_inside_tiles(matrix, own)
            assert 1 - _shares_inside_tiles(matrix, tiles) <= 0.85 * before


def test_a_graph_without_compact_tiles_is_left_to_another_backend():
    matrix = operator_of(100_000, 12, symmetric=True)  # a random graph: no vertices are close
    operator = ops.sparse_operator(matrix, symmetric=True)
    signal, weight = torch.randn(1, 100_000, 2), torch.randn(6, 2, 2)
    name, reason = ops.choose_backend(signal, weight, operator.arrays())
    assert name == "csr"
    assert "several times as large as the tiles" in reason
    with pytest.raises(ValueError, match=r"got 'cpp': neighborhoods of 5 hops"):
        ops.chebyshev_filter(signal, weight, operator, backend="cpp")
    signal.requires_grad_()
    ops.chebyshev_filter(signal, weight, operator).sum().backward()
    assert signal.grad is not None


@pytest.mark.parametrize("isa", ["portable", "avx2", "avx512"])
def test_every_instruction_set_computes_the_same(isa):
    """The best that the machine has, where it lacks the one asked for."""
    code = (
        "import sys, torch; sys.path.insert(0, sys.argv[1]); import test_cpp as t\n"
        "for dtype in t.TOLERANCES:\n"
        "  for batch, channels, size in [(3, (16, 32), 4), (2, (40, 3), 5), (9, (1, 2), 2),\n"
        "                                (1, (1, 37), 3), (4, (6, 16), 3)]:\n"
        "    t.assert_as_defined(t.band_of(700), symmetric=False, batch=batch,\n"
        "        channels=channels, kernel_size=size, dtype=dtype)\n"
        "from deepsphere import native; print(native.instruction_set_name())"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code, os.path.dirname(__file__)],
        env=os.environ | {"DEEPSPHERE_ISA": isa},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    names = ["portable", "avx2", "avx512"]
    assert names.index(answer.stdout.strip()) <= names.index(isa)


def test_any_strides_of_signal_weight_and_gradient():
    matrix = band_of(400)
    operator = ops.sparse_operator(matrix, symmetric=False, dtype=torch.float64)
    random = torch.Generator().manual_seed(0)
    signal = torch.randn(5, 400, 3, 2, generator=random, dtype=torch.float64)[..., 0]
    signal = signal.transpose(0, 2).contiguous().transpose(0, 2).requires_grad_()
    weight = torch.randn(4, 2, 3, generator=random, dtype=torch.float64).transpose(1, 2)
    weight.requires_grad_()
    value = ops.chebyshev_filter(signal, weight, operator, backend="cpp")
    plain = ops.chebyshev_filter(signal, weight, operator, backend="reference")
    torch.testing.assert_close(value, plain)
    for cotangent in (torch.ones(1, dtype=torch.float64).expand_as(value), value.detach().mT.mT):
        gradients = torch.autograd.grad(value, (signal, weight), cotangent, retain_graph=True)
        expected = torch.autograd.grad(plain, (signal, weight), cotangent, retain_graph=True)
        torch.testing.assert_close(gradients, expected)


def test_infinite_values_reach_their_neighbors_and_no_farther():
    operator = ops.sparse_operator(band_of(600), symmetric=False)
    signal = torch.zeros(1, 600, 1)
    signal[0, 300] = float("inf")
    value = ops.chebyshev_filter(signal, torch.ones(2, 1, 1), operator, backend="cpp")
    assert (~value.isfinite()).nonzero()[:, 1].tolist() == list(range(297, 304))


def test_results_repeat_bit_for_bit_on_two_threads():
    operator = ops.sparse_operator(band_of(5000), symmetric=False)
    signal = torch.randn(7, 5000, 6, requires_grad=True)
    weight = torch.randn(4, 6, 9, requires_grad=True)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        runs = []
        for _ in range(5):
            value = ops.chebyshev_filter(signal, weight, operator, backend="cpp")
            gradients = torch.autograd.grad(value.square().sum(), (signal, weight))
            runs.append((value.detach(), *gradients))
    finally:
        torch.set_num_threads(before)
    for run in runs[1:]:
        assert all(torch.equal(value, first) for value, first in zip(run, runs[0], strict=True))


class Filtered(torch.utils.data.Dataset):
    """Signals that a convolution has filtered, as a transform of a data set may do."""

    def __init__(self, operator):
        self.operator = operator

    def __len__(self):
        return 4

    def __getitem__(self, index):
        signal = torch.full((1, 5000, 3), float(index))
        return ops.chebyshev_filter(signal, torch.ones(3, 3, 4), self.operator, backend="cpp")[0]


def test_workers_of_a_data_loader_filter_too():
    operator = ops.sparse_operator(band_of(5000), symmetric=False)
    data = Filtered(operator)
    expected = torch.stack([data[index] for index in range(len(data))])
    loader = torch.utils.data.DataLoader(
        data, batch_size=2, num_workers=2, multiprocessing_context="fork"
    )
    torch.testing.assert_close(torch.cat(list(loader)), expected)


def filter_in_child(queue, signal, weight, operator):
    torch.set_num_threads(2)
    queue.put(ops.chebyshev_filter(signal, weight, operator, backend="cpp").numpy())


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_filters_too():
    """The threads of the parent do not exist in its child, which must not wait for them."""
    operator = ops.sparse_operator(band_of(5000), symmetric=False)
    signal, weight = torch.randn(2, 5000, 3), torch.randn(3, 3, 4)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        expected = ops.chebyshev_filter(signal, weight, operator, backend="cpp")
    finally:
        torch.set_num_threads(before)
    context = get_context("fork")
    queue = context.Queue()
    child = context.Process(target=filter_in_child, args=(queue, signal, weight, operator))
    child.start()
    value = torch.from_numpy(queue.get(timeout=60))
    child.join(60)
    assert child.exitcode == 0
    torch.testing.assert_close(value, expected)


def test_plans_are_made_once_and_freed_with_the_graph():
    graph = ds.build_graph(ds.Healpix(nside=8), num_neighbors=8, weights="gaussian")
    gc.collect()
    before, number = plans.plan_bytes(), len(plans._entries)
    conv = ds.layers.ChebConv(graph, in_channels=2, out_channels=3, kernel_size=4)
    for _ in range(3):
        conv(torch.zeros(1, 768, 2)).sum().backward()
    assert len(plans._entries) == number + 1
    assert plans.plan_bytes() > before
    del conv
    gc.collect()
    assert (plans.plan_bytes(), len(plans._entries)) == (before, number)


def test_changed_values_are_planned_anew():
    operator = ops.sparse_operator(band_of(50), symmetric=False, dtype=torch.float64)
    signal, weight = torch.randn(1, 50, 1).double(), torch.randn(3, 1, 1).double()
    ops.chebyshev_filter(signal, weight, operator, backend="cpp")
    operator.values.mul_(0.5)
    torch.testing.assert_close(
        ops.chebyshev_filter(signal, weight, operator, backend="cpp"),
        ops.chebyshev_filter(signal, weight, operator, backend="reference"),
    )


def test_reasons_why_the_kernels_cannot_serve():
    operator = ops.sparse_operator(band_of(20), symmetric=False)
    arrays = operator.arrays()
    signal, weight = torch.zeros(1, 20, 2), torch.zeros(3, 2, 2)
    assert cpp.why_not(signal, weight, arrays) is None
    for case, words in (
        ((signal.half(), weight.half(), arrays), "float32 or float64, got torch.float16"),
        ((signal.double(), weight, arrays), "weight must be torch.float64"),
        ((signal.double(), weight.double(), arrays), "operator must be torch.float64"),
        ((signal, weight.expand(11, 3, 2, 2).flatten(0, 1), arrays), "at most 32, got 33"),
        (
            (signal, weight, tuple(a.long() if not a.is_floating_point() else a for a in arrays)),
            "2\\^31 edges",
        ),
        ((signal.to("meta"), weight, arrays), "on the CPU, got meta"),
    ):
        with pytest.raises(ValueError, match=words):
            ops.choose_backend(*case, "cpp")


def test_without_kernels_the_rest_goes_on(monkeypatch):
    operator = ops.sparse_operator(band_of(20), symmetric=False)
    signal, weight = torch.zeros(1, 20, 2), torch.zeros(3, 2, 2)
    monkeypatch.setattr(cpp, "why_absent", lambda: "no compiler was found; install g++")
    name, reason = ops.choose_backend(signal, weight, operator.arrays())
    assert name == "csr"
    assert "not cpp: no compiler was found; install g++" in reason
    with pytest.raises(ValueError, match=r"got 'cpp': no compiler was found; install g\+\+"):
        ops.chebyshev_filter(signal, weight, operator, backend="cpp")


def test_explanation_names_backend_and_reason():
    graph = ds.build_graph(ds.Healpix(nside=2), num_neighbors=8)
    conv = ds.layers.BernsteinConv(graph, in_channels=1, out_channels=2, kernel_size=3)
    assert native.why_absent() is None, "tests need the compiled kernels"
    choice = ops.explain(conv, torch.zeros(48, 1))
    assert choice.backend == "cpp"
    assert "tiles" in choice.reason
    conv.backend = "csr"
    assert ops.explain(conv, torch.zeros(3, 48, 1)) == ("csr", "asked for by name")
    block = ds.layers.ConvBlock(graph, in_channels=1, out_channels=2, kernel_size=3)
    with pytest.raises(TypeError, match=r"got ConvBlock; ask about one of its parts: conv"):
        ops.explain(block, torch.zeros(48, 1))
    with pytest.raises(TypeError, match=r"got Identity; use ChebConv"):
        ops.explain(torch.nn.Identity(), torch.zeros(48, 1))
