"""``tf.graph_util``, ``tf.import_graph_def`` and ``freeze_graph``: graphs as data.

A ``GraphDef`` is a graph's description, as ``corenn.graph.export_graph`` gives it, with TensorFlow's manners: ``.node``
lists the operations, of which a program may drop some.  Files hold that description, not TensorFlow's own form.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from corenn.errors import CheckpointError, GraphError
from corenn.graph.encoding import ValueWriter
from corenn.graph.graph import Graph
from corenn.graph.serialization import export_graph, import_graph
from corenn.graph.state import GraphVariable
from corenn_tensorflow import logging, mode, writing
from corenn_tensorflow.variable_classes import RefVariable

#: What marks the description in the text form of a graph.
_MARK = "# corenn: "


class NodeDef:
    """One operation of a ``GraphDef``: ``name``, ``op``, ``input``, ``device``, ``attr``."""

    def __init__(
        self, name: str = "", op: str = "", input: Iterable[str] = (), device: str = "", attr: Any = None
    ) -> None:
        self.name, self.op, self.input, self.device = name, op, list(input), device
        self.attr: dict[str, Any] = dict(attr or {})

    @classmethod
    def of(cls, record: dict[str, Any]) -> NodeDef:
        """The node of an operation's record."""
        named = [i.removesuffix(":0") for i in record.get("inputs", ())]
        named += [f"^{c}" for c in record.get("controls", ())]
        return cls(record["name"], record["type"], named, record.get("device", ""), record.get("attrs"))

    def __repr__(self) -> str:
        lines = [f'name: "{self.name}"', f'op: "{self.op}"', *(f'input: "{i}"' for i in self.input)]
        return "\n".join(lines) + "\n"


class GraphDef:
    """A graph as data: ``node`` lists its operations, in an order in which each comes after its inputs."""

    def __init__(self, node: Iterable[Any] = (), graph: Graph | None = None) -> None:
        self.node: list[Any] = list(node)
        self._graph, self._description = graph, None if graph is not None else _empty()

    @classmethod
    def of(cls, description: dict[str, Any]) -> GraphDef:
        """The definition that a description is."""
        made = cls([NodeDef.of(o) for o in description["operations"]])
        made._description = description
        return made

    def description(self) -> dict[str, Any]:
        """The description of the nodes that are (still) listed; GraphError where one cannot be written."""
        names = [n.name for n in self.node]
        if self._description is None:
            assert self._graph is not None  # one of the two is there
            return _plain(export_graph(self._graph, strict=False, only=names))
        records = {o["name"]: o for o in self._description["operations"]}
        strange = next((n for n in names if n not in records), None)
        if strange is not None:
            raise GraphError(
                "GraphDef", f"the node {strange!r} is not one of a graph of corenn's",
                hint="build operations in Python and join graphs with tf.import_graph_def(input_map=...)",
            )  # fmt: skip
        return {**self._description, "operations": [records[n] for n in names]}

    def SerializeToString(self) -> bytes:
        """What ``ParseFromString`` reads."""
        return json.dumps(self.description(), allow_nan=False).encode()

    def ParseFromString(self, serialized: bytes | str) -> int:
        """Become what ``SerializeToString`` gave; the number of bytes."""
        found = _parsed(serialized, "GraphDef.ParseFromString")
        self.node, self._graph, self._description = [NodeDef.of(o) for o in found["operations"]], None, found
        return len(serialized)

    MergeFromString = ParseFromString

    @classmethod
    def FromString(cls, serialized: bytes) -> GraphDef:
        """What ``SerializeToString`` gave."""
        made = cls()
        made.ParseFromString(serialized)
        return made

    def CopyFrom(self, other: GraphDef) -> None:
        """Become a copy of another."""
        self.node, self._graph, self._description = list(other.node), other._graph, other._description

    def ByteSize(self) -> int:
        """The number of bytes of ``SerializeToString``."""
        return len(self.SerializeToString())

    def text(self) -> str:
        """The form for people, with the description in a comment at the end."""
        return f"{self}\n{_MARK}{json.dumps(self.description(), allow_nan=False)}\n"

    def __str__(self) -> str:
        lines = []
        for node in self.node:
            lines += ["node {", f'  name: "{node.name}"', f'  op: "{node.op}"']
            lines += [*(f'  input: "{i}"' for i in node.input), "}"]
        return "\n".join(lines)


