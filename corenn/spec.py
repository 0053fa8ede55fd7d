"""``Spec``: what is known of a tensor before its values are: shape, dtype and, for real arrays, the device."""

from __future__ import annotations

import math
import weakref
from typing import TYPE_CHECKING, NoReturn, TypeAlias

from corenn.dtypes import DType
from corenn.errors import ShapeError, UsageError

if TYPE_CHECKING:
    from corenn.device import Device

Shape: TypeAlias = tuple[int | None, ...]


class Spec:
    """Shape, dtype and device, interned: equal specs are one object, so a plan is found by identity.

    ``shape`` is a tuple of ints; ``None`` stands for an extent known only when the op has run.  ``device`` is ``None``
    where no array exists yet (inference, graphs).
    """

    __slots__ = ("__weakref__", "device", "dtype", "shape")

    shape: Shape
    dtype: DType
    device: Device | None

    def __new__(cls, shape: Shape, dtype: DType, device: Device | None = None) -> Spec:
        """Return the one spec of these three."""
        key = (shape, dtype, device)
        found = _TABLE.get(key)
        if found is None:
            found = super().__new__(cls)
            found.shape, found.dtype, found.device = shape, dtype, device
            _TABLE[key] = found
        return found

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @property
    def static(self) -> tuple[int, ...]:
        """The shape, all extents known; ValueError if one is not."""
        if None in self.shape:
            raise ValueError(f"{self} has an extent that is not known yet")
        return self.shape  # type: ignore[return-value]  # checked just now

    def extent(self, axis: int) -> int:
        """The extent of one axis, counted from the end if negative; ShapeError if it is not known yet."""
        found = self.shape[axis]
        if found is None:
            raise ShapeError(
                str(self), f"the extent of axis {axis % self.ndim} must be known here", hint="give it in the shape"
            )
        return found

    @property
    def size(self) -> int:
        """Number of elements; ValueError if an extent is unknown."""
        return math.prod(self.static)

    @property
    def nbytes(self) -> int:
        """Size of the data in bytes."""
        return self.size * self.dtype.itemsize

    def at(self, device: Device | None) -> Spec:
        """The same shape and dtype on ``device``."""
        return self if self.device is device else Spec(self.shape, self.dtype, device)

    def of(self, dtype: DType) -> Spec:
        """The same shape and device with another dtype."""
        return Spec(self.shape, dtype, self.device)

    def shaped(self, shape: Shape) -> Spec:
        """The same dtype and device with another shape."""
        return Spec(shape, self.dtype, self.device)

    def __getitem__(self, axis: object) -> NoReturn:
        raise UsageError("Spec", "holds the dtype and device as well as the shape", {"spec": self},
                         hint=f"spec.shape[{axis}] is an extent")  # fmt: skip

    def __str__(self) -> str:
        return f"{self.dtype.name}[{', '.join('?' if n is None else str(n) for n in self.shape)}]"

    def __repr__(self) -> str:
        return f"Spec({self.shape}, {self.dtype.name!r}" + (f", {str(self.device)!r})" if self.device else ")")

    def __reduce__(self) -> tuple[object, ...]:
        return Spec, (self.shape, self.dtype, self.device)


# Weak, so that specs of shapes no longer in use disappear with the last tensor or plan that names them.
_TABLE: weakref.WeakValueDictionary[tuple[Shape, DType, Device | None], Spec] = weakref.WeakValueDictionary()
