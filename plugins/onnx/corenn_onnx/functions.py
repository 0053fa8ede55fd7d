"""Ops that the ONNX standard defines by a body of other ops: the body, for a node and the types of its operands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx

from corenn.graph.tensors import GraphTensor
from corenn.tensor import Tensor
from corenn_onnx.values import TO_ONNX, Constant, onnx_number


def _schema(op_type: str, domain: str, opset: int) -> Any:
    try:
        return onnx.defs.get_schema(op_type, opset, domain)
    except onnx.defs.SchemaError:
        return None


def has_body(op_type: str, domain: str, opset: int) -> bool:
    """Whether the standard defines the op by other ops."""
    schema = _schema(op_type, domain, opset)
    return schema is not None and (schema.has_function or schema.has_context_dependent_function)


def signature(inputs: Sequence[Any]) -> tuple[bytes, ...]:
    """The ONNX types of operands, serialised: what a body may depend on."""
    return tuple(_type(value).SerializeToString() for value in inputs)


def body_of(proto: onnx.NodeProto, domain: str, opset: int, types: Sequence[bytes]) -> onnx.FunctionProto | None:
    """The body for a node with operands of such types (see ``signature``), or ``None``."""
    schema = _schema(proto.op_type, domain, opset)
    if schema is None:
        return None
    if schema.has_context_dependent_function:
        newest = max(opset, schema.since_version)
        versions = [v for v in schema.context_dependent_function_opset_versions if v <= newest]
        if not versions:
            return None
        text = schema.get_context_dependent_function_with_opset_version(
            max(versions), proto.SerializeToString(), list(types)
        )
        return _parsed(text) if text else None
    return schema.function_body if schema.has_function else None


def _parsed(text: bytes) -> onnx.FunctionProto:
    body = onnx.FunctionProto()
    body.ParseFromString(text)
    return body


def _type(value: Any) -> onnx.TypeProto:
    """The ONNX type of a value; an empty one for what is absent or no tensor."""
    made = onnx.TypeProto()
    if isinstance(value, list):
        made.sequence_type.elem_type.CopyFrom(_type(value[0]) if value else onnx.TypeProto())
        return made
    shape: Any
    if isinstance(value, GraphTensor):
        number, shape = TO_ONNX[value.dtype], value.extents
    elif isinstance(value, Tensor):
        number, shape = TO_ONNX[value.dtype], value.shape
    elif isinstance(value, Constant):
        number, shape = onnx_number(value.host.dtype), value.host.shape
    else:
        return made
    made.tensor_type.elem_type = number
    if shape is not None:
        made.tensor_type.shape.CopyFrom(onnx.TensorShapeProto())
        for extent in shape:
            axis = made.tensor_type.shape.dim.add()
            if extent is not None:
                axis.dim_value = extent
    return made


__all__ = ["body_of", "has_body", "signature"]
