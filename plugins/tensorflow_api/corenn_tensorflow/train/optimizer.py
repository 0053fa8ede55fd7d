"""``tf.train.Optimizer``: gradients of a loss, slots, and the operation that updates the variables.

Names follow TensorFlow 1: the operation is called as the optimizer, updates are ``Adam/update_w/ApplyAdam``, slots
``w/Adam``, ``w/Adam_1``.  Source: tensorflow/python/training/{optimizer,slot_creator}.py of 1.15.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from corenn import tree
from corenn.autodiff.tape import GradientTape
from corenn.dtypes import DType
from corenn.graph import state
from corenn.graph.gradients import gradients
from corenn.graph.graph import Graph
from corenn.graph.operations import Operation
from corenn.graph.scopes import variable_scope
from corenn.graph.state import GraphVariable
from corenn.graph.tensors import GraphTensor
from corenn.ops.creation import ones_like, zeros_like
from corenn.tensor import Tensor
from corenn.variable import Variable
from corenn_tensorflow import mode
from corenn_tensorflow.train import rules


def op_name(variable: Any) -> str:
    """The name of a variable without ``:0``."""
    if isinstance(variable, GraphTensor):
        return variable.operation.name
    return str(variable.name).partition(":")[0]


class Optimizer:
    """Base of optimizers.

    A subclass makes its slots in ``_create_slots``, tensors in ``_prepare``, and one variable's update in
    ``_apply_dense(grad, var)``; what follows all updates stands in ``_finish``.
    """

    GATE_NONE = 0
    GATE_OP = 1
    GATE_GRAPH = 2

    def __init__(self, use_locking: bool = False, name: str | None = None) -> None:
        if not name:
            raise ValueError("Must specify the optimizer name")
        self._use_locking, self._name = use_locking, name
        self._slots: dict[str, dict[int, tuple[Any, Any]]] = {}
        self._non_slot: dict[tuple[str, int], tuple[Any, Graph | None]] = {}
        self._hyper: dict[str, Any] = {}

    def get_name(self) -> str:
        """The name it was given."""
        return self._name

    # ---- what people call

    def minimize(
        self, loss: Any, global_step: Any = None, var_list: Any = None, gate_gradients: int = GATE_OP,
        aggregation_method: Any = None, colocate_gradients_with_ops: bool = False, name: str | None = None,
        grad_loss: Any = None,
    ) -> Any:  # fmt: skip
        """An operation that lowers ``loss`` by one step on the variables, and adds 1 to ``global_step``.

        Eagerly, ``loss`` is a function, and the step is made at once.
        """
        pairs = self.compute_gradients(
            loss, var_list=var_list, gate_gradients=gate_gradients, aggregation_method=aggregation_method,
            colocate_gradients_with_ops=colocate_gradients_with_ops, grad_loss=grad_loss,
        )  # fmt: skip
        if all(gradient is None for gradient, _ in pairs):
            raise ValueError(
                "No gradients provided for any variable, check your graph for ops that do not support gradients, "
                f"between variables {[str(v) for _, v in pairs]} and loss {loss}."
            )
        return self.apply_gradients(pairs, global_step=global_step, name=name)

    def compute_gradients(
        self, loss: Any, var_list: Any = None, gate_gradients: int = GATE_OP, aggregation_method: Any = None,
        colocate_gradients_with_ops: bool = False, grad_loss: Any = None,
    ) -> list[tuple[Any, Any]]:  # fmt: skip
        """Pairs of a gradient (``None`` where the loss does not depend on it) and a variable."""
        if gate_gradients not in (Optimizer.GATE_NONE, Optimizer.GATE_OP, Optimizer.GATE_GRAPH):
            raise ValueError(
                "gate_gradients must be one of: Optimizer.GATE_NONE, Optimizer.GATE_OP, Optimizer.GATE_GRAPH.  Not "
                f"{gate_gradients}"
            )
        if callable(loss) and not isinstance(loss, Tensor):
            with GradientTape() as tape:
                if var_list is not None:
                    tape.watch(_listed(var_list))
                value = loss()
            if isinstance(value, GraphTensor):
                return self._in_graph(value, var_list, grad_loss)
            chosen = list(tape.watched_variables()) if var_list is None else _listed(var_list)
            found = tape.gradient(value, chosen, grad_loss)
            return list(zip(found, chosen, strict=True))
        if not isinstance(loss, GraphTensor):
            if mode.executing_eagerly():
                raise RuntimeError(
                    "`loss` passed to Optimizer.compute_gradients should be a function when eager execution is enabled."
                )
            graph = mode.default_graph()
            loss = graph.convert(loss)
        return self._in_graph(loss, var_list, grad_loss)

    def _in_graph(self, loss: GraphTensor, var_list: Any, grad_loss: Any) -> list[tuple[Any, Any]]:
        graph = loss.graph
        self._check_dtypes([loss])
        chosen = graph.get_collection(state.TRAINABLE) if var_list is None else _listed(var_list)
        if not chosen:
            raise ValueError("No variables to optimize.")
        for variable in chosen:
            if not isinstance(variable, GraphTensor):
                raise NotImplementedError("Trying to optimize unsupported type ", variable)
        found = gradients([loss], chosen, grad_ys=None if grad_loss is None else [grad_loss])
        self._check_dtypes([v for g, v in zip(found, chosen, strict=True) if g is not None])
        return list(zip(found, chosen, strict=True))

    def apply_gradients(self, grads_and_vars: Iterable[Any], global_step: Any = None, name: str | None = None) -> Any:
        """An operation that updates the variables by gradients and adds 1 to ``global_step``; eagerly, done at once."""
        pairs = [tuple(pair) for pair in grads_and_vars]
        if not pairs:
            raise ValueError("No variables provided.")
        chosen = [(g, v) for g, v in pairs if g is not None]
        if not chosen:
            raise ValueError(f"No gradients provided for any variable: {[str(v) for _, v in pairs]}.")
        variables = [v for _, v in chosen]
        graph = variables[0].graph if isinstance(variables[0], GraphTensor) else None
        if graph is None:
            return self._apply_now(chosen, global_step)
        for variable in variables:
            if not isinstance(variable, GraphVariable):
                raise NotImplementedError("Trying to update a Tensor ", variable)
        with graph.as_default():
            with graph.control_dependencies(None):
                self._create_slots(variables)
            with graph.name_scope(name or self._name) as scope:
                self._prepare()
                ops = []
                for gradient, variable in chosen:
                    with graph.name_scope("update_" + op_name(variable)):
                        ops.append(
                            _as_operation(
                                self._constrained(self._apply(_dense(gradient, variable), variable), variable)
                            )
                        )
                if global_step is None:
                    made = self._finish(ops, scope)
                else:
                    with graph.control_dependencies([self._finish(ops, "update")]):
                        made = global_step.assign_add(1, name=scope)
            made = _as_operation(made)
            listed = graph.get_collection_ref("train_op")
            if made not in listed:
                listed.append(made)
        return made

    def _apply_now(self, chosen: list[tuple[Any, Any]], global_step: Any) -> None:
        for _, variable in chosen:
            if not isinstance(variable, Variable):
                raise NotImplementedError("Trying to optimize unsupported type ", variable)
        self._create_slots([v for _, v in chosen])
        self._prepare()
        made = [
            self._constrained(self._apply(_dense(gradient, variable), variable), variable)
            for gradient, variable in chosen
        ]
        self._finish(made, self._name)
        if global_step is not None:
            global_step.assign_add(1)

    def get_slot(self, var: Any, name: str) -> Any:
        """The slot ``name`` of a variable, or ``None``."""
        found = self._slots.get(name, {}).get(id(var))
        return None if found is None else found[1]

    def get_slot_names(self) -> list[str]:
        """The names of slots made so far, sorted."""
        return sorted(self._slots)

    def variables(self) -> list[Any]:
        """The optimizer's own variables of the present graph, by name."""
        graph = None if mode.executing_eagerly() else mode.default_graph()
        own = [v for v, home in self._non_slot.values() if home is graph]
        slots = [s for named in self._slots.values() for _, s in named.values()]
        own += [s for s in slots if (s.graph if isinstance(s, GraphTensor) else None) is graph]
        return sorted(own, key=lambda v: v.name)

    # ---- what subclasses define

    def _create_slots(self, var_list: Sequence[Any]) -> None:
        """Make what is kept for each variable."""

    def _prepare(self) -> None:
        """Make the tensors that all updates share."""

    def _apply(self, grad: Any, var: Any) -> Any:
        own = type(self)
        if (
            own._apply_dense is Optimizer._apply_dense
            and own._resource_apply_dense is not Optimizer._resource_apply_dense
        ):
            return self._resource_apply_dense(grad, var)
        return self._apply_dense(grad, var)

    def _apply_dense(self, grad: Any, var: Any) -> Any:
        """The operation that updates one variable."""
        raise NotImplementedError(f"{type(self).__name__} does not define _apply_dense()")

    def _resource_apply_dense(self, grad: Any, handle: Any) -> Any:
        """As ``_apply_dense``: what optimizers for resource variables define."""
        raise NotImplementedError(f"{type(self).__name__} does not define _resource_apply_dense()")

    def _finish(self, update_ops: list[Any], name_scope: str) -> Any:
        """The operation for all updates together."""
        graph = _graph_of(update_ops)
        return None if graph is None else state.group(graph, *update_ops, name=name_scope)

    def _constrained(self, update: Any, variable: Any) -> Any:
        """The update, and after it the variable's constraint where it has one."""
        if getattr(variable, "constraint", None) is None:
            return update
        if not isinstance(variable, GraphTensor):
            return variable.assign(variable.constraint(variable.value()))
        with variable.graph.control_dependencies([update]):
            return variable.assign(variable.constraint(variable.read_value()))

    def _valid_dtypes(self) -> set[Any]:
        return {"float16", "bfloat16", "float32", "float64"}

    def _check_dtypes(self, tensors: Iterable[Any]) -> None:
        names = {getattr(d, "name", d) for d in self._valid_dtypes()}
        for tensor in tensors:
            dtype = tensor.dtype
            if dtype.name.removesuffix("_ref") not in names:
                raise ValueError(f"Invalid type {dtype!r} for {tensor.name}, expected: {sorted(names)}.")

    # ---- slots

    def _slot_dict(self, slot_name: str) -> dict[int, tuple[Any, Any]]:
        return self._slots.setdefault(slot_name, {})

    def _get_or_make_slot(self, var: Any, val: Any, slot_name: str, op_name: str) -> Any:
        """The slot of a variable; ``val`` is its initial value, ``op_name`` ends its name."""
        named = self._slot_dict(slot_name)
        if id(var) not in named:
            named[id(var)] = (var, make_slot(var, val, op_name))
        return named[id(var)][1]

    def _get_or_make_slot_with_initializer(
        self, var: Any, initializer: Any, shape: Any, dtype: Any, slot_name: str, op_name: str
    ) -> Any:
        wanted: DType = var.dtype if dtype is None else dtype
        return self._get_or_make_slot(var, initializer(shape, dtype=wanted), slot_name, op_name)

    def _zeros_slot(self, var: Any, slot_name: str, op_name: str) -> Any:
        """A slot of zeros."""
        return self._filled_slot(var, 0.0, slot_name, op_name)

    def _filled_slot(self, var: Any, value: float, slot_name: str, op_name: str) -> Any:
        """A slot filled with ``value``, of the variable's shape."""
        named = self._slot_dict(slot_name)
        if id(var) in named:
            return named[id(var)][1]
        return self._get_or_make_slot(var, lambda: _filled(var, value), slot_name, op_name)

    def _create_non_slot_variable(self, initial_value: Any, name: str, colocate_with: Any) -> Any:
        """A variable that all updates share, such as ``beta1_power``."""
        graph = colocate_with.graph if isinstance(colocate_with, GraphTensor) else None
        key = (name, id(graph))
        if key not in self._non_slot:
            if graph is None:
                made: Any = eager_variable(initial_value, name)
            else:
                made = state.variable(graph, initial_value, name=name, trainable=False, cls=type(colocate_with))
            self._non_slot[key] = (made, graph)
        return self._non_slot[key][0]

    def _get_non_slot_variable(self, name: str, graph: Graph | None = None) -> Any:
        """The variable made by ``_create_non_slot_variable``."""
        found = self._non_slot.get((name, id(graph)))
        return None if found is None else found[0]

    def _non_slot_variables(self) -> list[Any]:
        return [v for v, _ in self._non_slot.values()]

    def _call_if_callable(self, param: Any) -> Any:
        """A parameter, or what the function given in its place returns."""
        return param() if callable(param) and not isinstance(param, Tensor) else param

    def _graph_here(self, var: Any = None) -> Graph | None:
        if var is not None:
            return var.graph if isinstance(var, GraphTensor) else None
        return None if mode.executing_eagerly() else mode.default_graph()

    def _number(self, value: Any, name: str) -> Any:
        """A hyperparameter as a tensor of the graph at hand, or as it is where ops run at once."""
        value = self._call_if_callable(value)
        graph = self._graph_here()
        return value if graph is None else graph.convert(value, name=name)

    def _update(self, rule: str, type_name: str, grad: Any, var: Any, slots: Sequence[str], *numbers: Any,
                **attrs: Any) -> Any:  # fmt: skip
        """The update of one variable by a rule, with its slots by name."""
        kept = [self.get_slot(var, name) for name in slots]
        return rules.update(self._graph_here(var), rule, type_name, var, grad, kept, numbers, **attrs)


