"""A word to people who wait for a computation that is done once."""

import logging

# Nobody asks why nothing happens in less than this; seconds.
PATIENCE = 20.0

_logger = logging.getLogger(__name__)


def announce(what: str, seconds: float, *, quicker: str = "weights='gaussian'") -> None:
    """Log what takes long, if it does, with how long.

    Parameters
    ----------
    what
        The work and what it is on.
    seconds
        How long it will take, roughly.
    quicker
        What to ask for instead that needs no such work.

    Examples
    --------
    >>> announce("weights of a small sphere", 1.0)
    """
    if seconds < PATIENCE:
        return
    time = f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"
    _logger.warning(
        "solving for the %s takes about %s; it is done once and kept on disk (deepsphere.graph."
        "cache_info() says where), and %s needs no solving",
        what,
        time,
        quicker,
    )
