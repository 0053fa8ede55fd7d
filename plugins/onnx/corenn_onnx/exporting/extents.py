"""Extents that depend on the batch: found by comparing the programs of two batch sizes."""

from __future__ import annotations

from typing import Any

from corenn_onnx.errors import OnnxExportError


class Extent:
    """``slope * batch + offset``: an extent that depends on the batch axis."""

    __slots__ = ("offset", "slope")

    def __init__(self, slope: int, offset: int) -> None:
        self.slope, self.offset = slope, offset

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Extent) and (other.slope, other.offset) == (self.slope, self.offset)

    def __hash__(self) -> int:
        return hash((self.slope, self.offset))

    def __repr__(self) -> str:
        times = "batch" if self.slope == 1 else f"{self.slope} batch"
        return times if not self.offset else f"{times} {'+' if self.offset > 0 else '-'} {abs(self.offset)}"


class Batches:
    """The sizes of the batch axis that a program was made for; one of them where the axis is fixed."""

    def __init__(self, *sizes: int) -> None:
        self.sizes = sizes

    def merged(self, a: Any, b: Any, where: str) -> Any:
        """Two values of one attribute, with an Extent where they differ; OnnxExportError where that cannot be."""
        if isinstance(a, bool) or not isinstance(a, int) or not isinstance(b, int):
            if isinstance(a, tuple | list) and isinstance(b, tuple | list) and len(a) == len(b):
                return tuple(self.merged(x, y, where) for x, y in zip(a, b, strict=True))
            if a is b or a == b:
                return a
            raise OnnxExportError(where, f"a value depends on the batch size: {a} and {b}", hint=_FIXED)
        if a == b:
            return a
        first, second = self.sizes
        slope, rest = divmod(b - a, second - first)
        if rest:
            raise OnnxExportError(where, "an extent depends on the batch size in no linear way", hint=_FIXED)
        return Extent(slope, a - slope * first)


_FIXED = "export for a fixed batch: export(model, path, batch=1)"

__all__ = ["Batches", "Extent"]
