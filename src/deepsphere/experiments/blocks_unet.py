"""One run of the dense task of the experiment on blocks: a U-Net, trained and scored."""

from typing import Annotated

import lightning
import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from deepsphere.experiments.blocks_config import BlocksRecipe, MapsTraining, UNetBlock
from deepsphere.experiments.blocks_maps import Maps
from deepsphere.experiments.options import RunOptions, cpu_threads
from deepsphere.experiments.training_record import TurnedRecord
from deepsphere.graph import Pyramid
from deepsphere.harmonics import analyze, synthesize
from deepsphere.models import UNet, num_parameters
from deepsphere.sampling import Sampling
from deepsphere.tasks import Regression
from deepsphere.training import Optimization, SphereModule, seeded
from deepsphere.training.callbacks import History, SeedEachEpoch
from deepsphere.training.data_module import EpochShuffle
from deepsphere.training.quiet import quiet_lightning

_NUM_AT_ONCE = 16


class MapsRecord(TurnedRecord):
    """What one U-Net found out.

    Parameters
    ----------
    unrotated, rotated
        Explained share of the variance of the targets, %, on fields as they are (NR) and on
        rotated ones (R).
    change
        Rotation error of the outputs, see `rotation_error`.
    """

    unrotated: Annotated[float, Field(le=100, allow_inf_nan=False)]
    rotated: Annotated[float, Field(le=100, allow_inf_nan=False)]


def rotation_error(
    outputs: Float[Tensor, "fields vertices 1"],
    of_rotated: Float[Tensor, "fields vertices 1"],
    rotations: Float[np.ndarray, "fields 3 3"],
    sampling: Sampling,
    *,
    max_degree: int,
) -> float:
    r"""How far the outputs for rotated fields are from the rotated outputs.

    .. math:: \sqrt{\textstyle\sum |F(R x) - R F(x)|^2 / \sum |R F(x)|^2},

    where F(x) is rotated by a fit of harmonics: what it holds above their largest degree counts as
    an error of F(R x).

    Parameters
    ----------
    outputs, of_rotated
        F(x) and F(R x).
    rotations
        One R for each field.
    sampling
        Where all of them are.
    max_degree
        Of the fit.

    Returns
    -------
    float
    """
    fitted = analyze(outputs.double().numpy(), sampling.points, sampling.areas, max_degree)
    turned = np.stack(
        [
            synthesize(coefficients, sampling.points @ rotation)
            for coefficients, rotation in zip(fitted, rotations, strict=True)
        ]
    )
    error = np.average((of_rotated.double().numpy() - turned) ** 2, axis=-2, weights=sampling.areas)
    power = np.average(turned**2, axis=-2, weights=sampling.areas)
    return float(np.sqrt(error.sum() / power.sum()))


def run_unet(
    recipe: BlocksRecipe,
    block: UNetBlock,
    maps: Maps,
    *,
    pyramid: Pyramid,
    seed: int,
    fingerprint: str,
    options: RunOptions,
) -> MapsRecord:
    """Train a U-Net on the fields as they are, and score it on others and on rotated ones.

    Parameters
    ----------
    recipe
        The numbers.
    block
        Which network.
    maps
        From `make_maps` on its sampling.
    pyramid
        Its levels.
    seed
        Of the first weights and the order of the fields.
    fingerprint
        Of recipe and block.
    options
        How this machine computes.

    Returns
    -------
    MapsRecord
    """
    with seeded(seed):
        config = recipe.unet_of(block).model_dump()
        model = UNet(pyramid, in_channels=1, out_channels=1, **config)
    training = recipe.maps_training
    with cpu_threads(training.num_threads):
        history = _train(model, maps.train, training, seed=seed, options=options)
        outputs, of_rotated = (
            _outputs(model, fields) for fields, _ in (maps.unrotated, maps.rotated)
        )
    return MapsRecord(
        fingerprint=fingerprint,
        num_parameters=num_parameters(model),
        seconds_training=sum(row["seconds"] for row in history),
        history=history,
        unrotated=_explained(outputs, maps.unrotated[1]),
        rotated=_explained(of_rotated, maps.rotated[1]),
        change=rotation_error(
            outputs,
            of_rotated,
            maps.rotations,
            pyramid.graphs[0].sampling,
            max_degree=maps.target_degree,
        ),
    )


def _train(
    model: nn.Module,
    train: tuple[Tensor, Tensor],
    training: MapsTraining,
    *,
    seed: int,
    options: RunOptions,
) -> list[dict[str, float | int]]:
    """Fit the model to the fields; the history of the training."""
    module = SphereModule(
        model,
        Regression(1),
        optimization=Optimization(
            learning_rate=training.learning_rate,
            weight_decay=training.weight_decay,
            schedule=training.schedule,
        ),
    )
    order = EpochShuffle(len(train[0]), seed=seed)
    loader = DataLoader(
        TensorDataset(*train), batch_size=training.batch_size, sampler=order, collate_fn=_collated
    )
    history = History()
    with quiet_lightning(), seeded(seed):
        trainer = lightning.Trainer(
            max_epochs=training.epochs,
            accelerator=options.accelerator,
            devices=options.devices_for_lightning,
            precision=options.precision,
            logger=False,
            callbacks=[history, SeedEachEpoch(seed)],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            limit_val_batches=0,
        )
        trainer.fit(module, loader, [])
    return history.rows


def _collated(samples: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    """A batch of fields and targets; torch would make a list of them."""
    fields, targets = zip(*samples, strict=True)
    return torch.stack(fields), torch.stack(targets)


def _outputs(
    model: nn.Module, fields: Float[Tensor, "fields vertices 1"]
) -> Float[Tensor, "fields vertices 1"]:
    """What the model makes of fields, on the CPU."""
    device = next(model.parameters()).device
    model.eval()
    with torch.inference_mode():
        return torch.cat([model(part.to(device)).cpu() for part in fields.split(_NUM_AT_ONCE)])


def _explained(
    outputs: Float[Tensor, "fields vertices 1"], targets: Float[Tensor, "fields vertices 1"]
) -> float:
    """1 - |outputs - targets|² / |targets - mean|², in %."""
    residual = (outputs - targets).double().square().mean()
    return float(100 * (1 - residual / targets.double().var(correction=0)))
