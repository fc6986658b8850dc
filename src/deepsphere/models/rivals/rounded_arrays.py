"""Constant arrays of a network, always rounded from float64."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor, nn


class RoundedArrays(nn.Module):
    """Arrays computed in float64 and held in the type and on the device of the network.

    They are buffers that are not saved. A network that is taken from float32 to float64 gets
    them computed again, instead of float32 ones with zeros appended.

    Parameters
    ----------
    build : callable
        Makes the arrays by name, in float64; a `functools.partial` of a function, so that the
        network can be pickled.

    Examples
    --------
    >>> from functools import partial
    >>> thirds = RoundedArrays(partial(dict, third=np.array(1 / 3)))
    >>> thirds["third"].dtype, thirds.double()["third"].item() == 1 / 3
    (torch.float32, True)
    """

    def __init__(self, build: Callable[[], Mapping[str, np.ndarray]]) -> None:
        super().__init__()
        self.build = build
        self._register(torch.get_default_dtype(), torch.device("cpu"))

    def __getitem__(self, name: str) -> Tensor:
        """The array of that name."""
        array = self._buffers[name]
        assert array is not None
        return array

    def _register(self, dtype: torch.dtype, device: torch.device) -> None:
        """Register the arrays of that type."""
        for name, array in self.build().items():
            tensor = torch.as_tensor(np.ascontiguousarray(array), dtype=dtype, device=device)
            self.register_buffer(name, tensor, persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "RoundedArrays":
        """Follow ``.to()``; a new floating type is rounded from float64, not from the old one."""
        before = {array.dtype for array in self.buffers()}
        super()._apply(fn, recurse)
        after = next(self.buffers())
        if after.dtype not in before:
            self._register(after.dtype, after.device)
        return self
