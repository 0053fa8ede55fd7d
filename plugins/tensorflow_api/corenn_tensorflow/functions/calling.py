"""How functions of the facade call ops: names and types of operations, legacy arguments, shapes known only later."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import corenn
from corenn import tree
from corenn.graph.kinds import ConstKind
from corenn.graph.tensors import GraphTensor
from corenn.tensor import Tensor
from corenn_tensorflow import mode
from corenn_tensorflow.framework import convert_to_tensor, static_shape

#: Constants of at most so many elements are read while a graph is built.
_SMALL = 256


def unary(type_name: str, function: Callable[..., Any], doc: str, argument: str = "x") -> Callable[..., Any]:
    """A function ``(x, name=None)`` that makes one operation."""

    def call(*args: Any, **options: Any) -> Any:
        name = options.pop("name", None)
        if options:
            if set(options) != {argument} or args:
                raise TypeError(
                    f"{type_name}() got unexpected arguments {sorted(options)}; it takes {argument} and name"
                )
            args = (options[argument],)
        if len(args) == 2:
            args, name = args[:1], args[1]
        if len(args) != 1:
            raise TypeError(f"{type_name}() takes {argument} and name, got {len(args)} arguments")
        return mode.one(type_name, name, function, operand(args[0]))

    call.__doc__ = doc
    return call


def operand(x: Any, dtype: Any = None) -> Any:
    """``x`` as a tensor; an eager tensor or one of a graph stays what it is."""
    if isinstance(x, Tensor) and dtype is None:
        return x
    return convert_to_tensor(x, dtype)


def composite(
    type_name: str, name: str | None, function: Callable[..., Any], *tensors: Any, several: bool = False,
    results: Any = None,
) -> Any:  # fmt: skip
    """``function(*tensors)``: at once, or as one operation of a graph that runs it when shapes are known."""
    graph = mode.graph_for(tensors)
    if graph is None:
        return function(*[operand(t) for t in tensors])
    with graph.as_default():
        outputs = graph.call(function, *[operand(t) for t in tensors], type_name=type_name, name=name, results=results)
    return outputs if several else outputs[0]


def either(new: Any, old: Any, new_name: str, old_name: str) -> Any:
    """The one of two spellings of an argument that was given."""
    if old is None:
        return new
    if new is not None:
        raise ValueError(f"Cannot specify both '{new_name}' and '{old_name}'.")
    return old


def known(x: Any) -> bool:
    """Whether all extents of ``x`` are known now."""
    shape = static_shape(x)
    return shape is not None and None not in shape


def rank_of(x: Any) -> int | None:
    """The number of axes, where it is known now."""
    shape = static_shape(x)
    return None if shape is None else len(shape)


def is_static(value: Any) -> bool:
    """Whether nothing in ``value`` is a graph tensor."""
    return not any(isinstance(leaf, GraphTensor) for leaf in tree.leaves(value))


def python_value(value: Any) -> Any:
    """A number or nested tuples of what ``value`` says now; graph tensors that are not constants stay."""
    from corenn.graph.deferred import complete, static_value
    from corenn_tensorflow.shapes import Dimension, TensorShape, dimension_value

    if isinstance(value, GraphTensor):
        if isinstance(value.operation.kind, ConstKind) and value.operation.attrs["value"].size <= _SMALL:
            return _tuples(value.operation.attrs["value"].tolist())
        graph = mode.graph_for(value)
        found = static_value(graph.convert(value)) if graph is not None else None
        return found if complete(found) else value
    if isinstance(value, Tensor):
        return _tuples(value.tolist())
    if isinstance(value, TensorShape):
        return value.extents
    if isinstance(value, Dimension):
        return dimension_value(value)
    if hasattr(value, "tolist"):
        return _tuples(value.tolist())
    if isinstance(value, (list, tuple)):
        return tuple(python_value(v) for v in value)
    return value


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value


def shape_argument(shape: Any) -> Any:
    """A shape as ops take it: ints and scalar graph tensors in a tuple, or one graph tensor."""
    found = python_value(shape)
    if isinstance(found, int):
        return (found,)
    return found


def integers(x: Any, dtype: Any) -> Any:
    """An index result as the dtype TensorFlow gives it."""
    return corenn.cast(x, dtype=dtype)


__all__ = [
    "composite", "either", "integers", "is_static", "known", "operand", "python_value", "rank_of", "shape_argument",
    "unary",
]  # fmt: skip
