"""Primitives one after another as a function of NumPy arrays, called from any thread.

What depends on shapes is made once: reorders where a primitive wants another layout than an array has, and the places
of temporaries in one block of memory, of which each thread of Python has its own.  A call takes a ``_Frame`` (memories
and arrays of arguments) from a list, or makes one, so that threads never share memories.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from corenn.dtypes import as_dtype
from corenn_onednn.dnnl import Arguments, Descriptor, Memory, Primitive, load
from corenn_onednn.dnnl.errors import check
from corenn_onednn.dnnl.primitives.elementwise import reorder

Array = np.ndarray[Any, Any]

_LINE = 64  # bytes of a cache line: where every temporary begins
_from_buffer: Any = ctypes.c_char.from_buffer
_address_of = ctypes.addressof


def address(array: Array) -> int:
    """Where an array's first element is.  The short way takes a quarter of the time, and not every array."""
    try:
        return _address_of(_from_buffer(array))
    except (TypeError, ValueError, BufferError):  # read-only, not contiguous, or a dtype without a buffer format
        return int(array.ctypes.data)


class _Scratch(threading.local):
    """A block of memory for each thread of Python, which grows to the largest that was asked for."""

    def __init__(self) -> None:
        self.block = np.empty(0, np.uint8)
        self.base = 0

    def at_least(self, count: int) -> int:
        """The block's address, a multiple of a cache line, with ``count`` bytes from there on."""
        if self.block.size < count + _LINE:
            self.block = np.empty(count + _LINE, np.uint8)
            self.base = -(-self.block.ctypes.data // _LINE) * _LINE
        return self.base


_scratch = _Scratch()


class Given(NamedTuple):
    """An array that is passed in: its name in the chain and how it lies."""

    name: str
    descriptor: Descriptor


class Result(NamedTuple):
    """An array that is returned: its name in the chain, how it lies, and its shape in NumPy."""

    name: str
    descriptor: Descriptor
    shape: tuple[int, ...]


class Stage(NamedTuple):
    """A primitive, and the names in the chain of what its arguments are; others have names of their own."""

    primitive: Primitive
    names: Mapping[str, str] = {}


class _Step(NamedTuple):
    """A stage or a reorder: argument to buffer."""

    primitive: Primitive
    buffers: Mapping[str, str]


class _Frame:
    """The memories of one call at a time, and what is executed: (primitive, count, address of the arguments)."""

    def __init__(self, steps: Sequence[_Step], given: Sequence[str], results: Sequence[str], layout: Any) -> None:
        memories: dict[str, Memory] = {}
        self.steps: list[tuple[int, int, int]] = []
        self._kept: list[Arguments] = []
        for primitive, buffers in steps:
            for argument, name in buffers.items():
                if name not in memories:
                    memories[name] = Memory(primitive.descriptors[argument])
            made = Arguments(primitive, {argument: memories[name] for argument, name in buffers.items()})
            self._kept.append(made)
            self.steps.append((primitive.handle, made.count, made.address))
        self.given = [memories[name].handle for name in given]
        self.results = [memories[name].handle for name in results]
        self.temporaries = [(memories[name].handle, offset) for name, offset in layout.items()]
        self.base = -1


class Chain:
    """``stages`` as a function of the arrays ``given`` that returns the ``results``, a tuple.

    Names that are neither given nor results are temporaries, scratchpads among them.  Arrays that are not dense are
    copied, unless ``dense`` is False: then they are taken to lie as their descriptors say.
    """

    def __init__(
        self, stages: Sequence[Stage], given: Sequence[Given], results: Sequence[Result], *, dense: bool = True
    ) -> None:
        self._library, self._dense, self._free = load(), dense, list[_Frame]()
        self._threads = self._library.limit or self._library.threads
        self._given, self._results = [g.name for g in given], [r.name for r in results]
        self._made = [(r.shape, as_dtype(r.descriptor.dtype).numpy) for r in results]
        self._steps = _with_reorders(stages, given, results)
        self._offsets, self._bytes = dict[str, int](), 0
        for primitive, buffers in self._steps:
            for argument, name in buffers.items():
                if name not in self._offsets and name not in (*self._given, *self._results):
                    self._offsets[name] = self._bytes
                    self._bytes += -(-primitive.descriptors[argument].bytes // _LINE) * _LINE

    def __call__(self, *arrays: Array) -> tuple[Array, ...]:
        """The results, as new arrays."""
        if self._dense:
            arrays = tuple([np.ascontiguousarray(array) for array in arrays])
        out = tuple([np.empty(shape, dtype) for shape, dtype in self._made])
        library = self._library
        if self._threads != library.threads:
            with library.limited(self._threads):
                self._run(library.stream(), arrays, out)
        else:
            self._run(library.stream(), arrays, out)
        return out

    def _run(self, stream: int, arrays: Sequence[Array], out: Sequence[Array]) -> None:
        place, execute = self._library.quick.dnnl_memory_set_data_handle, self._library.c.dnnl_primitive_execute
        try:
            frame = self._free.pop()
        except IndexError:
            frame = _Frame(self._steps, self._given, self._results, self._offsets)
        for handle, array in zip(frame.given, arrays, strict=True):
            place(handle, address(array))
        for handle, array in zip(frame.results, out, strict=True):
            place(handle, address(array))
        if self._bytes:
            base = _scratch.at_least(self._bytes)
            if frame.base != base:
                for handle, offset in frame.temporaries:
                    place(handle, base + offset)
                frame.base = base
        for step, (handle, count, arguments) in enumerate(frame.steps):
            status = execute(handle, stream, count, arguments)
            if status:
                check(status, self._steps[step].primitive.name, self._steps[step].primitive.descriptors)
        self._free.append(frame)

    def only(self, *arrays: Array) -> Array:
        """The one result by itself."""
        return self(*arrays)[0]


def _with_reorders(stages: Sequence[Stage], given: Sequence[Given], results: Sequence[Result]) -> list[_Step]:
    """The stages as steps over buffers, each of one layout: copies are made where layouts differ."""
    held = {g.name: (g.name, g.descriptor) for g in given}  # the buffer that has a value now, and its layout
    wanted = {r.name: r.descriptor for r in results}
    steps: list[_Step] = []

    def turned(name: str, source: str, before: Descriptor, target: str, after: Descriptor) -> None:
        primitive = reorder(before, after)
        spare = {"scratchpad": f"{target} scratchpad"} if primitive.scratchpad_bytes else {}
        steps.append(_Step(primitive, {"src": source, "dst": target, **spare}))

    for number, (primitive, names) in enumerate(stages):
        buffers: dict[str, str] = {}
        after: list[tuple[str, str, Descriptor]] = []
        for argument, descriptor in primitive.descriptors.items():
            name = names.get(argument, f"{argument} of stage {number}")
            if name in held:
                source, layout = held[name]
                if layout != descriptor:
                    target = f"{name} for stage {number}"
                    turned(name, source, layout, target, descriptor)
                    source = target
                buffers[argument] = source
            elif name in wanted and wanted[name] != descriptor:
                buffers[argument] = f"{name} as made"
                after.append((name, buffers[argument], descriptor))
                held[name] = (buffers[argument], descriptor)
            else:
                buffers[argument] = name
                held[name] = (name, descriptor)
        steps.append(_Step(primitive, buffers))
        for name, source, layout in after:
            turned(name, source, layout, name, wanted[name])
    return steps
