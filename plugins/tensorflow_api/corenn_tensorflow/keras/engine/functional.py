"""Running what lies between the inputs and outputs of a functional model: calls of layers, and plain operations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from corenn import dtypes, tree
from corenn.device import current_device
from corenn.graph.graph import building
from corenn.graph.kinds import DefaultPlaceholderKind, PlaceholderKind
from corenn.graph.operations import Known, Operation
from corenn.graph.replay import placed
from corenn.graph.tensors import GraphTensor
from corenn.layers.phase import _phase
from corenn.ops import random
from corenn.ops.creation import asarray, tensor
from corenn.tensor import Tensor
from corenn_tensorflow.keras.engine.symbolic import InputLayer, Node, node_of
from corenn_tensorflow.keras.engine.weights import storage_of


class Plan:
    """The calls and operations that lead from ``inputs`` to ``outputs`` (lists of graph tensors), in order."""

    def __init__(self, name: str, inputs: Sequence[GraphTensor], outputs: Sequence[GraphTensor]) -> None:
        self.inputs, self.outputs = list(inputs), list(outputs)
        self.steps: list[Node | Operation] = []
        self._find(name)

    def _find(self, name: str) -> None:
        known = {id(t) for t in self.inputs}
        done: set[int] = set()
        stack: list[tuple[GraphTensor, bool]] = [(t, False) for t in reversed(self.outputs)]
        while stack:
            symbol, expanded = stack.pop()
            if id(symbol) in known:
                continue
            node = node_of(symbol)
            step: Node | Operation = symbol.operation if node is None else node
            if id(step) in done:
                continue
            if node is not None and isinstance(node.layer, InputLayer):
                raise ValueError(
                    f'Graph disconnected: cannot obtain value for tensor {symbol} at layer "{node.layer.name}": it is '
                    f"not among the inputs of {name}"
                )
            if expanded:
                done.add(id(step))
                self.steps.append(step)
                continue
            stack.append((symbol, True))
            parents = node.parents() if node is not None else _operands(symbol.operation)
            stack.extend((p, False) for p in reversed(parents))

    @property
    def layers(self) -> list[Any]:
        """The layers, inputs first where they come first, by their distance from the outputs as Keras orders them."""
        nodes = [n for n in map(node_of, self.inputs) if n is not None]
        nodes += [s for s in self.steps if isinstance(s, Node)]
        position = {id(n): i for i, n in enumerate(nodes)}
        depth: dict[int, int] = {}
        for step in reversed(self.steps):
            mine = depth.setdefault(id(step), 0)
            parents = step.parents() if isinstance(step, Node) else _operands(step)
            for parent in parents:
                above: Any = node_of(parent) or parent.operation
                depth[id(above)] = max(depth.get(id(above), 0), mine + (1 if isinstance(step, Node) else 0))
        by_layer: dict[int, tuple[int, int, Any]] = {}
        for node in nodes:
            key = id(node.layer)
            entry = (depth.get(id(node), 0), -position[id(node)], node.layer)
            if key not in by_layer or entry[0] > by_layer[key][0]:
                by_layer[key] = entry
        ordered = sorted(by_layer.values(), key=lambda e: (-e[0], -e[1]))
        return [layer for _, _, layer in ordered]

    def run(self, given: Sequence[Any], wanted: Sequence[GraphTensor] | None = None) -> list[Any]:
        """The values of the outputs (or of ``wanted``, which lie on the way) for values of the inputs."""
        values: dict[int, Any] = {id(s): v for s, v in zip(self.inputs, given, strict=True)}
        run = _Run()
        for step in self.steps:
            if isinstance(step, Node):
                self._call(step, values)
            else:
                _operate(step, values, run)
        return [values[id(t)] for t in (self.outputs if wanted is None else wanted)]

    def _call(self, node: Node, values: dict[int, Any]) -> None:
        def value(leaf: Any) -> Any:
            return values[id(leaf)] if isinstance(leaf, GraphTensor) else leaf

        args = tree.tree_map(value, list(node.args))
        options = tree.tree_map(value, node.options)
        found = node.layer(*args, **options)
        for symbol, leaf in zip(tree.leaves(node.outputs), tree.leaves(found), strict=False):
            values[id(symbol)] = leaf


def _operands(operation: Operation) -> list[GraphTensor]:
    if isinstance(operation.kind, DefaultPlaceholderKind):
        return []
    return list(operation.kind.operands(operation))


def _operate(operation: Operation, values: dict[int, Any], run: _Run) -> None:
    kind = operation.kind
    if isinstance(kind, DefaultPlaceholderKind):
        found: Sequence[Any] = (run.phase(),) if operation.name == "keras_learning_phase" else _default(operation, run)
    elif isinstance(kind, PlaceholderKind):
        raise ValueError(f"the placeholder {operation.name!r} is not among the model's inputs")
    else:
        found = kind.run(operation, [values[id(i)] for i in kind.operands(operation)], run)  # type: ignore[arg-type]
    for symbol, value in zip(operation.outputs, found, strict=True):
        values[id(symbol)] = value


def _default(operation: Operation, run: _Run) -> Sequence[Any]:
    values: dict[int, Any] = {}
    source = operation.inputs[0]
    for step in Plan("a default", [], [source]).steps:
        _operate(step, values, run)  # type: ignore[arg-type]  # operations only
    return (values[id(source)],)


class _Run:
    """What plain operations see when a model runs them (see ``corenn.graph.operations.Run``)."""

    def phase(self) -> Any:
        """The learning phase."""
        return asarray(np.array(bool(_phase.get())))

    def read(self, cell: Any) -> Any:
        """The variable: so a tape sees it."""
        held = storage_of(cell)
        if isinstance(held, GraphTensor):
            from corenn_tensorflow.keras.session import get_session

            found = get_session()._read(held)
            if found is None:
                from corenn.graph.state import UninitializedError

                raise UninitializedError(held)
            return found
        return held.value()

    def write(self, cell: Any, value: Tensor) -> None:
        """Assign."""
        held = storage_of(cell)
        if isinstance(held, GraphTensor):
            from corenn_tensorflow.keras.session import get_session

            get_session()._set(held, value.data, value.spec)
        else:
            held.assign(value)

    def initialized(self, cell: Any) -> bool:
        """Yes for weights."""
        held = storage_of(cell)
        if not isinstance(held, GraphTensor):
            return True
        from corenn_tensorflow.keras.session import get_session

        return get_session()._read(held) is not None

    def start(self, operation: Operation) -> None:
        """Nothing is kept: tapes differentiate what was run, and nothing is run again."""

    def again(self, operation: Operation) -> AbstractContextManager[None]:
        """As if for the first time."""
        return nullcontext()

    def assume(self, tensors: Iterable[GraphTensor], values: Iterable[Tensor]) -> None:
        """Nothing: variables are read as they are."""

    def key(self, operation: Operation) -> Any:
        """The next key of the default generator."""
        return random.default_generator().next_key()

    def value_of(self, value: Tensor) -> np.ndarray[Any, Any]:
        """The value on the host; of what is known while a function is traced, its constant."""
        if isinstance(value, GraphTensor):
            from corenn.graph.deferred import static_value

            found = static_value(value)
            return np.asarray(found)
        return np.asarray(value._host())

    def constant(self, array: np.ndarray[Any, Any]) -> Any:
        """The array as a tensor."""
        graph = building()
        if graph is not None:
            return graph.constant(array)
        return placed(array, current_device())

    def call_host(
        self, operation: Operation, function: Any, inputs: Sequence[Tensor], results: Sequence[Known]
    ) -> list[Any]:
        """Call Python on the values."""
        given = [t.data if t.dtype is dtypes.string else np.asarray(t._host()) for t in inputs]
        return [placed(np.asarray(a), current_device()) for a in function(*given)]

    def branch(self, predicate: Tensor, branches: Any) -> list[Any]:
        """Run the chosen one."""
        return branches[0 if bool(self.value_of(predicate)) else 1](self)  # type: ignore[no-any-return]

    def loop(self, state: Any, condition: Any, body: Any, most: int | None) -> list[Any]:
        """Loop."""
        current, count = list(state), 0
        while (most is None or count < most) and bool(self.value_of(condition(current, self))):
            current = body(current, self)
            count += 1
        return current


def values_for(symbols: Sequence[GraphTensor], given: Any, names: Sequence[str]) -> list[Any]:
    """Values for input tensors, from a value, a list, or a dict by name."""
    if isinstance(given, dict):
        missing = [n for n in names if n not in given]
        if missing:
            raise ValueError(f'No data provided for "{missing[0]}". Need data for each key in: {list(names)}')
        listed = [given[n] for n in names]
    elif isinstance(given, (list, tuple)):
        listed = list(given)
        if len(symbols) == 1 and len(listed) != 1:
            listed = [given]
    else:
        listed = [given]
    if len(listed) != len(symbols):
        raise ValueError(f"the model expects {len(symbols)} inputs, but was passed {len(listed)}")
    return [v if isinstance(v, Tensor) else tensor(v) for v in listed]


__all__ = ["Plan", "values_for"]
