"""Running a graph of ONNX nodes, one after the other: eagerly, under a tape, or into a corenn graph being built."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx

import corenn_onnx.ops  # noqa: F401  # which fills the table
from corenn.device import current_device
from corenn.errors import CorennError
from corenn.ops.creation import asarray
from corenn.ops.shaping import transpose
from corenn.tensor import Tensor
from corenn_onnx import functions
from corenn_onnx.errors import OnnxModelError, UnsupportedOnnxError
from corenn_onnx.table import REQUIRED, Implementation, find
from corenn_onnx.values import Constant, from_proto, known, outside

Scope = dict[str, Any]


class Surroundings:
    """What every graph of a model shares: opsets by domain, the model's functions, where external data is."""

    def __init__(
        self, opsets: Mapping[str, int], local: Mapping[tuple[str, str, str], onnx.FunctionProto], base_dir: str = ""
    ) -> None:
        self.opsets = {("" if d == "ai.onnx" else d): v for d, v in opsets.items()}
        self.local, self.base_dir = dict(local), base_dir
        self.types: dict[str, onnx.TypeProto] = {}

    def within(self, opsets: Mapping[str, int]) -> Surroundings:
        """The same for the body of a function, which has opsets of its own."""
        return Surroundings({**self.opsets, **opsets}, self.local, self.base_dir)


