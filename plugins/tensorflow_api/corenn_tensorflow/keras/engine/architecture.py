"""Architectures of models as data: what ``get_config`` and ``to_json`` write, and models made from it again."""

from __future__ import annotations

import inspect
import json
from typing import Any

import numpy as np

from corenn import tree
from corenn.graph.tensors import GraphTensor
from corenn_tensorflow.keras import _lookup


def plain(value: Any) -> Any:
    """What JSON can hold in the place of a value it cannot."""
    if isinstance(value, np.generic):
        return value.item()
    if hasattr(value, "tolist"):
        return value.tolist()
    return getattr(value, "name", None) or getattr(value, "__name__", None) or repr(value)


def written(model: Any) -> dict[str, Any]:
    """The layers of a functional model, how they are connected, its inputs and outputs, as Keras writes them.

    Raises NotImplementedError where a plain operation lies between the layers.
    """
    from corenn_tensorflow.keras.engine.symbolic import node_of

    layers = model.layers
    in_plan = {id(s) for s in model._plan.steps} | {id(node_of(t)) for t in model._plan.inputs}
    numbers = {id(n): i for layer in layers for i, n in enumerate([n for n in layer._nodes if id(n) in in_plan])}

    def reference(symbol: Any) -> list[Any]:
        node, place = getattr(symbol, "_keras_history", (None, 0))
        if node is None:
            raise NotImplementedError(
                f"{symbol} comes from a plain operation, which a configuration cannot hold: put it into a Lambda layer"
            )
        return [node.layer.name, numbers[id(node)], place]

    def argument(value: Any) -> Any:
        if isinstance(value, GraphTensor):
            return {"tensor": reference(value)}
        if isinstance(value, (list, tuple)):
            return [argument(v) for v in value]
        return value

    entries = []
    for layer in layers:
        calls = []
        for node in layer._nodes:
            if id(node) not in in_plan or not node.args:
                continue
            first = tree.leaves(list(node.args))
            kept = {k: argument(v) for k, v in node.options.items() if k != "mask"}
            calls.append(
                [[*reference(t), kept if i == 0 else {}] for i, t in enumerate(first) if isinstance(t, GraphTensor)]
            )
        entries.append({"class_name": type(layer).__name__, "config": layer.get_config(), "name": layer.name,
                        "inbound_nodes": calls})  # fmt: skip
    return {
        "name": model.name, "layers": entries, "input_layers": [reference(t) for t in model.inputs],
        "output_layers": [reference(t) for t in model.outputs],
    }  # fmt: skip


def read(config: Any, custom: Any) -> tuple[Any, Any]:
    """Symbolic inputs and outputs of a model, from what ``written`` gave; ValueError where calls have no inputs."""
    layers = {c["name"]: layer_from(c, custom) for c in config["layers"]}
    found: dict[tuple[str, int], list[Any]] = {}
    waiting = []
    for entry in config["layers"]:
        name = entry["name"]
        if not entry["inbound_nodes"]:
            found[name, 0] = tree.leaves(layers[name].output)
        waiting += [(name, i, call) for i, call in enumerate(entry["inbound_nodes"])]
    while waiting:
        left = []
        for name, number, call in waiting:
            references = [tuple(r[:2]) for r in call] + [
                tuple(v["tensor"][:2]) for r in call if len(r) > 3 for v in tree_values(r[3])
            ]
            if any(r not in found for r in references):
                left.append((name, number, call))
                continue
            tensors = [found[r[0], r[1]][r[2]] for r in call]
            options = _revive(dict(call[0][3]) if len(call[0]) > 3 else {}, found)
            result = layers[name](tensors[0] if len(tensors) == 1 else tensors, **options)
            found[name, number] = tree.leaves(result)
        if len(left) == len(waiting):
            raise ValueError(f"the configuration of {config.get('name')} has calls whose inputs are nowhere")
        waiting = left
    inputs = [found[r[0], r[1]][r[2]] for r in config["input_layers"]]
    outputs = [found[r[0], r[1]][r[2]] for r in config["output_layers"]]
    return inputs[0] if len(inputs) == 1 else inputs, outputs[0] if len(outputs) == 1 else outputs


def tree_values(value: Any) -> list[Any]:
    """The references to tensors in the options of a call."""
    if isinstance(value, dict):
        return [value] if set(value) == {"tensor"} else [v for inner in value.values() for v in tree_values(inner)]
    return [v for inner in value for v in tree_values(inner)] if isinstance(value, list) else []


def _revive(value: Any, found: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {"tensor"}:
            name, number, place = value["tensor"][:3]
            return found[name, number][place]
        return {k: _revive(v, found) for k, v in value.items()}
    return [_revive(v, found) for v in value] if isinstance(value, list) else value


def layer_from(data: Any, custom: Any = None) -> Any:
    """A layer (or model) from ``{"class_name": ..., "config": ...}``."""
    from corenn_tensorflow.keras import layers, models

    name = data["class_name"]
    kind = (custom or {}).get(name) or _lookup.CUSTOM.get(name)
    if kind is None:
        kind = {"Functional": models.Model, "Model": models.Model, "Sequential": models.Sequential}.get(name)
    if kind is None:
        kind = getattr(layers, name, None) if name in layers.__all__ else None
    if kind is None:
        raise ValueError(
            f"Unknown layer: {name}. Please ensure this object is passed to the `custom_objects` argument."
        )
    with _lookup.custom_object_scope(custom or {}):
        if "custom_objects" in inspect.signature(kind.from_config).parameters:
            return kind.from_config(data["config"], custom_objects=custom)
        return kind.from_config(data["config"])


def model_from_json(json_string: str, custom_objects: Any = None) -> Any:
    """An untrained model from what ``to_json`` gave."""
    return layer_from(json.loads(json_string), custom_objects)


def model_from_config(config: Any, custom_objects: Any = None) -> Any:
    """An untrained model from ``{"class_name": ..., "config": ...}``."""
    return layer_from(config, custom_objects)


__all__ = ["layer_from", "model_from_config", "model_from_json", "plain", "read", "tree_values", "written"]
