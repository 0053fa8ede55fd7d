"""A corenn graph as nodes for TensorBoard's graph tab, branches and bodies of loops as groups of their operation's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from corenn.summary._graph import GraphNode

if TYPE_CHECKING:
    from corenn.graph.graph import Graph
    from corenn.graph.operations import Operation
    from corenn.graph.subgraph import SubGraph
    from corenn.graph.tensors import GraphTensor

#: Constants of at most so many elements are shown with their values; weights are never written.
_SHOWN = 8


def nodes_of(graph: Graph) -> list[GraphNode]:
    """The nodes of ``graph``: operations with scopes, inputs, control inputs, devices, dtypes and shapes."""
    return list(_nodes(graph.get_operations(), {}, ""))


def _nodes(operations: Sequence[Operation], inside: dict[int, str], prefix: str) -> Iterator[GraphNode]:
    """``inside``: for parameters of subgraphs, the outer input that each stands for."""
    for operation in operations:
        subgraphs: Sequence[SubGraph] = getattr(operation.kind, "subgraphs", ())
        inputs = [_input(i, prefix) for i in operation.inputs]
        if subgraphs:
            own = prefix + operation.name
            yield from _of_subgraphs(operation, subgraphs, inputs, own)
            captured = sum(len(g.captures) for g in subgraphs)
            scopes = _scopes(operation, own)
            results = [_input(o, scope) for g, scope in zip(subgraphs, scopes, strict=True) for o in g.outputs]
            inputs = [*inputs[: len(inputs) - captured], *results]
        passed = [inside[id(o)] for o in operation.outputs if id(o) in inside]
        controls = [f"^{prefix}{c.name}" for c in operation.control_inputs]
        yield GraphNode(
            prefix + operation.name,
            operation.type,
            [*inputs, *passed, *controls],
            _attributes(operation),
            operation.device,
        )


def _of_subgraphs(
    operation: Operation, subgraphs: Sequence[SubGraph], inputs: list[str], own: str
) -> Iterator[GraphNode]:
    """The nodes inside an operation; its inputs flow into the parameters that stand for them."""
    captured = sum(len(g.captures) for g in subgraphs)
    at = len(inputs) - captured
    operands = inputs[:at]
    for subgraph, scope in zip(subgraphs, _scopes(operation, own), strict=True):
        inside = dict(zip(map(id, subgraph.parameters), operands, strict=False))
        for (_, parameter), source in zip(subgraph.captures.values(), inputs[at:], strict=False):
            inside[id(parameter)] = source
        at += len(subgraph.captures)
        yield from _nodes(subgraph.get_operations(), inside, scope)


def _scopes(operation: Operation, own: str) -> list[str]:
    """The groups of an operation's subgraphs, named by what they are for."""
    subgraphs = operation.kind.subgraphs  # type: ignore[attr-defined]  # it has them
    names = _PARTS.get(operation.kind.type, ())
    return [f"{own}/{names[i] if i < len(names) else f'part_{i}'}/" for i in range(len(subgraphs))]


def _input(tensor: GraphTensor, prefix: str) -> str:
    return f"{prefix}{tensor.operation.name}" + (f":{tensor.index}" if tensor.index else "")


def _attributes(operation: Operation) -> dict[str, Any]:
    """What the page shows beside a node: attributes, the dtype, shapes (which it writes on the edges), the line."""
    shown: dict[str, Any] = {}
    for name, value in operation.attrs.items():
        if name[0] == "_":
            continue
        if isinstance(value, np.ndarray) and value.size <= _SHOWN:
            value = str(value.tolist())
        shown[name] = str(value) if isinstance(value, (tuple, list)) or value is None else value
    if operation.outputs:
        shown["dtype"] = operation.outputs[0].dtype if operation.outputs[0].dtype.name != "string" else _STRING
        shown["_output_shapes"] = [o.extents for o in operation.outputs]
        if operation.type == "Placeholder":
            shown["shape"] = operation.outputs[0].extents
    if operation.where:
        shown["made_at"] = operation.where
    return shown


class _String:
    """The element type of text, under the name that ``corenn.summary._graph`` has for it."""

    name = "str"


_STRING = _String()
#: What the subgraphs of control flow are called.
_PARTS = {"Cond": ("true", "false"), "While": ("condition", "body"), "Scan": ("body",)}
