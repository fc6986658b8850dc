"""Plans of the tiled filter: made once per operator and order, and freed with the operator."""

import weakref
from collections.abc import Callable
from ctypes import CDLL, POINTER, byref, c_double, c_int, c_int64, c_void_p
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.multiprocessing.reductions import StorageWeakRef

from deepsphere.native import load_library

# Vertices of a tile: fewer would mostly be halo, more would leave the cache.
_SMALLEST_TILE, _LARGEST_TILE, _TILE_STEP = 256, 16384, 64
# Share of the second-level cache for the basis of a tile, and its size where it is not known.
_CACHE_SHARE = 0.6
_DEFAULT_CACHE = 2**20
# A halo of a compact tile adds about this share.
_HALO = 1.4
# Where fewer edges stay in a tile of consecutive vertices, patches grown along the edges are tried;
# they are taken where at most so many of the edges that left their tile leave it still.
_COMPACT, _FEWER_LEAVE, _SAMPLED_ROWS = 0.85, 0.8, 2**14
# Beyond as many visits per edge and product larger tiles are tried, then none.
_REDUNDANT = 3.0
# Two signals' types as numbers of the C interface.
DTYPES = {torch.float32: 0, torch.float64: 1}


@dataclass(frozen=True, eq=False)
class Plan:
    """A plan in the memory of the library.

    Parameters
    ----------
    handle : int
        Address.
    tile_size : int
        Vertices of a tile.
    is_ordered : bool
        Whether tiles are runs of consecutive vertices.
    read_share, visited_share : float
        Vertices read per vertex, and edges visited per edge and product: 1 without any halo.
    num_bytes : int
    """

    handle: int
    tile_size: int
    is_ordered: bool
    read_share: float
    visited_share: float
    num_bytes: int


@dataclass(frozen=True, eq=False)
class _Entry:
    """What is known about an operator of the cache: a plan, or why there is none."""

    plan: Plan | str
    owners: tuple[StorageWeakRef, ...]


class _Call(NamedTuple):
    """What was found for some tensors, which may be gone."""

    tensors: tuple[weakref.ref[Tensor], ...]
    versions: tuple[int, ...]
    entry: weakref.ref[_Entry]


_entries: dict[tuple[Any, ...], _Entry] = {}
# Answers to earlier calls: finding an entry anew takes a share of a small filter's time.
_calls: dict[tuple[int, ...], _Call] = {}
_MOST_CALLS = 1024


def find_plan(
    half: tuple[Tensor, Tensor, Tensor], steps: int, *, row_bytes: int, num_tiles: int
) -> Plan | str:
    """The plan of an operator for polynomials with `steps` products, or why there is none.

    Parameters
    ----------
    half : tuple of Tensor
        ``crow, col, values`` of the operator: int32, int32, float32 or float64, on CPU.
    steps : int
    row_bytes : int
        Size of a vertex in the basis of one order; tiles are so large that all orders stay in the
        second-level cache.
    num_tiles : int
        At least as many tiles as threads have to share, where the graph is large enough.

    Returns
    -------
    Plan or str
    """
    call = (steps, row_bytes, num_tiles, *map(id, half))
    known = _calls.get(call)
    if known is not None:
        entry = known.entry()
        # an address may belong to another tensor by now, or a tensor have been changed
        is_same = all(ref() is array for ref, array in zip(known.tensors, half, strict=True))
        if entry is not None and is_same and known.versions == _versions(half):
            return entry.plan
    entry = _find_entry(half, steps, row_bytes, num_tiles)
    tensors = tuple(weakref.ref(array) for array in half)
    if len(_calls) >= _MOST_CALLS:
        _calls.clear()
    _calls[call] = _Call(tensors, _versions(half), weakref.ref(entry))
    return entry.plan


def _find_entry(
    half: tuple[Tensor, Tensor, Tensor], steps: int, row_bytes: int, num_tiles: int
) -> _Entry:
    """The entry of an operator, whichever tensors its memory is seen through."""
    tile_size = _tile_size(half[0].shape[0] - 1, (steps + 1) * row_bytes, num_tiles)
    memory = tuple(
        (array.untyped_storage()._cdata, array.storage_offset(), array.numel()) for array in half
    )
    key = (steps, tile_size, memory, _versions(half))
    entry = _entries.get(key)
    if entry is not None and not any(owner.expired() for owner in entry.owners):
        return entry
    plan = _make_plan(half, steps, tile_size)
    entry = _Entry(plan, tuple(StorageWeakRef(array.untyped_storage()) for array in half))
    _entries[key] = entry
    if isinstance(plan, Plan):
        # with the last user of the plan, which may be a filter that runs in another thread
        weakref.finalize(plan, _free, plan.handle).atexit = False
    weakref.finalize(half[2], _entries.pop, key, None).atexit = False
    return entry


def plan_bytes() -> int:
    """The memory of all plans that are kept.

    Examples
    --------
    >>> plan_bytes() >= 0
    True
    """
    plans = [entry.plan for entry in list(_entries.values())]
    return sum(plan.num_bytes for plan in plans if isinstance(plan, Plan))


def _versions(half: tuple[Tensor, Tensor, Tensor]) -> tuple[int, ...]:
    """Counts of the changes made to arrays in place."""
    return tuple([0 if array.is_inference() else array._version for array in half])


@cache
def _cache_bytes() -> int:
    """Size of the second-level cache of a core."""
    return _library().ds_cache_bytes() or _DEFAULT_CACHE


