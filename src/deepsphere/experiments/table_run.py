"""All trainings of a table of networks: what is finished is kept, the rest is run under one bar."""

from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Protocol, TypeVar, runtime_checkable

from deepsphere.experiments.options import RunOptions
from deepsphere.experiments.run_progress import RunProgress, run_progress
from deepsphere.experiments.training_record import TrainingRecord, read_record
from deepsphere.experiments.training_run import RECORD_FILE


@runtime_checkable
class TrainingKey(Hashable, Protocol):
    """Which of the trainings of a table."""

    @property
    def title(self) -> str:
        """The training in words."""
        ...

    @property
    def folder(self) -> str:
        """Name of its folder."""
        ...


_Key = TypeVar("_Key", bound=TrainingKey)
_Record = TypeVar("_Record", bound=TrainingRecord)
_Prepared = TypeVar("_Prepared")


def run_table(
    expected: Mapping[_Key, str],
    runs: Path,
    *,
    record_type: type[_Record],
    num_epochs: int,
    prepare: Callable[[RunProgress, bool], _Prepared],
    run: Callable[..., _Record],
    options: RunOptions,
) -> tuple[dict[_Key, _Record], _Prepared]:
    """The records of all trainings, those in their folders or of trainings that are run now.

    Parameters
    ----------
    expected
        The fingerprint of each training.
    runs
        Folder in which each has its own.
    record_type
        Kind of record.
    num_epochs
        Of the longest training, for the bar.
    prepare
        Makes what all trainings need; told whether one is missing. Its bar is that of the
        trainings.
    run
        Trains and scores one: called with its key, what `prepare` made, and by name with `folder`,
        `fingerprint`, `options` and `callbacks`; writes the record there last.
    options
        How this machine computes.

    Returns
    -------
    records : dict
        In the order of `expected`.
    prepared
        What `prepare` made.
    """
    found = {
        key: read_record(runs / key.folder / RECORD_FILE, fingerprint, record_type)
        for key, fingerprint in expected.items()
    }
    records = {key: record for key, record in found.items() if record is not None}
    missing = [key for key in expected if key not in records]
    quiet = RunOptions(options.accelerator, options.devices, options.precision)
    with run_progress(len(missing), num_epochs, shown=options.progress) as progress:
        prepared = prepare(progress, bool(missing))
        for key in missing:
            progress.announce(f"{key.title}: building graphs")
            records[key] = run(
                key,
                prepared,
                folder=runs / key.folder,
                fingerprint=expected[key],
                options=quiet,
                callbacks=[progress.callback(key.title)],
            )
    return {key: records[key] for key in expected}, prepared
