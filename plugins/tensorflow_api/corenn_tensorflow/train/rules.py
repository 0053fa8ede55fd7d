"""Optimizer updates as operations of a graph: one operation reads and writes a variable and its slots.

A rule is a function ``(variable, gradient, *slots, *numbers, **attributes)`` that gives the new variable and the new
slots; most are ops of the core's table, in the forms that TensorFlow 1 computes.  Formulas of the others:
tensorflow/core/kernels/training_ops.cc.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from corenn.graph.deferred import defer
from corenn.graph.graph import Graph, building
from corenn.graph.operations import Kind, Operation, Run, resolved
from corenn.graph.state import GraphVariable
from corenn.graph.tensors import GraphTensor
from corenn.ops import adaptive_updates, updates
from corenn.ops.dispatch import _interpreter
from corenn.ops.elementwise import abs as absolute
from corenn.ops.elementwise import cast, maximum, sign, square
from corenn.ops.elementwise import power as power_op
from corenn.ops.transcendental import sqrt
from corenn.tensor import Tensor
from corenn.variable import Variable

Rule = Callable[..., Any]

#: A number of steps after which the corrections of Adam's moments are 1: the rate given has them already.
_SETTLED = 1e30


def _adam(w: Tensor, g: Tensor, m: Tensor, v: Tensor, alpha: Tensor, **attrs: Any) -> Any:
    return updates.adam_update(w, g, m, v, alpha, _SETTLED, **attrs)


def _shrunk(w: Tensor, rate: Any, l1: float, l2: float) -> Tensor:
    """The proximal step of both penalties: ``sign(w) * max(|w| - rate * l1, 0) / (1 + rate * l2)``."""
    if l1:
        w = sign(w) * maximum(absolute(w) - rate * l1, 0)
    return w / (rate * l2 + 1) if l2 else w


def _proximal_descent(w: Tensor, g: Tensor, rate: Tensor, *, l1: float, l2: float) -> Any:
    rate = cast(rate, dtype=w.dtype)
    return _shrunk(w - rate * g, rate, l1, l2)


def _proximal_adagrad(w: Tensor, g: Tensor, a: Tensor, rate: Tensor, *, l1: float, l2: float) -> Any:
    a = a + square(g)
    rate = cast(rate, dtype=w.dtype) / sqrt(a)
    return _shrunk(w - rate * g, rate, l1, l2), a


def _adagrad_da(
    w: Tensor, g: Tensor, total: Tensor, squares: Tensor, rate: Tensor, step: Tensor, *, l1: float, l2: float
) -> Any:
    """Dual averaging: the variable is computed from the sums of gradients and of their squares alone."""
    rate, step = cast(rate, dtype=w.dtype), cast(step, dtype=w.dtype)
    total, squares = total + g, squares + square(g)
    pulled = sign(total) * maximum(absolute(total) - step * l1, 0) if l1 else total
    return -rate * pulled / (sqrt(squares) + step * rate * l2), total, squares


def _sign_power(w: Tensor, g: Tensor, m: Tensor, rate: Tensor, decay: Tensor, *, base: float, beta: float) -> Any:
    """PowerSign: ``base ** (decay * sign(g) * sign(m))`` multiplies the gradient."""
    rate, decay = cast(rate, dtype=w.dtype), cast(decay, dtype=w.dtype)
    m = m * beta + g * (1 - beta)
    return w - rate * power_op(base, decay * sign(g) * sign(m)) * g, m


def _add_sign(w: Tensor, g: Tensor, m: Tensor, rate: Tensor, decay: Tensor, *, alpha: float, beta: float) -> Any:
    rate, decay = cast(rate, dtype=w.dtype), cast(decay, dtype=w.dtype)
    m = m * beta + g * (1 - beta)
    return w - rate * (decay * sign(g) * sign(m) + alpha) * g, m


RULES: dict[str, Rule] = {
    "sgd": updates.sgd_update,
    "momentum": updates.momentum_update,
    "adam": _adam,
    "adamax": updates.adamax_update,
    "adagrad": adaptive_updates.adagrad_update,
    "adadelta": adaptive_updates.adadelta_update,
    "rmsprop": adaptive_updates.rmsprop_momentum_update,
    "rmsprop_centered": adaptive_updates.rmsprop_centered_update,
    "ftrl": adaptive_updates.ftrl_update,
    "lion": updates.lion_update,
    "proximal_descent": _proximal_descent,
    "proximal_adagrad": _proximal_adagrad,
    "adagrad_da": _adagrad_da,
    "power_sign": _sign_power,
    "add_sign": _add_sign,
}


class UpdateKind(Kind):
    """One update of one variable.

    Inputs: the variable and its slots (storage), the gradient, numbers, and the values of ``Deferred`` attributes.
    The result is the variable's new value.
    """

    effects = True

    def __init__(self, rule: str, type_name: str, cells: Sequence[Any]) -> None:
        self.rule, self.type, self.cells = rule, type_name, tuple(cells)

    def operands(self, operation: Operation) -> tuple[GraphTensor, ...]:
        """Gradient, numbers, attributes; the storage is read when it runs."""
        return operation.inputs[len(self.cells) :]

    def run(self, operation: Operation, inputs: list[Tensor], run: Run) -> Sequence[Tensor]:
        """Read, apply the rule, write."""
        attrs = {k: resolved(v, inputs, run) for k, v in operation.attrs.items() if not k.startswith("_")}
        numbers = inputs[: operation.attrs["_numbers"]]
        values = [run.read(c) for c in self.cells]
        results = computed(self.rule, values, numbers[0], numbers[1:], attrs)
        for cell, result in zip(self.cells, results, strict=True):
            run.write(cell, result)
        return (results[0],)

    def config(self, operation: Operation) -> dict[str, Any]:
        """The rule and its attributes; what it updates are the first inputs."""
        return {"rule": self.rule, "type": self.type, "cells": len(self.cells), **operation.attrs}


def computed(
    rule: str, values: Sequence[Tensor], gradient: Tensor, numbers: Sequence[Any], attrs: dict[str, Any]
) -> tuple[Tensor, ...]:
    """The new values of a variable and its slots."""
    if gradient.dtype is not values[0].dtype:
        gradient = cast(gradient, dtype=values[0].dtype)
    found = RULES[rule](values[0], gradient, *values[1:], *numbers, **attrs)
    return tuple(found) if isinstance(found, (tuple, list)) else (found,)


def update(
    graph: Graph | None, rule: str, type_name: str, variable: Any, gradient: Any, slots: Sequence[Any],
    numbers: Sequence[Any], **attrs: Any,
) -> Any:  # fmt: skip
    """Apply ``rule`` to a variable: an operation of ``graph``, or at once where there is none."""
    if graph is None:
        with unrecorded():
            cells = [variable, *slots]
            values = [Variable.value(c) for c in cells]
            for cell, value in zip(cells, computed(rule, values, gradient, numbers, attrs), strict=True):
                cell.assign(value)
        return None
    cells = [variable, *slots]
    given, extra = defer({k: _plain(v) for k, v in attrs.items()})
    operands = [graph.convert(gradient), *[graph.convert(n) for n in numbers]]
    placed = {k: _moved(v, len(operands)) for k, v in given.items()}
    kind = UpdateKind(rule, type_name, cells)
    storage = [c for c in cells if isinstance(c, GraphVariable) and c.graph is graph]
    if len(storage) != len(cells):
        raise ValueError(f"Trying to update {variable!r}, which is not a variable of this graph")
    inputs = [*storage, *operands, *map(graph.convert, extra)]
    known = (variable.extents, variable.dtype)
    return graph.add(kind, inputs, [known], {**placed, "_numbers": len(operands)}, name=type_name)


@contextmanager
def unrecorded() -> Iterator[None]:
    """No tape records what ops do in the block; a graph under construction (``tf.function``) does."""
    if building() is not None:
        yield
        return
    token = _interpreter.set(None)
    try:
        yield
    finally:
        _interpreter.reset(token)


@contextmanager
def at_once() -> Iterator[None]:
    """Ops in the block run at once, whatever is recording: for making variables."""
    token = _interpreter.set(None)
    try:
        yield
    finally:
        _interpreter.reset(token)


def _plain(value: Any) -> Any:
    return value if isinstance(value, (bool, str, Tensor)) else float(value)


def _moved(value: Any, first: int) -> Any:
    from corenn.graph.operations import Deferred

    return Deferred(value.position + first, value.known) if isinstance(value, Deferred) else value


__all__ = ["RULES", "UpdateKind", "at_once", "computed", "unrecorded", "update"]
