"""Checks of one op on one sample: values against the reference, gradients against differences, errors against texts.

Each check returns ``None``, or a sentence saying what is wrong, and raises ``NotHere`` where the backend lacks a dtype
it needs.  The conformance kit and the project's own tests are made of these.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from corenn import dtypes
from corenn.autodiff.checker import check_gradients
from corenn.autodiff.tape import GradientTape
from corenn.device import Device
from corenn.dtypes import DType
from corenn.errors import CorennError, GradientError
from corenn.ops.creation import tensor
from corenn.ops.dispatch import find
from corenn.ops.elementwise import where
from corenn.ops.families import binary, comparison, predicate, unary
from corenn.ops.logic import isfinite
from corenn.ops.sampling import ErrorSample, Sample, literal
from corenn.ops.sampling import sample as make_sample
from corenn.ops.table import REQUIRED, TABLE, Op
from corenn.tensor import Tensor
from corenn.testing.compare import bits_difference, difference
from corenn.testing.tolerances import GRADIENT, Tolerance, forward
from corenn.testing.trial import Host, NotHere, Trial, array_problem, is_free, needed, require_dtypes, strided


def all_ops() -> list[Op]:
    """Every op of the table, by name."""
    return [TABLE[name] for name in sorted(TABLE)]


# ---------------------------------------------------------------- which dtypes


def accepted_dtypes(op: Op, sample: Sample) -> list[DType]:
    """The dtypes a sample is tried in: those that all its free operands accept.

    One entry, float32, for a sample whose operands all have a dtype of their own.
    """
    if not is_free(sample):
        return [dtypes.float32]
    names = [op.tensors[i] if i < len(op.tensors) else op.variadic or "" for i in range(len(sample.args))]
    free = [n for n, a in zip(names, sample.args, strict=True) if a is not None and a.dtype is None]
    common = frozenset.intersection(*(op.accepted(n) for n in free))
    fitting = [d for d in common if d.kind in sample.kinds]
    return sorted(fitting, key=lambda d: ("fiubc".index(d.kind), d.itemsize, d.name))


def dtypes_under_test(op: Op, sample: Sample, offered: frozenset[DType]) -> list[DType]:
    """``accepted_dtypes`` that a backend offers."""
    return [d for d in accepted_dtypes(op, sample) if d in offered]


def cases(op: Op, offered: frozenset[DType]) -> Iterator[tuple[int, Sample, DType]]:
    """All (sample number, sample, dtype) of an op on a backend that offers these dtypes."""
    for number, sample in enumerate(op.sample_list):
        if all(d in offered for d in needed(sample, dtypes.float32) if d is not dtypes.float32):
            for dtype in dtypes_under_test(op, sample, offered):
                yield number, sample, dtype


# ---------------------------------------------------------------- values


def check_forward(op: Op, sample: Sample, dtype: DType, device: Device, *, views: bool = False) -> str | None:
    """Value, shape and dtype of the result against inference and reference; operands must not change.

    ``views``: on operands that are strided views of larger arrays.
    """
    trial = Trial(op, sample, dtype, device, strided if views else tensor)
    results = trial.run()
    return trial.wrong(results) or trial.changed()


def check_repeat(op: Op, sample: Sample, dtype: DType, device: Device) -> str | None:
    """Two runs on the same operands must give the same bits."""
    trial = Trial(op, sample, dtype, device)
    for first, second in zip(trial.run(), trial.run(), strict=True):
        problem = bits_difference(second.numpy(), first.numpy())
        if problem is not None:
            return f"two runs on the same operands differ: {problem}"
    return None


def check_sources(op: Op, sample: Sample, dtype: DType, device: Device) -> str | None:
    """The backend's kernels, the shared kernel and the decomposition: each right, and equal to the one dispatch takes.

    Raises NotHere when only one of them serves the operands.
    """
    trial = Trial(op, sample, dtype, device)
    preferred, count = "", 0
    results: tuple[Tensor, ...] = ()
    for name, run in trial.sources():
        count += 1
        found = run()
        problem = trial.wrong(found) or trial.changed()
        if problem is not None:
            return f"{name}: {problem}"
        if not preferred:
            preferred, results = name, found
            continue
        for mine, first in zip(found, results, strict=True):
            allowed = forward(mine.dtype).scaled(2 * math.sqrt(trial.terms(mine)))
            problem = difference(mine.numpy(), first.numpy(), allowed)
            if problem is not None:
                return f"{name} against {preferred}: {problem}"
    if count < 2:
        raise NotHere(f"{preferred} alone serves these operands")
    return None


def check_placed(op: Op, sample: Sample, dtype: DType, device: Device, other: Device) -> str | None:
    """Operands on ``device`` while ``other`` is the current one: results and gradients must stay on ``device``."""
    trial = Trial(op, sample, dtype, device)
    with other:
        found = op.public(*trial.tensors, **sample.attrs)
        results = found if op.results is not None else (found,)
        if has_gradient(op, sample):
            results = (*results, *(g for g in gradients(op, sample, trial.tensors) if g is not None))
    for r in results:
        if r.device is not device:
            return f"the operands are on {device} and a result is on {r.device}"
        where, handle = getattr(r.data, "device", None), device.handle
        if where is not None and handle is not None and where != handle:
            return f"the operands are on {device} and the array of a result is on {where}"
    return trial.wrong(results[: len(trial.plan.specs)])


_ELEMENTWISE = (unary, predicate, binary, comparison)
_SPECIAL = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0])


def special_sample(op: Op) -> Sample | None:
    """NaN, infinities and signed zeros, for two operands against one another.

    ``None`` unless the op is of an elementwise family without attributes to choose.
    """
    if op.family not in _ELEMENTWISE or op.variadic or op.optional or REQUIRED in op.attributes.values():
        return None
    args = (literal(_SPECIAL), literal(_SPECIAL[:, None])) if len(op.tensors) == 2 else (literal(_SPECIAL),)
    return make_sample(*args, grad=False, name="special", kinds="f") if len(args) == len(op.tensors) else None


def check_special(op: Op, special: Sample, dtype: DType, device: Device) -> str | None:
    """On special values: finite and infinite results as the reference has them, NaN where a NaN operand makes it NaN.

    Where the reference is NaN although no operand is (an intermediate result of it is not finite) nothing is claimed;
    where it makes a number of a NaN, NaN is as good.
    """
    trial = Trial(op, special, dtype, device)
    with np.errstate(all="ignore"):
        result = trial.run()[0].numpy()
    try:
        expected = trial.expected()
    except (ValueError, OverflowError, ZeroDivisionError) as error:
        raise NotHere(f"the reference is not defined on NaN and infinities: {error}") from error
    if expected is None:
        raise NotHere("the op has no reference")
    nan = functools.reduce(np.logical_or, [np.isnan(a.astype(np.float64)) for a in trial.operands if a is not None])
    wanted = np.broadcast_to(expected[0], result.shape).copy()
    if wanted.dtype.kind == "f":
        unclaimed = (np.isnan(wanted) & ~nan) | (nan & np.isnan(result))
        wanted[unclaimed] = result[unclaimed]
    return difference(result, wanted, forward(dtype))


#: Other shapes for the samples of elementwise ops: none, one, and many elements (a prime number, past the blocks and
#: vectors that fast kernels work in).
RESIZED = {"empty": (2, 0), "scalar": (), "large": (40_007,)}


def resizable_sample(op: Op) -> Sample | None:
    """The first sample of an elementwise op whose operands can be repeated to any shape; ``None`` for other ops."""
    fitting = (s for s in op.sample_list if is_free(s) and all(a is not None and 0 not in a.shape for a in s.args))
    return next(fitting, None) if op.family in _ELEMENTWISE else None


def check_resized(op: Op, sample: Sample, dtype: DType, device: Device, shape: tuple[int, ...]) -> str | None:
    """A sample repeated to ``shape`` must give its values, repeated: kernels work in blocks, and blocks have ends."""
    drawn = [a for a in Trial(op, sample, dtype, device).operands if a is not None]
    flat = [np.ravel(a) for a in np.broadcast_arrays(*drawn)]
    with device:
        expected = op.public(*map(tensor, flat), **sample.attrs)
        result = op.public(*[tensor(np.resize(a, shape)) for a in flat], **sample.attrs)
    return array_problem(result, shape, expected.dtype) or difference(
        result.numpy(), np.resize(expected.numpy(), shape), forward(dtype)
    )


# ---------------------------------------------------------------- gradients


def has_gradient(op: Op, sample: Sample) -> bool:
    """Whether a sample is one to check gradients on."""
    possible = op.differentiable or op.decomposition is not None
    return possible and sample.grad and any(a is not None and a.dtype is None and 0 not in a.shape for a in sample.args)


def _moving(sample: Sample) -> list[int]:
    """Positions of the operands that gradients are taken by."""
    return [i for i, a in enumerate(sample.args) if a is not None and a.dtype is None]


def check_gradient(op: Op, sample: Sample, device: Device, order: int = 2) -> str | None:
    """First and second order gradients of an op by finite differences, in float64."""

    tensors, places = _operands(op, sample, dtypes.float64, device)

    def run(*moving: Tensor) -> Any:
        given = list(tensors)
        for place, value in zip(places, moving, strict=True):
            given[place] = value
        out = op.public(*given, **sample.attrs)
        floating = [o for o in (out if isinstance(out, tuple) else (out,)) if o.dtype.is_inexact]
        return [where(isfinite(o), o, 0) for o in floating]  # an empty maximum is -inf and moves nowhere

    with device:
        try:
            check_gradients(run, *[tensors[i] for i in places], order=order, tolerance=GRADIENT[dtypes.float64])
        except GradientError as error:
            return str(error)
    return None


def check_gradient_values(op: Op, sample: Sample, device: Device, exact: Device) -> str | None:
    """First and second order gradients in float32 against those in float64, by the same rules, on the device ``exact``.

    Most work is done in float32, perhaps by other kernels than those that ``check_gradient`` sees.  ``exact`` is the
    same device, or one of another backend where this one has no float64 and differences would be too coarse.
    """
    narrow, places = _operands(op, sample, dtypes.float32, device)
    with exact:
        wide = tuple(
            None if t is None else tensor(t.numpy(), dtype=dtypes.float64 if i in places else t.dtype)
            for i, t in enumerate(narrow)
        )
    for order in (1, 2):
        found, wanted = (gradients(op, sample, given, order) for given in (narrow, wide))
        for place, mine, right in zip(places, found, wanted, strict=True):
            problem = _gradient_difference(mine, right)
            if problem is not None:
                return f"order {order}, the gradient of operand {place} in float32, against float64: {problem}"
    return None


def _operands(op: Op, sample: Sample, dtype: DType, device: Device) -> tuple[tuple[Tensor | None, ...], list[int]]:
    """A sample's operands on a device, and the places of those that gradients are taken by."""
    if dtype not in accepted_dtypes(op, sample):
        raise NotHere(f"does not take {dtype}")
    require_dtypes(needed(sample, dtype), device)
    with device:
        return tuple(None if a is None else tensor(a) for a in sample.draw(op.name, dtype)), _moving(sample)


