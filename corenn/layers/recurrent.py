"""Recurrent layers: a cell applied to the steps of a sequence [batch, time, features].

Steps that do not count (``mask`` False, or beyond ``lengths``) leave the states as they are and give outputs of 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from corenn.errors import AttributeValueError, ShapeError, UsageError
from corenn.layers.base import Layer, register
from corenn.layers.cells import (
    GateWeights,
    GRUWeights,
    LSTMWeights,
    SimpleRNNWeights,
    StackedRNNCells,
    States,
    check_cell,
    initial_states,
    sizes,
    tuple_of,
)
from corenn.layers.symbolic import is_abstract
from corenn.ops import random
from corenn.ops.activations import relu, sigmoid
from corenn.ops.arranging import flip
from corenn.ops.creation import arange, asarray, tensor, zeros, zeros_like
from corenn.ops.elementwise import add, stop_gradient, where
from corenn.ops.logic import less
from corenn.ops.recurrent import gru, lstm, simple_rnn
from corenn.ops.shaping import expand_dims, reshape, stack, unstack
from corenn.ops.transcendental import tanh
from corenn.tensor import Tensor
from corenn.variable import Variable

Run = tuple[Tensor | None, Tensor, States]  # outputs of all steps (if they are returned), the last output, the states


class Recurrent(Layer):
    """Base of recurrent layers.

    ``return_sequences``: the output of every step [batch, time, units] instead of the last that counts [batch, units].
    ``return_state``: a tuple of the output and each final state.  ``go_backwards``: from the last step to the first
    (outputs in that order).  ``stateful``: each batch starts with the final states of the one before, until
    ``reset_state``; the batch size must not change.

    Options of a call: ``initial_state`` (a tensor or one for each state, [batch, size]), and ``mask`` (bools
    [batch, time]) or ``lengths`` (ints [batch]).
    """

    def __init__(
        self,
        *,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        self.return_sequences, self.return_state = return_sequences, return_state
        self.go_backwards, self.stateful = go_backwards, stateful
        self._kept: list[Variable] = []

    # ---- what subclasses write

    def state_sizes(self) -> tuple[int, ...]:
        """Sizes of the states."""
        raise NotImplementedError(f"{type(self).__name__} does not define state_sizes()")

    def prepare(self, x: Tensor, training: bool) -> Tensor:
        """What the steps need of the whole sequence, [batch, time, ...]."""
        return x

    def step(self, x: Tensor, states: States) -> tuple[Tensor, States]:
        """Output and new states of one step."""
        raise NotImplementedError(f"{type(self).__name__} does not define step()")

    # ---- the sequence

    def call(
        self, x: Tensor, *, mask: Any = None, lengths: Any = None, initial_state: Any = None, training: bool = False
    ) -> Any:
        """Run over the steps."""
        if x.ndim < 3 or x.shape[1] == 0:
            hint = "add the missing axis: x[..., None] for one feature" if x.ndim == 2 else None
            what = "takes sequences [batch, time, features] of at least one step"
            raise ShapeError(self.name, what, {"x": x.spec}, hint=hint)
        if is_abstract():
            mask = lengths = None  # they do not change any shape
        if mask is not None and lengths is None:
            mask, lengths = self._simplified(x, mask)
        counts = self._counts(x, mask, lengths)
        states = self._starting_states(x, initial_state)
        run = self.whole(x, states, lengths, training) if mask is None else None
        if run is None:
            if self.go_backwards:
                x, counts = flip(x, axis=1), None if counts is None else flip(counts, axis=1)
            run = self.scan(self.prepare(x, training), states, counts)
        outputs, last, states = run
        if self.stateful and not is_abstract():
            for kept, state in zip(self._kept, states, strict=True):
                kept.assign(stop_gradient(state if state.dtype is kept.dtype else state.cast(kept.dtype)))
        result = outputs if self.return_sequences else last
        return (result, *states) if self.return_state else result

    def whole(self, x: Tensor, states: States, lengths: Any, training: bool) -> Run | None:
        """What ``scan`` returns, by an op that takes the whole sequence; ``None`` if there is none for this layer."""
        return None

    def scan(self, x: Tensor, states: States, counts: Tensor | None) -> Run:
        """Outputs of all steps (``None`` unless sequences are returned), the last output, and the final states."""
        marks = None if counts is None else unstack(counts, axis=1)
        outputs: list[Tensor] = []
        last: Tensor | None = None
        for number, part in enumerate(unstack(x, axis=1)):
            out, after = self.step(part, states)
            if marks is None:
                last, states = out, after
            else:
                mark = marks[number]
                states = tuple(where(_beside(mark, new), new, old) for new, old in zip(after, states, strict=True))
                out = where(_beside(mark, out), out, 0.0)
                last = out if last is None else where(_beside(mark, out), out, last)
            if self.return_sequences:
                outputs.append(out)
        assert last is not None  # there is at least one step
        return stack(*outputs, axis=1) if self.return_sequences else None, last, states

    def _simplified(self, x: Tensor, mask: Any) -> tuple[Any, Any]:
        """``(mask, None)``, or ``(None, lengths)`` where all steps that do not count are at the end."""
        if isinstance(mask, Tensor) and mask.data is None:
            return mask, None  # its values are not known yet
        host = np.asarray(mask) if not isinstance(mask, Tensor) else mask.numpy()
        if host.shape != x.shape[:2]:
            return mask, None
        lengths = host.astype(bool).sum(1)
        if (host.astype(bool) == (np.arange(x.shape[1]) < lengths[:, None])).all():
            return None, tensor(lengths.astype(np.int32), device=x.device)
        return mask, None

    def _counts(self, x: Tensor, mask: Any, lengths: Any) -> Tensor | None:
        if mask is not None and lengths is not None:
            raise UsageError(self.name, "give mask or lengths, not both")
        if lengths is not None:
            ends = asarray(lengths)
            if ends.shape != x.shape[:1]:
                shown = {"x": x.spec, "lengths": ends.spec}
                raise ShapeError(self.name, "lengths needs one int for each sequence", shown)
            return less(arange(x.shape[1], dtype=ends.dtype, device=x.device), expand_dims(ends, axis=-1))
        if mask is None:
            return None
        made = asarray(mask)
        if made.shape != x.shape[:2]:
            raise ShapeError(self.name, "the mask needs one bool for each step", {"x": x.spec, "mask": made.spec},
                             hint="shape [batch, time]")  # fmt: skip
        return made.cast("bool")

    def _starting_states(self, x: Tensor, given: Any) -> States:
        if given is not None:
            states = tuple(self._state(s) for s in tuple_of(given))
            wanted = self.state_sizes()
            if len(states) != len(wanted):
                raise UsageError(self.name, f"{len(states)} initial states given, there are {len(wanted)}")
            for state, size in zip(states, wanted, strict=True):
                if state.shape != (x.shape[0], size):
                    raise ShapeError(self.name, "an initial state does not fit",
                                     {"state": state.spec, "wanted": f"[{x.shape[0]}, {size}]"})  # fmt: skip
            return states
        if not self.stateful or is_abstract():
            batch = x.spec.shape[0]
            if batch is not None:
                return self.zero_states(x, batch)
            of_one = (slice(None), 0, slice(0, 1), *[0] * (x.ndim - 3))
            rows = zeros_like(x[of_one], self.compute_dtype)  # [batch, 1]: as many as there will be
            return tuple(add(state, rows) for state in self.zero_states(x, 1))
        if not self._kept:
            self._kept = [
                self.add_weight(f"state_{i}", (x.shape[0], n), "zeros", trainable=False)
                for i, n in enumerate(self.state_sizes())
            ]
        if self._kept[0].shape[0] != x.shape[0]:
            raise ShapeError(self.name, f"stateful: the states kept are those of a batch of {self._kept[0].shape[0]}",
                             {"x": x.spec}, hint="use one batch size, drop the rest of the data")  # fmt: skip
        return tuple(self._state(v.value()) for v in self._kept)

    def _state(self, given: Any) -> Tensor:
        """A state as a tensor; of the compute dtype under a mixed policy."""
        if not isinstance(given, Tensor):
            return tensor(given, dtype=self.compute_dtype)
        return given if self.compute_dtype is self.dtype else given.cast(self.compute_dtype)

    def zero_states(self, x: Tensor, batch: int) -> States:
        """The states before the first step, for so many examples like those of ``x``."""
        return tuple(zeros((batch, n), dtype=self.compute_dtype, device=x.device) for n in self.state_sizes())

    def reset_state(self) -> None:
        """Set the states that a stateful layer keeps back to 0."""
        for kept in self._kept:
            kept.assign(np.zeros(kept.shape, kept.dtype.numpy))

    def compute_mask(self, x: Any, mask: Tensor | None = None) -> Tensor | None:
        """The input's, if every step gives an output."""
        if mask is None or not self.return_sequences or self.return_state:
            return None
        return flip(mask, axis=1) if self.go_backwards else mask


