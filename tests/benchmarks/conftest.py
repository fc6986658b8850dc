"""A setting in which everything is small."""

from pathlib import Path

import pytest

from deepsphere.benchmarks.setting import Setting


@pytest.fixture
def setting(tmp_path: Path) -> Setting:
    return Setting(folder=tmp_path, num_threads=1, quick=True, min_repeats=3, seconds=0.0)
