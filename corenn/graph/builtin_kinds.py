"""The kinds of corenn's own graphs, as they are written to files: see ``corenn.graph.kind_registry``."""

from __future__ import annotations

from typing import Any

import numpy as np

from corenn import dtypes
from corenn.dtypes import DType, as_dtype
from corenn.errors import nearest
from corenn.graph import text  # noqa: F401  registers its functions
from corenn.graph.control import CondKind, ControlKind, ScanKind, WhileKind
from corenn.graph.encoding import UnwritableError
from corenn.graph.gradients import GradientKind
from corenn.graph.kind_registry import Reader, Record, Writer, nothing, register_kind
from corenn.graph.kinds import (
    Bound,
    CompositeKind,
    ConstKind,
    DefaultPlaceholderKind,
    HostCallKind,
    NoOpKind,
    PlaceholderKind,
    RandomKeyKind,
    ShapeKind,
    SliceKind,
)
from corenn.graph.names import type_of
from corenn.graph.operations import Deferred, Kind, Operation, TableKind
from corenn.graph.partial import infer_partial
from corenn.graph.state import (
    _COMBINE,
    AssignKind,
    GraphVariable,
    InitializedValueKind,
    IsInitializedKind,
    ReadKind,
    VariableKind,
)
from corenn.graph.subgraph import ParameterKind, SubGraph
from corenn.ops.binding import bind_attributes, bind_operands
from corenn.ops.table import TABLE

# ---------------------------------------------------------------- ops of the table


def _write_table(kind: TableKind, operation: Operation, writer: Writer) -> dict[str, Any]:
    return {"op": kind.op.name}


def _read_table(record: Record, reader: Reader) -> Kind:
    name = record.config.get("op")
    op = TABLE.get(name) if isinstance(name, str) else None
    if op is None:
        record.refuse(f"there is no op {str(name)[:60]!r}; {nearest(str(name), TABLE)}")
    hidden = {k: v for k, v in record.attrs.items() if k.startswith("_")}
    bound = bind_attributes(op, {k: v for k, v in record.attrs.items() if k not in hidden})
    absent, count = hidden.pop("_absent", ()), hidden.pop("_operands", len(record.inputs))
    if hidden.keys() - {"_type"} or not isinstance(hidden.get("_type", ""), str):
        record.refuse("it has attributes of the graph's own that are not known")
    places = isinstance(absent, tuple) and all(type(i) is int for i in absent) and sorted(set(absent)) == list(absent)
    if type(count) is not int or not 0 <= count <= len(record.inputs) or not places:
        record.refuse("its absent operands, or the number of its operands, are malformed")
    operands: list[Any] = list(record.inputs[:count])
    for place in absent:
        if not 0 <= place <= len(operands) or not 0 <= place - (len(op.tensors) - op.optional) < op.optional:
            record.refuse(f"operand {place} of {op.name} cannot be absent")
        operands.insert(place, None)
    if len(bind_operands(op, tuple(operands))) != len(operands):
        record.refuse(f"{len(operands)} operands are not those of {op.name}")
    known = [None if t is None else (t.extents, t.dtype) for t in operands]
    if op.family.promote and len({k[1] for k in known if k is not None}) > 1:
        record.refuse("its operands have different dtypes")
    _check_deferred(bound, count, record)
    results = infer_partial(op, known, bound)
    if len(results) != len(record.results):
        record.refuse(f"it has {len(record.results)} outputs, and {op.name} gives {len(results)}")
    for i, found in enumerate(results):
        record.same(found, i)
    record.attrs = {**bound, **{k: v for k, v in record.attrs.items() if k.startswith("_")}}
    kinds = record.graph._table_kinds
    return kinds.setdefault(op.name, TableKind(op, type_of(op.name)))


def _check_deferred(value: Any, first: int, record: Record) -> None:
    """Values known only at run time must be among the inputs beyond the operands, and integers."""
    if isinstance(value, dict):
        value = tuple(value.values())
    if isinstance(value, tuple):
        for item in value:
            _check_deferred(item, first, record)
    elif isinstance(value, Deferred):
        if not first <= value.position < len(record.inputs):
            record.refuse(f"an attribute is the value of input {value.position}, which is none beyond the operands")
        if not record.inputs[value.position].dtype.is_integer:
            record.refuse(f"an attribute is the value of input {value.position}, which is no integer")


# ---------------------------------------------------------------- values, places, functions


def _read_const(record: Record, reader: Reader) -> Kind:
    record.counts(0, 1)
    array = record.attrs.get("value")
    if not isinstance(array, np.ndarray):
        record.refuse("its value is not an array")
    dtype = dtypes.string if array.dtype == object else as_dtype(array.dtype)
    record.same((array.shape, dtype))
    record.results[0] = (array.shape, dtype)
    return ConstKind()


