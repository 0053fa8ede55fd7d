"""Functional models: a graph of layer calls from ``Input`` to outputs, run in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from corenn import tree
from corenn.configurable import deserialize, serialize
from corenn.errors import ShapeError, UsageError
from corenn.layers.base import Layer
from corenn.layers.core import Input
from corenn.layers.symbolic import OpCall, Origin, Symbolic
from corenn.tensor import Tensor
from corenn.training.model import Model


class Functional(Model):
    """``Model(inputs, outputs)``: what leads from symbolic inputs to symbolic outputs, as a model.

    ``inputs`` and ``outputs``: a symbolic tensor, or lists or dicts of them; calls take and return the same structures.
    Raises UsageError when an output depends on an input that is not listed.
    """

    def __init__(self, inputs: Any, outputs: Any, *, name: str | None = None, **base: Any) -> None:
        super().__init__(name=name, **base)
        for tensor in (*tree.leaves(inputs), *tree.leaves(outputs)):
            if not isinstance(tensor, Symbolic):
                raise UsageError(self.name, f"inputs and outputs must be symbolic, not {type(tensor).__name__}",
                                 hint="x = corenn.layers.Input(shape); y = layer(x)")  # fmt: skip
        self.inputs, self.outputs = inputs, outputs
        self._origins = _in_order(self.name, tree.leaves(inputs), tree.leaves(outputs))
        self._ordered: list[Layer] = []
        for origin in self._origins:
            if isinstance(origin.callee, Layer) and origin.callee not in self._ordered:
                self._ordered.append(origin.callee)
        self.built = True

    @property
    def layers(self) -> list[Layer]:
        """The layers in the order they run."""
        return list(self._ordered)

    def sublayers(self) -> list[Layer]:
        """The layers of the graph."""
        return list(self._ordered)

    def call(self, *inputs: Any, training: bool = False) -> Any:
        """Run the layers on data for the inputs (one argument of their structure, or one for each)."""
        given = inputs[0] if len(inputs) == 1 else list(inputs)
        symbols, values = tree.leaves(self.inputs), self._match(given)
        known: dict[int, Any] = {id(s): v for s, v in zip(symbols, values, strict=True)}
        for origin in self._origins:
            args = tuple(tree.tree_map(lambda a: known[id(a)] if isinstance(a, Symbolic) else a, a) for a in origin.args)
            options = dict(origin.options)
            if isinstance(origin.callee, Layer):
                options.setdefault("training", training)
            result = origin.callee(*args, **options)
            for symbol, value in zip(self._results[id(origin)], _picked(result, self._results[id(origin)]), strict=True):
                known[id(symbol)] = value
        return tree.tree_map(lambda s: known[id(s)], self.outputs)

    def _match(self, given: Any) -> list[Any]:
        if isinstance(self.inputs, Mapping) and isinstance(given, Mapping):
            missing = [k for k in self.inputs if k not in given]
            if missing:
                raise UsageError(self.name, f"the input {missing[0]!r} is missing")
            given = {k: given[k] for k in self.inputs}
        values, symbols = tree.leaves(given), tree.leaves(self.inputs)
        if len(values) != len(symbols):
            raise UsageError(self.name, f"takes {len(symbols)} inputs, got {len(values)}")
        for symbol, value in zip(symbols, values, strict=True):
            expected, got = symbol.spec.shape[1:], tuple(value.shape[1:]) if isinstance(value, Tensor) else None
            if got is not None and not isinstance(value, Symbolic) and expected != got:
                raise ShapeError(self.name, f"the input {symbol.name!r} has another shape",
                                 {"expected": f"[batch, {', '.join(map(str, expected))}]", "given": value.spec})  # fmt: skip
        return values

    @property
    def _results(self) -> dict[int, list[Symbolic]]:
        found: dict[int, list[Symbolic]] | None = self.__dict__.get("__results")
        if found is None:
            found = {id(o): [] for o in self._origins}
            seen: set[int] = set()
            wanted = [*tree.leaves(self.outputs), *(p for o in self._origins for p in o.parents())]
            for symbol in wanted:
                if symbol.origin is not None and id(symbol.origin) in found and id(symbol) not in seen:
                    seen.add(id(symbol))
                    found[id(symbol.origin)].append(symbol)
            self.__dict__["__results"] = found
        return found

    # ---- saving the architecture

    def get_config(self) -> dict[str, Any]:
        """The graph: inputs, calls in order (by layer name), outputs."""
        names: dict[int, str] = {id(s): f"input:{i}" for i, s in enumerate(tree.leaves(self.inputs))}
        calls = []
        for number, origin in enumerate(self._origins):
            if isinstance(origin.callee, OpCall):
                raise UsageError(self.name, f"the op {origin.name!r} was applied to symbolic tensors: it cannot be saved",
                                 hint="use a layer (layers.Add, layers.Activation, ...) instead")  # fmt: skip
            calls.append(
                {
                    "layer": origin.callee.name,
                    "args": tree.tree_map(lambda a: {"ref": names[id(a)]} if isinstance(a, Symbolic) else a, list(origin.args)),
                    "options": origin.options,
                }
            )
            for symbol in self._results[id(origin)]:
                names[id(symbol)] = f"{number}:{symbol.position}"
        return {
            **super().get_config(),
            "inputs": tree.tree_map(lambda s: {"shape": list(s.spec.shape[1:]), "dtype": s.dtype.name}, self.inputs),
            "layers": [serialize(layer) for layer in self._ordered],
            "calls": calls,
            "outputs": tree.tree_map(lambda s: {"ref": names[id(s)]}, self.outputs),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Functional:
        """A model from what ``get_config`` returned."""
        symbols: dict[str, Symbolic] = {}

        def make_inputs(node: Any) -> Any:
            if isinstance(node, dict) and set(node) == {"shape", "dtype"}:
                symbol = Input(tuple(node["shape"]), dtype=node["dtype"])
                symbols[f"input:{len(symbols)}"] = symbol
                return symbol
            if isinstance(node, dict):
                return {k: make_inputs(node[k]) for k in sorted(node)}
            return [make_inputs(n) for n in node]

        def resolve(node: Any) -> Any:
            if isinstance(node, dict) and set(node) == {"ref"}:
                return symbols[node["ref"]]
            if isinstance(node, dict):
                return {k: resolve(v) for k, v in node.items()}
            return [resolve(n) for n in node] if isinstance(node, (list, tuple)) else node

        inputs = make_inputs(config["inputs"])
        layers = {layer.name: layer for layer in (deserialize(c) for c in config["layers"])}
        for number, entry in enumerate(config["calls"]):
            result = layers[entry["layer"]](*(resolve(a) for a in entry["args"]), **entry["options"])
            for position, symbol in enumerate(tree.leaves(result)):
                symbols[f"{number}:{position}"] = symbol
        return cls(inputs, resolve(config["outputs"]), name=config.get("name"))


def _picked(result: Any, symbols: list[Symbolic]) -> list[Any]:
    values = tree.leaves(result)
    return [values[s.position] for s in symbols]


def _in_order(name: str, inputs: list[Symbolic], outputs: list[Symbolic]) -> list[Origin]:
    """The calls that lead to the outputs, each after what it needs (depth first, without recursion)."""
    given = {id(s) for s in inputs}
    ordered: list[Origin] = []
    done: set[int] = set()
    stack: list[tuple[Symbolic, bool]] = [(s, False) for s in reversed(outputs)]
    while stack:
        symbol, expanded = stack.pop()
        if id(symbol) in given:
            continue
        origin = symbol.origin
        if origin is None:
            raise UsageError(name, f"an output depends on the input {symbol.name!r}, which is not among the inputs",
                             hint="Model(inputs=[...all of them], outputs=...)")  # fmt: skip
        if id(origin) in done:
            continue
        if expanded:
            done.add(id(origin))
            ordered.append(origin)
        else:
            stack.append((symbol, True))
            stack.extend((parent, False) for parent in reversed(origin.parents()))
    return ordered
