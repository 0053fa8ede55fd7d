"""Checks of one op on one sample: values against the reference, gradients against differences, errors against texts.

Each check returns ``None``, or a sentence saying what is wrong; the conformance kit and the test suite share them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from corenn import dtypes
from corenn.autodiff.checker import check_gradients
from corenn.device import Device
from corenn.dtypes import DType
from corenn.errors import CorennError, GradientError
from corenn.ops.creation import tensor
from corenn.ops.dispatch import Plan, find
from corenn.ops.sampling import ErrorSample, Sample
from corenn.ops.table import TABLE, Op
from corenn.tensor import Tensor
from corenn.testing.compare import difference
from corenn.testing.tolerances import EXACT, GRADIENT, forward


def dtypes_under_test(op: Op, sample: Sample, offered: frozenset[DType]) -> list[DType]:
    """The dtypes a sample is tried in: those its free operands accept and the backend offers.

    One entry, float32, for a sample whose operands all have a dtype of their own.
    """
    free = [p for p, a in zip(_parameters(op, sample), sample.args, strict=True) if a is not None and a.dtype is None]
    if not free:
        return [dtypes.float32]
    common = frozenset.intersection(*(op.accepted(p) for p in free)) & offered
    return sorted((d for d in common if d.is_inexact), key=lambda d: (d.kind, d.itemsize, d.name))


def _parameters(op: Op, sample: Sample) -> list[str]:
    return [op.tensors[i] if i < len(op.tensors) else op.variadic or "" for i in range(len(sample.args))]


def cases(op: Op, offered: frozenset[DType]) -> Iterator[tuple[int, Sample, DType]]:
    """All (sample number, sample, dtype) of an op."""
    for number, sample in enumerate(op.sample_list):
        for dtype in dtypes_under_test(op, sample, offered):
            yield number, sample, dtype


def call(op: Op, operands: list[Any], attrs: dict[str, Any], device: Device) -> Any:
    """Call an op on host arrays moved to ``device``."""
    with device:
        plan, tensors = find(op, tuple(None if a is None else tensor(a) for a in operands), attrs)
        return plan.execute(tensors)


def check_forward(op: Op, sample: Sample, dtype: DType, device: Device) -> str | None:
    """Value, shape and dtype of the result against inference and reference; operands must not change."""
    operands = sample.draw(op.name, dtype)
    with device:
        tensors = tuple(None if a is None else tensor(a) for a in operands)
        plan, ready = find(op, tensors, sample.attrs)
        result = plan.execute(ready)
    results = result if op.results is not None else (result,)
    for t, before in zip(tensors, operands, strict=True):
        if t is not None and before is not None and difference(t.numpy(), before, EXACT):
            return "the kernel changed an operand"
    for r, inferred in zip(results, plan.specs, strict=True):
        problem = _check_raw(r, inferred.shape, inferred.dtype)
        if problem is not None:
            return problem
    if op.reference_function is None:
        return None
    with np.errstate(all="ignore"):
        expected = op.reference_function(*[None if a is None else _widen(a) for a in operands], **_filled(op, sample.attrs))
    wanted = expected if op.results is not None else (expected,)
    for r, e in zip(results, wanted, strict=True):
        allowed = forward(r.dtype).scaled(math.sqrt(_terms(op, plan, r)))
        problem = difference(r.numpy(), np.asarray(e), allowed)
        if problem is not None:
            return problem
    return None


def _terms(op: Op, plan: Plan, result: Tensor) -> int:
    """How many terms an element of the result adds up."""
    if op.terms_function is not None:
        return max(1, op.terms_function(*plan.inputs, **plan.attrs))
    largest = max((s.size for s in plan.inputs if s is not None), default=1)
    return max(1, largest // max(1, result.size))


def _filled(op: Op, attrs: dict[str, Any]) -> dict[str, Any]:
    return {name: attrs.get(name, default) for name, default in op.attributes.items()}


def _check_raw(result: Tensor, shape: tuple[int | None, ...], dtype: DType) -> str | None:
    backend = result.device.backend
    raw_shape = tuple(result.data.shape)
    if len(raw_shape) != len(shape) or any(n is not None and n != m for n, m in zip(shape, raw_shape, strict=True)):
        return f"the kernel returned shape {raw_shape}, inference says {shape}"
    if backend.dtype_of(result.data) is not dtype:
        return f"the kernel returned {result.data.dtype}, inference says {dtype}"
    return None


def _widen(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if array.dtype.kind == "c":
        return array.astype(np.complex128)
    return array if array.dtype.kind in "biu" else array.astype(np.float64)


def has_gradient(op: Op, sample: Sample) -> bool:
    """Whether a sample is one to check gradients on."""
    possible = op.differentiable or op.decomposition is not None
    return possible and sample.grad and any(a is not None and a.dtype is None and 0 not in a.shape for a in sample.args)


def check_gradient(op: Op, sample: Sample, device: Device, order: int = 2) -> str | None:
    """First and second order gradients of an op by finite differences, in float64 where the backend has it."""
    from corenn import ops

    dtype = dtypes.float64 if dtypes.float64 in device.backend.offered else dtypes.float32
    accepted = dtypes_under_test(op, sample, device.backend.offered)
    if dtype not in accepted:
        return None
    operands = sample.draw(op.name, dtype)
    with device:
        tensors = [None if a is None else tensor(a) for a in operands]
        places = [i for i, (t, a) in enumerate(zip(tensors, sample.args, strict=True)) if t is not None and a is not None and a.dtype is None]
        function = op_function(op)

        def run(*moving: Tensor) -> Any:
            given = list(tensors)
            for place, value in zip(places, moving, strict=True):
                given[place] = value
            out = function(*given, **sample.attrs)
            return [ops.identity(o) for o in (out if isinstance(out, tuple) else (out,)) if o.dtype.is_inexact]

        try:
            check_gradients(run, *[tensors[i] for i in places], order=order, tolerance=GRADIENT[dtype])
        except GradientError as error:
            return str(error)
    return None


def op_function(op: Op) -> Any:
    """The public function of an op record."""
    return op.public


def check_error(op: Op, sample: ErrorSample, device: Device) -> str | None:
    """An error sample must raise its exception, with its text and the op's name in the message."""
    drawn = Sample(sample.args, {}).draw(op.name, dtypes.float32)
    try:
        call(op, list(drawn), sample.attrs, device)
    except sample.exception as error:
        text = str(error)
        if sample.message not in text:
            return f"the message lacks {sample.message!r}:\n{text}"
        if isinstance(error, CorennError) and op.name not in text:
            return f"the message does not name the op:\n{text}"
        return None
    except Exception as error:
        return f"{type(error).__name__} instead of {sample.exception.__name__}: {error}"
    return f"no error, where {sample.exception.__name__} ({sample.message!r}) was expected"


def check_declaration(op: Op) -> str | None:
    """What every op must have: a docstring, samples, a reference, a way to run, and gradients unless none is claimed."""
    if not op.doc.strip():
        return "no docstring"
    if not op.sample_list:
        return "no samples"
    if op.reference_function is None and op.decomposition is None:
        return "neither a reference nor a decomposition"
    if op.kernel_function is None and op.decomposition is None:
        return "neither a kernel nor a decomposition"
    claims = any(s.grad and any(a is not None and a.dtype is None for a in s.args) for s in op.sample_list)
    if claims and not op.differentiable and op.decomposition is None:
        return "samples claim a gradient (grad=True) but there is no rule"
    return None


def all_ops() -> list[Op]:
    """Every op of the table, by name."""
    return [TABLE[name] for name in sorted(TABLE)]
