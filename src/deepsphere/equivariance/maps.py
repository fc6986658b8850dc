"""Maps on signals of every make as functions of arrays."""

from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import numpy as np
import torch
from jaxtyping import Float
from scipy.sparse import issparse, sparray, spmatrix
from scipy.sparse.linalg import LinearOperator
from torch import Tensor, nn

from deepsphere.equivariance.recording import evaluation_mode
from deepsphere.graph import SphereGraph
from deepsphere.sampling import Sampling

FunctionOfArrays: TypeAlias = Callable[[Float[np.ndarray, "..."]], Float[np.ndarray, "..."]]
MapOnSignals: TypeAlias = (
    nn.Module
    | SphereGraph
    | LinearOperator
    | spmatrix
    | sparray
    | np.ndarray
    | Callable[[np.ndarray], Any]
)


def as_function_of_arrays(function: MapOnSignals, num_vertices: int) -> FunctionOfArrays:
    """The map as a function from float64 signals (signals, vertices, channels) to float64 arrays.

    Parameters
    ----------
    function : Module, SphereGraph, matrix, LinearOperator or callable
        See :func:`deepsphere.measure_equivariance`.
    num_vertices : int
        Of its inputs.

    Returns
    -------
    callable

    Raises
    ------
    TypeError
        If it is none of these, or (when called) returns no array.
    ValueError
        If a matrix acts on another number of vertices.

    Examples
    --------
    >>> double = as_function_of_arrays(2 * np.eye(12), 12)
    >>> double(np.ones((5, 12, 3))).shape
    (5, 12, 3)
    """
    if isinstance(function, SphereGraph):
        function = function.laplacian
    if issparse(function) or isinstance(function, np.ndarray | LinearOperator):
        return _as_matrix(function, num_vertices)
    if isinstance(function, nn.Module):
        return _as_module(function)
    if not callable(function):
        raise TypeError(
            "function must be a torch module, a graph, a matrix or a function of arrays, got a "
            f"value of {type(function).__name__}"
        )
    return lambda signals: _as_array(function(signals))


def signal_like(model: nn.Module, values: Float[np.ndarray, "..."]) -> Tensor:
    """Values as a tensor of the type and on the device of a model's parameters or buffers."""
    for tensor in (*model.parameters(), *model.buffers()):
        if tensor.is_floating_point():
            return torch.tensor(values, dtype=tensor.dtype, device=tensor.device)
    return torch.tensor(values, dtype=torch.get_default_dtype())


def num_channels_of(function: MapOnSignals) -> int:
    """How many channels the first layer of a torch module asks for; 1 where that is not said.

    Examples
    --------
    >>> num_channels_of(nn.Sequential(nn.ReLU(), nn.Linear(3, 4))), num_channels_of(np.abs)
    (3, 1)
    """
    if isinstance(function, nn.Module):
        for module in function.modules():
            for name in ("in_channels", "in_features", "num_features"):
                number = getattr(module, name, None)
                if isinstance(number, int):
                    return number
    return 1


def level_samplings(function: MapOnSignals, sampling: Sampling) -> Iterator[Sampling]:
    """The samplings on which outputs and feature maps may lie, each made when it is asked for.

    The levels of the pyramid that the network was built with, if it keeps one; else the sampling
    and its coarser levels.

    Examples
    --------
    >>> from deepsphere.sampling import Healpix
    >>> [level.num_vertices for level in level_samplings(nn.ReLU(), Healpix(nside=4))]
    [192, 48, 12]
    """
    modules = function.modules() if isinstance(function, nn.Module) else ()
    for module in modules:
        levels = getattr(getattr(module, "pyramid", None), "samplings", None)
        if levels is not None and levels[0].num_vertices == sampling.num_vertices:
            yield from levels
            return
    while True:
        yield sampling
        try:
            sampling = sampling.coarsen()
        except ValueError:
            return


def _as_matrix(matrix: Any, num_vertices: int) -> FunctionOfArrays:
    """The product with a matrix over the vertices."""
    if len(matrix.shape) != 2 or matrix.shape[1] != num_vertices:
        raise ValueError(
            f"a matrix must have one column for each of the {num_vertices} vertices of the "
            f"sampling, got the shape {tuple(matrix.shape)}; pass the sampling on which it acts"
        )

    def apply(signals: np.ndarray) -> np.ndarray:
        columns = np.moveaxis(signals, -2, 0).reshape(num_vertices, -1)
        image = np.asarray(matrix @ columns, dtype=np.float64)
        shape = (len(image), *signals.shape[:-2], signals.shape[-1])
        return np.moveaxis(image.reshape(shape), 0, -2)

    return apply


def _as_module(model: nn.Module) -> FunctionOfArrays:
    """The output of a module in evaluation mode."""

    def apply(signals: np.ndarray) -> np.ndarray:
        with evaluation_mode(model):
            return _as_array(model(signal_like(model, signals)))

    return apply


def _as_array(output: Any) -> np.ndarray:
    """An output as float64."""
    if isinstance(output, Tensor):
        output = output.detach().to("cpu", torch.float64).numpy()
    if not isinstance(output, np.ndarray):
        raise TypeError(
            f"function must return one array or tensor, got {type(output).__name__}; wrap it in a "
            "function that picks what to measure"
        )
    return output.astype(np.float64)