def _empty() -> dict[str, Any]:
    return _plain(export_graph(Graph()))


def _plain(description: dict[str, Any]) -> dict[str, Any]:
    """Operations only: a ``GraphDef`` has neither collections nor scopes."""
    return {**description, "collections": {}, "variable_scopes": {"variables": {}, "counts": {}}}


def _parsed(serialized: bytes | str, where: str) -> dict[str, Any]:
    text = serialized if isinstance(serialized, bytes) else serialized.encode()
    mark = text.rfind(_MARK.encode())
    if mark >= 0 and text[:1] != b"{":
        text = text[mark + len(_MARK) :]
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("operations"), list):
        raise CheckpointError(
            where, "the bytes are not a graph that corenn wrote; it does not read TensorFlow's own .pb files",
            hint="build the graph in Python and restore its variables: tf.train.Saver().restore() reads TensorFlow's "
                 "checkpoints",
        )  # fmt: skip
    return _plain(found)


# ---------------------------------------------------------------- importing


def import_graph_def(
    graph_def: Any, input_map: Any = None, return_elements: Sequence[str] | None = None, name: str | None = None,
    op_dict: Any = None, producer_op_list: Any = None,
) -> Any:  # fmt: skip
    """Add the operations of a ``GraphDef`` to the default graph, below ``name`` ("import"; "": at the top).

    ``input_map``: tensors that take the place of the definition's, by name.  Returns the operations and tensors that
    ``return_elements`` names (``"x"``, ``"x:0"``), or ``None``.
    """
    if not hasattr(graph_def, "description"):
        raise TypeError("graph_def must be a GraphDef proto.")
    graph = mode.default_graph()
    description = graph_def.description() if callable(graph_def.description) else graph_def.description
    known = {o["name"] for o in description["operations"]}
    for wanted in return_elements or ():
        if wanted.partition(":")[0] not in known:
            raise ValueError(f"Requested return_element {wanted!r} not found in graph_def.")
    taken = {}
    for key, value in (input_map or {}).items():
        if key.lstrip("^").partition(":")[0] not in known:
            raise ValueError(f"Attempted to map inputs that were not found in graph_def: [{key}]")
        taken[key] = graph.convert(value)
    writing.gather()
    found = import_graph(
        _plain(description), graph=graph, name_scope="import" if name is None else name.rstrip("/") or None,
        input_map=taken, variable_class=RefVariable,
    )  # fmt: skip
    if return_elements is None:
        return None
    return [found.tensor(n) if ":" in n else found.operation(n) for n in return_elements]


# ---------------------------------------------------------------- parts of graphs


def _needed(records: Sequence[dict[str, Any]], names: Iterable[str]) -> set[str]:
    """The operations that those named take, directly or not."""
    by_name = {o["name"]: o for o in records}
    found: set[str] = set()
    left = list(names)
    while left:
        name = left.pop()
        if name in found or name not in by_name:
            continue
        found.add(name)
        record = by_name[name]
        left += [i.partition(":")[0] for i in record.get("inputs", ())] + list(record.get("controls", ()))
        left += _cells(record.get("config"))
    return found


def _cells(config: Any, depth: int = 0) -> list[str]:
    """The variables of the outermost graph that an operation, or a graph inside it, names beside its inputs."""
    found = []
    if isinstance(config, dict):
        cell = config.get("variable")
        listed = [cell, *config.get("cells", ())] if isinstance(config.get("cells"), list) else [cell]
        for item in listed:
            if isinstance(item, str) and depth == 0:
                found.append(item)
            elif isinstance(item, list) and len(item) == 2 and item[1] == depth:
                found.append(item[0])
        for inner in config.get("subgraphs", ()) if isinstance(config.get("subgraphs"), list) else ():
            for record in inner.get("operations", ()):
                found += _cells(record.get("config"), depth + 1)
    return found


