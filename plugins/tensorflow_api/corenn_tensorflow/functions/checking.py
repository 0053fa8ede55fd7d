"""Assertions, printing, checks of numbers: ``tf.Assert``, ``tf.Print``, ``tf.debugging``."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

import corenn
from corenn import dtypes
from corenn.graph.kinds import HostCallKind
from corenn.graph.tensors import GraphTensor
from corenn.tensor import Tensor
from corenn_tensorflow import mode
from corenn_tensorflow.errors import InvalidArgumentError
from corenn_tensorflow.framework import as_dtype, convert_to_tensor, matching, static_shape
from corenn_tensorflow.functions.calling import operand
from corenn_tensorflow.shapes import TensorShape
from corenn_tensorflow.writing import writable


def shown(array: Any, summarize: int | None = 3) -> str:
    """An array as TensorFlow prints it: the first and last ``summarize`` of each axis."""
    array = np.asarray(array)
    if array.dtype == object:
        array = np.vectorize(lambda v: v.decode() if isinstance(v, bytes) else v, otypes=[object])(array)
    if not array.ndim:
        value = array[()]
        return str(value) if not isinstance(value, (float, np.floating)) else f"{value:.9g}".removesuffix(".0")
    most = -1 if summarize is None else summarize
    rows = [shown(row, summarize) for row in array] if most < 0 or len(array) <= 2 * most else [
        *[shown(row, summarize) for row in array[:most]], "...", *[shown(row, summarize) for row in array[-most:]],
    ]  # fmt: skip
    return "[" + ("\n " if array.ndim > 1 else " ").join(rows) + "]"


def _listed(array: Any, summarize: int | None) -> str:
    flat = np.asarray(array).reshape(-1)
    most = 3 if summarize is None else summarize
    parts = [v.decode() if isinstance(v, bytes) else f"{v:.9g}" if isinstance(v, (float, np.floating)) else str(v)
             for v in (flat if most < 0 else flat[:most])]  # fmt: skip
    return "[" + " ".join(parts) + ("..." if most >= 0 and flat.size > most else "") + "]"


def _host_operation(type_name: str, name: str | None, function: Callable[..., Any], inputs: list[Any]) -> Any:
    """An operation that calls ``function(*arrays)`` when the graph runs; eagerly, the call."""
    graph = mode.graph_for(inputs)
    given = [operand(i) for i in inputs]
    if graph is None:
        function(*[np.asarray(g.data if g.dtype is dtypes.string else g.numpy()) for g in given])
        return None
    with graph.as_default():
        kind = HostCallKind(function, False, type_name)
        return graph.add(kind, [graph.convert(g) for g in given], [], name=name or type_name)


@writable("Assert")
def _assert_held(held: Any, *values: Any, summarize: int | None) -> None:
    if not np.asarray(held).all():
        text = "\n".join(_listed(v, summarize) for v in values)
        raise InvalidArgumentError(None, None, f"assertion failed: {text}")


def Assert(condition: Any, data: Any, summarize: int | None = None, name: str | None = None) -> Any:
    """InvalidArgumentError when the graph runs (eagerly: now) unless the condition holds; shows ``data``."""
    inputs = [operand(condition), *[operand(d) for d in data]]
    return _host_operation("Assert", name or "Assert", functools.partial(_assert_held, summarize=summarize), inputs)


@writable("Print")
def _print_values(*values: Any, message: str, most: int, summarize: int | None, count: list[int]) -> None:
    """Print, at most ``most`` times; ``count`` is how often it was so far."""
    count[0] += 1
    if most < 0 or count[0] <= most:
        print(message + "".join(_listed(v, summarize) for v in values), file=sys.stderr)


def Print(
    input_: Any, data: Any, message: str | None = None, first_n: int | None = None, summarize: int | None = None,
    name: str | None = None,
) -> Any:  # fmt: skip
    """``input_``; whenever it is computed, prints ``message`` and ``data`` on standard error."""
    x, most = operand(input_), -1 if first_n is None else int(first_n)
    show = functools.partial(_print_values, message=message or "", most=most, summarize=summarize, count=[0])
    operation = _host_operation("Print", f"{name or 'Print'}/show", show, list(data))
    return _after(operation, x, name or "Print")


def _after(operation: Any, x: Any, name: str | None) -> Any:
    """``x``, once the operation has run."""
    if operation is None:
        return x
    with operation.graph.as_default(), operation.graph.control_dependencies([operation]):
        return mode.one("Identity", name, corenn.identity, x)


@writable("print")
def _print_line(*values: Any, texts: list[str], summarize: int | None, stream: Any) -> None:
    """The values between the texts, on a stream: "stdout", "stderr", the path of a file, or a file."""
    line = texts[0] + "".join(shown(v, summarize) + text for v, text in zip(values, texts[1:], strict=True))
    if isinstance(stream, str) and stream.startswith("file://"):
        with open(stream.removeprefix("file://"), "a", encoding="utf-8") as file:
            file.write(line)
    else:
        print(line, end="", file=getattr(sys, stream) if isinstance(stream, str) else stream)


def _texts(value: Any, texts: list[str], tensors: list[Any]) -> None:
    """Add what is printed of ``value`` to ``texts``, of which one ends, and another begins, where a tensor is."""
    if isinstance(value, Tensor):
        tensors.append(value)
        texts.append("")
    elif isinstance(value, (list, tuple, dict)):
        items: list[Any] = list(value.items()) if isinstance(value, dict) else list(value)
        texts[-1] += "[" if isinstance(value, list) else "(" if isinstance(value, tuple) else "{"
        for i, item in enumerate(items):
            texts[-1] += ", " if i else ""
            if isinstance(value, dict):
                texts[-1] += f"{item[0]!r}: "
                item = item[1]
            _texts(item, texts, tensors)
        texts[-1] += "]" if isinstance(value, list) else ")" if isinstance(value, tuple) else "}"
    else:
        texts[-1] += str(value)


def tf_print(*inputs: Any, **options: Any) -> Any:
    """Print tensors and anything else when the graph runs (eagerly: now), on standard error by default."""
    stream, end = options.pop("output_stream", sys.stderr), options.pop("end", "\n")
    summarize, sep, name = options.pop("summarize", 3), options.pop("sep", " "), options.pop("name", None)
    if options:
        raise ValueError(f"Unrecognized keyword arguments for tf.print: {options}")
    texts, tensors = [""], []
    for i, value in enumerate(inputs):
        texts[-1] += sep if i else ""
        _texts(value, texts, tensors)
    texts[-1] += end
    place = "stderr" if stream is sys.stderr else "stdout" if stream is sys.stdout else stream
    if isinstance(place, str) and place not in ("stdout", "stderr") and not place.startswith("file://"):
        place = "stderr"
    show = functools.partial(_print_line, texts=texts, summarize=summarize, stream=place)
    return _host_operation("PrintV2", name, show, tensors)


# ---------------------------------------------------------------- comparisons


_HOLDS: dict[str, Callable[[Any, Any], Any]] = {
    "==": np.equal, "!=": np.not_equal, "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal,
}  # fmt: skip


@writable("assert_compared")
def _check_compared(first: Any, second: Any, *, sign: str, message: str | None, summarize: int | None) -> None:
    if not np.asarray(_HOLDS[sign](first, second)).all():
        text = f"{message or ''} Condition x {sign} y did not hold element-wise: x = {_listed(first, summarize)} "
        raise InvalidArgumentError(None, None, (text + f"y = {_listed(second, summarize)}").strip())


def _compared(name_of: str, sign: str, doc: str) -> Callable[..., Any]:
    def call(
        x: Any, y: Any, data: Any = None, summarize: Any = None, message: str | None = None, name: str | None = None
    ) -> Any:
        if isinstance(data, str):  # generation 2 has the message in the third place
            data, message = None, data
        a, b = matching(name_of, x, y)
        check = functools.partial(_check_compared, sign=sign, message=message, summarize=summarize)
        return _host_operation("Assert", name or name_of, check, [a, b])

    call.__doc__ = doc
    return call


assert_equal = _compared("assert_equal", "==", "An error unless x == y everywhere.")
assert_none_equal = _compared("assert_none_equal", "!=", "An error unless x != y everywhere.")
assert_less = _compared("assert_less", "<", "An error unless x < y everywhere.")
assert_less_equal = _compared("assert_less_equal", "<=", "An error unless x <= y everywhere.")
assert_greater = _compared("assert_greater", ">", "An error unless x > y everywhere.")
assert_greater_equal = _compared("assert_greater_equal", ">=", "An error unless x >= y everywhere.")


@writable("assert_near")
def _assert_near_check(first: Any, second: Any, *, near: Any, far: Any, message: str | None) -> None:
    if not (np.abs(first - second) <= near + far * np.abs(second)).all():
        raise InvalidArgumentError(None, None, f"{message or ''} x and y not equal to tolerance rtol = {far}, "
                                   f"atol = {near}".strip())  # fmt: skip


def assert_near(
    x: Any, y: Any, rtol: Any = None, atol: Any = None, data: Any = None, summarize: Any = None,
    message: str | None = None, name: str | None = None,
) -> Any:  # fmt: skip
    """An error unless x and y are close: |x - y| <= atol + rtol |y|; both 10 eps by default."""
    a, b = matching("assert_near", x, y)
    eps = 10 * float(np.finfo(a.dtype.numpy).eps)
    far, near = (eps if v is None else float(v) for v in (rtol, atol))
    return _host_operation(
        "Assert",
        name or "assert_near",
        functools.partial(_assert_near_check, near=near, far=far, message=message),
        [a, b],
    )


@writable("assert_sign")
def _check_sign(values: Any, *, sign: str, message: str | None, summarize: int | None) -> None:
    if not np.asarray(_HOLDS[sign](values, 0)).all():
        raise InvalidArgumentError(None, None, f"{message or ''} Condition x {sign} 0 did not hold element-wise: "
                                   f"x = {_listed(values, summarize)}".strip())  # fmt: skip


def _sign(name_of: str, sign: str) -> Callable[..., Any]:
    def call(
        x: Any, data: Any = None, summarize: Any = None, message: str | None = None, name: str | None = None
    ) -> Any:
        check = functools.partial(_check_sign, sign=sign, message=message, summarize=summarize)
        return _host_operation("Assert", name or name_of, check, [operand(x)])

    call.__doc__ = f"An error unless x {sign} 0 everywhere."
    return call


assert_positive = _sign("assert_positive", ">")
assert_negative = _sign("assert_negative", "<")
assert_non_negative = _sign("assert_non_negative", ">=")
assert_non_positive = _sign("assert_non_positive", "<=")


def assert_rank(
    x: Any, rank: Any, data: Any = None, summarize: Any = None, message: str | None = None, name: str | None = None
) -> Any:
    """ValueError unless ``x`` has ``rank`` axes; when the graph runs, if that is not known now."""
    return _rank_check(x, [int(rank)], False, f"must have rank {rank}", message, name or "assert_rank")


def assert_rank_at_least(
    x: Any, rank: Any, data: Any = None, summarize: Any = None, message: str | None = None, name: str | None = None
) -> Any:
    """ValueError unless ``x`` has at least ``rank`` axes."""
    said = f"must have rank at least {rank}"
    return _rank_check(x, [int(rank)], True, said, message, name or "assert_rank_at_least")


def assert_rank_in(
    x: Any, ranks: Any, data: Any = None, summarize: Any = None, message: str | None = None, name: str | None = None
) -> Any:
    """ValueError unless the number of axes of ``x`` is among ``ranks``."""
    allowed = [int(r) for r in ranks]
    return _rank_check(x, allowed, False, f"must have rank in {tuple(allowed)}", message, name or "assert_rank_in")


@writable("assert_rank")
def _check_rank(values: Any, *, ranks: list[int], more: bool, said: str, message: str | None) -> None:
    if not _is_rank(np.ndim(values), ranks, more):
        raise InvalidArgumentError(None, None, f"{message or ''} x {said}.  Received shape {np.shape(values)}".strip())


def _is_rank(rank: int, ranks: list[int], more: bool) -> bool:
    return rank in ranks or (more and rank > ranks[0])


def _rank_check(x: Any, ranks: list[int], more: bool, said: str, message: str | None, name: str) -> Any:
    """That the rank is among ``ranks``, or (``more``) at least the only one of them."""
    from corenn_tensorflow.functions.flow import no_op

    tensor = operand(x)
    extents = static_shape(tensor)
    if extents is not None:
        if not _is_rank(len(extents), ranks, more):
            label = tensor.name if isinstance(tensor, GraphTensor) else "x"
            shape = TensorShape(extents)
            raise ValueError(f"{message or ''} {label} {said}.  Received rank {len(extents)}, shape {shape}".strip())
        return no_op()
    check = functools.partial(_check_rank, ranks=ranks, more=more, said=said, message=message)
    return _host_operation("Assert", name, check, [tensor])


def assert_type(tensor: Any, tf_type: Any, message: str | None = None, name: str | None = None) -> Any:
    """TypeError unless the tensor has the dtype."""
    from corenn_tensorflow.functions.flow import no_op

    x = operand(tensor)
    if x.dtype is not as_dtype(tf_type):
        raise TypeError(f"{message or ''} tensor must be of type {as_dtype(tf_type).name}; got {x.dtype.name}".strip())
    return no_op()


def assert_scalar(tensor: Any, name: str | None = None, message: str | None = None) -> Any:
    """ValueError unless the tensor has no axes."""
    x = operand(tensor)
    if static_shape(x):
        raise ValueError(f"{message or ''} Expected scalar shape, saw shape: {TensorShape(static_shape(x))}.".strip())
    return x


def assert_integer(x: Any, message: str | None = None, name: str | None = None) -> Any:
    """TypeError unless the tensor holds integers."""
    from corenn_tensorflow.functions.flow import no_op

    if not operand(x).dtype.is_integer:
        raise TypeError(f'{message or ""} Expected "x" to be integer type.  Found: {operand(x).dtype.name}'.strip())
    return no_op()


def assert_proper_iterable(values: Any) -> None:
    """TypeError unless ``values`` is a list or the like, and no tensor."""
    if isinstance(values, (Tensor, np.ndarray, bytes, str)) or not hasattr(values, "__iter__"):
        raise TypeError(f"Expected argument \"values\" to be a 'proper' iterable.  Found: {type(values)}")


def assert_same_float_dtype(tensors: Any = None, dtype: Any = None) -> Any:
    """ValueError unless all tensors have one floating dtype; that dtype."""
    found = {operand(t).dtype for t in tensors or ()} | ({as_dtype(dtype)} if dtype is not None else set())
    if len(found) > 1:
        raise ValueError(f"Expected one dtype, got {sorted(d.name for d in found)}")
    (only,) = found or {dtypes.float32}
    if not only.is_floating:
        raise ValueError(f"Expected floating point type, got {only.name}.")
    return only


# ---------------------------------------------------------------- numbers


@writable("check_numerics")
def _check_numerics_of(values: Any, *, message: str) -> None:
    numbers = np.asarray(values, np.float64)
    kinds = [k for k, bad in (("Inf", np.isinf(numbers).any()), ("NaN", np.isnan(numbers).any())) if bad]
    if kinds:
        raise InvalidArgumentError(None, None, f"{message} : Tensor had {' and '.join(kinds)} values")


def check_numerics(tensor: Any, message: str, name: str | None = None) -> Any:
    """The tensor; InvalidArgumentError when it has a NaN or an infinity."""
    x = operand(tensor)
    return _after(
        _host_operation(
            "CheckNumerics",
            f"{name or 'CheckNumerics'}/check",
            functools.partial(_check_numerics_of, message=message),
            [x],
        ),
        x,
        name or "CheckNumerics",
    )


def verify_tensor_all_finite(
    t: Any = None, msg: str = "", name: str | None = None, x: Any = None, message: str | None = None
) -> Any:
    """The tensor; InvalidArgumentError when it has a NaN or an infinity."""
    return check_numerics(t if t is not None else x, message or msg, name=name)


assert_all_finite = verify_tensor_all_finite


def add_check_numerics_ops() -> Any:
    """An operation that checks every floating tensor of the graph for NaNs and infinities."""
    from corenn_tensorflow.functions.flow import group

    graph = mode.default_graph()
    made = []
    for operation in graph.get_operations():
        made += [check_numerics(o, o.name) for o in operation.outputs if o.dtype.is_floating]
    return group(*made)


def is_numeric_tensor(tensor: Any) -> bool:
    """Whether it is a tensor of numbers."""
    return isinstance(tensor, Tensor) and tensor.dtype.kind in "iufc"


def is_non_decreasing(x: Any, name: str | None = None) -> Any:
    """Whether each element is at least as great as the one before."""
    flat = corenn.reshape(operand(x), shape=(-1,))
    return corenn.all(corenn.greater_equal(flat[1:], flat[:-1]))


def is_strictly_increasing(x: Any, name: str | None = None) -> Any:
    """Whether each element is greater than the one before."""
    flat = corenn.reshape(operand(x), shape=(-1,))
    return corenn.all(corenn.greater(flat[1:], flat[:-1]))


@writable("shape_checked")
def _check_shape(values: Any, *, extents: Any) -> None:
    shape = TensorShape(extents)
    if not shape.is_compatible_with(np.shape(values)):
        raise InvalidArgumentError(None, None, f"Shape of tensor {TensorShape(np.shape(values))} is not compatible "
                                   f"with expected shape {shape}.")  # fmt: skip


def shape_checked(x: Any, shape: TensorShape, name: str) -> Any:
    """``x``, known to have ``shape``; InvalidArgumentError when it turns out to have another."""
    if not TensorShape(static_shape(x)).is_compatible_with(shape):
        raise ValueError(f"Shapes {TensorShape(static_shape(x))} and {shape} are not compatible")
    if not isinstance(x, GraphTensor):
        return convert_to_tensor(x)
    made = _after(
        _host_operation("EnsureShape", f"{name}/check", functools.partial(_check_shape, extents=shape.extents), [x]),
        x,
        name,
    )
    made.set_shape(shape)
    return made


__all__ = [
    "Assert", "Print", "add_check_numerics_ops", "assert_all_finite", "assert_equal", "assert_greater",
    "assert_greater_equal", "assert_integer", "assert_less", "assert_less_equal", "assert_near", "assert_negative",
    "assert_non_negative", "assert_non_positive", "assert_none_equal", "assert_positive", "assert_proper_iterable",
    "assert_rank", "assert_rank_at_least", "assert_rank_in", "assert_same_float_dtype", "assert_scalar", "assert_type",
    "check_numerics", "is_non_decreasing", "is_numeric_tensor", "is_strictly_increasing", "shape_checked", "shown",
    "tf_print", "verify_tensor_all_finite",
]  # fmt: skip