def graph_variable_class() -> type[GraphVariable]:
    """What variables of graphs are in this facade."""
    from corenn_tensorflow import variable_classes

    return variable_classes.RefVariable


def eager_variable(value: Any, name: str, dtype: Any = None) -> Any:
    """A variable of eager execution that is not trained."""
    from corenn_tensorflow.variable_classes import EagerVariable

    with rules.at_once():
        return EagerVariable(value, name=f"{name}:0", trainable=False, dtype=dtype, constraint=None)


def make_slot(primary: Any, value: Any, name: str, cls: type[GraphVariable] | None = None) -> Any:
    """A variable that is not trained, called as ``primary`` with ``name`` after it; ``value`` or a function of one.

    ``cls``: its class, by default that of ``primary``.
    """
    if not isinstance(primary, GraphTensor):
        with rules.at_once():
            given = value() if callable(value) and not isinstance(value, Tensor) else value
            return eager_variable(given, f"{op_name(primary)}/{name}", primary.dtype)
    graph = primary.graph
    with (
        graph.as_default(),
        variable_scope(None, f"{op_name(primary)}/{name}", auxiliary_name_scope=False) as scope,
        graph.control_dependencies(None),
    ):
        return state.variable(
            graph, value, full_name=scope.name, trainable=False, dtype=primary.dtype, cls=cls or type(primary),
            validate_shape=primary.extents is not None and None not in primary.extents,
        )  # fmt: skip


