"""The compiled kernels: where they are, and why not where they are not."""

from deepsphere.native.library import (
    describe_kernels,
    instruction_set_name,
    load_library,
    num_threads,
    why_absent,
)

__all__ = [
    "describe_kernels",
    "instruction_set_name",
    "load_library",
    "num_threads",
    "why_absent",
]
