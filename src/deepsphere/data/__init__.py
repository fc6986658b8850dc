"""Data sets, images put on the sphere, and files of signals."""

from collections.abc import Callable

from deepsphere.data.digits import load_digits, load_mnist
from deepsphere.data.files import require_writable, write_atomically
from deepsphere.data.images import Digits, ImageSplit, stratified_choice
from deepsphere.data.readers import SignalFile, check_finite, read_signals
from deepsphere.data.transforms import (
    epoch_rotations,
    evaluation_rotations,
    stereographic_signals,
)
from deepsphere.data.writers import write_predictions

DATASETS: dict[str, Callable[..., Digits]] = {
    "digits": load_digits,
    "mnist": load_mnist,
}

__all__ = [
    "DATASETS",
    "Digits",
    "ImageSplit",
    "SignalFile",
    "check_finite",
    "epoch_rotations",
    "evaluation_rotations",
    "load_digits",
    "load_mnist",
    "read_signals",
    "require_writable",
    "stereographic_signals",
    "stratified_choice",
    "write_atomically",
    "write_predictions",
]
