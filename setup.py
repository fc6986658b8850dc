"""Builds the compiled kernels where a C++ compiler is at hand; without one the package goes on.

Environment: CXX and CXXFLAGS name a compiler and its flags, DEEPSPHERE_NO_KERNELS=1 builds none.
"""

import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

PACKAGE = Path("deepsphere/native")
KERNELS = Path("src") / PACKAGE / "kernels"
LIBRARY = "libdeepsphere_kernels.so"
# beside the library or in its place: what was built, or why not; `deepsphere doctor` shows it
RECORD = "kernels_build.json"
FLAGS = ["-std=c++17", "-O3", "-fPIC", "-fvisibility=hidden", "-fno-math-errno"]
WARNINGS = ["-Wall", "-Wno-psabi", "-Wno-unknown-pragmas"]
# One object of variant.cpp per instruction set; the choice among them is made when the library is
# loaded, so that a wheel serves every machine: never -march=native.
VARIANTS = {
    "avx512": "-mavx512f -mavx512vl -mavx512dq -mavx512bw -mavx2 -mfma -mprefer-vector-width=512",
    "avx2": "-mavx2 -mfma",
}
COMPILERS = ("g++", "c++", "clang++")
PROBE = "#include <atomic>\nstruct Answer { static constexpr int value = 42; };\n"
PROBE += "int answer() { if constexpr (Answer::value == 42) return 42; else return 0; }\n"
# Clang has an OpenMP runtime of its own, which would be a second one beside that of torch.
OPENMP_PROBE = "#include <omp.h>\n#ifdef __clang__\n#error not GCC\n#endif\n"
OPENMP_PROBE += "int threads() { return omp_get_max_threads(); }\n"


INSTALL_COMPILER = "install a C++17 compiler such as g++"


class NotBuiltError(Exception):
    """Why there are no kernels, and what to do about it."""

    def __init__(self, reason: str, remedy: str = INSTALL_COMPILER) -> None:
        super().__init__(reason)
        self.remedy = remedy


