"""Mixed precision: layers compute in 16 bits, and keep their variables in 32.

::

    with corenn.mixed_precision.policy("mixed_bfloat16"):
        model = corenn.Sequential([...])
    model.compile("adam", "sparse_categorical_crossentropy")

A *policy* names the dtype a layer computes in and that of its variables.  A layer takes the policy of the moment it is
made (``set_global_policy``, or a ``with`` block as above), or the one its ``dtype=`` argument names.  Under
``"mixed_bfloat16"`` and ``"mixed_float16"`` inputs and trained weights are cast to 16 bits for the time of a call;
normalisation, softmax, losses and metrics are computed in float32, and gradients of weights and updates, too.
``compile`` lets the optimizer of a model with float16 layers scale its loss (``optimizers.DynamicLossScale``), which
bfloat16, with its wider range, does not need.  After Micikevicius et al. 2018, "Mixed precision training",
arXiv:1710.03740.

16 bits are quicker where the hardware has them.  NumPy has not: there they save memory, and show what other devices
would compute.
"""

from __future__ import annotations

from contextvars import ContextVar
from types import TracebackType
from typing import Any

from corenn import dtypes
from corenn.dtypes import DType, as_dtype
from corenn.errors import AttributeValueError, DTypeError, nearest

_MIXED = {"mixed_bfloat16": dtypes.bfloat16, "mixed_float16": dtypes.float16}


class Policy:
    """What layers compute in: ``compute_dtype``, and the dtype of their variables, ``variable_dtype``.

    ``with policy:`` makes it that of the layers made in the block.
    """

    __slots__ = ("compute_dtype", "name", "variable_dtype")

    def __init__(self, name: str, compute_dtype: DType, variable_dtype: DType) -> None:
        self.name, self.compute_dtype, self.variable_dtype = name, compute_dtype, variable_dtype

    @property
    def mixed(self) -> bool:
        """Whether the two dtypes differ."""
        return self.compute_dtype is not self.variable_dtype

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Policy) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)

    def __enter__(self) -> Policy:
        _scopes.set((*_scopes.get(), self))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _scopes.set(_scopes.get()[:-1])

    def __repr__(self) -> str:
        return f"corenn.mixed_precision.policy({self.name!r})"


_scopes: ContextVar[tuple[Policy, ...]] = ContextVar("corenn_policies", default=())
_global = Policy("float32", dtypes.float32, dtypes.float32)


def policy(name: Any = None) -> Policy:
    """The policy ``"mixed_bfloat16"``, ``"mixed_float16"``, or of one floating dtype (``"float32"``, ``"float64"``).

    Without a name: the one that layers made here and now take.  Raises AttributeValueError for another name, and
    MissingExtraError for bfloat16 where NumPy lacks it (``pip install 'corenn[bfloat16]'``).
    """
    if name is None:
        return global_policy()
    if isinstance(name, Policy):
        return name
    if isinstance(name, str) and name in _MIXED:
        return Policy(name, _offered(_MIXED[name]), dtypes.float32)
    known = ["float32", *_MIXED, "bfloat16", "float16", "float64"]
    try:
        dtype = as_dtype(name)
    except DTypeError:
        hint = nearest(name, known) if isinstance(name, str) else f"known: {', '.join(known)}"
        raise AttributeValueError("mixed_precision", f"there is no policy {name!r}", hint=hint) from None
    if not dtype.is_floating:
        raise AttributeValueError("mixed_precision", f"layers compute in floating dtypes, not {dtype}")
    return Policy(dtype.name, _offered(dtype), dtype)


def _offered(dtype: DType) -> DType:
    _ = dtype.numpy  # asks for ml_dtypes where it is needed: arrays on the host have the dtype, too
    return dtype


def set_global_policy(name: Any) -> None:
    """Make a policy (or the one of that name) the one that layers take from here on, in all threads.

    Layers made before keep theirs.  Errors: those of ``policy``.
    """
    global _global
    _global = policy("float32" if name is None else name)


def global_policy() -> Policy:
    """The policy that layers made here and now take: of the innermost ``with`` block, or the global one."""
    scopes = _scopes.get()
    return scopes[-1] if scopes else _global


__all__ = ["Policy", "global_policy", "policy", "set_global_policy"]
