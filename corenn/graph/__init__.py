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
from corenn.graph.control import case, cond, fold, map_fn, scan, while_loop
from corenn.graph.gradients import gradients
from corenn.graph.graph import Graph, get_default_graph, reset_default_graph
from corenn.graph.operations import Operation
from corenn.graph.replay import NotFiniteError
from corenn.graph.scopes import AUTO_REUSE, VariableScope, get_variable, get_variable_scope, variable_scope
from corenn.graph.session import InteractiveSession, Session, get_default_session
from corenn.graph.state import GraphVariable, UninitializedError
from corenn.graph.tensors import GraphTensor

__all__ = [
    "AUTO_REUSE", "Graph", "GraphTensor", "GraphVariable", "InteractiveSession", "NotFiniteError", "Operation",
    "Session", "UninitializedError", "VariableScope", "add_to_collection", "case", "cond", "constant",
    "control_dependencies", "fold", "get_collection", "get_default_graph", "get_default_session", "get_variable",
    "get_variable_scope", "global_variables", "global_variables_initializer", "gradients", "group", "identity",
    "local_variables", "local_variables_initializer", "map_fn", "name_scope", "no_op", "placeholder",
    "placeholder_with_default", "py_function", "reset_default_graph", "scan", "shape", "trainable_variables", "tuple_",
    "variable", "variable_scope", "variables_initializer", "while_loop",
]  # fmt: skip
