"""Run one group on NumPy arrays: what its kernels compute, without a plan of the memory around it."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Any

import numpy as np

from corenn.compiler.program import Fused, Symbol
from corenn_onednn.loops.groups import compile_group
from corenn_onednn.native.commands import CommandList

Array = np.ndarray[Any, Any]


def run_group(fused: Fused, values: Mapping[Symbol, Array], threads: int = 1) -> dict[Symbol, Array]:
    """The outputs of a group by symbol, from the arrays of its inputs (those that are constants may be left out)."""
    kernels = compile_group(fused, threads)
    given = [s for s in fused.inputs if s is not None]
    arrays = {s: np.ascontiguousarray(s.array if s.constant else values[s]) for s in given}
    arrays |= {s: np.empty(s.spec.static, s.spec.dtype.numpy) for s in fused.outputs}
    scratch = np.empty(max(k.scratch for k in kernels) + 64, np.uint8)
    place = scratch.ctypes.data + -scratch.ctypes.data % 64
    commands = CommandList(threads)
    kept = [k.arguments([arrays[s].ctypes.data for s in k.symbols], place) for k in kernels]
    for kernel, arguments in zip(kernels, kept, strict=True):
        commands.loop(kernel.address, ctypes.addressof(arguments), kernel.chunks)
    commands.run()
    return {s: arrays[s] for s in fused.outputs}
