"""Importing the pictures without their packages tells what to install."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("missing", ["matplotlib", "plotly"])
def test_import_without_package_names_the_extra(missing):
    code = (
        "import importlib.util as util; find = util.find_spec;"
        f"util.find_spec = lambda name, package=None: None if name == {missing!r} "
        "else find(name, package);"
        "import deepsphere.plotting"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert answer.returncode == 1
    last = answer.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: deepsphere.plotting needs matplotlib and plotly")
    assert 'pip install "deepsphere-torch[plot]"' in last
