"""Names of operations and scopes: what is valid, what types are called, and how a name is made unique."""

from __future__ import annotations

import re

from corenn.errors import GraphError

_NAME = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*")
_INNER = re.compile(r"[A-Za-z0-9_.\\/>-]*")

#: Type names of ops that are not just their words capitalised: those people know from TensorFlow's graphs.
_TYPES = {
    "abs": "Abs", "add": "Add", "all": "All", "any": "Any", "argmax": "ArgMax", "argmin": "ArgMin",
    "average_pool": "AvgPool", "batch_norm": "FusedBatchNorm", "broadcast_to": "BroadcastTo", "cast": "Cast",
    "concatenate": "ConcatV2", "conv": "Conv2D", "cumsum": "Cumsum", "divide": "RealDiv", "embedding": "GatherV2",
    "equal": "Equal", "expand_dims": "ExpandDims", "floor_divide": "FloorDiv", "full": "Fill", "gather": "GatherV2",
    "greater": "Greater", "greater_equal": "GreaterEqual", "identity": "Identity", "index_arrays": "GatherNd",
    "less": "Less", "less_equal": "LessEqual", "logical_not": "LogicalNot", "matmul": "MatMul", "max": "Max",
    "max_pool": "MaxPool", "maximum": "Maximum", "mean": "Mean", "min": "Min", "minimum": "Minimum",
    "multiply": "Mul", "negative": "Neg", "not_equal": "NotEqual", "one_hot": "OneHot", "power": "Pow",
    "prod": "Prod", "remainder": "FloorMod", "slice": "StridedSlice", "sparse_softmax_cross_entropy":
    "SparseSoftmaxCrossEntropyWithLogits", "softmax_cross_entropy": "SoftmaxCrossEntropyWithLogits", "stack": "Pack",
    "stop_gradient": "StopGradient", "subtract": "Sub", "sum": "Sum", "top_k": "TopKV2", "unstack": "Unpack",
    "where": "SelectV2",
}  # fmt: skip


def type_of(op_name: str) -> str:
    """The type that operations of a table op have: ``matmul`` gives ``MatMul``, ``squared_difference`` its words."""
    return _TYPES.get(op_name) or "".join(word.capitalize() for word in op_name.split("_"))


def check(name: str, scoped: bool) -> str:
    """``name`` if it is a valid operation (or, ``scoped``, inner) name; GraphError otherwise."""
    if not (_INNER if scoped else _NAME).fullmatch(name):
        raise GraphError(
            "name", f"{name!r} is not a valid scope name", hint="letters, digits, '_', '.', '-' and '/'; a letter first"
        )
    return name


class Names:
    """Which names are taken; comparison ignores case, as file systems and TensorBoard may."""

    def __init__(self) -> None:
        self._next: dict[str, int] = {}

    def unique(self, name: str, mark: bool = True) -> str:
        """``name``, or it with the first ``_1``, ``_2``, ... that is free; it is taken from then on (if ``mark``)."""
        key = name.lower()
        count = self._next.get(key, 0)
        if mark:
            self._next[key] = count + 1
        if not count:
            return name
        while True:
            candidate = f"{name}_{count}"
            if candidate.lower() not in self._next:
                break
            count += 1
        if mark:
            self._next[key] = count + 1
            self._next[candidate.lower()] = 1
        return candidate

    def take(self, name: str) -> None:
        """Mark ``name`` as taken."""
        self._next.setdefault(name.lower(), 1)


__all__ = ["Names", "check", "type_of"]
