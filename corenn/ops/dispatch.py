"""Dispatch: from a call of an op to a kernel, with as little in between as Python allows.

An op asks the current *interpreter* (a ``ContextVar``): ``None`` means run now; a tape or a graph under construction
is an object called with ``(op, args, attrs)``.  Running now is one dictionary look-up: the specs of the operands
(interned, so they hash by identity) and the attributes name a *plan* made the first time they were seen, which holds
the chosen kernel and the spec of the result.  Inference, promotion, defaults and error messages cost nothing after
that.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any, Protocol

import numpy as np

from corenn import dtypes
from corenn.device import Device, _current as _current_device, current_device, device_of
from corenn.dtypes import DType
from corenn.errors import (
    AttributeValueError,
    BackendError,
    DTypeError,
    KernelMissing,
    UnofferedDTypeError,
    UsageError,
    nearest,
)
from corenn.ops.table import REQUIRED, Call, Op
from corenn.spec import Spec
from corenn.tensor import _SCALARS, Tensor, host_array


class Interpreter(Protocol):
    """What gives an op's call its meaning while it is current: a tape, or a graph under construction."""

    def __call__(self, op: Op, args: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        """Run or record one call; ``args`` may still hold Python scalars and arrays."""


_interpreter: ContextVar[Interpreter | None] = ContextVar("corenn_interpreter", default=None)
current = _interpreter.get

# A program that never repeats a signature (a slice that moves, say) must not grow without bound.
_MOST_PLANS = 4096


class Plan:
    """What to do for one op on operands of one set of specs and attributes.

    ``run(*arrays)`` is the kernel; ``spec`` the result's spec when there is just one result and its shape is known
    beforehand, else ``None``, and ``specs`` has one for each result (extents may be ``None``).
    """

    __slots__ = ("attrs", "device", "inputs", "op", "run", "source", "spec", "specs")

    def __init__(
        self, op: Op, inputs: tuple[Spec | None, ...], attrs: dict[str, Any], specs: tuple[Spec, ...], device: Device
    ) -> None:
        self.op, self.inputs, self.attrs, self.specs, self.device = op, inputs, attrs, specs, device
        run, self.source = choose_kernel(op, inputs, attrs, specs, device)
        self.run = device.backend.bind(run, device.index)
        self.spec = specs[0] if op.results is None and None not in specs[0].shape else None

    def execute(self, args: Sequence[Tensor | None]) -> Any:
        """Run on tensors; returns a tensor, or a tuple of them for an op with several results."""
        result = self.run(*[None if a is None else a.data for a in args])
        if self.spec is not None:
            return Tensor(result, self.spec)
        return self.wrap(result)

    def wrap(self, result: Any) -> Any:
        """Tensors around the raw results of an op with several results, or with a shape known only now."""
        many = result if self.op.results is not None else (result,)
        tensors = [
            Tensor(array, s if None not in s.shape else s.shaped(tuple(array.shape)))
            for array, s in zip(many, self.specs, strict=True)
        ]
        return tuple(tensors) if self.op.results is not None else tensors[0]


# ---------------------------------------------------------------- the public function of an op


def make_function(op: Op) -> Callable[..., Any]:
    """The function users call, shaped to the op's arity so that the common calls pack nothing they do not need."""
    plans = op.plans

    def slow(args: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
        symbolic = deferring(args)
        if symbolic is not None:
            return symbolic.__corenn_op__(op, args, attrs)
        plan, tensors = find(op, args, attrs)
        return plan.execute(tensors)

    def call(*args: Any, **attrs: Any) -> Any:
        interpreter = current()
        if interpreter is not None:
            return interpreter(op, args, attrs)
        try:
            plan = plans[(*([a.spec for a in args] or (current_device(),)), *attrs.items())]
        except (KeyError, AttributeError, TypeError):
            return slow(args, attrs)
        return plan.execute(args)

    def call_1(x: Any, /, *extra: Any, **attrs: Any) -> Any:
        interpreter = current()
        if interpreter is not None:
            return interpreter(op, (x, *extra), attrs)
        try:
            plan = plans[(x.spec, *extra, *attrs.items())]
        except (KeyError, AttributeError, TypeError):
            return slow((x, *extra), attrs)
        spec = plan.spec
        return Tensor(plan.run(x.data), spec) if spec is not None else plan.wrap(plan.run(x.data))

    def call_2(x: Any, y: Any, /, *extra: Any, **attrs: Any) -> Any:
        interpreter = current()
        if interpreter is not None:
            return interpreter(op, (x, y, *extra), attrs)
        try:
            plan = plans[(x.spec, y.spec, *extra, *attrs.items())]
        except (KeyError, AttributeError, TypeError):
            return slow((x, y, *extra), attrs)
        spec = plan.spec
        return Tensor(plan.run(x.data, y.data), spec) if spec is not None else plan.wrap(plan.run(x.data, y.data))

    def call_2_bare(x: Any, y: Any, /) -> Any:
        interpreter = current()
        if interpreter is not None:
            return interpreter(op, (x, y), {})
        try:
            plan = plans[x.spec, y.spec]
        except (KeyError, AttributeError, TypeError):
            return slow((x, y), {})
        return Tensor(plan.run(x.data, y.data), plan.spec)

    if op.variadic or op.optional or len(op.tensors) not in (1, 2):
        return call
    if len(op.tensors) == 1:
        return call_1
    return call_2 if op.attributes or op.results else call_2_bare


def deferring(args: tuple[Any, ...]) -> Any:
    """The operand, if any, that stands for a value still to be computed and records ops itself (``__corenn_op__``)."""
    for a in args:
        if hasattr(a, "__corenn_op__"):
            return a
        if isinstance(a, (list, tuple)):
            inner = deferring(tuple(a))
            if inner is not None:
                return inner
    return None


def find(op: Op, args: tuple[Any, ...], attrs: dict[str, Any]) -> tuple[Plan, Sequence[Tensor | None]]:
    """The plan for a call, and its operands as tensors (converted and promoted where they were not)."""
    try:
        if args:
            return op.plans[(*[a.spec for a in args], *attrs.items())], args
        return op.plans[(current_device(), *attrs.items())], args
    except (KeyError, AttributeError, TypeError):
        pass
    if op.family.promote:  # Python scalars among the operands: most are constants that come by on every step
        beside = next((a for a in args if isinstance(a, Tensor)), None)
        if beside is not None:
            try:
                ready = [scalar_beside(a, beside) if a.__class__ in _SCALARS else a for a in args]
                return op.plans[(*[a.spec for a in ready], *attrs.items())], ready
            except (KeyError, AttributeError, TypeError):
                pass
    tensors, bound = prepare(op, args, attrs)
    device = _device_of(op, tensors)
    key = (*[None if t is None else t.spec for t in tensors], *([] if args else [device]), *bound.items())
    plan = op.plans.get(key)
    if plan is None:
        plan = make_plan(op, tuple(None if t is None else t.spec for t in tensors), bound, device)
        _remember(op, key, plan)
    if args and len(tensors) == len(args) and all(t is a for t, a in zip(tensors, args, strict=True)):
        try:
            _remember(op, (*[t.spec for t in args], *attrs.items()), plan)
        except (TypeError, AttributeError):  # unhashable attributes, absent tensors: found by the canonical key
            pass
    return plan, tensors


def _remember(op: Op, key: tuple[Any, ...], plan: Plan) -> None:
    if len(op.plans) >= _MOST_PLANS:
        op.plans.clear()
    op.plans[key] = plan


# ---------------------------------------------------------------- the slow path: binding, converting, promoting


def prepare(op: Op, args: tuple[Any, ...], attrs: dict[str, Any]) -> tuple[list[Tensor | None], dict[str, Any]]:
    """Operands as tensors of promoted dtypes, and every attribute, hashable; refuses what the op does not take."""
    operands = bind_operands(op, args)
    bound = bind_attributes(op, attrs)
    tensors = convert_operands(op, operands)
    if op.family.promote:
        tensors = promote_operands(op, tensors)
    return tensors, bound


def bind_attributes(op: Op, attrs: dict[str, Any]) -> dict[str, Any]:
    """All attributes of the op in declared order, defaults filled in, lists as tuples, dtype names as dtypes."""
    if attrs.keys() - op.attributes.keys():
        unknown = next(iter(attrs.keys() - op.attributes.keys()))
        hint = nearest(unknown, op.attributes) if op.attributes else f"{op.name} has no attributes"
        raise UsageError(op.name, f"there is no attribute {unknown!r}", hint=hint)
    bound = {}
    for name, default in op.attributes.items():
        value = attrs.get(name, default)
        if value is REQUIRED:
            raise UsageError(op.name, f"the attribute {name!r} is missing", hint=f"{op.name}(..., {name}=...)")
        bound[name] = dtypes.as_dtype(value) if name == "dtype" and value is not None else _hashable(op, name, value)
    return bound


def _hashable(op: Op, name: str, value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return tuple(_hashable(op, name, v) for v in value)
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return value.item()
    if isinstance(value, np.ndarray):
        return _hashable(op, name, value.tolist())
    if isinstance(value, Tensor):
        raise AttributeValueError(
            op.name, f"the attribute {name!r} must be a plain Python value, not a tensor", {name: value.spec},
            hint=f"{name}=int(t) or {name}=t.tolist()",
        )  # fmt: skip
    return value


def bind_operands(op: Op, args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The operands by position, absent optional ones as ``None``; UsageError for too few or too many."""
    fixed = len(op.tensors)
    if op.variadic:
        rest = args[fixed:]
        if len(rest) == 1 and isinstance(rest[0], list | tuple):  # concatenate([a, b]) as well as concatenate(a, b)
            args = (*args[:fixed], *rest[0])
    elif len(args) > fixed:
        names = list(op.attributes)
        extra = args[fixed]
        hint = f"{op.name}({', '.join(op.tensors)}, {names[0]}={extra!r})" if names else None
        what = f"takes {fixed} tensor{'s' * (fixed != 1)} but {len(args)} were given" + (
            "; attributes are given by name" if names else ""
        )
        raise UsageError(op.name, what, hint=hint)
    missing = op.tensors[len(args) :]
    if len(missing) > op.optional:
        raise UsageError(op.name, f"the operand {missing[0]!r} is missing", hint=f"{op.name}({', '.join(op.tensors)})")
    return (*args, *([None] * len(missing)))


def convert_operands(op: Op, operands: tuple[Any, ...]) -> list[Tensor | None]:
    """Tensors of all operands: arrays go to the device of the tensors beside them, Python scalars take their dtype.

    Where the tensors' dtype cannot hold a scalar (a float beside integers), they follow the scalar.
    """
    tensors = [a for a in operands if isinstance(a, Tensor)]
    beside = tensors[0] if tensors else None
    common: DType | None = None  # what scalars and tensors become
    if beside is not None and op.family.promote:
        common = max((t.dtype for t in tensors), key=_breadth)
        for value in operands:
            if isinstance(value, _SCALARS):
                common = dtypes.weak_dtype(value, common)
    converted: list[Tensor | None] = []
    for position, value in enumerate(operands):
        if value is None or isinstance(value, Tensor):
            if value is None and not 0 <= position - (len(op.tensors) - op.optional) < op.optional:
                name = op.operand_names(len(operands))[position]
                raise UsageError(op.name, f"the operand {name!r} is None", hint="pass a tensor, array or number")
            converted.append(value)
        elif beside is not None and common is not None and isinstance(value, _SCALARS):
            converted.append(_scalar(value, common, beside.device))
        else:
            try:
                converted.append(make_tensor(value, None, beside.device if beside is not None else None))
            except DTypeError as error:
                name = op.operand_names(len(operands))[position]
                raise type(error)(op.name, f"operand {name!r} {error.what}", {name: repr(value)[:80]}) from None
    if beside is not None and common is not None and all(_breadth(t.dtype)[0] < _breadth(common)[0] for t in tensors):
        return [t if t is None or t.dtype is common else _cast_to(t, common) for t in converted]
    return converted


def _breadth(dtype: DType) -> tuple[int, int]:
    """Order of dtypes by kind (bool, integers, floating, complex), then size."""
    return "buifc".index(dtype.kind) if dtype.kind != "u" else 2, dtype.itemsize


def _cast_to(tensor: Tensor, dtype: DType) -> Tensor:
    from corenn.ops.elementwise import cast

    return cast(tensor, dtype=dtype)


def promote_operands(op: Op, tensors: list[Tensor | None]) -> list[Tensor | None]:
    """Cast all operands to their common dtype; DTypeError where there is none."""
    found = {t.dtype for t in tensors if t is not None}
    if len(found) <= 1:
        return tensors
    common: DType | None = None
    for dtype in found:
        common = dtype if common is None else dtypes.promote(common, dtype)
        if common is None:
            break
    if common is None:
        names = op.operand_names(len(tensors))
        shown = {n: t.spec for n, t in zip(names, tensors, strict=True) if t is not None}
        target = max(found, key=_breadth)
        odd = next(n for n, t in zip(names, tensors, strict=True) if t is not None and t.dtype is not target)
        what = f"{' and '.join(sorted(d.name for d in found))} do not promote to a common dtype"
        raise DTypeError(op.name, what, shown, hint=f"corenn.cast({odd}, dtype={target.name!r})") from None
    return [t if t is None or t.dtype is common else _cast_to(t, common) for t in tensors]


def _device_of(op: Op, tensors: Sequence[Tensor | None]) -> Device:
    devices = {t.spec.device for t in tensors if t is not None}
    if len(devices) > 1:
        names = op.operand_names(len(tensors))
        shown = {n: f"{t.spec} on {t.device}" for n, t in zip(names, tensors, strict=True) if t is not None}
        first = next(t for t in tensors if t is not None)
        hint = f"move one of them: x.to({first.device.name!r})"
        raise BackendError(op.name, "the operands are on different devices", shown, hint=hint)
    found = devices.pop() if devices else None
    return found if found is not None else current_device()


# ---------------------------------------------------------------- planning


def infer(op: Op, inputs: tuple[Spec | None, ...], attrs: dict[str, Any]) -> tuple[Spec, ...]:
    """Specs of the results; puts ``attrs`` into canonical form.  Raises ShapeError, DTypeError, AttributeValueError."""
    call = Call(op, inputs, attrs)
    names = op.operand_names(len(inputs))
    for position, spec in enumerate(inputs):
        parameter = op.tensors[position] if position < len(op.tensors) else op.variadic or ""
        if spec is not None and spec.dtype not in op.accepted(parameter):
            raise _dtype_refused(call, names[position], spec.dtype, op.accepted(parameter))
    result = op.family.infer(call, *inputs)
    return (result,) if isinstance(result, Spec) else tuple(result)


def _dtype_refused(call: Call, name: str, given: DType, accepted: frozenset[DType]) -> DTypeError:
    kinds = [
        word
        for word, kind in (
            ("floating", dtypes.FLOATING), ("complex", dtypes.COMPLEX), ("integer", dtypes.INTEGER), ("bool", dtypes.BOOL)
        )
        if kind & accepted
    ]  # fmt: skip
    target = dtypes.float32 if dtypes.float32 in accepted else dtypes.int32 if dtypes.int32 in accepted else None
    hint = None
    if target is not None and given is not target:
        hint = f"corenn.cast({name.split('[')[0]}, dtype={target.name!r})"
    return call.dtype_error(f"takes {' or '.join(kinds)} elements, not {given.name}", hint, **{name: ""})


def make_plan(op: Op, inputs: tuple[Spec | None, ...], attrs: dict[str, Any], device: Device) -> Plan:
    """Infer, check that the backend offers the dtypes, choose the kernel."""
    canonical = dict(attrs)
    results = infer(op, inputs, canonical)
    offered = device.backend.offered
    for spec in (*inputs, *results):
        if spec is not None and spec.dtype not in offered:
            names = ", ".join(sorted(d.name for d in offered))
            raise UnofferedDTypeError(op.name, f"the {device} backend has no {spec.dtype}", hint=f"it offers {names}")
    placed = tuple(s if s.device is not None else s.at(device) for s in results)
    return Plan(op, inputs, canonical, placed, device)


def choose_kernel(
    op: Op, inputs: tuple[Spec | None, ...], attrs: dict[str, Any], results: tuple[Spec, ...], device: Device
) -> tuple[Callable[..., Any], str]:
    """The function over raw arrays that serves a call, and where it comes from: the first of ``kernel_sources``."""
    for found in kernel_sources(op, inputs, attrs, results, device):
        return found
    name = device.backend.name
    raise KernelMissing(op.name, f"the {name} backend has no kernel for it, and it has no decomposition")


def kernel_sources(
    op: Op, inputs: tuple[Spec | None, ...], attrs: dict[str, Any], results: tuple[Spec, ...], device: Device
) -> Iterator[tuple[Callable[..., Any], str]]:
    """Every function over raw arrays that can serve a call, and where each comes from, the preferred one first.

    In order: the backend's own kernels that do not decline ("backend"), the shared kernel ("shared"), the
    decomposition ("decomposition").  Operands of dtypes that the backend only stores are widened before, and the
    results rounded once after; an op that makes such a dtype of other operands (a conversion, a draw of random
    numbers) does so itself.
    """
    backend = device.backend
    if backend.computes_in and any(s is not None and s.dtype in backend.computes_in for s in inputs):
        yield from _widened(op, inputs, attrs, results, device)
        return
    raw = {k: backend.dtype(v) if isinstance(v, DType) else v for k, v in attrs.items()}
    for kernel in backend.kernels_for(op.name):
        if kernel.when is None or kernel.when(inputs, attrs):
            run = functools.partial(kernel.function, **raw) if raw else kernel.function
            yield _zero_d(run, op, results, backend.xp), "backend"
    shared = op.kernel_function
    if shared is not None:
        yield _zero_d(_bind_shared(shared, backend.xp, raw, device), op, results, backend.xp), "shared"
    if op.decomposition is not None:
        yield _composite(op, inputs, attrs, device), "decomposition"


def _widened(
    op: Op, inputs: tuple[Spec | None, ...], attrs: dict[str, Any], results: tuple[Spec, ...], device: Device
) -> Iterator[tuple[Callable[..., Any], str]]:
    """Compute in the wider dtype the backend names for a dtype it only stores, and round the results once."""
    backend = device.backend
    wider = backend.computes_in

    def widen(spec: Spec) -> Spec:
        return spec.of(wider.get(spec.dtype, spec.dtype))

    wide_attrs = {k: wider.get(v, v) if isinstance(v, DType) else v for k, v in attrs.items()}
    wide_inputs = tuple(None if s is None else widen(s) for s in inputs)
    astype, single = backend.xp.astype, op.results is None
    up = [backend.dtype(wider[s.dtype]) if s is not None and s.dtype in wider else None for s in inputs]
    down = [backend.dtype(s.dtype) if s.dtype in wider else None for s in results]

    def rounded(run: Callable[..., Any], *arrays: Any) -> Any:
        out = run(*[a if d is None else astype(a, d) for a, d in zip(arrays, up, strict=True)])
        many = (out,) if single else out
        narrow = tuple(r if d is None else astype(r, d) for r, d in zip(many, down, strict=True))
        return narrow[0] if single else narrow

    for run, source in kernel_sources(op, wide_inputs, wide_attrs, tuple(widen(s) for s in results), device):
        yield functools.partial(rounded, run), source


def _bind_shared(shared: Callable[..., Any] | str, xp: Any, raw: dict[str, Any], device: Device) -> Callable[..., Any]:
    if isinstance(shared, str):
        function = getattr(xp, shared)
        return functools.partial(function, **raw) if raw else function
    parameters = shared.__code__.co_varnames[: shared.__code__.co_argcount + shared.__code__.co_kwonlyargcount]
    if "device" in parameters:
        raw = {**raw, "device": device.handle}
    if "place" in parameters:
        raw = {**raw, "place": device}
    return functools.partial(shared, xp, **raw)


def _zero_d(run: Callable[..., Any], op: Op, results: tuple[Spec, ...], xp: Any) -> Callable[..., Any]:
    """NumPy returns scalars where the standard has 0-d arrays: make results of rank 0 arrays again."""
    if all(spec.shape for spec in results):
        return run
    asarray = xp.asarray
    if op.results is None:
        return lambda *arrays: asarray(run(*arrays))
    return lambda *arrays: tuple(asarray(r) for r in run(*arrays))


def _composite(
    op: Op, inputs: tuple[Spec | None, ...], attrs: dict[str, Any], device: Device
) -> Callable[..., Any]:
    decomposition = op.decomposition
    assert decomposition is not None  # the caller looked

    def run(*arrays: Any) -> Any:
        interpreting, placing = _interpreter.set(None), _current_device.set(device)
        try:
            tensors = [None if s is None else Tensor(a, s) for a, s in zip(arrays, inputs, strict=True)]
            result = decomposition(*tensors, **attrs)
        finally:
            _current_device.reset(placing)
            _interpreter.reset(interpreting)
        return tuple(t.data for t in result) if op.results is not None else result.data

    return run


# ---------------------------------------------------------------- making tensors

_scalars: dict[tuple[Any, ...], Tensor] = {}


def make_tensor(data: Any, dtype: DType | None, device: Device | None) -> Tensor:
    """A tensor holding a copy of ``data`` (numbers, nested lists, arrays, tensors) on ``device``."""
    where = device if device is not None else current_device()
    if data.__class__ in _SCALARS:
        return _scalar(data, dtype or dtypes.default_dtype(data), where)
    if isinstance(data, Tensor):
        return data if dtype is None or dtype is data.dtype else data.cast(dtype)
    host = host_array(data, dtype)
    try:
        known = dtypes.as_dtype(host.dtype)
    except DTypeError:
        raise DTypeError("tensor", f"cannot hold elements of type {host.dtype}") from None
    if known not in where.backend.offered:
        raise UnofferedDTypeError("tensor", f"the {where} backend has no {known}", hint="give dtype=")
    return Tensor(where.backend.from_host(host, where.index), Spec(host.shape, known, where))


def _scalar(value: Any, dtype: DType, device: Device) -> Tensor:
    """A 0-d constant; the same few scalars come by on every step, so they are kept on the device."""
    key = (value.__class__, value if value else repr(value), dtype, device)  # repr tells 0.0 from -0.0
    found = _scalars.get(key)
    if found is None:
        if dtype.is_integer:
            info = np.iinfo(dtype.numpy)
            if not info.min <= value <= info.max:
                raise DTypeError("tensor", f"{value} does not fit in {dtype}", hint="cast the tensor beside it first")
        host = np.asarray(value, dtype=dtype.numpy)
        found = Tensor(device.backend.from_host(host, device.index), Spec((), dtype, device))
        if len(_scalars) >= _MOST_PLANS:
            _scalars.clear()
        _scalars[key] = found
    return found


def scalar_beside(value: Any, tensor: Tensor) -> Any:
    """``value`` as a tensor, if it is a Python scalar that takes the dtype of ``tensor``; else ``value`` itself."""
    spec = tensor.spec
    if isinstance(value, _SCALARS) and spec.device is not None and dtypes.weak_dtype(value, spec.dtype) is spec.dtype:
        return _scalar(value, spec.dtype, spec.device)
    return value


def signature_of(op: Op) -> inspect.Signature:
    """The Python signature an op was declared with."""
    return inspect.signature(op.declaration)


__all__ = ["Interpreter", "Plan", "current", "device_of", "find", "infer", "make_function", "make_tensor", "prepare"]
