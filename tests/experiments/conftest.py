"""A recipe so small that every path of the experiment can be walked in a test."""

from pathlib import Path

import pytest

MINI = """
experiment = "digits"
title = "mini"
seeds = [0]
[data]
num_train = 60
num_test = 20
test_rotations = 1
[graph]
sampling = "healpix:4"
num_neighbors = 8
[model]
channels = [2, 3]
kernel_size = 2
[rival]
nlat = 8
nlon = 16
channels = [2, 3]
[training]
epochs = 1
[quick.data]
num_train = 30
[[claims]]
name = "DeepSphere, parameters"
required = 1000
better = "lower"
"""


@pytest.fixture
def mini(tmp_path: Path) -> Path:
    """The file of the recipe."""
    path = tmp_path / "mini.toml"
    path.write_text(MINI, encoding="utf-8")
    return path
