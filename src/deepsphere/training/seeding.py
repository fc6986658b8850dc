"""Randomness that is seeded inside a block and untouched outside of it."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Block in which the global generators of torch, NumPy and Python start from `seed`.

    Layers draw their first weights, and dropout its masks, from the global generator of torch.
    Its state, and those of the other two, are put back when the block ends, so that what comes
    after does not depend on what happened inside.

    Parameters
    ----------
    seed
        In [0, 2³²).

    Raises
    ------
    ValueError
        If `seed` is outside of that range.

    Examples
    --------
    >>> with seeded(0):
    ...     first = torch.nn.Linear(3, 1).weight
    >>> with seeded(0):
    ...     second = torch.nn.Linear(3, 1).weight
    >>> bool((first == second).all())
    True
    """
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed must be in [0, 2**32), got {seed}")
    python_state = random.getstate()
    numpy_state = np.random.get_state()  # noqa: NPY002 - the global one, to be put back
    devices = list(range(torch.cuda.device_count()))
    try:
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            random.seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002
