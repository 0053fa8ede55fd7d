"""``tf.nest``: nested structures of lists, tuples and dicts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from corenn_tensorflow import missing


def is_nested(structure: Any) -> bool:
    """Whether it is a list, tuple or dict."""
    return isinstance(structure, (list, tuple, Mapping))


is_sequence = is_nested


def _items(structure: Any) -> list[tuple[Any, Any]]:
    if isinstance(structure, Mapping):
        return [(key, structure[key]) for key in sorted(structure)]
    return list(enumerate(structure))


def flatten(structure: Any, expand_composites: bool = False) -> list[Any]:
    """The leaves in order; dicts in the order of their sorted keys."""
    if not is_nested(structure):
        return [structure]
    return [leaf for _, part in _items(structure) for leaf in flatten(part)]


def _packed(structure: Any, leaves: Any) -> Any:
    if not is_nested(structure):
        return next(leaves)
    made = {key: _packed(part, leaves) for key, part in _items(structure)}
    if isinstance(structure, Mapping):
        return type(structure)((key, made[key]) for key in structure)  # type: ignore[call-arg]  # a dict's own type
    listed = [made[i] for i in range(len(structure))]
    return type(structure)(*listed) if hasattr(structure, "_fields") else type(structure)(listed)  # type: ignore[call-arg]


def pack_sequence_as(structure: Any, flat_sequence: Any, expand_composites: bool = False) -> Any:
    """The structure with other leaves."""
    leaves = list(flat_sequence)
    count = len(flatten(structure))
    if count != len(leaves):
        raise ValueError(
            f"Could not pack sequence. Structure had {count} atoms, but flat_sequence had {len(leaves)} items."
        )
    return _packed(structure, iter(leaves))


def assert_same_structure(nest1: Any, nest2: Any, check_types: bool = True, expand_composites: bool = False) -> None:
    """ValueError (TypeError for other types) unless both are nested alike."""
    if is_nested(nest1) != is_nested(nest2):
        raise ValueError(f"The two structures don't have the same nested structure: {nest1!r} and {nest2!r}")
    if not is_nested(nest1):
        return
    if check_types and type(nest1) is not type(nest2):
        raise TypeError(f"The two structures don't have the same sequence type: {type(nest1)} and {type(nest2)}")
    first, second = _items(nest1), _items(nest2)
    if [k for k, _ in first] != [k for k, _ in second]:
        raise ValueError(f"The two structures don't have the same nested structure: {nest1!r} and {nest2!r}")
    for (_, a), (_, b) in zip(first, second, strict=True):
        assert_same_structure(a, b, check_types)


def map_structure(func: Callable[..., Any], *structure: Any, **options: Any) -> Any:
    """``func`` of the leaves that stand at the same place, in the structure of the first."""
    if not callable(func):
        raise TypeError(f"func must be callable, got: {func}")
    if not structure:
        raise ValueError("Must provide at least one structure")
    for other in structure[1:]:
        assert_same_structure(structure[0], other, options.get("check_types", True))
    columns = zip(*[flatten(s) for s in structure], strict=True)
    return pack_sequence_as(structure[0], [func(*column) for column in columns])


__all__ = ["assert_same_structure", "flatten", "is_nested", "map_structure", "pack_sequence_as"]

__getattr__ = missing.guard(__name__)
