"""Networks are trained on signals with holes, towards targets with holes, from end to end."""

from typing import Any

import lightning
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

import deepsphere as ds
from deepsphere.graph import build_pyramid
from deepsphere.models import DenseRegressor, UNet
from deepsphere.sampling import Healpix
from deepsphere.tasks import Regression
from deepsphere.training import Optimization, SphereModule, predict, seeded

SAMPLING = Healpix(nside=2)
PYRAMID = build_pyramid(SAMPLING, num_levels=2, num_neighbors=8)
MODELS = {
    "unet": (UNet, {"channels": (8, 8), "stem_channels": 8}),
    "dense regressor": (DenseRegressor, {"channels": (8, 8)}),
}


def _fields(num: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Smooth fields, and another one that depends on them; 30 % of both are missing."""
    generator = np.random.default_rng(seed)
    signals = generator.standard_normal((num, 1, 3)) @ SAMPLING.points.T
    targets = 280 + 5 * signals
    fields = []
    for values in (signals, targets):
        is_hidden = generator.random((num, 48, 1)) < 0.3
        fields.append(np.where(is_hidden, np.nan, values.transpose(0, 2, 1)).astype(np.float32))
    return fields[0], fields[1]


def _loader(signals: np.ndarray, targets: np.ndarray, **options: Any) -> DataLoader:
    pairs = TensorDataset(torch.from_numpy(signals), torch.from_numpy(targets))

    def collate(samples: list) -> tuple[torch.Tensor, ...]:
        return tuple(map(torch.stack, zip(*samples, strict=True)))

    return DataLoader(pairs, batch_size=4, collate_fn=collate, **options)


@pytest.mark.filterwarnings("ignore:The '(train|val)_dataloader' does not have many workers")
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("loss", ["l2", "gaussian"])
def test_network_learns_from_what_was_observed(name, loss, tmp_path):
    signals, targets = _fields(32, seed=0)
    targets[3] = np.nan  # a signal of which nothing was observed
    task = Regression.standardizing(
        targets, loss=loss, names=("t2m",), units=("K",), sampling=SAMPLING.spec
    )
    assert task.offset[0] == pytest.approx(np.nanmean(targets), rel=1e-6)
    kind, options = MODELS[name]
    with seeded(0):
        model = kind(
            PYRAMID,
            in_channels=1,
            out_channels=task.num_model_outputs,
            kernel_size=3,
            missing="renormalize",
            **options,
        )
        module = SphereModule(model, task, optimization=Optimization(learning_rate=0.02))
        trainer = lightning.Trainer(
            max_epochs=6,
            accelerator="cpu",
            logger=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            default_root_dir=tmp_path,
            log_every_n_steps=1,
        )
        loader = _loader(signals, targets, shuffle=True)
        trainer.fit(module, loader, _loader(*_fields(8, seed=1)))
    found = {key: float(value) for key, value in trainer.callback_metrics.items()}
    assert all(np.isfinite(value) for value in found.values())
    assert found["val_r2"] > 0.5
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())
    # the checkpoint predicts everywhere, in the units of the targets
    trainer.save_checkpoint(tmp_path / "model.ckpt")
    holes, truth = _fields(8, seed=1)
    outputs = predict(ds.load(tmp_path / "model.ckpt"), holes)
    predicted = task.quantities(outputs)["t2m"]
    assert np.isfinite(predicted).all()
    is_observed = ~np.isnan(truth[..., 0])
    areas = np.broadcast_to(SAMPLING.areas, is_observed.shape)[is_observed]
    errors = (predicted - truth[..., 0])[is_observed] ** 2
    assert found["val_rmse_t2m"] == pytest.approx(
        np.sqrt(np.average(errors, weights=areas)), rel=1e-3
    )


def test_plain_network_says_that_its_signals_have_holes():
    signals, _ = _fields(2, seed=0)
    model = DenseRegressor(PYRAMID, in_channels=1, out_channels=1, channels=(4,), kernel_size=2)
    with pytest.raises(ValueError, match="signals must be finite"):
        predict(model, signals)