def _check_names(graph_def: Any, names: Sequence[str]) -> None:
    known = {n.name for n in graph_def.node}
    for name in names:
        assert name in known, f"{name} is not in graph"


def extract_sub_graph(graph_def: Any, dest_nodes: Sequence[str]) -> GraphDef:
    """The part of a graph that the nodes named need, and what the initial values of its variables need."""
    return _part(graph_def, dest_nodes, True)


def _part(graph_def: Any, dest_nodes: Sequence[str], initial: bool) -> GraphDef:
    if isinstance(dest_nodes, str):
        raise TypeError("dest_nodes must be a list.")
    _check_names(graph_def, dest_nodes)
    by_name = {n.name: n for n in graph_def.node}
    graph = graph_def._graph
    if graph is not None:  # before it is written: what is left out need not have a form in a file
        wanted = _ancestors(graph, dest_nodes, initial)
        return GraphDef([n for n in graph_def.node if n.name in wanted], graph)
    description = graph_def.description()
    wanted = _needed(description["operations"], dest_nodes)
    made = GraphDef.of({**description, "operations": [o for o in description["operations"] if o["name"] in wanted]})
    made.node = [by_name[n.name] for n in made.node]
    return made


def _ancestors(graph: Graph, names: Iterable[str], initial: bool) -> set[str]:
    found: set[str] = set()
    left = [graph.get_operation_by_name(n) for n in names]
    while left:
        operation = left.pop()
        if operation.name in found or operation.graph is not graph:
            continue
        found.add(operation.name)
        left += [i.operation for i in operation.inputs] + list(operation.control_inputs)
        left += [c.operation for c in _cells_of(operation)]
        if initial:
            left += [o.initializer for o in operation.outputs if isinstance(o, GraphVariable)]
    return found


def _cells_of(operation: Any) -> list[Any]:
    """The variables that an operation, or a graph inside it, reads or writes."""
    kind = operation.kind
    found = [c for c in (getattr(kind, "cell", None), *getattr(kind, "cells", ())) if hasattr(c, "operation")]
    for inner in getattr(kind, "subgraphs", ()):
        found += [c for o in inner.get_operations() for c in _cells_of(o)]
    return found


def convert_variables_to_constants(
    sess: Any, input_graph_def: Any, output_node_names: Sequence[str], variable_names_whitelist: Any = None,
    variable_names_blacklist: Any = None,
) -> GraphDef:  # fmt: skip
    """The part of a graph that ``output_node_names`` need, with the variables' values in ``sess`` as constants."""
    part = _part(input_graph_def, output_node_names, False)
    description = part.description()
    kinds = {o["name"]: o["kind"] for o in description["operations"]}
    chosen = [
        name for name, kind in kinds.items() if kind == "variable"
        and (variable_names_whitelist is None or name in variable_names_whitelist)
        and (variable_names_blacklist is None or name not in variable_names_blacklist)
    ]  # fmt: skip
    values = dict(zip(chosen, sess.run([f"{n}:0" for n in chosen]), strict=True)) if chosen else {}
    logging.info("Froze %d variables.", len(values))
    records = [_frozen(o, values, 0) for o in description["operations"]]
    wanted = _needed(records, output_node_names)
    logging.info("Converted %d variables to const ops.", len(values))
    return GraphDef.of({**description, "operations": [o for o in records if o["name"] in wanted]})


def _frozen(record: dict[str, Any], values: dict[str, Any], depth: int) -> dict[str, Any]:
    """A record with constants for variables: for the variable itself, for its reads, for reads in graphs inside."""
    config = record.get("config", {})
    kept = {k: v for k, v in record.items() if k in ("name", "where", "device")}
    if depth == 0 and record["name"] in values and record["kind"] == "variable":
        return _constant(kept, values[record["name"]])
    cell = config.get("variable")
    name, up = cell if isinstance(cell, list) else (cell, 0)
    if name in values and up == depth:
        if record["kind"] != "read":
            raise GraphError("convert_variables_to_constants", f"{record['name']!r} writes the variable {name!r}",
                             hint="freeze outputs that need no training operation")  # fmt: skip
        return _constant(kept, values[name])
    if isinstance(config.get("subgraphs"), list):
        inner = [
            {**graph, "operations": [_frozen(o, values, depth + 1) for o in graph["operations"]]}
            for graph in config["subgraphs"]
        ]
        return {**record, "config": {**config, "subgraphs": inner}}
    return record


