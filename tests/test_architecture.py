"""The one-way order of imports, and what `import deepsphere` may cost."""

import ast
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import deepsphere

PACKAGE = Path(deepsphere.__file__).parent

# A module imports only modules that stand above it.
ORDER = [
    "version",
    "native",
    "ops",
    "geometry",
    "harmonics",
    "sampling",
    "graph",
    "fields",
    "equivariance",
    "layers",
    "models",
    "data",
    "tasks",
    "training",
    "plotting",
    "experiments",
    "benchmarks",
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
    "camb",
    "glass",
    "h5py",
    "transformcl",
    "xarray",
    "zarr",
    "netCDF4",
    "dask",
    "imageio_ffmpeg",
    "pandas",
    "pyarrow",
    "requests",
    "trimesh",
    "embreex",
    "e3nn",
    "torch_geometric",
    "torch_harmonics",
    "threadpoolctl",
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


def loaded_by(code: str) -> set[str]:
    """The top-level packages that are loaded in a process of its own after some code."""
    answer = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(' '.join(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    return {name.split(".")[0] for name in answer.stdout.split()}


def test_import_needs_no_extra_and_does_not_touch_threads_or_seed():
    """All that the package names, the rooms included, but the pictures."""
    code = (
        "import torch; threads = torch.get_num_threads(); seed = torch.initial_seed()\n"
        "from deepsphere import *\n"
        "assert torch.get_num_threads() == threads; assert torch.initial_seed() == seed"
    )
    assert not loaded_by(code) & OPTIONAL


def test_import_of_the_package_alone_loads_neither_torch_nor_numpy():
    loaded = loaded_by("import deepsphere; dir(deepsphere)")
    assert "deepsphere" in loaded
    assert not loaded & (OPTIONAL | {"torch", "numpy", "scipy"})


@pytest.mark.parametrize("name", [*deepsphere.__all__, "plotting"])
def test_public_name_resolves_to_what_its_module_holds(name):
    value = getattr(deepsphere, name)
    assert name in dir(deepsphere)
    if isinstance(value, ModuleType):
        assert value is sys.modules[f"deepsphere.{name}"]
    elif name != "__version__":
        assert value.__name__ == name
        assert value.__module__.startswith("deepsphere.")


def test_public_names_are_the_same_for_python_and_for_type_checkers():
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: f"{node.module}.{alias.name}" if node.module == "deepsphere" else node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == deepsphere._MODULES
    assert {*deepsphere.__all__} == {*seen, "__version__"} - {"plotting"}


def test_unknown_public_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'deepsphere' has no attribute 'Healpx'"):
        _ = deepsphere.Healpx
