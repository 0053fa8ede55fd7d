"""The state of things that a hand-written loop changes, as trees of arrays, numbers and strings, and back again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from corenn.errors import CheckpointError, UsageError
from corenn.layers.base import Layer
from corenn.ops.creation import tensor
from corenn.variable import Variable

_PLAIN = (bool, int, float, str, type(None), np.generic)
_PAIRS = (("state_dict", "load_state_dict"), ("get_state", "set_state"), ("getstate", "setstate"),
          ("state", "set_state"))  # fmt: skip


def check_tracked(name: str, value: Any) -> None:
    """UsageError unless ``value`` has a state that can be taken and given back in place.

    That have variables, layers and models, optimizers, metrics, random generators (corenn's, NumPy's, Python's), NumPy
    arrays, everything with ``state_dict()`` and ``load_state_dict(state)``, and lists, deques and dicts of these or of
    numbers and strings (they may grow).
    """
    if isinstance(value, (list, tuple, deque, dict)):
        if isinstance(value, dict) and not all(isinstance(key, str) for key in value):
            raise UsageError("loop", f"{name} has keys that are no strings", hint="use strings as keys")
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            if not isinstance(item, _PLAIN):
                check_tracked(f"{name}[{key!r}]", item)
            elif isinstance(value, tuple):
                raise UsageError("loop", f"{name}[{key!r}] cannot change: it is {item!r} in a tuple",
                                 hint="track a list or a dict")  # fmt: skip
        return
    if isinstance(value, _PLAIN):
        raise UsageError("loop", f"{name}={value!r} cannot be restored in place",
                         hint=f"put it into a list or dict that is tracked: {name}=[{value!r}]")  # fmt: skip
    if not _is_leaf(value):
        raise UsageError("loop", f"{name} has no state that could be saved: it is a {type(value).__name__}",
                         hint="give it state_dict() and load_state_dict(state)")  # fmt: skip


def _is_leaf(value: Any) -> bool:
    return isinstance(value, (Variable, Layer, np.ndarray, np.random.Generator)) or _methods(value) is not None


def _methods(value: Any) -> tuple[Callable[[], Any], Callable[[Any], Any]] | None:
    """What takes the state of ``value``, and what gives it back."""
    for take, give in _PAIRS:
        taker, giver = getattr(value, take, None), getattr(value, give, None)
        if callable(taker) and callable(giver):
            return taker, giver
    return None


def capture(value: Any) -> Any:
    """The present state, for ``corenn.checkpoint.pack_state``."""
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, dict):
        return {key: capture(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(capture(item) for item in value)
    if isinstance(value, (list, deque)):
        return [capture(item) for item in value]
    if isinstance(value, Variable):
        return value.numpy()
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, np.random.Generator):
        return _as_dicts(value.bit_generator.state)
    methods = _methods(value)
    if methods is not None:
        return methods[0]()
    return dict(zip(value.weight_names(), [v.numpy() for v in value.weights], strict=True))


def restore(name: str, value: Any, state: Any) -> None:
    """Give ``value`` its state back, in place; CheckpointError names what does not fit."""
    if isinstance(value, dict):
        _restore_dict(name, value, state)
    elif isinstance(value, (list, deque)) and all(isinstance(item, _PLAIN) for item in value):
        _require(isinstance(state, list), name, value, state)
        value.clear()
        value.extend(state)
    elif isinstance(value, (list, tuple, deque)):
        _require(isinstance(state, (list, tuple)) and len(state) == len(value), name, value, state)
        for i, item in enumerate(value):
            if isinstance(item, _PLAIN):
                assert not isinstance(value, tuple)  # which hold nothing plain
                value[i] = state[i]
            else:
                restore(f"{name}[{i}]", item, state[i])
    elif isinstance(value, (Variable, np.ndarray)):
        _require(getattr(state, "shape", None) == value.shape, name, value, state)
        if isinstance(value, Variable):
            value.assign(tensor(state, dtype=value.dtype, device=value.device))
        else:
            value[...] = state
    elif isinstance(value, np.random.Generator):
        value.bit_generator.state = state
    else:
        _restore_object(name, value, state)


def _restore_dict(name: str, value: dict[str, Any], state: Any) -> None:
    plain = all(isinstance(item, _PLAIN) for item in value.values())
    _require(isinstance(state, dict) and (plain or state.keys() == value.keys()), name, value, state)
    if plain:
        value.clear()
    for key, saved in state.items():
        if plain or isinstance(value[key], _PLAIN):
            value[key] = saved
        else:
            restore(f"{name}[{key!r}]", value[key], saved)


def _restore_object(name: str, value: Any, state: Any) -> None:
    methods = _methods(value)
    if methods is not None:
        methods[1](state)
        return
    names = value.weight_names()
    if set(names) != set(state):
        what = f"the layer {name} has other weights than were saved"
        shown = {"saved": ", ".join(state) or "none", "now": ", ".join(names) or "none"}
        raise CheckpointError("loop", what, shown, hint="call it on a batch first; was it made with the same settings?")
    for key, variable in zip(names, value.weights, strict=True):
        restore(f"{name}.{key}", variable, state[key])


def _require(fits: bool, name: str, value: Any, state: Any) -> None:
    if not fits:
        shown = {"saved": _kind(state), "now": _kind(value)}
        raise CheckpointError("loop", f"the saved state of {name} does not fit", shown,
                              hint="was the run started with other settings?")  # fmt: skip


def _kind(value: Any) -> str:
    if isinstance(value, (Variable, np.ndarray)):
        return f"{type(value).__name__} of shape {tuple(value.shape)}"
    return f"{type(value).__name__} of {len(value)}" if hasattr(value, "__len__") else type(value).__name__


def _as_dicts(state: Mapping[str, Any]) -> dict[str, Any]:
    """The state of NumPy's bit generators, whose dicts may hold NumPy arrays."""
    return {key: _as_dicts(item) if isinstance(item, Mapping) else item for key, item in state.items()}


__all__ = ["capture", "check_tracked", "restore"]
