"""What the networks of the table of shapes cost.

`python -m deepsphere.experiments.shapes_costs REQUEST` is the process in which the memory of one
network is measured; it prints megabytes.
"""

import json
import sys
from collections.abc import Callable
from functools import partial

from deepsphere.experiments.memory import ask_process
from deepsphere.experiments.network_costs import (
    CostedNetwork,
    TableCosts,
    measure_costs,
    step_megabytes,
)
from deepsphere.experiments.networks_config import CostsSection
from deepsphere.experiments.shapes_config import NetworkSection, ShapesRecipe
from deepsphere.experiments.shapes_run import IN_CHANNELS, build_domain, build_network
from deepsphere.sampling import sampling_from_spec


def measure_shapes_costs(
    recipe: ShapesRecipe,
    section: CostsSection,
    *,
    num_classes: int,
    fingerprint: str,
    announce: Callable[[str], None],
) -> TableCosts:
    """Time and memory of every network of a recipe, see `measure_costs`.

    Parameters
    ----------
    recipe
        With its networks.
    section, fingerprint, announce
        See `measure_costs`.
    num_classes
        Outputs.

    Returns
    -------
    TableCosts
    """
    return measure_costs(
        [_costed(recipe, network, num_classes) for network in recipe.networks],
        section,
        weigh=partial(_weigh, recipe, section, num_classes),
        fingerprint=fingerprint,
        announce=announce,
    )


def _costed(recipe: ShapesRecipe, network: NetworkSection, num_classes: int) -> CostedNetwork:
    """A row of the table."""
    return CostedNetwork(
        name=network.name,
        build=lambda: build_network(network, build_domain(network), num_classes=num_classes),
        num_vertices=sampling_from_spec(network.sampling).num_vertices,
        in_channels=IN_CHANNELS,
        training=recipe.training_of(network),
    )


def _weigh(recipe: ShapesRecipe, section: CostsSection, num_classes: int, name: str) -> float:
    """What a training step adds to the memory of a process, in megabytes."""
    request = {
        "recipe": recipe.model_dump(mode="json"),
        "network": name,
        "num_classes": num_classes,
        "batch_size": max(section.batch_sizes),
        "num_threads": section.num_threads,
    }
    return ask_process(__name__, request)


def _answer(request: dict[str, object]) -> float:
    """What the fresh process measures."""
    recipe = ShapesRecipe.model_validate_json(json.dumps(request["recipe"]))
    network = recipe.network(str(request["network"]))
    num_classes, batch_size = int(str(request["num_classes"])), int(str(request["batch_size"]))
    num_threads = None if request["num_threads"] is None else int(str(request["num_threads"]))
    costed = _costed(recipe, network, num_classes)
    return step_megabytes(costed, batch_size, num_threads=num_threads)


if __name__ == "__main__":
    sys.stdout.write(f"{_answer(json.loads(sys.argv[1])):.3f}\n")
