"""``keras.regularizers``."""

from __future__ import annotations

from typing import Any

from corenn import regularizers as core
from corenn.regularizers import Regularizer
from corenn_tensorflow.keras import _lookup
from corenn_tensorflow.missing import guard


class L1L2(core.L1L2):
    """``l1 * sum(|w|) + l2 * sum(w ** 2)``."""

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        super().__init__(float(l1), float(l2))


L1, L2 = core.L1, core.L2
WeightRegularizer = ActivityRegularizer = L1L2


def l1(l: float = 0.01, **named: float) -> L1L2:  # noqa: E741  # Keras's name
    """``l * sum(|w|)``."""
    return L1L2(l1=named.get("l1", l))


def l2(l: float = 0.01, **named: float) -> L1L2:  # noqa: E741
    """``l * sum(w ** 2)``."""
    return L1L2(l2=named.get("l2", l))


def l1_l2(l1: float = 0.01, l2: float = 0.01) -> L1L2:
    """Both."""
    return L1L2(l1=l1, l2=l2)


l1l2 = activity_l1l2 = l1_l2
activity_l1, activity_l2 = l1, l2
_NAMES: dict[str, Any] = {"L1L2": L1L2, "L1": L1, "L2": L2, "l1": l1(), "l2": l2(), "l1_l2": l1_l2()}


def get(identifier: Any) -> Any:
    """The regularizer for a name, dictionary, function or object; ``None`` for ``None``."""
    if identifier is None:
        return None
    if isinstance(identifier, (str, dict)):
        return _lookup.made("regularizer", identifier, _NAMES)
    if isinstance(identifier, type):
        return identifier()
    if callable(identifier):
        return identifier
    raise ValueError(f"Could not interpret regularizer identifier: {identifier}")


serialize = _lookup.serialized


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """The regularizer that ``serialize`` wrote."""
    with _lookup.custom_object_scope(custom_objects or {}):
        return get(config)


__all__ = ["L1", "L1L2", "L2", "Regularizer", "deserialize", "get", "l1", "l1_l2", "l2", "serialize"]
__getattr__ = guard(__name__)