def _gradient_difference(mine: Tensor | None, right: Tensor | None) -> str | None:
    if mine is None or right is None:
        return None if mine is right else f"there is one only in float{64 if mine is None else 32}"
    if mine.dtype is not dtypes.float32:
        return f"it is {mine.dtype}"
    wanted, allowed = right.numpy(), GRADIENT[dtypes.float32]
    scale = max(1.0, float(np.max(np.abs(wanted), initial=0.0)))
    return difference(mine.numpy(), wanted, Tolerance(allowed.rtol, allowed.atol * scale))


def gradients(op: Op, sample: Sample, tensors: tuple[Tensor | None, ...], order: int = 1) -> list[Tensor | None]:
    """Gradients of a weighted sum of an op's results by the operands of the dtype under test.

    For order 2, of a weighted sum of those gradients.  The device need not be the current one.
    """
    moving = [t for i in _moving(sample) if (t := tensors[i]) is not None]
    with GradientTape() as tape:
        tape.watch(moving)
        if order > 1:
            targets = [g for g in gradients(op, sample, tensors, order - 1) if g is not None]
        else:
            found = op.public(*tensors, **sample.attrs)
            targets = [o for o in (found if isinstance(found, tuple) else (found,)) if o.dtype.is_inexact]
    generator = np.random.Generator(np.random.Philox(order))
    seeds = [tensor(generator.uniform(0.5, 1.5, o.shape), dtype=o.dtype, device=o.device) for o in targets]
    return list(tape.gradient(targets, moving, seeds))


