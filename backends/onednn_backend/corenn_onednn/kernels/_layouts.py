"""How corenn's arrays lie, in oneDNN's order of axes."""

from __future__ import annotations

from corenn_onednn.dnnl import Descriptor


def images(shape: tuple[int, ...], channels: int, dtype: str) -> Descriptor:
    """An array [n, *spatial, c] or [n, c, *spatial] as oneDNN's (n, c, *spatial); ``channels`` is the axis of c."""
    rank = len(shape)
    extents = (shape[0], shape[channels], *[n for i, n in enumerate(shape) if i not in (0, channels)])
    return Descriptor.ordered(extents, dtype, tuple(range(rank)) if channels == 1 else (0, *range(2, rank), 1))


__all__ = ["images"]