def _constant(kept: dict[str, Any], value: Any) -> dict[str, Any]:
    array = np.asarray(value)
    written = ValueWriter(None).value(array)
    dtype = written["$array"]["dtype"]
    return {
        **kept,
        "type": "Const",
        "kind": "const",
        "outputs": [[list(array.shape), dtype]],
        "attrs": {"value": written},
    }


def remove_training_nodes(input_graph: Any, protected_nodes: Sequence[str] | None = None) -> Any:
    """The graph: what only training needs is left out by ``extract_sub_graph`` already."""
    return input_graph


def must_run_on_cpu(node: Any, pin_variables_on_cpu: bool = False) -> bool:
    """Whether an operation has no form on other devices: what deals with text."""
    return "string" in str(getattr(node, "attr", ""))


def tensor_shape_from_node_def_name(graph: Any, input_name: str) -> Any:
    """The shape of a tensor, by name."""
    return graph.get_tensor_by_name(input_name if ":" in input_name else f"{input_name}:0").get_shape()


# ---------------------------------------------------------------- files


def read_graph_def(path: Any) -> GraphDef:
    """The ``GraphDef`` of a file that ``tf.train.write_graph`` (text or not) or ``SerializeToString`` wrote."""
    with open(os.fspath(path), "rb") as file:
        return GraphDef.FromString(file.read())


def freeze_graph(
    input_graph: Any, input_saver: Any, input_binary: bool, input_checkpoint: Any, output_node_names: str,
    restore_op_name: Any, filename_tensor_name: Any, output_graph: Any, clear_devices: bool,
    initializer_nodes: Any = "",
    variable_names_whitelist: str = "", variable_names_blacklist: str = "", input_meta_graph: Any = None,
    input_saved_model_dir: Any = None, saved_model_tags: str = "serve", checkpoint_version: int = 2,
) -> Any:  # fmt: skip
    """Write a graph file and a checkpoint as one frozen graph file; returns its ``GraphDef``."""
    from corenn_tensorflow.framework import TFGraph
    from corenn_tensorflow.session import Session
    from corenn_tensorflow.train.meta_graph import import_meta_graph
    from corenn_tensorflow.train.saver import Saver

    if input_saved_model_dir:
        raise GraphError("freeze_graph", "a saved model is not frozen here", hint="give its graph and its checkpoint")
    with TFGraph().as_default() as graph:
        if input_meta_graph:
            import_meta_graph(input_meta_graph, clear_devices=clear_devices)
        else:
            import_graph_def(read_graph_def(input_graph), name="")
        with Session() as sess:
            if initializer_nodes:
                sess.run(initializer_nodes.replace(" ", "").split(","))
            else:
                variables = {
                    o.name: o.outputs[0] for o in graph.get_operations() if isinstance(o.outputs[:1], tuple)
                    and o.outputs and isinstance(o.outputs[0], RefVariable)
                }  # fmt: skip
                from corenn_tensorflow.train.checkpoints import NewCheckpointReader

                saved = NewCheckpointReader(input_checkpoint).get_variable_to_shape_map()
                Saver({n: v for n, v in variables.items() if n in saved}).restore(sess, input_checkpoint)
            frozen = convert_variables_to_constants(
                sess, graph.as_graph_def(), output_node_names.replace(" ", "").split(","),
                variable_names_whitelist.split(",") if variable_names_whitelist else None,
                variable_names_blacklist.split(",") if variable_names_blacklist else None,
            )  # fmt: skip
    if output_graph:
        with open(os.fspath(output_graph), "wb") as file:
            file.write(frozen.SerializeToString())
    return frozen


__all__ = [
    "GraphDef", "NodeDef", "convert_variables_to_constants", "extract_sub_graph", "freeze_graph", "import_graph_def",
    "must_run_on_cpu", "read_graph_def", "remove_training_nodes", "tensor_shape_from_node_def_name",
]  # fmt: skip
