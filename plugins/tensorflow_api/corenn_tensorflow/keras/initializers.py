"""``keras.initializers``: corenn's, under Keras's names."""

from __future__ import annotations

import inspect
from typing import Any

from corenn import initializers as core
from corenn.dtypes import float32
from corenn.initializers import Initializer
from corenn_tensorflow.keras import _lookup
from corenn_tensorflow.missing import guard

Zeros, Ones, Constant = core.Zeros, core.Ones, core.Constant
RandomNormal, RandomUniform, TruncatedNormal = core.RandomNormal, core.RandomUniform, core.TruncatedNormal
Orthogonal, Identity = core.Orthogonal, core.Identity
GlorotNormal, GlorotUniform, HeNormal, HeUniform = core.GlorotNormal, core.GlorotUniform, core.HeNormal, core.HeUniform
LecunNormal, LecunUniform = core.LecunNormal, core.LecunUniform


class VarianceScaling(core.VarianceScaling):
    """Variance ``scale / n``; ``distribution="normal"`` is the truncated one, as in Keras."""

    def __init__(
        self, scale: float = 1.0, mode: str = "fan_in", distribution: str = "normal", seed: int | None = None
    ) -> None:
        chosen: Any = "truncated_normal" if distribution == "normal" else distribution
        super().__init__(scale, mode, chosen, seed)  # type: ignore[arg-type]  # checked there


zeros, ones, constant = Zeros, Ones, Constant
normal = random_normal = RandomNormal
uniform = random_uniform = RandomUniform
truncated_normal, orthogonal, identity = TruncatedNormal, Orthogonal, Identity
one, zero = Ones, Zeros
glorot_normal, glorot_uniform, he_normal, he_uniform = GlorotNormal, GlorotUniform, HeNormal, HeUniform
lecun_normal, lecun_uniform = LecunNormal, LecunUniform

_CLASSES = {
    c.__name__: c
    for c in (Zeros, Ones, Constant, RandomNormal, RandomUniform, TruncatedNormal, VarianceScaling, Orthogonal,
              Identity, GlorotNormal, GlorotUniform, HeNormal, HeUniform, LecunNormal, LecunUniform)
}  # fmt: skip
_NAMES: dict[str, Any] = {"normal": RandomNormal, "uniform": RandomUniform, "one": Ones, "zero": Zeros}
_lookup.both(_NAMES, _CLASSES)


class _Function(Initializer):
    """A user's function of a shape as an initializer."""

    def __init__(self, function: Any) -> None:
        self.function = self.wrapped_function = function
        try:
            parameters = inspect.signature(function).parameters
            self._takes_dtype = "dtype" in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        except (TypeError, ValueError):
            self._takes_dtype = False

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Call it."""
        return self.function(shape, dtype=dtype or float32) if self._takes_dtype else self.function(shape)

    def get_config(self) -> dict[str, Any]:
        """The function's own, or its name."""
        own = getattr(self.function, "get_config", None)
        return own() if own is not None else {"function": getattr(self.function, "__name__", repr(self.function))}


def get(identifier: Any) -> Any:
    """The initializer for a name, dictionary, class, function or object; ``None`` for ``None``."""
    if identifier is None or isinstance(identifier, Initializer):
        return identifier
    if isinstance(identifier, (str, dict)):
        found = _lookup.made("initializer", identifier, _NAMES)
        return found if isinstance(found, Initializer) else _Function(found)
    if isinstance(identifier, type):
        return get(identifier())
    if callable(identifier):
        return _Function(identifier)
    raise ValueError(f"Could not interpret initializer identifier: {identifier}")


serialize = _lookup.serialized


def deserialize(config: Any, custom_objects: Any = None) -> Any:
    """The initializer that ``serialize`` wrote."""
    with _lookup.custom_object_scope(custom_objects or {}):
        return get(config)


__all__ = [
    "Constant", "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "Identity", "Initializer", "LecunNormal",
    "LecunUniform", "Ones", "Orthogonal", "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling",
    "Zeros", "constant", "deserialize", "get", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform", "identity",
    "lecun_normal", "lecun_uniform", "normal", "one", "ones", "orthogonal", "random_normal", "random_uniform",
    "serialize", "truncated_normal", "uniform", "zero", "zeros",
]  # fmt: skip
__getattr__ = guard(__name__)
