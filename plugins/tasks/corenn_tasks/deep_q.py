"""Deep Q learning (Mnih and others 2015, "Human-level control through deep reinforcement learning"): the network that
values actions, its slower twin that sets the targets, and the memory of what happened, from which it learns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

import corenn
from corenn import layers, philox
from corenn.errors import CheckpointError
from corenn.optimizers import Optimizer
from corenn.training import Sequential

Array = npt.NDArray[Any]

_BLOCK = 256  # steps whose random numbers are drawn at once


class ReplayMemory:
    """The last ``size`` transitions: state float32[width], action, reward, next state, and whether it ended there."""

    def __init__(self, size: int, width: int) -> None:
        self.size, self.added = size, 0
        self._columns: dict[str, Array] = {
            "states": np.zeros((size, width), np.float32),
            "actions": np.zeros(size, np.int32),
            "rewards": np.zeros(size, np.float32),
            "next_states": np.zeros((size, width), np.float32),
            "ended": np.zeros(size, np.float32),
        }

    def __len__(self) -> int:
        return min(self.added, self.size)

    def add(self, state: Array, action: int, reward: float, next_state: Array, ended: bool) -> None:
        """Remember one transition in the place of the oldest."""
        row = self.added % self.size
        for column, value in zip(self._columns.values(), (state, action, reward, next_state, ended), strict=True):
            column[row] = value
        self.added += 1

    def sample(self, drawn: Array) -> tuple[Array, ...]:
        """Transitions picked by uniform numbers in [0, 1), one each: columns in the order of ``add``."""
        rows = (drawn * len(self)).astype(np.intp)
        return tuple(column[rows] for column in self._columns.values())

    def state_dict(self) -> dict[str, Any]:
        """What was remembered, and how much was ever added."""
        return {"added": self.added, **{name: column[: len(self)].copy() for name, column in self._columns.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take back a ``state_dict``; CheckpointError for one of a memory of another shape."""
        added = int(state["added"])
        for name, column in self._columns.items():
            if state[name].shape != (min(added, self.size), *column.shape[1:]):
                raise CheckpointError("ReplayMemory", f"{name} has shape {state[name].shape}, which does not fit",
                                      {"added": added, "size": self.size})  # fmt: skip
        self.added = added
        for name, column in self._columns.items():
            column[: len(self)] = state[name]


class Draws:
    """Uniform numbers for every step: ``at(step)`` is float32[width], the same however a run came to that step."""

    def __init__(self, seed: int, purpose: str, width: int) -> None:
        self._seed, self._width = philox.derive(seed, purpose), width
        self._block, self._rows = -1, np.empty((0, width), np.float32)

    def at(self, step: int) -> Array:
        """The numbers of one step, in [0, 1)."""
        block, row = divmod(step, _BLOCK)
        if block != self._block:
            count = _BLOCK * self._width
            self._rows = philox.uniform(self._seed, 0, block * count, count).reshape(_BLOCK, self._width)
            self._block = block
        return self._rows[row]


class DeepQ:
    """Values of actions, learnt: ``values(states)``, ``learn(batch)``, ``synchronize()``.

    ``online`` is the network that acts and learns, ``target`` the one that says what the next state is worth; it stays
    as it is until ``synchronize`` copies the other.  ``double``: the online network chooses the next action and the
    target network values it (van Hasselt, Guez and Silver 2016), which overestimates less than the maximum of one.
    """

    def __init__(
        self, width: int, actions: int, hidden: Sequence[int], optimizer: Optimizer, discount: float, double: bool
    ) -> None:
        self.online, self.target = (_network(width, actions, hidden, name) for name in ("online", "target"))
        self.optimizer = optimizer
        self.optimizer.build(self.online.trainable_weights, self.online.weight_names())
        self.synchronize()

        def values(states: Any) -> Any:
            return self.online(states)

        def step(states: Any, taken: Any, rewards: Any, next_states: Any, ended: Any) -> Any:
            later = self.target(next_states)
            if double:
                chosen = corenn.one_hot(corenn.argmax(self.online(next_states), axis=-1), depth=actions)
                worth = corenn.sum(later * chosen, axis=-1)
            else:
                worth = corenn.max(later, axis=-1)
            goal = rewards + discount * (1.0 - ended) * worth
            with corenn.GradientTape() as tape:
                value = corenn.sum(self.online(states) * corenn.one_hot(taken, depth=actions), axis=-1)
                loss = corenn.mean(corenn.square(value - goal))
            variables = self.online.trainable_weights
            self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
            return loss

        self._values, self.traced = corenn.function(values), corenn.function(step)

    def values(self, states: Array) -> Array:
        """Q(s, a) of float32 states [n, width], on the host: float32[n, actions]."""
        found: Array = self._values(corenn.tensor(states)).numpy()
        return found

    def learn(self, batch: Sequence[Array]) -> Any:
        """One step on transitions (states, actions, rewards, next states, ended); the loss, on the device."""
        return self.traced(*(corenn.tensor(column) for column in batch))

    def synchronize(self) -> None:
        """Make the target network equal to the online one."""
        for slow, fast in zip(self.target.weights, self.online.weights, strict=True):
            slow.assign(fast)


def _network(width: int, actions: int, hidden: Sequence[int], name: str) -> Sequential:
    inner = [layers.Dense(units, activation="relu", kernel_initializer="he_uniform") for units in hidden]
    return Sequential([layers.Input((width,)), *inner, layers.Dense(actions)], name=name)


__all__ = ["DeepQ", "Draws", "ReplayMemory"]