def _tile_size(num_vertices: int, vertex_bytes: int, num_tiles: int) -> int:
    """Vertices of a tile: as many as the cache holds, and enough tiles of equal size."""
    most = max(int(_CACHE_SHARE * _cache_bytes() / (_HALO * vertex_bytes)), 1)
    size = min(max(2 ** (most.bit_length() - 1), _SMALLEST_TILE), _LARGEST_TILE)
    # multiples of the groups of vertices that are pooled
    equal = -(-num_vertices // (num_tiles * _TILE_STEP)) * _TILE_STEP
    return max(min(size, equal), _SMALLEST_TILE)


def _make_plan(half: tuple[Tensor, Tensor, Tensor], steps: int, tile_size: int) -> Plan | str:
    """The plan with the smallest tiles, from the given size on, that are not mostly halo."""
    num_vertices = half[0].shape[0] - 1
    while True:
        order = None if steps == 0 else _patches(half, tile_size)
        plan = _build(half, steps, tile_size, order)
        if plan is not None:
            if plan.visited_share <= _REDUNDANT:
                return plan
            _free(plan.handle)
        if tile_size >= min(num_vertices, _LARGEST_TILE):
            return (
                f"neighborhoods of {steps} hops around tiles of {tile_size} vertices are several "
                "times as large as the tiles"
            )
        tile_size = min(4 * tile_size, _LARGEST_TILE)


def _patches(half: tuple[Tensor, Tensor, Tensor], tile_size: int) -> Tensor | None:
    """The vertices in the order of patches of an operator; None where their own order is as good.

    Tiles of consecutive vertices can be long, as rings of a grid, or in pieces, as stations in the
    order of a table; and those of HEALPix can be pooled.
    """
    crow, col, _ = (array.contiguous() for array in half)
    num_vertices = crow.shape[0] - 1
    leaving = 1 - _share_inside(crow, col, lambda vertices: vertices // tile_size)
    if leaving <= 1 - _COMPACT:
        return None
    order = torch.empty(num_vertices, dtype=torch.int32)
    arguments = (num_vertices, crow.data_ptr(), col.data_ptr(), tile_size, order.data_ptr())
    check_status(_library().ds_cluster_order(*arguments))
    place = torch.empty_like(order)
    place[order.long()] = torch.arange(num_vertices, dtype=torch.int32)
    still = 1 - _share_inside(crow, col, lambda vertices: place[vertices] // tile_size)
    return order if still <= _FEWER_LEAVE * leaving else None


def _share_inside(crow: Tensor, col: Tensor, tile_of: Callable[[Tensor], Tensor]) -> float:
    """The share of edges whose ends are in the same tile, from a sample of rows."""
    num_vertices = crow.shape[0] - 1
    rows = torch.linspace(0, num_vertices - 1, min(num_vertices, _SAMPLED_ROWS)).long()
    starts, degrees = crow[rows].long(), (crow[rows + 1] - crow[rows]).long()
    own = rows.repeat_interleave(degrees)
    ends = degrees.cumsum(0)
    within = torch.arange(own.shape[0]) - (ends - degrees).repeat_interleave(degrees)
    neighbors = col[starts.repeat_interleave(degrees) + within].long()
    inside = tile_of(own) == tile_of(neighbors)
    return float(inside.double().mean()) if inside.numel() else 1.0


def _build(
    half: tuple[Tensor, Tensor, Tensor], steps: int, tile_size: int, order: Tensor | None
) -> Plan | None:
    """A plan, or None where a tile would have more vertices than its numbers can count."""
    library = _library()
    crow, col, values = (array.contiguous() for array in half)
    num_vertices = crow.shape[0] - 1
    handle = c_void_p()
    status = library.ds_plan_build(
        DTYPES[values.dtype],
        num_vertices,
        crow.data_ptr(),
        col.data_ptr(),
        values.data_ptr(),
        steps,
        tile_size,
        None if order is None else order.data_ptr(),
        torch.get_num_threads(),
        byref(handle),
    )
    if status == 1:
        return None
    check_status(status)
    numbers = (c_double * 4)()
    library.ds_plan_describe(handle, numbers)
    assert handle.value is not None
    read, visited, num_bytes, _ = numbers
    return Plan(handle.value, tile_size, order is None, read, visited, int(num_bytes))


def check_status(status: int) -> None:
    """Raise where a function of the library ran out of memory.

    Raises
    ------
    MemoryError
    """
    if status != 0:
        raise MemoryError("the compiled kernels ran out of memory; use a smaller batch")


def _free(handle: int) -> None:
    """Free a plan."""
    _library().ds_plan_free(handle)


@cache
def _library() -> CDLL:
    """The library with the signatures of its functions."""
    library = load_library()
    assert library is not None, "callers make sure that there is one"
    library.ds_plan_build.argtypes = [
        *(c_int, c_int64, c_void_p, c_void_p, c_void_p, c_int),
        *(c_int64, c_void_p, c_int, POINTER(c_void_p)),
    ]
    library.ds_plan_free.argtypes = [c_void_p]
    library.ds_plan_free.restype = None
    library.ds_plan_describe.argtypes = [c_void_p, POINTER(c_double)]
    library.ds_plan_describe.restype = None
    library.ds_cluster_order.argtypes = [c_int64, c_void_p, c_void_p, c_int64, c_void_p]
    library.ds_cache_bytes.argtypes = []
    library.ds_cache_bytes.restype = c_int64
    return library
