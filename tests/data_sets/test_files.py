"""Files appear whole or not at all."""

import os
from pathlib import Path

import pytest

from deepsphere.data import write_atomically
from deepsphere.data.files import write_folder_atomically


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


def _content(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def _write(folder: Path, word: str, *, overwrite: bool = False, fails: bool = False) -> None:
    with write_folder_atomically(folder, overwrite=overwrite) as temporary:
        temporary.mkdir()
        (temporary / "word").write_text(word)
        if fails:
            raise RuntimeError("disk full")


def test_folder_is_replaced_in_one_piece_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "below" / "store.zarr"
    _write(folder, "before")
    assert _content(folder) == {"word": "before"}
    with pytest.raises(RuntimeError):
        _write(folder, "half", overwrite=True, fails=True)
    assert _content(folder) == {"word": "before"}
    with pytest.raises(
        FileExistsError, match=r"store\.zarr must not exist yet, got an existing sto"
    ):
        _write(folder, "after")
    _write(folder, "after", overwrite=True)
    assert _content(folder) == {"word": "after"}
    assert list(folder.parent.iterdir()) == [folder]


def test_old_folder_comes_back_where_the_new_one_cannot_be_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "store.zarr"
    _write(folder, "before")
    move = os.replace

    def stubborn(source: Path, target: Path) -> None:
        if target == folder and "replaced" not in source.name:
            raise OSError("the disk is gone")
        move(source, target)

    monkeypatch.setattr(os, "replace", stubborn)
    with pytest.raises(OSError, match="the disk is gone"):
        _write(folder, "after", overwrite=True)
    assert _content(folder) == {"word": "before"}
    assert list(tmp_path.iterdir()) == [folder]


def test_folder_takes_the_place_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("a file")
    with pytest.raises(FileExistsError, match="got an existing file"):
        _write(tmp_path / "store", "after")
    _write(tmp_path / "store", "after", overwrite=True)
    assert _content(tmp_path / "store") == {"word": "after"}
