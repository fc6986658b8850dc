"""From files of stations to files of predictions at the same stations."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from deepsphere.data.calendars import format_time
from deepsphere.data.files import require_writable, write_atomically
from deepsphere.data.station_tables import read_stations
from deepsphere.data.station_writers import write_stations
from deepsphere.experiments.signal_files import check_not_a_source

if TYPE_CHECKING:
    from deepsphere.data.station_records import StationRecords
    from deepsphere.training import StationPredictor


@dataclass(frozen=True)
class StationPredictionSummary:
    """What was read, and what was written.

    Parameters
    ----------
    names
        What was predicted.
    num_times, num_stations
        For how many times and stations.
    num_unseen
        Of the stations, those that the network was not trained on.
    path
        Where the predictions are.
    notes
        What was dropped, merged or converted in the file that was read, in words.
    """

    names: tuple[str, ...]
    num_times: int
    num_stations: int
    num_unseen: int
    path: Path
    notes: tuple[str, ...]


def is_station_checkpoint(checkpoint: Path) -> bool:
    """Whether a checkpoint is that of a network that learned from stations.

    Parameters
    ----------
    checkpoint
        The file.

    Returns
    -------
    bool

    Raises
    ------
    FileNotFoundError, ValueError
        As of `deepsphere.training.read_metadata`.
    """
    from deepsphere.training import read_metadata
    from deepsphere.training.station_predictor import is_of_stations

    return is_of_stations(read_metadata(checkpoint))


def predict_stations_file(
    checkpoint: Path,
    source: Path,
    target: Path,
    *,
    batch_size: int = 64,
    overwrite: bool = False,
    progress: bool = False,
) -> StationPredictionSummary:
    """Map a file of station records to a file of predictions, by the network of a checkpoint.

    Where the stations are others than those of the training, the graph is built anew, with the same
    filters.

    Parameters
    ----------
    checkpoint
        Of a network that learned from stations; it is rebuilt from the file alone.
    source
        Whatever `read_stations` reads.
    target
        Predictions at stations, with their ids, positions and times, as `write_stations` writes
        them; or .csv with a row for each time, of a network that tells the season.
    batch_size
        Samples in memory of the device at a time.
    overwrite
        Whether to replace `target`.
    progress
        Show a bar when it takes longer than two seconds.

    Returns
    -------
    StationPredictionSummary

    Raises
    ------
    FileNotFoundError
        If a file is not there.
    FileExistsError
        If `target` is there and may not be replaced.
    ValueError
        If the checkpoint is not of stations, `target` is one of the other files, or of a kind that
        cannot be written, or the records do not fit the network.
    """
    from deepsphere.training import open_station_predictor
    from deepsphere.training.progress import open_bar

    require_writable(target, overwrite=overwrite)
    check_not_a_source(target, {"INPUT": source, "CHECKPOINT": checkpoint})
    predictor = open_station_predictor(checkpoint)
    if predictor.objective.is_global and target.suffix != ".csv":
        raise ValueError(
            f"OUTPUT must be a .csv for one prediction per time, got {target}; name it with .csv"
        )
    records = read_stations(source)
    with open_bar(shown=progress) as bar:
        task = bar.add_task("predicting", total=predictor.num_samples(records))
        options: dict[str, Any] = {
            "batch_size": batch_size,
            "advance": lambda number: bar.advance(task, number),
        }
        if predictor.objective.is_global:
            times, values = predictor.predict_signals(records, **options)
            names = predictor.task.column_names
            _write_times(target, times, values, names, overwrite=overwrite)
        else:
            found = predictor.predict(records, **options)
            times, names = found.times, found.channel_names
            write_stations(target, found, overwrite=overwrite)
    return StationPredictionSummary(
        names=names,
        num_times=len(times),
        num_stations=records.num_stations,
        num_unseen=_num_unseen(records, predictor),
        path=target,
        notes=records.notes,
    )


def _write_times(
    path: Path, times: Any, values: np.ndarray, names: tuple[str, ...], *, overwrite: bool
) -> None:
    """A table with a row for each time."""
    with (
        write_atomically(path, overwrite=overwrite) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        table = csv.writer(file)
        table.writerow(["time", *names])
        table.writerows(
            [format_time(time), *(f"{value:.7g}" for value in row)]
            for time, row in zip(times, values, strict=True)
        )


def _num_unseen(records: "StationRecords", predictor: "StationPredictor") -> int:
    """Stations at places where none was in the training."""
    trained = {tuple(point) for point in np.round(predictor.sampling.points, 9).tolist()}
    given = np.round(records.sampling.points, 9).tolist()
    return sum(tuple(point) not in trained for point in given)
