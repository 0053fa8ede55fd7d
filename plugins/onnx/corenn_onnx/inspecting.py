"""What is in an ONNX file: inputs, outputs, ops and weights, and whether corenn can run it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import onnx

from corenn_onnx import functions
from corenn_onnx.errors import UnsupportedOnnxError
from corenn_onnx.table import find
from corenn_onnx.values import onnx_name


def nodes_of(graph: Any) -> Iterator[onnx.NodeProto]:
    """Every node of a graph (or function) and of the graphs inside its nodes."""
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            for inner in (*attribute.graphs, *([attribute.g] if attribute.type == onnx.AttributeProto.GRAPH else [])):
                yield from nodes_of(inner)


def type_text(kind: onnx.TypeProto) -> str:
    """An ONNX type as messages show it: ``float[batch, 3]``, ``seq(int64[])``."""
    which = kind.WhichOneof("value")
    if which == "sequence_type":
        return f"seq({type_text(kind.sequence_type.elem_type)})"
    if which == "optional_type":
        return f"optional({type_text(kind.optional_type.elem_type)})"
    if which != "tensor_type":
        return str(which or "unknown")
    tensor = kind.tensor_type
    if not tensor.HasField("shape"):
        return onnx_name(tensor.elem_type).lower()
    dims = [d.dim_param or (str(d.dim_value) if d.HasField("dim_value") else "?") for d in tensor.shape.dim]
    return f"{onnx_name(tensor.elem_type).lower()}[{', '.join(dims)}]"


def unsupported(proto: onnx.ModelProto) -> dict[str, str]:
    """Ops of a model that corenn cannot run, each with the reason."""
    opsets = {("" if o.domain == "ai.onnx" else o.domain): o.version for o in proto.opset_import}
    local = {(f.domain, f.name) for f in proto.functions}
    found: dict[str, str] = {}
    graphs: list[Any] = [(proto.graph, opsets)]
    graphs += [(f, {**opsets, **{o.domain: o.version for o in f.opset_import}}) for f in proto.functions]
    for graph, versions in graphs:
        for node in nodes_of(graph):
            domain = "" if node.domain == "ai.onnx" else node.domain
            name = f"{domain}.{node.op_type}" if domain else node.op_type
            if (node.domain, node.op_type) in local or name in found:
                continue
            opset = versions.get(domain, 0)
            try:
                known = find(domain, node.op_type, opset) is not None
            except UnsupportedOnnxError as problem:
                found[name] = problem.what
                continue
            if not known and not functions.has_body(node.op_type, domain, opset):
                found[name] = f"there is no implementation of it (opset {opset})"
    return found


def described(proto: onnx.ModelProto) -> dict[str, Any]:
    """All there is to show about a model, as plain data."""
    graph = proto.graph
    initializers = {i.name for i in graph.initializer}
    weights = [
        {"name": i.name, "type": onnx_name(i.data_type).lower(), "shape": list(i.dims)} for i in graph.initializer
    ]
    elements = 0
    for tensor in graph.initializer:
        count = 1
        for extent in tensor.dims:
            count *= extent
        elements += count
    return {
        "name": graph.name,
        "producer": f"{proto.producer_name} {proto.producer_version}".strip(),
        "ir_version": proto.ir_version,
        "opsets": {o.domain or "ai.onnx": o.version for o in proto.opset_import},
        "inputs": {i.name: type_text(i.type) for i in graph.input if i.name not in initializers},
        "outputs": {o.name: type_text(o.type) for o in graph.output},
        "ops": dict(Counter(n.op_type for n in nodes_of(graph)).most_common()),
        "weights": weights,
        "elements": elements,
        "unsupported": unsupported(proto),
    }


__all__ = ["described", "nodes_of", "type_text", "unsupported"]
