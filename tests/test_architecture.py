"""The one-way order of imports, and what `import deepsphere` may cost."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import deepsphere

PACKAGE = Path(deepsphere.__file__).parent

# A module imports only modules that stand above it.
ORDER = [
    "version",
    "ops",
    "geometry",
    "harmonics",
    "sampling",
    "graph",
    "equivariance",
    "layers",
    "models",
    "data",
    "tasks",
    "training",
    "plotting",
    "experiments",
    "cli",
]

OPTIONAL = {
    "lightning",
    "pytorch_lightning",
    "torchmetrics",
    "pydantic",
    "typer",
    "rich",
    "sklearn",
    "tensorboard",
    "matplotlib",
    "plotly",
    "astropy",
    "healpy",
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def imported_names(path: Path) -> set[str]:
    """Every module that a file imports, at any depth of its code."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return names


def room(name: str) -> str:
    return name.removeprefix("deepsphere").lstrip(".").split(".")[0]


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(PACKAGE)))
def test_module_imports_only_modules_above_it(path):
    own = path.relative_to(PACKAGE).with_suffix("").parts[0]
    if own in ("__init__", "__main__"):
        return
    assert own in ORDER, f"{own} has no place in the architecture"
    for name in imported_names(path):
        if name.split(".")[0] != "deepsphere" or not room(name):
            continue
        target = room(name)
        assert ORDER.index(target) <= ORDER.index(own), f"{path} imports {name}"


def test_no_module_is_larger_than_five_hundred_lines():
    large = {p.name: n for p in modules() if (n := len(p.read_text().splitlines())) > 500}
    assert not large, large


def test_import_needs_no_extra_and_does_not_touch_threads_or_seed():
    code = (
        "import sys, torch; threads = torch.get_num_threads(); seed = torch.initial_seed();"
        "import deepsphere; assert torch.get_num_threads() == threads;"
        "assert torch.initial_seed() == seed; print(' '.join(sys.modules))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    loaded = {name.split(".")[0] for name in answer.stdout.split()}
    assert not loaded & OPTIONAL
