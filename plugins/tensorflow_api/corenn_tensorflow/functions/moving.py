"""Text in functions that only move elements about: the numbers of the elements are moved, and then looked up."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from corenn import dtypes, tree
from corenn.graph.tensors import GraphTensor
from corenn.ops.creation import tensor
from corenn.tensor import Tensor
from corenn_tensorflow.converting import convert_to_tensor, eager_constant

#: The functions of ``tf`` that this is for.
MOVING = ("boolean_mask", "concat", "expand_dims", "reshape", "reverse", "squeeze", "stack", "tile", "transpose",
          "unstack")  # fmt: skip


def _is_text(value: Any) -> bool:
    if isinstance(value, Tensor):
        return not isinstance(value, GraphTensor) and value.dtype is dtypes.string
    return isinstance(value, (str, bytes)) or (isinstance(value, np.ndarray) and value.dtype.kind in "OSU")


def takes_text(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function``, whose first argument may also be text that has its value, or hold such text in a list."""

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        first = args[0] if args else next(iter(options.values()), None)
        listed = isinstance(first, (list, tuple))
        if not (any(map(_is_text, first)) if listed else _is_text(first)):  # type: ignore[union-attr]
            return function(*args, **options)
        parts = [convert_to_tensor(part) for part in first] if listed else [convert_to_tensor(first)]
        if any(isinstance(p, GraphTensor) for p in parts):
            return function(*args, **options)
        pool = np.concatenate([p.data.reshape(-1) for p in parts])
        start, numbers = 0, []
        for part in parts:
            numbers.append(tensor(np.arange(start, start + part.data.size, dtype=np.int64).reshape(part.data.shape)))
            start += part.data.size
        moved: Any = numbers if listed else numbers[0]
        if args:
            found = function(moved, *args[1:], **options)
        else:
            found = function(**{**options, next(iter(options)): moved})
        return tree.tree_map(lambda n: eager_constant(pool[n.numpy()], dtypes.string), found)

    return call


__all__ = ["MOVING", "takes_text"]
