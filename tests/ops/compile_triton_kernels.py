"""Compile what the Triton filter launches, for GPUs that need not be there; `test_triton` runs it.

Prints the kernel and the compute capability, a line for each launch.
"""

import sys

import scipy.sparse
import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from deepsphere import ops
from deepsphere.ops import triton as backend
from deepsphere.ops import triton_kernels

NAMES = {
    torch.float16: "*fp16",
    torch.bfloat16: "*bf16",
    torch.float32: "*fp32",
    torch.float64: "*fp64",
    torch.int32: "*i32",
    torch.int64: "*i64",
}


class Launcher:
    """Stands for a kernel: compiles for every capability where the kernel would be launched."""

    def __init__(self, kernel):
        self.kernel = kernel

    def __getitem__(self, grid):
        return self.compile

    def compile(self, *arguments, **constants):
        options = {name: constants.pop(name) for name in ("num_warps", "enable_fp_fusion")}
        signature, attributes = {}, {}
        for place, name in enumerate(self.kernel.arg_names):
            argument = constants.get(name, arguments[place] if place < len(arguments) else None)
            # as at a launch: 1 is a constant, and what 16 divides is known to be so
            if name in constants or (isinstance(argument, int) and argument == 1):
                signature[name], constants[name] = "constexpr", argument
                continue
            is_tensor = isinstance(argument, torch.Tensor)
            if is_tensor:
                signature[name] = NAMES[argument.dtype]
            else:
                signature[name] = "fp32" if isinstance(argument, float) else "i32"
            if (argument.data_ptr() if is_tensor else argument) % 16 == 0:
                attributes[(place,)] = [["tt.divisibility", 16]]
        places = {(self.kernel.arg_names.index(name),): value for name, value in constants.items()}
        for capability in (80, 90):
            source = ASTSource(self.kernel, signature, places, attributes)
            target = GPUTarget("cuda", capability, 32)
            compiled = triton.compile(source, target=target, options=options)
            assert "ld.global" in compiled.asm["ptx"]
            sys.stdout.write(f"{compiled.metadata.name} {capability}\n")


class Kernels:
    """Stands for the module of kernels."""

    tl = triton_kernels.tl
    step = Launcher(triton_kernels.step)
    mixing_step = Launcher(triton_kernels.mixing_step)


def compile_filter(batch, in_channels, out_channels, dtype, index=torch.int32):
    """Forward and backward pass of a filter of four orders."""
    values = torch.promote_types(dtype, torch.float32)
    operator = ops.sparse_operator(scipy.sparse.eye_array(40).tocsr(), symmetric=True, dtype=values)
    arrays = tuple(a if a.is_floating_point() else a.to(index) for a in operator.arrays())
    signal = torch.zeros(batch, 40, in_channels, dtype=dtype)
    weight = torch.zeros(4, in_channels, out_channels, dtype=dtype)
    grad = torch.zeros(batch, 40, out_channels, dtype=dtype)
    backend.filter_signal(signal, weight, arrays)
    backend.signal_and_weight_gradients(grad, signal, weight, arrays)


if __name__ == "__main__":
    backend._kernels = lambda: Kernels
    compile_filter(1, 16, 32, torch.float32)
    compile_filter(2, 33, 3, torch.bfloat16)
    compile_filter(2, 64, 64, torch.bfloat16)
    compile_filter(16, 1, 3, torch.float64, torch.int64)
