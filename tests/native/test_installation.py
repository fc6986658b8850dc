"""From the source archive to an installed package: with, without and with unusual compilers."""

import json
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = "deepsphere/native"
LIBRARY = f"{PACKAGE}/libdeepsphere_kernels.so"
# compiling well takes longer and is not what is tested
QUICK = {"CXXFLAGS": "-O1"}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (ROOT / "setup.py").is_file(), reason="not a source tree"),
    pytest.mark.skipif(shutil.which("g++") is None, reason="g++ is not installed"),
]


def build(kind: str, source: Path, output: Path, **environment: str) -> tuple[Path, str]:
    """A source archive, wheel or editable wheel as a frontend asks for it, and the log."""
    code = (
        "import sys; from setuptools import build_meta;"
        f"print('built', build_meta.build_{kind}(sys.argv[1]))"
    )
    output.mkdir(exist_ok=True)
    answer = subprocess.run(
        [sys.executable, "-c", code, str(output)],
        cwd=source,
        env=os.environ | QUICK | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    log = answer.stdout + answer.stderr
    assert answer.returncode == 0, log
    return output / answer.stdout.strip().splitlines()[-1].removeprefix("built "), log


def run_installed(wheel: Path, folder: Path, code: str) -> str:
    """What code prints with the package of a wheel, its dependencies being those of the tests."""
    target = folder / "installed"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    subprocess.run(
        [*install, "--upgrade", "--target", str(target), str(wheel)],
        check=True,
        capture_output=True,
    )
    answer = subprocess.run(
        [sys.executable, "-c", f"import deepsphere as ds\n{code}"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(target)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.strip()


def wrapped_compiler(folder: Path, refused: str) -> str:
    """A compiler that does not know a flag."""
    path = folder / "compiler"
    path.write_text(
        f'#!/bin/sh\nfor flag; do [ "$flag" = "{refused}" ] && '
        f'echo "error: unknown flag {refused}" >&2 && exit 1; done\nexec g++ "$@"\n'
    )
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def path_without_compilers(folder: Path) -> str:
    """A PATH on which there is what a shell needs and no compiler."""
    programs = folder / "programs"
    programs.mkdir()
    for name in ("sh", "uname"):
        (programs / name).symlink_to(str(shutil.which(name)))
    return str(programs)


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory) -> Path:
    """The source tree as the source archive holds it."""
    folder = tmp_path_factory.mktemp("source")
    clean = folder / "clean"
    clean.mkdir()
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, clean)
    ignored = shutil.ignore_patterns("*.so", "kernels_build.json", "__pycache__", "*.egg-info")
    shutil.copytree(ROOT / "src", clean / "src", ignore=ignored)
    archive, _ = build("sdist", clean, folder)
    shutil.unpack_archive(archive, folder / "unpacked")
    (source,) = (folder / "unpacked").iterdir()
    return source


@pytest.fixture
def source(unpacked, tmp_path) -> Path:
    """A copy of the tree: building leaves files in it."""
    return Path(shutil.copytree(unpacked, tmp_path / "source"))


TELL = """
import json
from deepsphere.native import describe_kernels
print(json.dumps(describe_kernels() | {"file": ds.__file__}))
"""
FILTER = """
import torch
graph = ds.build_graph(ds.Healpix(nside=4), num_neighbors=8, weights="gaussian")
conv = ds.layers.ChebConv(graph, in_channels=2, out_channels=3, kernel_size=3)
print(*conv(torch.ones(1, 192, 2)).shape)
"""


def test_source_archive_holds_every_kernel(unpacked):
    kernels = Path("src", PACKAGE, "kernels")
    shipped = {path.name for path in (unpacked / kernels).iterdir()}
    assert shipped == {path.name for path in (ROOT / kernels).iterdir() if path.is_file()}


def test_wheel_with_kernels_is_for_the_platform_and_any_python(source, tmp_path):
    wheel, log = build("wheel", source, tmp_path / "wheel")
    assert "NOTICE" not in log
    assert "-py3-none-" in wheel.name
    assert not wheel.name.endswith("-any.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert LIBRARY in names
    assert not [name for name in names if name.endswith((".cpp", ".h"))]
    told = json.loads(run_installed(wheel, tmp_path, TELL))
    assert told["state"] == "loaded"
    assert str(tmp_path) in told["file"]
    assert run_installed(wheel, tmp_path, FILTER) == "1 192 3"


@pytest.mark.parametrize(
    ("compiler", "reason"),
    [
        ("none", "no C++ compiler was found"),
        ("no-such-compiler", "the compiler that CXX names, no-such-compiler, was not found"),
        ("/bin/false", "the compiler /bin/false cannot compile C++17"),
        ("g++ -std=c++98", "cannot compile C++17"),
        ("switched off", "DEEPSPHERE_NO_KERNELS was set"),
    ],
)
def test_without_compiler_the_package_installs_with_a_notice(source, tmp_path, compiler, reason):
    if compiler == "none":
        environment = {"PATH": path_without_compilers(tmp_path)}
    elif compiler == "switched off":
        environment = {"DEEPSPHERE_NO_KERNELS": "1"}
    else:
        # the flags of a user come after ours
        environment = {"CXX": compiler.split()[0], "CXXFLAGS": compiler.partition(" ")[2]}
    wheel, log = build("wheel", source, tmp_path / "wheel", **environment)
    assert f"NOTICE: deepsphere installs without compiled kernels: {reason}" in log or (
        "NOTICE" in log and reason in log
    )
    assert wheel.name.endswith("-py3-none-any.whl")
    assert LIBRARY not in zipfile.ZipFile(wheel).namelist()
    told = json.loads(run_installed(wheel, tmp_path, TELL))
    assert reason in told["state"]
    assert run_installed(wheel, tmp_path, FILTER) == "1 192 3"


def test_compiler_without_an_instruction_set_builds_the_others(source, tmp_path):
    compiler = wrapped_compiler(tmp_path, "-mavx512f")
    wheel, _ = build("wheel", source, tmp_path / "wheel", CXX=compiler)
    record = json.loads(zipfile.ZipFile(wheel).read(f"{PACKAGE}/kernels_build.json"))
    assert "avx512" not in record["instruction_sets"].split()
    assert "portable" in record["instruction_sets"].split()
    assert json.loads(run_installed(wheel, tmp_path, TELL))["instruction set"] != "avx512"
    assert run_installed(wheel, tmp_path, FILTER) == "1 192 3"


def test_compiler_without_openmp_builds_with_its_own_threads(source, tmp_path):
    compiler = wrapped_compiler(tmp_path, "-fopenmp")
    wheel, _ = build("wheel", source, tmp_path / "wheel", CXX=compiler)
    assert json.loads(run_installed(wheel, tmp_path, TELL))["threading"] == "C++ threads"
    code = """
import torch
from deepsphere.graph.neighbors import TIE_TOLERANCE, nearest_neighbors
from deepsphere.graph.healpix_neighbors import healpix_nearest_neighbors
torch.set_num_threads(3)
sphere = ds.Healpix(nside=32)
found = healpix_nearest_neighbors(sphere, 8, tie_tolerance=TIE_TOLERANCE)
print(abs(found - nearest_neighbors(sphere.points, 8)).max() < 1e-14)
"""
    assert run_installed(wheel, tmp_path, code) == "True"
    assert run_installed(wheel, tmp_path, FILTER) == "1 192 3"


def test_editable_installation_builds_in_place_and_removes_what_is_stale(source, tmp_path):
    built = source / "src" / LIBRARY
    build("editable", source, tmp_path / "wheel")
    first = built.stat().st_mtime_ns
    header = source / "src" / PACKAGE / "kernels" / "threads.h"
    header.write_text(header.read_text() + "// changed\n")
    build("editable", source, tmp_path / "wheel")
    assert built.stat().st_mtime_ns > first
    _, log = build("editable", source, tmp_path / "wheel", CXX="/bin/false")
    assert "NOTICE" in log
    assert not built.exists()


def test_error_in_a_kernel_is_an_error_for_who_builds_by_hand(source):
    kernel = source / "src" / PACKAGE / "kernels" / "threads.cpp"
    kernel.write_text("no C++\n")
    answer = subprocess.run(
        [sys.executable, "setup.py", "build_ext", "--inplace"],
        cwd=source,
        env=os.environ | QUICK,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode != 0
    assert "kernels not built" in answer.stderr
