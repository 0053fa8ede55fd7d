"""Running primitives: memories at addresses, the arguments of a call, the call."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Mapping
from typing import Any

import numpy as np

from corenn_onednn.dnnl import constants
from corenn_onednn.dnnl.descriptors import Descriptor
from corenn_onednn.dnnl.errors import DnnlError, check
from corenn_onednn.dnnl.library import load
from corenn_onednn.dnnl.primitive import Primitive
from corenn_onednn.dnnl.signatures import ExecutionArgument


class Memory:
    """Memory of a descriptor at an address, which whoever gave the address keeps alive.

    ``handle`` is the ``dnnl_memory_t``; ``set`` moves it to another address.
    """

    __slots__ = ("__weakref__", "address", "descriptor", "handle")

    def __init__(self, descriptor: Descriptor, address: int = 0) -> None:
        library, made = load(), ctypes.c_void_p()
        self.descriptor, self.address = descriptor, address
        status = library.c.dnnl_memory_create(ctypes.byref(made), descriptor.handle, library.engine, address or None)
        check(status, "memory", {"descriptor": descriptor})
        self.handle = int(made.value or 0)
        weakref.finalize(self, library.c.dnnl_memory_destroy, self.handle).atexit = False

    def set(self, address: int) -> None:
        """Let it be the memory at ``address``."""
        load().quick.dnnl_memory_set_data_handle(self.handle, address)
        self.address = address


class Arguments:
    """The memories for one call of a primitive, by argument name, as the array that the C function takes.

    ``address`` and ``count`` go to ``dnnl_primitive_execute``; the object, and so its memories, must outlive the call.
    Raises DnnlError where one is missing, is not an argument, or is laid out in another way than the primitive wants.
    """

    __slots__ = ("_array", "address", "count", "memories")

    def __init__(self, primitive: Primitive, memories: Mapping[str, Memory]) -> None:
        wanted = primitive.descriptors
        if wanted.keys() != memories.keys():
            names = {
                "missing": sorted(wanted.keys() - memories.keys()),
                "unknown": sorted(memories.keys() - wanted.keys()),
            }
            raise DnnlError(f"oneDNN {primitive.name}", "the arguments are not those of the primitive", names)
        for name, memory in memories.items():
            if memory.descriptor != wanted[name]:
                operands = {name: memory.descriptor, "wanted": wanted[name]}
                raise DnnlError(f"oneDNN {primitive.name}", "a memory has another layout", operands, hint="reorder it")
        self.memories = dict(memories)
        each = [ExecutionArgument(constants.argument(name), memory.handle) for name, memory in memories.items()]
        self._array = (ExecutionArgument * len(each))(*each)
        self.address, self.count = ctypes.addressof(self._array), len(each)


def execute(primitive: Primitive, arguments: Arguments, stream: int | None = None) -> None:
    """Run a primitive and wait for it.  The interpreter lock is released meanwhile."""
    library = load()
    stream = library.stream() if stream is None else stream
    status = library.c.dnnl_primitive_execute(primitive.handle, stream, arguments.count, arguments.address)
    # A stream of CPU threads runs in the caller; the wait is for runtimes that queue (threadpool).
    status = status or library.c.dnnl_stream_wait(stream)
    if status:
        check(status, primitive.name, {name: m.descriptor for name, m in arguments.memories.items()})


def run(primitive: Primitive, buffers: Mapping[str, Any]) -> None:
    """Run a primitive on NumPy arrays, addresses or memories by argument name.

    An array's bytes are taken as they lie from its first element on: its layout must be that of the descriptor.  A
    scratchpad is made where one is needed and none is given.
    """
    memories = {
        name: Memory(primitive.descriptors[name], buffer.ctypes.data if isinstance(buffer, np.ndarray) else int(buffer))
        if not isinstance(buffer, Memory)
        else buffer
        for name, buffer in buffers.items()
    }
    scratchpad = None
    if primitive.scratchpad_bytes and "scratchpad" not in memories:
        scratchpad = np.empty(primitive.scratchpad_bytes, np.uint8)
        memories["scratchpad"] = Memory(primitive.descriptors["scratchpad"], scratchpad.ctypes.data)
    execute(primitive, Arguments(primitive, memories))
