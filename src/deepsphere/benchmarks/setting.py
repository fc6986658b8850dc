"""How a run of the benchmarks measures: device, threads, repetitions, and where it may write."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

Device = Literal["cpu", "cuda"]


@dataclass(frozen=True)
class Setting:
    """What all measurements of a run have in common.

    Parameters
    ----------
    folder
        Where graphs are kept until the run is over.
    device
        "cpu" or "cuda".
    num_threads
        Threads of torch and of the libraries beside it.
    with_peers
        Measure other libraries too.
    quick
        Small cases, seconds instead of minutes: shows that everything runs, claims nothing.
    min_repeats
        Every variant is timed at least so often.
    seconds
        Rounds go on until so much time has passed, or ``min_repeats`` if these take longer.

    Raises
    ------
    ValueError
        If a number is below one, the time is negative, or there is no such device.

    Examples
    --------
    >>> Setting(folder=Path("graphs")).num_threads
    2
    """

    folder: Path
    device: Device = "cpu"
    num_threads: int = 2
    with_peers: bool = False
    quick: bool = False
    min_repeats: int = 5
    seconds: float = 15.0

    def __post_init__(self) -> None:
        for name in ("num_threads", "min_repeats"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.seconds < 0:
            raise ValueError(f"seconds must not be negative, got {self.seconds:g}")
        if self.device not in ("cpu", "cuda"):
            raise ValueError(f"device must be 'cpu' or 'cuda', got {self.device!r}")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise ValueError(
                "device must be one that torch sees, got 'cuda' where there is none; use 'cpu'"
            )


@contextmanager
def limited_threads(num_threads: int) -> Iterator[None]:
    """Threads of torch, and of the libraries beside it, fixed while the block runs.

    Parameters
    ----------
    num_threads
        At least 1.
    """
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        with threadpool_limits(num_threads):
            yield
    finally:
        torch.set_num_threads(before)
