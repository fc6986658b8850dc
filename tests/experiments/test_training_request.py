"""What a user asks for, in the words that all tables of networks share."""

import pytest

from deepsphere.experiments.cosmology_config import CosmologyRecipe
from deepsphere.experiments.networks_config import NamedNetwork
from deepsphere.experiments.training_request import (
    TrainingRequest,
    refuse_unknown,
    requested_network,
    requested_recipe,
)

SLOW = NamedNetwork(name="Slow one", training={"epochs": 50, "batch_size": 8})
FAST = NamedNetwork(name="fast")


def recipe_of(request: TrainingRequest, **options: object) -> CosmologyRecipe:
    return requested_recipe(
        request, CosmologyRecipe, default="cosmology", unknown=("rotate",), hint="no", **options
    )


def test_epochs_that_are_asked_for_are_those_of_every_network():
    recipe = recipe_of(TrainingRequest(epochs=3))
    assert recipe.training.epochs == 3
    asked = requested_network(TrainingRequest(epochs=3), [FAST, SLOW], default=SLOW)
    assert asked.training == {"batch_size": 8}
    assert requested_network(TrainingRequest(), [FAST, SLOW], default=SLOW) == SLOW


def test_networks_go_by_their_printed_and_their_short_name():
    for name in ("Slow one", "slow-one"):
        request = TrainingRequest(network=name)
        assert requested_network(request, [FAST, SLOW], default=FAST) == SLOW
    with pytest.raises(ValueError, match=r"network must be one of .*, got 'third'"):
        requested_network(TrainingRequest(network="third"), [FAST, SLOW], default=FAST)


def test_values_of_the_experiment_replace_those_of_the_user():
    asked = {"training.epochs": 7, "seeds": [3]}
    recipe = recipe_of(TrainingRequest(overrides=asked), overrides={"seeds": [4]})
    assert (recipe.training.epochs, recipe.seeds) == (7, (4,))


def test_words_of_other_experiments_are_refused_with_the_hint():
    with pytest.raises(ValueError, match=r"^rotate must be left out for cosmology, got False; no$"):
        recipe_of(TrainingRequest(rotate=False))


def test_what_only_others_know_is_refused():
    with pytest.raises(
        ValueError, match="objective must be left out for digits, got day; they are"
    ):
        refuse_unknown(
            TrainingRequest(objective="day"),
            ("rotate", "objective"),
            what="digits",
            hint="they are",
        )
