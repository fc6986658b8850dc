"""Training: determined by its seed, resumed as if never interrupted, and quiet."""

from collections.abc import Callable
from pathlib import Path

import jaxtyping
import lightning
import numpy as np
import pytest
import torch

from deepsphere.training import FitResult, Optimization, SphereModule, SphericalImages, fit, load

Maker = Callable[..., SphereModule]
DataMaker = Callable[..., SphericalImages]
QUIET = {"accelerator": "cpu", "progress": False}


def weights(module: SphereModule) -> torch.Tensor:
    """All weights and running averages in one vector."""
    return torch.cat([value.flatten().double() for value in module.model.state_dict().values()])


class StopAfter(lightning.Callback):
    """Interrupt the training after so many epochs, as a lost machine would."""

    def __init__(self, num_epochs: int) -> None:
        self.num_epochs = num_epochs

    def on_train_epoch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        if trainer.current_epoch == self.num_epochs:
            raise ConnectionAbortedError("power cut")


def test_training_learns_what_is_easy(make_module: Maker, make_data: DataMaker) -> None:
    module = make_module(Optimization(learning_rate=0.05))
    result = fit(module, make_data(validation_fraction=0.25), max_epochs=10, **QUIET)
    assert len(result.history) == 10
    assert [row["epoch"] for row in result.history] == list(range(10))
    assert result.history[-1]["train_loss"] < 0.5 * result.history[0]["train_loss"]
    assert result.history[-1]["val_accuracy"] > 0.9
    assert result.history[-1]["learning_rate"] < 1e-5  # of one_cycle
    assert {"val_loss", "val_macro_f1", "learning_rate"} <= set(result.history[0])
    assert all(type(value) in (int, float) for row in result.history for value in row.values())


def test_training_is_determined_by_its_seed(make_module: Maker, make_data: DataMaker) -> None:
    def train(seed: int) -> torch.Tensor:
        module = make_module(dropout=0.5)
        fit(module, make_data(seed=seed), max_epochs=2, seed=seed, **QUIET)
        return weights(module)

    first = train(0)
    assert torch.equal(first, train(0))
    assert not torch.equal(first, train(1))


@pytest.mark.parametrize("schedule", ["one_cycle", "cosine", "constant", "step"])
def test_resumed_training_ends_as_the_uninterrupted_one(
    make_module: Maker, make_data: DataMaker, tmp_path: Path, schedule: str
) -> None:
    """Exactly: order, rotations, dropout, optimizer and learning rate all go on."""
    optimization = Optimization(schedule=schedule, step_epochs=2)
    options = {"max_epochs": 4, "seed": 3, **QUIET}

    def start(**more: object) -> FitResult:
        module = make_module(optimization, dropout=0.3)
        return fit(module, make_data(validation_fraction=0.25), **options, **more)

    whole = start()
    with pytest.raises(ConnectionAbortedError):
        start(output=tmp_path, callbacks=[StopAfter(2)])
    resumed = start(output=tmp_path, resume=tmp_path / "last.ckpt")
    assert torch.equal(weights(resumed.module), weights(whole.module))
    without_time = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in result.history]
        for result in (whole, resumed)
    ]
    assert without_time[0] == without_time[1]


def test_global_generators_and_arguments_are_left_alone(
    make_module: Maker, make_data: DataMaker
) -> None:
    # the generator of Python is left to test_seeding: the type checks of the tests draw from it
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    threads, dtype = torch.get_num_threads(), torch.get_default_dtype()
    fit(make_module(), make_data(), max_epochs=1, **QUIET)
    assert torch.equal(before[0], torch.get_rng_state())
    assert np.array_equal(before[1], np.random.get_state()[1])  # noqa: NPY002
    assert (threads, dtype) == (torch.get_num_threads(), torch.get_default_dtype())
    assert not torch.are_deterministic_algorithms_enabled()