class Node:
    """One node: its implementation, attributes as Python values, and names of inputs and outputs ('' for absent)."""

    def __init__(
        self, proto: onnx.NodeProto, around: Surroundings, given: Mapping[str, onnx.AttributeProto] | None = None
    ) -> None:
        self.proto, self.around = proto, around
        self.home: Graph | None = None  # the graph it is in, unless that is the body of a function
        self._kept: tuple[list[Any], list[Any]] | None = None
        self._bodies: dict[Any, Body | None] = {}
        self._reordered: tuple[Constant, Tensor] | None = None
        self.op_type, self.domain = proto.op_type, "" if proto.domain == "ai.onnx" else proto.domain
        self.inputs, self.outputs = list(proto.input), list(proto.output)
        if self.domain not in around.opsets and (self.domain, self.op_type, proto.overload) not in around.local:
            raise self.error(OnnxModelError, f"the model imports no opset of the domain {self.domain!r}")
        self.opset = around.opsets.get(self.domain, 1)
        self.protos = {}
        for attribute in proto.attribute:
            if attribute.ref_attr_name:
                if given is None or attribute.ref_attr_name not in given:
                    continue  # an attribute that the caller of the function left out
                made = onnx.AttributeProto()
                made.CopyFrom(given[attribute.ref_attr_name])
                made.name = attribute.name
                attribute = made
            self.protos[attribute.name] = attribute
        self.given = given
        self.function: onnx.FunctionProto | None = around.local.get((self.domain, self.op_type, proto.overload))
        self.implementation: Implementation | None = None
        if self.function is None:
            try:
                self.implementation = find(self.domain, self.op_type, self.opset)
            except UnsupportedOnnxError as problem:
                raise self.error(UnsupportedOnnxError, problem.what, problem.hint) from None
            if self.implementation is None and not functions.has_body(self.op_type, self.domain, self.opset):
                raise self.error(UnsupportedOnnxError, "there is no implementation of this op")
        values = {name: self._value(a) for name, a in self.protos.items()}
        self.attributes = values if self.implementation is None else self._bound(self.implementation, values)

    def _value(self, attribute: onnx.AttributeProto) -> Any:
        kinds = onnx.AttributeProto
        if attribute.type == kinds.GRAPH:
            return Graph(attribute.g, self.around, self.given)
        if attribute.type == kinds.TENSOR:
            return from_proto(attribute.t, self.around.base_dir)
        if attribute.type == kinds.TYPE_PROTO:
            return attribute.tp
        if attribute.type in (kinds.SPARSE_TENSOR, kinds.SPARSE_TENSORS):
            return attribute.sparse_tensor
        if attribute.type == kinds.TENSORS:
            return [from_proto(t, self.around.base_dir) for t in attribute.tensors]
        if attribute.type == kinds.GRAPHS:
            return [Graph(g, self.around, self.given) for g in attribute.graphs]
        value = onnx.helper.get_attribute_value(attribute)
        if isinstance(value, bytes):
            return value.decode()
        if attribute.type == kinds.STRINGS:
            return tuple(item.decode() for item in value)
        return tuple(value) if attribute.type in (kinds.INTS, kinds.FLOATS) else value

    def _bound(self, implementation: Implementation, values: dict[str, Any]) -> dict[str, Any]:
        for name in values:
            if name not in implementation.attributes:
                raise self.error(UnsupportedOnnxError, f"the attribute {name!r} is not supported at this opset")
        for name, default in implementation.attributes.items():
            if default is REQUIRED and name not in values:
                raise self.error(OnnxModelError, f"the attribute {name!r} is missing")
        return values

    # ---- what implementations ask

    @property
    def label(self) -> str:
        """How messages call it."""
        where = self.proto.name or (self.outputs[0] if self.outputs else "")
        domain = self.domain or "ai.onnx"
        return f"node {where!r} ({self.op_type}, {domain} opset {self.around.opsets.get(self.domain, '?')})"

    def error(self, kind: type[CorennError], what: str, hint: str | None = None) -> CorennError:
        """An error about this node."""
        return kind(self.label, what, hint=hint, site="")

    def unsupported(self, what: str, hint: str | None = None) -> CorennError:
        """An UnsupportedOnnxError about this node."""
        return self.error(UnsupportedOnnxError, what, hint)

    def wanted(self, place: int) -> bool:
        """Whether the output at a place is used."""
        return place < len(self.outputs) and self.outputs[place] != ""

    def names(self) -> set[str]:
        """Names that it, and the graphs inside it, read."""
        found = {name for name in self.inputs if name}
        for value in self.attributes.values():
            if isinstance(value, Graph):
                found |= value.free()
        return found

    def host(self, value: Any, name: str) -> np.ndarray[Any, Any]:
        """The elements of an input that the op needs to know; UnsupportedOnnxError while they are not known."""
        found = known(value)
        if found is None:
            raise self.unsupported(
                f"its input {name!r} must be known, and depends on values that only a run has",
                "call the model eagerly, or keep what it depends on constant",
            )
        return found

    def reordered(self, value: Any, axes: Sequence[int]) -> Tensor:
        """An input with its axes in another order; of a constant, laid out so once and kept."""
        if not isinstance(value, Constant):
            return transpose(value, axes=tuple(axes))
        device = current_device()
        kept = self._reordered
        if kept is None or kept[0] is not value or kept[1].spec.device is not device:
            with outside():
                made = asarray(np.ascontiguousarray(np.transpose(value.host, axes)))
            kept = self._reordered = value, made
        return kept[1]

    # ---- running

    def run(self, scope: Scope) -> None:
        """Compute the outputs and put them into ``scope``."""
        inputs = [scope[name] if name else None for name in self.inputs]
        inside = any(isinstance(v, Graph) for v in self.attributes.values())
        if self.implementation is None:
            results = self._call_function(inputs)
        else:
            operands = inputs
            constant = self.implementation.pure and not inside and all(_is_constant(v) for v in operands)
            if constant:
                results = self._computed_once(self.implementation, operands, scope)
            else:
                results = self._call(self.implementation, operands, scope)
        for name, result in zip(self.outputs, results, strict=False):
            if name:
                scope[name] = Constant(np.asarray(result)) if isinstance(result, np.ndarray | np.generic) else result
        if len(results) < len([name for name in self.outputs if name]):
            raise self.error(OnnxModelError, f"the op gives {len(results)} outputs, the node names {self.outputs}")

    def _computed_once(self, implementation: Implementation, operands: Sequence[Any], scope: Scope) -> list[Any]:
        """The constants that constants lead to, kept for the next time that they are the same."""
        kept = self._kept
        if kept is None or [*map(id, kept[0])] != [*map(id, operands)]:
            with outside():
                found = [_constant(r) for r in self._call(implementation, operands, scope)]
            kept = self._kept = list(operands), found
        return kept[1]

    def _call(self, implementation: Implementation, inputs: Sequence[Any], scope: Scope) -> list[Any]:
        if len(inputs) < implementation.least or (
            implementation.variadic is None and len(inputs) > len(implementation.names)
        ):
            names = ", ".join(implementation.names)
            raise self.error(OnnxModelError, f"the op takes {names}, not {len(inputs)} inputs")
        table: list[np.ndarray[Any, Any]] = []
        operands = []
        for i, value in enumerate(inputs):
            name = implementation.names[i] if i < len(implementation.names) else implementation.variadic or ""
            operands.append(self._operand(implementation, name, value, table))
        keywords: dict[str, Any] = {"node": Calling(self, scope)} if implementation.node else {}
        try:
            results = implementation.function(*operands, **self.attributes, **keywords)
        except CorennError as problem:
            if not getattr(problem, "__notes__", None) and problem.where != self.label:
                problem.add_note(f"in ONNX {self.label}")
            raise
        found = list(results) if isinstance(results, tuple) else [results]
        return found if not table else [_translated(r, table) for r in found]

    def _operand(self, implementation: Implementation, name: str, value: Any, table: list[np.ndarray[Any, Any]]) -> Any:
        if value is None or name in implementation.raw:
            return value
        if name in implementation.host:
            return self.host(value, name)
        if isinstance(value, Constant):
            if value.foreign:
                if implementation.moves:  # what moves are positions in a table of the elements
                    first = sum(part.size for part in table)
                    table.append(value.host.ravel())
                    positions = np.arange(first, first + value.host.size, dtype=np.int64).reshape(value.host.shape)
                    return Constant(positions).tensor()
                raise self.unsupported(f"its input {name!r} has elements of {value.host.dtype}, which corenn lacks")
            return value.tensor()
        if isinstance(value, list):
            raise self.error(OnnxModelError, f"its input {name!r} is a sequence, and should be a tensor")
        return value

    def _call_function(self, inputs: Sequence[Any]) -> list[Any]:
        """Run the function's body: the model's own, or what the standard says the op is made of."""
        key = None if self.function is not None else functions.signature(inputs)
        if key not in self._bodies:
            body = self.function
            if body is None:
                body = functions.body_of(self.proto, self.domain, self.opset, key or ())
            self._bodies[key] = None if body is None else Body(body, self)
        prepared = self._bodies[key]
        if prepared is None:
            raise self.error(UnsupportedOnnxError, "there is no implementation of this op for such operands")
        return prepared.run(inputs)


