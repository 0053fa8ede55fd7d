"""Graphs from files: see ``corenn.graph.serialization``."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from corenn.configurable import deserialize
from corenn.errors import CheckpointError, CorennError, GraphError, nearest
from corenn.graph.encoding import ValueReader
from corenn.graph.exporting import FORMAT, VERSION, StrPath
from corenn.graph.graph import Graph
from corenn.graph.kind_registry import Record, format_called, kind_names, read_function
from corenn.graph.names import check
from corenn.graph.operations import Known, Operation
from corenn.graph.scopes import store_of
from corenn.graph.state import GLOBAL, GraphVariable
from corenn.graph.subgraph import ParameterKind, SubGraph
from corenn.graph.tensors import GraphTensor

_MOST_NESTED = 30  # subgraphs in subgraphs


@dataclass(frozen=True, slots=True)
class ImportedGraph:
    """What ``import_graph`` added to ``graph``, by the names in the file.

    ``scope``: the prefix of the new names, ``""`` or ending in ``/``.  ``operations``: by name.  ``variables``: by name
    of their operation.  ``collections``: what the file's collections hold, which is also in those of the graph.
    """

    graph: Graph
    scope: str
    operations: dict[str, Operation]
    variables: dict[str, GraphVariable]
    collections: dict[str, list[Any]]

    @property
    def global_variables(self) -> dict[str, GraphVariable]:
        """The variables that checkpoints hold by default, by the names they have there: what a ``Saver`` takes."""
        listed = {id(v) for v in self.collections.get(GLOBAL, ())}
        return {name: v for name, v in self.variables.items() if id(v) in listed}

    def operation(self, name: str) -> Operation:
        """The operation that the file calls ``name``; KeyError with the nearest names if there is none."""
        if name not in self.operations:
            raise KeyError(f"the imported graph has no operation {name!r}; {nearest(name, self.operations)}")
        return self.operations[name]

    def tensor(self, name: str) -> GraphTensor:
        """The tensor that the file calls ``"operation:index"`` (``":0"`` may be left out)."""
        operation, _, index = name.partition(":")
        outputs = self.operation(operation).outputs
        if not (index or "0").isdecimal() or int(index or 0) >= len(outputs):
            raise KeyError(f"operation {operation!r} of the imported graph has {len(outputs)} outputs, not {name!r}")
        return outputs[int(index or 0)]

    def __repr__(self) -> str:
        return f"<imported graph: {len(self.operations)} operations, {len(self.variables)} variables>"


def import_graph(
    source: StrPath | Mapping[str, Any], *, graph: Graph | None = None, name_scope: str | None = None,
    input_map: Mapping[str, Any] | None = None, clear_devices: bool = False,
    variable_class: type[GraphVariable] = GraphVariable,
) -> ImportedGraph:  # fmt: skip
    """Make the operations of a file (or of a description) that ``export_graph`` wrote, in ``graph`` or a new one.

    ``name_scope`` prefixes all names (and is made unique); without it the names must be free.  ``input_map``: tensors
    of ``graph`` that take the place of the file's, by name (``"x:0"`` or ``"x"``).  Variables, collections and the
    scopes of ``get_variable`` are restored; values of variables are a ``Saver``'s.  ``clear_devices`` forgets devices.
    ``variable_class``: what variables become.

    Everything is checked before it is believed, and an import that fails leaves ``graph`` as it was.  Raises
    CheckpointError for a file that is missing, damaged or of a newer version, GraphError where it does not fit this
    graph or this process (a name that is taken, a function that is not registered).
    """
    where, description, tensors = _loaded(source)
    target = graph if graph is not None else Graph()
    reader = _GraphReader(where, tensors, target, clear_devices, variable_class)
    with _undone_on_error(target):
        return reader.whole(description, name_scope, dict(input_map or {}))


def _loaded(source: StrPath | Mapping[str, Any]) -> tuple[str, Mapping[str, Any], Mapping[str, np.ndarray[Any, Any]]]:
    """Where the description comes from, the description, and the tensors beside it."""
    if isinstance(source, Mapping):
        if "tensors" in source:
            raise GraphError("import_graph", "the description's tensors are in a file beside it", hint="give the file")
        return "import_graph", source, {}
    path = Path(source)
    name = os.fspath(source)
    try:
        text = path.read_bytes()
    except FileNotFoundError as error:
        raise CheckpointError(name, "does not exist", hint="check the path") from error
    except OSError as error:
        raise CheckpointError(name, f"cannot be read: {error.strerror or error}") from error
    try:
        description = json.loads(text.decode(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        what = f"is not a graph that export_graph wrote: {error}"
        raise CheckpointError(name, what, hint="export the graph again, or give the right file") from error
    beside = description.get("tensors") if isinstance(description, dict) else None
    if beside is None:
        return name, description, {}
    if not isinstance(beside, str) or beside != os.path.basename(beside) or beside in ("", ".", ".."):
        raise CheckpointError(name, f"names {str(beside)[:60]!r} for its tensors, which is no name of a file beside it")
    from corenn.checkpoint.store import load_file

    return name, description, load_file(path.with_name(beside))[0]


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


@contextmanager
def _undone_on_error(graph: Graph) -> Iterator[None]:
    """Put the graph back as it was if the block fails."""
    count, names = len(graph._operations), dict(graph._names._next)
    collections = {name: list(items) for name, items in graph.collections.items()}
    store = copy.copy(graph.variable_scopes.get("store"))
    if store is not None:
        store.variables, store.counts = dict(store.variables), dict(store.counts)
    seed = graph.seed
    try:
        yield
    except BaseException:
        for operation in graph._operations[count:]:
            del graph._by_name[operation.name]
        del graph._operations[count:]
        graph._names._next = names
        graph.collections.clear()
        graph.collections.update(collections)
        if store is not None:
            graph.variable_scopes["store"] = store
        else:
            graph.variable_scopes.pop("store", None)
        graph.seed = seed
        raise


class _Level:
    """A graph being filled: its operations and tensors by the names in the file."""

    def __init__(self, graph: Graph, prefix: str = "") -> None:
        self.graph, self.prefix = graph, prefix
        self.operations: dict[str, Operation] = {}
        self.mapped: dict[str, GraphTensor] = {}
        self.later: list[Callable[[], None]] = []
        #: The graphs inside each operation, and the operation that is being read.
        self.inside: dict[str, list[_Level]] = {}
        self.reading = ""


class _GraphReader:
    """Fills a graph, and the graphs inside it, from a description."""

    def __init__(
        self, where: str, tensors: Mapping[str, np.ndarray[Any, Any]], graph: Graph, clear_devices: bool,
        variable_class: type[GraphVariable],
    ) -> None:  # fmt: skip
        self.where, self.clear_devices, self.variable_class = where, clear_devices, variable_class
        self.values = ValueReader(where, tensors)
        self.levels = [_Level(graph)]

    # ---- the whole

    def whole(self, description: Any, name_scope: str | None, input_map: dict[str, Any]) -> ImportedGraph:
        """Everything in the file."""
        if not isinstance(description, Mapping) or description.get("format") != FORMAT:
            raise CheckpointError(self.where, "is not a graph that export_graph wrote", hint="give the right file")
        version = description.get("version")
        if type(version) is not int or not 1 <= version <= VERSION:
            what = f"has version {str(version)[:20]} of the format; this corenn reads up to {VERSION}"
            raise CheckpointError(self.where, what, hint="load it with the version of corenn that wrote it")
        root, records = self.levels[0], self._listed(description.get("operations"), "operations")
        graph, seed = root.graph, description.get("seed")
        if not (seed is None or type(seed) is int):
            self.refuse("its seed is not an integer")
        if not graph.get_operations():
            graph.seed = seed
        if name_scope:
            with graph.name_scope(name_scope) as scope:
                root.prefix = scope
        self._check_free(records, graph, root.prefix)
        root.mapped = self._mapping(input_map, records, graph)
        self._fill(root, records)
        collections = self._collections(description.get("collections", {}))
        self._restore_scopes(description.get("variable_scopes", {}))
        variables = {n: o.outputs[0] for n, o in root.operations.items() if o.outputs and _is_variable(o.outputs[0])}
        return ImportedGraph(graph, root.prefix, root.operations, variables, collections)  # type: ignore[arg-type]

    def _check_free(self, records: list[Any], graph: Graph, prefix: str) -> None:
        names = {prefix + r["name"] for r in records if isinstance(r, dict) and isinstance(r.get("name"), str)}
        taken = sorted(n for n in names if n in graph._by_name)
        if taken:
            raise GraphError(
                "import_graph", f"the graph has operations of the same names: {', '.join(map(repr, taken[:5]))}"
                + (f" and {len(taken) - 5} more" if len(taken) > 5 else ""),
                hint="import_graph(..., name_scope='imported'), or a new graph",
            )  # fmt: skip

    def _mapping(self, given: dict[str, Any], records: list[Any], graph: Graph) -> dict[str, GraphTensor]:
        names = {r["name"]: r for r in records if isinstance(r, dict) and isinstance(r.get("name"), str)}
        found = {}
        for key, value in given.items():
            name = key if ":" in key else f"{key}:0"
            operation, _, index = name.rpartition(":")
            outputs = names.get(operation, {}).get("outputs")
            if not isinstance(outputs, list) or not index.isdecimal() or int(index) >= len(outputs):
                raise GraphError("import_graph", f"input_map names {key!r}, which is not in the file",
                                 hint=nearest(operation, names) or None)  # fmt: skip
            element = graph.as_element(value)
            if not isinstance(element, GraphTensor):
                raise GraphError(
                    "import_graph", f"input_map gives {key!r} an operation", hint="give one of its outputs"
                )
            found[name] = element
        return found

    # ---- operations

    def _listed(self, data: Any, what: str) -> list[Any]:
        if not isinstance(data, list):
            self.refuse(f"its {what} are not a list")
        return data

    def _fill(self, level: _Level, records: list[Any]) -> None:
        for number, data in enumerate(records):
            if not isinstance(data, dict) or not isinstance(data.get("name"), str):
                self.refuse(f"operation {number} has no name")
            described = f"operation {data['name'][:80]!r}"
            try:
                self._add(level, data)
            except (CheckpointError, GraphError):
                raise
            except CorennError as error:
                raise CheckpointError(
                    self.where, f"{described}: {error.what}", error.operands, hint=error.hint
                ) from error
            except Exception as error:  # whatever rules of shapes make of attributes that they never met
                raise CheckpointError(
                    self.where, f"{described} is malformed: {type(error).__name__}: {error}"
                ) from error
        for action in level.later:
            action()

    def _add(self, level: _Level, data: dict[str, Any]) -> None:
        name, graph = data["name"], level.graph

        def refuse(what: str) -> NoReturn:
            hint = "export the graph again; the file is damaged or was edited"
            raise CheckpointError(self.where, f"operation {name[:80]!r} cannot be made: {what}", hint=hint)

        level.reading = name
        if name in level.operations:
            refuse("there are two of that name")
        check(name, scoped=False)
        form = format_called(data["kind"]) if isinstance(data.get("kind"), str) else None
        if form is None and isinstance(data.get("kind"), str) and "." in data["kind"]:
            raise GraphError(
                "import_graph", f"operation {name[:80]!r} is of a kind that is not registered: {data['kind'][:80]!r}",
                hint=f"import {data['kind'].partition('.')[0][:40]}, which registers it, before loading",
            )  # fmt: skip
        if form is None:
            refuse(f"there is no kind {str(data.get('kind'))[:60]!r}; {nearest(str(data.get('kind')), kind_names())}")
        given, listed = data.get("attrs", {}), data.get("outputs", [])
        config, device, made = data.get("config", {}), data.get("device", ""), data.get("where", "")
        if not isinstance(given, dict) or not isinstance(config, dict) or not isinstance(listed, list):
            refuse("its attributes or outputs are malformed")
        if not isinstance(device, str) or not isinstance(made, str):
            refuse("its device or place is not text")
        inputs = [self._tensor(level, n, refuse) for n in self._names(data.get("inputs", []), refuse)]
        controls = [self._operation(level, n, refuse) for n in self._names(data.get("controls", []), refuse)]
        attrs = {key: self.value(value) for key, value in given.items()}
        record = Record(
            name, graph, inputs, [self._known(o, refuse) for o in listed], attrs, config, refuse
        )  # fmt: skip
        kind = form.read(record, self)
        with graph.device("" if self.clear_devices else device):
            operation = graph.add(
                kind, record.inputs, record.results, record.attrs, name=f"{level.prefix}{name}/", where=made,
                controls=controls,
            )  # fmt: skip
        for at in [i for i, c in enumerate(operation.name) if c == "/"]:
            graph._names.take(operation.name[:at])
        if form.made is not None:
            form.made(operation, record, self)
        level.operations[name] = operation

    def _names(self, data: Any, refuse: Callable[[str], NoReturn]) -> list[str]:
        if not isinstance(data, list) or not all(isinstance(n, str) for n in data):
            refuse("its inputs are not a list of names")
        return data

    def _known(self, data: Any, refuse: Callable[[str], NoReturn]) -> Known:
        if not isinstance(data, list) or len(data) != 2:
            refuse("an output is not a shape and a dtype")
        return self.values.extents(data[0]), self.values.dtype(data[1])

    def _operation(self, level: _Level, name: Any, refuse: Callable[[str], NoReturn]) -> Operation:
        found = level.operations.get(name) if isinstance(name, str) else None
        if found is None:
            near = (
                nearest(str(name)[:80], level.operations) if level.operations else "there are no operations before it"
            )
            refuse(
                f"it needs {str(name)[:80]!r}, which does not come before it (a cycle, or a part is missing); {near}"
            )
        return found

    def _tensor(self, level: _Level, name: Any, refuse: Callable[[str], NoReturn]) -> GraphTensor:
        mapped = level.mapped.get(name) if isinstance(name, str) else None
        operation, _, index = str(name).rpartition(":")
        outputs = self._operation(level, operation, refuse).outputs
        if not index.isdecimal() or len(index) > 9 or int(index) >= len(outputs):
            refuse(f"it takes {str(name)[:80]!r}, and {operation[:80]!r} has {len(outputs)} outputs")
        found = outputs[int(index)]
        if mapped is None:
            return found
        if mapped.dtype is not found.dtype:
            raise GraphError("import_graph", f"input_map gives {name!r} a tensor of another dtype",
                             {"file": found, "given": mapped},
                             hint=f"corenn.cast(..., dtype={found.dtype.name!r})")  # fmt: skip
        return mapped

    # ---- what kinds ask for (kind_registry.Reader)

    def refuse(self, what: str) -> NoReturn:
        """CheckpointError: the file is not what was written."""
        self.values.refuse(what)

    def value(self, data: Any) -> Any:
        """An attribute."""
        return self.values.value(data)

    def cell(self, data: Any) -> GraphVariable:
        """A variable, of this graph or of one around it."""
        name, up = data if isinstance(data, list) and len(data) == 2 else (data, 0)
        if type(up) is not int or not 0 <= up < len(self.levels):
            self.refuse("a variable is in a graph that does not exist")
        found = self._operation(self.levels[-1 - up], name, self.refuse)
        if not found.outputs or not _is_variable(found.outputs[0]):
            self.refuse(f"{str(name)[:80]!r} is not a variable")
        return found.outputs[0]  # type: ignore[return-value]  # it is one

    def function(self, data: Any) -> Callable[..., Any]:
        """A registered function."""
        return read_function(data, self.value)

    def operation(self, name: Any) -> Operation:
        """An operation of this graph."""
        return self._operation(self.levels[-1], name, self.refuse)

    def tensor(self, name: Any) -> GraphTensor:
        """A tensor of this graph."""
        return self._tensor(self.levels[-1], name, self.refuse)

    def later(self, action: Callable[[], None]) -> None:
        """At the end of this graph."""
        self.levels[-1].later.append(action)

    def constraint(self, data: Any) -> Any:
        """A constraint."""
        if data is None:
            return None
        if isinstance(data, dict) and "function" in data:
            return self.function(data["function"])
        form = data.get("configured") if isinstance(data, dict) else None
        if not isinstance(form, dict) or form.get("kind", "constraint") != "constraint":
            self.refuse("the constraint of a variable is malformed")
        found = deserialize(form, "constraint")
        if not callable(found):
            self.refuse("the constraint of a variable cannot be called")
        return found

    def subgraph(self, data: Any, captured: Sequence[GraphTensor]) -> SubGraph:
        """The graph of a branch or body; ``captured``: the tensors it captures, and perhaps more."""
        if not isinstance(data, dict) or len(self.levels) > _MOST_NESTED:
            self.refuse("a subgraph is malformed, or nested too deeply")
        outer, made = self.levels[-1], SubGraph(self.levels[-1].graph)
        inner = _Level(made)
        outer.inside.setdefault(outer.reading, []).append(inner)
        self.levels.append(inner)
        try:
            self._fill(inner, self._listed(data.get("operations"), "operations of a subgraph"))
            made.parameters = [self._parameter(n) for n in self._listed(data.get("parameters"), "parameters")]
            taken = [self._parameter(n) for n in self._listed(data.get("captures"), "captures")]
            made.outputs = [self.tensor(n) for n in self._listed(data.get("outputs"), "outputs of a subgraph")]
        finally:
            self.levels.pop()
        if len(taken) > len(captured):
            self.refuse(f"a subgraph of {outer.reading!r} captures {len(taken)} tensors of {len(captured)}")
        for outside, inside in zip(captured, taken, strict=False):
            if inside.dtype is not outside.dtype or not compatible_knowns(outside.extents, inside.extents):
                self.refuse(f"a subgraph of {outer.reading!r} takes {inside!r} for {outside!r}")
            # One tensor may come twice, where input_map gave it for two: it is found under either key.
            made.captures[id(outside) if id(outside) not in made.captures else id(inside)] = (outside, inside)
        passed = [t.operation for t in (*made.parameters, *taken)]
        here = [o for o in made.get_operations() if isinstance(o.kind, ParameterKind)]
        if len(set(passed)) < len(passed) or set(passed) != set(here):
            self.refuse(f"the parameters of a subgraph of {outer.reading!r} are not those it is passed")
        return made

    def _parameter(self, name: Any) -> GraphTensor:
        found = self.operation(name)
        if not isinstance(found.kind, ParameterKind):
            self.refuse(f"{str(name)[:80]!r} is not a parameter")
        return found.outputs[0]

    # ---- collections and scopes

    def _collections(self, data: Any) -> dict[str, list[Any]]:
        if not isinstance(data, dict):
            self.refuse("its collections are malformed")
        found = {n: [self._item(i, 0) for i in self._listed(items, "collections")] for n, items in data.items()}
        for name, items in found.items():
            self.levels[0].graph.collections.setdefault(name, []).extend(items)
        return found

    def _item(self, data: Any, depth: int) -> Any:
        if not isinstance(data, dict) or not data or depth > _MOST_NESTED:
            self.refuse("an item of a collection is malformed")
        level = self._inside(data.get("in", []))
        body = next(iter(data.values()))
        for key, read in (("tensor", self._tensor), ("operation", self._operation), ("variable", self._operation)):
            if key in data:
                found = read(level, data[key], self.refuse)
                if key != "variable":
                    return found
                if not found.outputs or not _is_variable(found.outputs[0]):
                    self.refuse(f"{str(data[key])[:80]!r} is not a variable")
                return found.outputs[0]
        if "value" in data:
            return self.value(body)
        if "dict" in data and isinstance(body, dict):
            return {k: self._item(v, depth + 1) for k, v in body.items()}
        if "list" in data or "tuple" in data:
            items = [self._item(i, depth + 1) for i in self._listed(body, "collections")]
            return items if "list" in data else tuple(items)
        return self.refuse("an item of a collection is malformed")

    def _inside(self, path: Any) -> _Level:
        """The graph at a path of [operation, number of the subgraph] pairs."""
        level = self.levels[0]
        for step in self._listed(path, "places in subgraphs"):
            if not isinstance(step, list) or len(step) != 2 or not isinstance(step[0], str) or type(step[1]) is not int:
                self.refuse("a place in a subgraph is malformed")
            graphs = level.inside.get(step[0], [])
            if not 0 <= step[1] < len(graphs):
                self.refuse(f"operation {step[0][:80]!r} has no subgraph {step[1]}")
            level = graphs[step[1]]
        return level

    def _restore_scopes(self, data: Any) -> None:
        """What ``get_variable`` and ``variable_scope`` know by name."""
        shared, counts = (data.get(k, {}) if isinstance(data, dict) else None for k in ("variables", "counts"))
        if not isinstance(shared, dict) or not isinstance(counts, dict):
            self.refuse("its variable scopes are malformed")
        if not all(type(n) is int and n >= 0 for n in counts.values()):
            self.refuse("the counts of its variable scopes are malformed")
        root = self.levels[0]
        store = store_of(root.graph)
        for name, item in shared.items():
            found = self._item(item, 0)
            if not _is_variable(found):
                self.refuse(f"get_variable({name[:80]!r}) is not a variable")
            if root.prefix + name in store.variables:
                raise GraphError("import_graph", f"get_variable knows a variable {root.prefix + name!r} already",
                                 hint="import_graph(..., name_scope='imported'), or a new graph")  # fmt: skip
            store.variables[root.prefix + name] = found
        for name, count in counts.items():
            store.counts[root.prefix + name] = max(count, store.counts.get(root.prefix + name, 0))


def _is_variable(value: Any) -> bool:
    return isinstance(value, GraphVariable)


def compatible_knowns(a: Any, b: Any) -> bool:
    """Whether what is known of one shape does not contradict what is known of another."""
    if a is None or b is None:
        return True
    return len(a) == len(b) and all(x is None or y is None or x == y for x, y in zip(a, b, strict=True))


__all__ = ["ImportedGraph", "import_graph"]
