"""Several results of one Python function on the host, as tensors: what decoders and ragged tensors are made with."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from corenn import dtypes
from corenn.graph.kinds import HostCallKind
from corenn.tensor import Tensor
from corenn_tensorflow import mode
from corenn_tensorflow.framework import as_dtype, eager_constant
from corenn_tensorflow.functions.calling import operand
from corenn_tensorflow.functions.text import _array, _encoded
from corenn_tensorflow.writing import writable


@writable("on_host_many")
def _on_arrays(*arrays: Any, function: Callable[..., Any]) -> Any:
    return list(function(*[_encoded(a) for a in arrays]))


def on_host_many(
    type_name: str, name: str | None, function: Callable[..., Any], inputs: Sequence[Any],
    results: Sequence[tuple[Any, Any]],
) -> tuple[Any, ...]:  # fmt: skip
    """``function(*arrays)`` on the host, of NumPy arrays (text as arrays of bytes), which gives several arrays.

    ``results``: the shape (``None`` where nothing is known) and the dtype of each.
    """
    kinds = [(shape, as_dtype(dtype)) for shape, dtype in results]
    graph = mode.graph_for(list(inputs))
    given = [operand(i) for i in inputs]
    if graph is None:
        found = function(*[_array(g) for g in given])
        return tuple(_tensor(value, dtype) for value, (_, dtype) in zip(found, kinds, strict=True))
    with graph.as_default():
        tensors = [graph.convert(g) for g in given]
        kind = HostCallKind(functools.partial(_on_arrays, function=function), True, type_name)
        return tuple(graph.add(kind, tensors, kinds, name=name or type_name).outputs)


def _tensor(value: Any, dtype: Any) -> Tensor:
    array = np.array(value, object) if dtype is dtypes.string else np.asarray(value, dtype.numpy)
    return eager_constant(array, dtype)


__all__ = ["on_host_many"]