class Calling:
    """A node as its implementation sees it in one run: with ``scope``, the values there are."""

    __slots__ = ("_node", "scope")

    def __init__(self, node: Node, scope: Scope) -> None:
        self._node, self.scope = node, scope

    def __getattr__(self, name: str) -> Any:
        return getattr(self._node, name)


class Body:
    """The body of a function, with the attributes of the node that calls it."""

    def __init__(self, proto: onnx.FunctionProto, caller: Node) -> None:
        around = caller.around.within({o.domain: o.version for o in proto.opset_import})
        given = {a.name: a for a in proto.attribute_proto}
        given.update(caller.protos)
        self.inputs, self.outputs = list(proto.input), list(proto.output)
        self.nodes = [Node(node, around, given) for node in proto.node]

    def run(self, inputs: Sequence[Any]) -> list[Any]:
        """The outputs; ``None`` for those that the body does not make, which the node did not ask for."""
        scope: Scope = dict(zip(self.inputs, [*inputs, *[None] * (len(self.inputs) - len(inputs))], strict=True))
        for node in self.nodes:
            node.run(scope)
        return [scope.get(name) for name in self.outputs]


def _is_constant(value: Any) -> bool:
    return value is None or isinstance(value, Constant)


def _constant(value: Any) -> Any:
    if isinstance(value, np.ndarray | np.generic):
        return Constant(np.asarray(value))
    return Constant(value) if isinstance(value, Tensor) else value


