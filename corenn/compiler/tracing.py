"""Tracing: running ops on a device that records them.

A *recording device* stands for a real one.  Its arrays are ``Symbol``s, and the kernel of every op appends an
instruction to the trace that is current.  So everything that runs eagerly (composite functions, gradient tapes, the
rules of the op table) is specialised into a program by running it once, unchanged, on tensors of that device.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from corenn import dtypes, tree
from corenn.backend.contract import Backend
from corenn.compiler.program import Call, Instruction, Symbol, UnknownValueError
from corenn.device import Device
from corenn.dtypes import DType
from corenn.ops.dispatch import Plan, _interpreter, make_plan
from corenn.ops.table import Op
from corenn.spec import Spec
from corenn.tensor import Tensor

#: Results of at most so many elements are computed while tracing when all operands are constants.
_FOLDED = 65536


class Trace:
    """Instructions as they are recorded; ``where`` is the operation they are recorded for."""

    __slots__ = ("instructions", "where")

    def __init__(self, where: Any = None) -> None:
        self.instructions: list[Instruction] = []
        self.where = where


_trace: ContextVar[Trace | None] = ContextVar("corenn_trace", default=None)


class RecordingBackend(Backend):
    """The backend of recording devices: offers what its target offers, and computes nothing but constants."""

    records = True

    def __init__(self, target: Device) -> None:
        self.target = target
        self.name = f"program for {target.name}"
        self.xp = target.backend.xp

    def from_host(self, array: np.ndarray[Any, Any], index: int) -> Symbol:
        """A constant."""
        spec = Spec(array.shape, dtypes.as_dtype(array.dtype), self.target)
        return Symbol(spec, self.target.backend.from_host(array, self.target.index))

    def to_host(self, array: Any) -> np.ndarray[Any, Any]:
        """The value of a constant; UnknownValueError for anything else."""
        if not array.constant:
            raise UnknownValueError(
                "trace", "a value is needed that is only known when the program runs", {"value": array},
                hint="keep to corenn ops; corenn.cond and corenn.while_loop decide by values",
            )  # fmt: skip
        found: np.ndarray[Any, Any] = self.target.backend.to_host(array.array)
        return found

    def dtypes(self) -> frozenset[DType]:
        """Those of the target."""
        return self.target.backend.offered

    def dtype(self, dtype: DType) -> Any:
        """That of the target."""
        return self.target.backend.dtype(dtype)

    def device_handle(self, index: int) -> Any:
        """That of the target."""
        return self.target.handle

    def plan(
        self, op: Op, inputs: Sequence[Spec | None], attrs: Mapping[str, Any], device: Device
    ) -> Callable[..., Any]:
        """A function that records calls of ``op``."""
        target = self.target
        attrs = {  # gradient rules take devices from specs, which say the recording one
            k: v.backend.target if isinstance(v, Device) and isinstance(v.backend, RecordingBackend) else v
            for k, v in attrs.items()
        }
        placed = tuple(None if s is None else s.at(target) for s in inputs)
        return functools.partial(_record, make_plan(op, placed, attrs, target))


def _record(plan: Plan, *symbols: Symbol | None) -> Any:
    single = plan.op.results is None
    if all(s is None or s.constant for s in symbols) and _small(plan):
        result = plan.run(*[None if s is None else s.array for s in symbols])
        many = (result,) if single else result
        found = [
            Symbol(s if None not in s.shape else s.shaped(tuple(a.shape)), a)
            for s, a in zip(plan.specs, many, strict=True)
        ]
    else:
        if any(None in s.shape for s in plan.specs):
            raise UnknownValueError(
                plan.op.name, "the shape of its result depends on values", {"result": plan.specs[0].at(None)}
            )
        trace = _trace.get()
        if trace is None:
            raise UnknownValueError(plan.op.name, "no program is being traced")
        found = [Symbol(s) for s in plan.specs]
        trace.instructions.append(Call(plan, symbols, found, trace.where))
    return found[0] if single else tuple(found)


def _small(plan: Plan) -> bool:
    return all(None in s.shape or s.size <= _FOLDED for s in plan.specs)


_devices: dict[Device, Device] = {}


def recording_device(target: Device) -> Device:
    """The recording device that stands for ``target``."""
    found = _devices.get(target)
    if found is None:
        found = _devices[target] = Device(RecordingBackend(target), 0)
    return found


def tensor_of(symbol: Symbol, device: Device) -> Tensor:
    """A tensor on a recording device."""
    return Tensor(symbol, symbol.spec.at(device))


@contextmanager
def recording(trace: Trace, device: Device) -> Iterator[None]:
    """Record what ops do in the block; new tensors go to the recording device ``device``."""
    tracing, interpreting = _trace.set(trace), _interpreter.set(None)
    try:
        with device:
            yield
    finally:
        _interpreter.reset(interpreting)
        _trace.reset(tracing)


def outline(function: Callable[..., Any], specs: Sequence[Spec]) -> list[Spec]:
    """The specs of what ``function`` returns for tensors of these specs, found by tracing it."""
    from corenn.device import current_device

    here = current_device()
    target = here.backend.target if isinstance(here.backend, RecordingBackend) else here
    device = recording_device(target)
    with recording(Trace(), device):
        result = function(*[tensor_of(Symbol(s.at(target)), device) for s in specs])
    return [leaf.spec.at(None) for leaf in tree.leaves(result) if isinstance(leaf, Tensor)]


__all__ = ["RecordingBackend", "Trace", "outline", "recording", "recording_device", "tensor_of"]
