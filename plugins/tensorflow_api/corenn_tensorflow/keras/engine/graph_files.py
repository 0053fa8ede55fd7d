"""Layers of Keras in files of graphs: calls of layers, and how weights begin.

A call is written as the layer's configuration, and made again from it; the weights are the graph's variables, whose
values are a checkpoint's.  Layers with Python of users in them (their classes, Lambda, activations) stay unwritable.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from types import FunctionType
from typing import Any

from corenn import tree
from corenn.graph.encoding import UnwritableError
from corenn.graph.kind_registry import Reader, Record, Writer, register_kind
from corenn.graph.kinds import Bound
from corenn.graph.operations import Operation
from corenn.graph.tensors import GraphTensor
from corenn.layers.cells import forget_gate_bias
from corenn_tensorflow.keras import _lookup, initializers, world
from corenn_tensorflow.keras.engine.symbolic import LayerCallKind, LayerRun, infer
from corenn_tensorflow.writing import writable

_OWN = ("corenn.", "corenn_tensorflow.")


def _foreign(value: Any) -> Iterator[str]:
    """What is of users in an attribute of a layer."""
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from _foreign(item)
    elif isinstance(value, functools.partial):
        yield from _foreign(value.func)
    elif isinstance(value, FunctionType):
        if not value.__module__.startswith(_OWN):
            yield f"the Python function {value.__module__}.{value.__qualname__}"
    elif hasattr(value, "get_config"):
        if not type(value).__module__.startswith(_OWN):
            yield f"the class {type(value).__module__}.{type(value).__qualname__}"
        yield from _foreign(getattr(value, "function", None))


def _write(kind: LayerCallKind, operation: Operation, writer: Writer) -> dict[str, Any]:
    run: LayerRun = kind.function  # type: ignore[assignment]  # all are made so
    for inner in run.layer.walk():
        for value in (inner, *inner.__dict__.values()):
            what = next(_foreign(value), None)
            if what is not None:
                raise UnwritableError(f"the layer {run.layer.name!r} with {what}")
    places = iter(range(len(operation.inputs)))

    def shown(leaf: Any) -> Any:
        return Bound(next(places)) if isinstance(leaf, GraphTensor) else leaf

    args = tree.tree_map(shown, list(run.args))
    numbers = {id(w): i for i, w in enumerate(run.weights)}
    return {
        "type": kind.type, "layer": writer.value(_lookup.serialized(run.layer)), "args": writer.value(args),
        "options": writer.value(tree.tree_map(shown, run.options)), "count": run.count, "weights": len(run.weights),
        "changed": [numbers[id(w)] for w in run.changed], "phase": run.takes_phase, "training": run.training,
        "trainable": bool(run.layer.trainable),
    }  # fmt: skip


def _read(record: Record, reader: Reader) -> LayerCallKind:
    from corenn_tensorflow.keras.engine.architecture import layer_from

    config = record.config
    count, weights, changed = (config.get(name) for name in ("count", "weights", "changed"))
    training, takes_phase = config.get("training"), config.get("phase")
    if not isinstance(config.get("type"), str) or not isinstance(changed, list):
        record.refuse("its type or the weights it changes are malformed")
    if not all(type(n) is int and n >= 0 for n in (count, weights, *changed)) or not isinstance(takes_phase, bool):
        record.refuse("its numbers of inputs and weights are malformed")
    if not (training is None or isinstance(training, bool)):
        record.refuse("it does not say whether it trains")
    wanted = count + weights + 1 + (1 if takes_phase and training is None else 0)
    record.counts(wanted, len(record.results))

    def given(leaf: Any) -> Any:
        if not isinstance(leaf, Bound):
            return leaf
        return record.inputs[leaf.place] if leaf.place < count else record.refuse("it names an input it has not")

    args = tree.tree_map(given, reader.value(config.get("args")))
    options = tree.tree_map(given, reader.value(config.get("options")))
    data = reader.value(config.get("layer"))
    if not isinstance(args, list) or not isinstance(options, dict) or not isinstance(data, dict):
        record.refuse("its layer or arguments are malformed")
    with world.eagerly(leave_graph=False):
        layer = layer_from(data)
        run = LayerRun(layer, tuple(args), options, count, [], [], takes_phase, training)
        infer(layer, run.plain, [record.known(i) for i in range(count)])
        layer.trainable = bool(config.get("trainable", True))
    run.weights = [w for inner in layer.walk() for w in inner._own_weights]
    if len(run.weights) != weights or any(i >= weights for i in changed):
        record.refuse(f"it has {weights} weights, and its layer {len(run.weights)}")
    for i, weight in enumerate(run.weights):
        shape = tuple(int(n) for n in weight.spec.shape)
        record.agree((shape, weight.dtype), record.known(count + i), f"weight {i}")
    run.changed = [run.weights[i] for i in changed]
    return LayerCallKind(run, config["type"])


register_kind("corenn_tensorflow.keras_layer", LayerCallKind, _write, _read)


def initializer_form(initial: Any) -> Any:
    """An initializer as its configuration, or as it is, where it is a user's."""
    inner = getattr(initial, "function", None)
    if isinstance(inner, functools.partial) and inner.func is forget_gate_bias:
        own = inner.keywords
        return functools.partial(_forget_bias, units=own["units"], initializer=initializer_form(own["initializer"]))
    if next(_foreign(initial), None):
        return initial
    form = _lookup.serialized(initial)
    return initial if isinstance(form, str) else form  # a name may not be what it would be found as


@writable("keras.forget_bias")
def _forget_bias(shape: Any, dtype: Any, *, units: int, initializer: Any) -> Any:
    return forget_gate_bias(shape, dtype, units=units, initializer=initializers.get(initializer))


__all__ = ["initializer_form"]
