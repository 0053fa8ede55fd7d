"""From what a caller passed to what an op runs on: operands as tensors of promoted dtypes, attributes by name.

This is the slow path of ``dispatch``: it runs for the first call of each signature, and for operands that are no
tensors yet.  Here, too, tensors are made from numbers, lists and arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from corenn import dtypes
from corenn.advice import KEYWORDS
from corenn.device import Device, current_device
from corenn.dtypes import DType
from corenn.errors import AttributeValueError, BackendError, DTypeError, UnofferedDTypeError, UsageError, nearest
from corenn.ops.table import REQUIRED, Op
from corenn.spec import Spec
from corenn.tensor import _SCALARS, Tensor, host_array

# Constants kept on devices: a program whose scalars never repeat must not grow without bound.
_MOST_SCALARS = 4096


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
        here = KEYWORDS.get(unknown)
        if here in op.attributes:
            hint = f"it is called {here!r}"
        else:
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


Maker = Callable[[int, Any, DType | None], Tensor]


def convert_operands(op: Op, operands: tuple[Any, ...], make: Maker | None = None) -> list[Tensor | None]:
    """Tensors of all operands: arrays go to the device of the tensors beside them, Python scalars take their dtype.

    Where the tensors' dtype cannot hold a scalar (a float beside integers), they follow the scalar.
    ``make(position, value, dtype)`` makes tensors otherwise than by putting them on a device: as constants of a graph.
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
            converted.append(make(position, value, common) if make else _scalar(value, common, beside.device))
        else:
            try:
                if make is not None:
                    converted.append(make(position, value, None))
                else:
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


def common_device(op: Op, tensors: Sequence[Tensor | None]) -> Device:
    """Where all operands are, or the current device if there are none; BackendError where they are apart."""
    devices = {t.spec.device for t in tensors if t is not None}
    if len(devices) > 1:
        names = op.operand_names(len(tensors))
        shown = {n: f"{t.spec} on {t.device}" for n, t in zip(names, tensors, strict=True) if t is not None}
        first = next(t for t in tensors if t is not None)
        hint = f"move one of them: x.to({first.device.name!r})"
        raise BackendError(op.name, "the operands are on different devices", shown, hint=hint)
    found = devices.pop() if devices else None
    return found if found is not None else current_device()


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
                raise DTypeError(
                    "tensor", f"{value} does not fit in {dtype}", hint=f"it holds {info.min} to {info.max}"
                )
        host = np.asarray(value, dtype=dtype.numpy)
        found = Tensor(device.backend.from_host(host, device.index), Spec((), dtype, device))
        if len(_scalars) >= _MOST_SCALARS:
            _scalars.clear()
        _scalars[key] = found
    return found


def operand_beside(value: Any, tensor: Tensor) -> Any:
    """What an operator passes on for ``value``: beside a tensor on a device a tensor, if ``value`` is a Python scalar.

    A graph converts operands itself, and names the constants after the operation.
    """
    try:
        spec = tensor.spec
    except AttributeError:  # a graph tensor of unknown rank
        return value
    if isinstance(value, _SCALARS) and spec.device is not None and dtypes.weak_dtype(value, spec.dtype) is spec.dtype:
        return _scalar(value, spec.dtype, spec.device)
    return value


def scalar_beside(value: Any, tensor: Tensor) -> Any:
    """``value`` as a tensor, if it is a Python scalar that takes the dtype of ``tensor``; else ``value`` itself."""
    dtype = tensor.dtype
    if not isinstance(value, _SCALARS) or dtypes.weak_dtype(value, dtype) is not dtype:
        return value
    if not hasattr(tensor, "__corenn_op__"):
        return value if tensor.spec.device is None else _scalar(value, dtype, tensor.spec.device)
    from corenn.ops.dispatch import current

    constant = getattr(current(), "constant", None)  # of the graph that is being built
    return value if constant is None else constant(value, dtype)
