"""How far a network is believed at places that it has not learned."""

from typing import Any

import torch

from deepsphere.training.module import SphereModule
from deepsphere.training.station_data import StationData


def shrink_correction(module: SphereModule, data: StationData) -> float:
    """Share of a network's corrections that is right at the stations of the validation.

    A network that interpolates between few stations remembers them: what it adds to the reference
    is right there, and less so elsewhere. The share with the least squared error on the validation,
    between 0 and 1, is multiplied into the last convolution, so that the predictions are those of
    the reference where the network knows no better.

    Parameters
    ----------
    module
        As it was trained; the weights of its last convolution are changed in place. Save it
        afterwards (`deepsphere.training.save`).
    data
        With a reference and a validation.

    Returns
    -------
    float
        The share.

    Raises
    ------
    ValueError
        If there is no reference or no validation.

    Examples
    --------
    >>> import numpy as np
    >>> from deepsphere.data.station_objectives import imputation
    >>> from deepsphere.data.station_records import station_records
    >>> days = np.arange("2020-01-01", "2020-03-01", dtype="datetime64[D]")
    >>> values = np.random.default_rng(0).normal(size=(60, 30))
    >>> records = station_records(
    ...     12.0 * np.arange(30), np.arange(30.0) ** 2 / 20, values, days, channel_names=["tavg"]
    ... )
    >>> data = StationData.of_records(records, imputation("tavg"), num_neighbors=3)
    >>> shrink_correction(data.module(kernel_size=2), data)  # which still corrects nothing
    0.0
    """
    if data.preparation.reference == "none" or data.validation is None:
        raise ValueError(
            "data must have a reference and a validation to tell what corrections are worth, got "
            f"the reference {data.preparation.reference!r} and "
            f"{'no' if data.validation is None else 'a'} validation"
        )
    task: Any = module.task
    network: Any = module.model
    parameter = next(network.parameters())
    was_training = network.training
    network.eval()
    shared, own = 0.0, 0.0
    with torch.inference_mode():
        for signals, targets in data.val_dataloader():
            outputs = network(signals.to(parameter))[..., : task.num_outputs].double()
            differences = task.standardize(targets.to(outputs))
            observed = ~differences.isnan()
            shared += float((outputs * differences)[observed].sum())
            own += float(outputs[observed].square().sum())
    network.train(was_training)
    share = min(max(shared / own, 0.0), 1.0) if own else 0.0
    with torch.no_grad():
        for weights in network.get_submodule("head").parameters():
            weights.mul_(share)
    return share
