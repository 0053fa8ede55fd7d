"""``Variable``: a named tensor whose value can be replaced; what models train and optimizers update."""

from __future__ import annotations

from typing import Any, NoReturn

from corenn.errors import BackendError, DTypeError, GraphError, ImmutableError, ShapeError
from corenn.ops.creation import tensor
from corenn.ops.dispatch import current
from corenn.tensor import Tensor


def _value_now(initial: Any, name: str) -> Tensor:
    """The value of a tensor of a graph, if it is that of a function being traced and depends on no argument."""
    compute = getattr(getattr(initial, "graph", None), "value_now", None)
    if compute is None:
        raise GraphError(
            f"Variable {name!r}", "its initial value is a tensor of a graph, which has a value only when that runs",
            hint="corenn.graph.variable(value) for a variable of a session's graph",
        )  # fmt: skip
    found: Tensor = compute(initial, f"Variable {name!r}")
    return found


class Variable(Tensor):
    """A tensor with a name whose value ``assign`` replaces; its shape and dtype never change.

    ``value``: a tensor, array or nested lists.  ``trainable`` variables are watched by every tape that reads them and
    trained by optimizers.  A variable can be used wherever a tensor can; an op sees the value it has at that moment.
    """

    __slots__ = ("constraint", "name", "trainable")

    def __init__(
        self,
        value: Any,
        *,
        name: str = "variable",
        trainable: bool = True,
        dtype: object = None,
        constraint: Any = None,
    ) -> None:
        initial = tensor(value, dtype=dtype)
        if hasattr(initial, "__corenn_op__"):
            initial = _value_now(initial, name)
        super().__init__(initial.data, initial.spec)
        self.name = name
        self.trainable = trainable
        self.constraint = constraint

    def value(self) -> Tensor:
        """The present value, as a tensor that later assignments do not change (recorded where a tape reads it)."""
        from corenn.ops.elementwise import identity

        return identity(self)

    def assign(self, value: Any) -> Variable:
        """Replace the value by one of the same shape and dtype (Python numbers and arrays are converted)."""
        in_graph = getattr(current(), "assign_variable", None)
        if in_graph is not None:  # a function is being traced
            in_graph(self, value)
            return self
        new = value if isinstance(value, Tensor) else tensor(value, dtype=self.dtype, device=self.device)
        if new.spec is not self.spec:
            self._refuse(new)
        self.data = new.data
        self.node = None
        return self

    def _refuse(self, new: Tensor) -> None:
        operands = {"variable": self.spec, "value": new.spec}
        if new.spec.shape != self.spec.shape:
            raise ShapeError(f"assign to {self.name!r}", "the value has another shape", operands)
        if new.spec.dtype is not self.spec.dtype:
            hint = f"corenn.cast(value, dtype={self.dtype.name!r})"
            raise DTypeError(f"assign to {self.name!r}", "the value has another dtype", operands, hint=hint)
        places = {"variable": self.device, "value": new.device}
        hint = f"value.to({self.device.name!r})"
        raise BackendError(f"assign to {self.name!r}", "the value is on another device", places, hint=hint)

    def assign_add(self, delta: Any) -> Variable:
        """Add ``delta`` (broadcast to the variable's shape)."""
        return self.assign(self.value() + delta)

    def assign_sub(self, delta: Any) -> Variable:
        """Subtract ``delta`` (broadcast to the variable's shape)."""
        return self.assign(self.value() - delta)

    def _refuse_in_place(self, other: Any) -> NoReturn:
        raise ImmutableError(
            f"{self.name!r} += value",
            "a variable is not changed by +=, -= and the like",
            {"variable": self.spec},
            hint="v.assign_add(value) or v.assign(...) changes it; y = v + value makes a new tensor",
        )

    # Without these, v += 1 would make v a plain tensor, which no tape watches and no optimizer trains.
    __iadd__ = __isub__ = __imul__ = __itruediv__ = __ifloordiv__ = __imod__ = __ipow__ = __imatmul__ = _refuse_in_place

    def move_to(self, device: Any) -> Variable:
        """Move the value to another device, in place; optimizers and layers keep the same variable.

        GraphError while a function is traced: what it computes would have no value to move.
        """
        if hasattr(current(), "assign_variable"):
            raise GraphError(f"Variable {self.name!r}", "it cannot be moved while a function is traced",
                             hint="move it before the function is called")  # fmt: skip
        moved = self.value().to(device)
        self.data, self.spec, self.node = moved.data, moved.spec, None
        return self

    def __repr__(self) -> str:
        body = super().__repr__().removeprefix("corenn.tensor(")
        return f"corenn.Variable({self.name!r}, {body}"
