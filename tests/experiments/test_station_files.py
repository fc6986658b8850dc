"""`predict` on files of stations: the same numbers as in memory, with ids, places and times."""

from pathlib import Path

import numpy as np
import pytest
from typer import Typer
from typer.testing import CliRunner

from deepsphere.cli.signals import predict
from deepsphere.data.station_objectives import StationObjective, day_of_year, next_day
from deepsphere.data.station_records import StationRecords, station_records
from deepsphere.data.station_tables import read_stations
from deepsphere.data.station_writers import write_stations
from deepsphere.experiments.station_files import is_station_checkpoint, predict_stations_file
from deepsphere.graph import build_graph
from deepsphere.models import DenseRegressor
from deepsphere.sampling import Healpix
from deepsphere.training import StationData, save, station_predictor_of

pytest.importorskip("pandas")

NUM = 12
DAYS = np.datetime64("2021-03-01") + np.arange(40)


def made_records(num: int = NUM) -> StationRecords:
    """Temperatures with a gap."""
    generator = np.random.default_rng(0)
    values = 10 + generator.normal(size=(len(DAYS), num))
    values[3, 4] = np.nan
    return station_records(
        np.linspace(-170, 170, num),
        np.linspace(-60, 80, num),
        values,
        DAYS,
        ids=[f"A{number}" for number in range(num)],
        elevation_m=np.linspace(0, 900, num),
        channel_names=["tavg"],
        units=["°C"],
    )


RECORDS = made_records()


def checkpoint_of(objective: StationObjective, folder: Path) -> tuple[Path, StationData]:
    """A network with its first weights, in a file."""
    data = StationData.of_records(RECORDS, objective, num_neighbors=3, weights="gaussian")
    save(folder / "model.ckpt", data.module(kernel_size=2, channels=(4,)))
    return folder / "model.ckpt", data


def run(*words: str | Path) -> tuple[int, str]:
    """Exit code of `deepsphere predict` and what it printed or raised."""
    app = Typer()
    app.command()(predict)
    found = CliRunner().invoke(app, [str(word) for word in words])
    return found.exit_code, found.output + str(found.exception or "")


def test_predictions_of_a_file_are_those_in_memory(tmp_path: Path) -> None:
    checkpoint, data = checkpoint_of(next_day("tavg"), tmp_path)
    write_stations(tmp_path / "in.csv", RECORDS)
    code, text = run(checkpoint, tmp_path / "in.csv", tmp_path / "out.csv")
    assert code == 0, text
    assert "tavg predicted for 36 times at 12 stations, written to" in text.replace("\n", " ")
    found = read_stations(tmp_path / "out.csv")
    expected = station_predictor_of(data.module(kernel_size=2, channels=(4,))).predict(RECORDS)
    assert (found.ids, found.channel_names, found.units) == (RECORDS.ids, ("tavg",), ("°C",))
    np.testing.assert_array_equal(found.times, expected.times)
    assert found.times[-1] == DAYS[-1] + 1
    np.testing.assert_allclose(found.values, expected.values, rtol=1e-5)


def test_stations_that_were_not_learned_are_counted(tmp_path: Path) -> None:
    checkpoint, _ = checkpoint_of(next_day("tavg"), tmp_path)
    write_stations(tmp_path / "in.npz", made_records(15))
    summary = predict_stations_file(checkpoint, tmp_path / "in.npz", tmp_path / "out.npz")
    # the first and the last are where they were
    assert (summary.num_stations, summary.num_unseen) == (15, 13)
    assert np.isfinite(read_stations(tmp_path / "out.npz").values).all()


def test_seasons_are_written_for_each_time(tmp_path: Path) -> None:
    checkpoint, data = checkpoint_of(day_of_year("tavg"), tmp_path)
    write_stations(tmp_path / "in.csv", RECORDS)
    predict_stations_file(checkpoint, tmp_path / "in.csv", tmp_path / "out.csv")
    head, *rows = (tmp_path / "out.csv").read_text().splitlines()
    assert head == "time,season"
    assert [row.split(",")[0] for row in rows] == [str(day) for day in DAYS]
    module = data.module(kernel_size=2, channels=(4,))
    _, expected = station_predictor_of(module).predict_signals(RECORDS)
    found = [float(row.split(",")[1]) for row in rows]
    np.testing.assert_allclose(found, expected[:, 0], rtol=1e-5)
    with pytest.raises(ValueError, match=r"OUTPUT must be a \.csv for one prediction"):
        predict_stations_file(checkpoint, tmp_path / "in.csv", tmp_path / "out.nc")


def test_files_are_not_replaced_unasked(tmp_path: Path) -> None:
    checkpoint, _ = checkpoint_of(next_day("tavg"), tmp_path)
    write_stations(tmp_path / "in.csv", RECORDS)
    (tmp_path / "out.csv").write_text("mine")
    with pytest.raises(FileExistsError):
        predict_stations_file(checkpoint, tmp_path / "in.csv", tmp_path / "out.csv")
    with pytest.raises(ValueError, match="OUTPUT must be another file than INPUT"):
        predict_stations_file(checkpoint, tmp_path / "in.csv", tmp_path / "in.csv", overwrite=True)


def test_options_of_other_signals_are_refused(tmp_path: Path) -> None:
    checkpoint, _ = checkpoint_of(next_day("tavg"), tmp_path)
    write_stations(tmp_path / "in.csv", RECORDS)
    for option, value in (("--mask", "m.npy"), ("--sampling", "healpix:2"), ("--channels", "0")):
        code, text = run(checkpoint, tmp_path / "in.csv", tmp_path / "out.csv", option, value)
        assert code != 0
        assert f"{option} must not be given with a network that learned from stations" in text


def test_checkpoints_are_told_apart(tmp_path: Path) -> None:
    checkpoint, _ = checkpoint_of(next_day("tavg"), tmp_path)
    pyramid = build_graph(Healpix(1), num_neighbors=4).pyramid(num_levels=1)
    other = DenseRegressor(pyramid, in_channels=1, out_channels=1, channels=(2,), kernel_size=1)
    save(tmp_path / "other.ckpt", other)
    assert is_station_checkpoint(checkpoint)
    assert not is_station_checkpoint(tmp_path / "other.ckpt")
