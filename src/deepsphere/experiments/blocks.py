"""The experiment on blocks: what a network is built of, its accuracy and its rotation error."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, Generic, TypeVar

from deepsphere.experiments.blocks_config import BlocksRecipe, ClassifierBlock, UNetBlock
from deepsphere.experiments.blocks_maps import make_maps
from deepsphere.experiments.blocks_unet import MapsRecord, run_unet
from deepsphere.experiments.config import short_hash
from deepsphere.experiments.digits_data import digest_of_images, load_images
from deepsphere.experiments.digits_record import RunKey, RunRecord
from deepsphere.experiments.digits_run import build_domain, run_network
from deepsphere.experiments.options import RunOptions
from deepsphere.experiments.output import RUN_FOLDER
from deepsphere.experiments.results import ResultRow, check_claim_names, make_row
from deepsphere.experiments.training_record import read_record
from deepsphere.experiments.training_run import RECORD_FILE, check_machine
from deepsphere.graph import Pyramid, build_graph
from deepsphere.sampling import sampling_from_spec
from deepsphere.training.progress import open_bar
from deepsphere.version import __version__

_Record = TypeVar("_Record")


@dataclass(frozen=True)
class BlockRecords:
    """What all runs found out: for each block by name, one record per seed.

    Parameters
    ----------
    digits
        Of the classifiers.
    maps
        Of the U-Nets.
    """

    digits: dict[str, list[RunRecord]] = field(default_factory=dict)
    maps: dict[str, list[MapsRecord]] = field(default_factory=dict)


@dataclass(frozen=True)
class Measure(Generic[_Record]):
    """One column: what is read off a record.

    Parameters
    ----------
    name
        As it is printed.
    unit
        "%" or nothing.
    read
        The number.
    """

    name: str
    unit: str
    read: Callable[[_Record], float]


DIGITS_MEASURES: tuple[Measure[RunRecord], ...] = (
    Measure("accuracy NR/NR", "%", lambda record: record.unrotated.accuracy),
    Measure("accuracy NR/R", "%", lambda record: record.rotated.accuracy),
    Measure("change", "", lambda record: record.change),
    Measure("parameters", "", lambda record: float(record.num_parameters)),
)
MAPS_MEASURES: tuple[Measure[MapsRecord], ...] = (
    Measure("explained NR/NR", "%", lambda record: record.unrotated),
    Measure("explained NR/R", "%", lambda record: record.rotated),
    Measure("rotation error", "", lambda record: record.change),
    Measure("parameters", "", lambda record: float(record.num_parameters)),
)
BEHIND_BEST = "points behind the best"
"""Of the row that says how much accuracy NR/NR a block loses to the best of its kernel_size."""


def check_run(recipe: BlocksRecipe, options: RunOptions, data: Path | None) -> None:
    """Raise where recipe, options and data do not go together.

    Parameters
    ----------
    recipe
        What is to be run.
    options
        How this machine computes.
    data
        Folder of the MNIST files, where the recipe needs one.

    Raises
    ------
    ValueError
        If a claim is about nothing that is measured, or the machine has no such accelerator.
    """
    rows = [
        f"digits, {block.name}, {name}"
        for block in recipe.blocks
        for name in (*(measure.name for measure in DIGITS_MEASURES), BEHIND_BEST)
    ]
    rows += [
        f"maps, {block.name}, {measure.name}"
        for block in recipe.unet_blocks
        for measure in MAPS_MEASURES
    ]
    check_claim_names(recipe.claims, rows)
    check_machine(options)


def experiment_fingerprint(recipe: BlocksRecipe, data: Path | None) -> str:
    """What has to be equal for the finished runs in a folder to be kept.

    Parameters
    ----------
    recipe
        Its blocks, seeds, title and claims do not count: more may be compared later.
    data
        Folder of the MNIST files, where the recipe needs one.

    Returns
    -------
    str
    """
    digest = digest_of_images(load_images(recipe.data, data))
    return f"{recipe.fingerprint()}-{digest}-{__version__}"


def run_blocks(
    recipe: BlocksRecipe,
    output: Path,
    *,
    fingerprint: str,
    data: Path | None,
    options: RunOptions,
) -> BlockRecords:
    """All runs of a recipe; those that are finished in the folder are not run again.

    Parameters
    ----------
    recipe
        What to run.
    output
        A prepared folder; each run has its own in ``runs``.
    fingerprint
        See `experiment_fingerprint`.
    data
        Folder of the MNIST files, where the recipe needs one.
    options
        How this machine computes.

    Returns
    -------
    BlockRecords
    """
    num_runs = len(recipe.seeds) * (len(recipe.blocks) + len(recipe.unet_blocks))
    with _progress(num_runs, shown=options.progress) as advance:
        return BlockRecords(
            digits=_run_classifiers(recipe, output, data=data, options=options, advance=advance),
            maps=_run_unets(recipe, output, options=options, advance=advance),
        )


def result_rows(recipe: BlocksRecipe, records: BlockRecords) -> list[ResultRow]:
    """The measures of every block over the seeds.

    Parameters
    ----------
    recipe
        With its claims.
    records
        Of all its runs.

    Returns
    -------
    list of ResultRow
        Of the digits accuracies in %, relative changes of the logits, numbers of parameters, and
        by how many points the block is behind the best of the same kernel_size; of the maps
        explained variances in %, rotation errors and numbers of parameters.
    """
    rows = []
    for block in recipe.blocks:
        of_block = records.digits[block.name]
        seconds = sum(record.seconds_training + record.seconds_scoring for record in of_block)
        columns = {
            (measure.name, measure.unit): [measure.read(record) for record in of_block]
            for measure in DIGITS_MEASURES
        }
        columns[BEHIND_BEST, "%"] = points_behind_best(recipe, records, block)
        rows += _rows(recipe, f"digits, {block.name}", columns, seconds)
    for block in recipe.unet_blocks:
        of_block = records.maps[block.name]
        columns = {
            (measure.name, measure.unit): [measure.read(record) for record in of_block]
            for measure in MAPS_MEASURES
        }
        seconds = sum(record.seconds_training for record in of_block)
        rows += _rows(recipe, f"maps, {block.name}", columns, seconds)
    return rows


def points_behind_best(
    recipe: BlocksRecipe, records: BlockRecords, block: ClassifierBlock
) -> list[float]:
    """How much lower the accuracy NR/NR is than that of the best block of this kernel_size.

    Parameters
    ----------
    recipe
        With the blocks.
    records
        Of all runs.
    block
        One of them.

    Returns
    -------
    list of float
        Points of percent for each seed; all zero for the block whose mean over the seeds is best.
    """
    kernel_size = recipe.digits_recipe(block).model.kernel_size
    accuracies = [
        [record.unrotated.accuracy for record in records.digits[rival.name]]
        for rival in recipe.blocks
        if recipe.digits_recipe(rival).model.kernel_size == kernel_size
    ]
    best = max(accuracies, key=fmean)
    own = [record.unrotated.accuracy for record in records.digits[block.name]]
    return [highest - accuracy for highest, accuracy in zip(best, own, strict=True)]


def _rows(
    recipe: BlocksRecipe,
    title: str,
    columns: dict[tuple[str, str], list[float]],
    seconds: float,
) -> list[ResultRow]:
    """The rows of one block; the time of its runs is written beside the first."""
    return [
        make_row(
            f"{title}, {name}",
            values,
            unit=unit,
            seconds=0.0 if index else seconds,
            claims=recipe.claims,
        )
        for index, ((name, unit), values) in enumerate(columns.items())
    ]


def _run_classifiers(
    recipe: BlocksRecipe,
    output: Path,
    *,
    data: Path | None,
    options: RunOptions,
    advance: Callable[[str], None],
) -> dict[str, list[RunRecord]]:
    """The records of the digits, block by block."""
    images = load_images(recipe.data, data)
    digest = digest_of_images(images)
    quiet = RunOptions(options.accelerator, options.devices, options.precision)
    records: dict[str, list[RunRecord]] = {}
    for block in recipe.blocks:
        digits_recipe = recipe.digits_recipe(block)
        fingerprint = f"{digits_recipe.fingerprint()}-{digest}-{__version__}"
        domain = None
        records[block.name] = []
        for seed in recipe.seeds:
            advance(f"digits, {block.name}, seed {seed}")
            folder = output / RUN_FOLDER / f"digits-{block.slug}-seed{seed}"
            record = read_record(folder / RECORD_FILE, fingerprint, RunRecord)
            if record is None:
                domain = domain or build_domain(digits_recipe, "deepsphere")
                record = run_network(
                    digits_recipe,
                    RunKey(seed, "deepsphere", rotated=False),
                    images,
                    domain=domain,
                    folder=folder,
                    fingerprint=fingerprint,
                    options=quiet,
                )
            records[block.name].append(record)
    return records


def _run_unets(
    recipe: BlocksRecipe, output: Path, *, options: RunOptions, advance: Callable[[str], None]
) -> dict[str, list[MapsRecord]]:
    """The records of the maps, block by block."""
    records: dict[str, list[MapsRecord]] = {}
    for block in recipe.unet_blocks:
        fingerprint = maps_fingerprint(recipe, block)
        pyramid, maps = None, None
        records[block.name] = []
        for seed in recipe.seeds:
            advance(f"maps, {block.name}, seed {seed}")
            path = output / RUN_FOLDER / f"maps-{block.slug}-seed{seed}" / RECORD_FILE
            record = read_record(path, fingerprint, MapsRecord)
            if record is None:
                pyramid = pyramid or build_levels(recipe, block)
                maps = maps or make_maps(recipe.maps, pyramid.graphs[0].sampling)
                record = run_unet(
                    recipe,
                    block,
                    maps,
                    pyramid=pyramid,
                    seed=seed,
                    fingerprint=fingerprint,
                    options=options,
                )
                path.parent.mkdir(parents=True, exist_ok=True)
                record.write(path)
            records[block.name].append(record)
    return records


def maps_fingerprint(recipe: BlocksRecipe, block: UNetBlock) -> str:
    """What has to be equal for a finished run of a U-Net to be kept.

    Parameters
    ----------
    recipe, block
        All that decides what the run does.

    Returns
    -------
    str
    """
    decisive = [recipe.maps, recipe.graph_of(block), recipe.unet_of(block), recipe.maps_training]
    values = [section.model_dump(mode="json") for section in decisive]
    return f"{short_hash(values)}-{__version__}"


def build_levels(recipe: BlocksRecipe, block: UNetBlock) -> Pyramid:
    """The graphs on which a U-Net works.

    Parameters
    ----------
    recipe, block
        With sampling, graph and number of levels.

    Returns
    -------
    Pyramid
    """
    section = recipe.graph_of(block)
    options: dict[str, Any] = section.model_dump(exclude={"sampling"}, exclude_none=True)
    graph = build_graph(sampling_from_spec(section.sampling), **options)
    return graph.pyramid(num_levels=len(recipe.unet_of(block).channels))


@contextmanager
def _progress(num_runs: int, *, shown: bool) -> Iterator[Callable[[str], None]]:
    """A function that announces the next of so many runs on a bar."""
    with open_bar(shown=shown) as bar:
        task = bar.add_task("", total=num_runs)
        num_begun = 0

        def advance(title: str) -> None:
            nonlocal num_begun
            bar.update(task, completed=num_begun, description=title)
            num_begun += 1

        yield advance
