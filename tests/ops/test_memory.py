"""Large outputs come from memory that was used before, and from no other's."""

import io
import threading

import pytest
import scipy.sparse
import torch

from deepsphere import ops
from deepsphere.ops import memory

LIKE = torch.zeros(1)
MEGABYTE = 2**18  # numbers in single precision


@pytest.fixture(autouse=True)
def nothing_kept():
    ops.release_memory()
    yield
    ops.release_memory()


def test_memory_of_a_freed_output_is_used_again():
    first = memory.empty_output(LIKE, 3, MEGABYTE)
    address = first.data_ptr()
    view = first[1:]
    del first
    assert memory.kept_bytes() == 0, "a view keeps the memory"
    del view
    assert memory.kept_bytes() >= 3 * 2**20
    assert memory.empty_output(LIKE, 3, MEGABYTE).data_ptr() == address


def test_outputs_that_live_share_nothing():
    outputs = [memory.empty_output(LIKE, 2, MEGABYTE).fill_(i) for i in range(5)]
    assert all(bool((output == i).all()) for i, output in enumerate(outputs))
    assert all(output.data_ptr() % memory.CACHE_LINE == 0 for output in outputs)


def test_what_is_kept_is_limited_and_can_be_released(monkeypatch):
    monkeypatch.setattr(memory, "_LARGEST_KEPT", 5 * 2**20)
    outputs = [memory.empty_output(LIKE, 2, MEGABYTE) for _ in range(4)]
    outputs.clear()
    kept = memory.kept_bytes()
    assert 0 < kept <= 5 * 2**20
    assert ops.release_memory() == kept
    assert memory.kept_bytes() == 0


def test_outputs_of_all_types_and_sizes():
    for dtype in (torch.float32, torch.float64):
        for shape in ((0, 5), (7,), (2, MEGABYTE + 1, 1)):
            output = memory.empty_output(torch.zeros(1, dtype=dtype), *shape)
            assert (output.shape, output.dtype) == (torch.Size(shape), dtype)
            assert output.is_contiguous()


def test_an_output_is_an_ordinary_tensor():
    output = memory.empty_output(LIKE, 2, MEGABYTE).fill_(3.0).requires_grad_()
    output.square().sum().backward()
    assert output.grad is not None
    buffer = io.BytesIO()
    torch.save(output.detach(), buffer)
    buffer.seek(0)
    assert torch.equal(torch.load(buffer), output.detach())
    shared = output.detach().clone().share_memory_()
    own = memory.empty_output(LIKE, 2, MEGABYTE).copy_(shared).share_memory_()
    assert torch.equal(own, shared)


def test_an_output_may_be_changed_in_place_under_autograd():
    identity = scipy.sparse.eye_array(MEGABYTE, format="csr")
    operator = ops.sparse_operator(identity, symmetric=True)
    weight = torch.ones(1, 1, 2, requires_grad=True)
    output = ops.chebyshev_filter(torch.ones(1, MEGABYTE, 1), weight, operator, backend="cpp")
    assert output.nbytes >= 2**20
    assert not output._is_view()
    torch.relu_(output.sub_(0.5)).sum().backward()
    assert weight.grad is not None
    assert weight.grad.flatten().tolist() == [MEGABYTE, MEGABYTE]


def test_threads_get_memory_of_their_own():
    failures = []

    def work(number: int) -> None:
        for _ in range(50):
            output = memory.empty_output(LIKE, MEGABYTE).fill_(number)
            if not bool((output == number).all()):
                failures.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_memory_of_a_container_limits_what_is_kept(monkeypatch, tmp_path):
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(memory, "_GROUP_LIMIT", limit)
    whole = memory._total_memory()
    assert whole > 2**28
    limit.write_text("max\n")
    assert memory._total_memory() == whole
    limit.write_text(f"{2**28}\n")
    assert memory._total_memory() == 2**28
