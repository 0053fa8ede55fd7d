"""The oneDNN backend: NumPy's arrays and kernels, and oneDNN's primitives where they are faster."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np
from corenn_numpy.backend import NumpyBackend

from corenn import dtypes
from corenn.backend import Kernel
from corenn.spec import Spec
from corenn_onednn.dnnl import load
from corenn_onednn.dnnl.library import INSTALL

_log = logging.getLogger("corenn")


class OneDnnBackend(NumpyBackend):
    """Arrays in host memory, computed by oneDNN and NumPy.  Raises BackendError where the library cannot be opened."""

    name = "onednn"

    def __init__(self) -> None:
        super().__init__()
        self._library = load()

    def describe_device(self, index: int) -> str:
        """Versions, instruction set and threads."""
        library = self._library
        numbers = f"{library.threads} thread{'s' if library.threads != 1 else ''}"
        return f"oneDNN {library.version_text} ({library.isa_text}, {numbers}) and NumPy {np.__version__} on the CPU"

    def compile(self, program: Any) -> Any | None:
        """A list of native commands for the whole program; ``None`` for what Python decides on the way."""
        if not _can_compile():
            return None
        from corenn_onednn.compiling.compiler import compile_program

        return compile_program(program)

    def kernels(self) -> Mapping[str, Kernel | Sequence[Kernel]]:
        """oneDNN's kernels first, then NumPy's."""
        from corenn_onednn.kernels import KERNELS

        merged: dict[str, Kernel | Sequence[Kernel]] = dict(super().kernels())
        for name, own in KERNELS.items():
            merged[name] = (*_several(own), *_several(merged.get(name, ())))
        return merged

    def plan(
        self, op: Any, inputs: Sequence[Spec | None], attrs: Mapping[str, Any], device: Any
    ) -> Callable[..., Any] | None:
        """bfloat16 as it is, where oneDNN computes an op in it; all else is widened (``computes_in``)."""
        if not self._library.bfloat16 or not any(s is not None and s.dtype is dtypes.bfloat16 for s in inputs):
            return None
        from corenn_onednn.kernels import KERNELS

        for kernel in _several(KERNELS.get(op.name, ())):
            if kernel.prepare is not None and (kernel.when is None or kernel.when(inputs, attrs)):
                return kernel.prepare(inputs, attrs)
        return None


@functools.cache
def _can_compile() -> bool:
    """Whether llvmlite is there, which makes the loops of compiled programs; says once if it is not."""
    found = find_spec("llvmlite") is not None
    if not found:
        _log.warning("programs run kernel by kernel, for llvmlite is not installed: %s", INSTALL)
    return found


def _several(kernels: Kernel | Sequence[Kernel]) -> Sequence[Kernel]:
    return (kernels,) if isinstance(kernels, Kernel) else kernels
