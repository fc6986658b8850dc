"""Files of ranked lists, as SHREC'17's evaluator reads them."""

import os
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote, unquote

import numpy as np

from deepsphere.data.files import write_atomically
from deepsphere.tasks.ranking import MAX_LENGTH, PADDING, RankedLists

ID_LENGTH = 6  # digits of an identifier of SHREC'17, which some write without leading zeros


def write_ranked_lists(
    folder: str | os.PathLike[str],
    lists: RankedLists,
    names: Sequence[str],
    *,
    overwrite: bool = False,
) -> None:
    """Write one file for each query, as SHREC'17's evaluator reads them.

    A file is named after its query and holds the name of a retrieved shape on each line, the best
    first. The evaluator expects the folder to be called test_perturbed (or val_normal, ...) in a
    folder that is called as the method. Characters that a file name or a line cannot hold (a
    slash, a blank) are percent-encoded; identifiers of SHREC'17 have none. A file appears whole
    or not at all.

    Parameters
    ----------
    folder
        Where to write; made if it is missing.
    lists
        What to write.
    names
        Name of each shape.
    overwrite
        Replace the lists of these queries that are there.

    Raises
    ------
    FileExistsError
        If there is a file already and `overwrite` is false.
    ValueError
        If there is not one name for each shape, or a file in the folder is none of these lists:
        the evaluator would take it for one.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "test_perturbed"
    >>> items = np.array([[2, 0], [1, -1], [2, 0]])
    >>> lists = RankedLists(np.arange(3), items, num_shapes=3)
    >>> write_ranked_lists(folder, lists, ["000017", "000018", "000042"])
    >>> (folder / "000017").read_text().split()
    ['000042', '000017']
    """
    if len(names) != lists.num_shapes:
        raise ValueError(
            f"names must be as many as the shapes ({lists.num_shapes}), got {len(names)}"
        )
    folder = Path(folder)
    encoded = [_encode(name) for name in names]
    present = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
    others = sorted(present - {encoded[query] for query in lists.queries})
    if others:
        raise ValueError(
            f"{folder} must hold no other file than the lists, got {others[0]}, which the "
            "evaluator would take for one; choose an empty folder"
        )
    if present and not overwrite:
        raise FileExistsError(
            f"{folder} must be empty, got {len(present)} ranked lists in it; "
            "choose another folder or overwrite them (overwrite=True)"
        )
    for query, row, length in zip(lists.queries, lists.items, lists.lengths, strict=True):
        text = "".join(f"{encoded[item]}\n" for item in row[:length])
        with write_atomically(folder / encoded[query], overwrite=overwrite) as temporary:
            temporary.write_text(text, encoding="ascii")


def read_ranked_lists(folder: str | os.PathLike[str], names: Sequence[str]) -> RankedLists:
    """Ranked lists from the files that `write_ranked_lists` or another system wrote.

    As by SHREC'17's evaluator, the first 1,000 lines of a file are read, of each line what stands
    before a blank; then repeated shapes and those with unknown names are passed over, and files
    of unknown queries too.

    Parameters
    ----------
    folder
        The folder with one file for each query.
    names
        Name of each shape.

    Returns
    -------
    RankedLists
        Lists of the queries that have a file, in the order of the names.

    Raises
    ------
    FileNotFoundError
        If there is no such folder.
    ValueError
        If no file is named after a shape.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"folder must hold ranked lists, got {folder}, which is not there")
    index = {name: number for number, name in enumerate(names)}
    lists: dict[int, list[int]] = {}
    for file in folder.iterdir():
        query = _find(index, file.name)
        if query is None or not file.is_file():
            continue
        lines = [line for line in file.read_text(encoding="utf-8").split("\n") if line.strip()]
        found = [_find(index, line.split(" ")[0].strip()) for line in lines[:MAX_LENGTH]]
        lists[query] = list(dict.fromkeys(item for item in found if item is not None))
    if not lists:
        raise ValueError(
            f"folder must hold files named after the {len(names)} shapes, got none in {folder}; "
            "are they the lists of another set?"
        )
    queries = sorted(lists)
    items = np.full((len(queries), max(map(len, lists.values()))), PADDING, np.int64)
    for row, query in zip(items, queries, strict=True):
        row[: len(lists[query])] = lists[query]
    return RankedLists(np.array(queries), items, len(names))


def _encode(name: str) -> str:
    """Name without characters that a file name or a line of a ranked list cannot hold."""
    encoded = quote(name, safe="!#$&'()+,;=@[]{}~^ ").replace(" ", "%20")
    # the names of this folder and of the one above, and names of hidden files
    return f"%2E{encoded[1:]}" if encoded.startswith(".") else encoded


def _find(index: dict[str, int], encoded: str) -> int | None:
    """Number of the shape with this name; identifiers may lack their leading zeros."""
    name = unquote(encoded)
    return index.get(name, index.get(name.zfill(ID_LENGTH)))
