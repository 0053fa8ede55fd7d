"""Dispatch: from a call of an op to a kernel, with as little in between as Python allows.

An op asks the current *interpreter* (a ``ContextVar``): ``None`` means run now; a tape or a graph under construction
is an object called with ``(op, args, attrs)``.  Running now is one dictionary look-up: the specs of the operands
(interned, so they hash by identity) and the attributes name a *plan* made the first time they were seen, which holds
the chosen kernel and the spec of the result.  Inference, promotion, defaults and error messages cost nothing after
that.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any, Protocol

from corenn import dtypes
from corenn.device import Device, current_device
from corenn.device import _current as _current_device
from corenn.dtypes import DType
from corenn.errors import DTypeError, KernelMissing, UnofferedDTypeError
from corenn.ops.binding import common_device, prepare, scalar_beside
from corenn.ops.table import Call, Op
from corenn.spec import Spec
from corenn.tensor import _SCALARS, Tensor


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
            pass  # not from in here: an error of the slow path must not show this one as its context
        else:
            return plan.execute(args)
        return slow(args, attrs)

    def call_1(x: Any, /, *extra: Any, **attrs: Any) -> Any:
        interpreter = current()
        if interpreter is not None:
            return interpreter(op, (x, *extra), attrs)
        try:
            plan = plans[(x.spec, *extra, *attrs.items())]
        except (KeyError, AttributeError, TypeError):
            pass
        else:
            spec = plan.spec
            return Tensor(plan.run(x.data), spec) if spec is not None else plan.wrap(plan.run(x.data))
        return slow((x, *extra), attrs)

    def call_2(x: Any, y: Any, /, *extra: Any, **attrs: Any) -> Any:
        interpreter = current()
        if interpreter is not None:
            return interpreter(op, (x, y, *extra), attrs)
        try:
            plan = plans[(x.spec, y.spec, *extra, *attrs.items())]
        except (KeyError, AttributeError, TypeError):
            pass
        else:
            spec = plan.spec
            return Tensor(plan.run(x.data, y.data), spec) if spec is not None else plan.wrap(plan.run(x.data, y.data))
        return slow((x, y, *extra), attrs)

    def call_2_bare(x: Any, y: Any, /) -> Any:
        interpreter = current()
        if interpreter is not None:
            return interpreter(op, (x, y), {})
        try:
            plan = plans[x.spec, y.spec]
        except (KeyError, AttributeError, TypeError):
            pass
        else:
            return Tensor(plan.run(x.data, y.data), plan.spec)
        return slow((x, y), {})

    if op.variadic or op.optional or len(op.tensors) not in (1, 2):
        return call
    if len(op.tensors) == 1:
        return call_1
    return call_2 if op.attributes or op.results else call_2_bare


def deferring(args: tuple[Any, ...]) -> Any:
    """The operand, if any, that stands for a value still to be computed and records ops itself (``__corenn_op__``)."""
    for a in args:
        if hasattr(a.__class__, "__corenn_op__"):
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
    device = common_device(op, tensors)
    key = (*[None if t is None else t.spec for t in tensors], *([] if args else [device]), *bound.items())
    plan = op.plans.get(key)
    if plan is None:
        plan = make_plan(op, tuple(None if t is None else t.spec for t in tensors), bound, device)
        _remember(op, key, plan)
    if args and len(tensors) == len(args) and all(t is a for t, a in zip(tensors, args, strict=True)):
        # Calls with unhashable attributes or absent tensors are found by the canonical key alone.
        with contextlib.suppress(TypeError, AttributeError):
            _remember(op, (*[t.spec for t in args], *attrs.items()), plan)
    return plan, tensors


def _remember(op: Op, key: tuple[Any, ...], plan: Plan) -> None:
    if len(op.plans) >= _MOST_PLANS:
        op.plans.clear()
    op.plans[key] = plan


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
    words = (
        (dtypes.FLOATING, "floating"),
        (dtypes.COMPLEX, "complex"),
        (dtypes.INTEGER, "integer"),
        (dtypes.BOOL, "bool"),
    )
    kinds = [word for kind, word in words if kind & accepted]
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
    recorder = backend.plan(op, inputs, attrs, device)
    if recorder is not None:
        yield recorder, "recorded"
        return
    if backend.computes_in and any(s is not None and s.dtype in backend.computes_in for s in inputs):
        yield from _widened(op, inputs, attrs, results, device)
        return
    raw = {k: backend.dtype(v) if isinstance(v, DType) else v for k, v in attrs.items()}
    for kernel in backend.kernels_for(op.name):
        if kernel.when is not None and not kernel.when(inputs, attrs):
            continue
        if kernel.prepare is not None:
            yield kernel.prepare(inputs, raw), "backend"
        elif kernel.function is not None:
            run = functools.partial(kernel.function, **raw) if raw else kernel.function
            yield _zero_d(run, op, results, device), "backend"
    shared = op.kernel_function
    if shared is not None:
        yield _zero_d(_bind_shared(shared, backend.xp, raw, device), op, results, device), "shared"
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


def _zero_d(run: Callable[..., Any], op: Op, results: tuple[Spec, ...], device: Device) -> Callable[..., Any]:
    """NumPy returns scalars where the standard has 0-d arrays: make results of rank 0 arrays again."""
    # A tensor that is moved is another backend's array by then.
    if all(spec.shape or spec.device not in (None, device) for spec in results):
        return run
    asarray = device.backend.xp.asarray
    if op.results is None:
        return lambda *arrays: asarray(run(*arrays))
    return lambda *arrays: tuple(asarray(r) for r in run(*arrays))


def _composite(op: Op, inputs: tuple[Spec | None, ...], attrs: dict[str, Any], device: Device) -> Callable[..., Any]:
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


def signature_of(op: Op) -> inspect.Signature:
    """The Python signature an op was declared with."""
    return inspect.signature(op.declaration)
