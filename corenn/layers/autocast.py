"""What mixed precision does around a layer's ``call``: its weights appear in the dtype it computes in."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from corenn import tree
from corenn.dtypes import DType
from corenn.tensor import Tensor
from corenn.variable import Variable

if TYPE_CHECKING:
    from corenn.layers.base import Layer

#: Attributes in which a layer keeps its variables as such.
_KEPT = frozenset({"_own_weights", "_fixed", "_regularized"})
#: Two threads in one layer would see each other's weights.
_locks: weakref.WeakKeyDictionary[Layer, threading.RLock] = weakref.WeakKeyDictionary()
_making = threading.Lock()


def _lock_of(layer: Layer) -> threading.RLock:
    with _making:
        return _locks.setdefault(layer, threading.RLock())


@contextmanager
def autocast(layer: Layer) -> Iterator[None]:
    """In the block, attributes that hold the layer's own trained weights hold them cast to its compute dtype.

    The casts are recorded by tapes, so gradients reach the variables in their own dtype.  Statistics and other weights
    that are never trained stay as they are: the layer assigns to them.
    """
    wanted = layer.compute_dtype
    own = {
        id(v): v
        for v in layer._own_weights
        if id(v) not in layer._fixed and v.dtype is not wanted and v.dtype.is_floating
    }
    if not own:
        yield
        return
    made: dict[int, Tensor] = {}

    def replaced(value: Any) -> Any:
        if isinstance(value, Variable):
            if id(value) not in own:
                return value
            if id(value) not in made:
                made[id(value)] = value.cast(wanted)
            return made[id(value)]
        if isinstance(value, (list, tuple)):
            new = [replaced(v) for v in value]
            same = all(a is b for a, b in zip(new, value, strict=True))
            return value if same else tuple(new) if isinstance(value, tuple) else new
        if isinstance(value, dict):
            items = {k: replaced(v) for k, v in value.items()}
            return value if all(items[k] is value[k] for k in items) else items
        return value

    with _lock_of(layer):
        before = {}
        for name, value in list(layer.__dict__.items()):
            new = value if name in _KEPT else replaced(value)
            if new is not value:
                before[name] = value
                layer.__dict__[name] = new
        try:
            yield
        finally:
            layer.__dict__.update(before)


def to_dtype(result: Any, dtype: DType) -> Any:
    """A structure of tensors with the floating ones cast."""

    def cast(leaf: Any) -> Any:
        inexact = isinstance(leaf, Tensor) and leaf.dtype.is_floating and leaf.dtype is not dtype
        return leaf.cast(dtype) if inexact else leaf

    return tree.tree_map(cast, result)


__all__ = ["autocast", "to_dtype"]
