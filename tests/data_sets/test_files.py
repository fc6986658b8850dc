"""Files appear whole or not at all."""

from pathlib import Path

import pytest

from deepsphere.data import write_atomically


def test_file_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.npz"
    with write_atomically(path) as temporary:
        temporary.write_text("whole")
        assert temporary.suffix == ".npz"
        assert not path.exists()
    assert path.read_text() == "whole"
    assert list(path.parent.iterdir()) == [path]


def test_error_in_the_block_leaves_everything_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("before")

    def fail() -> None:
        with write_atomically(path, overwrite=True) as temporary:
            temporary.write_text("half")
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError):
        fail()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_existing_file_is_refused_unless_it_may_be_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("before")
    with pytest.raises(FileExistsError, match=r"file\.txt must not exist.*--overwrite"):  # noqa: SIM117
        with write_atomically(path):
            pytest.fail("the block must not be entered")
    with write_atomically(path, overwrite=True) as temporary:
        temporary.write_text("after")
    assert path.read_text() == "after"


def test_file_that_appears_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"

    def write_late() -> None:
        with write_atomically(path) as temporary:
            temporary.write_text("mine")
            path.write_text("theirs")

    with pytest.raises(FileExistsError):
        write_late()
    assert path.read_text() == "theirs"
    assert list(tmp_path.iterdir()) == [path]


def test_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="must name a file, got the folder"):  # noqa: SIM117
        with write_atomically(tmp_path, overwrite=True):
            pytest.fail("the block must not be entered")
