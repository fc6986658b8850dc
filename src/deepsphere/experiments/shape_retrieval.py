"""Retrieval with a trained network: ranked lists of a set of shapes, and the nearest of a mesh."""

import csv
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from deepsphere.data import require_writable, write_atomically
from deepsphere.data.mesh_cleaning import normalize_mesh, scale_mesh
from deepsphere.data.mesh_projection import ProjectedShapes, ProjectionReport
from deepsphere.data.mesh_signals import VIEW_RADIUS
from deepsphere.data.meshes import mesh_suffix
from deepsphere.data.shape_sources import MeshFile
from deepsphere.data.shapes import UNKNOWN_LABEL, Shape, ShapeSet
from deepsphere.experiments.machine import describe_machine, describe_versions
from deepsphere.experiments.output import RESULTS_FILE, check_no_results
from deepsphere.experiments.results import ResultRow, Results, make_row, write_results
from deepsphere.experiments.shapes_config import Perturbation
from deepsphere.experiments.shapes_model import ShapesModel, Split, open_part, open_shapes_model
from deepsphere.experiments.shapes_scores import Ranking, percent, rank_outputs, score_outputs
from deepsphere.tasks import average_views, score_shapes, write_ranked_lists
from deepsphere.training import ShapeOutputs

LIST_FOLDER = "lists"
NEAREST_FILE = "nearest.csv"
PICTURE_SUFFIXES = (".png", ".svg", ".pdf")
# in the names of the folders that SHREC'17's evaluator looks for
_EVALUATOR_SPLITS = {"validation": "val"}


@dataclass(frozen=True)
class Retrieval:
    """What was found for every shape of a set.

    Parameters
    ----------
    results
        Scores; no rows where classes are unknown.
    report
        What happened to the shapes when rays were cast.
    folder
        Where the ranked lists are; None where nothing was written.
    """

    results: Results
    report: ProjectionReport
    folder: Path | None


@dataclass(frozen=True)
class Match:
    """A shape that was found.

    Parameters
    ----------
    name
        Of the shape.
    class_name
        Its class; the predicted one where it is not known.
    is_known
        Whether the class is known.
    distance
        Cosine distance of its descriptor to that of the query, in [0, 2].
    """

    name: str
    class_name: str
    is_known: bool
    distance: float


@dataclass(frozen=True)
class Answer:
    """What was found for a mesh.

    Parameters
    ----------
    query
        The mesh.
    class_name, probability
        Its predicted class.
    matches
        The shapes, the best first.
    """

    query: str
    class_name: str
    probability: float
    matches: tuple[Match, ...]


@dataclass(frozen=True)
class Search:
    """What was found for some meshes.

    Parameters
    ----------
    answers
        For each mesh that could be projected.
    report, query_report
        What happened to the shapes, and to the meshes, when rays were cast.
    notes
        What a user has to know.
    """

    answers: tuple[Answer, ...]
    report: ProjectionReport
    query_report: ProjectionReport
    notes: tuple[str, ...]


