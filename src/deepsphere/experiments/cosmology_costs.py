"""What the networks of the cosmology table cost.

`python -m deepsphere.experiments.cosmology_costs REQUEST` is the process in which the memory of one
network is measured; it prints megabytes.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

from deepsphere.experiments.cosmology_config import CosmologyNetwork, CosmologyRecipe
from deepsphere.experiments.cosmology_run import build_domain, build_network
from deepsphere.experiments.memory import ask_process
from deepsphere.experiments.network_costs import (
    CostedNetwork,
    TableCosts,
    measure_costs,
    step_megabytes,
)
from deepsphere.experiments.networks_config import CostsSection, find_network
from deepsphere.sampling import sampling_from_spec


@dataclass(frozen=True)
class Patches:
    """The patches that networks are timed on, those of the first order of a recipe.

    Parameters
    ----------
    sampling
        Its specification.
    in_channels, num_outputs
        Of the networks.
    """

    sampling: str
    in_channels: int
    num_outputs: int


def measure_cosmology_costs(
    recipe: CosmologyRecipe,
    section: CostsSection,
    patches: Patches,
    *,
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
    patches
        What they take.

    Returns
    -------
    TableCosts
    """
    return measure_costs(
        [_costed(recipe, network, patches) for network in recipe.networks],
        section,
        weigh=partial(_weigh, recipe, section, patches),
        fingerprint=fingerprint,
        announce=announce,
    )


def _costed(recipe: CosmologyRecipe, network: CosmologyNetwork, patches: Patches) -> CostedNetwork:
    """A row of the table."""
    sampling = sampling_from_spec(patches.sampling)
    return CostedNetwork(
        name=network.name,
        build=lambda: build_network(
            network,
            build_domain(network, sampling),
            in_channels=patches.in_channels,
            num_outputs=patches.num_outputs,
        ),
        num_vertices=sampling.num_vertices,
        in_channels=patches.in_channels,
        training=recipe.training_of(network),
    )


def _weigh(recipe: CosmologyRecipe, section: CostsSection, patches: Patches, name: str) -> float:
    """What a training step adds to the memory of a process, in megabytes."""
    request = {
        "recipe": recipe.model_dump(mode="json"),
        "network": name,
        "patches": asdict(patches),
        "batch_size": max(section.batch_sizes),
        "num_threads": section.num_threads,
    }
    return ask_process(__name__, request)


def _answer(request: dict) -> float:
    """What the fresh process measures."""
    recipe = CosmologyRecipe.model_validate_json(json.dumps(request["recipe"]))
    costed = _costed(
        recipe, find_network(recipe.networks, request["network"]), Patches(**request["patches"])
    )
    return step_megabytes(costed, request["batch_size"], num_threads=request["num_threads"])


if __name__ == "__main__":
    sys.stdout.write(f"{_answer(json.loads(sys.argv[1])):.3f}\n")
