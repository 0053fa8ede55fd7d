"""Training images changed by chance: small rotations, changes of size, slants and shifts, in batches that a resumed run
makes again.

``corenn.image.transform`` draws the same maps (a test says so), on any backend and with gradients.  What is here works
on the host's arrays, as the pipeline that calls it does: in NumPy alone it is up to twice as fast on small batches, and
the images are the same to the bit whatever backend trains on them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from corenn import philox
from corenn.data import Dataset

Array = npt.NDArray[Any]

ROTATION = 8.0  # degrees; this and the rest are the most that strength 1 does
SCALING = 0.05
SHEAR = 0.05
SHIFT = 0.0875  # of height and width


def changed_batches(
    x: Array, y: Array, batch_size: int, seed: int, purpose: str, change: Callable[[Array, int], Array]
) -> Dataset:
    """Shuffled batches of images and labels; of the images ``change(images, seed of this batch in this epoch)``.

    What happens to a batch follows from ``seed``, ``purpose`` and the numbers of its examples alone, so a resumed run
    sees the same images.
    """

    def changed(images: Array, labels: Array, numbers: Array) -> tuple[Array, Array]:
        return change(images, philox.derive(seed, purpose, *numbers.tolist())), labels

    return Dataset.from_tensor_slices((x, y, np.arange(len(x)))).shuffle(seed=seed).batch(batch_size).map(changed)


def distorted_batches(x: Array, y: Array, batch_size: int, strength: float, seed: int) -> Dataset:
    """Shuffled batches; each image distorted differently in every epoch (``strength`` 0: not at all)."""
    return changed_batches(x, y, batch_size, seed, "distort",
                           lambda images, drawn: distort(images, drawn, strength) if strength else images)  # fmt: skip


def distort(images: Array, seed: int, strength: float = 1.0) -> Array:
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


def sample(images: Array, rows: Array, columns: Array) -> Array:
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
    mixed: Array = (upper * (1 - below) + lower * below).astype(images.dtype)
    return mixed


__all__ = ["changed_batches", "distort", "distorted_batches", "sample"]
