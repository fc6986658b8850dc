"""Memory of this process, and what a call adds to it at its peak."""

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import torch


def resident_megabytes(field: Literal["VmRSS", "VmHWM"]) -> float:
    """Memory of this process: resident now, or at most so far.

    Parameters
    ----------
    field
        As Linux calls it; elsewhere both are the most so far.

    Returns
    -------
    float
    """
    status = Path("/proc/self/status")
    if status.is_file():
        lines = (line.split() for line in status.read_text().splitlines())
        return next(int(words[1]) for words in lines if words and words[0] == f"{field}:") / 1024
    import resource

    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def added_megabytes(
    make_ready: Callable[[], object], call: Callable[[], object], device: str
) -> float:
    """What a call adds to the memory of this process at its peak.

    Parameters
    ----------
    make_ready
        Called first, not counted.
    call
        What is measured.
    device
        "cpu" (resident memory) or "cuda" (memory allocated by torch).

    Returns
    -------
    float
    """
    make_ready()
    if device == "cuda":
        torch.cuda.synchronize()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        torch.cuda.synchronize()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    _return_free_memory()
    clear = Path("/proc/self/clear_refs")
    if clear.exists() and os.access(clear, os.W_OK):
        clear.write_text("5")  # Linux: the peak starts again at what is resident now
    before = resident_megabytes("VmRSS")
    call()
    return resident_megabytes("VmHWM") - before


def ask_process(module: str, request: Mapping[str, Any]) -> float:
    """The number that a module, run as a program of its own, prints about a request.

    Parameters
    ----------
    module
        Its full name; it takes the request as JSON and prints a number last.
    request
        Plain values.

    Returns
    -------
    float

    Raises
    ------
    RuntimeError
        If the process fails, with the last line that it wrote.

    Examples
    --------
    >>> ask_process("json.tool", {})
    Traceback (most recent call last):
    ...
    RuntimeError: ...
    """
    command = [sys.executable, "-W", "ignore", "-m", module, json.dumps(request)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        lines = answer.stderr.strip().splitlines() or [f"ended by signal {-answer.returncode}"]
        raise RuntimeError(lines[-1])
    return float(answer.stdout.split()[-1])


def _return_free_memory() -> None:
    """Give the system back what was freed, or the call would find it resident already."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):  # not the GNU library
        return