def _beside(mark: Tensor, x: Tensor) -> Tensor:
    """A mask of the batch, in a shape that broadcasts to ``x``."""
    return reshape(mark, shape=(mark.shape[0], *[1] * (x.ndim - 1)))


class GateLayer(GateWeights, Recurrent):
    """A recurrent layer that holds the weights of its gates.

    ``dropout``: the fraction of input features dropped in training, the same ones in all steps of a sequence.
    """

    def __init__(self, units: int, activation: Any = "tanh", *, dropout: float = 0.0, **options: Any) -> None:
        super().__init__(units, activation, **options)
        if not 0 <= dropout < 1:
            raise AttributeValueError(self.name, f"dropout must lie in [0, 1), not {dropout!r}")
        self.dropout = float(dropout)

    def state_sizes(self) -> tuple[int, ...]:
        """Sizes of the states."""
        return self.state_size

    def prepare(self, x: Tensor, training: bool) -> Tensor:
        """Project all steps at once."""
        return self.project(self._dropped(x, training))

    def _dropped(self, x: Tensor, training: bool) -> Tensor:
        if not (training and self.dropout):
            return x
        return random.dropout(x, self.dropout, noise_shape=(None, 1, None))

    def sequence(self, x: Tensor, states: States, lengths: Tensor | None) -> tuple[Tensor, ...] | None:
        """Outputs and final states by the op for whole sequences, or ``None`` where it has not these activations."""
        return None

    def whole(self, x: Tensor, states: States, lengths: Any, training: bool) -> Run | None:
        """Run the op for whole sequences."""
        self.check_features(x)
        found = self.sequence(self._dropped(x, training), states, None if lengths is None else asarray(lengths))
        if found is None:
            return None
        outputs = (flip(found[0], axis=1) if self.go_backwards else found[0]) if self.return_sequences else None
        return outputs, found[1], found[1:]

    def scan(self, x: Tensor, states: States, counts: Tensor | None) -> Run:
        """Step by step; the last output is the state h."""
        outputs, _, states = super().scan(x, states, counts)
        return outputs, states[0], states

    def step(self, x: Tensor, states: States) -> tuple[Tensor, States]:
        """One step."""
        return self.advance(x, states)


