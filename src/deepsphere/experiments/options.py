"""How a training is run on this machine: what does not belong into a recipe."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import torch

Precision = Literal["32-true", "16-mixed", "bf16-mixed", "64-true"]


@dataclass(frozen=True)
class RunOptions:
    """Where and how exactly a training computes.

    Parameters
    ----------
    accelerator
        ``"auto"``, ``"cpu"``, ``"gpu"``, or another name that Lightning knows.
    devices
        ``"auto"``, a number of devices (``"2"``), or their indices (``"0,3"``).
    precision
        ``"32-true"``, ``"16-mixed"``, ``"bf16-mixed"`` or ``"64-true"``.
    progress
        Whether to show progress bars.

    Raises
    ------
    ValueError
        If the devices are none of these.

    Examples
    --------
    >>> RunOptions(devices="0,3").devices_for_lightning
    [0, 3]
    """

    accelerator: str = "auto"
    devices: str = "auto"
    precision: Precision = "32-true"
    progress: bool = False

    def __post_init__(self) -> None:
        """Check the word that a user typed."""
        if not re.fullmatch(r"auto|[1-9]\d*|\d+(,\d+)+|\d+,", self.devices):
            raise ValueError(
                "devices must be auto, a number of them as 2, or their indices as 0,3, got "
                f"{self.devices!r}"
            )

    @property
    def devices_for_lightning(self) -> str | int | list[int]:
        """The devices in the type that tells a number from an index."""
        if self.devices == "auto":
            return "auto"
        if "," in self.devices:
            return [int(index) for index in self.devices.split(",") if index]
        return int(self.devices)


@contextmanager
def cpu_threads(num_threads: int | None) -> Iterator[None]:
    """So many threads for torch on the CPU within a block, and afterwards as many as before.

    Parameters
    ----------
    num_threads
        At least 1; None changes nothing.

    Raises
    ------
    ValueError
        If the number is less than 1.

    Examples
    --------
    >>> with cpu_threads(1):
    ...     torch.get_num_threads()
    1
    """
    if num_threads is None:
        yield
        return
    if num_threads < 1:
        raise ValueError(f"num_threads must be at least 1, got {num_threads}; use None for any")
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
