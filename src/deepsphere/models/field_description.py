"""What the channels and outputs of a network mean: their names, units and scales."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class FieldDescription:
    """Names, units and scales of what goes into a network and comes out of it.

    A checkpoint keeps them, `deepsphere.load` puts them on the network as `field_description`, and
    its `predict` reads them. What is None is not known.

    Parameters
    ----------
    channel_names, channel_units
        Of the inputs, in their order.
    mean, deviation
        By which the inputs are scaled: (x − mean) / deviation, one number for each channel.
    output_names, output_units
        Of the outputs, in their order.
    interpret
        From outputs of the network, (*batch, outputs), to quantities in their units.
    needs
        What makes the inputs of the network, where it is more than the fields: "forecast".

    Raises
    ------
    ValueError
        If they are not as many, or a deviation is not positive.

    Examples
    --------
    >>> FieldDescription(channel_names=("sst",), mean=(13.7,), deviation=(11.2,)).channel_names
    ('sst',)
    """

    channel_names: tuple[str, ...] | None = None
    channel_units: tuple[str, ...] | None = None
    mean: tuple[float, ...] | None = None
    deviation: tuple[float, ...] | None = None
    output_names: tuple[str, ...] | None = None
    output_units: tuple[str, ...] | None = None
    interpret: Callable[[np.ndarray], np.ndarray] | None = None
    needs: str | None = None

    def __post_init__(self) -> None:
        for names in (
            ("channel_names", "channel_units", "mean", "deviation"),
            ("output_names", "output_units"),
        ):
            sizes = {
                name: len(values) for name in names if (values := getattr(self, name)) is not None
            }
            if len(set(sizes.values())) > 1:
                raise ValueError(
                    f"a description must have one value for each channel, got {sizes}; give one "
                    "for each, or None"
                )
        if (self.mean is None) != (self.deviation is None):
            raise ValueError("mean and deviation must be given together, got one of them")
        if self.deviation is not None and not all(value > 0 for value in self.deviation):
            raise ValueError(f"deviation must be positive, got {self.deviation}")

    @property
    def values(self) -> dict[str, Any]:
        """Names and units as plain values, for the metadata of a checkpoint."""
        names = ("channel_names", "channel_units", "output_names", "output_units")
        return {name: list(values) for name in names if (values := getattr(self, name)) is not None}

    @classmethod
    def from_values(cls, values: Mapping[str, Any] | None, **others: Any) -> "FieldDescription":
        """The description of plain values, and of what else is known.

        Parameters
        ----------
        values
            As from `values`; None for nothing.
        **others
            Arguments that are not among them.

        Returns
        -------
        FieldDescription

        Examples
        --------
        >>> FieldDescription.from_values({"channel_names": ["sst"]}, mean=(1.0,), deviation=(2.0,))
        ... # doctest: +ELLIPSIS
        FieldDescription(channel_names=('sst',), ..., mean=(1.0,), deviation=(2.0,), ...)
        """
        known = {name: tuple(items) for name, items in (values or {}).items() if items is not None}
        return cls(**{**others, **known})

    def scale(self, signals: np.ndarray) -> np.ndarray:
        """Signals (*batch, vertices, channels) as the network was trained on them.

        Parameters
        ----------
        signals
            In their units.

        Returns
        -------
        ndarray
            Of the same shape.
        """
        if self.mean is None or self.deviation is None:
            return signals
        dtype = signals.dtype
        return ((signals - np.array(self.mean)) / np.array(self.deviation)).astype(dtype)


def description_of(model: object) -> FieldDescription:
    """The description that a network carries, or one of which nothing is known.

    Parameters
    ----------
    model
        Any network.

    Returns
    -------
    FieldDescription

    Examples
    --------
    >>> description_of("nothing").channel_names is None
    True
    """
    found = getattr(model, "field_description", None)
    return found if isinstance(found, FieldDescription) else FieldDescription()
