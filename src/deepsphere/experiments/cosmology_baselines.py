"""The rows without a network: linear models of classical statistics of the patches."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Float

from deepsphere.data.map_features import HistogramFeatures, SpectrumFeatures
from deepsphere.data.map_sets import MapSet
from deepsphere.experiments.cosmology_config import BaselineSection, CosmologyRecipe
from deepsphere.experiments.cosmology_data import MapParts, patches_of
from deepsphere.experiments.cosmology_record import CosmologyRecord, Setting
from deepsphere.experiments.cosmology_scores import score_classes, score_parameters
from deepsphere.experiments.linear_baselines import (
    FeatureSplit,
    classify_linearly,
    regress_linearly,
)
from deepsphere.sampling.healpix_patches import num_patches
from deepsphere.training.map_data import SphericalMaps
from deepsphere.training.map_samples import Split

_NUM_MEASURED = 100  # patches that the bins of histograms are fitted to

_Features = Callable[[Float[np.ndarray, "vertices channels"]], Float[np.ndarray, "features"]]


@dataclass(frozen=True, eq=False)
class BaselineRun:
    """What one linear model is trained and scored on.

    Parameters
    ----------
    recipe
        With the data.
    baseline
        Which one.
    setting
        Order of the patches, and noise.
    """

    recipe: CosmologyRecipe
    baseline: BaselineSection
    setting: Setting

    @property
    def title(self) -> str:
        """The run in words."""
        return f"{self.baseline.name}, {self.setting.title}"


def run_baseline(
    run: BaselineRun, parts: MapParts, *, path: Path, fingerprint: str
) -> CosmologyRecord:
    """Fit a linear model and score it; the record is written.

    Parameters
    ----------
    run
        Which one.
    parts
        The maps.
    path
        Of the record.
    fingerprint
        Of recipe and data.

    Returns
    -------
    CosmologyRecord
        Its history is empty, its number of parameters that of a linear model.
    """
    start = time.perf_counter()
    recipe = run.recipe
    most = run.baseline.most_patches // num_patches(run.setting.order)
    few = MapParts(
        _few_maps(parts.train, most),
        _few_maps(parts.validation, most),
        _few_maps(parts.test, most),
        parts.mask,
    )
    data = patches_of(recipe, few, run.setting, recipe.training, seed=recipe.seeds[0])
    features = _fitted_features(run, data)
    # noise of epochs after the curriculum, which is the full one
    first = recipe.training.noise_warmup_epochs
    train = _features_of(features, data, "train", epochs=range(first, first + run.baseline.repeats))
    validation = _features_of(features, data, "validation")
    scored = _features_of(features, data, recipe.data.scored_on)
    confusion, num_models = None, 1
    if recipe.data.target == "class":
        labels = classify_linearly(train, validation, scored)
        num_classes = len(data.train.class_names)
        num_models = num_classes if num_classes > 2 else 1
        scores, confusion = score_classes(
            np.eye(num_classes)[labels],
            scored.targets.astype(np.int64),
            num_patches=num_patches(run.setting.order),
        )
    else:
        num_models = train.targets.shape[1]
        predicted = regress_linearly(train, validation, scored)
        scores = score_parameters(predicted, scored.targets, names=data.train.parameter_names)
    record = CosmologyRecord(
        fingerprint=fingerprint,
        num_parameters=(train.features.shape[1] + 1) * num_models,
        seconds_training=time.perf_counter() - start,
        seconds_scoring=0.0,
        history=[],
        scores=scores,
        confusion=confusion,
    )
    record.write(path)
    return record


def _fitted_features(run: BaselineRun, data: SphericalMaps) -> _Features:
    """What makes the features of a patch."""
    if run.baseline.feature == "spectrum":
        return SpectrumFeatures.on_sampling(data.sampling)
    signals = (signal for batch, _ in data.split_signals("train") for signal in batch)
    some = list(islice(signals, _NUM_MEASURED))
    return HistogramFeatures.fitted_to(some, num_bins=run.baseline.num_bins)


def _few_maps(maps: MapSet, most: int) -> MapSet:
    """The first maps, classes in turns: so many at most, and one of each class at least."""
    ranks, classes = np.empty(len(maps), int), np.unique(maps.labels)
    for label in classes:
        places = np.flatnonzero(maps.labels == label)
        ranks[places] = np.arange(len(places))
    chosen = np.lexsort((maps.labels, ranks))[: max(len(classes), most)]
    return maps.take(np.sort(chosen))


def _features_of(
    features: _Features, data: SphericalMaps, part: Split, *, epochs: range = range(1)
) -> FeatureSplit:
    """Features of all patches of a part, those of training in several epochs."""
    rows, targets = [], []
    for epoch in epochs:
        for batch, of_batch in data.split_signals(part, epoch=epoch):
            rows += [features(signal) for signal in batch]
            targets.append(of_batch)
    return FeatureSplit(np.stack(rows), np.concatenate(targets))