_RNN_ACTIVATIONS: dict[Any, str] = {tanh: "tanh", relu: "relu"}


@register()
class SimpleRNN(SimpleRNNWeights, GateLayer):
    """Fully connected recurrence: ``h' = activation(x W + h U + b)``; ``units`` is the size of h."""

    def sequence(self, x: Tensor, states: States, lengths: Tensor | None) -> tuple[Tensor, ...] | None:
        """By ``corenn.nn.simple_rnn``."""
        if self.activation not in _RNN_ACTIVATIONS:
            return None
        return simple_rnn(x, states[0], self.kernel, self.recurrent_kernel, self.bias, lengths,
                          activation=_RNN_ACTIVATIONS[self.activation], reverse=self.go_backwards)  # fmt: skip


@register()
class LSTM(LSTMWeights, GateLayer):
    """Long short-term memory over a sequence; final states h and c.  See ``LSTMCell`` for the formulas."""

    def sequence(self, x: Tensor, states: States, lengths: Tensor | None) -> tuple[Tensor, ...] | None:
        """By ``corenn.nn.lstm``."""
        if self.activation is not tanh or self.recurrent_activation is not sigmoid:
            return None
        weights = self.kernel, self.recurrent_kernel, self.bias
        return lstm(x, states[0], states[1], *weights, lengths, reverse=self.go_backwards)


@register()
class GRU(GRUWeights, GateLayer):
    """Gated recurrent units over a sequence.  See ``GRUCell`` for the formulas."""

    def sequence(self, x: Tensor, states: States, lengths: Tensor | None) -> tuple[Tensor, ...] | None:
        """By ``corenn.nn.gru``."""
        if self.activation is not tanh or self.recurrent_activation is not sigmoid:
            return None
        return gru(x, states[0], self.kernel, self.recurrent_kernel, self.bias, lengths, reset_after=self.reset_after,
                   reverse=self.go_backwards)  # fmt: skip


@register()
class RNN(Recurrent):
    """Any cell over a sequence: ``RNN(LSTMCell(64))``; a list of cells is stacked.

    A cell is a layer with ``output, states = cell(x, states)`` and the attributes ``state_size`` and ``output_size``;
    one that defines ``initial_states(batch, like)`` chooses what it starts with.
    """

    casts_inputs = False

    def __init__(self, cell: Any, **options: Any) -> None:
        super().__init__(**options)
        self.cell = StackedRNNCells(cell) if isinstance(cell, (list, tuple)) else cell
        check_cell(self.name, self.cell)

    def state_sizes(self) -> tuple[int, ...]:
        """Sizes of the states."""
        return sizes(self.cell)

    def zero_states(self, x: Tensor, batch: int) -> States:
        """What the cell starts with."""
        like = zeros((), dtype=self.cell.compute_dtype, device=x.device)
        make = getattr(self.cell, "initial_states", None)
        return tuple_of(make(batch, like)) if make is not None else initial_states(self.cell, batch, like)

    def step(self, x: Tensor, states: States) -> tuple[Tensor, States]:
        """One step of the cell."""
        out, after = self.cell(x, states)
        return out, tuple_of(after)


__all__ = ["GRU", "LSTM", "RNN", "GateLayer", "Recurrent", "SimpleRNN"]
