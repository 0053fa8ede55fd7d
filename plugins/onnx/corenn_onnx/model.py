"""``load``: an ONNX file, or message, as something that can be called, traced and differentiated."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import onnx

from corenn.ops.creation import asarray
from corenn.tensor import Tensor
from corenn.variable import Variable
from corenn_onnx.errors import OnnxModelError
from corenn_onnx.running import Graph, Surroundings
from corenn_onnx.values import OF_ONNX, Constant, as_text, from_proto, is_foreign, onnx_name

Value = Any  # a tensor, an array of strings or of another foreign type, a list of values, or None


class ImportedModel:
    """An ONNX model: call it with its inputs, in order or by name; it returns the outputs in order.

    ``inputs`` and ``outputs`` are the names; ``input_types`` and ``output_types`` the ONNX types.  Inputs are tensors
    or arrays; a sequence is a list, an absent optional ``None``.  Results are corenn tensors; those of element types
    that corenn lacks (strings, float8) are NumPy arrays.  One output is returned as it is, several as a tuple.

    Calls run op by op; inside ``corenn.function`` they become part of what is traced, and gradients pass wherever the
    ops have them.  ``variables`` holds the trainable weights by name if it was loaded with ``trainable=True``.
    """

    def __init__(self, proto: onnx.ModelProto, base_dir: str = "", trainable: bool = False) -> None:
        self.proto = proto
        opsets = {o.domain: o.version for o in proto.opset_import}
        local = {(f.domain, f.name, f.overload): f for f in proto.functions}
        self._around = Surroundings(opsets, local, base_dir)
        self._graph = Graph(proto.graph, self._around)
        self.name: str = proto.graph.name
        self.opset: int = self._around.opsets.get("", 0)
        self.inputs = list(self._graph.inputs)
        self.outputs = list(self._graph.outputs)
        self.input_types = {i.name: i.type for i in proto.graph.input if i.name in self.inputs}
        self.output_types = {o.name: o.type for o in proto.graph.output}
        self.variables: dict[str, Variable] = {}
        if trainable:
            for name, constant in self._graph.constants.items():
                if not constant.foreign and constant.tensor().dtype.is_floating and constant.host.ndim:
                    self.variables[name] = Variable(constant.host, name=name)
            self._graph.constants.update(self.variables)

    def __call__(self, *args: Any, **named: Any) -> Any:
        """Run it; OnnxModelError for inputs that are missing, unknown or of another element type."""
        results = self.run(args, named)
        return results[0] if len(results) == 1 else tuple(results)

    def run(self, args: Sequence[Any] = (), named: dict[str, Any] | None = None) -> list[Value]:
        """As a call, but the results are always a list."""
        named = dict(named or {})
        if len(args) > len(self.inputs):
            raise OnnxModelError(self._label, f"takes {len(self.inputs)} inputs, not {len(args)}")
        given = dict(zip(self.inputs, args, strict=False))
        twice = sorted(set(given) & set(named))
        if twice:
            raise OnnxModelError(self._label, f"the input {twice[0]!r} is given twice")
        given.update(named)
        unknown = sorted(set(given) - set(self.inputs) - set(self._graph.overridable))
        if unknown:
            raise OnnxModelError(self._label, f"it has no input {unknown[0]!r}", hint=f"inputs: {self.inputs}")
        missing = [name for name in self.inputs if name not in given and not self._optional(name)]
        if missing:
            raise OnnxModelError(self._label, f"the input {missing[0]!r} is missing", hint=f"inputs: {self.inputs}")
        place = next((v.device for v in given.values() if isinstance(v, Tensor)), None)
        with nullcontext() if place is None else place:
            return self._on_device(given)

    def _on_device(self, given: dict[str, Any]) -> list[Value]:
        values = [self._converted(name, given.pop(name, None)) for name in self.inputs]
        instead = {name: self._converted(name, value) for name, value in given.items()}
        return [_opened(v) for v in self._graph.run(values, instead=instead)]

    def constants(self) -> dict[str, Constant]:
        """The initializers by name."""
        return {n: Constant(c.value()) if isinstance(c, Variable) else c for n, c in self._graph.constants.items()}

    def __repr__(self) -> str:
        return f"<ONNX model {self.name!r}, opset {self.opset}: {', '.join(self.inputs)} -> {', '.join(self.outputs)}>"

    @property
    def _label(self) -> str:
        return f"ONNX model {self.name!r}"

    def _optional(self, name: str) -> bool:
        return name in self.input_types and self.input_types[name].WhichOneof("value") == "optional_type"

    def _converted(self, name: str, value: Any) -> Any:
        if value is None or isinstance(value, list):
            kind = self.input_types[name].WhichOneof("value") if name in self.input_types else ""
            if value is None or kind in ("sequence_type", "optional_type"):
                return None if value is None else [_held(v) for v in value]
        found = _held(value)
        wanted = self.input_types[name].tensor_type.elem_type if name in self.input_types else 0
        if isinstance(found, Tensor) and wanted and OF_ONNX.get(wanted) is not found.dtype:
            raise OnnxModelError(
                self._label, f"the input {name!r} takes elements of {onnx_name(wanted)}, not {found.dtype}"
            )
        return found


def _held(value: Any) -> Any:
    if value is None or isinstance(value, Tensor):
        return value
    if isinstance(value, onnx.TensorProto):
        value = from_proto(value)
    array = np.asarray(value)
    if array.dtype.kind in "OUST":
        return Constant(as_text(array))
    return Constant(array) if is_foreign(array) else asarray(array)


def _opened(value: Any) -> Any:
    if isinstance(value, Constant):
        return value.host if value.foreign else asarray(value.tensor())
    if isinstance(value, list):
        return [_opened(v) for v in value]
    return value.value() if isinstance(value, Variable) else value


def read(source: Any) -> tuple[onnx.ModelProto, str]:
    """The ``ModelProto`` of a path, bytes or a ``ModelProto``, and the folder of its external data.

    Raises OnnxModelError for what is no model.
    """
    proto, base_dir = source, ""
    if not isinstance(source, onnx.ModelProto):
        try:
            if isinstance(source, bytes | bytearray):
                proto = onnx.load_model_from_string(bytes(source))
            else:
                proto = onnx.load(os.fspath(source), load_external_data=False)
                base_dir = os.path.dirname(os.path.abspath(os.fspath(source)))
        except FileNotFoundError:
            raise OnnxModelError("load", f"there is no file {os.fspath(source)!r}") from None
        except Exception as problem:  # protobuf raises errors of its own for bytes that are no message
            raise OnnxModelError("load", f"this is no ONNX model: {type(problem).__name__}: {problem}") from problem
    if not proto.HasField("graph") or not proto.opset_import:
        raise OnnxModelError("load", "this is no ONNX model: it has no graph or no opset")
    return proto, base_dir


def load(source: Any, *, trainable: bool = False) -> ImportedModel:
    """Read an ONNX model from a path, bytes or a ``ModelProto``; see ``ImportedModel``.

    ``trainable``: floating initializers become variables, which tapes watch and optimizers train.  External data is
    read from the folder of the file.  Raises OnnxModelError for what is no model, UnsupportedOnnxError, naming node, op
    and opset, for what corenn cannot run.
    """
    proto, base_dir = read(source)
    return ImportedModel(proto, base_dir, trainable)


__all__ = ["ImportedModel", "load", "read"]
