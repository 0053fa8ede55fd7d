"""Penalties on weights, added to the loss: called with a variable, they give a scalar tensor to minimise.

Formulas: L1 (lasso) and L2 (ridge, or weight decay in the loss) as in Goodfellow et al., Deep Learning (2016), 7.1;
orthogonality after Brock et al. 2016 (arXiv:1609.07093), in the form of Keras 3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, overload

from corenn.configurable import Configurable, Registry
from corenn.errors import AttributeValueError, ShapeError
from corenn.ops.contraction import matmul
from corenn.ops.creation import eye, zeros
from corenn.ops.elementwise import abs as absolute
from corenn.ops.elementwise import maximum, square
from corenn.ops.reduction import sum as sum_over
from corenn.ops.shaping import transpose
from corenn.tensor import Tensor


class Regularizer(Configurable):
    """Base of regularizers: ``penalty(w)`` is a scalar of the dtype of ``w``, differentiable."""

    def __call__(self, w: Tensor, /) -> Tensor:
        """The penalty of one weight tensor of any shape."""
        raise NotImplementedError(f"{type(self).__name__} does not define __call__")


_registry: Registry[Regularizer] = Registry("regularizer", Regularizer)
register = _registry.register


@overload
def get(spec: None) -> None: ...
@overload
def get(spec: Regularizer | Callable[[Tensor], Tensor] | str | dict[str, Any] | type[Regularizer]) -> Regularizer: ...
def get(spec: Any) -> Any:
    """The regularizer for None, a name (``"l2"``), a class, an instance, a dictionary or a function of the weights."""
    return _registry.get(spec)


def _strength(where: str, **values: float) -> None:
    for name, value in values.items():
        if not value >= 0:
            raise AttributeValueError(where, f"{name} must be at least 0", {name: value})


@register("l1_l2")
class L1L2(Regularizer):
    """``l1 * sum(|w|) + l2 * sum(w ** 2)``.  A factor not given is 0, or 0.01 if neither is given."""

    def __init__(self, l1: float | None = None, l2: float | None = None) -> None:
        missing = 0.01 if l1 is None and l2 is None else 0.0
        self.l1 = missing if l1 is None else float(l1)
        self.l2 = missing if l2 is None else float(l2)
        _strength("L1L2", l1=self.l1, l2=self.l2)

    def __call__(self, w: Tensor, /) -> Tensor:
        """The penalty of ``w``."""
        terms = []
        if self.l1:
            terms.append(sum_over(absolute(w)) * self.l1)
        if self.l2:
            terms.append(sum_over(square(w)) * self.l2)
        if not terms:
            return zeros((), w.dtype, w.device)
        return terms[0] if len(terms) == 1 else terms[0] + terms[1]


@register("l1")
class L1(Regularizer):
    """``l1 * sum(|w|)``: pulls weights to exactly zero."""

    def __init__(self, l1: float = 0.01) -> None:
        _strength("L1", l1=l1)
        self.l1 = float(l1)

    def __call__(self, w: Tensor, /) -> Tensor:
        """The penalty of ``w``."""
        return sum_over(absolute(w)) * self.l1


@register("l2")
class L2(Regularizer):
    """``l2 * sum(w ** 2)``: its gradient is ``2 * l2 * w``."""

    def __init__(self, l2: float = 0.01) -> None:
        _strength("L2", l2=l2)
        self.l2 = float(l2)

    def __call__(self, w: Tensor, /) -> Tensor:
        """The penalty of ``w``."""
        return sum_over(square(w)) * self.l2


@register("orthogonal")
class OrthogonalRegularizer(Regularizer):
    """``factor`` times the mean of |cosine| over all pairs of the rows, or columns, of a matrix: 0 if orthogonal.

    ``mode``: ``"rows"`` or ``"columns"``, the vectors that should be orthogonal.  Takes matrices; ShapeError otherwise.
    """

    def __init__(self, factor: float = 0.01, mode: Literal["rows", "columns"] = "rows") -> None:
        _strength("OrthogonalRegularizer", factor=factor)
        if mode not in ("rows", "columns"):
            raise AttributeValueError("OrthogonalRegularizer", f"mode {mode!r} is neither 'rows' nor 'columns'")
        self.factor, self.mode = float(factor), mode

    def __call__(self, w: Tensor, /) -> Tensor:
        """The penalty of the matrix ``w``."""
        if w.ndim != 2:
            raise ShapeError("OrthogonalRegularizer", "takes matrices", {"w": w.spec})
        vectors = w if self.mode == "rows" else transpose(w)
        lengths = sum_over(square(vectors), axis=1, keepdims=True)
        unit = vectors * (maximum(lengths, 1e-12) ** -0.5)
        gram = matmul(unit, transpose(unit))
        count = unit.shape[0]
        cosines = absolute(gram) * (1.0 - eye(count, dtype=w.dtype, device=w.device))
        return sum_over(cosines) * (self.factor / max(1, count * (count - 1)))


__all__ = ["L1", "L1L2", "L2", "OrthogonalRegularizer", "Regularizer", "get", "register"]
