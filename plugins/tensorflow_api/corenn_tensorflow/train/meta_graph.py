"""Graphs in files: ``.meta`` beside checkpoints, JSON written and read by ``corenn.graph.serialization``.

What a graph holds that has no form in a file (Python functions, as in ``tf.py_func``) makes the whole graph unwritable:
then the file says so, and importing it raises with that reason.  Values of variables are in the checkpoint either way.
"""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

from corenn.checkpoint._atomic import write_atomically
from corenn.errors import CheckpointError, GraphError
from corenn.graph.graph import Graph
from corenn.graph.kind_registry import Reader, Record, Writer, register_kind
from corenn.graph.operations import Operation
from corenn.graph.serialization import GraphExportWarning, ImportedGraph, export_graph, import_graph
from corenn.graph.state import GLOBAL
from corenn_tensorflow import logging, mode, writing
from corenn_tensorflow.graph_util import GraphDef
from corenn_tensorflow.train import rules
from corenn_tensorflow.train.rules import UpdateKind

_SAVER = "corenn_saver"


def _write_update(kind: UpdateKind, operation: Operation, writer: Writer) -> dict[str, Any]:
    return {"rule": kind.rule, "type": kind.type, "cells": [writer.cell(c) for c in kind.cells]}


def _read_update(record: Record, reader: Reader) -> UpdateKind:
    config = record.config
    rule, cells = config.get("rule"), config.get("cells")
    if rule not in rules.RULES or not isinstance(config.get("type"), str) or not isinstance(cells, list) or not cells:
        record.refuse(f"there is no update by the rule {str(rule)[:60]!r}")
    numbers = record.attrs.get("_numbers")
    if type(numbers) is not int or len(record.inputs) < len(cells) + numbers:
        record.refuse("it lacks inputs")
    return UpdateKind(str(rule), config["type"], [reader.cell(c) for c in cells])


register_kind("corenn_tensorflow.update", UpdateKind, _write_update, _read_update)


def write_meta(path: str, graph: Graph, saver: Any) -> None:
    """Write ``graph`` and which variables ``saver`` saves; where that cannot be done, write why not."""
    try:
        _export(graph, path, saver)
    except GraphError as error:
        logging.info("%s holds no graph: %s", path, error)
        text = json.dumps({"format": "corenn graph", "unwritable": str(error)}) + "\n"
        write_atomically(Path(path), lambda file: file.write(text.encode()))


def _export(graph: Graph, path: str | None, saver: Any) -> dict[str, Any]:
    settings = None if saver is None or saver._variables is None else {
        "variables": dict(saver.variables), "max_to_keep": saver._max_to_keep, "hours": saver._keep_hours,
    }  # fmt: skip
    if settings is not None:
        graph.collections[_SAVER] = [settings]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", GraphExportWarning)  # collections also hold what only a process can
            return export_graph(graph, path, strict=False)
    finally:
        graph.collections.pop(_SAVER, None)


class MetaGraphDef:
    """A graph's description; ``SerializeToString`` is what the ``.meta`` file holds."""

    def __init__(self, description: dict[str, Any]) -> None:
        self.description = description

    @property
    def graph_def(self) -> Any:
        """The operations."""
        return GraphDef.of(self.description)

    @property
    def collection_def(self) -> dict[str, Any]:
        """The collections."""
        return dict(self.description.get("collections", {}))

    def SerializeToString(self) -> bytes:
        """The description in JSON."""
        return json.dumps(self.description).encode()


def export_meta_graph(
    filename: str | None = None, meta_info_def: Any = None, graph_def: Any = None, saver_def: Any = None,
    collection_list: Any = None, as_text: bool = False, graph: Graph | None = None, export_scope: str | None = None,
    clear_devices: bool = False, clear_extraneous_savers: bool = False, strip_default_attrs: bool = False,
    save_debug_info: bool = False, saver: Any = None, **kwargs: Any,
) -> MetaGraphDef:  # fmt: skip
    """Write a graph to a file that ``import_meta_graph`` reads; GraphError naming the operation that has no form."""
    if mode.executing_eagerly():
        raise RuntimeError("Exporting/importing meta graphs is not supported when eager execution is enabled.")
    home = graph if graph is not None else mode.default_graph()
    return MetaGraphDef(_export(home, None if filename is None else os.fspath(filename), saver))


def import_meta_graph(
    meta_graph_or_file: Any, clear_devices: bool = False, import_scope: str | None = None, **kwargs: Any
) -> Any:
    """Add the graph of a ``.meta`` file to the default graph; returns a ``Saver`` for its variables.

    ``None`` where it has no variables.  ``input_map`` replaces tensors by name.
    """
    return import_whole(meta_graph_or_file, clear_devices, import_scope, **kwargs)[0]


def import_whole(
    source: Any, clear_devices: bool = False, import_scope: str | None = None, input_map: Any = None, **kwargs: Any
) -> tuple[Any, ImportedGraph]:
    """The saver, and what was imported."""
    from corenn_tensorflow.train.saver import Saver
    from corenn_tensorflow.variable_classes import RefVariable

    if mode.executing_eagerly():
        raise RuntimeError("Exporting/importing meta graphs is not supported when eager execution is enabled.")
    if isinstance(source, MetaGraphDef):
        given: Any = source.description
    else:
        given = os.fspath(source)
        _check(given)
    writing.gather()
    graph = mode.default_graph()
    before = len(graph.get_collection(_SAVER))
    found = import_graph(
        given, graph=graph, name_scope=import_scope, input_map=input_map, clear_devices=clear_devices,
        variable_class=RefVariable,
    )  # fmt: skip
    settings = graph.get_collection(_SAVER)[before:]
    graph.clear_collection(_SAVER)
    if settings:
        chosen = settings[0]
        return Saver(chosen["variables"], max_to_keep=chosen["max_to_keep"],
                     keep_checkpoint_every_n_hours=chosen["hours"]), found  # fmt: skip
    listed = [v for v in graph.get_collection(GLOBAL) if v.operation.name.startswith(found.scope)]
    if not listed:
        logging.info("Saver not created because there are no variables in the graph to restore")
        return None, found
    return Saver({v.operation.name.removeprefix(found.scope): v for v in listed}), found


def _check(path: str) -> None:
    """Say plainly what a file is that holds no graph of corenn's."""
    if not os.path.isfile(path):
        raise OSError(f"File {path} does not exist.")
    with open(path, "rb") as file:
        begin = file.read(1)
    if begin != b"{":
        raise CheckpointError(
            path, "is TensorFlow's own .meta file, whose graph corenn does not read",
            hint="build the graph in Python and restore its variables: Saver().restore() reads the "
                 "checkpoint beside it",
        )  # fmt: skip
    with open(path, encoding="utf-8") as file:
        text = file.read(200)
    if '"unwritable"' in text:
        with open(path, encoding="utf-8") as file:
            raise GraphError("import_meta_graph", f"{path} holds no graph: {json.load(file)['unwritable']}")


__all__ = ["MetaGraphDef", "export_meta_graph", "import_meta_graph", "import_whole", "write_meta"]
