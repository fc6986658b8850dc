"""One progress bar over all trainings of an experiment."""

from collections.abc import Iterator
from contextlib import contextmanager

import lightning
from rich.progress import Progress, TaskID

from deepsphere.training.progress import open_bar


class _EpochCounter(lightning.Callback):
    """Advances a bar by one for each epoch, in the steps of its batches."""

    def __init__(self, bar: Progress, task: TaskID, *, title: str, num_before: int) -> None:
        self._bar = bar
        self._task = task
        self._title = title
        self._num_before = num_before

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: object,
        batch: object,
        batch_idx: int,
    ) -> None:
        """Show where the training stands."""
        num_batches = int(trainer.num_training_batches)
        done = trainer.current_epoch + (batch_idx + 1) / num_batches
        self._bar.update(
            self._task,
            completed=self._num_before + done,
            description=f"{self._title}, epoch {trainer.current_epoch + 1}/{trainer.max_epochs}",
        )

    def on_train_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Say what comes after the training."""
        self._bar.update(self._task, description=f"{self._title}, scoring")


class RunProgress:
    """One bar over the epochs of all runs.

    Parameters
    ----------
    bar
        Where it is shown.
    num_runs, num_epochs
        How many trainings, and epochs of each.
    """

    def __init__(self, bar: Progress, *, num_runs: int, num_epochs: int) -> None:
        self._bar = bar
        self._num_epochs = num_epochs
        self._num_begun = 0
        self._task = bar.add_task("", total=num_runs * num_epochs)

    def announce(self, what: str) -> None:
        """Say what is being done.

        Parameters
        ----------
        what
            In a few words.
        """
        self._bar.update(self._task, description=what)

    def callback(self, title: str) -> lightning.Callback:
        """What makes the next training advance the bar.

        Parameters
        ----------
        title
            Of the training.

        Returns
        -------
        Callback
        """
        num_before = self._num_begun * self._num_epochs
        self._num_begun += 1
        return _EpochCounter(self._bar, self._task, title=title, num_before=num_before)


@contextmanager
def run_progress(num_runs: int, num_epochs: int, *, shown: bool) -> Iterator[RunProgress]:
    """A bar for as long as the runs take; not started, it shows nothing.

    Parameters
    ----------
    num_runs, num_epochs
        How many trainings, and epochs of each.
    shown
        Whether there is somebody to look at it.

    Yields
    ------
    RunProgress
    """
    with open_bar(shown=shown) as bar:
        yield RunProgress(bar, num_runs=num_runs, num_epochs=num_epochs)