def _read_placeholder(record: Record, reader: Reader) -> Kind:
    record.counts(0, 1)
    return PlaceholderKind()


def _read_default(record: Record, reader: Reader) -> Kind:
    record.counts(1, 1)
    record.same(record.known(0))
    return DefaultPlaceholderKind()


def _read_no_op(record: Record, reader: Reader) -> Kind:
    record.counts(0, 0)
    return NoOpKind()


def _read_shape(record: Record, reader: Reader) -> Kind:
    record.counts(1, 1)
    dtype, extents = record.attrs.get("dtype"), record.inputs[0].extents
    if not isinstance(dtype, DType) or not dtype.is_integer:
        record.refuse("the attribute 'dtype' is not a dtype of integers")
    record.same((None if extents is None else (len(extents),), dtype))
    return ShapeKind()


def _read_key(record: Record, reader: Reader) -> Kind:
    record.counts(0, 1)
    record.same(((3,), dtypes.uint64))
    seeds = [record.attrs.get(name) for name in ("graph_seed", "seed", "last")]
    if not all(s is None or type(s) is int for s in seeds) or seeds[2] is None:
        record.refuse("its seeds are not integers")
    return RandomKeyKind()


def _write_slice(kind: SliceKind, operation: Operation, writer: Writer) -> dict[str, Any]:
    return {"pattern": writer.value(kind.pattern)}


def _read_slice(record: Record, reader: Reader) -> Kind:
    pattern = reader.value(record.config.get("pattern"))
    if not isinstance(pattern, tuple) or not record.inputs:
        record.refuse("its pattern is not a tuple")
    record.counts(len(record.inputs), 1)
    record.same((None, record.inputs[0].dtype))
    leaves = [
        b for item in pattern for b in ((item.start, item.stop, item.step) if isinstance(item, slice) else (item,))
    ]
    plain = (type(None), type(Ellipsis), bool, int, np.ndarray, list, Bound)
    if not all(isinstance(b, plain) for b in leaves):
        record.refuse("its pattern holds what is no index")
    if any(b.place >= len(record.inputs) - 1 for b in leaves if isinstance(b, Bound)):
        record.refuse("its pattern names a bound that is not among the inputs")
    for bound in record.inputs[1:]:
        if not bound.dtype.is_integer or bound.extents not in (None, ()):
            record.refuse(f"the bound {bound.name!r} is not one integer")
    return SliceKind(pattern)


def _write_composite(kind: CompositeKind, operation: Operation, writer: Writer) -> dict[str, Any]:
    return {"type": kind.type, "effects": kind.effects, **writer.function(kind.function)}


def _read_composite(record: Record, reader: Reader) -> Kind:
    name, effects = record.config.get("type"), record.config.get("effects")
    if not isinstance(name, str) or not isinstance(effects, bool):
        record.refuse("its type and effects are malformed")
    return CompositeKind(reader.function(record.config), name, effects)


def _write_host(kind: HostCallKind, operation: Operation, writer: Writer) -> dict[str, Any]:
    return {"type": kind.type, "pure": not kind.effects, **writer.function(kind.function)}


def _read_host(record: Record, reader: Reader) -> Kind:
    name, pure = record.config.get("type"), record.config.get("pure")
    if not isinstance(name, str) or not isinstance(pure, bool):
        record.refuse("its type and effects are malformed")
    return HostCallKind(reader.function(record.config), pure, name)


# ---------------------------------------------------------------- variables


def _write_variable(kind: VariableKind, operation: Operation, writer: Writer) -> dict[str, Any]:
    cell = kind.cell
    return {
        "trainable": bool(cell.trainable), "initializer": cell.initializer.name,
        "initial_value": cell.initial_value.name, "read": cell._read.operation.name,
        "constraint": writer.constraint(cell.constraint),
    }  # fmt: skip


def _read_variable(record: Record, reader: Reader) -> Kind:
    record.counts(0, 1)
    if not isinstance(record.config.get("trainable"), bool):
        record.refuse("it does not say whether it is trainable")
    return VariableKind()


def _made_variable(operation: Operation, record: Record, reader: Reader) -> None:
    kind, config = operation.kind, record.config
    assert isinstance(kind, VariableKind)  # it was just read
    cell = reader.variable_class(operation, 0, *record.results[0])
    operation.outputs = (cell,)
    kind.cell = cell
    cell.trainable, cell.constraint = config["trainable"], reader.constraint(config.get("constraint"))

    def complete() -> None:
        cell.initial_value = reader.tensor(config.get("initial_value"))
        cell.initializer, read = reader.operation(config.get("initializer")), reader.operation(config.get("read"))
        if not isinstance(read.kind, ReadKind) or read.kind.cell is not cell:
            record.refuse(f"{read.name!r} does not read it")
        if not isinstance(cell.initializer.kind, AssignKind) or cell.initializer.kind.cell is not cell:
            record.refuse(f"{cell.initializer.name!r} does not assign to it")
        if cell.initial_value.dtype is not cell.dtype:
            record.refuse("its initial value has another dtype")
        cell._read = read.outputs[0]

    reader.later(complete)


