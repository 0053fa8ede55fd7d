"""Cells around a cell: dropout, residual connections, devices."""

from __future__ import annotations

import zlib
from typing import Any

from corenn import tree
from corenn.errors import UsageError
from corenn.ops.elementwise import add, divide, floor, multiply
from corenn.ops.random import uniform
from corenn_tensorflow.mode import graph_for
from corenn_tensorflow.nn.activations import dropped
from corenn_tensorflow.nn.cells import LSTMStateTuple, RNNCell, map_sizes
from corenn_tensorflow.operands import known, like, tensor


class Around(RNNCell):
    """A cell around another, of its sizes and its first state."""

    def __init__(self, cell: Any, reuse: Any = None) -> None:
        super().__init__(_reuse=reuse)
        self._cell = cell

    @property
    def state_size(self) -> Any:
        """That of the cell."""
        return self._cell.state_size

    @property
    def output_size(self) -> Any:
        """That of the cell."""
        return self._cell.output_size

    def zero_state(self, batch_size: Any, dtype: Any = "float32") -> Any:
        """That of the cell."""
        return self._cell.zero_state(batch_size, dtype)


class Wrapper(Around):
    """A cell that adds to another; the variables are the other's, under its names."""

    def __init__(self, cell: Any) -> None:
        super().__init__(cell)

    @property
    def wrapped_cell(self) -> Any:
        """The other cell."""
        return self._cell

    @property
    def trainable_variables(self) -> list[Any]:
        """Those of the cell."""
        return self._cell.trainable_variables  # type: ignore[no-any-return]

    def __call__(self, inputs: Any, state: Any, scope: Any = None, *args: Any, **options: Any) -> Any:
        """One step."""
        return self._cell(inputs, state, scope)


