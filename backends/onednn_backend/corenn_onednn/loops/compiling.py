"""From kernels to addresses of machine code, through LLVM and the cache on disk.

``llvmlite`` is imported when the first kernel has to be made or loaded; LLVM compiles what is not in the cache alone.
"""

from __future__ import annotations

import functools
import hashlib
import threading
from pathlib import Path
from typing import Any

from corenn.errors import MissingExtraError
from corenn_onednn.loops import cache
from corenn_onednn.loops.ir import Kernel
from corenn_onednn.loops.lowering import module
from corenn_onednn.loops.printing import text_of

#: What turns kernels into LLVM: part of every key, as the same kernel becomes other machine code when they change.
_WRITERS = ("accumulators", "compiling", "draws", "functions", "instructions", "lowering", "memory")

_lock = threading.RLock()
_addresses: dict[str, int] = {}


class Machine:
    """LLVM for this processor: ``width`` float32 fit into a vector register; ``name`` says what code depends on."""

    def __init__(self) -> None:
        try:
            import llvmlite
            import llvmlite.binding as llvm
        except ImportError as problem:
            raise MissingExtraError("compiled loops", "llvmlite", "fast") from problem
        self.llvm = llvm
        llvm.initialize_native_target()
        llvm.initialize_native_asmprinter()
        cpu, features = llvm.get_host_cpu_name(), llvm.get_host_cpu_features()
        self.features = {name for name, there in features.items() if there}
        target = llvm.Target.from_default_triple()
        self.target = target.create_target_machine(
            cpu=cpu, features=features.flatten(), opt=2, reloc="pic", codemodel="small"
        )
        self.width = 16 if "avx512f" in self.features else 8
        writers = [Path(__file__).with_name(f"{name}.py").read_bytes() for name in _WRITERS]
        described = (writers, llvmlite.__version__, llvm.llvm_version_info, target.triple, cpu, features.flatten())
        self.name = hashlib.sha256(repr(described).encode()).hexdigest()
        self.jit = llvm.create_lljit_compiler(self.target)
        self._kept: list[Any] = []

    @property
    def has_half(self) -> bool:
        """Whether float16 converts in hardware."""
        return "f16c" in self.features or "neon" in self.features

    def compiled(self, text: str) -> bytes:
        """The object file of an LLVM module."""
        llvm = self.llvm
        parsed = llvm.parse_assembly(text)
        parsed.triple = self.target.triple
        parsed.data_layout = str(self.target.target_data)
        options = llvm.create_pipeline_tuning_options(speed_level=2)
        options.loop_vectorization = options.slp_vectorization = options.loop_interleaving = False
        options.loop_unrolling = False
        builder = llvm.create_pass_builder(self.target, options)
        builder.getModulePassManager().run(parsed, builder)
        found: bytes = self.target.emit_object(parsed)
        return found

    def linked(self, name: str, data: bytes) -> int:
        """The address of function ``name`` of an object file."""
        builder = self.llvm.JITLibraryBuilder().add_object_img(data).export_symbol(name).add_current_process()
        tracker = builder.link(self.jit, f"{name} {len(self._kept)}")
        self._kept.append(tracker)
        address: int = tracker[name]
        return address


@functools.cache
def machine() -> Machine:
    """LLVM for this processor, set up once; MissingExtraError where llvmlite is not installed."""
    return Machine()


def key_of(text: str) -> str:
    """What names the machine code of a kernel that prints as ``text``."""
    return hashlib.sha256(f"{machine().name}\n{text}".encode()).hexdigest()


def address_of(kernel: Kernel, text: str, key: str) -> int:
    """The address of a kernel's machine code: from this process, from the disk, or compiled and kept there."""
    return native_code(key, lambda name: module(kernel, name, machine().width))


def native_code(key: str, source: Any) -> int:
    """The address of function ``k_<key>`` of the LLVM module that ``source(name)`` writes."""
    with _lock:  # LLVM's context is one for all threads
        found = _addresses.get(key)
        if found is None:
            name = f"k_{key[:32]}"
            data = cache.load(key)
            if data is None:
                data = machine().compiled(source(name))
                cache.store(key, data)
            found = _addresses[key] = machine().linked(name, data)
        return found


__all__ = ["Machine", "address_of", "key_of", "machine", "native_code", "text_of"]