def _write_cell(kind: Any, operation: Operation, writer: Writer) -> dict[str, Any]:
    return {"variable": writer.cell(kind.cell)}


def _read_read(record: Record, reader: Reader) -> Kind:
    cell = _cell(record, reader)
    record.counts(len(record.inputs), 1)
    record.same((cell.extents, cell.dtype))
    return ReadKind(cell)


def _cell(record: Record, reader: Reader) -> GraphVariable:
    return reader.cell(record.config.get("variable"))


def _write_assign(kind: AssignKind, operation: Operation, writer: Writer) -> dict[str, Any]:
    found = {"variable": writer.cell(kind.cell), "type": kind.type}
    if kind.type in _COMBINE and kind.combine is _COMBINE[kind.type]:
        return found
    if kind.combine is None:
        return {**found, "combine": None}
    return {**found, "combine": writer.function(kind.combine)}


def _read_assign(record: Record, reader: Reader) -> Kind:
    cell, name = _cell(record, reader), record.config.get("type")
    if not record.inputs:
        record.refuse("it has no value to assign")
    record.counts(len(record.inputs), 1)
    if not isinstance(name, str) or ("combine" not in record.config and name not in _COMBINE):
        record.refuse(f"there is no assignment of the type {str(name)[:60]!r}")
    data = record.config.get("combine")
    combine = _COMBINE[name] if "combine" not in record.config else None if data is None else reader.function(data)
    if combine is None or name in _COMBINE:
        record.agree((None, cell.dtype), (None, record.inputs[-1].dtype), "the value")
    record.agree((None, cell.dtype), (None, record.results[0][1]), "output 0")
    return AssignKind(cell, name, combine)


def _read_initialized_value(record: Record, reader: Reader) -> Kind:
    record.counts(1, 1)
    cell = _cell(record, reader)
    record.same((cell.extents, cell.dtype))
    record.same(record.known(0))
    return InitializedValueKind(cell)


def _read_is_initialized(record: Record, reader: Reader) -> Kind:
    record.counts(len(record.inputs), 1)
    record.same(((), dtypes.bool_))
    return IsInitializedKind(_cell(record, reader))


# ---------------------------------------------------------------- subgraphs


def _write_control(kind: ControlKind, operation: Operation, writer: Writer) -> dict[str, Any]:
    return {"subgraphs": [writer.subgraph(g) for g in kind.subgraphs]}


def _subgraphs(record: Record, reader: Reader, count: int, first: int) -> list[SubGraph]:
    """The subgraphs of an operation, whose captures are its inputs from ``first`` on."""
    data = record.config.get("subgraphs")
    if not isinstance(data, list) or len(data) != count or first > len(record.inputs):
        record.refuse(f"it does not have {count} subgraphs and {first} operands")
    found = []
    for description in data:
        found.append(reader.subgraph(description, record.inputs[first:]))
        first += len(found[-1].captures)
    if first != len(record.inputs):
        record.refuse(f"it has {len(record.inputs)} inputs, and its subgraphs take {first}")
    return found


def _truth(record: Record, known: Any, what: str) -> None:
    record.agree(((), dtypes.bool_), known, what)


def _knowns(tensors: Any) -> list[Any]:
    return [(t.extents, t.dtype) for t in tensors]


def _read_cond(record: Record, reader: Reader) -> Kind:
    if not record.inputs:
        record.refuse("it has no predicate")
    _truth(record, record.known(0), "the predicate")
    branches = _subgraphs(record, reader, 2, 1)
    for branch in branches:
        _match(record, branch.outputs, record.results, "a branch's output")
        if branch.parameters:
            record.refuse("its branches take no parameters")
    return CondKind(*branches)


def _match(record: Record, tensors: Any, knowns: Any, what: str) -> None:
    found = _knowns(tensors)
    if len(found) != len(knowns):
        record.refuse(f"{what}s are {len(found)}, not {len(knowns)}")
    for i, (a, b) in enumerate(zip(found, knowns, strict=True)):
        record.agree(a, b, f"{what} {i}")


def _read_while(record: Record, reader: Reader) -> Kind:
    states = len(record.results)
    condition, body = _subgraphs(record, reader, 2, states)
    most = record.attrs.get("maximum_iterations")
    if not (most is None or type(most) is int):
        record.refuse("the attribute 'maximum_iterations' is not an integer")
    if len(condition.outputs) != 1:
        record.refuse("its condition does not give one value")
    _truth(record, _knowns(condition.outputs)[0], "the condition")
    for tensors in (record.inputs[:states], condition.parameters, body.parameters, body.outputs):
        _match(record, tensors, record.results, "a loop variable")
    return WhileKind(condition, body)


