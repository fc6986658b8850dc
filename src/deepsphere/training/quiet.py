"""Lightning without its banners and tips."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

LOGGERS = ("lightning", "lightning.pytorch", "lightning.fabric", "pytorch_lightning")
# what Lightning and its parts say to everybody, whatever they do
COMMON_WARNINGS = (
    ".*does not have many workers.*",
    ".*number of training batches.*is smaller than the logging interval.*",
    ".*GPU available but not used.*",
    ".*MPS available but not used.*",
    ".*Checkpoint directory .* exists and is not empty.*",
    ".*Sparse CSR tensor support is in beta state.*",
    ".*LeafSpec.*is deprecated.*",
    ".*treespec.*is deprecated.*",
)


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Block in which Lightning reports nothing but problems; its loggers are put back after it.

    Examples
    --------
    >>> with quiet_lightning():
    ...     logging.getLogger("lightning.pytorch").info("Tip: ...")
    """
    levels = {name: logging.getLogger(name).level for name in LOGGERS}
    try:
        for name in LOGGERS:
            logging.getLogger(name).setLevel(logging.WARNING)
        with warnings.catch_warnings():
            for message in COMMON_WARNINGS:
                warnings.filterwarnings("ignore", message=message)
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
