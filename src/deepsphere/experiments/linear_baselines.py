"""Linear models of features: what a classifier can do without a network."""

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, Int

# Strengths that are tried on the validation features, as in the published experiment.
_STRENGTHS = np.logspace(-2, 2, 9)


@dataclass(frozen=True, eq=False)
class FeatureSplit:
    """Features of a part of the data, and what they shall tell.

    Parameters
    ----------
    features
        Shape (samples, features).
    targets
        Labels (samples,), or quantities (samples, quantities).
    """

    features: Float[np.ndarray, "samples features"]
    targets: np.ndarray


def classify_linearly(
    train: FeatureSplit, validation: FeatureSplit, scored: FeatureSplit
) -> Int[np.ndarray, "samples"]:
    """Labels that a linear support vector machine predicts.

    Features are standardized. The strength C of the penalty is the one of logspace(-2, 2, 9) that
    is best on the validation features.

    Parameters
    ----------
    train, validation
        What it learns from, and what C is chosen on.
    scored
        What is predicted; its targets are not looked at.

    Returns
    -------
    ndarray
        One label for each sample of `scored`.

    References
    ----------
    Perraudin, Defferrard, Kacprzak and Sgier, "DeepSphere: efficient spherical convolutional
    neural network with HEALPix sampling for cosmological applications", 2019, section 4.3.
    """
    from sklearn.svm import LinearSVC

    def candidate(strength: float) -> Any:
        return LinearSVC(C=strength, dual="auto", max_iter=2000, random_state=0)

    return _predict_best(candidate, train, validation, scored)


def regress_linearly(
    train: FeatureSplit, validation: FeatureSplit, scored: FeatureSplit
) -> Float[np.ndarray, "samples quantities"]:
    """Quantities that a ridge regression predicts, of standardized features.

    The strength of the penalty, samples / (10 C), is the one of the same nine C that explains most
    of the validation quantities.

    Parameters
    ----------
    train, validation, scored
        See `classify_linearly`.

    Returns
    -------
    ndarray
    """
    from sklearn.linear_model import Ridge

    def candidate(strength: float) -> Any:
        return Ridge(alpha=len(train.features) / (10 * strength))

    return _predict_best(candidate, train, validation, scored)


def _predict_best(
    candidate: Any, train: FeatureSplit, validation: FeatureSplit, scored: FeatureSplit
) -> np.ndarray:
    """Predictions of the candidate that does best on the validation features."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    models, scores = [], []
    for strength in _STRENGTHS:
        model = make_pipeline(StandardScaler(), candidate(strength))
        with warnings.catch_warnings():
            # a weak penalty on features that cannot be separated takes long, and is not the best
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(train.features, train.targets)
        models.append(model)
        scores.append(model.score(validation.features, validation.targets))
    return models[int(np.argmax(scores))].predict(scored.features)