def _read_scan(record: Record, reader: Reader) -> Kind:
    states, elements, reverse = (record.attrs.get(name) for name in ("states", "elements", "reverse"))
    if (
        type(states) is not int
        or type(elements) is not int
        or states < 0
        or elements < 1
        or not isinstance(reverse, bool)
    ):
        record.refuse("its attributes 'states', 'elements' and 'reverse' are malformed")
    (body,) = _subgraphs(record, reader, 1, states + elements)
    if not 0 <= states <= len(record.results):
        record.refuse(f"it has {len(record.results)} outputs for {states} states")
    rows = [(None if s is None else s[1:], d) for s, d in _knowns(record.inputs[states : states + elements])]
    if any(s == () for s, _ in _knowns(record.inputs[states : states + elements])):
        record.refuse("an element has no rows")
    stacked = [(None if s is None else s[1:], d) for s, d in record.results[states:]]
    _match(record, record.inputs[:states], record.results[:states], "a state")
    _match(record, body.parameters, [*record.results[:states], *rows], "a parameter of the body")
    _match(record, body.outputs, [*record.results[:states], *stacked], "an output of the body")
    return ScanKind(body)


def _read_parameter(record: Record, reader: Reader) -> Kind:
    record.counts(0, 1)
    if not isinstance(record.graph, SubGraph):
        record.refuse("it is a parameter, and not in a subgraph")
    return ParameterKind()


# ---------------------------------------------------------------- gradients


def _write_gradient(kind: GradientKind, operation: Operation, writer: Writer) -> dict[str, Any]:
    if kind.forward.graph is not operation.graph:
        raise UnwritableError("the gradient of an operation of another graph")
    return {"forward": kind.forward.name, "needed": list(kind.needed), "given": list(kind.given)}


def _read_gradient(record: Record, reader: Reader) -> Kind:
    forward = reader.operation(record.config.get("forward"))
    needed, given = (_places(record, name) for name in ("needed", "given"))
    count = len(forward.inputs)
    if any(i >= count for i in needed) or any(i >= len(forward.outputs) for i in given) or not given:
        record.refuse(f"{forward.name!r} does not have the inputs and outputs it names")
    results = len(record.inputs) - count - len(given)
    if results not in (0, len(forward.outputs)):
        record.refuse(f"it has {len(record.inputs)} inputs, which are not those of the gradient of {forward.name!r}")
    wanted = [*forward.inputs, *(forward.outputs if results else ()), *[forward.outputs[i] for i in given]]
    _match(record, record.inputs, _knowns(wanted), "an input")
    _match(record, [forward.inputs[i] for i in needed], record.results, "a gradient")
    return GradientKind(forward, needed, given)


def _places(record: Record, name: str) -> tuple[int, ...]:
    found = record.config.get(name)
    if not isinstance(found, list) or not all(type(i) is int and i >= 0 for i in found) or len(set(found)) < len(found):
        record.refuse(f"its list {name!r} is not of different places")
    return tuple(found)


for _name, _class, _write, _read in [
    ("op", TableKind, _write_table, _read_table),
    ("const", ConstKind, nothing, _read_const),
    ("placeholder", PlaceholderKind, nothing, _read_placeholder),
    ("default", DefaultPlaceholderKind, nothing, _read_default),
    ("no_op", NoOpKind, nothing, _read_no_op),
    ("shape", ShapeKind, nothing, _read_shape),
    ("random_key", RandomKeyKind, nothing, _read_key),
    ("slice", SliceKind, _write_slice, _read_slice),
    ("composite", CompositeKind, _write_composite, _read_composite),
    ("host_call", HostCallKind, _write_host, _read_host),
    ("read", ReadKind, _write_cell, _read_read),
    ("assign", AssignKind, _write_assign, _read_assign),
    ("initialized_value", InitializedValueKind, _write_cell, _read_initialized_value),
    ("is_initialized", IsInitializedKind, _write_cell, _read_is_initialized),
    ("cond", CondKind, _write_control, _read_cond),
    ("while", WhileKind, _write_control, _read_while),
    ("scan", ScanKind, _write_control, _read_scan),
    ("parameter", ParameterKind, nothing, _read_parameter),
    ("gradient", GradientKind, _write_gradient, _read_gradient),
]:
    register_kind(_name, _class, _write, _read)  # type: ignore[arg-type]  # each row's functions fit its class
register_kind("variable", VariableKind, _write_variable, _read_variable, _made_variable)

__all__: list[str] = []
