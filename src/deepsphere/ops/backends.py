"""The choice among implementations of the polynomial graph filter, in one place."""

from typing import Any, Literal, NamedTuple, Protocol, get_args, runtime_checkable

import torch
from torch import Tensor

from deepsphere.ops import cpp, csr, triton
from deepsphere.ops.sparse import SparseOperator

BackendName = Literal["auto", "cpp", "csr", "reference", "triton"]


@runtime_checkable
class Backend(Protocol):
    """What a backend of the registered operators offers: plain functions on tensors.

    ============  ===================================================================
    ``signal``    (batch, vertices, in_channels), not empty
    ``weight``    (kernel_size, in_channels, out_channels)
    ``grad``      gradient of the output, (batch, vertices, out_channels), not empty
    ``arrays``    six tensors: the operator and its transpose, in compressed rows, as
                  :meth:`deepsphere.ops.SparseOperator.arrays` gives them
    ============  ===================================================================

    Strides are arbitrary; results are contiguous.
    """

    def why_not(self, signal: Tensor, weight: Tensor, arrays: tuple[Tensor, ...], /) -> str | None:
        """Why the backend cannot serve a call, with the remedy; None if it can."""
        ...

    def filter_signal(
        self, signal: Tensor, weight: Tensor, arrays: tuple[Tensor, ...], /
    ) -> Tensor:
        """The filtered signal, (batch, vertices, out_channels)."""
        ...

    def signal_and_weight_gradients(
        self, grad: Tensor, signal: Tensor, weight: Tensor, arrays: tuple[Tensor, ...], /
    ) -> tuple[Tensor, Tensor]:
        """The gradients of signal and weight, of their shapes."""
        ...

    def weight_gradient(
        self, grad: Tensor, signal: Tensor, num_orders: int, arrays: tuple[Tensor, ...], /
    ) -> Tensor:
        """The gradient of the weight alone, (num_orders, in_channels, out_channels)."""
        ...


BACKENDS: dict[str, Backend] = {"cpp": cpp, "triton": triton, "csr": csr}
"""The backends of the registered operators, in the order in which "auto" prefers them."""

HALF_TYPES = (torch.float16, torch.bfloat16)

_PRAISE = {
    "cpp": "compiled kernels on tiles of the graph that stay in cache",
    "triton": "fused kernels on the GPU",
    "csr": "fused CSR products of torch",
}


class Choice(NamedTuple):
    """A backend and why it was chosen.

    Parameters
    ----------
    backend : str
        Its name.
    reason : str
        In words; of what was passed over too.
    """

    backend: str
    reason: str


def choose_backend(
    signal: Tensor,
    weight: Tensor,
    arrays: tuple[Tensor, ...],
    backend: BackendName = "auto",
) -> Choice:
    """The backend that will filter a signal, and why.

    Parameters
    ----------
    signal : Tensor, shape (batch, vertices, in_channels)
    weight : Tensor, shape (kernel_size, in_channels, out_channels)
    arrays : tuple of six Tensor
        The operator and its transpose, as :meth:`SparseOperator.arrays` gives them.
    backend : "auto" or the name of a backend

    Returns
    -------
    Choice

    Raises
    ------
    ValueError
        If the name is unknown, or if the backend of that name cannot serve the call.

    Examples
    --------
    >>> import scipy.sparse
    >>> from deepsphere.ops import sparse_operator
    >>> operator = sparse_operator(scipy.sparse.eye_array(12, format="csr"), symmetric=True)
    >>> choose_backend(torch.zeros(1, 12, 1), torch.zeros(3, 1, 1), operator.arrays(), "csr")
    Choice(backend='csr', reason='asked for by name')
    """
    if backend == "reference":
        return Choice("reference", "asked for by name")
    if backend != "auto":
        check_backend_name(backend)
        reason = _objection(BACKENDS[backend], signal, weight, arrays)
        if reason is not None:
            raise ValueError(
                f'backend must be "auto" or one that can serve this call, got {backend!r}: {reason}'
            )
        return Choice(backend, "asked for by name")
    passed_over = []
    for name, module in BACKENDS.items():
        # which kind of device a backend is for is no news
        if name == ("cpp" if signal.is_cuda else "triton"):
            continue
        reason = _objection(module, signal, weight, arrays)
        if reason is None:
            return Choice(name, "; ".join([_PRAISE[name], *passed_over]))
        passed_over.append(f"not {name}: {reason}")
    return Choice("reference", "; ".join(["the plain definition takes any type", *passed_over]))


def is_autocast(device_type: str) -> bool:
    """Whether autocast is on for a kind of device.

    Parameters
    ----------
    device_type : str

    Returns
    -------
    bool
    """
    return torch.is_autocast_enabled(device_type)


def filter_type(signal: Tensor, operator: SparseOperator) -> torch.dtype:
    """The floating type in which a signal is filtered.

    That of the operator; on a GPU with 16-bit kernels the one of autocast, or of a 16-bit signal.
    Sums are in single precision even there.

    Parameters
    ----------
    signal : Tensor, shape (batch, vertices, in_channels)
    operator : SparseOperator

    Returns
    -------
    torch.dtype
    """
    if signal.is_cuda:
        is_cast = is_autocast("cuda") and signal.dtype != torch.float64
        dtype = torch.get_autocast_dtype("cuda") if is_cast else signal.dtype
        probe = signal.new_empty(0, dtype=dtype)
        if dtype in HALF_TYPES and triton.why_not(probe, probe, operator.arrays()) is None:
            return dtype
    return operator.values.dtype


def check_backend_name(backend: str) -> None:
    """Refuse an unknown name.

    Parameters
    ----------
    backend : str

    Raises
    ------
    ValueError
        If there is no backend of that name.
    """
    if backend not in get_args(BackendName):
        raise ValueError(
            f"backend must be one of {', '.join(get_args(BackendName))}, got {backend!r}; "
            'use "auto" unless you compare backends'
        )


def select_module(
    backend: str, signal: Tensor, weight: Tensor, arrays: tuple[Tensor, ...]
) -> Backend:
    """The module that runs a registered operator.

    Parameters
    ----------
    backend : str
        "auto" or the name of a backend with registered operators.
    signal, weight, arrays
        As of :func:`choose_backend`.

    Returns
    -------
    Backend

    Raises
    ------
    ValueError
        If the backend of that name cannot serve the call.
    """
    # the answer of almost every call, without words
    if backend == "auto" and not signal.is_cuda and cpp.can_serve(signal, weight, arrays):
        return cpp
    name: Any = backend
    chosen = choose_backend(signal, weight, arrays, name).backend
    # a type without kernels comes here from nobody but a program that was exported with another
    return BACKENDS.get(chosen, csr)


def _objection(
    module: Backend, signal: Tensor, weight: Tensor, arrays: tuple[Tensor, ...]
) -> str | None:
    """Why a backend cannot serve a call, its tiles included."""
    reason = module.why_not(signal, weight, arrays)
    # a trace has no values from which tiles could be made: they are when it runs
    if reason is None and module is cpp and not torch.compiler.is_compiling():
        return cpp.why_no_plan(signal, weight, arrays)
    return reason
