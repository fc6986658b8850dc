"""What all trainings of experiments have in common: their files, and a machine that can do them."""

from pathlib import Path

import lightning
from lightning.fabric.utilities.exceptions import MisconfigurationException

from deepsphere.experiments.options import RunOptions
from deepsphere.training import read_spec
from deepsphere.training.quiet import quiet_lightning

MODEL_FILE = "model.ckpt"
LAST_FILE = "last.ckpt"
RECORD_FILE = "run.json"


def check_machine(options: RunOptions) -> None:
    """Raise unless this machine can compute as the options say.

    To be called before anything is removed or begun.

    Parameters
    ----------
    options
        What a user asked for.

    Raises
    ------
    ValueError
        If there is no such accelerator, or not as many devices.
    """
    try:
        with quiet_lightning():
            lightning.Trainer(
                accelerator=options.accelerator,
                devices=options.devices_for_lightning,
                precision=options.precision,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
            )
    except (MisconfigurationException, ValueError) as error:
        reason = " ".join(str(error).split()).rstrip(".!")
        raise ValueError(
            "accelerator, devices and precision must be those of this machine, got "
            f"{options.accelerator}, {options.devices} and {options.precision}: {reason}; "
            "deepsphere doctor shows what there is"
        ) from error


def resumable(path: Path) -> Path | None:
    """The checkpoint, where there is a whole one.

    Parameters
    ----------
    path
        Where one may be.

    Returns
    -------
    Path or None
    """
    try:
        read_spec(path)
    except (OSError, ValueError):
        return None
    return path
