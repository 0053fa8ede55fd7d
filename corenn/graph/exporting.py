"""Graphs to files: see ``corenn.graph.serialization``."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

from corenn.configurable import serialize
from corenn.errors import CheckpointError, CorennError, GraphError
from corenn.graph.encoding import UnwritableError, ValueWriter
from corenn.graph.graph import Graph
from corenn.graph.kind_registry import format_of, write_function
from corenn.graph.kinds import (
    CompositeKind,
    ConstKind,
    EagerTensorKind,
    GeneratorKeyKind,
    HostCallKind,
    PlaceholderKind,
)
from corenn.graph.operations import Kind, Operation
from corenn.graph.state import EagerReadKind, GraphVariable
from corenn.graph.subgraph import ParameterKind, SubGraph
from corenn.graph.tensors import GraphTensor
from corenn.variable import Variable

FORMAT, VERSION = "corenn.graph", 1
#: Constants of more bytes than this go into the file of tensors beside the description.
LARGE = 16 * 1024

StrPath = str | os.PathLike[str]
_CONST, _PLACEHOLDER = ConstKind(), PlaceholderKind()


class GraphExportWarning(UserWarning):
    """Something in a graph's collections was left out of a file, because it has no form there."""


def export_graph(
    graph: Graph, file: StrPath | None = None, *, large: int | None = LARGE, strict: bool = True,
    only: Iterable[str] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Write ``graph`` to ``file`` (JSON), whole or not at all; returns the description, a dict of plain JSON values.

    Constants of more than ``large`` bytes go into a safetensors file beside it (``tensors_path(file)``); with ``None``,
    or without a ``file``, all are in the description.  ``strict=False`` leaves items of collections that have no form
    in a file out, with a GraphExportWarning.  ``only`` names the operations to write, which must include what these
    take; collections and the scopes of ``get_variable`` are left out then.  Raises GraphError for what cannot be
    written, naming the operation and the line that made it, and CheckpointError when a file cannot be written.
    """
    if isinstance(graph, SubGraph):
        raise GraphError("export_graph", "it is the graph of a branch or loop", hint="export the graph around it")
    writer = _GraphWriter(graph, ValueWriter(large if file is not None else None), strict, only)
    description = writer.description()
    if file is not None:
        _save(description, writer.values, Path(file))
    return description


def tensors_path(file: StrPath) -> Path:
    """Where the large constants of the graph in ``file`` are: the same name, ending in ``.safetensors``."""
    path = Path(file)
    return path.with_name(path.name.removesuffix(".json") + ".safetensors")


def _save(description: dict[str, Any], values: ValueWriter, path: Path) -> None:
    from corenn.checkpoint._atomic import write_atomically
    from corenn.checkpoint.store import save_file

    if values.tensors:
        beside = tensors_path(path)
        description["tensors"] = beside.name
        # First, so that whoever finds the description finds its tensors; they are named by their content.
        save_file(beside, values.tensors)
    text = json.dumps(description, indent=1, allow_nan=False) + "\n"
    try:
        write_atomically(path, lambda out: out.write(text.encode()))
    except OSError as error:
        what = f"cannot be written: {error.strerror or error}"
        raise CheckpointError(str(path), what, hint="make the directory, free space or choose another one") from error


class _GraphWriter:
    """Writes one graph and the graphs inside it."""

    def __init__(self, graph: Graph, values: ValueWriter, strict: bool, only: Iterable[str] | None = None) -> None:
        self.graph, self.values, self.strict = graph, values, strict
        self.only = None if only is None else {graph.get_operation_by_name(name) for name in only}
        #: The graphs around what is being written, and where each was found: [operation, number of subgraph] pairs.
        self.stack: list[Graph] = []
        self.places: dict[int, list[list[Any]]] = {id(graph): []}
        self.kept: list[Graph] = []  # so that ids stay theirs
        self._current: Operation  # being written

    def description(self) -> dict[str, Any]:
        """The whole graph."""
        from corenn import __version__

        operations = self._operations(self.graph)
        if self.only is not None:
            return {
                "format": FORMAT, "version": VERSION, "producer": f"corenn {__version__}", "seed": self.graph.seed,
                "operations": operations, "collections": {}, "variable_scopes": {},
            }  # fmt: skip
        return {
            "format": FORMAT, "version": VERSION, "producer": f"corenn {__version__}", "seed": self.graph.seed,
            "operations": operations, "collections": self._collections(), "variable_scopes": self._scopes(),
        }  # fmt: skip

    # ---- operations

    def _operations(self, graph: Graph) -> list[dict[str, Any]]:
        self.stack.append(graph)
        try:
            chosen = self.only if self.only is not None and len(self.stack) == 1 else None
            return [self._operation(o) for o in graph.get_operations() if chosen is None or o in chosen]
        finally:
            self.stack.pop()

    def _operation(self, operation: Operation) -> dict[str, Any]:
        kind: Kind = operation.kind
        attrs = operation.attrs
        if isinstance(operation.kind, EagerTensorKind):  # its value, as it is
            kind, attrs = _CONST, {**attrs, "value": operation.kind.tensor.numpy()}
        elif isinstance(kind, ParameterKind) and len(self.stack) == 1:  # of a traced function: whoever runs it feeds it
            kind = _PLACEHOLDER
        form = format_of(kind)
        if form is None:
            self._refuse(operation, kind)
        self._current = operation
        record: dict[str, Any] = {"name": operation.name, "type": operation.type, "kind": form.name}
        try:
            if operation.inputs:
                record["inputs"] = [i.name for i in operation.inputs]
            if operation.control_inputs:
                record["controls"] = [c.name for c in operation.control_inputs]
            record["outputs"] = [
                [None if o.extents is None else list(o.extents), o.dtype.name] for o in operation.outputs
            ]
            if attrs:
                record["attrs"] = {name: self.value(value) for name, value in attrs.items()}
            config = form.write(kind, operation, self)
        except UnwritableError as error:
            self._refuse(operation, kind, str(error), error)
        if config:
            record["config"] = config
        if operation.device:
            record["device"] = operation.device
        if operation.where:
            record["where"] = operation.where
        return record

    def _refuse(
        self, operation: Operation, kind: Kind, what: str = "", cause: UnwritableError | None = None
    ) -> NoReturn:
        hint = (
            cause.hint if cause is not None else None
        ) or "keep it out of the graph that is exported, or rebuild the graph in Python and restore its variables"
        if isinstance(kind, (CompositeKind, HostCallKind)):
            what = f"it runs {what or 'a Python function'}"
            if isinstance(kind, HostCallKind):
                hint += "; or feed a placeholder in its place"
        elif isinstance(kind, GeneratorKeyKind):
            what, hint = "it draws from a generator that lives outside the graph", "give the random op a seed instead"
        elif isinstance(kind, EagerReadKind):
            what, hint = "it reads a variable that lives outside the graph", "make the variable in the graph"
        elif not what:
            what = f"its kind, {type(kind).__name__}, is not registered"
            hint = "corenn.graph.register_kind(name, kind, write, read)"
        raise GraphError(
            "export_graph", f"operation {operation.name!r} (type {operation.type}) cannot be written: {what}",
            hint=hint, site=operation.where or "",
        ) from cause  # fmt: skip

    # ---- what kinds ask for (kind_registry.Writer)

    def value(self, value: Any) -> Any:
        """The JSON form of an attribute."""
        return self.values.value(value)

    def cell(self, variable: Any) -> Any:
        """A reference to a variable: its name, and how many graphs further out it is."""
        if isinstance(variable, Variable) or not isinstance(variable, GraphVariable):
            raise UnwritableError("a variable that lives outside the graph")
        for up, graph in enumerate(reversed(self.stack)):
            if variable.graph is graph:
                return [variable.operation.name, up] if up else variable.operation.name
        raise UnwritableError(f"the variable {variable.operation.name!r}, which another graph has")

    def function(self, function: Any) -> Any:
        """A reference to a registered function."""
        return write_function(function, self.value)

    def constraint(self, constraint: Any) -> Any:
        """A constraint as ``corenn.configurable`` writes it, or a registered function."""
        if constraint is None:
            return None
        try:
            return {"configured": serialize(constraint)}
        except CorennError:
            pass
        try:
            return {"function": self.function(constraint)}
        except UnwritableError as error:
            raise UnwritableError(f"its constraint is {error}", error.hint) from None

    def subgraph(self, graph: SubGraph) -> dict[str, Any]:
        """The graph of a branch or body."""
        owner = self._current
        number = sum(1 for p in self.places.values() if p and p[-1][0] == owner.name and p[:-1] == self._here())
        self.places[id(graph)] = [*self._here(), [owner.name, number]]
        self.kept.append(graph)
        found = {
            "operations": self._operations(graph),
            "parameters": [p.operation.name for p in graph.parameters],
            "captures": [inside.operation.name for _, inside in graph.captures.values()],
            "outputs": [o.name for o in graph.outputs],
        }
        self._current = owner
        return found

    def _here(self) -> list[list[Any]]:
        return self.places[id(self.stack[-1])]

    # ---- collections and scopes

    def _collections(self) -> dict[str, list[Any]]:
        found: dict[str, list[Any]] = {}
        for name, items in self.graph.collections.items():
            written = []
            for item in items:
                try:
                    written.append(self._item(item))
                except UnwritableError as error:
                    what = f"the collection {name!r} holds {error}"
                    if self.strict:
                        hint = f"graph.clear_collection({name!r}), or strict=False to leave the item out"
                        raise GraphError("export_graph", what, hint=hint) from error
                    warnings.warn(f"{what}, which is left out of the file", GraphExportWarning, stacklevel=4)
            if written or not items:
                found[str(name)] = written
        return found

    def _item(self, item: Any) -> Any:
        if isinstance(item, (GraphTensor, Operation)):
            operation = item.operation if isinstance(item, GraphTensor) else item
            key = (
                "variable"
                if isinstance(item, GraphVariable)
                else "tensor"
                if isinstance(item, GraphTensor)
                else "operation"
            )
            reference: dict[str, Any] = {key: item.name if key == "tensor" else operation.name}
            inside = self.places.get(id(operation.graph))
            if inside is None or operation.graph._by_name.get(operation.name) is not operation:
                raise UnwritableError(f"{item.name!r}, which is not in this graph")
            return {**reference, "in": inside} if inside else reference
        if isinstance(item, (list, tuple)) and type(item) in (list, tuple):
            return {"list" if isinstance(item, list) else "tuple": [self._item(i) for i in item]}
        if isinstance(item, dict) and type(item) is dict and all(isinstance(k, str) for k in item):
            return {"dict": {k: self._item(v) for k, v in item.items()}}
        return {"value": self.value(item)}

    def _scopes(self) -> dict[str, Any]:
        store = self.graph.variable_scopes.get("store")
        if store is None:
            return {"variables": {}, "counts": {}}
        shared = {name: self._item(v) for name, v in store.variables.items() if isinstance(v, GraphVariable)}
        return {"variables": shared, "counts": dict(store.counts)}


__all__ = ["FORMAT", "LARGE", "VERSION", "GraphExportWarning", "export_graph", "tensors_path"]
