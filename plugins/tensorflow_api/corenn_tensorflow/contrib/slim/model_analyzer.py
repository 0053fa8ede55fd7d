"""``slim.model_analyzer``: lists of a model's variables and operations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from corenn_tensorflow import missing


def tensor_description(var: Any) -> str:
    """Dtype and shape: ``(float32_ref 3x3x1x8)``."""
    sizes = "x".join("?" if n is None else str(n) for n in var.get_shape().as_list())
    dtype = var.dtype.name + ("_ref" if hasattr(var, "assign") else "")  # a variable's, in TensorFlow 1
    return f"({dtype} {sizes})" if sizes else f"({dtype})"


def analyze_ops(graph: Any, print_info: bool = False) -> int:
    """The number of elements of all results of the graph's operations; listed, if asked."""
    if print_info:
        print("---------\nOperations: name -> (type shapes) [size]\n---------")
    total = 0
    for operation in graph.get_operations():
        size = 0
        shapes = []
        for output in operation.outputs:
            shapes.append(tensor_description(output))
            size += output.get_shape().num_elements() or 0
        if print_info:
            print(operation.name, "\t->", ", ".join(shapes), f"[{size}]")
        total += size
    return total


def analyze_vars(variables: Iterable[Any], print_info: bool = False) -> tuple[int, int]:
    """The numbers of elements and of bytes of variables; listed, if asked."""
    if print_info:
        print("---------\nVariables: name (type shape) [size]\n---------")
    total, total_bytes = 0, 0
    for var in variables:
        size = var.get_shape().num_elements() or 0
        count = size * var.dtype.base_dtype.size
        total, total_bytes = total + size, total_bytes + count
        if print_info:
            print(var.name, tensor_description(var), f"[{size}, bytes: {count}]")
    if print_info:
        print(f"Total size of variables: {total}\nTotal bytes of variables: {total_bytes}")
    return total, total_bytes


__getattr__ = missing.guard(__name__)

__all__ = ["analyze_ops", "analyze_vars", "tensor_description"]
