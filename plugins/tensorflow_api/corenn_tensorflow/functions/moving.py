"""Text that has its value, in functions that only move elements: as in graphs (``corenn.graph.text``), the positions of
the elements are moved, and the text is taken by them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from corenn import dtypes, tree
from corenn.graph import text
from corenn.graph.tensors import GraphTensor
from corenn.ops.creation import tensor
from corenn_tensorflow.converting import convert_to_tensor, eager_constant

#: The functions of ``tf`` that this is for.
MOVING = ("boolean_mask", "concat", "expand_dims", "reshape", "reverse", "squeeze", "stack", "tile", "transpose",
          "unstack")  # fmt: skip


def _is_text(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "OSU"
    return not isinstance(value, GraphTensor) and text.is_text(value)


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
        arrays = [p.data for p in parts]
        numbers = [tensor(places) for places in text.positions(*arrays)]
        moved: Any = numbers if listed else numbers[0]
        if args:
            found = function(moved, *args[1:], **options)
        else:
            found = function(**{**options, next(iter(options)): moved})
        places = [leaf.numpy() for leaf in tree.leaves(found)]
        results = text.taken(*places, *arrays, count=len(places), fill=b"")
        return tree.rebuild(found, iter([eager_constant(r, dtypes.string) for r in results]))

    return call


__all__ = ["MOVING", "takes_text"]
