"""What is exported: the programs of a model, function or graph, and the names of its inputs, outputs and weights."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from corenn import dtypes, tree
from corenn.compiler.lowering import lower
from corenn.compiler.passes import prune
from corenn.compiler.passes.decompose import decompose
from corenn.compiler.program import Program, UnknownValueError
from corenn.device import Device, current_device
from corenn.errors import UsageError
from corenn.graph.concrete import ConcreteFunction
from corenn.graph.function import Function, TensorSpec
from corenn.graph.graph import Graph
from corenn.graph.operations import needed
from corenn.graph.subgraph import ParameterKind, whole
from corenn.graph.tensors import GraphTensor
from corenn.spec import Spec
from corenn.training.model import Model
from corenn_onnx.errors import OnnxExportError
from corenn_onnx.exporting.table import served


class Recipe(NamedTuple):
    """Programs by batch size (one, or two where the batch is open), and names."""

    programs: list[Program]
    inputs: list[str]
    outputs: list[str]
    open: list[bool]  # which inputs have the batch as their first axis
    weights: dict[int, str]  # names of variables by identity
    value: Callable[[Any], np.ndarray[Any, Any]]  # of a variable


_DECISIONS = "corenn.cond and corenn.while_loop can be exported where shapes stay the same"
_NEEDS_SIGNATURE = "export(model, path, input_signature=[corenn.graph.TensorSpec((None, 8))])"


def program_of(
    graph: Graph, outputs: Sequence[GraphTensor], feeds: Mapping[GraphTensor, Spec], device: Device, opset: int,
    specs: Callable[[Any], Spec | None], effects: bool = True,
) -> Program:  # fmt: skip
    """The program of a graph for such feeds, of ops that have an emitter as far as that goes.

    ``effects``: with what the whole graph does beside computing the outputs, as a function's does when it is called.
    """
    steps = whole(graph, outputs) if effects else needed([o.operation for o in outputs])
    operations = [o for o in steps if not isinstance(o.kind, ParameterKind)]
    try:
        lowered, _ = lower(operations, outputs, feeds, (), device, specs)
    except UnknownValueError as reason:
        what = f"shapes or decisions depend on values: {reason.what}"
        raise OnnxExportError(reason.where or "export", what, reason.operands, hint=_DECISIONS) from reason
    if lowered.writes:
        names = ", ".join(cell.name for cell, _ in lowered.writes)
        raise OnnxExportError("export", f"it assigns variables, which an exported model cannot: {names}",
                              hint="export what inference needs: training=False")  # fmt: skip
    return prune(decompose(prune(lowered), lambda call: served(call, opset)))


def _filled(shape: Sequence[int | None], batch: int) -> tuple[int, ...]:
    return tuple(batch if n is None else int(n) for n in shape)


def _checked(specs: Sequence[Any], where: str) -> list[tuple[tuple[int | None, ...], Any]]:
    """Shapes and dtypes of inputs; only the first axis may be open."""
    found = []
    for spec in specs:
        if spec.shape is None or None in tuple(spec.shape)[1:]:
            raise OnnxExportError(where, f"the shape of an input must be known but for its first axis: {spec}",
                                  hint="input_signature=[TensorSpec((None, 28, 28, 1))]")  # fmt: skip
        found.append((tuple(spec.shape), dtypes.as_dtype(spec.dtype)))
    return found


def of_function(
    call: Callable[..., Any], specs: Sequence[Any], sizes: Sequence[int], opset: int, names: Sequence[str] | None,
    weights: dict[int, str], where: str, device: Device | None,
) -> Recipe:  # fmt: skip
    """The recipe of a Python function of tensors with such specs."""
    known = _checked(specs, where)
    opened = [bool(shape) and shape[0] is None for shape, _ in known]
    sizes = sizes if any(opened) else sizes[:1]
    programs, structure = [], None
    target = device or current_device()
    concrete: ConcreteFunction | None = None
    with target:
        for size in sizes:
            given = [TensorSpec(_filled(shape, size), dtype) for shape, dtype in known]
            concrete = Function(call, name=where).get_concrete_function(*given)
            results = [o for o in concrete.outputs if o is not None]
            feeds = {p: Spec(_filled(s, size), d) for p, (s, d) in zip(concrete.inputs, known, strict=True)}
            programs.append(program_of(concrete.graph, results, feeds, target, opset, lambda cell: cell.spec))
            structure = concrete.structure
    assert concrete is not None  # there is at least one size
    inputs = list(names) if names is not None else [f"input_{i}" if len(known) > 1 else "input"
                                                    for i in range(len(known))]  # fmt: skip
    return Recipe(programs, inputs, _output_names(structure), opened, weights, _value)


def _output_names(structure: Any) -> list[str]:
    if isinstance(structure, dict) and all(not isinstance(v, dict | list | tuple) for v in structure.values()):
        return [str(k) for k in structure]
    count = len(tree.leaves(structure))
    return ["output"] if count == 1 else [f"output_{i}" for i in range(count)]


def _counted_anew(names: Sequence[str]) -> list[str]:
    """Automatic names of inputs, which count what the process has made, counted within the model."""
    found, count = [], 0
    for name in names:
        automatic = re.fullmatch(r"input(_\d+)?", name) is not None
        found.append(name if not automatic else f"input_{count}" if count else "input")
        count += automatic
    return found


def of_model(model: Model, signature: Sequence[Any] | None, sizes: Sequence[int], opset: int) -> Recipe:
    """The recipe of a model in inference."""
    names: list[str] | None = None
    structure: Any = None
    if signature is None:
        symbols = getattr(model, "inputs", None)
        single = getattr(model, "_input", None)
        if symbols is not None:
            structure, leaves = symbols, tree.leaves(symbols)
            names = _counted_anew([s.name for s in leaves])
            signature = [TensorSpec(s.shape, s.dtype) for s in leaves]
        elif single is not None:
            signature, names = [TensorSpec(single.shape, single.dtype)], _counted_anew([single.name])
        else:
            raise UsageError(model.name, "what its inputs are is not known", hint=_NEEDS_SIGNATURE)
    signature = list(signature)
    if len(signature) == 1 and isinstance(signature[0], dict | list | tuple):  # one argument of several tensors
        structure = signature[0]
        signature = tree.leaves(structure)

    def call(*given: Any) -> Any:
        if structure is not None and isinstance(structure, dict | list | tuple):
            return model(tree.rebuild(structure, iter(given)), training=False)
        return model(*given, training=False)

    first = next(iter(model.weights), None)
    found = of_function(call, signature, sizes, opset, names, {}, model.name, None if first is None else first.device)
    found.weights.update({id(v): n for v, n in zip(model.weights, model.weight_names(), strict=True)})
    return found


def of_concrete(concrete: ConcreteFunction, sizes: Sequence[int], opset: int) -> Recipe:
    """The recipe of one trace of a function."""
    known = _checked([TensorSpec(i.extents, i.dtype) for i in concrete.inputs], concrete.name)
    opened = [bool(shape) and shape[0] is None for shape, _ in known]
    device = next((v.device for v in concrete.variables()), current_device())
    results = [o for o in concrete.outputs if o is not None]
    programs = []
    for size in sizes if any(opened) else sizes[:1]:
        feeds = {t: Spec(_filled(s, size), d) for t, (s, d) in zip(concrete.inputs, known, strict=True)}
        programs.append(program_of(concrete.graph, results, feeds, device, opset, lambda cell: cell.spec))
    names = [_plain(t) for t in concrete.inputs]
    return Recipe(programs, names, _output_names(concrete.structure), opened, {}, _value)


def _value(cell: Any) -> np.ndarray[Any, Any]:
    return np.asarray(cell.numpy())


def of_graph(
    graph: Graph, inputs: Sequence[Any], outputs: Sequence[Any], session: Any, sizes: Sequence[int], opset: int
) -> Recipe:
    """The recipe of a part of a graph; values of variables are those of the session."""
    known = _checked(inputs, "export")
    opened = [bool(shape) and shape[0] is None for shape, _ in known]
    sizes = sizes if any(opened) else sizes[:1]
    device = session.device if session is not None else current_device()

    def value(cell: Any) -> np.ndarray[Any, Any]:
        if session is None:
            raise UsageError("export", f"the graph reads the variable {cell.name!r}, whose value a session has",
                             hint="export(graph, path, inputs=..., outputs=..., session=session)")  # fmt: skip
        return np.asarray(session.run(cell))

    def spec_of(cell: Any) -> Spec:
        array = value(cell)
        return Spec(array.shape, dtypes.as_dtype(array.dtype), device)

    programs = []
    for size in sizes:
        feeds = {t: Spec(_filled(shape, size), dtype) for t, (shape, dtype) in zip(inputs, known, strict=True)}
        programs.append(program_of(graph, list(outputs), feeds, device, opset, spec_of, effects=False))
    return Recipe(programs, [_plain(t) for t in inputs], [_plain(t) for t in outputs], opened, {}, value)


def _plain(tensor: Any) -> str:
    name = str(tensor.name)
    return name.removesuffix(":0")


__all__ = ["Recipe", "of_concrete", "of_function", "of_graph", "of_model"]
