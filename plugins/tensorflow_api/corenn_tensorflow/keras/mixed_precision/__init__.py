"""``keras.mixed_precision``: dtype policies.  Computing in one dtype and keeping weights in another is not offered."""

from __future__ import annotations

from typing import Any

from corenn.errors import UsageError
from corenn_tensorflow.keras.backend import settings
from corenn_tensorflow.missing import guard

_MIXED = {"mixed_float16": "float16", "mixed_bfloat16": "bfloat16"}


class Policy:
    """The dtype that layers compute in and keep their weights in; UsageError for policies with two dtypes."""

    def __init__(self, name: str, loss_scale: Any = None) -> None:
        if not isinstance(name, str):
            raise TypeError(f"'name' must be a string, such as 'float32', but got: {name!r}")
        if name in _MIXED:
            raise UsageError(
                f"mixed_precision.Policy({name!r})",
                f"corenn's layers compute in the dtype of their weights, not in {_MIXED[name]} beside float32 weights",
                hint=f"leave the policy out, or give layers dtype={_MIXED[name]!r}",
            )  # fmt: skip
        if name not in ("float16", "bfloat16", "float32", "float64"):
            raise ValueError(
                f"Cannot convert value {name} to a mixed precision Policy. Valid policies include 'float16', "
                "'float32', 'float64' and 'bfloat16'."
            )
        self._name = name

    @property
    def name(self) -> str:
        """Its name."""
        return self._name

    @property
    def compute_dtype(self) -> str:
        """What layers compute in."""
        return self._name

    variable_dtype = _compute_dtype = compute_dtype

    def get_config(self) -> dict[str, Any]:
        """The argument."""
        return {"name": self._name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Policy:
        """A policy from its configuration."""
        return cls(**config)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Policy) and other._name == self._name

    def __hash__(self) -> int:
        return hash(self._name)

    def __repr__(self) -> str:
        return f'<Policy "{self._name}">'


def global_policy() -> Policy:
    """The policy of layers that are given no dtype: that of ``keras.backend.floatx()``."""
    return Policy(settings.floatx())


def set_global_policy(policy: Any) -> None:
    """Set it: a policy, or its name; the same as ``keras.backend.set_floatx``."""
    chosen = policy if isinstance(policy, Policy) else Policy(policy or "float32")
    settings.set_floatx(chosen.name)


set_policy = set_global_policy

__all__ = ["Policy", "global_policy", "set_global_policy"]

from corenn_tensorflow.keras.mixed_precision import experimental as experimental  # noqa: E402  # needs the names above

__getattr__ = guard(__name__)