class DropoutWrapper(Wrapper):
    """Drops elements of a cell's inputs, outputs and states (of an LSTM's, of ``h``).

    The probabilities to *keep* are numbers or tensors.  With ``variational_recurrent`` the same elements are dropped at
    every step (Gal & Ghahramani 2015); that needs ``dtype``, and ``input_size`` where inputs are dropped.
    """

    def __init__(
        self, cell: Any, input_keep_prob: Any = 1.0, output_keep_prob: Any = 1.0, state_keep_prob: Any = 1.0,
        variational_recurrent: bool = False, input_size: Any = None, dtype: Any = None, seed: int | None = None,
        dropout_state_filter_visitor: Any = None,
    ) -> None:  # fmt: skip
        super().__init__(cell)
        for name, value in (("input", input_keep_prob), ("output", output_keep_prob), ("state", state_keep_prob)):
            number = known(value)
            if number is not None and not 0.0 <= number <= 1.0:
                raise UsageError("DropoutWrapper", f"Parameter {name}_keep_prob must be between 0 and 1: {number:g}")
        self.input_keep_prob, self.output_keep_prob, self.state_keep_prob = (
            input_keep_prob,
            output_keep_prob,
            state_keep_prob,
        )
        self.variational_recurrent, self._seed, self._filter = variational_recurrent, seed, dropout_state_filter_visitor
        self._noise: dict[str, Any] = {}
        if variational_recurrent:
            if dtype is None:
                raise UsageError("DropoutWrapper", "When variational_recurrent=True, dtype must be provided")
            if input_size is None and known(input_keep_prob) != 1.0:
                raise UsageError("DropoutWrapper", "When variational_recurrent=True and input_keep_prob < 1.0 or is "
                                 "unknown, input_size must be provided")  # fmt: skip
            sizes = {"input": input_size, "output": cell.output_size, "state": cell.state_size}
            graph = graph_for(input_keep_prob, output_keep_prob, state_keep_prob)
            for name, size in sizes.items():
                if size is not None:
                    self._noise[name] = self._drawn(graph, name, size, dtype)

    def _drawn(self, graph: Any, name: str, size: Any, dtype: Any) -> Any:
        def draw(extents: tuple[int, ...]) -> Any:
            return uniform((1, *extents), dtype=dtype, seed=self._seed_of(name))

        if graph is None:
            return map_sizes(draw, size)
        with graph.as_default():
            return map_sizes(draw, size)

    def _seed_of(self, name: str) -> int | None:
        """A seed for each of the three places, of the wrapper's."""
        return None if self._seed is None else zlib.crc32(f"{self._seed}{name}".encode()) & 0x7FFFFFFF

    def drops(self, place: str) -> bool:
        """Whether anything is dropped in a place: ``"input"``, ``"output"`` or ``"state"``."""
        return bool(known(getattr(self, f"{place}_keep_prob")) != 1.0)

    def drop(self, place: str, value: Any) -> Any:
        """A structure of values of a place with elements dropped."""
        keep = getattr(self, f"{place}_keep_prob")
        if not self.drops(place):
            return value
        if not self.variational_recurrent:
            number = known(keep)
            return tree.tree_map(
                lambda v: dropped(
                    v, 1.0 - number if number is not None else 1.0 - tensor(keep), None, self._seed_of(place)
                ),
                value,
            )

        def fixed(v: Any, noise: Any) -> Any:
            share = like(keep, v)
            return multiply(divide(v, share), floor(add(share, like(noise, v))))

        return tree.tree_map(fixed, value, self._noise[place])

    def _drop_state(self, state: Any, noise: Any) -> Any:
        if self._filter is not None:
            chosen = self._filter(state)
        else:
            chosen = LSTMStateTuple(False, True) if isinstance(state, LSTMStateTuple) else True
        if isinstance(chosen, bool):
            if not chosen:
                return state
            if isinstance(state, (list, tuple)):
                found = [self._drop_state(s, n) for s, n in zip(state, noise or [None] * len(state), strict=True)]
                return type(state)(*found) if hasattr(state, "_fields") else type(state)(found)
            return self._drop_leaf(state, noise)
        found = [
            self._drop_leaf(s, n) if c else s
            for s, c, n in zip(state, chosen, noise or [None] * len(state), strict=True)
        ]
        return type(state)(*found) if hasattr(state, "_fields") else type(state)(found)

    def _drop_leaf(self, state: Any, noise: Any) -> Any:
        if noise is None:
            number = known(self.state_keep_prob)
            rate = 1.0 - number if number is not None else 1.0 - tensor(self.state_keep_prob)
            return dropped(state, rate, None, self._seed_of("state"))
        share = like(self.state_keep_prob, state)
        return multiply(divide(state, share), floor(add(share, like(noise, state))))

    def __call__(self, inputs: Any, state: Any, scope: Any = None, *args: Any, **options: Any) -> Any:
        """One step."""
        output, new = self._cell(self.drop("input", inputs), state, scope)
        if self.drops("state"):
            new = self._drop_state(new, self._noise.get("state"))
        return self.drop("output", output), new


class ResidualWrapper(Wrapper):
    """The cell's output plus its input (or ``residual_fn(inputs, outputs)``)."""

    def __init__(self, cell: Any, residual_fn: Any = None) -> None:
        super().__init__(cell)
        self._residual_fn = residual_fn

    def __call__(self, inputs: Any, state: Any, scope: Any = None, *args: Any, **options: Any) -> Any:
        """One step."""
        outputs, new = self._cell(inputs, state, scope)
        if self._residual_fn is not None:
            return self._residual_fn(inputs, outputs), new
        return tree.tree_map(add, inputs, outputs), new


class DeviceWrapper(Wrapper):
    """The cell, with its operations noted for a device."""

    def __init__(self, cell: Any, device: Any) -> None:
        super().__init__(cell)
        self._device = device

    def __call__(self, inputs: Any, state: Any, scope: Any = None, *args: Any, **options: Any) -> Any:
        """One step."""
        graph = graph_for(inputs, state)
        if graph is None:
            return self._cell(inputs, state, scope)
        with graph.as_default(), graph.device(self._device):
            return self._cell(inputs, state, scope)


__all__ = ["Around", "DeviceWrapper", "DropoutWrapper", "ResidualWrapper", "Wrapper"]
