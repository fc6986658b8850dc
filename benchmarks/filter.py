"""The graph filter against the recurrence written out in tensors: time and memory.

Every variant computes the same layer on the same graph and allocates its own output. Times are
interleaved in one process and reported as medians with quartiles; memory is measured in a fresh
process per variant as the growth of the peak resident set.
"""

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

import deepsphere as ds
from deepsphere.ops import SparseOperator, chebyshev_filter, csr_tensor, sparse_operator


@dataclass(frozen=True)
class Case:
    """One layer: resolution, batch, channels and size of the filter."""

    nside: int
    batch: int
    in_channels: int
    out_channels: int
    kernel_size: int
    num_neighbors: int

    @property
    def title(self) -> str:
        """The case in one line."""
        return (
            f"nside {self.nside} ({12 * self.nside**2:,} vertices), batch {self.batch}, "
            f"{self.in_channels}->{self.out_channels} channels, "
            f"kernel_size {self.kernel_size}, k = {self.num_neighbors}"
        )


CASES = (
    Case(256, 1, 16, 32, 3, 20),
    Case(32, 32, 16, 32, 3, 20),
    Case(64, 4, 16, 32, 5, 20),
    Case(8, 32, 32, 64, 8, 20),
)
QUICK_CASES = (Case(64, 1, 16, 32, 3, 20), Case(8, 32, 32, 64, 8, 20))
VARIANTS = ("eager", "deepsphere")


def eager_filter(signal: Tensor, weight: Tensor, operator: SparseOperator) -> Tensor:
    """The recurrence as one writes it first: CSR products, autograd keeps every intermediate."""
    matrix = csr_tensor(operator.crow, operator.col, operator.values, operator.num_vertices)
    batch, vertices, channels = signal.shape
    basis = [signal.transpose(0, 1).reshape(vertices, batch * channels)]
    for order in range(1, weight.shape[0]):
        step = matrix @ basis[-1]
        basis.append(step if order == 1 else 2 * step - basis[-2])
    stacked = torch.stack(basis).view(len(basis), vertices, batch, channels)
    return torch.einsum("kvbi,kio->bvo", stacked, weight)


def _inputs(case: Case) -> tuple[Tensor, Tensor, SparseOperator]:
    """Random signal and weight, and the operator of the graph."""
    generator = torch.Generator().manual_seed(0)
    graph = ds.build_graph(
        ds.Healpix(nside=case.nside), num_neighbors=case.num_neighbors, weights="gaussian"
    )
    operator = sparse_operator(graph.rescaled_laplacian(), symmetric=True)
    shape = (case.batch, graph.num_vertices, case.in_channels)
    signal = torch.randn(shape, generator=generator)
    weight = torch.randn(case.kernel_size, case.in_channels, case.out_channels, generator=generator)
    return signal, weight, operator


def _run(variant: str, signal: Tensor, weight: Tensor, operator: SparseOperator) -> Tensor:
    if variant == "eager":
        return eager_filter(signal, weight, operator)
    return chebyshev_filter(signal, weight, operator)


def _train(variant: str, signal: Tensor, weight: Tensor, operator: SparseOperator) -> None:
    """Forward and backward, both gradients."""
    signal, weight = signal.requires_grad_(), weight.requires_grad_()
    out = _run(variant, signal, weight, operator)
    torch.autograd.grad(out, (signal, weight), torch.ones(1).expand_as(out))


def measure_times(case: Case, num_repeats: int) -> list[dict[str, Any]]:
    """Rows of milliseconds per variant and pass, variants interleaved."""
    signal, weight, operator = _inputs(case)
    passes = {"forward": lambda v: _run(v, signal, weight, operator)}
    passes["forward + backward"] = lambda v: _train(v, signal, weight, operator)
    rows = []
    for name, call in passes.items():
        times: dict[str, list[float]] = {variant: [] for variant in VARIANTS}
        with torch.set_grad_enabled(name != "forward"):
            for repeat in range(num_repeats + 1):
                for variant in VARIANTS:
                    start = time.perf_counter()
                    call(variant)
                    if repeat:  # the first round warms up
                        times[variant].append(1e3 * (time.perf_counter() - start))
        for variant, values in times.items():
            low, median, high = np.percentile(values, [25, 50, 75])
            rows.append(
                {
                    "case": case.title,
                    "pass": name,
                    "variant": variant,
                    "median_ms": float(median),
                    "quartiles_ms": [float(low), float(high)],
                    "ratio_to_eager": float(np.median(times["eager"]) / median),
                }
            )
    return rows


def measure_memory(case: Case, variant: str, num_threads: int) -> float:
    """Growth of the peak resident set in MB over a forward and backward pass, in a new process."""
    job = {"case": asdict(case), "variant": variant, "num_threads": num_threads}
    command = [sys.executable, "-W", "ignore", __file__, json.dumps(job)]
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(answer.stdout)


def _peak_memory(case: Case, variant: str) -> float:
    """What the fresh process of :func:`measure_memory` computes."""
    signal, weight, operator = _inputs(case)
    small = sparse_operator(
        ds.build_graph(ds.Healpix(nside=4), num_neighbors=8).rescaled_laplacian(), symmetric=True
    )
    _train(variant, signal[:, :192].clone(), weight.clone(), small)  # libraries load their parts
    clear = Path("/proc/self/clear_refs")
    if clear.exists() and os.access(clear, os.W_OK):
        clear.write_text("5")  # Linux: the peak starts again at what is resident now
    before = _resident("VmRSS") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    _train(variant, signal, weight, operator)
    after = _resident("VmHWM") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return (after - before) / 1024


def _resident(field: str) -> int | None:
    """A field of the process status in kB, None where there is no such file."""
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    lines = (line.split() for line in status.read_text().splitlines())
    return next(int(words[1]) for words in lines if words and words[0] == f"{field}:")


if __name__ == "__main__":
    request = json.loads(sys.argv[1])
    torch.set_num_threads(request["num_threads"])
    print(_peak_memory(Case(**request["case"]), request["variant"]))
