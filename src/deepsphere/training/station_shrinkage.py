"""How far a network is believed at places that it has not learned."""

from typing import Any

import torch

from deepsphere.training.module import SphereModule
from deepsphere.training.station_data import StationData


def shrink_correction(module: SphereModule, data: StationData) -> float:
    """Share of a network's corrections that is right at the stations of the validation.

    A network that interpolates between few stations remembers them: what it adds to the reference
    is right there, and less so elsewhere. The share with the least squared error on the validation,
    less one standard error and between 0 and 1, is multiplied into the last convolution, so that
    the predictions are those of the reference where the network knows no better. The error is that
    of the jackknife over stations: few places tell little of others, however many their days.

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
        The share; 0 where fewer than two stations were validated on.

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

    References
    ----------
    Efron and Stein, 1981, The jackknife estimate of variance.
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
    sums = []
    with torch.inference_mode():
        for signals, targets in data.val_dataloader():
            outputs = network(signals.to(parameter))[..., : task.num_outputs].double()
            differences = task.standardize(targets.to(outputs))
            observed = ~differences.isnan()
            outputs = outputs.where(observed, 0.0)
            products = torch.stack([outputs * differences.where(observed, 0.0), outputs.square()])
            sums.append(products.sum(dim=(1, 3)))  # two, stations
    network.train(was_training)
    shared, own = torch.stack(sums).sum(dim=0)
    share = _cautious_share(shared[own > 0], own[own > 0])
    with torch.no_grad():
        for weights in network.get_submodule("head").parameters():
            weights.mul_(share)
    return share


def _cautious_share(shared: torch.Tensor, own: torch.Tensor) -> float:
    """Ratio of the sums over stations, less a standard error, between 0 and 1."""
    number = len(own)
    if number < 2:
        return 0.0
    without = (shared.sum() - shared) / (own.sum() - own)
    error = ((number - 1) * without.var(unbiased=False)).sqrt()
    return float((shared.sum() / own.sum() - error).clamp(0.0, 1.0))
