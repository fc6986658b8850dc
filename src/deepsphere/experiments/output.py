"""The folder of an experiment: what may be written there, and what is still there from before."""

import json
import shutil
from pathlib import Path
from typing import Any

from deepsphere.data.files import write_atomically

RESULTS_FILE = "results.json"
REPORT_FILE = "report.html"
FIGURE_FOLDER = "figures"
RUN_FOLDER = "runs"
MAP_FOLDER = "maps"
RECIPE_FILE = "recipe.json"
NUMBERS_FILE = "numbers.json"

_OURS = (
    RESULTS_FILE,
    REPORT_FILE,
    NUMBERS_FILE,
    RECIPE_FILE,
    FIGURE_FOLDER,
    RUN_FOLDER,
    MAP_FOLDER,
)


def prepare_output(
    folder: Path, *, fingerprint: str, recipe: dict[str, Any], overwrite: bool
) -> None:
    """Make the folder ready: new, empty, cleared of an older experiment, or to be continued.

    A folder in which the same recipe was begun is continued: its finished runs are kept. With
    ``overwrite`` everything that an experiment wrote there is removed, and nothing else is.

    Parameters
    ----------
    folder
        Where the experiment writes.
    fingerprint
        Of the recipe and the data, see `DigitsRecipe.fingerprint`.
    recipe
        The recipe in plain values, written beside the fingerprint for people.
    overwrite
        Whether the results of another experiment, or of this one, may be removed.

    Raises
    ------
    FileExistsError
        If the folder is not empty, cannot be continued, and may not be overwritten.
    """
    if folder.exists() and not folder.is_dir():
        raise FileExistsError(f"output must be a folder, got the file {folder}; choose another")
    if overwrite:
        _remove_ours(folder)
    elif folder.is_dir() and any(folder.iterdir()):
        _check_can_continue(folder, fingerprint)
    folder.mkdir(parents=True, exist_ok=True)
    # until the experiment is over, there is nothing that looks like its results
    for name in (RESULTS_FILE, REPORT_FILE, NUMBERS_FILE):
        (folder / name).unlink(missing_ok=True)
    begun = {"fingerprint": fingerprint, "recipe": recipe}
    with write_atomically(folder / RECIPE_FILE, overwrite=True) as temporary:
        temporary.write_text(json.dumps(begun, indent=2) + "\n", encoding="utf-8")


def check_no_results(folder: Path | None, *, overwrite: bool) -> None:
    """Raise if there are results in a folder that may not be replaced.

    Parameters
    ----------
    folder
        Where results will be written; None for nowhere.
    overwrite
        Whether they may be replaced.

    Raises
    ------
    FileExistsError
        If so.
    """
    if folder is not None and (folder / RESULTS_FILE).exists() and not overwrite:
        raise FileExistsError(
            f"output must not hold results, got {folder / RESULTS_FILE}; "
            "choose another folder or pass --overwrite"
        )


def _remove_ours(folder: Path) -> None:
    """Remove what an experiment writes, and leave everything else."""
    for name in _OURS:
        path = folder / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def _check_can_continue(folder: Path, fingerprint: str) -> None:
    """Raise unless the same experiment was begun in this folder."""
    try:
        begun = json.loads((folder / RECIPE_FILE).read_text(encoding="utf-8"))
        found = begun["fingerprint"]
    except (OSError, ValueError, TypeError, KeyError):
        raise FileExistsError(
            f"output must be new, empty, or an experiment to continue, got {folder} with "
            f"{sum(1 for _ in folder.iterdir())} entries; choose another or pass --overwrite"
        ) from None
    if found != fingerprint:
        raise FileExistsError(
            f"output must hold the same recipe and data to be continued, got {folder} with "
            f"{begun.get('recipe', {}).get('title', 'another one')!r} "
            f"(fingerprint {found}, not {fingerprint}); choose another or pass --overwrite"
        )
