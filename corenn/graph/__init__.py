"""Graphs and sessions: describe a computation once, differentiate it, run it in a session that holds its state."""

from corenn.graph.building import (
    add_to_collection,
    constant,
    control_dependencies,
    get_collection,
    global_variables,
    global_variables_initializer,
    identity,
    local_variables,
    local_variables_initializer,
    name_scope,
    no_op,
    placeholder,
    placeholder_with_default,
    py_function,
    shape,
    trainable_variables,
    tuple_,
    variable,
)
from corenn.graph.building import group as group
from corenn.graph.building import variables_initializer as variables_initializer
from corenn.graph.concrete import ConcreteFunction
from corenn.graph.control import case, cond, fold, map_fn, scan, while_loop
from corenn.graph.function import Function, TensorSpec, function
from corenn.graph.gradients import gradients, register_gradient
from corenn.graph.graph import Graph, get_default_graph, reset_default_graph
from corenn.graph.operations import Operation
from corenn.graph.replay import NotFiniteError
from corenn.graph.saver import Saver, latest_checkpoint, list_variables
from corenn.graph.scopes import AUTO_REUSE, VariableScope, get_variable, get_variable_scope, variable_scope
from corenn.graph.serialization import (
    GraphExportWarning,
    ImportedGraph,
    export_graph,
    import_graph,
    register_function,
    register_kind,
)
from corenn.graph.session import InteractiveSession, Session, get_default_session
from corenn.graph.state import GraphVariable, UninitializedError
from corenn.graph.tensors import GraphTensor

__all__ = [
    "AUTO_REUSE", "ConcreteFunction", "Function", "Graph", "GraphExportWarning", "GraphTensor", "GraphVariable",
    "ImportedGraph", "InteractiveSession", "NotFiniteError", "Operation", "Saver", "Session", "TensorSpec",
    "UninitializedError", "VariableScope", "add_to_collection", "case", "cond", "constant", "control_dependencies",
    "export_graph", "fold", "function", "get_collection", "get_default_graph", "get_default_session", "get_variable",
    "get_variable_scope", "global_variables", "global_variables_initializer", "gradients", "group", "identity",
    "import_graph", "latest_checkpoint", "list_variables", "local_variables", "local_variables_initializer",
    "map_fn", "name_scope", "no_op", "placeholder", "placeholder_with_default", "py_function", "register_function",
    "register_gradient", "register_kind", "reset_default_graph", "scan", "shape", "trainable_variables", "tuple_",
    "variable", "variable_scope", "variables_initializer", "while_loop",
]  # fmt: skip
