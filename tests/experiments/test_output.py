"""The folder of an experiment: nothing of the user is lost, nothing half done looks complete."""

from pathlib import Path

import pytest

from deepsphere.experiments.output import prepare_output


def prepare(folder: Path, fingerprint: str = "f", overwrite: bool = False) -> None:
    prepare_output(folder, fingerprint=fingerprint, recipe={"title": "a"}, overwrite=overwrite)


def test_missing_and_empty_folders_are_fine(tmp_path: Path):
    prepare(tmp_path)
    prepare(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b" / "recipe.json").is_file()


def test_foreign_folder_is_rejected_and_kept(tmp_path: Path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(FileExistsError, match=r"output must be new, empty, or an experiment to co"):
        prepare(tmp_path)
    prepare(tmp_path, overwrite=True)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


def test_same_recipe_is_continued_without_its_results(tmp_path: Path):
    prepare(tmp_path)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "one").write_text("done")
    (tmp_path / "results.json").write_text("{}")
    prepare(tmp_path)
    assert (tmp_path / "runs" / "one").is_file()
    assert not (tmp_path / "results.json").exists()


def test_another_recipe_is_rejected_unless_overwritten(tmp_path: Path):
    prepare(tmp_path)
    (tmp_path / "runs").mkdir()
    with pytest.raises(
        FileExistsError, match=r"must hold the same recipe .* 'a' \(fingerprint f, "
    ):
        prepare(tmp_path, fingerprint="g")
    prepare(tmp_path, fingerprint="g", overwrite=True)
    assert not (tmp_path / "runs").exists()


def test_file_in_place_of_the_folder_is_rejected(tmp_path: Path):
    (tmp_path / "a").write_text("")
    with pytest.raises(FileExistsError, match="output must be a folder, got the file"):
        prepare(tmp_path / "a", overwrite=True)


def test_damaged_marker_counts_as_foreign(tmp_path: Path):
    (tmp_path / "recipe.json").write_text("[")
    with pytest.raises(FileExistsError, match="output must be new, empty"):
        prepare(tmp_path)
