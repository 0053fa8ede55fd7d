"""PNG images from arrays: 8 bits per channel, not interlaced, one filter per row, zlib from the standard library.

Source: W3C PNG specification, third edition (chunks: 5.3, filters: 9.2).
"""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

#: PNG colour type for each number of channels: grayscale, RGB, RGBA.
COLOUR_TYPES = {1: 0, 3: 2, 4: 6}


def encode_png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """The PNG file for ``pixels``, uint8 ``[height, width, channels]`` with 1 (gray), 3 (RGB) or 4 (RGBA) channels."""
    height, width, channels = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, COLOUR_TYPES[channels], 0, 0, 0)
    rows = _filtered(np.ascontiguousarray(pixels).reshape(height, width * channels), channels)
    chunks = _chunk(b"IHDR", header) + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunks


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _filtered(rows: npt.NDArray[np.uint8], channels: int) -> bytes:
    """Each row after the filter (none, sub or up) whose residuals are smallest, with the filter's number in front."""
    candidates = np.stack((rows, rows, rows))
    candidates[1, :, channels:] -= rows[:, :-channels]
    candidates[2, 1:] -= rows[:-1]
    # The usual heuristic (PNG specification 12.7): residuals read as signed numbers, least sum of absolute values.
    cost = np.abs(candidates.view(np.int8).astype(np.int16)).sum(axis=2, dtype=np.int64)
    best = cost.argmin(axis=0)
    out = np.empty((rows.shape[0], rows.shape[1] + 1), np.uint8)
    out[:, 0] = best
    out[:, 1:] = candidates[best, np.arange(rows.shape[0])]
    return out.tobytes()


def to_uint8(images: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """``images`` as uint8: bool becomes 0 or 255, floating [0, 1] is clipped and scaled, NaN becomes 0."""
    if images.dtype == np.uint8:
        return images
    if images.dtype == np.bool_:
        return images.astype(np.uint8) * np.uint8(255)
    scaled = np.clip(images.astype(np.float64), 0.0, 1.0)
    return np.rint(np.nan_to_num(scaled, nan=0.0) * 255.0).astype(np.uint8)
