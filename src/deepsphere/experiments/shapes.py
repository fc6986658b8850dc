"""The experiment on 3D shapes: networks on the sphere, what they find and what they cost."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from deepsphere.data.mesh_projection import ProjectedShapes, project_shapes
from deepsphere.data.shapes import ShapeSplits
from deepsphere.experiments.config import short_hash
from deepsphere.experiments.network_costs import TableCosts
from deepsphere.experiments.options import RunOptions
from deepsphere.experiments.output import RUN_FOLDER
from deepsphere.experiments.results import check_claim_names
from deepsphere.experiments.run_progress import RunProgress, run_progress
from deepsphere.experiments.shapes_config import (
    NetworkSection,
    Perturbation,
    ShapesRecipe,
    perturbations_of,
)
from deepsphere.experiments.shapes_costs import measure_shapes_costs
from deepsphere.experiments.shapes_data import digest_of_shapes, open_splits, project_splits
from deepsphere.experiments.shapes_record import ShapesKey, ShapesRecord
from deepsphere.experiments.shapes_rows import ShapesMeasured, row_names, trained_under
from deepsphere.experiments.shapes_run import build_domain, run_network
from deepsphere.experiments.training_record import kept, read_record, training_fingerprint
from deepsphere.experiments.training_run import RECORD_FILE, check_machine
from deepsphere.sampling import sampling_from_spec

# Rotation errors are measured on so many of the scored shapes, each in place and turned.
_NUM_TURNED, _NUM_TURNS = 64, 3


def check_run(recipe: ShapesRecipe, options: RunOptions, data: Path | None) -> None:
    """Raise unless the recipe can be run on this machine and its claims are about its rows.

    Parameters
    ----------
    recipe
        What to run.
    options
        How this machine computes.
    data
        Where the shapes lie; looked into later, by `experiment_fingerprint`.

    Raises
    ------
    ValueError
        If a claim is about nothing that is measured, or the machine has no such accelerator.
    """
    check_claim_names(recipe.claims, [name for name, _ in row_names(recipe)])
    check_machine(options)


def experiment_fingerprint(recipe: ShapesRecipe, data: Path | None) -> str:
    """What has to be equal for the finished trainings in a folder to be kept.

    Parameters
    ----------
    recipe
        Its networks, seeds, title and claims do not count: more may be compared later.
    data
        Where the shapes lie.

    Returns
    -------
    str

    Raises
    ------
    ValueError, FileNotFoundError
        If there are no shapes, or none of known class to score on.
    """
    splits = open_splits(recipe.data, data)
    scored = splits.test if recipe.data.scored_on == "test" else splits.validation
    if not len(scored) or (scored.labels < 0).any():
        raise ValueError(
            f"data must hold {recipe.data.scored_on} shapes of known class, got {len(scored)} "
            f"shapes, {int((scored.labels < 0).sum())} of unknown class; score on the other part: "
            "--set data.scored_on=" + ("validation" if recipe.data.scored_on == "test" else "test")
        )
    return f"{short_hash(recipe.data.model_dump(mode='json'))}-{digest_of_shapes(splits)}"


def run_keys(recipe: ShapesRecipe) -> list[ShapesKey]:
    """The trainings of a recipe, one network after the other, seed by seed.

    Parameters
    ----------
    recipe
        With its networks and seeds.

    Returns
    -------
    list of ShapesKey
    """
    return [
        ShapesKey(network, train, seed)
        for seed in recipe.seeds
        for network in recipe.networks
        for train in trained_under(network)
    ]


def measure_shapes(
    recipe: ShapesRecipe,
    output: Path,
    *,
    fingerprint: str,
    data: Path | None,
    options: RunOptions,
) -> ShapesMeasured:
    """All trainings of a recipe, and the costs; what is finished in the folder is kept.

    Parameters
    ----------
    recipe
        What to run.
    output
        A prepared folder; each training has its own in ``runs``.
    fingerprint
        See `experiment_fingerprint`.
    data
        Where the shapes lie.
    options
        How this machine computes.

    Returns
    -------
    ShapesMeasured
    """
    splits = open_splits(recipe.data, data)
    folders = {key: output / RUN_FOLDER / key.folder for key in run_keys(recipe)}
    records: dict[ShapesKey, ShapesRecord] = {}
    for key, folder in folders.items():
        expected = training_fingerprint(recipe, key.network, fingerprint)
        record = read_record(folder / RECORD_FILE, expected, ShapesRecord)
        if record is not None and _tests_of(key) <= set(record.scores):
            records[key] = record
    missing = [key for key in folders if key not in records]
    num_epochs = max(recipe.training_of(network).epochs for network in recipe.networks)
    with run_progress(len(missing), num_epochs, shown=options.progress) as progress:
        costs = _costs(recipe, output, splits, fingerprint, progress)
        for key in missing:
            progress.announce(f"{key.title}: casting rays, building graphs")
            records[key] = _run(
                recipe,
                key,
                splits,
                folder=folders[key],
                fingerprint=fingerprint,
                options=options,
                progress=progress,
            )
    return ShapesMeasured(
        records={key: records[key] for key in folders}, costs=costs, notes=tuple(splits.notes)
    )


def _tests_of(key: ShapesKey) -> set[Perturbation]:
    """How test shapes are moved for a training."""
    protocols = map(perturbations_of, key.network.protocols)
    return {test for train, test in protocols if train == key.perturbation}


def _costs(
    recipe: ShapesRecipe,
    output: Path,
    splits: ShapeSplits,
    fingerprint: str,
    progress: RunProgress,
) -> TableCosts | None:
    """The costs in the folder, or measured now: before anything is trained on this machine."""
    if recipe.costs is None:
        return None
    networks = [network.model_dump(mode="json") for network in recipe.networks]
    expected = f"{short_hash([recipe.costs.model_dump(mode='json'), networks])}-{fingerprint}"
    measure = partial(
        measure_shapes_costs,
        recipe,
        recipe.costs,
        num_classes=len(splits.classes),
        fingerprint=expected,
        announce=progress.announce,
    )
    return kept(output / RUN_FOLDER / "costs.json", expected, TableCosts, measure)


def _run(
    recipe: ShapesRecipe,
    key: ShapesKey,
    splits: ShapeSplits,
    *,
    folder: Path,
    fingerprint: str,
    options: RunOptions,
    progress: RunProgress,
) -> ShapesRecord:
    """One training, its signals cast or found in the cache."""
    sampling = sampling_from_spec(key.network.sampling)
    signals = project_splits(
        splits,
        sampling,
        recipe.data,
        train=key.perturbation,
        tests=tuple(sorted(_tests_of(key))),
        progress=False,
    )
    return run_network(
        recipe,
        key,
        signals,
        turned=turned_shapes(recipe, splits, key.network),
        classes=splits.classes,
        domain=build_domain(key.network),
        folder=folder,
        fingerprint=training_fingerprint(recipe, key.network, fingerprint),
        options=RunOptions(options.accelerator, options.devices, options.precision),
        callbacks=[progress.callback(key.title)],
    )


def turned_shapes(
    recipe: ShapesRecipe, splits: ShapeSplits, network: NetworkSection
) -> ProjectedShapes:
    """Some of the scored shapes, each in several rotations and nowhere shifted.

    Parameters
    ----------
    recipe
        With the seed of the rotations.
    splits
        The shapes.
    network
        With the sampling.

    Returns
    -------
    ProjectedShapes
    """
    scored = splits.test if recipe.data.scored_on == "test" else splits.validation
    step = max(1, len(scored) // _NUM_TURNED)
    chosen: Sequence[int] = range(0, len(scored), step)[:_NUM_TURNED]
    return project_shapes(
        scored.take(list(chosen)),
        sampling_from_spec(network.sampling),
        perturbation="so3",
        max_translation=0.0,
        num_views=1 + _NUM_TURNS,
        seed=recipe.data.split_seed + 3,
    )
