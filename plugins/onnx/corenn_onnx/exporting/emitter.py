"""``Emitter``: from a program to the nodes and initializers of an ONNX graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from corenn.compiler.program import Block, Call, If, Instruction, Symbol, While
from corenn.dtypes import DType
from corenn_onnx.errors import OnnxExportError
from corenn_onnx.exporting.extents import Batches, Extent
from corenn_onnx.exporting.table import EMITTERS, served
from corenn_onnx.values import TO_ONNX

#: Orders of axes from channels last to channels first, and back, by the number of axes.
TO_FIRST = {n: (0, n - 1, *range(1, n - 1)) for n in range(2, 8)}
TO_LAST = {n: (0, *range(2, n), 1) for n in range(2, 8)}


class Use:
    """A value of the program: its symbol, and the one in its place in the program of the other batch size."""

    __slots__ = ("shape", "symbol", "twin")

    def __init__(self, symbol: Symbol, twin: Symbol, batches: Batches, where: str) -> None:
        self.symbol, self.twin = symbol, twin
        self.shape: tuple[Any, ...] = batches.merged(symbol.spec.static, twin.spec.static, where)

    @property
    def dtype(self) -> DType:
        """Element type."""
        return self.symbol.spec.dtype

    @property
    def rank(self) -> int:
        """Number of axes."""
        return len(self.shape)


class CallUse:
    """A call as emitters see it: operands (``None`` for absent ones), attributes with Extents, results."""

    __slots__ = ("attrs", "inputs", "name", "outputs", "where")

    def __init__(self, name: str, inputs: list[Use | None], attrs: dict[str, Any], outputs: list[Use], where: str):
        self.name, self.inputs, self.attrs, self.outputs, self.where = name, inputs, attrs, outputs, where

    def operand(self, place: int) -> Use:
        """An operand that is there."""
        found = self.inputs[place]
        if found is None:
            raise OnnxExportError(self.where, f"operand {place} is absent")
        return found

    @property
    def result(self) -> Use:
        """The only result."""
        return self.outputs[0]

    def fixed(self, name: str) -> Any:
        """An attribute that must not depend on the batch."""
        value = self.attrs[name]
        if _has_extent(value):
            raise OnnxExportError(self.where, f"its {name} depends on the batch size: {value}",
                                  hint="export for a fixed batch: export(model, path, batch=1)")  # fmt: skip
        return value


def _has_extent(value: Any) -> bool:
    return isinstance(value, Extent) or (isinstance(value, tuple | list) and any(_has_extent(v) for v in value))


class Emitter:
    """Collects nodes and initializers; ``name`` gives the ONNX name of a value, making what is needed for it."""

    def __init__(self, opset: int, batches: Batches, batch_of: str, backend: Any) -> None:
        self.opset, self.batches, self.batch_of, self.backend = opset, batches, batch_of, backend
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}
        self.names: dict[Symbol, str] = {}
        self.firsts: dict[Symbol, str] = {}  # names of values laid out with channels first
        self.weights: dict[Symbol, tuple[str, np.ndarray[Any, Any]]] = {}
        self.uses: dict[Symbol, int] = {}
        self.convolutions: dict[Symbol, onnx.NodeProto] = {}  # without a bias, so that one can still be put in
        self._constants: dict[Any, str] = {}
        self._taken: set[str] = set()
        self._lengths: dict[Extent, str] = {}

    # ---- names

    def fresh(self, wanted: str) -> str:
        """A name that nothing has, after the one wanted."""
        name, count = wanted or "value", 0
        while name in self._taken:
            count += 1
            name = f"{wanted}_{count}"
        self._taken.add(name)
        return name

    def use(self, symbol: Symbol, twin: Symbol, where: str = "export") -> Use:
        """A value of the two programs."""
        return Use(symbol, twin, self.batches, where)

    def name(self, use: Use) -> str:
        """The name of a value in corenn's layout."""
        found = self.names.get(use.symbol)
        if found is None:
            if use.symbol in self.firsts:
                found = self.add("Transpose", [self.firsts[use.symbol]], perm=TO_LAST[use.rank])
            elif use.symbol in self.weights:
                found = self._weight(use.symbol, "", None)
            elif use.symbol.constant:
                return self._constant(use)
            else:
                raise OnnxExportError("export", f"a value of shape {use.shape} is used before it is made")
            self.names[use.symbol] = found
        return found

    def first(self, use: Use, layout_last: bool = True) -> str:
        """The name of a value with channels first."""
        if not layout_last:
            return self.name(use)
        found = self.firsts.get(use.symbol)
        if found is None:
            found = self.firsts[use.symbol] = self.add("Transpose", [self.name(use)], perm=TO_FIRST[use.rank])
        return found

    def only_first(self, use: Use) -> bool:
        """Whether a value is there with channels first, and not in corenn's layout."""
        return use.symbol in self.firsts and use.symbol not in self.names

    def define_first(self, use: Use, name: str) -> None:
        """A result that was made with channels first."""
        self.firsts[use.symbol] = name

    # ---- constants

    def known(self, use: Use) -> np.ndarray[Any, Any] | None:
        """The elements of a constant that does not depend on the batch, or of a weight."""
        if use.symbol in self.weights:
            return self.weights[use.symbol][1]
        if not use.symbol.constant or _has_extent(use.shape):
            return None
        a, b = (np.asarray(self.backend.to_host(s.array)) for s in (use.symbol, use.twin))
        return a if np.array_equal(a, b, equal_nan=a.dtype.kind in "fc") else None

    def prepared(
        self, use: Use, change: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]], tag: str
    ) -> str | None:
        """A constant or weight changed beforehand (transposed, say); ``None`` for a value that is computed."""
        if use.symbol in self.weights:
            return self._weight(use.symbol, tag, change)
        array = self.known(use)
        return None if array is None else self.constant(change(array), f"constant_{tag}" if tag else "constant")

    def _weight(
        self, symbol: Symbol, tag: str, change: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]] | None
    ) -> str:
        key = (symbol, tag)
        found = self._constants.get(key)
        if found is None:
            name, array = self.weights[symbol]
            found = self.fresh(name)
            self._constants[key] = found
            self.initializers[found] = _proto(array if change is None else change(array), found)
        return found

    def constant(self, value: Any, wanted: str = "constant") -> str:
        """An initializer with these elements; equal ones are the same."""
        array = np.asarray(value)
        key = (array.dtype.str, array.dtype.name, array.shape, array.tobytes())
        found = self._constants.get(key)
        if found is None:
            found = self._constants[key] = self.fresh(wanted)
            self.initializers[found] = _proto(array, found)
        return found

    def scalar(self, value: Any, dtype: DType) -> str:
        """A 0-d initializer."""
        return self.constant(np.asarray(value, dtype.numpy))

    def ints(self, *values: int) -> str:
        """A vector of int64."""
        return self.constant(np.array(values, np.int64), "shape")

    def _constant(self, use: Use) -> str:
        array = self.known(use)
        if array is not None:
            return self.constant(array)
        a, b = (np.asarray(self.backend.to_host(s.array)) for s in (use.symbol, use.twin))
        if a.size and b.size and (a == a.flat[0]).all() and (b == a.flat[0]).all():
            return str(self.add("Expand", [self.constant(a.flat[0]), self.shape(use.shape)]))
        found = self._computed(a, b, use)
        if found is None:
            raise OnnxExportError("export", f"a constant of shape {use.shape} depends on the batch size",
                                  hint="export for a fixed batch: export(model, path, batch=1)")  # fmt: skip
        typed = self.add("Cast", [found], to=TO_ONNX[use.dtype])
        return str(self.add("Reshape", [typed, self.shape(use.shape)]))

    def _computed(self, a: np.ndarray[Any, Any], b: np.ndarray[Any, Any], use: Use) -> str | None:
        """A constant of whole numbers that depends on the batch, as int64: extents, or positions along an axis."""
        if a.dtype.kind not in "iuf" or not all(v.size and (v == np.trunc(v)).all() for v in (a, b)):
            return None
        x, y = (v.ravel().astype(np.int64) for v in (a, b))
        if a.shape == b.shape:  # what is computed with extents
            return self.shape([self.batches.merged(int(m), int(n), "export") for m, n in zip(x, y, strict=True)])
        step = int(x[1] - x[0]) if x.size > 1 else 1
        if sum(n != 1 for n in use.shape) != 1 or any((v != x[0] + step * np.arange(v.size)).any() for v in (x, y)):
            return None
        end = self.batches.merged(int(x[0]) + step * x.size, int(x[0]) + step * y.size, "export")
        bounds = [self.constant(np.array(x[0])), self.add("Squeeze", [self.shape([end]), self.ints(0)])]
        return str(self.add("Range", [*bounds, self.constant(np.array(step, np.int64))]))

    def shape(self, extents: Sequence[Any]) -> str:
        """A vector of int64 with these extents; those that depend on the batch are computed from the input."""
        if not _has_extent(tuple(extents)):
            return self.ints(*[int(n) for n in extents])
        parts: list[str] = []
        pending: list[int] = []
        for n in extents:
            if isinstance(n, Extent):
                if pending:
                    parts.append(self.ints(*pending))
                    pending = []
                parts.append(self._length(n))
            else:
                pending.append(int(n))
        if pending:
            parts.append(self.ints(*pending))
        return parts[0] if len(parts) == 1 else self.add("Concat", parts, axis=0)

    def _length(self, extent: Extent) -> str:
        found = self._lengths.get(extent)
        if found is None:
            if extent == Extent(1, 0):
                found = self.add("Shape", [self.batch_of], start=0, end=1)
            else:
                found = self._length(Extent(1, 0))
                if extent.slope != 1:
                    found = self.add("Mul", [found, self.ints(extent.slope)])
                if extent.offset:
                    found = self.add("Add", [found, self.ints(extent.offset)])
            self._lengths[extent] = found
        return found

    # ---- nodes

    def add(self, op_type: str, inputs: Sequence[str], outputs: int | None = None, **attributes: Any) -> Any:
        """Add a node; the name of its output, or a list of ``outputs`` names."""
        made = [self.fresh(op_type.lower()) for _ in range(outputs or 1)]
        given = {k: v for k, v in attributes.items() if v is not None}
        node = helper.make_node(op_type, list(inputs), made, name=f"{op_type}_{len(self._taken)}", **given)
        self.nodes.append(node)
        return made[0] if outputs is None else made

    def cast(self, name: str, dtype: DType) -> str:
        """A value in another dtype."""
        return str(self.add("Cast", [name], to=TO_ONNX[dtype]))

    # ---- programs

    def instruction(self, a: Instruction, b: Instruction) -> None:
        """Write one instruction (and its twin of the other batch size)."""
        where = _label(a)
        if type(a) is not type(b) or a.name != b.name:
            raise OnnxExportError(where, "what is computed depends on the batch size",
                                  hint="export for a fixed batch: export(model, path, batch=1)")  # fmt: skip
        outputs = [self.use(x, y, where) for x, y in zip(a.outputs, b.outputs, strict=True)]
        if isinstance(a, Call) and isinstance(b, Call):
            if not served(a, self.opset):
                raise OnnxExportError(where, f"the op {a.name!r} has no form in ONNX opset {self.opset}",
                                      {"operands": ", ".join(str(i.spec.at(None)) for i in a.inputs if i)})  # fmt: skip
            inputs = [
                None if x is None or y is None else self.use(x, y, where)
                for x, y in zip(a.inputs, b.inputs, strict=True)
            ]
            attrs = {k: self.batches.merged(v, b.plan.attrs[k], where) for k, v in a.plan.attrs.items()}
            self._finish(outputs, EMITTERS[a.name].function(self, CallUse(a.name, inputs, attrs, outputs, where)))
        elif isinstance(a, If) and isinstance(b, If):
            predicate = self.name(self.use(a.inputs[0], b.inputs[0], where))  # type: ignore[arg-type]
            graphs = {
                "then_branch": self._graph("then", a.yes, b.yes, [], []),
                "else_branch": self._graph("else", a.no, b.no, [], []),
            }
            self._finish(outputs, tuple(self.add("If", [predicate], len(outputs), **graphs)))
        elif isinstance(a, While) and isinstance(b, While):
            self._loop(a, b, outputs, where)
        else:
            what = {"key": "it draws random numbers", "host": "it calls Python"}.get(a.name, f"it is a {a.name!r}")
            raise OnnxExportError(where, f"{what}, which an exported model cannot", hint="export what inference needs")

    def _finish(self, outputs: Sequence[Use], made: Any) -> None:
        if made is None:  # the emitter said where the results are
            return
        for use, name in zip(outputs, (made,) if isinstance(made, str) else made, strict=False):
            if name:
                self.names[use.symbol] = name

    def _loop(self, a: While, b: While, outputs: list[Use], where: str) -> None:
        """``Loop`` looks at the condition after the body: it is tested before the loop, and again inside it."""
        start = [self.name(self.use(x, y, where)) for x, y in zip(a.inputs, b.inputs, strict=True)]  # type: ignore[arg-type]
        saved = dict(self.names)
        for parameter, name in zip(a.parameters, start, strict=True):
            self.names[parameter] = name
        self.block(a.condition, b.condition)
        (holds,) = self._results(a.condition, b.condition)
        self.names = saved
        body = self._graph("body", a.body, b.body, list(zip(a.parameters, b.parameters, strict=True)),
                           [(a.condition, b.condition)])  # fmt: skip
        most = "" if a.most is None else self.constant(np.array(a.most, np.int64))
        self._finish(outputs, tuple(self.add("Loop", [most, holds, *start], len(outputs), body=body)))

    def _graph(
        self, label: str, a: Block, b: Block, parameters: list[tuple[Symbol, Symbol]], condition: list[Any]
    ) -> onnx.GraphProto:
        """A block as a graph inside a node; with ``condition``, as the body of a Loop that ends by testing it."""
        saved = self.nodes, dict(self.names), dict(self.firsts), dict(self._lengths)
        self.nodes = []
        inputs: list[onnx.ValueInfoProto] = []
        if condition:
            counter, before = self.fresh("iteration"), self.fresh("condition")
            inputs = [helper.make_tensor_value_info(counter, onnx.TensorProto.INT64, ()),
                      helper.make_tensor_value_info(before, onnx.TensorProto.BOOL, ())]  # fmt: skip
        for x, y in parameters:
            use = self.use(x, y)
            self.names[x] = self.fresh("state")
            inputs.append(helper.make_tensor_value_info(self.names[x], TO_ONNX[use.dtype], _dims(use.shape)))
        self.block(a, b)
        found = self._results(a, b)
        ends: list[onnx.ValueInfoProto] = []
        if condition:
            test_a, test_b = condition[0]
            for (x, _), name in zip(parameters, found, strict=True):
                self.names[x] = name
                self.firsts.pop(x, None)
            self.block(test_a, test_b)
            last = self.add("Identity", [self._results(test_a, test_b)[0]])
            ends.append(helper.make_tensor_value_info(last, onnx.TensorProto.BOOL, ()))
        for name, x, y in zip(found, a.results, b.results, strict=True):
            use = self.use(x, y)
            # A name of the graph around, or one that is returned twice, needs a node of its own.
            own = self.add("Identity", [name])
            ends.append(helper.make_tensor_value_info(own, TO_ONNX[use.dtype], _dims(use.shape)))
        made = helper.make_graph(self.nodes, self.fresh(label), inputs, ends)
        self.nodes, self.names, self.firsts, self._lengths = saved
        return made

    def block(self, a: Block, b: Block) -> None:
        """Write the instructions of a block."""
        if len(a.instructions) != len(b.instructions):
            raise OnnxExportError("export", "what is computed depends on the batch size",
                                  hint="export for a fixed batch: export(model, path, batch=1)")  # fmt: skip
        for instruction in a.instructions:
            for symbol in instruction.inputs:
                if symbol is not None:
                    self.uses[symbol] = self.uses.get(symbol, 0) + 1
        for symbol in a.results:
            self.uses[symbol] = self.uses.get(symbol, 0) + 1
        for x, y in zip(a.instructions, b.instructions, strict=True):
            self.instruction(x, y)

    def _results(self, a: Block, b: Block) -> list[str]:
        return [self.name(self.use(x, y)) for x, y in zip(a.results, b.results, strict=True)]


def _label(instruction: Instruction) -> str:
    place = getattr(instruction.where, "name", None)
    return f"export of {place!r}" if place else "export"


def _dims(shape: Sequence[Any]) -> list[Any]:
    return [str(n) if isinstance(n, Extent) else int(n) for n in shape]


def _proto(array: np.ndarray[Any, Any], name: str) -> onnx.TensorProto:
    return numpy_helper.from_array(np.ascontiguousarray(array).reshape(array.shape), name)


__all__ = ["TO_FIRST", "TO_LAST", "CallUse", "Emitter", "Use"]
