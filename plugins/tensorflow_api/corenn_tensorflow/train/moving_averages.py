"""Exponential moving averages of variables and tensors (tensorflow/python/training/moving_averages.py of 1.15)."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np

import corenn
from corenn.graph import state
from corenn.graph.scopes import get_variable_scope
from corenn.graph.state import GraphVariable
from corenn.graph.tensors import GraphTensor
from corenn.tensor import Tensor
from corenn.variable import Variable
from corenn_tensorflow import mode
from corenn_tensorflow.train import rules
from corenn_tensorflow.train.optimizer import eager_variable, graph_variable_class, make_slot, op_name

COLLECTION = "moving_average_variables"


def assign_moving_average(
    variable: Any, value: Any, decay: Any, zero_debias: bool = True, name: str | None = None
) -> Any:
    """``variable -= (1 - decay) * (variable - value)``, as an operation that gives the new value.

    With ``zero_debias`` the average is kept in ``<variable>/biased`` from zero, and ``variable`` is that average
    divided by ``1 - decay ** steps``: it does not depend on the variable's initial value.
    """
    if not isinstance(variable, GraphTensor):
        return _assign_now(variable, value, decay, zero_debias)
    graph = variable._here()  # a branch of a cond, or the graph
    with graph.as_default(), graph.name_scope(name or "AssignMovingAvg") as scope:
        rest = 1.0 - graph.convert(decay, variable.dtype, name="decay")
        given = graph.convert(value)
        if given.dtype is not variable.dtype:
            given = corenn.cast(given, dtype=variable.dtype)
        if zero_debias:
            delta = _debiased(graph, variable, given, rest)
        else:
            delta = (graph.convert(variable) - given) * rest
        return variable.assign_sub(delta, name=scope)


def _debiased(graph: Any, variable: Any, value: Any, rest: Any) -> Any:
    """What to subtract from the variable; the hidden variables, of its graph, are updated on the way."""
    home_graph = variable.graph
    scope = get_variable_scope().name
    home = f"{scope}/{op_name(variable)}" if scope else op_name(variable)
    taken = {v.operation.name for v in home_graph.get_collection(state.GLOBAL)}
    number = next(i for i in itertools.count() if f"{home}{_suffix(i)}/biased" not in taken)

    def hidden(name: str, like: Any) -> Any:
        full = f"{home}{_suffix(number)}/{name}"
        with home_graph.as_default(), home_graph.control_dependencies(None):
            return state.variable(home_graph, like, full_name=full, trainable=False, cls=type(variable))

    shape = tuple(n or 0 for n in (variable.extents or ()))
    biased = hidden("biased", np.zeros(shape, variable.dtype.numpy))
    steps = hidden("local_step", np.zeros((), variable.dtype.numpy))
    new = biased.assign_sub((graph.convert(biased) - value) * rest)
    count = steps.assign_add(1)
    return graph.convert(variable) - new / (1 - corenn.power(1 - rest, count))


def _suffix(number: int) -> str:
    return f"_{number}" if number else ""


_hidden: dict[int, tuple[Any, Any, Any]] = {}


def _assign_now(variable: Variable, value: Any, decay: Any, zero_debias: bool) -> Variable:
    with rules.unrecorded():
        rest = 1.0 - decay
        if not zero_debias:
            return variable.assign(variable.value() - (variable.value() - value) * rest)
        if id(variable) not in _hidden or _hidden[id(variable)][0] is not variable:
            zeros = [
                eager_variable(np.zeros(s, variable.dtype.numpy), f"{op_name(variable)}/{n}")
                for n, s in (("biased", variable.spec.shape), ("local_step", ()))
            ]
            _hidden[id(variable)] = (variable, *zeros)
        _, biased, steps = _hidden[id(variable)]
        biased.assign(biased.value() - (biased.value() - value) * rest)
        steps.assign_add(1)
        return variable.assign(biased.value() / (1 - corenn.power(1 - rest, steps.value())))


class ExponentialMovingAverage:
    """Shadows of variables that follow them slowly: ``shadow = decay * shadow + (1 - decay) * variable``.

    ``num_updates`` (a step) makes the decay ``min(decay, (1 + n) / (10 + n))``.  Shadows begin at the initial values
    of variables, and at zero for tensors; ``zero_debias`` corrects the latter.
    """

    def __init__(
        self, decay: Any, num_updates: Any = None, zero_debias: bool = False, name: str = "ExponentialMovingAverage"
    ) -> None:
        self._decay, self._num_updates, self._zero_debias, self._name = decay, num_updates, zero_debias, name
        self._averages: dict[int, tuple[Any, Any]] = {}

    @property
    def name(self) -> str:
        """The name that shadows end with."""
        return self._name

    def apply(self, var_list: Iterable[Any] | None = None) -> Any:
        """An operation that moves the shadows towards the present values; it makes them at the first call.

        Eagerly the shadows are moved at once.
        """
        if var_list is None:
            var_list = mode.default_graph().get_collection(state.TRAINABLE) if not mode.executing_eagerly() else ()
        chosen = list(var_list)
        eager = bool(chosen) and not isinstance(chosen[0], GraphTensor)
        debiased = set()
        for var in chosen:
            if var.dtype.name.removesuffix("_ref") not in ("float16", "bfloat16", "float32", "float64"):
                raise TypeError(f"The variables must be half, float, or double: {var.name}")
            if id(var) in self._averages:
                if eager:
                    continue
                raise ValueError(f"Moving average already computed for: {var.name}")
            if self._zero_debias and not isinstance(var, (GraphVariable, Variable)):
                debiased.add(id(var))
            self._averages[id(var)] = (var, self._shadow(var))
        if eager:
            for var in chosen:
                assign_moving_average(self.average(var), var.value(), self._decay_now(None), False)
            return None
        graph = mode.default_graph()
        if chosen and not graph.inside(chosen[0].graph):  # else here, in the branch of a cond perhaps
            graph = chosen[0].graph
        with graph.as_default(), graph.name_scope(self._name) as scope:
            decay = self._decay_now(graph)
            moved = [
                assign_moving_average(self.average(var), var, decay, zero_debias=id(var) in debiased) for var in chosen
            ]
            return state.group(graph, *moved, name=scope)

    def _shadow(self, var: Any) -> Any:
        if isinstance(var, GraphVariable):
            with var.graph.as_default(), var.graph.control_dependencies(None):
                made = make_slot(var, var.initialized_value(), self._name)
            var.graph.add_to_collection(COLLECTION, var)
            return made
        if isinstance(var, Variable):
            return make_slot(var, var.value(), self._name)
        if var.extents is None or None in var.extents:
            raise ValueError(f"Shape of a new variable ({op_name(var)}/{self._name}) must be fully defined")
        made = make_slot(var, np.zeros(var.extents, var.dtype.numpy), self._name, graph_variable_class())
        if self._zero_debias:
            var.graph.add_to_collection(COLLECTION, made)
        return made

    def _decay_now(self, graph: Any) -> Any:
        decay, count = self._decay, self._num_updates
        if graph is None:
            if count is None:
                return decay
            number = float(np.asarray(count))
            return min(float(decay), (1.0 + number) / (10.0 + number))
        decay = graph.convert(decay, name="decay")
        if count is None:
            return decay
        number = corenn.cast(graph.convert(count, name="num_updates"), dtype=decay.dtype)
        return corenn.minimum(decay, (1.0 + number) / (10.0 + number))

    def average(self, var: Any) -> Any:
        """The shadow of ``var``, or ``None``."""
        found = self._averages.get(id(var))
        return None if found is None else found[1]

    def average_name(self, var: Any) -> str:
        """The name of the shadow of ``var``, also where it has not been made: what a checkpoint has."""
        found = self._averages.get(id(var))
        if found is not None:
            return op_name(found[1])
        if isinstance(var, GraphTensor):
            return var.graph.unique_name(f"{op_name(var)}/{self._name}", mark=False)
        return f"{op_name(var)}/{self._name}"

    def variables_to_restore(self, moving_avg_variables: Iterable[Any] | None = None) -> dict[str, Any]:
        """A map for ``Saver`` that restores variables from their shadows; variables without shadows as themselves."""
        graph = mode.default_graph()
        if moving_avg_variables is None:
            moving_avg_variables = [*graph.get_collection(state.TRAINABLE), *graph.get_collection(COLLECTION)]
        averaged = {id(v): v for v in moving_avg_variables}
        found = {self.average_name(v): v for v in averaged.values()}
        names = {v.name for v in averaged.values()}
        for var in graph.get_collection(state.GLOBAL):
            if var.name not in names and op_name(var) not in found:
                found[op_name(var)] = var
        return found


def weighted_moving_average(
    value: Any, decay: Any, weight: Any, truediv: bool = True, collections: Any = None, name: str | None = None
) -> Tensor:
    """The ratio of the moving averages of ``value * weight`` and of ``weight``."""
    with mode.scope(name, "WeightedMovingAvg", value, weight, decay) as graph:
        if graph is None:
            raise RuntimeError("weighted_moving_average keeps variables in a graph; eagerly, use two variables")
        given, factor = graph.convert(value), graph.convert(weight)
        scope = graph.scope

        def average(x: Any, of: str) -> Any:
            made = state.variable(
                graph, np.zeros(x.extents, x.dtype.numpy), full_name=f"{scope}{of}", trainable=False,
                collections=collections, cls=graph_variable_class(),
            )  # fmt: skip
            return assign_moving_average(made, x, decay, zero_debias=False)

        return average(given * factor, "value_x_weight") / average(factor, "weight")


__all__ = ["ExponentialMovingAverage", "assign_moving_average", "weighted_moving_average"]
