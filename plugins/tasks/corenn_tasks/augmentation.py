"""Random distortion of training images: small rotations, changes of size, slants and shifts."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from corenn import philox

ROTATION = 8.0  # degrees; this and the rest are the most that strength 1 does
SCALING = 0.05
SHEAR = 0.05
SHIFT = 0.0875  # of height and width


def distort(images: npt.NDArray[Any], seed: int, strength: float = 1.0) -> npt.NDArray[Any]:
    """Images [n, h, w, c], each under an affine map of its own, drawn from ``seed``; zeros move in from outside.

    Bilinear interpolation; the result has the dtype of ``images``.
    """
    count, height, width, _ = images.shape
    turn, size, slant, down, right = strength * (2 * philox.uniform(seed, 0, 0, 5 * count).reshape(5, count, 1, 1) - 1)
    angle = turn * np.deg2rad(ROTATION)
    cos, sin = np.cos(angle) * (1 + size * SCALING), np.sin(angle) * (1 + size * SCALING)
    y = np.arange(height, dtype=np.float32)[:, None] - (height - 1) / 2
    x = np.arange(width, dtype=np.float32)[None, :] - (width - 1) / 2
    rows = cos * y + sin * x + (height - 1) / 2 + down * SHIFT * height
    columns = cos * x - sin * y + slant * SHEAR * y + (width - 1) / 2 + right * SHIFT * width
    return sample(images, rows, columns)


def sample(images: npt.NDArray[Any], rows: npt.NDArray[Any], columns: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Images [n, h, w, c] at the points ([n, h', w'] each) between their pixels, bilinearly; zero outside."""
    count, height, width, channels = images.shape
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0))).reshape(-1, channels)
    rows, columns = np.clip(rows + 1, 0, height + 1), np.clip(columns + 1, 0, width + 1)
    top, left = np.minimum(rows.astype(np.int32), height), np.minimum(columns.astype(np.int32), width)
    below, beside = (rows - top)[..., None], (columns - left)[..., None]
    line = width + 2
    first = np.arange(count, dtype=np.int32)[:, None, None] * ((height + 2) * line) + top * line + left
    # Whole rows of a table are taken several times as fast as elements at three coordinates.
    upper = padded.take(first, axis=0) * (1 - beside) + padded.take(first + 1, axis=0) * beside
    lower = padded.take(first + line, axis=0) * (1 - beside) + padded.take(first + (line + 1), axis=0) * beside
    mixed: npt.NDArray[Any] = (upper * (1 - below) + lower * below).astype(images.dtype)
    return mixed
