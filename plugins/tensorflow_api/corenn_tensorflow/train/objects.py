"""What objects hold: the walk that finds what a checkpoint of objects saves, and the graph of objects it writes.

Field numbers: tensorflow/core/protobuf/trackable_object_graph.proto.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from corenn.graph.session import get_default_session
from corenn.graph.state import GraphVariable
from corenn.layers.base import Layer
from corenn.metrics.base import Metric
from corenn.optimizers.base import Optimizer as CoreOptimizer
from corenn.tensor import Tensor
from corenn.variable import Variable
from corenn_tensorflow.records.wire import Field, Message
from corenn_tensorflow.train import checkpoints
from corenn_tensorflow.train.optimizer import Optimizer, op_name

GRAPH_KEY = "_CHECKPOINTABLE_OBJECT_GRAPH"
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_STATE = "/.ATTRIBUTES/PY_STATE"
PLAIN = (bool, int, float, complex, str, bytes, type(None), np.ndarray, np.generic, type)


class ObjectReference(Message):
    """A child of an object."""

    FIELDS = (Field("node_id", 1, "int"), Field("local_name", 2, "string"))


class SerializedTensor(Message):
    """A value of an object."""

    FIELDS = (Field("name", 1, "string"), Field("full_name", 2, "string"), Field("checkpoint_key", 3, "string"))


class TrackableObject(Message):
    """An object."""

    FIELDS = (
        Field("children", 1, ObjectReference, repeated=True), Field("attributes", 2, SerializedTensor, repeated=True),
    )  # fmt: skip


class TrackableObjectGraph(Message):
    """Objects; the first is the root."""

    FIELDS = (Field("nodes", 1, TrackableObject, repeated=True),)


class Root:
    """What a checkpoint begins at: objects by name, and the variable that counts how often they were saved."""

    _objects: dict[str, Any]
    _counter: Any


def children_of(held: Any) -> Iterator[tuple[str, Any]]:
    """The objects in one, by name."""
    if isinstance(held, (Variable, GraphVariable)):
        return
    if isinstance(held, Root):
        yield from held._objects.items()
        if held._counter is not None:
            yield "save_counter", held._counter
    elif isinstance(held, Mapping):
        yield from ((str(k), v) for k, v in held.items())
    elif isinstance(held, (list, tuple)):
        yield from ((str(i), v) for i, v in enumerate(held))
    elif isinstance(held, CoreOptimizer):
        yield from ()
    elif isinstance(held, Optimizer):
        for slot, named in held._slots.items():
            yield from ((f"{op_name(var)}/{slot}", kept) for var, kept in named.values())
        yield from ((name, kept) for (name, _), (kept, _) in held._non_slot.items())
    elif isinstance(held, Metric):
        yield from ((v.name.rpartition("/")[2].partition(":")[0], v) for v in held.variables)
    elif isinstance(held, Layer):
        yield from ((v.name.rpartition("/")[2].partition(":")[0], v) for v in held._own_weights)
        numbered = _numbered(held)
        yield from numbered
        listed = {id(layer) for _, layer in numbered}
        yield from ((name, child) for name, child in held.children() if id(child) not in listed)
        own = {id(v) for v in held._own_weights}
        for name, value in vars(held).items():
            if isinstance(value, (Variable, GraphVariable)) and id(value) not in own:
                yield name, value
    elif hasattr(held, "__dict__"):
        yield from ((n, v) for n, v in vars(held).items() if not n.startswith("__"))


def _numbered(held: Layer) -> list[tuple[str, Any]]:
    """The layers of a functional or sequential model under TensorFlow's names, which do not hang on layers' names."""
    from corenn_tensorflow.keras.models import Model, Sequential  # imported when Keras is in use

    layers = held.layers if isinstance(held, Model) and (held._plan is not None or isinstance(held, Sequential)) else []
    weighted = [layer for layer in layers if layer.weights]
    return [
        *((f"layer_with_weights-{i}", layer) for i, layer in enumerate(weighted)),
        *((f"layer-{i}", layer) for i, layer in enumerate(layers)),
    ]


def is_tracked(value: Any) -> bool:
    """Whether a value is, or holds, something with state that a checkpoint saves."""
    if isinstance(value, (Variable, GraphVariable, Layer, CoreOptimizer, Optimizer, Metric, Root)):
        return True
    if isinstance(value, (*PLAIN, Tensor)) or callable(value):
        return bool(isinstance(value, Layer))
    if isinstance(value, (list, tuple, Mapping)):
        items = value.values() if isinstance(value, Mapping) else value
        return any(is_tracked(v) for v in items)
    return has_state(value) or any(is_tracked(v) for n, v in _safe_vars(value) if not n.startswith("_"))


def _safe_vars(value: Any) -> list[tuple[str, Any]]:
    """Attributes of objects of a program's own classes: going through libraries' objects would lead anywhere."""
    module = type(value).__module__.partition(".")[0]
    if not hasattr(value, "__dict__") or (module == "corenn" and not has_state(value)):
        return []
    return list(vars(value).items())


def has_state(value: Any) -> bool:
    """Whether a value gives its state and takes it back (``get_state`` and ``set_state``)."""
    return callable(getattr(value, "get_state", None)) and callable(getattr(value, "set_state", None))


def _escaped(name: str) -> str:
    return name.replace(".", "..").replace("/", ".S")


class Walk:
    """Objects below a root, each once, with the shortest path to it."""

    def __init__(self, root: Any) -> None:
        self.objects: list[tuple[str, Any]] = [("", root)]
        self.edges: list[list[tuple[str, int]]] = []
        known = {id(root): 0}
        at = 0
        while at < len(self.objects):
            path, held = self.objects[at]
            found = []
            for name, child in children_of(held):
                if not is_tracked(child):
                    continue
                if id(child) not in known:
                    known[id(child)] = len(self.objects)
                    self.objects.append((f"{path}/{_escaped(name)}" if path else _escaped(name), child))
                found.append((name, known[id(child)]))
            self.edges.append(found)
            at += 1


def saved_values(walk: Walk, session: Any) -> tuple[dict[str, Any], bytes]:
    """What a checkpoint of the objects holds: arrays by key, and the graph of objects."""
    graph = TrackableObjectGraph()
    found: dict[str, Any] = {}
    for (path, held), edges in zip(walk.objects, walk.edges, strict=True):
        node = graph.nodes.add()
        for name, place in edges:
            node.children.add(node_id=place, local_name=name)
        if isinstance(held, (Variable, GraphVariable)):
            node.attributes.add(name="VARIABLE_VALUE", full_name=op_name(held), checkpoint_key=path + _VALUE)
            found[path + _VALUE] = _value(held, session)
        elif isinstance(held, CoreOptimizer) or (has_state(held) and not isinstance(held, (Layer, Metric))):
            node.attributes.add(name="PY_STATE", full_name=path, checkpoint_key=path + _STATE)
            found.update(_packed(held.get_state(), path + _STATE))
    return found, graph.SerializeToString()


def _value(variable: Any, session: Any) -> Any:
    if isinstance(variable, Variable):
        return variable.numpy()
    chosen = session if session is not None else get_default_session()
    if chosen is None:
        raise RuntimeError(
            "tf.train.Checkpoint in graph mode needs a session: `with session:` or save(..., session=session)"
        )
    return np.asarray(chosen.run(variable))


def _packed(state: Any, prefix: str) -> dict[str, Any]:
    import json

    from corenn.checkpoint import pack_state

    tensors, metadata = pack_state(state)
    return {f"{prefix}/{_escaped(k)}": v for k, v in tensors.items()} | {prefix: json.dumps(metadata)}


def unpacked(reader: checkpoints.CheckpointReader, prefix: str) -> Any:
    """The state of an object as ``set_state`` takes it, from what a checkpoint holds under ``prefix``."""
    import json

    from corenn.checkpoint import unpack_state

    begin = prefix + "/"
    tensors = {
        n.removeprefix(begin).replace(".S", "/").replace("..", "."): reader.get_tensor(n)
        for n in reader._names() if n.startswith(begin)
    }  # fmt: skip
    return unpack_state(tensors, json.loads(reader.get_tensor(prefix)))


__all__ = [
    "GRAPH_KEY", "PLAIN", "Root", "TrackableObject", "TrackableObjectGraph", "Walk", "children_of", "has_state",
    "is_tracked", "saved_values", "unpacked",
]  # fmt: skip
