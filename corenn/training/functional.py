"""Functional models: a graph of layer calls from ``Input`` to outputs, run in order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

from corenn import tree
from corenn.configurable import deserialize, serialize
from corenn.errors import ShapeError, UsageError
from corenn.layers.base import Layer
from corenn.layers.core import Input
from corenn.layers.masking import mask_after, options_for
from corenn.layers.naming import local_names
from corenn.layers.phase import structure_changed
from corenn.layers.symbolic import OpCall, Origin, Symbolic
from corenn.ops.table import TABLE
from corenn.tensor import Tensor
from corenn.training.model import Model, register

Values = dict[int, Any]  # by identity of the symbolic tensor


class Figure(NamedTuple):
    """A symbolic tensor that a model adds to its loss (without a name), or reports as a metric."""

    symbol: Symbolic
    name: str | None = None
    aggregation: Literal["mean", "sum"] = "mean"


@register()
class Functional(Model):
    """``Model(inputs, outputs)``: what leads from symbolic inputs to symbolic outputs, as a model.

    ``inputs`` and ``outputs``: a symbolic tensor, or lists or dicts of them; calls take and return the same structures.
    Raises UsageError when an output depends on an input that is not listed.
    """

    def __init__(self, inputs: Any, outputs: Any, *, name: str | None = None, **base: Any) -> None:
        super().__init__(name=name, **base)
        symbols = tree.leaves(inputs)
        for tensor in (*symbols, *tree.leaves(outputs)):
            if not isinstance(tensor, Symbolic):
                raise UsageError(self.name, f"inputs and outputs must be symbolic, not {type(tensor).__name__}",
                                 hint="x = corenn.layers.Input(shape); y = layer(x)")  # fmt: skip
            if not tensor.spec.shape:
                raise ShapeError(self.name, "inputs and outputs need a batch axis", {"given": repr(tensor)},
                                 hint="add_loss and add_metric take numbers of the whole batch")  # fmt: skip
        if len({id(s) for s in symbols}) < len(symbols):
            raise UsageError(self.name, "an input is listed twice")
        self.inputs, self.outputs = inputs, outputs
        self._figures: tuple[Figure, ...] = ()
        self._connect()
        self.built = True

    def _connect(self) -> None:
        """Find the calls that lead to the outputs, and to what is added to the loss and reported."""
        symbols = tree.leaves(self.inputs)
        self._calls = _in_order(self.name, symbols, self._wanted())
        self._ordered = list({id(c.callee): c.callee for c in self._calls if isinstance(c.callee, Layer)}.values())
        taken = [layer.name for layer in self._ordered]
        twice = sorted({n for n in taken if taken.count(n) > 1})
        if twice:
            raise UsageError(self.name, f"there are two layers called {twice[0]!r}", hint="give one another name")
        self._steps = [Step(call, found) for call, found in zip(self._calls, self._results(), strict=True)]

    def _wanted(self) -> list[Symbolic]:
        return [*tree.leaves(self.outputs), *(figure.symbol for figure in self._figures)]

    def add_loss(self, value: Any) -> None:
        """Add to the loss; also a symbolic number of the batch, such as ``corenn.mean(x)``, computed with the model."""
        if not isinstance(value, Symbolic):
            super().add_loss(value)
        elif value.spec.shape:
            raise ShapeError(self.name, "add_loss takes one number for the batch", {"given": repr(value)},
                             hint="corenn.mean(value)")  # fmt: skip
        else:
            self._add(Figure(value))

    def add_metric(self, value: Any, name: str, aggregation: Literal["mean", "sum"] = "mean") -> None:
        """Report the mean or sum of ``value``; also of a symbolic tensor, computed with the model."""
        if isinstance(value, Symbolic):
            self._metric(name, aggregation)
            self._add(Figure(value, name, aggregation))
        else:
            super().add_metric(value, name, aggregation)

    def _add(self, figure: Figure) -> None:
        before, self._figures = self._figures, (*self._figures, figure)
        try:
            self._connect()
        except UsageError:
            self._figures = before
            self._connect()
            raise
        structure_changed()

    def _results(self) -> list[list[Symbolic]]:
        """The symbolic results of each call that something reads."""
        found: dict[int, dict[int, Symbolic]] = {id(call): {} for call in self._calls}
        for symbol in (*self._wanted(), *(p for call in self._calls for p in call.parents())):
            if symbol.origin is not None and id(symbol.origin) in found:
                found[id(symbol.origin)][id(symbol)] = symbol
        return [list(found[id(call)].values()) for call in self._calls]

    @property
    def layers(self) -> list[Layer]:
        """The layers in the order they run."""
        return list(self._ordered)

    def children(self) -> list[tuple[str, Layer]]:
        """The layers by name, automatic names counted anew."""
        return list(zip(local_names(self._ordered), self._ordered, strict=True))

    def call(self, *inputs: Any) -> Any:
        """Run the layers on data for the inputs (one argument of their structure, or one for each)."""
        given = inputs[0] if len(inputs) == 1 else list(inputs)
        values: Values = {id(s): v for s, v in zip(tree.leaves(self.inputs), self._match(given), strict=True)}
        masks: dict[int, Tensor] = {}
        for step in self._steps:
            step.run(values, masks)
        for figure in self._figures:
            value = values[id(figure.symbol)]
            if figure.name is None:
                super().add_loss(value)
            else:
                super().add_metric(value, figure.name, figure.aggregation)
        if isinstance(self.outputs, Symbolic):
            return values[id(self.outputs)]
        return tree.tree_map(lambda s: values[id(s)], self.outputs)

    def _match(self, given: Any) -> list[Any]:
        if isinstance(self.inputs, Mapping) and isinstance(given, Mapping):
            missing = [k for k in self.inputs if k not in given]
            if missing:
                raise UsageError(self.name, f"the input {missing[0]!r} is missing",
                                 {"given": ", ".join(map(str, given)) or "nothing"})  # fmt: skip
            given = {k: given[k] for k in self.inputs}
        values, symbols = tree.leaves(given), tree.leaves(self.inputs)
        if len(values) != len(symbols):
            raise UsageError(self.name, f"takes {len(symbols)} inputs, got {len(values)}",
                             hint=f"inputs: {', '.join(s.name for s in symbols)}")  # fmt: skip
        for symbol, value in zip(symbols, values, strict=True):
            expected = symbol.spec.shape[1:]
            if value.spec.shape[1:] != expected:
                wanted = f"{symbol.dtype}[{', '.join(['batch', *map(str, expected)])}]"
                raise ShapeError(self.name, f"the input {symbol.name!r} has another shape",
                                 {"expected": wanted, "given": value.spec}, hint=_advice(expected, value))  # fmt: skip
        return values

    # ---- saving the architecture

    def get_config(self) -> dict[str, Any]:
        """The graph: inputs, calls in order (a layer's name, or an op's), outputs."""
        names: dict[int, str] = {id(s): f"input:{i}" for i, s in enumerate(tree.leaves(self.inputs))}

        def written(value: Any) -> Any:
            if isinstance(value, Symbolic):
                return {"ref": names[id(value)]}
            if isinstance(value, dict):
                return {k: written(v) for k, v in value.items()}
            if isinstance(value, (list, tuple)):
                return [written(v) for v in value]
            if isinstance(value, Tensor) or hasattr(value, "__array__"):
                what = f"a constant array is part of the call of {origin.name!r}: it cannot be saved"
                raise UsageError(self.name, what, hint="hold it in a layer of your own")
            return serialize(value)

        calls = []
        for number, (origin, step) in enumerate(zip(self._calls, self._steps, strict=True)):
            kind = "op" if isinstance(origin.callee, OpCall) else "layer"
            calls.append({kind: origin.callee.name, "args": written(origin.args), "options": written(origin.options)})
            names |= {id(symbol): f"{number}:{symbol.position}" for symbol in step.results}
        return {
            "inputs": _map(lambda s: {"shape": list(s.spec.shape[1:]), "dtype": s.dtype.name}, self.inputs),
            "layers": [serialize(layer) for layer in self._ordered],
            "calls": calls,
            "outputs": _map(written, self.outputs),
            "figures": [[written(f.symbol), f.name, f.aggregation] for f in self._figures],
            "name": self.name,
            "trainable": self.trainable,
            "dtype": serialize(self._argument("dtype")),
        }

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Functional:
        """A model from what ``get_config`` returned."""
        symbols: dict[str, Symbolic] = {}

        def made(node: Any) -> Any:
            if isinstance(node, dict) and set(node) == {"shape", "dtype"}:
                return Input(tuple(node["shape"]), dtype=node["dtype"])
            return {k: made(v) for k, v in node.items()} if isinstance(node, dict) else [made(n) for n in node]

        def resolved(node: Any) -> Any:
            if isinstance(node, dict):
                return symbols[node["ref"]] if set(node) == {"ref"} else {k: resolved(v) for k, v in node.items()}
            return [resolved(n) for n in node] if isinstance(node, list) else node

        inputs = made(config["inputs"])
        symbols |= {f"input:{i}": s for i, s in enumerate(tree.leaves(inputs))}
        layers = {layer.name: layer for layer in (deserialize(c) for c in config["layers"])}
        for number, entry in enumerate(config["calls"]):
            callee = layers[entry["layer"]] if "layer" in entry else TABLE[entry["op"]].public
            result = callee(*resolved(entry["args"]), **resolved(entry["options"]))
            symbols |= {f"{number}:{i}": symbol for i, symbol in enumerate(tree.leaves(result))}
        rest = {k: config[k] for k in ("name", "trainable", "dtype") if k in config}
        model = cls(inputs, resolved(config["outputs"]), **rest)
        for symbol, name, aggregation in config.get("figures", ()):
            if name is None:
                model.add_loss(resolved(symbol))
            else:
                model.add_metric(resolved(symbol), name, aggregation)
        return model


class Step:
    """One call of a functional model, prepared to be run again and again."""

    def __init__(self, origin: Origin, results: list[Symbolic]) -> None:
        self.callee, self.args, self.options, self.results = origin.callee, origin.args, origin.options, results
        self._single = id(origin.args[0]) if len(origin.args) == 1 and isinstance(origin.args[0], Symbolic) else None
        self._plain = not any(isinstance(o, Symbolic) for o in tree.leaves(origin.options))
        makes = not isinstance(self.callee, Layer) or type(self.callee).compute_mask is not Layer.compute_mask
        self._masks = makes or options_for(self.callee, True) != {}

    def run(self, values: Values, masks: dict[int, Tensor]) -> None:
        """Call it on the values of its arguments, and add those of its results."""

        def value(leaf: Any) -> Any:
            return values[id(leaf)] if isinstance(leaf, Symbolic) else leaf

        args = (values[self._single],) if self._single is not None else tuple(tree.tree_map(value, list(self.args)))
        options = self.options if self._plain else tree.tree_map(value, self.options)
        mask = self._mask(masks) if masks else None
        if mask is not None and "mask" not in options:
            options = {**options, **options_for(self.callee, mask)}
        found = self.callee(*args, **options)
        leaves = tree.leaves(found)
        for symbol in self.results:
            values[id(symbol)] = leaves[symbol.position]
        if mask is not None or self._masks:
            after = mask_after(self.callee, args, mask)
            if after is not None:
                masks |= {id(symbol): after for symbol in self.results if symbol.position == 0}

    def _mask(self, masks: dict[int, Tensor]) -> Any:
        """The mask of the input, or one for each where there are several; ``None`` if none has one."""
        args = self.args[0] if len(self.args) == 1 and isinstance(self.args[0], (list, tuple)) else self.args
        found = [masks.get(id(a)) for a in args]
        if all(m is None for m in found):
            return None
        return found[0] if len(found) == 1 else found


def _map(function: Callable[[Any], Any], structure: Any) -> Any:
    """Dicts and lists with ``function`` applied to the leaves, in their own order."""
    if isinstance(structure, Mapping):
        return {k: _map(function, v) for k, v in structure.items()}
    return [_map(function, v) for v in structure] if isinstance(structure, (list, tuple)) else function(structure)


def _advice(expected: tuple[Any, ...], value: Tensor) -> str | None:
    if value.spec.shape == expected:
        return "add the batch axis: x[None]"
    if (*value.spec.shape[1:], 1) == expected:
        return "add the channel axis: x[..., None]"
    return None


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


__all__ = ["Functional"]
