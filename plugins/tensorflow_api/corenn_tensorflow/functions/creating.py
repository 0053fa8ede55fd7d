"""Constants, placeholders, and tensors made by a rule."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

import corenn
from corenn import dtypes
from corenn.graph import building as core
from corenn.graph.graph import constant_array
from corenn.graph.kinds import DefaultPlaceholderKind
from corenn.graph.tensors import GraphTensor
from corenn.tensor import Tensor
from corenn_tensorflow import mode
from corenn_tensorflow.framework import as_dtype, convert_to_tensor, eager_constant, text_array
from corenn_tensorflow.functions.calling import composite, is_static, known, operand, python_value, shape_argument
from corenn_tensorflow.shapes import TensorShape, extents_of
from corenn_tensorflow.writing import writable


def placeholder(dtype: Any, shape: Any = None, name: str | None = None) -> Any:
    """A value that every run must be fed; ``shape`` with ``None`` where an extent may vary."""
    if mode.executing_eagerly():
        raise RuntimeError("tf.placeholder() is not compatible with eager execution.")
    with mode.default_graph().as_default():
        return core.placeholder(as_dtype(dtype), None if shape is None else extents_of(shape), name)


def placeholder_with_default(input: Any, shape: Any, name: str | None = None) -> Any:  # TensorFlow's name
    """A value that runs may be fed; otherwise it is ``input``."""
    if mode.executing_eagerly():
        return convert_to_tensor(input)
    graph = mode.default_graph()
    given = convert_to_tensor(input, name=f"{name}/input" if name else None)
    extents = extents_of(shape) if shape is not None else None
    core.check_default(given, extents)
    return graph.add(DefaultPlaceholderKind(), [given], [(extents, given.dtype)], name=name).outputs[0]


def constant(
    value: Any, dtype: Any = None, shape: Any = None, name: str | None = None, verify_shape: bool = False
) -> Any:
    """A constant; ``shape`` may spread a single value (in generation 1, the last value fills what is left)."""
    wanted = None if dtype is None else as_dtype(dtype)
    if isinstance(value, GraphTensor):
        raise TypeError(f"List of Tensors when single Tensor expected: {value!r} is a tensor of a graph; tf.identity?")
    if isinstance(value, Tensor):
        value = value.numpy()
    if isinstance(value, TensorShape):
        value = value.as_list()
    graph = mode.graph_for()
    if graph is None and shape is None:
        if wanted is not None and wanted.is_integer and _has_fraction(value):
            raise TypeError(f"Cannot convert {value!r} to EagerTensor of dtype {wanted.name}")
        return eager_constant(value, wanted)
    array = constant_array(value, wanted)
    if array.dtype == object:
        array = text_array(array)
    if wanted is not None and wanted.is_integer and _has_fraction(value):
        raise TypeError(f"Expected {wanted.name}, got {value!r} of type '{type(value).__name__}' instead.")
    if shape is not None:
        array = _shaped(array, extents_of(shape), verify_shape)
    if graph is None:
        return eager_constant(array, wanted)
    return graph.constant(array, name=name or "Const")


def _has_fraction(value: Any) -> bool:
    return isinstance(value, float) or (isinstance(value, (list, tuple)) and any(_has_fraction(v) for v in value))


def _shaped(array: np.ndarray[Any, Any], shape: Any, verify: bool) -> np.ndarray[Any, Any]:
    count = int(np.prod(shape))
    if array.size == count:
        if verify and array.shape != tuple(shape):
            raise TypeError(f"Expected Tensor's shape: {tuple(shape)}, got {array.shape}.")
        return array.reshape(shape)
    if array.size == 1:
        return np.full(shape, array.reshape(())[()], array.dtype)
    if mode.generation() == 2 or array.size > count:
        raise ValueError(
            f"Too many elements provided. Needed at most {count}, but received {array.size}" if array.size > count
            else f"Eager execution of tf.constant with unsupported shape. Tensor {array!r} (converted from value) has "
            f"{array.size:d} elements, but got `shape` {shape} with {count} elements)."
        )  # fmt: skip
    return np.concatenate([array.ravel(), np.full(count - array.size, array.ravel()[-1], array.dtype)]).reshape(shape)


def _filled(name: str | None, default: str, dims: Any, value: Any, dtype: Any) -> Any:
    """A tensor of ``dims``, all ``value`` (a Python number)."""
    extents = shape_argument(dims)
    graph = mode.graph_for(dims)
    if dtype is dtypes.string:
        text = np.full(tuple(extents), b"" if not value else str(value).encode(), object)
        return eager_constant(text, dtype) if graph is None else graph.constant(text, dtype, name=name or default)
    if graph is None:
        return corenn.full(tuple(int(n) for n in extents), value, dtype)
    if is_static(extents):
        return graph.constant(np.full(extents, value, dtype.numpy), name=name or default)
    with graph.as_default():
        return mode.one("Fill", name or default, corenn.full, extents, value, dtype)


def zeros(shape: Any, dtype: Any = "float32", name: str | None = None) -> Any:
    """All 0."""
    return _filled(name, "zeros", shape, 0, as_dtype(dtype))


def ones(shape: Any, dtype: Any = "float32", name: str | None = None) -> Any:
    """All 1."""
    return _filled(name, "ones", shape, 1, as_dtype(dtype))


def fill(dims: Any, value: Any, name: str | None = None) -> Any:
    """A tensor of shape ``dims``, all ``value`` (a number, or a tensor of no axes)."""
    if isinstance(value, (str, bytes)) and not isinstance(dims, GraphTensor):
        return _filled(name, "Fill", dims, value.decode() if isinstance(value, bytes) else value, dtypes.string)
    graph = mode.graph_for((dims, value))
    given = convert_to_tensor(value)
    if graph is None:
        return corenn.broadcast_to(given, shape=tuple(int(n) for n in shape_argument(dims)))
    with graph.as_default():
        return mode.one("Fill", name, corenn.broadcast_to, graph.convert(given), shape=shape_argument(dims))


@writable("like")
def _like_of(a: Any) -> Any:
    return np.full(np.shape(a), b"", object)


def _like(x: Any, value: int, dtype: Any, name: str | None, default: str) -> Any:
    tensor = operand(x)
    wanted = tensor.dtype if dtype is None else as_dtype(dtype)
    if wanted is dtypes.string:
        from corenn_tensorflow.functions.text import on_host

        return on_host("ZerosLike", name, _like_of, [tensor], "string")
    graph = mode.graph_for(tensor)
    if graph is not None and known(tensor):
        made = np.full(graph.convert(tensor).extents, value, wanted.numpy)
        return graph.constant(made, name=name or default)
    function = corenn.ones_like if value else corenn.zeros_like
    return mode.one(default, name or default, function, tensor, dtype=wanted)


def zeros_like(
    tensor: Any = None,
    dtype: Any = None,
    name: str | None = None,
    optimize: bool = True,
    input: Any = None,
) -> Any:
    """All 0, of the shape of ``tensor``."""
    return _like(tensor if tensor is not None else input, 0, dtype, name, "zeros_like")


def ones_like(
    tensor: Any = None,
    dtype: Any = None,
    name: str | None = None,
    optimize: bool = True,
    input: Any = None,
) -> Any:
    """All 1, of the shape of ``tensor``."""
    return _like(tensor if tensor is not None else input, 1, dtype, name, "ones_like")


def range(start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None, name: str | None = "range") -> Any:
    """The numbers from ``start`` up to ``limit`` (which is left out) in steps of ``delta``."""
    if limit is None:
        start, limit = 0, start
    parts = [python_value(p) for p in (start, limit, delta)]
    wanted = as_dtype(dtype) if dtype is not None else _common([start, limit, delta])
    graph = mode.graph_for((start, limit, delta))
    if is_static(parts):
        made = np.arange(*[p[0] if isinstance(p, tuple) else p for p in parts]).astype(wanted.numpy)
        return corenn.tensor(made) if graph is None else graph.constant(made, name=name or "range")
    assert graph is not None  # something is a graph tensor
    with graph.as_default(), graph.name_scope(name or "range"):
        low, high, step = (corenn.cast(convert_to_tensor(p), dtype=wanted) for p in parts)
        span = high - low
        if wanted.is_integer:
            count = corenn.negative(corenn.floor_divide(corenn.negative(span), step))
        else:
            count = corenn.cast(corenn.ceil(span / step), dtype="int32")
        count = corenn.maximum(count, corenn.zeros_like(count))
        places = corenn.cumsum(corenn.full([count], 1, "int32"), axis=0, exclusive=True)
        return low + corenn.cast(places, dtype=wanted) * step


def _common(values: list[Any]) -> Any:
    """The widest of the dtypes of the numbers and tensors."""
    order = ["int32", "int64", "float32", "float64"]
    found = [v.dtype if isinstance(v, Tensor) else as_dtype(constant_array(_number(v), None).dtype) for v in values]
    return max(found, key=lambda d: order.index(d.name) if d.name in order else 0)


def _number(value: Any) -> Any:
    from corenn_tensorflow.shapes import dimension_value

    return dimension_value(value) if isinstance(value, int) and not isinstance(value, bool) else value


def linspace(start: Any, stop: Any, num: Any, name: str | None = None, axis: int = 0) -> Any:
    """``num`` numbers at equal distances from ``start`` to ``stop``, both included."""
    count = python_value(num)
    low = operand(start)
    high = convert_to_tensor(stop, None if isinstance(stop, Tensor) else low.dtype)
    with mode.scope(name, "LinSpace", low, high, count):
        places = corenn.cast(range(count), dtype=low.dtype)
        if isinstance(count, int):
            steps = places / max(count - 1, 1)
        else:
            steps = places / corenn.cast(corenn.maximum(convert_to_tensor(count) - 1, 1), dtype=low.dtype)
        if isinstance(count, int) and not isinstance(low, GraphTensor) and not isinstance(high, GraphTensor):
            return convert_to_tensor(np.linspace(low.numpy(), high.numpy(), count, axis=axis, dtype=low.dtype.numpy))
        shape = (-1, *([1] * len(low.spec.shape)))
        found = low + (high - low) * corenn.reshape(steps, shape=shape)
        return found if axis == 0 else corenn.moveaxis(found, 0, axis)


lin_space = linspace


def eye(
    num_rows: Any, num_columns: Any = None, batch_shape: Any = None, dtype: Any = "float32", name: str | None = None
) -> Any:
    """The identity matrix, or a batch of them."""
    rows, wanted = python_value(num_rows), as_dtype(dtype)
    columns = rows if num_columns is None else python_value(num_columns)
    batch = () if batch_shape is None else shape_argument(batch_shape)
    graph = mode.graph_for((num_rows, num_columns, batch_shape))
    if is_static((rows, columns, batch)):
        made = np.broadcast_to(np.eye(rows, columns, dtype=wanted.numpy), (*batch, rows, columns))
        return corenn.tensor(np.array(made)) if graph is None else graph.constant(np.array(made), name=name or "eye")
    with mode.scope(name, "eye", num_rows, num_columns, batch_shape):
        one = corenn.cast(corenn.equal(range(rows)[:, None], range(columns)[None, :]), dtype=wanted)
        return one if batch == () else corenn.broadcast_to(one, shape=(*batch, rows, columns))


@writable("one_hot")
def _one_hot_of(h: Any, a: Any, b: Any) -> Any:
    return corenn.where(h, a, b)


def one_hot(
    indices: Any, depth: Any, on_value: Any = None, off_value: Any = None, axis: Any = None, dtype: Any = None,
    name: str | None = None,
) -> Any:  # fmt: skip
    """For each index a vector of ``depth`` numbers, ``on_value`` at its place; nothing for an index outside."""
    places = operand(indices)
    if dtype is None:
        dtype = next((v.dtype for v in (on_value, off_value) if isinstance(v, Tensor)), None)
        if dtype is None:
            given = next((v for v in (on_value, off_value) if v is not None), None)
            dtype = "float32" if given is None else constant_array(given, None).dtype
    wanted = as_dtype(dtype)
    on, off = python_value(1 if on_value is None else on_value), python_value(0 if off_value is None else off_value)
    along = -1 if axis is None else int(axis)
    if not is_static((on, off)):
        hot = one_hot(places, depth, True, False, axis, "bool")
        return composite("OneHot", name or "one_hot", _one_hot_of, hot, on, off)
    if wanted.kind == "b":
        hot = mode.one("OneHot", name or "one_hot", corenn.one_hot, places, depth=python_value(depth), axis=along,
                       dtype="int32")  # fmt: skip
        return corenn.equal(hot, 1) if on else corenn.not_equal(hot, 1)
    return mode.one("OneHot", name or "one_hot", corenn.one_hot, places, depth=python_value(depth), on_value=on,
                    off_value=off, axis=along, dtype=wanted)  # fmt: skip


def sequence_mask(lengths: Any, maxlen: Any = None, dtype: Any = "bool", name: str | None = None) -> Any:
    """For each length n a row of ``maxlen`` bools of which the first n hold."""
    given = operand(lengths)
    with mode.scope(name, "SequenceMask", given, maxlen):
        most = corenn.max(given) if maxlen is None else maxlen
        places = range(0, most, 1, dtype=given.dtype)
        row = corenn.less(places, corenn.expand_dims(given, axis=-1))
        wanted = as_dtype(dtype)
        return row if wanted.kind == "b" else corenn.cast(row, dtype=wanted)


@writable("meshgrid")
def _meshgrid_of(*t: Any, indexing: str) -> Any:
    return corenn.meshgrid(*t, indexing=indexing)


def meshgrid(*args: Any, indexing: str = "xy", name: str | None = None) -> list[Any]:
    """Coordinates of the points of a grid, one tensor for each axis."""
    if indexing not in ("xy", "ij"):
        raise ValueError(f"Argument `indexing` parameter must be either 'xy' or 'ij', got '{indexing}'")
    tensors = [operand(a) for a in args]
    with mode.scope(name, "meshgrid", tensors):
        return list(composite("Meshgrid", None, functools.partial(_meshgrid_of, indexing=indexing), *tensors,
                              several=True))  # fmt: skip


__all__ = [
    "constant", "eye", "fill", "lin_space", "linspace", "meshgrid", "one_hot", "ones", "ones_like", "placeholder",
    "placeholder_with_default", "range", "sequence_mask", "zeros", "zeros_like",
]  # fmt: skip
