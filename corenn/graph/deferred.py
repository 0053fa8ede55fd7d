"""Attributes that hold graph tensors: what is known of them now, and a place for what is known when the graph runs.

``reshape(x, shape=[shape(x)[0], 10])`` asks for an extent that a placeholder may leave open.  What can be worked out
while the graph is built (from constants and known extents) becomes a plain number; the rest is ``Deferred``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from corenn.graph.kinds import ConstKind, ShapeKind
from corenn.graph.operations import Deferred, TableKind
from corenn.graph.tensors import GraphTensor

_DEPTH = 30  # of expressions followed back


def defer(attrs: Mapping[str, Any]) -> tuple[dict[str, Any], list[GraphTensor]]:
    """Attributes with graph tensors replaced by their values, or by ``Deferred`` places in the list also returned."""
    found: list[GraphTensor] = []

    def replace(value: Any) -> Any:
        if hasattr(value, "__corenn_graph_tensor__"):
            value = value.__corenn_graph_tensor__(value.graph)
        if isinstance(value, GraphTensor):
            known = static_value(value)
            if complete(known):
                return known
            found.append(value)
            return Deferred(len(found) - 1, known)
        if isinstance(value, (list, tuple)):
            return tuple(replace(v) for v in value)
        return value

    return {name: replace(value) for name, value in attrs.items()}, found


def complete(known: Any) -> bool:
    """Whether nothing is missing in what ``static_value`` found."""
    if isinstance(known, tuple):
        return all(complete(k) for k in known)
    return known is not None and known is not Ellipsis


def static_value(tensor: GraphTensor, depth: int = _DEPTH) -> Any:
    """What is known of a small integer tensor now: a number or ``None``, a tuple of those, or ``Ellipsis``."""
    extents = tensor.extents
    if extents is None or len(extents) > 1 or None in extents:
        return Ellipsis
    found = _followed(tensor, depth) if depth else None
    if found is None or found is Ellipsis:
        return (None,) * (extents[0] or 0) if extents else None
    return found


def _followed(tensor: GraphTensor, depth: int) -> Any:
    operation = tensor.operation
    kind = operation.kind
    if isinstance(kind, ConstKind):
        array = operation.attrs["value"]
        return _plain(array.tolist()) if array.size <= 64 else None
    if isinstance(kind, ShapeKind):
        return operation.inputs[0].extents
    if not isinstance(kind, TableKind) or not operation.inputs:
        return None
    values = [static_value(i, depth - 1) for i in operation.inputs]
    rule = _RULES.get(kind.op.name)
    return None if rule is None else rule(values, operation.attrs)


def _plain(value: Any) -> Any:
    return tuple(_plain(v) for v in value) if isinstance(value, list) else value


def _stack(values: list[Any], attrs: Mapping[str, Any]) -> Any:
    return tuple(values) if not any(isinstance(v, tuple) for v in values) else None


def _concatenate(values: list[Any], attrs: Mapping[str, Any]) -> Any:
    return sum(values, ()) if all(isinstance(v, tuple) for v in values) else None


def _element(values: list[Any], attrs: Mapping[str, Any]) -> Any:
    """Basic indexing of a vector by one int or one slice."""
    vector, pattern = values[0], attrs["pattern"]
    if len(values) != 1 or not isinstance(vector, tuple) or len(pattern) != 1:
        return None
    entry = pattern[0]
    if entry[0] == "int":
        return vector[entry[1]]
    return vector[slice(*entry[1:])] if entry[0] == "slice" else None


def _number(combine: Any) -> Any:
    def rule(values: list[Any], attrs: Mapping[str, Any]) -> Any:
        return combine(*values) if all(isinstance(v, int) for v in values) else None

    return rule


_RULES: dict[str, Any] = {
    "stack": _stack,
    "concatenate": _concatenate,
    "index": _element,
    "cast": lambda values, attrs: values[0] if attrs["dtype"].is_integer else None,
    "identity": lambda values, attrs: values[0],
    "add": _number(lambda a, b: a + b),
    "subtract": _number(lambda a, b: a - b),
    "multiply": _number(lambda a, b: a * b),
    "floor_divide": _number(lambda a, b: a // b if b else None),
}

__all__ = ["complete", "defer", "static_value"]
