"""What the networks of the climate table cost.

`python -m deepsphere.experiments.climate_costs REQUEST` is the process in which the memory of one
network is measured; it prints megabytes.
"""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial

from deepsphere.experiments.climate_config import ClimateNetwork, ClimateRecipe
from deepsphere.experiments.climate_run import build_domain, build_network, in_channels_of
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
class TimedMaps:
    """The maps that networks are timed on.

    Parameters
    ----------
    sampling
        Its specification.
    num_channels, num_classes
        Of the maps.
    """

    sampling: str
    num_channels: int
    num_classes: int


def measure_climate_costs(
    recipe: ClimateRecipe,
    section: CostsSection,
    maps: TimedMaps,
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
    maps
        What they take.

    Returns
    -------
    TableCosts
    """
    return measure_costs(
        [_costed(recipe, network, maps) for network in recipe.networks],
        section,
        weigh=partial(_weigh, recipe, section, maps),
        fingerprint=fingerprint,
        announce=announce,
    )


def _costed(recipe: ClimateRecipe, network: ClimateNetwork, maps: TimedMaps) -> CostedNetwork:
    """A row of the table."""
    sampling = sampling_from_spec(maps.sampling)
    in_channels = in_channels_of(recipe, network, maps.num_channels)
    return CostedNetwork(
        name=network.name,
        build=lambda: build_network(
            network,
            build_domain(network, sampling),
            in_channels=in_channels,
            num_outputs=maps.num_classes,
        ),
        num_vertices=sampling.num_vertices,
        in_channels=in_channels,
        training=recipe.training_of(network),
        num_frames=recipe.data.num_frames if network.frames == "sequence" else None,
    )


def _weigh(recipe: ClimateRecipe, section: CostsSection, maps: TimedMaps, name: str) -> float:
    """What a training step adds to the memory of a process, in megabytes."""
    request = {
        "recipe": recipe.model_dump(mode="json"),
        "network": name,
        "maps": asdict(maps),
        "batch_size": max(section.batch_sizes),
        "num_threads": section.num_threads,
    }
    return ask_process(__name__, request)


def _answer(request: dict) -> float:
    """What the fresh process measures."""
    recipe = ClimateRecipe.model_validate_json(json.dumps(request["recipe"]))
    costed = _costed(
        recipe, find_network(recipe.networks, request["network"]), TimedMaps(**request["maps"])
    )
    return step_megabytes(costed, request["batch_size"], num_threads=request["num_threads"])


if __name__ == "__main__":
    sys.stdout.write(f"{_answer(json.loads(sys.argv[1])):.3f}\n")
