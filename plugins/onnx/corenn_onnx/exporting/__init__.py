"""``export``: a model, a function or a graph as an ONNX file.

What is exported goes through a ``corenn.compiler`` program, so that Python inside layers, composite ops and control
flow need no rules of their own.  A program has fixed shapes; where the batch is open, two programs, of two batch sizes,
are compared, and what differs between them is computed from the batch when the ONNX model runs (``extents``).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import onnx
from onnx import helper

import corenn
from corenn.errors import UsageError
from corenn.graph.concrete import ConcreteFunction
from corenn.graph.function import Function, TensorSpec
from corenn.graph.graph import Graph
from corenn.training.model import Model
from corenn_onnx.errors import OnnxExportError
from corenn_onnx.exporting import arranging, networks, pointwise, reducing, scattering
from corenn_onnx.exporting.emitter import Emitter
from corenn_onnx.exporting.extents import Batches, Extent
from corenn_onnx.exporting.recipes import Recipe, of_concrete, of_function, of_graph, of_model
from corenn_onnx.exporting.table import EMITTERS
from corenn_onnx.values import TO_ONNX

#: Opsets that can be written, and the one that is by default.
OLDEST, NEWEST, DEFAULT = 17, 23, 18
#: Two batch sizes unlike most extents of models.
_SIZES = (6, 11)


def export(
    source: Any, path: Any = None, *, opset: int = DEFAULT, batch: int | None = None,
    input_signature: Sequence[Any] | None = None, inputs: Sequence[Any] | None = None,
    outputs: Sequence[Any] | None = None, session: Any = None, input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None, name: str | None = None,
) -> onnx.ModelProto:  # fmt: skip
    """Write a model as ONNX; returns the ``ModelProto``, which is also written to ``path`` if one is given.

    ``source``: a ``Model`` (in inference; a subclassed one needs ``input_signature``), a ``corenn.function`` or its
    trace, a Python function with ``input_signature``, or a ``Graph`` with its tensors ``inputs`` and ``outputs`` (and
    the ``session`` that has its variables' values). ``input_signature``: specs of the inputs
    (``corenn.graph.TensorSpec``), whose first extent may be ``None``: it becomes the open axis "batch", unless
    ``batch`` fixes it; for a model that takes one list or dict of tensors, one list or dict of specs. Weights become
    initializers under their names. ``input_names``, ``output_names``: others than the model's own.

    The result has passed ``onnx.checker``.  Raises OnnxExportError, naming the op, for what ONNX cannot say: random
    draws, calls of Python, assignments, shapes that depend on values.
    """
    if not OLDEST <= opset <= NEWEST:
        raise UsageError("export", f"opset {opset}", hint=f"opsets {OLDEST} to {NEWEST} can be written")
    sizes = _SIZES if batch is None else (batch,)
    recipe = _recipe(source, sizes, opset, input_signature, inputs, outputs, session)
    for given, kind in ((input_names, "inputs"), (output_names, "outputs")):
        there = recipe.inputs if kind == "inputs" else recipe.outputs
        if given is not None and len(given) != len(there):
            raise UsageError("export", f"{len(given)} names for {len(there)} {kind}", hint=f"they are {there}")
    recipe = recipe._replace(inputs=list(input_names or recipe.inputs), outputs=list(output_names or recipe.outputs))
    model = _written(recipe, opset, name or getattr(source, "name", None) or "corenn")
    if path is not None:
        onnx.save(model, os.fspath(path))
    return model


def _recipe(
    source: Any, sizes: Sequence[int], opset: int, signature: Sequence[Any] | None, inputs: Any, outputs: Any,
    session: Any,
) -> Recipe:  # fmt: skip
    if isinstance(source, Model):
        return of_model(source, signature, sizes, opset)
    if isinstance(source, Graph):
        if not inputs or not outputs:
            raise UsageError("export", "a graph needs its inputs and outputs", hint="export(graph, path, inputs=[x], "
                             "outputs=[y], session=session)")  # fmt: skip
        return of_graph(source, inputs, outputs, session, sizes, opset)
    if isinstance(source, ConcreteFunction):
        return of_concrete(source, sizes, opset)
    call = source.python_function if isinstance(source, Function) else source
    if isinstance(source, Function) and signature is None and source.input_signature is not None:
        signature = [TensorSpec(shape, dtype) for shape, dtype in source.input_signature]
    if not callable(call):
        raise UsageError("export", f"takes a model, a function or a graph, not {type(source).__name__}")
    if signature is None:
        raise UsageError("export", "what the function takes is not known",
                         hint="export(f, path, input_signature=[corenn.graph.TensorSpec((None, 8))])")  # fmt: skip
    return of_function(call, list(signature), sizes, opset, None, {}, getattr(source, "name", "function"), None)


def _written(recipe: Recipe, opset: int, name: str) -> onnx.ModelProto:
    first, second = recipe.programs[0], recipe.programs[-1]
    batches = Batches(*(_SIZES if len(recipe.programs) > 1 else (0,)))
    batch_of = next((n for n, opened in zip(recipe.inputs, recipe.open, strict=True) if opened), "")
    emitter = Emitter(opset, batches, batch_of, first.device.backend)
    for taken in (*recipe.inputs, *recipe.outputs):
        emitter.fresh(taken)
    infos = []
    for a, b, label in zip(first.inputs, second.inputs, recipe.inputs, strict=True):
        emitter.names[a] = label
        infos.append(_info(emitter, a, b, label))
    for cell, symbol in first.state:
        label = recipe.weights.get(id(cell), cell.name)
        emitter.weights[symbol] = label, recipe.value(cell)
    emitter.block(first.block, second.block)
    names = [emitter.name(emitter.use(a, b)) for a, b in zip(first.results, second.results, strict=True)]
    ends = []
    for a, b, found, label in zip(first.results, second.results, names, recipe.outputs, strict=True):
        _rename(emitter, found, label, names)
        ends.append(_info(emitter, a, b, label))
    graph = helper.make_graph(emitter.nodes, name, infos, ends, list(emitter.initializers.values()))
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], producer_name="corenn",
        producer_version=corenn.__version__,
        ir_version=helper.find_min_ir_version_for([helper.make_opsetid("", opset)]),
    )  # fmt: skip
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as problem:
        raise OnnxExportError("export", f"the model made is refused by onnx.checker: {problem}") from problem
    return model  # as it is checked, with nothing added by shape inference


def _rename(emitter: Emitter, found: str, label: str, results: list[str]) -> None:
    """Give a result its name: at the node that makes it, or by a node of its own where that cannot be."""
    made = next((n for n in emitter.nodes if found in n.output), None)
    inside = any(a.type == onnx.AttributeProto.GRAPH for n in emitter.nodes for a in n.attribute)
    if made is None or inside or results.count(found) > 1:
        emitter.nodes.append(helper.make_node("Identity", [found], [label], name=f"Identity_{label}"))
        return
    for node in emitter.nodes:
        for names in (node.input, node.output):
            for i, other in enumerate(names):
                if other == found:
                    names[i] = label


def _info(emitter: Emitter, a: Any, b: Any, label: str) -> onnx.ValueInfoProto:
    use = emitter.use(a, b)
    dims = [str(n) if isinstance(n, Extent) else int(n) for n in use.shape]
    return helper.make_tensor_value_info(label, TO_ONNX[use.dtype], dims)


__all__ = [
    "DEFAULT", "EMITTERS", "NEWEST", "OLDEST", "arranging", "export", "networks", "pointwise", "reducing", "scattering",
]  # fmt: skip
