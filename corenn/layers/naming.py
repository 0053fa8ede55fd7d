"""Names of layers and of the weights inside them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

_counts: dict[str, int] = {}


class Named(Protocol):
    """Anything with a name."""

    name: str


def snake_case(name: str) -> str:
    """``Conv2DTranspose`` to ``conv2d_transpose``: how a layer is named after its class."""
    spaced = re.sub(r"([a-z0-9])([A-Z][a-z])", r"\1_\2", re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name))
    return re.sub(r"_+", "_", re.sub(r"([a-z])([A-Z])", r"\1_\2", spaced)).strip("_").lower()


def unique_name(base: str) -> str:
    """``base``, ``base_1``, ``base_2``, ... in order of asking, since the last ``reset_names``."""
    count = _counts.get(base, 0)
    _counts[base] = count + 1
    return base if count == 0 else f"{base}_{count}"


def reset_names() -> None:
    """Start naming layers from the beginning."""
    _counts.clear()


def numbered(names: Iterable[str]) -> list[str]:
    """The names in order, made unique: the second ``a`` becomes ``a_1``, or the next number that is free."""
    listed = list(names)
    taken, given, found = set(listed), set(), []
    for name in listed:
        chosen, count = name, 0
        while chosen in given or (count and chosen in taken):
            count += 1
            chosen = f"{name}_{count}"
        given.add(chosen)
        found.append(chosen)
    return found


def local_names(layers: Sequence[Named]) -> list[str]:
    """Names of a model's layers as its weights use them: automatic ones are counted from the beginning in each model.

    So a model made a second time in a process has the weight names of the first.
    """
    bases = []
    for layer in layers:
        base = snake_case(type(layer).__name__)
        bases.append(base if re.fullmatch(rf"{re.escape(base)}(_\d+)?", layer.name) else layer.name)
    return numbered(bases)


def collect(key: str, value: Any, kind: type[Any], found: list[tuple[str, Any]]) -> None:
    """Append ``(path, object)`` for every object of ``kind`` in an attribute: itself, or in lists, tuples and dicts."""
    if isinstance(value, kind):
        found.append((key, value))
    elif isinstance(value, (list, tuple)):
        for position, item in enumerate(value):
            collect(f"{key}/{position}", item, kind, found)
    elif isinstance(value, dict):
        for name, item in value.items():
            collect(f"{key}/{name}", item, kind, found)


__all__ = ["collect", "local_names", "numbered", "reset_names", "snake_case", "unique_name"]