def retrieve_shapes(
    checkpoint: Path,
    *,
    command: str,
    data: Path | None = None,
    split: Split | None = None,
    perturbation: Perturbation | None = None,
    num_views: int | None = None,
    by: Ranking = "class",
    output: Path | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> Retrieval:
    """Rank the shapes of a set for each of them, and score the lists where classes are known.

    Parameters
    ----------
    checkpoint
        A classifier of shapes.
    command
        What a reader has to type to do it again.
    data, split
        Which shapes, see `open_part`.
    perturbation, num_views
        How they are moved and how often; None for as the test shapes of the training.
    by
        Lists of the shapes of the predicted class, the surest first, or of all shapes by distance
        of descriptors.
    output
        Folder for the lists, in the form of SHREC'17's evaluator, and ``results.json``; None
        writes nothing.
    overwrite
        Whether to replace them.
    progress
        Whether to show bars.

    Returns
    -------
    Retrieval

    Raises
    ------
    FileNotFoundError
        If `checkpoint` or the data are not there.
    FileExistsError
        If `output` holds results that may not be replaced.
    ValueError
        If the checkpoint is none of shapes, lists by class are asked for shapes of other classes,
        no shape can be projected, or there is nothing to show: no known class, no output.
    """
    check_no_results(output, overwrite=overwrite)
    model = open_shapes_model(checkpoint)
    shapes, split = open_part(model, data, split)
    if by == "class":
        _check_predictable(model, shapes)
    num_unknown = int((shapes.labels == UNKNOWN_LABEL).sum())
    if num_unknown and output is None:
        raise ValueError(
            f"output must be given where classes are unknown, as those of {num_unknown} of "
            f"{len(shapes)} shapes here: there are no scores, only lists; add --output DIR, or "
            "search for a mesh with --query FILE"
        )
    start = time.perf_counter()
    projected = model.project(
        shapes, perturbation=perturbation, num_views=num_views, progress=progress
    )
    outputs = model.describe(projected, progress=progress)
    lists = rank_outputs(outputs, projected, shapes, by=by)
    seconds = time.perf_counter() - start
    notes = [*shapes.notes, *model.notes, projected.report.summary()]
    if num_unknown:
        notes.append(f"No scores: {num_unknown} of {len(shapes)} shapes are of unknown class.")
        rows = []
    else:
        rows = _rows(model, outputs, projected, shapes, by=by, seconds=seconds)
    moved = perturbation or model.perturbation
    results = Results(
        rows=rows,
        recipe={
            "title": f"{len(shapes):,} shapes of {shapes.name} ({split}, {moved}, views: "
            f"{projected.num_views}), lists by {by}"
        },
        command=command,
        machine=describe_machine(),
        versions=describe_versions(),
        notes=notes,
    )
    folder = None
    if output is not None:
        pose = "normal" if moved in ("none", "translation") else "perturbed"
        folder = output / LIST_FOLDER / f"{_EVALUATOR_SPLITS.get(split, split)}_{pose}"
        names = [shape.name for shape in shapes.shapes]
        write_ranked_lists(folder, lists, names, overwrite=overwrite)
        write_results(output / RESULTS_FILE, results)
    return Retrieval(results, projected.report, folder)


def search_shapes(
    checkpoint: Path,
    queries: Sequence[Path],
    *,
    data: Path | None = None,
    split: Split = "all",
    perturbation: Perturbation | None = None,
    num_views: int | None = None,
    by: Ranking = "descriptor",
    num_nearest: int = 5,
    output: Path | None = None,
    picture: Path | None = None,
    overwrite: bool = False,
    progress: bool = False,
) -> Search:
    """The shapes that are nearest to meshes of a user.

    Parameters
    ----------
    checkpoint
        A classifier of shapes.
    queries
        Files of meshes; those that cannot be projected are left out and reported.
    data, split
        Which shapes are searched, see `open_part`.
    perturbation, num_views
        How all are moved and how often; None for as the test shapes of the training.
    by
        The nearest descriptors, or the surest shapes of the class that is predicted for the mesh.
    num_nearest
        How many at most for each mesh.
    output
        Folder for ``nearest.csv``; None writes nothing.
    picture
        ``.png``, ``.svg`` or ``.pdf`` of the meshes beside what was found; None for none.
    overwrite
        Whether to replace files.
    progress
        Whether to show bars.

    Returns
    -------
    Search

    Raises
    ------
    FileNotFoundError
        If the checkpoint or the data are not there.
    FileExistsError
        If a file is there and may not be replaced.
    ValueError
        If the checkpoint is none of shapes, a suffix is unknown, a mesh is named twice, shapes of
        other classes are searched by class, or nothing can be projected.
    """
    _check_search(queries, num_nearest, picture)
    nearest_file = None if output is None else output / NEAREST_FILE
    for path in (nearest_file, picture):
        if path is not None:
            require_writable(path, overwrite=overwrite)
    model = open_shapes_model(checkpoint)
    wanted = tuple(Shape(str(path), None, MeshFile(str(path))) for path in queries)
    shapes, _ = open_part(model, data, split)
    if by == "class":
        _check_predictable(model, shapes)
    found: list[tuple[ProjectedShapes, ShapeOutputs]] = []
    for part in (ShapeSet("queries", model.classes, wanted), shapes):
        projected = model.project(
            part, perturbation=perturbation, num_views=num_views, progress=progress
        )
        found.append((projected, model.describe(projected, progress=progress)))
    (asked, asked_outputs), (searched, searched_outputs) = found
    places, distances = _nearest(asked_outputs, searched_outputs, by=by, num=num_nearest)
    answers = _answers(model, asked, asked_outputs, searched, searched_outputs, places, distances)
    if nearest_file is not None:
        _write_nearest(nearest_file, answers, overwrite=overwrite)
    if picture is not None:
        _draw(picture, asked.shapes, searched.shapes, answers, places, overwrite=overwrite)
    notes = (*shapes.notes, *model.notes)
    return Search(tuple(answers), searched.report, asked.report, notes)


def _check_predictable(model: ShapesModel, shapes: ShapeSet) -> None:
    """Raise where predicted classes say nothing about the classes of the shapes."""
    if not model.knows_classes(shapes):
        try:
            model.check_classes(shapes)
        except ValueError as error:
            raise ValueError(f"{error}, or rank by descriptor: --by descriptor") from None


def _check_search(queries: Sequence[Path], num_nearest: int, picture: Path | None) -> None:
    """Raise unless the words of a search make sense."""
    for path in queries:
        mesh_suffix(path)
    repeated = [str(path) for index, path in enumerate(queries) if path in queries[:index]]
    if repeated:
        raise ValueError(f"query must name each mesh once, got {repeated[0]} twice")
    if num_nearest < 1:
        raise ValueError(f"top must be at least 1, got {num_nearest}")
    if picture is not None and picture.suffix.lower() not in PICTURE_SUFFIXES:
        raise ValueError(
            f"picture must end in one of {', '.join(PICTURE_SUFFIXES)}, got {picture.name}; "
            "rename it"
        )


def _rows(
    model: ShapesModel,
    outputs: ShapeOutputs,
    projected: ProjectedShapes,
    shapes: ShapeSet,
    *,
    by: Ranking,
    seconds: float,
) -> list[ResultRow]:
    """Scores of lists; of predictions too, where the classes are those of the model."""
    measured: dict[str, float] = {}
    if model.knows_classes(shapes):
        score = score_outputs(outputs, projected, shapes)
        measured = {
            "accuracy": score.accuracy,
            "F1": score.weighted_f1,
            "macro F1": score.macro_f1,
        }
        averages = score.retrieval if by == "class" else score.by_descriptor
    else:
        lists = rank_outputs(outputs, projected, shapes, by=by)
        averages = percent(score_shapes(lists, shapes))
    for average, values in averages.items():
        measured |= {f"{name}, {average}": value for name, value in values.items()}
    return [make_row(name, [value], unit="%", seconds=seconds) for name, value in measured.items()]


def _nearest(
    asked: ShapeOutputs, searched: ShapeOutputs, *, by: Ranking, num: int
) -> tuple[list[Int[np.ndarray, "_"]], Float[np.ndarray, "queries shapes"]]:
    """Places of the best shapes for each query, and all cosine distances."""
    directions = []
    for outputs in (asked, searched):
        descriptors = outputs.mean_descriptors.numpy()
        norms = np.linalg.norm(descriptors, axis=1, keepdims=True)
        directions.append(descriptors / np.where(norms > 0, norms, 1))
    distances = 1 - directions[0] @ directions[1].T
    if by == "descriptor":
        return [np.argsort(row, kind="stable")[:num] for row in distances], distances
    predicted = _probabilities(asked).argmax(axis=1)
    probabilities = _probabilities(searched)
    found = []
    for label in predicted:
        members = np.flatnonzero(probabilities.argmax(axis=1) == label)
        order = np.argsort(-probabilities[members, label], kind="stable")
        found.append(members[order][:num])
    return found, distances


def _probabilities(outputs: ShapeOutputs) -> Float[np.ndarray, "shapes classes"]:
    """Class probabilities, averaged over views."""
    return average_views(outputs.logits.numpy(), mean="arithmetic")


def _answers(
    model: ShapesModel,
    asked: ProjectedShapes,
    asked_outputs: ShapeOutputs,
    searched: ProjectedShapes,
    searched_outputs: ShapeOutputs,
    places: Sequence[Int[np.ndarray, "_"]],
    distances: Float[np.ndarray, "queries shapes"],
) -> list[Answer]:
    """What was found, in names."""
    of_queries, of_shapes = _probabilities(asked_outputs), _probabilities(searched_outputs)
    answers = []
    for query, shape in enumerate(asked.shapes.shapes):
        matches = []
        for place in places[query].tolist():
            match = searched.shapes.shapes[place]
            predicted = model.classes[int(of_shapes[place].argmax())]
            known = None if match.label is None else searched.shapes.classes[match.label]
            distance = max(0.0, float(distances[query, place]))  # −1e-16 for the same descriptor
            matches.append(Match(match.name, known or predicted, known is not None, distance))
        best = int(of_queries[query].argmax())
        probability = float(of_queries[query, best])
        answers.append(Answer(shape.name, model.classes[best], probability, tuple(matches)))
    return answers


def _write_nearest(path: Path, answers: Sequence[Answer], *, overwrite: bool) -> None:
    """Write what was found, one line for each match."""
    with (
        write_atomically(path, overwrite=overwrite) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["query", "rank", "shape", "class", "known", "distance"])
        for answer in answers:
            for rank, match in enumerate(answer.matches, start=1):
                known = "yes" if match.is_known else "no"
                row = [answer.query, rank, match.name, match.class_name, known]
                writer.writerow([*row, f"{match.distance:.6g}"])


def _draw(
    path: Path,
    queries: ShapeSet,
    shapes: ShapeSet,
    answers: Sequence[Answer],
    places: Sequence[Int[np.ndarray, "_"]],
    *,
    overwrite: bool,
) -> None:
    """Draw meshes beside what was found for them, as they lie in their files."""
    from deepsphere.plotting.nearest_meshes import MeshPicture, plot_nearest_meshes

    def picture(shape: Shape, title: str) -> MeshPicture:
        return MeshPicture(scale_mesh(normalize_mesh(shape.read()), radius=VIEW_RADIUS), title)

    rows = []
    for query, answer, found in zip(queries.shapes, answers, places, strict=True):
        matches = [
            picture(shapes.shapes[place], f"{match.class_name}, {match.distance:.3f}")
            for place, match in zip(found.tolist(), answer.matches, strict=True)
        ]
        rows.append([picture(query, Path(query.name).name), *matches])
    figure = plot_nearest_meshes(rows)
    with write_atomically(path, overwrite=overwrite) as temporary:
        figure.savefig(temporary, dpi=120)
