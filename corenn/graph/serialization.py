"""Graphs in files: export one whole, and import it again into a new graph or beside other operations.

::

    export_graph(graph, "model.json")
    found = import_graph("model.json")
    with Session(found.graph) as session:
        Saver(found.global_variables).restore(session, "checkpoints/model-100")
        session.run(found.operation("train"), {found.tensor("learning_rate"): 1e-4, ...})

A file is JSON: the operations in the order they were made, each with its type, kind, inputs, control inputs,
attributes, what is known of its outputs, device and line of the user's program; branches and bodies as graphs inside
their operations; gradients, which name the operation they belong to; variables with their initializers and
constraints; collections; the seed; and the names that ``get_variable`` knows.  Values of variables are a ``Saver``'s.
It holds no code: kinds and Python functions are found by name in the registries of ``corenn.graph.kind_registry``.
"""

from __future__ import annotations

from corenn.graph.exporting import LARGE, GraphExportWarning, export_graph, tensors_path
from corenn.graph.importing import ImportedGraph, import_graph
from corenn.graph.kind_registry import register_function, register_kind

__all__ = [
    "LARGE", "GraphExportWarning", "ImportedGraph", "export_graph", "import_graph", "register_function",
    "register_kind", "tensors_path",
]  # fmt: skip
