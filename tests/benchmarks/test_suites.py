"""What the tables of cases hold, the roofline, memory, and suites run on tiny cases."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix

import deepsphere as ds
from deepsphere.benchmarks import roofline
from deepsphere.benchmarks.machine import describe_benchmark_machine, describe_benchmark_versions
from deepsphere.benchmarks.peak import measure_layer_memory
from deepsphere.benchmarks.peers.harmonic import grid_of
from deepsphere.benchmarks.record import OURS
from deepsphere.benchmarks.registry import SUITES
from deepsphere.benchmarks.roofline import Bound, Roof, layer_bound
from deepsphere.benchmarks.run import output_files, run_suite
from deepsphere.benchmarks.shapes import LayerShape, layer_operator
from deepsphere.benchmarks.suites import (
    block,
    filter,
    graph,
    network,
    regridding,
    scaling,
    stations,
)
from deepsphere.benchmarks.suites.networks import convolution_weights, plain_copy
from deepsphere.benchmarks.timing import AGREEMENT, relative_error
from deepsphere.benchmarks.variants import COO, EAGER, GEOMETRIC, LAYER_VARIANTS
from deepsphere.experiments.memory import added_megabytes, resident_megabytes
from deepsphere.experiments.timing import Times
from deepsphere.models.presets import ghcn
from deepsphere.models.trunk import level_operators

SHAPE = LayerShape(nside=4, batch=2, in_channels=3, out_channels=5, kernel_size=4, num_neighbors=8)


@pytest.mark.parametrize("name", list(SUITES))
def test_requirements_are_of_numbers_that_the_suite_measures(name, setting):
    """Every name of a requirement is written as the numbers are."""
    known = set(LAYER_VARIANTS) | {peer.name for peer in filter.CONVOLUTIONS}
    for required in SUITES[name].requirements(replace(setting, quick=False)):
        assert required.against is None or required.against in known
    cases = {required.case for required in SUITES[name].requirements(setting)}
    if name == "filter":
        titles = {case.shape.title for case in filter.CASES}
        titles |= {filter.equal_pixels_title(shape) for shape in filter.EQUAL_PIXELS}
        assert cases <= titles


def test_requirements_of_the_filter_on_a_million_vertices(setting):
    required = [r for r in filter.requirements(setting) if r.case == filter.MILLION.title]
    forward = {r.against: r.at_least for r in required if r.work == "forward"}
    assert filter.MILLION.num_vertices == 2**20
    assert forward == {COO: 15.0, GEOMETRIC: 20.0, EAGER: 4.5, "csr": 1.8}


def test_bound_is_the_longer_of_arithmetic_and_memory():
    roof = Roof(flops=1e9, bandwidth=1e6)
    bound = layer_bound(SHAPE, num_edges=2000, roof=roof)
    items, narrow = 2 * 192, 3
    flops = 2 * 2000 * 2 * narrow * 3 + 2 * items * 4 * 3 * 5
    assert bound.arithmetic == pytest.approx(1e3 * flops / 1e9)
    assert bound.memory == pytest.approx(1e3 * (4 * items * 8 + 6 * 2000) / 1e6)
    assert (bound.milliseconds, bound.name) == (bound.memory, "memory")
    assert Bound(arithmetic=2.0, memory=1.0).name == "arithmetic"


def test_roofline_share_is_the_bound_over_the_time(setting, monkeypatch):
    def beside(call, setting):
        call()
        return Times((10.0, 20.0, 40.0)), Roof(flops=1e30, bandwidth=1e6)

    monkeypatch.setattr(filter, "time_beside_roof", beside)
    (found,) = filter.measure_roofline(SHAPE, setting)
    edges = len(layer_operator(SHAPE, setting.folder).values)
    least = 1e3 * (4 * 2 * 192 * 8 + 6 * edges) / 1e6  # milliseconds
    assert found.unit == "%"
    assert found.median == pytest.approx(100 * least / 20)
    assert found.quartiles == pytest.approx((100 * least / 30, 100 * least / 15))
    assert found.note.startswith("memory is the bound: arithmetic 0.00 ms")


@pytest.mark.parametrize("num_vertices", [192, 12288, 786432])
def test_grid_has_as_many_pixels(num_vertices):
    rings, meridians = grid_of(num_vertices)
    assert meridians == 2 * rings
    assert abs(rings * meridians / num_vertices - 1) < 1 / np.sqrt(num_vertices / 2)


def test_roof_is_the_best_turn_of_product_and_copy(setting, monkeypatch):
    def fake(calls, setting):
        assert list(calls) == ["call", "product", "copy"]
        for one in calls.values():
            one()
        return {name: Times((4.0, 2.0, 3.0)) for name in calls}

    monkeypatch.setattr(roofline, "interleave", fake)
    times, roof = roofline.time_beside_roof(lambda: None, setting)
    assert times.median == 3.0
    assert roof.flops == pytest.approx(2 * 256**3 / 2e-3)  # of the small, quick sizes
    assert roof.bandwidth == pytest.approx(2 * 4 * 2**20 / 2e-3)


def test_added_memory_is_that_of_the_call():
    kept = []
    num_megabytes = 64

    def allocate() -> None:
        kept.append(torch.ones(num_megabytes * 2**18))

    added = added_megabytes(lambda: None, allocate, "cpu")
    assert num_megabytes - 2 < added < num_megabytes + 8
    assert resident_megabytes("VmHWM") >= resident_megabytes("VmRSS")


def test_memory_of_a_layer_holds_its_output_and_its_basis(setting):
    shape = LayerShape(nside=32, batch=8, in_channels=16, out_channels=16, num_neighbors=8)
    panel = 4 * shape.largest_signal / 2**20
    added = measure_layer_memory(EAGER, shape, "forward", setting)
    # three orders and the output at least, a few copies of them at most
    assert 4 * panel < added < 24 * panel


def test_memory_of_a_variant_that_fails_is_an_error(setting):
    with pytest.raises(RuntimeError, match="KeyError: 'nobody'"):
        measure_layer_memory("nobody", SHAPE, "forward", setting)


def test_plain_network_is_ours_on_other_layers(setting):
    case = network.NetworkCase(8, 2, network.INFERENCE, {}, channels=(3, 4))
    model = network.make_network(case)
    operators = [level.arrays() for level in level_operators(model.pyramid)][:2]
    plain = plain_copy(model, operators, LAYER_VARIANTS[COO])
    signals = torch.randn(2, 768, 6, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([1, 2])
    for training in (True, False):  # running statistics are those of one batch in the second
        for either in (model, plain):
            either.train(training)
        ours, theirs = (network.training_step(m, signals, labels) for m in (model, plain))
        assert relative_error(theirs, ours) < AGREEMENT
    assert len(convolution_weights(model)) == 2


@pytest.mark.parametrize("work", [block.INFERENCE, block.TRAINING_STEP])
def test_blocks_agree(work, setting):
    found = list(block.measure_block(block.BlockCase(4, 2, 3, 5), work, setting))
    numbers = {row.variant: row.median for row in found}
    assert set(numbers) == {EAGER, OURS, block.UNFUSED, COO, GEOMETRIC}
    assert all(numbers[name] is not None for name in (EAGER, OURS, block.UNFUSED))


def test_searches_that_find_other_neighbors_are_refused(setting, monkeypatch):
    def wrong(sampling, num_neighbors):
        return 1.001 * graph._tree_distances(sampling, num_neighbors)

    monkeypatch.setitem(graph._SEARCHES, graph.SCIPY_TREE, wrong)
    monkeypatch.setattr(graph, "measure_neighbor_memory", lambda *_: 1234.0)
    with_peers = replace(setting, with_peers=True)
    case = graph.NeighborCase(4, num_neighbors=8)
    found = {(r.work, r.variant): r for r in graph.measure_search(case, with_peers)}
    assert found[graph.SEARCH, OURS].median is not None
    assert found[graph.SEARCH, graph.SKLEARN].median is not None
    assert found[graph.SEARCH, graph.SCIPY_TREE].median is None
    assert found[graph.SEARCH, graph.SCIPY_TREE].disagrees
    assert found[graph.MEMORY, OURS].median == 1.234


def test_graph_in_one_direction_has_the_same_nearest_distances():
    distances = np.array([[1.0, 3.0], [1.0, 2.0], [2.0, 3.0]])
    rows = csr_matrix(np.array([[0, 1.0, 3.0], [1.0, 0, 2.0], [3.0, 2.0, 0]]))
    np.testing.assert_array_equal(graph._compared_distances(rows, 2), distances)
    np.testing.assert_array_equal(graph._compared_distances(distances[:, ::-1], 2), distances)


def test_spread_of_costs_is_the_largest_over_the_smallest(setting, monkeypatch):
    case = replace(scaling.QUICK_CASES[0], peers=())
    monkeypatch.setattr(scaling, "QUICK_CASES", (case,))
    found = list(scaling.run(setting))
    costs = [row.median for row in found if row.work == scaling.COST and row.variant == OURS]
    assert len(costs) == len(case.nsides)
    assert found[-1].work == scaling.SPREAD
    assert found[-1].median == max(costs) / min(costs)


def test_record_of_a_suite_tells_machine_and_load(setting, monkeypatch):
    monkeypatch.setattr(block, "QUICK_CASES", (block.BlockCase(4, 1, 2, 2),))
    seen = []
    record = run_suite("block", setting, command="deepsphere benchmark", announce=seen.append)
    assert record.measurements == seen
    assert record.requirements == []  # a quick run claims nothing
    assert [load.case for load in record.loads] == [block.QUICK_CASES[0].title]
    assert record.setting["num_threads"] == 1
    assert "folder" not in record.setting
    assert record.machine["threads"] == 1
    assert record.versions["torch"] == torch.__version__


def test_machine_says_what_changes_times():
    machine = describe_benchmark_machine()
    assert {"processor", "cores", "OMP_WAIT_POLICY"} <= set(machine)
    assert "deepsphere" in describe_benchmark_versions()


def test_unknown_suite_is_rejected(setting):
    with pytest.raises(ValueError, match=r"suite must be one of filter, block, .*got 'speed'"):
        run_suite("speed", setting, command="")


def test_file_for_several_suites_is_rejected(tmp_path):
    assert output_files(["graph"], tmp_path / "a.json") == [tmp_path / "a.json"]
    with pytest.raises(ValueError, match=r"output must be a folder for 2 suites, got the file"):
        output_files(["graph", "block"], tmp_path / "a.json")


def test_regridding_is_measured_and_exact(setting):
    found = list(regridding.run(replace(setting, quick=True, with_peers=True)))
    works = {(measurement.work, measurement.variant) for measurement in found}
    assert works == {("conservative", OURS), ("barycentric", OURS)}
    (conservative,) = [m for m in found if m.work == "conservative"]
    assert conservative.median is not None
    assert conservative.error is not None
    assert conservative.error < regridding.AGREEMENT
    case = regridding.RegriddingCase("healpix:2", "icosahedral:1")
    (peer,) = [m for m in regridding.measure_regridding(case, setting) if m.variant == "healpy"]
    assert peer.median is None
    assert peer.note == "peers were not asked for; pass --peers"


def test_regridding_has_to_be_fast_enough(setting):
    (required,) = regridding.requirements(setting)
    assert required.case == "equiangular:90x180 -> healpix:64"
    assert required.at_most == 20_000  # milliseconds


def test_stations_are_measured_with_and_without_missing_values(setting):
    found = list(stations.run(replace(setting, quick=True)))
    works = [stations.BUILDING, stations.TRAINING_STEP, stations.MASKED_STEP]
    assert [measurement.work for measurement in found] == 2 * works
    assert all(measurement.median is not None for measurement in found)
    assert {measurement.num_vertices for measurement in found} == {200}
    assert ["optimal_rows" in measurement.case for measurement in found] == 3 * [False] + 3 * [True]


def test_stations_have_to_be_fast_enough(setting):
    required = stations.requirements(setting)
    assert {one.case for one in required} == {case.title for case in stations.CASES}
    assert {r.at_most for r in required if r.work == stations.BUILDING} == {20_000}  # milliseconds
    assert {r.at_most for r in required if r.work == stations.TRAINING_STEP} == {6_000}


def test_network_of_the_stations_is_the_published_one():
    graph = ds.build_graph(ds.Fibonacci(60), num_neighbors=5, weights="gaussian")
    ours, published = stations.make_network(graph), ghcn(graph.pyramid(num_levels=1))
    shapes = [parameter.shape for parameter in ours.parameters()]
    assert shapes == [parameter.shape for parameter in published.parameters()]