def _translated(value: Any, table: list[np.ndarray[Any, Any]]) -> Any:
    """The elements that positions stand for."""
    if isinstance(value, list):
        return [Constant(_translated(v, table)) for v in value]
    positions = known(value.tensor() if isinstance(value, Constant) else value)
    return np.concatenate(table)[positions]


class Graph:
    """A graph of nodes: a model's, or one inside a node, which also sees the names around it."""

    def __init__(
        self, proto: onnx.GraphProto, around: Surroundings, given: Mapping[str, onnx.AttributeProto] | None = None
    ) -> None:
        self.proto, self.name = proto, proto.name
        self.constants: Scope = {t.name: Constant(from_proto(t, around.base_dir)) for t in proto.initializer}
        for sparse in proto.sparse_initializer:
            self.constants[sparse.values.name] = Constant(dense(sparse, around.base_dir))
        self.inputs = [i.name for i in proto.input if i.name not in self.constants]
        self.overridable = [i.name for i in proto.input if i.name in self.constants]
        self.outputs = [o.name for o in proto.output]
        self.nodes = [Node(n, around, given) for n in proto.node]
        for node in self.nodes:
            node.home = self
        self._done = self._last_uses()

    def _last_uses(self) -> list[list[str]]:
        """For each node, the values that nothing needs after it; none where a gradient may compute values again."""
        if any(node.op_type == "Gradient" for node in self.nodes):
            return [[] for _ in self.nodes]
        kept = {*self.outputs, *self.constants, ""}
        found: list[list[str]] = []
        for node in reversed(self.nodes):
            names = (node.names() | set(node.outputs)) - kept
            found.append(sorted(names))
            kept |= names
        return found[::-1]

    def free(self) -> set[str]:
        """Names that it reads from around it."""
        made, found = {*self.constants, *self.inputs}, set()
        for node in self.nodes:
            found |= node.names() - made
            made.update(node.outputs)
        return found | (set(self.outputs) - made)

    def compute(self, name: str, given: Scope, outer: Scope) -> Any:
        """One value of the graph again, from other values of some of its names."""
        wanted, steps = {name} - set(given), []
        for node in reversed(self.nodes):
            if wanted & set(node.outputs):
                steps.append(node)
                wanted = (wanted | node.names()) - set(node.outputs) - set(given)
        scope = {**outer, **given}
        for node in reversed(steps):
            node.run(scope)
        return scope[name]

    def run(self, values: Iterable[Any], outer: Scope | None = None, instead: Scope | None = None) -> list[Any]:
        """The outputs for inputs in order; ``outer``: the values around it; ``instead``: of initializers."""
        given = dict(zip(self.inputs, values, strict=True))
        scope: Scope = {**(outer or {}), **self.constants, **(instead or {}), **given}
        for node, done in zip(self.nodes, self._done, strict=True):
            node.run(scope)
            for name in done:
                scope.pop(name, None)
        return [scope[name] for name in self.outputs]


def dense(sparse: onnx.SparseTensorProto, base_dir: str) -> np.ndarray[Any, Any]:
    """A sparse tensor, with positions among all elements or as coordinates, as an array."""
    values, indices = from_proto(sparse.values, base_dir), from_proto(sparse.indices, base_dir)
    found = np.zeros(tuple(sparse.dims), values.dtype)
    if indices.ndim == 1:
        found.reshape(-1)[indices] = values
    else:
        found[tuple(indices.T)] = values
    return found


__all__ = ["Graph", "Node", "Scope", "Surroundings", "dense"]
