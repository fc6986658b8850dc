"""The shelf of models, and a model from its specification."""

import difflib
import inspect
from collections.abc import Callable, Mapping
from typing import Any, cast

from torch import nn

from deepsphere.graph.coarsening import pyramid_from_spec
from deepsphere.models.classifier import CNN, FCN
from deepsphere.models.climate_unet import ClimateUNet
from deepsphere.models.dense_regressor import DenseRegressor
from deepsphere.models.recurrent_unet import RecurrentUNet
from deepsphere.models.regressor import Regressor
from deepsphere.models.rivals import UGSCNN, CNN2d, Cohen, CubeCNN, Esteves, PlanarCNN
from deepsphere.models.specification import check_sampling
from deepsphere.models.unet import UNet
from deepsphere.models.weather_unet import WeatherUNet
from deepsphere.sampling import (
    CubedSphere,
    Equiangular,
    Icosahedral,
    Sampling,
    Subset,
    sampling_from_spec,
)

Rival = CNN2d | CubeCNN | Cohen | Esteves | PlanarCNN | UGSCNN
"""Any registered network to compare with: it keeps its `sampling`, the others a `pyramid`."""

Model = (
    FCN
    | CNN
    | Regressor
    | DenseRegressor
    | UNet
    | ClimateUNet
    | RecurrentUNet
    | WeatherUNet
    | Rival
)
"""Any registered model: a module with a `spec`, on signals (*batch, vertices, channels).

`RecurrentUNet` takes sequences of them, (*batch, frames, vertices, channels).
"""

MODELS: dict[str, type[Model]] = {
    "fcn": FCN,
    "cnn": CNN,
    "regressor": Regressor,
    "dense_regressor": DenseRegressor,
    "unet": UNet,
    "climate_unet": ClimateUNet,
    "recurrent_unet": RecurrentUNet,
    "weather_unet": WeatherUNet,
    "cnn2d": CNN2d,
    "cube_cnn": CubeCNN,
    "cohen": Cohen,
    "esteves": Esteves,
    "planar_cnn": PlanarCNN,
    "ugscnn": UGSCNN,
}

SAMPLING_KINDS: dict[str, type[Sampling]] = {
    "cnn2d": Equiangular,
    "cube_cnn": CubedSphere,
    "cohen": Equiangular,
    "esteves": Equiangular,
    "planar_cnn": Subset,
    "ugscnn": Icosahedral,
}
"""The kind of sampling on which each rival lives; all other models live on a pyramid of graphs."""


def model_from_spec(spec: Mapping[str, Any]) -> Model:
    """The model of a specification, with fresh weights.

    A model and the one rebuilt from its `spec` give the same outputs once the `state_dict` of
    the first is loaded into the second.

    Parameters
    ----------
    spec : mapping
        "model": a name in `MODELS`; "pyramid": the `spec` of a pyramid (for a rival, one of
        `SAMPLING_KINDS`, "sampling": that of a sampling); "config": the keyword arguments of the
        model.

    Returns
    -------
    Module
        One of `MODELS`.

    Raises
    ------
    ValueError
        If a part is missing, the name is unknown, the model has no such argument, or a rival does
        not live on such a sampling.

    Examples
    --------
    >>> import deepsphere as ds
    >>> pyramid = ds.build_graph(ds.Healpix(nside=2), num_neighbors=8).pyramid(num_levels=2)
    >>> model = FCN(pyramid, in_channels=1, out_channels=10, channels=(4, 8))
    >>> model_from_spec(model.spec).spec == model.spec
    True
    """
    name, config = _part(spec, "model"), _part(spec, "config")
    if name not in MODELS:
        raise ValueError(f"model must be one of {', '.join(MODELS)}, got {name!r}")
    _check_arguments(MODELS[name], config)
    build = cast(Callable[..., Model], MODELS[name])
    if name in SAMPLING_KINDS:
        sampling = sampling_from_spec(_part(spec, "sampling"))
        check_sampling(sampling, SAMPLING_KINDS[name], name)
        return build(sampling, **config)
    return build(pyramid_from_spec(_part(spec, "pyramid")), **config)


def num_parameters(model: nn.Module) -> int:
    """The number of learned numbers of a model; running averages do not count.

    Parameters
    ----------
    model : Module

    Returns
    -------
    int

    Examples
    --------
    >>> num_parameters(nn.Linear(3, 2))
    8
    """
    return sum(parameter.numel() for parameter in model.parameters())


def _part(spec: Mapping[str, Any], key: str) -> Any:
    """One part of a specification."""
    if key not in spec:
        raise ValueError(
            f"spec must have the key {key!r}, got {', '.join(map(repr, spec)) or 'none'}; "
            "take the spec of a model"
        )
    return spec[key]


def _check_arguments(model: type[nn.Module], config: Mapping[str, Any]) -> None:
    """Raise at an argument that the model does not have, or that it has and is missing."""
    parameters = {
        name: parameter
        for name, parameter in inspect.signature(model).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    for name in config:
        if name not in parameters:
            nearest = difflib.get_close_matches(name, parameters, n=1)
            hint = f"did you mean {nearest[0]!r}?" if nearest else ", ".join(parameters)
            raise ValueError(
                f"config must hold arguments of {model.__name__}, got {name!r}; {hint}"
            )
    missing = [
        name
        for name, parameter in parameters.items()
        if parameter.default is parameter.empty and name not in config
    ]
    if missing:
        raise ValueError(
            f"config must hold {' and '.join(missing)} for {model.__name__}, got "
            f"{', '.join(config) or 'nothing'}; take the spec of a model"
        )
