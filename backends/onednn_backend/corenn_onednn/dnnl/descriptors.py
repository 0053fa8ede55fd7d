"""Memory descriptors: shape, dtype and where each element lies."""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence
from functools import cached_property

from corenn_onednn.dnnl import constants
from corenn_onednn.dnnl.errors import check
from corenn_onednn.dnnl.library import load

Dims = ctypes.c_int64 * constants.MAX_AXES


def dims(numbers: Sequence[int]) -> ctypes.Array[ctypes.c_int64]:
    """Numbers as ``dnnl_dims_t``."""
    return Dims(*numbers)


def contiguous(shape: Sequence[int], order: Sequence[int] | None = None) -> tuple[int, ...]:
    """Strides, in elements, of a dense array of ``shape`` whose axes lie in ``order``, the outermost first.

    ``contiguous((n, c, h, w), (0, 2, 3, 1))`` is channels last.
    """
    strides, step = [0] * len(shape), 1
    for axis in reversed(range(len(shape)) if order is None else order):
        strides[axis] = step
        step *= max(1, shape[axis])
    return tuple(strides)


class Descriptor:
    """Shape, dtype (by name: "float32", "bfloat16" ...) and layout of a memory.

    ``strides`` counts elements; ``None`` is row-major; ``"any"`` leaves the layout to a primitive, whose
    ``descriptors`` then say what it chose.  Two are equal when the same bytes mean the same in both.  Immutable.
    """

    __slots__ = ("__dict__", "__weakref__", "dtype", "handle", "shape")

    def __init__(
        self, shape: Sequence[int], dtype: str = "float32", strides: Sequence[int] | str | None = None
    ) -> None:
        library, made, shape = load(), ctypes.c_void_p(), tuple(shape)
        number, operands = constants.DTYPES[dtype], {"shape": shape, "dtype": dtype, "strides": strides}
        if isinstance(strides, str):
            if strides != "any":
                raise ValueError(f"strides are numbers, None or 'any', not {strides!r}")
            status = library.c.dnnl_memory_desc_create_with_tag(
                ctypes.byref(made), len(shape), dims(shape), number, constants.TAG_ANY
            )
        else:
            places = contiguous(shape) if strides is None else tuple(strides)
            status = library.c.dnnl_memory_desc_create_with_strides(
                ctypes.byref(made), len(shape), dims(shape), number, dims(places)
            )
        check(status, "memory descriptor", operands)
        self._take(int(made.value or 0), shape, dtype)

    def _take(self, handle: int, shape: tuple[int, ...], dtype: str) -> None:
        self.handle, self.shape, self.dtype = handle, shape, dtype
        weakref.finalize(self, load().c.dnnl_memory_desc_destroy, handle).atexit = False

    @classmethod
    def adopt(cls, handle: int) -> Descriptor:
        """The descriptor that owns ``handle`` from now on."""
        self = object.__new__(cls)
        count, number = ctypes.c_int(), ctypes.c_int()
        for what, place in ((constants.QUERY_NDIMS, count), (constants.QUERY_DTYPE, number)):
            check(load().c.dnnl_memory_desc_query(handle, what, ctypes.byref(place)), "memory descriptor")
        shape = _numbers(handle, constants.QUERY_DIMS, count.value)
        self._take(handle, shape, constants.DTYPE_NAMES.get(number.value, "undefined"))
        return self

    @classmethod
    def copied(cls, handle: int) -> Descriptor:
        """A copy of a descriptor that someone else owns."""
        made = ctypes.c_void_p()
        check(load().c.dnnl_memory_desc_clone(ctypes.byref(made), handle), "memory descriptor")
        return cls.adopt(int(made.value or 0))

    @classmethod
    def ordered(cls, shape: Sequence[int], dtype: str, order: Sequence[int]) -> Descriptor:
        """Dense, with the axes in ``order`` from the outermost to the innermost (see ``contiguous``)."""
        return cls(shape, dtype, contiguous(shape, order))

    # ---- what it says

    @cached_property
    def bytes(self) -> int:
        """Size of a memory of this layout, padding included; 0 while the layout is "any"."""
        return int(load().c.dnnl_memory_desc_get_size(self.handle))

    @cached_property
    def _format(self) -> int:
        kind = ctypes.c_int()
        check(
            load().c.dnnl_memory_desc_query(self.handle, constants.QUERY_FORMAT_KIND, ctypes.byref(kind)),
            "memory descriptor",
        )
        return kind.value

    @property
    def is_any(self) -> bool:
        """Whether the layout is still open."""
        return self._format == constants.FORMAT_ANY

    @cached_property
    def blocks(self) -> tuple[tuple[int, int], ...]:
        """Axis and size of the inner blocks, the innermost last; none in a layout of strides."""
        if self._format != constants.FORMAT_BLOCKED:
            return ()
        count = ctypes.c_int()
        check(
            load().c.dnnl_memory_desc_query(self.handle, constants.QUERY_INNER_BLOCKS, ctypes.byref(count)),
            "memory descriptor",
        )
        axes = _numbers(self.handle, constants.QUERY_INNER_AXES, count.value)
        return tuple(zip(axes, _numbers(self.handle, constants.QUERY_INNER_SIZES, count.value), strict=True))

    @cached_property
    def strides(self) -> tuple[int, ...] | None:
        """Strides in elements (of whole blocks, in a blocked layout); ``None`` where the layout has none."""
        if self._format != constants.FORMAT_BLOCKED:
            return None
        return _numbers(self.handle, constants.QUERY_STRIDES, len(self.shape))

    @cached_property
    def padded_shape(self) -> tuple[int, ...]:
        """The extents that are stored: rounded up to whole blocks."""
        return _numbers(self.handle, constants.QUERY_PADDED_DIMS, len(self.shape))

    @property
    def is_plain(self) -> bool:
        """Whether strides alone say where each element is, so that NumPy could hold it too."""
        return self._format == constants.FORMAT_BLOCKED and not self.blocks

    # ---- the same memory under another description

    def reshaped(self, shape: Sequence[int]) -> Descriptor:
        """The same elements in another shape.  Raises DnnlError where no layout without a copy says so."""
        made, shape = ctypes.c_void_p(), tuple(shape)
        status = load().c.dnnl_memory_desc_reshape(ctypes.byref(made), self.handle, len(shape), dims(shape))
        check(status, "memory descriptor, reshaped", {"from": self, "to": shape})
        return Descriptor.adopt(int(made.value or 0))

    def permuted(self, axes: Sequence[int]) -> Descriptor:
        """The same elements with the axes exchanged as ``numpy.transpose`` does."""
        # oneDNN wants the inverse: permutation[i] is where axis i goes.
        goes = [0] * len(axes)
        for new, old in enumerate(axes):
            goes[old] = new
        made, places = ctypes.c_void_p(), (ctypes.c_int * len(axes))(*goes)
        status = load().c.dnnl_memory_desc_permute_axes(ctypes.byref(made), self.handle, places)
        check(status, "memory descriptor, permuted", {"from": self, "axes": tuple(axes)})
        return Descriptor.adopt(int(made.value or 0))

    def part(self, shape: Sequence[int], offsets: Sequence[int]) -> Descriptor:
        """A box of the memory; a memory of it is given the address of the whole."""
        made = ctypes.c_void_p()
        status = load().c.dnnl_memory_desc_create_submemory(ctypes.byref(made), self.handle, dims(shape), dims(offsets))
        check(status, "memory descriptor, part", {"of": self, "shape": tuple(shape), "offsets": tuple(offsets)})
        return Descriptor.adopt(int(made.value or 0))

    # ---- comparing and printing

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Descriptor):
            return NotImplemented
        return bool(load().c.dnnl_memory_desc_equal(self.handle, other.handle))

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype))

    def __repr__(self) -> str:
        if self.is_any:
            layout = "any"
        elif self.strides is None:
            layout = "opaque"
        else:
            inner = "".join(f" {size} of axis {axis}" for axis, size in self.blocks)
            layout = f"strides {self.strides}" + (f", blocks:{inner}" if inner else "")
        return f"{self.dtype}[{', '.join(map(str, self.shape))}] ({layout})"


def _numbers(handle: int, what: int, count: int) -> tuple[int, ...]:
    """``count`` of the numbers a query answers with."""
    place = ctypes.POINTER(ctypes.c_int64)()
    if count == 0:
        return ()
    check(load().c.dnnl_memory_desc_query(handle, what, ctypes.byref(place)), "memory descriptor")
    return tuple(place[:count])


def handle_of(descriptor: Descriptor | None) -> int | None:
    """What the C functions take: ``None`` where there is no such operand."""
    return None if descriptor is None else descriptor.handle
