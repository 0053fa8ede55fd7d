"""Values of tensors and variables, updates, functions and phases."""

from __future__ import annotations

from typing import Any

import numpy as np

import corenn_tensorflow as tf
from corenn import tree
from corenn.graph.tensors import GraphTensor
from corenn.tensor import Tensor
from corenn.variable import Variable
from corenn_tensorflow.framework import convert_to_tensor
from corenn_tensorflow.keras import world
from corenn_tensorflow.keras.backend.arrays import ndim
from corenn_tensorflow.keras.backend.settings import get_session, learning_phase, set_learning_phase
from corenn_tensorflow.keras.engine.functional import Plan
from corenn_tensorflow.keras.engine.weights import present, storage_of


def eval(x: Any) -> Any:  # Keras's name
    """The value, an array."""
    return get_value(x)


def get_value(x: Any) -> Any:
    """The value of a variable, an array."""
    held = storage_of(x)
    if isinstance(held, GraphTensor):
        return get_session().run(held)
    if isinstance(held, Tensor):
        found = np.asarray(held._host())
        return found if found.ndim else found[()]
    return x.numpy() if hasattr(x, "numpy") else x


def set_value(x: Any, value: Any) -> None:
    """Set a variable, or a setting such as ``optimizer.lr``."""
    held = storage_of(x)
    if isinstance(held, GraphTensor):
        get_session().load(held, np.asarray(value))
    elif isinstance(held, Variable):
        with world.eagerly():
            held.assign(np.asarray(value, held.dtype.numpy))
    elif hasattr(x, "assign"):
        x.assign(value)
    else:
        raise TypeError(f"{x!r} is not a variable")


def batch_get_value(tensors: Any) -> list[Any]:
    """The values of several variables."""
    return [get_value(t) for t in tensors]


def batch_set_value(tuples: Any) -> None:
    """Set several variables."""
    for x, value in tuples:
        set_value(x, value)


def update(x: Any, new_x: Any) -> Any:
    """Assign."""
    return tf.assign(x, new_x) if isinstance(x, GraphTensor) else x.assign(new_x)


def update_add(x: Any, increment: Any) -> Any:
    """Add in place."""
    return x.assign_add(increment)


def update_sub(x: Any, decrement: Any) -> Any:
    """Subtract in place."""
    return x.assign_sub(decrement)


def moving_average_update(x: Any, value: Any, momentum: float) -> Any:
    """Move a variable towards a value."""
    return x.assign(x * momentum + value * (1.0 - momentum))


class _Function:
    """Symbolic inputs to values of symbolic outputs."""

    def __init__(self, inputs: Any, outputs: Any, updates: Any) -> None:
        self.inputs = [inputs] if isinstance(inputs, GraphTensor) else [i for i in inputs]
        self.outputs, self.updates = outputs, list(updates or ())
        wanted = tree.leaves(outputs)
        self._symbolic = isinstance(wanted[0], GraphTensor) and isinstance(
            world.home_of(wanted[0].graph), world.KerasGraph
        )
        if self._symbolic:
            self._plan = Plan("function", [i for i in self.inputs if isinstance(i, GraphTensor)], wanted)

    def __call__(self, *inputs: Any) -> Any:
        """Arrays for arrays."""
        given = inputs[0] if len(inputs) == 1 and isinstance(inputs[0], (list, tuple)) else list(inputs)
        if self._symbolic:
            return self._run(given)
        feeds = {i: v for i, v in zip(self.inputs, given, strict=True) if isinstance(i, GraphTensor)}
        listed = self.outputs if isinstance(self.outputs, (list, tuple)) else [self.outputs]
        wanted = [present(o) for o in listed]
        before = [u for u in self.updates if not isinstance(u, tuple)]
        before += [update(*u) for u in self.updates if isinstance(u, tuple)]
        self.updates = before
        found = get_session().run([*wanted, *before], feeds)[: len(wanted)]
        return list(found) if isinstance(self.outputs, (list, tuple)) else found[0]

    def _run(self, given: Any) -> Any:
        from corenn.layers.phase import _phase

        values, phase = [], None
        for symbol, value in zip(self.inputs, given, strict=True):
            if isinstance(symbol, GraphTensor):
                values.append(convert_to_tensor(np.asarray(value, symbol.dtype.numpy)))
            else:  # the learning phase
                phase = bool(np.asarray(value))
        token = _phase.set(phase)
        try:
            with world.eagerly():
                found = [np.asarray(v._host()) for v in self._plan.run(values)]
        finally:
            _phase.reset(token)
        return list(found) if isinstance(self.outputs, (list, tuple)) else found[0]


def function(inputs: Any, outputs: Any, updates: Any = None, name: str | None = None, **options: Any) -> _Function:
    """A function of arrays: the values of ``outputs`` for values of ``inputs``."""
    return _Function(inputs, outputs, updates)


def gradients(loss: Any, variables: Any) -> Any:
    """d(loss)/d(variables), in a graph of generation 1."""
    listed = variables if isinstance(variables, (list, tuple)) else [variables]
    return tf.gradients(loss, [present(v) for v in listed])


def stop_gradient(variables: Any) -> Any:
    """The same values without gradients."""
    if isinstance(variables, (list, tuple)):
        return [tf.stop_gradient(v) for v in variables]
    return tf.stop_gradient(variables)


def in_train_phase(x: Any, alt: Any, training: Any = None) -> Any:
    """``x`` in training, else ``alt``; both may be functions."""
    phase = learning_phase() if training is None else training
    if isinstance(phase, GraphTensor):
        return switch(phase, x, alt)
    chosen = x if bool(phase) else alt
    return chosen() if callable(chosen) and not isinstance(chosen, Tensor) else chosen


def in_test_phase(x: Any, alt: Any, training: Any = None) -> Any:
    """``x`` outside of training, else ``alt``."""
    return in_train_phase(alt, x, training)


def learning_phase_scope(value: int) -> Any:
    """A block in which the learning phase is ``value``."""
    import contextlib

    @contextlib.contextmanager
    def scope() -> Any:
        before = world._world.phase
        set_learning_phase(value)
        try:
            yield
        finally:
            world._world.phase = before

    return scope()


def switch(condition: Any, then_expression: Any, else_expression: Any) -> Any:
    """One of two values, elementwise where the condition has axes."""

    def value(given: Any) -> Any:
        return given() if callable(given) and not isinstance(given, Tensor) else given

    if ndim(condition):
        a, b = value(then_expression), value(else_expression)
        mask = condition
        while ndim(mask) < ndim(a):
            mask = tf.expand_dims(mask, -1)
        return tf.where(tf.logical_and(mask, tf.ones_like(a, dtype="bool")), a, b)
    return tf.cond(
        tf.cast(condition, "bool"),
        lambda: tf.identity(value(then_expression)),
        lambda: tf.identity(value(else_expression)),
    )
