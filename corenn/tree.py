"""Nested structures (dicts, lists, tuples, named tuples) of leaves: flatten, rebuild, map.

Dict entries are taken in sorted key order, so that equal structures flatten alike.  ``None`` is a leaf.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from corenn.errors import UsageError


def leaves(tree: Any) -> list[Any]:
    """All leaves, in order."""
    if not isinstance(tree, (dict, list, tuple)):
        return [tree]
    return list(_walk(tree))


def _walk(tree: Any) -> Iterator[Any]:
    if isinstance(tree, dict):
        for key in _ordered(tree):
            yield from _walk(tree[key])
    elif isinstance(tree, (list, tuple)):
        for item in tree:
            yield from _walk(item)
    else:
        yield tree


def _ordered(tree: dict[Any, Any]) -> list[Any]:
    try:
        return sorted(tree)
    except TypeError:
        return list(tree)


def rebuild(tree: Any, new_leaves: Iterator[Any]) -> Any:
    """A structure like ``tree`` with leaves taken from the iterator in order."""
    if not isinstance(tree, (dict, list, tuple)):
        return next(new_leaves)
    if isinstance(tree, dict):
        made = {key: rebuild(tree[key], new_leaves) for key in _ordered(tree)}
        return {key: made[key] for key in tree} if type(tree) is dict else type(tree)((k, made[k]) for k in tree)
    if isinstance(tree, list):
        return [rebuild(item, new_leaves) for item in tree]
    items = [rebuild(item, new_leaves) for item in tree]
    return type(tree)(*items) if hasattr(tree, "_fields") else tuple(items)


def tree_map(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """A structure like ``tree``: ``function`` applied to its leaves (and those of ``others``, of equal structure)."""
    lists = [leaves(t) for t in (tree, *others)]
    if any(len(found) != len(lists[0]) for found in lists):
        raise UsageError("tree_map", f"the structures have {', '.join(str(len(n)) for n in lists)} leaves")
    return rebuild(tree, map(function, *lists))
