"""Looking things up the way Keras does: by name, dictionary, class, object or function, with users' own classes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from corenn.errors import UsageError, nearest

#: Users' own classes and functions, by the name files use (``custom_object_scope``, ``get_custom_objects``).
CUSTOM: dict[str, Any] = {}


@contextlib.contextmanager
def custom_object_scope(*args: Mapping[str, Any], **named: Any) -> Iterator[dict[str, Any]]:
    """Names that are known in the block."""
    before = dict(CUSTOM)
    for given in (*args, named):
        CUSTOM.update(given or {})
    try:
        yield CUSTOM
    finally:
        CUSTOM.clear()
        CUSTOM.update(before)


def get_custom_objects() -> dict[str, Any]:
    """The dictionary of names that are known everywhere."""
    return CUSTOM


def made(kind: str, identifier: Any, names: Mapping[str, Any], custom: Mapping[str, Any] | None = None) -> Any:
    """The object for a name or ``{"class_name": ..., "config": ...}``; UsageError with the nearest names."""
    config: Mapping[str, Any] = {}
    name = identifier
    if isinstance(identifier, Mapping):
        name, config = identifier["class_name"], identifier.get("config") or {}
        if not isinstance(config, Mapping):  # a function's name
            name, config = config, {}
    found = (custom or {}).get(name, CUSTOM.get(name, names.get(name)))
    if found is None:
        raise UsageError(kind, f"Unknown {kind}: {name}", hint=nearest(str(name), names))
    if isinstance(found, type):
        return found.from_config(config) if hasattr(found, "from_config") else found(**config)
    return found


def serialized(value: Any) -> Any:
    """``{"class_name": ..., "config": ...}`` of an object, the name of a function, ``None`` as it is."""
    value = getattr(value, "wrapped_function", value)
    if value is None or isinstance(value, str):
        return value
    if hasattr(value, "get_config"):
        return {"class_name": type(value).__name__, "config": value.get_config()}
    name = getattr(value, "__name__", None)
    if name is None:
        raise ValueError(f"Cannot serialize {value!r}")
    return name


def both(names: dict[str, Any], classes: Mapping[str, Any]) -> None:
    """Add classes under their own names and in snake case."""
    from corenn.layers.naming import snake_case

    for name, value in classes.items():
        names[name] = value
        names.setdefault(snake_case(name), value)


def functions(module: Mapping[str, Any], names: list[str]) -> dict[str, Callable[..., Any]]:
    """The functions of a module's namespace by name."""
    return {name: module[name] for name in names}


__all__ = ["CUSTOM", "both", "custom_object_scope", "functions", "get_custom_objects", "made", "serialized"]
