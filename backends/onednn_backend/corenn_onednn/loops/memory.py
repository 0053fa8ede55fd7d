"""Loads and stores as LLVM instructions: one element, a vector of elements beside one another, or of elements apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from corenn.dtypes import DType
from corenn_onednn.loops.instructions import memory_type

if TYPE_CHECKING:
    from corenn_onednn.loops.lowering import Writer


def load(writer: Writer, dtype: DType, address: str, stride: int, width: int, mask: str | None) -> str:
    """``width`` elements, ``stride`` apart from one another; 0 in the lanes that ``mask`` leaves out."""
    type_, vector, truth = memory_type(dtype), _vector(dtype, width), f"<{width} x i1>"
    if width > 1 and stride != 1:
        places = writer.put(f"getelementptr {type_}, ptr {address}, <{width} x i64> {multiples(stride, width)}")
        taken = mask or f"<{', '.join(['i1 true'] * width)}>"
        name, pointer, where = f"llvm.masked.gather.{_suffix(dtype, width)}.v{width}p0", f"<{width} x ptr>", places
    elif mask:
        name, pointer, where, taken = f"llvm.masked.load.{_suffix(dtype, width)}.p0", "ptr", address, mask
    else:
        return writer.put(f"load {vector}, ptr {address}, align {dtype.itemsize}")
    writer.declared[name] = f"declare {vector} @{name}({pointer}, i32, {truth}, {vector})"
    return writer.put(f"call {vector} @{name}({pointer} {where}, i32 {dtype.itemsize}, {truth} {taken}, "
                      f"{vector} zeroinitializer)")  # fmt: skip


def store(writer: Writer, dtype: DType, value: str, address: str, stride: int, width: int, mask: str | None) -> None:
    """``width`` elements, ``stride`` apart from one another, but for the lanes that ``mask`` leaves out."""
    vector = _vector(dtype, width)
    if width > 1 and stride != 1:
        _scatter(writer, dtype, value, address, stride, width, mask)
        return
    if not mask:
        writer.do(f"store {vector} {value}, ptr {address}, align {dtype.itemsize}")
        return
    name, truth = f"llvm.masked.store.{_suffix(dtype, width)}.p0", f"<{width} x i1>"
    writer.declared[name] = f"declare void @{name}({vector}, ptr, i32, {truth})"
    writer.do(f"call void @{name}({vector} {value}, ptr {address}, i32 {dtype.itemsize}, {truth} {mask})")


def _scatter(
    writer: Writer, dtype: DType, value: str, address: str, stride: int, width: int, mask: str | None
) -> None:  # fmt: skip
    vector, truth = _vector(dtype, width), f"<{width} x i1>"
    type_, taken = memory_type(dtype), mask or f"<{', '.join(['i1 true'] * width)}>"
    places = writer.put(f"getelementptr {type_}, ptr {address}, <{width} x i64> {multiples(stride, width)}")
    name = f"llvm.masked.scatter.{_suffix(dtype, width)}.v{width}p0"
    writer.declared[name] = f"declare void @{name}({vector}, <{width} x ptr>, i32, {truth})"
    writer.do(f"call void @{name}({vector} {value}, <{width} x ptr> {places}, i32 {dtype.itemsize}, {truth} {taken})")


def prefetch(writer: Writer, address: str, writes: bool) -> None:
    """Fetch the line of the cache that an address is in, to be read or written soon and often."""
    writer.declared["llvm.prefetch.p0"] = "declare void @llvm.prefetch.p0(ptr, i32, i32, i32)"
    writer.do(f"call void @llvm.prefetch.p0(ptr {address}, i32 {int(writes)}, i32 3, i32 1)")


def multiples(stride: int, width: int) -> str:
    """``stride`` times the number of each lane."""
    return f"<{', '.join(f'i64 {lane * stride}' for lane in range(width))}>"


def _vector(dtype: DType, width: int) -> str:
    return memory_type(dtype) if width == 1 else f"<{width} x {memory_type(dtype)}>"


def _suffix(dtype: DType, width: int) -> str:
    """How intrinsics name a vector of elements."""
    name = {"float": "f32", "double": "f64", "half": "f16"}.get(memory_type(dtype), memory_type(dtype))
    return f"v{width}{name}"


__all__ = ["load", "multiples", "prefetch", "store"]
