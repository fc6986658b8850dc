"""Rules that the constructors of samplings share."""

import numpy as np


def as_integer(name: str, value: object, *, at_least: int, at_most: int | None = None) -> int:
    """Value of an argument as an `int` in its range, or a `ValueError` that names it."""
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ValueError(f"{name} must be an integer, got {value!r}")
    if value < at_least or (at_most is not None and value > at_most):
        rule = f"at least {at_least}" if at_most is None else f"between {at_least} and {at_most}"
        raise ValueError(f"{name} must be {rule}, got {value}")
    return int(value)


def is_power_of_two(value: int) -> bool:
    """Whether a positive integer is a power of two."""
    return value & (value - 1) == 0


def nearest_power_of_two(value: int) -> int:
    """Power of two that is nearest to a positive integer, the smaller of two equally near."""
    below = 1 << (value.bit_length() - 1)
    return below if value - below <= 2 * below - value else 2 * below
