"""Files of ranked lists: round trip, and what the official evaluator accepts."""

from pathlib import Path

import numpy as np
import pytest

from deepsphere.tasks.ranked_list_files import read_ranked_lists, write_ranked_lists
from deepsphere.tasks.ranking import RankedLists, rank_by_class

NAMES = [f"{number:06d}" for number in range(40)]


@pytest.fixture
def probabilities() -> np.ndarray:
    # few different values, so that many are equal
    return np.random.default_rng(0).integers(1, 6, (40, 4)) / 10


def naive_lists(lists: RankedLists) -> list[list[int]]:
    return [[int(item) for item in row if item >= 0] for row in lists.items]


def test_written_lists_are_read_again(tmp_path: Path, probabilities: np.ndarray) -> None:
    lists = rank_by_class(probabilities)
    write_ranked_lists(tmp_path / "method" / "test_perturbed", lists, NAMES)
    again = read_ranked_lists(tmp_path / "method" / "test_perturbed", NAMES)
    np.testing.assert_array_equal(again.queries, lists.queries)
    np.testing.assert_array_equal(again.items, lists.items)


@pytest.mark.parametrize(
    "name", ["chair/train/chair 0001.off", "..", ".hidden", "größe%20", "a\nb", "a\tb", "C:x"]
)
def test_names_of_all_kinds_survive_in_files(tmp_path: Path, name: str) -> None:
    lists = RankedLists(np.array([0, 1]), np.array([[1, 0], [1, -1]]), num_shapes=2)
    write_ranked_lists(tmp_path, lists, [name, "other"])
    assert len(list(tmp_path.iterdir())) == 2
    assert not any(" " in file.read_text() for file in tmp_path.iterdir())
    again = read_ranked_lists(tmp_path, [name, "other"])
    np.testing.assert_array_equal(again.items, lists.items)


def test_lists_of_other_systems_are_read_as_the_evaluator_does(tmp_path: Path) -> None:
    (tmp_path / "000002").write_text("5 0.1\n\n000007 0.2\n5 0.3\nstranger 0.4\n1 0.5\n")
    (tmp_path / "39").write_text("\n".join(["000003"] * 999 + ["4", "6"]))  # cut behind 1,000
    (tmp_path / "README").write_text("not a list")
    lists = read_ranked_lists(tmp_path, NAMES)
    assert lists.queries.tolist() == [2, 39]
    assert naive_lists(lists) == [[5, 7, 1], [3, 4]]


def test_existing_lists_are_replaced_only_when_asked_for(
    tmp_path: Path, probabilities: np.ndarray
) -> None:
    lists = rank_by_class(probabilities)
    write_ranked_lists(tmp_path, lists, NAMES)
    with pytest.raises(FileExistsError, match="must be empty, got 40 ranked lists"):
        write_ranked_lists(tmp_path, lists, NAMES)
    shorter = rank_by_class(probabilities, max_length=1)
    write_ranked_lists(tmp_path, shorter, NAMES, overwrite=True)
    np.testing.assert_array_equal(read_ranked_lists(tmp_path, NAMES).items, shorter.items)
    (tmp_path / "900000").write_text("of another run")
    with pytest.raises(ValueError, match="no other file than the lists, got 900000"):
        write_ranked_lists(tmp_path, lists, NAMES, overwrite=True)


def test_wrong_files_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="which is not there"):
        read_ranked_lists(tmp_path / "nowhere", NAMES)
    (tmp_path / "900000").write_text("000001")
    with pytest.raises(ValueError, match="named after the 40 shapes, got none"):
        read_ranked_lists(tmp_path, NAMES)
    with pytest.raises(ValueError, match=r"as many as the shapes \(3\), got 40"):
        write_ranked_lists(tmp_path, rank_by_class(np.eye(3)), NAMES)
