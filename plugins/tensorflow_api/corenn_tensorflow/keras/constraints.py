"""``keras.constraints``."""

from __future__ import annotations

from typing import Any

from corenn import constraints as core
from corenn.constraints import Constraint
from corenn_tensorflow.keras import _lookup
from corenn_tensorflow.missing import guard

MaxNorm, MinMaxNorm, NonNeg, UnitNorm = core.MaxNorm, core.MinMaxNorm, core.NonNeg, core.UnitNorm
max_norm = maxnorm = MaxNorm
min_max_norm = MinMaxNorm
non_neg = nonneg = NonNeg
unit_norm = unitnorm = UnitNorm

_NAMES: dict[str, Any] = {"maxnorm": MaxNorm, "nonneg": NonNeg, "unitnorm": UnitNorm}
_lookup.both(_NAMES, {c.__name__: c for c in (MaxNorm, MinMaxNorm, NonNeg, UnitNorm)})


def get(identifier: Any) -> Any:
    """The constraint for a name, dictionary, function or object; ``None`` for ``None``."""
    if identifier is None:
        return None
    if isinstance(identifier, (str, dict)):
        return _lookup.made("constraint", identifier, _NAMES)
    if isinstance(identifier, type):
        return identifier()
    if callable(identifier):
        return identifier
    raise ValueError(f"Could not interpret constraint identifier: {identifier}")


serialize = _lookup.serialized


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """The constraint that ``serialize`` wrote."""
    with _lookup.custom_object_scope(custom_objects or {}):
        return get(config)


__all__ = [
    "Constraint", "MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm", "deserialize", "get", "max_norm", "min_max_norm",
    "non_neg", "serialize", "unit_norm",
]  # fmt: skip
__getattr__ = guard(__name__)
