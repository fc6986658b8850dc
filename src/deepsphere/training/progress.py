"""Progress bars on the terminal for what takes longer than two seconds."""

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Item = TypeVar("Item")
PATIENCE = 2.0  # seconds without a sign of life that nobody worries about


def make_bar(*columns: TextColumn) -> Progress:
    """Progress bar on the standard error, with more columns of text at its end.

    Parameters
    ----------
    columns
        What to show after the bar.

    Returns
    -------
    rich.progress.Progress
        Not started; it leaves no trace when it stops.
    """
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        *columns,
        # a console of its own: rich allows one live display on each
        console=Console(stderr=True),
        transient=True,
    )


@contextmanager
def open_bar(*, shown: bool) -> Iterator[Progress]:
    """Progress bar on the terminal for as long as a block runs.

    Parameters
    ----------
    shown
        Whether there is somebody to look at it.

    Yields
    ------
    rich.progress.Progress
        Without tasks.

    Examples
    --------
    >>> with open_bar(shown=False) as bar:
    ...     task = bar.add_task("nothing", total=1)
    """
    bar = make_bar()
    # to stop what was not started, or is not on a terminal, would write an empty line
    if not (shown and bar.console.is_terminal):
        yield bar
        return
    with bar:
        yield bar


def track(
    items: Iterable[Item], description: str, *, total: int, delay: float = PATIENCE
) -> Iterator[Item]:
    """The items, with a progress bar from the moment on when they have taken `delay` seconds.

    Parameters
    ----------
    items
        What to go through.
    description
        What is being done.
    total
        How many items there will be.
    delay
        Seconds before the bar is shown.

    Yields
    ------
    Item
        Each item in turn.

    Examples
    --------
    >>> sum(track(range(4), "adding", total=4))
    6
    """
    start = time.monotonic()
    bar = make_bar()
    task = bar.add_task(description, total=total)
    is_shown = False
    try:
        for item in items:
            yield item
            bar.advance(task)
            if not is_shown and time.monotonic() - start > delay:
                bar.start()
                is_shown = True
    finally:
        if is_shown:
            bar.stop()
