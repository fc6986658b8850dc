"""How a training is run on this machine: what does not belong into a recipe."""

import re
from dataclasses import dataclass
from typing import Literal

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
