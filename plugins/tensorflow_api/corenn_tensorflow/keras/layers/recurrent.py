"""Recurrent layers and cells."""

from __future__ import annotations

from typing import Any

from corenn import layers as core
from corenn.layers.cells import tuple_of
from corenn.ops import random
from corenn.ops.activations import sigmoid
from corenn.ops.contraction import matmul
from corenn.ops.creation import ones_like
from corenn.ops.elementwise import add, multiply, subtract
from corenn.tensor import Tensor
from corenn_tensorflow import mode
from corenn_tensorflow.keras.engine.base_layer import Layer
from corenn_tensorflow.keras.layers.adapting import BuiltIn, adapt, written

_GATES = (
    "use_bias kernel_initializer recurrent_initializer bias_initializer {forget}kernel_regularizer "
    "recurrent_regularizer bias_regularizer {activity}kernel_constraint recurrent_constraint bias_constraint dropout "
    "recurrent_dropout"
)
_LAYER = "{extra}return_sequences return_state go_backwards stateful unroll"


def _with_states(inputs: Any, args: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """The input alone, and initial states among the options, however they were given."""
    if isinstance(inputs, (list, tuple)) and not isinstance(inputs, Tensor) and len(inputs) > 1:
        options.setdefault("initial_state", list(inputs[1:]))
        inputs = inputs[0]
    if args:  # mask, training, initial_state in this order
        options = {**dict(zip(("mask", "training", "initial_state"), args, strict=False)), **options}
    options.pop("constants", None)
    if options.get("initial_state", 0) is None:
        del options["initial_state"]
    return inputs, options


class _Sequence(BuiltIn):
    """Initial states in the list of inputs, and the states of a stateful layer."""

    def __call__(self, inputs: Any, *args: Any, **options: Any) -> Any:
        """Call it; ``layer([x, h, c])`` is ``layer(x, initial_state=[h, c])``."""
        inputs, options = _with_states(inputs, args, options)
        return super().__call__(inputs, **options)

    def reset_states(self, states: Any = None) -> None:
        """Set the states that a stateful layer keeps, to 0 by default."""
        if states is None:
            self.reset_state()
            return
        values = tuple_of(states)
        if not self._kept and self.stateful:
            self._kept = [
                self.add_weight(f"state_{i}", (len(value), size), "zeros", trainable=False)
                for i, (value, size) in enumerate(zip(values, self.state_sizes(), strict=True))
            ]
        for kept, value in zip(self._kept, values, strict=True):
            kept.assign(value)

    @property
    def states(self) -> list[Any]:
        """The states that a stateful layer keeps."""
        return list(self.__dict__.get("_kept", ())) or [None] * len(self.state_sizes())


class _Gates(_Sequence):
    """``recurrent_dropout``: the same units of the state are dropped in all steps of a sequence."""

    def whole(self, x: Any, states: Any, lengths: Any, training: bool) -> Any:
        """By the op for whole sequences, unless states are dropped."""
        self.__dict__["_state_mask"] = None
        rate = self.arguments.get("recurrent_dropout") or 0.0
        if training and rate:
            self.__dict__["_state_mask"] = random.dropout(ones_like(states[0]), float(rate))
            return None
        return super().whole(x, states, lengths, training)  # type: ignore[misc]

    def step(self, x: Any, states: Any) -> Any:
        """One step, from states of which some units are dropped."""
        mask = self.__dict__.get("_state_mask")
        if mask is None:
            return super().step(x, states)  # type: ignore[misc]
        dropped = multiply(states[0], mask)
        out, after = super().step(x, (dropped, *states[1:]))  # type: ignore[misc]
        if isinstance(self, core.GRU):  # the update gate blends in the whole state
            units = self.units
            here = matmul(dropped, self.recurrent_kernel[:, :units])
            if self.reset_after and self.bias is not None:
                here = add(here, self.bias[1, :units])
            gate = (self.recurrent_activation or sigmoid)(add(x[:, :units], here))
            out = add(out, multiply(gate, subtract(states[0], dropped)))
            after = (out,)
        return out, after

    def scan(self, x: Any, states: Any, counts: Any) -> Any:
        """Step by step; the mask of the states belongs to one sequence."""
        found = super().scan(x, states, counts)  # type: ignore[misc]
        self.__dict__["_state_mask"] = None
        return found

    def state_sizes(self) -> tuple[int, ...]:
        """Sizes of the states."""
        return self.state_size


def _inner() -> str:
    return "hard_sigmoid" if mode.generation() == 1 else "sigmoid"


_HIDDEN: dict[str, str | None] = {"activity_regularizer": None, "recurrent_dropout": None, "unroll": None}
_OLD = {"output_dim": "units"}


def _gates(name: str, base: type, first: str, forget: str = "", extra: str = "", **defaults: Any) -> Any:
    order = (
        f"{first} " + _GATES.format(forget=forget, activity="activity_regularizer ") + " " + _LAYER.format(extra=extra)
    )
    return adapt(name, base, order, legacy=_OLD, renamed=_HIDDEN, defaults=defaults, mixin=_Gates)


SimpleRNN = _gates("SimpleRNN", core.SimpleRNN, "units activation")
LSTM = _gates(
    "LSTM", core.LSTM, "units activation recurrent_activation", "unit_forget_bias ", recurrent_activation=_inner
)
GRU = adapt(
    "GRU", core.GRU,
    "units activation recurrent_activation " + _GATES.format(forget="", activity="activity_regularizer ")
    + " return_sequences return_state go_backwards stateful unroll reset_after",
    legacy=_OLD, renamed=_HIDDEN, mixin=_Gates,
    defaults={"recurrent_activation": _inner, "reset_after": lambda: mode.generation() == 2},
)  # fmt: skip
_CUDNN = (
    "units kernel_initializer recurrent_initializer bias_initializer {forget}kernel_regularizer recurrent_regularizer "
    "bias_regularizer activity_regularizer kernel_constraint recurrent_constraint bias_constraint return_sequences "
    "return_state stateful go_backwards"
)
CuDNNLSTM = adapt(
    "CuDNNLSTM", core.LSTM, _CUDNN.format(forget="unit_forget_bias "), legacy=_OLD, renamed=_HIDDEN, mixin=_Gates
)
CuDNNGRU = adapt(
    "CuDNNGRU", core.GRU, _CUDNN.format(forget=""), legacy=_OLD, renamed=_HIDDEN, mixin=_Gates,
)  # fmt: skip


class _Cell(BuiltIn):
    """Cells: dropout is the layers' matter."""

    def get_initial_state(self, inputs: Any = None, batch_size: Any = None, dtype: Any = None) -> list[Any]:
        """Zeros for every state."""
        from corenn.ops.creation import zeros

        batch = int(inputs.shape[0]) if inputs is not None else int(batch_size)
        return [zeros((batch, n)) for n in self.state_size]


_CELL = _GATES.format(forget="", activity="")
_NO_DROP: dict[str, str | None] = {"recurrent_dropout": None, "dropout": None}
SimpleRNNCell = adapt("SimpleRNNCell", core.SimpleRNNCell, f"units activation {_CELL}", renamed=_NO_DROP, mixin=_Cell)
LSTMCell = adapt(
    "LSTMCell", core.LSTMCell,
    "units activation recurrent_activation " + _GATES.format(forget="unit_forget_bias ", activity=""), renamed=_NO_DROP,
    mixin=_Cell, defaults={"recurrent_activation": _inner},
)  # fmt: skip
GRUCell = adapt(
    "GRUCell", core.GRUCell, f"units activation recurrent_activation {_CELL} reset_after", renamed=_NO_DROP,
    mixin=_Cell, defaults={"recurrent_activation": _inner, "reset_after": lambda: mode.generation() == 2},
)  # fmt: skip


class _Stacked(BuiltIn):
    @classmethod
    def from_config(cls, config: Any, custom_objects: Any = None) -> Any:
        """The cells from their configurations."""
        from corenn_tensorflow.keras.engine.architecture import layer_from

        return cls(**{**config, "cells": [layer_from(c, custom_objects) for c in config["cells"]]})


StackedRNNCells = adapt("StackedRNNCells", core.StackedRNNCells, "cells", mixin=_Stacked)


def _completed(cell: Any) -> Any:
    """A cell with what the core asks of one."""
    if isinstance(cell, (list, tuple)):
        return StackedRNNCells([_completed(c) for c in cell])
    if not hasattr(cell, "output_size"):
        size = cell.state_size
        cell.output_size = size[0] if isinstance(size, (list, tuple)) else size
    return cell


class RNN(_Sequence, core.RNN):
    """A cell (or a list of them) applied to the steps of a sequence."""

    runs_whole = False

    def __init__(
        self, cell: Any, return_sequences: bool = False, return_state: bool = False, go_backwards: bool = False,
        stateful: bool = False, unroll: bool = False, time_major: bool = False, **options: Any,
    ) -> None:  # fmt: skip
        if isinstance(cell, dict):
            from corenn_tensorflow.keras.engine.architecture import layer_from

            cell = layer_from(cell)
        elif isinstance(cell, list) and cell and isinstance(cell[0], dict):
            from corenn_tensorflow.keras.engine.architecture import layer_from

            cell = [layer_from(c) for c in cell]
        settings = {
            "return_sequences": return_sequences, "return_state": return_state, "go_backwards": go_backwards,
            "stateful": stateful,
        }  # fmt: skip
        self.__dict__["arguments"] = {"cell": cell, **settings}
        Layer.__init__(self, **options, _core={"cell": _completed(cell), **settings})

    def step(self, x: Any, states: Any) -> Any:
        """One step of the cell, with states as a list."""
        found = self.cell(x, list(states))
        return found[0], tuple_of(found[1])

    def get_config(self) -> dict[str, Any]:
        """The cell's configuration and the settings."""
        own = {k: v for k, v in self.arguments.items() if k != "cell"}
        return {**Layer.get_config(self), **own, "cell": written("", self.arguments["cell"])}


class _Wrapper(BuiltIn):
    """Layers around another."""

    runs_whole = False

    def get_config(self) -> dict[str, Any]:
        """The inner layer's configuration."""
        return {**Layer.get_config(self), **{n: written(n, v) for n, v in self.arguments.items() if v is not None}}

    @classmethod
    def from_config(cls, config: Any, custom_objects: Any = None) -> Any:
        """A wrapper from its configuration."""
        from corenn_tensorflow.keras.engine.architecture import layer_from

        given = dict(config)
        for name in ("layer", "backward_layer"):
            if isinstance(given.get(name), dict):
                given[name] = layer_from(given[name], custom_objects)
        return cls(**given)


class _Bidirectional(_Wrapper):
    """Initial states in the list of inputs; whole, where the layers inside are."""

    def __call__(self, inputs: Any, *args: Any, **options: Any) -> Any:
        """Call it."""
        inputs, options = _with_states(inputs, args, options)
        return super().__call__(inputs, **options)

    @property
    def runs_whole(self) -> bool:  # type: ignore[override]
        """Where the layer inside can be one operation of a graph, this can, too."""
        return bool(getattr(self.layer, "runs_whole", False))

    @property
    def forward_layer(self) -> Any:
        """The layer."""
        return self.layer


class _TimeDistributed(_Wrapper):
    @property
    def runs_whole(self) -> bool:  # type: ignore[override]
        """Where the layer inside can be one operation of a graph, this can, too."""
        return bool(getattr(self.layer, "runs_whole", False))

    def compute(self, inputs: Any, options: Any) -> Any:
        """Call it on values."""
        return super().compute(inputs, options)


Bidirectional = adapt("Bidirectional", core.Bidirectional, "layer merge_mode weights backward_layer",
                      drops=("weights",), mixin=_Bidirectional)  # fmt: skip
TimeDistributed = adapt("TimeDistributed", core.TimeDistributed, "layer", mixin=_TimeDistributed)


class Wrapper(Layer):
    """Base of layers around another."""

    def __init__(self, layer: Any, **options: Any) -> None:
        super().__init__(**options)
        self.layer = layer


__all__ = [
    "GRU", "LSTM", "RNN", "Bidirectional", "CuDNNGRU", "CuDNNLSTM", "GRUCell", "LSTMCell", "SimpleRNN", "SimpleRNNCell",
    "StackedRNNCells", "TimeDistributed", "Wrapper",
]  # fmt: skip
