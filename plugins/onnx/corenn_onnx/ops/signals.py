"""Fourier transforms, as products with matrices of sines and cosines: exact in float64, differentiable everywhere."""

from __future__ import annotations

from typing import Any

import numpy as np

import corenn
from corenn import dtypes
from corenn.tensor import Tensor
from corenn_onnx.ops._common import positive
from corenn_onnx.table import onnx_op

Host = np.ndarray[Any, Any]


def _transform(x: Tensor, axis: int, length: int | None, inverse: bool, onesided: bool) -> Tensor:
    """The discrete Fourier transform along an axis of [..., 1 or 2], real and imaginary parts last."""
    wide = x.cast(dtypes.float64)
    mirrored = inverse and onesided  # half of a spectrum whose other half is its mirror image
    bins = x.shape[axis]
    count = length or (2 * (bins - 1) if mirrored else bins)
    taken = count // 2 + 1 if mirrored else count
    if bins > taken:
        wide = wide[(*[slice(None)] * axis, slice(0, taken))]
    elif bins < taken:
        widths = [(0, 0)] * len(x.shape)
        widths[axis] = 0, taken - bins
        wide = corenn.pad(wide, widths=tuple(widths))
    moved = corenn.moveaxis(wide, axis, -2)  # [..., taken, parts]
    real = moved[..., 0]
    imaginary = moved[..., 1] if x.shape[-1] == 2 else None
    results = count // 2 + 1 if onesided and not inverse else count
    angle = 2 * np.pi * np.outer(np.arange(taken), np.arange(results)) / count
    cosine, sine = np.cos(angle), np.sin(angle) * (1 if inverse else -1)
    if inverse:
        shares = np.full(taken, 1 / count)
        if mirrored:  # bins other than the first, and the last of an even length, stand for two
            shares *= np.where((np.arange(taken) == 0) | (2 * np.arange(taken) == count), 1, 2)
        cosine, sine = cosine * shares[:, None], sine * shares[:, None]
    a = corenn.matmul(real, cosine)
    b = corenn.matmul(real, sine)
    if imaginary is not None:
        a = a - corenn.matmul(imaginary, sine)
        b = b + corenn.matmul(imaginary, cosine)
    parts = corenn.expand_dims(a, axis=-1) if mirrored else corenn.stack(a, b, axis=-1)
    return corenn.moveaxis(parts, -2, axis).cast(x.dtype)


@onnx_op("DFT", since=20, host=("length", "axis"))
def dft(
    x: Tensor, length: Host | None = None, axis: Host | None = None, *, inverse: int = 0, onesided: int = 0
) -> Tensor:
    """The discrete Fourier transform along an axis."""
    place = -2 if axis is None else int(axis.reshape(()))
    return dft_attribute(x, length, axis=place, inverse=inverse, onesided=onesided)


@onnx_op("DFT", since=17, host=("length",))
def dft_attribute(
    x: Tensor, length: Host | None = None, *, axis: int = 1, inverse: int = 0, onesided: int = 0
) -> Tensor:
    """Before opset 20 the axis is an attribute."""
    count = None if length is None else int(length.reshape(()))
    return _transform(x, positive(axis, len(x.shape)), count, bool(inverse), bool(onesided))


@onnx_op("STFT", host=("step", "length"))
def stft(
    x: Tensor, step: Host, window: Tensor | None = None, length: Host | None = None, *, onesided: int = 1
) -> Tensor:
    """Transforms of overlapping frames [batch, frames, bins, 2]."""
    if length is not None:
        size = int(length.reshape(()))
    else:
        size = x.shape[1] if window is None else window.shape[0]
    stride = int(step.reshape(()))
    frames = (x.shape[1] - size) // stride + 1
    places = np.arange(frames)[:, None] * stride + np.arange(size)
    parts = corenn.gather(x, places, axis=1)  # [batch, frames, size, 1 or 2]
    if window is not None:
        parts = parts * corenn.reshape(window, shape=(size, 1)).cast(x.dtype)
    return _transform(parts, 2, None, False, bool(onesided) and x.shape[-1] == 1)