class Compiler:
    """A C++ compiler and what it can do."""

    def __init__(self) -> None:
        self.command = self._find()
        # ARCHFLAGS: "-arch" of Python installations for macOS
        self.flags = [*FLAGS, *WARNINGS, *_from_environment("ARCHFLAGS", "CPPFLAGS", "CXXFLAGS")]
        failure = self._failure(PROBE, [])
        if failure is not None:
            raise NotBuiltError(f"the compiler {self.command[0]} cannot compile C++17 ({failure})")
        self.version = (self._call(["--version"])[1].splitlines() or self.command)[0]
        if self._failure(OPENMP_PROBE, ["-fopenmp"]) is None:
            self.threading, self.thread_flags = "OpenMP", ["-fopenmp"]
        else:
            self.threading, self.thread_flags = "C++ threads", ["-DDS_STD_THREADS", "-pthread"]
        x86 = platform.machine().lower() in ("x86_64", "amd64")
        self.variants = {"portable": []}
        for variant, flags in VARIANTS.items():
            if x86 and self._failure(PROBE, flags.split()) is None:
                self.variants[variant] = flags.split()

    @staticmethod
    def _find() -> list[str]:
        asked = shlex.split(os.environ.get("CXX", ""))
        if asked and shutil.which(asked[0]) is None:
            raise NotBuiltError(f"the compiler that CXX names, {asked[0]}, was not found")
        found = next(filter(None, map(shutil.which, COMPILERS)), None)
        if not asked and found is None:
            raise NotBuiltError(
                f"no C++ compiler was found ({', '.join(COMPILERS)} on PATH, or CXX)"
            )
        return asked or [str(found)]

    def run(self, arguments: list[str]) -> None:
        """Compile or link; its complaints go to the log of the installation."""
        status, complaints = self._call(arguments)
        sys.stderr.write(complaints)
        if status != 0:
            lines = [text for text in complaints.splitlines() if not text.startswith("collect2")]
            errors = [text for text in lines if "error" in text or "undefined reference" in text]
            reason = errors[0] if errors else f"exit status {status}"
            raise NotBuiltError(f"{self.command[0]} failed: {reason}")

    def _failure(self, source: str, flags: list[str]) -> str | None:
        """Why a small source does not compile, or None."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "probe.cpp")
            path.write_text(source)
            arguments = [*self.flags, *flags, "-c", str(path), "-o", f"{path}.o"]
            status, complaints = self._call(arguments)
            if status == 0 and Path(f"{path}.o").is_file():
                return None
            return (complaints.splitlines() or [f"exit status {status}"])[0]

    def _call(self, arguments: list[str]) -> tuple[int, str]:
        """The exit status of the compiler and what it prints, in English."""
        try:
            answer = subprocess.run(
                [*self.command, *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env=os.environ | {"LC_ALL": "C"},
                encoding="utf-8",
                errors="replace",
                check=False,
            )
        except OSError as error:
            raise NotBuiltError(str(error)) from error
        return answer.returncode, answer.stdout


def _from_environment(*names: str) -> list[str]:
    """Flags that environment variables hold."""
    return [flag for name in names for flag in shlex.split(os.environ.get(name, ""))]


class BuildKernels(build_ext):
    """Compile the kernels; every failure is a notice, and the package installs without them."""

    def run(self) -> None:
        folder = Path("src" if self.inplace else self.build_lib) / PACKAGE
        folder.mkdir(parents=True, exist_ok=True)
        try:
            if os.environ.get("DEEPSPHERE_NO_KERNELS", "0") not in ("", "0"):
                raise NotBuiltError("DEEPSPHERE_NO_KERNELS was set", "unset DEEPSPHERE_NO_KERNELS")
            if os.name == "nt":
                raise NotBuiltError("they are not written for Windows", "use Linux, WSL or macOS")
            record = self._build(folder / LIBRARY)
        except (NotBuiltError, OSError) as error:
            if self._by_hand:
                raise SystemExit(f"kernels not built: {error}") from error
            remedy = getattr(error, "remedy", INSTALL_COMPILER)
            (folder / LIBRARY).unlink(missing_ok=True)
            record = {
                "reason": f"the kernels were not built at installation: {error}",
                "remedy": remedy,
            }
            sys.stderr.write(
                f"NOTICE: deepsphere installs without compiled kernels: {error}. "
                f"Filters run on PyTorch's sparse products; for the kernels {remedy}.\n"
            )
        (folder / RECORD).write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")

    @property
    def _by_hand(self) -> bool:
        """Whether somebody who works on the kernels asked for this, and not an installation."""
        return self.inplace and not self.editable_mode

    def _build(self, library: Path) -> dict[str, str]:
        compiler = Compiler()
        while True:
            try:
                objects = self._compile(compiler)
                break
            except NotBuiltError as error:
                # an assembler older than its compiler: the instruction set is left out
                failed = next((v for v in VARIANTS if f"variant {v}" in str(error)), None)
                if failed is None or self._by_hand:
                    raise
                del compiler.variants[failed]
                sys.stderr.write(f"NOTICE: {error}; it is left out.\n")
        # moved into place: a process that has the library of before loaded must keep it
        aside = library.with_name(f".{os.getpid()}.{LIBRARY}")
        link = ["-shared", *compiler.flags, *objects, "-pthread", *_from_environment("LDFLAGS")]
        link += ["-o", str(aside)]
        try:
            # with everything, to see that nothing is missing; but a sanitizer is loaded later
            if compiler.threading == "OpenMP" and "-fsanitize" not in " ".join(link):
                compiler.run([*link, "-fopenmp", "-Wl,-z,defs"])
            # then without OpenMP: the kernels take the runtime that is loaded, that of torch
            compiler.run(link)
            aside.replace(library)
        finally:
            aside.unlink(missing_ok=True)
        return {
            "compiler": compiler.version,
            "instruction_sets": " ".join(compiler.variants),
            "threading": compiler.threading,
        }

    def _compile(self, compiler: Compiler) -> list[str]:
        """The object files, each compiled unless it is newer than its source and every header."""
        have = [f"-DDS_HAVE_{variant.upper()}" for variant in compiler.variants]
        jobs = []
        for source in sorted(KERNELS.glob("*.cpp")):
            variants = compiler.variants if source.name == "variant.cpp" else {"": []}
            for variant, flags in variants.items():
                macros = [f"-DDS_VARIANT={variant}"] if variant else []
                target = Path(self.build_temp, "kernels", f"{source.stem}{variant}.o")
                flags = [*compiler.flags, *compiler.thread_flags, *flags, *have, *macros]
                jobs.append((source, variant, target, flags))
        common = [*KERNELS.glob("*.h"), Path(__file__)]

        def compile_one(job: tuple[Path, str, Path, list[str]]) -> str:
            source, variant, target, flags = job
            stamp = target.with_suffix(".flags")
            command = shlex.join([*compiler.command, *flags])
            newest = max(path.stat().st_mtime for path in [source, *common])
            done = target.is_file() and target.stat().st_mtime > newest and stamp.is_file()
            if not done or stamp.read_text() != command:
                target.parent.mkdir(parents=True, exist_ok=True)
                stamp.unlink(missing_ok=True)
                try:
                    compiler.run([*flags, "-c", str(source), "-o", str(target)])
                except NotBuiltError as error:
                    named = f"variant {variant}: {error}" if variant else str(error)
                    raise NotBuiltError(named) from error
                stamp.write_text(command)
            return str(target)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return list(pool.map(compile_one, jobs))

    def get_output_mapping(self) -> dict[str, str]:
        """Files of the wheel to those in the source tree, for an editable installation."""
        if not self.inplace:
            return {}
        built = [name for name in (LIBRARY, RECORD) if Path("src", PACKAGE, name).is_file()]
        return {
            str(Path(self.build_lib, PACKAGE, name)): str(Path("src", PACKAGE, name))
            for name in built
        }

    def get_outputs(self) -> list[str]:
        if self.inplace:
            return list(self.get_output_mapping())
        files = [Path(self.build_lib, PACKAGE, name) for name in (LIBRARY, RECORD)]
        return [str(path) for path in files if path.is_file()]


class Wheel(bdist_wheel):
    """A plain C interface serves every Python; without kernels the wheel serves every platform."""

    def get_tag(self) -> tuple[str, str, str]:
        build = self.get_finalized_command("build_ext")
        self.root_is_pure = not any(path.endswith(LIBRARY) for path in build.get_outputs())
        tag = super().get_tag()
        return tag if self.root_is_pure else ("py3", "none", tag[2])


setup(
    ext_modules=[
        Extension(
            "deepsphere.native.kernels",
            sources=sorted(str(path) for path in KERNELS.glob("*.cpp")),
            depends=sorted(str(path) for path in KERNELS.glob("*.h")),
            optional=True,
        )
    ],
    cmdclass={"build_ext": BuildKernels, "bdist_wheel": Wheel},
)