def _filled(var: Any, value: float) -> Any:
    like = var.initialized_value() if isinstance(var, GraphTensor) and _open(var) else var
    if (value in (0.0, 1.0) or isinstance(like, GraphTensor)) and (not isinstance(var, GraphTensor) or _open(var)):
        made = zeros_like(like) if value == 0.0 else ones_like(like)
        return made if value in (0.0, 1.0) else made * value
    import numpy as np

    shape = var.extents if isinstance(var, GraphTensor) else var.spec.shape
    return np.full(tuple(shape), value, var.dtype.numpy)


def _open(var: GraphTensor) -> bool:
    return var.extents is None or None in var.extents


def _dense(gradient: Any, variable: Any) -> Any:
    """A gradient given by rows (``IndexedSlices``) as a whole one."""
    if isinstance(gradient, Tensor) or not (hasattr(gradient, "indices") and hasattr(gradient, "values")):
        return gradient
    from corenn.ops.scatter import scatter_add

    return scatter_add(zeros_like(variable), gradient.indices, gradient.values)


def _as_operation(made: Any) -> Any:
    return made.operation if isinstance(made, GraphTensor) else made


def _graph_of(made: Iterable[Any]) -> Graph | None:
    return next((m.graph for m in tree.leaves(list(made)) if isinstance(m, (Operation, GraphTensor))), None)


def _listed(variables: Any) -> list[Any]:
    return [v for v in tree.leaves(list(variables) if isinstance(variables, (list, tuple)) else variables)]


__all__ = ["Optimizer", "make_slot", "op_name"]
