"""Weights of layers: eager variables, which graphs of generation 1 see as variables of their own.

A model's weights are one thing, whether ``fit`` trains it or a session runs a graph it is part of.  So the value lies
in an eager variable, and a graph gets a *twin*: a graph variable, listed in its collections, whose storage is the eager
one in every session.  ``fit`` and ``Session.run`` see each other's updates at once.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from typing import Any

import numpy as np

from corenn import philox
from corenn.graph.graph import Graph
from corenn.graph.kinds import HostCallKind
from corenn.graph.state import GraphVariable, variable
from corenn.ops import random
from corenn.tensor import Tensor
from corenn.variable import Variable
from corenn_tensorflow import mode
from corenn_tensorflow.keras import world
from corenn_tensorflow.variables import EagerVariable, RefVariable
from corenn_tensorflow.writing import writable


class Weight(EagerVariable):
    """A weight of a layer; ``name`` ends in ``:0``."""

    def __init__(
        self, value: Any, *, name: str, trainable: bool = True, dtype: Any = None, constraint: Any = None,
        initial: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(value, name=name, trainable=trainable, dtype=dtype, constraint=constraint)
        self.initial = initial

    @property
    def name(self) -> str:  # type: ignore[override]  # a slot in the base
        """``layer/kernel:0``."""
        return f"{self._plain_name}:0"

    @name.setter
    def name(self, value: str) -> None:
        self._plain_name = value.removesuffix(":0")

    def __corenn_graph_tensor__(self, graph: Graph) -> Any:
        """The value in a graph: the twin's in generation 1, else the eager variable read when the graph runs."""
        if world.runs_inline(graph) or isinstance(world.home_of(graph), world.KerasGraph):
            return graph.capture_variable(self)
        return twin(self, graph).__corenn_graph_tensor__(graph)


class Twin(RefVariable):
    """A graph's variable whose value lies in a weight."""

    __slots__ = ("_storage",)

    @property
    def storage(self) -> Variable | None:
        """The weight; ``None`` for what optimizers keep beside one, which they make of the same class."""
        return getattr(self, "_storage", None)


def twin(weight: Variable, graph: Graph) -> Any:
    """The variable of ``graph`` (the outermost one around it) that stands for ``weight``."""
    home = world.home_of(graph)
    known = home.variable_scopes.setdefault("keras_weights", {})
    found = known.get(id(weight))
    if found is None:
        initial = getattr(weight, "initial", None)
        shape, dtype = tuple(int(n) for n in weight.spec.shape), weight.dtype
        plain = weight.name.removesuffix(":0")
        start: Any = np.asarray(weight._host())
        if initial is not None:
            from corenn_tensorflow.keras.engine.graph_files import initializer_form

            first = functools.partial(
                _start, seed=home.seed, name=plain, initial=initializer_form(initial), shape=shape, dtype=dtype
            )
            kind = HostCallKind(first, type_name="InitialValue")
            start = lambda: home.add(kind, [], [(shape, dtype)], controls=[]).outputs[0]
        made = variable(
            home, start, full_name=home._names.unique(weight.name.removesuffix(":0"), False),
            trainable=weight.trainable, dtype=dtype, cls=Twin, constraint=weight.constraint,
        )  # fmt: skip
        made._storage = weight
        known[id(weight)] = (weight, made)
        return made
    return found[1]


@writable("keras.initial_value")
def _start(*, seed: int | None, name: str, initial: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    from corenn_tensorflow.keras import initializers

    with world.eagerly(), _drawing(seed, name):
        return np.asarray(initializers.get(initial)(shape, dtype=dtype)._host())


@contextlib.contextmanager
def seeded(graph: Graph | None, name: str) -> Iterator[None]:
    """Draws in the block follow the graph's seed, if it has one, and the name."""
    with _drawing(None if graph is None else graph.seed, name):
        yield


@contextlib.contextmanager
def _drawing(seed: int | None, name: str) -> Iterator[None]:
    if seed is None:
        yield
        return
    before = random._default
    random._default = random.Generator(philox.derive(int(seed), "keras", name))
    try:
        yield
    finally:
        random._default = before


def present(weight: Any) -> Any:
    """What users see of a weight here: its twin where a graph of generation 1 is built, else itself."""
    if isinstance(weight, Weight) and world.graph_mode():
        return twin(weight, mode.default_graph())
    return weight


def storage_of(value: Any) -> Any:
    """The eager variable behind a weight or its twin; anything else as it is."""
    held = value.storage if isinstance(value, GraphVariable) else None
    return value if held is None else held


def as_tensor(variable_: Variable) -> Tensor:
    """The present value, cut off from tapes."""
    return Tensor(variable_.data, variable_.spec)


__all__ = ["Weight", "as_tensor", "present", "seeded", "storage_of", "twin"]