# ---------------------------------------------------------------- errors and declarations


def check_error(op: Op, sample: ErrorSample, device: Device) -> str | None:
    """An error sample must raise its exception, with its text and the op's name in the message."""
    as_sample = Sample(sample.args, sample.attrs)
    require_dtypes(needed(Sample(sample.args, {}), dtypes.float32), device)
    drawn: list[Host | None] = as_sample.draw(op.name, dtypes.float32)
    try:
        with device:
            plan, tensors = find(op, tuple(None if a is None else tensor(a) for a in drawn), sample.attrs)
            plan.execute(tensors)
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
    """What every op must have: docstring, samples, reference, a way to run, and the gradients its samples claim."""
    if not op.doc.strip():
        return "no docstring"
    if not op.sample_list:
        return "no samples"
    if op.reference_function is None and op.decomposition is None:
        return "neither a reference nor a decomposition"
    if op.kernel_function is None and op.decomposition is None:
        return "neither a kernel nor a decomposition"
    claims = any(s.grad and is_free(s) for s in op.sample_list)
    if claims and not op.differentiable and op.decomposition is None:
        return "samples claim a gradient (grad=True) but there is no rule"
    if not any(accepted_dtypes(op, s) for s in op.sample_list):
        return "no dtype is accepted by all operands of any sample"
    return None
