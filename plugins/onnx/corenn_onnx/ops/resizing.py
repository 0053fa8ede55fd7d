"""Resize and Upsample: interpolation along each axis by itself, as a matrix or by choosing elements."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import corenn
from corenn import dtypes
from corenn.tensor import Tensor
from corenn_onnx.ops._common import axes_of, extents
from corenn_onnx.table import onnx_op

Host = np.ndarray[Any, Any]

_ROUND: dict[str, Callable[[Host], Host]] = {
    "round_prefer_floor": lambda v: np.ceil(v - 0.5),
    "round_prefer_ceil": lambda v: np.floor(v + 0.5),
    "floor": np.floor,
    "ceil": np.ceil,
}


def _places(mode: str, extent: int, results: int, scale: float, ends: tuple[float, float], node: Any) -> Host:
    """Where each result lies along an axis of the operand, in pixels."""
    i = np.arange(results, dtype=np.float64)
    if mode == "half_pixel":
        return (i + 0.5) / scale - 0.5
    if mode == "half_pixel_symmetric":
        adjustment = results / (scale * extent)
        return extent / 2 * (1 - adjustment) + (i + 0.5) / scale - 0.5
    if mode == "pytorch_half_pixel":
        return (i + 0.5) / scale - 0.5 if results > 1 else np.zeros(results)
    if mode == "align_corners":  # the length that the scale asks for, which need not be whole
        length = scale * extent
        return i * (extent - 1) / (length - 1) if results > 1 else np.zeros(results)
    if mode == "asymmetric":
        return i / scale
    if mode == "tf_half_pixel_for_nn":
        return (i + 0.5) / scale
    if mode == "tf_crop_and_resize":
        start, end = ends
        if results > 1:
            return start * (extent - 1) + i * (end - start) * (extent - 1) / (results - 1)
        return np.full(results, 0.5 * (start + end) * (extent - 1))
    raise node.unsupported(f"coordinate_transformation_mode {mode!r}")


def _linear(distance: Host) -> Host:
    return np.maximum(0, 1 - np.abs(distance))


def _cubic(a: float) -> Callable[[Host], Host]:
    def weights(distance: Host) -> Host:
        d = np.abs(distance)
        near = ((a + 2) * d - (a + 3)) * d * d + 1
        far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
        return np.where(d <= 1, near, np.where(d < 2, far, 0))

    return weights


def _matrix(
    places: Host, extent: int, scale: float, kernel: Callable[[Host], Host], reach: int, antialias: bool, outside: bool
) -> Host:
    """Interpolation along an axis as a matrix [results, extent].

    ``reach``: how far the kernel sees; ``antialias`` widens it where the axis shrinks; ``outside``: pixels that are
    not there do not count, else those at the border stand for them.
    """
    stretch = max(1.0, 1 / scale) if antialias else 1.0
    weights = np.zeros((len(places), extent))
    for row, place in enumerate(places):
        first = int(np.floor(place - reach * stretch)) + 1
        pixels = np.arange(first, int(np.ceil(place + reach * stretch)) + 1)
        values = kernel((pixels - place) / stretch)
        if outside:
            values = np.where((pixels >= 0) & (pixels < extent), values, 0)
        if outside or antialias:
            values = values / values.sum()
        np.add.at(weights[row], np.clip(pixels, 0, extent - 1), values)
    return weights


@onnx_op("Resize", since=11, host=("roi", "scales", "sizes"))
def resize(
    x: Tensor, roi: Host | None = None, scales: Host | None = None, sizes: Host | None = None, *, node: Any,
    antialias: int = 0, axes: Any = None, coordinate_transformation_mode: str = "half_pixel",
    cubic_coeff_a: float = -0.75, exclude_outside: int = 0, extrapolation_value: float = 0.0,
    keep_aspect_ratio_policy: str = "stretch", mode: str = "nearest", nearest_mode: str = "round_prefer_floor",
) -> Tensor:  # fmt: skip
    """``x`` resampled: nearest, linear or cubic."""
    shape = extents(x, node)
    places = axes_of(range(len(shape)) if axes is None else axes, len(shape)) or ()
    before = [shape[a] for a in places]
    if sizes is not None and sizes.size:
        wanted = [int(n) for n in sizes]
        if keep_aspect_ratio_policy == "stretch":
            factors = [n / m for n, m in zip(wanted, before, strict=True)]
        else:
            choose = min if keep_aspect_ratio_policy == "not_larger" else max
            factor = choose(n / m for n, m in zip(wanted, before, strict=True))
            factors = [factor] * len(places)
            wanted = [int(np.floor(factor * m + 0.5)) for m in before]
    elif scales is not None and scales.size:
        factors = [float(f) for f in scales]
        starts = list(roi) if coordinate_transformation_mode == "tf_crop_and_resize" and roi is not None else None
        spans = [1.0] * len(places) if starts is None else [
            float(starts[len(places) + i] - starts[i]) for i in range(len(places))]  # fmt: skip
        wanted = [int(np.floor(m * s * f)) for m, s, f in zip(before, spans, factors, strict=True)]
    else:
        raise node.unsupported("it has neither scales nor sizes")
    inside: Any = None
    keeps = mode == "nearest" or x.dtype in (dtypes.float32, dtypes.float64)
    wide = x if keeps else x.cast(dtypes.float32)
    for i, axis in enumerate(places):
        crop = coordinate_transformation_mode == "tf_crop_and_resize"
        if wanted[i] == before[i] and factors[i] == 1 and not crop:
            continue
        ends = (float(roi[i]), float(roi[len(places) + i])) if crop and roi is not None and roi.size else (0.0, 1.0)
        where = _places(coordinate_transformation_mode, before[i], wanted[i], factors[i], ends, node)
        if crop:
            valid = (where >= 0) & (where <= before[i] - 1)
            valid = valid.reshape([-1 if a == axis else 1 for a in range(len(shape))])
            inside = valid if inside is None else inside & valid
        if mode == "nearest":
            chosen = np.clip(_ROUND[nearest_mode](where), 0, before[i] - 1).astype(np.int64)
            wide = corenn.gather(wide, chosen, axis=axis)
            continue
        kernel, reach = (_linear, 1) if mode == "linear" else (_cubic(cubic_coeff_a), 2)
        weights = _matrix(where, before[i], factors[i], kernel, reach, bool(antialias), bool(exclude_outside))
        moved = corenn.moveaxis(wide, axis, -1)
        product = corenn.matmul(moved, corenn.tensor(weights.T.astype(wide.dtype.numpy)))
        wide = corenn.moveaxis(product, -1, axis)
    if inside is not None:
        wide = corenn.where(inside, wide, corenn.tensor(np.asarray(extrapolation_value, wide.dtype.numpy)))
    if mode != "nearest" and x.dtype.is_integer:
        wide = corenn.round(wide)
    return wide.cast(x.dtype)


@onnx_op("Resize", "Upsample", since=9, host=("scales",))
def resize_scales(x: Tensor, scales: Host, *, node: Any, mode: str = "nearest") -> Tensor:
    """Before opset 11 coordinates are ``i / scale`` and pixels are rounded down."""
    return resize(x, None, scales, node=node, coordinate_transformation_mode="asymmetric", mode=mode,
                  nearest_mode="floor")  # fmt: skip


@onnx_op("Upsample", since=7)
def upsample_attribute(x: Tensor, *, node: Any, scales: Any, mode: str = "nearest") -> Tensor:
    """Before opset 9 the scales are an attribute."""
    return resize_scales(x, np.asarray(scales, np.float32), node=node, mode=mode)
