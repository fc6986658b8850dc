"""Run the tests of the compiled kernels with the checks of a compiler built into them.

    python tests/native/sanitize.py address   # memory errors, undefined behavior, leaks
    python tests/native/sanitize.py thread    # data races
    python tests/native/sanitize.py address tests/ops/test_cpp.py -k gradients

Needs GCC with its sanitizers. The library under test is built in build/ and loaded through
DEEPSPHERE_LIBRARY; the installed one is not touched. The kernels of the portable instruction set
are tested after those of the best.
"""

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
# every test that runs kernels
TESTS = (
    "tests/graph/test_healpix_neighbors.py",
    "tests/ops",
    "tests/layers/test_conv.py",
    "tests/layers/test_fused_blocks.py",
)
FLAGS = {
    "address": "-w -g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined "
    "-fno-sanitize-recover=undefined",
    # the runtime of OpenMP is not instrumented: what it synchronizes would look like races
    "thread": "-w -g -O1 -fsanitize=thread -DDS_STD_THREADS",
}
RUNTIMES = {"address": ("libasan.so", "libubsan.so"), "thread": ("libtsan.so",)}
OURS = "libdeepsphere_kernels"


def build(kind: str) -> Path:
    """The library with checks."""
    folder = ROOT / "build" / f"sanitize-{kind}"
    subprocess.run(
        [sys.executable, "setup.py", "build_ext", "-b", str(folder), "-t", f"{folder}-objects"],
        cwd=ROOT,
        env=os.environ | {"CXX": "g++", "CXXFLAGS": FLAGS[kind]},
        check=True,
    )
    library = folder / "deepsphere/native/libdeepsphere_kernels.so"
    if not library.is_file():
        raise SystemExit("the kernels were not built; see above")
    return library


def preloaded(kind: str) -> str:
    """The runtime of a sanitizer, for the loader."""
    # with the C++ library: exceptions are intercepted only if it is there when the checks start
    names = (*RUNTIMES[kind], "libstdc++.so.6")
    paths = [
        subprocess.run(
            ["g++", f"-print-file-name={name}"], capture_output=True, text=True, check=True
        ).stdout.strip()
        for name in names
    ]
    return f"LD_PRELOAD={' '.join(paths)}"


def environment(library: Path, instructions: str) -> dict[str, str]:
    """What the library and the sanitizers are told."""
    return os.environ | {
        "DEEPSPHERE_LIBRARY": str(library),
        "DEEPSPHERE_ISA": instructions,
        "OMP_NUM_THREADS": "3",
        # arrays and objects with checks around them too
        "PYTHONMALLOC": "malloc",
        "ASAN_OPTIONS": "detect_leaks=1:exitcode=0:halt_on_error=1:abort_on_error=0",
        "LSAN_OPTIONS": "exitcode=0:max_leaks=0",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        # torch and Python are not instrumented: their own locks and threads are not seen
        "TSAN_OPTIONS": "exitcode=0:ignore_noninstrumented_modules=1",
    }


def run(command: list[str], environment: dict[str, str]) -> tuple[int, str]:
    """Exit status and everything printed, which is printed too."""
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    lines = []
    assert process.stdout is not None
    for line in process.stdout:
        lines.append(line)
        if not line.startswith((" ", "Direct leak", "Indirect leak")) and line.strip():
            sys.stdout.write(line)
            sys.stdout.flush()
    return process.wait(), "".join(lines)


def findings(output: str) -> list[str]:
    """Reports, of any sanitizer, in which our library takes part."""
    parts = []
    for report in re.split(r"^=+$", output, flags=re.MULTILINE):
        # each leak is a paragraph; most are those of the interpreter, which frees little at exit
        parts += report.split("\n\n") if "LeakSanitizer" in report else [report]
    marks = ("ThreadSanitizer:", "AddressSanitizer:", "leak of", "runtime error:")
    return [
        part
        for part in parts
        if any(mark in part for mark in marks) and (OURS in part or "native/kernels" in part)
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=_Plain)
    parser.add_argument("kind", choices=sorted(FLAGS))
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="for pytest")
    options = parser.parse_args()
    library = build(options.kind)
    tests = options.arguments or [path for path in TESTS if (ROOT / path).exists()]
    # loaded into Python alone: the programs that start it need not run under checks
    command = ["env", preloaded(options.kind), sys.executable, "-m", "pytest", "-q"]
    # what sanitizers write must not end in a file that pytest removes
    command += ["-p", "no:cacheprovider", "--capture=sys", "-m", "not slow"]
    if options.kind == "thread" and shutil.which("setarch"):
        # addresses at random places leave no room for the shadow memory on recent systems
        command = ["setarch", platform.machine(), "-R", *command]
    failed = False
    for instructions in ("best", "portable"):
        print(f"== {options.kind}, {instructions} instruction set", flush=True)
        status, output = run([*command, *tests], environment(library, instructions))
        found = findings(output)
        print(f"exit status {status}, {len(found)} findings in the kernels")
        print(*found, sep="\n\n")
        # a sanitizer that cannot start ends quietly
        failed = failed or bool(found) or status != 0 or " passed" not in output
    return int(failed)


class _Plain(argparse.RawDescriptionHelpFormatter):
    """Keep the lines of the description."""


if __name__ == "__main__":
    sys.exit(main())
