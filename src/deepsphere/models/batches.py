"""Running a network on many signals, a few at a time."""

from collections.abc import Callable, Iterable

import numpy as np
import torch
from jaxtyping import Float
from torch import nn


def run_in_batches(
    model: nn.Module,
    signals: Float[np.ndarray, "signals ..."],
    *,
    batch_size: int,
    follow: Callable[[range], Iterable[int]] = iter,
) -> Float[np.ndarray, "signals ..."]:
    """Outputs of a network, on its device and in its dtype, in evaluation mode.

    Parameters
    ----------
    model
        Its mode is put back afterwards.
    signals
        The first axis is cut in batches.
    batch_size
        How many are in memory of the device at a time.
    follow
        Takes the range of the starts of batches and gives them back one by one, as a progress bar
        does.

    Returns
    -------
    ndarray
        float32, as many as signals.

    Examples
    --------
    >>> run_in_batches(nn.Flatten(), np.ones((3, 2, 1), np.float32), batch_size=2).shape
    (3, 2)
    """
    parameter = next(model.parameters(), torch.zeros(0))
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            outputs = [
                model(torch.tensor(signals[start : start + batch_size]).to(parameter))
                for start in follow(range(0, len(signals), batch_size))
            ]
    finally:
        model.train(was_training)
    return torch.cat(outputs).float().cpu().numpy()