def test_training_says_nothing(
    make_module: Maker,
    make_data: DataMaker,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    fit(make_module(), make_data(), max_epochs=1, output=tmp_path, **QUIET)
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


def test_progress_is_shown_on_the_standard_error(
    make_module: Maker,
    make_data: DataMaker,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    fit(make_module(), make_data(), max_epochs=2, accelerator="cpu", progress=True)
    shown = capfd.readouterr()
    assert shown.out == ""
    assert "epoch 2/2" in shown.err
    assert "train_loss" in shown.err


def test_mixed_precision_trains(make_module: Maker, make_data: DataMaker) -> None:
    module = make_module(Optimization(learning_rate=0.05))
    result = fit(module, make_data(), max_epochs=4, precision="bf16-mixed", **QUIET)
    assert result.history[-1]["train_loss"] < result.history[0]["train_loss"]
    assert {value.dtype for value in module.parameters()} == {torch.float32}


def test_output_holds_checkpoints_and_logs(
    make_module: Maker, make_data: DataMaker, tmp_path: Path
) -> None:
    data = make_data(validation_fraction=0.25)
    result = fit(make_module(), data, max_epochs=3, output=tmp_path / "run", **QUIET)
    assert result.last == tmp_path / "run" / "last.ckpt"
    assert result.best == tmp_path / "run" / "best.ckpt"
    signals = torch.rand(2, 48, 1)
    assert torch.equal(load(result.last)(signals), result.module.model.eval()(signals))
    assert load(result.best)(signals).shape == (2, 3)
    rows = (tmp_path / "run/csv/version_0/metrics.csv").read_text().splitlines()
    assert "train_loss" in rows[0]
    assert "val_accuracy" in rows[0]
    assert list((tmp_path / "run/tensorboard/version_0").glob("events.*"))


def test_output_of_an_earlier_training_is_refused(
    make_module: Maker, make_data: DataMaker, tmp_path: Path
) -> None:
    first = fit(make_module(), make_data(), max_epochs=1, output=tmp_path, **QUIET)
    assert first.last is not None
    content = first.last.read_bytes()
    with pytest.raises(FileExistsError, match=r"which has a last\.ckpt; resume from it"):
        fit(make_module(), make_data(), max_epochs=2, output=tmp_path, **QUIET)
    assert first.last.read_bytes() == content
    fit(make_module(), make_data(), max_epochs=2, output=tmp_path, overwrite=True, **QUIET)
    assert first.last.read_bytes() != content
    assert len(list(tmp_path.glob("*.ckpt"))) == 1


def test_early_stopping_stops(make_module: Maker, make_data: DataMaker) -> None:
    class Worsen(lightning.Callback):
        """Make every validation worse than the one before."""

        def on_validation_epoch_end(
            self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
        ) -> None:
            trainer.callback_metrics["val_loss"] = torch.tensor(float(trainer.current_epoch))

    data = make_data(validation_fraction=0.25)
    module = make_module(Optimization(learning_rate=1e-12, schedule="constant"))
    result = fit(module, data, max_epochs=9, early_stopping=2, callbacks=[Worsen()], **QUIET)
    assert len(result.history) < 9


def test_loss_that_is_lost_stops_the_training(
    make_module: Maker, make_data: DataMaker, tmp_path: Path
) -> None:
    module = make_module(Optimization(learning_rate=1e30, schedule="constant"))
    with pytest.raises(ValueError, match=r"train_loss must stay finite, got (nan|inf) in epoch"):
        fit(module, make_data(), max_epochs=20, output=tmp_path, **QUIET)


def test_impossible_numbers_are_rejected(make_module: Maker, make_data: DataMaker) -> None:
    module, data = make_module(), make_data()
    with pytest.raises(ValueError, match="max_epochs must be at least 1, got 0"):
        fit(module, data, max_epochs=0, **QUIET)
    with pytest.raises(ValueError, match="early_stopping must have a validation set"):
        fit(module, data, max_epochs=2, early_stopping=2, **QUIET)
    with pytest.raises(ValueError, match="early_stopping must be at least 1 epoch, got 0"):
        fit(module, data, max_epochs=2, early_stopping=0, **QUIET)


def test_data_on_another_sampling_are_rejected(make_module: Maker, digits: object) -> None:
    from deepsphere.sampling import Healpix

    data = SphericalImages(digits, Healpix(4), rotate_train=False, rotate_test=False)
    with pytest.raises(ValueError, match=r"data must be sampled as the model is, on Healpix\(ns"):
        fit(make_module(), data, max_epochs=1, **QUIET)


def test_resuming_another_training_is_rejected(
    make_module: Maker, make_data: DataMaker, tmp_path: Path
) -> None:
    path = fit(make_module(), make_data(), max_epochs=1, output=tmp_path, **QUIET).last
    options = {"resume": path, **QUIET}
    with pytest.raises(ValueError, match="resume must be a checkpoint of the same model"):
        fit(make_module(readout="mean"), make_data(), max_epochs=1, **options)
    other = make_module(Optimization(learning_rate=0.1))
    with pytest.raises(ValueError, match=r"learning_rate must be the 0\.005 of the .* got 0\.1"):
        fit(other, make_data(), max_epochs=1, **options)
    with pytest.raises(ValueError, match=r"max_epochs must be the 1 of .* one_cycle .* got 2"):
        fit(make_module(), make_data(), max_epochs=2, **options)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("learning_rate", 0.0, "learning_rate must be positive, got 0.0"),
        ("weight_decay", -1.0, "weight_decay must not be negative, got -1.0"),
        ("step_epochs", 0, "step_epochs must be at least 1, got 0"),
        ("step_factor", 0.0, r"step_factor must be in \(0, 1\], got 0.0"),
    ],
)
def test_impossible_optimization_is_rejected(option: str, value: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Optimization(**{option: value})


def test_unknown_schedule_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=r"schedule must be one of one_cycle, .*, got 'fast'"):
        Optimization(schedule="fast")


def test_schedules_are_their_definitions() -> None:
    def rates(schedule: str, num_steps: int = 20) -> list[float]:
        optimization = Optimization(learning_rate=1.0, schedule=schedule, step_epochs=5)
        parts = optimization.configure(torch.nn.Linear(1, 1), num_steps=num_steps)
        values = []
        for _ in range(num_steps):
            values.append(parts["optimizer"].param_groups[0]["lr"])
            parts["optimizer"].step()
            parts["lr_scheduler"]["scheduler"].step()
            if schedule == "one_cycle" and len(values) == num_steps - 1:
                values.append(parts["optimizer"].param_groups[0]["lr"])
                break
        return values

    steps = np.arange(20)
    assert rates("constant") == [1.0] * 20
    assert np.allclose(rates("cosine"), (1 + np.cos(np.pi * steps / 20)) / 2)
    assert np.allclose(rates("step"), 0.1 ** (steps // 5))
    cycle = rates("one_cycle")
    assert max(cycle) == pytest.approx(1.0)
    assert cycle[0] == pytest.approx(1 / 25)
    assert cycle[-1] < 1e-5
    assert np.argmax(cycle) == 5  # 30 % of 20 steps, counted from zero
