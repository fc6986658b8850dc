"""Large outputs on CPU from memory that was used before.

The system hands out fresh memory in pages of zeros; touching a fresh output for the first time
takes as long as the filter that fills it. Outputs of one megabyte and more therefore come from
blocks of outputs that have been freed, as they do on a GPU in torch. Blocks are kept up to an
eighth of the machine's memory, or of what its group of processes may use; :func:`release_memory`
gives them back.
"""

import math
import os
import weakref
from collections import deque
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

_SMALLEST_BYTES = 2**20
# All outputs of a training step of a network for 13,000 stations, batch 64, on 16 GB.
_KEPT_SHARE = 1 / 8
# Where Linux says how much the processes of a container may use.
_GROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
# Alignment of every block, so that rows of whole lines begin at one.
CACHE_LINE = 64
# Sizes are rounded up to eighths of a power of two, so that similar outputs share blocks.
_STEPS_PER_DOUBLING = 8
# A block may be as many times as large as its output: the gradient of a layer's input is often half
# as large as the layer's output, which is gone by then.
_LARGEST_EXCESS = 2

# Free blocks by size, oldest first. Only atomic operations of dict and deque: a finalizer may run
# in any thread, and in the middle of any function of this one.
_free: dict[int, deque[np.ndarray]] = {}
_sizes_by_age: deque[int] = deque()


def empty_output(like: Tensor, *shape: int) -> Tensor:
    """An uninitialized tensor of the type and device of another, from used memory where it can be.

    Parameters
    ----------
    like : Tensor
    *shape : int

    Returns
    -------
    Tensor, contiguous

    Examples
    --------
    >>> empty_output(torch.zeros(1, dtype=torch.float64), 3, 4).dtype
    torch.float64
    """
    num_bytes = math.prod(shape) * like.element_size()
    if like.device.type != "cpu" or num_bytes < _SMALLEST_BYTES:
        return like.new_empty(shape)
    block = _used_block(num_bytes)
    if block is None:
        size = _rounded(num_bytes)
        block = np.empty(size + CACHE_LINE, dtype=np.uint8)
        block = block[-block.ctypes.data % CACHE_LINE :][:size]
    # the storage of the tensor holds this view and nothing else does
    view = block[:num_bytes]
    weakref.finalize(view, _recycle, block).atexit = False
    # a tensor of its own on that storage: a view could not be changed in place under autograd
    contiguous = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
    storage = torch.from_numpy(view).untyped_storage()
    return like.new_empty(0).set_(storage, 0, shape, contiguous)  # pyright: ignore


def release_memory() -> int:
    """Give the blocks that are kept for outputs back to the system.

    Returns
    -------
    int
        How many bytes.

    Examples
    --------
    >>> release_memory() >= 0
    True
    """
    released = 0
    while _sizes_by_age:
        released += _drop_oldest()
    return released


def kept_bytes() -> int:
    """The size of the blocks that are kept for outputs.

    Examples
    --------
    >>> _ = release_memory()
    >>> kept_bytes()
    0
    """
    return sum(list(_sizes_by_age))


def _used_block(num_bytes: int) -> np.ndarray | None:
    """The smallest free block that holds so many bytes and is not much larger, no longer free."""
    for size in sorted(_free):
        if num_bytes <= size <= _LARGEST_EXCESS * num_bytes:
            try:
                block = _free[size].pop()
                _sizes_by_age.remove(size)
            except (KeyError, IndexError, ValueError):  # another thread was faster
                continue
            return block
    return None


def _recycle(block: np.ndarray) -> None:
    """Keep a block whose tensor is gone, and drop the oldest beyond the limit."""
    _free.setdefault(block.nbytes, deque()).append(block)
    _sizes_by_age.append(block.nbytes)
    while kept_bytes() > _LARGEST_KEPT:
        _drop_oldest()


def _drop_oldest() -> int:
    """Free the block that has waited longest; its size, or 0 if another thread took it."""
    try:
        size = _sizes_by_age.popleft()
        _free[size].popleft()
    except (KeyError, IndexError):
        return 0
    return size


def _rounded(num_bytes: int) -> int:
    """The next size that blocks have."""
    step = 2 ** (num_bytes.bit_length() - 1) // _STEPS_PER_DOUBLING
    return -(-num_bytes // step) * step


def _total_memory() -> int:
    """Bytes of memory that a process may have; 8 GB where the system does not say."""
    try:
        size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        size = 2**33
    try:  # the limit of a container; a word where there is none
        return min(size, int(_GROUP_LIMIT.read_text()))
    except (OSError, ValueError):
        return size


_LARGEST_KEPT = int(_total_memory() * _KEPT_SHARE)
